// Package sqlite reads SQLite databases that are evidence: the main file with the committed pages of its
// write-ahead log or hot journal laid over it, from any io.ReaderAt.
//
// It never writes, never creates a file (no -shm, no temporary file) and never takes a lock.
// Nothing that the schema says is executed: views, triggers and computed columns are refused, because
// whoever could write the database could make them run for ever. SQLite itself runs in memory of its own,
// bounded and bounds-checked, so that a database made to exploit it ends in an error.
//
// A missing or torn page is an error when a query comes to it, after the rows before it.
package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/vfs/readervfs"
)

// MaxValue is the size in bytes of the longest text or blob that is read. A longer one ends its query in an
// error. A query that must get past it asks for less and for the size, which costs no reading:
//
//	SELECT rowid, octet_length(x), CASE WHEN octet_length(x) <= 67108864 THEN x END FROM t
const MaxValue = 64 << 20

// maxMemory bounds what SQLite may use in all for one database: a few values of the greatest size.
const maxMemory = 256 << 20

// Source is a file as random-access bytes of known size. The zero Source stands for no file.
type Source struct {
	R    io.ReaderAt
	Size int64
}

// readAt fills p. A source that ends before that is io.ErrUnexpectedEOF.
func (s Source) readAt(p []byte, off int64) error {
	if len(p) == 0 {
		return nil
	}
	if off < 0 || off+int64(len(p)) > s.Size {
		return io.ErrUnexpectedEOF
	}
	n, err := s.R.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || err == io.EOF { // shorter than it said
		return io.ErrUnexpectedEOF
	}
	return err
}

// Options name what lies beside the database. The zero Options are a database on its own.
type Options struct {
	WAL     Source // the file with the suffix -wal
	Journal Source // the file with the suffix -journal

	// MaxCommit, if positive, lays only so many commits of the log over the database: its state in the past.
	// Pages that a checkpoint has copied into the main file since then are newer than that; where a row can
	// not be true to its time, integrity errors are to be expected.
	MaxCommit int
}

// LogInfo says what the database was read with.
type LogInfo struct {
	PageSize int // bytes
	WAL      WALInfo
	Journal  JournalInfo
}

// DB is an open database. It is for one goroutine at a time; any number of DBs may be used at once.
type DB struct {
	conn   *sqlite3.Conn
	view   *overlay
	log    LogInfo
	schema schema
	damage error // what of the schema could not be read
	broken error // set once SQLite broke off: it is not called again
	leak   bool  // its memory is in no known state, so even closing is not safe
}

// A schema is what a database says it holds.
type schema struct {
	tables   map[string][]string // their columns, in order; nil until the schema is known
	computed map[column]bool     // columns whose value the schema computes
	views    []string            // their names
}

type column struct{ table, name string }

// Open opens a database. It reads the log once, to check and index it, but no table:
// a damaged schema is an error of the first query. The sources must stay open until Close.
func Open(db Source, o Options) (*DB, error) {
	view, info, err := newOverlay(db, o)
	if err != nil {
		return nil, fmt.Errorf("opening the database: %w", err)
	}
	d := &DB{view: view, log: info}
	if err := d.guard(d.connect); err != nil {
		d.Close()
		return nil, fmt.Errorf("opening the database: %w", err)
	}
	return d, nil
}

// connect starts a SQLite of its own for the database.
func (d *DB) connect() (err error) {
	name := fmt.Sprintf("%p", d) // unlike any other open database's
	readervfs.Create(name, d.view)
	defer readervfs.Delete(name)
	ctx := sqlite3.WithMaxMemory(context.Background(), maxMemory)
	d.conn, err = sqlite3.OpenContext(ctx, "file:"+name+"?vfs=reader&mode=ro")
	if err != nil {
		return err
	}
	return d.harden()
}

// harden takes from SQLite what evidence could abuse (https://sqlite.org/security.html).
func (d *DB) harden() error {
	for op, on := range map[sqlite3.DBConfig]bool{
		sqlite3.DBCONFIG_DEFENSIVE:      true,
		sqlite3.DBCONFIG_TRUSTED_SCHEMA: false,
		sqlite3.DBCONFIG_ENABLE_TRIGGER: false,
		sqlite3.DBCONFIG_ENABLE_VIEW:    false,
	} {
		if _, err := d.conn.Config(op, on); err != nil {
			return err
		}
	}
	for id, n := range map[sqlite3.LimitCategory]int{
		sqlite3.LIMIT_LENGTH:              MaxValue,
		sqlite3.LIMIT_SQL_LENGTH:          1 << 20,
		sqlite3.LIMIT_EXPR_DEPTH:          500,
		sqlite3.LIMIT_COMPOUND_SELECT:     50,
		sqlite3.LIMIT_ATTACHED:            0,
		sqlite3.LIMIT_LIKE_PATTERN_LENGTH: 256, // matching takes pattern times text
	} {
		d.conn.Limit(id, n)
	}
	// CHECK constraints are code of the schema too, and sorting must not spill to a file.
	err := d.conn.Exec(`PRAGMA temp_store = MEMORY; PRAGMA ignore_check_constraints = ON`)
	if err != nil {
		return err
	}
	if err := interruptibleCount(d.conn); err != nil {
		return err
	}
	return d.conn.SetAuthorizer(d.authorize)
}

// authorize allows reading and nothing else, and no column that the schema computes.
func (d *DB) authorize(action sqlite3.AuthorizerActionCode, arg, col, _, _ string) sqlite3.AuthorizerReturnCode {
	switch action {
	case sqlite3.AUTH_SELECT, sqlite3.AUTH_FUNCTION, sqlite3.AUTH_RECURSIVE, sqlite3.AUTH_PRAGMA:
		return sqlite3.AUTH_OK
	case sqlite3.AUTH_READ:
		if !d.schema.computed[column{arg, col}] {
			return sqlite3.AUTH_OK
		}
	}
	return sqlite3.AUTH_DENY
}

// guard calls into SQLite, whose wrapper panics when memory runs out or is used out of bounds.
func (d *DB) guard(call func() error) (err error) {
	if d.broken != nil {
		return d.broken
	}
	defer func() {
		if p := recover(); p != nil {
			err = d.breakOff(p)
		}
	}()
	return call()
}

// breakOff notes that SQLite panicked. Want of memory it reports in good order; anything else it does not.
func (d *DB) breakOff(p any) error {
	reported, isError := p.(error)
	_, crashed := reported.(runtime.Error)
	d.leak = !isError || crashed
	d.broken = fmt.Errorf("SQLite broke off: %v", p)
	return d.broken
}

// Log says what the database was read with: what its log and its journal held.
func (d *DB) Log() LogInfo { return d.log }

// Close frees the database. Bytes that a Row gave out are not to be touched after it.
func (d *DB) Close() error {
	conn := d.conn
	d.conn = nil
	d.broken = errors.Join(d.broken, errClosed)
	if conn == nil || d.leak {
		return nil
	}
	for _, s := range slices.Collect(conn.Stmts()) {
		quietly(s.Close) // repeats the error of its last step
	}
	return quietly(conn.Close)
}

var errClosed = errors.New("the database is closed")

// quietly calls f and turns a panic into an error.
func quietly(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("SQLite broke off: %v", p)
		}
	}()
	return f()
}
