package contain

import (
	"testing"

	"github.com/clawbook/openclaw-ir/internal/host"
)

func TestIsService(t *testing.T) {
	for cgroup, want := range map[string]bool{
		"0::/system.slice/postgresql.service":                        true,
		"1:name=systemd:/system.slice/x.service\n0::/":               true,
		"0::/system.slice/cron.service":                              false,
		"0::/system.slice/crond.service":                             false,
		"0::/user.slice/user-1000.slice/user@1000.service/app.slice": false,
		"0::/user.slice/system.slice/x.service":                      false,
		"0::/":                                                       false,
		"":                                                           false,
	} {
		if got := isService(host.Process{Cgroup: host.Text(cgroup)}); got != want {
			t.Errorf("%q: %v", cgroup, got)
		}
	}
}

func TestIsHelper(t *testing.T) {
	for exe, want := range map[string]bool{
		"/usr/lib/systemd/systemd": true, "/usr/bin/dbus-daemon": true, "/home/a/dbus-daemon": false, "/usr/local/bin/dbus-daemon": false, "/usr/bin/sh": false, "": false,
	} {
		if got := isHelper(host.Process{Exe: host.Text(exe)}); got != want {
			t.Errorf("%q: %v", exe, got)
		}
	}
	if isHelper(host.Process{Exe: "/usr/bin/dbus-daemon", ExeDeleted: true}) {
		t.Error("a deleted program is no helper")
	}
}

// TestOthersLodge: what a daemon of root's runs for the agent's user is told, and what root's unit runs as that user alone is not.
func TestOthersLodge(t *testing.T) {
	all := []host.Process{
		{PID: 1000010, PPID: 1, State: "S", Comm: "maild", Cgroup: "0::/system.slice/mail.service"},
		{PID: 1000011, PPID: 1000010, UID: 1000, State: "S", Comm: "x", Cgroup: "0::/system.slice/mail.service"},
		{PID: 1000020, PPID: 1, UID: 1000, State: "S", Comm: "app", Cgroup: "0::/system.slice/app.service"},
	}
	if others := othersOf(all, []uint32{1000}); len(others) != 1 || others[0].PID != 1000011 {
		t.Errorf("%+v", others)
	}
}
