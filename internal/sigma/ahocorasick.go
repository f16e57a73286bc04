package sigma

import "slices"

// An automaton finds all of many literals in one pass, whatever the case of their ASCII letters (Aho and Corasick,
// 1975). Its table has a row a state and a column for each class of bytes that no literal tells apart. An entry is
// where the next state's row starts, with the lowest bit set if literals end there; rows are a power of two long.
type automaton struct {
	classes [256]uint8
	table   []uint32
	shift   uint
	ends    [][]int32 // by state: the literals that end there
}

// skipByte is not part of any UTF-8 text. The automaton passes over it and stays in its state.
const skipByte = 0xff

// newAutomaton compiles literals, which must be folded and not empty.
func newAutomaton(words []string) *automaton {
	a := &automaton{}
	columns := a.classify(words)
	for 1<<a.shift < columns || a.shift == 0 {
		a.shift++
	}
	width := 1 << a.shift
	next := make([]int32, width) // 0 is "none" until the failure links fill it
	a.ends = [][]int32{nil}
	for id, word := range words {
		state := 0
		for i := range len(word) {
			at := state<<a.shift + int(a.classes[word[i]])
			if next[at] == 0 {
				next[at] = int32(len(a.ends))
				next = append(next, make([]int32, width)...)
				a.ends = append(a.ends, nil)
			}
			state = int(next[at])
		}
		a.ends[state] = append(a.ends[state], int32(id))
	}
	a.link(next)
	return a
}

// classify numbers the bytes that occur in words, all others being 0, and gives capitals the class of their small
// letters. It returns how many classes there are.
func (a *automaton) classify(words []string) int {
	n := 1
	for _, word := range words {
		for i := range len(word) {
			if c := word[i]; a.classes[c] == 0 {
				a.classes[c] = uint8(n)
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
	width := 1 << a.shift
	fail := make([]int32, len(a.ends))
	var queue []int32
	for _, child := range next[:width] {
		if child != 0 {
			queue = append(queue, child)
		}
	}
	for len(queue) > 0 {
		state := queue[0]
		queue = queue[1:]
		a.ends[state] = append(slices.Clip(a.ends[state]), a.ends[fail[state]]...)
		row, suffix := next[int(state)<<a.shift:][:width], next[int(fail[state])<<a.shift:][:width]
		for c, child := range row {
			if child == 0 {
				row[c] = suffix[c]
				continue
			}
			fail[child] = suffix[c]
			queue = append(queue, child)
		}
	}
	a.table = make([]uint32, len(next))
	for i, state := range next {
		a.table[i] = uint32(state) << a.shift
		if len(a.ends[state]) > 0 {
			a.table[i] |= 1
		}
	}
}

// scan calls found for each literal with where it ends. Rows being longer than one, a state's lowest bit is free to
// say that literals end there, and must be masked out.
func (a *automaton) scan(text string, found func(word int32, end int)) {
	var state uint32
	for i := range len(text) {
		state = a.table[state&^1+uint32(a.classes[text[i]])]
		if state&1 != 0 {
			for _, word := range a.ends[state>>a.shift] {
				found(word, i+1)
			}
		}
	}
}
