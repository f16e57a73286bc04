package sqlite

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
)

// files are a database, its log and its journal as bytes; nil stands for none.
type files struct{ db, wal, journal []byte }

func source(b []byte) Source {
	if b == nil {
		return Source{}
	}
	return Source{bytes.NewReader(b), int64(len(b))}
}

func (f files) open(t testing.TB, o Options) *DB {
	t.Helper()
	d, err := f.tryOpen(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func (f files) tryOpen(o Options) (*DB, error) {
	o.WAL, o.Journal = source(f.wal), source(f.journal)
	return Open(source(f.db), o)
}

// write puts the files into a fresh directory and returns the database's path.
func (f files) write(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.db")
	for suffix, b := range map[string][]byte{"": f.db, "-wal": f.wal, "-journal": f.journal} {
		if b != nil {
			if err := os.WriteFile(path+suffix, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	return path
}

func read(t testing.TB, path string) files {
	t.Helper()
	get := func(suffix string) []byte {
		b, err := os.ReadFile(path + suffix)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		return b
	}
	return files{get(""), get("-wal"), get("-journal")}
}

// cli runs the sqlite3 command on a script.
func cli(t testing.TB, path, script string) (string, error) {
	t.Helper()
	bin, err := exec.LookPath("sqlite3")
	if err != nil {
		t.Skip("sqlite3 is not installed")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	c := exec.CommandContext(ctx, bin, "-batch", "-bail", path)
	c.Dir = filepath.Dir(path)
	c.Stdin = strings.NewReader(script)
	out, err := c.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		err = fmt.Errorf("%w: %s", err, exit.Stderr)
	}
	return string(out), err
}

// build runs a script on a new database x.db. A line "snap" in the script takes the files,
// while the sqlite3 command still has them open.
func build(t testing.TB, script string) files {
	t.Helper()
	dir := t.TempDir()
	copies := `for s in "" -wal -journal; do if [ -e x.db$s ]; then cp x.db$s snap.db$s; fi; done`
	if err := os.WriteFile(filepath.Join(dir, "snap"), []byte(copies), 0o600); err != nil {
		t.Fatal(err)
	}
	script = regexp.MustCompile(`(?m)^\s*snap$`).ReplaceAllString(script, ".shell sh snap")
	if _, err := cli(t, filepath.Join(dir, "x.db"), script); err != nil {
		t.Fatal(err)
	}
	f := read(t, filepath.Join(dir, "snap.db"))
	if f.db == nil {
		t.Fatal("the script took no snapshot")
	}
	return f
}

const listRows = `SELECT quote(a) || '|' || quote(b) FROM t ORDER BY rowid`

// rows runs a query whose rows are one text, and returns those before the error, if any.
func rows(d *DB, sql string, args ...any) (lines []string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for r, err := range d.Query(ctx, sql, args...) {
		if err != nil {
			return lines, err
		}
		lines = append(lines, string(r.Text(0)))
	}
	return lines, nil
}

// reference is what the sqlite3 command reads from a copy of f.
func reference(t testing.TB, f files, sql string) ([]string, error) {
	t.Helper()
	out, err := cli(t, f.write(t), sql+";\n")
	return strings.Split(strings.TrimSuffix(out, "\n"), "\n"), err
}

// wal is a script's start: table t with 300 rows in the main file.
const walStart = `PRAGMA journal_mode=wal; PRAGMA wal_autocheckpoint=0;
	CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT, c INT);
	CREATE INDEX ti ON t(b);
	WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 300)
	INSERT INTO t SELECT i, printf('%0*d', i*7 % 900, i), 0 FROM n;
	PRAGMA wal_checkpoint(truncate);
`

const rollbackStart = `CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT, c INT);
	CREATE INDEX ti ON t(b);
	WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 300)
	INSERT INTO t SELECT i, printf('%0*d', i*7 % 900, i), 0 FROM n;
`

var inLog = walStart + `INSERT INTO t VALUES (1001, 'first', 1);
	BEGIN; INSERT INTO t VALUES (1002, 'second', 1); DELETE FROM t WHERE a <= 20; COMMIT;
	UPDATE t SET b = 'third' WHERE a = 100;
	snap
`

func TestAgreesWithSQLite(t *testing.T) {
	for name, test := range map[string]struct {
		script string
		edit   func(*files)
		check  func(*testing.T, LogInfo)
	}{
		"no log": {rollbackStart + "snap\n", nil, nil},
		"log":    {inLog, nil, func(t *testing.T, l LogInfo) { want(t, l.WAL.Commits, 3); want(t, l.WAL.Ignored, 0) }},
		"all in the log": {
			strings.ReplaceAll(inLog, "PRAGMA wal_checkpoint(truncate);", ""), nil,
			func(t *testing.T, l LogInfo) { want(t, l.WAL.Stopped, "") },
		},
		"small pages":       {"PRAGMA page_size=512;" + inLog, nil, func(t *testing.T, l LogInfo) { want(t, l.PageSize, 512) }},
		"great pages":       {"PRAGMA page_size=65536;" + inLog, nil, func(t *testing.T, l LogInfo) { want(t, l.PageSize, 65536) }},
		"shrunk in the log": {"PRAGMA auto_vacuum=1;" + walStart + "DELETE FROM t WHERE a > 5;\nsnap\n", nil, nil},
		// SQLite writes pages of a long transaction before its end, with checksums that hold only after it.
		"uncommitted": {walStart + `INSERT INTO t VALUES (1001, 'kept', 1);
			PRAGMA cache_size=2; BEGIN; UPDATE t SET b = b || 'lost';
			snap
			ROLLBACK;`, nil, func(t *testing.T, l LogInfo) {
			want(t, l.WAL.Commits, 1)
			want(t, l.WAL.Ignored > 10, true)
		}},
		"last commit missing": {inLog, func(f *files) {
			clear(f.wal[len(f.wal)-4096-frameHeader+4:][:4])
			reseal(f.wal)
		}, func(t *testing.T, l LogInfo) {
			want(t, l.WAL.Commits, 2)
			want(t, l.WAL.Uncommitted > 0, true)
			want(t, l.WAL.Ignored, l.WAL.Uncommitted)
			want(t, l.WAL.Stopped, "")
		}},
		"stale frames": {walStart + `UPDATE t SET b = b || 'old'; PRAGMA wal_checkpoint(restart);
			INSERT INTO t VALUES (1001, 'new', 1);
			snap
			`, nil, func(t *testing.T, l LogInfo) {
			want(t, l.WAL.Stopped, StopSalts)
			want(t, l.WAL.Commits, 1)
			want(t, l.WAL.Ignored > 10, true)
		}},
		"big-endian checksums": {
			inLog, func(f *files) { f.wal = bigEndian(f.wal) },
			func(t *testing.T, l LogInfo) { want(t, l.WAL.Applied, 3) },
		},
		"empty log": {inLog, func(f *files) { f.wal = []byte{} }, func(t *testing.T, l LogInfo) { want(t, l.WAL, WALInfo{}) }},
		"garbage for a log": {
			inLog, func(f *files) { f.wal = bytes.Repeat([]byte("garbage!"), 2000) },
			func(t *testing.T, l LogInfo) { want(t, l.WAL.Stopped, StopHeader) },
		},
		"log's header changed": {inLog, func(f *files) { f.wal[17]++ }, func(t *testing.T, l LogInfo) { want(t, l.WAL.Stopped, StopHeader) }},
		"last frame changed": {inLog, func(f *files) { f.wal[len(f.wal)-9]++ }, func(t *testing.T, l LogInfo) {
			want(t, l.WAL.Stopped, StopChecksum)
			want(t, l.WAL.Applied, 2)
		}},
		"last frame cut short": {inLog, func(f *files) { f.wal = f.wal[:len(f.wal)-9] }, func(t *testing.T, l LogInfo) {
			want(t, l.WAL.Stopped, StopShort)
			want(t, l.WAL.Applied, 2)
		}},
		"hot journal": {rollbackStart + `PRAGMA cache_size=2; BEGIN; UPDATE t SET b = b || 'lost', c = 5; DELETE FROM t WHERE a > 250;
			INSERT INTO t SELECT a + 2000, b, c FROM t;
			snap
			ROLLBACK;`, nil, func(t *testing.T, l LogInfo) {
			want(t, l.Journal.Applied, true)
			want(t, l.Journal.Pages > 10, true)
			want(t, l.Journal.Why, "")
		}},
		"hot journal with small pages": {`PRAGMA page_size=512;` + rollbackStart + `PRAGMA cache_size=2; BEGIN; UPDATE t SET b = b || 'lost';
			snap
			ROLLBACK;`, nil, func(t *testing.T, l LogInfo) { want(t, l.Journal.Applied, true) }},
		"persistent journal": {`PRAGMA journal_mode=persist;` + rollbackStart + `UPDATE t SET b = b || 'kept';
			snap
			`, nil, func(t *testing.T, l LogInfo) { want(t, l.Journal.Why != "", true); want(t, l.Journal.Applied, false) }},
		"garbage for a journal": {
			rollbackStart + "snap\n", func(f *files) { f.journal = []byte(strings.Repeat("x", 5000)) },
			func(t *testing.T, l LogInfo) { want(t, l.Journal.Applied, false) },
		},
		// The other file that it names is not there, so SQLite takes the transaction for committed.
		"journal of several databases": {
			rollbackStart + `PRAGMA cache_size=2; BEGIN; UPDATE t SET b = b || 'kept';
			snap
			ROLLBACK;`, func(f *files) { f.journal = append(f.journal, superJournal("/nonexistent/x-mj0")...) },
			func(t *testing.T, l LogInfo) { want(t, l.Journal.Applied, false) },
		},
		"journal with a changed record": {
			rollbackStart + `PRAGMA cache_size=2; BEGIN; UPDATE t SET b = b || 'lost';
			snap
			ROLLBACK;`, func(f *files) { f.journal[512+4+4096-200]++ },
			func(t *testing.T, l LogInfo) { want(t, l.Journal.Why != "", true); want(t, l.Journal.Applied, true) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := build(t, test.script)
			if test.edit != nil {
				test.edit(&f)
			}
			expect, refErr := reference(t, f, listRows)
			d := f.open(t, Options{})
			got, err := rows(d, listRows)
			if (err == nil) != (refErr == nil) {
				t.Fatalf("error %v, sqlite3 has %v", err, refErr)
			}
			if diff := cmp.Diff(expect, got); diff != "" && err == nil {
				t.Fatal(diff)
			}
			sound, _ := reference(t, f, "PRAGMA quick_check")
			problems, err := d.Check(context.Background())
			if err != nil || (problems == nil) != slices.Equal(sound, []string{"ok"}) {
				t.Errorf("check: %q %v, sqlite3 has %q", problems, err, sound)
			}
			if test.check != nil {
				test.check(t, d.Log())
			}
		})
	}
}

// superJournal is what SQLite adds to a journal to name the super-journal.
func superJournal(name string) []byte {
	b := binary.BigEndian.AppendUint32(nil, pendingByte/4096+1)
	b = append(b, name...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(name)))
	sum := uint32(0)
	for _, c := range []byte(name) {
		sum += uint32(c)
	}
	return append(binary.BigEndian.AppendUint32(b, sum), journalMagic...)
}

// TestReadAsRollback: SQLite must not see that the database has a log, or it might look for one.
func TestReadAsRollback(t *testing.T) {
	t.Parallel()
	f := build(t, inLog)
	want(t, string(f.db[18:20]), "\x02\x02")
	d := f.open(t, Options{})
	for _, r := range [][2]int64{{0, 100}, {18, 1}, {19, 1}, {0, 4096}} {
		b := make([]byte, r[1])
		if _, err := d.view.ReadAt(b, r[0]); err != nil {
			t.Fatal(err)
		}
		for at := max(18, r[0]); at < min(20, r[0]+r[1]); at++ {
			want(t, b[at-r[0]], 1)
		}
	}
}

func want[T comparable](t *testing.T, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

// bigEndian rewrites a log's checksums as a big-endian machine would have made them.
func bigEndian(wal []byte) []byte {
	w := bytes.Clone(wal)
	binary.BigEndian.PutUint32(w, walMagic|1)
	return reseal(w)
}

// reseal makes the checksums of a log's header and frames hold, and the frames' salts the header's.
func reseal(w []byte) []byte {
	if len(w) < walHeaderSize {
		return w
	}
	sum := checksum{big: w[3]&1 != 0}
	put := func(at int) {
		binary.BigEndian.PutUint32(w[at:], sum.s0)
		binary.BigEndian.PutUint32(w[at+4:], sum.s1)
	}
	sum.add(w[:24])
	put(24)
	size := int(binary.BigEndian.Uint32(w[8:]))
	if !validPageSize(int64(size)) {
		return w
	}
	for at := walHeaderSize; at+frameHeader+size <= len(w); at += frameHeader + size {
		copy(w[at+8:], w[16:24])
		sum.add(w[at : at+8])
		sum.add(w[at+frameHeader : at+frameHeader+size])
		put(at + 16)
	}
	return w
}

func TestForeignLog(t *testing.T) {
	t.Parallel()
	f := build(t, inLog)
	plain, err := reference(t, files{db: f.db}, listRows)
	if err != nil {
		t.Fatal(err)
	}
	f.wal = build(t, "PRAGMA page_size=1024;"+inLog).wal
	d := f.open(t, Options{})
	got, err := rows(d, listRows)
	if err != nil || !slices.Equal(got, plain) {
		t.Errorf("%d rows, want %d: %v", len(got), len(plain), err)
	}
	want(t, d.Log().WAL.Stopped, StopPageSize)
	want(t, d.Log().WAL.Applied, 0)
	want(t, d.Log().WAL.Ignored, d.Log().WAL.Frames)
}

// TestForeignLogAlike: nothing tells a log of another database with pages of the same size apart.
func TestForeignLogAlike(t *testing.T) {
	t.Parallel()
	f := build(t, inLog)
	f.wal = build(t, `PRAGMA journal_mode=wal; CREATE TABLE t(a, b); INSERT INTO t VALUES (7, 'other');`+"\nsnap\n").wal
	expect, refErr := reference(t, f, listRows)
	got, err := rows(f.open(t, Options{}), listRows)
	if (err == nil) != (refErr == nil) || err == nil && !slices.Equal(got, expect) {
		t.Errorf("%q %v, sqlite3 has %q %v", got, err, expect, refErr)
	}
}

func TestSharesSchema(t *testing.T) {
	t.Parallel()
	var tables strings.Builder // more than a page names
	for i := range 100 {
		fmt.Fprintf(&tables, "CREATE TABLE t%d(a, b); ", i)
	}
	deep := func(after string) files {
		return build(t, tables.String()+"PRAGMA journal_mode=wal; PRAGMA wal_checkpoint; "+after+"\nsnap\n")
	}
	circle := build(t, tables.String()+"\nsnap\n")
	for i := range binary.BigEndian.Uint16(circle.db[headerSize+3:]) {
		cell := binary.BigEndian.Uint16(circle.db[headerSize+12+2*int(i):])
		binary.BigEndian.PutUint32(circle.db[cell:], 1)
	}
	binary.BigEndian.PutUint32(circle.db[headerSize+8:], 1)
	mixed := deep("INSERT INTO t1 VALUES (1, 2);")
	mixed.wal = build(t, "PRAGMA journal_mode=wal; CREATE TABLE other(a);\nsnap\n").wal
	for name, c := range map[string]struct {
		files files
		want  bool
	}{
		"rows in the log":               {deep("INSERT INTO t1 VALUES (1, 2);"), true},
		"one table more":                {deep("CREATE TABLE more(a);"), true},
		"a log of another":              {mixed, false},
		"pages that lead to each other": {circle, false},
		"one page":                      {build(t, inLog), true},
	} {
		d, err := c.files.tryOpen(Options{})
		if err != nil {
			t.Fatal(name, err)
		}
		if got := d.SharesSchema(source(c.files.db), source(c.files.journal)); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
		d.Close()
	}
}

func TestHistory(t *testing.T) {
	t.Parallel()
	f := build(t, walStart+`INSERT INTO t VALUES (1001, '', 1);
		INSERT INTO t VALUES (1002, '', 1); DELETE FROM t WHERE a > 5;`+"\nsnap\n")
	for commit, count := range map[int]string{-1: "5", 0: "5", 1: "301", 2: "302", 3: "5", 9: "5"} {
		d := f.open(t, Options{MaxCommit: commit})
		if got, err := rows(d, "SELECT count(*) FROM t"); err != nil || got[0] != count {
			t.Errorf("commit %d: %q rows, want %s: %v", commit, got, count, err)
		}
		want(t, d.Log().WAL.Commits, 3)
		if problems, err := d.Check(context.Background()); err != nil || problems != nil {
			t.Errorf("commit %d: %q, %v", commit, problems, err)
		}
	}
}

// TestMainFileMissing: SQLite deletes the log of an empty database; here it is read.
func TestMainFileMissing(t *testing.T) {
	t.Parallel()
	f := build(t, strings.ReplaceAll(inLog, "PRAGMA wal_checkpoint(truncate);", ""))
	expect, err := reference(t, f, listRows)
	if err != nil {
		t.Fatal(err)
	}
	for _, db := range [][]byte{nil, {}, f.db[:10], bytes.Repeat([]byte{7}, len(f.db))} {
		got, err := rows(files{db: db, wal: f.wal}.open(t, Options{}), listRows)
		if err != nil || !slices.Equal(got, expect) {
			t.Errorf("%d bytes: %d rows, want %d: %v", len(db), len(got), len(expect), err)
		}
	}
}

func TestTruncated(t *testing.T) {
	t.Parallel()
	f := build(t, rollbackStart+"snap\n")
	whole, err := rows(f.open(t, Options{}), listRows)
	if err != nil || len(whole) != 300 {
		t.Fatal(len(whole), err)
	}
	most := 0
	for n := 0; n < len(f.db); n += 3001 {
		d, err := files{db: f.db[:n]}.tryOpen(Options{})
		if err != nil {
			if n >= 4096 {
				t.Errorf("%d bytes: %v", n, err)
			}
			continue
		}
		got, err := rows(d, listRows)
		if !slices.Equal(got, whole[:len(got)]) || err == nil && len(got) < len(whole) {
			t.Errorf("%d bytes: %d rows, %v", n, len(got), err)
		}
		if n > 0 && err != nil && !strings.Contains(err.Error(), "missing or cut short") {
			t.Errorf("%d bytes: %v", n, err)
		}
		if problems, err := d.Check(context.Background()); n > 0 && problems == nil && err == nil {
			t.Errorf("%d bytes: the check found nothing", n)
		}
		most = max(most, len(got))
		d.Close()
	}
	if most < 200 {
		t.Errorf("at most %d of 300 rows before the tear", most)
	}
}

func TestTornPage(t *testing.T) {
	t.Parallel()
	f := build(t, rollbackStart+"snap\n")
	whole, err := rows(f.open(t, Options{}), listRows)
	if err != nil {
		t.Fatal(err)
	}
	for page := 0; page < len(f.db)/4096; page += 3 {
		torn := bytes.Clone(f.db)
		clear(torn[page*4096 : page*4096+2048])
		d, err := files{db: torn}.tryOpen(Options{})
		if err != nil {
			want(t, page, 0)
			continue
		}
		got, err := rows(d, "SELECT quote(a) || '|' || quote(b) FROM t NOT INDEXED ORDER BY rowid")
		if !slices.Equal(got, whole[:len(got)]) || err == nil && len(got) != len(whole) {
			t.Errorf("page %d: %d rows: %v", page+1, len(got), err)
		}
		if err != nil && !strings.Contains(err.Error(), fmt.Sprintf("at or after page %d:", page+1)) {
			t.Errorf("page %d: %v", page+1, err)
		}
		if problems, err := d.Check(context.Background()); err == nil && problems == nil {
			t.Errorf("page %d: the check found nothing", page+1)
		}
		d.Close()
	}
}

func TestNotADatabase(t *testing.T) {
	for name, f := range map[string]files{
		"text":      {db: []byte(strings.Repeat("just text\n", 100))},
		"short":     {db: []byte("SQLite format 3\x00")},
		"page size": {db: append([]byte("SQLite format 3\x00\x00\x07"), make([]byte, 600)...)},
		"zeros":     {db: make([]byte, 8192)},
	} {
		if d, err := f.tryOpen(Options{}); err == nil {
			d.Close()
			t.Errorf("%s: opened", name)
		}
	}
	d := files{}.open(t, Options{})
	if tables, err := d.Tables(context.Background()); err != nil || len(tables) != 0 {
		t.Errorf("empty database: %v, %v", tables, err)
	}
}

// failing is a source whose reads from an offset on fail, or end, though it said it is longer.
type failing struct {
	*bytes.Reader
	from int64
	err  error
}

func (f failing) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) <= f.from {
		return f.Reader.ReadAt(p, off)
	}
	n, _ := f.Reader.ReadAt(p[:max(0, f.from-off)], off)
	return n, f.err
}

func TestReadFaults(t *testing.T) {
	t.Parallel()
	f := build(t, inLog)
	errDisk := errors.New("bad sector")
	for _, fault := range []error{errDisk, io.EOF} {
		s := Source{failing{bytes.NewReader(f.db), 40000, fault}, int64(len(f.db))}
		d, err := Open(s, Options{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := rows(d, listRows)
		if len(got) == 0 || err == nil || fault == errDisk && !errors.Is(err, errDisk) {
			t.Errorf("%d rows, %v", len(got), err)
		}
		d.Close()
	}
	// A log that cannot be read to its end is one that ends there.
	first := int64(walHeaderSize + 3*(4096+frameHeader))
	d, err := Open(source(f.db), Options{WAL: Source{failing{bytes.NewReader(f.wal), first, errDisk}, int64(len(f.wal))}})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	want(t, d.Log().WAL.Stopped, StopRead)
	want(t, strings.Contains(d.Log().WAL.Detail, "bad sector"), true)
}

func unzstd(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	z, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	if b, err = z.DecodeAll(b, nil); err != nil {
		t.Fatal(err)
	}
	return b
}

// TestAgent reads an OpenClaw 2026.9.6 agent's database that was copied while the gateway ran.
func TestAgent(t *testing.T) {
	t.Parallel()
	f := files{db: unzstd(t, "agent.sqlite.zst"), wal: unzstd(t, "agent.sqlite-wal.zst")}
	const count = "SELECT count(*) FROM transcript_events"
	for with, n := range map[*files]string{&f: "190", {db: f.db}: "184"} {
		d := with.open(t, Options{})
		if got, err := rows(d, count); err != nil || got[0] != n {
			t.Errorf("%v events, want %s: %v", got, n, err)
		}
	}
	d := f.open(t, Options{})
	tables, err := d.Tables(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{
		"session_id", "seq", "event_json", "created_at", "event_zstd", "event_utf8_bytes",
		"navigation_json",
	}, tables["transcript_events"]); diff != "" {
		t.Error(diff)
	}
	if fts, ok := tables["session_transcript_fts"]; !ok || fts != nil {
		t.Errorf("virtual table: %v, %v", fts, ok)
	}
	if _, err := rows(d, "SELECT text FROM session_transcript_fts"); err == nil || !strings.Contains(err.Error(), "no such module: fts5") {
		t.Error(err)
	}
	if problems, err := d.Check(context.Background()); err != nil || problems != nil {
		t.Errorf("%q, %v", problems, err)
	}
	var counts []string
	for _, table := range slices.Sorted(maps.Keys(tables)) {
		if tables[table] != nil {
			counts = append(counts, fmt.Sprintf(`SELECT '%[1]s ' || count(*) FROM "%[1]s"`, table))
		}
	}
	expect, err := reference(t, f, strings.Join(counts, ";"))
	if err != nil {
		t.Fatal(err)
	}
	for i, sql := range counts {
		if got, err := rows(d, sql); err != nil || !slices.Equal(got, expect[i:i+1]) {
			t.Errorf("%v %v, sqlite3 has %v", got, err, expect[i])
		}
	}
}

// TestLeavesNoTrace reads from a directory and compares it with what it was.
func TestLeavesNoTrace(t *testing.T) {
	f := build(t, inLog)
	path := f.write(t)
	state := func() string {
		var b strings.Builder
		entries, err := os.ReadDir(filepath.Dir(path))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			info, err := e.Info()
			if err != nil {
				t.Fatal(err)
			}
			content, _ := os.ReadFile(filepath.Join(filepath.Dir(path), e.Name()))
			fmt.Fprintf(&b, "%s %v %v %x\n", e.Name(), info.ModTime(), info.Mode(), sha256.Sum256(content))
		}
		return b.String()
	}
	before := state()
	t.Setenv("TMPDIR", "/nonexistent") // no temporary file can be made
	t.Setenv("SQLITE_TMPDIR", "/nonexistent")
	open := func(suffix string) Source {
		file, err := os.Open(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { file.Close() })
		info, err := file.Stat()
		if err != nil {
			t.Fatal(err)
		}
		return Source{file, info.Size()}
	}
	d, err := Open(open(""), Options{WAL: open("-wal")})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := rows(d, `SELECT x.a FROM t x, (SELECT b FROM t LIMIT 20) y ORDER BY x.b || y.b DESC`); err != nil || len(n) < 5000 {
		t.Fatal(len(n), err)
	}
	if _, err := d.Check(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{
		"INSERT INTO t VALUES (9, 9, 9)", "CREATE TEMP TABLE x(y)", "PRAGMA journal_mode=wal",
		"PRAGMA user_version=9", "VACUUM", "VACUUM INTO '" + path + "2'", "ATTACH '" + path + "3' AS y", "BEGIN IMMEDIATE",
	} {
		if _, err := rows(d, sql); err == nil && !strings.HasPrefix(sql, "PRAGMA") {
			t.Errorf("%s: allowed", sql)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, state()); diff != "" {
		t.Error(diff)
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	f := build(t, inLog)
	expect, err := reference(t, f, listRows)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5 {
				d, err := f.tryOpen(Options{})
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := rows(d, listRows); err != nil || !slices.Equal(got, expect) {
					t.Errorf("%d rows, %v", len(got), err)
				}
				d.Close()
			}
		})
	}
	wg.Wait()
}

func TestRow(t *testing.T) {
	t.Parallel()
	for _, encoding := range []string{"UTF-8", "UTF-16le", "UTF-16be"} {
		f := build(t, "PRAGMA encoding='"+encoding+"'; CREATE TABLE t(a, b);\nsnap\n")
		d := f.open(t, Options{})
		args := []any{nil, true, 7, int64(-8), 2.5, "grüße\x00!", []byte{0, 255, 0}}
		n := 0
		for r, err := range d.Query(context.Background(), "SELECT ?, ?, ?, ?, ?, ?, ?", args...) {
			if err != nil {
				t.Fatal(err)
			}
			n++
			want(t, r.Null(0) && r.Text(0) == nil && r.Bytes(0) == nil, true)
			want(t, r.Int(1)+r.Int(2)+r.Int(3), 0)
			want(t, r.Float(4), 2.5)
			want(t, r.Type(4), Float)
			want(t, string(r.Text(5)), "grüße\x00!")
			want(t, r.Type(5), Text)
			want(t, string(r.Text(6)), "\x00\xff\x00")
			want(t, string(r.Bytes(6)), "\x00\xff\x00")
		}
		want(t, n, 1)
	}
	d := files{}.open(t, Options{})
	for _, sql := range []string{"", "SELECT 1; SELECT 2", "SELEC", "SELECT x", "-- none"} {
		if _, err := rows(d, sql); err == nil {
			t.Errorf("%q: no error", sql)
		}
	}
	if _, err := rows(d, "SELECT ?", struct{}{}); err == nil {
		t.Error("argument of a strange type: no error")
	}
}

func TestInterleaved(t *testing.T) {
	t.Parallel()
	d := build(t, rollbackStart+"snap\n").open(t, Options{})
	outer, inner := 0, 0
	for r, err := range d.Query(context.Background(), "SELECT a FROM t") {
		if err != nil {
			t.Fatal(err)
		}
		outer++
		ctx, cancel := context.WithCancel(context.Background())
		for _, err := range d.Query(ctx, "SELECT b FROM t WHERE a = ?", r.Int(0)) {
			if err != nil {
				t.Fatal(err)
			}
			inner++
		}
		cancel()
		if outer == 50 {
			break
		}
	}
	want(t, outer, 50)
	want(t, inner, 50)
}

func TestClosed(t *testing.T) {
	t.Parallel()
	d := files{}.open(t, Options{})
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := rows(d, "SELECT 1"); err == nil {
		t.Error("a closed database was read")
	}
}
