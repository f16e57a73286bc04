package host

import (
	"errors"

	"golang.org/x/sys/unix"
)

// exchange changes two files of a directory for each other. The error is [errors.ErrUnsupported] where the file system cannot.
func exchange(dir int, a, b string) error {
	err := unix.Renameat2(dir, a, dir, b, unix.RENAME_EXCHANGE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		return errors.ErrUnsupported
	}
	return err
}

// nameNew renames a file to a name that nothing has. The error is [fs.ErrExist] if something has.
func nameNew(dir int, from, to string) error {
	err := unix.Renameat2(dir, from, dir, to, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		err = linkNew(dir, from, to)
	}
	return err
}
