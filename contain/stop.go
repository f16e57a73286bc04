package contain

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"time"

	"github.com/clawbook/openclaw-ir/internal/host"
	"golang.org/x/sys/unix"
)

// Stop tells every supervisor to stay down, then kills what is frozen, without ever thawing it: SIGTERM would make
// a busy gateway go on executing for five minutes. Doing it again finishes what an earlier run left.
func (c *Containment) Stop(ctx context.Context, p *Plan) []Check {
	c.Journal.Ports, c.Journal.Users = unique(append(c.Journal.Ports, p.Ports...)), unique(append(c.Journal.Users, p.Users...))
	checks := c.keepDown(ctx, p.Units)
	for _, f := range p.Cron {
		checks = append(checks, c.done("disable", f.Why+" in "+f.Path, c.make(f, nil), "edit "+f.Path+" by hand"))
	}
	for _, k := range p.Held {
		checks = append(checks, c.hold(k))
	}
	for _, ct := range p.Containers {
		checks = append(checks, c.stopContainer(ctx, ct))
	}
	checks = append(checks, c.kill(ctx, p)...)
	for _, u := range p.Units {
		if u.Domain != "" {
			checks = append(checks, c.done("unload", "job "+u.String(), c.unload(ctx, u), u.command("disable")))
		}
	}
	// A cgroup that is left frozen would freeze what a later start puts into it. Nothing is in it any more.
	if !slices.ContainsFunc(c.Journal.Killed, c.isAlive) {
		for _, dir := range c.Journal.Frozen.Cgroups {
			_ = c.writeCgroup(dir, "0")
		}
	}
	return checks
}

// keepDown makes systemd or launchd unable to start the units, now and after a reboot.
func (c *Containment) keepDown(ctx context.Context, units []Unit) (checks []Check) {
	for _, u := range units {
		known := slices.ContainsFunc(c.Journal.Units, func(v Unit) bool {
			return v.Name == u.Name && v.User == u.User && v.UID == u.UID && v.Domain == u.Domain
		})
		if !known {
			c.Journal.Units = append(c.Journal.Units, u) // as it was before the first run
		}
	}
	for _, u := range units {
		if u.Domain != "" {
			checks = append(checks, c.done("disable", "job "+u.String(), c.disableJob(ctx, u), u.command("disable")))
			continue
		}
		checks = append(checks, c.done("disable", "unit "+u.String(), c.disable(u), u.command("disable")))
	}
	return append(checks, c.reload(ctx, units)...)
}

// disable writes a unit's drop-in and takes away the links that start it at boot.
func (c *Containment) disable(u Unit) error {
	home := ""
	if u.User {
		home = c.homeOf(u.UID)
	}
	err := c.writeDropIn(c.unitDirs(u, home)[0], u)
	if err != nil && c.UID == 0 && c.runtimeDropIn(u) == nil {
		err = fmt.Errorf("until the next boot only: %w", err)
	}
	errs := []error{err}
	for _, link := range c.enabledBy(u, home) {
		owner, err := c.ownerFor(link)
		if err == nil {
			err = c.unlink(link, owner)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// runtimeDropIn keeps a unit down until the next boot, where the disk or the case take nothing more. It needs no undoing.
func (c *Containment) runtimeDropIn(u Unit) error {
	file := runtimeFile(u)
	owner := host.Owner{UID: uint32(c.UID)}
	_, was, err := host.ReadFile(owner, file)
	if err == nil {
		_, err = host.Rewrite(owner, file, dropIn(u), was, 0o644)
	}
	return err
}

func runtimeFile(u Unit) string {
	if u.User {
		return path.Join("/run/systemd/user", u.Name+".d", dropInName)
	}
	return path.Join("/run/systemd/system", u.Name+".d", dropInName)
}

func (c *Containment) writeDropIn(dir string, u Unit) error {
	file := path.Join(dir, u.Name+".d", dropInName)
	owner, err := c.ownerFor(file)
	if err != nil {
		return err
	}
	return c.make(File{Path: file, Owner: owner, Why: "keeps " + u.String() + " down"}, dropIn(u))
}

// reload has each manager read its units again: from then on it does not restart what is killed.
func (c *Containment) reload(ctx context.Context, units []Unit) (checks []Check) {
	var seen []string
	for _, u := range units {
		mgr, ok := c.managerOf(u)
		if hidden := fmt.Sprintf("hidden %d", u.UID); !ok && u.User && !slices.Contains(seen, hidden) {
			seen = append(seen, hidden)
			checks = append(checks, c.holdManager(ctx, u.UID)...) // it runs and cannot be asked: somebody hid it
		}
		if !ok || slices.Contains(seen, mgr.String()) {
			continue
		}
		seen = append(seen, mgr.String())
		res := c.Run.Run(ctx, mgr.Systemctl("daemon-reload"))
		var err error
		if !res.OK() {
			err = failure(res)
		}
		checks = append(checks, c.done("reload", "manager "+mgr.String(), err, Unit{User: u.User, UID: u.UID}.command("daemon-reload")))
		if err != nil && mgr.User {
			checks = append(checks, c.holdManager(ctx, mgr.UID)...)
		}
	}
	return checks
}

// holdManager holds a user's manager that does not obey: it would start again what is killed.
func (c *Containment) holdManager(ctx context.Context, uid uint32) (checks []Check) {
	for _, ref := range c.managersOf(ctx, uid) {
		checks = append(checks, c.hold(ref))
	}
	return checks
}

// managersOf are the processes of a user's manager, whether it can be asked or hides.
func (m Machine) managersOf(ctx context.Context, uid uint32) (refs []Ref) {
	table, err := m.Processes(ctx)
	if err != nil {
		return nil
	}
	for _, p := range table.Processes {
		if p.Comm == "systemd" && p.UID == uid && p.PID != 1 {
			ref := refOf(p)
			ref.Role = RoleKeeper
			refs = append(refs, ref)
		}
	}
	return refs
}

// hold stops a supervisor and leaves it alive, because other things run under it.
func (c *Containment) hold(k Ref) Check {
	if !slices.Contains(c.Journal.Held, k) {
		c.Journal.Held = append(c.Journal.Held, k)
	}
	err := c.save()
	if err == nil {
		err = c.signal(k, unix.SIGSTOP)
	}
	check := c.done("hold", fmt.Sprintf("supervisor %s (process %d)", k.Name, k.PID), err, fmt.Sprintf("kill -STOP %d", k.PID))
	if check.OK {
		check.Detail = "stopped, not killed: other programs run under it and may stall; take OpenClaw out of it, then kill -CONT " + fmt.Sprint(k.PID)
	}
	return check
}

func (c *Containment) stopContainer(ctx context.Context, ct Container) Check {
	known := slices.ContainsFunc(c.Journal.Containers, func(v Container) bool { return v.ID == ct.ID && v.Engine == ct.Engine })
	if !known {
		c.Journal.Containers = append(c.Journal.Containers, ct)
	}
	err := c.save()
	if err == nil {
		err = c.down(ctx, ct)
	}
	if err != nil { // it may have ended by itself meanwhile
		if down, _ := c.isDown(ctx, ct); down {
			err = nil
		}
	}
	return c.done("stop", ct.String(), err, ct.Engine+" update --restart=no "+ct.ID[:12]+" && "+ct.Engine+" kill "+ct.ID[:12])
}

const (
	// killTime is how long a killed process may take to end: one in a system call to a dead disk takes for ever.
	killTime = 5 * time.Second
	killWait = 20 * time.Millisecond
	killHead = 100 * time.Millisecond
)

// kill kills everything of OpenClaw's, again and again until a look at the process table finds none.
func (c *Containment) kill(ctx context.Context, p *Plan) (checks []Check) {
	end := time.Now().Add(killTime)
	// Units' main processes go first: then systemd sees the rest end, and does not wait for what has ended already.
	failed := c.killAll(slices.DeleteFunc(slices.Clone(p.Processes), func(r Ref) bool { return !p.isMain(r) || !c.isAlive(r) }))
	time.Sleep(killHead)
	for {
		table, err := c.Processes(ctx)
		if err != nil {
			return append(checks, c.done("kill", "processes", err, "openclaw-ir contain again"))
		}
		refs := slices.Clone(p.Keepers)
		for _, pr := range actors(table.Processes, c.Journal.Frozen.has) {
			if !c.isPaused(p.Containers, pr) {
				refs = append(refs, refOf(pr))
			}
		}
		refs = slices.DeleteFunc(refs, func(r Ref) bool { return !c.isAlive(r) })
		if len(refs) == 0 {
			return append(checks, c.done("kill", "processes", failed, "openclaw-ir contain again"))
		}
		if time.Now().After(end) || ctx.Err() != nil {
			failed = errors.Join(failed, fmt.Errorf("still there: %s", names(refs)))
			return append(checks, c.done("kill", "processes", failed, "sudo openclaw-ir contain"))
		}
		failed = c.killAll(refs)
		time.Sleep(killWait)
	}
}

func (c *Containment) killAll(refs []Ref) error {
	for _, r := range refs {
		if !slices.Contains(c.Journal.Killed, r) {
			c.Journal.Killed = append(c.Journal.Killed, r)
		}
	}
	errs := []error{c.save()} // what cannot be noted is killed all the same
	for _, r := range refs {
		if err := c.signal(r, unix.SIGKILL); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("killing %s: %w", r, err))
		}
	}
	return errors.Join(errs...)
}

// isMain says whether a process is the main one of a unit.
func (p *Plan) isMain(r Ref) bool {
	return slices.ContainsFunc(p.Units, func(u Unit) bool { return u.MainPID == r.PID })
}

// isPaused says whether a process is in a container that is paused instead of stopped, and rests: a user's engine may say anything.
func (m Machine) isPaused(containers []Container, pr host.Process) bool {
	return slices.ContainsFunc(containers, func(c Container) bool { return c.AutoRemove && c.Running && c.holds(pr) }) && m.rests(pr)
}

func names(refs []Ref) string {
	words := make([]string, len(refs))
	for i, r := range refs {
		words[i] = r.String()
	}
	return listed(words)
}
