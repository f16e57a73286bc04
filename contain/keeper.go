package contain

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/host"
)

// RoleKeeper is the role of a process that starts OpenClaw again when it ends.
const RoleKeeper = "supervisor"

// keepers are the supervisors, other than systemd and container engines, that the processes run under, each with
// whether it runs other things as well.
func keepers(all, procs []host.Process) (alone, shared []host.Process) {
	byPID := map[int]host.Process{}
	for _, p := range all {
		byPID[p.PID] = p
	}
	ours := func(pid int) bool {
		return slices.ContainsFunc(procs, func(p host.Process) bool { return p.PID == pid })
	}
	seen, hosts := map[int]bool{}, landlords(all, procs)
	for _, p := range procs {
		unit := unitOf(p)
		if _, lodges := hosts[unit]; lodges && p.UID != 0 {
			unit = service{}
		}
		for up, ok := byPID[p.PPID]; ok && up.PID > 1 && !seen[up.PID] && !ours(up.PID); up, ok = byPID[up.PPID] {
			if !isKeeper(up) && (unit.name == "" || unitOf(up) != unit) {
				continue // nor does it run in the gateway's own unit
			}
			seen[up.PID] = true
			up.Role = RoleKeeper
			others := func(c host.Process) bool { return c.PPID == up.PID && !ours(c.PID) }
			if slices.ContainsFunc(all, others) {
				shared = append(shared, up)
			} else {
				alone = append(alone, up)
			}
		}
	}
	return alone, shared
}

// landlords are the daemons of root's that run, in their own unit, what users ask for, such as a mail server or an SSH server without PAM, by
// that unit. It is not OpenClaw's because a user had it run something, and goes on for everybody else.
func landlords(all, procs []host.Process) map[service]host.Process {
	lodging, ours := map[service]bool{}, map[int]bool{}
	for _, p := range procs {
		ours[p.PID] = true
		if unit := unitOf(p); p.UID != 0 && unit.name != "" && unit.manager == host.SystemManager().String() {
			lodging[unit] = true
		}
	}
	handOver := []string{"su", "sudo", "runuser", "doas", "conmon"} // they run one thing for one user, or one container
	runsOne := func(p host.Process) bool { return p.Comm == "(sd-pam)" || slices.Contains(handOver, programOf(p)) }
	hosts := map[service]host.Process{}
	for _, p := range all {
		if unit := unitOf(p); lodging[unit] && p.UID == 0 && !ours[p.PID] && !isKeeper(p) && !runsOne(p) {
			hosts[unit] = p
		}
	}
	return hosts
}

// atHome returns the processes, those that lodge in the unit of a landlord without it, and says which units those are.
func atHome(all, procs []host.Process) (list []host.Process, gaps []string) {
	hosts := landlords(all, procs)
	for unit, p := range hosts {
		gaps = append(gaps, fmt.Sprintf("stopping %s: root's %q (process %d) runs in it what others ask for too; it is left alone, and may start OpenClaw again", unit.name, p.Comm, p.PID))
	}
	slices.Sort(gaps)
	for _, p := range procs {
		if _, lodges := hosts[unitOf(p)]; lodges && p.UID != 0 {
			p.Cgroup = ""
		}
		list = append(list, p)
	}
	return list, gaps
}

// isKeeper knows supervisors by what they call themselves: PM2's daemon, supervisord, runit, s6, and the helpers of
// Node's world; and a script that runs the gateway in a loop, which an interactive shell is not.
func isKeeper(p host.Process) bool {
	name := ""
	if len(p.Argv) > 0 {
		name = string(p.Argv[0])
	}
	if strings.HasPrefix(name, "PM2 ") || strings.HasPrefix(string(p.Comm), "PM2 ") {
		return true
	}
	words := []string{path.Base(strings.TrimPrefix(name, "-")), string(p.Comm)}
	for _, a := range p.Argv[min(1, len(p.Argv)):] {
		words = append(words, path.Base(string(a)))
	}
	known := []string{"supervisord", "runsv", "s6-supervise", "daemontools", "supervise", "forever", "nodemon", "monit", "circusd"}
	if slices.ContainsFunc(words, func(w string) bool { return slices.Contains(known, w) }) {
		return true
	}
	shells := []string{"sh", "bash", "dash", "zsh", "fish", "ksh"}
	return slices.Contains(shells, words[0]) && len(p.Argv) > 1 && !strings.HasPrefix(string(p.Argv[1]), "-")
}

// systemUnits run what people and the system start, and so say nothing of what is in them.
var systemUnits = []string{
	"ssh.service", "sshd.service", "cron.service", "crond.service", "atd.service", "docker.service", "containerd.service", "dbus.service",
	"systemd-logind.service", "systemd-udevd.service", "polkit.service", "gdm.service", "lightdm.service", "sddm.service", "xrdp.service",
}

// A service is a unit in whose cgroup a process runs: its name, and whose manager it is of, as that calls itself. The zero service is none.
type service struct{ name, manager string }

// unitOf is the service in whose cgroup a process runs, the zero one if that is one of the system's own, a login or a user's manager. The
// manager is what stands above it: below its own, a user gives a cgroup any name, such as that of a service of the system's.
func unitOf(p host.Process) service {
	for line := range strings.Lines(string(p.Cgroup)) {
		_, cgroup, ok := strings.Cut(line, ":")
		_, cgroup, ok2 := strings.Cut(cgroup, ":")
		if !ok || !ok2 {
			continue
		}
		if s := serviceIn(strings.TrimSuffix(cgroup, "\n")); s.name != "" {
			return s
		}
	}
	return service{}
}

// serviceIn reads the path of a cgroup from the root on. What is below a scope, such as a container, is no unit of a manager that we ask.
func serviceIn(cgroup string) service {
	manager := host.SystemManager().String()
	for name := range strings.SplitSeq(cgroup, "/") {
		if path.Ext(name) == ".scope" || isContainerID(name) {
			break
		}
		if path.Ext(name) != ".service" {
			continue
		}
		uid, ofUser := strings.CutPrefix(strings.TrimSuffix(name, ".service"), "user@")
		if ofUser && manager == host.SystemManager().String() {
			manager = "user " + uid
			continue
		}
		known := ofUser || strings.HasPrefix(name, "getty@") || strings.HasPrefix(name, "serial-getty@") || slices.Contains(systemUnits, name)
		if known || !validUnit(name) {
			break
		}
		return service{name, manager}
	}
	return service{}
}
