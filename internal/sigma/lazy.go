package sigma

import (
	"encoding/binary"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode/utf8"
)

// lazy is an automaton for a program, made as it is needed: a state is the set of instructions at which a match
// that began anywhere before may be. It only tells whether there is a match, and where the first one ends.
type lazy struct {
	*program
	table []int32 // by state and class: where the next state's row starts; unknown and matched are no rows
	sets  []set
	index map[string]int32
	seen  []int // by state: the number of the record that came to it last
	queue []uint32
	mark  []uint32 // by instruction: the step that has been there
	step  uint32
	next  []uint32
	key   []byte
	begin [4]int32 // the states before the first rune, by what is before it
}

const (
	unknown int32 = 0
	matched int32 = 1
)

// set is what a state stands for: where each of several threads goes on, and the rune before.
type set struct {
	threads []uint32
	before  rune // -1 at the start of the text, else one that stands for its class
}

func newLazy(p *program) *lazy {
	l := &lazy{program: p, index: make(map[string]int32), mark: make([]uint32, len(p.Inst))}
	l.sets = append(l.sets, set{}) // the first row would be unknown
	l.seen = append(l.seen, 0)
	l.table = append(l.table, make([]int32, 1<<p.columns)...)
	return l
}

// start returns the state before the first rune of a text, after another.
func (l *lazy) start(before rune) int32 {
	row := &l.begin[0]
	if before >= 0 {
		before = context(before)
		row = &l.begin[1+strings.IndexRune("\n a", before)]
	}
	if *row == unknown {
		l.next = append(l.next[:0], uint32(l.Start))
		*row = l.state(before)
	}
	return *row
}

// idle reports whether no match has begun.
func (l *lazy) idle(row int32) bool { return len(l.sets[row>>l.columns].threads) == 1 }

// state returns the row of the state for the threads in next, which it makes if it is new.
func (l *lazy) state(before rune) int32 {
	slices.Sort(l.next)
	l.next = slices.Compact(l.next)
	l.key = binary.LittleEndian.AppendUint32(l.key[:0], uint32(before))
	for _, pc := range l.next {
		l.key = binary.LittleEndian.AppendUint32(l.key, pc)
	}
	if row, ok := l.index[string(l.key)]; ok {
		return row
	}
	row := int32(len(l.sets)) << l.columns
	l.index[string(l.key)] = row
	l.sets = append(l.sets, set{slices.Clone(l.next), before})
	l.seen = append(l.seen, 0)
	l.table = append(l.table, make([]int32, 1<<l.columns)...)
	return row
}

// follow works out where a state goes on a class of runes, or at the end of the text.
func (l *lazy) follow(row, class int32) int32 {
	from := l.sets[row>>l.columns]
	r, before := rune(-1), rune(-1)
	if int(class) < len(l.starts) {
		r = l.starts[class]
		before = context(r)
	}
	flags := syntax.EmptyOpContext(from.before, r)
	l.next = append(l.next[:0], uint32(l.Start))
	l.queue = append(l.queue[:0], from.threads...)
	l.step++
	to := unknown
	for len(l.queue) > 0 {
		pc := l.queue[len(l.queue)-1]
		l.queue = l.queue[:len(l.queue)-1]
		if l.mark[pc] == l.step {
			continue
		}
		l.mark[pc] = l.step
		if l.thread(&l.Inst[pc], flags, r) {
			to = matched
			break
		}
	}
	if to != matched {
		to = l.state(before)
	}
	l.table[row+class] = to
	return to
}

// thread moves one thread on: to queue without a rune, to next with it. It reports a match.
func (l *lazy) thread(inst *syntax.Inst, flags syntax.EmptyOp, r rune) bool {
	switch inst.Op {
	case syntax.InstAlt, syntax.InstAltMatch:
		l.queue = append(l.queue, inst.Out, inst.Arg)
	case syntax.InstCapture, syntax.InstNop:
		l.queue = append(l.queue, inst.Out)
	case syntax.InstEmptyWidth:
		if syntax.EmptyOp(inst.Arg)&^flags == 0 {
			l.queue = append(l.queue, inst.Out)
		}
	case syntax.InstMatch:
		return true
	case syntax.InstRune, syntax.InstRune1, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
		if r >= 0 && inst.MatchRune(r) {
			l.next = append(l.next, inst.Out)
		}
	}
	return false
}

// context returns a rune that stands for all that \b, ^ and $ take for the same.
func context(r rune) rune {
	switch {
	case r == '\n':
		return r
	case syntax.IsWordChar(r):
		return 'a'
	}
	return ' '
}

// A budget is what may still be spent on a record, in units of the work on one byte.
//
// What is charged to units depends on the record alone, so that what they cut is the same in every run: a state that
// the record has not come to before costs them, also if an earlier record has made it. To ask that of every byte would
// take half of the time; it is asked of one in sampled. Since an intruder can know which, the work really done is
// charged to effort too, which is larger.
type budget struct{ units, effort int }

const (
	sampled    = 16
	stateCost  = 20 // making a state
	threadCost = 10 // each of its threads
)

func (b *budget) spent() bool { return b.units < 0 || b.effort < 0 }

// find tells whether the expression matches a part of a text, and where the first match ends. It looks only where a
// match can begin, and on from there as long as one may have begun. It takes what that costs from b and gives up when
// nothing is left: then whole is false.
func (l *lazy) find(of part, begin places, record int, b *budget) (end int, ok, whole bool) {
	p, text, before := l.program, of.text, of.before
	for i := 0; ; {
		if i = begin.next(i, b); i < 0 {
			return 0, false, true
		}
		if i > 0 {
			before, _ = utf8.DecodeLastRuneInString(text[:i])
		}
		row := l.start(before)
		table := l.table
		for idle := false; !idle && i < len(text); {
			for stop := min(i+sampled, len(text)); i < stop; {
				size := 1
				var class int32
				if c := text[i]; c < utf8.RuneSelf {
					class = p.ascii[c]
				} else {
					var r rune
					r, size = utf8.DecodeRuneInString(text[i:])
					class = p.class(r)
				}
				next := table[row+class]
				if next <= matched {
					if next == unknown {
						next = l.follow(row, class)
						table = l.table
						b.effort -= l.cost(next)
					}
					if next == matched {
						return i, true, true
					}
				}
				row = next
				i += size
			}
			b.units -= sampled
			if l.seen[row>>p.columns] != record {
				l.seen[row>>p.columns] = record
				b.units -= sampled * l.cost(row)
			}
			if b.spent() {
				return 0, false, false
			}
			idle = len(begin.words) > 0 && l.idle(row)
		}
		if i >= len(text) {
			return len(text), !of.open && l.follow(row, int32(len(p.starts))) == matched, true
		}
	}
}

// cost returns what it costs to make a state.
func (l *lazy) cost(row int32) int {
	return stateCost + threadCost*len(l.sets[row>>l.columns].threads)
}
