package collect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"filippo.io/age"
)

// TestChainUnion says what the union of a chain shows: the newest of each path, and what is gone, marked.
func TestChainUnion(t *testing.T) {
	name := strings.TrimPrefix(state, "/") + "/workspace/"
	l := newLab(t, map[string]string{
		state + "/workspace/log": noise(1, 200<<10), state + "/workspace/gone": "was here", state + "/workspace/d/x": "in a directory",
		state + "/workspace/back": "first",
	})
	want := []byte(noise(1, 200<<10))
	l.take(SnapshotOptions{})
	r := rand.New(rand.NewPCG(1, 1))
	for i := range 8 {
		at, piece := r.IntN(len(want)), []byte(fmt.Sprintf("<%d>", i))
		want = append(want[:at], append(piece, want[at+min(len(piece), len(want)-at):]...)...)
		want = append(want, noise(r.Uint64(), r.IntN(90<<10))...)
		l.put(state+"/workspace/log", string(want))
		switch i {
		case 2:
			l.remove(state + "/workspace/gone")
			l.must(os.RemoveAll(l.dir + state + "/workspace/d"))
			l.remove(state + "/workspace/back")
		case 4:
			l.put(state+"/workspace/d", "now a file")
			l.put(state+"/workspace/back", "second")
		}
		l.take(SnapshotOptions{})
	}
	c := l.chain()
	union := c.FS()
	for file, text := range map[string]string{"log": string(want), "gone": "was here", "d": "now a file", "back": "second"} {
		if got, err := fs.ReadFile(union, name+file); err != nil || string(got) != text {
			t.Errorf("%s: %.40q, %v", file, got, err)
		}
	}
	fi, err := fs.Stat(union, name+"gone")
	l.must(err)
	if row := fi.Sys().(*Row); row.Status != Gone || !strings.Contains(row.Reason, "as snapshot 1 holds it") {
		t.Errorf("what is gone: %+v", row)
	}
	if len(c.Problems()) != 1 { // d/x, which lay in what is a file now
		t.Errorf("problems: %v", c.Problems())
	}
	f, err := union.Open(name + "log")
	l.must(err)
	defer f.Close()
	for range 200 {
		off := r.IntN(len(want))
		got := make([]byte, r.IntN(len(want)-off)+1)
		n, err := f.(io.ReaderAt).ReadAt(got, int64(off))
		if !bytes.Equal(got[:n], want[off:off+n]) || n < len(got) && !errors.Is(err, io.EOF) {
			t.Fatalf("reading %d bytes at %d: %v", len(got), off, err)
		}
	}
	before, _, err := c.State(1)
	l.must(err)
	if err := fstest.TestFS(before, name+"gone", name+"d/x"); err != nil {
		t.Error(err)
	}
	if got, err := fs.ReadFile(before, name+"back"); err != nil || string(got) != "first" {
		t.Errorf("at link 1: %q, %v", got, err)
	}
	if after, _, err := c.State(9); err != nil || func() error { _, err := fs.Stat(after, name+"gone"); return err }() == nil {
		t.Errorf("at link 9 what is gone is there, or %v", err)
	}
}

// TestChainHoles says what is left of a chain of which a link is missing.
func TestChainHoles(t *testing.T) {
	big, name := noise(1, 200<<10), strings.TrimPrefix(state, "/")+"/workspace/"
	l := newLab(t, map[string]string{state + "/workspace/a": big, state + "/workspace/b": "b"})
	for i := range 5 {
		l.add(state+"/workspace/a", fmt.Sprint(i))
		l.take(SnapshotOptions{Full: i == 4})
	}
	links := func(without ...int) *Chain {
		t.Helper()
		var files []LinkFile
		for _, s := range l.chain().Seals() {
			seal, err := os.ReadFile(filepath.Join(l.bundles(), s.Bundle+SealSuffix))
			l.must(err)
			bundle, err := os.ReadFile(filepath.Join(l.bundles(), s.Bundle))
			l.must(err)
			f := LinkFile{Name: s.Bundle, Seal: seal, Bundle: bytes.NewReader(bundle), Size: int64(len(bundle))}
			for _, n := range without {
				if s.Link.Number == n {
					f.Bundle = nil
				}
			}
			files = append(files, f)
		}
		c, err := OpenChain(t.Context(), files, l.id)
		l.must(err)
		return c
	}
	if c := links(2, 3); len(c.Problems()) > 1 {
		t.Errorf("mended by a full link: %v", c.Problems())
	} else if got, err := fs.ReadFile(c.FS(), name+"a"); err != nil || string(got) != big+"01234" {
		t.Errorf("after a full link: %v", err)
	}
	c := links(3, 5)
	if _, err := fs.ReadFile(c.FS(), name+"a"); !errors.Is(err, ErrNotCollected) {
		t.Errorf("what builds on a missing link: %v", err)
	}
	if len(c.Problems()) != 2 {
		t.Errorf("problems: %v", c.Problems())
	}
	if c := links(1, 5); len(c.Problems()) == 0 {
		t.Error("without the first link there is no problem")
	}
	seal := l.last.Seal
	if _, err := OpenChain(t.Context(), []LinkFile{{Name: "a", Seal: seal}, {Name: "b", Seal: seal}}, l.id); !errors.Is(err, ErrMalformed) {
		t.Errorf("one link twice: %v", err)
	}
	if _, err := OpenChain(t.Context(), nil); !errors.Is(err, ErrMalformed) {
		t.Errorf("no link: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := OpenChainDir(ended, l.bundles(), l.id); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
	if _, err := OpenChainDir(t.Context(), l.bundles(), newKey(t)); !errors.Is(err, ErrWrongKey) {
		t.Errorf("a wrong key: %v", err)
	}
}

// TestChainHostile opens chains whose deltas do not fit together: that is an error, no panic and no wrong content.
func TestChainHostile(t *testing.T) {
	id := newKey(t)
	link := func(n int, fill func(w *Writer)) LinkFile {
		bundle, sum := build(t, id, fill)
		seal, err := Seal{
			Bundle: fmt.Sprint(n), Ciphertext: sum.Ciphertext, Link: &Link{Chain: "C", Number: n, Full: n == 1, State: strings.Repeat("0", 64)},
		}.Sign(testSigner(t))
		if err != nil {
			t.Fatal(err)
		}
		return LinkFile{Name: fmt.Sprint(n), Seal: seal, Bundle: bytes.NewReader(bundle), Size: int64(len(bundle))}
	}
	delta := func(w *Writer, name string, base, size int64, text string) {
		d := Delta{Base: base, Size: size, SHA256: strings.Repeat("0", 64), Ranges: [][2]int64{{size - int64(len(text)), int64(len(text))}}}
		if _, err := w.addDelta(Meta{Path: name, HostSize: size}, strings.NewReader(text), d, func() string { return "" }); err != nil {
			t.Fatal(err)
		}
	}
	files := []LinkFile{
		link(1, func(w *Writer) {
			addFile(t, w, "/a", "0123456789")
			if _, err := w.AddDir(Meta{Path: "/dir", Type: Dir}); err != nil {
				t.Fatal(err)
			}
		}),
		link(2, func(w *Writer) {
			delta(w, "/a", 12, 14, "xy")
			delta(w, "/none", 4, 6, "xy")
			delta(w, "/dir", 0, 2, "xy")
		}),
	}
	c, err := OpenChain(t.Context(), files, []age.Identity{id}...)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "none", "dir"} {
		if _, err := fs.ReadFile(c.FS(), name); !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrNotCollected) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
