package shell

import (
	"cmp"
	"slices"
	"strings"
)

// A space is a text of which parts may be only data: the command itself, or a text that a command decodes.
type space struct {
	text string
	data map[int]*datum // by where it begins
	dead []extent       // after settle: what is only data, in order and apart
	gone []extent       // after settle: dead, and what is kept for show
}

type extent struct{ start, end int }

// A datum is a word, or the literal parts of one, that only carries data as long as nothing runs it.
type datum struct {
	parts []seg
	live  bool     // something runs it
	shown bool     // nothing runs it, but that it is encoded is telling: kept as it is, not decoded
	fetch *process // what got it from elsewhere; its text is not known
	of    []*datum
}

// A seg says that bytes at and on of a value were written in a space. Where escapes were read, size may differ from n.
type seg struct {
	at, n int
	space *space
	from  int
	size  int
}

// A value is what a word, a variable, a file or a stream holds, as far as it is known.
type value struct {
	text    string
	segs    []seg    // where it was written; text without a seg was computed
	data    []*datum // what it was made of and becomes live if this value runs
	exact   bool     // text is all of it and nothing in it is left to expand
	decoded bool     // some of it was encoded
}

// A builder puts values together.
type builder struct {
	buf     []byte
	segs    []seg
	data    []*datum
	vague   bool
	decoded bool
}

func (b *builder) write(s string) { b.buf = append(b.buf, s...) }

// literal adds text that was written where segs say, relative to the text.
func (b *builder) literal(s string, segs []seg) {
	for _, g := range segs {
		g.at += len(b.buf)
		b.segs = append(b.segs, g)
	}
	b.buf = append(b.buf, s...)
}

func (b *builder) add(v value) {
	b.literal(v.text, v.segs)
	b.data = append(b.data, v.data...)
	b.vague = b.vague || !v.exact
	b.decoded = b.decoded || v.decoded
}

func (b *builder) value() value {
	if len(b.data) > maxSegs {
		b.data = []*datum{{of: b.data}}
	}
	return value{string(b.buf), b.segs, b.data, !b.vague, b.decoded}
}

// since returns what was added after the builder held so many bytes.
func (b *builder) since(start int) value {
	v := value{text: string(b.buf[start:])}
	for i := len(b.segs) - 1; i >= 0 && b.segs[i].at >= start; i-- {
		g := b.segs[i]
		g.at -= start
		v.segs = append(v.segs, g)
	}
	slices.Reverse(v.segs)
	return v
}

// known returns a value that is exactly text and was written nowhere.
func known(text string) value { return value{text: text, exact: true} }

// part returns the bytes from a to z of the value.
func (v value) part(a, z int) value {
	return value{v.text[a:z], v.origin(a, z), v.data, v.exact, v.decoded}
}

// origin returns where the bytes from a to z were written, relative to a.
func (v value) origin(a, z int) []seg {
	var segs []seg
	for _, g := range v.segs {
		from, to := max(a, g.at), min(z, g.at+g.n)
		if from >= to {
			continue
		}
		if g.n == g.size {
			g.from += from - g.at
			g.size = to - from
		}
		g.at, g.n = from-a, to-from
		segs = append(segs, g)
	}
	return segs
}

// maxSegs is of how many pieces a value that is kept remembers where they were written.
const maxSegs = 64

// compact returns the value for keeping: one of many pieces forgets where they were written.
func (v value) compact() value {
	if len(v.segs) > maxSegs {
		v.segs = nil
	}
	return v
}

// use marks what values were made of as run.
func use(values ...value) {
	for _, v := range values {
		for _, d := range v.data {
			d.use()
		}
	}
}

func (d *datum) use() {
	if d.live {
		return
	}
	d.live = true
	for _, inner := range d.of {
		inner.use()
	}
}

// wholly reports whether every byte of the value was written somewhere.
func (v value) wholly() bool {
	n := 0
	for _, g := range v.segs {
		n += g.n
	}
	return n == len(v.text)
}

// datumOf returns the datum that these parts make, one for each place however often it is read.
func datumOf(parts []seg) *datum {
	if len(parts) == 0 {
		return nil
	}
	s := parts[0].space
	if d := s.data[parts[0].from]; d != nil {
		return d
	}
	if s.data == nil {
		s.data = map[int]*datum{}
	}
	d := &datum{parts: parts}
	s.data[parts[0].from] = d
	return d
}

// settle decides, after everything was followed, which parts of the spaces are only data.
func settle(spaces []*space) {
	for _, s := range spaces {
		for _, d := range s.data {
			if d.live {
				continue
			}
			for _, p := range d.parts {
				e := extent{p.from, p.from + len(strings.TrimSuffix(p.space.text[p.from:p.from+p.size], "\n"))}
				p.space.gone = append(p.space.gone, e)
				if !d.shown {
					p.space.dead = append(p.space.dead, e)
				}
			}
		}
	}
	for _, s := range spaces {
		s.dead, s.gone = apart(s.dead), apart(s.gone)
	}
}

// apart sorts extents and joins those that touch.
func apart(all []extent) []extent {
	slices.SortFunc(all, func(a, b extent) int { return cmp.Compare(a.start, b.start) })
	joined := all[:0]
	for _, e := range all {
		if n := len(joined); n > 0 && e.start <= joined[n-1].end {
			joined[n-1].end = max(joined[n-1].end, e.end)
		} else if e.start < e.end {
			joined = append(joined, e)
		}
	}
	return joined
}

// render returns the value's text with what is only data blanked.
func (v value) render() string {
	return v.blank(func(s *space) []extent { return s.dead })
}

// renderBare is render, with encoded text that nothing runs blanked too.
func (v value) renderBare() string {
	return v.blank(func(s *space) []extent { return s.gone })
}

func (v value) blank(of func(*space) []extent) string {
	if !slices.ContainsFunc(v.segs, func(g seg) bool { return g.space != nil && len(of(g.space)) > 0 }) {
		return v.text
	}
	var b strings.Builder
	done := 0
	for _, g := range v.segs {
		for _, e := range overlaps(of(g.space), g) {
			if e.start < done {
				continue
			}
			b.WriteString(v.text[done:e.start])
			if !strings.HasSuffix(b.String(), Blank) {
				b.WriteString(Blank)
			}
			done = e.end
		}
	}
	b.WriteString(v.text[done:])
	return b.String()
}

// overlaps returns the parts of g's text, as offsets in its value, that lie in extents.
func overlaps(extents []extent, g seg) []extent {
	i, _ := slices.BinarySearchFunc(extents, g.from, func(e extent, from int) int { return cmp.Compare(e.end, from+1) })
	var found []extent
	for ; i < len(extents) && extents[i].start < g.from+g.size; i++ {
		if g.n != g.size {
			return []extent{{g.at, g.at + g.n}}
		}
		from, to := max(extents[i].start, g.from), min(extents[i].end, g.from+g.size)
		found = append(found, extent{g.at + from - g.from, g.at + to - g.from})
	}
	return found
}
