package contain

import (
	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

// A Lock is how a file of a configuration is closed.
type Lock struct {
	File
	What []string `json:"what"` // one phrase a change
}

// planLocks says how to close each installation's configuration, and what of it cannot be closed so. One that does not
// parse is a gap and stays as it is.
func (m Machine) planLocks(p *Plan, installs []*openclaw.Installation) {
	for _, in := range installs {
		found, notes, err := m.planLock(in)
		if err != nil {
			p.Gaps = append(p.Gaps, "locking "+in.ConfigPath+": "+err.Error())
		}
		for _, other := range in.Others {
			notes = append(notes, other+": it may be the config as well as "+in.ConfigPath+", which is closed")
		}
		p.Locks, p.Unlocked = append(p.Locks, found...), append(p.Unlocked, notes...)
	}
}

func (m Machine) planLock(in *openclaw.Installation) (locks []Lock, notes []string, err error) {
	texts, states := map[string][]byte{}, map[string]host.FileState{}
	// The config may be a link to what is somebody else's: it is edited with the rights of the installation's owner alone.
	owner, err := host.OwnerOf(m.Root, in.StateDir)
	if err != nil {
		return nil, nil, err
	}
	files := []string{in.ConfigPath}
	if in.Config != nil && len(in.Config.Files) > 0 {
		files = in.Config.Files
	}
	for _, file := range files {
		text, state, err := host.ReadFile(owner, file)
		if err != nil {
			return nil, nil, err
		}
		if state.Exists { // a gateway that was never configured has nothing to close
			texts[file], states[file] = text, state
		}
	}
	if len(texts) == 0 {
		return nil, nil, nil
	}
	changes, notes, err := LockConfig(in.ConfigPath, texts)
	for _, ch := range changes {
		f := File{Path: ch.File, Owner: owner, Before: states[ch.File], Edits: ch.Patch, Why: "configuration, closed"}
		locks = append(locks, Lock{f, ch.What})
	}
	return locks, notes, err
}

// Lock closes the configurations as the plan says.
func (c *Containment) Lock(p *Plan) (checks []Check) {
	for _, l := range p.Locks {
		check := c.done("lock", l.Path, c.make(l.File, nil), "edit it by hand: gateway.bind, dmPolicy, tools.exec, cron, hooks")
		checks = append(checks, check)
	}
	for _, note := range p.Unlocked {
		checks = append(checks, Check{What: "stays open", Detail: note, Hint: "edit it by hand before a gateway starts again"})
	}
	return checks
}

// LockedFiles are the files that Lock changes.
func (p *Plan) LockedFiles() (paths []string) {
	for _, l := range p.Locks {
		paths = append(paths, l.Path)
	}
	return paths
}
