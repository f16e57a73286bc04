package sqlite

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/ncruces/go-sqlite3"
	"pgregory.net/rapid"

	"github.com/clawbook/openclaw-ir/internal/statetest"
)

// made makes a database on disk with stock settings, its write-ahead log left beside it, and returns its path.
func made(t *testing.T, sql string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.sqlite")
	conn, err := sqlite3.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Config(sqlite3.DBCONFIG_NO_CKPT_ON_CLOSE, true); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(conn.Exec("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;"+sql), conn.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

// inFiles reads the first column of a query from the files as they lie on disk, their log included.
func inFiles(t *testing.T, path, sql string) (values []string) {
	t.Helper()
	d := files{db: content(t, path), wal: content(t, path+"-wal")}.open(t, Options{})
	values, err := rows(d, sql)
	if err != nil {
		t.Fatal(err)
	}
	return values
}

func content(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return b
}

const twoRows = "CREATE TABLE t(a, b); CREATE INDEX i ON t(a) WHERE a IS NOT NULL; INSERT INTO t VALUES (1, 'one'), (2, 'two');"

func change(sql string) func(*Tx) error {
	return func(tx *Tx) error {
		if _, err := tx.Columns("t"); err != nil {
			return err
		}
		_, err := tx.Exec(sql)
		return err
	}
}

func TestEdit(t *testing.T) {
	t.Parallel()
	path := made(t, twoRows)
	db, wal := content(t, path), content(t, path+"-wal")
	var changed int
	err := Edit(context.Background(), path, func(tx *Tx) (err error) {
		if ok, err := tx.Has("t", "a", "b"); !ok || err != nil {
			t.Errorf("has: %v, %v", ok, err)
		}
		if ok, err := tx.Has("t", "c"); ok || err != nil {
			t.Errorf("has c: %v, %v", ok, err)
		}
		if ok, err := tx.Has("u"); ok || err != nil {
			t.Errorf("has u: %v, %v", ok, err)
		}
		changed, err = tx.Exec("UPDATE t SET b = ? WHERE a = ?", "three", 2)
		return err
	})
	if err != nil || changed != 1 {
		t.Fatal(changed, err)
	}
	if got := inFiles(t, path, "SELECT b FROM t"); strings.Join(got, " ") != "one three" {
		t.Errorf("%q", got)
	}
	if !bytes.Equal(db, content(t, path)) {
		t.Error("the main file was changed: a checkpoint ran")
	}
	if now := content(t, path+"-wal"); !bytes.HasPrefix(now, wal) || len(now) == len(wal) {
		t.Errorf("the log was not added to: %d bytes, then %d", len(wal), len(now))
	}
	if _, err := os.Lstat(path + "-shm"); err == nil {
		// made leaves one; the edit must not need it
		if err := os.Remove(path + "-shm"); err != nil {
			t.Fatal(err)
		}
	}
	if err := Edit(context.Background(), path, change("DELETE FROM t")); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path + "-shm"); err == nil {
		t.Error("a -shm file was made")
	}
}

func TestEditRollsBack(t *testing.T) {
	t.Parallel()
	path := made(t, twoRows)
	before := [][]byte{content(t, path), content(t, path+"-wal")}
	mine := errors.New("no")
	err := Edit(context.Background(), path, func(tx *Tx) error {
		return errors.Join(change("DELETE FROM t")(tx), mine)
	})
	if !errors.Is(err, mine) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	err = Edit(ctx, path, func(tx *Tx) error {
		err := change("DELETE FROM t")(tx)
		cancel()
		return err
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before the commit: %v", err)
	}
	if !bytes.Equal(before[0], content(t, path)) || !bytes.Equal(before[1], content(t, path+"-wal")) {
		t.Error("a transaction that failed left a trace")
	}
}

func TestEditRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		schema, message string
		prepare         func(t *testing.T, path string) string
	}{
		"computed column": {schema: "CREATE TABLE t(a, b AS (a+1));", message: "computed column"},
		"index expression": {
			schema:  "CREATE TABLE t(a, b); CREATE INDEX i ON t(abs(a));",
			message: `index "i" of table "t" computes`,
		},
		"partial index": {
			schema:  "CREATE TABLE t(a, b); CREATE INDEX i ON t(a) WHERE length(b) > 1;",
			message: `index "i" of table "t" computes`,
		},
		"view": {schema: "CREATE TABLE u(a, b); CREATE VIEW t AS SELECT * FROM u;", message: "cannot modify t"},
		"absent": {schema: twoRows, message: "no such file", prepare: func(t *testing.T, path string) string {
			return path + "x"
		}},
		"link": {schema: twoRows, message: "not a regular file", prepare: func(t *testing.T, path string) string {
			link := filepath.Join(t.TempDir(), "link")
			if err := os.Symlink(path, link); err != nil {
				t.Fatal(err)
			}
			return link
		}},
		"directory for a log": {schema: twoRows, message: "not a regular file", prepare: func(t *testing.T, path string) string {
			if err := errors.Join(os.Remove(path+"-wal"), os.Mkdir(path+"-wal", 0o700)); err != nil {
				t.Fatal(err)
			}
			return path
		}},
		"journal": {schema: twoRows, message: "rollback journal", prepare: func(t *testing.T, path string) string {
			if err := os.WriteFile(path+"-journal", []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
			return path
		}},
		"in use": {schema: twoRows, message: ErrInUse.Error(), prepare: func(t *testing.T, path string) string {
			conn, err := sqlite3.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { conn.Close() })
			if err := conn.Exec("SELECT * FROM t"); err != nil { // idle since, as a gateway's connection mostly is
				t.Fatal(err)
			}
			return path
		}},
		"no database": {schema: twoRows, message: "not a database", prepare: func(t *testing.T, path string) string {
			if err := errors.Join(os.Remove(path+"-wal"), os.WriteFile(path, []byte(strings.Repeat("no database ", 100)), 0o600)); err != nil {
				t.Fatal(err)
			}
			return path
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := made(t, test.schema)
			if test.prepare != nil {
				path = test.prepare(t, path)
			}
			before := statetest.Snapshot(t, filepath.Dir(path))
			err := Edit(context.Background(), path, change("UPDATE t SET a = 5"))
			if err == nil || !strings.Contains(err.Error(), test.message) {
				t.Errorf("error %v, want %q", err, test.message)
			}
			for file, was := range before {
				if now := statetest.Snapshot(t, filepath.Dir(path))[file]; now != was && !strings.HasSuffix(file, "-shm") {
					t.Errorf("%q was changed", file)
				}
			}
		})
	}
}

// TestEditRunsNoSchema: triggers, checks and cascades of a hostile schema stay unexecuted, and what is not vetted is
// not read.
func TestEditRunsNoSchema(t *testing.T) {
	t.Parallel()
	path := made(t, `CREATE TABLE loot(x); CREATE TABLE child(a REFERENCES t(a) ON DELETE CASCADE);
		CREATE TABLE t(a PRIMARY KEY, b CHECK (b <> 'x')); INSERT INTO t VALUES (1, 'one'); INSERT INTO child VALUES (1);
		CREATE TRIGGER after_update AFTER UPDATE ON t BEGIN INSERT INTO loot VALUES (NEW.b); END;
		CREATE TRIGGER after_delete BEFORE DELETE ON t BEGIN SELECT raise(ABORT, 'kept'); END;`)
	if err := Edit(context.Background(), path, change("UPDATE t SET b = 'x'")); err != nil {
		t.Error(err)
	}
	if err := Edit(context.Background(), path, change("DELETE FROM t")); err != nil {
		t.Error(err)
	}
	for sql, want := range map[string]string{"SELECT count(*) FROM loot": "0", "SELECT count(*) FROM child": "1", "SELECT count(*) FROM t": "0"} {
		if got := inFiles(t, path, sql); got[0] != want {
			t.Errorf("%s: %q, want %s", sql, got, want)
		}
	}
	for _, sql := range []string{"SELECT * FROM loot", "DELETE FROM loot", "ATTACH 'other' AS o", "DROP TABLE t", "UPDATE sqlite_master SET sql = ''"} {
		if err := Edit(context.Background(), path, change(sql)); err == nil {
			t.Errorf("%s: no error", sql)
		}
	}
}

// TestNamesInCapitals: a table is found, read and changed by its name however the schema spells it, as SQLite takes it.
func TestNamesInCapitals(t *testing.T) {
	t.Parallel()
	path := made(t, `CREATE TABLE "T"(A, "B"); INSERT INTO T VALUES (1, 'one'); CREATE TABLE Calc(a, b AS (a + 1) VIRTUAL)`)
	if err := Edit(context.Background(), path, change("UPDATE t SET b = 'two'")); err != nil {
		t.Error(err)
	}
	if got := inFiles(t, path, "SELECT b FROM T"); got[0] != "two" {
		t.Errorf("the row holds %q", got)
	}
	d := read(t, path).open(t, Options{})
	tables, err := d.Tables(context.Background())
	if err != nil || !slices.Equal(tables["t"], []string{"a", "b"}) || len(tables) != 2 {
		t.Errorf("tables %v, %v", tables, err)
	}
	if got, err := d.Check(context.Background()); err != nil || len(got) != 1 || !strings.Contains(got[0], `"calc" is not checked`) {
		t.Errorf("checked: %q, %v", got, err)
	}
}

// TestScrub: what was deleted is in neither file, however often rows came and went, and what was not is all there.
func TestScrub(t *testing.T) {
	t.Parallel()
	const secret = "sk-this-was-deleted-0123456789"
	rapid.Check(t, func(r *rapid.T) {
		n := rapid.IntRange(1, 40).Draw(r, "rows")
		pad := strings.Repeat("p", rapid.IntRange(0, 6000).Draw(r, "padding"))
		path := made(t, "PRAGMA auto_vacuum = INCREMENTAL; CREATE TABLE t(a INTEGER PRIMARY KEY, b);")
		err := Edit(context.Background(), path, func(tx *Tx) error {
			_, err := tx.Columns("t")
			return err
		})
		conn, openErr := sqlite3.Open(path)
		if err := errors.Join(err, openErr); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Config(sqlite3.DBCONFIG_NO_CKPT_ON_CLOSE, rapid.Bool().Draw(r, "log kept")); err != nil {
			t.Fatal(err)
		}
		stmt, _, err := conn.Prepare("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < ?1) INSERT INTO t SELECT i, ?2 || i || ?3 FROM n")
		if err == nil {
			err = errors.Join(stmt.BindInt(1, n), stmt.BindText(2, secret), stmt.BindText(3, pad), stmt.Exec(), stmt.Close())
		}
		err = errors.Join(err, conn.Exec("DELETE FROM t WHERE a % 2 = 0; UPDATE t SET b = 'kept'"), conn.Close())
		if err != nil {
			t.Fatal(err)
		}
		if err := Scrub(context.Background(), path); err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{path, path + "-wal"} {
			if bytes.Contains(content(t, file), []byte(secret)) {
				r.Fatalf("%s holds the secret", filepath.Base(file))
			}
		}
		if got := inFiles(t, path, "SELECT count(*) FROM t WHERE b = 'kept'"); got[0] != strconv.Itoa((n+1)/2) {
			r.Fatalf("%s rows of %d", got, n)
		}
	})
}

// TestRealDatabases edits and scrubs every database of the real states: nothing of their schemas is refused.
func TestRealDatabases(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"2026.3.31", "2026.7.1", "2026.9.6/running"} {
		root := statetest.Root(t, version)
		var paths []string
		err := filepath.WalkDir(root, func(path string, e os.DirEntry, err error) error {
			if strings.HasSuffix(path, ".sqlite") && !strings.Contains(path, "lock") && !strings.Contains(path, "generation") {
				paths = append(paths, path)
			}
			return err
		})
		if err != nil || len(paths) == 0 {
			t.Fatal(paths, err)
		}
		for _, path := range paths {
			tables := 0
			err := Edit(context.Background(), path, func(tx *Tx) error {
				var names []string
				err := tx.Each("SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite%'", func(r *Row) {
					names = append(names, string(r.Text(0)))
				})
				for _, name := range names {
					_, vetErr := tx.Columns(name)
					err = errors.Join(err, vetErr)
				}
				tables = len(names)
				return err
			})
			if err != nil {
				t.Error(err)
			}
			if err := Scrub(context.Background(), path); err != nil {
				t.Error(err)
			}
			d := files{db: content(t, path), wal: content(t, path+"-wal")}.open(t, Options{})
			if left, err := d.Tables(context.Background()); err != nil || len(left) < tables {
				t.Errorf("%s: %d tables of %d, %v", path, len(left), tables, err)
			}
			if problems, err := d.Check(context.Background()); err != nil || problems != nil {
				t.Errorf("%s: %q, %v", path, problems, err)
			}
		}
	}
}
