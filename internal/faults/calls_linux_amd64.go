package faults

import (
	"maps"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// An argument is the place of a system call's argument, from 0.
type argument int

const none argument = -1

// A shape says which arguments of a call are what. A path argument follows the descriptor of the directory that it starts from.
type shape struct {
	number uintptr
	fds    []argument // files
	paths  []argument // paths; the descriptor stands before
	size   argument   // how many bytes
}

func onFile(number uintptr, size argument) shape { return shape{number, []argument{0}, nil, size} }
func onPath(number uintptr, paths ...argument) shape {
	return shape{number, nil, paths, none}
}

// shapes are the calls that act on files, as Go makes them, and those that act on processes.
var shapes = map[string]shape{
	"read": onFile(unix.SYS_READ, 2), "write": onFile(unix.SYS_WRITE, 2), "pread64": onFile(unix.SYS_PREAD64, 2), "pwrite64": onFile(unix.SYS_PWRITE64, 2),
	"copy_file_range": {unix.SYS_COPY_FILE_RANGE, []argument{0, 2}, nil, 4}, "sendfile": {unix.SYS_SENDFILE, []argument{1, 0}, nil, 3},
	"splice": {unix.SYS_SPLICE, []argument{0, 2}, nil, 4},
	"fsync":  onFile(unix.SYS_FSYNC, none), "fdatasync": onFile(unix.SYS_FDATASYNC, none), "ftruncate": onFile(unix.SYS_FTRUNCATE, none),
	"getdents64": onFile(unix.SYS_GETDENTS64, none), "fstat": onFile(unix.SYS_FSTAT, none), "fchmod": onFile(unix.SYS_FCHMOD, none),
	"fchown": onFile(unix.SYS_FCHOWN, none), "close": onFile(unix.SYS_CLOSE, none), "flock": onFile(unix.SYS_FLOCK, none),
	"openat": onPath(unix.SYS_OPENAT, 1), "openat2": onPath(unix.SYS_OPENAT2, 1), "newfstatat": onPath(unix.SYS_NEWFSTATAT, 1),
	"statx": onPath(unix.SYS_STATX, 1), "readlinkat": onPath(unix.SYS_READLINKAT, 1), "mkdirat": onPath(unix.SYS_MKDIRAT, 1),
	"unlinkat": onPath(unix.SYS_UNLINKAT, 1), "renameat": onPath(unix.SYS_RENAMEAT, 1, 3), "renameat2": onPath(unix.SYS_RENAMEAT2, 1, 3),
	"linkat": onPath(unix.SYS_LINKAT, 1, 3), "symlinkat": onPath(unix.SYS_SYMLINKAT, 2), "fchmodat": onPath(unix.SYS_FCHMODAT, 1),
	"kill": {unix.SYS_KILL, nil, nil, none}, "pidfd_send_signal": {unix.SYS_PIDFD_SEND_SIGNAL, nil, nil, none},
}

// changing are the calls that change something by themselves; one that opens does if it may make a file.
var changing = []string{
	"write", "pwrite64", "copy_file_range", "sendfile", "splice", "fsync", "fdatasync", "ftruncate", "fchmod", "fchown", "mkdirat", "unlinkat",
	"renameat", "renameat2", "linkat", "symlinkat", "fchmodat", "kill", "pidfd_send_signal",
}

func changes(name string, r *syscall.PtraceRegs) bool {
	return slices.Contains(changing, name) || name == "openat" && argument(2).get(r)&(unix.O_CREAT|unix.O_TRUNC) != 0
}

// Names are the calls that can be counted.
func Names() []string { return slices.Sorted(maps.Keys(shapes)) }

// get returns an argument of the call that a process is about to make.
func (a argument) get(r *syscall.PtraceRegs) uint64 { return *a.in(r) }

func (a argument) in(r *syscall.PtraceRegs) *uint64 {
	return []*uint64{&r.Rdi, &r.Rsi, &r.Rdx, &r.R10, &r.R8, &r.R9}[a]
}

// skip has the call return an error instead of being made.
func skip(r *syscall.PtraceRegs, e syscall.Errno) {
	r.Orig_rax = ^uint64(0) // no call has this number
	r.Rax = -uint64(e)
}

func numberOf(r *syscall.PtraceRegs) uintptr { return uintptr(r.Orig_rax) }
