package posture

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/severity"
)

const (
	whyWrite = "Another account of this machine can change what the agent is and does."
	whyRead  = "Another account of this machine can read tokens and conversations."
)

var fileChecks = []check{
	{id: "fs.state_dir.perms_world_writable", needs: needsFiles, level: severity.Critical, title: "Everybody on this machine may write to the state directory", why: whyWrite, fix: "Set its permissions to 700.", run: (*state).stateWorldWritable},
	{id: "fs.state_dir.perms_group_writable", needs: needsFiles, level: severity.Medium, title: "A group may write to the state directory", why: whyWrite, fix: "Set its permissions to 700.", run: (*state).stateGroupWritable},
	{id: "fs.state_dir.perms_readable", needs: needsFiles, level: severity.Medium, title: "Others may look into the state directory", why: whyRead, fix: "Set its permissions to 700.", run: (*state).stateReadable},
	{id: "fs.state_dir.symlink", needs: needsFiles, level: severity.Medium, title: "The state directory is a link", why: "Who can change the link decides which state is used.", fix: "Check where it leads.", run: (*state).stateLink},
	{id: "fs.config.perms_writable", needs: needsFiles, level: severity.Critical, title: "Others may change the config", why: whyWrite, fix: "Set its permissions to 600.", run: (*state).configWritable},
	{id: "fs.config.perms_world_readable", needs: needsFiles, level: severity.Critical, title: "Everybody on this machine may read the config", why: whyRead, fix: "Set its permissions to 600.", run: (*state).configWorldReadable},
	{id: "fs.config.perms_group_readable", needs: needsFiles, level: severity.Medium, title: "A group may read the config", why: whyRead, fix: "Set its permissions to 600.", run: (*state).configGroupReadable},
	{id: "fs.config.symlink", needs: needsFiles, level: severity.Medium, title: "The config is a link", why: "Who can change the link decides which config is used.", fix: "Check where it leads.", run: (*state).configLink},
	{id: "fs.config_include.perms_writable", needs: needsFiles, level: severity.Critical, title: "Others may change a part of the config", why: whyWrite, fix: "Set its permissions to 600.", run: include(0o022, 0)},
	{id: "fs.config_include.perms_world_readable", needs: needsFiles, level: severity.Critical, title: "Everybody on this machine may read a part of the config", why: whyRead, fix: "Set its permissions to 600.", run: include(0o004, 0o022)},
	{id: "fs.config_include.perms_group_readable", needs: needsFiles, level: severity.Medium, title: "A group may read a part of the config", why: whyRead, fix: "Set its permissions to 600.", run: include(0o040, 0o026)},
	{id: "fs.credentials_dir.perms_writable", needs: needsFiles, level: severity.Critical, title: "Others may write to the credentials", why: whyWrite, fix: "Set its permissions to 700.", run: credentials(0o022, 0)},
	{id: "fs.credentials_dir.perms_readable", needs: needsFiles, level: severity.Medium, title: "Others may look into the credentials", why: whyRead, fix: "Set its permissions to 700.", run: credentials(0o044, 0o022)},
	{id: "fs.auth_profiles.perms_writable", needs: needsFiles, level: severity.Critical, title: "Others may change an agent's model keys", why: whyWrite, fix: "Set its permissions to 600.", run: profiles(0o022, 0)},
	{id: "fs.auth_profiles.perms_readable", needs: needsFiles, level: severity.Medium, title: "Others may read an agent's model keys", why: whyRead, fix: "Set its permissions to 600.", run: profiles(0o044, 0o022)},
	{id: "fs.sessions_store.perms_readable", needs: needsFiles, level: severity.Medium, title: "Others may read the list of conversations", why: whyRead, fix: "Set its permissions to 600.", run: (*state).sessionsReadable},
	{id: "fs.log_file.perms_readable", needs: needsFiles, level: severity.Medium, title: "Others may read the log", why: whyRead, fix: "Set its permissions to 600.", run: (*state).logReadable},
	{id: "fs.synced_dir", needs: needsFiles, level: severity.Medium, title: "The state lies in a synchronised folder", why: "Tokens and conversations are copied to a cloud and to other devices.", fix: "Move it to a plain local directory.", run: (*state).synced},
}

// A node is what the permissions of a path are, links followed, as OpenClaw's audit reads them.
type node struct {
	path string
	perm fs.FileMode
	link bool
	dir  bool
}

// node describes a path. It reports false where there is nothing, or where the evidence tells no modes.
func (s *state) node(hostPath string) (n node, ok bool) {
	info, there := s.lstat(hostPath)
	if !there || s.o.NoModes {
		return n, false
	}
	n = node{path: hostPath, link: info.Mode()&fs.ModeSymlink != 0}
	if n.link {
		target, err := fs.Stat(s.o.FS, openclaw.FSName(hostPath))
		if err != nil {
			return n, true // a link to nothing: it is a link all the same
		}
		info = target
	}
	n.perm, n.dir = info.Mode().Perm(), info.IsDir()
	return n, true
}

func (n node) seen() string { return fmt.Sprintf("%s has the permissions %03o", n.path, n.perm) }

// report makes a finding of a path whose permissions have one of the bits bad and none of not.
func (s *state) report(o *outcome, hostPath string, bad, not fs.FileMode) {
	if s.o.NoModes {
		o.undecided = noModes
		return
	}
	n, ok := s.node(hostPath)
	if !ok || n.perm&bad == 0 || n.perm&not != 0 {
		return
	}
	f, want := o.add(n.path, n.seen()), uint32(0o600)
	if n.dir {
		want = 0o700
	}
	if n.link {
		f.Commands = []string{fmt.Sprintf("chmod %o %s", want, console.ShellWord(s.real(hostPath)))}
		return
	}
	f.mode(hostPath, want)
}

const noModes = "this evidence does not tell the permissions files had"

func (s *state) stateWorldWritable(o *outcome) { s.report(o, s.in.StateDir, 0o002, 0) }
func (s *state) stateGroupWritable(o *outcome) { s.report(o, s.in.StateDir, 0o020, 0o002) }
func (s *state) stateReadable(o *outcome)      { s.report(o, s.in.StateDir, 0o044, 0o022) }
func (s *state) configWritable(o *outcome)     { s.report(o, s.in.ConfigPath, 0o022, 0) }

// configWorldReadable leaves links out, as OpenClaw's audit does.
func (s *state) configWorldReadable(o *outcome) {
	if n, ok := s.node(s.in.ConfigPath); !ok || !n.link {
		s.report(o, s.in.ConfigPath, 0o004, 0o022)
	}
}

func (s *state) configGroupReadable(o *outcome) {
	if n, ok := s.node(s.in.ConfigPath); !ok || !n.link {
		s.report(o, s.in.ConfigPath, 0o040, 0o026)
	}
}

func (s *state) stateLink(o *outcome)  { s.linked(o, s.in.StateDir) }
func (s *state) configLink(o *outcome) { s.linked(o, s.in.ConfigPath) }

func (s *state) linked(o *outcome, hostPath string) {
	if info, ok := s.lstat(hostPath); ok && info.Mode()&fs.ModeSymlink != 0 {
		o.add(hostPath, fmt.Sprintf("%s leads to %s", hostPath, short(s.link(hostPath))))
	}
}

func include(bad, not fs.FileMode) func(*state, *outcome) {
	return func(s *state, o *outcome) {
		if s.in.Config == nil {
			return
		}
		for i, file := range s.in.Config.Files {
			if i > 0 && file != s.in.ConfigPath {
				s.report(o, file, bad, not)
			}
		}
	}
}

// oauthDir is the directory of credentials; a variable can move it.
func (s *state) oauthDir() string {
	if dir := s.env()["OPENCLAW_OAUTH_DIR"]; path.IsAbs(dir) {
		return path.Clean(dir)
	}
	return path.Join(s.in.StateDir, "credentials")
}

func credentials(bad, not fs.FileMode) func(*state, *outcome) {
	return func(s *state, o *outcome) {
		if n, ok := s.node(s.oauthDir()); s.o.NoModes || ok && n.dir {
			s.report(o, s.oauthDir(), bad, not)
		}
	}
}

func profiles(bad, not fs.FileMode) func(*state, *outcome) {
	return func(s *state, o *outcome) {
		for _, dir := range s.agentDirs() {
			s.report(o, path.Join(dir, "agent", "auth-profiles.json"), bad, not)
			for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
				s.report(o, path.Join(dir, "agent", "openclaw-agent.sqlite")+suffix, bad, not)
			}
		}
	}
}

// agentDirs are the directories of the agents below the state directory.
func (s *state) agentDirs() (dirs []string) {
	ids := []string{"main"}
	for _, a := range s.in.Agents {
		ids = append(ids, path.Base(path.Clean("/"+a.ID)))
	}
	for _, id := range sortedUnique(ids) {
		dirs = append(dirs, path.Join(s.in.StateDir, "agents", id))
	}
	return dirs
}

func (s *state) sessionsReadable(o *outcome) {
	for _, dir := range s.agentDirs() {
		s.report(o, path.Join(dir, "sessions", "sessions.json"), 0o044, 0)
	}
}

func (s *state) logReadable(o *outcome) {
	if s.in.LogFile != "" && path.IsAbs(s.in.LogFile) {
		s.report(o, s.in.LogFile, 0o044, 0)
	}
}

func (s *state) synced(o *outcome) {
	for _, p := range []string{s.in.StateDir, s.in.ConfigPath} {
		lower := strings.ToLower(p)
		if slices.ContainsFunc([]string{"icloud", "dropbox", "google drive", "googledrive", "onedrive"}, func(name string) bool { return strings.Contains(lower, name) }) {
			o.add(p, p+" looks like a synchronised folder")
			return
		}
	}
}

func (s *state) skillEscape(o *outcome) {
	files, _ := s.skills()
	var out []string
	for _, f := range files {
		if !openclaw.Within(f.real, s.real(f.workspace)) {
			out = append(out, fmt.Sprintf("%s leads to %s", f.path, f.real))
		}
	}
	if len(out) > 0 {
		where, _, _ := strings.Cut(out[0], " leads to ")
		o.add(where, lines(out))
	}
}

func (s *state) skillsTruncated(o *outcome) {
	if _, cut := s.skills(); len(cut) > 0 {
		o.add(cut[0], "not looked at wholly: "+named(cut))
	}
}
