package ioc

import (
	"cmp"
	"slices"
	"sort"
)

// A Hit is one place of an indicator in a text, which is at text[Start:End]. It may be written defanged there.
type Hit struct {
	*Indicator
	Start, End int
}

// A Finder finds the indicators of a list. It is used by one goroutine at a time.
type Finder struct {
	list   *List
	counts map[int]int // how often an indicator was found in the text
	hits   []Hit
}

// NewFinder returns a finder of the list's indicators.
func (l *List) NewFinder() *Finder { return &Finder{list: l, counts: map[int]int{}} }

// maxPlaces bounds how many places of one indicator are told of one text, as it stands and refanged each.
const maxPlaces = 16

// Find returns where the list's indicators are in text, whatever their case and also where they are defanged, in order; of
// each at most 16 places. A host is found in a longer one if that lies in its domain, a URL also without its scheme and with
// more path after it, a package of certain versions also if no version is given with it.
func (f *Finder) Find(text string) []Hit {
	f.hits = nil
	f.scan(text, nil)
	if isDefanged(text) {
		f.scan(refangText(text))
	}
	if len(f.hits) < 2 {
		return f.hits
	}
	slices.SortStableFunc(f.hits, func(a, b Hit) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(b.End, a.End))
	})
	return slices.CompactFunc(f.hits, func(a, b Hit) bool { return a == b })
}

// scan looks for the words in text; cuts say where its places are in the original.
func (f *Finder) scan(text string, cuts []cut) {
	clear(f.counts)
	words := f.list.words
	f.list.machine.Find(text, func(n, end int) bool {
		w := &words[n]
		ind := &f.list.indicators[w.of]
		start := end - len(w.text)
		if f.counts[w.of] < maxPlaces && w.boundary(ind, text, start, end) {
			f.counts[w.of]++
			f.hits = append(f.hits, Hit{ind, original(cuts, start), original(cuts, end-1) + 1})
		}
		return true
	})
}

// original returns where the byte i of a refanged text stands in the original.
func original(cuts []cut, i int) int {
	n := sort.Search(len(cuts), func(n int) bool { return cuts[n].at > i })
	if n == 0 {
		return i
	}
	return i + cuts[n-1].shift
}
