//go:build linux

package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// standInUnit is the unit that OpenClaw 2026.9.6 writes, as far as it matters here, for the stand-in.
const standInUnit = `[Unit]
Description=OpenClaw Gateway (v2026.9.6)

[Service]
ExecStart=/usr/local/bin/node /opt/gateway/stand-in/openclaw/dist/index.js gateway --port 18789
Restart=always
RestartSec=5
RestartPreventExitStatus=78
TimeoutStopSec=330
SuccessExitStatus=0 143
KillMode=mixed
Environment=OPENCLAW_SERVICE_MARKER=openclaw
Environment=OPENCLAW_SERVICE_KIND=gateway
Environment=OPENCLAW_SYSTEMD_UNIT=openclaw-gateway.service

[Install]
WantedBy=default.target
`

// fakes are programs that the agent's user put where the tool must not look. One that runs leaves a mark.
var fakes = []string{
	"ufw", "systemctl", "openclaw", "nft", "iptables", "iptables-save", "ip6tables-save", "ss", "docker", "podman", "pm2", "sysctl", "crontab",
	"journalctl", "loginctl", "runuser", "su", "sh", "bash", "node", "ps", "kill", "tailscale", "firewall-cmd",
}

const (
	fakesDir = "home/" + hostUser + "/bin"
	marksDir = "tmp/marks"
)

// standInHost boots a host on which a stand-in takes the gateway's place: it is there at once, and dies as a gateway does.
func standInHost(t *testing.T, tool string, inst installed) *victim {
	t.Helper()
	v := newVictim(bootHost(t, tool, inst))
	v.prepare(t)
	home := filepath.Join(v.root, "home", hostUser)
	state := filepath.Join(home, ".openclaw")
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}
	writeJSON(t, filepath.Join(v.root, userConfig), gatewayConfig(newest, servicePort, modelPort))
	v.comment(t)
	v.write(t, "home/"+hostUser+"/.config/systemd/user/openclaw-gateway.service", standInUnit, 0o644)
	for _, name := range fakes {
		v.write(t, fakesDir+"/"+name, "#!/bin/sh\n: > /"+marksDir+"/"+name+"\n", 0o755)
	}
	v.chown(t, "home/"+hostUser)
	run(t, v.command("mkdir", "-m", "777", "/"+marksDir))
	run(t, v.asUser("systemctl", "--user", "daemon-reload"))
	run(t, v.asUser("systemctl", "--user", "enable", "--now", "openclaw-gateway.service"))
	v.waitActing(t)
	return v
}

// contain runs contain or one of its subcommands as root, in an environment that the agent's user had a hand in.
func (v *victim) contain(t *testing.T, code int, args ...string) []row {
	t.Helper()
	return v.tool(t, code, v.containCommand(args...))
}

func (v *victim) containCommand(args ...string) *exec.Cmd {
	env := []string{"env", "PATH=/" + fakesDir + ":/usr/sbin:/usr/bin:/sbin:/bin", "SSH_CONNECTION=" + responderV4 + " 40000 " + hostV4 + " 22"}
	return v.command(append(append(env, "/usr/local/bin/openclaw-ir", "contain"), args...)...)
}

var containArgs = []string{"--yes", "-R", recipientsFile, "--json"}

// putBack undoes a containment and looks whether all is as it was; then the stand-in is started again for the next subtest.
func (v *victim) putBack(t *testing.T, before map[string]string) {
	t.Helper()
	v.contain(t, 0, "undo", "--yes", "--json")
	v.checkIdle(t)
	v.checkSame(t, before)
	v.startAgain(t)
}

func (v *victim) startAgain(t *testing.T) {
	t.Helper()
	v.checkMarks(t)
	run(t, v.asUser("systemctl", "--user", "start", "openclaw-gateway.service"))
	v.waitActing(t)
}

// checkMarks looks whether a program ran that the agent's user made.
func (v *victim) checkMarks(t *testing.T) {
	t.Helper()
	marks, err := os.ReadDir(fmt.Sprintf("/proc/%d/root/%s", v.leader, marksDir))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range marks {
		t.Errorf("a fake %q was run", m.Name())
	}
}

// testOptions tries what can be asked of contain beside the usual.
func testOptions(t *testing.T, v *victim) {
	t.Run("dry run", func(t *testing.T) {
		before := v.snapshot(t)
		v.contain(t, 0, "--dry-run", "--json")
		v.waitActing(t)
		v.checkSame(t, before)
		if dir := v.newestCase(); dir != "" {
			t.Errorf("a dry run made the case %q", dir)
		}
	})
	t.Run("no", func(t *testing.T) {
		before := v.snapshot(t)
		cmd := v.newSession(responderV4, "root", "openclaw-ir contain -R "+recipientsFile)
		i := slices.Index(cmd.Args, "-T")
		cmd.Args[i] = "-tt" // a terminal to ask on
		v.answer(t, cmd, "go on?", "n\n")
		v.waitActing(t)
		v.checkSame(t, before)
	})
	t.Run("locked config, egress, confirmed", func(t *testing.T) {
		before := v.snapshot(t)
		const port = 9443
		serveEcho(t, processNetwork(v.outside), "tcp4", fmt.Sprintf("%s:%d", responderV4, port))
		v.openSession(t)
		if !v.connects(t, responderV4, port) {
			t.Fatal("the way out is closed before")
		}
		v.contain(t, 0, append([]string{"--lock-config", "--egress", "--confirm-within", "2m"}, containArgs...)...)
		v.checkClosed(t)
		if v.connects(t, responderV4, port) {
			t.Error("the way out is open")
		}
		v.checkLocked(t, before["/"+userConfig])
		v.tool(t, 0, v.newSession(responderV4, "root", "openclaw-ir", "contain", "confirm", "--json"))
		if out, err := v.command("pgrep", "-f", "openclaw-ir.*dead-man").Output(); err == nil {
			t.Errorf("the dead man waits after it was told: %s", out)
		}
		v.contain(t, 0, "status", "--json")
		v.contain(t, 0, containArgs...) // a second time, without what the first was asked for
		v.contain(t, 0, "status", "--json")
		v.putBack(t, before)
	})
	t.Run("not confirmed", func(t *testing.T) {
		before := v.snapshot(t)
		v.contain(t, 0, append([]string{"--confirm-within", "20s"}, containArgs...)...)
		waitFor(t, time.Minute, "the dead man to open the firewall", func() bool {
			out, _ := v.command("ufw", "status").Output()
			return bytes.HasPrefix(out, []byte("Status: inactive"))
		})
		time.Sleep(2 * time.Second) // UFW is not all of it
		now := v.snapshot(t)
		for _, what := range []string{"ufw status", "nft rules", "/etc/ufw/user.rules", "/etc/ufw/user6.rules", "/etc/ufw/ufw.conf", "/etc/default/ufw"} {
			if now[what] != before[what] {
				t.Errorf("%s is not as before:\n%s", what, now[what])
			}
		}
		v.checkIdle(t)
		v.putBack(t, before)
	})
	t.Run("not root", func(t *testing.T) {
		before := v.snapshot(t)
		asUser := func(code int, args ...string) {
			t.Helper()
			v.tool(t, code, v.asUser(append([]string{"/usr/local/bin/openclaw-ir", "contain"}, args...)...))
		}
		asUser(3, containArgs...)
		time.Sleep(6 * time.Second) // systemd would restart it after 5
		v.checkIdle(t)
		asUser(0, "undo", "--yes", "--json")
		v.checkSame(t, before)
		v.startAgain(t)
	})
	t.Run("secrets", func(t *testing.T) { v.checkSecrets(t) })
}

// answer runs a command that asks on its terminal, and types an answer.
func (v *victim) answer(t *testing.T, cmd *exec.Cmd, question, text string) {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out := &asked{question: question, answer: func() { _, _ = in.Write([]byte(text)) }}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-ended:
	case <-time.After(time.Minute):
		_ = cmd.Process.Kill()
		<-ended
		t.Error("it does not end")
	}
	if out.answer != nil {
		t.Errorf("it did not ask:\n%s", out.text)
	}
	t.Logf("answered %q, exit %d:\n%s", text, cmd.ProcessState.ExitCode(), out.text)
}

// asked answers once a question was printed.
type asked struct {
	question string
	answer   func()
	text     []byte
}

func (a *asked) Write(p []byte) (int, error) {
	a.text = append(a.text, p...)
	if a.answer != nil && bytes.Contains(a.text, []byte(a.question)) {
		a.answer()
		a.answer = nil
	}
	return len(p), nil
}

// checkLocked looks whether the configuration was closed, and its owner's comments kept.
func (v *victim) checkLocked(t *testing.T, before string) {
	t.Helper()
	now := describe(t, filepath.Join(v.root, userConfig))
	if now == before {
		t.Error("the configuration was not closed")
	}
	if strings.Count(now, configComment) != 2 {
		t.Error("the configuration lost its comments")
	}
}

func testKilledEarly(t *testing.T, v *victim) {
	v.testKilled(t, "at once", "contain freeze", "contain disable", "contain kill")
}

func testKilledLate(t *testing.T, v *victim) {
	v.testKilled(t, "let the responder in", "deny incoming in UFW", "load our own rules", "contain close")
}

// testKilled kills the tool after each of these steps; a second run then finishes, and undo puts everything back.
func (v *victim) testKilled(t *testing.T, steps ...string) {
	for _, step := range steps {
		t.Run(step, func(t *testing.T) {
			before := v.snapshot(t)
			v.killAfter(t, step)
			v.contain(t, 0, containArgs...)
			v.checkClosed(t)
			v.putBack(t, before)
		})
	}
}

// killAfter starts contain and kills it when it has noted an action in the custody log, or in its own record a step of the
// firewall that it is about to take; or at once, before it could note anything.
func (v *victim) killAfter(t *testing.T, step string) {
	t.Helper()
	was := len(v.custody(t, step))
	cmd := v.containCommand(containArgs...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	start := time.Now()
	reached := func() bool {
		if step == "at once" {
			return time.Since(start) > 40*time.Millisecond
		}
		return len(v.custody(t, step)) > was || v.firewallStep() == step
	}
	for !reached() {
		select {
		case <-ended:
			t.Fatalf("it ended before it came to %q", step)
		case <-time.After(time.Millisecond):
		}
	}
	// nsenter waits for the tool, its child.
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", cmd.Process.Pid, cmd.Process.Pid))
	var pid int
	if err == nil {
		_, err = fmt.Sscan(string(children), &pid)
	}
	if err == nil {
		err = syscall.Kill(pid, syscall.SIGKILL)
	}
	if err != nil {
		t.Fatal(err)
	}
	<-ended
	t.Logf("killed after %v", time.Since(start).Round(time.Millisecond))
}

func (v *victim) firewallStep() string {
	text, _ := os.ReadFile(filepath.Join(v.newestCase(), "contain.json"))
	var journal struct{ Firewall struct{ Step string } }
	_ = json.Unmarshal(text, &journal)
	return journal.Firewall.Step
}

// testUFW contains a host whose ufw does not do what it should.
func testUFW(t *testing.T, v *victim) {
	v.openSession(t)
	for _, c := range []struct {
		name, script, owner string
		code                int
	}{
		{"hangs", "sleep 1000", "root", 3},
		{"hangs when it is enabled", `case "$*" in *enable*) sleep 1000;; *) exec /usr/sbin/ufw-real "$@";; esac`, "root", 3},
		{"is the user's own", ": > /" + marksDir + "/ufw", hostUser, -1},
		{"is missing", "", "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := v.snapshot(t)
			restore := v.replaceUFW(t, c.script, c.owner)
			start := time.Now()
			v.contain(t, c.code, containArgs...)
			if d := time.Since(start); d > 2*time.Minute {
				t.Errorf("it took %v", d)
			}
			v.checkClosed(t)
			restore()
			v.putBack(t, before)
		})
	}
}

// testFullDisk contains a host whose disk holds a case, but no bundle; then nothing at all.
func testFullDisk(t *testing.T, v *victim) {
	t.Run("no room for the bundle", func(t *testing.T) {
		before := v.snapshot(t)
		restore := v.shrink(t, "72k", 0) // a case needs 36, the bundle as much again
		rows := v.contain(t, 3, containArgs...)
		v.checkClosed(t)
		if text := fmt.Sprint(rows); !strings.Contains(text, "NOT SEALED") {
			t.Errorf("it does not say what was lost: %s", text)
		}
		run(t, v.command("mount", "-o", "remount,size=1m", casesDir))
		v.putBack(t, before)
		restore()
	})
	t.Run("no room at all", func(t *testing.T) {
		restore := v.shrink(t, "16k", 16<<10)
		rows := v.contain(t, 3, containArgs...)
		t.Logf("%+v", rows)
		v.checkIdle(t)
		time.Sleep(6 * time.Second) // systemd would restart it after 5
		v.checkIdle(t)
		v.checkMarks(t)
		restore()
	})
}

// replaceUFW puts a script in the place of ufw, or nothing if the script is empty, and returns what takes it back.
func (v *victim) replaceUFW(t *testing.T, script, owner string) (restore func()) {
	t.Helper()
	ufw := filepath.Join(v.root, "usr/sbin/ufw")
	if err := os.Rename(ufw, ufw+"-real"); err != nil {
		t.Fatal(err)
	}
	if script != "" {
		v.write(t, "usr/sbin/ufw", "#!/bin/sh\n"+script+"\n", 0o755)
		run(t, v.command("chown", owner, "/usr/sbin/ufw"))
	}
	return func() {
		t.Helper()
		if err := os.Rename(ufw+"-real", ufw); err != nil {
			t.Fatal(err)
		}
	}
}

// shrink mounts a small disk where the cases lie, filled up to the given number of bytes, and returns what takes it away.
func (v *victim) shrink(t *testing.T, size string, fill int) (restore func()) {
	t.Helper()
	run(t, v.command("mkdir", "-p", "-m", "700", casesDir))
	run(t, v.command("mount", "-t", "tmpfs", "-o", "mode=700,size="+size, "none", casesDir))
	if fill > 0 {
		cmd := v.command("dd", "of="+casesDir+"/fill", "status=none", "iflag=fullblock")
		cmd.Stdin = bytes.NewReader(make([]byte, fill))
		_ = cmd.Run() // until it is full
	}
	return func() {
		t.Helper()
		run(t, v.command("umount", casesDir))
	}
}
