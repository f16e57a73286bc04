package sigma

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"sync"
	"unicode"
	"unicode/utf8"
)

// regex is a regular expression. Go's regexp package says where it matches; that it does not, which is the answer
// nearly always, the automatons of its programs say about fifty times as fast.
type regex struct {
	where   func() *regexp.Regexp // compiled when it is first asked for: most rules match nothing
	exact   *program
	relaxed *program // matches all that exact does and more; nil if that needs no fewer states
	need    [][]string
	begin   []string // literals of which one stands where a match begins; nil if they are unknown
}

var errTooLarge = fmt.Errorf("larger than %d instructions", maxProgram)

// size counts the instructions of both programs.
func (r *regex) size() int {
	if r.relaxed == nil {
		return len(r.exact.Inst)
	}
	return len(r.exact.Inst) + len(r.relaxed.Inst)
}

// LeastSize returns how many instructions a regular expression has at least, without compiling it.
func LeastSize(text string) (int, error) {
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return 0, err
	}
	return leastSize(tree), nil
}

// leastSize returns how many instructions an expression has at least. To compile one that repeats what is long takes half a gigabyte,
// which is too late to see that it is too large.
func leastSize(re *syntax.Regexp) int {
	n := 0
	for _, sub := range re.Sub {
		n += leastSize(sub)
	}
	switch re.Op {
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		n = 1
	case syntax.OpLiteral:
		n = len(re.Rune)
	case syntax.OpRepeat:
		n *= max(re.Min, re.Max)
	}
	return n
}

// newRegex compiles a regular expression, which must be of a bounded size.
func newRegex(text string) (*regex, error) {
	tree, err := syntax.Parse(text, syntax.Perl)
	if failed := new(syntax.Error); errors.As(err, &failed) {
		return nil, errors.New(failed.Code.String()) // without the text, which may be long
	} else if err != nil {
		return nil, err
	}
	if leastSize(tree) > maxProgram {
		return nil, errTooLarge
	}
	re := &regex{where: sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })}
	re.need, re.begin = required(tree)
	if re.exact, err = newProgram(tree); err != nil {
		return nil, err
	}
	if tree, err = syntax.Parse(text, syntax.Perl); err != nil { // newProgram may have changed it
		return nil, err
	}
	if relax(tree) {
		re.relaxed, err = newProgram(tree)
	}
	return re, err
}

// relax lets what may be repeated up to a number of times be repeated without end: .{0,60} becomes .*. An automaton
// that counts needs a state for each set of places where the counting may have begun.
func relax(re *syntax.Regexp) bool {
	const few = 4
	relaxed := false
	for _, sub := range re.Sub {
		relaxed = relax(sub) || relaxed
	}
	if re.Op == syntax.OpRepeat && re.Max > re.Min+few {
		re.Max = -1
		relaxed = true
	}
	return relaxed
}

// program is a compiled expression with the classes of runes that none of its instructions tells apart.
type program struct {
	*syntax.Prog
	ascii   [utf8.RuneSelf]int32
	starts  []rune // where each class starts, ascending
	columns uint   // bits to number the classes and, after the last, the end of the text
}

func newProgram(tree *syntax.Regexp) (*program, error) {
	prog, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return nil, err
	}
	if len(prog.Inst) > maxProgram {
		return nil, errTooLarge
	}
	p := &program{Prog: prog}
	starts := []rune{0, '\n', '\n' + 1, '0', '9' + 1, 'A', 'Z' + 1, '_', '_' + 1, 'a', 'z' + 1}
	for _, inst := range prog.Inst {
		if inst.Op == syntax.InstRune || inst.Op == syntax.InstRune1 {
			starts = appendStarts(starts, inst)
		}
	}
	slices.Sort(starts)
	p.starts = slices.Compact(starts)
	for r := range p.ascii {
		p.ascii[r] = p.class(rune(r))
	}
	for 1<<p.columns < len(p.starts)+1 {
		p.columns++
	}
	return p, nil
}

// appendStarts adds where the ranges of an instruction start and end.
func appendStarts(starts []rune, inst syntax.Inst) []rune {
	if len(inst.Rune) == 1 {
		r := inst.Rune[0]
		starts = append(starts, r, r+1)
		if syntax.Flags(inst.Arg)&syntax.FoldCase != 0 {
			for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
				starts = append(starts, f, f+1)
			}
		}
		return starts
	}
	for i := 0; i+1 < len(inst.Rune); i += 2 {
		starts = append(starts, inst.Rune[i], inst.Rune[i+1]+1)
	}
	return starts
}

// class returns the number of a rune's class. Most programs have few classes outside of ASCII, where they end.
func (p *program) class(r rune) int32 {
	i := len(p.starts) - 1
	for i > 0 && p.starts[i] > r {
		i--
	}
	return int32(i)
}
