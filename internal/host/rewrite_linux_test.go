package host

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const (
	agentUID = 64001
	otherUID = 64002
)

// A yard is a directory of the agent's user beside one of another user's and one of root's.
type yard struct {
	t                       *testing.T
	dir, agent, other, root string
}

func newYard(t *testing.T) yard {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("to be several users needs root")
	}
	y := yard{t: t, dir: t.TempDir()}
	y.must(os.Chmod(filepath.Dir(y.dir), 0o755))
	y.agent, y.other, y.root = y.mkdir("agent", agentUID), y.mkdir("other", otherUID), y.mkdir("root", 0)
	return y
}

func (y yard) must(errs ...error) {
	y.t.Helper()
	if err := errors.Join(errs...); err != nil {
		y.t.Fatal(err)
	}
}

func (y yard) mkdir(name string, uid int) string {
	y.t.Helper()
	dir := filepath.Join(y.dir, name)
	y.must(os.Mkdir(dir, 0o755), os.Lchown(dir, uid, uid))
	return dir
}

func (y yard) put(name, text string, uid int) string {
	y.t.Helper()
	y.must(os.WriteFile(name, []byte(text), 0o600), os.Lchown(name, uid, uid))
	return name
}

func (y yard) link(target, name string, uid int) {
	y.t.Helper()
	y.must(os.Symlink(target, name), os.Lchown(name, uid, uid))
}

// holds fails unless a file holds a text, and nothing that was temporary lies beside it.
func (y yard) holds(name, want string) {
	y.t.Helper()
	text, err := os.ReadFile(name)
	if err != nil || string(text) != want {
		y.t.Errorf("%q holds %q, want %q: %v", name, text, want, err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(name), temporaryPrefix+"*")); len(left) > 0 {
		y.t.Errorf("left behind: %q", left)
	}
}

// TestWayOfOthers changes nothing that another user's link leads to.
func TestWayOfOthers(t *testing.T) {
	y := newYard(t)
	y.link(y.put(y.other+"/config", "theirs", otherUID), y.agent+"/to-file", agentUID)
	y.link(y.other, y.agent+"/to-dir", agentUID)
	y.link(y.put(y.root+"/config", "root's", 0), y.agent+"/to-root", agentUID)
	y.link(y.agent, y.other+"/back", otherUID)
	y.put(y.agent+"/config", "own", agentUID)
	y.link("config", y.agent+"/own-link", agentUID)
	y.must(os.Link(y.root+"/config", y.agent+"/hard"))
	for _, c := range []struct {
		path string
		as   uint32
		ok   bool
		want error
	}{
		{y.agent + "/to-file", otherUID, false, ErrNotTrusted},
		{y.agent + "/to-dir/config", otherUID, false, ErrNotTrusted},
		{y.agent + "/to-root", 0, false, ErrNotTrusted},
		{y.agent + "/to-root", agentUID, false, ErrNotTrusted},
		{y.agent + "/hard", 0, false, ErrNotTrusted},
		{y.agent + "/hard", agentUID, false, ErrNotTrusted},
		{y.other + "/back/config", agentUID, false, ErrNotTrusted},
		{y.agent + "/own-link", agentUID, true, nil},
		{y.agent + "/config", agentUID, true, nil},
	} {
		owner := Owner{c.as, c.as}
		text, was, err := ReadFile(owner, c.path)
		if err == nil && c.ok {
			_, err = Rewrite(owner, c.path, append(text, "+"...), was, 0)
		}
		if !errors.Is(err, c.want) || c.ok != (err == nil) {
			t.Errorf("%q as %d: %v, want %v", c.path, c.as, err, c.want)
		}
		if !c.ok && text != nil {
			t.Errorf("%q as %d: %q was read", c.path, c.as, text)
		}
		if _, err := Rewrite(owner, c.path+".new", []byte("new"), FileState{}, 0o600); c.want != nil && err == nil && strings.Contains(c.path, "dir/") {
			t.Errorf("%q as %d: a new file was made", c.path, c.as)
		}
		root, err := OpenRoot("/")
		y.must(err)
		who, err := OwnerOf(root, c.path)
		if c.as == who.UID && errors.Is(c.want, ErrNotTrusted) && err == nil {
			t.Errorf("%q is taken for a file of user %d", c.path, who.UID)
		}
		root.Close()
	}
	y.holds(y.other+"/config", "theirs")
	y.holds(y.root+"/config", "root's")
	y.holds(y.agent+"/config", "own++")
}

// TestChangedInTheLastMoment changes a file for something else between the last look at it and the moment in which it is replaced: what
// came is put back, and nothing is left of what was to replace it.
func TestChangedInTheLastMoment(t *testing.T) {
	for name, come := range map[string]func(y yard, file string) error{
		"another text": func(y yard, file string) error { return os.WriteFile(file, []byte("late"), 0o600) },
		"another mode": func(_ yard, file string) error { return os.Chmod(file, 0o644) },
		"nothing":      func(_ yard, file string) error { return os.Remove(file) },
		"a directory":  func(_ yard, file string) error { return errors.Join(os.Remove(file), os.Mkdir(file, 0o700)) },
		"a pipe":       func(_ yard, file string) error { return errors.Join(os.Remove(file), syscall.Mkfifo(file, 0o600)) },
		"a link": func(y yard, file string) error {
			return errors.Join(os.Remove(file), os.Symlink(y.root+"/shadow", file))
		},
		"a hard link": func(y yard, file string) error { return errors.Join(os.Remove(file), os.Link(y.root+"/shadow", file)) },
		"a device": func(_ yard, file string) error {
			return errors.Join(os.Remove(file), unix.Mknod(file, unix.S_IFCHR|0o666, 1<<8|5))
		},
		"a moved parent": func(y yard, file string) error { return swapParent(y, file) },
	} {
		for _, exists := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				y := newYard(t)
				y.put(y.root+"/shadow", "root's", 0)
				dir := y.mkdir("agent/state", agentUID)
				file := filepath.Join(dir, "config")
				y.put(file, "old", agentUID)
				owner := Owner{agentUID, agentUID}
				_, was, err := ReadFile(owner, file)
				y.must(err)
				if !exists {
					y.must(os.Remove(file))
					was = FileState{}
				}
				s, err := spotFor(owner, file, true)
				y.must(err)
				defer s.close()
				f, err := s.writeLike(temporaryPrefix+strings.Repeat("A", 26), []byte("new"), was, 0o600)
				y.must(err)
				defer f.Close()
				if !exists {
					y.put(file, "came", agentUID)
				}
				y.must(come(y, file))
				before, _ := os.Lstat(file)
				err = s.putInPlace(filepath.Base(f.Name()), f, was)
				moved := name == "a moved parent"
				if gone := !exists && name == "nothing"; (moved && exists || gone) != (err == nil) {
					t.Errorf("%v", err)
				}
				if err != nil && !errors.Is(err, ErrChanged) {
					t.Errorf("%v, want %v", err, ErrChanged)
				}
				after, _ := os.Lstat(file)
				if err != nil && before != nil && (after == nil || !os.SameFile(before, after) || before.Mode() != after.Mode()) {
					t.Errorf("what came is gone: %v, then %v", before, after)
				}
				y.holds(y.root+"/shadow", "root's")
				if fi, err := os.Stat(y.root + "/shadow"); err != nil || fi.Mode() != 0o600 || Meta(fi).UID != 0 {
					t.Errorf("root's file: %v, %v", fi, err)
				}
				if entries, _ := os.ReadDir(y.root); len(entries) != 1 {
					t.Errorf("in root's directory: %v", entries)
				}
				for _, d := range []string{dir, dir + ".moved"} {
					if left, _ := filepath.Glob(d + "/" + temporaryPrefix + "*"); len(left) > 0 {
						t.Errorf("left behind: %q", left)
					}
				}
			})
		}
	}
}

// swapParent moves the directory away and puts a link to root's in its place.
func swapParent(y yard, file string) error {
	dir := filepath.Dir(file)
	return errors.Join(os.Rename(dir, dir+".moved"), os.Symlink(y.root, dir), os.Rename(y.root+"/shadow", y.root+"/config"), os.Rename(y.root+"/config", y.root+"/shadow"))
}

// TestMarkedFile says of a file, or a directory, that is marked as immutable why root may not change it, and what takes the mark away.
func TestMarkedFile(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may mark a file")
	}
	for marked, inDir := range map[string]bool{"file": false, "directory": true} {
		t.Run(marked, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "openclaw.json")
			was, err := Rewrite(Owner{}, path, []byte("{}"), FileState{}, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			at := path
			if inDir {
				at = dir
			}
			mark(t, at)
			_, err = Rewrite(Owner{}, path, []byte("[]"), was, 0o600)
			wantMarked(t, err, at)
			wantMarked(t, Remove(Owner{}, path, was), at)
			wantMarked(t, AsAt(Owner{}, path, func() error { return os.Remove(path) }), at)
			if got, _, err := ReadFile(Owner{}, path); err != nil || string(got) != "{}" {
				t.Errorf("it holds %q, %v", got, err)
			}
			names, err := os.ReadDir(dir)
			if err != nil || len(names) != 1 {
				t.Errorf("left in the directory: %v, %v", names, err)
			}
		})
	}
}

// mark sets the flag of chattr +i until the test ends.
func mark(t *testing.T, path string) {
	t.Helper()
	const immutable = 0x10 // FS_IMMUTABLE_FL of linux/fs.h
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	flags, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, flags|immutable)
	}
	if err != nil {
		t.Skipf("this file system marks nothing: %v", err)
	}
	t.Cleanup(func() {
		defer f.Close()
		if err := unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, flags); err != nil {
			t.Error(err)
		}
	})
}

func wantMarked(t *testing.T, err error, at string) {
	t.Helper()
	if !errors.Is(err, unix.EPERM) || !strings.Contains(err.Error(), fmt.Sprintf("%q is marked so that nobody changes it; root takes that away with chattr -i -a,", at)) {
		t.Errorf("got %v", err)
	}
}
