package host

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// enter opens one component in a directory. Where something is mounted on it, it looks who serves that before anything is asked of the
// server: opening with O_PATH asks nobody, and pins the mount.
func (r *Root) enter(dir int, name string, flags int) (int, error) {
	if !r.mounts.slow {
		fd, err := openHere(dir, name, flags)
		if !errors.Is(err, unix.EXDEV) {
			return fd, err
		}
	}
	at, err := openat(dir, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC)
	if err != nil {
		return -1, err
	}
	if err := r.mounts.mayEnter(dir, at); err != nil {
		unix.Close(at)
		return -1, err
	}
	if flags&unix.O_PATH != 0 && flags&unix.O_DIRECTORY == 0 {
		return at, nil
	}
	defer unix.Close(at)
	return reopen(at, flags)
}

// openHere opens what lies on the same mount as the directory; for anything else the error is EXDEV.
func openHere(dir int, name string, flags int) (int, error) {
	return openat2(dir, name, flags, unix.RESOLVE_NO_XDEV)
}

// enterStraight opens a directory beneath the root, to look names up in it, if no link and no mount lies on the way there.
func (r *Root) enterStraight(way string) (int, error) {
	if r.mounts.slow {
		return -1, unix.ENOSYS
	}
	return openat2(r.fd, way, searchFlags|unix.O_DIRECTORY|unix.O_CLOEXEC, unix.RESOLVE_BENEATH|unix.RESOLVE_NO_SYMLINKS|unix.RESOLVE_NO_XDEV)
}

func openat2(dir int, name string, flags int, resolve uint64) (fd int, err error) {
	how := unix.OpenHow{Flags: uint64(flags), Resolve: resolve}
	err = retry(func() error { fd, err = unix.Openat2(dir, name, &how); return err })
	return fd, err
}

// reopen opens what is pinned, whatever lies on its name by now.
func reopen(at, flags int) (int, error) {
	return openat(unix.AT_FDCWD, "/proc/self/fd/"+strconv.Itoa(at), flags&^unix.O_NOFOLLOW)
}

// pin opens a component with O_PATH, and describes it.
func (r *Root) pin(dir int, name string, st *unix.Stat_t) (int, error) {
	at, err := r.enter(dir, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC)
	if err != nil {
		return -1, err
	}
	if err := retry(func() error { return unix.Fstat(at, st) }); err != nil {
		unix.Close(at)
		return -1, err
	}
	return at, nil
}

// mountID tells on which mount an open file lies. The server of its file system is not asked: no field of its is.
func mountID(fd int) (uint64, error) {
	var x unix.Statx_t
	const flags = unix.AT_EMPTY_PATH | unix.AT_STATX_DONT_SYNC | unix.AT_NO_AUTOMOUNT
	err := retry(func() error { return unix.Statx(fd, "", flags, 0, &x) })
	if err == nil && x.Mask&unix.STATX_MNT_ID != 0 {
		return x.Mnt_id, nil
	}
	text, err := os.ReadFile("/proc/self/fdinfo/" + strconv.Itoa(fd)) // before Linux 5.8
	if err != nil {
		return 0, fmt.Errorf("finding out what is mounted here: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if id, ok := strings.CutPrefix(line, "mnt_id:"); ok {
			return strconv.ParseUint(strings.TrimSpace(id), 10, 64)
		}
	}
	return 0, errors.New("finding out what is mounted here: the kernel does not tell")
}

// mountWatch knows what is mounted, as it is now: the number of a mount that is gone is given to another.
type mountWatch struct {
	any  bool // whoever serves it: the responder named a way through it
	slow bool // the kernel is older than 5.6, or a filter does not know openat2: each component's mount is compared
	mu   sync.Mutex
	file *os.File         // mountinfo, kept open to be told of changes
	list map[uint64]error // why a mount is not entered, nil if it is
}

// begin finds out how a tree is read whose root is open.
func (m *mountWatch) begin(root int) {
	here, err := openHere(root, ".", unix.O_PATH|unix.O_CLOEXEC)
	if m.slow = err != nil; !m.slow {
		unix.Close(here)
	}
}

func (m *mountWatch) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.file != nil {
		m.file.Close()
		m.file = nil
	}
}

// enterAny lets what users serve be entered.
func (m *mountWatch) enterAny() { m.any = true }

// mayEnter refuses what is open with O_PATH if it lies on another mount than the directory, and a user serves that.
func (m *mountWatch) mayEnter(dir, at int) error {
	if m.any {
		return nil
	}
	from, err := mountID(dir)
	if err != nil {
		return err
	}
	to, err := mountID(at)
	if err != nil || from == to {
		return err
	}
	return m.refuse(to)
}

// errUnlisted says that a mount is none of this mount namespace's, or lies outside a chroot that we are in.
var errUnlisted = errors.New("what is mounted here is not in /proc/self/mountinfo")

// refuse says why a mount is not entered. Whoever asks has something on it open, so that its number stays its own.
func (m *mountWatch) refuse(id uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.update(); err != nil {
		return fmt.Errorf("finding out what is mounted here: %w", err)
	}
	if why, ok := m.list[id]; ok {
		return why
	}
	return errUnlisted
}

// rereads bounds how often the table is read while it changes; a line can be left out then.
const rereads = 8

// update reads the table again if anything was mounted or unmounted since.
func (m *mountWatch) update() error {
	if m.file == nil {
		// Not by os.Open: the runtime would poll it, and be told of the changes instead.
		fd, err := openat(unix.AT_FDCWD, "/proc/self/mountinfo", unix.O_RDONLY|unix.O_CLOEXEC)
		if err != nil {
			return err
		}
		m.file, m.list = os.NewFile(uintptr(fd), "/proc/self/mountinfo"), nil
	}
	for i := 0; i < rereads && (changed(m.file) || m.list == nil); i++ {
		list, err := refusals(m.file, false)
		if err != nil {
			m.list = nil
			return err
		}
		m.list = list
	}
	return nil
}

// changed says whether the mounts changed since it was last asked (proc_pid_mounts(5)).
func changed(f *os.File) bool {
	fds := []unix.PollFd{{Fd: int32(f.Fd()), Events: unix.POLLPRI}}
	var n int
	err := retry(func() (err error) { n, err = unix.Poll(fds, 0); return err })
	return err != nil || n > 0
}

// refusals reads why which mount is not entered. In a foreign namespace user 0 may be any user.
func refusals(mountinfo io.ReaderAt, foreign bool) (map[uint64]error, error) {
	list := make(map[uint64]error)
	s := bufio.NewScanner(io.NewSectionReader(mountinfo, 0, 1<<62))
	for s.Buffer(nil, 1<<20); s.Scan(); {
		id, _, _ := strings.Cut(s.Text(), " ")
		n, err := strconv.ParseUint(id, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("line %q: %w", s.Text(), err)
		}
		list[n] = served(s.Text(), foreign)
	}
	return list, s.Err()
}
