package rotate

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

func item(kind Kind, print string, where ...string) Item {
	it := Item{Kind: kind, Provider: "P", Fingerprint: print, Where: where, Who: WhoYou, How: "how", Status: StatusOpen}
	if kind == KindGateway || kind == KindDevice {
		it.Who = WhoTool
	}
	return it
}

func former(it Item) Item {
	it.Residue, it.Where, it.Former = it.Where, nil, true
	if it.local() {
		it.Status = StatusReplaced
	}
	return it
}

func named(items ...Item) []Item {
	nameAll(items)
	Order(items)
	return items
}

// TestMerge follows the list from one look to the next.
func TestMerge(t *testing.T) {
	const a, b = "aaaa00000000", "bbbb00000000"
	key := item(KindModel, a, "config: key")
	for _, row := range []struct {
		name      string
		done      bool
		was, then []Item
		gaps      []openclaw.Gap
		want      string // fingerprint=status, in order of fingerprints
	}{
		{name: "nothing changed", was: []Item{key}, then: []Item{key}, want: "aaaa=open"},
		{name: "done stays done", done: true, was: []Item{key}, then: []Item{key}, want: "aaaa=done"},
		{name: "another value in its place", was: []Item{key}, then: []Item{item(KindModel, b, "config: key")}, want: "aaaa=replaced bbbb=new"},
		{
			name: "another value in its place, and an old copy", was: []Item{key},
			then: []Item{item(KindModel, b, "config: key"), former(key)}, want: "aaaa=replaced bbbb=new",
		},
		{
			name: "one value that served two ends", was: []Item{item(KindGateway, a, "config: token", "config: hooks")},
			then: []Item{item(KindGateway, b, "config: token"), item(KindHooks, "cccc00000000", "config: hooks")}, want: "aaaa=replaced bbbb=new cccc=new",
		},
		{name: "a new one elsewhere", was: []Item{key}, then: []Item{key, item(KindModel, b, "config: other")}, want: "aaaa=open bbbb=open"},
		{name: "removed, which revokes nothing", was: []Item{key}, then: nil, want: "aaaa=open"},
		{name: "moved to a copy, which revokes nothing", was: []Item{key}, then: []Item{former(key)}, want: "aaaa=open"},
		{name: "a device's token is gone", was: []Item{item(KindDevice, a, "db: x")}, then: nil, want: "aaaa=replaced"},
		{
			name: "a device's token may be hidden", was: []Item{item(KindDevice, a, "/s/db t.c[x]")}, then: nil,
			gaps: []openclaw.Gap{{Path: "/s/db", What: "cannot be read"}}, want: "aaaa=open",
		},
		{
			name: "back again", was: []Item{former(item(KindGateway, a, "config: token")), item(KindGateway, b, "config: token")},
			then: []Item{item(KindGateway, a, "config: token"), former(item(KindGateway, b, "config: token"))}, want: "aaaa=open bbbb=replaced",
		},
		{
			name: "a login renews its tokens", was: []Item{item(KindOAuth, a, "db: refresh")},
			then: []Item{item(KindOAuth, b, "db: refresh")}, want: "bbbb=open",
		},
		{
			name: "a new WhatsApp link does not end the old", was: []Item{item(KindLink, a, "dir")},
			then: []Item{item(KindLink, b, "dir")}, want: "aaaa=open bbbb=new",
		},
		{
			name: "a value that another item had", was: []Item{item(KindModel, a, "x"), item(KindModel, b, "y")},
			then: []Item{item(KindModel, a, "x", "y")}, want: "aaaa=open bbbb=replaced",
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			var l Ledger
			l.Merge(named(row.was...), nil)
			if row.done {
				if _, err := l.Done(l.Items[0].ID, "me", time.Now()); err != nil {
					t.Fatal(err)
				}
			}
			names := map[string]string{}
			for _, it := range l.Items {
				names[it.Fingerprint] = it.ID
			}
			then := named(row.then...)
			before := slices.Clone(then)
			l.Merge(then, row.gaps)
			var got []string
			for _, it := range l.Items {
				got = append(got, it.Fingerprint[:4]+"="+string(it.Status))
				if names[it.Fingerprint] != "" && names[it.Fingerprint] != it.ID {
					t.Errorf("%s was called %s", it.ID, names[it.Fingerprint])
				}
			}
			slices.Sort(got)
			if s := strings.Join(got, " "); s != row.want {
				t.Errorf("%s, want %s", s, row.want)
			}
			if !cmp.Equal(then, before) {
				t.Error("the inventory was changed")
			}
			again := Ledger{Items: slices.Clone(l.Items)}
			again.Merge(then, row.gaps)
			if !cmp.Equal(again.Items, l.Items) {
				t.Error("merging twice differs:", cmp.Diff(l.Items, again.Items))
			}
		})
	}
}

// TestMergeNeverLosesAnOpenItem: what only a person can replace ends by a person's word or by another value in its place.
func TestMergeNeverLosesAnOpenItem(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		some := rapid.Custom(func(t *rapid.T) Item {
			n := rapid.IntRange(0, 5).Draw(t, "print")
			kind := []Kind{KindModel, KindOAuth, KindLink, KindDevice, KindSSH, KindOAuth}[n]
			it := item(kind, fmt.Sprintf("%012d", n), fmt.Sprint("place ", rapid.IntRange(0, 5).Draw(t, "place")))
			if rapid.Bool().Draw(t, "former") {
				return former(it)
			}
			return it
		})
		distinct := func(label string) []Item {
			return named(rapid.SliceOfNDistinct(some, 0, 6, func(it Item) string { return it.Fingerprint }).Draw(t, label)...)
		}
		var l Ledger
		for range 4 {
			before := slices.Clone(l.Items)
			items := distinct("items")
			l.Merge(items, nil)
			taken := map[string]bool{}
			for _, it := range items {
				for _, place := range it.Where {
					taken[place+it.Fingerprint] = true
				}
			}
			ids := map[string]bool{}
			for _, it := range l.Items {
				if ids[it.ID] {
					t.Fatalf("two items are called %s", it.ID)
				}
				ids[it.ID] = true
			}
			for _, was := range before {
				if was.Status != StatusOpen || was.Who == WhoTool {
					continue
				}
				it, err := l.Find(was.ID)
				if err != nil {
					t.Fatal(err)
				}
				displaced := slices.ContainsFunc(items, func(n Item) bool {
					return n.Fingerprint != was.Fingerprint && slices.ContainsFunc(was.Where, func(p string) bool { return slices.Contains(n.Where, p) })
				})
				if it.Status != StatusOpen && (!displaced || was.outlives()) {
					t.Fatalf("%s became %s", it.ID, it.Status)
				}
			}
		}
	})
}

func openCase(t testing.TB) *casefile.Case {
	t.Helper()
	c, err := casefile.Open(t.TempDir(), "test", true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestLedgerOfCase(t *testing.T) {
	c := openCase(t)
	l, err := LoadLedger(c)
	if err != nil || len(l.Items) != 0 || l.Open() != 0 {
		t.Fatalf("%+v, %v", l, err)
	}
	items := named(item(KindModel, "aaaa00000000", "x"), item(KindModel, "aaab00000000", "y"), item(KindSSH, "cccc00000000", "z"))
	if _, err := UpdateLedger(c, func(l *Ledger) error { l.Merge(items, nil); return nil }); err != nil {
		t.Fatal(err)
	}
	when := time.Date(2026, 11, 22, 10, 0, 0, 0, time.FixedZone("", 3600))
	_, err = UpdateLedger(c, func(l *Ledger) error {
		done, err := l.Done(" P-SSH", "root (SUDO_USER me)", when)
		if err == nil && done.Kind != KindSSH {
			t.Errorf("done %+v", done)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	l, err = LoadLedger(c)
	if err != nil || l.Open() != 2 {
		t.Fatalf("%d open, %v", l.Open(), err)
	}
	last := l.Items[2]
	if last.Confirmed == nil || !last.Confirmed.At.Equal(when) || last.Confirmed.At.Location() != time.UTC || last.Status != StatusDone {
		t.Errorf("%+v", last)
	}
	if _, err := l.Done("nothing", "me", when); !errors.Is(err, ErrNoItem) {
		t.Errorf("unknown item: %v", err)
	}
	if _, err := l.Done("p-model", "me", when); !errors.Is(err, ErrAmbiguous) {
		t.Errorf("ambiguous item: %v", err)
	}
	if _, err := l.Done("", "me", when); !errors.Is(err, ErrNoItem) {
		t.Errorf("no item: %v", err)
	}
	fi, err := os.Stat(c.Path(ledgerName))
	if err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", fi.Mode(), err)
	}
}

// TestLedgerTogether has many processes confirm items at once.
func TestLedgerTogether(t *testing.T) {
	c := openCase(t)
	var items []Item
	for n := range 20 {
		items = append(items, item(KindModel, fmt.Sprintf("%012x", 1<<40+n<<30), fmt.Sprint(n)))
	}
	items = named(items...)
	if _, err := UpdateLedger(c, func(l *Ledger) error { l.Merge(items, nil); return nil }); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for _, it := range items {
		all.Go(func() {
			_, err := UpdateLedger(c, func(l *Ledger) error {
				_, err := l.Done(it.ID, "me", time.Now())
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if l, err := LoadLedger(c); err != nil || l.Open() != 0 {
		t.Errorf("%d open, %v", l.Open(), err)
	}
}

func TestLedgerThatIsNone(t *testing.T) {
	for _, text := range []string{"", "[]", `{"version":99}`, `{"items":[{"rank":"x"}]}`} {
		c := openCase(t)
		if err := c.WriteFile(ledgerName, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if l, err := LoadLedger(c); err == nil {
			t.Errorf("%q is read as %+v", text, l)
		}
		if _, err := UpdateLedger(c, func(*Ledger) error { return nil }); err == nil {
			t.Errorf("%q is written over", text)
		}
	}
}

// FuzzLedger reads rotate.json, which somebody else could have put into the case. What is read is written so that it reads the same, and
// an item is found by the beginning of its name or not at all.
func FuzzLedger(f *testing.F) {
	f.Add([]byte(`{"version":1,"items":[{"id":"anthropic-model-key-33dc","kind":"model","status":"open","where":["/a"],"seen":{},"rank":1},{"id":"anthropic-model-key-33dd"}]}`), "anthropic")
	f.Add([]byte(`{"version":2}`), "")
	f.Add([]byte(`{"items":[{"id":""},{"confirmed":{"at":"2026-11-22T08:00:00Z"}}]}`), "")
	c := openCase(f)
	f.Fuzz(func(t *testing.T, text []byte, id string) {
		if err := os.WriteFile(c.Path(ledgerName), text, 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := LoadLedger(c)
		if (err == nil) == (l == nil) {
			t.Fatalf("%+v and %v", l, err)
		}
		if err != nil {
			return
		}
		typed := strings.ToLower(strings.TrimSpace(id))
		if it, err := l.Find(id); (err == nil) == (it == nil) || it != nil && (typed == "" || !strings.HasPrefix(it.ID, typed)) {
			t.Errorf("%q is %+v, %v", id, it, err)
		}
		if n := l.Open(); n < 0 || n > len(l.Items) {
			t.Errorf("%d of %d items are open", n, len(l.Items))
		}
		if err := l.Save(c); err != nil {
			t.Fatal(err)
		}
		if again, err := LoadLedger(c); err != nil || !cmp.Equal(again.Items, l.Items, cmpopts.EquateEmpty()) {
			t.Errorf("%q was written otherwise than it was read: %v", text, err)
		}
	})
}
