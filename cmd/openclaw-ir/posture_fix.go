package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/analyze/posture"
	"github.com/clawbook/openclaw-ir/contain"
	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/repair"
	"github.com/clawbook/openclaw-ir/internal/secret"
	"github.com/urfave/cli/v2"
)

// A fixing is one run of posture --fix.
type fixing struct {
	*posturing
	root   *host.Root
	modes  []repair.Mode
	edits  []repair.Edit
	ids    []posture.Weakness // what is to be gone afterwards
	failed int
}

// fix plans, asks, repairs and looks again.
func (x *posturing) fix() error {
	root, ok := x.src.fsys.(*host.Root)
	if !ok || !root.Live() {
		return usageError("openclaw-ir analyze posture --fix", "--fix repairs this machine only")
	}
	if err := x.open("analyze posture --fix"); err != nil {
		return err
	}
	f := &fixing{posturing: x, root: root}
	for i := range x.list {
		if err := f.plan(x.list[i].report); err != nil {
			return err
		}
	}
	x.warnGaps() // what may have to be repaired there is not known
	if len(f.modes)+len(f.edits) == 0 {
		return f.finish("nothing to repair by itself")
	}
	if x.c.Bool("dry-run") {
		return f.finish("nothing was changed")
	}
	return f.change()
}

// plan tells what is repaired of one installation, and what is not.
func (f *fixing) plan(r *posture.Report) error {
	in := r.Installation
	owner, err := host.OwnerOf(f.root, in.StateDir)
	if err != nil {
		f.failed++
		f.console.Warningf("%s: left alone: %v", in.StateDir, err)
		return nil
	}
	f.say("plan", "of", fmt.Sprintf("OpenClaw %s of user %s in %s", orUnknown(in.Version), orUnknown(in.User), in.StateDir))
	allow := map[string]uint32{}
	var values []repair.Value
	for _, found := range r.Findings {
		if found.Repair == nil || found.Level < f.level {
			continue
		}
		f.ids = append(f.ids, posture.Weakness{Check: found.ID, Where: found.Where})
		if m := found.Repair.Mode; m != nil {
			if was, ok := allow[m.Path]; ok {
				allow[m.Path] = was & m.Want
			} else {
				allow[m.Path] = m.Want
			}
		}
		for _, s := range found.Repair.Set {
			values = append(values, repair.Value{Path: s.Path, Literal: s.Value})
		}
	}
	f.planModes(owner, allow)
	return f.planSet(owner, in.ConfigPath, values)
}

func (f *fixing) planModes(owner host.Owner, allow map[string]uint32) {
	var paths []string
	for p := range allow {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	for _, p := range paths {
		m, todo, err := repair.PlanMode(owner, p, allow[p])
		switch {
		case err != nil:
			f.failed++
			f.say("plan", "by hand", fmt.Sprintf("%s: %v", p, err))
		case todo:
			f.modes = append(f.modes, m)
			f.say("plan", "mode", fmt.Sprintf("%s %04o → %04o", p, m.Before, m.Want))
		}
	}
}

func (f *fixing) planSet(owner host.Owner, config string, values []repair.Value) error {
	if len(values) == 0 {
		return nil
	}
	e, refused, err := repair.PlanSet(owner, f.root, config, values)
	if err != nil {
		f.failed++
		f.say("plan", "by hand", fmt.Sprintf("%s: %v", config, err))
		return nil
	}
	for key, why := range refused {
		f.failed++
		f.say("plan", "by hand", fmt.Sprintf("%s: %v", key, why))
	}
	if len(e.Edits) == 0 {
		return nil
	}
	f.edits = append(f.edits, e)
	for _, what := range e.What {
		f.say("plan", "set", fmt.Sprintf("%s in %s", what, config))
	}
	table, err := f.processes()
	if err != nil {
		return err
	}
	if slices.ContainsFunc(table, func(p host.Process) bool { return p.UID == owner.UID && p.Role == host.RoleGateway && p.State != "Z" }) {
		f.say("plan", "note", "its gateway runs, and takes up the changed config within seconds; for some values it restarts, and goes on with what was interrupted")
	}
	return nil
}

func (f *fixing) processes() ([]host.Process, error) {
	m, err := newMachine(f.env)
	if err != nil {
		return nil, err
	}
	defer m.Root.Close()
	table, err := m.Processes(f.c.Context)
	return table.Processes, err
}

func (f *fixing) files() (files []string) {
	for _, e := range f.edits {
		files = append(files, e.Path)
	}
	return files
}

// change repairs, once it is agreed to.
func (f *fixing) change() error {
	cs := f.cs
	if err := requireHeld(cs, f.root, f.files(), f.c.Bool("without-evidence")); err != nil {
		return err
	}
	yes, err := agreed(f.c, f.env)
	if err != nil || !yes {
		return err
	}
	j, err := repair.Open(cs, "openclaw-ir "+version())
	if err != nil {
		return err
	}
	defer j.Close()
	for _, m := range f.modes { // before the config is written anew with its permissions
		f.done(cs, "mode", m.Path, fmt.Sprintf("%04o → %04o", m.Before, m.Want), j.Narrow(m))
	}
	err = changing(cs, f.root, f.files(), func() {
		for _, e := range f.edits {
			f.done(cs, "set", e.Path, strings.Join(e.What, "; "), f.set(cs, j, e))
		}
	})
	if err != nil {
		return err
	}
	f.verify()
	return f.finish("to take it back: openclaw-ir analyze posture undo --case " + cs.Name())
}

// set makes an edit, and tells a containment of the case that edited the same file.
func (f *fixing) set(cs *casefile.Case, j *repair.Journal, e repair.Edit) error {
	m, err := newMachine(f.env)
	if err != nil {
		return err
	}
	defer m.Root.Close()
	return beside(m, cs, e.Owner, e.Path, func() error { return j.Set(e) })
}

// beside changes a file, and tells the case's containment, if it edited that file, so that the change is not in the way of
// its undoing.
func beside(m contain.Machine, cs *casefile.Case, owner host.Owner, file string, change func() error) error {
	con, err := contain.Open(m, cs)
	if err != nil || !slices.Contains(con.Edited(), file) {
		return change()
	}
	if err := con.Take(); err != nil {
		return err
	}
	defer con.Done()
	before, _, err := host.ReadFile(owner, file)
	if err != nil {
		return err
	}
	if err := change(); err != nil {
		return err
	}
	after, state, err := host.ReadFile(owner, file)
	if err != nil {
		return err
	}
	return con.Rebase(file, before, after, state)
}

// verify looks again whether what was repaired is gone.
func (f *fixing) verify() {
	before := f.ids
	f.list, f.gaps = nil, nil
	if err := f.look(f.c.Context); err != nil {
		f.failed++
		f.console.Warningf("looking again: %v", err)
		return
	}
	still := map[posture.Weakness]bool{}
	for _, p := range f.list {
		for _, found := range p.report.Findings {
			still[posture.Weakness{Check: found.ID, Where: found.Where}] = true
		}
	}
	for _, w := range before {
		if still[w] {
			f.failed++
			f.say("verify", "NO", w.Check+" "+w.Where+": still so")
		} else {
			f.say("verify", "ok", w.Check+" "+w.Where+": gone")
		}
	}
}

// done notes a repair in the custody log and says what became of it.
func (f *fixing) done(cs *casefile.Case, action, object, what string, err error) {
	if !noteRepair(cs, "posture "+action, object, what, err) {
		f.failed++
	}
	if err != nil {
		f.failed++
		f.say(action, "NO", object+": "+err.Error())
		return
	}
	f.say(action, "ok", object+": "+what)
}

// noteRepair notes an action. It reports whether it could.
func noteRepair(cs *casefile.Case, action, object, what string, err error) bool {
	entry := casefile.Entry{Action: action, Object: object, Result: "done", Note: what}
	if err != nil {
		entry.Result, entry.Note = "failed", err.Error()
	}
	return cs.Append(entry) == nil
}

// say writes one line of the plan or of what became of it.
func (x *posturing) say(record, name, detail string) {
	detail = x.secrets.Redact(detail)
	row := postureRow{Record: record, Check: name, Why: detail}
	if record == "plan" {
		row.text = []string{fmt.Sprintf("  %-8s  %s", name, x.safe(detail))}
	} else {
		row.text = []string{fmt.Sprintf("%-8s  %s  %s", record, name, x.safe(detail))}
	}
	if err := x.lines.Write(row); err != nil {
		x.console.Warningf("writing the output: %v", err)
	}
}

func (f *fixing) finish(text string) error {
	if err := f.lines.Flush(); err != nil {
		return err
	}
	f.console.Printf("%s", text)
	if f.failed > 0 {
		return &codeError{exitPartial, fmt.Errorf("done in part: %s above", plural(f.failed, "problem")), nil}
	}
	if len(f.gaps) > 0 {
		return errPartial
	}
	return nil
}

func postureUndoCommand(e env) *cli.Command {
	return &cli.Command{
		Name:  "undo",
		Usage: "put back the permissions and values that --fix changed",
		Description: `Takes back every repair of the case, byte for byte. What somebody changed since is left alone unless --force.

Examples:
   sudo openclaw-ir analyze posture undo --dry-run
   sudo openclaw-ir analyze posture undo

` + exitText,
		Flags: append(caseFlags(),
			&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "do it without asking"},
			&cli.BoolFlag{Name: "dry-run", Usage: "say what it would do, and change nothing"},
			&cli.BoolFlag{Name: "force", Usage: "also put back what somebody changed since"},
			&cli.BoolFlag{Name: "json", Usage: "one JSON object a line, a version first"},
		),
		OnUsageError: onUsageError,
		Action:       func(c *cli.Context) error { return undoPosture(c, e) },
	}
}

func undoPosture(c *cli.Context, e env) error {
	cs, err := existingCase(c, e)
	if err != nil {
		return &codeError{exitFailed, err, []string{"--case NAME names the case that --fix noted its repairs in"}}
	}
	defer cs.Close()
	m, err := newMachine(e)
	if err != nil {
		return err
	}
	defer m.Root.Close()
	j, err := repair.Open(cs, "openclaw-ir "+version())
	if err != nil {
		return err
	}
	defer j.Close()
	x := &posturing{env: e, c: c, secrets: secret.NewSet(secret.NewFingerprinter(nil))}
	if err := x.open("analyze posture undo"); err != nil {
		return err
	}
	pending := j.Pending()
	for _, line := range pending {
		x.say("plan", "restore", line)
	}
	f := &fixing{posturing: x}
	switch {
	case len(pending) == 0:
		return f.finish("nothing of case " + cs.Name() + " is left to undo")
	case c.Bool("dry-run"):
		return f.finish("nothing was changed")
	}
	yes, err := agreed(c, e)
	if err != nil || !yes {
		return err
	}
	err = changing(cs, m.Root, j.Files(), func() {
		j.Undo(c.Bool("force"), func(object string, err error) { f.done(cs, "undo", object, "as it was", err) })
	})
	if err != nil {
		return err
	}
	if f.failed > 0 {
		x.console.Hintf("look at what changed, then openclaw-ir analyze posture undo --force")
		return f.finish("undone, but for what is told above")
	}
	return f.finish("undone")
}
