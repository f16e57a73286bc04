package openclaw

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/product"
)

// FindOptions narrow and widen the search.
type FindOptions struct {
	UID       int      // search only this account's home and processes; -1 or 0 searches every account
	StateDirs []string // state directories to take besides, absolute paths on the host
}

// A candidate is a state directory that something points to.
type candidate struct {
	stateDir, configPath, profile, by string
	user                              User
	tmp                               string // directory for temporary files; "" if nobody set it
	workspace                         string // of the agent that uses the defaults; "" if nobody set it
	unit                              *Unit
	namer                             int // the user who points there, 0 also where what lies there tells whose it is, -1 if not known
}

// Find returns the installations of a host, ordered by state directory, and what stood in the way of finding
// more. It looks into every home (default, named profiles, the former names), into the service definitions
// and into the environments of running processes.
func Find(fsys fs.FS, o FindOptions) ([]*Installation, []Gap) {
	users, gaps := Users(fsys)
	if o.UID > 0 {
		// An account that etc/passwd does not list (LDAP) has no known id: it may be the one.
		users = slices.DeleteFunc(users, func(u User) bool { return u.UID != o.UID && u.UID >= 0 })
	}
	var cands []candidate
	for _, u := range users {
		c, err := inHome(fsys, u)
		cands = append(cands, c...)
		if o.UID <= 0 || u.UID >= 0 || !errors.Is(err, fs.ErrPermission) { // another account's home is no gap of ours
			for _, g := range readGap(u.Home, err) {
				g.Unknown = true
				gaps = append(gaps, g)
			}
		}
	}
	found, g := units(fsys, users)
	gaps = append(gaps, g...)
	for _, u := range found {
		cands = append(cands, fromUnit(fsys, u, users, o.UID <= 0)...)
	}
	cands = append(cands, fromProcesses(fsys, users)...)
	for _, dir := range o.StateDirs {
		cands = append(cands, candidate{stateDir: path.Clean(dir), by: "given", user: ownerOf(dir, users)})
	}
	f := finder{fsys: fsys, byDir: map[string]*Installation{}}
	var strange []candidate
	for _, c := range cands {
		if f.isOwn(c) {
			f.take(c, true)
		} else {
			strange = append(strange, c)
		}
	}
	for _, c := range strange { // whose it is has said what belongs to it
		f.take(c, false)
	}
	installs := slices.SortedFunc(maps.Values(f.byDir), func(a, b *Installation) int { return strings.Compare(a.StateDir, b.StateDir) })
	for _, in := range installs {
		gaps = append(gaps, in.read(fsys)...)
	}
	return installs, append(gaps, f.gaps...)
}

// inHome finds the state directories that OpenClaw and its former names use in a home by default:
// ~/.openclaw, ~/.openclaw-<profile>, ~/.clawdbot, ~/.moltbot.
// Links come last: the installation is named for its directory, not for a link to it.
func inHome(fsys fs.FS, u User) (cands []candidate, err error) {
	if u.Home == "/dev/null" { // which says that an account has none
		return nil, nil
	}
	entries, err := fs.ReadDir(fsys, FSName(u.Home))
	slices.SortStableFunc(entries, func(a, b fs.DirEntry) int { return cmp.Compare(a.Type()&fs.ModeSymlink, b.Type()&fs.ModeSymlink) })
	for _, e := range entries {
		profile, ok := stateDirName(e.Name())
		if ok && (profile == "" || mayBeDir(fsys, path.Join(u.Home, e.Name()))) {
			cands = append(cands, candidate{stateDir: path.Join(u.Home, e.Name()), profile: profile, by: "home", user: u})
		}
	}
	return cands, err
}

func stateDirName(name string) (profile string, ok bool) {
	for _, base := range []string{".openclaw", ".clawdbot", ".moltbot"} {
		if name == base {
			return "", true
		}
		if p, cut := strings.CutPrefix(name, base+"-"); cut && p != "" {
			return p, true
		}
	}
	return "", false
}

// fromUnit returns where a service definition's installation is, for each account of users that it runs as. With
// all, accounts that are not among users count too.
func fromUnit(fsys fs.FS, u Unit, users []User, all bool) (cands []candidate) {
	for _, m := range u.managers(users) {
		env := u.environment(fsys, m.Home, m.Name)
		runner, known := m, slices.Contains(users, m)
		for _, v := range users {
			if u.RunAs != "" && (v.Name == u.RunAs || strconv.Itoa(v.UID) == u.RunAs) || u.RunAs == "" && u.User == "" && v.Home == env["HOME"] {
				runner, known = v, true
			}
		}
		if !known && !all {
			continue
		}
		c := locate(fsys, env, runner)
		c.by, c.unit, c.namer = "unit "+u.Path, &u, u.namer(fsys, m, users)
		cands = append(cands, c)
	}
	return cands
}

// locate follows OpenClaw's own order: OPENCLAW_STATE_DIR, else the profile's directory in OPENCLAW_HOME or HOME,
// which if it is not there is that of the former name.
func locate(fsys fs.FS, env map[string]string, user User) candidate {
	home := user.Home
	for _, name := range []string{"HOME", "OPENCLAW_HOME"} {
		if h := tilde(set(env[name]), home); path.IsAbs(h) {
			home = path.Clean(h)
		}
	}
	c := candidate{profile: set(env["OPENCLAW_PROFILE"]), user: user, tmp: env[tmpVariable]}
	c.workspace = tilde(set(env["OPENCLAW_WORKSPACE_DIR"]), home)
	if c.user.Home == "" {
		c.user.Home = home
	}
	switch dir := tilde(set(env["OPENCLAW_STATE_DIR"]), home); {
	case path.IsAbs(dir):
		c.stateDir = path.Clean(dir)
	case home != "" && c.profile != "" && c.profile != "default" && !strings.Contains(c.profile, "/"):
		c.stateDir = path.Join(home, ".openclaw-"+c.profile)
	case home != "":
		c.stateDir = path.Join(home, ".openclaw")
		if former := path.Join(home, ".clawdbot"); !mayBeDir(fsys, c.stateDir) && isDir(fsys, former) {
			c.stateDir = former
		}
	}
	if config := tilde(set(env["OPENCLAW_CONFIG_PATH"]), home); path.IsAbs(config) {
		c.configPath = path.Clean(config)
	}
	return c
}

// set returns a variable's value as OpenClaw takes it: blank and what JavaScript makes of nothing are none.
func set(value string) string {
	if value = strings.TrimSpace(value); value == "undefined" || value == "null" {
		return ""
	}
	return value
}

func tilde(p, home string) string {
	if p == "~" || strings.HasPrefix(p, "~/") {
		return home + p[1:]
	}
	return p
}

// fromProcesses reads the environments of processes that carry OpenClaw's variables. Another account's are
// unreadable without root, which is no gap: such a process runs on a home that is not ours to search either.
func fromProcesses(fsys fs.FS, users []User) (cands []candidate) {
	entries, _ := fs.ReadDir(fsys, "proc")
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		text, _ := readSmall(fsys, "/proc/"+e.Name()+"/environ")
		env, ours := map[string]string{}, false
		for pair := range strings.SplitSeq(string(text), "\x00") {
			name, value, ok := strings.Cut(pair, "=")
			if ok && slices.Contains(locating, name) {
				env[name] = value
			}
			ours = ours || name == "OPENCLAW_SERVICE_KIND" || ok && strings.HasPrefix(name, "OPENCLAW_") && slices.Contains(locating, name)
		}
		if !ours {
			continue
		}
		c := locate(fsys, env, ownerByHome(env["HOME"], users))
		c.by, c.namer = "process "+e.Name(), startedBy(fsys, "/proc/"+e.Name())
		cands = append(cands, c)
	}
	return cands
}

// startedBy is the user who started a process, -1 if that is not known. A program that is set-user-ID becomes root by itself, with the
// environment that somebody else gave it: only the auxiliary vector tells that (getauxval(3)).
func startedBy(fsys fs.FS, dir string) int {
	status, _ := readSmall(fsys, dir+"/status")
	_, ids, _ := strings.Cut(string(status), "\nUid:")
	var uid int
	if _, err := fmt.Sscan(ids, &uid); err != nil {
		return -1
	}
	const word, atUID = 8, 11
	if text, _ := readSmall(fsys, dir+"/auxv"); uid == 0 {
		for pair := range slices.Chunk(text, 2*word) {
			if len(pair) == 2*word && binary.NativeEndian.Uint64(pair) == atUID {
				return int(binary.NativeEndian.Uint64(pair[word:]))
			}
		}
		return -1
	}
	return uid
}

func ownerByHome(home string, users []User) User {
	for _, u := range users {
		if u.Home == home && home != "" {
			return u
		}
	}
	return User{}
}

// ownerOf returns the account whose home holds a directory; of nested homes the innermost counts.
func ownerOf(dir string, users []User) (owner User) {
	for _, u := range users {
		if u.Home != "/" && strings.HasPrefix(dir, u.Home+"/") && len(u.Home) > len(owner.Home) {
			owner = u
		}
	}
	return owner
}

type finder struct {
	fsys  fs.FS
	byDir map[string]*Installation
	infos []fs.FileInfo
	dirs  []string
	gaps  []Gap
}

// isOwn says whether a directory is that of the user who points there, as far as can be told, or root does. Every user can start a process, or
// write a unit, that names as its state what belongs to somebody else.
func (f *finder) isOwn(c candidate) bool {
	info, err := fs.Stat(f.fsys, FSName(c.stateDir))
	if err != nil || c.namer == 0 {
		return true
	}
	st, known := info.Sys().(*syscall.Stat_t)
	return !known || int64(st.Uid) == int64(c.namer)
}

// take adds a candidate to the installation of its directory. Two names of one directory (a former name is
// often a link to the new one) are one installation. What is not its own a candidate does not make an installation, since it may be anything
// that root alone may read, and it moves nothing there.
func (f *finder) take(c candidate, own bool) {
	if c.stateDir == "" {
		return
	}
	info, err := fs.Stat(f.fsys, FSName(c.stateDir))
	switch {
	case err == nil && info.IsDir():
	case c.by == "given" && (err == nil || IsAbsent(err)):
		f.gaps = append(f.gaps, Gap{Path: c.stateDir, What: "given as a state directory, but not there"})
		return
	case c.by == "home" && (err == nil || IsAbsent(err)): // its name was there a moment ago
		f.gaps = append(f.gaps, Gap{Path: c.stateDir, What: "has a state directory's name, and is no directory nor leads to one", Unknown: true})
		return
	default:
		f.gaps = append(f.gaps, readGap(c.stateDir, err)...)
		return
	}
	if !looksLikeState(f.fsys, c.stateDir) && c.by == "home" {
		return
	}
	real := RealPath(f.fsys, c.stateDir)
	in := f.known(c, real, info)
	if in == nil && !own {
		f.gaps = append(f.gaps, Gap{Path: c.stateDir, Unknown: true, What: fmt.Sprintf("belongs to another user than %s, which alone names it: neither read nor changed; --state-dir %s says that it is OpenClaw's all the same",
			c.by, console.ShellWord(c.stateDir))})
		return
	}
	if in == nil {
		in = f.installation(c, real, info)
	}
	if !slices.Contains(in.FoundBy, c.by) {
		in.FoundBy = append(in.FoundBy, c.by)
	}
	if c.configPath != "" && c.configPath != in.ConfigPath && (in.ConfigPath != "" || !own) {
		in.note(fmt.Sprintf("%s names another config than the one read: %s", c.by, c.configPath))
		if own && !slices.Contains(in.Others, c.configPath) {
			in.Others = append(in.Others, c.configPath)
		}
	} else if c.configPath != "" {
		in.ConfigPath = c.configPath
	}
	if own {
		in.set(c)
	}
	if c.unit != nil && !slices.ContainsFunc(in.Units, func(u Unit) bool { return u.Path == c.unit.Path }) {
		in.Units = append(in.Units, *c.unit)
	}
}

// set takes what a candidate's environment says beside where the state is.
func (in *Installation) set(c candidate) {
	in.Profile, in.WorkspaceDir = cmp.Or(c.profile, in.Profile), cmp.Or(c.workspace, in.WorkspaceDir)
	if !slices.Contains(in.TmpDirs, c.tmp) {
		in.TmpDirs = append(in.TmpDirs, c.tmp)
	}
}

// known returns the installation of a candidate's directory, nil if there is none yet.
func (f *finder) known(c candidate, real string, info fs.FileInfo) *Installation {
	for i, known := range f.infos { // the same file is one mounted twice
		if f.dirs[i] == real || os.SameFile(known, info) {
			in := f.byDir[f.dirs[i]]
			if in.StateDir != c.stateDir {
				in.note(fmt.Sprintf("%s is another name of %s", c.stateDir, in.StateDir))
			}
			return in
		}
	}
	return nil
}

func (f *finder) installation(c candidate, real string, info fs.FileInfo) *Installation {
	in := &Installation{User: c.user.Name, Home: c.user.Home, StateDir: c.stateDir}
	f.byDir[real] = in
	f.infos, f.dirs = append(f.infos, info), append(f.dirs, real)
	return in
}

// maxShut bounds how many places are told that the agent may not call its own.
const maxShut = 1000

// isShut says, and notes as a gap, that what the agent says is its own, in its configuration or a database, is such as its user may not read:
// it is root's or another user's, and no evidence of what the agent did.
func (in *Installation) isShut(fsys fs.FS, place string) bool {
	root, ok := fsys.(interface {
		MayRead(who host.Owner, name string) error
	})
	if !ok { // a bundle: what was shut is not in it
		return false
	}
	if len(in.Shut) > maxShut || slices.ContainsFunc(in.Shut, func(g Gap) bool { return g.Path == place }) {
		return true
	}
	agents := in.RunsAs(fsys)
	if len(agents) == 0 {
		return false
	}
	for _, who := range agents {
		if !errors.Is(root.MayRead(who, FSName(place)), host.ErrNotTrusted) {
			return false
		}
	}
	why := fmt.Sprintf("the agent says that it is its own, and user %d may not read it: not read", agents[0].UID)
	if len(in.Shut) == maxShut {
		why += ", nor what else the agent says is its own"
	}
	in.Shut = append(in.Shut, Gap{Path: place, Unknown: true, What: why})
	return true
}

// RunsAs are the user who owns the state directory, as whom the agent acts, with each of the user's groups. None if it cannot be looked at.
func (in *Installation) RunsAs(fsys fs.FS) (users []host.Owner) {
	info, err := fs.Stat(fsys, FSName(in.StateDir))
	if err != nil {
		return nil
	}
	m := host.Meta(info)
	for _, gid := range append([]uint32{m.GID}, groupsOf(fsys, in.User)...) {
		users = append(users, host.Owner{UID: m.UID, GID: gid})
	}
	return users
}

func (in *Installation) note(text string) {
	if !slices.Contains(in.Notes, text) {
		in.Notes = append(in.Notes, text)
	}
}

// configNames are the config's file names, newest first.
var configNames = []string{"openclaw.json", "clawdbot.json", "moltbot.json"}

// looksLikeState tells a state directory from another that happens to bear its name.
func looksLikeState(fsys fs.FS, dir string) bool {
	for _, name := range append(slices.Clone(configNames), "agents", "state", "credentials", "sessions", "workspace", "logs") {
		if exists(fsys, path.Join(dir, name)) {
			return true
		}
	}
	return false
}

// ownConfig is the config that a gateway starts with by itself.
func (in *Installation) ownConfig(fsys fs.FS) string {
	for _, name := range configNames {
		if file := path.Join(in.StateDir, name); exists(fsys, file) {
			return file
		}
	}
	return path.Join(in.StateDir, configNames[0])
}

// read fills in what the state directory itself tells.
func (in *Installation) read(fsys fs.FS) []Gap {
	own := in.ownConfig(fsys)
	if in.ConfigPath == "" {
		in.ConfigPath = own
	} else if RealPath(fsys, own) != RealPath(fsys, in.ConfigPath) && exists(fsys, own) && !slices.Contains(in.Others, own) {
		in.Others = append(in.Others, own)
	}
	config, gaps := LoadConfig(fsys, in.ConfigPath)
	in.Config = config
	gaps = append(gaps, in.findAgents(fsys)...)
	in.findVersion(fsys)
	in.Era = in.era(fsys)
	in.findPort()
	gaps = append(gaps, in.findLogs(fsys)...)
	gaps = append(gaps, in.findLoads(fsys)...)
	gaps = append(gaps, in.Shut...)
	if in.Version == "" {
		in.note("its release could not be told")
	} else if newer(in.Version, NewestKnown) {
		in.note(fmt.Sprintf("release %s is newer than %s, the newest this tool knows; it is read as far as it is alike", in.Version, NewestKnown))
	}
	return gaps
}

// findAgents takes the agents of the config, those that have a directory, and those of the registry in the state
// database: one that was removed from the config may have kept its records elsewhere.
func (in *Installation) findAgents(fsys fs.FS) []Gap {
	configured := in.Config.agents()
	ids := slices.Collect(maps.Keys(configured))
	seen := map[string]bool{}
	gaps := in.linked(fsys, in.StateDB(), seen)
	entries, _ := fs.ReadDir(fsys, FSName(path.Join(in.StateDir, "agents")))
	for _, e := range entries {
		dir := path.Join(in.StateDir, "agents", e.Name())
		if mayBeDir(fsys, dir) {
			ids = append(ids, e.Name())
		} else {
			gaps = append(gaps, in.linked(fsys, dir, seen)...)
		}
	}
	if len(ids) == 0 {
		ids = []string{"main"}
	}
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		a := in.agent(fsys, id, configured[id])
		in.Agents = append(in.Agents, a)
		gaps = append(gaps, append(in.linked(fsys, a.Sessions, seen), in.linked(fsys, a.Database, seen)...)...)
	}
	gaps = append(gaps, in.registeredAgents(fsys)...)
	return append(gaps, in.keptElsewhere(fsys)...)
}

// linked notes that a place of records, or a directory of the state directory on the way there, is a link: whoever put it there chose what
// is read. One that leads nowhere must not pass for an agent without records. Each is told once, as seen has it.
func (in *Installation) linked(fsys fs.FS, place string, seen map[string]bool) (gaps []Gap) {
	for at := place; !seen[at] && (at == place || at != in.StateDir && Within(at, in.StateDir)); at = path.Dir(at) {
		seen[at] = true
		target, err := fs.ReadLink(fsys, FSName(at))
		if err != nil {
			continue
		}
		if _, err := fs.Stat(fsys, FSName(at)); err == nil {
			in.note(fmt.Sprintf("%q is a link to %q, which OpenClaw never makes; what is there was read", at, target))
		} else {
			gaps = append(gaps, Gap{Path: at, What: fmt.Sprintf("is a link to %q, where nothing can be read", target)})
		}
	}
	return gaps
}

func (in *Installation) registeredAgents(fsys fs.FS) []Gap {
	_, err := OpenDatabaseFunc(fsys, in.StateDB(), func(d *Database) error {
		if !d.Has("agent_databases", "agent_id", "path") {
			return nil
		}
		for row, err := range d.Query(context.Background(), "SELECT agent_id, path FROM agent_databases") {
			if err != nil {
				return err
			}
			in.register(fsys, string(row.Text(0)), string(row.Text(1)))
		}
		return nil
	})
	if err != nil {
		return []Gap{{Path: in.StateDB(), What: "reading the registry of agents: " + err.Error()}}
	}
	return nil
}

// register adds an agent whose database is there and not known yet. In a copied state directory the paths name the
// host it came from.
func (in *Installation) register(fsys fs.FS, id, database string) {
	if !path.IsAbs(database) {
		database = path.Join(in.StateDir, database)
	}
	database = path.Clean(database)
	if slices.ContainsFunc(in.Agents, func(a Agent) bool { return a.Database == database }) || !exists(fsys, database) || in.isShut(fsys, database) {
		return
	}
	a := in.agent(fsys, id, nil)
	a.Dir, a.Database = path.Dir(database), database
	in.Agents = append(in.Agents, a)
}

// databaseName is an agent's database.
const databaseName = "openclaw-agent.sqlite"

// agent tells where an agent's things lie. The config's own places count only where they exist: in a copied state
// directory they name the host it came from.
func (in *Installation) agent(fsys fs.FS, id string, conf map[string]any) Agent {
	place := func(fallback string, configured ...string) string {
		for _, dir := range configured {
			if dir = tilde(dir, in.Home); path.IsAbs(dir) && exists(fsys, dir) && !in.isShut(fsys, path.Clean(dir)) {
				return path.Clean(dir)
			}
		}
		return fallback
	}
	base := path.Join(in.StateDir, "agents", path.Base(path.Clean("/"+id)))
	dir, _ := conf["agentDir"].(string)
	workspace, _ := conf["workspace"].(string)
	a := Agent{ID: id, Dir: place(path.Join(base, "agent"), dir), Sessions: path.Join(base, "sessions")}
	a.Database = path.Join(a.Dir, databaseName)
	shared, own := in.Config.String("agents", "defaults", "workspace"), "workspace-"+id
	switch {
	case in.usesDefaults(id):
		a.Workspace = place(path.Join(in.StateDir, "workspace"), workspace, shared, in.WorkspaceDir)
	case id == "main": // as which the only agent began
		a.Workspace = place(path.Join(in.StateDir, "workspace"), workspace)
	default:
		a.Workspace = place(path.Join(in.StateDir, own), workspace, path.Join(shared, id))
	}
	return a
}

// usesDefaults reports the agent whose workspace is the one of all agents' defaults: the only one, main where none is configured, and before
// 2026.8 of several the one that is marked or comes first.
func (in *Installation) usesDefaults(id string) bool {
	configured := in.Config.agents()
	if len(configured) == 0 {
		return id == "main"
	}
	for only := range configured {
		if len(configured) == 1 {
			return strings.EqualFold(only, id)
		}
	}
	list, _ := in.Config.Get("agents", "list").([]any)
	if in.Config.Get("agents", "entries") != nil {
		return false
	}
	chosen := ""
	for _, v := range list {
		m, _ := v.(map[string]any)
		marked, _ := m["default"].(bool)
		if name, _ := m["id"].(string); name != "" && (chosen == "" || marked) {
			if chosen = name; marked {
				break
			}
		}
	}
	return strings.EqualFold(chosen, id)
}

// findVersion asks, in order, the running service's definition, its package and the last writer of the config.
func (in *Installation) findVersion(fsys fs.FS) {
	for _, u := range in.Units {
		if v := packageVersion(fsys, u.Exec); v != "" {
			in.Version, in.VersionFrom = v, "package of "+u.Path
			return
		}
	}
	for _, p := range [][]string{{"meta", "lastTouchedVersion"}, {"wizard", "lastRunVersion"}} {
		if v := in.Config.String(p...); v != "" {
			in.Version, in.VersionFrom = v, strings.Join(p, ".")+" of "+in.ConfigPath
			return
		}
	}
	for _, file := range append([]string{in.StateDB()}, in.databases()...) {
		if v := databaseVersion(fsys, file); v != "" {
			in.Version, in.VersionFrom = v, "schema_meta of "+file
			return
		}
	}
}

func (in *Installation) databases() (files []string) {
	for _, a := range in.Agents {
		files = append(files, a.Database)
	}
	return files
}

// databaseVersion reads which release made a database (since 2026.7). What is wrong with the database is told where
// its rows are read.
func databaseVersion(fsys fs.FS, file string) (version string) {
	_, _ = OpenDatabaseFunc(fsys, file, func(d *Database) error {
		if !d.Has("schema_meta", "app_version") {
			return nil
		}
		for row, err := range d.Query(context.Background(), "SELECT app_version FROM schema_meta WHERE app_version IS NOT NULL") {
			if err != nil {
				return err
			}
			version, _, _ = strings.Cut(string(row.Text(0)), "\n") // a build's identity follows
		}
		return nil
	})
	return version
}

// packageVersion reads package.json beside the dist/ that an ExecStart runs.
func packageVersion(fsys fs.FS, exec string) string {
	for _, word := range splitQuoted(exec) {
		i := strings.LastIndex(word, "/openclaw/dist/")
		if i < 0 || !path.IsAbs(word) {
			continue
		}
		c, _ := LoadConfig(fsys, word[:i]+"/openclaw/package.json")
		return c.String("version")
	}
	return ""
}

func (in *Installation) findPort() {
	if p, ok := in.Config.Get("gateway", "port").(float64); ok && p > 0 && p < 65536 {
		in.Port = int(p)
	}
	for _, u := range in.Units {
		if p, err := strconv.Atoi(u.Env["OPENCLAW_GATEWAY_PORT"]); err == nil && p > 0 && p < 65536 {
			in.Port = p
		}
	}
	if in.Port == 0 && in.Profile == "" {
		in.Port = 18789 // the default (FACTS 1)
	}
}

// findLogs says where the rolling logs lie: /tmp/openclaw, and where that was unsafe openclaw-<uid> in the directory for temporary files.
func (in *Installation) findLogs(fsys fs.FS) (gaps []Gap) {
	in.LogFile = tilde(in.Config.String("logging", "file"), in.Home)
	if in.LogFile != "" && (!path.IsAbs(in.LogFile) || strings.Contains(in.LogFile, "${")) {
		gaps = append(gaps, Gap{Path: in.ConfigPath, What: fmt.Sprintf("logging.file is %.200q, of which it cannot be told where it leads; the log there was not read", in.LogFile)})
	} else if in.LogFile != "" && in.isShut(fsys, path.Clean(in.LogFile)) {
		in.LogFile = ""
	}
	in.LogDirs = []string{"/tmp/openclaw"}
	usual := []string{"/tmp", path.Join(in.Home, "tmp"), path.Join(in.Home, ".tmp")}
	for _, tmp := range append(usual, in.tmpDirs(fsys)...) {
		named := !slices.Contains(usual, path.Clean(tmp)) // by the agent, which may mean a directory that is another's
		entries, _ := fs.ReadDir(fsys, FSName(tmp))
		for _, e := range entries {
			dir := path.Join(tmp, e.Name())
			if product.Mentions(e.Name()) && mayBeDir(fsys, dir) && !(named && in.isShut(fsys, dir)) {
				in.LogDirs = append(in.LogDirs, dir)
			}
		}
	}
	slices.Sort(in.LogDirs)
	in.LogDirs = slices.Compact(in.LogDirs)
	return gaps
}

// findLoads takes the directories that the config adds to those of skills, hooks and plugins, and the skills of the account for every
// assistant. A relative one begins where the gateway was started, which nothing tells.
func (in *Installation) findLoads(fsys fs.FS) (gaps []Gap) {
	add := func(kind string, dirs ...string) {
		for _, dir := range dirs {
			switch dir = tilde(strings.TrimSpace(dir), in.Home); {
			case dir == "":
			case !path.IsAbs(dir):
				gaps = append(gaps, Gap{Path: in.ConfigPath, What: fmt.Sprintf("loads each %s in %q, seen from where the gateway was started: not looked at", kind, dir)})
			case exists(fsys, dir) && !in.isShut(fsys, path.Clean(dir)):
				in.LoadDirs = append(in.LoadDirs, LoadDir{path.Clean(dir), kind})
			}
		}
	}
	add("skill", in.Config.Strings("skills", "load", "extraDirs")...)
	add("hook", in.Config.Strings("hooks", "internal", "load", "extraDirs")...)
	add("plugin", in.Config.Strings("plugins", "load", "paths")...)
	if in.Home != "" {
		add("skill", path.Join(in.Home, ".agents", "skills"))
	}
	return gaps
}

// tmpDirs are the directories for temporary files that somebody set for the gateway: in its environment, in the file that it loads into
// that, or in the config.
func (in *Installation) tmpDirs(fsys fs.FS) (dirs []string) {
	text, _ := readSmall(fsys, path.Join(in.StateDir, ".env")) // what is wrong with it is told where its secrets are read
	dirs = append(dirs, in.TmpDirs...)
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "export ")), "=")
		if strings.TrimSpace(name) == tmpVariable {
			dirs = append(dirs, strings.Trim(strings.TrimSpace(value), `"'`))
		}
	}
	dirs = append(dirs, in.Config.String("env", tmpVariable), in.Config.String("env", "vars", tmpVariable))
	return slices.DeleteFunc(dirs, func(dir string) bool { return !path.IsAbs(dir) || in.isShut(fsys, path.Clean(dir)) })
}

// tmpVariable names the directory for temporary files.
const tmpVariable = "TMPDIR"

// IsStateDirName reports the names of state directories: .openclaw, .openclaw-<profile> and the former names.
func IsStateDirName(name string) bool {
	_, ok := stateDirName(name)
	return ok
}
