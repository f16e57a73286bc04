package collect

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/clawbook/openclaw-ir/internal/sqlite"
	"github.com/clawbook/openclaw-ir/internal/statetest"
)

// rest leaves some of the machine to the others between two bursts of writes. Under the race detector a reading takes
// several times as long, and the database has to hold still for it as long in proportion.
var rest = func() time.Duration {
	if statetest.Raced() {
		return 40 * time.Millisecond
	}
	return 2 * time.Millisecond
}()

// writeForever lets the sqlite3 command write to a database until the test ends, and returns once it has begun.
func writeForever(t *testing.T, db, pragmas string) {
	t.Helper()
	bin, err := exec.LookPath("sqlite3")
	if err != nil {
		t.Skip("sqlite3 is not installed")
	}
	cmd := exec.Command(bin, "-batch", db)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	fed := make(chan struct{})
	go func() {
		defer close(fed)
		fmt.Fprintf(in, "%s; CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT); CREATE INDEX ti ON t(b);\n", pragmas)
		for {
			select {
			case <-stop:
				return
			default:
				_, err := io.WriteString(in, `INSERT INTO t(b) VALUES (hex(randomblob(300)));
					UPDATE t SET b = hex(randomblob(200)) WHERE a % 50 = abs(random()) % 50;
					DELETE FROM t WHERE a < (SELECT max(a) - 2000 FROM t);`+"\n")
				if err != nil {
					return
				}
				time.Sleep(rest)
			}
		}
	}()
	t.Cleanup(func() {
		close(stop)
		cmd.Process.Kill()
		cmd.Wait()
		<-fed
	})
	for range 500 {
		for _, name := range []string{db, db + "-wal"} {
			if fi, err := os.Stat(name); err == nil && fi.Size() > 30_000 {
				return
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the writer does not write")
}

// stored is a database's files as the bundle has them.
func (g taken) stored(t *testing.T, p string) map[string][]byte {
	files := map[string][]byte{}
	for _, suffix := range append([]string{""}, beside...) {
		if row, ok := g.rows[p+suffix]; ok && row.At > 0 {
			files[suffix] = g.content(t, p+suffix)
		}
	}
	return files
}

// checkDatabase opens a stored database by our reader and by SQLite itself.
func checkDatabase(t *testing.T, files map[string][]byte) {
	t.Helper()
	source := func(b []byte) sqlite.Source { return sqlite.Source{R: bytes.NewReader(b), Size: int64(len(b))} }
	d, err := sqlite.Open(source(files[""]), sqlite.Options{WAL: source(files["-wal"]), Journal: source(files["-journal"])})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if amiss, err := d.Check(context.Background()); err != nil || len(amiss) > 0 {
		t.Errorf("our quick check: %q, %v", amiss, err)
	}
	dir := t.TempDir()
	for suffix, text := range files {
		put(t, filepath.Join(dir, "x.sqlite"+suffix), string(text))
	}
	out, err := exec.Command("sqlite3", "-batch", dir+"/x.sqlite", "PRAGMA integrity_check; SELECT count(*) > 0 FROM t;").Output()
	if err != nil || string(out) != "ok\n1\n" {
		t.Errorf("SQLite's check: %q, %v", out, err)
	}
}

// A database that is busily written is stored in one state.
func TestBusyDatabase(t *testing.T) {
	for name, pragmas := range map[string]string{
		"small log": "PRAGMA journal_mode=wal; PRAGMA wal_autocheckpoint=40; PRAGMA synchronous=off",
		"usual log": "PRAGMA journal_mode=wal; PRAGMA synchronous=off",
	} {
		t.Run(name, func(t *testing.T) {
			dir := newHost(t, map[string]string{state + "/state/x": ""})
			writeForever(t, dir+state+"/state/openclaw.sqlite", pragmas)
			steady := 0
			for range 3 {
				got := runOn(t, context.Background(), dir, Options{})
				row := got.rows[state+"/state/openclaw.sqlite"]
				if row.Status == Collected {
					checkDatabase(t, got.stored(t, row.Path))
					steady++
				} else if !strings.Contains(row.Reason, mixed) {
					t.Errorf("%+v", row)
				}
			}
			t.Logf("%d of 3 in one state", steady)
			if steady < 2 {
				t.Errorf("only %d of 3 were taken in one state", steady)
			}
		})
	}
}

// One that never holds still says so.
func TestRestlessDatabase(t *testing.T) {
	dir := newHost(t, map[string]string{state + "/state/x": ""})
	db := dir + state + "/state/openclaw.sqlite"
	writeForever(t, db, "PRAGMA journal_mode=delete; PRAGMA synchronous=off")
	got := runOn(t, context.Background(), dir, Options{})
	row := got.rows[state+"/state/openclaw.sqlite"]
	switch row.Status {
	case Changed:
		if !strings.Contains(row.Reason, mixed) || !got.out.Partial() {
			t.Errorf("%+v", row)
		}
	case Collected:
		checkDatabase(t, got.stored(t, row.Path))
	default:
		t.Errorf("%+v", row)
	}
}

// A journal that came after its database was met is read with it.
func TestJournalCame(t *testing.T) {
	dir := newHost(t, map[string]string{state + "/state/openclaw.sqlite": "half a change"})
	c := newCollector(context.Background(), openRoot(t, dir), nil, Options{})
	db := state + "/state/openclaw.sqlite"
	fi, err := c.root.Lstat(hostName(db))
	if err != nil {
		t.Fatal(err)
	}
	set := c.joined([]Meta{metaOf(db, "state", fi)})
	put(t, dir+db+"-journal", "the other half")
	set, parts := c.readParts(set)
	if len(set) != 2 || len(parts) != 2 || parts[1].meta.Path != db+"-journal" || string(parts[1].data) != "the other half" {
		t.Errorf("%+v", parts)
	}
	if again := c.joined(set); len(again) != 2 {
		t.Errorf("taken twice: %+v", again)
	}
}

// A database too large for memory is taken as it comes, and its rows say if it changed.
func TestLargeDatabase(t *testing.T) {
	dir := newHost(t, map[string]string{state + "/state/openclaw.sqlite-wal": "log", state + "/state/openclaw.sqlite-shm": "index"})
	db := dir + state + "/state/openclaw.sqlite"
	put(t, db, strings.Repeat("x", 4096))
	if err := os.Truncate(db, maxSteady+1); err != nil {
		t.Fatal(err)
	}
	runOn(t, context.Background(), dir, Options{}).want(t, map[string]string{
		state + "/state/openclaw.sqlite": "collected", state + "/state/openclaw.sqlite-wal": "collected",
		state + "/state/openclaw.sqlite-shm": "collected",
	})
	done := false
	got := runOn(t, context.Background(), dir, Options{Progress: func(p string, _ int64) {
		if strings.HasSuffix(p, ".sqlite") && !done {
			done = true
			f, err := os.OpenFile(db, os.O_WRONLY, 0)
			if err == nil {
				_, err = f.WriteAt([]byte("new"), 30)
				f.Close()
			}
			if err != nil {
				t.Error(err)
			}
		}
	}})
	got.want(t, map[string]string{
		state + "/state/openclaw.sqlite": "changed: " + mixed, state + "/state/openclaw.sqlite-wal": "changed: " + mixed,
		state + "/state/openclaw.sqlite-shm": "collected",
	})
}

func TestDatabaseNames(t *testing.T) {
	for name, want := range map[string]string{
		"/a/x.sqlite-wal": "/a/x.sqlite", "/a/x-journal": "/a/x", "/a/-shm": "", "/a/x.sqlite": "", "/a/x.sqlite-walx": "",
	} {
		if got := databaseOf(name); got != want {
			t.Errorf("%q belongs to %q, want %q", name, got, want)
		}
	}
}
