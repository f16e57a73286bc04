package host

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// acl runs setfacl or getfacl; the test is skipped where there are no lists.
func acl(t *testing.T, program string, args ...string) string {
	t.Helper()
	out, err := exec.Command(program, args...).CombinedOutput()
	if err != nil {
		t.Skipf("%s: %v: %s", program, err, out)
	}
	return string(out)
}

// TestRewriteKeepsACL replaces files whose access control lists, or their directory's default, name another user: who may read and write
// them stays the same.
func TestRewriteKeepsACL(t *testing.T) {
	for what, tt := range map[string]struct {
		mode  os.FileMode
		list  []string
		after []string // on the directory, once the file is there
	}{
		"named reader":            {0o640, []string{"-m", "u:nobody:r,g::-"}, nil},
		"named writer":            {0o600, []string{"-m", "u:nobody:rw"}, nil},
		"masked":                  {0o600, []string{"-m", "u:nobody:rw,m::-"}, nil},
		"default":                 {0o640, nil, []string{"-d", "-m", "u:nobody:rwx"}},
		"default, private":        {0o600, nil, []string{"-d", "-m", "u:nobody:rwx"}},
		"default, and a list":     {0o640, []string{"-m", "u:daemon:r"}, []string{"-d", "-m", "u:nobody:rwx"}},
		"no list at all":          {0o640, nil, nil},
		"default, world-readable": {0o644, nil, []string{"-d", "-m", "u:nobody:rwx"}},
	} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			f := filepath.Join(dir, "config.json")
			if err := os.WriteFile(f, []byte("old"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(f, tt.mode); err != nil {
				t.Fatal(err)
			}
			if tt.list != nil {
				acl(t, "setfacl", append(tt.list, f)...)
			}
			if tt.after != nil {
				acl(t, "setfacl", append(tt.after, dir)...)
			}
			before := acl(t, "getfacl", "-c", "-p", "-n", f)
			owner := Owner{uint32(os.Geteuid()), uint32(os.Getegid())}
			_, was, err := ReadFile(owner, f)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Rewrite(owner, f, []byte("new"), was, 0o600); err != nil {
				t.Fatal(err)
			}
			if after := acl(t, "getfacl", "-c", "-p", "-n", f); after != before {
				t.Errorf("before:\n%safter:\n%s", before, after)
			}
		})
	}
}

func TestNamedWriter(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	makeFile(t, name, nil)
	for list, want := range map[string]bool{
		"u:nobody:r": false, "u:nobody:rw": true, "g:daemon:w": true, "g::rw": false, "u:nobody:rw,m::r": false,
	} {
		acl(t, "setfacl", "-b", name)
		acl(t, "setfacl", "-m", list, name)
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := NamedWriter(f); got != want || err != nil {
			t.Errorf("%s: %v, %v", list, got, err)
		}
		f.Close()
	}
}

// TestACLOfOthersIsNoRootsOwn gives another user what the mode alone does not tell of: a program, a directory on the way, the file itself.
func TestACLOfOthersIsNoRootsOwn(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("what is root's needs root")
	}
	base := t.TempDir()
	for dir := base; dir != os.TempDir(); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Join(base, "etc")
	f := filepath.Join(dir, "recipients.txt")
	makeFile(t, f, nil)
	if err := RootsOwn(f); err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{dir, f} {
		acl(t, "setfacl", "-m", "u:nobody:rwx", at)
		if err := RootsOwn(f); err == nil {
			t.Errorf("user nobody can write %q", at)
		}
		acl(t, "setfacl", "-b", at)
		acl(t, "setfacl", "-m", "g:daemon:rwx", at)
		if err := RootsOwn(f); err == nil {
			t.Errorf("group daemon can write %q", at)
		}
		acl(t, "setfacl", "-b", at)
	}
	if err := RootsOwn(f); err != nil {
		t.Errorf("with no list any more: %v", err)
	}
}
