package contain_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/clawbook/openclaw-ir/contain"
	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

// inLab runs the calling test again in process and mount namespaces of its own, where it may freeze and kill what it likes,
// and reports whether this is that run.
func inLab(t *testing.T) bool {
	t.Helper()
	const mark = "OPENCLAW_IR_LAB"
	if os.Getenv(mark) == t.Name() {
		return true
	}
	if os.Geteuid() != 0 {
		t.Skip("a namespace of its own needs root")
	}
	if _, err := exec.LookPath("unshare"); err != nil {
		t.Skip("unshare is not installed")
	}
	cmd := exec.Command("unshare", "--pid", "--fork", "--mount", "--mount-proc", "--net", os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), mark+"="+t.Name())
	out, err := cmd.CombinedOutput()
	if strings.Contains(string(out), "unshare failed") {
		t.Skipf("no namespaces here: %s", out)
	}
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("in the lab: %v\n%s", err, out)
	}
	return false
}

func machine(t *testing.T) contain.Machine {
	t.Helper()
	root, err := host.OpenRoot("/")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	run, err := host.NewTrusted()
	if err != nil {
		t.Fatal(err)
	}
	return contain.Machine{Root: root, Run: run, UID: os.Geteuid()}
}

func openCase(t *testing.T) *casefile.Case {
	t.Helper()
	cs, err := casefile.Open(filepath.Join(t.TempDir(), "cases"), "", true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cs.Close() })
	return cs
}

// start runs a program as the agent's exec tool would, and returns its number.
func start(t *testing.T, env string, argv ...string) int {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), env)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = cmd.Wait() }()
	t.Cleanup(func() {
		if os.Getpid() == 1 { // of the lab: all else in it ends before its files are removed
			_ = syscall.Kill(-1, syscall.SIGKILL)
			time.Sleep(50 * time.Millisecond)
		}
	})
	return cmd.Process.Pid
}

// size is how much a program has written so far.
func size(name string) int64 {
	fi, err := os.Stat(name)
	if err != nil {
		return 0
	}
	return fi.Size()
}

// grows waits for a program to write, which on a loaded machine takes its time.
func grows(t *testing.T, name string) bool {
	t.Helper()
	before := size(name)
	for range 300 {
		if time.Sleep(10 * time.Millisecond); size(name) > before {
			return true
		}
	}
	return false
}

// acts says whether a program writes that should not.
func acts(t *testing.T, name string) bool {
	t.Helper()
	before := size(name)
	time.Sleep(300 * time.Millisecond)
	return size(name) > before
}

// TestFreezeAndThaw freezes a script that forks without pause, and its child that left it in every way it can, and lets both
// go on.
func TestFreezeAndThaw(t *testing.T) {
	if !inLab(t) {
		return
	}
	m, dir := machine(t), t.TempDir()
	busy, detached, other := filepath.Join(dir, "busy"), filepath.Join(dir, "detached"), filepath.Join(dir, "other")
	start(t, "OPENCLAW_SHELL=exec", "sh", "-c", "while :; do (echo x >>"+busy+") & wait; done")
	start(t, "OPENCLAW_SHELL=exec", "sh", "-c", "setsid nohup sh -c 'while :; do echo x >>"+detached+"; sleep 0.01; done' >/dev/null 2>&1 &")
	start(t, "UNMARKED=1", "sh", "-c", "while :; do echo x >>"+other+"; sleep 0.01; done")
	if !grows(t, busy) || !grows(t, detached) || !grows(t, other) {
		t.Fatal("the programs do not run")
	}
	begun := time.Now()
	f, err := m.Freeze(context.Background())
	took := time.Since(begun)
	if err != nil || len(f.Gaps) > 0 {
		t.Fatalf("freezing: %v, gaps %q", err, f.Gaps)
	}
	t.Logf("froze %d processes in %v, %d passes", len(f.Processes), took, f.Passes)
	if acts(t, busy) || acts(t, detached) {
		t.Error("frozen, the programs act")
	}
	if !grows(t, other) {
		t.Error("another program was frozen with them")
	}
	if err := m.Thaw(context.Background(), f); err != nil {
		t.Fatal(err)
	}
	if !grows(t, busy) || !grows(t, detached) {
		t.Error("thawed, the programs do not go on")
	}
}

// frozen freezes what there is and begins a containment of it.
func frozen(ctx context.Context, t *testing.T, m contain.Machine) (*contain.Containment, *contain.Plan) {
	t.Helper()
	f, err := m.Freeze(ctx)
	if err != nil {
		t.Fatal(err)
	}
	p, err := m.Plan(ctx, f, nil, contain.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := contain.Begin(ctx, m, openCase(t), f, "test")
	if err != nil {
		t.Fatal(err)
	}
	return c, p
}

// TestStopKillsWhatComesBack stops a gateway that a script starts again and again.
func TestStopKillsWhatComesBack(t *testing.T) {
	if !inLab(t) {
		return
	}
	ctx, m, dir := context.Background(), machine(t), t.TempDir()
	script, out := filepath.Join(dir, "keep.sh"), filepath.Join(dir, "out")
	text := "while :; do env OPENCLAW_SHELL=exec sh -c 'while :; do echo x >>" + out + "; sleep 0.01; done'; sleep 0.2; done\n"
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	start(t, "UNMARKED=1", "sh", script)
	if !grows(t, out) {
		t.Fatal("the program does not run")
	}
	c, p := frozen(ctx, t, m)
	for _, ch := range append(c.Stop(ctx, p), c.Watch(ctx, p, func() {})) {
		if !ch.OK {
			t.Errorf("%s: %s", ch.What, ch.Detail)
		}
	}
	if acts(t, out) {
		t.Error("it still runs")
	}
	for _, r := range c.Journal.Killed {
		if state := stateOf(r.PID); state != "" && state != "Z" {
			t.Errorf("process %d is in state %s", r.PID, state)
		}
	}
}

// TestEscapedIsTold: what left its unit, its parents, its environment and its name behind, and goes on forking, is stopped or told of.
func TestEscapedIsTold(t *testing.T) {
	if !inLab(t) {
		return
	}
	ctx, m, dir := context.Background(), machine(t), t.TempDir()
	script, out := filepath.Join(dir, "s"), filepath.Join(dir, "out")
	text := "echo x >>" + out + "; sleep 0.1; exec env -i setsid sh -c '/bin/sh " + script + " &'\n"
	for _, err := range []error{
		os.WriteFile(script, []byte(text), 0o755), os.WriteFile(out, nil, 0o666), os.Chmod(out, 0o666),
		os.Chmod(filepath.Dir(dir), 0o755), os.Chmod(dir, 0o755),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	agent := exec.Command("sh", "-c", "env -i setsid sh -c '/bin/sh "+script+" &' & while :; do sleep 0.01; done")
	agent.Env = append(os.Environ(), "OPENCLAW_SHELL=exec")
	agent.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 64001, Gid: 64001}}
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = agent.Wait() }()
	t.Cleanup(func() { _ = syscall.Kill(-1, syscall.SIGKILL); time.Sleep(50 * time.Millisecond) })
	if !grows(t, out) {
		t.Fatal("the program does not run")
	}
	c, p := frozen(ctx, t, m)
	told := fmt.Sprint(append(c.Stop(ctx, p), c.Watch(ctx, p, func() {})))
	told += fmt.Sprint(c.Verify(ctx))
	if acts(t, out) && !strings.Contains(told, "with no sign of OpenClaw") {
		t.Errorf("it goes on, and nobody is told: %s", told)
	}
}

// TestShedIsTold: an agent that shed every sign before anybody came, so that there is nothing to stop, is told of all the same.
func TestShedIsTold(t *testing.T) {
	if !inLab(t) {
		return
	}
	ctx, m, dir := context.Background(), machine(t), t.TempDir()
	for _, err := range []error{os.Chmod(filepath.Dir(dir), 0o755), os.Chmod(dir, 0o755), os.Chown(dir, 64001, 64001)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	agent := exec.Command("sleep", "60")
	agent.Env, agent.SysProcAttr = []string{"X=1"}, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 64001, Gid: 64001}}
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = agent.Wait() }()
	t.Cleanup(func() { _ = syscall.Kill(-1, syscall.SIGKILL); time.Sleep(50 * time.Millisecond) })
	f, err := m.Freeze(ctx)
	if err != nil {
		t.Fatal(err)
	}
	p, err := m.Plan(ctx, f, []*openclaw.Installation{{StateDir: dir}}, contain.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := contain.Begin(ctx, m, openCase(t), f, "test")
	if err != nil {
		t.Fatal(err)
	}
	c.Stop(ctx, p)
	if told := fmt.Sprint(c.Verify(ctx)); !strings.Contains(told, strconv.Itoa(agent.Process.Pid)+` ("sleep"`) {
		t.Errorf("it goes on, and nobody is told: %s", told)
	}
}

// stateOf is a process's state, "" if it has ended.
func stateOf(pid int) string {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return ""
	}
	var state string
	_, _ = fmt.Sscan(string(text[strings.LastIndexByte(string(text), ')')+1:]), &state)
	return state
}

// TestGuard freezes again what somebody thaws while a person thinks.
func TestGuard(t *testing.T) {
	if !inLab(t) {
		return
	}
	ctx, m, out := context.Background(), machine(t), filepath.Join(t.TempDir(), "out")
	pid := start(t, "OPENCLAW_SHELL=exec", "sh", "-c", "while :; do echo x >>"+out+"; done")
	if !grows(t, out) {
		t.Fatal("the program does not run")
	}
	f, err := m.Freeze(ctx)
	if err != nil {
		t.Fatal(err)
	}
	end := m.Guard(ctx, f)
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	late := filepath.Join(filepath.Dir(out), "late")
	start(t, "OPENCLAW_SHELL=exec", "sh", "-c", "while :; do echo x >>"+late+"; sleep 0.01; done")
	time.Sleep(time.Second)
	if acts(t, out) || acts(t, late) {
		t.Error("it acts again")
	}
	end()
	if len(f.Gaps) == 0 {
		t.Error("nobody is told that it was thawed")
	}
	if err := m.Thaw(ctx, f); err != nil || !grows(t, out) || !grows(t, late) {
		t.Errorf("thawed, it does not go on: %v", err)
	}
}

// TestFreezeInAStorm freezes within seconds where processes are made as fast as they can be.
func TestFreezeInAStorm(t *testing.T) {
	if !inLab(t) {
		return
	}
	m, out := machine(t), filepath.Join(t.TempDir(), "out")
	for range 8 {
		start(t, "OPENCLAW_SHELL=exec", "sh", "-c", "while :; do (echo x >>"+out+") & done")
	}
	if !grows(t, out) {
		t.Fatal("the programs do not run")
	}
	// On a machine with much else to do a storm can outrun the passes. Then a gap says so, and contain freezes again.
	for again := range 3 {
		begun := time.Now()
		f, err := m.Freeze(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("froze %d processes in %v, %d passes, gaps %q", len(f.Processes), time.Since(begun), f.Passes, f.Gaps)
		switch {
		case !acts(t, out):
			return
		case len(f.Gaps) == 0:
			t.Fatal("they still act, and no gap says so")
		case again == 2:
			t.Error("they still act")
		}
	}
}
