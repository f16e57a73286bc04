package host

import (
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxLinks is how many links Linux follows in one lookup (path_resolution(7)).
const maxLinks = 40

// place is where a name ends: an open directory and the last component in it.
type place struct {
	root *Root
	dir  int    // descriptor of the directory
	base string // "." when the name is the directory itself
	path string // the name without links, "" for the root
	stat unix.Stat_t
	led
}

func (p *place) close() {
	if p.dir != p.root.fd {
		unix.Close(p.dir)
	}
}

// host is the path of the place on this machine.
func (p *place) host() string { return filepath.Join(p.root.dir, p.path) }

// find walks to name. It fails with a [*fs.PathError].
func (r *Root) find(op, name string, follow bool) (*place, error) {
	return r.findSeeing(op, name, follow, nil)
}

// findSeeing is find that shows each directory, link and file on the way to see, whose error ends the walk.
func (r *Root) findSeeing(op, name string, follow bool, see func(path string, st *unix.Stat_t) error) (*place, error) {
	fail := func(err error) (*place, error) { return nil, &fs.PathError{Op: op, Path: name, Err: err} }
	if !validName(name) {
		return fail(fs.ErrInvalid)
	}
	if see == nil {
		switch p, err := r.straight(name, follow); {
		case err == nil:
			return p, nil
		case errors.Is(err, fs.ErrNotExist):
			return fail(err)
		}
	}
	w := &walk{root: r, fd: r.fd, see: see}
	p, err := w.to(strings.Split(name, "/"), follow)
	if err != nil {
		w.leave()
		return fail(err)
	}
	return p, nil
}

// errWinding leaves a name to a walk.
var errWinding = errors.New("not at the end of directories alone")

// straight finds what lies at the end of directories alone, with no link and no mount on the way: the kernel looks all of them up at once.
// An error other than [fs.ErrNotExist] leaves it to a walk, which says what is the matter.
func (r *Root) straight(name string, follow bool) (*place, error) {
	way, base := filepath.Split(name)
	if way == "" {
		return nil, errWinding
	}
	dir, err := r.enterStraight(way)
	if err != nil {
		return nil, err
	}
	p := &place{root: r, dir: dir, base: base, path: name}
	at, err := r.pin(dir, base, &p.stat)
	shut(at)
	if err == nil && follow && p.stat.Mode&unix.S_IFMT == unix.S_IFLNK {
		err = errWinding
	}
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// validName accepts what a host can hold: any bytes but NUL between the slashes.
func validName(name string) bool {
	if name == "." {
		return true
	}
	if strings.IndexByte(name, 0) >= 0 {
		return false
	}
	for c := range strings.SplitSeq(name, "/") {
		if c == "" || c == "." || c == ".." {
			return false
		}
	}
	return true
}

// walk is a lookup under way: the directory it stands in and how it came there.
type walk struct {
	root  *Root
	fd    int
	names []string      // from the root to fd, links resolved
	ids   []unix.Stat_t // of the directories named in names
	links int
	led
	see func(string, *unix.Stat_t) error
}

func (w *walk) to(todo []string, follow bool) (*place, error) {
	var st unix.Stat_t
	at, err := w.look(".", &st)
	if err != nil {
		return nil, err
	}
	shut(at)
	for len(todo) > 0 {
		name := todo[0]
		todo = todo[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			if err := w.up(); err != nil {
				return nil, err
			}
			continue
		}
		if at, err = w.look(name, &st); err != nil {
			return nil, err
		}
		last, kind := len(todo) == 0, st.Mode&unix.S_IFMT
		if kind == unix.S_IFDIR && !last {
			if err := w.down(name, at, st); err != nil {
				return nil, err
			}
			continue
		}
		shut(at)
		switch {
		case kind == unix.S_IFLNK && (follow || !last):
			target, err := w.link(name, &st)
			if err != nil {
				return nil, err
			}
			todo = append(strings.Split(target, "/"), todo...)
		case last:
			return &place{w.root, w.fd, name, w.path(name), st, w.led}, nil
		default:
			return nil, syscall.ENOTDIR
		}
	}
	if err := retry(func() error { return unix.Fstat(w.fd, &st) }); err != nil {
		return nil, err
	}
	return &place{w.root, w.fd, ".", strings.Join(w.names, "/"), st, w.led}, nil
}

// look pins one component without following it.
func (w *walk) look(name string, st *unix.Stat_t) (at int, err error) {
	at, err = w.root.pin(w.fd, name, st)
	if err != nil || w.see == nil {
		return at, err
	}
	if err := w.see(w.path(name), st); err != nil {
		shut(at)
		return -1, err
	}
	return at, nil
}

func (w *walk) path(name string) string {
	if len(w.names) == 0 {
		return name
	}
	return strings.Join(w.names, "/") + "/" + name
}

// link reads a link and, if it is absolute, goes back to the root.
func (w *walk) link(name string, st *unix.Stat_t) (string, error) {
	if w.links++; w.links > maxLinks {
		return "", syscall.ELOOP
	}
	if err := w.by(w.fd, st); err != nil {
		return "", err
	}
	target, err := readlinkat(w.fd, name)
	switch {
	case err != nil:
		return "", err
	case target == "":
		return "", syscall.ENOENT
	case target[0] == '/':
		w.leave()
		w.fd, w.names, w.ids = w.root.fd, nil, nil
	}
	return target, nil
}

// down goes into a directory that was pinned.
func (w *walk) down(name string, at int, st unix.Stat_t) (err error) {
	if at < 0 {
		if at, err = openat(w.fd, name, searchFlags|unix.O_NOFOLLOW|unix.O_CLOEXEC); err != nil {
			return err
		}
	}
	w.leave()
	w.through(&st)
	w.fd, w.names, w.ids = at, append(w.names, name), append(w.ids, st)
	return nil
}

// up goes to the directory that was passed before this one. The kernel's ".." is only believed if it is that
// directory: one that was moved meanwhile has another parent, perhaps outside.
func (w *walk) up() error {
	depth := len(w.names)
	if depth <= 1 {
		w.leave()
		w.fd, w.names, w.ids = w.root.fd, nil, nil
		return nil
	}
	fd, err := w.root.enter(w.fd, "..", searchFlags|unix.O_NOFOLLOW|unix.O_CLOEXEC)
	if err != nil {
		return err
	}
	var st unix.Stat_t
	want := w.ids[depth-2]
	if err := unix.Fstat(fd, &st); err != nil || st.Dev != want.Dev || st.Ino != want.Ino {
		unix.Close(fd)
		return syscall.ESTALE
	}
	w.leave()
	w.fd, w.names, w.ids = fd, w.names[:depth-1], w.ids[:depth-1]
	return nil
}

func (w *walk) leave() {
	if w.fd != w.root.fd {
		unix.Close(w.fd)
	}
	w.fd = w.root.fd
}

// shut closes what pin returned.
func shut(at int) {
	if at >= 0 {
		unix.Close(at)
	}
}

func openat(dir int, name string, flags int) (fd int, err error) {
	err = retry(func() error { fd, err = unix.Openat(dir, name, flags, 0); return err })
	return fd, err
}

func readlinkat(dir int, name string) (string, error) {
	buf := make([]byte, 8192) // a link's text is shorter than PATH_MAX, 4096
	var n int
	err := retry(func() (err error) { n, err = unix.Readlinkat(dir, name, buf); return err })
	if err != nil {
		return "", err
	}
	return string(buf[:n]), nil
}

// retry repeats a call that a signal interrupted.
func retry(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

func isEOF(err error) bool { return errors.Is(err, io.EOF) }
