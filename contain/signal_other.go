//go:build !linux

package contain

import (
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"
)

// signal sends a signal to this process, if it is still the one that began then. There is no way here to hold on to it
// meanwhile. The error of one that has ended is fs.ErrNotExist.
func (m Machine) signal(ref Ref, sig unix.Signal) error {
	start, _, err := m.alive(ref.PID)
	if err == nil && start != ref.Start {
		err = fs.ErrNotExist
	}
	if err == nil {
		err = unix.Kill(ref.PID, sig)
	}
	if errors.Is(err, unix.ESRCH) {
		return fs.ErrNotExist
	}
	return err
}
