package host

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fakeHost unpacks a txtar of testdata as a tree that looks like a live host.
func fakeHost(t *testing.T, name string) *Root {
	t.Helper()
	ar, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	_, files, _ := strings.Cut(string(ar), "\n-- ")
	for file := range strings.SplitSeq(files, "\n-- ") {
		head, data, _ := strings.Cut(file, "\n")
		name := strings.TrimSuffix(head, " --")
		switch filepath.Base(name) {
		case "links":
			for line := range strings.Lines(data) {
				at, target, _ := strings.Cut(strings.TrimSpace(line), " ")
				makeLink(t, target, filepath.Join(dir, at))
			}
			continue
		case "cmdline", "environ":
			data = strings.ReplaceAll(data, "\n", "\x00")
		}
		makeFile(t, filepath.Join(dir, name), []byte(data))
	}
	return openRoot(t, dir)
}

func openRoot(t testing.TB, dir string) *Root {
	t.Helper()
	r, err := OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func makeFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func makeLink(t *testing.T, target, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}
