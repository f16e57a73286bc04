package integrity

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

// A modeFault is one way in which files stand open.
type modeFault struct {
	title string
	files []string
}

// maxModes bounds how many files are looked at.
const maxModes = 200_000

// modes looks at the owners and modes of the records and secrets: who else could have changed or read them.
func (c *checker) modes() {
	m := modeCheck{c: c}
	state, err := fs.Lstat(c.fsys, openclaw.FSName(c.in.StateDir))
	if err != nil {
		c.gap(openclaw.Gap{Path: c.in.StateDir, What: openclaw.Cause(err)})
		return
	}
	m.uid, m.knowsOwner = owner(state)
	for _, file := range c.recordFiles() {
		m.look(file)
	}
	if !m.knowsOwner {
		c.rep.undecided("INT-011", "owners: the evidence does not hold them")
	}
	for i, f := range m.faults() {
		if len(f.files) == 0 {
			continue
		}
		slices.Sort(f.files)
		level := medium
		if i == 0 {
			level = high
		}
		c.add(Finding{
			Check: "INT-011", Level: level, Title: f.title, Path: f.files[0], Detail: fmt.Sprintf("%d files or directories", len(f.files)), Evidence: listed(f.files),
			Benign: "containers that share a group, or a restore that did not keep modes",
		})
	}
}

type modeCheck struct {
	c                                        *checker
	uid                                      uint32
	knowsOwner                               bool
	looked                                   int
	open, writable, readable, foreign, links []string
}

func (m *modeCheck) faults() []modeFault {
	return []modeFault{
		{"records can be changed by every account", m.open},
		{"records can be changed by accounts of their group", m.writable},
		{"records can be read by other accounts", m.readable},
		{"records belong to another account than the state directory", m.foreign},
		{"records are links", m.links},
	}
}

// owner tells who owns a file, from the inode or from what a bundle recorded of it.
func owner(fi fs.FileInfo) (uid uint32, ok bool) {
	if row, isRow := fi.Sys().(interface{ Owner() (uint32, bool) }); isRow {
		return row.Owner()
	}
	if m := host.Meta(fi); m.Allocated >= 0 || m.Inode != 0 {
		return m.UID, true
	}
	return 0, false
}

// recordFiles are the paths whose modes matter: the state directory, the config and its copies, credentials,
// databases and transcripts.
func (c *checker) recordFiles() (files []string) {
	files = append(files, c.in.StateDir, c.in.ConfigPath, path.Join(c.in.StateDir, ".env"))
	files = append(files, c.below(path.Dir(c.in.ConfigPath), 0, func(name string) bool { return strings.HasPrefix(name, path.Base(c.in.ConfigPath)+".") })...)
	for _, dir := range []string{"credentials", "state", "identity", "devices"} {
		files = append(files, c.below(path.Join(c.in.StateDir, dir), 2, func(string) bool { return true })...)
	}
	for _, name := range []string{"exec-approvals.json", "config-journal-fingerprint.key"} {
		files = append(files, path.Join(c.in.StateDir, name))
	}
	for _, a := range c.in.Agents {
		files = append(files, c.below(a.Dir, 0, func(name string) bool {
			return strings.HasPrefix(name, "auth-profiles") || strings.Contains(name, ".sqlite")
		})...)
		files = append(files, c.below(a.Sessions, 1, func(name string) bool { return strings.Contains(name, ".json") })...)
	}
	slices.Sort(files)
	return slices.Compact(files)
}

// below lists the files of a directory that are wanted.
func (c *checker) below(dir string, depth int, want func(string) bool) (files []string) {
	entries, err := fs.ReadDir(c.fsys, openclaw.FSName(dir))
	if err != nil && !openclaw.IsAbsent(err) {
		c.gap(openclaw.Gap{Path: dir, What: openclaw.Cause(err)})
	}
	for _, e := range entries {
		file := path.Join(dir, e.Name())
		if e.IsDir() && depth > 0 {
			files = append(files, c.below(file, depth-1, want)...)
		} else if !e.IsDir() && want(e.Name()) {
			files = append(files, file)
		}
	}
	return files
}

func (m *modeCheck) look(file string) {
	if m.looked++; m.looked > maxModes {
		m.c.rep.undecided("INT-011", fmt.Sprintf("only the first %d files were looked at", maxModes))
		return
	}
	fi, err := fs.Lstat(m.c.fsys, openclaw.FSName(file))
	if err != nil {
		return
	}
	m.c.count("INT-011", 1)
	switch mode := fi.Mode(); {
	case mode&fs.ModeSymlink != 0:
		m.links = append(m.links, file)
		return
	case mode.Perm()&0o002 != 0:
		m.open = append(m.open, file)
	case mode.Perm()&0o020 != 0:
		m.writable = append(m.writable, file)
	case mode.Perm()&0o044 != 0:
		m.readable = append(m.readable, file)
	}
	if uid, ok := owner(fi); ok && m.knowsOwner && uid != m.uid {
		m.foreign = append(m.foreign, file)
	}
}
