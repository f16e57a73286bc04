//go:build linux

package rotate_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/statetest"
	"github.com/clawbook/openclaw-ir/rotate"
)

// TestRealGateways replaces the credentials of real gateways, of every release that the tests of the command have put in their
// cache, and proves it: of a contained one with a private gateway, of a running one by asking it.
func TestRealGateways(t *testing.T) {
	if os.Getenv("OPENCLAW_IR_GATEWAY_TEST") != "1" {
		t.Skip("runs real gateways from npm: set OPENCLAW_IR_GATEWAY_TEST=1")
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can run a private gateway as another user")
	}
	base, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	releases, _ := filepath.Glob(filepath.Join(base, "openclaw-ir-test", "20*", "node_modules"))
	if len(releases) == 0 {
		t.Skip("no release in the cache: run the gateway test of cmd/openclaw-ir first")
	}
	for _, modules := range releases {
		version := filepath.Base(filepath.Dir(modules))
		t.Run(version, func(t *testing.T) {
			p := installForAll(t, modules)
			t.Run("contained", func(t *testing.T) { testContained(t, p, "token") })
			t.Run("contained, password", func(t *testing.T) { testContained(t, p, "password") })
			t.Run("running", func(t *testing.T) { testRunning(t, p) })
		})
	}
}

type pkg struct{ node, entry string }

// installForAll links a release to where every user can run it and root alone write it.
func installForAll(t *testing.T, modules string) pkg {
	t.Helper()
	dir, err := os.MkdirTemp("/opt", "openclaw-ir-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cp", "-al", modules, dir).CombinedOutput(); err != nil {
		t.Fatalf("linking the release: %v %s", err, out)
	}
	nodes, _ := filepath.Glob(filepath.Join(dir, "node_modules/node-linux-*/bin/node"))
	if len(nodes) != 1 {
		t.Fatalf("no Node.js in %q", modules)
	}
	return pkg{nodes[0], filepath.Join(dir, "node_modules/openclaw/dist/index.js")}
}

const configText = `// the owner's own words
{
  gateway: { // how it is reached
    mode: 'local', port: %d, bind: "loopback",
    auth: { mode: %q, %s: '%s', /* written by hand */ },
  },
  hooks: { enabled: false, token: "old-hooks-token-of-the-test-01", },
  logging: { file: %q },
}
`

// newHome makes a home with an installation whose credential is in the config and, as a copy that does not count, in .env.
func newHome(t *testing.T, p pkg, mode, old string, port, uid int) *openclaw.Installation {
	t.Helper()
	home := t.TempDir()
	state := filepath.Join(home, ".openclaw")
	config := fmt.Sprintf(configText, port, mode, mode, old, filepath.Join(home, "gateway.log"))
	env := "# mine\nOPENCLAW_GATEWAY_" + strings.ToUpper(mode) + "=\"" + old + "\" # as well\nOTHER=1\n"
	for name, text := range map[string]string{"openclaw.json": config, ".env": env} {
		if err := os.MkdirAll(state, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(state, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	chownAll(t, home, uid)
	c, gaps := openclaw.LoadConfig(root(t), filepath.Join(state, "openclaw.json"))
	if len(gaps) > 0 {
		t.Fatal(gaps)
	}
	return &openclaw.Installation{
		Home: home, StateDir: state, ConfigPath: c.Path, Config: c, Port: port,
		Units: []openclaw.Unit{{Path: filepath.Join(home, ".config/systemd/user/openclaw-gateway.service"), Exec: fmt.Sprintf("%s %q gateway --port %d", p.node, p.entry, port)}},
	}
}

func testContained(t *testing.T, p pkg, mode string) {
	const old = "old-credential-of-the-test-0001"
	in := newHome(t, p, mode, old, 18789, agentUID)
	before, err := os.ReadFile(in.ConfigPath)
	if err != nil {
		t.Fatal(err)
	}
	c, value := replaceAll(t, in, "gateway.auth."+mode)
	after, err := os.ReadFile(in.ConfigPath)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Replace(string(before), "'"+old+"'", `"`+value+`"`, 1)
	if i := strings.Index(want, "old-hooks"); !strings.HasPrefix(string(after), want[:i]) {
		t.Errorf("the config is now\n%s\nwant\n%s", after, want)
	}
	validate(t, p, in)

	snapshot := statetest.Snapshot(t, in.Home)
	start := time.Now()
	checks := rotate.VerifyContained(t.Context(), root(t), in, c, c.Values(), value)
	t.Logf("the private gateway took %v", time.Since(start).Round(100*time.Millisecond))
	for _, check := range checks {
		t.Logf("%+v", check)
		if !check.OK {
			t.Errorf("not OK: %+v", check)
		}
	}
	if len(checks) != 5 {
		t.Errorf("%d checks, want 5", len(checks))
	}
	sameTree(t, "the installation", snapshot, statetest.Snapshot(t, in.Home))
	nothingLeft(t, p)

	t.Run("not replaced", func(t *testing.T) {
		for _, check := range rotate.VerifyContained(t.Context(), root(t), in, c, nil, rotate.NewValue()) {
			if check.OK {
				t.Errorf("OK with a value that is not in force: %+v", check)
			}
		}
	})
}

// sameTree compares two snapshots but for the top directory's own time.
func sameTree(t *testing.T, what string, before, after map[string]string) {
	t.Helper()
	for name, state := range after {
		if before[name] != state {
			t.Errorf("%s: %q changed from %q to %q", what, name, before[name], state)
		}
	}
	if len(before) != len(after) {
		t.Errorf("%s: %d files before, %d after", what, len(before), len(after))
	}
}

func nothingLeft(t *testing.T, p pkg) {
	t.Helper()
	for _, pattern := range []string{"/dev/shm/openclaw-ir*", "/tmp/openclaw-ir-[0-9]*", "/tmp/openclaw-ir"} {
		if left, _ := filepath.Glob(pattern); len(left) > 0 {
			t.Errorf("left behind: %q", left)
		}
	}
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range lines {
		if b, err := os.ReadFile(name); err == nil && bytes.Contains(b, []byte(filepath.Dir(p.entry))) {
			t.Errorf("%s still runs: %q", name, b)
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || bytes.Contains(mounts, []byte("size=524288k")) {
		t.Errorf("a mount is left: %v", err)
	}
}

// validate asks the release itself about the config, of a copy.
func validate(t *testing.T, p pkg, in *openclaw.Installation) {
	t.Helper()
	dir := t.TempDir()
	text, err := os.ReadFile(in.ConfigPath)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "openclaw.json"), text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(p.node, p.entry, "config", "get", "gateway.bind")
	cmd.Env = gatewayEnv(dir, dir)
	out, err := cmd.Output()
	if got := strings.TrimSpace(string(out)); err != nil || !strings.HasSuffix(got, "loopback") {
		t.Errorf("the release does not accept the config: %v %q", err, got)
	}
}

func gatewayEnv(home, state string) []string {
	return []string{"HOME=" + home, "TMPDIR=" + home, "OPENCLAW_STATE_DIR=" + state, "PATH=/usr/bin:/bin", "LANG=C.UTF-8", "OPENCLAW_SKIP_CHANNELS=1"}
}

func testRunning(t *testing.T, p pkg) {
	const old = "old-credential-of-the-test-0001"
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	in := newHome(t, p, "token", old, port, agentUID)
	cmd := exec.Command(p.node, p.entry, "gateway", "--port", fmt.Sprint(port))
	cmd.Env, cmd.Dir = gatewayEnv(in.Home, in.StateDir), in.Home
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: &syscall.Credential{Uid: agentUID, Gid: agentUID}}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		endProcesses(t, in.Home)
		_ = os.RemoveAll(fmt.Sprintf("/tmp/openclaw-state-locks-%d", agentUID))
	})
	probe := rotate.Probe{Addr: fmt.Sprintf("127.0.0.1:%d", port)}
	waitUp(t, probe)
	for _, check := range rotate.Verify(t.Context(), probe, rotate.Credential{Name: rotate.GatewayToken}, nil, old) {
		if !check.OK {
			t.Errorf("before: %+v", check)
		}
	}
	c, value := replaceAll(t, in, rotate.GatewayToken)
	for _, check := range rotate.Verify(t.Context(), probe, c, c.Values(), value) {
		t.Logf("%+v", check)
		if !check.OK {
			t.Errorf("after: %+v", check)
		}
	}
	paired(t, in)
}

// endProcesses kills every process of a home: a gateway's helpers, and the one that 2026.3 starts in its own place to take over a
// new token.
func endProcesses(t *testing.T, home string) {
	t.Helper()
	mark := []byte("HOME=" + home + "\x00")
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		left := 0
		environs, _ := filepath.Glob("/proc/[0-9]*/environ")
		for _, name := range environs {
			var pid int
			text, err := os.ReadFile(name)
			if err != nil || !bytes.Contains(text, mark) {
				continue
			}
			if _, err := fmt.Sscanf(name, "/proc/%d/", &pid); err == nil {
				left++
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
		if left == 0 {
			return
		}
	}
	t.Error("processes of the gateway do not end")
}

func waitUp(t *testing.T, p rotate.Probe) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); p.WebSocket(t.Context(), "wrong").Answer == rotate.NoAnswer; time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the gateway did not come up")
		}
	}
}

// paired fails the test if a probe left a device behind.
func paired(t *testing.T, in *openclaw.Installation) {
	t.Helper()
	for _, name := range []string{"devices/paired.json", "devices/pending.json"} {
		text, err := os.ReadFile(filepath.Join(in.StateDir, name))
		if err == nil && strings.Trim(string(text), " \n{}[]") != "" {
			t.Errorf("%s: %s", name, text)
		}
	}
	_, err := openclaw.OpenDatabaseFunc(root(t), in.StateDB(), func(d *openclaw.Database) error {
		for _, table := range []string{"device_pairing_paired", "device_pairing_pending"} {
			if !d.Has(table, "device_id") {
				continue
			}
			for row, err := range d.Query(context.Background(), "SELECT device_id FROM "+table) {
				if err != nil {
					return err
				}
				t.Errorf("%s holds %q", table, row.Text(0))
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
