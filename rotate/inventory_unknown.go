package rotate

import (
	"cmp"
	"maps"
	"slices"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/secret"
)

// Unlisted makes an item of each secret that transcripts show and that no installation holds. Only those whose format tells for
// sure are on the list: others can be examples. The key is the fingerprint.
func Unlisted(found map[string]secret.Unknown) []Item {
	sure := map[string]secret.Unknown{}
	for p, u := range found {
		if u.Sure {
			sure[p] = u
		}
	}
	return NamedItems(sure)
}

// NamedItems makes an item of each secret that only transcripts show.
func NamedItems(found map[string]secret.Unknown) []Item {
	items := make([]Item, 0, len(found))
	for _, p := range slices.Sorted(maps.Keys(found)) {
		items = append(items, unlisted(found[p]))
	}
	nameAll(items)
	Order(items)
	return items
}

// unlisted says what a secret is that no installation holds, and how it is replaced.
func unlisted(u secret.Unknown) Item {
	m := meaning{issuer: u.Issuer}
	switch {
	case u.What == "private key":
		m = meaning{kind: KindSSH, provider: "private key", how: "take its public key out of everything that accepts it, then make a new pair"}
	case u.Issuer == "" && u.Mark == "":
		m = meaning{kind: KindOther, provider: u.What, how: howUnknown}
	default:
		fromIssuer(&openclaw.HeldSecret{Value: u.Mark}, &m)
	}
	if m.provider == "" { // many issuers' keys begin with "sk-"
		m.kind = KindKey
	}
	return Item{
		Kind: cmp.Or(m.kind, KindOther), Provider: m.provider, Fingerprint: u.Fingerprint, How: m.how, Page: pageOf(m.issuer), Who: WhoYou, Status: StatusOpen,
		Note: "only transcripts show it; the installation does not hold it",
	}
}
