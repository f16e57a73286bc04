package rotate

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

const (
	ledgerName    = "rotate.json"
	ledgerLock    = "rotate.lock"
	ledgerVersion = 1
	// ledgerLimit bounds a ledger that is read, in bytes: some ten thousand items.
	ledgerLimit = 64 << 20
)

var (
	// ErrNoItem says that the list has no item of that name.
	ErrNoItem = errors.New("no such item")
	// ErrAmbiguous says that several items begin so.
	ErrAmbiguous = errors.New("several items begin so")
)

// A Ledger is the list of what is to be replaced, as the case keeps it. It holds no secret.
type Ledger struct {
	Version int    `json:"version"`
	Items   []Item `json:"items"`
}

// LoadLedger reads the case's list; one that was never written is empty.
func LoadLedger(c *casefile.Case) (*Ledger, error) {
	data, err := c.ReadFile(ledgerName, ledgerLimit)
	if errors.Is(err, fs.ErrNotExist) {
		return &Ledger{Version: ledgerVersion}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the list of secrets: %w", err)
	}
	var l Ledger
	if err := json.Unmarshal(data, &l); err != nil {
		return nil, fmt.Errorf("reading the list of secrets: %v", err)
	}
	if l.Version > ledgerVersion {
		return nil, fmt.Errorf("reading the list of secrets: version %d is of a newer openclaw-ir", l.Version)
	}
	return &l, nil
}

// Save writes the list in one step. To change one that others may change too: [UpdateLedger].
func (l *Ledger) Save(c *casefile.Case) error {
	l.Version = ledgerVersion
	text, err := console.JSON(l, " ")
	if err != nil {
		return fmt.Errorf("writing the list of secrets: %v", err)
	}
	if len(text) > ledgerLimit {
		return fmt.Errorf("writing the list of secrets: %d bytes, more than %d", len(text), ledgerLimit)
	}
	if err := c.WriteFile(ledgerName, text); err != nil {
		return fmt.Errorf("writing the list of secrets: %w", err)
	}
	return nil
}

// UpdateLedger reads the list, lets change change it and writes it, while no other process of ours does the same. If
// change fails, nothing is written.
func UpdateLedger(c *casefile.Case, change func(*Ledger) error) (*Ledger, error) {
	unlock, err := c.Lock(ledgerLock, lockWait)
	if err != nil {
		return nil, fmt.Errorf("locking the list of secrets: %w", err)
	}
	defer unlock()
	l, err := LoadLedger(c)
	if err != nil {
		return nil, err
	}
	if err := change(l); err != nil {
		return nil, err
	}
	return l, l.Save(c)
}

// lockWait is how long to wait for another of our processes, which needs milliseconds.
const lockWait = 30 * time.Second

// Merge brings the list up to date with all that is there now (see [Join]); gaps are what could not be looked at. What
// is done stays done. An item stays when its secret is no longer there, for that does not revoke it. It becomes
// replaced when another value stands where it stood, or when only this installation accepted it and it is nowhere in
// use any more; and open again when it is back in use after that. What stands in its place is new: nothing to do.
func (l *Ledger) Merge(items []Item, gaps []openclaw.Gap) {
	m := merge{items: slices.Clone(items), gaps: gaps, now: indexItems(items), holder: map[string]int{}, taken: map[int]bool{}}
	for i := range items {
		for _, place := range items[i].Where {
			m.holder[place] = i
		}
	}
	for i := range l.Items {
		m.old(&l.Items[i])
	}
	for i, it := range m.items {
		if !m.taken[i] {
			l.Items = append(l.Items, it)
		}
	}
	nameAll(l.Items)
	Order(l.Items)
}

// A merge compares what was with what is.
type merge struct {
	items  []Item
	gaps   []openclaw.Gap
	now    map[string]int // which of items has a fingerprint
	holder map[string]int // which of items has a place in use
	taken  map[int]bool   // items that are in the list already
}

// old brings one item of the list up to date.
func (m *merge) old(it *Item) {
	n, there := find(m.now, it)
	successors := m.successors(it, n, there)
	displaced := len(successors) > 0
	for _, next := range successors {
		switch {
		case m.taken[next]:
		case !there && it.Kind == KindOAuth && m.items[next].Kind == KindOAuth:
			n, there = next, true // a login's tokens change by themselves
		case m.items[next].Status == StatusOpen:
			m.items[next].Status = StatusNew
		}
	}
	closes := displaced && !it.outlives()
	switch {
	case there:
		m.taken[n] = true
		it.update(&m.items[n], closes)
	case it.Status == StatusOpen && (closes || it.local() && !m.hidden(it)):
		it.Status = StatusReplaced
	}
}

// outlives reports the kinds that another value in their place does not end: logins and sessions go on until they are ended
// where they were begun.
func (it *Item) outlives() bool {
	return it.Kind == KindOAuth || it.Kind == KindLink || it.Kind == KindSession
}

// successors returns which items stand now where one stood, other than itself. One value that served two ends has two.
func (m *merge) successors(it *Item, same int, there bool) (list []int) {
	for _, place := range it.Where {
		if n, ok := m.holder[place]; ok && !(there && n == same) && !slices.Contains(list, n) {
			list = append(list, n)
		}
	}
	return list
}

// hidden reports whether a place of the item could not be looked at.
func (m *merge) hidden(it *Item) bool {
	return slices.ContainsFunc(m.gaps, func(g openclaw.Gap) bool {
		return slices.ContainsFunc(it.Where, func(place string) bool { return strings.HasPrefix(place, g.Path) })
	})
}

// indexItems says which item has a fingerprint, or of what was not read an ID.
func indexItems(items []Item) map[string]int {
	at := map[string]int{}
	for i := range items {
		it := &items[i]
		at[it.key()] = i
		for _, p := range it.Parts {
			if _, known := at[p]; !known {
				at[p] = i
			}
		}
	}
	return at
}

// find looks for the item that an older one has become: that of its fingerprint, or of one of its parts.
func find(now map[string]int, old *Item) (int, bool) {
	for _, p := range append([]string{old.key()}, old.Parts...) {
		if n, ok := now[p]; ok {
			return n, true
		}
	}
	return 0, false
}

// update takes over what is found now, and keeps what only the list knows: the name, who confirmed what, and what was seen.
// closes says that another value stands in its place.
func (it *Item) update(now *Item, closes bool) {
	was := *it
	*it = *now
	it.ID, it.Confirmed, it.Status = was.ID, was.Confirmed, was.Status
	if it.Seen.Count == 0 {
		it.Seen = was.Seen
	}
	switch {
	case was.Status == StatusDone:
	case now.Former && (closes || now.Status == StatusReplaced && was.local()):
		it.Status = StatusReplaced
	case !now.Former && was.Status == StatusReplaced:
		it.Status = StatusOpen
	}
}

// Done notes that a person has dealt with an item. id is its ID or a beginning that no other has.
func (l *Ledger) Done(id, by string, at time.Time) (Item, error) {
	it, err := l.Find(id)
	if err != nil {
		return Item{}, err
	}
	it.Status, it.Confirmed = StatusDone, &Confirmation{By: by, At: at.UTC()}
	done := *it
	Order(l.Items)
	return done, nil
}

// Find returns the item of an ID, or of a beginning that no other has.
func (l *Ledger) Find(id string) (*Item, error) {
	id = strings.ToLower(strings.TrimSpace(id))
	var found []*Item
	for i := range l.Items {
		switch it := &l.Items[i]; {
		case id == "": // is the beginning of all, and the ID of none that we wrote
		case it.ID == id:
			return it, nil
		case strings.HasPrefix(it.ID, id):
			found = append(found, it)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return nil, fmt.Errorf("item %q: %w", id, ErrNoItem)
	}
	return nil, fmt.Errorf("item %q: %w: %s and %s", id, ErrAmbiguous, found[0].ID, found[1].ID)
}

// Open returns how many items are still to be dealt with.
func (l *Ledger) Open() int {
	n := 0
	for i := range l.Items {
		if l.Items[i].Status == StatusOpen {
			n++
		}
	}
	return n
}
