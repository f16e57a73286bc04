package contain

import (
	"context"
	"fmt"
	"os"
	"path"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/internal/host"
)

// helpers are the programs that a user's session has running and that run nothing for others, by their place, which the kernel tells.
var helpers = []string{
	"systemd", "systemd-executor", "dbus-daemon", "dbus-broker", "dbus-broker-launch", "gpg-agent", "ssh-agent", "dirmngr", "pipewire", "wireplumber", "pulseaudio",
	"gnome-keyring-daemon", "dconf-service", "gvfsd", "xdg-permission-store", "xdg-document-portal",
}

// desktops run where the agent's user works at the screen: then what else runs is theirs, and too much to tell.
var desktops = []string{"Xorg", "Xwayland", "gnome-shell", "plasmashell", "kwin_wayland", "sway", "xfce4-session", "cinnamon", "weston"}

// otherLooks are how often it is looked for them: what starts itself anew all the time is between two processes at any one moment.
const (
	otherLooks = 10
	otherStep  = 20 * time.Millisecond
)

// verifyOthers tells what else runs as a user of the agent's, root apart: what has left its unit, its parents and its environment behind
// bears no sign of OpenClaw, and may be the user's own work as well as the intruder's. A person has to tell.
func (c *Containment) verifyOthers(ctx context.Context) []Check {
	users := c.agentUsers()
	if len(users) == 0 {
		return nil
	}
	check := Check{What: "nothing else of the agent's user"}
	var pids, told []string
	for range otherLooks {
		table, err := c.Processes(ctx)
		if err != nil {
			check.Detail, check.Hint = err.Error(), "openclaw-ir contain again"
			return []Check{check}
		}
		others := othersOf(table.Processes, users)
		if c.isDesktop(table.Processes, users) {
			check.OK, check.Detail = true, fmt.Sprintf("not judged: %d processes of a desktop", len(others))
			return []Check{check}
		}
		for _, p := range others {
			if pid := strconv.Itoa(p.PID); !slices.Contains(pids, pid) {
				pids = append(pids, pid)
				told = append(told, fmt.Sprintf("%s (%q, since %s)", pid, p.Comm, p.Started.UTC().Format("15:04")))
			}
		}
		time.Sleep(otherStep)
	}
	if check.OK = len(pids) == 0; check.OK {
		check.Detail = "none but helpers of a session"
		return []Check{check}
	}
	check.Detail = "running with no sign of OpenClaw: " + listed(told)
	check.Hint = "ps -fp " + strings.Join(pids[:min(len(pids), 20)], ",") + " shows them; kill -STOP and its number holds what you do not know"
	return []Check{check}
}

// othersOf are the processes of some users that bear no sign of OpenClaw, are no helpers, not stopped and not of the responder's session.
func othersOf(all []host.Process, users []uint32) []host.Process {
	responders := withDescendants(all, ancestors(all), users)
	hosts := landlords(all, slices.DeleteFunc(slices.Clone(all), func(p host.Process) bool { return !slices.Contains(users, p.UID) }))
	return slices.DeleteFunc(slices.Clone(all), func(p host.Process) bool {
		theirs := slices.Contains(users, p.UID) || slices.Contains(users, p.EUID)
		rests := slices.Contains([]string{"Z", "X", "T", "t"}, p.State)
		_, lodges := hosts[unitOf(p)]
		return !theirs || rests || p.Role != "" || responders[p.PID] || isHelper(p) || isService(p) && !lodges
	})
}

func listed(words []string) string {
	if len(words) > 5 {
		words = append(slices.Clone(words[:5]), fmt.Sprintf("and %d more", len(words)-5))
	}
	return strings.Join(words, ", ")
}

// agentUsers are the users whose installations there are, and whom what was stopped belonged to: an agent that shed every sign before
// anybody came leaves nothing to stop. What runs as root beside an agent of root's is the system.
func (c *Containment) agentUsers() (users []uint32) {
	add := func(uid uint32) {
		if uid != 0 && !slices.Contains(users, uid) {
			users = append(users, uid)
		}
	}
	for _, r := range c.Journal.Killed {
		if r.Role != RoleKeeper {
			add(r.UID)
		}
	}
	for _, uid := range c.Journal.Users {
		add(uid)
	}
	for _, u := range c.Journal.Units {
		if u.User {
			add(uint32(u.UID))
		}
	}
	return users
}

// isDesktop reports a Mac, or a screen at which one of the users works.
func (c *Containment) isDesktop(all []host.Process, users []uint32) bool {
	launched := slices.ContainsFunc(c.Journal.Units, func(u Unit) bool { return u.Domain != "" })
	return launched || runtime.GOOS == "darwin" || slices.ContainsFunc(all, func(p host.Process) bool {
		return slices.Contains(users, p.UID) && slices.Contains(desktops, path.Base(string(p.Exe)))
	})
}

// isService reports a process of a unit that root alone can have made: a user cannot move into one. Cron and at run what users ask for.
func isService(p host.Process) bool {
	for line := range strings.Lines(string(p.Cgroup)) {
		_, rest, _ := strings.Cut(line, ":")
		_, dir, _ := strings.Cut(strings.TrimSpace(rest), ":")
		unit, ok := strings.CutPrefix(dir, "/system.slice/")
		if ok && !slices.ContainsFunc([]string{"cron", "crond", "atd", "anacron"}, func(s string) bool { return strings.HasPrefix(unit, s+".service") }) {
			return true
		}
	}
	return false
}

func isHelper(p host.Process) bool {
	exe := string(p.Exe)
	if exe == "" && os.Geteuid() != 0 {
		return p.Comm == "(sd-pam)" // of the user's manager, which keeps its program from all but root
	}
	return !p.ExeDeleted && strings.HasPrefix(exe, "/usr/") && !strings.HasPrefix(exe, "/usr/local/") && slices.Contains(helpers, path.Base(exe))
}

// withDescendants are our own ancestors that belong to these users, and all that they started: the responder's session.
func withDescendants(all []host.Process, up map[int]bool, users []uint32) map[int]bool {
	own := map[int]bool{}
	children := map[int][]int{}
	var queue []int
	for _, p := range all {
		children[p.PPID] = append(children[p.PPID], p.PID)
		if up[p.PID] && slices.Contains(users, p.UID) && !isHelper(p) {
			queue = append(queue, p.PID)
		}
	}
	for len(queue) > 0 {
		pid := queue[0]
		queue = queue[1:]
		if !own[pid] {
			own[pid] = true
			queue = append(queue, children[pid]...)
		}
	}
	return own
}
