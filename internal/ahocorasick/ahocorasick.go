// Package ahocorasick finds any of many words in one pass over a text, without regard to the case of ASCII letters.
//
// The time it takes does not depend on how many words there are, whatever the text: that is why it is used for lists that
// others write. Package secret has an index of its own, which minds case and hashes windows of six bytes: faster for
// few values of at least that length, but slow on a text made against it.
package ahocorasick

import (
	"cmp"
	"slices"
)

// A Machine finds words. It may be used by several goroutines at once.
type Machine struct {
	words []string
	class [256]uint8 // a byte's class; 0 of those that are in no word
	width uint32     // how many classes there are
	rows  []uint32   // of the nodes near the root: the next node for each class
	dense uint32     // how many nodes have a row
	nodes []node     // breadth first; node 0 is the root
	same  []int32    // of a word: another one that reads the same, or none
	where *windows   // nil if it has to read everything
}

// A node stands for the beginning of a word.
type node struct {
	child, sibling uint32 // first longer beginning, and the next of the same parent; 0 is none
	fail           uint32 // the longest other beginning that this one ends in
	out            uint32 // the nearest node on the way of fail that ends a word, itself included; 0 is none
	word           int32  // the word that ends here, or none
	class          uint8
	rest           uint8 // how many bytes of the word have to follow: no other word begins as it does up to here
}

const none = -1

// denseDepth is how deep in bytes nodes have rows: ordinary text seldom leaves them.
const denseDepth = 2

// What a word has that no other begins with has no nodes of its own, which are most of a long list, but is compared with the text:
// only behind so many bytes, since it takes longer, and at most so many, since a text can be made to have them compared at every byte.
const (
	minShared = 8
	maxRest   = 128
)

// New returns a machine that finds words, which must not be changed. An empty word is never found.
func New(words []string) *Machine {
	m := &Machine{words: words, same: make([]int32, len(words)), nodes: []node{{word: none}}, width: 1, dense: 1}
	for _, w := range words {
		for i := range len(w) {
			m.addClass(w[i])
		}
	}
	m.plant(m.sorted())
	m.link()
	m.where = newWindows(words)
	return m
}

// addClass gives a byte a class of its own, and a letter's other case the same.
func (m *Machine) addClass(b byte) {
	b = lower(b)
	if m.class[b] != 0 {
		return
	}
	m.class[b] = uint8(m.width)
	if 'a' <= b && b <= 'z' {
		m.class[b-'a'+'A'] = uint8(m.width)
	}
	m.width++
}

func lower(b byte) byte {
	if 'A' <= b && b <= 'Z' {
		return b + 'a' - 'A'
	}
	return b
}

// sorted returns the numbers of the words that are not empty, by the classes of their bytes.
func (m *Machine) sorted() []int32 {
	var order []int32
	for i, w := range m.words {
		m.same[i] = none
		if w != "" {
			order = append(order, int32(i))
		}
	}
	slices.SortFunc(order, func(a, b int32) int { return cmp.Or(m.compare(m.words[a], m.words[b]), cmp.Compare(a, b)) })
	return order
}

func (m *Machine) compare(a, b string) int {
	for i := range min(len(a), len(b)) {
		if x, y := m.class[a[i]], m.class[b[i]]; x != y {
			return cmp.Compare(x, y)
		}
	}
	return cmp.Compare(len(a), len(b))
}

// A branch is a node and the words that begin with what it stands for, in order.
type branch struct {
	node  uint32
	words []int32
}

// plant makes the nodes breadth first, so that those with rows come first and every fail is before its node.
func (m *Machine) plant(order []int32) {
	level := []branch{{0, order}}
	for depth := 0; len(level) > 0; depth++ {
		var next []branch
		for _, b := range level {
			next = m.grow(b, depth, next)
		}
		if depth < denseDepth {
			m.dense = uint32(len(m.nodes))
		}
		level = next
	}
}

// grow ends the words of a branch that end at its node, and adds the branches that begin there to next.
func (m *Machine) grow(b branch, depth int, next []branch) []branch {
	list := b.words
	if len(list) == 1 && depth >= minShared && len(m.words[list[0]])-depth <= maxRest {
		m.nodes[b.node].word, m.nodes[b.node].rest = list[0], uint8(len(m.words[list[0]])-depth)
		return next
	}
	for ; len(list) > 0 && len(m.words[list[0]]) == depth; list = list[1:] {
		m.same[list[0]] = m.nodes[b.node].word
		m.nodes[b.node].word = list[0]
	}
	for last := uint32(0); len(list) > 0; {
		class, n := m.class[m.words[list[0]][depth]], 1
		for n < len(list) && m.class[m.words[list[n]][depth]] == class {
			n++
		}
		id := uint32(len(m.nodes))
		m.nodes = append(m.nodes, node{class: class, word: none})
		if last == 0 {
			m.nodes[b.node].child = id
		} else {
			m.nodes[last].sibling = id
		}
		next = append(next, branch{id, list[:n]})
		list, last = list[n:], id
	}
	return next
}

func (m *Machine) child(at uint32, class uint8) uint32 {
	next := m.nodes[at].child
	for next != 0 && m.nodes[next].class != class {
		next = m.nodes[next].sibling
	}
	return next
}

// link sets every node's fail, out and row.
func (m *Machine) link() {
	m.rows = make([]uint32, m.dense*m.width)
	for at := range m.nodes {
		n := &m.nodes[at]
		if n.word != none {
			n.out = uint32(at)
		} else {
			n.out = m.nodes[n.fail].out
		}
		if uint32(at) < m.dense {
			copy(m.row(uint32(at)), m.row(n.fail))
		}
		for next := n.child; next != 0; next = m.nodes[next].sibling {
			if at > 0 {
				m.nodes[next].fail = m.step(n.fail, m.nodes[next].class)
			}
		}
		if uint32(at) < m.dense {
			row := m.row(uint32(at))
			for next := n.child; next != 0; next = m.nodes[next].sibling {
				row[m.nodes[next].class] = next
			}
		}
	}
}

func (m *Machine) row(at uint32) []uint32 { return m.rows[at*m.width : (at+1)*m.width] }

// step returns the node that follows at on a byte of the class.
func (m *Machine) step(at uint32, class uint8) uint32 {
	for at >= m.dense {
		if next := m.child(at, class); next != 0 {
			return next
		}
		at = m.nodes[at].fail
	}
	return m.rows[at*m.width+uint32(class)]
}

// Find calls found for every place of every word in text, with the word's number and where it ends, nearly in the order of the ends.
// It stops when found returns false.
func (m *Machine) Find(text string, found func(word, end int) bool) {
	if m.where != nil {
		m.where.find(m, text, found)
		return
	}
	m.run(0, text, 0, len(text), found)
}

// run reads text[start:end] from the node at on and returns the node after it; false if found did.
func (m *Machine) run(at uint32, text string, start, end int, found func(word, end int) bool) (uint32, bool) {
	for i := start; i < end; i++ {
		class := m.class[text[i]]
		if at < m.dense {
			at = m.rows[at*m.width+uint32(class)]
		} else {
			at = m.step(at, class)
		}
		if m.nodes[at].out != 0 && !m.tell(at, text, i+1, found) {
			return at, false
		}
	}
	return at, true
}

// tell reports the words that end at a node, or whose rest follows.
func (m *Machine) tell(at uint32, text string, end int, found func(word, end int) bool) bool {
	for at = m.nodes[at].out; at != 0; at = m.nodes[m.nodes[at].fail].out {
		n := &m.nodes[at]
		if n.rest > 0 && !m.follows(text[end:], m.words[n.word], int(n.rest)) {
			continue
		}
		for word := n.word; word != none; word = m.same[word] {
			if !found(int(word), end+int(n.rest)) {
				return false
			}
		}
	}
	return true
}

// follows reports whether text begins with the last so many bytes of a word.
func (m *Machine) follows(text, word string, rest int) bool {
	if len(text) < rest {
		return false
	}
	for i, b := range []byte(word[len(word)-rest:]) {
		if m.class[text[i]] != m.class[b] {
			return false
		}
	}
	return true
}
