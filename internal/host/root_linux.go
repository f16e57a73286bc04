package host

import (
	"io/fs"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// searchFlags open a directory only to look names up in it: no read permission needed, no automount triggered.
	searchFlags = unix.O_PATH
	noAtime     = unix.O_NOATIME
)

// info describes the place through a descriptor that opens nothing.
func (p *place) info() (fs.FileInfo, error) {
	fd, err := openat(p.dir, p.base, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), p.host())
	defer f.Close()
	return f.Stat()
}

func statTimes(st *syscall.Stat_t) (mtime, ctime, atime time.Time) {
	return time.Unix(st.Mtim.Unix()).UTC(), time.Unix(st.Ctim.Unix()).UTC(), time.Unix(st.Atim.Unix()).UTC()
}

// unmark is the program that takes away what Extra calls immutable and append-only.
const unmark = "chattr -i -a"

func extraAt(dir int, name string) (Extra, error) {
	var x unix.Statx_t
	const flags = unix.AT_EMPTY_PATH | unix.AT_SYMLINK_NOFOLLOW | unix.AT_NO_AUTOMOUNT
	err := retry(func() error { return unix.Statx(dir, name, flags, unix.STATX_BTIME, &x) })
	if err != nil {
		return Extra{}, err
	}
	e := Extra{
		Immutable:  x.Attributes&unix.STATX_ATTR_IMMUTABLE != 0,
		AppendOnly: x.Attributes&unix.STATX_ATTR_APPEND != 0,
	}
	if x.Mask&unix.STATX_BTIME != 0 {
		e.Born = time.Unix(x.Btime.Sec, int64(x.Btime.Nsec)).UTC()
	}
	return e, nil
}

// fsMagic names the file systems of statfs(2) that matter here; "fuse" stands for every FUSE and virtiofs.
var fsMagic = map[uint32]string{
	unix.AUTOFS_SUPER_MAGIC: "autofs", unix.BINFMTFS_MAGIC: "binfmt_misc", unix.BPF_FS_MAGIC: "bpf",
	unix.BTRFS_SUPER_MAGIC: "btrfs", unix.CEPH_SUPER_MAGIC: "ceph", unix.CGROUP_SUPER_MAGIC: "cgroup",
	unix.CGROUP2_SUPER_MAGIC: "cgroup2", unix.CODA_SUPER_MAGIC: "coda", unix.DEBUGFS_MAGIC: "debugfs",
	unix.DEVPTS_SUPER_MAGIC: "devpts", unix.EFIVARFS_MAGIC: "efivarfs", unix.EXT4_SUPER_MAGIC: "ext4",
	unix.F2FS_SUPER_MAGIC: "f2fs", unix.FUSE_SUPER_MAGIC: "fuse", unix.HUGETLBFS_MAGIC: "hugetlbfs",
	unix.MSDOS_SUPER_MAGIC: "vfat", unix.NFS_SUPER_MAGIC: "nfs", unix.NSFS_MAGIC: "nsfs",
	unix.OVERLAYFS_SUPER_MAGIC: "overlay", unix.PROC_SUPER_MAGIC: "proc", unix.PSTOREFS_MAGIC: "pstore",
	unix.RAMFS_MAGIC: "ramfs", unix.SECURITYFS_MAGIC: "securityfs", unix.SELINUX_MAGIC: "selinuxfs",
	unix.SMB2_SUPER_MAGIC: "smb2", unix.CIFS_SUPER_MAGIC: "cifs", unix.SQUASHFS_MAGIC: "squashfs",
	unix.SYSFS_MAGIC: "sysfs", unix.TMPFS_MAGIC: "tmpfs", unix.TRACEFS_MAGIC: "tracefs",
	unix.V9FS_MAGIC: "9p", unix.XFS_SUPER_MAGIC: "xfs", unix.AFS_FS_MAGIC: "afs",
}

func fsTypeAt(dir int, name string) (string, error) {
	fd, err := openat(dir, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	var st unix.Statfs_t
	if err := retry(func() error { return unix.Fstatfs(fd, &st) }); err != nil {
		return "", err
	}
	return fsMagic[uint32(st.Type)], nil
}

// openMagic opens what a link of procfs such as exe stands for: the very file, even a deleted one or one in another
// mount namespace. On any other file system it is Open.
func (r *Root) openMagic(name string) (*os.File, error) {
	p, err := r.find("open", name, false)
	if err != nil {
		return nil, err
	}
	defer p.close()
	if kind, err := fsTypeAt(p.dir, "."); err != nil || kind != "proc" {
		return r.open(name, true)
	}
	const flags = unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_CLOEXEC
	var st unix.Stat_t
	if err := retry(func() error { return unix.Fstatat(p.dir, p.base, &st, 0) }); err != nil {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	if err := openable(st.Mode); err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	fd, err := openat(p.dir, p.base, flags|noAtime)
	if err == unix.EPERM {
		fd, err = openat(p.dir, p.base, flags)
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return os.NewFile(uintptr(fd), p.host()), nil
}
