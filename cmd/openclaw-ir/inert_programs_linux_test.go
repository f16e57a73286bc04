package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/clawbook/openclaw-ir/internal/inerttest"
	"github.com/clawbook/openclaw-ir/internal/statetest"
	"golang.org/x/sys/unix"
)

// programs are what is asked of a running host. What they answer is theirs whom they tell of: a unit's description, a container's name, a
// line in the journal.
var programs = strings.Fields(`systemctl journalctl loginctl ss ip who w last lastb atq crontab dpkg-query rpm getent timedatectl chronyc
	docker podman ufw nft iptables ip6tables iptables-save firewall-cmd tailscale pm2 sysctl lsmod ausearch auditctl`)

// programLines are what is typed where such programs are.
var programLines = []string{"doctor", "contain --dry-run", "collect -R recipients.txt -o NEW", "collect open new1 -i key.txt NEW"}

// moreProgramLines are typed where there is time: to contain takes ten seconds.
var moreProgramLines = []string{
	"contain --dry-run --egress --lock-config", "rotate --dry-run --without-evidence --state-dir STATE", "analyze posture --deep --state-dir STATE",
	"collect list new1 -i key.txt", "collect schedule status", "contain --yes --now --allow-from 192.0.2.1", "contain status", "contain undo --yes", "case show",
}

// TestProgramsAreInert runs what looks at a running host where every program that it runs says hostile things, on both of its outputs: as
// the answer that is expected of it, and as a failure.
func TestProgramsAreInert(t *testing.T) {
	if testing.Short() || statetest.Raced() {
		t.Skip("runs every command that looks at a running host")
	}
	if !inOwnLab(t) {
		return
	}
	rounds, lines := 2, programLines
	if isLong() {
		rounds, lines = 2*inerttest.Rounds, slices.Concat(programLines, moreProgramLines)
	}
	for round := range rounds {
		t.Run(strconv.Itoa(round), func(t *testing.T) {
			x := &inertRun{planting: &planting{t: t, round: round / 2}, responder: newResponder(t, "2026.2.12"), elsewhere: newElsewhere()}
			x.liars(round % 2)
			x.enter(testApp(80), lines)
			t.Run("opened", x.live)
			x.complete()
		})
	}
}

// liars lays programs over those of this machine, for the lab alone, that exit with a code.
func (x *inertRun) liars(code int) {
	for _, dir := range []string{"/usr/bin", "/usr/sbin", "/etc"} {
		x.over(dir)
	}
	if err := unix.Mount("none", "/run", "tmpfs", 0, "mode=755"); err != nil {
		x.planting.t.Skipf("mounting: %v", err)
	}
	x.planting.t.Cleanup(func() { _ = unix.Unmount("/run", unix.MNT_DETACH) })
	x.must(os.MkdirAll("/run/systemd/system", 0o755))
	for _, name := range programs {
		x.planting.write("/usr/bin/"+name+".says", x.answer(name, code))
		x.planting.write("/usr/bin/"+name+".inspect", x.container(name, code))
		script := fmt.Sprintf("#!/bin/sh\nsays=says\ncase $1 in inspect) says=inspect;; esac\ncat /usr/bin/%[1]s.$says\ncat /usr/bin/%[1]s.$says >&2\nexit %d\n", name, code)
		_ = os.Remove("/usr/sbin/" + name) // it would be found first
		_ = os.Remove("/usr/bin/" + name)
		x.must(os.WriteFile("/usr/bin/"+name, []byte(script), 0o755))
	}
	x.engine()
}

// over lets a directory be written to without changing it.
func (x *inertRun) over(dir string) {
	t := x.planting.t
	upper, work := t.TempDir(), t.TempDir()
	x.must(os.Chmod(upper, 0o755))
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", dir, upper, work)
	if err := unix.Mount("none", dir, "overlay", 0, options); err != nil {
		t.Skipf("laying a directory over %s: %v", dir, err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
}

// engine starts what Docker's engine is known by.
func (x *inertRun) engine() {
	shell, err := exec.LookPath("sh")
	x.must(err)
	program := filepath.Join(x.dir, "dockerd")
	x.must(copyFile(program, shell, 0o755))
	cmd := exec.Command(program, "-c", "read x")
	_, err = cmd.StdinPipe() // which never ends
	x.must(err)
	x.must(cmd.Start())
	x.planting.t.Cleanup(func() { _, _ = cmd.Process.Kill(), cmd.Wait() })
}

var containerID = strings.Repeat("a", 64)

// container is what an engine says of a container.
func (x *inertRun) container(name string, code int) string {
	if code != 0 || name != "docker" {
		return x.text(name+" inspects") + "\n"
	}
	return fmt.Sprintf(`[{"Id":%q,"Name":%s,"State":{"Running":true},"HostConfig":{"RestartPolicy":{"Name":%s}},"Config":{"Labels":{%s:"x"}}}]`+"\n",
		containerID, quotedText(x.shown("container")), quotedText(x.text("restart policy")), quotedText(x.text("label")))
}

// answer is what a program says: hostile lines, and where more is expected of it, that with hostile words in it.
func (x *inertRun) answer(name string, code int) string {
	said := x.text(name + " says")
	if code != 0 {
		return said + "\n"
	}
	line := strings.NewReplacer("\n", " ", "\t", " ").Replace(noNUL(said))
	switch name {
	case "systemctl":
		return fmt.Sprintf("Id=openclaw-gateway.service\nNames=openclaw-gateway.service\nLoadState=loaded\nActiveState=%[1]s\nSubState=%[1]s\nUnitFileState=%[1]s\n"+
			"Restart=%[1]s\nDescription=%[1]s\nFragmentPath=/%[1]s\nDropInPaths=/%[1]s\nMainPID=0\n\nopenclaw-node.service %[1]s\nopenclaw-%[1]s.service enabled\n", line)
	case "docker", "podman":
		return fmt.Sprintf("%s\topenclaw %s\topenclaw\t%s\n%s\n", containerID, line, line, said)
	}
	return said + "\n" + line + "\n"
}
