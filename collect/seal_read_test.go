package collect

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// What stands where a seal should, and is none, neither keeps us waiting nor fills the memory.
func TestReadSeal(t *testing.T) {
	dir := t.TempDir()
	name := func(n string) string { return filepath.Join(dir, n) }
	if _, err := ReadSeal(name("missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing one: %v", err)
	}
	err := errors.Join(syscall.Mkfifo(name("pipe"), 0o600), os.Mkdir(name("dir"), 0o700), os.WriteFile(name("huge"), nil, 0o600), os.Truncate(name("huge"), 8<<30))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{"pipe", "dir"} {
		if _, err := ReadSeal(name(n)); err == nil {
			t.Errorf("%s was read", n)
		}
	}
	file, err := ReadSeal(name("huge"))
	if err != nil || len(file) != maxSealSize+1 {
		t.Errorf("%d bytes, %v", len(file), err)
	}
	if _, err := ParseSeal(file); !errors.Is(err, ErrMalformed) {
		t.Errorf("parsed: %v", err)
	}
}
