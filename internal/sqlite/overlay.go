package sqlite

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// headerSize is the length of the header at the start of page 1
// (https://sqlite.org/fileformat2.html#the_database_header).
const headerSize = 100

// An overlay is the database as SQLite should see it: the main file with the pages of a hot journal
// and of a write-ahead log laid over it.
type overlay struct {
	base     Source
	layers   []layer // uppermost first
	pageSize int64
	pages    int64  // pages of the database, whether they are there or not
	held     int64  // pages that the base may answer for
	last     uint32 // page read last, to say where SQLite was when it gave up
}

// A layer is the newest copy of some pages, and where in src each lies.
type layer struct {
	src   Source
	slots []slot
}

type slot struct {
	page uint32
	off  int64
}

// settle sorts the slots by page and keeps the latest of each page, which has the highest offset.
func (l *layer) settle() {
	slices.SortFunc(l.slots, func(a, b slot) int {
		return cmp.Or(cmp.Compare(a.page, b.page), cmp.Compare(a.off, b.off))
	})
	kept := l.slots[:0]
	for i, s := range l.slots {
		if i+1 == len(l.slots) || l.slots[i+1].page != s.page {
			kept = append(kept, s)
		}
	}
	l.slots = kept
}

// find returns where page lies in l's source.
func (l layer) find(page uint32) (off int64, ok bool) {
	i, ok := slices.BinarySearchFunc(l.slots, page, func(s slot, p uint32) int { return cmp.Compare(s.page, p) })
	if !ok {
		return 0, false
	}
	return l.slots[i].off, true
}

// Size returns the size the database claims, so that SQLite reads what precedes a missing part
// instead of refusing the whole: a page that is not there is an error when it is wanted.
func (o *overlay) Size() (int64, error) { return o.pages * o.pageSize, nil }

// ReadAt implements io.ReaderAt. Only the end of the database is io.EOF, which SQLite reads as zeros.
func (o *overlay) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		at := off + int64(n)
		if at >= o.pages*o.pageSize {
			return n, io.EOF
		}
		in := at % o.pageSize
		part := p[n:min(int64(len(p)), int64(n)+o.pageSize-in)]
		if err := o.readPage(part, at/o.pageSize+1, in); err != nil {
			return n, err
		}
		n += len(part)
	}
	asRollback(p, off)
	return n, nil
}

// readPage fills p from byte in of a page.
func (o *overlay) readPage(p []byte, page, in int64) error {
	o.last = uint32(page)
	err := io.ErrUnexpectedEOF
	if src, off, ok := o.locate(page); ok {
		err = src.readAt(p, off+in)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("page %d of %d is missing or cut short", page, o.pages)
	}
	if err != nil {
		return fmt.Errorf("reading page %d: %w", page, err)
	}
	return nil
}

// locate returns where the newest copy of a page starts.
func (o *overlay) locate(page int64) (src Source, off int64, ok bool) {
	for _, l := range o.layers {
		if off, ok := l.find(uint32(page)); ok {
			return l.src, off, true
		}
	}
	return o.base, (page - 1) * o.pageSize, page <= o.held
}

// asRollback makes the version bytes of the header say rollback journal instead of log:
// the log is laid over already, and SQLite would want to create a -shm file for it.
func asRollback(p []byte, off int64) {
	for _, at := range []int64{18, 19} {
		if i := at - off; i >= 0 && i < int64(len(p)) && p[i] == 2 {
			p[i] = 1
		}
	}
}

// header is what the overlay needs of a database header.
type header struct {
	pageSize int64
	pages    int64 // 0 if the header does not know, see "in-header database size"
}

// parseHeader reads the first 100 bytes of a database.
func parseHeader(b []byte) (header, error) {
	if len(b) < headerSize {
		return header{}, errors.New("shorter than a database header")
	}
	if string(b[:16]) != "SQLite format 3\x00" {
		return header{}, fmt.Errorf("not a SQLite 3 database: starts with %q", b[:16])
	}
	h := header{pageSize: int64(binary.BigEndian.Uint16(b[16:]))}
	if h.pageSize == 1 {
		h.pageSize = 65536
	}
	if !validPageSize(h.pageSize) {
		return header{}, fmt.Errorf("impossible page size %d", h.pageSize)
	}
	if string(b[24:28]) == string(b[92:96]) {
		h.pages = int64(binary.BigEndian.Uint32(b[28:]))
	}
	return h, nil
}

func validPageSize(n int64) bool {
	return n >= 512 && n <= 65536 && n&(n-1) == 0
}

// baseHeader reads the header of the main file alone.
func baseHeader(s Source) (header, error) {
	b := make([]byte, min(headerSize, max(s.Size, 0)))
	if err := s.readAt(b, 0); err != nil {
		return header{}, fmt.Errorf("reading the header: %w", err)
	}
	return parseHeader(b)
}

// newOverlay lays the journal and then the log over the database, as SQLite's recovery would,
// and says in info what became of them.
func newOverlay(db Source, o Options) (*overlay, LogInfo, error) {
	var info LogInfo
	wal, walHead := readWAL(o.WAL, o.MaxCommit, &info.WAL)
	journal, journalHead := readJournal(o.Journal, db.Size, &info.Journal)

	base, baseErr := baseHeader(db)
	size := pageSizeOf(base, wal, walHead, journal, journalHead)
	if size == 0 {
		if db.Size > 0 {
			return nil, info, baseErr
		}
		size = 4096 // an empty database, which is a valid one
	}
	v := &overlay{base: db, pageSize: size, held: (db.Size + size - 1) / size}
	if info.Journal.fits(size, journalHead) {
		v.layers, v.held = []layer{journal}, journalHead.pages
	}
	if info.WAL.fits(size, walHead) {
		v.layers, v.held = append([]layer{wal}, v.layers...), walHead.pages
	}
	v.pages = v.held
	info.PageSize = int(size)
	if v.pages == 0 {
		return v, info, nil
	}
	head := make([]byte, headerSize)
	if err := v.readPage(head, 1, 0); err != nil {
		return nil, info, err
	}
	h, err := parseHeader(head)
	if err == nil && h.pageSize != size {
		err = fmt.Errorf("page size is %d in the header and %d in the log", h.pageSize, size)
	}
	v.pages = max(v.pages, h.pages)
	return v, info, err
}

// pageSizeOf returns the page size to go by: the main file's, or if its page 1 cannot tell,
// that of the log or journal that holds a newer page 1. It returns 0 if none can tell.
func pageSizeOf(base header, wal layer, walHead header, journal layer, journalHead header) int64 {
	if base.pageSize != 0 {
		return base.pageSize
	}
	if _, ok := wal.find(1); ok {
		return walHead.pageSize
	}
	if _, ok := journal.find(1); ok {
		return journalHead.pageSize
	}
	return 0
}

// tableInterior is the type of a page that leads to others of a table's tree, and [tableLeaf] that of one that holds its rows.
const tableInterior = 0x05

// maxSchemaPages bounds the pages that are compared of a schema: real ones have fewer than ten.
const maxSchemaPages = 50

// SharesSchema reports that a page of what a database says it holds is the same without its log: they are of one database then. It costs
// a few pages, where opening the database without its log parses the schema. false says nothing.
func (d *DB) SharesSchema(db, journal Source) bool {
	below, _, err := newOverlay(db, Options{Journal: journal})
	if err != nil || below.pageSize != d.view.pageSize {
		return false
	}
	c := comparison{a: below, b: d.view, left: maxSchemaPages}
	return c.sameLeaf(1)
}

// A comparison is of two views of one tree.
type comparison struct {
	a, b *overlay
	left int // pages that may be read yet
}

// sameLeaf looks for a leaf that is the same in both, in what is below a page that is.
func (c *comparison) sameLeaf(page int64) bool {
	if c.left--; c.left < 0 {
		return false
	}
	a, b := make([]byte, c.a.pageSize), make([]byte, c.a.pageSize)
	if c.a.readPage(a, page, 0) != nil || c.b.readPage(b, page, 0) != nil {
		return false
	}
	from := 0
	if page == 1 {
		from = headerSize
	}
	if !bytes.Equal(a[from:], b[from:]) {
		return false
	}
	switch cells := int(binary.BigEndian.Uint16(a[from+3:])); a[from] {
	case tableLeaf:
		return cells > 0
	case tableInterior:
		return slices.ContainsFunc(children(a, from, cells), c.sameLeaf)
	}
	return false
}

// children are the pages that an interior page at b[from:] leads to: a number in each cell, and the last in its header.
func children(b []byte, from, cells int) []int64 {
	pages := []int64{int64(binary.BigEndian.Uint32(b[from+8:]))}
	for i := range min(cells, maxSchemaPages) {
		at := from + 12 + 2*i
		if at+2 > len(b) {
			break
		}
		if cell := int(binary.BigEndian.Uint16(b[at:])); cell+4 <= len(b) {
			pages = append(pages, int64(binary.BigEndian.Uint32(b[cell:])))
		}
	}
	return pages
}
