// Package durable makes files that are whole: one has its name only when all of it is on the disk, and keeps it when the machine
// loses power the moment after. A file is written under a temporary name, which the caller chooses, and then named.
package durable

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// ErrReplaced says that somebody else, who can write in the directory, put another file in the place of one that was written.
var ErrReplaced = errors.New("replaced by somebody else")

// Write makes a file that must not exist yet, with mode 0600, and returns when its content is on the disk; that of its name is not
// promised. Where it fails, no file stays.
func Write(dir *os.Root, name string, r io.Reader) error {
	f, err := write(dir, name, r)
	if err != nil {
		return err
	}
	return f.Close()
}

// write is Write that leaves the file open.
func write(dir *os.Root, name string, r io.Reader) (*os.File, error) {
	f, err := dir.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(f, r)
	if err = errors.Join(err, f.Sync()); err != nil {
		f.Close()
		_ = dir.Remove(name)
		return nil, err
	}
	return f, nil
}

// Create makes a file of that name, whole or not at all, and replaces none. If the process is killed, .NAME.partial may stay, which
// the next Create takes away.
func Create(dir *os.Root, name string, data []byte) error {
	if _, err := dir.Lstat(name); err == nil {
		return &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
	}
	temporary := filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+".partial")
	_ = dir.Remove(temporary)
	f, err := write(dir, temporary, bytes.NewReader(data))
	if err != nil {
		return err
	}
	defer f.Close()
	if err = Name(dir, temporary, name); err != nil {
		_ = dir.Remove(temporary)
		return err
	}
	return Holds(dir, name, f)
}

// Holds says whether a name is that of a file that was written and is open still: in a directory where others can write they may have
// given it to another, and the error wraps [ErrReplaced].
func Holds(dir *os.Root, name string, f *os.File) error {
	own, err := f.Stat()
	if err != nil {
		return err
	}
	if there, err := dir.Lstat(name); err != nil || !os.SameFile(own, there) {
		return &fs.PathError{Op: "name", Path: name, Err: ErrReplaced}
	}
	return nil
}

// Name gives a file that was written its name, and replaces none: then the error is [fs.ErrExist], and the file keeps the temporary one.
func Name(dir *os.Root, temporary, name string) error {
	err := dir.Link(temporary, name)
	switch {
	case err == nil:
		_ = dir.Remove(temporary) // a second name of the same file does no harm
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.ENOTSUP), errors.Is(err, syscall.ENOSYS): // a memory stick has no links
		if _, err := dir.Lstat(name); err == nil {
			return &fs.PathError{Op: "name", Path: name, Err: fs.ErrExist}
		}
		if err := dir.Rename(temporary, name); err != nil {
			return err
		}
	default:
		return err
	}
	return SyncDir(dir, filepath.Dir(name))
}

// Replace gives a file that was written its name. One that has the name is replaced.
func Replace(dir *os.Root, temporary, name string) error {
	if err := dir.Rename(temporary, name); err != nil {
		return err
	}
	return SyncDir(dir, filepath.Dir(name))
}

// SyncDir returns when the names in a directory are on the disk. Some network file systems cannot tell, which is no error.
func SyncDir(dir *os.Root, name string) error {
	d, err := dir.Open(name)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOTSUP) {
		return err
	}
	return nil
}
