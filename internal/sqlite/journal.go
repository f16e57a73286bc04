package sqlite

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The rollback journal (https://sqlite.org/fileformat2.html#the_rollback_journal): segments of a header,
// padded to a sector, and records of a page number, the page as it was before, and a checksum.
const (
	journalMagic      = "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"
	journalHeaderSize = 28
	journalToTheEnd   = 0xffffffff // record count of a journal that was never synced
	pendingByte       = 1 << 30    // the page that holds it has no content
)

// JournalInfo says what became of a rollback journal.
type JournalInfo struct {
	Pages   int    // records laid over the database
	Applied bool   // whether the journal was hot and was rolled back
	Why     string // why it was not, or why its playback stopped early; empty without a journal
}

// fits says whether the journal may be laid over a database of that page size.
func (j *JournalInfo) fits(pageSize int64, head header) bool {
	if j.Applied && head.pageSize != pageSize {
		*j = JournalInfo{Why: fmt.Sprintf("pages of %d bytes, but the database has %d", head.pageSize, pageSize)}
	}
	return j.Applied
}

// segment is the header of one part of a journal.
type segment struct {
	records, nonce, pages, sector, pageSize uint32
}

// readJournal indexes the pages of a hot journal. dbSize is the length of the main file in bytes.
// The header it returns has the page size and the size of the database before the transaction.
func readJournal(src Source, dbSize int64, info *JournalInfo) (layer, header) {
	l := layer{src: src}
	if src.Size <= 0 {
		return l, header{}
	}
	first, err := hotSegment(src, dbSize)
	if err != nil {
		info.Why = "not hot: " + err.Error()
		return l, header{}
	}
	info.Applied = true
	h := header{pageSize: int64(first.pageSize), pages: int64(first.pages)}
	for at, seg := int64(0), first; ; {
		at, err = l.playSegment(seg, h, at+int64(first.sector))
		if err != nil {
			info.Why = err.Error()
			break
		}
		at = roundUp(at, int64(first.sector))
		if at+int64(first.sector) > src.Size {
			break
		}
		if seg, err = readSegment(src, at); err != nil {
			break // what is left of an older, longer journal
		}
	}
	info.Pages = len(l.slots)
	l.settle()
	return l, h
}

// hotSegment reads the first header of a journal that has to be rolled back, and says why if it has not.
func hotSegment(src Source, dbSize int64) (segment, error) {
	seg, err := readSegment(src, 0)
	switch {
	case err != nil:
		return seg, err
	case !validPageSize(int64(seg.pageSize)):
		return seg, fmt.Errorf("impossible page size %d", seg.pageSize)
	case seg.sector < 32 || seg.sector > 65536 || seg.sector&(seg.sector-1) != 0:
		return seg, fmt.Errorf("impossible sector size %d", seg.sector)
	case src.Size < int64(seg.sector):
		return seg, errors.New("its header is cut short")
	case dbSize <= 0:
		return seg, errors.New("the database is empty")
	case namesSuperJournal(src):
		// Only that other file tells whether the transaction was committed.
		return seg, errors.New("it is part of a transaction over several databases")
	}
	return seg, nil
}

// readSegment reads the header at a sector's start.
func readSegment(src Source, at int64) (segment, error) {
	b := make([]byte, journalHeaderSize)
	if err := src.readAt(b, at); err != nil {
		return segment{}, fmt.Errorf("reading its header: %w", err)
	}
	if b[0] == 0 {
		return segment{}, errors.New("its header is zeroed, the transaction ended")
	}
	if string(b[:8]) != journalMagic {
		return segment{}, errors.New("not a journal")
	}
	u := func(i int) uint32 { return binary.BigEndian.Uint32(b[i:]) }
	return segment{u(8), u(12), u(16), u(20), u(24)}, nil
}

// playSegment adds a segment's pages to l and returns where the segment ends.
// Like SQLite it stops at the first record that does not hold.
func (l *layer) playSegment(seg segment, h header, at int64) (end int64, err error) {
	record := make([]byte, 4+h.pageSize+4)
	size := int64(len(record))
	count := int64(seg.records)
	if seg.records == journalToTheEnd {
		count = (l.src.Size - at) / size
	}
	for n := range count {
		if err := l.src.readAt(record, at); err != nil {
			return at, fmt.Errorf("record %d of %d: %w", n+1, count, err)
		}
		page := binary.BigEndian.Uint32(record)
		if page == 0 || int64(page) == pendingByte/h.pageSize+1 {
			return at, fmt.Errorf("record %d is for page %d, which is never journalled", n+1, page)
		}
		// SQLite passes over a page past the end before it looks at the checksum.
		if int64(page) <= h.pages {
			if binary.BigEndian.Uint32(record[4+h.pageSize:]) != journalSum(seg.nonce, record[4:4+h.pageSize]) {
				return at, fmt.Errorf("record %d: checksum does not hold", n+1)
			}
			l.slots = append(l.slots, slot{page, at + 4})
		}
		at += size
	}
	return at, nil
}

// journalSum is the checksum of a record: every 200th byte from the end on, over the nonce.
func journalSum(nonce uint32, page []byte) uint32 {
	for i := len(page) - 200; i > 0; i -= 200 {
		nonce += uint32(page[i])
	}
	return nonce
}

// namesSuperJournal reports whether the journal ends in the name of a super-journal.
func namesSuperJournal(src Source) bool {
	tail := make([]byte, 16)
	if src.readAt(tail, src.Size-16) != nil || string(tail[8:]) != journalMagic {
		return false
	}
	n := int64(binary.BigEndian.Uint32(tail))
	if n == 0 || n > 4096 || n > src.Size-16 {
		return false
	}
	name := make([]byte, n)
	if src.readAt(name, src.Size-16-n) != nil {
		return false
	}
	sum := binary.BigEndian.Uint32(tail[4:])
	for _, c := range name {
		sum -= uint32(int8(c)) // C's char is signed on the platforms that matter
	}
	return sum == 0
}

func roundUp(n, to int64) int64 { return (n + to - 1) / to * to }
