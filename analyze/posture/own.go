package posture

import (
	"cmp"
	"fmt"
	"io/fs"
	"net/netip"
	"path"
	"slices"

	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/severity"
	"github.com/clawbook/openclaw-ir/internal/stores"
)

// ownChecks look where OpenClaw's audit is blind (FACTS 12.1).
var ownChecks = []check{
	{id: "ir.copy_modes", needs: needsFiles, level: severity.High, title: "Others may read an old copy of the config or of credentials", why: "Backups and what migrations left keep the tokens of their time, often still valid.", fix: "Set their permissions to 600, or remove them when the case is closed.", run: (*state).copyModes},
	{id: "ir.owner", needs: needsFiles, level: severity.High, title: "A file of the installation belongs to another account", why: "Its owner can change it at any time, whatever its permissions say.", fix: "Find out who made it, then give it back to the account.", run: (*state).owners},
	{id: "ir.writable_instructions", needs: needsFiles, level: severity.High, title: "Others may write what the agent is told or runs", why: "Workspace, skills, hooks and plugins are instructions and programs of the agent.", fix: "Take the permission away from others.", run: (*state).writable},
	{id: "ir.devices_silent", needs: needsFiles, level: severity.Low, title: "Devices were paired without anybody approving them", why: "A program that ran once on this machine can have added a device that stays, also after the token is changed.", fix: "Remove the ones you don't know.", run: (*state).silentDevices},
	{id: "ir.automation_commands", needs: needsFiles, level: severity.Medium, title: "An automation runs a command", why: "It runs by itself, again and again, without the agent or you.", fix: "Disable the ones you don't know.", run: (*state).automations},
	{id: "ir.approvals_wide", needs: needsFiles, level: severity.High, title: "The list of approved commands lets everything run", why: whyExec, fix: "Remove the entry with openclaw approvals.", run: (*state).wideApprovals},
	{id: "ir.plugin_paths", level: severity.Medium, title: "Plugins load from a directory of their own", why: whyPlugin + " One outside the usual place escapes the usual checks.", fix: "Remove paths you don't know.", run: (*state).pluginPaths},
	{id: "ir.redact_patterns", level: severity.Low, title: "The patterns that mask secrets in logs were replaced", why: "With patterns that match nothing, secrets stand in the logs in clear.", fix: "Remove logging.redactPatterns.", run: (*state).redactPatterns},
}

func (s *state) copyModes(o *outcome) { s.modes(o, func(p place) bool { return p.copied }) }

// account is the numeric id that should own everything: the given one, that of etc/passwd, else the owner of the
// state directory; -1 if nothing tells.
func (s *state) account() int {
	if s.o.UID > 0 {
		return s.o.UID
	}
	users, _ := openclaw.Users(s.o.FS)
	for _, u := range users {
		if u.Name == s.in.User && u.UID >= 0 {
			return u.UID
		}
	}
	if info, ok := s.lstat(s.in.StateDir); ok {
		return owner(info)
	}
	return -1
}

func (s *state) owners(o *outcome) {
	want := s.account()
	if want < 0 || s.o.NoModes {
		o.undecided = "this evidence does not tell who owned the files"
		return
	}
	for _, p := range s.places() {
		if p.uid < 0 || p.uid == want {
			continue
		}
		if len(o.findings) == maxModes {
			s.gap(s.in.StateDir, fmt.Sprintf("more than %d files belong to other accounts; the rest is not listed", maxModes))
			return
		}
		f := o.add(p.path, fmt.Sprintf("%s (%s) belongs to the account %d, the installation to %d", p.path, p.kind, p.uid, want))
		f.Commands = []string{fmt.Sprintf("sudo chown -h %d %s", want, console.ShellWord(p.path))}
	}
}

// instructions are the directories whose content the agent obeys or runs.
func (s *state) instructions() []string {
	dirs := s.workspaces()
	for _, name := range []string{"skills", "hooks", "extensions", "plugin-skills", "cache/shell-snapshots", "tmp/agent-cli"} {
		dirs = append(dirs, path.Join(s.in.StateDir, name))
	}
	return dirs
}

func (s *state) writable(o *outcome) {
	if s.o.NoModes {
		o.undecided = noModes
		return
	}
	for _, dir := range s.instructions() {
		s.walk(dir, 4, func(p string, info fs.FileInfo) bool {
			name := path.Base(p)
			if info.Mode()&fs.ModeSymlink != 0 || name == ".git" || name == "node_modules" {
				return false
			}
			if perm := info.Mode().Perm(); perm&0o022 != 0 && len(o.findings) < maxModes {
				f := o.add(p, fmt.Sprintf("%s has the permissions %03o", p, perm))
				if perm&0o002 == 0 || s.closed(p) {
					f.Level = severity.Low
				}
				f.Commands = []string{"chmod go-w " + console.ShellWord(p)}
				f.Repair = &Repair{Mode: &ModeRepair{Path: p, Want: uint32(perm &^ 0o022)}}
			}
			return true
		})
	}
}

func (s *state) silentDevices(o *outcome) {
	devices, gaps := stores.Devices(s.ctx, s.o.FS, s.in)
	s.gaps = append(s.gaps, gaps...)
	var seen []string
	level, where := severity.Low, ""
	for _, d := range devices {
		if d.Approved != "silent" {
			continue
		}
		addr, err := netip.ParseAddr(d.RemoteIP)
		if far := d.RemoteIP != "" && (err != nil || !addr.Unmap().IsLoopback()); far {
			level = severity.High
		}
		seen = append(seen, fmt.Sprintf("%s %s (%s) from %s", d.Kind, short(d.ID), short(cmp.Or(d.Role, d.Name, d.Platform)), short(cmp.Or(d.RemoteIP, "this machine"))))
		where = d.Where
	}
	if len(seen) > 0 {
		f := o.add(where, lines(seen))
		f.Level = level
		f.Commands = []string{"openclaw devices list"}
	}
}

// A job is an automation that runs something by itself.
type job struct{ id, name, kind, where string }

func (s *state) jobs() (all []job) {
	add := func(v any, where string) {
		payload := at(v, "payload")
		j := job{id: text(v, "id"), name: text(v, "name"), kind: text(payload, "kind"), where: where}
		switch j.kind {
		case "command", "script":
			all = append(all, j)
		default:
			if at(v, "trigger", "script") != nil {
				j.kind = "a script as trigger"
				all = append(all, j)
			}
		}
	}
	file := path.Join(s.in.StateDir, "cron", "jobs.json")
	v, _ := s.json(file)
	for _, j := range append(list(v, "jobs"), list(v)...) {
		add(j, file)
	}
	s.database(s.in.StateDB(), func(d *openclaw.Database) error {
		if !d.Has("cron_jobs", "job_json") {
			return nil
		}
		for row, err := range d.Query(s.ctx, fmt.Sprintf("SELECT job_json FROM cron_jobs LIMIT %d", maxListed)) {
			if err != nil {
				return err
			}
			if v, ok := parseJSON(row.Text(0)); ok {
				add(v, s.in.StateDB())
			}
		}
		return nil
	})
	return all
}

func (s *state) automations(o *outcome) {
	for _, j := range s.jobs() {
		if len(o.findings) < maxLines {
			f := o.add(j.where, fmt.Sprintf("automation %s %q runs %s", short(j.id), short(j.name), j.kind))
			f.Commands = []string{"openclaw cron list"}
		}
	}
}

func (s *state) wideApprovals(o *outcome) {
	for _, a := range s.approvals() {
		switch {
		case slices.ContainsFunc(a.patterns, func(p string) bool {
			return slices.Contains([]string{"*", "**", "/**", "/*", "/bin/*", "/usr/bin/*"}, p)
		}):
			o.add(a.where, a.name()+" has an entry that fits every program")
		case a.security == "full" && (a.ask == "off" || a.ask == ""):
			o.add(a.where, a.name()+" may run any command without asking")
		case a.askOff == "full":
			o.add(a.where, a.name()+" may run any command when nobody can be asked").Level = severity.Medium
		}
	}
}

func (s *state) pluginPaths(o *outcome) {
	var outside []string
	for _, p := range texts(s.root, "plugins", "load", "paths") {
		outside = append(outside, short(p))
	}
	if len(outside) > 0 {
		o.add("plugins.load.paths", named(outside))
	}
	var hooks []string
	for _, p := range texts(s.root, "hooks", "internal", "load", "extraDirs") {
		hooks = append(hooks, short(p))
	}
	if len(hooks) > 0 {
		o.add("hooks.internal.load.extraDirs", named(hooks))
	}
}

func (s *state) redactPatterns(o *outcome) {
	if p := list(s.root, "logging", "redactPatterns"); len(p) > 0 {
		f := o.add("logging.redactPatterns", fmt.Sprintf("%d patterns of one's own", len(p)))
		f.Commands = []string{configUnset("logging.redactPatterns")}
	}
}
