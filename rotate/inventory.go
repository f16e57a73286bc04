package rotate

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/secret"
	"golang.org/x/crypto/ssh"
)

// Bounds of what an item tells: a hostile config can hold one secret a million times, and a WhatsApp session has
// thousands of keys.
const (
	maxPlaces = 200
	maxParts  = 64
	maxText   = 300 // bytes of a place's name
)

// Inventory lists every secret within the reach of an installation as something to replace, in the order in which to do
// it: see [openclaw.Installation.Held]. The same value at several places is one item, and so are values that one act
// replaces. No item holds a secret. What could not be read is a gap: there may be more.
//
// It does not know what the transcripts show: see [Mark].
func Inventory(ctx context.Context, fsys fs.FS, in *openclaw.Installation, fp secret.Fingerprinter) ([]Item, []openclaw.Gap) {
	v := inventory{in: in, fp: fp, set: secret.NewSet(fp), values: map[string]int{}, groups: map[string]int{}}
	gaps := in.Held(ctx, fsys, v.take)
	items := v.items()
	nameAll(items)
	Order(items)
	return items, gaps
}

// A holding is one secret at one place, and what that means.
type holding struct {
	place string // as it is shown
	print string // fingerprint; "" of what was not read
	main  int    // how well this value stands for its item, the lowest best
	is    meaning
	old   bool
}

type inventory struct {
	in       *openclaw.Installation
	fp       secret.Fingerprinter
	set      *secret.Set // for its judgement of what can be a secret, and to keep them out of names
	holdings []holding
	parent   []int // of each holding in its item's tree; itself at the root
	values   map[string]int
	groups   map[string]int
}

// take adds one secret at one place.
func (v *inventory) take(h openclaw.HeldSecret) {
	if h.Value != "" && !v.set.Add(h.Value, "") {
		return
	}
	n := len(v.holdings)
	m := v.meaning(&h)
	c := holding{place: h.SecretPlace.String(), is: m, old: h.Former}
	if h.Value != "" {
		c.print = v.fp.Fingerprint(strings.TrimSpace(h.Value))
		c.main = standing(&h)
		if isEncryptedKey(h.Value) {
			c.is.note = "the key is encrypted with a passphrase"
		}
	}
	if strings.HasPrefix(m.group, "session ") {
		c.place = strings.TrimPrefix(m.group, "session ")
	}
	v.holdings, v.parent = append(v.holdings, c), append(v.parent, n)
	v.unite(v.values, c.print, n)
	v.unite(v.groups, m.group, n)
}

// unite puts holding n into the same item as the first that had this key.
func (v *inventory) unite(by map[string]int, key string, n int) {
	if key == "" {
		return
	}
	if first, ok := by[key]; ok {
		v.parent[v.root(n)] = v.root(first)
	} else {
		by[key] = n
	}
}

func (v *inventory) root(n int) int {
	for v.parent[n] != n {
		v.parent[n] = v.parent[v.parent[n]]
		n = v.parent[n]
	}
	return n
}

// standing ranks the values of one thing: of a login the refresh token, of a WhatsApp session the key that lasts as long
// as the link. The others come and go.
func standing(h *openclaw.HeldSecret) int {
	n := len(h.Path)
	switch {
	case slices.Contains(h.Path, "noiseKey"), n > 0 && (h.Path[n-1] == "refresh" || h.Path[n-1] == "refreshToken" || h.Path[n-1] == "refresh_token"):
		return 0
	case path.Base(h.File) == "creds.json":
		return 1
	}
	return 2
}

// isEncryptedKey reports a private key that needs a passphrase.
func isEncryptedKey(value string) bool {
	if !strings.HasPrefix(value, "-----BEGIN") {
		return false
	}
	var locked *ssh.PassphraseMissingError
	_, err := ssh.ParseRawPrivateKey([]byte(value))
	return errors.As(err, &locked) || strings.Contains(value, "BEGIN ENCRYPTED PRIVATE KEY")
}

// items makes an item of each tree of holdings, in the order of their first.
func (v *inventory) items() []Item {
	var roots []int
	members := map[int][]*holding{}
	for n := range v.holdings {
		r := v.root(n)
		if members[r] == nil {
			roots = append(roots, r)
		}
		members[r] = append(members[r], &v.holdings[n])
	}
	items := make([]Item, 0, len(roots))
	for _, r := range roots {
		items = append(items, v.item(members[r]))
	}
	return items
}

func (v *inventory) item(members []*holding) Item {
	best := slices.MinFunc(members, func(a, b *holding) int {
		return cmp.Or(
			cmp.Compare(lastIf(a.old), lastIf(b.old)),
			cmp.Compare(slices.Index(kindOrder, a.is.kind), slices.Index(kindOrder, b.is.kind)),
			strings.Compare(a.is.who, b.is.who)) // "this tool" before "you"
	})
	it := Item{Kind: best.is.kind, Provider: v.clean(best.is.provider), Owner: v.clean(best.is.owner), How: best.is.how, Command: best.is.command, Who: best.is.who, Status: StatusOpen}
	it.Page = pageOf(best.is.issuer)
	for _, h := range members {
		it.Owner = cmp.Or(it.Owner, v.clean(h.is.owner))
	}
	v.addPlaces(&it, members)
	v.addPrints(&it, members)
	if it.Former = len(it.Where) == 0; it.Former {
		it.How = howOld
		if it.local() {
			it.Status, it.How = StatusReplaced, "nothing: what is in use now is another value"
		}
	}
	it.Note = noteOf(&it, members)
	if it.Fingerprint == "" {
		it.ID = it.stem() + "-" + placePrint(v.fp, best.place)[:4]
	}
	return it
}

// lastIf is for ordering: what it is true of comes after the rest.
func lastIf(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (v *inventory) addPlaces(it *Item, members []*holding) {
	for _, h := range members {
		if h.old {
			it.Residue = append(it.Residue, h.place)
		} else {
			it.Where = append(it.Where, h.place)
		}
	}
	for _, list := range []*[]string{&it.Where, &it.Residue} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
		*list = (*list)[:min(len(*list), maxPlaces)]
		for i := range *list {
			(*list)[i] = v.clean((*list)[i])
		}
	}
}

func (v *inventory) addPrints(it *Item, members []*holding) {
	best := slices.MinFunc(members, func(a, b *holding) int {
		return cmp.Or(cmp.Compare(lastIf(a.print == ""), lastIf(b.print == "")), cmp.Compare(lastIf(a.old), lastIf(b.old)), cmp.Compare(a.main, b.main))
	})
	it.Fingerprint = best.print
	for _, h := range slices.SortedStableFunc(slices.Values(members), func(a, b *holding) int { return cmp.Compare(a.main, b.main) }) {
		if h.print != it.Fingerprint && h.print != "" && !slices.Contains(it.Parts, h.print) && len(it.Parts) < maxParts {
			it.Parts = append(it.Parts, h.print)
		}
	}
}

// noteOf says what else is known: that a key is encrypted, or that one value serves several ends.
func noteOf(it *Item, members []*holding) string {
	kinds := []string{string(it.Kind)}
	for _, h := range members {
		if h.is.note != "" {
			return h.is.note
		}
		if k := string(h.is.kind); !h.old && !slices.Contains(kinds, k) {
			kinds = append(kinds, k)
		}
	}
	if len(kinds) > 1 {
		return "one value serves as " + strings.Join(kinds, " and ") + ": replace it at every place"
	}
	return ""
}

// clean makes a name from outside fit to be kept: bounded, valid UTF-8 and without any secret.
func (v *inventory) clean(text string) string {
	text = v.set.Redact(strings.ToValidUTF8(text, "�"))
	if len(text) <= maxText {
		return text
	}
	cut := maxText
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}
