package casefile

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/clawbook/openclaw-ir/internal/durable"
)

// temporaryName is that of a file of the case, in its directory, until it is whole.
const temporaryName = ".tmp"

// WriteFile writes a file of the case with mode 0600, replacing one of that name only when the new one is whole and on disk. One
// process at a time does so: what lies there under the temporary name was left by one that was killed.
func (c *Case) WriteFile(name string, data []byte) error {
	unlock, err := lock(c.root, custodyLock, lockWait)
	if err == nil {
		defer unlock()
		err = c.replace(name, data)
	}
	if err != nil {
		return fmt.Errorf("writing %q: %w", name, err)
	}
	return nil
}

func (c *Case) replace(name string, data []byte) error {
	dir := filepath.Dir(name)
	if err := ready(c.root, dir); err != nil {
		return err
	}
	temporary := filepath.Join(dir, temporaryName)
	if err := c.root.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	err := durable.Write(c.root, temporary, bytes.NewReader(data))
	if err == nil {
		err = durable.Replace(c.root, temporary, name)
	}
	if err != nil {
		_ = c.root.Remove(temporary)
	}
	return err
}

// Rename gives a file of the case its name, through to the disk. A file that has the name is replaced.
func (c *Case) Rename(from, to string) error {
	if err := durable.Replace(c.root, from, to); err != nil {
		return fmt.Errorf("naming %q: %w", to, err)
	}
	return nil
}

// ready makes a directory of the case again that somebody moved away, and refuses one that is a link or in other hands.
func ready(root *os.Root, dir string) error {
	if dir == "." {
		return nil
	}
	if err := root.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	d, err := openDir(root, dir)
	if err != nil {
		return err
	}
	return d.Close()
}

// lockWait is how long to wait for another of our processes. Each holds the
// lock for milliseconds.
const lockWait = 30 * time.Second

// Lock takes a lock of the case's own, so that one process at a time works on what it stands for. It waits for another no
// longer than wait; then the error is that of flock(2). name is the lock's file in the case.
func (c *Case) Lock(name string, wait time.Duration) (unlock func(), err error) {
	return lock(c.root, name, wait)
}

// lock takes the lock that the file name stands for, across processes and
// goroutines. It asks again and again rather than wait in the kernel, where a
// process that keeps the lock would keep us for ever.
func lock(root *os.Root, name string, wait time.Duration) (unlock func(), err error) {
	if f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err == nil {
		f.Close()
	} else if !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("locking: %w", err)
	}
	f, err := openRegular(root, name, os.O_RDWR)
	if err != nil {
		return nil, err
	}
	return flock(f, syscall.LOCK_EX, wait)
}

// lockShared keeps those with [lock] away, and lets others read. It writes nothing, so that a case is read from a disk that takes
// no writing. Where there is no such file, or no lock to be had, nobody waits for it: a case on such a disk is a copy.
func lockShared(root *os.Root, name string, wait time.Duration) (unlock func(), err error) {
	f, err := openRegular(root, name, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return func() {}, nil
	}
	if err != nil {
		return nil, err
	}
	unlock, err = flock(f, syscall.LOCK_SH, wait)
	if errors.Is(err, syscall.ENOLCK) || errors.Is(err, syscall.ENOTSUP) {
		return func() {}, nil
	}
	return unlock, err
}

// flock locks f, and closes it if it cannot.
func flock(f *os.File, how int, wait time.Duration) (unlock func(), err error) {
	for deadline := time.Now().Add(wait); ; time.Sleep(2 * time.Millisecond) {
		err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		retry := errors.Is(err, syscall.EWOULDBLOCK) || errors.Is(err, syscall.EINTR)
		if !retry || time.Now().After(deadline) {
			f.Close()
			return nil, fmt.Errorf("locking %q: %w", f.Name(), err)
		}
	}
}
