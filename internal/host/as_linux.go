package host

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// As runs do with the rights that a user has to files (setfsuid(2)), on a thread of its own. What root does in a
// directory that a user can write is done so: a link that leads elsewhere then leads no further than the user could go
// anyway, and what is made belongs to the user. do must not start goroutines that touch files.
//
// Only root can act as someone else; the error of anybody else's attempt wraps [os.ErrPermission].
func As(owner Owner, do func() error) error {
	if int(owner.UID) == os.Geteuid() {
		return do()
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("acting as user %d: %w", owner.UID, os.ErrPermission)
	}
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread, whose rights have changed, ends with the goroutine
		done <- asThread(owner, do)
	}()
	return <-done
}

func asThread(owner Owner, do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("acting as user %d: %v", owner.UID, p)
		}
	}()
	// Raw calls: those of package syscall change every thread. The group first, while we may.
	if _, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, 0, 0, 0); errno != 0 {
		return fmt.Errorf("acting as user %d: %w", owner.UID, errno)
	}
	_ = unix.Setfsgid(int(owner.GID))
	_ = unix.Setfsuid(int(owner.UID))
	if err := dropCapabilities(); err != nil {
		return fmt.Errorf("acting as user %d: %w", owner.UID, err)
	}
	// They tell no error; setting an id that is none returns the one in force.
	if uid, _ := unix.SetfsuidRetUid(-1); uid != int(owner.UID) {
		return fmt.Errorf("acting as user %d: %w", owner.UID, errors.ErrUnsupported)
	}
	return do()
}

// dropCapabilities takes from this thread what setfsuid leaves it, such as tracing other processes, by which /proc leads into
// them. The effective user stays root, so that the user cannot signal the thread.
func dropCapabilities() error {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&hdr, &data[0]); err != nil {
		return err
	}
	data[0].Effective, data[1].Effective = 0, 0
	return unix.Capset(&hdr, &data[0])
}
