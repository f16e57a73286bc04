package rotate

import (
	"cmp"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/secret"
)

// Unlisted makes an item of each secret that transcripts show and that no installation holds. Only those whose format tells for
// sure are on the list: others can be examples. The key is the fingerprint.
func Unlisted(found map[string]secret.Unknown) (items []Item) {
	for _, u := range found {
		if u.Sure {
			items = append(items, UnlistedItem(u))
		}
	}
	nameAll(items)
	Order(items)
	return items
}

// UnlistedItem says what a secret is that no installation holds, and how it is replaced.
func UnlistedItem(u secret.Unknown) Item {
	m := meaning{issuer: u.Issuer}
	switch {
	case u.What == "private key":
		m = meaning{kind: KindSSH, provider: "private key", how: "take its public key out of everything that accepts it, then make a new pair"}
	case u.Issuer == "" && u.Mark == "":
		m = meaning{kind: KindOther, provider: u.What, how: howUnknown}
	default:
		fromIssuer(&openclaw.HeldSecret{Value: u.Mark}, &m)
	}
	return Item{
		Kind: cmp.Or(m.kind, KindOther), Provider: cmp.Or(m.provider, u.What), Fingerprint: u.Fingerprint, How: m.how, Page: pageOf(m.issuer), Who: WhoYou, Status: StatusOpen,
		Note: "only transcripts show it; the installation does not hold it",
	}
}
