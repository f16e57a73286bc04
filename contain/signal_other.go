//go:build !linux

package contain

import (
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"
)

// signal sends a signal to a process. There is no way here to hold on to it meanwhile.
func (m Machine) signal(ref Ref, sig unix.Signal) error {
	if err := unix.Kill(ref.PID, sig); errors.Is(err, unix.ESRCH) {
		return fs.ErrNotExist
	} else {
		return err
	}
}
