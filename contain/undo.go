package contain

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"

	"github.com/clawbook/openclaw-ir/internal/host"
	"golang.org/x/sys/unix"
)

// Undo restores what was there before, in the reverse order: firewall, held supervisors, configuration, crontabs, links,
// units, containers. What somebody changed since is left alone, and is a check that failed, unless force. It starts
// nothing: see Start. Doing it again finishes what an earlier run left.
func (c *Containment) Undo(ctx context.Context, force bool) []Check {
	j := c.Journal
	checks := c.tidy() // first: a directory that was made for us alone goes when it is empty
	if j.Firewall != nil && j.Firewall.State != Undone {
		checks = append(checks, c.UndoFirewall(ctx, force))
	}
	for i := len(j.Files) - 1; i >= 0; i-- {
		if f := &j.Files[i]; !f.Undone {
			checks = append(checks, c.restoreFile(f, force))
		}
	}
	for i := len(j.Links) - 1; i >= 0; i-- {
		if l := &j.Links[i]; !l.Undone {
			checks = append(checks, c.restoreLink(l))
		}
	}
	for _, r := range j.Held {
		err := c.signal(r, unix.SIGCONT)
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		checks = append(checks, c.done("let go", r.String(), err, fmt.Sprintf("kill -CONT %d", r.PID)))
	}
	checks = append(checks, c.reload(ctx, j.Units)...)
	for _, u := range j.Units {
		if u.Domain != "" {
			checks = append(checks, c.enableJob(ctx, u))
			continue
		}
		if mgr, ok := c.managerOf(u); ok && u.Active != "failed" {
			_ = c.Run.Run(ctx, mgr.Systemctl("reset-failed", u.Name)) // says so if there is nothing to reset
		}
	}
	for _, ct := range j.Containers {
		checks = append(checks, c.restoreContainer(ctx, ct))
	}
	if j.Frozen != nil {
		checks = append(checks, c.done("thaw", "processes", c.Thaw(ctx, j.Frozen), "sudo openclaw-ir contain undo"))
	}
	if !slices.ContainsFunc(checks, func(ch Check) bool { return !ch.OK }) {
		j.State = Undone
		checks = append(checks, c.done("undo", "containment", c.save(), ""))
	}
	return checks
}

// UndoFirewall puts the firewall back, as the dead man does.
func (c *Containment) UndoFirewall(ctx context.Context, force bool) Check {
	err := c.Journal.Firewall.Undo(ctx, c.Machine, force, c.save)
	if errors.Is(err, ErrNotAsBefore) { // it is undone; others have changed rules of their own meanwhile
		check := c.done("restore", "firewall", nil, "")
		check.Detail = err.Error()
		return check
	}
	return c.done("restore", "firewall", err, undoHint(err))
}

func undoHint(err error) string {
	if errors.Is(err, host.ErrChanged) {
		return "look at what changed, then openclaw-ir contain undo --force"
	}
	return "sudo openclaw-ir contain undo"
}

// restoreFile takes back the edits to a file, or removes one that was made.
func (c *Containment) restoreFile(f *File, force bool) Check {
	err := c.revert(f, force)
	if err == nil {
		f.Undone = true
		err = c.save()
	}
	return c.done("restore", f.Path, err, undoHint(err))
}

func (c *Containment) revert(f *File, force bool) error {
	if f.Edits != nil {
		return host.Revert(f.Owner, f.Path, f.Edits, f.Before, f.After, force)
	}
	_, now, err := host.ReadFile(f.Owner, f.Path)
	if err != nil {
		return err
	}
	if now.Exists == f.Before.Exists && now.SHA256 == f.Before.SHA256 { // never made, or taken back already
		return leaveDir(f)
	}
	if now.SHA256 != f.After.SHA256 && !force {
		return fmt.Errorf("%q: %w by somebody else", f.Path, host.ErrChanged)
	}
	if err := host.Remove(f.Owner, f.Path, now); err != nil {
		return err
	}
	return leaveDir(f)
}

// leaveDir removes the directory of a file that was made, if it was made for that alone: a unit's drop-ins. A run that was killed may have
// made no more than the directory.
func leaveDir(f *File) error {
	if f.Before.Exists {
		return nil
	}
	return host.As(f.Owner, func() error {
		_ = host.RemoveTemporary(f.Owner, path.Dir(f.Path))
		_ = os.Remove(path.Dir(f.Path))
		return nil
	})
}

func (c *Containment) restoreLink(l *Link) Check {
	err := host.AsAt(l.Owner, l.Path, func() error {
		err := os.MkdirAll(path.Dir(l.Path), 0o755)
		if err == nil {
			err = os.Symlink(string(l.Target), l.Path)
		}
		return err
	})
	if target, rerr := os.Readlink(l.Path); rerr == nil && target == string(l.Target) {
		err = nil
	}
	if err == nil {
		l.Undone = true
		err = c.save()
	}
	return c.done("restore", l.Path, err, undoHint(err))
}

func (c *Containment) restoreContainer(ctx context.Context, ct Container) Check {
	var err error
	if ct.AutoRemove {
		if ct.Running {
			if res := c.Run.Run(ctx, ct.command("unpause", ct.ID)); !res.OK() {
				err = failure(res)
			}
		}
	} else if res := c.Run.Run(ctx, ct.command("update", "--restart="+ct.Restart, ct.ID)); !res.OK() {
		err = failure(res)
	}
	return c.done("restore", ct.String(), err, ct.Engine+" inspect "+ct.ID[:12])
}

// Start starts again what ran before: the units and containers that were active. A process that somebody had
// started by hand is for that person to start.
func (c *Containment) Start(ctx context.Context) (checks []Check) {
	for _, u := range c.Journal.Units {
		if !u.Running {
			continue
		}
		if u.Domain != "" {
			checks = append(checks, c.done("start", "job "+u.String(), c.startJob(ctx, u), u.command("start")))
			continue
		}
		mgr, ok := c.managerOf(u)
		err := fmt.Errorf("its manager does not run")
		if ok {
			err = nil
			if res := c.Run.Run(ctx, mgr.Systemctl("start", u.Name)); !res.OK() {
				err = failure(res)
			}
		}
		checks = append(checks, c.done("start", "unit "+u.String(), err, u.command("start")))
	}
	for _, ct := range c.Journal.Containers {
		if !ct.Running || ct.AutoRemove {
			continue
		}
		var err error
		if res := c.Run.Run(ctx, ct.command("start", ct.ID)); !res.OK() {
			err = failure(res)
		}
		checks = append(checks, c.done("start", ct.String(), err, ct.Engine+" start "+ct.ID[:12]))
	}
	return checks
}

// WouldStart are the commands that start again what ran before, to be shown.
func (c *Containment) WouldStart() (lines []string) {
	for _, u := range c.Journal.Units {
		if u.Running {
			lines = append(lines, u.command("start"))
		}
	}
	for _, ct := range c.Journal.Containers {
		if ct.Running && !ct.AutoRemove {
			lines = append(lines, ct.Engine+" start "+ct.ID[:12])
		}
	}
	return lines
}

// tidy removes what no record tells of: drop-ins in memory, and what a run that was killed was about to put in place.
func (c *Containment) tidy() (checks []Check) {
	for _, u := range c.Journal.Units {
		file := runtimeFile(u)
		text, st, err := host.ReadFile(host.Owner{UID: uint32(c.UID)}, file)
		if err == nil && st.Exists && string(text) == string(dropIn(u)) {
			err = host.Remove(host.Owner{UID: uint32(c.UID)}, file, st)
			checks = append(checks, c.done("restore", file, err, "rm "+file))
			_ = os.Remove(path.Dir(file))
		}
	}
	dirs := map[string]host.Owner{"/etc/openclaw-ir": {UID: uint32(c.UID)}, "/etc/systemd/system": {UID: uint32(c.UID)}, "/etc/ufw": {UID: uint32(c.UID)}, "/etc/default": {UID: uint32(c.UID)}}
	for _, f := range c.Journal.Files {
		dirs[path.Dir(f.Path)] = f.Owner
	}
	for dir, owner := range dirs {
		if err := host.RemoveTemporary(owner, dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			checks = append(checks, c.done("tidy", dir, err, "ls -la "+dir))
		}
	}
	return checks
}
