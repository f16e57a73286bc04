package casefile

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestCheckDir(t *testing.T) {
	base := t.TempDir()
	make := func(name string, mode os.FileMode) string {
		dir := filepath.Join(base, name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	mine, open := make("mine", 0o700), make("open", 0o777)
	if err := os.Symlink(mine, filepath.Join(base, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(base, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		dir, there string
		unsafe     bool
	}{
		{mine, mine, false},
		{filepath.Join(mine, "not", "yet"), mine, false},
		{filepath.Join(base, "not-yet"), base, false},
		{open, "", true},
		{filepath.Join(base, "link"), "", true},
		{filepath.Join(base, "file"), "", true},
	} {
		there, err := CheckDir(test.dir)
		if errors.Is(err, ErrUnsafe) != test.unsafe || !test.unsafe && (err != nil || there != test.there) {
			t.Errorf("%q: %q, %v", test.dir, there, err)
		}
	}
	if entries, err := os.ReadDir(mine); err != nil || len(entries) != 0 {
		t.Errorf("looking made %v (%v)", entries, err)
	}
}
