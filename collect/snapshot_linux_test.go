package collect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"
	"github.com/ncruces/go-sqlite3"
	"golang.org/x/sys/unix"

	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

// A lab is a host of which snapshots are taken, and the case that keeps them.
type lab struct {
	t    testing.TB
	dir  string
	cs   *casefile.Case
	id   *age.X25519Identity
	last *Snapshot
	ctx  context.Context
	o    Options // of snapshots, and of what they are compared with
}

func newLab(t testing.TB, files map[string]string) *lab {
	t.Helper()
	cs, err := casefile.Open(filepath.Join(t.TempDir(), "cases"), casefile.SnapshotsCase, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cs.Close() })
	return &lab{t: t, dir: newHost(t, files), cs: cs, id: newKey(t)}
}

func (l *lab) try(o SnapshotOptions) (*Snapshot, error) {
	root := openRoot(l.t, l.dir)
	installs, gaps := openclaw.Find(root, openclaw.FindOptions{})
	r, err := ParseRecipient(l.id.Recipient().String(), "test")
	if err != nil {
		l.t.Fatal(err)
	}
	if o.MaxFileSize == 0 {
		o.MaxFileSize = l.o.MaxFileSize
	}
	o.Recipients, o.Header.Host = []Recipient{r}, "victim"
	ctx := l.ctx
	if ctx == nil {
		ctx = l.t.Context()
	}
	return TakeSnapshot(ctx, l.cs, root, noRunner{}, installs, gaps, o)
}

func (l *lab) take(o SnapshotOptions) *Snapshot {
	l.t.Helper()
	s, err := l.try(o)
	if err != nil {
		l.t.Fatal(err)
	}
	l.last = s
	return s
}

// age lets the clock tick, so that a later change shows in the times of files.
func (l *lab) age() { time.Sleep(60 * time.Millisecond) }

// TestMapped: a file that whoever has mapped it changes without a change of its times does not pass for unchanged.
func TestMapped(t *testing.T) {
	const log = "/tmp/openclaw/openclaw-2026-11-22.log"
	l := newLab(t, map[string]string{log: "what was done, by whom\n"})
	f, err := os.OpenFile(l.dir+log, os.O_RDWR, 0)
	l.must(err)
	defer f.Close()
	page, err := unix.Mmap(int(f.Fd()), 0, 22, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	l.must(err)
	defer func() { l.must(unix.Munmap(page)) }()
	page[0] = 'w'
	l.age()
	l.take(SnapshotOptions{})
	before, err := f.Stat()
	l.must(err)
	copy(page, "nothing")
	if after, err := f.Stat(); err != nil || !after.ModTime().Equal(before.ModTime()) {
		t.Skip("the kernel was quick to write the page back: the times changed") // it has 30 s
	}
	if a := l.take(SnapshotOptions{}).Outcome.Alarms; len(a) != 1 || a[0].Path != log {
		t.Errorf("alarms %+v", a)
	}
	if a := l.take(SnapshotOptions{}).Outcome; len(a.Alarms) > 0 || a.Unchanged == 0 {
		t.Errorf("told twice: %+v", a)
	}
}

// TestMappedInMemory: on tmpfs such a change sets no time at all, however old the file.
func TestMappedInMemory(t *testing.T) {
	m := Meta{Path: "/tmp/openclaw/a.log", Type: File, HostSize: 1}
	e := &entry{path: m.Path, size: 1, state: stored}
	e.setStat(&m)
	p := &past{old: &index{entries: map[string]*entry{m.Path: e}}}
	for point, want := range map[string]bool{"/tmp": false, "/run": true} {
		c := &collector{mounts: mountTable{point: host.Mount{Point: point[1:], Type: "tmpfs"}}}
		if got := p.sameAs(c, &m); got != want {
			t.Errorf("tmpfs on %s: unchanged is %v", point, got)
		}
	}
}

func (l *lab) bundles() string { return l.cs.Path(casefile.BundlesDir) }

func (l *lab) chain() *Chain {
	l.t.Helper()
	c, err := OpenChainDir(l.t.Context(), l.bundles(), l.id)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { c.Close() })
	return c
}

func (l *lab) put(name, text string) { put(l.t, l.dir+name, text) }

func (l *lab) add(name, text string) {
	l.t.Helper()
	f, err := os.OpenFile(l.dir+name, os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString(text)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		l.t.Fatal(err)
	}
}

// rows are the rows of the last snapshot by path.
func (l *lab) rows() map[string]Row {
	l.t.Helper()
	rows := map[string]Row{}
	b := l.chain().Bundle(l.last.Link.Number)
	for row, err := range b.Rows() {
		if err != nil {
			l.t.Fatal(err)
		}
		rows[row.Path] = row
	}
	return rows
}

// valid checks that every link verifies, content included, and that numbers, seals and states fit together.
func (l *lab) valid() { l.validFrom(1) }

// validFrom is valid, with the content of the links from a number on.
func (l *lab) validFrom(number int) {
	l.t.Helper()
	chain, prev := l.chain(), ""
	defer chain.Close()
	for i, s := range chain.Seals() {
		file, err := os.ReadFile(filepath.Join(l.bundles(), s.Bundle+SealSuffix))
		if err != nil {
			l.t.Fatal(err)
		}
		if s.Link.Number != i+1 || s.PrevSeal != prev || (i == 0) != (prev == "") {
			l.t.Fatalf("link %d follows %d, its previous seal is %q, not %q", s.Link.Number, i, s.PrevSeal, prev)
		}
		prev = SealDigest(file)
		if s.Link.Number < number {
			continue
		}
		bundle, err := os.ReadFile(filepath.Join(l.bundles(), s.Bundle))
		if err != nil {
			l.t.Fatal(err)
		}
		report, err := Verify(context.Background(), bytes.NewReader(bundle), int64(len(bundle)), file, VerifyOptions{Identities: []age.Identity{l.id}})
		if err != nil || !report.OK() {
			l.t.Fatalf("link %d: %v %+v", s.Link.Number, err, report)
		}
	}
	if number > 1 {
		return
	}
	for _, p := range chain.Problems() {
		l.t.Error(p)
	}
}

// contents reads a tree: what each path is, and what it holds.
func contents(t testing.TB, fsys fs.FS) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		what := info.Mode().String()
		if row, _ := info.Sys().(*Row); row != nil {
			what += fmt.Sprintf(" %d:%d %s %s", row.UID, row.GID, row.Status, row.Link)
			if !d.IsDir() {
				what += row.Mtime.UTC().Format(time.RFC3339Nano)
			}
		}
		if info.Mode().IsRegular() {
			text, err := fs.ReadFile(fsys, name)
			if err != nil && !errors.Is(err, ErrNotCollected) {
				return err
			}
			what += " " + string(text)
		}
		all[name] = what
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// restored compares the chain's state at its end with a whole collection made now.
func (l *lab) restored() {
	l.t.Helper()
	number := l.last.Link.Number
	got, digest, err := l.chain().State(number)
	if err != nil {
		l.t.Fatal(err)
	}
	if digest != l.last.Link.State {
		l.t.Errorf("link %d: the state that was restored has another digest than the one that was sealed", number)
	}
	want := runOn(l.t, l.t.Context(), l.dir, l.o).FS()
	if diff := cmp.Diff(contents(l.t, want), contents(l.t, got)); diff != "" {
		l.t.Fatalf("link %d differs from a whole collection: %s", number, diff)
	}
}

func TestSnapshotStoresWhatChanged(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	big := noise(r.Uint64(), 300<<10)
	l := newLab(t, map[string]string{
		state + "/agents/main/sessions/a.jsonl": big,
		state + "/workspace/big":                big,
		state + "/workspace/small":              "small",
		state + "/workspace/link":               "-> small",
		state + "/workspace/idle":               big,
		state + "/workspace/gone":               "x",
	})
	l.age()
	first := l.take(SnapshotOptions{})
	if !first.Link.Full || first.Link.Number != 1 {
		t.Fatalf("the first link is %+v", first.Link)
	}
	l.restored()
	l.age()
	idle := l.take(SnapshotOptions{})
	if n := idle.Summary.Rows[Collected]; n > 3 || idle.Link.Full { // our own members
		t.Errorf("an idle snapshot stores %d things: %+v", n, l.rows())
	}
	l.restored()
	l.add(state+"/agents/main/sessions/a.jsonl", "more\n")
	f, err := os.OpenFile(l.dir+state+"/workspace/big", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteAt([]byte("changed"), 100<<10)
	f.Close()
	l.put(state+"/workspace/small", "other")
	os.Remove(l.dir + state + "/workspace/gone")
	os.Remove(l.dir + state + "/workspace/link")
	l.put(state+"/workspace/link", "-> big")
	l.put(state+"/workspace/new", "new")
	l.take(SnapshotOptions{})
	rows := l.rows()
	if d := rows[state+"/agents/main/sessions/a.jsonl"].Delta; d == nil || !slices.Equal(d.Ranges, [][2]int64{{300 << 10, 5}}) {
		t.Errorf("what was appended: %+v", d)
	}
	if d := rows[state+"/workspace/big"].Delta; d == nil || !slices.Equal(d.Ranges, [][2]int64{{64 << 10, 64 << 10}}) {
		t.Errorf("what was changed: %+v", d)
	}
	if row := rows[state+"/workspace/small"]; row.Delta != nil || row.Size != 5 {
		t.Errorf("a small file: %+v", row)
	}
	if row := rows[state+"/workspace/gone"]; row.Status != Gone {
		t.Errorf("what is gone: %+v", row)
	}
	if _, ok := rows[state+"/workspace/idle"]; ok {
		t.Error("what did not change has a row")
	}
	if len(l.last.Outcome.Alarms) > 0 {
		t.Errorf("alarms: %+v", l.last.Outcome.Alarms)
	}
	l.restored()
	l.valid()
	union := l.chain().FS()
	if text, err := fs.ReadFile(union, strings.TrimPrefix(state, "/")+"/workspace/gone"); err != nil || string(text) != "x" {
		t.Errorf("what is gone: %q, %v", text, err)
	}
	full := l.take(SnapshotOptions{Full: true})
	if !full.Link.Full || full.Link.Number != 4 || full.Link.Chain != first.Link.Chain {
		t.Errorf("a full link: %+v", full.Link)
	}
	l.restored()
}

// A pastime does something to a host, one step after the other.
type pastime struct {
	l  *lab
	r  *rand.Rand
	db *sqlite3.Conn
}

var playground = []string{"/agents/main/sessions/a.jsonl", "/agents/main/sessions/b.jsonl", "/workspace/x", "/workspace/d/y", "/workspace/d/z", "/logs/gateway.log"}

func (h *pastime) place() string { return h.l.dir + state + playground[h.r.IntN(len(playground))] }

func (h *pastime) text(most int) string { return noise(h.r.Uint64(), 1+h.r.IntN(most)) }

func (h *pastime) do(err error) {
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrExist) {
		h.l.t.Fatal(err)
	}
}

// try is do for what may have nothing to be done to, or a link or a directory.
func (h *pastime) try(error) {}

// step does one thing. Each may do nothing, where there is nothing to do it to.
func (h *pastime) step() {
	p := h.place()
	h.do(os.MkdirAll(filepath.Dir(p), 0o755))
	switch h.r.IntN(12) {
	case 0, 1:
		os.Remove(p)
		h.try(os.WriteFile(p, []byte(h.text(200<<10)), 0o600))
	case 2, 3:
		f, _ := os.OpenFile(p, os.O_APPEND|os.O_WRONLY|os.O_CREATE|syscall.O_NONBLOCK, 0o600)
		f.WriteString(h.text(100 << 10))
		h.try(f.Close())
	case 4:
		f, _ := os.OpenFile(p, os.O_WRONLY|os.O_CREATE|syscall.O_NONBLOCK, 0o600)
		f.WriteAt([]byte(h.text(1000)), int64(h.r.IntN(250<<10)))
		h.try(f.Close())
	case 5:
		h.try(os.Truncate(p, int64(h.r.IntN(200<<10))))
	case 6:
		h.try(os.Rename(p, h.place()))
	case 7:
		h.try(os.Remove(p))
	case 8:
		h.try(os.Chmod(p, 0o400|os.FileMode(h.r.IntN(0o400))))
	case 9:
		os.Remove(p)
		h.try(os.Symlink([]string{"x", "d/y", "/nowhere/x"}[h.r.IntN(3)], p)) // other steps write to where a link leads
	case 10:
		h.write()
	case 11:
		os.Remove(p)
		h.try(syscall.Mkfifo(p, 0o600))
	}
}

// write changes a database, in its log and sometimes in its main file.
func (h *pastime) write() {
	if h.db == nil {
		dir := h.l.dir + state + "/state"
		h.do(os.MkdirAll(dir, 0o755))
		var err error
		h.db, err = sqlite3.Open("file:" + dir + "/openclaw.sqlite")
		h.do(err)
		h.l.t.Cleanup(func() { h.db.Close() })
		h.do(h.db.Exec("PRAGMA journal_mode=WAL; CREATE TABLE IF NOT EXISTS t (a INTEGER PRIMARY KEY, b BLOB)"))
	}
	h.do(h.db.Exec(fmt.Sprintf("INSERT INTO t (b) VALUES (randomblob(%d)); UPDATE t SET b = randomblob(200) WHERE a = %d", h.r.IntN(30000), h.r.IntN(5))))
	if h.r.IntN(3) == 0 {
		h.do(h.db.Exec("PRAGMA wal_checkpoint(TRUNCATE)"))
	}
}

// TestChainRestoresProperty plays random histories. After each snapshot the chain holds what a whole collection holds.
func TestChainRestoresProperty(t *testing.T) {
	histories := 8
	if testing.Short() {
		histories = 2
	}
	for seed := range uint64(histories) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			l := newLab(t, nil)
			h := &pastime{l: l, r: rand.New(rand.NewPCG(seed, 3))}
			if seed%3 == 2 {
				l.o.MaxFileSize = 90 << 10
			}
			for range 6 {
				for range h.r.IntN(8) {
					h.step()
				}
				l.take(SnapshotOptions{Full: h.r.IntN(6) == 0})
				l.restored()
			}
			l.valid()
			l.everyState()
		})
	}
}

// TestSnapshotInterrupted ends a snapshot in the middle. The link says what was not looked at, and the next one has it.
func TestSnapshotInterrupted(t *testing.T) {
	l := newLab(t, map[string]string{transcript: noise(1, 1<<20), state + "/workspace/x": "x", state + "/workspace/y": noise(2, 100<<10)})
	l.take(SnapshotOptions{})
	l.add(transcript, "more")
	l.add(state+"/workspace/y", "more")
	ctx, cancel := context.WithCancel(t.Context())
	l.ctx = ctx
	o := SnapshotOptions{}
	o.Progress = func(p string, _ int64) {
		if p == transcript {
			cancel()
		}
	}
	s := l.take(o)
	if !s.Outcome.Interrupted || s.Outcome.Rows[Gone] > 0 || len(s.Outcome.Alarms) > 0 {
		t.Errorf("%+v", s.Outcome)
	}
	if row := l.rows()[state+"/workspace/y"]; row.Status != Skipped || row.Reason != interrupted {
		t.Errorf("what was not looked at: %+v", row)
	}
	if got, err := fs.ReadFile(l.chain().FS(), strings.TrimPrefix(state, "/")+"/workspace/y"); err != nil || string(got) != noise(2, 100<<10) {
		t.Errorf("the union does not hold what was there before: %v", err)
	}
	l.ctx = nil
	l.valid()
	l.everyState()
	l.take(SnapshotOptions{})
	if d := l.rows()[state+"/workspace/y"].Delta; d == nil || !slices.Equal(d.Ranges, [][2]int64{{100 << 10, 4}}) {
		t.Errorf("what was not looked at, afterwards: %+v", d)
	}
	l.restored()
	l.everyState()
}

// everyState checks that each link restores to the state that its seal names.
func (l *lab) everyState() {
	l.t.Helper()
	c := l.chain()
	for _, s := range c.Seals() {
		if _, digest, err := c.State(s.Link.Number); err != nil || digest != s.Link.State {
			l.t.Errorf("link %d: %v", s.Link.Number, err)
		}
	}
}
