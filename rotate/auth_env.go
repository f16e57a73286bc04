package rotate

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

// maxAuthFile bounds a file that is searched for a credential, in bytes.
const maxAuthFile = 16 << 20

// An environment is a text that sets variables of the gateway.
type environment struct {
	file   string
	syntax Syntax
	text   []byte
	byUser bool // only a unit that is not root's names it
}

// read returns a file's text. One that is not there is no gap.
func (f *authFinder) read(file string) ([]byte, bool) {
	r, err := f.fsys.Open(openclaw.FSName(file))
	if err == nil {
		defer r.Close()
		var text []byte
		text, err = io.ReadAll(io.LimitReader(r, maxAuthFile+1))
		if err == nil && len(text) > maxAuthFile {
			err = fmt.Errorf("longer than %d bytes", maxAuthFile)
		}
		if err == nil {
			return text, true
		}
	}
	if !openclaw.IsAbsent(err) {
		f.gaps = append(f.gaps, openclaw.Gap{Path: file, What: openclaw.Cause(err)})
	}
	return nil, false
}

// readEnvironments collects what can set the gateway's variables, in OpenClaw's order (help/environment of the
// documentation): the process's own environment, here that of the service; .env of the state directory; gateway.env;
// env of the config, see variable; the profile of a login shell, from which a gateway may be started by hand.
func (f *authFinder) readEnvironments() {
	f.readUnits()
	f.environment(path.Join(f.in.StateDir, ".env"), InDotenv, false)
	if f.isDefault() { // what follows is shared by all installations of a home and counts for the default one
		f.environment(path.Join(f.in.Home, ".config/openclaw/gateway.env"), InDotenv, false)
		f.directory(path.Join(f.in.Home, ".config/environment.d"), ".conf", InSystemd)
		for _, name := range []string{".profile", ".bash_profile", ".bash_login", ".bashrc", ".zshenv", ".zprofile", ".zshrc"} {
			f.environment(path.Join(f.in.Home, name), InShell, false)
		}
		f.environment("/etc/environment", InDotenv, false)
	}
	slices.SortStableFunc(f.envs, func(a, b environment) int { return boolInt(isNodeFile(a.file)) - boolInt(isNodeFile(b.file)) })
}

// readUnits reads the service definitions and what they name. EnvironmentFile= wins over Environment=, a later one over an
// earlier, and a drop-in over what it changes (systemd.exec(5)).
func (f *authFinder) readUnits() {
	var files []environment
	var units []environment
	for _, file := range f.unitFiles() {
		syntax := InUnit
		if path.Ext(file) == ".plist" {
			syntax = InPlist
		}
		text, ok := f.read(file)
		if !ok {
			continue
		}
		units = append(units, environment{file: file, syntax: syntax, text: text})
		if syntax == InUnit {
			for _, named := range f.environmentFiles(file, string(text)) {
				files = append(files, environment{file: named, byUser: !f.isRoots(file)})
			}
		}
	}
	files = append(files, environment{file: path.Join(f.in.StateDir, "gateway.systemd.env")})
	for _, e := range slices.Backward(files) {
		f.environment(e.file, InSystemd, e.byUser)
	}
	f.directory(path.Join(f.in.StateDir, "service-env"), ".env", InShell) // a wrapper script reads them
	slices.Reverse(units)
	f.envs = append(f.envs, units...)
}

// directory adds the files of a directory with one extension.
func (f *authFinder) directory(dir, ext string, syntax Syntax) {
	entries, _ := fs.ReadDir(f.fsys, openclaw.FSName(dir))
	for _, e := range entries {
		if path.Ext(e.Name()) == ext {
			f.environment(path.Join(dir, e.Name()), syntax, false)
		}
	}
}

// isNodeFile reports the files of a node host's service: openclaw-node.service, its drop-ins, node.systemd.env,
// ai.openclaw.node.plist.
func isNodeFile(file string) bool {
	name := path.Base(file)
	if dir := path.Base(path.Dir(file)); strings.HasSuffix(dir, ".d") {
		name = dir
	}
	return strings.Contains(name, "openclaw-node") || strings.Contains(name, "openclaw.node") || name == "node.systemd.env"
}

// isDefault reports the installation that a gateway without a profile uses.
func (f *authFinder) isDefault() bool {
	return path.IsAbs(f.in.Home) && f.in.Home != "/" && f.in.Profile == "" && path.Dir(f.in.StateDir) == f.in.Home
}

// environment adds a file, once, whatever names it.
func (f *authFinder) environment(file string, syntax Syntax, byUser bool) {
	if i := slices.IndexFunc(f.envs, func(e environment) bool { return e.file == file }); i >= 0 {
		f.envs[i].byUser = f.envs[i].byUser && byUser
		return
	}
	if text, ok := f.read(file); ok {
		f.envs = append(f.envs, environment{file, syntax, text, byUser})
	}
}

// isRoots reports a file of root's. In a home its name may be a link of the user's.
func (f *authFinder) isRoots(file string) bool {
	if home := f.in.Home; path.IsAbs(home) && home != "/" && openclaw.Within(file, home) {
		return false
	}
	fi, err := fs.Stat(f.fsys, openclaw.FSName(file))
	return err == nil && host.Meta(fi).UID == 0
}

// unitFiles returns the service definitions of the gateway and their drop-ins: those that were found, and those with
// the names that OpenClaw gives them, which may be switched off.
func (f *authFinder) unitFiles() []string {
	var units []string
	for _, u := range f.in.Units {
		units = append(units, u.Path)
	}
	dirs, everyUser := openclaw.UnitDirs()
	if path.IsAbs(f.in.Home) && f.in.Home != "/" {
		own := openclaw.UserUnitDirs(f.in.Home)
		for _, name := range f.unitNames() {
			for _, dir := range own {
				units = append(units, path.Join(dir, name))
			}
		}
		dirs = slices.Concat(own, dirs, everyUser)
	}
	var files []string
	for _, unit := range units {
		files = append(files, unit)
		places := dirs
		if !slices.Contains(dirs, path.Dir(unit)) {
			places = []string{path.Dir(unit)} // a quadlet, a launchd job
		}
		for _, dir := range places {
			drops := path.Join(dir, path.Base(unit)+".d")
			entries, _ := fs.ReadDir(f.fsys, openclaw.FSName(drops))
			for _, e := range entries {
				if path.Ext(e.Name()) == ".conf" {
					files = append(files, path.Join(drops, e.Name()))
				}
			}
		}
	}
	return distinct(files)
}

func distinct(list []string) []string {
	var out []string
	for _, s := range list {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// unitNames are those that "openclaw gateway install" uses (FACTS 8.5).
func (f *authFinder) unitNames() []string {
	if f.in.Profile != "" {
		return []string{"openclaw-gateway-" + path.Base(path.Clean("/"+f.in.Profile)) + ".service"}
	}
	if !f.isDefault() {
		return nil
	}
	return []string{"openclaw-gateway.service", "clawdbot-gateway.service", "moltbot-gateway.service"}
}

// environmentFiles returns the files that a unit's EnvironmentFile= names. What holds a wildcard is left out.
func (f *authFinder) environmentFiles(unit, text string) (files []string) {
	for _, a := range unitAssignments(text) {
		if a.key != "EnvironmentFile" {
			continue
		}
		for _, w := range words(text, a.start, a.end) {
			file := strings.NewReplacer("%%", "%", "%h", f.in.Home, "%u", f.in.User).Replace(strings.TrimPrefix(w.text, "-"))
			if !path.IsAbs(file) {
				file = path.Join(path.Dir(unit), file) // a quadlet's
			}
			if strings.ContainsAny(file, "*?[") {
				f.gaps = append(f.gaps, openclaw.Gap{Path: unit, What: fmt.Sprintf("names its environment files by a pattern, %q; not read", file)})
				continue
			}
			files = append(files, path.Clean(file))
		}
	}
	return files
}

// variable returns every place that sets a variable, the one that counts first. The config's own env comes after the
// files of OpenClaw, but before what only a shell reads; where both set it that makes no difference to what must change.
func (f *authFinder) variable(name string) (places []Place) {
	for _, e := range f.envs {
		places = append(places, f.placesIn(e, name)...)
	}
	for _, names := range [][]string{{"env", "vars", name}, {"env", name}} {
		for _, at := range slices.Backward(f.locate(names)) {
			value := strings.TrimSpace(at.value.Str)
			if value == "" || variableName(value) != "" {
				continue
			}
			places = append(places, Place{File: at.file, Syntax: InConfig, Name: strings.Join(at.steps, "."), steps: at.steps, held: &value})
		}
	}
	return places
}

// flags returns the places where a service definition hands a credential to the gateway as an option.
func (f *authFinder) flags(flag string) (places []Place) {
	for _, e := range f.envs {
		if e.syntax == InUnit || e.syntax == InPlist {
			places = append(places, f.placesIn(e, flag)...)
		}
	}
	return places
}

// placesIn is none or one place: all settings of a name in one text change together, and the last counts.
func (f *authFinder) placesIn(e environment, name string) []Place {
	p := Place{File: e.file, Syntax: e.syntax, Name: name, byUser: e.byUser}
	spans, err := p.spans(e.text)
	if err == nil && variableName(spans[len(spans)-1].old) != "" {
		err = errNotPlain // it passes another variable on
	}
	switch {
	case errors.Is(err, errNotPlain):
		f.gaps = append(f.gaps, openclaw.Gap{Path: e.file, What: fmt.Sprintf("sets %s in a way that is not a plain value; replace it by hand", name)})
		p.odd = true
	case err != nil:
		return nil
	default:
		p.held = &spans[len(spans)-1].old
	}
	return []Place{p}
}
