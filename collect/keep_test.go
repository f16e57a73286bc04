package collect

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseKeep(t *testing.T) {
	for _, text := range []string{"24h,30d,12m", "1h", "2w,1y", "100000d"} {
		k, err := ParseKeep(text)
		if err != nil || k.String() != text {
			t.Errorf("%q: %v, %v", text, k, err)
		}
	}
	for _, text := range []string{"", ",", "24", "h", "0h", "-1h", "24h,", "24h,24h", "1.5h", "24H", "100001h", "24h 30d", "9999999999999999999h"} {
		if k, err := ParseKeep(text); err == nil {
			t.Errorf("%q: %v", text, k)
		}
	}
}

// TestKeepYear keeps a year of hours, with a full link a week, as they come, and looks at what is left.
func TestKeepYear(t *testing.T) {
	k, _ := ParseKeep("24h,30d,12m")
	start := time.Date(2025, 11, 3, 0, 7, 0, 0, time.UTC)
	var held []HeldLink
	for n := range 24 * 365 {
		held = append(held, HeldLink{n + 1, start.Add(time.Duration(n) * time.Hour), n%168 == 0, false})
		if n%24 == 23 {
			held = without(held, k.Drop(held))
		}
	}
	last := held[len(held)-1].Time
	for back := range 24 {
		isLeft(t, held, last.Add(-time.Duration(back)*time.Hour), "2006-01-02T15")
	}
	for back := range 30 {
		isLeft(t, held, last.AddDate(0, 0, -back), "2006-01-02")
	}
	for back := range 12 {
		isLeft(t, held, time.Date(2026, 11-time.Month(back), 1, 0, 0, 0, 0, time.UTC), "2006-01")
	}
	old := 0
	for _, l := range held {
		if l.Time.Before(last.AddDate(0, 0, -40)) {
			old++
			if !l.Full {
				t.Errorf("link %d of %v is kept, and is not a full one", l.Number, l.Time)
			}
		}
	}
	if old > 12 || len(held) > 6*168 {
		t.Errorf("%d links are kept, %d of them older than 40 days", len(held), old)
	}
}

func isLeft(t *testing.T, held []HeldLink, at time.Time, layout string) {
	t.Helper()
	if !slices.ContainsFunc(held, func(l HeldLink) bool { return l.Time.Format(layout) == at.Format(layout) }) {
		t.Errorf("nothing is left of %s", at.Format(layout))
	}
}

func without(held []HeldLink, drop []int) []HeldLink {
	return slices.DeleteFunc(held, func(l HeldLink) bool { return slices.Contains(drop, l.Number) })
}

// TestKeepProperties draws histories with clocks that jump and bundles that are missing.
func TestKeepProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := drawKeep(t)
		var ever, held []HeldLink
		at := time.Date(2026, 1, 31, 23, 0, 0, 0, time.UTC)
		for n := range rapid.IntRange(1, 80).Draw(t, "links") {
			at = at.Add(time.Duration(rapid.SampledFrom([]int{1, 1, 1, 1, 1, 5, 24, 24 * 31, 24 * 365 * 14, -1, -30, -24 * 400}).Draw(t, "step")) * time.Hour)
			l := HeldLink{n + 1, at, n == 0 || rapid.IntRange(0, 9).Draw(t, "full") == 0, rapid.IntRange(0, 19).Draw(t, "spared") == 0}
			ever, held = append(ever, l), append(held, l)
			drop := k.Drop(held)
			before := slices.Clone(held)
			held = without(held, drop)
			checkKept(t, k, before, held, l)
		}
		// All at once keeps what was kept step by step, where clocks only went on.
		if slices.IsSortedFunc(ever, func(a, b HeldLink) int { return a.Time.Compare(b.Time) }) {
			for _, n := range k.Drop(ever) {
				if i := slices.IndexFunc(held, func(l HeldLink) bool { return l.Number == n }); i >= 0 && !neededBy(held, i) {
					t.Fatalf("link %d is kept step by step, and not all at once", n)
				}
			}
		}
	})
}

func drawKeep(t *rapid.T) (k Keep) {
	for _, unit := range []byte("hdwmy") {
		if n := rapid.IntRange(0, 4).Draw(t, "count"); n > 0 {
			k = append(k, keepRule{unit, n})
		}
	}
	return k
}

func checkKept(t *rapid.T, k Keep, before, held []HeldLink, newest HeldLink) {
	if len(held) == 0 || held[len(held)-1] != newest {
		t.Fatalf("the newest link is not kept: %v", held)
	}
	if more := k.Drop(held); len(more) > 0 {
		t.Fatalf("asked again, it drops %v more of %v", more, held)
	}
	if slices.ContainsFunc(before, func(l HeldLink) bool { return l.Spared && !slices.Contains(held, l) }) {
		t.Fatalf("one that was to be spared is dropped: %v", before)
	}
	for i, l := range held {
		if !restorable(held, i) && restorable(before, slices.Index(before, l)) {
			t.Fatalf("link %d is kept, and cannot be restored from %v", l.Number, held)
		}
	}
	for _, r := range k {
		if got, want := r.units(held), min(r.count, r.units(before)); got < want {
			t.Fatalf("%d%c: links of %d are left of %d", r.count, r.unit, got, r.units(before))
		}
	}
}

// units counts the hours, days, … in which there are links.
func (r keepRule) units(links []HeldLink) int {
	seen := map[string]bool{}
	for _, l := range links {
		seen[keepUnits[r.unit](l.Time)] = true
	}
	return len(seen)
}

// restorable says whether all links are there from the full one on.
func restorable(held []HeldLink, i int) bool {
	for ; !held[i].Full; i-- {
		if i == 0 || held[i-1].Number != held[i].Number-1 {
			return false
		}
	}
	return true
}

// neededBy says whether the next link builds on this one.
func neededBy(held []HeldLink, i int) bool { return i+1 < len(held) && !held[i+1].Full }

// TestKeepClockJumps has a clock that is wrong once, either way: it costs no more than a place.
func TestKeepClockJumps(t *testing.T) {
	k, _ := ParseKeep("3h,3d")
	start := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	history := func(odd time.Time) (links []HeldLink) {
		for n := range 10 {
			links = append(links, HeldLink{n + 1, start.Add(time.Duration(n) * 24 * time.Hour), true, false})
		}
		return append(links, HeldLink{11, odd, true, false})
	}
	for _, tt := range []struct {
		odd  time.Time
		want string
	}{
		{start.AddDate(14, 0, 0), "[1 2 3 4 5 6 7 8]"},
		{time.Unix(0, 0), "[]"},
		{start.Add(10 * 24 * time.Hour), "[1 2 3 4 5 6 7 8]"},
	} {
		if got := fmt.Sprint(k.Drop(history(tt.odd))); got != tt.want {
			t.Errorf("with a link of %v it drops %s, want %s", tt.odd, got, tt.want)
		}
	}
}
