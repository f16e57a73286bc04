package sigma

import (
	"slices"
)

// An automaton finds all of many literals in one pass, whatever the case of their ASCII letters (Aho and Corasick,
// 1975). Its table has a row a state. The first column is the state's number, each other one is for a class of bytes
// that no literal tells apart: where the next state's row starts, with the lowest bit set if literals end there.
type automaton struct {
	classes [256]uint16
	columns int // an even number
	table   []uint32
	ends    [][]int32 // by state: the literals that end there
	words   []string
}

// newAutomaton compiles literals, which must be folded and not empty.
func newAutomaton(words []string) *automaton {
	a := &automaton{words: words}
	a.columns = (a.classify(words) + 1) &^ 1
	states := countStates(words)
	next := make([]int32, a.columns, states*a.columns) // 0 is "none" until the failure links fill it
	a.ends = make([][]int32, 1, states)
	for id, word := range words {
		word = withoutBreaks(word)
		state := 0
		for i := range len(word) {
			at := state*a.columns + int(a.classes[word[i]])
			if next[at] == 0 {
				next[at] = int32(len(a.ends))
				next = next[:len(next)+a.columns]
				a.ends = append(a.ends, nil)
			}
			state = int(next[at])
		}
		a.ends[state] = append(a.ends[state], int32(id))
	}
	a.link(next)
	return a
}

// countStates counts the beginnings that words have, the empty one included: with the words in order, each adds what it does not share
// with the one before.
func countStates(words []string) int {
	sorted := make([]string, len(words))
	for i, word := range words {
		sorted[i] = withoutBreaks(word)
	}
	slices.Sort(sorted)
	n, last := 1, ""
	for _, word := range sorted {
		shared := 0
		for shared < min(len(word), len(last)) && word[shared] == last[shared] {
			shared++
		}
		n, last = n+len(word)-shared, word
	}
	return n
}

// classify numbers the bytes that occur in words from 2 on, all others being 1, and gives each byte the class
// of what foldLiteral makes of it. It returns the first number that is free.
func (a *automaton) classify(words []string) int {
	for c := range a.classes {
		a.classes[c] = 1
	}
	n := 2
	for _, word := range words {
		for i := range len(word) {
			if c := word[i]; a.classes[c] == 1 {
				a.classes[c] = uint16(n)
				n++
			}
		}
	}
	for c := range a.classes {
		a.classes[c] = a.classes[foldByte(byte(c))]
	}
	return n
}

// link turns the tree of words into a table, level by level: where a state has no way on, it goes on as the longest
// of its suffixes does.
func (a *automaton) link(next []int32) {
	row := func(state int32) []int32 { return next[int(state)*a.columns:][:a.columns] }
	fail := make([]int32, len(a.ends))
	var queue []int32
	for _, child := range row(0) {
		if child != 0 {
			queue = append(queue, child)
		}
	}
	for len(queue) > 0 {
		state := queue[0]
		queue = queue[1:]
		a.ends[state] = append(slices.Clip(a.ends[state]), a.ends[fail[state]]...)
		suffix := row(fail[state])
		for c, child := range row(state) {
			if child == 0 {
				row(state)[c] = suffix[c]
				continue
			}
			fail[child] = suffix[c]
			queue = append(queue, child)
		}
	}
	goal := make([]uint32, len(a.ends)) // what a cell says that leads to a state
	for state, ends := range a.ends {
		goal[state] = uint32(state * a.columns)
		if len(ends) > 0 {
			goal[state] |= 1
		}
	}
	a.table = make([]uint32, len(next))
	for i, state := range next {
		a.table[i] = goal[state]
	}
	for state := range a.ends {
		a.table[state*a.columns] = uint32(state)
	}
}

// scan finds the literals of a text. Rows being even in length, the lowest bit of where one starts is free to say that
// literals end there.
//
// Each step waits for the memory that the step before has asked for. Of a long text four parts are looked through at
// once, which waits for four at a time; they overlap by as much as a literal may be long.
func (a *automaton) scan(s *sighting) {
	if len(s.text) < 16*maxLiteral {
		a.scanShort(s)
		return
	}
	length := len(s.text)/streams + maxLiteral
	step := (len(s.text) - length) / (streams - 1)
	from := [streams]int{0, step, 2 * step, len(s.text) - length}
	var state [streams]uint32
	table, classes := a.table, &a.classes
	t0, t1, t2, t3 := s.text[:length], s.text[from[1]:][:length], s.text[from[2]:][:length], s.text[from[3]:][:length]
	for i := range length {
		state[0] = table[state[0]&^1+uint32(classes[t0[i]])]
		state[1] = table[state[1]&^1+uint32(classes[t1[i]])]
		state[2] = table[state[2]&^1+uint32(classes[t2[i]])]
		state[3] = table[state[3]&^1+uint32(classes[t3[i]])]
		if (state[0]|state[1]|state[2]|state[3])&1 == 0 {
			continue
		}
		for n, at := range state {
			if at&1 != 0 {
				s.note(a, n, at, from[n]+i+1)
			}
		}
	}
}

func (a *automaton) scanShort(s *sighting) {
	var state uint32
	for i := range len(s.text) {
		state = a.table[state&^1+uint32(a.classes[s.text[i]])]
		if state&1 != 0 {
			s.note(a, 0, state, i+1)
		}
	}
}
