package main

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

// A judge says what is wrong with the calls of one command line.
type judge struct {
	*tracer
	line      tracedLine
	asked     []string        // the addresses that it may contact
	contacted map[string]bool // and those that it did
	children  map[string]bool // what it started, by number
	opened    int
}

// wrong returns why a call should not have been made, "" if it may. What another program does is that program's, but what it runs.
func (j *judge) wrong(c systemCall) string {
	switch c.name {
	case "execve", "execveat":
		return j.wrongProgram(c)
	case "clone", "clone3", "vfork", "fork":
		return ""
	}
	if c.foreign {
		return ""
	}
	switch c.name {
	case "open", "openat", "openat2", "creat":
		return j.wrongOpen(c)
	case "write", "writev", "pwrite64", "pwritev", "pwritev2":
		return j.wrongWrite(c)
	case "mkdir", "mkdirat", "mknod", "mknodat", "rmdir", "unlink", "unlinkat", "rename", "renameat", "renameat2", "link", "linkat",
		"truncate", "ftruncate", "fallocate", "chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "lchown", "fchown", "fchownat",
		"utime", "utimes", "futimesat", "utimensat", "setxattr", "lsetxattr", "fsetxattr", "removexattr", "lremovexattr", "fremovexattr", "flock":
		return j.wrongChange(c.paths())
	case "symlink", "symlinkat":
		c.args = c.args[1:] // the first is the link's text
		return j.wrongChange(c.paths())
	case "fcntl":
		return j.wrongControl(c)
	case "mmap":
		return j.wrongMap(c)
	case "socket", "socketpair", "bind", "connect", "sendto", "sendmsg", "sendmmsg", "recvfrom", "recvmsg", "recvmmsg",
		"setsockopt", "getsockopt", "getsockname", "getpeername", "shutdown":
		return j.wrongContact(c)
	case "ioctl":
		if on, _ := described(c.args[0]); !terminal(on) && !slices.Contains([]string{"TCGETS", "TIOCGWINSZ"}, c.args[1]) {
			return "an ioctl that is not only a question"
		}
		return ""
	case "setfsuid", "setfsgid", "setgroups", "capset": // a thread that goes on with the rights of the file's owner
		return ""
	case "adjtimex", "clock_adjtime":
		if !strings.Contains(c.line, "{modes=0,") {
			return "the clock is set"
		}
		return ""
	case "kill", "pidfd_send_signal":
		if c.args[1] != "0" && !j.children[strings.TrimPrefix(c.args[0], "-")] { // a command that takes too long, with what it started
			return "a signal"
		}
		return ""
	}
	return "a call that changes something, or that this test does not know"
}

// wrongProgram allows only a program that root alone could have written, by its absolute path.
func (j *judge) wrongProgram(c systemCall) string {
	path := strings.Trim(c.args[0], `"`)
	if !strings.HasPrefix(path, "/") {
		return "a program by a relative path"
	}
	if strings.Contains(c.line, marker) {
		return "evidence in the arguments or the environment of a program"
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		real = path // that is not there; nor may others be able to put it there
	}
	for _, path := range []string{path, real} {
		for ; ; path = filepath.Dir(path) {
			info, err := os.Lstat(path)
			if err == nil && (info.Sys().(*syscall.Stat_t).Uid != 0 || info.Mode().Perm()&0o022 != 0 && info.Mode()&os.ModeSymlink == 0) {
				return "a program where others than root can write"
			}
			if path == "/" {
				break
			}
		}
	}
	return ""
}

func (j *judge) wrongOpen(c systemCall) string {
	paths := c.paths()
	flags := c.args[len(c.args)-1]
	for _, arg := range c.args {
		if strings.HasPrefix(arg, "O_") || strings.HasPrefix(arg, "{flags=O_") {
			flags = arg
		}
	}
	has := func(names ...string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return slices.Contains(strings.FieldsFunc(flags, notName), name) })
	}
	got, ok := described(c.result)
	if ok {
		j.opened++
	}
	switch {
	case c.name == "creat" || has("O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_APPEND", "O_TMPFILE", "__O_TMPFILE"):
		return j.wrongChange(append(paths, got)[:1])
	case ok && j.evidence(got) && !has("O_PATH", "O_NOATIME"):
		return "evidence opened so that its access time changes"
	}
	return ""
}

func notName(r rune) bool { return r != '_' && (r < 'A' || r > 'Z') && (r < '0' || r > '9') }

// wrongWrite allows writing to the case and to what was asked for, and evidence in clear only where the command is to show it.
func (j *judge) wrongWrite(c systemCall) string {
	to, _ := described(c.args[0])
	clear := strings.Contains(c.line, marker)
	switch {
	case clear && !j.line.shows:
		return "evidence written in clear"
	case strings.HasPrefix(to, "pipe:") || strings.HasPrefix(to, "anon_inode:"): // standard output, and the runtime's own
		return ""
	case strings.HasPrefix(to, "UNIX") || strings.HasPrefix(to, "TCP") || strings.HasPrefix(to, "UDP"):
		return j.wrongContact(c)
	}
	return j.wrongChange([]string{to})
}

// wrongChange allows changes in the case and where it was asked for.
func (j *judge) wrongChange(paths []string) string {
	for _, path := range paths {
		asked := j.line.writes != "" && (strings.HasPrefix(path, filepath.Join(j.dir, j.line.writes)) ||
			strings.HasPrefix(path, filepath.Join(j.dir, "."+j.line.writes))) // a file until it is whole: see package durable
		if !asked && !openclaw.Within(path, j.cases) && path != "/dev/null" && (j.line.typed == nil || !terminal(path)) {
			return "something else than the case is changed"
		}
	}
	if len(paths) == 0 {
		return "something is changed that strace does not name"
	}
	return ""
}

func terminal(path string) bool { return path == "/dev/tty" || strings.HasPrefix(path, "/dev/pts/") }

// evidence says whether a path lies in the evidence. What is live is read by its own rules.
func (j *judge) evidence(path string) bool {
	return openclaw.Within(path, filepath.Join(j.dir, "host"))
}

// wrongControl allows to ask about a descriptor and to set its own flags; a lock, only on a file of the case.
func (j *judge) wrongControl(c systemCall) string {
	if slices.Contains([]string{"F_GETFL", "F_SETFL", "F_GETFD", "F_SETFD", "F_DUPFD", "F_DUPFD_CLOEXEC", "F_GETPIPE_SZ", "F_SETPIPE_SZ"}, c.args[1]) {
		return ""
	}
	return j.wrongChange(c.paths())
}

// wrongMap allows memory, and programs and libraries of the system: a mapped file that somebody cuts ends the process.
func (j *judge) wrongMap(c systemCall) string {
	file, ok := described(c.args[4])
	if !ok {
		return ""
	}
	if strings.Contains(c.args[2], "MAP_SHARED") || j.evidence(file) || openclaw.Within(file, j.dir) {
		return "a file is mapped that others can cut"
	}
	return ""
}

// nameService is where a C library asks for users. The program as it is released is linked without one.
const nameService = `"/var/run/nscd/socket"`

// contact is an address of a call: IPv4 or IPv6, as strace writes them.
var contact = regexp.MustCompile(`sin6?_port=htons\(([0-9]+)\).*?(?:inet_addr\(|inet_pton\(AF_INET6, )"([^"]+)"`)

// wrongContact allows what the kernel answers by itself, and the addresses that were named. It binds no port of its choice.
func (j *judge) wrongContact(c systemCall) string {
	switch {
	case strings.Contains(c.args[0], "NETLINK"):
		return ""
	case c.name == "socket" && c.args[0] == "AF_UNIX", c.name == "connect" && strings.Contains(c.line, nameService):
		return "" // it is seen when it is connected
	case len(j.asked) == 0:
		return "something is contacted"
	}
	m := contact.FindStringSubmatch(strings.Join(c.args[1:], ", "))
	switch c.name {
	case "bind":
		if m == nil || m[1] != "0" {
			return "a port is opened"
		}
	case "connect":
		if m == nil || !slices.Contains(j.asked, net.JoinHostPort(m[2], m[1])) {
			return "something else is contacted than was asked for"
		}
		j.contacted[net.JoinHostPort(m[2], m[1])] = true
	case "sendto", "sendmsg", "sendmmsg":
		if m != nil {
			return "something is sent past the connection"
		}
	}
	return ""
}
