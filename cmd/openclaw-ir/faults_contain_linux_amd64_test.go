package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/faults"
	"github.com/clawbook/openclaw-ir/internal/statetest"
	"github.com/google/go-cmp/cmp"
)

// inMachine runs the calling test again as root of a machine of its own, and reports whether this is that run: processes, mounts and
// network are its own, and what is written to its disk, which otherwise is this one's, is gone afterwards.
func inMachine(t *testing.T) bool {
	t.Helper()
	const mark = "OPENCLAW_IR_LAB"
	if os.Getenv(mark) == t.Name() {
		ownDisk(t)
		return true
	}
	if os.Geteuid() != 0 {
		t.Skip("a machine of its own needs root")
	}
	if _, err := exec.LookPath("unshare"); err != nil {
		t.Skip("unshare is not installed")
	}
	cmd := exec.Command("unshare", "--pid", "--fork", "--mount", "--mount-proc", "--net", os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), mark+"="+t.Name())
	out, err := cmd.CombinedOutput()
	if strings.Contains(string(out), "unshare failed") || strings.Contains(string(out), "no disk of its own") {
		t.Skipf("no machine of its own here: %s", out)
	}
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("in the lab: %v\n%s", err, out)
	}
	t.Logf("%s", out)
	return false
}

// ownDisk has this process write to a disk in memory that lies over the real one.
func ownDisk(t *testing.T) {
	t.Helper()
	base := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal("no disk of its own: ", err)
		}
	}
	must(syscall.Mount("none", base, "tmpfs", 0, ""))
	for _, name := range []string{"upper", "work", "root"} {
		must(os.Mkdir(filepath.Join(base, name), 0o755))
	}
	root := filepath.Join(base, "root")
	must(syscall.Mount("none", root, "overlay", 0, fmt.Sprintf("lowerdir=/,upperdir=%[1]s/upper,workdir=%[1]s/work", base)))
	for _, dir := range []string{"/proc", "/dev", "/sys"} {
		must(syscall.Mount(dir, root+dir, "", syscall.MS_BIND|syscall.MS_REC, ""))
	}
	must(syscall.Chroot(root))
	must(os.Chdir("/"))
	must(os.Setenv("TMPDIR", "/tmp")) // of this process, which is the test alone
}

const (
	labHome  = "/home/alice"
	labUnit  = labHome + "/.config/systemd/user/openclaw-gateway.service"
	labTable = "/var/spool/cron/crontabs/alice"
	labCases = "/var/lib/openclaw-ir-lab"
)

// labFiles are the directories in which contain changes something, beside the case.
var labFiles = []string{labHome, "/etc/openclaw-ir", "/etc/systemd", "/var/spool/cron", "/run/systemd"}

// A containLab is a machine on which an agent runs.
type containLab struct {
	*testing.T
	host  string // the state, unpacked
	agent *exec.Cmd
}

func newContainLab(t *testing.T, host string) *containLab {
	l := &containLab{T: t, host: host}
	l.must(os.MkdirAll("/home", 0o755), os.RemoveAll(labHome), l.copy(host+labHome, labHome))
	info, err := os.Stat(labHome + "/.openclaw/openclaw.json")
	l.must(err)
	st := info.Sys().(*syscall.Stat_t)
	passwd, err := os.OpenFile("/etc/passwd", os.O_APPEND|os.O_WRONLY, 0)
	l.must(err)
	_, err = fmt.Fprintf(passwd, "alice:x:%d:%d::%s:/bin/sh\n", st.Uid, st.Gid, labHome)
	wants := filepath.Join(filepath.Dir(labUnit), "default.target.wants")
	l.must(err, passwd.Close(), os.MkdirAll(wants, 0o755),
		os.WriteFile(labUnit, []byte("[Unit]\nDescription=OpenClaw Gateway\n[Service]\nExecStart=/usr/bin/node /opt/openclaw/dist/index.js gateway\nEnvironment=OPENCLAW_SERVICE_MARKER=openclaw\nRestart=always\n"), 0o644),
		os.Symlink(labUnit, filepath.Join(wants, filepath.Base(labUnit))),
		os.MkdirAll(filepath.Dir(labTable), 0o755), os.WriteFile(labTable, []byte("# mine\n*/5 * * * * openclaw agent --message hello\n"), 0o600))
	l.must(exec.Command("chown", "-R", fmt.Sprintf("%d:%d", st.Uid, st.Gid), labHome).Run())
	return l
}

func (l *containLab) copy(from, to string) error { return exec.Command("cp", "-a", from, to).Run() }

func (l *containLab) must(errs ...error) {
	l.Helper()
	if err := errors.Join(errs...); err != nil {
		l.Fatal(err)
	}
}

// files describes all that contain changes, but for the times.
func (l *containLab) files() map[string]string {
	seen := map[string]string{}
	for _, dir := range labFiles {
		err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			st := info.Sys().(*syscall.Stat_t)
			text := ""
			switch {
			case info.Mode().IsRegular():
				var data []byte
				data, err = os.ReadFile(name)
				text = string(data)
			case info.Mode()&fs.ModeSymlink != 0:
				text, err = os.Readlink(name)
			}
			seen[name] = fmt.Sprint(info.Mode(), " ", st.Uid, " ", st.Gid, " ", text)
			return err
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			l.Fatal(err)
		}
	}
	return seen
}

// start has the agent act, if it does not.
func (l *containLab) start() {
	l.Helper()
	if l.agent != nil && stateOf(l.agent.Process.Pid) != 'Z' {
		return
	}
	if l.agent != nil {
		_ = l.agent.Wait()
	}
	l.agent = exec.Command("sh", "-c", "while :; do sleep 0.2; done")
	l.agent.Env = append(os.Environ(), "OPENCLAW_SHELL=exec")
	l.must(l.agent.Start())
}

// goesOn reports whether the agent is, within seconds, neither stopped nor in a system call that has no end.
func (l *containLab) goesOn() bool {
	for range 300 {
		if s := stateOf(l.agent.Process.Pid); s != 'T' && s != 'D' {
			return true
		}
		time.Sleep(10 * time.Millisecond) // a shell waits in the kernel until its child has begun
	}
	return false
}

// stateOf is a process's state; 0 if there is none.
func stateOf(pid int) byte {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if i := bytes.LastIndexByte(text, ')'); i > 0 && len(text) > i+2 {
		return text[i+2]
	}
	return 0
}

func (l *containLab) command(plan faults.Plan, args ...string) (code int, out string, result *faults.Result) {
	l.Helper()
	cmd, seen := faults.Command(l.T, plan, "openclaw-ir", append(args, "--case-dir", labCases)...)
	cmd.Env = append(cmd.Env, "NO_COLOR=1")
	text, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		l.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(text), seen()
}

var containLine = []string{"contain", "--yes", "-r", "age1nyn6ru3j5ptaxjvjdhcs0zzzs4gm8wfert5mjjfk9mca4ln2zp4qe5jmgy", "--lock-config", "--state-dir", labHome + "/.openclaw", "--case"}

func (l *containLab) plan(nth int) faults.Plan {
	return faults.Plan{
		Calls: []string{"write", "mkdirat", "unlinkat", "renameat", "linkat", "symlinkat", "fchmod", "fchown", "kill", "pidfd_send_signal"},
		Under: append(slices.Clone(labFiles), labCases, "/sys/fs/cgroup"), Nth: nth, Fault: faults.Kill,
	}
}

// TestContainKilled kills contain at every call that changes something: before each signal, each line of the custody log, each step in its
// own record, each change of a file. Undo then puts back exactly what was there, and lets go on what was frozen; where there is nothing
// yet to undo, a "no" does. Without OPENCLAW_IR_LONG_TEST it is some of them.
func TestContainKilled(t *testing.T) {
	t.Parallel()
	if statetest.Raced() {
		t.Skip("a process that is traced and raced takes minutes")
	}
	host := ""
	if os.Getenv("OPENCLAW_IR_LAB") != "" {
		host = statetest.Root(t, "2026.9.6/stopped")
	}
	if !inMachine(t) {
		return
	}
	l := newContainLab(t, host)
	before := l.files()
	l.start()
	time.Sleep(50 * time.Millisecond)
	places := []int{40, 100} // a taste: while it seals, and while it stops
	if isLong() {
		places = l.whole(before)
	}
	for _, at := range places {
		l.start()
		name := fmt.Sprintf("killed-%d", at)
		code, out, r := l.command(l.plan(at), append(slices.Clone(containLine), name)...)
		if !r.Met {
			t.Errorf("there is no call %d", at)
		}
		if code != 137 {
			t.Errorf("at %d: exit code %d of a killed process\n%s", at, code, out)
		}
		l.undone(name, at, before)
		if t.Failed() {
			c := r.Calls[min(at, len(r.Calls))-1]
			t.Fatalf("killed at call %d, %s %s", at, c.Name, c.Path)
		}
	}
	t.Logf("killed at %d calls", len(places))
}

// whole contains and undoes without a fault, and returns the calls at which it can be killed.
func (l *containLab) whole(before map[string]string) []int {
	l.Helper()
	code, out, result := l.command(l.plan(0), append(slices.Clone(containLine), "whole")...)
	if code != exitDone && code != exitPartial {
		l.Fatalf("exit code %d\n%s", code, out)
	}
	l.undone("whole", 0, before)
	return result.NthOf(func(faults.Call) bool { return true })
}

// undone undoes what there is of a containment, and looks whether all is as it was.
func (l *containLab) undone(name string, at int, before map[string]string) {
	l.Helper()
	code, out, _ := l.command(faults.Plan{Calls: []string{"fsync"}}, "contain", "undo", "--yes", "--resume", "--case", name)
	if code == exitFailed && (strings.Contains(out, "no case") || strings.Contains(out, "file does not exist")) {
		// Nothing was noted yet: what is frozen goes on with a "no", as where nobody can be asked.
		code, out, _ = l.command(faults.Plan{Calls: []string{"fsync"}}, "contain", "--case", name)
		if code != exitUsage {
			l.Errorf("at %d, a no: exit code %d\n%s", at, code, out)
		}
	} else if code != exitDone {
		l.Errorf("at %d, undo: exit code %d\n%s", at, code, out)
	}
	if diff := cmp.Diff(before, l.files()); diff != "" {
		l.Errorf("at %d it is not as it was: %s\n%s", at, diff, out)
	}
	if s := stateOf(l.agent.Process.Pid); !l.goesOn() {
		l.Errorf("at %d the agent is in state %c: it was not let go on\n%s", at, s, out)
	}
	code, verified, _ := l.command(faults.Plan{Calls: []string{"fsync"}}, "case", "verify", name)
	if code != exitDone {
		l.Errorf("at %d, the case: exit code %d\n%s", at, code, verified)
	}
	cs, err := casefile.Open(labCases, name, false)
	if err != nil {
		l.Fatal(err)
	}
	defer cs.Close()
	if strays, _ := fs.Glob(cs.Root().FS(), ".*"); len(strays) > 0 {
		l.Errorf("at %d: left behind: %q", at, strays)
	}
}
