package main

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A systemCall is one line of what strace wrote.
type systemCall struct {
	line    string
	name    string
	args    []string
	result  string
	foreign bool // made by another program, which a command of ours ran
}

// harmless are the calls that are not traced: they read, wait, or change nothing but the process that makes them. Every other call is.
var harmless = strings.Fields(`
	access faccessat faccessat2 stat lstat fstat newfstatat statx statfs fstatfs readlink readlinkat getcwd getdents64 lseek read pread64 readv preadv
	fadvise64 flistxattr llistxattr listxattr fgetxattr lgetxattr getxattr close close_range dup dup2 dup3 pipe2 poll ppoll select pselect6 fsync fdatasync
	epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2 eventfd2 pidfd_open
	brk munmap mprotect madvise mincore futex futex_waitv rseq set_robust_list get_robust_list set_tid_address arch_prctl prctl sched_yield sched_getaffinity
	rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack nanosleep clock_nanosleep clock_gettime clock_getres gettimeofday time
	timer_create timer_settime timer_delete setitimer restart_syscall tgkill getrandom uname sysinfo prlimit64 getrlimit getrusage times umask chdir
	getpid getppid gettid getpgrp getpgid getsid getuid geteuid getgid getegid getgroups getresuid getresgid capget wait4 waitid setsid setpgid exit exit_group`)

// trace runs a command under strace and returns the calls of all its threads and of what they started.
func trace(t *testing.T, cmd *exec.Cmd) (calls []systemCall, err error) {
	t.Helper()
	files := filepath.Join(t.TempDir(), "trace")
	args := []string{"strace", "-f", "--seccomp-bpf", "-ff", "-yy", "-qq", "-s", "16777216", "-e", "signal=none", "-e", "trace=!" + strings.Join(harmless, ","), "-o", files}
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip(err)
	}
	cmd.Args = append(append(args, cmd.Path), cmd.Args[1:]...)
	cmd.Path = strace
	err = cmd.Run()
	return readTrace(t, files), err
}

// started finds the number of the thread or process that a call made.
var started = regexp.MustCompile(`^(?:clone|clone3|fork|vfork)\(.* = ([0-9]+)$`)

// readTrace reads the files that strace wrote, one a thread: each holds whole lines, in the thread's own order.
func readTrace(t *testing.T, files string) (calls []systemCall) {
	t.Helper()
	names, err := filepath.Glob(files + ".*")
	if err != nil || len(names) == 0 {
		t.Fatal("strace wrote nothing: ", err)
	}
	threads, children := map[string][]systemCall{}, map[string]bool{}
	for _, name := range names {
		id := strings.TrimPrefix(name, files+".")
		threads[id] = readThread(t, name)
		maps.Copy(children, childrenOf(threads[id]))
	}
	var walk func(id string, foreign bool)
	walk = func(id string, foreign bool) {
		for _, c := range threads[id] {
			c.foreign = foreign
			calls = append(calls, c)
			foreign = foreign || c.name == "execve" && c.result == "0"
			if m := started.FindStringSubmatch(c.line); m != nil {
				walk(m[1], foreign)
			}
		}
	}
	for id, thread := range threads {
		if !children[id] && len(thread) > 0 { // it began as strace, which then ran what is traced; a thread that ended with its process may be empty
			threads[id] = thread[1:]
			walk(id, false)
		}
	}
	return calls
}

// childrenOf are the numbers of what calls started.
func childrenOf(calls []systemCall) map[string]bool {
	children := map[string]bool{}
	for _, c := range calls {
		if m := started.FindStringSubmatch(c.line); m != nil {
			children[m[1]] = true
		}
	}
	return children
}

func readThread(t *testing.T, name string) (calls []systemCall) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "+++ ") {
			continue
		}
		c, ok := parseCall(strings.TrimSuffix(line, "\n"))
		if !ok {
			t.Errorf("strace wrote %q", line)
		}
		calls = append(calls, c)
	}
	return calls
}

// parseCall takes a line of strace apart: name(argument, argument) = result.
func parseCall(line string) (c systemCall, ok bool) {
	at := strings.LastIndex(line, " = ")
	name, rest, ok := strings.Cut(line, "(")
	if !ok || at < len(name)+1 {
		return c, false
	}
	args := strings.TrimSuffix(strings.TrimRight(rest[:at-len(name)-1], " "), ")")
	return systemCall{line: line, name: name, args: splitArguments(args), result: line[at+3:]}, true
}

// splitArguments cuts at the commas outside strings, brackets, and what -yy says of a descriptor.
func splitArguments(s string) (args []string) {
	var closing []byte
	start := 0
	for i := 0; i < len(s); i++ {
		top := byte(0)
		if len(closing) > 0 {
			top = closing[len(closing)-1]
		}
		switch ch := s[i]; {
		case top == '"' && ch == '\\':
			i++
		case top != 0 && ch == top:
			closing = closing[:len(closing)-1]
		case top == '"' || top == '>' && ch != '<' && ch != '[':
		case strings.IndexByte(`"([{<`, ch) >= 0:
			closing = append(closing, `")]}>`[strings.IndexByte(`"([{<`, ch)])
		case ch == ',' && len(closing) == 0:
			args = append(args, strings.TrimSpace(s[start:i]))
			start = i + 1
		}
	}
	return append(args, strings.TrimSpace(s[start:]))
}

// described returns what -yy says of a descriptor: its path, or what kind of thing it is.
func described(arg string) (string, bool) {
	_, what, ok := strings.Cut(strings.TrimSuffix(arg, "(deleted)"), "<")
	what, closed := strings.CutSuffix(what, ">")
	what, _, _ = strings.Cut(what, "<") // of a device: its numbers
	return what, ok && closed
}

// paths returns the files that a call names, by a path or a descriptor, absolute. Paths are as strace escapes them.
func (c systemCall) paths() (paths []string) {
	dir := ""
	for _, arg := range c.args {
		text, quoted := strings.CutPrefix(arg, `"`)
		switch what, ok := described(arg); {
		case quoted && strings.HasSuffix(text, `"`):
			paths = append(paths, filepath.Join(dir, text[:len(text)-1]))
			if strings.HasPrefix(text, "/") {
				paths[len(paths)-1] = filepath.Clean(text[:len(text)-1])
			}
			dir = ""
		case ok:
			if dir != "" {
				paths = append(paths, dir)
			}
			dir = what
		}
	}
	if dir != "" {
		paths = append(paths, dir)
	}
	return paths
}
