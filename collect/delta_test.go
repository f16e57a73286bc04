package collect

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDeltaMember says what readers of a single snapshot make of a file of which it holds only what changed.
func TestDeltaMember(t *testing.T) {
	id := newKey(t)
	d := Delta{Base: 10, Size: 14, SHA256: strings.Repeat("ab", 32), Ranges: [][2]int64{{2, 3}, {10, 4}}}
	bundle, sum := build(t, id, func(w *Writer) {
		addFile(t, w, "/a/whole", "whole")
		if _, err := w.addDelta(Meta{Path: "/a/part", HostSize: 14}, strings.NewReader("cdekmno"), d, func() string { return "" }); err != nil {
			t.Fatal(err)
		}
		if err := w.Record(Row{Meta: Meta{Path: "/a/gone", Type: File}, Status: Gone}); err != nil {
			t.Fatal(err)
		}
	})
	report := verify(t, bundle, signed(t, sum), id)
	if !report.OK() || report.Members == 0 {
		t.Errorf("verify: %+v", report)
	}
	fsys := open(t, bundle, id).FS()
	if _, err := fs.ReadFile(fsys, "a/part"); !errors.Is(err, ErrNotCollected) {
		t.Errorf("opening a part: %v", err)
	}
	if fi, err := fs.Stat(fsys, "a/part"); err != nil || fi.Size() != 14 {
		t.Errorf("a part has size %v, %v", fi, err)
	}
	if _, err := fs.Stat(fsys, "a/gone"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what is gone: %v", err)
	}
	dir := filepath.Join(t.TempDir(), "out")
	if _, err := Extract(t.Context(), open(t, bundle, id).Members(t.Context()), dir, Limits{}); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "delta/a/part")); err != nil || string(got) != "cdekmno" {
		t.Errorf("extracted %q, %v", got, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "[root]/a/part")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a part was extracted as the whole: %v", err)
	}
}

func TestDeltaCheck(t *testing.T) {
	for name, d := range map[string]Delta{
		"overlap":   {Base: 10, Size: 10, Ranges: [][2]int64{{0, 2}, {1, 2}}},
		"outside":   {Base: 10, Size: 10, Ranges: [][2]int64{{8, 4}}},
		"overflow":  {Base: 10, Size: 10, Ranges: [][2]int64{{1, 1<<63 - 1}}},
		"empty":     {Base: 10, Size: 10, Ranges: [][2]int64{{1, 0}, {2, 4}}},
		"hole":      {Base: 4, Size: 10, Ranges: [][2]int64{{6, 4}}},
		"unsettled": {Base: 4, Size: 10},
		"sum":       {Base: 10, Size: 10, Ranges: [][2]int64{{0, 3}}},
		"negative":  {Base: -1, Size: 4, Ranges: [][2]int64{{0, 4}}},
		"digest":    {Base: 4, Size: 4, SHA256: "x", Ranges: [][2]int64{{0, 4}}},
	} {
		if err := d.check(4); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, d := range map[string]Delta{
		"tail":   {Base: 6, Size: 10, Ranges: [][2]int64{{6, 4}}},
		"across": {Base: 8, Size: 10, Ranges: [][2]int64{{0, 1}, {7, 3}}},
		"cut":    {Base: 90, Size: 10, Ranges: [][2]int64{{3, 4}}},
	} {
		if err := d.check(4); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLinkOfSeal(t *testing.T) {
	_, sum := build(t, newKey(t), func(*Writer) {})
	state := strings.Repeat("0", 64)
	for link, ok := range map[Link]bool{
		{Chain: "C", Number: 1, Full: true, State: state}: true,
		{Chain: "C", Number: 7, State: state}:             true,
		{Chain: "C", Number: 1, State: state}:             false,
		{Chain: "C", Number: 0, Full: true, State: state}: false,
		{Chain: "", Number: 2, State: state}:              false,
		{Chain: "C", Number: 2, State: "x"}:               false,
	} {
		file, err := Seal{Bundle: "B", Ciphertext: sum.Ciphertext, Link: &link}.Sign(testSigner(t))
		if err != nil {
			t.Fatal(err)
		}
		s, err := ParseSeal(file)
		if (err == nil) != ok {
			t.Errorf("%+v: %v", link, err)
		}
		if ok && (s.Link == nil || *s.Link != link) {
			t.Errorf("%+v became %+v", link, s.Link)
		}
	}
	if bytes.Contains(signed(t, sum), []byte("link")) {
		t.Error("a bundle that is no snapshot has a link")
	}
}
