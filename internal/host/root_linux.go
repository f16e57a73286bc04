package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
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
	fd, err := p.root.enter(p.dir, p.base, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC)
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

// extra asks for what stat(2) leaves out of a place.
func (p *place) extra() (Extra, error) {
	fd, err := p.root.enter(p.dir, p.base, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC)
	if err != nil {
		return Extra{}, err
	}
	defer unix.Close(fd)
	return extraAt(fd, "")
}

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

// isKernelFile says whether a path is of what this module reads of the files that the kernel makes up as they are read. Others of them have
// no end, as a process's pagemap, or keep whoever reads them waiting, as kmsg: the agent makes a link to one, or its configuration names one.
func isKernelFile(name string) bool {
	switch base := path.Base(name); {
	case strings.HasPrefix(name, "proc/sys/"):
		return true
	case strings.HasPrefix(name, "sys/fs/cgroup/"):
		return base == "cgroup.events"
	case strings.HasPrefix(name, "sys/devices/"):
		return base == "type" || base == "since_epoch"
	}
	return slices.ContainsFunc([]string{
		"proc/stat", "proc/meminfo", "proc/uptime", "proc/version", "proc/cmdline", "proc/loadavg", "proc/modules",
		"proc/[1-9]*/stat", "proc/[1-9]*/status", "proc/[1-9]*/cgroup", "proc/[1-9]*/cmdline", "proc/[1-9]*/environ", "proc/[1-9]*/auxv", "proc/[1-9]*/mountinfo", "proc/[1-9]*/net/*",
	}, func(pattern string) bool { ok, _ := path.Match(pattern, name); return ok })
}

// isFile refuses an open file that is none but what the kernel makes up as it is read, unless that is wanted.
func (p *place) isFile(fd int, st *unix.Stat_t) error {
	if unix.Major(uint64(st.Dev)) != 0 || st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return nil // it lies on a disk
	}
	kind, known := p.root.kinds.Load(st.Dev)
	if !known {
		name, err := fsTypeOf(fd)
		if err != nil {
			return err
		}
		kind, _ = p.root.kinds.LoadOrStore(st.Dev, name)
	}
	if !IsPseudoFS(kind.(string)) || isKernelFile(p.path) {
		return nil
	}
	return fmt.Errorf("%w: what is read there is no file's, but the kernel's (%s)", ErrSpecial, kind)
}

func (p *place) fsType() (string, error) {
	fd, err := p.root.enter(p.dir, p.base, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	return fsTypeOf(fd)
}

func fsTypeOf(fd int) (string, error) {
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
	if kind, err := fsTypeOf(p.dir); err != nil || kind != "proc" {
		return r.open(name, true)
	}
	fd, err := p.openMagic()
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return os.NewFile(uintptr(fd), p.host()), nil
}

// openMagic opens what the link stands for, unless a user serves it.
func (p *place) openMagic() (int, error) {
	at, err := openat(p.dir, p.base, unix.O_PATH|unix.O_CLOEXEC)
	if err != nil {
		return -1, err
	}
	defer unix.Close(at)
	if err := p.mayEnterMagic(at); err != nil {
		return -1, err
	}
	var st unix.Stat_t
	if err := retry(func() error { return unix.Fstat(at, &st) }); err != nil {
		return -1, err
	}
	if err := openable(st.Mode); err != nil {
		return -1, err
	}
	const flags = unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_CLOEXEC
	fd, err := reopen(at, flags|noAtime)
	if err == unix.EPERM {
		fd, err = reopen(at, flags)
	}
	return fd, err
}

// mayEnterMagic is mayEnter for what a process's link stands for, which may be mounted for that process alone.
func (p *place) mayEnterMagic(at int) error {
	id, err := mountID(at)
	if err != nil {
		return err
	}
	if err = p.root.mounts.refuse(id); !errors.Is(err, errUnlisted) {
		return err
	}
	f, err := p.root.open(path.Join(path.Dir(p.path), "mountinfo"), false)
	if err != nil {
		return err
	}
	defer f.Close()
	list, err := refusals(f, true)
	if err != nil {
		return err
	}
	if why, ok := list[id]; ok {
		return why
	}
	return errUnlisted
}
