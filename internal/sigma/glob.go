package sigma

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// What a rune in a glob can be besides itself.
const (
	anyOne  rune = -1 // ? stands for one character
	anyRun  rune = -2 // * stands for any number of them
	anyDash rune = -3 // windash: one of the characters that Windows commands take for a dash
)

const dashes = "-/–—―"

// parseGlob reads a Sigma text, in which * and ? are wildcards unless a backslash stands before them.
func parseGlob(text string) []rune {
	var out []rune
	runes := []rune(text)
	for i := 0; i < len(runes); i++ {
		switch r := runes[i]; {
		case r == '\\' && i+1 < len(runes) && strings.ContainsRune(`\*?`, runes[i+1]):
			i++
			out = append(out, runes[i])
		case r == '*':
			out = append(out, anyRun)
		case r == '?':
			out = append(out, anyOne)
		default:
			out = append(out, r)
		}
	}
	return out
}

// windash replaces each - and / that starts an option by anyDash.
func windash(runes []rune) []rune {
	out := append([]rune(nil), runes...)
	for i, r := range runes {
		starts := (i == 0 || !isWord(runes[i-1])) && i+1 < len(runes) && isWord(runes[i+1])
		if starts && strings.ContainsRune(dashes, r) {
			out[i] = anyDash
		}
	}
	return out
}

func isWord(r rune) bool {
	return r == '_' || r >= '0' && r <= '9' || unicode.IsLetter(r)
}

// A glob matches a text with wildcards.
type glob struct {
	parts [][]rune // what stands between the wildcards *
	start bool     // the first part stands at the start of the text
	end   bool     // the last part stands at its end
	cased bool     // runes are compared as they are, not by their folded form
}

func newGlob(runes []rune, cased bool) *glob {
	g := &glob{start: true, end: true, cased: cased}
	var part []rune
	for i, r := range runes {
		if r != anyRun {
			if !cased {
				r = fold(r)
			}
			part = append(part, r)
			continue
		}
		if i == 0 {
			g.start = false
		}
		if len(part) > 0 {
			g.parts = append(g.parts, part)
			part = nil
		}
	}
	g.end = len(runes) == 0 || runes[len(runes)-1] != anyRun
	if len(part) > 0 || len(runes) == 0 {
		g.parts = append(g.parts, part)
	}
	return g
}

// fold returns the same rune for all that differ only in case, for ASCII letters the small one.
func fold(r rune) rune {
	switch {
	case r >= 'A' && r <= 'Z':
		return r + 'a' - 'A'
	case r < utf8.RuneSelf:
		return r
	}
	least := r
	for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
		least = min(least, f)
	}
	if least < utf8.RuneSelf {
		return unicode.ToLower(least)
	}
	return least
}

// find returns where the glob matches: from the start of its first part to the end of its last.
func (g *glob) find(p part) (start, end int, ok bool) {
	if g.start && p.before >= 0 || g.end && p.open {
		return 0, 0, false
	}
	text := p.text
	if len(g.parts) == 0 {
		return 0, len(text), true
	}
	last := len(g.parts) - 1
	at := 0
	for i, part := range g.parts {
		from, to := 0, 0
		switch {
		case i == 0 && g.start:
			to = g.at(part, text, 0)
			if i == last && g.end && to != len(text) {
				return 0, 0, false
			}
		case i == last && g.end:
			from = tail(text, len(part))
			if from < at {
				return 0, 0, false
			}
			to = g.at(part, text, from)
		default:
			from, to = g.search(part, text, at)
		}
		if to < 0 {
			return 0, 0, false
		}
		if i == 0 {
			start = from
		}
		at = to
	}
	return start, at, true
}

// search returns the first place at or after from where a part stands; to is -1 if there is none.
func (g *glob) search(part []rune, text string, from int) (start, to int) {
	first := part[0]
	for i := from; i < len(text); {
		c := text[i]
		if c < utf8.RuneSelf {
			if !g.cased && c >= 'A' && c <= 'Z' {
				c += 'a' - 'A'
			}
			if first >= 0 && rune(c) != first {
				i++
				continue
			}
		}
		if to := g.at(part, text, i); to >= 0 {
			return i, to
		}
		_, size := utf8.DecodeRuneInString(text[i:])
		i += size
	}
	return 0, -1
}

// at returns where a part that stands at i ends, -1 if it does not stand there.
func (g *glob) at(part []rune, text string, i int) int {
	for _, want := range part {
		if i >= len(text) {
			return -1
		}
		r, size := rune(text[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(text[i:])
		}
		if !g.cased {
			r = fold(r)
		}
		if r != want && want != anyOne && !(want == anyDash && strings.ContainsRune(dashes, r)) {
			return -1
		}
		i += size
	}
	return i
}

// tail returns where the last n runes of a text start, -1 if it has fewer.
func tail(text string, n int) int {
	i := len(text)
	for ; n > 0; n-- {
		if i == 0 {
			return -1
		}
		_, size := utf8.DecodeLastRuneInString(text[:i])
		i -= size
	}
	return i
}
