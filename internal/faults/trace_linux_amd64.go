package faults

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// planVariable holds the plan and where the result goes, for the tracer and for what it starts.
const planVariable = "OPENCLAW_IR_FAULTS"

type order struct {
	Plan   Plan
	Result string // a file
}

// Command returns a command that runs a program with a fault, and what returns the result once the command has ended.
func Command(t *testing.T, p Plan, program string, args ...string) (cmd *exec.Cmd, result func() *Result) {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "faults")
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	text, err := json.Marshal(order{p, f.Name()})
	if err != nil {
		t.Fatal(err)
	}
	cmd = exec.Command("faults", append([]string{program}, args...)...)
	cmd.Env = append(os.Environ(), planVariable+"="+string(text))
	return cmd, func() *Result {
		t.Helper()
		var r Result
		text, err := os.ReadFile(f.Name())
		if err == nil {
			err = json.Unmarshal(text, &r)
		}
		if err != nil {
			t.Fatalf("what the tracer saw: %v", err)
		}
		return &r
	}
}

// Main is the tracer, a command of the test binary: it runs the command line that follows its name.
func Main() {
	err := run()
	fmt.Fprintln(os.Stderr, "faults:", err)
	os.Exit(125)
}

func run() error {
	runtime.LockOSThread() // the kernel takes a tracer for one thread
	var o order
	if err := json.Unmarshal([]byte(os.Getenv(planVariable)), &o); err != nil {
		return err
	}
	const start = "--start"
	if len(os.Args) > 2 && os.Args[1] == start {
		return o.Plan.become(os.Args[2:])
	}
	program, err := exec.LookPath(os.Args[1])
	if err != nil {
		return err
	}
	argv := append([]string{os.Args[0], start, program}, os.Args[1:]...)
	pid, err := syscall.ForkExec("/proc/self/exe", argv, &syscall.ProcAttr{
		Env: os.Environ(), Files: []uintptr{0, 1, 2}, Sys: &syscall.SysProcAttr{Ptrace: true},
	})
	if err != nil {
		return err
	}
	t := &tracer{plan: o.Plan, main: pid, group: map[int]int{}}
	if err := t.follow(); err != nil {
		return err
	}
	text, err := json.Marshal(t.result)
	if err == nil {
		err = os.WriteFile(o.Result, text, 0o600)
	}
	if err != nil {
		return err
	}
	os.Exit(t.result.Exit)
	return nil
}

// become turns this process into the program, with a filter that stops it at the calls of the plan.
func (p Plan) become(args []string) error {
	names := p.Calls
	if len(names) == 0 {
		names = Names()
	}
	filter := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}} // the number of the call
	for _, name := range names {
		s, ok := shapes[name]
		if !ok {
			return fmt.Errorf("no call %q", name)
		}
		filter = append(filter,
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: uint32(s.number)},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_TRACE})
	}
	filter = append(filter, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW})
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0); err != nil {
		return err
	}
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, planVariable+"=") })
	return syscall.Exec(args[0], args[1:], env)
}

// A tracer follows all threads of a program and of what it starts, and counts the calls of the program itself.
type tracer struct {
	plan    Plan
	main    int         // the program
	group   map[int]int // the process that a thread belongs to
	started bool        // the program runs, not what turns into it
	result  Result
}

const traceOptions = unix.PTRACE_O_EXITKILL | unix.PTRACE_O_TRACESECCOMP | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEFORK |
	unix.PTRACE_O_TRACEVFORK | unix.PTRACE_O_TRACEEXEC

// follow goes on until every process has ended.
func (t *tracer) follow() error {
	var ws syscall.WaitStatus
	if _, err := syscall.Wait4(t.main, &ws, 0, nil); err != nil {
		return err
	}
	if !ws.Stopped() {
		return fmt.Errorf("it did not start: %v", ws)
	}
	if err := syscall.PtraceSetOptions(t.main, traceOptions); err != nil {
		return err
	}
	t.group[t.main] = t.main
	pid := t.main
	for {
		if err := syscall.PtraceCont(pid, t.signal(pid, ws)); err != nil && !errors.Is(err, syscall.ESRCH) { // it was killed meanwhile
			return err
		}
		for {
			var err error
			pid, err = syscall.Wait4(-1, &ws, unix.WALL, nil)
			if errors.Is(err, syscall.ECHILD) {
				return nil
			}
			if err != nil && !errors.Is(err, syscall.EINTR) {
				return err
			}
			if err == nil && ws.Stopped() {
				break
			}
			if err == nil {
				t.ended(pid, ws)
			}
		}
	}
}

func (t *tracer) ended(pid int, ws syscall.WaitStatus) {
	delete(t.group, pid)
	switch {
	case pid != t.main:
	case ws.Exited():
		t.result.Exit = ws.ExitStatus()
	case ws.Signaled():
		t.result.Exit = 128 + int(ws.Signal())
	}
}

// signal deals with a thread that stopped, and returns the signal that it is to get when it goes on.
func (t *tracer) signal(tid int, ws syscall.WaitStatus) int {
	_, known := t.group[tid]
	if !known {
		t.group[tid] = processOf(tid)
	}
	switch sig := ws.StopSignal(); {
	case sig == syscall.SIGSTOP && !known:
		return 0 // a new thread, which begins stopped
	case sig != syscall.SIGTRAP:
		return int(sig)
	case ws.TrapCause() == unix.PTRACE_EVENT_EXEC:
		t.started = t.started || tid == t.main
	case ws.TrapCause() == unix.PTRACE_EVENT_SECCOMP && t.started && t.group[tid] == t.main:
		t.call(tid)
	}
	return 0
}

// processOf is the process that a thread belongs to; 0 if it is gone.
func processOf(tid int) int {
	text, _ := os.ReadFile("/proc/" + strconv.Itoa(tid) + "/status")
	_, rest, _ := bytes.Cut(text, []byte("\nTgid:\t"))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	pid, _ := strconv.Atoi(string(line))
	return pid
}

// call counts the call that a thread is about to make, and does to it what the plan says.
func (t *tracer) call(tid int) {
	var regs syscall.PtraceRegs
	if syscall.PtraceGetRegs(tid, &regs) != nil {
		return // it was killed
	}
	name, s := callOf(numberOf(&regs))
	c := Call{Name: name, Changes: changes(name, &regs)}
	paths := s.pathsOf(tid, &regs)
	if len(s.fds)+len(s.paths) > 0 && !t.plan.counts(paths) {
		return
	}
	if len(paths) > 0 {
		c.Path = paths[len(paths)-1]
	}
	if s.size != none {
		c.Size = s.size.get(&regs)
	}
	t.result.Calls = append(t.result.Calls, c)
	n := len(t.result.Calls)
	if t.plan.Nth == 0 || n < t.plan.Nth || n > t.plan.Nth && !t.plan.On {
		return
	}
	t.result.Met = true
	switch t.plan.Fault {
	case Kill:
		_ = syscall.Kill(t.main, syscall.SIGKILL)
	case Short:
		if s.size != none {
			*s.size.in(&regs) = min(1, c.Size)
		}
		_ = syscall.PtraceSetRegs(tid, &regs)
	default:
		skip(&regs, errnos[t.plan.Fault])
		_ = syscall.PtraceSetRegs(tid, &regs)
	}
}

var errnos = map[string]syscall.Errno{
	"EIO": syscall.EIO, "ENOSPC": syscall.ENOSPC, "EINTR": syscall.EINTR, "EPERM": syscall.EPERM, "EINVAL": syscall.EINVAL, "EDQUOT": syscall.EDQUOT,
}

func callOf(number uintptr) (string, shape) {
	for name, s := range shapes {
		if s.number == number {
			return name, s
		}
	}
	return "", shape{}
}

func (p *Plan) counts(paths []string) bool {
	return len(p.Under) == 0 || slices.ContainsFunc(paths, func(path string) bool {
		return slices.ContainsFunc(p.Under, func(dir string) bool {
			return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
		})
	})
}

// pathsOf are the files of a call, as far as they have paths.
func (s shape) pathsOf(tid int, regs *syscall.PtraceRegs) (paths []string) {
	for _, a := range s.fds {
		paths = append(paths, fdPath(tid, int32(a.get(regs))))
	}
	for _, a := range s.paths {
		name := textAt(tid, a.get(regs))
		if !filepath.IsAbs(name) {
			name = filepath.Join(fdPath(tid, int32((a-1).get(regs))), name)
		}
		paths = append(paths, name)
	}
	return paths
}

func fdPath(tid int, fd int32) string {
	link := fmt.Sprintf("/proc/%d/fd/%d", tid, fd)
	if fd == unix.AT_FDCWD {
		link = fmt.Sprintf("/proc/%d/cwd", tid)
	}
	path, _ := os.Readlink(link)
	return path
}

// textAt reads a path in the memory of a thread.
func textAt(tid int, address uint64) string {
	buf := make([]byte, unix.PathMax)
	f, err := os.Open(fmt.Sprintf("/proc/%d/mem", tid))
	if err != nil {
		return ""
	}
	defer f.Close()
	n, _ := f.ReadAt(buf, int64(address)) // a page that ends early ends the text
	text, _, _ := bytes.Cut(buf[:n], []byte{0})
	return string(text)
}
