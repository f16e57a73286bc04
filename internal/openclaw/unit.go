package openclaw

import (
	"bytes"
	"html"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/product"
)

// A Unit is a service definition that runs OpenClaw: a systemd unit, a podman quadlet or a launchd job.
type Unit struct {
	Path  string            `json:"path"`
	User  string            `json:"user,omitempty"`   // whose user manager it belongs to; "" for the system's
	RunAs string            `json:"run_as,omitempty"` // the account it names to run as
	Exec  string            `json:"-"`                // ExecStart, as written; it may hold a secret
	Env   map[string]string `json:"env,omitempty"`    // only what tells where the installation is, as written

	every   bool        // of every account's user manager
	volumes [][2]string // a quadlet's: directory on the host, directory in the container
	files   []string    // environment files
}

// Name is the unit's file name.
func (u Unit) Name() string { return path.Base(u.Path) }

// locating are the variables that move an installation. Others may be secrets and are not kept.
var locating = []string{"HOME", "OPENCLAW_STATE_DIR", "OPENCLAW_CONFIG_PATH", "OPENCLAW_HOME", "OPENCLAW_PROFILE", "OPENCLAW_GATEWAY_PORT", "OPENCLAW_WORKSPACE_DIR", tmpVariable}

// A manager is what runs service definitions. Its directories stand in order of precedence: a drop-in for a unit may
// lie in any of them, and one of the same name in an earlier directory replaces it.
type manager struct {
	user  string
	dirs  []string
	every bool
}

// Where systemd, podman and launchd look (systemd.unit(5), podman-systemd.unit(5), launchd.plist(5)).
var (
	systemUnits    = []string{"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system"}
	everyUserUnits = []string{"/etc/systemd/user", "/run/systemd/user", "/usr/local/lib/systemd/user", "/usr/lib/systemd/user"}
)

// UnitDirs are the directories of systemd's units that no user owns: the system's, and those for every user's manager.
func UnitDirs() (system, everyUser []string) {
	return slices.Clone(systemUnits), slices.Clone(everyUserUnits)
}

// UserUnitDirs are the directories of the units that are a user's own, in the home. The first is where they are made.
func UserUnitDirs(home string) []string {
	return []string{path.Join(home, ".config/systemd/user"), path.Join(home, ".local/share/systemd/user")}
}

func managers(users []User) []manager {
	list := []manager{
		{dirs: systemUnits},
		{dirs: everyUserUnits, every: true},
		{dirs: []string{"/etc/containers/systemd", "/run/containers/systemd", "/usr/share/containers/systemd"}},
		{dirs: []string{"/etc/containers/systemd/users"}, every: true},
		{dirs: []string{"/Library/LaunchDaemons"}},
		{dirs: []string{"/Library/LaunchAgents"}, every: true},
	}
	for _, u := range users {
		for _, dirs := range [][]string{UserUnitDirs(u.Home), {path.Join(u.Home, ".config/containers/systemd")}, {path.Join(u.Home, "Library/LaunchAgents")}} {
			list = append(list, manager{user: u.Name, dirs: dirs})
		}
	}
	return list
}

// units returns the service definitions of the host that mention OpenClaw or one of its former names.
func units(fsys fs.FS, users []User) (found []Unit, gaps []Gap) {
	seen := map[string]bool{} // accounts may share a home
	for _, m := range managers(users) {
		for _, dir := range m.dirs {
			if seen[dir] {
				continue
			}
			seen[dir] = true
			u, g := m.units(fsys, dir)
			found, gaps = append(found, u...), append(gaps, g...)
		}
	}
	return found, gaps
}

func (m manager) units(fsys fs.FS, dir string) (found []Unit, gaps []Gap) {
	entries, err := fs.ReadDir(fsys, FSName(dir))
	if err != nil {
		return nil, readGap(dir, err)
	}
	for _, e := range entries {
		file := path.Join(dir, e.Name())
		if !slices.Contains([]string{".service", ".container", ".plist"}, path.Ext(e.Name())) || isMaskedUnit(fsys, file, e) || isLeftOut(fsys, file) {
			continue
		}
		text, gap := readSmall(fsys, file)
		gaps = append(gaps, gap...)
		texts := [][]byte{text}
		for _, conf := range m.dropIns(fsys, e.Name()+".d") {
			extra, gap := readSmall(fsys, conf)
			texts, gaps = append(texts, extra), append(gaps, gap...)
		}
		if !product.Mentions(e.Name()) && !product.Mentions(string(bytes.Join(texts, nil))) {
			continue
		}
		if bytes.HasPrefix(text, []byte("bplist")) {
			gaps = append(gaps, Gap{Path: file, What: "is a property list in binary form; not read"})
		}
		u := Unit{Path: file, User: m.user, Env: map[string]string{}, every: m.every}
		for _, text := range texts {
			u.read(string(text))
		}
		found = append(found, u)
	}
	return found, gaps
}

// isMaskedUnit reports a unit that systemctl mask made: a link to /dev/null.
func isMaskedUnit(fsys fs.FS, file string, e fs.DirEntry) bool {
	if e.Type()&fs.ModeSymlink == 0 {
		return false
	}
	target, err := fs.ReadLink(fsys, FSName(file))
	return err == nil && target == "/dev/null"
}

// dropIns returns a unit's drop-ins in the order systemd reads them: by name, whatever directory they lie in.
func (m manager) dropIns(fsys fs.FS, name string) []string {
	byName := map[string]string{}
	for _, dir := range slices.Backward(m.dirs) {
		entries, _ := fs.ReadDir(fsys, FSName(path.Join(dir, name)))
		for _, e := range entries {
			if path.Ext(e.Name()) == ".conf" {
				byName[e.Name()] = path.Join(dir, name, e.Name())
			}
		}
	}
	files := make([]string, 0, len(byName))
	for _, conf := range slices.Sorted(maps.Keys(byName)) {
		files = append(files, byName[conf])
	}
	return files
}

// read takes what tells where the installation is from a unit's text. Later assignments win, and an empty one takes
// back the earlier, as in systemd.
func (u *Unit) read(text string) {
	text = strings.ReplaceAll(text, "\\\n", " ")
	section := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			section = line
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			continue
		}
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		switch {
		case key == "ExecStart", key == "Exec":
			u.Exec = value
		case key == "User" && section == "[Service]": // in [Container] it is an account of the container
			u.RunAs = value
		case key == "Environment" && value == "":
			clear(u.Env)
		case key == "Environment":
			for _, assignment := range splitQuoted(value) {
				u.set(assignment)
			}
		case key == "EnvironmentFile" && value == "":
			u.files = nil
		case key == "EnvironmentFile":
			u.files = append(u.files, strings.TrimPrefix(value, "-"))
		case key == "Volume":
			if host, rest, ok := strings.Cut(value, ":"); ok {
				inside, _, _ := strings.Cut(rest, ":")
				u.volumes = append(u.volumes, [2]string{host, inside})
			}
		}
	}
	u.readPlist(text)
}

func (u *Unit) set(assignment string) {
	name, value, ok := strings.Cut(assignment, "=")
	if ok && slices.Contains(locating, name) {
		u.Env[name] = value
	}
}

// managers returns the accounts whose manager runs the unit; the system's is root's.
func (u *Unit) managers(users []User) []User {
	switch {
	case u.every:
		return users
	case u.User == "":
		return []User{{Name: "root", Home: "/root"}}
	}
	for _, v := range users {
		if v.Name == u.User {
			return []User{v}
		}
	}
	return nil
}

// namer is the user who says where the unit's installation is, -1 if that is not known: the one whose manager reads it. What root writes
// counts as root's, unless it has a file read that may be of whom the service runs as.
func (u *Unit) namer(fsys fs.FS, m User, users []User) int {
	if !u.every && u.User == "" {
		i := slices.IndexFunc(users, func(v User) bool { return u.RunAs != "" && (v.Name == u.RunAs || strconv.Itoa(v.UID) == u.RunAs) })
		switch {
		case len(u.files) == 0 || u.RunAs == "":
			return 0
		case i < 0:
			return -1
		}
		return users[i].UID
	}
	if m.UID >= 0 {
		return m.UID
	}
	info, err := fs.Stat(fsys, FSName(m.Home))
	if err != nil {
		return -1
	}
	return int(host.Meta(info).UID)
}

// specifiers replaces what systemd replaces in a unit's values, as far as it tells where something is.
func (u *Unit) specifiers(value, home, user string) string {
	if path.Ext(u.Path) == ".plist" {
		return value
	}
	return strings.NewReplacer("%%", "%", "%h", home, "%u", user).Replace(value)
}

// environment returns the locating variables as the service gets them: environment files win over Environment=. A
// path inside a quadlet's container is turned into the host's. home and user are the manager's.
func (u *Unit) environment(fsys fs.FS, home, user string) map[string]string {
	env := map[string]string{}
	for name, value := range u.Env {
		env[name] = u.specifiers(value, home, user)
	}
	for _, file := range u.files {
		file = u.specifiers(file, home, user)
		if !path.IsAbs(file) {
			file = path.Join(path.Dir(u.Path), file)
		}
		text, _ := readSmall(fsys, file)
		for line := range strings.Lines(string(text)) {
			name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
			if ok && slices.Contains(locating, name) {
				env[name] = strings.Join(splitQuoted(value), " ")
			}
		}
	}
	if path.Ext(u.Path) != ".container" {
		return env
	}
	if env["HOME"] == "" {
		env["HOME"] = "/home/node" // of OpenClaw's own image
	}
	for _, name := range []string{"OPENCLAW_STATE_DIR", "OPENCLAW_CONFIG_PATH"} {
		if env[name] != "" {
			env[name] = u.outside(env[name], home, user)
		}
	}
	if env["OPENCLAW_STATE_DIR"] == "" {
		env["OPENCLAW_STATE_DIR"] = u.outside(path.Join(env["HOME"], ".openclaw"), home, user)
	}
	delete(env, "HOME")
	return env
}

// outside returns where on the host a path of the container lies; itself if no volume holds it.
func (u *Unit) outside(inside, home, user string) string {
	best, found := "", inside
	for _, v := range u.volumes {
		rest, ok := strings.CutPrefix(inside, strings.TrimSuffix(v[1], "/"))
		if ok && len(v[1]) > len(best) && (rest == "" || rest[0] == '/') {
			best, found = v[1], path.Join(u.specifiers(v[0], home, user), rest)
		}
	}
	return found
}

// splitQuoted cuts a line into words as systemd does: white space separates, quotes join, a backslash escapes.
func splitQuoted(line string) (words []string) {
	var word strings.Builder
	var quote rune
	inside, escaped := false, false
	for _, c := range line {
		switch {
		case escaped:
			word.WriteRune(c)
			escaped = false
		case c == '\\':
			escaped, inside = true, true
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote, inside = c, true
		case quote == 0 && (c == ' ' || c == '\t' || c == '\n'):
			if inside {
				words = append(words, word.String())
				word.Reset()
				inside = false
			}
		default:
			word.WriteRune(c)
			inside = true
		}
	}
	if inside {
		words = append(words, word.String())
	}
	return words
}

var (
	plistPair  = regexp.MustCompile(`<key>([A-Za-z_]+)</key>\s*<string>([^<]*)</string>`)
	plistExec  = regexp.MustCompile(`<key>ProgramArguments</key>\s*<array>((?s:.*?))</array>`)
	plistValue = regexp.MustCompile(`<string>([^<]*)</string>`)
)

// readPlist reads a launchd property list in its XML form.
func (u *Unit) readPlist(text string) {
	for _, m := range plistPair.FindAllStringSubmatch(text, 1000) {
		if value := html.UnescapeString(m[2]); m[1] == "UserName" {
			u.RunAs = value
		} else {
			u.set(m[1] + "=" + value)
		}
	}
	if m := plistExec.FindStringSubmatch(text); m != nil {
		var words []string
		for _, v := range plistValue.FindAllStringSubmatch(m[1], 100) {
			words = append(words, html.UnescapeString(v[1]))
		}
		u.Exec = strings.Join(words, " ")
	}
}
