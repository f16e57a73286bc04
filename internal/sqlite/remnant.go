package sqlite

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
)

// A RemnantKind says where in the files bytes lie that the database no longer shows.
type RemnantKind string

// The kinds of remnants. SQLite does not overwrite what it deletes unless secure_delete is on.
const (
	RemnantFree  RemnantKind = "free page"
	RemnantGap   RemnantKind = "unallocated space of a page"
	RemnantOld   RemnantKind = "page that a later commit replaced"
	RemnantOpen  RemnantKind = "page of a write that never ended"
	RemnantStale RemnantKind = "page of an earlier log"
)

// A Remnant is a run of bytes that the database no longer shows. Data is valid until the next one.
type Remnant struct {
	Kind RemnantKind
	Page uint32 // number of the page it is of
	Data []byte
}

// RemnantInfo says how much was looked through.
type RemnantInfo struct {
	Pages int64 // pages of the database
	Free  int64 // of these, in the list of free pages
	Old   int64 // versions of pages that are not shown
	Bytes int64 // handed on
	Amiss []string
}

// maxAmiss bounds what RemnantInfo says is amiss.
const maxAmiss = 20

func (r *RemnantInfo) amiss(format string, args ...any) {
	if len(r.Amiss) < maxAmiss {
		r.Amiss = append(r.Amiss, fmt.Sprintf(format, args...))
	}
}

// Remnants hands on every run of bytes of a database and its log that the database no longer shows: free pages,
// the unallocated space of leaf pages, and the versions of pages that later commits replaced. It walks pages, not
// trees, so that a damaged tree hides nothing; each page is read once, whatever a hostile file claims.
// It stops when yield says no, or when ctx is done.
func Remnants(ctx context.Context, db Source, o Options, yield func(Remnant) bool) (RemnantInfo, error) {
	view, log, err := newOverlay(db, o)
	if err != nil {
		return RemnantInfo{}, fmt.Errorf("looking for remnants: %w", err)
	}
	s := &scavenger{ctx: ctx, view: view, log: log.WAL, yield: yield, page: make([]byte, view.pageSize), other: make([]byte, view.pageSize)}
	s.usable = int(view.pageSize)
	s.pages()
	s.replaced(db)
	s.frames(o.WAL)
	return s.info, ctx.Err()
}

type scavenger struct {
	ctx         context.Context
	view        *overlay
	log         WALInfo
	yield       func(Remnant) bool
	info        RemnantInfo
	page, other []byte
	usable      int
	stopped     bool
}

func (s *scavenger) hand(kind RemnantKind, page uint32, data []byte) bool {
	if s.stopped || s.ctx.Err() != nil {
		return false
	}
	if len(data) > 0 {
		s.info.Bytes += int64(len(data))
		s.stopped = !s.yield(Remnant{kind, page, data})
	}
	return !s.stopped
}

// there is the number of pages that the files can hold, whatever their headers claim.
func (s *scavenger) there() uint32 {
	n := min(s.view.pages, (s.view.base.Size+s.view.pageSize-1)/s.view.pageSize)
	for _, l := range s.view.layers {
		if len(l.slots) > 0 {
			n = max(n, min(s.view.pages, int64(l.slots[len(l.slots)-1].page)))
		}
	}
	return uint32(n)
}

// pages looks through the database as it is shown.
func (s *scavenger) pages() {
	n := s.there()
	s.info.Pages = int64(n)
	if n == 0 {
		return
	}
	free := s.freePages(n)
	for p := uint32(1); p <= n; p++ {
		if !s.read(p) {
			continue
		}
		more := true
		if free.has(p) {
			s.info.Free++
			more = s.hand(RemnantFree, p, s.page)
		} else {
			more = s.gaps(p)
		}
		if !more {
			return
		}
	}
}

func (s *scavenger) read(p uint32) bool {
	if err := s.view.readPage(s.page, int64(p), 0); err != nil {
		s.info.amiss("page %d: %v", p, err)
		return false
	}
	return true
}

// A pageSet is a set of page numbers.
type pageSet []uint64

func (b pageSet) has(p uint32) bool { return int(p/64) < len(b) && b[p/64]&(1<<(p%64)) != 0 }
func (b pageSet) add(p uint32)      { b[p/64] |= 1 << (p % 64) }

// freePages walks the list of free pages (https://sqlite.org/fileformat2.html#the_freelist). A list that runs in a
// circle or out of the file ends there.
func (s *scavenger) freePages(n uint32) pageSet {
	free := make(pageSet, n/64+1)
	if !s.read(1) {
		return free
	}
	s.usable -= int(s.page[20])
	next, claimed, found := binary.BigEndian.Uint32(s.page[32:]), binary.BigEndian.Uint32(s.page[36:]), uint32(0)
	for next != 0 && s.ctx.Err() == nil {
		if next > n || free.has(next) {
			s.info.amiss("the list of free pages leads to page %d, which cannot be", next)
			return free
		}
		free.add(next)
		found++
		if !s.read(next) {
			return free
		}
		count := binary.BigEndian.Uint32(s.page[4:])
		if int64(count) > int64(len(s.page)/4-2) {
			s.info.amiss("free page %d claims to list %d others", next, count)
			return free
		}
		for i := range count {
			if p := binary.BigEndian.Uint32(s.page[8+4*i:]); p > 0 && p <= n && !free.has(p) {
				free.add(p)
				found++
			}
		}
		next = binary.BigEndian.Uint32(s.page)
	}
	if found != claimed {
		s.info.amiss("the header counts %d free pages, the list has %d", claimed, found)
	}
	return free
}

// tableLeaf is the type of a b-tree page that holds rows (https://sqlite.org/fileformat2.html#b_tree_pages).
const tableLeaf = 0x0d

// gaps hands on the unallocated parts of a leaf page: the space before its cells and the freed cells among them.
func (s *scavenger) gaps(p uint32) bool {
	b, at := s.page[:max(0, min(len(s.page), s.usable))], 0
	if p == 1 {
		at = headerSize
	}
	if len(b) < at+8 || b[at] != tableLeaf {
		return true
	}
	cells, content := int(binary.BigEndian.Uint16(b[at+3:])), int(binary.BigEndian.Uint16(b[at+5:]))
	if content == 0 {
		content = 65536
	}
	start := at + 8 + 2*cells
	if content = min(content, len(b)); start < content && !s.hand(RemnantGap, p, b[start:content]) {
		return false
	}
	last := at
	for f := int(binary.BigEndian.Uint16(b[at+1:])); f > last && f+4 <= len(b); {
		size := int(binary.BigEndian.Uint16(b[f+2:]))
		if end := f + size; size >= 4 && end <= len(b) && !s.hand(RemnantGap, p, b[f:end]) {
			return false
		}
		last, f = f, int(binary.BigEndian.Uint16(b[f:]))
	}
	return true
}

// replaced hands on the pages of the main file that the log or a journal replaces.
func (s *scavenger) replaced(db Source) {
	for _, l := range s.view.layers {
		for _, slot := range l.slots {
			off := int64(slot.page-1) * s.view.pageSize
			if db.readAt(s.other, off) != nil || int64(slot.page) <= s.view.pages && s.read(slot.page) && bytes.Equal(s.page, s.other) {
				continue
			}
			s.info.Old++
			if !s.hand(RemnantOld, slot.page, s.other) {
				return
			}
		}
	}
}

// frames hands on the frames of the log that are not the newest version of their page.
func (s *scavenger) frames(wal Source) {
	if wal.Size < walHeaderSize {
		return
	}
	var slots []slot       // by offset
	if s.log.Applied > 0 { // then the log is the uppermost layer
		slots = slices.Clone(s.view.layers[0].slots)
	}
	slices.SortFunc(slots, func(a, b slot) int { return int(min(max(a.off-b.off, -1), 1)) })
	size := s.view.pageSize + frameHeader
	head := make([]byte, frameHeader)
	for n := int64(0); walHeaderSize+(n+1)*size <= wal.Size; n++ {
		off := walHeaderSize + n*size + frameHeader
		for len(slots) > 0 && slots[0].off < off {
			slots = slots[1:]
		}
		if len(slots) > 0 && slots[0].off == off {
			continue
		}
		if wal.readAt(head, off-frameHeader) != nil || wal.readAt(s.other, off) != nil {
			s.info.amiss("frame %d of the log cannot be read", n+1)
			return
		}
		s.info.Old++
		if !s.hand(s.frameKind(n), binary.BigEndian.Uint32(head), s.other) {
			return
		}
	}
}

func (s *scavenger) frameKind(n int64) RemnantKind {
	switch committed := int64(s.log.Committed); {
	case n < committed:
		return RemnantOld
	case n < committed+int64(s.log.Uncommitted):
		return RemnantOpen
	}
	return RemnantStale
}
