package sqlite

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/ncruces/go-sqlite3"
)

// remains builds a database, runs statements on it and returns its bytes.
func remains(tb testing.TB, statements ...string) []byte {
	tb.Helper()
	name := filepath.Join(tb.TempDir(), "d.sqlite")
	db, err := sqlite3.Open(name)
	if err != nil {
		tb.Fatal(err)
	}
	for _, s := range append([]string{"PRAGMA page_size = 512", "CREATE TABLE t (who TEXT NOT NULL, n INTEGER NOT NULL, what TEXT)"}, statements...) {
		if err := db.Exec(s); err != nil {
			tb.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		tb.Fatal(err)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// whoNWhat are the columns of t.
var whoNWhat = []Column{{Text: true}, {Int: true}, {Null: true, Text: true}}

// carved are the numbers of the rows that are found in what the database does not show.
func carved(tb testing.TB, db, wal []byte) (found map[int64]string, info RemnantInfo) {
	tb.Helper()
	found = map[int64]string{}
	info, err := Remnants(context.Background(), bytesOf(db), Options{WAL: bytesOf(wal)}, func(r Remnant) bool {
		FindRecords(r.Data, whoNWhat, func(f Found) bool {
			if who := f.Values[0].Bytes; bytes.HasPrefix(who, []byte("session-")) && !f.Values[2].Cut {
				found[f.Values[1].Int] = string(f.Values[2].Bytes)
			}
			return true
		})
		return true
	})
	if err != nil {
		info.amiss("%v", err)
	}
	return found, info
}

func bytesOf(b []byte) Source {
	if b == nil {
		return Source{}
	}
	return Source{R: bytes.NewReader(b), Size: int64(len(b))}
}

const fillT = `WITH RECURSIVE c(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM c WHERE n < 200)
	INSERT INTO t SELECT 'session-' || (n / 10), n, 'row ' || n || ' was here' FROM c`

func TestRemnants(t *testing.T) {
	for _, x := range []struct {
		name    string
		delete  string
		n, most int // how many of the rows deleted must be found
	}{
		{"none", "SELECT 1", 0, 0},
		{"single rows", "DELETE FROM t WHERE n % 7 = 0", 20, 28},
		{"a run of rows, so that pages are freed", "DELETE FROM t WHERE n BETWEEN 50 AND 150", 80, 101},
		{"all", "DELETE FROM t", 150, 200},
		{"the table", "DROP TABLE t", 150, 200},
	} {
		t.Run(x.name, func(t *testing.T) {
			found, info := carved(t, remains(t, fillT, x.delete), nil)
			if len(found) < x.n || len(found) > x.most || len(info.Amiss) > 0 {
				t.Errorf("%d rows are found, want %d to %d; amiss: %q", len(found), x.n, x.most, info.Amiss)
			}
			for n, what := range found {
				if what != fmt.Sprintf("row %d was here", n) {
					t.Errorf("row %d reads %q", n, what)
				}
			}
		})
	}
}

// TestHostileRemnants reads files that were made to lead in circles and out of themselves.
func TestHostileRemnants(t *testing.T) {
	clean := remains(t, fillT, "DELETE FROM t WHERE n > 20")
	trunk := binary.BigEndian.Uint32(clean[32:])
	for name, spoil := range map[string]func(b []byte){
		"the list of free pages runs in a circle": func(b []byte) { binary.BigEndian.PutUint32(b[512*(trunk-1):], trunk) },
		"the list of free pages leads out":        func(b []byte) { binary.BigEndian.PutUint32(b[512*(trunk-1):], 1<<31) },
		"a free page lists more than it can":      func(b []byte) { binary.BigEndian.PutUint32(b[512*(trunk-1)+4:], 1<<32-1) },
		"the header counts other free pages":      func(b []byte) { binary.BigEndian.PutUint32(b[36:], 1<<20) },
		"the header claims four billion pages":    func(b []byte) { binary.BigEndian.PutUint32(b[28:], 1<<32-1) },
		"every freed cell leads to itself": func(b []byte) {
			for p := 512; p < len(b); p += 512 {
				binary.BigEndian.PutUint16(b[p+1:], 100)
				binary.BigEndian.PutUint16(b[p+100:], 100)
			}
		},
		"a page claims more cells than it can hold": func(b []byte) {
			for p := 512; p < len(b); p += 512 {
				binary.BigEndian.PutUint16(b[p+3:], 65535)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := bytes.Clone(clean)
			spoil(b)
			_, info := carved(t, b, nil)
			if info.Pages > int64(len(b)/512) || info.Bytes > 4*int64(len(b)) {
				t.Errorf("%d pages and %d bytes of a file of %d bytes", info.Pages, info.Bytes, len(b))
			}
		})
	}
}

// FuzzCarve looks for remnants and records in files that could be anything. Each byte is looked at a bounded number of times.
func FuzzCarve(f *testing.F) {
	f.Add(remains(f, fillT, "DELETE FROM t WHERE n > 20"), []byte(nil))
	f.Add(remains(f, fillT, "DROP TABLE t"), []byte("\x37\x7f\x06\x82\x00\x2d\xe2\x18\x00\x00\x02\x00"))
	f.Fuzz(func(t *testing.T, db, wal []byte) {
		found, info := carved(t, db, wal)
		if most := 4 * int64(len(db)+len(wal)); info.Bytes > most {
			t.Errorf("%d bytes handed on of files of %d", info.Bytes, most/4)
		}
		for _, what := range found {
			if len(what) > len(db)+len(wal) {
				t.Error("a value is longer than the files")
			}
		}
	})
}
