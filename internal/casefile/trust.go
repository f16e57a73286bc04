package casefile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/clawbook/openclaw-ir/internal/durable"
	"golang.org/x/sys/unix"
)

// openBase opens the directory that holds the cases, and makes it and its
// parents if create is set.
func openBase(dir string, create bool) (*os.Root, string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, "", fmt.Errorf("finding the case directory: %v", err)
	}
	parent, err := safeParent(filepath.Dir(dir), create)
	if err != nil {
		return nil, "", err
	}
	above, err := os.OpenRoot(parent)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", fmt.Errorf("%w: there is no %q", ErrNoCase, dir)
	}
	if err != nil {
		return nil, "", fmt.Errorf("opening the case directory: %w", err)
	}
	defer above.Close()

	name := filepath.Base(dir)
	if create {
		if err := above.Mkdir(name, 0o700); err == nil {
			err = durable.SyncDir(above, ".")
			if err != nil {
				return nil, "", fmt.Errorf("making the case directory: %w", err)
			}
		} else if !errors.Is(err, fs.ErrExist) {
			return nil, "", fmt.Errorf("making the case directory: %w", err)
		}
	}
	base, err := openDir(above, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", fmt.Errorf("%w: there is no %q", ErrNoCase, dir)
	}
	return base, filepath.Join(parent, name), err
}

// safeParent returns dir without symbolic links, and makes what is missing of it
// if create is set. For root, every directory above has to be out of other
// people's hands: otherwise they could lead us elsewhere between two looks.
func safeParent(dir string, create bool) (string, error) {
	exists, missing := dir, ""
	for {
		real, err := filepath.EvalSymlinks(exists)
		if err == nil {
			exists = real
			break
		}
		if !errors.Is(err, fs.ErrNotExist) || exists == filepath.Dir(exists) {
			return "", fmt.Errorf("finding the case directory: %w", err)
		}
		missing = filepath.Join(filepath.Base(exists), missing)
		exists = filepath.Dir(exists)
	}
	if os.Geteuid() == 0 {
		if err := checkAncestors(exists); err != nil {
			return "", err
		}
	}
	dir = filepath.Join(exists, missing)
	if create {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return "", fmt.Errorf("making the case directory: %w", err)
		}
	}
	return dir, nil
}

func checkAncestors(dir string) error {
	for {
		info, err := os.Lstat(dir)
		if err != nil {
			return fmt.Errorf("checking %q: %w", dir, err)
		}
		// In a sticky directory such as /tmp nobody can replace what is ours.
		if err := checkOwned(info, dir, info.Mode()&fs.ModeSticky != 0); err != nil {
			return err
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
		dir = filepath.Dir(dir)
	}
}

// checkOwned refuses what is a symbolic link, is not ours, or can be written by
// others.
func checkOwned(info fs.FileInfo, path string, sticky bool) error {
	if info.Mode()&fs.ModeSymlink != 0 {
		return fmt.Errorf("%w: %q is a symbolic link", ErrUnsafe, path)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("%w: the owner of %q is unknown", ErrUnsafe, path)
	}
	if int64(stat.Uid) != int64(os.Geteuid()) {
		return fmt.Errorf("%w: %q belongs to uid %d, not to uid %d", ErrUnsafe, path, stat.Uid, os.Geteuid())
	}
	if info.Mode().Perm()&0o022 != 0 && !sticky {
		return fmt.Errorf("%w: %q can be written by others (mode %v)", ErrUnsafe, path, info.Mode())
	}
	return nil
}

// openDir opens a directory of parent without following a link. Errors from
// looking wrap those of package fs.
func openDir(parent *os.Root, name string) (*os.Root, error) {
	path := filepath.Join(parent.Name(), name)
	before, err := parent.Lstat(name)
	if err != nil {
		return nil, fmt.Errorf("opening %q: %w", path, err)
	}
	if err := checkOwned(before, path, false); err != nil {
		return nil, err
	}
	if !before.IsDir() {
		return nil, fmt.Errorf("%w: %q is not a directory", ErrUnsafe, path)
	}
	root, err := parent.OpenRoot(name)
	if err != nil {
		return nil, fmt.Errorf("opening %q: %w", path, err)
	}
	after, err := root.Stat(".")
	if err == nil && !os.SameFile(before, after) {
		err = fmt.Errorf("%w: %q was replaced while it was opened", ErrUnsafe, path)
	}
	if err != nil {
		root.Close()
		return nil, fmt.Errorf("opening %q: %w", path, err)
	}
	return root, nil
}

// openRegular opens a regular file of ours. os.Root keeps the path inside but
// follows links there, and a FIFO would block: so look, open, and compare.
func openRegular(root *os.Root, name string, flag int) (*os.File, error) {
	path := filepath.Join(root.Name(), name)
	before, err := root.Lstat(name)
	if err != nil {
		return nil, fmt.Errorf("opening %q: %w", path, err)
	}
	if err := checkOwned(before, path, false); err != nil {
		return nil, err
	}
	if !before.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %q is not a regular file", ErrUnsafe, path)
	}
	f, err := root.OpenFile(name, flag|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("opening %q: %w", path, err)
	}
	after, err := f.Stat()
	if err == nil && !os.SameFile(before, after) {
		err = fmt.Errorf("%w: %q was replaced while it was opened", ErrUnsafe, path)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("opening %q: %w", path, err)
	}
	return f, nil
}

// ReadFile returns the content of a regular file in the case. A file of more
// than limit bytes is an error; one that is missing wraps [fs.ErrNotExist].
func (c *Case) ReadFile(name string, limit int64) ([]byte, error) {
	return readFile(c.root, name, limit)
}

func readFile(root *os.Root, name string, limit int64) ([]byte, error) {
	f, err := openRegular(root, name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("reading %q: %w", f.Name(), err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("reading %q: larger than %d bytes", f.Name(), limit)
	}
	return data, nil
}

// OpenFile opens a regular file of the case for reading, and follows no link to it. One that is missing wraps [fs.ErrNotExist].
func (c *Case) OpenFile(name string) (*os.File, error) { return openRegular(c.root, name, os.O_RDONLY) }

// CheckDir says whether cases could be kept in dir: it returns the directory that is there already, dir itself or the nearest above
// it, and an error that wraps [ErrUnsafe] if somebody else could change it, or says that we may not write there. It makes nothing.
func CheckDir(dir string) (there string, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("finding the case directory: %v", err)
	}
	base, there, err := openBase(dir, false)
	switch {
	case err == nil:
		base.Close()
	case errors.Is(err, ErrNoCase):
		if there, err = nearest(filepath.Dir(dir)); err != nil {
			return "", err
		}
	default:
		return dir, err
	}
	if err := unix.Access(there, unix.W_OK|unix.X_OK); err != nil {
		return there, fmt.Errorf("writing to %q: %w", there, err)
	}
	return there, nil
}

// nearest returns the first directory from dir upwards that exists.
func nearest(dir string) (string, error) {
	for ; ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		switch {
		case err == nil && !info.IsDir():
			return "", fmt.Errorf("%w: %q is not a directory", ErrUnsafe, dir)
		case err == nil:
			return dir, nil
		case !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir):
			return "", fmt.Errorf("finding the case directory: %w", err)
		}
	}
}
