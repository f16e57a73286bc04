package sigma

import (
	"cmp"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Literals are texts of which one must stand in whatever a pattern matches. They are sound, never complete: a text
// without them cannot match, one with them need not. All are folded by foldLiteral.
const (
	minLiteral  = 2   // bytes; shorter ones stand in every text
	maxLiteral  = 16  // bytes; what is longer is cut, which keeps it sound
	maxExact    = 256 // texts that a part of an expression may be taken apart into
	fewExact    = 16  // texts by which literals that are
	longEnough  = 4   // bytes long are continued, not by more
	maxClause   = 512 // texts of which one must be there
	maxUnions   = 8   // lists that alternatives are joined to
	maxPrefixes = 16  // UTF-8 starts that a character class may be taken apart into
)

// foldLiteral writes ASCII letters small, and with them the only two other runes that differ from one of them in
// case alone: ſ and the Kelvin sign.
func foldLiteral(s string) string {
	b := []byte(oddLetters.Replace(s))
	for i, c := range b { // not a rune at a time: what is no UTF-8 must stay as it is
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

var oddLetters = strings.NewReplacer("ſ", "s", "\u212a", "k")

// plain reports whether a rune is the same in every text that it matches: not a letter whose case is ignored,
// outside of ASCII, nor U+FFFD, which also matches bytes that are not UTF-8.
func plain(r rune, cased bool) bool {
	return r >= 0 && r != utf8.RuneError && (cased || fold(r) < utf8.RuneSelf || unicode.SimpleFold(r) == r)
}

// need returns the literals of a glob: each list holds the one text that must be there.
func (g *glob) need() [][]string {
	var need [][]string
	for _, part := range g.parts {
		for len(part) > 0 {
			n := 0
			for n < len(part) && plain(part[n], g.cased) {
				n++
			}
			need = addClause(need, []string{string(part[:n])})
			part = part[min(n+1, len(part)):]
		}
	}
	return need
}

// addClause adds one list of literals unless one of them is too short to be of use.
func addClause(need [][]string, texts []string) [][]string {
	var clause []string
	for _, s := range texts {
		s = foldLiteral(s)
		if len(s) > maxLiteral {
			s = s[:maxLiteral]
		}
		if len(s) < minLiteral {
			return need
		}
		clause = append(clause, s)
	}
	if len(clause) == 0 || len(clause) > maxClause {
		return need
	}
	return append(need, minimal(clause))
}

// minimal leaves out texts that contain another.
func minimal(clause []string) []string {
	slices.SortFunc(clause, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) })
	var kept []string
	for _, s := range clause {
		if !slices.ContainsFunc(kept, func(k string) bool { return strings.Contains(s, k) }) {
			kept = append(kept, s)
		}
	}
	return kept
}

// best returns the list that the fewest texts can be expected to fulfil.
func best(need [][]string) []string {
	if len(need) == 0 {
		return nil
	}
	return slices.MinFunc(need, byRarity)
}

// byRarity puts the list first whose shortest text is longest, and of two such the shorter one.
func byRarity(a, b []string) int {
	return cmp.Or(cmp.Compare(shortest(b), shortest(a)), cmp.Compare(len(a), len(b)))
}

func shortest(clause []string) int {
	n := maxLiteral
	for _, s := range clause {
		n = min(n, len(s))
	}
	return n
}

// literals says about an expression either all the texts that it matches, or some that must be part of them.
type literals struct {
	exact []string // nil if they are unknown or too many
	need  [][]string
}

// clauses returns what must be there, in the one form.
func (l literals) clauses() [][]string {
	if l.exact != nil {
		return addClause(nil, l.exact)
	}
	return l.need
}

// required returns the literals of a regular expression.
func required(re *syntax.Regexp) [][]string { return analyse(re).clauses() }

func analyse(re *syntax.Regexp) literals {
	switch re.Op {
	case syntax.OpEmptyMatch, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText,
		syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return literals{exact: []string{""}}
	case syntax.OpLiteral:
		return literalText(re)
	case syntax.OpCharClass:
		return class(re.Rune)
	case syntax.OpCapture:
		return analyse(re.Sub[0])
	case syntax.OpPlus:
		return literals{need: analyse(re.Sub[0]).clauses()}
	case syntax.OpRepeat:
		if re.Min > 0 {
			return literals{need: analyse(re.Sub[0]).clauses()}
		}
	case syntax.OpQuest:
		if sub := analyse(re.Sub[0]); sub.exact != nil && len(sub.exact) < maxExact {
			return literals{exact: append([]string{""}, sub.exact...)}
		}
	case syntax.OpConcat:
		return concat(re.Sub)
	case syntax.OpAlternate:
		return alternate(re.Sub)
	}
	return literals{}
}

func literalText(re *syntax.Regexp) literals {
	cased := re.Flags&syntax.FoldCase == 0
	if !slices.ContainsFunc(re.Rune, func(r rune) bool { return !plain(r, cased) }) {
		return literals{exact: []string{foldLiteral(string(re.Rune))}}
	}
	g := glob{parts: [][]rune{re.Rune}, cased: cased}
	return literals{need: g.need()}
}

// class takes a character class apart: into its characters if they are few, else into how they start in UTF-8 if all
// are outside of the Latin scripts.
func class(ranges []rune) literals {
	size := 0
	for i := 0; i < len(ranges); i += 2 {
		if ranges[i] <= utf8.RuneError && ranges[i+1] >= utf8.RuneError {
			return literals{}
		}
		size += int(ranges[i+1]-ranges[i]) + 1
	}
	if size <= maxExact {
		return literals{exact: characters(ranges)}
	}
	return literals{need: addClause(nil, prefixes(ranges))}
}

func characters(ranges []rune) []string {
	texts := []string{}
	for i := 0; i < len(ranges); i += 2 {
		for r := ranges[i]; r <= ranges[i+1]; r++ {
			texts = append(texts, foldLiteral(string(r)))
		}
	}
	slices.Sort(texts)
	return slices.Compact(texts)
}

// prefixes returns the characters' UTF-8 without the last byte, which takes 64 of them together.
func prefixes(ranges []rune) []string {
	var texts []string
	for i := 0; i < len(ranges); i += 2 {
		if ranges[i] < 0x800 || ranges[i+1]-ranges[i] > 64*maxPrefixes {
			return nil
		}
		for r := ranges[i] &^ 63; r <= ranges[i+1]; r += 64 {
			s := string(max(r, ranges[i]))
			texts = append(texts, s[:len(s)-1])
		}
	}
	slices.Sort(texts)
	if texts = slices.Compact(texts); len(texts) > maxPrefixes {
		return nil
	}
	return texts
}

// concat joins what its parts match as long as that is known, and collects what must be there.
func concat(parts []*syntax.Regexp) literals {
	var need [][]string
	run := []string{""} // all texts that the parts since the last unknown one match
	whole := true
	for _, part := range parts {
		l := analyse(part)
		if l.exact != nil && len(run)*len(l.exact) <= maxExact && (len(l.exact) <= fewExact || shortest(run) < longEnough) {
			run = product(run, l.exact)
			continue
		}
		whole = false
		need = addClause(need, run)
		run = []string{""}
		if l.exact != nil {
			run = l.exact
		} else {
			need = append(need, l.need...)
		}
	}
	if whole {
		return literals{exact: run}
	}
	return literals{need: addClause(need, run)}
}

func product(left, right []string) []string {
	texts := make([]string, 0, len(left)*len(right))
	for _, l := range left {
		for _, r := range right {
			texts = append(texts, l+r)
		}
	}
	slices.Sort(texts)
	return slices.Compact(texts)
}

// alternate needs of each branch what that needs: since (a and b) or (c and d) is (a or c) and (a or d) and (b or c) and
// (b or d), one of the texts in each such union must be there.
func alternate(branches []*syntax.Regexp) literals {
	exact, known := []string{}, true
	need := [][]string{nil}
	for _, branch := range branches {
		l := analyse(branch)
		if known = known && l.exact != nil; known {
			exact = append(exact, l.exact...)
		}
		need = eitherOf(need, l.clauses())
	}
	slices.Sort(exact)
	if exact = slices.Compact(exact); known && len(exact) <= maxClause {
		return literals{exact: exact}
	}
	return literals{need: need}
}

// eitherOf returns the unions of each list of a with each of b, the most telling if there are many.
func eitherOf(a, b [][]string) [][]string {
	var unions [][]string
	for _, x := range a {
		for _, y := range b {
			unions = addClause(unions, append(slices.Clone(x), y...))
		}
	}
	slices.SortStableFunc(unions, byRarity)
	return unions[:min(len(unions), maxUnions)]
}
