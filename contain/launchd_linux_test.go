package contain

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	gocmp "github.com/google/go-cmp/cmp"
)

// A mac answers ps and launchctl as macOS 15 does. Its processes are ours, so that they are really stopped and killed.
type mac struct {
	t        *testing.T
	uid      uint32
	args     map[int]string  // of the processes, by number
	jobs     map[string]*job // by target
	old      bool            // print-disabled says "true", as it did
	loggedIn bool
	changes  []string
}

type job struct {
	pid               int
	plist             string
	loaded, off, told bool // told: to end, and not to start again
}

// start starts a process that ps shows with other arguments.
func (a *mac) start(args string) int {
	cmd := exec.Command("sleep", "100")
	if err := cmd.Start(); err != nil {
		a.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { _ = cmd.Wait(); close(done) }()
	a.t.Cleanup(func() { _ = cmd.Process.Kill(); <-done })
	if !reaches(cmd.Process.Pid, "S") {
		a.t.Fatal("sleep does not sleep")
	}
	a.args[cmd.Process.Pid] = args
	return cmd.Process.Pid
}

// reaches waits a moment for a process to get into a state: a signal is not acted on at once.
func reaches(pid int, want string) bool {
	for range 200 {
		if stateNow(pid) == want {
			return true
		}
		time.Sleep(10 * time.Millisecond)
	}
	return false
}

// stateNow is that of a process of ours, "" if it has ended.
func stateNow(pid int) string {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if f := strings.Fields(string(text)); err == nil && f[2] != "Z" {
		return f[2]
	}
	return ""
}

func (a *mac) Run(_ context.Context, c host.Command) (res host.Result) {
	res.Argv = c.Argv
	var out string
	if c.Argv[0] == "ps" {
		out = a.ps(c.Argv[1:])
	} else if c.Argv[0] == "launchctl" {
		out = a.launchctl(c.Argv[1:])
	}
	if said, failed := strings.CutPrefix(out, "!"); failed || out == "!" {
		res.ExitCode, res.Stderr = 113, []byte(said)
		return res
	}
	if res.Stdout = []byte(out); c.Stdout != nil {
		_, _ = io.WriteString(c.Stdout, out)
	}
	return res
}

func (a *mac) ps(args []string) (out string) {
	const began = "Sun Nov 22 23:35:33 2026    "
	if slices.Contains(args, "-p") {
		pid, _ := strconv.Atoi(args[len(args)-1])
		if s := stateNow(pid); s != "" {
			return s + "s   " + began + "\n"
		}
		return "!"
	}
	for pid, text := range a.args {
		text, env, _ := strings.Cut(text, " | ")
		switch s := stateNow(pid); {
		case s == "":
		case args[0] == "-axwwE":
			out += fmt.Sprintf("%5d %s %s\n", pid, text, env)
		default:
			out += fmt.Sprintf("%5d     1 %5d %5d %s    %s %s\n", pid, pid, a.uid, s, began, text)
		}
	}
	return out + "    1     0     1     0 Ss   " + began + " /sbin/launchd\n"
}

func (a *mac) launchctl(args []string) string {
	for target, j := range a.jobs { // what launchd does by itself
		if j.loaded && j.pid != 0 && stateNow(j.pid) == "" {
			if j.loaded = false; !j.told {
				a.t.Errorf("launchd starts %s again, which was killed before it was told to forget it", target)
			}
		}
	}
	domain := args[1]
	j := a.jobs[domain]
	if args[0] != "print" && args[0] != "print-disabled" {
		a.changes = append(a.changes, strings.Join(args, " "))
	}
	if strings.HasPrefix(domain, "gui/") && !a.loggedIn {
		return "!Could not find domain for user gui: " + domain + "\n"
	}
	switch args[0] {
	case "print-disabled":
		words := map[bool]string{true: "disabled", false: "enabled"}
		if a.old {
			words = map[bool]string{true: "true", false: "false"}
		}
		out := "\n\tdisabled services = {\n\t\t\"com.apple.Siri.agent\" => " + words[false] + "\n"
		for target, j := range a.jobs {
			if d, label := filepath.Split(target); d == domain+"/" && j.off {
				out += fmt.Sprintf("\t\t%q => %s\n", label, words[j.off])
			}
		}
		return out + "\t}\n\tlogin item associations = {\n\t}\n"
	case "print":
		if j != nil && j.loaded {
			return fmt.Sprintf("%s = {\n\tactive count = 1\n\tpath = %s\n\ttype = LaunchAgent\n\tstate = running\n\n\tprogram = /bin/sh\n\tpid = %d\n"+
				"\tsocket = {\n\t\tstate = active\n\t\tpid = 1\n\t}\n}\n", domain, cmp.Or(j.plist, "(submitted by launchctl)"), j.pid)
		}
		if strings.Count(domain, "/") == 2 || strings.HasPrefix(domain, "system/") {
			return "!Bad request.\nCould not find service \"x\" in domain for " + domain + "\n"
		}
		out := domain + " = {\n\ttype = login\n\tservices = {\n\t\t       0      -  \tcom.apple.progressd\n"
		for target, j := range a.jobs {
			if d, label := filepath.Split(target); d == domain+"/" && j.loaded {
				out += fmt.Sprintf("\t\t%8d      -  \t%s\n", j.pid, label)
			}
		}
		return out + "\t\t    4242      -  \tapplication.ai.openclaw.mac.1.2\n\t}\n\n\tendpoints = {\n\t\t0x1203 M ai.openclaw.port\n\t\t1 - ai.openclaw.not-a-job\n\t}\n}\n"
	case "disable", "enable":
		if j == nil {
			j = &job{}
			a.jobs[domain] = j
		}
		j.off = args[0] == "disable"
	case "bootout":
		if j == nil || !j.loaded {
			return "!Boot-out failed: 3: No such process\n"
		}
		if j.told = true; j.pid != 0 && stateNow(j.pid) != "" {
			return "!Boot-out failed: 36: Operation now in progress\n" // it is stopped
		}
		j.loaded = false
	case "bootstrap":
		label := strings.TrimSuffix(filepath.Base(args[2]), ".plist")
		if j = a.jobs[domain+"/"+label]; j == nil || j.off {
			return "!Bootstrap failed: 5: Input/output error\n"
		}
		j.loaded, j.told, j.pid = true, false, 0
	}
	return ""
}

// newMac makes a Mac with a gateway of launchd's, a job that only its process tells, one that was disabled before, and one of the
// system; with an agent's child that left, and with what is not OpenClaw's.
func newMac(t *testing.T) (m Machine, a *mac, installs []*openclaw.Installation) {
	t.Helper()
	dir := t.TempDir()
	a = &mac{t: t, uid: uint32(os.Geteuid()), args: map[int]string{}, jobs: map[string]*job{}, loggedIn: true}
	if a.uid == 0 {
		a.uid = 501
	}
	agents := "/Users/claw/Library/LaunchAgents/"
	for name, text := range map[string]string{
		agents + "ai.openclaw.gateway.plist":              "<plist><dict><key>Label</key>\n<string>ai.openclaw.gateway</string></dict></plist>",
		agents + "renamed.plist":                          "<plist><dict><key>Label</key> <string>my.node</string></dict></plist>",
		agents + "evil.plist":                             "<plist><dict><key>Label</key><string>../x y</string></dict></plist>",
		"/Library/LaunchDaemons/ai.openclaw.daemon.plist": "bplist00",
		"/Users/Shared/x":                                 "",
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		write(text)(t, file)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(filepath.Join(dir, "Users/claw"), int(a.uid), 20); err != nil {
			t.Fatal(err)
		}
	}
	root, err := host.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	gui := fmt.Sprintf("gui/%d/", a.uid)
	a.jobs[gui+"ai.openclaw.gateway"] = &job{loaded: true, plist: agents + "ai.openclaw.gateway.plist", pid: a.start("/opt/homebrew/bin/node /opt/homebrew/lib/node_modules/openclaw/dist/index.js gateway --port 18789")}
	a.jobs[gui+"com.me.bot"] = &job{loaded: true, pid: a.start("/opt/homebrew/bin/node /opt/openclaw/dist/entry.js node run")}
	a.jobs[gui+"my.node"] = &job{off: true}
	a.jobs["system/ai.openclaw.daemon"] = &job{}
	a.start("/Applications/OpenClaw.app/Contents/MacOS/OpenClaw")
	a.start("python3 /tmp/left.py | HOME=/Users/claw OPENCLAW_SHELL=exec")
	in := &openclaw.Installation{}
	for _, file := range []string{agents + "ai.openclaw.gateway.plist", agents + "renamed.plist", agents + "evil.plist", "/Library/LaunchDaemons/ai.openclaw.daemon.plist"} {
		in.Units = append(in.Units, openclaw.Unit{Path: file, User: "claw"})
	}
	return Machine{Root: root, Run: a, UID: os.Geteuid(), Mac: true}, a, []*openclaw.Installation{in}
}

// TestMac contains a Mac and takes it back: nothing of OpenClaw's acts while launchd is told, nothing is started again, and
// what was disabled before stays so.
func TestMac(t *testing.T) {
	for _, old := range []bool{false, true} {
		m, a, installs := newMac(t)
		a.old = old
		other := a.start("vim notes-on-gateways.txt OPENCLAW_SHELL=exec")
		ctx, gui := t.Context(), fmt.Sprintf("gui/%d/", a.uid)
		f, err := m.Freeze(ctx)
		if err != nil || len(f.Processes) != 4 || len(f.Gaps) > 0 {
			t.Fatalf("froze %+v, %v", f, err)
		}
		for pid, args := range a.args {
			if want := map[bool]string{true: "S", false: "T"}[pid == other]; !reaches(pid, want) {
				t.Errorf("%q is in state %s", args, stateNow(pid))
			}
		}
		p, err := m.Plan(ctx, f, installs, Options{})
		if err != nil {
			t.Fatal(err)
		}
		p.Cron = nil // of this machine
		var targets []string
		for _, u := range p.Units {
			targets = append(targets, fmt.Sprintf("%s %v %s", u.target(), u.Running, u.Enabled))
		}
		slices.Sort(targets)
		want := []string{gui + "ai.openclaw.gateway true enabled", gui + "com.me.bot true enabled", gui + "my.node false disabled", "system/ai.openclaw.daemon false enabled"}
		if diff := gocmp.Diff(want, targets); diff != "" {
			t.Fatalf("jobs (-want +got):\n%s", diff)
		}
		if len(p.Gaps) != 1 || !strings.Contains(p.Gaps[0], "evil.plist") {
			t.Errorf("gaps %q", p.Gaps)
		}
		c := newContainment(t, a)
		c.Machine, c.Journal.Frozen = m, f
		checksOK(t, c.Stop(ctx, p))
		checksOK(t, c.Stop(ctx, p)) // again
		checksOK(t, c.Verify(ctx))
		if stateNow(other) != "S" {
			t.Errorf("the editor is in state %q", stateNow(other))
		}
		a.jobs[gui+"ai.openclaw.gateway"].off = false
		if checks := c.Verify(ctx); !slices.ContainsFunc(checks, func(ch Check) bool { return !ch.OK && strings.Contains(ch.What, "gateway") }) {
			t.Errorf("a job that may be loaded again passes: %+v", checks)
		}
		c, err = Open(m, c.Case) // as another process would
		if err != nil {
			t.Fatal(err)
		}
		a.changes = nil
		checksOK(t, c.Undo(ctx, false))
		checks := c.Start(ctx)
		slices.Sort(a.changes)
		wantChanges := []string{
			"bootstrap gui/" + strconv.Itoa(int(a.uid)) + " /Users/claw/Library/LaunchAgents/ai.openclaw.gateway.plist",
			"enable " + gui + "ai.openclaw.gateway", "enable " + gui + "com.me.bot", "enable system/ai.openclaw.daemon",
		}
		if diff := gocmp.Diff(wantChanges, a.changes); diff != "" || !a.jobs[gui+"my.node"].off {
			t.Errorf("undone by (-want +got):\n%s", diff)
		}
		if len(checks) != 2 || checks[0].OK == checks[1].OK { // nothing defines com.me.bot
			t.Errorf("started: %+v", checks)
		}
	}
}

func checksOK(t *testing.T, checks []Check) {
	t.Helper()
	for _, ch := range checks {
		if !ch.OK {
			t.Errorf("%s: %s", ch.What, ch.Detail)
		}
	}
}

// TestMacSignal leaves a process alone that has the number of another.
func TestMacSignal(t *testing.T) {
	m, a, _ := newMac(t)
	pid := a.start("vim")
	begun := uint64(time.Date(2026, 11, 22, 23, 35, 33, 0, time.UTC).Unix())
	if err := m.signal(Ref{PID: pid, Start: begun - 1}, 19); !os.IsNotExist(err) || stateNow(pid) != "S" {
		t.Errorf("signalled %v, state %s", err, stateNow(pid))
	}
	if !m.isAlive(Ref{PID: pid, Start: begun}) || m.isAlive(Ref{PID: pid, Start: begun - 1}) {
		t.Error("alive is not told by the start")
	}
}

// TestMacLoggedOut disables in the domain that is there.
func TestMacLoggedOut(t *testing.T) {
	m, a, installs := newMac(t)
	a.loggedIn = false
	list, _ := m.jobs(t.Context(), installs, nil)
	if want := fmt.Sprintf("user/%d/ai.openclaw.gateway", a.uid); !slices.ContainsFunc(list, func(u Unit) bool { return u.target() == want }) {
		t.Errorf("no %s in %+v", want, list)
	}
}

// TestMacByHand says what is left to do, with nothing of the host in what is to be typed but in quotes.
func TestMacByHand(t *testing.T) {
	for _, ch := range (Machine{Mac: true}).ByHand(true) {
		if ch.OK || ch.Hint == "" {
			t.Errorf("%+v", ch)
		}
	}
	if list := (Machine{}).ByHand(true); len(list) > 0 {
		t.Errorf("on Linux: %+v", list)
	}
	got := Unit{Name: "a", Domain: "gui/501", Plist: "/x/'; reboot; '.plist"}.command("start")
	if want := `sudo launchctl bootstrap gui/501 '/x/'"'"'; reboot; '"'"'.plist'`; got != want {
		t.Errorf("to type: %s, want %s", got, want)
	}
	gaps := machineGaps([]host.Process{{Comm: "OrbStack"}, {Comm: "OrbStack"}, {Comm: "vim"}})
	if len(gaps) != 1 || !strings.Contains(gaps[0], "OrbStack") {
		t.Errorf("gaps %q", gaps)
	}
}
