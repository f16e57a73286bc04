package host

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"
)

func TestRootIsFS(t *testing.T) {
	dir := t.TempDir()
	makeFile(t, filepath.Join(dir, "etc/passwd"), []byte("root"))
	makeFile(t, filepath.Join(dir, "var/log/syslog"), []byte("log"))
	makeLink(t, "../etc", filepath.Join(dir, "var/conf"))
	r := openRoot(t, dir)
	if err := fstest.TestFS(r, "etc/passwd", "var/log/syslog", "var/conf"); err != nil {
		t.Error(err)
	}
	var _ interface {
		fs.ReadLinkFS
		fs.StatFS
		fs.ReadDirFS
	} = r
	f, err := r.Open("etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 2)
	if n, err := f.(io.ReaderAt).ReadAt(b, 2); n != 2 || string(b) != "ot" {
		t.Errorf("read %q: %v", b, err)
	}
	if _, err := f.(io.Seeker).Seek(1, io.SeekStart); err != nil {
		t.Error(err)
	}
}

func TestLinks(t *testing.T) {
	outside := t.TempDir()
	makeFile(t, filepath.Join(outside, "secret"), []byte("outside"))
	dir := t.TempDir()
	makeFile(t, filepath.Join(dir, "run/x"), []byte("inside"))
	makeFile(t, filepath.Join(dir, outside, "secret"), []byte("inside"))
	for at, target := range map[string]string{
		"var/run":   "/run",
		"abs":       filepath.Join(outside, "secret"),
		"dots":      "../../../../../../../.." + filepath.Join(outside, "secret"),
		"deep/a/up": "../../run",
		"deep/hop":  "a/up/../run/x",
		"loop":      "loop2",
		"loop2":     "/loop",
		"empty/to":  "/run/",
		"slash":     "//run//./x",
		"filedir":   "run/x/",
		"proc/exe":  "/usr/bin/gone (deleted)",
		"self":      ".",
	} {
		makeLink(t, target, filepath.Join(dir, at))
	}
	r := openRoot(t, dir)
	tests := []struct {
		name string
		err  error
	}{
		{"var/run/x", nil},
		{"abs", nil},
		{"dots", nil},
		{"deep/a/up/x", nil},
		{"deep/hop", nil},
		{"empty/to/x", nil},
		{"slash", nil},
		{"self/self/self/run/x", nil},
		{"loop", syscall.ELOOP},
		{"loop/x", syscall.ELOOP},
		{"filedir", syscall.ENOTDIR},
		{"run/x/y", syscall.ENOTDIR},
		{"proc/exe", fs.ErrNotExist},
		{"", fs.ErrInvalid},
		{"/run/x", fs.ErrInvalid},
		{"run/../run/x", fs.ErrInvalid},
		{"run//x", fs.ErrInvalid},
		{"./run", fs.ErrInvalid},
		{"run/x/", fs.ErrInvalid},
		{"run\x00", fs.ErrInvalid},
		{strings.Repeat("self/", 41) + "run/x", syscall.ELOOP},
		{strings.Repeat("self/", 40) + "run/x", nil},
		{strings.Repeat("n", 300), syscall.ENAMETOOLONG},
	}
	for _, tt := range tests {
		b, err := fs.ReadFile(r, tt.name)
		if !errors.Is(err, tt.err) {
			t.Errorf("%.40q: error %v, want %v", tt.name, err, tt.err)
		}
		var path *fs.PathError
		if err != nil && !errors.As(err, &path) {
			t.Errorf("%.40q: %T is no *fs.PathError", tt.name, err)
		}
		if err == nil && string(b) != "inside" {
			t.Errorf("%.40q: escaped: %q", tt.name, b)
		}
	}
	if _, err := r.OpenNoFollow("abs"); !errors.Is(err, syscall.ELOOP) {
		t.Errorf("OpenNoFollow of a link: %v", err)
	}
	if f, err := r.OpenNoFollow("var/run/x"); err != nil {
		t.Error(err)
	} else {
		f.Close()
	}
	if target, err := r.ReadLink("var/run"); err != nil || target != "/run" {
		t.Errorf("readlink: %q, %v", target, err)
	}
	if fi, err := r.Lstat("loop"); err != nil || fi.Mode().Type() != fs.ModeSymlink || fi.Name() != "loop" {
		t.Errorf("lstat of a loop: %v, %v", fi, err)
	}
	if fi, err := r.Stat("var/run"); err != nil || !fi.IsDir() {
		t.Errorf("stat through a link: %v, %v", fi, err)
	}
}

func TestSpecialFilesAreNotOpened(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("unix", filepath.Join(dir, "sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	makeLink(t, "fifo", filepath.Join(dir, "link"))
	names := []string{"fifo", "sock", "link"}
	if syscall.Mknod(filepath.Join(dir, "null"), syscall.S_IFCHR|0o666, 1<<8|3) == nil {
		names = append(names, "null")
	}
	r := openRoot(t, dir)
	for _, name := range names {
		if _, err := r.Open(name); !errors.Is(err, ErrSpecial) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := r.Lstat(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A file that is swapped for a FIFO, a link or a directory while it is opened must give the file or an error, at once.
func TestSwap(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Join(t.TempDir(), "outside")
	makeFile(t, outside, []byte("outside"))
	makeFile(t, filepath.Join(dir, "a"), []byte("inside"))
	makeLink(t, outside, filepath.Join(dir, "b"))
	if err := syscall.Mkfifo(filepath.Join(dir, "c"), 0o644); err != nil {
		t.Fatal(err)
	}
	x := filepath.Join(dir, "x")
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				os.Link(filepath.Join(dir, string(rune('a'+i%3))), x+"new") // Linux links the link itself
				os.Rename(x+"new", x)
				os.Remove(x + "new")
			}
		}
	}()
	r := openRoot(t, dir)
	opened := 0
	for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); {
		f, err := r.OpenNoFollow("x")
		if err != nil {
			continue
		}
		b, err := io.ReadAll(f)
		f.Close()
		if err != nil || string(b) != "inside" {
			t.Errorf("read %q, %v", b, err)
			break
		}
		opened++
	}
	close(stop)
	<-stopped
	if opened == 0 {
		t.Error("never opened")
	}
}

func TestHostileNames(t *testing.T) {
	dir := t.TempDir()
	names := []string{"new\nline", "\x1b[2Jescape", "inv\xff\xfealid", " ", "-rf", "a\\b", "…", "..."}
	for _, n := range names {
		makeFile(t, filepath.Join(dir, n), []byte(n))
	}
	r := openRoot(t, dir)
	list, err := r.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	for i, e := range list {
		if e.Name() != names[i] {
			t.Errorf("entry %q, want %q", e.Name(), names[i])
		}
		if _, err := e.Info(); err != nil {
			t.Error(err)
		}
		if b, err := fs.ReadFile(r, e.Name()); err != nil || string(b) != e.Name() {
			t.Errorf("%q: %q, %v", e.Name(), b, err)
		}
	}
}

// Deeper than PATH_MAX: no single path reaches the file, one component at a time does.
func TestDeepTree(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.Repeat("d", 200)
	var path []string
	for range 40 {
		if err := root.Mkdir(name, 0o755); err != nil {
			t.Fatal(err)
		}
		sub, err := root.OpenRoot(name)
		if err != nil {
			t.Fatal(err)
		}
		root.Close()
		root = sub
		path = append(path, name)
	}
	if err := root.WriteFile("f", []byte("deep"), 0o644); err != nil {
		t.Fatal(err)
	}
	root.Close()
	r := openRoot(t, dir)
	if b, err := fs.ReadFile(r, strings.Join(path, "/")+"/f"); err != nil || string(b) != "deep" {
		t.Errorf("read %q, %v", b, err)
	}
	n := 0
	for e, err := range r.ReadDirIter(strings.Join(path, "/")) {
		if err != nil || e.Name() != "f" {
			t.Errorf("%v, %v", e, err)
		} else if _, err := e.Info(); err != nil {
			t.Error(err)
		}
		n++
	}
	if n != 1 {
		t.Errorf("%d entries", n)
	}
}

func TestReadDirIter(t *testing.T) {
	dir := t.TempDir()
	for i := range 1000 {
		makeFile(t, filepath.Join(dir, "d", strconv.Itoa(i)), nil)
	}
	r := openRoot(t, dir)
	seen := map[string]bool{}
	for e, err := range r.ReadDirIter("d") {
		if err != nil {
			t.Fatal(err)
		}
		seen[e.Name()] = true
	}
	if len(seen) != 1000 {
		t.Errorf("%d entries", len(seen))
	}
	for range r.ReadDirIter("d") {
		break
	}
	errs := 0
	for _, err := range r.ReadDirIter("d/1") {
		if err != nil {
			errs++
		}
	}
	if errs != 1 {
		t.Errorf("%d errors listing a file", errs)
	}
}

func TestMeta(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "f")
	makeFile(t, file, []byte("12345"))
	when := time.Date(2026, 11, 22, 1, 2, 3, 456789, time.UTC)
	if err := errors.Join(os.Chmod(file, 0o751|fs.ModeSetuid), os.Chtimes(file, when, when), os.Link(file, file+"2")); err != nil {
		t.Fatal(err)
	}
	r := openRoot(t, dir)
	fi, err := r.Lstat("f")
	if err != nil {
		t.Fatal(err)
	}
	m := Meta(fi)
	if m.Mode != syscall.S_IFREG|0o4751 || m.Size != 5 || m.Nlink != 2 || !m.Mtime.Equal(when) || m.Inode == 0 || m.UID != uint32(os.Getuid()) {
		t.Errorf("%+v", m)
	}
	f, err := r.OpenNoFollow("f")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	byFile, err1 := ExtraOf(f)
	byName, err2 := r.Extra("f")
	if err1 != nil || err2 != nil || byFile != byName {
		t.Errorf("%v %v, %v %v", byFile, err1, byName, err2)
	}
	if !byFile.Born.IsZero() && time.Since(byFile.Born).Abs() > time.Hour {
		t.Errorf("born %v", byFile.Born)
	}
	if _, err := Xattrs(f); err != nil {
		t.Error(err)
	}
}

func TestOpenRootErrors(t *testing.T) {
	dir := t.TempDir()
	makeFile(t, filepath.Join(dir, "f"), nil)
	for _, name := range []string{"none", "f"} {
		if _, err := OpenRoot(filepath.Join(dir, name)); err == nil {
			t.Errorf("opened %q", name)
		}
	}
}

func TestParseMount(t *testing.T) {
	const nfs = `36 35 0:40 / /mnt/a\040b rw shared:1 master:2 - nfs4 srv:/x rw`
	tests := []struct {
		line, dir string
		want      Mount
		ok        bool
	}{
		{nfs, "/", Mount{"mnt/a b", "nfs4", "srv:/x", false}, true},
		{nfs, "/mnt", Mount{"a b", "nfs4", "srv:/x", false}, true},
		{nfs, "/mnt/a b", Mount{".", "nfs4", "srv:/x", false}, true},
		{nfs, "/mnt/a", Mount{}, false},
		{"36 35 0:40 / /x rw - fuse.rclone r: rw,user_id=1000,group_id=1000", "/", Mount{"x", "fuse.rclone", "r:", true}, true},
		{"36 35 0:40 / /x rw - fuse.rclone r: rw,user_id=0,group_id=0", "/", Mount{"x", "fuse.rclone", "r:", false}, true},
		{"36 35 0:40 / / rw - ext4", "/", Mount{}, false},
		{"", "/", Mount{}, false},
	}
	for _, tt := range tests {
		if got, ok := parseMount(tt.line, tt.dir); got != tt.want || ok != tt.ok {
			t.Errorf("%q in %q: %v %v", tt.line, tt.dir, got, ok)
		}
	}
	for kind, skip := range map[string]bool{"nfs4": true, "fuse.sshfs": true, "proc": true, "ext4": false, "tmpfs": false, "devtmpfs": false, "fuseblk": false} {
		if got := (Mount{Type: kind}).Skip(); (got != "") != skip {
			t.Errorf("%s: %q", kind, got)
		}
	}
}
