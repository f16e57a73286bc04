package collect

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

// SourceSize is what a collection would take of one category, before compression.
type SourceSize struct {
	Source      string `json:"source"`
	Files       int64  `json:"files"`
	Bytes       int64  `json:"bytes"`
	Listed      int64  `json:"listed,omitempty"`       // files of which only metadata would be taken
	ListedBytes int64  `json:"listed_bytes,omitempty"` // their size
	Cut         int64  `json:"cut,omitempty"`          // files that a limit would leave out or shorten
	CutBytes    int64  `json:"cut_bytes,omitempty"`    // how much of them
}

func (s *SourceSize) file(taken, size int64) {
	s.Files++
	s.Bytes += taken
	if taken < size {
		s.Cut++
		s.CutBytes += size - taken
	}
}

func (s *SourceSize) list(size int64) {
	s.Listed++
	s.ListedBytes += size
}

func (s *SourceSize) cut(size int64) {
	s.Cut++
	s.CutBytes += size
}

// sizes are the categories by name.
type sizes map[string]*SourceSize

func (s sizes) at(source string) *SourceSize {
	if s[source] == nil {
		s[source] = &SourceSize{Source: source}
	}
	return s[source]
}

// Estimate walks as [Run] would, reads no content, and returns what a collection would take, the largest category
// first. The live state, whose size is not known before it is asked for, is not in it: some megabytes, and the
// journal's excerpts. The outcome counts what could not be described.
func Estimate(ctx context.Context, root *host.Root, installs []*openclaw.Installation, o Options) ([]SourceSize, Outcome) {
	c := newCollector(ctx, root, installs, o)
	for i := range c.targets {
		_ = c.take(i) // only writing a bundle fails
	}
	var list []SourceSize
	for _, s := range slices.Collect(maps.Values(c.sizes)) {
		list = append(list, *s)
	}
	slices.SortFunc(list, func(a, b SourceSize) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Source, b.Source))
	})
	return list, c.out
}
