package main

import (
	"encoding/base64"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/clawbook/openclaw-ir/internal/inerttest"
	"github.com/clawbook/openclaw-ir/internal/statetest"
)

// liveLines are what is typed on a host on which an intruder's processes run: what looks at processes, or shows what was seen of them.
var liveLines = strings.Split(strings.TrimSpace(`
doctor
contain --dry-run --no-firewall
contain --dry-run --lock-config
rotate --dry-run --without-evidence --state-dir STATE
analyze posture --deep --state-dir STATE
collect -R recipients.txt -o NEW
collect list new1 -i key.txt
collect open new1 -i key.txt NEW
analyze integrity
case show
`), "\n")

// stopping are those that take ten seconds to see that nothing comes back, and end the processes.
var stopping = []string{"contain --yes --now --no-firewall", "contain status", "contain undo --yes", "case show"}

// TestLiveOutputIsInert runs what looks at a running host where everything that a process can say of itself is hostile: its program's
// name and place, its arguments and environment, where it is, what it has open and where it listens.
func TestLiveOutputIsInert(t *testing.T) {
	if testing.Short() || statetest.Raced() {
		t.Skip("runs every command that looks at a running host")
	}
	if !inOwnLab(t) {
		return
	}
	rounds, lines := 1, liveLines
	if isLong() {
		rounds, lines = inerttest.Rounds, slices.Concat(liveLines, stopping)
	}
	for round := range rounds {
		t.Run(strconv.Itoa(round), func(t *testing.T) {
			x := &inertRun{planting: &planting{t: t, round: round}, responder: newResponder(t, "2026.2.12"), elsewhere: newElsewhere()}
			x.processes()
			x.enter(testApp(80), lines)
			t.Run("opened", x.live)
			x.complete()
		})
	}
}

// processes starts what OpenClaw's processes are known by, in every way that does not bind a name.
func (x *inertRun) processes() {
	shell, err := exec.LookPath("sh")
	x.must(err)
	program := filepath.Join(x.dir, x.name("program"))
	x.must(copyFile(program, shell, 0o755))
	dir := filepath.Join(x.dir, x.name("working directory"))
	x.must(os.Mkdir(dir, 0o700))
	open, err := os.Create(filepath.Join(dir, x.name("open file")))
	x.must(err)
	defer open.Close()
	script := "/opt/openclaw/" + noNUL(x.shown("script")) + "/dist/index.js"
	for _, argv := range [][]string{{noNUL(x.shown("title")), "-c", "read x"}, {"node", "-c", "read x", script, "gateway"}} {
		cmd := &exec.Cmd{Path: program, Args: append(argv, noNUL(x.shown("argument"))), Dir: dir, ExtraFiles: []*os.File{open, x.socket()}}
		cmd.Env = []string{"OPENCLAW_SHELL=" + noNUL(x.shown("shell")), "OPENCLAW_STATE_DIR=/" + noNUL(x.text("state")), "OPENCLAW_" + noNUL(x.text("variable")) + "=x"}
		_, err := cmd.StdinPipe() // which never ends
		x.must(err)
		x.must(cmd.Start())
		x.planting.t.Cleanup(func() { _, _ = cmd.Process.Kill(), cmd.Wait() })
	}
	x.group(program)
}

// group starts a process whose one sign is the name of its control group, where this machine lets one be made.
func (x *inertRun) group(program string) {
	t := x.planting.t
	var dir string
	for _, at := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"} {
		if _, err := os.Stat(at + "/cgroup.procs"); err != nil {
			continue
		}
		name := strings.ReplaceAll(x.name("control group"), "\n", " ") // the kernel takes no line's end
		if dir = filepath.Join(at, "openclaw-"+strings.ToValidUTF8(name, "?")+".service"); os.Mkdir(dir, 0o755) == nil {
			break
		}
		dir = ""
	}
	if dir == "" {
		x.marks = slices.DeleteFunc(x.marks, func(mark string) bool { return mark == "at_control_group" })
		t.Log("no control group can be made")
		return
	}
	cmd := exec.Command(program, "-c", "read x")
	_, err := cmd.StdinPipe() // which never ends
	x.must(err)
	x.must(cmd.Start())
	t.Cleanup(func() {
		_, _ = cmd.Process.Kill(), cmd.Wait()
		for range 100 { // the group is empty a moment after
			if os.Remove(dir) == nil {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	})
	x.must(os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(cmd.Process.Pid)), 0o600))
}

// socket is one that listens at a name as long as one can be.
func (x *inertRun) socket() *os.File {
	name := x.name("socket")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: name[:min(len(name), 100)], Net: "unix"})
	x.must(err)
	defer l.Close()
	f, err := l.File()
	x.must(err)
	return f
}

// unread finds what of a running host is not UTF-8.
var unread = regexp.MustCompile(`\{"base64":"([^"]*)"\}`)

// live checks what was sealed of the running host, but for what journalctl says.
func (x *inertRun) live(t *testing.T) {
	x.must(filepath.WalkDir(filepath.Join(x.dir, "new3/live"), func(name string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(name) != ".jsonl" {
			return err
		}
		text, err := os.ReadFile(name)
		for _, m := range unread.FindAllSubmatch(text, -1) {
			bytes, err := base64.StdEncoding.AppendDecode(nil, m[1])
			x.must(err)
			x.seen.Write(bytes)
		}
		x.seen.Write(text)
		if !strings.HasPrefix(filepath.Base(name), "journal") {
			inerttest.JSONLines(t, filepath.Base(name), string(text))
		}
		return err
	}))
}
