package posture

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/collect"
	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

// Limits of a walk: entries in all, and of one directory. Somebody may have put millions of files there.
const (
	maxEntries   = 20_000
	maxDirectory = 5000
)

// walk calls fn for a directory and what is in it, down to depth more levels, sorted by name, and enters a directory
// if fn says so. Links are shown and not followed. What a limit cuts off is a gap.
func (s *state) walk(dir string, depth int, fn func(hostPath string, info fs.FileInfo) bool) {
	left := maxEntries
	var visit func(p string, depth int)
	visit = func(p string, depth int) {
		info, ok := s.lstat(p)
		if !ok || s.ctx.Err() != nil {
			return
		}
		if left--; left < 0 {
			return
		}
		if !fn(p, info) || !info.IsDir() {
			return
		}
		if depth == 0 {
			s.gap(p, "lies too deep; not looked at for the checks")
			return
		}
		for _, name := range s.names(p) {
			visit(path.Join(p, name), depth-1)
		}
	}
	visit(dir, depth)
	if left < 0 {
		s.gap(dir, fmt.Sprintf("holds more than %d files; the rest was not looked at for the checks", maxEntries))
	}
}

// names lists a directory, sorted, without taking more of it than the limit.
func (s *state) names(dir string) (names []string) {
	f, err := s.o.FS.Open(openclaw.FSName(dir))
	if err != nil {
		s.fail(dir, err)
		return nil
	}
	defer f.Close()
	d, ok := f.(fs.ReadDirFile)
	if !ok {
		return nil
	}
	for len(names) < maxDirectory {
		entries, err := d.ReadDir(256)
		for _, e := range entries {
			names = append(names, e.Name())
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				s.fail(dir, err)
			}
			slices.Sort(names)
			return names
		}
	}
	s.gap(dir, fmt.Sprintf("holds more than %d files; the rest was not looked at for the checks", maxDirectory))
	slices.Sort(names)
	return names
}

// A place is a file or directory of the installation that others should not reach.
type place struct {
	path   string
	kind   string // what it holds, in words
	copied bool   // an old copy: a backup, what a migration left
	dir    bool
	perm   fs.FileMode // of the file itself; of a link nothing
	link   string      // where a link leads; "" if it is none
	uid    int         // owner; -1 if unknown
	closed bool        // a directory above it keeps others out
}

// tree is the map of places that hold credentials or records, read once.
type tree struct{ places []place }

// kinds say what lies below the state directory. The first that fits counts.
var kinds = []struct {
	under, kind string
}{
	{"credentials", "channel credentials"},
	{"identity", "device keys"},
	{"devices", "paired devices"},
	{"nodes", "paired devices"},
	{"state", "the state database"},
	{"agents", "an agent's keys and conversations"},
	{"logs", "logs"},
	{"cron", "automations"},
	{"memory", "memory"},
	{"tasks", "tasks"},
	{"flows", "tasks"},
	{"subagents", "tasks"},
	{"matrix", "channel credentials"},
	{"service-env", "environment files"},
	{"session-sqlite-migration-runs", "records of a migration"},
	{"media", "received files"},
}

// single are files of the state directory itself.
var single = map[string]string{
	".env": "environment files", "gateway.systemd.env": "environment files", "node.systemd.env": "environment files",
	"exec-approvals.json": "approved commands", "rescue.json": "rescue settings", "secrets.json": "secrets", "config-journal-fingerprint.key": "a key",
}

// isCopy tells an old copy from its name.
func isCopy(name string) bool {
	for _, mark := range []string{".bak", ".last-good", ".migrated", ".rejected.", ".clobbered.", ".doctor-importing", ".imported-"} {
		if strings.Contains(name, mark) {
			return true
		}
	}
	return false
}

// places returns the map of credentials and records.
func (s *state) places() []place {
	if s.tree == nil {
		s.tree = &tree{}
		s.readPlaces()
	}
	return s.tree.places
}

func (s *state) readPlaces() {
	s.take(s.in.StateDir, "the state directory")
	s.take(s.in.ConfigPath, "the config")
	base := path.Base(s.in.ConfigPath)
	for _, name := range s.names(s.in.StateDir) {
		p := path.Join(s.in.StateDir, name)
		switch kind, known := single[name]; {
		case p == s.in.ConfigPath:
		case known:
			s.take(p, kind)
		case strings.HasPrefix(name, base+"."):
			s.take(p, "a copy of the config")
		case isCopy(name):
			s.take(p, "an old copy")
		}
	}
	if dir := path.Dir(s.in.ConfigPath); dir != s.in.StateDir && dir != "." {
		for _, name := range s.names(dir) {
			if strings.HasPrefix(name, base+".") {
				s.take(path.Join(dir, name), "a copy of the config")
			}
		}
	}
	for _, k := range kinds {
		s.walk(path.Join(s.in.StateDir, k.under), 8, func(p string, info fs.FileInfo) bool {
			s.add(p, k.kind, info)
			return path.Base(p) != ".git"
		})
	}
	if s.in.LogFile != "" && path.IsAbs(s.in.LogFile) {
		s.take(s.in.LogFile, "logs")
	}
}

func (s *state) take(hostPath, kind string) {
	if info, ok := s.lstat(hostPath); ok {
		s.add(hostPath, kind, info)
	}
}

func (s *state) add(hostPath, kind string, info fs.FileInfo) {
	p := place{path: hostPath, kind: kind, copied: isCopy(path.Base(hostPath)), dir: info.IsDir(), perm: info.Mode().Perm(), uid: owner(info)}
	if info.Mode()&fs.ModeSymlink != 0 {
		p.link = s.link(hostPath)
	}
	p.closed = s.closed(hostPath)
	s.tree.places = append(s.tree.places, p)
}

// closed reports that a directory between the state directory and the file keeps everybody else out.
func (s *state) closed(hostPath string) bool {
	if !openclaw.Within(hostPath, s.in.StateDir) || hostPath == path.Clean(s.in.StateDir) {
		return false
	}
	for dir := path.Dir(hostPath); openclaw.Within(dir, s.in.StateDir); dir = path.Dir(dir) {
		shut, known := s.shut[dir]
		if !known {
			info, err := fs.Lstat(s.o.FS, openclaw.FSName(dir))
			shut = err == nil && info.IsDir() && info.Mode().Perm()&0o077 == 0
			s.shut[dir] = shut
		}
		if shut {
			return true
		}
		if dir == "/" {
			break
		}
	}
	return false
}

func (s *state) isLink(hostPath string) bool {
	info, ok := s.lstat(hostPath)
	return ok && info.Mode()&fs.ModeSymlink != 0
}

// link returns where a link leads, as written.
func (s *state) link(hostPath string) string {
	target, err := fs.ReadLink(s.o.FS, openclaw.FSName(hostPath))
	if err != nil || target == "" {
		return "?"
	}
	return target
}

// owner is the numeric id of the account a file belongs to, -1 where the evidence does not tell.
func owner(info fs.FileInfo) int {
	switch sys := info.Sys().(type) {
	case nil:
		return -1
	case *collect.Row:
		if sys == nil {
			return -1
		}
		return int(sys.UID)
	default:
		if m := host.Meta(info); m.Inode != 0 {
			return int(m.UID)
		}
	}
	return -1
}

// real follows the links of a path.
func (s *state) real(hostPath string) string { return openclaw.RealPath(s.o.FS, path.Clean(hostPath)) }

// A skillFile is a SKILL.md of a workspace: where it stands, and where it really lies.
type skillFile struct{ workspace, path, real string }

// Limits of the search for skills, as in OpenClaw's audit.
const (
	maxSkills    = 2000
	maxSkillDirs = 40_000
)

// skills lists the skills below the workspaces, links to directories followed as OpenClaw does, each directory once.
func (s *state) skills() (found []skillFile, truncated []string) {
	if s.skillsRead {
		return s.skillFiles, s.skillsCut
	}
	s.skillsRead = true
	for _, workspace := range s.workspaces() {
		files, whole := s.skillsOf(workspace)
		s.skillFiles = append(s.skillFiles, files...)
		if !whole {
			s.skillsCut = append(s.skillsCut, workspace)
		}
	}
	return s.skillFiles, s.skillsCut
}

func (s *state) skillsOf(workspace string) (files []skillFile, whole bool) {
	queue, seen := []string{path.Join(workspace, "skills")}, map[string]bool{}
	if info, ok := s.lstat(queue[0]); !ok || !info.IsDir() {
		return nil, true
	}
	for visits := 0; len(queue) > 0 && len(files) < maxSkills && visits < maxSkillDirs && s.ctx.Err() == nil; visits++ {
		dir := queue[0]
		queue = queue[1:]
		if seen[s.real(dir)] {
			continue
		}
		seen[s.real(dir)] = true
		for _, name := range s.names(dir) {
			p := path.Join(dir, name)
			if strings.HasPrefix(name, ".") || name == "node_modules" {
				continue
			}
			info, err := fs.Stat(s.o.FS, openclaw.FSName(p))
			switch {
			case err != nil:
				if name == "SKILL.md" && s.isLink(p) { // it leads to what is not part of the evidence: outside, most likely
					files = append(files, skillFile{workspace, p, s.real(p)})
				}
			case info.IsDir():
				queue = append(queue, p)
			case info.Mode().IsRegular() && name == "SKILL.md":
				files = append(files, skillFile{workspace, p, s.real(p)})
			}
		}
	}
	return files, len(queue) == 0
}

func (s *state) workspaces() (dirs []string) {
	for _, a := range s.in.Agents {
		dirs = append(dirs, a.Workspace)
	}
	return sortedUnique(dirs)
}

// skillRoots are the directories of all skills that can be changed: of the workspaces, and those installed.
func (s *state) skillRoots() (dirs []string) {
	files, _ := s.skills()
	for _, f := range files {
		dirs = append(dirs, path.Dir(f.path))
	}
	installed := path.Join(s.in.StateDir, "skills")
	for _, name := range s.names(installed) {
		if _, ok := s.lstat(path.Join(installed, name, "SKILL.md")); ok {
			dirs = append(dirs, path.Join(installed, name))
		}
	}
	return dirs
}
