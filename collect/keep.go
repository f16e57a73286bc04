package collect

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Keep says which links of a chain a case keeps the bundles of: the first of each of the last so many hours, days, months. What is
// counted are those in which there is a link, by the clocks that wrote them and not by the present one, so that a clock that jumps
// removes no more than a step of it would. The zero Keep keeps all.
type Keep []keepRule

type keepRule struct {
	unit  byte
	count int
}

// keepUnits name the part of a time that links of one unit share.
var keepUnits = map[byte]func(time.Time) string{
	'h': func(t time.Time) string { return t.Format("2006-01-02T15") },
	'd': func(t time.Time) string { return t.Format("2006-01-02") },
	'w': func(t time.Time) string { y, w := t.ISOWeek(); return fmt.Sprintf("%04d-W%02d", y, w) },
	'm': func(t time.Time) string { return t.Format("2006-01") },
	'y': func(t time.Time) string { return t.Format("2006") },
}

const maxKeep = 100_000

// ParseKeep reads "24h,30d,12m": one an hour for 24 hours, one a day for 30 days, one a month for 12 months. w and y are weeks and years.
func ParseKeep(text string) (k Keep, err error) {
	for word := range strings.SplitSeq(text, ",") {
		word = strings.TrimSpace(word)
		if word == "" {
			return nil, fmt.Errorf("%q: a number and one of h, d, w, m, y is missing", text)
		}
		unit := word[len(word)-1]
		n, err := strconv.Atoi(word[:len(word)-1])
		if keepUnits[unit] == nil || err != nil || n < 1 || n > maxKeep {
			return nil, fmt.Errorf("%q is not a number of hours (h), days (d), weeks (w), months (m) or years (y)", word)
		}
		if slices.ContainsFunc(k, func(r keepRule) bool { return r.unit == unit }) {
			return nil, fmt.Errorf("%q names %q twice", text, unit)
		}
		k = append(k, keepRule{unit, n})
	}
	return k, nil
}

// String is what ParseKeep reads.
func (k Keep) String() string {
	var words []string
	for _, r := range k {
		words = append(words, fmt.Sprintf("%d%c", r.count, r.unit))
	}
	return strings.Join(words, ",")
}

// A HeldLink is a link of which the bundle is there.
type HeldLink struct {
	Number int
	Time   time.Time // when it was sealed, by the clock of then
	Full   bool
	Spared bool // kept, whatever its age
}

// Drop returns the numbers of the links, of one chain and ascending, whose bundles need not be kept. Never among them are the last full
// one and what came after it, nor a link between one that is kept and the full one before that, without which it could not be restored.
// A link from a time after the last one's was written by a clock that was wrong, or is wrong now: it is kept. To drop, and then to ask
// again, drops nothing more.
func (k Keep) Drop(links []HeldLink) (drop []int) {
	if len(k) == 0 || len(links) == 0 {
		return nil
	}
	links = slices.Clone(links)
	slices.SortFunc(links, func(a, b HeldLink) int { return a.Number - b.Number })
	keep := make([]bool, len(links))
	for i, l := range links {
		keep[i] = l.Spared
	}
	for _, r := range k {
		r.mark(links, keep)
	}
	keepNeeded(links, keep)
	for i, l := range links {
		if !keep[i] {
			drop = append(drop, l.Number)
		}
	}
	return drop
}

// mark keeps one link of each of the last units: the first full one, which needs no other, or else the first, which needs the fewest.
func (r keepRule) mark(links []HeldLink, keep []bool) {
	name := func(l HeldLink) string { return keepUnits[r.unit](l.Time.UTC()) }
	last := name(links[len(links)-1])
	chosen := map[string]int{}
	for i, l := range links {
		unit := name(l)
		if unit > last {
			keep[i] = true
			continue
		}
		if was, ok := chosen[unit]; !ok || l.Full && !links[was].Full {
			chosen[unit] = i
		}
	}
	units := make([]string, 0, len(chosen))
	for unit := range chosen {
		units = append(units, unit)
	}
	slices.Sort(units)
	for _, unit := range units[max(0, len(units)-r.count):] {
		keep[chosen[unit]] = true
	}
}

// keepNeeded keeps what comes after the last full one, with it, and what the links that are kept build on.
func keepNeeded(links []HeldLink, keep []bool) {
	needed := true // by a later link, up to the full one
	for i, l := range slices.Backward(links) {
		keep[i] = keep[i] || needed
		needed = keep[i] && !l.Full
	}
}
