package durable

import (
	"errors"
	"slices"
	"syscall"
)

// DiskFailed says whether an error is that of a disk or a share that does not answer, which tells nothing of what lies there.
func DiskFailed(err error) bool {
	var errno syscall.Errno
	return errors.As(err, &errno) && slices.Contains([]syscall.Errno{syscall.EIO, syscall.ENXIO, syscall.ENODEV, syscall.ESTALE, syscall.ETIMEDOUT}, errno)
}
