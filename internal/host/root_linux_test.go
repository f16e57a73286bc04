package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// The kernel resolves a path in a chroot the way a Root must: openat2 with RESOLVE_IN_ROOT is the reference.
func TestResolveLikeTheKernel(t *testing.T) {
	base := t.TempDir()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		dir := filepath.Join(base, fmt.Sprint(n))
		comp := rapid.SampledFrom([]string{"a", "b", "c"})
		os.MkdirAll(dir, 0o755)
		for range rapid.IntRange(1, 12).Draw(t, "files") {
			at := filepath.Join(dir, strings.Join(rapid.SliceOfN(comp, 1, 3).Draw(t, "at"), "/"))
			os.MkdirAll(filepath.Dir(at), 0o755)
			switch rapid.IntRange(0, 2).Draw(t, "kind") {
			case 0:
				os.Mkdir(at, 0o755)
			case 1:
				if f, err := os.OpenFile(at, os.O_CREATE|os.O_EXCL, 0o644); err == nil {
					f.Close()
				}
			case 2:
				part := rapid.SampledFrom([]string{"a", "b", "c", "..", "..", ".", ""})
				os.Symlink(strings.Join(rapid.SliceOfN(part, 1, 5).Draw(t, "target"), "/"), at)
			}
		}
		r, err := OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		name := strings.Join(rapid.SliceOfN(comp, 1, 4).Draw(t, "name"), "/")
		flags := uint64(unix.O_PATH)
		lookup := r.Stat
		if rapid.Bool().Draw(t, "nofollow") {
			flags |= unix.O_NOFOLLOW
			lookup = r.Lstat
		}
		var want unix.Stat_t
		fd, wantErr := unix.Openat2(r.fd, name, &unix.OpenHow{Flags: flags, Resolve: unix.RESOLVE_IN_ROOT})
		if wantErr == unix.ENOSYS {
			t.Skip("no openat2")
		}
		if wantErr == nil {
			defer unix.Close(fd)
			if err := unix.Fstat(fd, &want); err != nil {
				t.Fatal(err)
			}
		}
		fi, err := lookup(name)
		switch {
		case wantErr != nil && !errors.Is(err, wantErr):
			t.Fatalf("%q: error %v, kernel says %v", name, err, wantErr)
		case wantErr == nil && err != nil:
			t.Fatalf("%q: error %v, kernel opens it", name, err)
		case wantErr == nil && Meta(fi).Inode != want.Ino:
			t.Fatalf("%q: inode %d, kernel says %d", name, Meta(fi).Inode, want.Ino)
		}
	})
}

// asNobody runs f on a thread whose file permissions are those of a user without any.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err := unix.Setfsuid(65534); err != nil {
			t.Error(err)
			return
		}
		f()
	}()
	<-done
}

func TestWithoutPermission(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} { // the two that t.TempDir made
		os.Chmod(d, 0o711)
	}
	makeFile(t, filepath.Join(dir, "home/claw/pub"), []byte("readable"))
	makeFile(t, filepath.Join(dir, "home/claw/priv"), []byte("unreadable"))
	makeFile(t, filepath.Join(dir, "home/root/f"), []byte("unreadable"))
	os.Chmod(filepath.Join(dir, "home"), 0o711)
	os.Chmod(filepath.Join(dir, "home/claw/priv"), 0o600)
	os.Chmod(filepath.Join(dir, "home/root"), 0o700)
	r := openRoot(t, dir)
	asNobody(t, func() {
		if b, err := fs.ReadFile(r, "home/claw/pub"); err != nil || string(b) != "readable" {
			t.Errorf("through a 0711 directory, by the retry without O_NOATIME: %q, %v", b, err)
		}
		for _, name := range []string{"home/claw/priv", "home/root/f"} {
			if _, err := r.Open(name); !errors.Is(err, fs.ErrPermission) {
				t.Errorf("%q: %v", name, err)
			}
		}
		if _, err := r.Lstat("home/claw/priv"); err != nil {
			t.Error(err)
		}
		if _, err := r.ReadDir("home"); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("list: %v", err)
		}
	})
}

func TestAccessTimeStays(t *testing.T) {
	dir := t.TempDir()
	makeFile(t, filepath.Join(dir, "d/f"), []byte("x"))
	old := unix.NsecToTimespec(1e18)
	for _, n := range []string{"d/f", "d"} {
		if err := unix.UtimesNanoAt(unix.AT_FDCWD, filepath.Join(dir, n), []unix.Timespec{old, old}, 0); err != nil {
			t.Fatal(err)
		}
	}
	r := openRoot(t, dir)
	if _, err := r.ReadDir("d"); err != nil {
		t.Fatal(err)
	}
	if _, err := fs.ReadFile(r, "d/f"); err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{"d/f", "d"} {
		fi, err := r.Lstat(n)
		if err != nil {
			t.Fatal(err)
		}
		if got := Meta(fi).Atime.UnixNano(); got != 1e18 {
			t.Errorf("%s: access time is now %d", n, got)
		}
	}
}

func TestFSTypeAndMounts(t *testing.T) {
	r := openRoot(t, "/")
	if kind, err := r.FSType("proc/self"); err != nil || kind != "proc" || !IsPseudoFS(kind) {
		t.Errorf("%q, %v", kind, err)
	}
	mounts, err := r.Mounts()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	for _, m := range mounts {
		seen[m.Point] = m.Type
	}
	if seen["proc"] != "proc" || seen["."] == "" {
		t.Errorf("%v", seen)
	}
	if mounts, err = openRoot(t, "/proc").Mounts(); err != nil || len(mounts) == 0 || mounts[0].Point != "." {
		t.Errorf("%v, %v", mounts, err)
	}
}

func TestOpenMagic(t *testing.T) {
	r := openRoot(t, "/")
	f, err := r.openMagic("proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Stat("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if !os.SameFile(got, exe) {
		t.Error("another file")
	}
	p, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := r.openMagic(fmt.Sprintf("proc/self/fd/%d", p.Fd())); !errors.Is(err, ErrSpecial) {
		t.Errorf("device: %v", err)
	}
}

// A directory moved out of the tree between two steps has another parent, which ".." must not reach.
func TestMovedDirectory(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	makeFile(t, filepath.Join(dir, "a/b/f"), nil)
	makeLink(t, "b/../f", filepath.Join(dir, "a/l"))
	makeFile(t, filepath.Join(outside, "f"), []byte("outside"))
	r := openRoot(t, dir)
	_, err := r.findSeeing("stat", "a/l", true, func(path string, st *unix.Stat_t) error {
		if path == "a/f" {
			t.Error("reached another f")
		}
		return nil
	})
	if !errors.Is(err, syscall.ENOENT) {
		t.Errorf("before the move: %v", err)
	}
	w := &walk{root: r, fd: r.fd}
	var st unix.Stat_t
	for _, n := range []string{"a", "b"} {
		at, err := w.look(n, &st)
		if err := errors.Join(err, w.down(n, at, st)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Rename(filepath.Join(dir, "a/b"), filepath.Join(outside, "b")); err != nil {
		t.Fatal(err)
	}
	if err := w.up(); !errors.Is(err, syscall.ESTALE) {
		t.Errorf("after the move: %v", err)
	}
	w.leave()
}

// TestLeasedFile says what holds back a file that another process has a lease on, and does not wait for it.
func TestLeasedFile(t *testing.T) {
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "leased"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
		t.Skipf("this file system has no leases: %v", err)
	}
	root, err := OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	_, err = root.Open("leased")
	if !errors.Is(err, unix.EAGAIN) || !strings.Contains(err.Error(), "a lease on it") {
		t.Errorf("got %v", err)
	}
}

// TestKernelFilesAreNoFiles opens what has no end and what keeps its reader waiting, by a link and by its name, as a configuration may name
// it: neither is opened to be read. What is wanted of the kernel is.
func TestKernelFilesAreNoFiles(t *testing.T) {
	dir := t.TempDir()
	r := openRoot(t, "/")
	self := "/proc/" + strconv.Itoa(os.Getpid())
	for i, target := range []string{self + "/pagemap", "/proc/self/pagemap", "/proc/self/task/" + strconv.Itoa(os.Getpid()) + "/environ", "/proc/kmsg", "/proc/self/mem", "/sys/kernel/notes"} {
		if _, err := os.Stat(target); err != nil {
			continue
		}
		link := filepath.Join(dir, strconv.Itoa(i))
		makeLink(t, target, link)
		for _, name := range []string{link, target} {
			f, err := r.Open(hostName(name))
			if err == nil {
				f.Close()
			}
			if !errors.Is(err, ErrSpecial) && !errors.Is(err, fs.ErrPermission) {
				t.Errorf("%s to %s: %v", name, target, err)
			}
		}
	}
	for _, name := range []string{"proc/self/stat", "proc/self/mountinfo", self[1:] + "/environ", "proc/meminfo", "proc/net/dev", "proc/sys/kernel/random/boot_id", "sys/class/net/lo/type"} {
		if text, err := readAll(r, name); text == "" && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if entries, err := r.ReadDir("proc"); len(entries) < 10 {
		t.Errorf("%d entries of proc: %v", len(entries), err)
	}
}
