package sigma

import "slices"

// An automaton finds all of many literals in one pass, whatever the case of their ASCII letters (Aho and Corasick,
// 1975). Its table has a row a state. The first column is the state's number, each other one is for a class of bytes
// that no literal tells apart: where the next state's row starts, with the lowest bit set if literals end there.
type automaton struct {
	classes [256]uint16
	columns int // an even number
	table   []uint32
	ends    [][]int32 // by state: the literals that end there
}

// newAutomaton compiles literals, which must be folded and not empty.
func newAutomaton(words []string) *automaton {
	a := &automaton{}
	a.columns = (a.classify(words) + 1) &^ 1
	next := make([]int32, a.columns) // 0 is "none" until the failure links fill it
	a.ends = [][]int32{nil}
	for id, word := range words {
		state := 0
		for i := range len(word) {
			at := state*a.columns + int(a.classes[word[i]])
			if next[at] == 0 {
				next[at] = int32(len(a.ends))
				next = append(next, make([]int32, a.columns)...)
				a.ends = append(a.ends, nil)
			}
			state = int(next[at])
		}
		a.ends[state] = append(a.ends[state], int32(id))
	}
	a.link(next)
	return a
}

// classify numbers the bytes that occur in words from 2 on, all others being 1, and gives capitals the class of their
// small letters. It returns the first number that is free.
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
	for c := 'A'; c <= 'Z'; c++ {
		a.classes[c] = a.classes[c+'a'-'A']
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
	a.table = make([]uint32, len(next))
	for i, state := range next {
		a.table[i] = uint32(int(state) * a.columns)
		if len(a.ends[state]) > 0 {
			a.table[i] |= 1
		}
		if i%a.columns == 0 {
			a.table[i] = uint32(i / a.columns)
		}
	}
}

// scan sets the bits of the literals in a text and returns those whose bits were not set, appended to fresh. Rows
// being even in length, the lowest bit of where one starts is free to say that literals end there.
func (a *automaton) scan(text string, seen []uint64, fresh []int32) []int32 {
	var state uint32
	table := a.table
	for i := range len(text) {
		state = table[state&^1+uint32(a.classes[text[i]])]
		if state&1 == 0 {
			continue
		}
		for _, word := range a.ends[table[state&^1]] {
			if bit := uint64(1) << (word % 64); seen[word/64]&bit == 0 {
				seen[word/64] |= bit
				fresh = append(fresh, word)
			}
		}
	}
	return fresh
}
