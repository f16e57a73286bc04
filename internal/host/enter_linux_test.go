package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/clawbook/openclaw-ir/internal/fusetest"
	"golang.org/x/sys/unix"
)

// agent is the user who serves what hangs.
const agent = 4321

// asks are the ways in which a file is asked for.
var asks = map[string]func(r *Root, name string) error{
	"Open":         func(r *Root, name string) error { _, err := r.Open(name); return err },
	"OpenNoFollow": func(r *Root, name string) error { _, err := r.OpenNoFollow(name); return err },
	"Stat":         func(r *Root, name string) error { _, err := r.Stat(name); return err },
	"Lstat":        func(r *Root, name string) error { _, err := r.Lstat(name); return err },
	"ReadLink":     func(r *Root, name string) error { _, err := r.ReadLink(name); return err },
	"ReadDir":      func(r *Root, name string) error { _, err := r.ReadDir(name); return err },
	"Extra":        func(r *Root, name string) error { _, err := r.Extra(name); return err },
	"FSType":       func(r *Root, name string) error { _, err := r.FSType(name); return err },
	"ReadFile":     func(r *Root, name string) error { _, err := fs.ReadFile(r, name); return err },
}

// inTime returns the error of what does not hang; what does is let go.
func inTime(t *testing.T, what string, s *fusetest.Server, do func() error) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- do() }()
	select {
	case err := <-done:
		return err
	case <-time.After(10 * time.Second):
		s.Abort()
		t.Fatalf("%s: waits for the agent", what)
		return nil
	}
}

// TestServedByUser asks for what lies on a file system that a user serves and that never answers: it must be refused without a question.
func TestServedByUser(t *testing.T) {
	for _, slow := range []bool{false, true} {
		dir := t.TempDir()
		makeFile(t, filepath.Join(dir, "home/served/hidden"), nil)
		makeFile(t, filepath.Join(dir, "home/file"), nil)
		makeLink(t, "served", filepath.Join(dir, "home/link"))
		r := openRoot(t, dir)
		r.mounts.slow = r.mounts.slow || slow
		home, err := r.OpenNoFollow("home") // before anything is mounted in it
		if err != nil {
			t.Fatal(err)
		}
		defer home.Close()
		if _, err := r.Lstat("home/served/hidden"); err != nil {
			t.Fatal(err)
		}
		servers := []*fusetest.Server{
			fusetest.Mount(t, filepath.Join(dir, "home/served"), agent),
			fusetest.Mount(t, filepath.Join(dir, "home/file"), agent),
		}
		for _, s := range servers {
			refused(t, r, s)
			err := inTime(t, "LstatIn", s, func() error {
				_, err := r.LstatIn(home, "home/served")
				return errors.Join(err, func() error { _, err := r.LstatIn(home, "home/file"); return err }())
			})
			isRefusal(t, "LstatIn", err)
			if asked := s.Asked(); len(asked) > 0 {
				t.Errorf("slow %v: the agent was asked: operations %d", slow, asked)
			}
		}
	}
}

func refused(t *testing.T, r *Root, s *fusetest.Server) {
	t.Helper()
	for what, ask := range asks {
		for _, name := range []string{"home/served", "home/served/hidden", "home/link/hidden", "home/file"} {
			err := inTime(t, what, s, func() error { return ask(r, name) })
			isRefusal(t, what+" "+name, err)
		}
	}
	entries, err := r.ReadDir("home")
	if err != nil || len(entries) != 3 {
		t.Fatalf("%d entries, %v", len(entries), err)
	}
	for _, e := range entries {
		if _, err := e.Info(); e.Name() != "link" {
			isRefusal(t, "Info "+e.Name(), err)
		}
	}
}

func isRefusal(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, ErrNotTrusted) || !strings.Contains(err.Error(), "user 4321 serves what is mounted here (fuse.hostile)") {
		t.Errorf("%s: %v", what, err)
	}
}

// TestServedByUserAfterwards has the mount come after the walk: what is opened is what was looked at, or refused.
func TestServedByUserAfterwards(t *testing.T) {
	dir := t.TempDir()
	makeFile(t, filepath.Join(dir, "f"), []byte("before"))
	r := openRoot(t, dir)
	p, err := r.find("open", "f", false)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	s := fusetest.Mount(t, filepath.Join(dir, "f"), agent)
	isRefusal(t, "open", inTime(t, "open", s, func() error { _, err := p.open(); return err }))
	if asked := s.Asked(); len(asked) > 0 {
		t.Errorf("the agent was asked: operations %d", asked)
	}
}

// TestServedToAs acts with a user's rights where that user serves the directory or the file.
func TestServedToAs(t *testing.T) {
	dir := t.TempDir()
	makeFile(t, filepath.Join(dir, "served/f"), nil)
	makeFile(t, filepath.Join(dir, "f"), nil)
	owner := Owner{uint32(os.Geteuid()), uint32(os.Getegid())}
	s := fusetest.Mount(t, filepath.Join(dir, "served"), agent)
	file := fusetest.Mount(t, filepath.Join(dir, "f"), agent)
	for _, name := range []string{"served/f", "served/none", "served", "f"} {
		path := filepath.Join(dir, name)
		isRefusal(t, name, inTime(t, name, s, func() error {
			return AsAt(owner, path, func() error { t.Error("acted on " + name); return nil })
		}))
		isRefusal(t, name, inTime(t, name, s, func() error { _, _, err := ReadFile(owner, path); return err }))
		isRefusal(t, name, inTime(t, name, s, func() error {
			_, err := Rewrite(owner, path, nil, FileState{}, 0o600)
			return err
		}))
	}
	if asked := append(s.Asked(), file.Asked()...); len(asked) > 0 {
		t.Errorf("the agent was asked: operations %d", asked)
	}
}

// TestServedProgram opens what a process's link in procfs stands for.
func TestServedProgram(t *testing.T) {
	f := filepath.Join(t.TempDir(), "f")
	makeFile(t, f, nil)
	s := fusetest.Mount(t, f, agent)
	fd, err := unix.Open(f, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	r := openRoot(t, "/")
	link := fmt.Sprintf("proc/%d/fd/%d", os.Getpid(), fd)
	isRefusal(t, link, inTime(t, link, s, func() error { _, err := r.openMagic(link); return err }))
	if asked := s.Asked(); len(asked) > 0 {
		t.Errorf("the agent was asked: operations %d", asked)
	}
}

// TestServedByRoot enters what root serves: an image of a disk, the directory that a virtual machine shares.
func TestServedByRoot(t *testing.T) {
	dir := t.TempDir()
	served := filepath.Join(dir, "served")
	if err := os.Mkdir(served, 0o755); err != nil {
		t.Fatal(err)
	}
	r := openRoot(t, dir)
	s := fusetest.Mount(t, served, 0)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = r.Lstat("served")
	}()
	for end := time.Now().Add(10 * time.Second); len(s.Asked()) == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("root is not asked")
		}
	}
	s.Abort()
	<-done
}

// TestMountsChange has one mount after the other get the number that the one before had.
func TestMountsChange(t *testing.T) {
	dir := t.TempDir()
	point := filepath.Join(dir, "point")
	makeFile(t, filepath.Join(point, "hidden"), nil)
	r := openRoot(t, dir)
	for range 3 {
		if err := unix.Mount("none", point, "tmpfs", 0, ""); err != nil {
			t.Skipf("mounting: %v", err)
		}
		if fi, err := r.Stat("point"); err != nil || !fi.IsDir() {
			t.Errorf("what root mounted: %v", err)
		}
		if err := unix.Unmount(point, 0); err != nil {
			t.Fatal(err)
		}
		s := fusetest.Mount(t, point, agent)
		isRefusal(t, "Stat", inTime(t, "Stat", s, func() error { _, err := r.Stat("point"); return err }))
		s.Abort()
		if err := unix.Unmount(point, 0); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Stat("point/hidden"); err != nil {
			t.Errorf("after it is gone: %v", err)
		}
	}
}

func TestServed(t *testing.T) {
	for line, want := range map[string]string{
		"36 25 0:32 / / rw - ext4 /dev/vda rw":                                           "",
		"36 25 0:32 / /a rw shared:1 - fuse.lxcfs lxcfs rw,user_id=0,group_id=0":         "",
		"36 25 0:32 / /a rw - virtiofs share rw":                                         "",
		"36 25 0:32 / /a rw - fuse x rw,user_id=1000,group_id=1000":                      "user 1000",
		"36 25 0:32 / /a\\040-\\040ext4 rw - fuse.a,user_id=0 user_id=0 rw,user_id=1000": "user 1000",
		"36 25 0:32 / /a rw - fuseblk /dev/sda1 rw,user_id=1000":                         "user 1000",
		"36 25 0:32 / /a rw - fuseblk /dev/sda1 rw,user_id=0,group_id=0,allow_other":     "",
		"36 25 0:32 / /a rw - fuse x rw":                                                 "somebody",
		"36 25 0:32 / /a rw - fusectl fusectl rw":                                        "",
	} {
		err := served(line, false)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want+" serves") {
			t.Errorf("%s: %v", line, err)
		}
	}
	if served("36 25 0:32 / /a rw - fuse x rw,user_id=0", true) == nil {
		t.Error("user 0 of another namespace was taken for root")
	}
}
