//go:build !linux

package host

import (
	"io/fs"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	searchFlags = unix.O_SEARCH
	noAtime     = 0
)

// mountWatch has nothing to watch: no user can serve a file system here without a driver that root installed.
type mountWatch struct{}

func (*mountWatch) begin(int) {}

func (*mountWatch) enterAny() {}

func (*mountWatch) close() {}

// enter opens a component.
func (r *Root) enter(dir int, name string, flags int) (int, error) { return openat(dir, name, flags) }

// pin describes a component. There is no descriptor that opens nothing: it returns -1.
func (r *Root) pin(dir int, name string, st *unix.Stat_t) (int, error) {
	return -1, retry(func() error { return unix.Fstatat(dir, name, st, unix.AT_SYMLINK_NOFOLLOW) })
}

// enterStraight is for kernels that can be told not to follow links on the way.
func (r *Root) enterStraight(string) (int, error) { return -1, unix.ENOSYS }

// info goes by path: there is no descriptor that opens nothing. A race can make it describe another file, never open
// one.
func (p *place) info() (fs.FileInfo, error) { return os.Lstat(p.host()) }

func statTimes(st *syscall.Stat_t) (mtime, ctime, atime time.Time) {
	return time.Unix(st.Mtimespec.Unix()).UTC(), time.Unix(st.Ctimespec.Unix()).UTC(), time.Unix(st.Atimespec.Unix()).UTC()
}

// unmark is the program that takes away what Extra calls immutable and append-only.
const unmark = "chflags nouchg,noschg,nouappnd,nosappnd"

// extra asks for what stat(2) leaves out of a place.
func (p *place) extra() (Extra, error) { return extraAt(p.dir, p.base) }

func extraAt(dir int, name string) (Extra, error) {
	var st unix.Stat_t
	var err error
	if name == "" {
		err = unix.Fstat(dir, &st)
	} else {
		err = unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	}
	if err != nil {
		return Extra{}, err
	}
	return Extra{
		Born:       time.Unix(st.Btim.Unix()).UTC(),
		Immutable:  st.Flags&(unix.UF_IMMUTABLE|unix.SF_IMMUTABLE) != 0,
		AppendOnly: st.Flags&(unix.UF_APPEND|unix.SF_APPEND) != 0,
	}, nil
}

// isFile has nothing to refuse: the kernel makes up no files here, but for devices.
func (*place) isFile(int, *unix.Stat_t) error { return nil }

func (p *place) fsType() (string, error) {
	fd, err := openat(p.dir, p.base, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW|unix.O_CLOEXEC)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	var st unix.Statfs_t
	if err := retry(func() error { return unix.Fstatfs(fd, &st) }); err != nil {
		return "", err
	}
	return unix.ByteSliceToString(st.Fstypename[:]), nil
}

func (r *Root) openMagic(name string) (*os.File, error) { return r.open(name, true) }
