package sigma

import (
	"cmp"
	"math"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Literals are texts of which one must stand in whatever a pattern matches. They are sound, never complete: a text
// without them cannot match, one with them need not. All are folded by foldLiteral. One that begins or ends with
// wordBreak counts only where \b holds there.
const (
	wordBreak   = "\xff" // no byte of UTF-8
	minLiteral  = 2      // bytes; shorter ones stand in every text
	maxLiteral  = 16     // bytes; what is longer is cut, which keeps it sound
	maxExact    = 256    // texts that a part of an expression may be taken apart into
	fewExact    = 16     // texts by which literals that are
	longEnough  = 4      // bytes long are continued, not by more
	maxClause   = 512    // texts of which one must be there
	common      = 1.0 / 64
	maxNeed     = 4   // lists that are looked for
	maxUnion    = 128 // texts in one of the
	maxUnions   = 8   // lists that alternatives are joined to
	maxPrefixes = 16  // UTF-8 starts that a character class may be taken apart into
)

// foldLiteral writes ASCII letters small, with them the only two other runes that differ from one of them in case
// alone, ſ and the Kelvin sign, and all white space as a space.
func foldLiteral(s string) string {
	if !isASCII(s) {
		s = oddLetters.Replace(s)
	}
	b := []byte(s)
	for i, c := range b { // not a rune at a time: what is no UTF-8 must stay as it is
		b[i] = foldByte(c)
	}
	return string(b)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func foldByte(c byte) byte {
	switch {
	case c >= 'A' && c <= 'Z':
		return c + 'a' - 'A'
	case c >= '\t' && c <= '\r':
		return ' '
	}
	return c
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
	return telling(need, maxNeed)
}

// addClause adds one list of literals unless one of them is too short to be of use.
func addClause(need [][]string, texts []string) [][]string {
	var clause []string
	for _, s := range texts {
		s = shorten(foldLiteral(s))
		if len(withoutBreaks(s)) < minLiteral {
			return need
		}
		clause = append(clause, s)
	}
	if len(clause) == 0 || len(clause) > maxClause {
		return need
	}
	return append(need, minimal(clause))
}

// shorten cuts a literal to maxLiteral and leaves out what it has of wordBreak except at its ends.
func shorten(s string) string {
	core := strings.ReplaceAll(s, wordBreak, "")
	before, after := "", ""
	if strings.HasPrefix(s, wordBreak) {
		before = wordBreak
	}
	if strings.HasSuffix(s, wordBreak) && len(core) <= maxLiteral {
		after = wordBreak
	}
	return before + core[:min(len(core), maxLiteral)] + after
}

// withoutBreaks returns a literal's text.
func withoutBreaks(s string) string {
	return strings.TrimSuffix(strings.TrimPrefix(s, wordBreak), wordBreak)
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
	return slices.MinFunc(need, func(a, b []string) int { return cmp.Compare(expected(a), expected(b)) })
}

// expected guesses how often one of the texts stands in another text. Only the order of such guesses matters.
func expected(clause []string) float64 {
	sum := 0.0
	for _, s := range clause {
		sum += math.Pow(4, -float64(min(len(s), 10)))
	}
	return sum
}

// telling returns at most n lists, the best ones first, but none that is half the same as a better one, and none that
// every text can be expected to fulfil if there is another.
func telling(need [][]string, n int) [][]string {
	need = slices.Clone(need)
	slices.SortStableFunc(need, func(a, b []string) int { return cmp.Compare(expected(a), expected(b)) })
	var chosen [][]string
	for _, clause := range need {
		if len(chosen) > 0 && expected(clause) > common {
			break
		}
		if len(chosen) < n && !slices.ContainsFunc(chosen, func(c []string) bool { return alike(c, clause) }) {
			chosen = append(chosen, clause)
		}
	}
	return chosen
}

func alike(a, b []string) bool {
	same := 0
	for _, s := range a {
		if slices.Contains(b, s) {
			same++
		}
	}
	return 2*same >= len(b)
}

func shortest(texts []string) int {
	n := maxLiteral
	for _, s := range texts {
		n = min(n, len(s))
	}
	return n
}

// literals says about an expression either all the texts that it matches, or how they begin and what must be part of
// them.
type literals struct {
	exact  []string // nil if they are unknown or too many
	prefix []string // nil if that is unknown
	need   [][]string
}

// clauses returns what must be there, in the one form.
func (l literals) clauses() [][]string {
	if l.exact != nil {
		return addClause(nil, l.exact)
	}
	return l.need
}

// once returns the literals of an expression that stands one or more times.
func (l literals) once() literals {
	if l.exact != nil {
		return literals{prefix: l.exact, need: l.clauses()}
	}
	return l
}

// required returns the literals of a regular expression: lists of which one must be in a text each, and one of which
// one must stand where a match begins.
func required(re *syntax.Regexp) (need [][]string, begin []string) {
	l := analyse(re)
	for _, s := range l.once().prefix {
		s = shorten(foldLiteral(s))
		if len(withoutBreaks(s)) < minLiteral || len(begin) == maxExact {
			begin = nil
			break
		}
		begin = append(begin, s)
	}
	slices.Sort(begin)
	return telling(l.clauses(), maxNeed), slices.Compact(begin)
}

func analyse(re *syntax.Regexp) literals {
	switch re.Op {
	case syntax.OpEmptyMatch, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText,
		syntax.OpNoWordBoundary:
		return literals{exact: []string{""}}
	case syntax.OpWordBoundary:
		return literals{exact: []string{wordBreak}}
	case syntax.OpLiteral:
		return literalText(re)
	case syntax.OpCharClass:
		return class(re.Rune)
	case syntax.OpCapture:
		return analyse(re.Sub[0])
	case syntax.OpPlus:
		return analyse(re.Sub[0]).once()
	case syntax.OpRepeat:
		if re.Min > 0 {
			return analyse(re.Sub[0]).once()
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
	var prefix []string
	run := []string{""} // all texts that the parts since the last unknown one match
	broken := false
	for _, part := range parts {
		l := analyse(part)
		if l.exact != nil && fits(run, l.exact) {
			run = product(run, l.exact)
			continue
		}
		if l.prefix != nil && fits(run, l.prefix) {
			run = product(run, l.prefix)
		}
		if !broken {
			prefix = run
		}
		broken = true
		need = append(addClause(need, run), l.need...)
		run = []string{""}
		if l.exact != nil {
			run = l.exact
		}
	}
	if !broken {
		return literals{exact: run}
	}
	return literals{prefix: prefix, need: addClause(need, run)}
}

// fits reports whether literals may be continued by others: if that does not make too many for what they add.
func fits(run, next []string) bool {
	return len(run)*len(next) <= maxExact && len(run[0]) <= 8*maxLiteral && (len(next) <= fewExact || shortest(next) >= longEnough)
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
	exact, prefix := []string{}, []string{}
	var need [][]string
	for i, branch := range branches {
		l := analyse(branch)
		exact = either(exact, l.exact)
		prefix = either(prefix, l.once().prefix)
		if i == 0 {
			need = l.clauses()
		} else {
			need = eitherOf(need, l.clauses())
		}
	}
	if exact != nil {
		return literals{exact: exact}
	}
	return literals{prefix: prefix, need: need}
}

// either returns the texts of a and b, nil if one is nil or they are too many.
func either(a, b []string) []string {
	if a == nil || b == nil || len(a)+len(b) > maxClause {
		return nil
	}
	texts := append(slices.Clone(a), b...)
	slices.Sort(texts)
	return slices.Compact(texts)
}

// eitherOf returns the unions of each list of a with each of b, the most telling if there are many.
func eitherOf(a, b [][]string) [][]string {
	var unions [][]string
	for _, x := range a {
		for _, y := range b {
			if len(x)+len(y) > maxUnion {
				continue
			}
			unions = addClause(unions, append(slices.Clone(x), y...))
		}
	}
	return telling(unions, maxUnions)
}
