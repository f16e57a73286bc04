//go:build linux

package main_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/clawbook/openclaw-ir/internal/statetest"
)

const (
	snapshotsUnit = "openclaw-ir-snapshots.service"
	snapshotsCase = "var/lib/openclaw-ir/snapshots"
	ownTool       = "/usr/local/bin/openclaw-ir"
)

// TestHostSchedule boots a host with a real state and has its snapshots taken by units of systemd: they run within their bounds, sound
// an alarm when the past is changed, are killed, and are removed without a trace.
func TestHostSchedule(t *testing.T) {
	needHost(t)
	need(t, "npm", "age-keygen")
	tool := buildTool(t)
	debian(t)
	inst := install(t, newest)
	t.Parallel()
	v := newVictim(bootHost(t, tool, inst))
	run(t, exec.Command("cp", "-a", filepath.Join(statetest.Root(t, "2026.9.6/stopped"), "home", "alice", ".openclaw"), filepath.Join(v.root, "home", hostUser)))
	v.chown(t, "home/"+hostUser)
	identity := filepath.Join(t.TempDir(), "key.txt")
	run(t, exec.Command("age-keygen", "-o", identity))
	recipient := output(t, exec.Command("age-keygen", "-y", identity))
	v.write(t, "etc/openclaw-ir/recipients.txt", recipient, 0o644)
	before := v.unitFiles(t)
	if !t.Run("system", v.testSystemSchedule) {
		return
	}
	t.Run("killed", v.testKilledSnapshot)
	t.Run("alarm", v.testScheduledAlarm)
	t.Run("contain leaves it alone", func(t *testing.T) {
		v.tool(t, -1, v.command(ownTool, "contain", "--dry-run", "--no-firewall", "--json"))
		if said := v.said[len(v.said)-1]; strings.Contains(said, snapshotsUnit) || strings.Contains(said, "openclaw-ir-snapshots.timer") {
			t.Errorf("contain would stop it:\n%s", said)
		}
	})
	t.Run("whole", func(t *testing.T) {
		bundles := filepath.Join(v.root, snapshotsCase, "bundles")
		run(t, exec.Command(tool, "collect", "chain", "verify", "--case-dir", t.TempDir(), "-i", identity, bundles))
		v.tool(t, 0, v.command(ownTool, "case", "verify", "--case", "snapshots"))
	})
	t.Run("remove", func(t *testing.T) {
		v.tool(t, 0, v.command(ownTool, "collect", "schedule", "remove", "--yes"))
		v.tool(t, 1, v.command(ownTool, "collect", "schedule", "status"))
		if now := v.unitFiles(t); now != before {
			t.Errorf("units that are left or lost:\n%s", lineDiff(before, now))
		}
	})
	t.Run("user", v.testUserSchedule)
	t.Run("cron", v.testCronSchedule)
	v.checkSecrets(t)
}

func (v *victim) unitFiles(t *testing.T) string {
	return output(t, v.command("systemctl", "list-unit-files", "--no-legend")) + output(t, v.asUser("systemctl", "--user", "list-unit-files", "--no-legend"))
}

// A scheduleState is what collect schedule status says as JSON.
type scheduleState struct {
	Enabled        bool
	Number, Alarms int
	Service        string
	LastExit       *int `json:"last_exit"`
	Next           time.Time
	Problems       []string
}

func (v *victim) scheduleStatus(t *testing.T, code int, cmd *exec.Cmd) (st scheduleState) {
	t.Helper()
	v.tool(t, code, cmd)
	for line := range strings.Lines(v.said[len(v.said)-1]) {
		if strings.HasPrefix(line, `{"kind"`) {
			if err := json.Unmarshal([]byte(line), &st); err != nil {
				t.Fatal(err)
			}
		}
	}
	return st
}

func (v *victim) status() *exec.Cmd {
	return v.command(ownTool, "collect", "schedule", "status", "--json")
}

// takeSnapshot starts the service, as its timer would, and waits for its end.
func (v *victim) takeSnapshot(t *testing.T, ok bool) {
	t.Helper()
	_ = v.command("systemctl", "reset-failed", snapshotsUnit).Run() // five times in ten seconds is more than systemd allows
	if err := v.command("systemctl", "start", snapshotsUnit).Run(); (err == nil) != ok {
		t.Fatalf("the service: %v\n%s", err, v.journal(t, "-u", snapshotsUnit))
	}
}

func (v *victim) journal(t *testing.T, args ...string) string {
	t.Helper()
	return output(t, v.command(append([]string{"journalctl", "--no-pager", "-o", "cat"}, args...)...))
}

func (v *victim) testSystemSchedule(t *testing.T) {
	v.tool(t, 2, v.asUser(ownTool, "collect", "schedule", "install", "--yes"))
	v.tool(t, 0, v.command(ownTool, "collect", "schedule", "install", "--dry-run", "--state-dir", "/home/claw/.openclaw"))
	run(t, v.command("install", "-d", "-m", "700", "-o", hostUser, "/srv/evidence")) // as a disk of the user's would be
	v.tool(t, 0, v.command(ownTool, "collect", "schedule", "install", "--yes", "--every", "12h", "--to", "/srv/evidence", "--keep", "24h,30d,12m", "--notify", "logger -t snapshot-alarm",
		"-R", "/etc/openclaw-ir/recipients.txt", "--state-dir", "/home/claw/.openclaw"))
	for range 2 {
		v.takeSnapshot(t, true)
	}
	st := v.scheduleStatus(t, 0, v.status())
	if !st.Enabled || st.Number < 2 || st.Service != "success" || st.LastExit == nil || *st.LastExit != 0 || !st.Next.After(time.Now()) {
		t.Errorf("the status is %+v", st)
	}
	if stored, _ := filepath.Glob(filepath.Join(v.root, "srv/evidence/*.seal")); len(stored) != st.Number {
		t.Errorf("stored %q of %d", stored, st.Number)
	}
	run(t, v.command("systemd-analyze", "verify", "--man=no", "/etc/systemd/system/"+snapshotsUnit))
	if said := v.journal(t, "-u", snapshotsUnit); !strings.Contains(said, "incremental") || strings.Contains(said, "warning") {
		t.Errorf("the journal says\n%s", said)
	}
}

// testKilledSnapshot kills the service while it waits for its turn. The next one goes on with the chain.
func (v *victim) testKilledSnapshot(t *testing.T) {
	hold := v.command("flock", "/"+snapshotsCase+"/snapshots.lock", "sleep", "infinity")
	if err := hold.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, 10*time.Second, "the lock", func() bool {
		return v.command("flock", "--nonblock", "/"+snapshotsCase+"/snapshots.lock", "true").Run() != nil
	})
	run(t, v.command("systemctl", "start", "--no-block", snapshotsUnit))
	waitFor(t, 10*time.Second, "the service", func() bool { return v.command("pgrep", "-x", "openclaw-ir").Run() == nil })
	run(t, v.command("systemctl", "kill", "--signal=KILL", snapshotsUnit))
	run(t, v.command("pkill", "-x", "sleep"))
	_ = hold.Wait()
	if st := v.scheduleStatus(t, 3, v.status()); st.Service != "signal" {
		t.Errorf("the status is %+v", st)
	}
	v.takeSnapshot(t, true)
	v.scheduleStatus(t, 0, v.status())
}

// testScheduledAlarm changes a line of the past in a transcript.
func (v *victim) testScheduledAlarm(t *testing.T) {
	transcript := filepath.Join(v.root, "home", hostUser, ".openclaw/agents/main/sessions/chained.jsonl")
	if err := os.MkdirAll(filepath.Dir(transcript), 0o700); err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat(`{"type":"message","text":"what was said"}`+"\n", 10)
	if err := os.WriteFile(transcript, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	v.takeSnapshot(t, true)
	if err := os.WriteFile(transcript, []byte(strings.Replace(text, "said", "lied", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	v.takeSnapshot(t, false)
	st := v.scheduleStatus(t, 4, v.status())
	if st.Alarms != 1 || st.Service != "exit-code" || *st.LastExit != 4 {
		t.Errorf("the status is %+v", st)
	}
	if said := v.journal(t, "-u", snapshotsUnit); !strings.Contains(said, "alarm: rewritten: ") {
		t.Errorf("the journal says\n%s", said)
	}
	if said := v.journal(t, "-t", "snapshot-alarm"); strings.Count(said, `"kind":"rewritten"`) != 1 {
		t.Errorf("whom it notifies was told\n%s", said)
	}
	v.takeSnapshot(t, true)
}

// testUserSchedule does the same for the user's own manager.
func (v *victim) testUserSchedule(t *testing.T) {
	v.tool(t, 0, v.asUser(ownTool, "collect", "schedule", "install", "--user", "--yes"))
	run(t, v.asUser("systemctl", "--user", "start", snapshotsUnit))
	st := v.scheduleStatus(t, 0, v.asUser(ownTool, "collect", "schedule", "status", "--json"))
	if !st.Enabled || st.Number != 1 || st.Service != "success" {
		t.Errorf("the status is %+v", st)
	}
	v.tool(t, 0, v.asUser(ownTool, "collect", "schedule", "remove", "--yes"))
	if left, err := os.ReadDir(filepath.Join(v.root, "home", hostUser, ".config/systemd/user")); err == nil && len(left) > 1 {
		t.Errorf("%v is left", left)
	}
}

// testCronSchedule has the real cron take one, where the tool sees no systemd.
func (v *victim) testCronSchedule(t *testing.T) {
	without := func(args ...string) *exec.Cmd {
		hide := []string{"unshare", "--mount", "sh", "-c", `mount -t tmpfs none /run/systemd && exec "$@"`, "sh", ownTool, "collect", "schedule"}
		return v.command(append(append(hide, args...), "--case", "by-cron")...)
	}
	v.tool(t, 0, without("install", "--yes", "--every", "1m", "-R", "/etc/openclaw-ir/recipients.txt"))
	waitFor(t, 130*time.Second, "a snapshot by cron", func() bool {
		seals, _ := filepath.Glob(filepath.Join(v.root, "var/lib/openclaw-ir/by-cron/bundles/*.seal"))
		return len(seals) > 0 && strings.Contains(v.journal(t, "-t", "openclaw-ir"), "snapshot 1, full, ")
	})
	if st := v.scheduleStatus(t, 0, without("status", "--json")); !st.Enabled || st.Number < 1 {
		t.Errorf("the status is %+v", st)
	}
	v.tool(t, 0, without("remove", "--yes"))
	if left, _ := filepath.Glob(filepath.Join(v.root, "etc/cron.d/openclaw-ir*")); len(left) > 0 {
		t.Errorf("%q is left", left)
	}
}
