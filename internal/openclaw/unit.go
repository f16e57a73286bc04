package openclaw

import (
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// A Unit is a service definition that runs OpenClaw: a systemd unit, a podman quadlet or a launchd job.
type Unit struct {
	Path string            `json:"path"`
	User string            `json:"user,omitempty"` // whose user manager it belongs to; "" for the system's
	Exec string            `json:"exec,omitempty"` // ExecStart, as written
	Env  map[string]string `json:"env,omitempty"`  // only what tells where the installation is
}

// Name is the unit's file name.
func (u Unit) Name() string { return path.Base(u.Path) }

var ours = regexp.MustCompile(`(?i)openclaw|clawdbot|moltbot`)

// locating are the variables that move an installation. Others may be secrets and are not kept.
var locating = []string{"HOME", "OPENCLAW_STATE_DIR", "OPENCLAW_CONFIG_PATH", "OPENCLAW_HOME", "OPENCLAW_PROFILE", "OPENCLAW_GATEWAY_PORT"}

// units returns the service definitions of the host that mention OpenClaw or one of its former names.
func units(fsys fs.FS, users []User) ([]Unit, []Gap) {
	var found []Unit
	var gaps []Gap
	add := func(dir, user string) {
		u, g := unitsIn(fsys, dir, user)
		found, gaps = append(found, u...), append(gaps, g...)
	}
	for _, dir := range []string{"/etc/systemd/system", "/etc/systemd/user", "/run/systemd/system", "/usr/lib/systemd/system", "/usr/local/lib/systemd/system", "/etc/containers/systemd", "/Library/LaunchDaemons", "/Library/LaunchAgents"} {
		add(dir, "")
	}
	for _, u := range users {
		for _, dir := range []string{".config/systemd/user", ".local/share/systemd/user", ".config/containers/systemd", "Library/LaunchAgents"} {
			add(path.Join(u.Home, dir), u.Name)
		}
	}
	return found, gaps
}

func unitsIn(fsys fs.FS, dir, user string) (found []Unit, gaps []Gap) {
	entries, err := fs.ReadDir(fsys, fsName(dir))
	if err != nil {
		return nil, readGap(dir, err)
	}
	for _, e := range entries {
		file := path.Join(dir, e.Name())
		if !slices.Contains([]string{".service", ".container", ".plist"}, path.Ext(e.Name())) || isMaskedUnit(fsys, file, e) {
			continue
		}
		text, gap := readSmall(fsys, file)
		gaps = append(gaps, gap...)
		if !ours.MatchString(e.Name()) && !ours.Match(text) {
			continue
		}
		u := Unit{Path: file, User: user, Env: map[string]string{}}
		u.read(string(text))
		for _, conf := range dropIns(fsys, file+".d") {
			extra, gap := readSmall(fsys, conf)
			gaps = append(gaps, gap...)
			u.read(string(extra))
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
	target, err := fs.ReadLink(fsys, fsName(file))
	return err == nil && target == "/dev/null"
}

func dropIns(fsys fs.FS, dir string) (files []string) {
	entries, _ := fs.ReadDir(fsys, fsName(dir))
	for _, e := range entries {
		if path.Ext(e.Name()) == ".conf" {
			files = append(files, path.Join(dir, e.Name()))
		}
	}
	return files
}

// read takes ExecStart and the locating variables from a unit's text. Later assignments win, as in systemd.
func (u *Unit) read(text string) {
	text = strings.ReplaceAll(text, "\\\n", " ")
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok {
			continue
		}
		switch strings.TrimSpace(key) {
		case "ExecStart", "Exec":
			u.Exec = strings.TrimSpace(value)
		case "Environment":
			for _, assignment := range splitQuoted(value) {
				u.set(assignment)
			}
		}
	}
	for name, value := range plistStrings(text) {
		u.set(name + "=" + value)
	}
}

func (u *Unit) set(assignment string) {
	name, value, ok := strings.Cut(assignment, "=")
	if ok && slices.Contains(locating, name) {
		u.Env[name] = value
	}
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

var plistPair = regexp.MustCompile(`<key>([A-Z_]{1,64})</key>\s*<string>([^<]{0,1000})</string>`)

// plistStrings returns the environment pairs of a launchd property list in its XML form.
func plistStrings(text string) map[string]string {
	pairs := map[string]string{}
	for _, m := range plistPair.FindAllStringSubmatch(text, 100) {
		pairs[m[1]] = m[2]
	}
	return pairs
}
