package collect

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
)

// rowCost is about what the row of a delta takes more than that of a whole file: what saves less is stored whole. Bytes.
const rowCost = 128

// storeSince adds an open file to a snapshot: nothing if it is as the chain has it, what changed if that is less than the whole.
func (c *collector) storeSince(src content, m Meta, size int64, check func() string) error {
	p := c.past
	base := p.base(m.Path)
	from := p.movedFrom(&m)
	if base != nil && base.sameFile(&m) {
		from = nil
	}
	seen, whole := c.scan(src, m, size, base)
	if whole {
		diff, err := c.difference(seen, size, base)
		if err != nil {
			return err
		}
		if c.asBefore(&m, base, size, diff) {
			return nil
		}
		m.Note = joinText(m.Note, c.suspicion(base, &m, size, diff))
		if !p.full && from == nil && diff.bytes+rowCost < size {
			return c.storeRanges(src, m, size, base, seen, diff, check)
		}
	}
	return c.storeWhole(src, m, size, from, check)
}

// scan reads a file that the chain has, to see what changed. It reports false if there is nothing to compare with, or reading did not
// get to the end: then the file is stored whole, which says what happened.
func (c *collector) scan(src content, m Meta, size int64, base *entry) (*chunker, bool) {
	if base == nil {
		return nil, false
	}
	seen := newChunker(c.past.key, base.grain(m.Path, size), base.size)
	seen.whole = sha256.New()
	n, err := io.CopyBuffer(seen, &progressReader{c: c, r: io.NewSectionReader(src, 0, size), path: m.Path}, c.w.buf)
	return seen, err == nil && n == size && size/seen.size <= 2*maxChunks
}

// grain is how finely a file is compared with what the chain has of it.
func (e *entry) grain(p string, size int64) int64 {
	if e != nil && e.count > 0 {
		return e.chunk
	}
	return chunkOf(p, size)
}

func (c *collector) difference(seen *chunker, size int64, base *entry) (change, error) {
	old, err := c.past.old.sums(base)
	if err != nil {
		return change{}, fmt.Errorf("reading the index of what was sealed before: %w", err)
	}
	return seen.compare(size, old, base.size), nil
}

// asBefore keeps the entry of a file that was only looked at again, and is as it was.
func (c *collector) asBefore(m *Meta, base *entry, size int64, diff change) bool {
	p := c.past
	if p.full || diff.bytes > 0 || size != base.size || !base.claimed() || !base.sameStat(m) || !base.state.has(summed) {
		return false
	}
	state := base.state &^ again
	if p.recent(base) {
		state |= again
	}
	c.out.Unchanged++
	p.keep(base, state)
	return true
}

// storeRanges stores what changed.
func (c *collector) storeRanges(src content, m Meta, size int64, base *entry, seen *chunker, diff change, check func() string) error {
	d := Delta{Base: base.size, Size: size, SHA256: hex.EncodeToString(seen.whole.Sum(nil)), Ranges: diff.ranges}
	r := &rangeReader{src: src, ranges: slices.Clone(diff.ranges), size: size, seen: seen}
	row, err := c.w.addDelta(m, &progressReader{c: c, r: r, path: m.Path}, d, func() string {
		if why := check(); why != "" || !r.torn {
			return why
		}
		return "written to while it was read: it may hold parts of two states"
	})
	return c.sealed(row, seen, err)
}

// storeWhole stores all of a file and takes the digests of its chunks on the way. from is what the chain has of it under another name.
func (c *collector) storeWhole(src content, m Meta, size int64, from *entry, check func() string) error {
	seen := newChunker(c.past.key, from.grain(m.Path, size), -1)
	if from != nil {
		seen.mark = from.size
	}
	c.w.tap = seen
	row, err := c.w.addChecked(m, &progressReader{c: c, r: src, path: m.Path}, size, check)
	c.w.tap = nil
	if from != nil && err == nil && row.At > 0 {
		diff, err := c.difference(seen, row.Size, from)
		if err != nil {
			return err
		}
		c.past.moved(from, &row.Meta, diff)
	}
	return c.sealed(row, seen, err)
}

// sealed ends what was stored of a file.
func (c *collector) sealed(row Row, seen *chunker, err error) error {
	c.past.seen = seen
	defer func() { c.past.seen = nil }()
	return c.done(row, err)
}
