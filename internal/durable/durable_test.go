package durable

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/iotest"
)

func openRoot(t *testing.T, dir string) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

// holds fails unless the directory holds these files, with these texts, and no other.
func holds(t *testing.T, root *os.Root, want map[string]string) {
	t.Helper()
	files, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := root.ReadFile(f.Name())
		if w, ok := want[f.Name()]; !ok || err != nil || string(text) != w {
			t.Errorf("%q holds %q, want %q: %v", f.Name(), text, w, err)
		}
	}
	if len(files) != len(want) {
		t.Errorf("%d files, want %d", len(files), len(want))
	}
}

func TestCreateReplacesNothing(t *testing.T) {
	root := openRoot(t, t.TempDir())
	if err := Create(root, "a", []byte("first")); err != nil {
		t.Fatal(err)
	}
	if info, err := root.Stat("a"); err != nil || info.Mode() != 0o600 {
		t.Error(info.Mode(), err)
	}
	if err := Create(root, "a", []byte("second")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("there already: %v", err)
	}
	holds(t, root, map[string]string{"a": "first"})
	if err := Write(root, "b", strings.NewReader("third")); err != nil {
		t.Fatal(err)
	}
	if err := Name(root, "b", "a"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("the name is taken: %v", err)
	}
	holds(t, root, map[string]string{"a": "first", "b": "third"})
	if err := Replace(root, "b", "a"); err != nil {
		t.Fatal(err)
	}
	holds(t, root, map[string]string{"a": "third"})
}

func TestWhatCannotBeWrittenIsNotThere(t *testing.T) {
	root := openRoot(t, t.TempDir())
	cause := errors.New("the disk that it is read from")
	if err := Write(root, "a", io.MultiReader(strings.NewReader("half"), iotest.ErrReader(cause))); !errors.Is(err, cause) {
		t.Error(err)
	}
	holds(t, root, nil)
}

func TestHolds(t *testing.T) {
	root := openRoot(t, t.TempDir())
	f, err := write(root, "a", strings.NewReader("ours"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := Holds(root, "a", f); err != nil {
		t.Error(err)
	}
	if err := errors.Join(root.Rename("a", "b"), root.WriteFile("a", []byte("theirs"), 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "missing"} {
		if err := Holds(root, name, f); !errors.Is(err, ErrReplaced) {
			t.Errorf("%q: %v", name, err)
		}
	}
}
