package analyze

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/severity"
	"github.com/clawbook/openclaw-ir/internal/sigma"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// anyEvent draws an event with every member that a store must keep.
func anyEvent(r *rapid.T, sources []*openclaw.Source) *Event {
	text := rapid.StringN(0, 40, -1)
	number := rapid.Int64()
	e := &Event{
		Time: rapid.Int64Range(0, 50).Draw(r, "time"), NoTime: rapid.Bool().Draw(r, "no time"), Kind: rapid.SampledFrom(Kinds).Draw(r, "kind"),
		Source: rapid.SampledFrom(sources).Draw(r, "source"), Line: rapid.Int64Range(0, 20).Draw(r, "line"), Call: rapid.IntRange(0, 5).Draw(r, "call"),
		Digest: text.Draw(r, "digest"), Agent: text.Draw(r, "agent"), Session: rapid.SampledFrom([]string{"", "a", "b"}).Draw(r, "session"), Key: text.Draw(r, "key"),
		Asker: &Asker{Kind: text.Draw(r, "asker"), Group: rapid.Bool().Draw(r, "group"), Owner: OwnerNo}, Tool: text.Draw(r, "tool"), CallID: text.Draw(r, "call id"),
		Parent: text.Draw(r, "parent"), What: text.Draw(r, "what") + "\xff", Recorded: text.Draw(r, "recorded"), Cwd: text.Draw(r, "cwd"), Target: text.Draw(r, "target"),
		Bytes: number.Draw(r, "bytes"), Marks: rapid.SliceOfN(text, 0, 3).Draw(r, "marks"),
		Result: Result{Status: StatusTimeout, Signal: text.Draw(r, "signal"), Millis: number.Draw(r, "millis"), Size: number.Draw(r, "size"), PID: number.Draw(r, "pid"), Error: text.Draw(r, "error"), Recorded: rapid.Bool().Draw(r, "recorded")},
	}
	if rapid.Bool().Draw(r, "exited") {
		code := rapid.OneOf(rapid.Int(), rapid.Just(-1<<40)).Draw(r, "exit")
		e.Result.Exit = &code
	}
	if len(e.Marks) == 0 {
		e.Marks = nil
	}
	for range rapid.IntRange(0, 2).Draw(r, "hits") {
		h := hit{
			rule: rapid.SampledFrom(storedRules).Draw(r, "rule"), level: severity.Level(rapid.IntRange(0, 4).Draw(r, "level")), alert: rapid.Bool().Draw(r, "alert"),
			category: text.Draw(r, "category"), field: text.Draw(r, "field"), layer: text.Draw(r, "layer"), excerpt: text.Draw(r, "excerpt") + "\xff",
		}
		for range rapid.IntRange(0, 2).Draw(r, "groups") {
			h.groups = append(h.groups, Detail{text.Draw(r, "name"), text.Draw(r, "text")})
		}
		e.hits = append(e.hits, h)
	}
	for range rapid.IntRange(0, 2).Draw(r, "values") {
		e.values = append(e.values, text.Draw(r, "value"))
	}
	return e
}

var storedRules = []*sigma.Rule{{Name: "A-1"}, {Name: "B-2"}}

// whole compares events with all that a store keeps of them. Rules are the same if they are one.
var whole = cmp.Options{
	cmp.AllowUnexported(Event{}, hit{}),
	cmp.Comparer(func(a, b *sigma.Rule) bool { return a == b }),
}

func TestStoreKeepsEvents(t *testing.T) {
	sources := []*openclaw.Source{{Path: "/a"}, {Path: "/b", Form: openclaw.FormLog}}
	rapid.Check(t, func(r *rapid.T) {
		st, err := newStore()
		if err != nil {
			t.Fatal(err)
		}
		var want []*Event
		for range rapid.IntRange(0, 40).Draw(r, "events") {
			e := anyEvent(r, sources)
			kept := *e
			want = append(want, &kept)
			st.add(e)
			if rapid.IntRange(0, 9).Draw(r, "read meanwhile") == 0 {
				for range st.byTime() {
				}
			}
		}
		inOrder(t, st, want)
	})
}

// inOrder compares what a store holds with what was put in, and checks its order: time, then place in the session.
func inOrder(t *testing.T, st *store, want []*Event) {
	t.Helper()
	var got []*Event
	for e, err := range st.byTime() {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e)
	}
	if st.len() != len(want) || len(got) != len(want) {
		t.Fatalf("%d events came back of %d", len(got), len(want))
	}
	for i := 1; i < len(got); i++ {
		a, b := got[i-1], got[i]
		if a.Time > b.Time || a.Time == b.Time && a.Session == b.Session && (a.Line > b.Line || a.Line == b.Line && a.Call > b.Call) {
			t.Fatalf("event %d comes before event %d: %+v, %+v", i-1, i, a, b)
		}
	}
	for _, e := range want {
		i := slices.IndexFunc(got, func(f *Event) bool { return cmp.Equal(e, f, whole) })
		if i < 0 {
			t.Fatalf("did not come back: %+v %+v", e, e.Result)
		}
		got = slices.Delete(got, i, i+1)
	}
}

// TestStoreOfManyBlocks reads back more than a window holds, in an order that jumps between all blocks.
func TestStoreOfManyBlocks(t *testing.T) {
	st, err := newStore()
	if err != nil {
		t.Fatal(err)
	}
	src := &openclaw.Source{Path: "/a"}
	rng := rand.New(rand.NewPCG(1, 1))
	const n = 6000
	for i := range n {
		noise := make([]byte, 4000)
		for j := range noise {
			noise[j] = 'a' + byte(rng.IntN(26))
		}
		// Neighbours in time lie in different blocks.
		st.add(&Event{Time: int64(i%60*n + i), Source: src, Asker: unknownAsker, Session: "s", Line: int64(i), What: fmt.Sprint(i, string(noise))})
	}
	if len(st.blocks)*blockBytes <= windowBytes {
		t.Fatalf("only %d blocks", len(st.blocks))
	}
	seen, last := map[int64]bool{}, int64(-1)
	for e, err := range st.byTime() {
		if err != nil {
			t.Fatal(err)
		}
		if e.Time < last || e.Time != e.Line%60*n+e.Line || len(e.What) < 4000 || e.What[:len(fmt.Sprint(e.Line))] != fmt.Sprint(e.Line) {
			t.Fatalf("time %d after %d, line %d, %.20q", e.Time, last, e.Line, e.What)
		}
		last = e.Time
		seen[e.Line] = true
	}
	if len(seen) != n {
		t.Errorf("%d of %d came back", len(seen), n)
	}
}

func TestStoreStopsEarly(t *testing.T) {
	st, err := newStore()
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		st.add(&Event{Time: int64(i), Source: &openclaw.Source{}, Asker: unknownAsker})
	}
	n := 0
	for range st.byTime() {
		if n++; n == 3 {
			break
		}
	}
	if n != 3 {
		t.Error(n)
	}
}
