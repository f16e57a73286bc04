package ahocorasick

import "math/bits"

// windows tell where in a text a word can be at all: every word has one stretch of some bytes, the least common of its own,
// that the text must have. They are hashed as the text goes by, which does not wait for the byte before as a machine's
// steps do: in text without words it is several times as fast.
type windows struct {
	size   uint // bytes of a window
	mask   uint64
	filter []uint64 // a bit for the hash of each
	shift  uint
	all    map[uint64]bool
	reach  int // length of the longest word
}

const (
	minWindow = 4
	maxWindow = 7
	mixer     = 0x9e3779b97f4a7c15 // 2⁶⁴ over the golden ratio (Knuth's multiplicative hash)
)

// newWindows returns the windows of the words, or nil where one is too short to have any, or so long that little is won.
func newWindows(words []string) *windows {
	shortest, longest := maxWindow, 0
	for _, w := range words {
		if w != "" {
			shortest, longest = min(shortest, len(w)), max(longest, len(w))
		}
	}
	if shortest < minWindow || longest == 0 || longest > 1024 {
		return nil
	}
	x := &windows{size: uint(shortest), mask: 1<<(8*shortest) - 1, all: map[uint64]bool{}, reach: longest}
	for _, w := range words {
		if w != "" {
			x.all[x.rarest(w)] = true
		}
	}
	size := min(1<<24, max(1<<16, 1<<bits.Len(uint(64*len(x.all)))))
	x.filter = make([]uint64, size/64)
	x.shift = uint(64 - bits.Len(uint(size)-1))
	for w := range x.all {
		h := w * mixer >> x.shift
		x.filter[h/64] |= 1 << (h % 64)
	}
	return x
}

// push moves a window on by one byte. That some other bytes become the same as letters do not matters not: the machine decides.
func (x *windows) push(w uint64, b byte) uint64 { return (w<<8 | uint64(b|0x20)) & x.mask }

// frequent are bytes in the order of how often text has them, as far as that is worth knowing.
const frequent = " etaoinsrhldcumfpgwybv.-/0123456789\"_:kxjqz"

// rarest returns the word's window whose bytes are the least common in text.
func (x *windows) rarest(word string) (best uint64) {
	var w uint64
	least := -1
	for i := range len(word) {
		w = x.push(w, word[i])
		if i+1 < int(x.size) {
			continue
		}
		rare := 0
		for _, b := range []byte(word[i+1-int(x.size) : i+1]) {
			rare += rarity(b)
		}
		if rare > least {
			best, least = w, rare
		}
	}
	return best
}

func rarity(b byte) int {
	for i := range len(frequent) {
		if frequent[i] == lower(b) {
			return i
		}
	}
	return len(frequent)
}

// find runs the machine where words can be.
func (x *windows) find(m *Machine, text string, found func(word, end int) bool) {
	var w uint64
	at, done := uint32(0), 0 // the machine's node, and how far it has read
	filter, shift, mask := x.filter, x.shift, x.mask
	for i := range len(text) {
		w = (w<<8 | uint64(text[i]|0x20)) & mask
		h := w * mixer >> shift
		if filter[h/64]>>(h%64)&1 == 0 || !x.all[w] {
			continue
		}
		if start := i + 1 - x.reach; start > done {
			at, done = 0, start
		}
		end := min(len(text), i+x.reach)
		var ok bool
		if at, ok = m.run(at, text, done, end, found); !ok {
			return
		}
		done = end
	}
}
