package host

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/clawbook/openclaw-ir/internal/json5"
	"golang.org/x/sys/unix"
)

// ErrChanged says that a file is not what it was when the change to it was planned.
var ErrChanged = errors.New("changed meanwhile")

// FileState is what a file was at one moment. The zero FileState is that of a file that doesn't exist.
type FileState struct {
	Exists bool   `json:"exists"`
	Mode   uint32 `json:"mode,omitempty"` // permissions
	UID    uint32 `json:"uid"`
	GID    uint32 `json:"gid"`
	Size   int64  `json:"size,omitempty"`
	SHA256 string `json:"sha256,omitempty"` // hex
}

// rewriteLimit bounds a file that is rewritten, in bytes. Configurations and unit files are far smaller.
const rewriteLimit = 64 << 20

// ReadFile reads a regular file of this machine as a user may read it, and says what it was. A link is followed as
// far as the user could go, and if it is root's or the user's. A file that does not exist has the zero FileState and no error.
func ReadFile(owner Owner, path string) (text []byte, st FileState, err error) {
	err = As(owner, func() error {
		s, err := spotFor(owner, path, true)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
			return nil
		}
		if err != nil {
			return err
		}
		defer s.close()
		text, st, err = s.read()
		if errors.Is(err, syscall.ELOOP) { // a link to nothing
			return nil
		}
		return err
	})
	return text, st, err
}

// read reads the file, which is none if something on the way to it is missing.
func (s *spot) read() ([]byte, FileState, error) {
	f, err := s.openFile()
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil, FileState{}, nil
	}
	if err != nil {
		return nil, FileState{}, err
	}
	defer f.Close()
	return contentOf(f, s.path)
}

// openFile opens what is there by now, if it is a regular file.
func (s *spot) openFile() (*os.File, error) {
	at, err := s.root.pin(s.dir, s.base, &s.stat)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: s.path, Err: err}
	}
	shut(at)
	fd, err := s.open()
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: s.path, Err: err}
	}
	return os.NewFile(uintptr(fd), s.path), nil
}

func contentOf(f *os.File, path string) ([]byte, FileState, error) {
	fi, err := f.Stat()
	if err == nil && !fi.Mode().IsRegular() {
		err = ErrSpecial
	}
	if err == nil && fi.Size() > rewriteLimit {
		err = fmt.Errorf("larger than %d bytes", rewriteLimit)
	}
	if err != nil {
		return nil, FileState{}, &fs.PathError{Op: "read", Path: path, Err: err}
	}
	text, err := io.ReadAll(io.LimitReader(f, rewriteLimit+1))
	if err == nil && len(text) > rewriteLimit {
		err = &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("larger than %d bytes", rewriteLimit)}
	}
	if err != nil {
		return nil, FileState{}, err
	}
	m := Meta(fi)
	sum := sha256.Sum256(text)
	return text, FileState{true, m.Mode & 0o7777, m.UID, m.GID, int64(len(text)), hex.EncodeToString(sum[:])}, nil
}

// Rewrite replaces the content of a file, or makes one, in one step that a crash cannot halve, and returns what the
// file is then. It acts with the user's rights, in the directory that the way to the file led to when it began. was is what [ReadFile] said
// of the file: one that is something else by now is left alone, or put back, and the error wraps [ErrChanged]. Mode, owner and access control list stay; a
// new file gets mode, and its directory is made if it is missing.
func Rewrite(owner Owner, path string, text []byte, was FileState, mode fs.FileMode) (now FileState, err error) {
	err = As(owner, func() error {
		if !was.Exists {
			if err := makeDir(owner, filepath.Dir(path)); err != nil {
				return err
			}
		}
		s, err := spotFor(owner, path, true)
		if err != nil {
			return err
		}
		defer s.close()
		now, err = s.rewrite(text, was, mode)
		return explainRefusal(err, path)
	})
	return now, err
}

// explainRefusal adds to an error that says that a file may not be changed whether the file or its directory is marked so: an intruder
// marks what is to stay, and then root is refused too.
func explainRefusal(err error, path string) error {
	if !errors.Is(err, unix.EPERM) {
		return err
	}
	for _, p := range []string{path, filepath.Dir(path)} {
		if x, xerr := extraAt(unix.AT_FDCWD, p); xerr == nil && (x.Immutable || x.AppendOnly) {
			return fmt.Errorf("%w: %q is marked so that nobody changes it; root takes that away with %s, then again", err, p, unmark)
		}
	}
	return err
}

// makeDir makes a directory, and those above it.
func makeDir(owner Owner, path string) error {
	s, err := spotFor(owner, path, true)
	if errors.Is(err, fs.ErrNotExist) && path != filepath.Dir(path) {
		if err := makeDir(owner, filepath.Dir(path)); err != nil {
			return err
		}
		s, err = spotFor(owner, path, true)
	}
	if err != nil {
		return err
	}
	defer s.close()
	if err := unix.Mkdirat(s.dir, s.base, 0o755); err != nil && !errors.Is(err, unix.EEXIST) {
		return &fs.PathError{Op: "mkdir", Path: path, Err: err}
	}
	return nil
}

// temporaryPrefix begins the name of a file that is about to replace another.
const temporaryPrefix = ".openclaw-ir-"

// RemoveTemporary removes from a directory what a Rewrite that was killed left there. The next Rewrite in it does so too.
func RemoveTemporary(owner Owner, dir string) error {
	return As(owner, func() error {
		s, err := spotFor(owner, filepath.Join(dir, temporaryPrefix), false)
		if err != nil {
			return err
		}
		defer s.close()
		return s.tidy()
	})
}

// tidy removes what a Rewrite that was killed left in the directory.
func (s *spot) tidy() error {
	d, err := s.openDir()
	if err != nil {
		return err
	}
	defer d.Close()
	entries, err := d.ReadDir(-1)
	for _, e := range entries {
		name := e.Name()
		if e.Type().IsRegular() && strings.HasPrefix(name, temporaryPrefix) && len(name) == len(temporaryPrefix)+len(rand.Text()) {
			err = errors.Join(err, s.remove(name))
		}
	}
	return err
}

// openDir opens the directory itself for reading.
func (s *spot) openDir() (*os.File, error) {
	dir := filepath.Dir(s.path)
	fd, err := openat(s.dir, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	return os.NewFile(uintptr(fd), dir), nil
}

// remove removes a file from the directory.
func (s *spot) remove(name string) error {
	if err := unix.Unlinkat(s.dir, name, 0); err != nil {
		return &fs.PathError{Op: "remove", Path: filepath.Join(filepath.Dir(s.path), name), Err: err}
	}
	return nil
}

func (s *spot) rewrite(text []byte, was FileState, mode fs.FileMode) (FileState, error) {
	if err := s.unchanged(was); err != nil {
		return FileState{}, err
	}
	if was.Exists {
		mode = fs.FileMode(was.Mode & 0o777)
	}
	_ = s.tidy() // it holds what the file held; that it cannot be removed is no reason to leave the file as it is
	temporary := temporaryPrefix + rand.Text()
	f, err := s.writeLike(temporary, text, was, mode)
	if err != nil {
		return FileState{}, err
	}
	defer f.Close() // open until it has its name, so that its inode is nobody else's
	if err := s.putInPlace(temporary, f, was); err != nil {
		return FileState{}, err
	}
	if err := s.sync(); err != nil {
		return FileState{}, err
	}
	_, now, err := s.read()
	return now, err
}

// writeLike writes a new file through to the disk, with the owner and the access control list of the one it stands in for.
func (s *spot) writeLike(name string, text []byte, was FileState, mode fs.FileMode) (*os.File, error) {
	var fd int
	err := retry(func() (err error) {
		fd, err = unix.Openat(s.dir, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
		return err
	})
	if err != nil {
		return nil, &fs.PathError{Op: "create", Path: filepath.Join(filepath.Dir(s.path), name), Err: err}
	}
	f := os.NewFile(uintptr(fd), name)
	_, err = f.Write(text)
	if err == nil && was.Exists {
		err = s.lend(f, was)
	}
	if err = errors.Join(err, f.Chmod(mode), f.Sync()); err != nil {
		f.Close()
		_ = s.remove(name)
		return nil, err
	}
	return f, nil
}

// lend gives a file the owner and the access control list of the one that is there.
func (s *spot) lend(f *os.File, was FileState) error {
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	if m := Meta(fi); m.UID != was.UID || m.GID != was.GID {
		if err := f.Chown(int(was.UID), int(was.GID)); err != nil {
			return err
		}
	}
	old, err := s.openFile()
	if err != nil {
		return err
	}
	defer old.Close()
	return copyACL(old, f)
}

// putInPlace gives a file that was written the name of the spot. What has the name is changed for it in one step and only then looked
// at: what somebody wrote in the last moment is seen, and put back.
func (s *spot) putInPlace(temporary string, f *os.File, was FileState) error {
	changed := &fs.PathError{Op: "change", Path: s.path, Err: ErrChanged}
	var err error
	if was.Exists {
		err = exchange(s.dir, temporary, s.base)
	} else {
		err = nameNew(s.dir, temporary, s.base)
	}
	switch {
	case was.Exists && errors.Is(err, errors.ErrUnsupported): // the file system cannot: what is written in this moment is not seen
		if err = s.unchanged(was); err == nil {
			err = unix.Renameat(s.dir, temporary, s.dir, s.base)
		}
	case errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist):
		err = changed
	case err == nil && was.Exists:
		return s.settle(temporary, f, was, changed)
	}
	if err != nil {
		_ = s.remove(temporary)
	}
	return err
}

// settle removes what had the name before, unless it is something else than it was: then that gets its name back.
func (s *spot) settle(temporary string, f *os.File, was FileState, changed error) error {
	old := &spot{&place{root: s.root, dir: s.dir, base: temporary, led: s.led}, s.path}
	if old.unchanged(was) != nil {
		return errors.Join(changed, s.putBack(temporary, f))
	}
	if err := s.remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.EISDIR) { // somebody took it
		return err
	}
	return nil
}

// putBack gives what somebody wrote in the last moment its name again, and removes the file that has it.
func (s *spot) putBack(temporary string, f *os.File) error {
	err := exchange(s.dir, temporary, s.base)
	if errors.Is(err, fs.ErrNotExist) { // the file was taken away meanwhile
		return nameNew(s.dir, temporary, s.base)
	}
	if err != nil {
		return err
	}
	var own, there unix.Stat_t
	err = errors.Join(unix.Fstat(int(f.Fd()), &own), unix.Fstatat(s.dir, temporary, &there, unix.AT_SYMLINK_NOFOLLOW))
	if err != nil || own.Ino != there.Ino || own.Dev != there.Dev {
		return nil // somebody took it, and may keep it
	}
	return s.remove(temporary)
}

// linkNew is nameNew where a rename always replaces. A memory stick has no links: there it does replace.
func linkNew(dir int, from, to string) error {
	err := unix.Linkat(dir, from, dir, to, 0)
	switch {
	case err == nil:
		return unix.Unlinkat(dir, from, 0)
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.ENOTSUP), errors.Is(err, unix.ENOSYS):
		return unix.Renameat(dir, from, dir, to)
	}
	return err
}

// Remove removes a file if it is still what was says. A link is not followed, and is not that.
func Remove(owner Owner, path string, was FileState) error {
	return As(owner, func() error {
		s, err := spotFor(owner, path, false)
		if !was.Exists && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)) {
			return nil
		}
		if err != nil {
			return err
		}
		defer s.close()
		if err := s.unchanged(was); err != nil || !was.Exists {
			return err
		}
		if err := s.remove(s.base); err != nil {
			return explainRefusal(err, path)
		}
		return s.sync()
	})
}

func (s *spot) unchanged(was FileState) error {
	_, now, err := s.read()
	if err != nil {
		return err
	}
	if now != was {
		return &fs.PathError{Op: "change", Path: s.path, Err: ErrChanged}
	}
	return nil
}

// sync returns when the directory's names are on the disk. Some network file systems cannot tell, which is no error.
func (s *spot) sync() error {
	d, err := s.openDir()
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOTSUP) {
		return err
	}
	return nil
}

// OwnerOf returns the user whose rights suffice for a path, which the caller then acts with: the file's or
// directory's own owner. Where we are root, what lies on the way must be that user's or root's as far as it leads on, and for what
// belongs to root it must be root's alone; otherwise the error wraps [ErrNotTrusted].
func OwnerOf(r *Root, path string) (Owner, error) {
	name := hostName(path)
	fi, err := r.Stat(name)
	if err != nil {
		return Owner{}, err
	}
	m := Meta(fi)
	owner := Owner{m.UID, m.GID}
	p, err := r.findFor(owner, "open", name, true)
	if err != nil {
		return Owner{}, err
	}
	p.close()
	if m.UID == 0 && os.Geteuid() == 0 {
		return owner, onlyRoot(p.path, &p.stat)
	}
	return owner, nil
}

func hostName(path string) string {
	if path = filepath.Clean("/" + path); path == "/" {
		return "."
	}
	return path[1:]
}

// Revert takes back the edits to a file that was before and then became after. One that is something else by now was
// changed by somebody else: that is an error that wraps [ErrChanged], unless force. A file that is as before is left as it is.
func Revert(owner Owner, path string, edits json5.Patch, before, after FileState, force bool) error {
	text, now, err := ReadFile(owner, path)
	if err != nil {
		return err
	}
	if now.Exists == before.Exists && now.SHA256 == before.SHA256 {
		return nil // never made, or taken back already
	}
	changed := now.SHA256 != after.SHA256
	if changed && !force {
		return fmt.Errorf("%q: %w by somebody else", path, ErrChanged)
	}
	old, err := edits.Invert().Apply(text)
	if err != nil {
		return fmt.Errorf("taking back the edits to %q: %w", path, err)
	}
	if sum := sha256.Sum256(old); !changed && hex.EncodeToString(sum[:]) != before.SHA256 {
		return fmt.Errorf("taking back the edits to %q does not give what was there", path)
	}
	_, err = Rewrite(owner, path, old, now, 0o600)
	return err
}
