package contain

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"
)

// signal sends a signal to exactly this process: the descriptor names it, and its start is looked at after it was
// taken, so that a later process with the same number is never hit. The error of one that has ended is fs.ErrNotExist.
func (m Machine) signal(ref Ref, sig unix.Signal) error {
	fd, err := unix.PidfdOpen(ref.PID, 0)
	if errors.Is(err, unix.ENOSYS) { // before Linux 5.3
		fd, err = -1, nil
	}
	if errors.Is(err, unix.ESRCH) {
		return fs.ErrNotExist
	}
	if err != nil {
		return err
	}
	if fd >= 0 {
		defer unix.Close(fd)
	}
	start, _, err := m.alive(ref.PID)
	if err != nil {
		return err
	}
	if start != ref.Start {
		return fs.ErrNotExist
	}
	if fd < 0 {
		err = unix.Kill(ref.PID, sig)
	} else {
		err = unix.PidfdSendSignal(fd, sig, nil, 0)
	}
	if errors.Is(err, unix.ESRCH) {
		return fs.ErrNotExist
	}
	if err != nil {
		return fmt.Errorf("signal %d: %w", sig, err)
	}
	return nil
}
