package sqlite

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3"
)

func FuzzWAL(f *testing.F) {
	f.Add([]byte{}, 0)
	f.Fuzz(func(t *testing.T, b []byte, maxCommit int) {
		checkWAL(t, b, maxCommit)
		checkWAL(t, reseal(bytes.Clone(b)), maxCommit) // goes on past the checksums
	})
}

func checkWAL(t *testing.T, b []byte, maxCommit int) {
	var info WALInfo
	l, h := readWAL(source(b), maxCommit, &info)
	switch {
	case info.Applied > info.Commits, info.Commits > info.Committed, info.Committed+info.Uncommitted > info.Frames,
		info.Ignored < info.Frames-info.Committed, info.Ignored > info.Frames:
		t.Errorf("%+v", info)
	case (info.Applied == 0) != (len(l.slots) == 0), len(l.slots) > info.Committed:
		t.Errorf("%d pages, %+v", len(l.slots), info)
	case info.Stopped == "" && info.Committed+info.Uncommitted != info.Frames:
		t.Errorf("no reason: %+v", info)
	}
	checkSlots(t, l, h)
}

// checkSlots checks that the pages are in order and lie within the source.
func checkSlots(t *testing.T, l layer, h header) {
	for i, s := range l.slots {
		if s.page == 0 || s.off+h.pageSize > l.src.Size || i > 0 && l.slots[i-1].page >= s.page {
			t.Fatalf("slot %d is %+v", i, s)
		}
	}
}

func FuzzJournal(f *testing.F) {
	f.Add([]byte{}, int64(0))
	f.Fuzz(func(t *testing.T, b []byte, dbSize int64) {
		var info JournalInfo
		l, h := readJournal(source(b), dbSize, &info)
		if !info.Applied && (len(l.slots) > 0 || info.Why == "" && len(b) > 0) {
			t.Errorf("%d pages, %+v", len(l.slots), info)
		}
		checkSlots(t, l, h)
	})
}

// FuzzOpen reads all of a database. The seconds it may take are for a machine that does other things too.
func FuzzOpen(f *testing.F) {
	f.Add([]byte("SQLite format 3\x00"), []byte{}, []byte{})
	f.Fuzz(func(t *testing.T, db, wal, journal []byte) {
		start := time.Now()
		readAll(files{db, wal, journal})
		if took := time.Since(start); took > 8*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func readAll(f files) {
	d, err := f.tryOpen(Options{})
	if err != nil {
		return
	}
	defer d.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	d.SharesSchema(source(f.db), source(f.journal))
	tables, _ := d.Tables(ctx)
	for name, cols := range tables {
		for r, err := range d.Query(ctx, "SELECT * FROM "+sqlite3.QuoteIdentifier(name)) {
			for i := range cols {
				if err == nil {
					bytes.Count(r.Text(i), r.Bytes(i)) // touches every byte
				}
			}
		}
	}
	d.Check(ctx)
}
