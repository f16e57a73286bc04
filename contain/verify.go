package contain

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/internal/host"
)

const (
	// watchTime is how long a host must stay quiet before it counts as stopped: systemd restarts after 5 s, PM2 and
	// scripts sooner.
	watchTime = 10 * time.Second
	watchStep = 250 * time.Millisecond
	// WatchLooks is how often Watch looks if all is quiet.
	WatchLooks = int64(watchTime / watchStep)
)

// Watch looks for 10 s whether anything of OpenClaw's comes back, kills what does, and holds what brought it back. tick
// is told after each look.
func (c *Containment) Watch(ctx context.Context, p *Plan, tick func()) Check {
	var back []string
	end := time.Now().Add(watchTime)
	for time.Now().Before(end) && ctx.Err() == nil {
		table, err := c.Processes(ctx)
		if err != nil {
			return c.done("watch", "processes", err, "openclaw-ir contain again")
		}
		for _, pr := range actors(table.Processes, nil) {
			if c.isPaused(p.Containers, pr) {
				continue
			}
			back = append(back, fmt.Sprintf("%s, started by %s", refOf(pr), c.stopParent(table.Processes, pr)))
			if err := c.killAll([]Ref{refOf(pr)}); err != nil {
				back = append(back, err.Error())
			}
			end = time.Now().Add(watchTime) // quiet counts from here
		}
		if len(back) > 50 {
			break
		}
		tick()
		time.Sleep(watchStep)
	}
	var err error
	if ctx.Err() != nil {
		err = ctx.Err()
	} else if len(back) > 50 {
		err = fmt.Errorf("it keeps coming back: %s", strings.Join(back[:3], "; "))
	}
	check := c.done("watch", "no process for 10 s", err, "openclaw-ir contain again; if it comes back once more, switch the machine off")
	if check.OK && len(back) > 0 {
		check.Detail = "came back and was killed: " + strings.Join(back[:min(3, len(back))], "; ")
	}
	return check
}

// stopParent holds what started a process again, unless that is the system itself or our own way in, and names it.
func (c *Containment) stopParent(all []host.Process, pr host.Process) string {
	i := slices.IndexFunc(all, func(p host.Process) bool { return p.PID == pr.PPID })
	if i < 0 {
		return "an unknown process"
	}
	parent := all[i]
	name := fmt.Sprintf("%q (process %d)", parent.Comm, parent.PID)
	system := []string{"systemd", "sshd", "dockerd", "containerd", "containerd-shim", "conmon", "cron", "crond", "sudo", "su", "login"}
	isSystem := slices.ContainsFunc(system, func(s string) bool { return strings.HasPrefix(string(parent.Comm), s) })
	userManager := parent.Comm == "systemd" && parent.PID != 1
	serves := parent.UID == 0 && pr.UID != 0 && !isKeeper(parent) // a daemon that runs what users ask for, and what others do
	if parent.PID == 1 || parent.Role != "" || ancestors(all)[parent.PID] || isSystem && !userManager || serves {
		return name
	}
	ref := refOf(parent)
	ref.Role = RoleKeeper
	if c.hold(ref); c.isStopped(ref) {
		name += ", which is held now: kill -CONT " + strconv.Itoa(parent.PID) + " lets it go"
	}
	return name
}

func (m Machine) isStopped(r Ref) bool {
	start, state, err := m.alive(r.PID)
	return err == nil && start == r.Start && (state == "T" || state == "t")
}

// Verify looks whether everything is as the plan wanted it. It changes nothing.
func (c *Containment) Verify(ctx context.Context) []Check {
	checks := append([]Check{c.verifyProcesses(ctx)}, c.verifyOthers(ctx)...)
	checks = append(checks, c.verifyStarts(ctx)...)
	for _, u := range c.Journal.Units {
		checks = append(checks, c.verifyUnit(ctx, u))
	}
	for _, ct := range c.Journal.Containers {
		ok, detail := c.isDown(ctx, ct)
		checks = append(checks, Check{ct.String(), ok, detail, ct.Engine + " kill " + ct.ID[:12]})
	}
	checks = append(checks, c.verifyFiles()...)
	if fw := c.Journal.Firewall; fw != nil && fw.State == Undone {
		checks = append(checks, Check{"firewall", false, "put back as it was: nobody confirmed it in time", "openclaw-ir contain closes it again"})
	} else if fw != nil {
		checks = append(checks, fw.Verify(ctx, c.Machine)...)
	}
	return checks
}

func (c *Containment) verifyProcesses(ctx context.Context) Check {
	check := Check{What: "no process", Hint: "openclaw-ir contain again"}
	table, err := c.Processes(ctx)
	if err != nil {
		check.Detail = err.Error()
		return check
	}
	left := slices.DeleteFunc(actors(table.Processes, nil), func(p host.Process) bool { return c.isPaused(c.Journal.Containers, p) })
	for _, r := range c.Journal.Killed {
		if c.isAlive(r) {
			check.Detail = r.String() + " was killed and has not ended"
			return check
		}
	}
	if check.OK = len(left) == 0; !check.OK {
		check.Detail = names(refsOf(left)) + " alive"
		return check
	}
	check.Detail, check.Hint = fmt.Sprintf("%d killed, none of them alive (by number and start time)", len(c.Journal.Killed)), ""
	return check
}

func refsOf(list []host.Process) (refs []Ref) {
	for _, p := range list {
		refs = append(refs, refOf(p))
	}
	return refs
}

// verifyUnit looks at a unit as its manager sees it, or where that does not run, at the files that keep it down.
func (c *Containment) verifyUnit(ctx context.Context, u Unit) Check {
	if u.Domain != "" {
		return c.verifyJob(ctx, u)
	}
	check := Check{What: "unit " + u.String(), Hint: u.command("status")}
	if mgr, ok := c.managerOf(u); ok {
		if now, found := c.show(ctx, mgr, u.Name); found {
			starts := slices.Contains([]string{"enabled", "enabled-runtime", "linked", "linked-runtime"}, now.Enabled)
			dead := !now.Running || now.Active == "deactivating" && now.MainPID == 0 // its manager waits for what has ended
			check.OK = dead && !starts && c.keptDown(u) && len(now.later) == 0 && !now.masked
			check.Detail = now.Active + ", " + now.Enabled
			if len(now.later) > 0 {
				check.Detail += ", and " + strings.Join(now.later, ", ") + " may let it start"
				check.Hint = "look at that file, remove it, then openclaw-ir contain again"
			}
			if now.masked {
				check.Detail += ", and what keeps it down does not count: another " + u.Name + ".d/" + dropInName + " stands in its place"
				check.Hint = "look for that file in the user's home, remove it, then openclaw-ir contain again"
			}
			if check.Detail = strings.Trim(check.Detail, ", "); check.OK {
				check.Detail, check.Hint = check.Detail+", cannot be started", ""
			}
			return check
		}
	}
	if u.User {
		for _, r := range c.managersOf(ctx, u.UID) {
			if c.isAlive(r) && !c.isStopped(r) {
				check.Detail = fmt.Sprintf("its manager (process %d) runs and does not say", r.PID)
				return check
			}
		}
	}
	if rivals := c.rivals(u); len(rivals) > 0 {
		check.Detail = strings.Join(rivals, ", ") + " may let it start"
		check.Hint = "look at that file, remove it, then openclaw-ir contain again"
		return check
	}
	if check.OK = c.keptDown(u); check.OK {
		check.Detail, check.Hint = "its manager does not run, or is held; it cannot be started", ""
	}
	return check
}

// keptDown says whether the unit's drop-in is as we wrote it, on the disk: one in memory goes with the next boot.
func (c *Containment) keptDown(u Unit) bool {
	return slices.ContainsFunc(c.Journal.Files, func(f File) bool {
		if f.Undone || path.Base(f.Path) != dropInName || path.Base(path.Dir(f.Path)) != u.Name+".d" {
			return false
		}
		_, now, err := host.ReadFile(f.Owner, f.Path)
		return err == nil && now.SHA256 == f.After.SHA256
	})
}

// verifyFiles looks whether what was edited stayed so.
func (c *Containment) verifyFiles() (checks []Check) {
	for _, f := range c.Journal.Files {
		if f.Undone || f.Edits == nil {
			continue
		}
		_, now, err := host.ReadFile(f.Owner, f.Path)
		check := Check{What: f.Path, OK: err == nil && now.SHA256 == f.After.SHA256, Detail: f.Why}
		if err != nil {
			check.Detail = err.Error()
		} else if !check.OK {
			check.Detail, check.Hint = "changed since it was edited", "look at it, then openclaw-ir contain again"
		}
		checks = append(checks, check)
	}
	return checks
}

// dialTime is how long a port may take to answer.
const dialTime = time.Second

// VerifyPorts tries the gateways' ports from this machine, on each address that may be listened on.
func (m Machine) VerifyPorts(ctx context.Context, ports []int) Check {
	var open []string
	dialer := net.Dialer{Timeout: dialTime}
	for _, addr := range localAddrs() {
		for _, port := range ports {
			to := netip.AddrPortFrom(addr, uint16(port)).String()
			conn, err := dialer.DialContext(ctx, "tcp", to)
			if err == nil {
				conn.Close()
				open = append(open, to)
			}
		}
	}
	if len(open) > 0 {
		return Check{"ports from inside", false, "open: " + strings.Join(open, ", "), "ss -ltnp shows what listens"}
	}
	return Check{"ports from inside", true, "closed: " + numbers(ports), ""}
}

func numbers(ports []int) string {
	var words []string
	for _, p := range ports {
		words = append(words, strconv.Itoa(p))
	}
	return strings.Join(words, ", ")
}

// localAddrs are this machine's own addresses, loopback first; those of a link need a zone and are left out.
func localAddrs() []netip.Addr {
	list := []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return list
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && !p.Addr().IsLinkLocalUnicast() && !slices.Contains(list, p.Addr()) {
			list = append(list, p.Addr())
		}
	}
	return list[:min(len(list), 32)]
}
