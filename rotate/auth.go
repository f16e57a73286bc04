package rotate

import (
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/json5"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/product"
)

// The credentials that [FindCredentials] looks for, named as in the config.
const (
	GatewayToken    = "gateway.auth.token"
	GatewayPassword = "gateway.auth.password"
	HooksToken      = "hooks.token"
	RemoteToken     = "gateway.remote.token"
	RemotePassword  = "gateway.remote.password"
)

// A Credential is one shared secret of a gateway, with every place that holds it. It shows the secret to nobody:
// neither its text nor its JSON contains it.
type Credential struct {
	Name         string                 `json:"name"`
	Installation *openclaw.Installation `json:"-"`
	Places       []Place                `json:"places"` // the one in force is the last
	// Person says why a person has to replace it and how; "" if [Credential.Replace] can.
	Person string `json:"person,omitempty"`
}

// A Place is where a file holds a credential.
type Place struct {
	File    string `json:"file"` // absolute path on the host
	Syntax  Syntax `json:"syntax"`
	Name    string `json:"name"` // the config's key, the variable, the option, the JSON pointer
	InForce bool   `json:"in_force,omitempty"`

	owner host.Owner // with whose rights the file is changed
	steps []string   // of JSON: the way to the value
	held  *string    // the value; a pointer, so that no verb of fmt prints it
	odd   bool       // it is set here, but not by a plain value

	byUser bool // only what a user wrote names the file
}

// Syntax is that of the text that holds a credential.
type Syntax string

// The syntaxes.
const (
	InConfig  Syntax = "config"  // JSON5
	InSecret  Syntax = "secret"  // the JSON file of a SecretRef
	InWhole   Syntax = "whole"   // a SecretRef's file that is nothing but the value
	InDotenv  Syntax = "dotenv"  // a file as dotenv reads it
	InShell   Syntax = "shell"   // a profile of a shell
	InSystemd Syntax = "systemd" // an EnvironmentFile= of systemd
	InUnit    Syntax = "unit"    // a systemd unit, a drop-in or a quadlet
	InPlist   Syntax = "plist"   // a launchd job
)

// Files returns the files that [Credential.Replace] changes, sorted. Evidence of each should be sealed before.
func (c Credential) Files() []string {
	var files []string
	for _, p := range c.Places {
		files = append(files, p.File)
	}
	slices.Sort(files)
	return slices.Compact(files)
}

// Values returns the different values that its places held when they were read, the one in force first.
func (c Credential) Values() []string {
	var values []string
	for _, inForce := range []bool{true, false} {
		for _, p := range c.Places {
			if p.InForce == inForce && p.held != nil && *p.held != "" && !slices.Contains(values, *p.held) {
				values = append(values, *p.held)
			}
		}
	}
	return values
}

// Mode is how a gateway asks for the credential: "token", "password", or "" for one that opens no gateway of this host.
func (c Credential) Mode() string {
	switch c.Name {
	case GatewayToken:
		return "token"
	case GatewayPassword:
		return "password"
	}
	return ""
}

// Active returns the credential that opens the gateway, of those that [FindCredentials] returned for one installation: the one of
// gateway.auth.mode, which without one is a password where there is any (finalizeResolvedGatewayAuth of 2026.9.6, and
// before).
func Active(found []Credential) (Credential, bool) {
	has := func(name string) func(Credential) bool { return func(c Credential) bool { return c.Name == name } }
	name := GatewayPassword
	switch i := slices.IndexFunc(found, has(GatewayPassword)); {
	case len(found) == 0:
		return Credential{}, false
	case i < 0:
		name = GatewayToken
	}
	if mode := found[0].Installation.Config.String("gateway", "auth", "mode"); mode != "" {
		name = "gateway.auth." + mode
	}
	i := slices.IndexFunc(found, has(name))
	if i < 0 {
		return Credential{}, false
	}
	return found[i], true
}

// wanted is what can set a credential. The later a thing stands in the lists the less it counts.
type wanted struct {
	name  string
	paths [][]string // in the config
	vars  []string   // of the environment, where the config has none
	flag  string     // of the command that starts the gateway, which counts more than the config
}

// Config before environment: resolveGatewayAuth of 2026.1.30 to 2026.9.6, "config-first". The CLAWDBOT names counted
// until 2026.3; gateway.token is what 2026.1 still moved to gateway.auth.token.
// On a host whose gateway is another's (gateway.mode "remote") the variables are for that one.
func wantedCredentials(remote bool) []wanted {
	list := []wanted{
		{GatewayToken, [][]string{{"gateway", "auth", "token"}, {"gateway", "token"}}, nil, "--token"},
		{GatewayPassword, [][]string{{"gateway", "auth", "password"}}, nil, "--password"},
		{HooksToken, [][]string{{"hooks", "token"}}, nil, ""},
		{RemoteToken, [][]string{{"gateway", "remote", "token"}}, nil, ""},
		{RemotePassword, [][]string{{"gateway", "remote", "password"}}, nil, ""},
	}
	token, password := 0, 1
	if remote {
		token, password = 3, 4
	}
	list[token].vars = []string{"OPENCLAW_GATEWAY_TOKEN", "CLAWDBOT_GATEWAY_TOKEN"}
	list[password].vars = []string{"OPENCLAW_GATEWAY_PASSWORD", "CLAWDBOT_GATEWAY_PASSWORD"}
	return list
}

// FindCredentials returns the shared secrets of an installation's gateway, each with the place that holds the value in force
// and every other that must change with it: what the config says itself or in the file it includes, the variable or
// the file it refers to, and the copies that would count if that one were gone. Gaps are files that could not be read.
func FindCredentials(fsys fs.FS, in *openclaw.Installation) ([]Credential, []openclaw.Gap) {
	f := &authFinder{in: in, fsys: fsys}
	f.readEnvironments()
	found := map[string]Credential{}
	all := wantedCredentials(in.Config.String("gateway", "mode") == "remote")
	for _, w := range all {
		if c := f.find(w); len(c.Places) > 0 || c.Person != "" {
			found[w.name] = c
		}
	}
	f.remote(found, RemoteToken, GatewayToken)
	f.remote(found, RemotePassword, GatewayPassword)
	f.separateHooks(found)
	var list []Credential
	for _, w := range all {
		if c, ok := found[w.name]; ok {
			f.keepOwn(&c)
			slices.SortStableFunc(c.Places, func(a, b Place) int { return boolInt(a.InForce) - boolInt(b.InForce) })
			list = append(list, c)
		}
	}
	return list, f.gaps
}

// keepOwn drops the places in files that are not the installation's. Its config can name any file and any variable, and the agent
// can write the config: it must not have root change, or show to a gateway, what is somebody else's.
func (f *authFinder) keepOwn(c *Credential) {
	own := c.Places[:0]
	for _, p := range c.Places {
		var ok bool
		if p.owner, ok = f.mayChange(p); ok {
			own = append(own, p)
			continue
		}
		c.Person = fmt.Sprintf("it lies in %q, which is not this installation's: look who uses that file, and replace it there by hand", p.File)
	}
	c.Places = own
}

// mayChange returns with whose rights a place may be changed: those of the installation's owner in the owner's own files. In files of
// root's, such as a unit of the system's, only variables that are OpenClaw's by their name may be, and not where the agent's own unit names
// the file: it may be that of another gateway, which would have this one's token then.
func (f *authFinder) mayChange(p Place) (owner host.Owner, ok bool) {
	state, err := fs.Stat(f.fsys, openclaw.FSName(f.in.StateDir))
	if err != nil {
		return owner, false
	}
	fi, err := fs.Stat(f.fsys, openclaw.FSName(p.File))
	if err != nil {
		return owner, false
	}
	whose, m := host.Meta(state), host.Meta(fi)
	switch {
	case (p.Syntax == InSecret || p.Syntax == InWhole) && !f.isOpenClaws(p.File, whose.UID):
		return owner, false
	case m.UID == whose.UID:
		return host.Owner{UID: whose.UID, GID: whose.GID}, true
	case m.UID == 0 && p.isVariable() && product.Mentions(p.Name) && !p.byUser:
		return host.Owner{}, true
	}
	return owner, false
}

// isOpenClaws reports a file of secrets that may be OpenClaw's: one that lies with its state or is named for it, or anywhere where the agent is
// not root, but for where the keys lie by which people log in. The agent writes which file that is, and may name another program's.
func (f *authFinder) isOpenClaws(file string, owner uint32) bool {
	if strings.Contains(file, "/.ssh/") {
		return false // also where the account's home is named for it
	}
	return owner != 0 || openclaw.Within(file, f.in.StateDir) || product.Mentions(file)
}

// isVariable reports that the place is a variable of an environment.
func (p Place) isVariable() bool {
	return p.Syntax != InConfig && p.Syntax != InSecret && p.Syntax != InWhole
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

type authFinder struct {
	in   *openclaw.Installation
	fsys fs.FS
	envs []environment // those that count most first
	gaps []openclaw.Gap
}

// find collects the places of one credential. The first that has a value is in force.
func (f *authFinder) find(w wanted) Credential {
	c := Credential{Name: w.name, Installation: f.in}
	if w.flag != "" {
		c.add(f.flags(w.flag))
	}
	for _, names := range w.paths {
		for _, at := range slices.Backward(f.locate(names)) { // of several files the last that says it wins
			f.configured(&c, at)
		}
	}
	for _, name := range w.vars {
		c.add(f.variable(name))
	}
	c.dropOthers()
	return c
}

// dropOthers leaves out what the service of a node host holds, unless it is the gateway's own: the node may belong to the gateway of
// another host. Such a service counts last, so that what is in force there is nowhere else.
func (c *Credential) dropOthers() {
	values := c.Values()
	c.Places = slices.DeleteFunc(c.Places, func(p Place) bool {
		return isNodeFile(p.File) && (p.InForce || len(values) == 0 || p.held == nil || *p.held != values[0])
	})
}

// add appends places; the first one with a value of all is the one in force, unless that is out of our reach.
func (c *Credential) add(places []Place) {
	for _, p := range places {
		if slices.ContainsFunc(c.Places, p.same) {
			continue
		}
		if p.odd {
			if !c.decided() {
				c.Person = fmt.Sprintf("%q sets %s in a way that is not a plain value: replace it by hand", p.File, p.Name)
			}
			continue
		}
		known := slices.ContainsFunc(c.Places, func(q Place) bool { return q.InForce })
		p.InForce = !known && c.Person == "" && p.held != nil && *p.held != ""
		c.Places = append(c.Places, p)
	}
}

// configured takes what the config says at one place: the value itself, or what it refers to.
func (f *authFinder) configured(c *Credential, at location) {
	switch v := at.value; {
	case v.Kind == json5.String && variableName(v.Str) != "":
		name := variableName(v.Str)
		places := f.variable(name)
		if len(places) == 0 && !c.decided() {
			c.Person = fmt.Sprintf("it is the variable %s, which no file that was read sets: replace it where the gateway is started", name)
		}
		c.add(places)
	case v.Kind == json5.String && strings.TrimSpace(v.Str) != "":
		value := strings.TrimSpace(v.Str)
		c.add([]Place{{File: at.file, Syntax: InConfig, Name: strings.Join(at.steps, "."), steps: at.steps, held: &value}})
	case v.Kind == json5.Object:
		f.reference(c, v)
	}
}

// decided reports whether it is known already what is in force.
func (c *Credential) decided() bool {
	return c.Person != "" || slices.ContainsFunc(c.Places, func(p Place) bool { return p.InForce })
}

// reference follows a SecretRef (gateway/secrets/secretref-contract of the documentation).
func (f *authFinder) reference(c *Credential, ref *json5.Value) {
	text := func(name string) string {
		if v := ref.Get(name); v != nil && v.Kind == json5.String {
			return v.Str
		}
		return ""
	}
	source, id, person := text("source"), text("id"), ""
	var places []Place
	switch source {
	case "env":
		if places = f.variable(id); len(places) == 0 {
			person = fmt.Sprintf("it is the variable %q, which no file that was read sets: replace it where the gateway is started", id)
		}
	case "file":
		places, person = f.secretFile(text("provider"), id)
	case "store":
		person = fmt.Sprintf("it is the entry %q of OpenClaw's own secret store: replace it with \"openclaw secrets store set %s\"", id, id)
	case "exec":
		person = fmt.Sprintf("the program of the secret provider %q hands it out: replace it there", text("provider"))
	default:
		person = fmt.Sprintf("it refers to a secret of the unknown source %q", source)
	}
	if person != "" && !c.decided() {
		c.Person = person
	}
	c.add(places)
}

// secretFile returns the place in the file of a provider, or why it is none of ours to change.
func (f *authFinder) secretFile(provider, id string) (places []Place, person string) {
	file := f.in.Config.String("secrets", "providers", provider, "path")
	if file == "~" || strings.HasPrefix(file, "~/") {
		file = f.in.Home + file[1:]
	}
	if !path.IsAbs(file) {
		return nil, fmt.Sprintf("the secret provider %q names no file", provider)
	}
	p := Place{File: path.Clean(file), Syntax: InSecret, Name: id, steps: pointer(id)}
	if f.in.Config.String("secrets", "providers", provider, "mode") == "singleValue" {
		p.Syntax, p.steps = InWhole, nil
	}
	switch text, ok := f.read(p.File); {
	case strings.HasPrefix(p.File, "/run/"), strings.HasPrefix(p.File, "/proc/"), strings.HasPrefix(p.File, "/sys/"):
		return nil, fmt.Sprintf("it lies in %q, which is made anew from elsewhere: replace it there", p.File)
	case !ok:
		return nil, fmt.Sprintf("it lies in %q, which cannot be read", p.File)
	default:
		spans, err := p.spans(text)
		if err != nil {
			return nil, fmt.Sprintf("it lies in %q, but not where the config says: %v", p.File, err)
		}
		p.held = &spans[0].old
		return []Place{p}, ""
	}
}

// pointer splits a JSON pointer (RFC 6901).
func pointer(id string) []string {
	rest, ok := strings.CutPrefix(id, "/")
	if !ok {
		return nil
	}
	steps := strings.Split(rest, "/")
	for i, s := range steps {
		steps[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(s)
	}
	return steps
}

// variableName returns the variable that a config's string stands for: "${NAME}", or "$NAME" as secrets may be written.
// Text around it makes a string of its own, which is replaced as a whole.
func variableName(s string) string {
	name, ok := strings.CutPrefix(strings.TrimSpace(s), "$")
	if inner, braced := strings.CutPrefix(name, "{"); braced {
		name, ok = strings.CutSuffix(inner, "}")
	}
	if !ok || name == "" || '0' <= name[0] && name[0] <= '9' || strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != "" {
		return ""
	}
	return name
}

// remote decides whose the credential for a remote gateway is. One that is the gateway's own changes with it; any other
// belongs to another host.
func (f *authFinder) remote(found map[string]Credential, name, own string) {
	c, ok := found[name]
	if !ok {
		return
	}
	gateway, values := found[own], c.Values()
	if g := gateway.Values(); len(g) > 0 && len(values) > 0 && g[0] == values[0] && gateway.Person == "" {
		for _, p := range c.Places {
			if p.InForce = false; !slices.ContainsFunc(gateway.Places, p.same) {
				gateway.Places = append(gateway.Places, p)
			}
		}
		found[own] = gateway
		delete(found, name)
		return
	}
	c.Person = fmt.Sprintf("it opens the gateway at %q: replace it there, then here", originOf(f.in.Config.String("gateway", "remote", "url")))
	if len(gateway.Places) == 0 {
		c.Person += "; while this gateway has no " + own + " it may accept it as well"
	}
	found[name] = c
}

func (p Place) same(q Place) bool {
	return p.File == q.File && p.Syntax == q.Syntax && p.Name == q.Name
}

// separateHooks gives the hooks a place of their own where they borrow the gateway's: their values must differ, as whoever
// may call a hook must not command the gateway.
func (f *authFinder) separateHooks(found map[string]Credential) {
	hooks, ok := found[HooksToken]
	if !ok {
		return
	}
	shared := func(p Place) bool {
		return slices.ContainsFunc(found[GatewayToken].Places, p.same) || slices.ContainsFunc(found[GatewayPassword].Places, p.same)
	}
	if !slices.ContainsFunc(hooks.Places, shared) {
		return
	}
	value := hooks.Values()
	hooks.Places = nil
	for _, at := range f.locate([]string{"hooks", "token"}) {
		p := Place{File: at.file, Syntax: InConfig, Name: strings.Join(at.steps, "."), steps: at.steps}
		if len(value) > 0 {
			p.held = &value[0]
		}
		hooks.Places = append(hooks.Places, p)
	}
	if n := len(hooks.Places); n > 0 {
		hooks.Places[n-1].InForce = true
	}
	found[HooksToken] = hooks
}

// A location is a value of the config in the file that holds it.
type location struct {
	file  string
	steps []string
	value *json5.Value
}

// locate returns where the config's files set a value, the one that wins last: later includes over earlier ones, and the
// members beside an $include over what it brings (config-secrets-env of the documentation).
func (f *authFinder) locate(names []string) []location {
	c := f.in.Config
	if c == nil || len(c.Files) == 0 {
		return nil
	}
	l := locator{config: c, seen: map[string]bool{}}
	l.file(c.Files[0], nil, names)
	return l.found
}

type locator struct {
	config *openclaw.Config
	seen   map[string]bool // a file counts once, as when it was loaded
	found  []location
}

func (l *locator) file(name string, steps, names []string) {
	i := slices.Index(l.config.Files, name)
	if i < 0 || l.seen[name] {
		return
	}
	l.seen[name] = true
	l.value(name, l.config.Texts[i], steps, names)
}

// value looks in one value of a file: steps lead to it in the file, names from it to what is looked for.
func (l *locator) value(file string, v *json5.Value, steps, names []string) {
	if len(names) == 0 {
		l.found = append(l.found, location{file, slices.Clone(steps), v})
		return
	}
	for _, m := range v.Members {
		if m.Key == "$include" {
			for _, included := range includes(m.Value, file) {
				l.file(included, nil, names)
			}
		}
	}
	for _, m := range slices.Backward(v.Members) {
		if m.Key == names[0] {
			l.value(file, m.Value, append(slices.Clone(steps), m.Key), names[1:])
			return
		}
	}
}

// includes returns the files an $include names.
func includes(v *json5.Value, from string) (files []string) {
	names := v.Elements
	if v.Kind == json5.String {
		names = []*json5.Value{v}
	}
	for _, n := range names {
		file := n.Str
		if !path.IsAbs(file) {
			file = path.Join(path.Dir(from), file)
		}
		files = append(files, path.Clean(file))
	}
	return files
}

// originOf is an address without what may be a secret.
func originOf(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return "another host"
	}
	return u.Scheme + "://" + u.Host
}
