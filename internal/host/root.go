// Package host reads the machine an incident happened on: its files, through a Root that nothing escapes, and
// its processes, sockets, services and packages, through /proc and programs that only root could have replaced.
// It never writes to the host and never runs a shell.
package host

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// ErrSpecial says that a name is a named pipe, a socket or a device. Those are listed and never opened: reading
// one may block for ever or, as with /dev/watchdog, act on the machine.
var ErrSpecial = errors.New("not a regular file or directory")

// Root is the file tree of one host, live ("/") or mounted somewhere, as an [fs.FS]. Names are absolute paths
// without the leading slash, and "." is "/". Unlike [fs.ValidPath] it accepts every name a host can hold, with
// invalid UTF-8 and newlines.
//
// Symbolic links are resolved as the host would have resolved them, an absolute one from the Root on, and ".."
// stops at the Root. Each step opens a single component with O_NOFOLLOW beneath the directory before it, or Linux opens all of a path
// that has neither a link nor a mount (openat2), so no link, and no race against one, leads out of the tree.
// [os.Root] is not used because it refuses absolute links and must be able to read every directory it passes through, which fails on a
// 0711 /home.
//
// Where we are root, a user's link leads no further than that user could go: what it leads to is not read with root's rights.
//
// A file system that a user serves (FUSE) is not entered where it is mounted beneath the Root, nor is anything asked of it: it could answer
// never, and then not even SIGKILL ends who waits. The error wraps [ErrNotTrusted]. The Root itself may lie on one: whoever named it
// asked for it.
//
// The links of /proc (cwd, exe, fd) are followed by their text, not by what they stand for.
// A Root is safe for concurrent use until Close.
type Root struct {
	dir    string // where the tree lies on this machine
	fd     int
	mounts mountWatch
	kinds  sync.Map // the names of the file systems that have no device, by the numbers that files on them have
}

// OpenRoot opens the tree at dir, which may itself be a symbolic link.
func OpenRoot(dir string) (*Root, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("opening root %q: %w", dir, err)
	}
	fd, err := unix.Open(dir, searchFlags|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	r := &Root{dir: dir, fd: fd}
	r.mounts.begin(fd)
	return r, nil
}

// Close releases the root directory. Files opened from it stay open.
func (r *Root) Close() error {
	r.mounts.close()
	return unix.Close(r.fd)
}

// Live says whether r is the tree of the running machine.
func (r *Root) Live() bool { return r.dir == "/" }

// Dir is the place of the tree on this machine, "/" for the live host.
func (r *Root) Dir() string { return r.dir }

// Open opens a regular file or directory for reading and follows links. The file is an [*os.File].
// It leaves the access time alone where the kernel permits that. For anything else the error wraps [ErrSpecial].
// EAGAIN means that another process holds a lease on the file: opening it again after
// /proc/sys/fs/lease-break-time seconds succeeds.
func (r *Root) Open(name string) (fs.File, error) {
	f, err := r.open(name, true)
	if err != nil {
		return nil, err // an *os.File that is nil must not become an fs.File that is not
	}
	return f, nil
}

// OpenNoFollow opens like [Root.Open], but a link as the last component is an error that wraps ELOOP.
func (r *Root) OpenNoFollow(name string) (*os.File, error) { return r.open(name, false) }

func (r *Root) open(name string, follow bool) (*os.File, error) {
	p, err := r.find("open", name, follow)
	if err != nil {
		return nil, err
	}
	defer p.close()
	fd, err := p.open()
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return os.NewFile(uintptr(fd), p.host()), nil
}

// open opens the place for reading. It looks before and after: before, because opening a device acts on it;
// after, because the file can be swapped in between.
func (p *place) open() (int, error) {
	if err := p.readable(&p.stat); err != nil {
		return -1, err
	}
	const flags = unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOFOLLOW | unix.O_NOCTTY | unix.O_CLOEXEC
	fd, err := p.root.enter(p.dir, p.base, flags|noAtime)
	if errors.Is(err, unix.EPERM) && noAtime != 0 {
		fd, err = p.root.enter(p.dir, p.base, flags) // only a file's owner and root may leave its access time alone
	}
	if errors.Is(err, unix.EAGAIN) {
		return -1, fmt.Errorf("%w: another process holds a lease on it; in a minute it can be opened", err)
	}
	if err != nil {
		return -1, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return -1, err
	}
	if err := errors.Join(p.readable(&st), p.isFile(fd, &st)); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// readable refuses what is not read as bytes or entries, and what nobody but root could be led to.
func (p *place) readable(st *unix.Stat_t) error {
	if err := openable(uint32(st.Mode)); err != nil {
		return err
	}
	return p.mayRead(p.dir, st)
}

// openable refuses every kind of file that is not read as bytes or entries.
func openable(mode uint32) error {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG, unix.S_IFDIR:
		return nil
	case unix.S_IFLNK:
		return syscall.ELOOP
	case unix.S_IFIFO:
		return fmt.Errorf("%w: named pipe", ErrSpecial)
	case unix.S_IFSOCK:
		return fmt.Errorf("%w: socket", ErrSpecial)
	case unix.S_IFCHR, unix.S_IFBLK:
		return fmt.Errorf("%w: device", ErrSpecial)
	}
	return ErrSpecial
}

// Stat describes a file and follows links.
func (r *Root) Stat(name string) (fs.FileInfo, error) { return r.stat("stat", name, true) }

// Lstat describes a file or the link itself.
func (r *Root) Lstat(name string) (fs.FileInfo, error) { return r.stat("lstat", name, false) }

// LstatIn is Lstat for a name that lies in an open directory. It spares looking up the whole way again, which is most of the work
// where many files are described.
func (r *Root) LstatIn(dir *os.File, name string) (fs.FileInfo, error) {
	p := place{root: r, dir: int(dir.Fd()), base: filepath.Base(name), path: name}
	fi, err := p.info()
	if err != nil {
		return nil, &fs.PathError{Op: "lstat", Path: name, Err: err}
	}
	return fi, nil
}

func (r *Root) stat(op, name string, follow bool) (fs.FileInfo, error) {
	p, err := r.find(op, name, follow)
	if err != nil {
		return nil, err
	}
	defer p.close()
	fi, err := p.info()
	if err != nil {
		return nil, &fs.PathError{Op: op, Path: name, Err: err}
	}
	return fi, nil
}

// ReadLink returns a link's text.
func (r *Root) ReadLink(name string) (string, error) {
	p, err := r.find("readlink", name, false)
	if err != nil {
		return "", err
	}
	defer p.close()
	target, err := readlinkat(p.dir, p.base)
	if err != nil {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: err}
	}
	return target, nil
}

// ReadDir lists a directory sorted by name. A directory of unknown size is better read with [Root.ReadDirIter].
func (r *Root) ReadDir(name string) ([]fs.DirEntry, error) {
	var list []fs.DirEntry
	for e, err := range r.ReadDirIter(name) {
		if err != nil {
			return list, err
		}
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return list, nil
}

// ReadDirIter lists a directory in the order it is stored, a few hundred entries at a time, so that memory stays flat
// whatever its size. An error ends the sequence.
func (r *Root) ReadDirIter(name string) iter.Seq2[fs.DirEntry, error] {
	return func(yield func(fs.DirEntry, error) bool) {
		f, err := r.open(name, true)
		if err != nil {
			yield(nil, err)
			return
		}
		defer f.Close()
		for {
			batch, err := f.ReadDir(256)
			for _, e := range batch {
				if !yield(entry{e, r, name}, nil) {
					return
				}
			}
			if len(batch) == 0 {
				if err != nil && !isEOF(err) {
					yield(nil, err)
				}
				return
			}
		}
	}
}

// entry is a directory entry whose Info goes through the Root: os would look the path up again by itself.
type entry struct {
	fs.DirEntry
	root *Root
	dir  string
}

func (e entry) Info() (fs.FileInfo, error) {
	if e.dir == "." {
		return e.root.Lstat(e.Name())
	}
	return e.root.Lstat(e.dir + "/" + e.Name())
}
