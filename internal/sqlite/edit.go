package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ncruces/go-sqlite3"
)

// ErrInUse means that another process has the database open, so that it is not changed.
var ErrInUse = errors.New("another process has the database open")

// editBusy is how long the lock of another process is waited for.
const editBusy = 500 * time.Millisecond

// A Tx is the one transaction of an Edit.
type Tx struct {
	d      *DB
	ctx    context.Context
	vetted map[string][]string // tables that were looked at, with their columns
}

// Edit changes the database at path, on this machine, in one transaction, which is committed if do returns no error
// and leaves no trace otherwise. It opens with mode rw what is there and makes no database. The write-ahead log is
// read, kept and added to: it is neither copied into the main file nor removed, for what it holds is evidence. The
// -shm file is not opened.
//
// The process that had the database open must be dead: while another one has it open, the error wraps [ErrInUse].
// Nothing that the schema says is executed, as in [Open]: no trigger, no view, no constraint, no computed column and
// no function in an index. So who calls it keeps up by hand what the triggers of the real schema would.
//
// All files are touched on the calling goroutine, so it can run within host.As. A path whose last component is a
// link, and one beside which lies a rollback journal, is refused: playing that back could delete other files.
func Edit(ctx context.Context, path string, do func(*Tx) error) error {
	if err := edit(ctx, path, maxMemory, do); err != nil {
		return fmt.Errorf("changing the database %q: %w", path, err)
	}
	return nil
}

func edit(ctx context.Context, path string, memory int64, do func(*Tx) error) (err error) {
	t, err := openToEdit(ctx, path, memory)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	if err := t.run("BEGIN EXCLUSIVE"); err != nil {
		return err
	}
	if err := do(t); err != nil {
		return errors.Join(err, t.rollback())
	}
	if err := t.run("COMMIT"); err != nil {
		return errors.Join(err, t.rollback())
	}
	return nil
}

// openToEdit opens the database for the one user that there may be.
func openToEdit(ctx context.Context, path string, memory int64) (*Tx, error) {
	path, err := plainFiles(path)
	if err != nil {
		return nil, err
	}
	t := &Tx{d: &DB{view: new(overlay), schema: schema{tables: map[string][]string{}}}, ctx: ctx, vetted: map[string][]string{}}
	err = t.d.guard(func() (err error) {
		name := (&url.URL{Scheme: "file", Path: path, RawQuery: "mode=rw"}).String()
		t.d.conn, err = sqlite3.OpenContext(sqlite3.WithMaxMemory(ctx, memory), name)
		if err != nil {
			return err
		}
		return t.harden()
	})
	if err != nil {
		return nil, errors.Join(t.explain(err), t.close())
	}
	return t, nil
}

// plainFiles checks that the database and what lies beside it are regular files, and returns the path with the links
// of its directory followed: the VFS opens the last component with O_NOFOLLOW.
func plainFiles(path string) (string, error) {
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return "", err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return "", err
	}
	path = filepath.Join(dir, filepath.Base(path))
	for _, suffix := range []string{"", "-wal", "-journal"} {
		fi, err := os.Lstat(path + suffix)
		switch {
		case suffix != "" && errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return "", err
		case !fi.Mode().IsRegular():
			return "", fmt.Errorf("%q is not a regular file", path+suffix)
		case suffix == "-journal" && fi.Size() > 0:
			return "", fmt.Errorf("a rollback journal lies beside it; a write was cut short")
		}
	}
	return path, nil
}

// harden takes from SQLite what a hostile schema could abuse, and what would change more than is asked for.
func (t *Tx) harden() error {
	conn := t.d.conn
	if err := t.d.harden(); err != nil {
		return err
	}
	for op, on := range map[sqlite3.DBConfig]bool{
		sqlite3.DBCONFIG_NO_CKPT_ON_CLOSE: true,
		sqlite3.DBCONFIG_ENABLE_FKEY:      false, // a cascade would delete evidence
	} {
		if _, err := conn.Config(op, on); err != nil {
			return err
		}
	}
	if err := conn.BusyTimeout(editBusy); err != nil {
		return err
	}
	if err := conn.SetAuthorizer(t.authorize); err != nil {
		return err
	}
	// Exclusive from the first access on: no other process can be connected, and the index of the log is kept in
	// memory of our own instead of the -shm file.
	return conn.Exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA wal_autocheckpoint = 0; PRAGMA synchronous = FULL")
}

// authorize lets statements read the schema and read and change vetted tables.
func (t *Tx) authorize(action sqlite3.AuthorizerActionCode, table, _, _, _ string) sqlite3.AuthorizerReturnCode {
	switch action {
	case sqlite3.AUTH_SELECT, sqlite3.AUTH_FUNCTION, sqlite3.AUTH_PRAGMA, sqlite3.AUTH_TRANSACTION:
		return sqlite3.AUTH_OK
	case sqlite3.AUTH_READ, sqlite3.AUTH_UPDATE, sqlite3.AUTH_DELETE:
		_, vetted := t.vetted[table]
		if vetted || action == sqlite3.AUTH_READ && (table == "sqlite_master" || strings.HasPrefix(table, "pragma_")) {
			return sqlite3.AUTH_OK
		}
	}
	return sqlite3.AUTH_DENY
}

// Columns returns the columns of a table, none if there is no such table, and lets it be read and changed from now on.
// The error says why changing it would run code of the schema: then it is left alone.
func (t *Tx) Columns(table string) ([]string, error) {
	var columns []string
	var odd error
	name := table // as the schema spells it, and whoever asks for leave to read it
	err := t.each(`SELECT x.name, x.hidden, l.name FROM pragma_table_list l, pragma_table_xinfo(l.name, 'main') x
		WHERE l.schema = 'main' AND l.name = ? COLLATE NOCASE AND l.type = 'table'`, []any{table}, func(r *Row) {
		name, columns = string(r.Text(2)), append(columns, fold(string(r.Text(0))))
		if r.Int(1) != 0 {
			odd = fmt.Errorf("table %q has a computed column %.50q", table, r.Text(0))
		}
	})
	if err == nil && odd == nil {
		odd, err = t.oddIndex(table)
	}
	if err = errors.Join(err, odd); err != nil {
		return nil, err
	}
	if columns != nil {
		t.vetted[name] = columns
	}
	return columns, nil
}

// plainCall is what may stand before a bracket in an index: the real schema's indexes name columns, stand in for NULL
// and compare with lists of constants. Anything else could be made to take for ever.
var plainCall = regexp.MustCompile(`(?i)(^|\W)(coalesce|ifnull|in)\s*\(`)

// oddIndex tells an index that computes more than that.
func (t *Tx) oddIndex(table string) (odd, err error) {
	err = t.each(`SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name = ? COLLATE NOCASE`, []any{table}, func(r *Row) {
		sql := plainCall.ReplaceAllString(string(r.Text(1)), " ")
		if strings.Count(sql, "(") > 1 {
			odd = fmt.Errorf("index %.50q of table %q computes", r.Text(0), table)
		}
	})
	return odd, err
}

// Has reports whether a table is there with all these columns. Like [Tx.Columns] it lets it be changed.
func (t *Tx) Has(table string, columns ...string) (bool, error) {
	have, err := t.Columns(table)
	if err != nil || have == nil {
		return false, err
	}
	for _, c := range columns {
		if !slices.Contains(have, c) {
			return false, nil
		}
	}
	return true, nil
}

// Exec runs one statement and returns how many rows it changed. Arguments are those of [DB.Query].
func (t *Tx) Exec(sql string, args ...any) (changed int, err error) {
	before := t.changes()
	if err := t.each(sql, args, func(*Row) {}); err != nil {
		return 0, err
	}
	return int(t.changes() - before), nil
}

// Each runs a query and calls f with each row, which is valid until f returns.
func (t *Tx) Each(sql string, f func(*Row), args ...any) error { return t.each(sql, args, f) }

func (t *Tx) each(sql string, args []any, f func(*Row)) error {
	return t.explain(t.d.rows(t.ctx, sql, args, func(r *Row) bool { f(r); return true }))
}

func (t *Tx) run(sql string) error { return t.each(sql, nil, func(*Row) {}) }

func (t *Tx) changes() (n int64) {
	_ = t.d.guard(func() error { n = t.d.conn.TotalChanges(); return nil })
	return n
}

// rollback ends a transaction that is to leave no trace. A database that SQLite broke off is closed without.
func (t *Tx) rollback() error {
	t.ctx = context.WithoutCancel(t.ctx)
	return t.d.guard(func() error {
		t.d.conn.SetInterrupt(t.ctx)
		if t.d.conn.GetAutocommit() {
			return nil
		}
		return t.d.conn.Exec("ROLLBACK")
	})
}

func (t *Tx) close() error { return t.d.Close() }

// explain names the one error that a caller has to tell.
func (t *Tx) explain(err error) error {
	if errors.Is(err, sqlite3.BUSY) || errors.Is(err, sqlite3.LOCKED) {
		return ErrInUse
	}
	return err
}
