package rotate

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/internal/secret"
)

// A Kind is what sort of secret an [Item] is.
type Kind string

// The kinds, those first that let an intruder back in.
const (
	KindGateway   Kind = "gateway token"
	KindHooks     Kind = "hooks token"
	KindDevice    Kind = "device token"
	KindDeviceKey Kind = "device key"
	KindLink      Kind = "WhatsApp link"
	KindSession   Kind = "channel session"
	KindChannel   Kind = "channel token"
	KindOAuth     Kind = "OAuth login"
	KindModel     Kind = "model key"
	KindCloud     Kind = "cloud credential"
	KindGit       Kind = "git token"
	KindRegistry  Kind = "registry token"
	KindSSH       Kind = "SSH key"
	KindMCP       Kind = "MCP secret"
	KindKey       Kind = "API key"
	KindPasswords Kind = "password store"
	KindBrowser   Kind = "browser profile"
	KindLocal     Kind = "local token"
	KindOther     Kind = "secret"
)

var kindOrder = []Kind{
	KindGateway, KindHooks, KindDevice, KindDeviceKey, KindLink, KindSession, KindChannel, KindOAuth, KindModel, KindCloud,
	KindGit, KindRegistry, KindSSH, KindMCP, KindKey, KindPasswords, KindBrowser, KindLocal, KindOther,
}

// A Status says whether an item still has to be dealt with.
type Status string

// The statuses.
const (
	StatusOpen     Status = "open"
	StatusDone     Status = "done"     // a person said so
	StatusReplaced Status = "replaced" // it was seen that another value stands in its place
	StatusNew      Status = "new"      // it stands in place of one that was on the list: nothing to do
)

// Who replaces a secret.
const (
	WhoTool = "this tool"
	WhoYou  = "you"
)

// Seen is what the transcripts show of a secret. The zero Seen says that they don't show it, which proves nothing.
type Seen struct {
	Read     bool      `json:"read"`             // it came into a session: a tool's result, a file, what someone wrote
	Run      bool      `json:"run"`              // the agent put it into a command or another tool's arguments
	Written  bool      `json:"written"`          // the agent wrote it into a file, an automation or the config
	Sent     bool      `json:"sent"`             // the agent sent it: in a message, a URL, a command that sends to a host
	Masked   bool      `json:"masked,omitempty"` // sometimes only as a mask of it
	First    time.Time `json:"first,omitzero"`
	Last     time.Time `json:"last,omitzero"`
	Count    int       `json:"count"` // records that hold it
	Sessions []string  `json:"sessions,omitempty"`
}

// add joins what was seen of two values that are replaced together.
func (s *Seen) add(o Seen) {
	s.Read, s.Sent, s.Masked, s.Count = s.Read || o.Read, s.Sent || o.Sent, s.Masked || o.Masked, s.Count+o.Count
	s.Run, s.Written = s.Run || o.Run, s.Written || o.Written
	if s.First.IsZero() || !o.First.IsZero() && o.First.Before(s.First) {
		s.First = o.First
	}
	if o.Last.After(s.Last) {
		s.Last = o.Last
	}
	s.Sessions = union(s.Sessions, o.Sessions)
}

// A Confirmation is who said that an item is done, and when (UTC).
type Confirmation struct {
	By string    `json:"by"`
	At time.Time `json:"at"`
}

// An Item is one thing to replace: a secret, or several that the same act replaces, such as the two tokens of a login. It
// holds no secret. Where, Residue and Owner may hold hostile text.
type Item struct {
	ID          string        `json:"id"` // short and typable, as "anthropic-model-key-3f2a"; the same in every run of a case
	Kind        Kind          `json:"kind"`
	Provider    string        `json:"provider"`              // who issued it, as "Anthropic"
	Owner       string        `json:"owner,omitempty"`       // account, profile, device or agent
	Fingerprint string        `json:"fingerprint,omitempty"` // of the value, keyed by the case; "" of what was not read
	Parts       []string      `json:"parts,omitempty"`       // fingerprints of the other values it replaces
	Where       []string      `json:"where,omitempty"`       // places in use
	Residue     []string      `json:"residue,omitempty"`     // old copies, which lie on after it is replaced
	Former      bool          `json:"former,omitempty"`      // it is in old copies only: valid once, and maybe still
	Page        string        `json:"page,omitempty"`        // where it is replaced; nothing here contacts it
	How         string        `json:"how"`                   // what to do
	Command     string        `json:"command,omitempty"`     // a command that helps
	Who         string        `json:"who"`                   // WhoTool or WhoYou
	Note        string        `json:"note,omitempty"`        // what else is known of it
	Seen        Seen          `json:"seen"`
	Status      Status        `json:"status"`
	Confirmed   *Confirmation `json:"confirmed,omitempty"`
	Rank        int           `json:"rank"` // place in the order, from 1
}

// local reports the secrets that only this installation accepts: one that is nowhere in use any more is void.
func (it *Item) local() bool { return it.Who == WhoTool }

// prints returns all fingerprints of the item.
func (it *Item) prints() []string {
	if it.Fingerprint == "" {
		return nil
	}
	return append([]string{it.Fingerprint}, it.Parts...)
}

// Mark notes what was seen of each item. seen is keyed by fingerprint. The order changes with it: see [Order].
func Mark(items []Item, seen map[string]Seen) {
	for i := range items {
		it := &items[i]
		it.Seen = Seen{}
		for _, p := range it.prints() {
			if s, ok := seen[p]; ok {
				it.Seen.add(s)
			}
		}
	}
	Order(items)
}

// The order in which to replace: what lets an intruder back in now, then what is known to be out, then what costs money.
const (
	tierGateway = iota // commands the agent
	tierDevice         // the same, with a device's own token
	tierSession        // sends as the user
	tierSent           // seen leaving
	tierRead           // seen by the agent, or used by it
	tierMoney
	tierRest
	tierFormer // only in old copies
	tierClosed
)

func (it *Item) tier() int {
	switch {
	case it.Status != StatusOpen:
		return tierClosed
	case it.Former && it.Seen.Sent:
		return tierSent
	case it.Former:
		return tierFormer
	case it.Kind == KindGateway, it.Kind == KindHooks:
		return tierGateway
	case it.Kind == KindDevice, it.Kind == KindDeviceKey:
		return tierDevice
	case it.Kind == KindLink, it.Kind == KindSession:
		return tierSession
	case it.Seen.Sent:
		return tierSent
	case it.Seen.Read, it.Seen.Run, it.Seen.Written:
		return tierRead
	case it.Kind == KindModel, it.Kind == KindOAuth, it.Kind == KindCloud:
		return tierMoney
	}
	return tierRest
}

// Order sorts the items into the order in which to replace them and numbers them.
func Order(items []Item) {
	slices.SortStableFunc(items, func(a, b Item) int {
		return cmp.Or(
			cmp.Compare(a.tier(), b.tier()),
			cmp.Compare(slices.Index(kindOrder, a.Kind), slices.Index(kindOrder, b.Kind)),
			strings.Compare(a.ID, b.ID))
	})
	for i := range items {
		items[i].Rank = i + 1
	}
}

// Join puts the items of several installations together. What several hold is one item.
func Join(lists ...[]Item) []Item {
	var all []Item
	at := map[string]int{}
	for _, list := range lists {
		for _, it := range list {
			i, known := at[it.key()]
			if !known {
				at[it.key()] = len(all)
				all = append(all, it)
				continue
			}
			all[i].join(&it)
		}
	}
	nameAll(all)
	Order(all)
	return all
}

// key is what two runs know an item by.
func (it *Item) key() string { return cmp.Or(it.Fingerprint, it.ID) }

// join adds what another installation's item of the same secret says.
func (it *Item) join(o *Item) {
	it.Where, it.Residue = union(it.Where, o.Where), union(it.Residue, o.Residue)
	it.Parts = union(it.Parts, o.Parts)
	it.Former = it.Former && o.Former
	if o.Status == StatusOpen {
		it.Status = StatusOpen
	}
}

// union returns the texts of both lists, each once, in order.
func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// nameAll gives every item its ID: the provider, the kind and as many digits of the fingerprint as tell it from the
// others. One that has an ID keeps it.
func nameAll(items []Item) {
	taken := map[string]bool{}
	var nameless []*Item
	for i := range items {
		if it := &items[i]; it.ID == "" || taken[it.ID] {
			nameless = append(nameless, it)
		} else {
			taken[it.ID] = true
		}
	}
	for _, it := range nameless {
		base, digits := it.stem(), it.Fingerprint
		for n := 4; ; n++ {
			it.ID = base + "-" + digits[:min(n, len(digits))]
			if !taken[it.ID] || n > len(digits) {
				break
			}
		}
		taken[it.ID] = true
	}
}

// stem is the part of an ID that says what it is: "whatsapp-link", "anthropic-model-key". A provider that the kind names
// already is left out.
func (it *Item) stem() string {
	kind, provider := slug(string(it.Kind)), slug(it.Provider)
	if provider == "" || strings.HasPrefix(kind, provider) || provider == "openclaw" {
		return kind
	}
	return provider + "-" + kind
}

// maxSlug bounds what of a name goes into an ID.
const maxSlug = 24

// slug turns a name into lower-case letters, digits and single dashes.
func slug(name string) string {
	var b strings.Builder
	for _, c := range strings.ToLower(name) {
		switch {
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
			b.WriteRune(c)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	s := b.String()
	return strings.Trim(s[:min(len(s), maxSlug)], "-")
}

// placePrint stands in an ID for what was not read: it tells one place from another.
func placePrint(fp secret.Fingerprinter, place string) string {
	return fp.Fingerprint("place " + place)
}
