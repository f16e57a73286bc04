package openclaw

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
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
	unit                              *Unit
}

// Find returns the installations of a host, ordered by state directory, and what stood in the way of finding
// more. It looks into every home (default, named profiles, the former names), into the service definitions
// and into the environments of running processes.
func Find(fsys fs.FS, o FindOptions) ([]*Installation, []Gap) {
	users, gaps := Users(fsys)
	if o.UID > 0 {
		users = slices.DeleteFunc(users, func(u User) bool { return u.UID != o.UID })
	}
	var cands []candidate
	for _, u := range users {
		c, g := inHome(fsys, u)
		cands, gaps = append(cands, c...), append(gaps, g...)
	}
	found, g := units(fsys, users)
	gaps = append(gaps, g...)
	for _, u := range found {
		cands = append(cands, fromUnit(u, users))
	}
	cands = append(cands, fromProcesses(fsys, users, o.UID)...)
	for _, dir := range o.StateDirs {
		cands = append(cands, candidate{stateDir: path.Clean(dir), by: "given", user: ownerOf(dir, users)})
	}
	f := finder{fsys: fsys, byDir: map[string]*Installation{}}
	for _, c := range cands {
		f.take(c)
	}
	installs := slices.SortedFunc(maps.Values(f.byDir), func(a, b *Installation) int { return strings.Compare(a.StateDir, b.StateDir) })
	for _, in := range installs {
		gaps = append(gaps, in.read(fsys)...)
	}
	return installs, append(gaps, f.gaps...)
}

// inHome finds the state directories that OpenClaw and its former names use in a home by default:
// ~/.openclaw, ~/.openclaw-<profile>, ~/.clawdbot, ~/.moltbot.
func inHome(fsys fs.FS, u User) (cands []candidate, gaps []Gap) {
	entries, err := fs.ReadDir(fsys, fsName(u.Home))
	if err != nil {
		return nil, readGap(u.Home, err)
	}
	for _, e := range entries {
		profile, ok := stateDirName(e.Name())
		if ok && isDir(fsys, path.Join(u.Home, e.Name())) {
			cands = append(cands, candidate{stateDir: path.Join(u.Home, e.Name()), profile: profile, by: "home", user: u})
		}
	}
	return cands, nil
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

func fromUnit(u Unit, users []User) candidate {
	user := User{Name: u.User}
	for _, v := range users {
		if v.Name == u.User && u.User != "" || u.User == "" && v.Home == u.Env["HOME"] {
			user = v
		}
	}
	c := locate(u.Env, user)
	c.by, c.unit = "unit "+u.Path, &u
	return c
}

// locate follows OpenClaw's own order: OPENCLAW_STATE_DIR, else the profile's directory in OPENCLAW_HOME or HOME.
func locate(env map[string]string, user User) candidate {
	home := user.Home
	for _, name := range []string{"OPENCLAW_HOME", "HOME"} {
		if h := env[name]; path.IsAbs(h) {
			home = h
			break
		}
	}
	c := candidate{profile: env["OPENCLAW_PROFILE"], user: user}
	if c.user.Home == "" {
		c.user.Home = home
	}
	switch dir := tilde(env["OPENCLAW_STATE_DIR"], home); {
	case path.IsAbs(dir):
		c.stateDir = path.Clean(dir)
	case home != "" && c.profile != "" && c.profile != "default" && !strings.Contains(c.profile, "/"):
		c.stateDir = path.Join(home, ".openclaw-"+c.profile)
	case home != "":
		c.stateDir = path.Join(home, ".openclaw")
	}
	if config := tilde(env["OPENCLAW_CONFIG_PATH"], home); path.IsAbs(config) {
		c.configPath = path.Clean(config)
	}
	return c
}

func tilde(p, home string) string {
	if p == "~" || strings.HasPrefix(p, "~/") {
		return home + p[1:]
	}
	return p
}

// fromProcesses reads the environments of processes that carry OpenClaw's variables. Another account's are
// unreadable without root, which is no gap: such a process runs on a home that is not ours to search either.
func fromProcesses(fsys fs.FS, users []User, uid int) (cands []candidate) {
	entries, _ := fs.ReadDir(fsys, "proc")
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		text, _ := readSmall(fsys, "/proc/"+e.Name()+"/environ")
		if !bytes.Contains(text, []byte("OPENCLAW_STATE_DIR=")) && !bytes.Contains(text, []byte("OPENCLAW_SERVICE_KIND=")) && !bytes.Contains(text, []byte("OPENCLAW_HOME=")) {
			continue
		}
		env := map[string]string{}
		for pair := range strings.SplitSeq(string(text), "\x00") {
			if name, value, ok := strings.Cut(pair, "="); ok && slices.Contains(locating, name) {
				env[name] = value
			}
		}
		c := locate(env, ownerByHome(env["HOME"], users))
		c.by = "process " + e.Name()
		cands = append(cands, c)
	}
	return cands
}

func ownerByHome(home string, users []User) User {
	for _, u := range users {
		if u.Home == home && home != "" {
			return u
		}
	}
	return User{}
}

func ownerOf(dir string, users []User) User {
	for _, u := range users {
		if u.Home != "/" && strings.HasPrefix(dir, u.Home+"/") {
			return u
		}
	}
	return User{}
}

type finder struct {
	fsys  fs.FS
	byDir map[string]*Installation
	infos []fs.FileInfo
	dirs  []string
	gaps  []Gap
}

// take adds a candidate to the installation of its directory. Two names of one directory (a former name is
// often a link to the new one) are one installation.
func (f *finder) take(c candidate) {
	if c.stateDir == "" {
		return
	}
	info, err := fs.Stat(f.fsys, fsName(c.stateDir))
	if err != nil || !info.IsDir() {
		if c.by == "given" {
			f.gaps = append(f.gaps, Gap{Path: c.stateDir, What: "given as a state directory, but not there"})
		}
		return
	}
	if !looksLikeState(f.fsys, c.stateDir) && c.by == "home" {
		return
	}
	in := f.installation(c, info)
	if !slices.Contains(in.FoundBy, c.by) {
		in.FoundBy = append(in.FoundBy, c.by)
	}
	if c.configPath != "" {
		in.ConfigPath = c.configPath
	}
	if c.profile != "" {
		in.Profile = c.profile
	}
	if c.unit != nil {
		in.Units = append(in.Units, *c.unit)
	}
}

func (f *finder) installation(c candidate, info fs.FileInfo) *Installation {
	for i, known := range f.infos {
		if os.SameFile(known, info) || f.dirs[i] == c.stateDir {
			in := f.byDir[f.dirs[i]]
			if f.dirs[i] != c.stateDir {
				in.note(fmt.Sprintf("%s is another name of %s", c.stateDir, in.StateDir))
			}
			return in
		}
	}
	in := &Installation{User: c.user.Name, Home: c.user.Home, StateDir: c.stateDir}
	f.byDir[c.stateDir] = in
	f.infos, f.dirs = append(f.infos, info), append(f.dirs, c.stateDir)
	return in
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

// read fills in what the state directory itself tells.
func (in *Installation) read(fsys fs.FS) []Gap {
	if in.ConfigPath == "" {
		in.ConfigPath = path.Join(in.StateDir, configNames[0])
		for _, name := range configNames {
			if exists(fsys, path.Join(in.StateDir, name)) {
				in.ConfigPath = path.Join(in.StateDir, name)
				break
			}
		}
	}
	config, gaps := LoadConfig(fsys, in.ConfigPath)
	in.Config = config
	in.findAgents(fsys)
	in.findVersion(fsys)
	in.Era = in.era(fsys)
	in.findPort()
	in.findLogs(fsys)
	if in.Version == "" {
		in.note("its release could not be told")
	} else if newer(in.Version, NewestKnown) {
		in.note(fmt.Sprintf("release %s is newer than %s, the newest this tool knows; it is read as far as it is alike", in.Version, NewestKnown))
	}
	return gaps
}

func (in *Installation) findAgents(fsys fs.FS) {
	configured := in.Config.agents()
	ids := slices.Collect(maps.Keys(configured))
	entries, _ := fs.ReadDir(fsys, fsName(path.Join(in.StateDir, "agents")))
	for _, e := range entries {
		if isDir(fsys, path.Join(in.StateDir, "agents", e.Name())) {
			ids = append(ids, e.Name())
		}
	}
	if len(ids) == 0 {
		ids = []string{"main"}
	}
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		in.Agents = append(in.Agents, in.agent(fsys, id, configured[id]))
	}
}

// agent tells where an agent's things lie. The config's own places count only where they exist: in a copied state
// directory they name the host it came from.
func (in *Installation) agent(fsys fs.FS, id string, conf map[string]any) Agent {
	place := func(fallback string, configured ...string) string {
		for _, dir := range configured {
			if dir = tilde(dir, in.Home); path.IsAbs(dir) && exists(fsys, dir) {
				return path.Clean(dir)
			}
		}
		return fallback
	}
	base := path.Join(in.StateDir, "agents", path.Base(path.Clean("/"+id)))
	dir, _ := conf["agentDir"].(string)
	workspace, _ := conf["workspace"].(string)
	a := Agent{ID: id, Dir: place(path.Join(base, "agent"), dir), Sessions: path.Join(base, "sessions")}
	a.Database = path.Join(a.Dir, "openclaw-agent.sqlite")
	if id == "main" {
		a.Workspace = place(path.Join(in.StateDir, "workspace"), workspace, in.Config.String("agents", "defaults", "workspace"))
	} else {
		a.Workspace = place(path.Join(in.StateDir, "workspace-"+id), workspace)
	}
	return a
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
		if p, err := strconv.Atoi(u.Env["OPENCLAW_GATEWAY_PORT"]); err == nil {
			in.Port = p
		}
	}
	if in.Port == 0 && in.Profile == "" {
		in.Port = 18789 // the default (FACTS 1)
	}
}

// findLogs says where the rolling logs lie: /tmp/openclaw, and where that was unsafe /tmp/openclaw-<uid>.
func (in *Installation) findLogs(fsys fs.FS) {
	in.LogFile = tilde(in.Config.String("logging", "file"), in.Home)
	in.LogDirs = []string{"/tmp/openclaw"}
	for _, tmp := range []string{"/tmp", path.Join(in.Home, "tmp"), path.Join(in.Home, ".tmp")} {
		entries, _ := fs.ReadDir(fsys, fsName(tmp))
		for _, e := range entries {
			if ours.MatchString(e.Name()) && isDir(fsys, path.Join(tmp, e.Name())) {
				in.LogDirs = append(in.LogDirs, path.Join(tmp, e.Name()))
			}
		}
	}
	slices.Sort(in.LogDirs)
	in.LogDirs = slices.Compact(in.LogDirs)
}

// IsStateDirName reports the names of state directories: .openclaw, .openclaw-<profile> and the former names.
func IsStateDirName(name string) bool {
	_, ok := stateDirName(name)
	return ok
}
