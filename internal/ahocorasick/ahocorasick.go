// Package ahocorasick finds any of many words in one pass over a text, without regard to the case of ASCII letters.
//
// The time it takes does not depend on how many words there are, whatever the text: that is why it is used for lists that
// others write. Package secret has an index of its own, which minds case and hashes windows of six bytes: faster for
// few values of at least that length, but slow on a text made against it.
package ahocorasick

// A Machine finds words. It may be used by several goroutines at once.
type Machine struct {
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
}

const none = -1

// denseDepth is how deep in bytes nodes have rows: ordinary text seldom leaves them.
const denseDepth = 2

// New returns a machine that finds words, which must not be changed. An empty word is never found.
func New(words []string) *Machine {
	m := &Machine{same: make([]int32, len(words)), nodes: []node{{word: none}}, width: 1}
	for _, w := range words {
		for i := range len(w) {
			m.addClass(w[i])
		}
	}
	depths := []uint8{0}
	for i, w := range words {
		depths = m.insert(int32(i), w, depths)
	}
	m.sort(depths)
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

// insert adds the nodes of a word that are not there yet. depths are the nodes' depths, as far as they matter.
func (m *Machine) insert(id int32, word string, depths []uint8) []uint8 {
	m.same[id] = none
	if word == "" {
		return depths
	}
	at := uint32(0)
	for i := range len(word) {
		c := m.class[word[i]]
		next := m.child(at, c)
		if next == 0 {
			next = uint32(len(m.nodes))
			m.nodes = append(m.nodes, node{class: c, word: none, sibling: m.nodes[at].child})
			m.nodes[at].child = next
			depths = append(depths, uint8(min(i+1, denseDepth+1)))
		}
		at = next
	}
	m.same[id] = m.nodes[at].word
	m.nodes[at].word = id
	return depths
}

func (m *Machine) child(at uint32, class uint8) uint32 {
	next := m.nodes[at].child
	for next != 0 && m.nodes[next].class != class {
		next = m.nodes[next].sibling
	}
	return next
}

// sort numbers the nodes breadth first, so that those with rows come first and every fail is before its node.
func (m *Machine) sort(depths []uint8) {
	order := make([]uint32, 1, len(m.nodes))
	number := make([]uint32, len(m.nodes))
	for i := 0; i < len(order); i++ {
		for next := m.nodes[order[i]].child; next != 0; next = m.nodes[next].sibling {
			number[next] = uint32(len(order))
			order = append(order, next)
		}
	}
	sorted := make([]node, len(order))
	for i, old := range order {
		n := m.nodes[old]
		n.child, n.sibling = number[n.child], number[n.sibling]
		sorted[i] = n
		if depths[old] <= denseDepth {
			m.dense++
		}
	}
	m.nodes = sorted
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

// Find calls found for every place of every word in text, with the word's number and where it ends; those that end first
// come first. It stops when found returns false.
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
		if m.nodes[at].out != 0 && !m.tell(at, i+1, found) {
			return at, false
		}
	}
	return at, true
}

// tell reports the words that end at a node.
func (m *Machine) tell(at uint32, end int, found func(word, end int) bool) bool {
	for at = m.nodes[at].out; at != 0; at = m.nodes[m.nodes[at].fail].out {
		for word := m.nodes[at].word; word != none; word = m.same[word] {
			if !found(int(word), end) {
				return false
			}
		}
	}
	return true
}
