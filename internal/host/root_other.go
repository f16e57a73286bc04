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

// info goes by path: there is no descriptor that opens nothing. A race can make it describe another file, never open
// one.
func (p *place) info() (fs.FileInfo, error) { return os.Lstat(p.host()) }

func statTimes(st *syscall.Stat_t) (mtime, ctime, atime time.Time) {
	return time.Unix(st.Mtimespec.Unix()).UTC(), time.Unix(st.Ctimespec.Unix()).UTC(), time.Unix(st.Atimespec.Unix()).UTC()
}

// unmark is the program that takes away what Extra calls immutable and append-only.
const unmark = "chflags nouchg,noschg,nouappnd,nosappnd"

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

func fsTypeAt(dir int, name string) (string, error) {
	fd, err := openat(dir, name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW|unix.O_CLOEXEC)
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
