package sqlite

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
)

// The write-ahead log (https://sqlite.org/fileformat2.html#the_write_ahead_log): a header, then frames
// of a frame header and one page. All integers are big-endian; only the checksum sums words in the
// byte order that the lowest bit of the magic number names.
const (
	walMagic      = 0x377f0682
	walVersion    = 3007000
	walHeaderSize = 32
	frameHeader   = 24
)

// A Stop says why a log was not read, or not to its end.
type Stop string

// The ways in which reading a log stops early. The frames from there on are counted as ignored.
const (
	StopHeader   Stop = "header"    // magic, version, page size or checksum of the log's header is wrong
	StopSalts    Stop = "salts"     // the frame was left behind by an earlier log, or is of another one
	StopChecksum Stop = "checksum"  // the frame is torn or was changed
	StopPage     Stop = "page"      // the frame is for page 0
	StopShort    Stop = "short"     // the last frame is cut short
	StopPageSize Stop = "page size" // the log is of a database with other pages, so not of this one
	StopRead     Stop = "read"      // the file could not be read, Detail has the error
)

// WALInfo says what a write-ahead log held. A frame is one version of one page.
type WALInfo struct {
	Frames      int    // whole frames that the file has room for
	Committed   int    // frames up to the last whole commit
	Commits     int    // commits among those
	Applied     int    // commits laid over the database
	Uncommitted int    // good frames after the last commit: a transaction that never ended
	Ignored     int    // frames not laid over the database, for whatever reason
	Stopped     Stop   // why frames after the good ones were ignored; empty at a clean end
	Detail      string // Stopped in words
}

// stop ends the reading of the log.
func (w *WALInfo) stop(why Stop, format string, args ...any) {
	w.Stopped, w.Detail = why, fmt.Sprintf(format, args...)
}

// fits says whether the log may be laid over a database of that page size,
// and takes back what was counted as applied if not.
// Nothing else in a log names its database: SQLite too would apply a foreign one with like pages.
func (w *WALInfo) fits(pageSize int64, head header) bool {
	if w.Applied == 0 {
		return false
	}
	if head.pageSize != pageSize {
		w.Applied, w.Ignored = 0, w.Frames
		w.stop(StopPageSize, "pages of %d bytes, but the database has %d", head.pageSize, pageSize)
		return false
	}
	return true
}

// walHead is the header of a log.
type walHead struct {
	pageSize int64
	salts    [8]byte
	sum      checksum
}

// readWAL indexes the log's committed pages up to commit maxCommit (all if that is not positive).
// The header it returns has the page size and, of the last commit applied, the size of the database.
func readWAL(src Source, maxCommit int, info *WALInfo) (layer, header) {
	l := layer{src: src}
	if src.Size <= 0 {
		return l, header{}
	}
	r := bufio.NewReaderSize(io.NewSectionReader(src.R, 0, src.Size), 1<<16)
	head, err := readWALHead(r)
	if err != nil {
		info.stop(StopHeader, "%v", err)
		return l, header{}
	}
	frameSize := head.pageSize + frameHeader
	info.Frames = int((src.Size - walHeaderSize) / frameSize)
	h := header{pageSize: head.pageSize}
	frame := make([]byte, frameSize)
	applied, settled := 0, 0
	for n := range info.Frames {
		if !nextFrame(r, frame, &head, info) {
			break
		}
		info.Uncommitted++
		open := maxCommit <= 0 || info.Commits < maxCommit
		if open {
			off := walHeaderSize + int64(n)*frameSize + frameHeader
			l.slots = append(l.slots, slot{binary.BigEndian.Uint32(frame), off})
		}
		pages := binary.BigEndian.Uint32(frame[4:])
		if pages == 0 {
			continue
		}
		info.Committed, info.Uncommitted = n+1, 0
		info.Commits++
		if open {
			h.pages, info.Applied, applied = int64(pages), info.Commits, len(l.slots)
			info.Ignored = info.Frames - info.Committed
		}
		if applied > 2*settled+1024 && open { // many versions a page: keep the index small
			l.settle()
			settled, applied = len(l.slots), len(l.slots)
		}
	}
	if info.Applied == 0 {
		info.Ignored = info.Frames
	}
	if info.Stopped == "" && (src.Size-walHeaderSize)%frameSize != 0 {
		info.stop(StopShort, "the last frame is cut short")
	}
	l.slots = l.slots[:applied]
	l.settle()
	return l, h
}

// readWALHead reads and checks the log's header.
func readWALHead(r io.Reader) (walHead, error) {
	var h walHead
	b := make([]byte, walHeaderSize)
	if _, err := io.ReadFull(r, b); err != nil {
		return h, fmt.Errorf("reading the header: %w", err)
	}
	magic := binary.BigEndian.Uint32(b)
	if magic&^1 != walMagic {
		return h, fmt.Errorf("magic number is %#08x", magic)
	}
	if v := binary.BigEndian.Uint32(b[4:]); v != walVersion {
		return h, fmt.Errorf("version is %d", v)
	}
	h.pageSize = int64(binary.BigEndian.Uint32(b[8:]))
	if !validPageSize(h.pageSize) {
		return h, fmt.Errorf("impossible page size %d", h.pageSize)
	}
	copy(h.salts[:], b[16:24])
	h.sum.big = magic&1 != 0
	h.sum.add(b[:24])
	if !h.sum.is(b[24:32]) {
		return h, fmt.Errorf("checksum does not hold")
	}
	return h, nil
}

// nextFrame reads a frame and carries the checksum on, or says in info why the log ends here.
func nextFrame(r io.Reader, frame []byte, head *walHead, info *WALInfo) bool {
	if _, err := io.ReadFull(r, frame); err != nil {
		info.stop(StopRead, "%v", err)
		return false
	}
	if !bytes.Equal(frame[8:16], head.salts[:]) {
		info.stop(StopSalts, "salts are not those of the log's header")
		return false
	}
	head.sum.add(frame[:8])
	head.sum.add(frame[frameHeader:])
	if !head.sum.is(frame[16:24]) {
		info.stop(StopChecksum, "checksum does not hold")
		return false
	}
	if binary.BigEndian.Uint32(frame) == 0 {
		info.stop(StopPage, "page number is 0")
		return false
	}
	return true
}

// A checksum is the log's running sum over pairs of 32-bit words.
type checksum struct {
	s0, s1 uint32
	big    bool
}

// add sums b, whose length is a multiple of 8.
func (c *checksum) add(b []byte) {
	s0, s1 := c.s0, c.s1
	for ; len(b) >= 8; b = b[8:] {
		x, y := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
		if c.big {
			x, y = bits.ReverseBytes32(x), bits.ReverseBytes32(y)
		}
		s0 += x + s1
		s1 += y + s0
	}
	c.s0, c.s1 = s0, s1
}

// is compares the sum with a stored one, which is big-endian always.
func (c *checksum) is(b []byte) bool {
	return c.s0 == binary.BigEndian.Uint32(b) && c.s1 == binary.BigEndian.Uint32(b[4:])
}
