package casefile

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func setfacl(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("setfacl", args...).CombinedOutput(); err != nil {
		t.Skipf("setfacl: %v: %s", err, out)
	}
}

// TestDefaultACL makes a case where the directory above gives another user everything that is made in it.
func TestDefaultACL(t *testing.T) {
	base := t.TempDir()
	setfacl(t, "-d", "-m", "u:nobody:rwx,g:daemon:rwx", base)
	c, err := Open(filepath.Join(base, "cases"), "acl", true)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.WriteFile("bundles/x", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	n := 0
	err = filepath.WalkDir(filepath.Join(base, "cases"), func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if n++; err == nil && info.Mode().Perm()&0o077 != 0 { // the group's bits are the mask of all whom a list names
			t.Errorf("%q: %v", name, info.Mode())
		}
		return err
	})
	if err != nil || n < 4 {
		t.Errorf("%d files and directories, %v", n, err)
	}
}

// TestCheckDirACL refuses a directory whose access control list lets another user write to it.
func TestCheckDirACL(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mine")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for list, unsafe := range map[string]bool{"u:nobody:rwx": true, "g:daemon:wx": true, "u:nobody:rx": false, "u:nobody:rwx,m::rx": false} {
		setfacl(t, "-b", dir)
		setfacl(t, "-m", list, dir)
		if _, err := CheckDir(dir); errors.Is(err, ErrUnsafe) != unsafe {
			t.Errorf("%s: %v", list, err)
		}
	}
}
