package openclaw

import (
	"cmp"
	"fmt"
	"io/fs"
	"iter"
	"path"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/jsonl"
)

// Index returns the path of the agent's index of sessions: sessions.json, unless session.store names another. It need not exist.
func (a Agent) Index() string { return cmp.Or(a.Store, path.Join(a.Sessions, "sessions.json")) }

// keptElsewhere adds the places beside the usual ones at which OpenClaw keeps sessions: that of session.store, and those to which entries
// of an index lead. An agent has one entry for each of its places.
func (in *Installation) keptElsewhere(fsys fs.FS) []Gap {
	p := placer{in, map[string][]int{}, map[string][]string{}}
	for i, a := range in.Agents {
		p.byDatabase[a.Database] = append(p.byDatabase[a.Database], i)
	}
	gaps := p.storePlaces(fsys)
	known := in.sessionDirs()
	for _, a := range slices.Clone(in.Agents) {
		for file := range sessionFiles(fsys, a) {
			if dir := path.Dir(file); isSessionsDir(dir) && !known.hold(file) && exists(fsys, file) && !in.isShut(fsys, dir) {
				known[dir] = true
				p.addPlace(a, dir, "", path.Join(dir, databaseName))
			}
		}
	}
	return gaps
}

// A placer adds places to an installation. An index can name any number, and any number of agents share one, so that each is looked up and
// not searched for.
type placer struct {
	*Installation
	byDatabase map[string][]int    // which of Agents
	databases  map[string][]string // the names of those in a directory
}

// directories are absolute paths.
type directories map[string]bool

// hold reports that a file lies in one of them.
func (d directories) hold(file string) bool {
	for dir := path.Dir(file); ; dir = path.Dir(dir) {
		if d[dir] || len(dir) <= 1 {
			return d[dir]
		}
	}
}

func (in *Installation) sessionDirs() directories {
	d := directories{}
	for _, a := range in.Agents {
		d[a.Sessions] = true
	}
	return d
}

// isSessionsDir reports the form of an agent's sessions directory. OpenClaw reads what an index names in any of that form.
func isSessionsDir(dir string) bool {
	return path.Base(dir) == "sessions" && path.Base(path.Dir(path.Dir(dir))) == "agents"
}

// storePlaces adds where session.store leads. In a template every agent has a place of its own.
func (p *placer) storePlaces(fsys fs.FS) []Gap {
	template := p.Config.String("session", "store")
	if template == "" {
		return nil
	}
	found := false
	for _, a := range slices.Clone(p.Agents) {
		store := tilde(strings.ReplaceAll(template, "{agentId}", strings.ToLower(a.ID)), p.Home)
		if !path.IsAbs(store) || strings.Contains(store, "${") {
			return []Gap{{Path: p.ConfigPath, What: fmt.Sprintf("session.store is %.200q, of which it cannot be told where it leads; the sessions there were not read", template)}}
		}
		if dir := path.Dir(path.Clean(store)); exists(fsys, dir) && !p.isShut(fsys, dir) {
			found = true
			p.addStore(fsys, a, path.Clean(store))
		}
	}
	if !found {
		return []Gap{{Path: p.ConfigPath, What: fmt.Sprintf("session.store is %.200q, where nothing is; the sessions there were not read", template)}}
	}
	return nil
}

func (p *placer) addStore(fsys fs.FS, a Agent, store string) {
	index := store
	if path.Ext(store) == ".sqlite" {
		index = ""
	}
	databases := p.storeDatabases(fsys, store)
	if len(databases) == 0 {
		databases = []string{path.Join(path.Dir(store), databaseName)}
	}
	for _, database := range databases {
		p.addPlace(a, path.Dir(store), index, database)
	}
}

// addPlace adds a place of an agent's sessions. A database that is known already gets the sessions beside it, so that none is read twice.
func (p *placer) addPlace(a Agent, sessions, index, database string) {
	a.Sessions, a.Store, a.Dir, a.Database = sessions, index, path.Dir(database), database
	same := p.byDatabase[database]
	if slices.ContainsFunc(same, func(i int) bool { return p.Agents[i].Index() == a.Index() }) {
		return
	}
	switch {
	case len(same) == 0:
		p.byDatabase[database] = []int{len(p.Agents)}
		p.Agents = append(p.Agents, a)
	case p.Agents[same[0]].Dir == sessions && p.Agents[same[0]].Sessions != sessions: // the registry of agents named it
		p.Agents[same[0]].Sessions, p.Agents[same[0]].Store = sessions, index
	case database != namedFor(a.Index()): // several indexes share the place, and each is read
		p.addPlace(a, sessions, index, namedFor(a.Index()))
	}
}

// namedFor is the database that OpenClaw makes for a store of its own.
func namedFor(store string) string { return path.Join(path.Dir(store), storeStem(store)+".sqlite") }

// storeStem is what the names of a store's databases begin with.
func storeStem(store string) string {
	if path.Base(store) == "sessions.json" {
		return strings.TrimSuffix(databaseName, ".sqlite")
	}
	return strings.TrimSuffix(path.Base(store), path.Ext(store))
}

// storeDatabases are the databases that OpenClaw makes for a store since 2026.7.2: beside it and named for it, with the name of an agent
// where several share the place, and with a number where that was taken.
func (p *placer) storeDatabases(fsys fs.FS, store string) (files []string) {
	stem, dir := storeStem(store), path.Dir(store)
	for _, name := range p.databasesIn(fsys, dir) {
		rest, ok := strings.CutPrefix(name, stem+".")
		if ok && !strings.HasPrefix(rest, "sqlite.") {
			files = append(files, path.Join(dir, name))
		}
	}
	if isSessionsDir(dir) {
		files = append(files, path.Join(path.Dir(dir), "agent", databaseName))
	}
	return files
}

// databasesIn lists a directory's databases, once.
func (p *placer) databasesIn(fsys fs.FS, dir string) []string {
	names, known := p.databases[dir]
	if !known {
		entries, _ := fs.ReadDir(fsys, FSName(dir)) // what is wrong with the directory is told where its transcripts are listed
		for _, e := range entries {
			if path.Ext(e.Name()) == ".sqlite" {
				names = append(names, e.Name())
			}
		}
		p.databases[dir] = names
	}
	return names
}

// sessionFiles are the files that an agent's index names and the ids of their sessions. An index that cannot be read is told by
// [Installation.Sessions].
func sessionFiles(fsys fs.FS, a Agent) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		text, _ := readSmall(fsys, a.Index())
		var p jsonl.Parser
		p.Reset(text)
		for range p.Members() {
			m := flatten(p.Raw(), 1)
			file := strings.TrimSpace(m["sessionFile"])
			if file != "" && !path.IsAbs(file) {
				file = path.Join(a.Sessions, file)
			}
			if file != "" && !yield(path.Clean(file), m["sessionId"]) {
				return
			}
		}
	}
}

// named adds the files of a sessions directory that are transcripts because an index says so, whatever they are called.
func (l *lister) named(known directories, a Agent) {
	for file, session := range sessionFiles(l.fsys, a) {
		if l.listed[file] || !known.hold(file) {
			continue
		}
		info, err := fs.Lstat(l.fsys, FSName(file))
		switch {
		case err != nil:
			l.gaps = append(l.gaps, readGap(file, err)...)
		case !info.Mode().IsRegular():
			l.notRegular(file)
		default:
			l.add(file, a.ID, session, FormJSONL)
		}
	}
}
