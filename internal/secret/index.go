package secret

import (
	"cmp"
	"iter"
	"math/bits"
	"slices"
	"sort"
	"strings"
)

// index finds any of many literal texts in one pass. It hashes each window of six bytes, the shortest known
// value, and compares only where a form starts with these six: unlike an Aho-Corasick automaton it needs no
// memory for the rest of a form, and each step does not wait for the one before (three times as fast here).
// The automaton in the module cloudflare/ahocorasick does not tell where in the text a word is.
type index struct {
	filter []uint64          // a bit for the hash of every window that starts a form
	shift  uint              // how far a hash is shifted down to be one of filter's bits
	forms  map[uint64][]form // by their first window
	ends   map[uint64][]form // by their last
}

// form is one way to write a known value.
type form struct {
	text        string
	fingerprint string
}

const (
	window     = 6
	windowMask = 1<<(8*window) - 1
	mixer      = 0x9e3779b97f4a7c15 // 2⁶⁴ over the golden ratio (Knuth's multiplicative hash)
)

func newIndex(known map[string]*Known) *index {
	x := &index{forms: make(map[uint64][]form), ends: make(map[uint64][]form)}
	seen := make(map[string]bool)
	for value, k := range known {
		for text := range forms(value) {
			if len(text) >= window && !seen[text] {
				seen[text] = true
				key := windowOf(text)
				x.forms[key] = append(x.forms[key], form{text, k.Fingerprint})
				end := windowOf(text[len(text)-window:])
				x.ends[end] = append(x.ends[end], form{text, k.Fingerprint})
			}
		}
	}
	size := max(1<<16, 1<<bits.Len(uint(16*len(x.forms))))
	x.filter = make([]uint64, size/64)
	x.shift = uint(64 - bits.Len(uint(size)-1))
	for key, list := range x.forms {
		h := key * mixer >> x.shift
		x.filter[h/64] |= 1 << (h % 64)
		slices.SortFunc(list, func(a, b form) int {
			return cmp.Or(cmp.Compare(len(b.text), len(a.text)), cmp.Compare(a.fingerprint, b.fingerprint))
		})
	}
	return x
}

func windowOf(text string) uint64 {
	var w uint64
	for i := range window {
		w |= uint64(text[i]) << (8 * i)
	}
	return w
}

func (x *index) empty() bool { return len(x.forms) == 0 }

// find returns the places of known values in text. Where forms share a start it takes the longest; spans may overlap.
func (x *index) find(text string) []span {
	var spans []span
	var w uint64
	work := 32*len(text) + 1<<20
	filter, shift := x.filter, x.shift
	for i := range len(text) {
		w = w>>8 | uint64(text[i])<<(8*window-8)
		h := w * mixer >> shift
		if filter[h/64]>>(h%64)&1 == 0 || i < window-1 {
			continue
		}
		at := i - window + 1
		f, ok := longest(x.forms[w], text[at:], &work)
		if !ok {
			continue
		}
		end := min(at+len(f.text), len(text))
		if n := len(spans); work < 0 && n > 0 && at < spans[n-1].end {
			spans[n-1].end = max(spans[n-1].end, end)
			continue
		}
		spans = append(spans, span{at, end, f.fingerprint})
	}
	return spans
}

// minCut is how much of a form must be there for its other part to have been cut off, in bytes; maxCut is how much is looked for.
const (
	minCut = 8
	maxCut = 4096
)

// cut returns the places of known values of which a part was cut off: the last before an ellipsis or the text's end, and the first
// after an ellipsis. What several values share tells none of them.
func (x *index) cut(text string) (spans []span) {
	for from := 0; ; {
		end := len(text)
		n := strings.Index(text[from:], ellipses[0])
		if n >= 0 {
			end = from + n
		}
		part := text[from:end]
		if sp, ok := x.head(part); ok && from > 0 {
			spans = append(spans, span{from + sp.start, from + sp.end, sp.fingerprint})
		}
		if sp, ok := x.tail(part); ok {
			spans = append(spans, span{from + sp.start, from + sp.end, sp.fingerprint})
		}
		if n < 0 {
			return spans
		}
		from = end + len(ellipses[0])
	}
}

// tail returns the longest end of text that a form starts with.
func (x *index) tail(text string) (span, bool) {
	for i := max(0, len(text)-maxCut); i+minCut <= len(text); i++ {
		w := windowOf(text[i:])
		if h := w * mixer >> x.shift; x.filter[h/64]>>(h%64)&1 == 0 {
			continue
		}
		print, ok := only(x.forms[w], func(f string) bool { return len(f) > len(text)-i && strings.HasPrefix(f, text[i:]) })
		if ok {
			return span{i, len(text), print}, true
		}
	}
	return span{}, false
}

// head returns the longest start of text that a form ends with.
func (x *index) head(text string) (span, bool) {
	for i := min(len(text), maxCut); i >= minCut; i-- {
		print, ok := only(x.ends[windowOf(text[i-window:])], func(f string) bool { return len(f) > i && strings.HasSuffix(f, text[:i]) })
		if ok {
			return span{0, i, print}, true
		}
	}
	return span{}, false
}

// only returns the fingerprint of the one value of which a form is like that.
func only(forms []form, like func(string) bool) (print string, ok bool) {
	for _, f := range forms {
		if !like(f.text) {
			continue
		}
		if ok && f.fingerprint != print {
			return "", false
		}
		print, ok = f.fingerprint, true
	}
	return print, ok
}

// longest returns the longest of the forms that rest starts with. An intruder who writes both the secrets and
// the text can make comparing them slow; once the work allowed for a text is used up, every form that might
// be there counts as being there.
func longest(forms []form, rest string, work *int) (form, bool) {
	if len(forms) > 0 && *work < 0 {
		return forms[0], true
	}
	for _, f := range forms {
		*work -= 8
		if *work < 0 {
			return forms[0], true
		}
		if len(f.text) > 64 && len(rest) > 64 && f.text[:64] == rest[:64] {
			*work -= len(f.text)
		}
		if strings.HasPrefix(rest, f.text) {
			return f, true
		}
	}
	return form{}, false
}

// dump is base64 or hexadecimal that was broken into lines, joined again.
type dump struct {
	joined string
	lines  []line
}

// line says that the byte at joined in a dump is the one at text in the text.
type line struct{ joined, text int }

// offset returns where in the text the dump's byte i stands.
func (d dump) offset(i int) int {
	n := sort.Search(len(d.lines), func(n int) bool { return d.lines[n].joined > i })
	return d.lines[n-1].text + i - d.lines[n-1].joined
}

// minLine is the shortest line, in bytes, that is taken as one of a dump; base64 breaks at 64 or 76, xxd at 60.
const minLine = 40

// dumps finds the text's dumps. Line ends may be escaped for JSON.
func dumps(text string) iter.Seq[dump] {
	return func(yield func(dump) bool) {
		for from := 0; from < len(text); {
			lineEnd := nextBreak(text, from)
			if lineEnd < 0 {
				return
			}
			start := dumpChars.back(text, lineEnd, from)
			if lineEnd-start < minLine {
				from = lineEnd + 1
				continue
			}
			d, end := joinLines(text, start)
			if len(d.lines) > 1 && !yield(d) {
				return
			}
			from = max(end, lineEnd+1)
		}
	}
}

// nextBreak returns where the next line end, escaped or not, starts; -1 if there is none.
func nextBreak(text string, from int) int {
	for i := from; i < len(text); i++ {
		if c := text[i]; breakStarts[c] && (c != '\\' || breakLen(text[i:]) > 0) {
			return i
		}
	}
	return -1
}

var breakStarts = classOf("\n\r\\")

// breakLen returns the length of the line end, and of the indentation after it, that text starts with.
func breakLen(text string) int {
	n := 0
	for _, end := range []string{"\r", `\\r`, `\r`, "\n", `\\n`, `\n`} {
		if strings.HasPrefix(text[n:], end) {
			n += len(end)
		}
	}
	if n > 0 {
		n += blank.run(text[n:], 16)
	}
	return n
}

// joinLines reads lines of a dump from start on, and returns where it ends.
func joinLines(text string, start int) (dump, int) {
	var d dump
	var b strings.Builder
	at := start
	for {
		n := dumpChars.run(text[at:], len(text))
		if n == 0 {
			break
		}
		d.lines = append(d.lines, line{b.Len(), at})
		b.WriteString(text[at : at+n])
		at += n
		gap := breakLen(text[at:])
		if n < minLine || gap == 0 {
			break
		}
		at += gap
	}
	d.joined = b.String()
	return d, at
}
