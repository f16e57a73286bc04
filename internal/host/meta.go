package host

import (
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// FileMeta is what an inode says about a file.
type FileMeta struct {
	UID, GID            uint32
	Mode                uint32 // st_mode: the type, the set-id and sticky bits, the permissions
	Inode, Dev, Nlink   uint64
	Size                int64
	Allocated           int64     // bytes on the disk, fewer than Size where the file has holes; -1 if not known
	Mtime, Ctime, Atime time.Time // UTC, nanoseconds where the file system has them
}

// Meta reads the inode of a FileInfo that came from a [Root] or from os. For any other it only knows the mode's
// permissions, the size and the modification time.
func Meta(fi fs.FileInfo) FileMeta {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return FileMeta{Mode: uint32(fi.Mode().Perm()), Size: fi.Size(), Allocated: -1, Mtime: fi.ModTime().UTC()}
	}
	m := FileMeta{
		UID: st.Uid, GID: st.Gid, Mode: uint32(st.Mode),
		Inode: uint64(st.Ino), Dev: uint64(st.Dev), Nlink: uint64(st.Nlink), Size: st.Size,
		Allocated: st.Blocks * 512, // stat(2) counts in 512 bytes whatever the disk does
	}
	m.Mtime, m.Ctime, m.Atime = statTimes(st)
	return m
}

// Extra is what stat(2) leaves out. Born is zero where the file system doesn't record it.
type Extra struct {
	Born                  time.Time // UTC
	Immutable, AppendOnly bool      // chattr +i and +a
}

// ExtraOf asks for the birth time and attributes of an open file (statx(2) on Linux).
func ExtraOf(f *os.File) (Extra, error) {
	var x Extra
	err := withFD(f, func(fd int) (err error) { x, err = extraAt(fd, ""); return err })
	return x, err
}

// Extra asks for the birth time and attributes of a file, or of the link itself.
func (r *Root) Extra(name string) (Extra, error) {
	p, err := r.find("statx", name, false)
	if err != nil {
		return Extra{}, err
	}
	defer p.close()
	x, err := p.extra()
	if err != nil {
		return Extra{}, &fs.PathError{Op: "statx", Path: name, Err: err}
	}
	return x, nil
}

// Xattrs lists the extended attributes of an open file, among them the capabilities and ACLs that ls hides.
// A file system without them has none.
func Xattrs(f *os.File) (map[string][]byte, error) {
	var all map[string][]byte
	err := withFD(f, func(fd int) (err error) { all, err = xattrs(fd); return err })
	return all, err
}

func xattrs(fd int) (map[string][]byte, error) {
	buf := make([]byte, 64<<10) // XATTR_LIST_MAX and XATTR_SIZE_MAX of Linux
	n, err := unix.Flistxattr(fd, buf)
	if err == unix.ENOTSUP || n == 0 && err == nil {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	all := make(map[string][]byte)
	for name := range strings.SplitSeq(strings.TrimSuffix(string(buf[:n]), "\x00"), "\x00") {
		n, err := unix.Fgetxattr(fd, name, buf)
		if err == unix.ENODATA {
			continue // removed since it was listed
		}
		if err != nil {
			return all, &fs.PathError{Op: "getxattr", Path: name, Err: err}
		}
		all[name] = append([]byte{}, buf[:n]...)
	}
	return all, nil
}

func withFD(f *os.File, do func(fd int) error) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var doErr error
	if err := conn.Control(func(fd uintptr) { doErr = do(int(fd)) }); err != nil {
		return err
	}
	return doErr
}
