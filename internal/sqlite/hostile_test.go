package sqlite

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"time"
)

// soon is a context that ends before a test gets slow; within fails the test if a call outlived it by far.
func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	start := time.Now()
	t.Cleanup(func() {
		cancel()
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("took %v", took)
		}
	})
	return ctx
}

func TestSchemaIsNotRun(t *testing.T) {
	const keep = "CREATE TABLE good(x); INSERT INTO good VALUES ('kept');\n"
	for name, test := range map[string]struct{ schema, message string }{
		"view": {`CREATE VIEW transcript_events AS SELECT 1 AS event_json;`, `access to view "transcript_events" prohibited`},
		"view without end": {`CREATE VIEW transcript_events AS WITH RECURSIVE n(event_json) AS
			(SELECT 1 UNION ALL SELECT event_json+1 FROM n) SELECT * FROM n;`, `views are not run: ["transcript_events"]`},
		// Made by hand, for sqlite3 itself would hang in the insert.
		"computed column": {
			`CREATE TABLE transcript_events(x); INSERT INTO transcript_events VALUES (1);
			PRAGMA writable_schema=ON;
			UPDATE sqlite_schema SET sql = 'CREATE TABLE transcript_events(x, event_json AS
			(instr(printf(''%.*c'',50000000,''a''), printf(''%.*c'',25000000,''a'')||''b'')))' WHERE name = 'transcript_events';`,
			"access to transcript_events.event_json is prohibited",
		},
		"virtual table": {`CREATE VIRTUAL TABLE transcript_events USING fts5(event_json);`, "no such module"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := build(t, keep+test.schema+"\nsnap\n").open(t, Options{})
			if _, err := rows(d, "SELECT event_json FROM transcript_events"); err == nil || !strings.Contains(err.Error(), test.message) {
				t.Errorf("error %v, want %q", err, test.message)
			}
			if got, err := rows(d, "SELECT x FROM good"); err != nil || len(got) != 1 {
				t.Errorf("%q, %v", got, err)
			}
			if tables, err := d.Tables(soon(t)); err != nil || len(tables["good"]) != 1 {
				t.Errorf("%v, %v", tables, err)
			}
			problems, err := d.Check(soon(t))
			if err != nil || (len(problems) > 0) != (name == "computed column") {
				t.Errorf("%q, %v", problems, err)
			}
		})
	}
}

// TestCheckRunsNoSchema: a constraint and an index over an expression that fails when it is evaluated.
func TestCheckRunsNoSchema(t *testing.T) {
	t.Parallel()
	f := build(t, `CREATE TABLE t(a, CHECK (length('slow') = 4)); CREATE INDEX i ON t(length('slow'), a);
		INSERT INTO t VALUES (1), (2);`+"\nsnap\n")
	db := bytes.ReplaceAll(f.db, []byte("length('slow')"), []byte("abs(-1 << 63) ")) // integer overflow
	if bytes.Equal(db, f.db) {
		t.Fatal("no expression was replaced")
	}
	if problems, err := (files{db: db}).open(t, Options{}).Check(soon(t)); err != nil || problems != nil {
		t.Errorf("%q, %v", problems, err)
	}
}

func TestInterrupted(t *testing.T) {
	t.Parallel()
	d := build(t, rollbackStart+"snap\n").open(t, Options{})
	for _, sql := range []string{
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT i FROM n WHERE i < 0",
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT i FROM n",
		"SELECT count(*) FROM t a, t b, t c, t d",
	} {
		var err error
		for _, err = range d.Query(soon(t), sql) {
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", sql, err)
		}
	}
	if got, err := rows(d, "SELECT count(*) FROM t"); err != nil || got[0] != "300" {
		t.Errorf("after an interrupted query: %q, %v", got, err)
	}
}

// TestEndlessTree reads a table whose interior pages all have hundreds of pointers to the next one.
func TestEndlessTree(t *testing.T) {
	t.Parallel()
	const size, levels, fanout = 4096, 16, 500
	f := build(t, "CREATE TABLE t(a INTEGER PRIMARY KEY, b); INSERT INTO t VALUES (1, 'x');\nsnap\n")
	leaf := f.db[size : 2*size]
	tree := bytes.Clone(f.db[:size])
	binary.BigEndian.PutUint32(tree[28:], levels+2)
	for level := range uint32(levels) {
		page := make([]byte, size)
		page[0] = 5
		binary.BigEndian.PutUint16(page[3:], fanout)
		binary.BigEndian.PutUint16(page[5:], size-5*fanout)
		binary.BigEndian.PutUint32(page[8:], level+3)
		for i := range fanout {
			cell := size - 5*(i+1)
			binary.BigEndian.PutUint16(page[12+2*i:], uint16(cell))
			binary.BigEndian.PutUint32(page[cell:], level+3)
			page[cell+4] = 1
		}
		tree = append(tree, page...)
	}
	d := files{db: append(tree, leaf...)}.open(t, Options{})
	for _, sql := range []string{"SELECT a FROM t", "SELECT count(*) FROM t", "SELECT count(b) FROM t", "SELECT max(b) FROM t"} {
		var err error
		for _, err = range d.Query(soon(t), sql) {
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", sql, err)
		}
	}
	if problems, err := d.Check(soon(t)); err == nil && problems == nil {
		t.Error("the check found nothing")
	}
}

// TestGreatPageCount: what is claimed costs nothing.
func TestGreatPageCount(t *testing.T) {
	t.Parallel()
	f := build(t, rollbackStart+"snap\n")
	binary.BigEndian.PutUint32(f.db[28:], 0xffffffff)
	d := f.open(t, Options{})
	if got, err := rows(d, "SELECT count(*) FROM t"); err != nil || got[0] != "300" {
		t.Errorf("%q, %v", got, err)
	}
	if problems, err := d.Check(soon(t)); err != nil || len(problems) != 1 {
		t.Errorf("%q, %v", problems, err)
	}
}

// TestOutOfMemory: a query that needs more than a database may use ends, and so does the use of this DB.
func TestOutOfMemory(t *testing.T) {
	t.Parallel()
	d := build(t, rollbackStart+"snap\n").open(t, Options{})
	if _, err := rows(d, `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 9)
		SELECT zeroblob(60000000 + i) AS x FROM n ORDER BY x`); err == nil || !strings.Contains(err.Error(), "out of memory") {
		t.Error(err)
	}
	if _, err := rows(d, "SELECT 1"); err == nil {
		t.Error("still in use")
	}
}

func TestLongValue(t *testing.T) {
	t.Parallel()
	f := build(t, `CREATE TABLE t(a INTEGER PRIMARY KEY, b);
		INSERT INTO t VALUES (1, 'x'), (2, zeroblob(67108864)), (3, zeroblob(67108865)), (4, 'y');`+"\nsnap\n")
	d := f.open(t, Options{})
	got := 0
	var failed error
	for r, err := range d.Query(context.Background(), "SELECT a, b FROM t") {
		if failed = err; err == nil {
			got += len(r.Bytes(1))
		}
	}
	want(t, got, 1+MaxValue)
	if failed == nil || !strings.Contains(failed.Error(), "row 3: ") || !strings.Contains(failed.Error(), "too big") {
		t.Error(failed)
	}
	var long []int64
	for r, err := range d.Query(context.Background(),
		"SELECT a, octet_length(b), CASE WHEN octet_length(b) <= 67108864 THEN b END FROM t") {
		if err != nil {
			t.Fatal(err)
		}
		if r.Null(2) {
			long = append(long, r.Int(0), r.Int(1))
		}
	}
	if len(long) != 2 || long[0] != 3 || long[1] != MaxValue+1 {
		t.Error(long)
	}
}

// TestDamagedSchema: one bad entry must not hide the tables beside it, nor be passed over in silence.
func TestDamagedSchema(t *testing.T) {
	t.Parallel()
	f := build(t, "CREATE TABLE t(a, b); INSERT INTO t VALUES (1, 2); CREATE TABLE evil(x);\nsnap\n")
	d := files{db: bytes.Replace(f.db, []byte("CREATE TABLE evil("), []byte("CREATE TABLE (evil"), 1)}.open(t, Options{})
	got, err := rows(d, listRows)
	if len(got) != 1 || err == nil || !strings.Contains(err.Error(), "malformed database schema") {
		t.Errorf("%q, %v", got, err)
	}
	tables, err := d.Tables(soon(t))
	if len(tables) != 1 || err == nil {
		t.Errorf("%v, %v", tables, err)
	}
	if _, err := d.Check(soon(t)); err == nil {
		t.Error("check: no error")
	}
}
