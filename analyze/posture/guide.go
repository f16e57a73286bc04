package posture

import (
	"fmt"
	"io/fs"
	"math"
	"path"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/severity"
)

const (
	whySandbox = "Without a sandbox a tricked agent acts on this machine itself, with every right of its account."
	whyInject  = "Web pages, mails and files can hold instructions meant for the agent. One that reads them should not be able to act."
)

var guideChecks = []check{
	{id: "guide.sandbox_mode", level: severity.High, title: "The agent's tools run on the machine itself", why: whySandbox, fix: `Install Docker and set the sandbox mode to "all".`, run: (*state).guideSandbox},
	{id: "guide.sandbox_scope", level: severity.Medium, title: "All agents share one sandbox", why: "What one agent is tricked into reaches the files of all others.", fix: `Set the sandbox scope to "agent" or "session".`, run: (*state).guideScope},
	{id: "guide.sandbox_workspace", level: severity.Medium, title: "The sandbox may change the workspace", why: "The workspace holds the agent's instructions and memory: what is written there acts later, outside too.", fix: `Set workspaceAccess to "none" or "ro".`, run: (*state).guideWorkspace},
	{id: "guide.container_flags", level: severity.High, title: "The sandbox is configured less hardened than OpenClaw's default", why: "The default drops all capabilities and makes the file system read-only; with less, a way out is easier to find.", fix: `Set readOnlyRoot to true and capDrop to ["ALL"].`, run: (*state).guideContainer},
	{id: "guide.container_running", needs: needsLive, level: severity.High, title: "A running sandbox is not hardened", why: "The containers that run now are what counts.", fix: "Recreate the sandboxes: openclaw sandbox recreate --all.", run: (*state).deepContainers},
	{id: "guide.gateway_bind", level: severity.High, title: "The gateway listens beyond this machine", why: whyReach, fix: fixBind, run: (*state).guideBind},
	{id: "guide.gateway_auth", level: severity.Critical, title: "The gateway asks for no secret", why: whyReach, fix: "Set gateway.auth.mode to token and a long random token.", run: (*state).guideAuth},
	{id: "guide.token_strength", level: severity.High, title: "The gateway's secret can be guessed", why: "Whoever guesses it commands the agent.", fix: "Set a random token of at least 24 characters.", run: (*state).guideToken},
	{id: "guide.dm_policy", level: severity.High, title: "Strangers may write to the agent", why: whyStranger, fix: `Set dmPolicy to "pairing".`, run: (*state).guideDM},
	{id: "guide.allowlist_wildcard", level: severity.High, title: "A list of allowed people lets everybody in", why: whyStranger, fix: `Replace "*" by ids.`, run: (*state).guideWildcard},
	{id: "guide.group_policy", level: severity.High, title: "Any group may use the agent", why: whyStranger, fix: `Set groupPolicy to "allowlist".`, run: (*state).guideGroups},
	{id: "guide.group_mention", level: severity.Medium, title: "The agent answers in groups without being called", why: "Every message of the group reaches it, also one written to trick it.", fix: "Set requireMention to true.", run: (*state).guideMention},
	{id: "guide.risky_tools", level: severity.Medium, title: "An agent has high-risk tools outside a sandbox", why: whySandbox, fix: "Deny the tools it does not need, or sandbox it.", run: (*state).guideTools},
	{id: "guide.reader_agent", level: severity.Medium, title: "An agent reads the web and can act on this machine", why: whyInject, fix: "Let a second agent without exec, write and edit read the web, or sandbox this one.", run: (*state).guideReader},
	{id: "guide.browser_profile", level: severity.High, title: "The agent uses your own browser", why: "It can act on every site you are logged in to.", fix: `Use the profile "openclaw".`, run: (*state).guideBrowser},
	{id: "guide.file_modes", needs: needsFiles, level: severity.High, title: "Others may reach what should be private", why: whyRead, fix: "Set directories to 700 and files to 600.", run: (*state).guideModes},
	{id: "guide.symlinks", needs: needsFiles, level: severity.Medium, title: "A link stands where OpenClaw keeps credentials or records", why: "Whoever placed it chose what is read and written there.", fix: "Check where it leads; replace it by the file.", run: (*state).guideLinks},
	{id: "guide.model_tier", level: severity.Low, title: "The agent runs on an older or smaller model", why: whyModel, fix: "Use a current top model.", run: (*state).guideModel},
	{id: "guide.port_exposed", needs: needsLive, level: severity.High, title: "The gateway's port is reachable from outside", why: whyReach, fix: "Bind to loopback and remove the firewall's permission: sudo ufw delete allow 18789", run: (*state).deepExposed},
	{id: "guide.firewall", needs: needsLive, level: severity.Medium, title: "No firewall protects this machine", why: "Every program that listens is reachable.", fix: "sudo ufw limit ssh && sudo ufw enable", run: (*state).deepFirewall},
	{id: "guide.ssh_limit", needs: needsLive, level: severity.Low, title: "SSH logins may be tried without limit", why: "Passwords can be guessed.", fix: "sudo ufw limit ssh", run: (*state).deepSSH},
}

func (s *state) guideSandbox(o *outcome) {
	for _, c := range s.working() {
		raw, set := c.setting("sandbox", "mode").(string)
		seen := c.name() + ": the sandbox mode is " + c.sandboxMode()
		if set && !slices.Contains([]string{"off", "non-main", "all"}, raw) {
			seen += fmt.Sprintf(" (%q is no mode of OpenClaw: off, non-main and all are)", short(raw))
		}
		if c.sandboxMode() == "all" || len(o.findings) >= maxLines {
			continue
		}
		f := o.add(c.key+".sandbox.mode", seen)
		if c.sandboxMode() == "non-main" {
			f.Level, f.Seen = severity.Medium, seen+": your own conversation runs outside"
		}
		f.Commands = []string{configSet("agents.defaults.sandbox.mode", `"all"`), configSet("agents.defaults.sandbox.workspaceAccess", `"none"`)}
	}
}

// sandboxed are the scopes whose sandbox is on for some sessions.
func (s *state) sandboxed() []scope {
	return slices.DeleteFunc(slices.Clone(s.working()), func(c scope) bool { return c.sandboxMode() == "off" })
}

func (s *state) guideScope(o *outcome) {
	if shared := names(s.sandboxed(), func(c scope) bool { return c.sandboxScope() == "shared" }); len(shared) > 0 {
		f := o.add("agents.defaults.sandbox.scope", "the scope is shared for "+named(shared))
		f.Commands = []string{configSet("agents.defaults.sandbox.scope", `"agent"`)}
	}
}

func (s *state) guideWorkspace(o *outcome) {
	if open := names(s.sandboxed(), func(c scope) bool { return c.workspaceAccess() == "rw" }); len(open) > 0 {
		f := o.add("agents.defaults.sandbox.workspaceAccess", "workspaceAccess is rw for "+named(open))
		f.Commands = []string{configSet("agents.defaults.sandbox.workspaceAccess", `"ro"`)}
	}
}

func (s *state) guideContainer(o *outcome) {
	var weak []string
	for _, c := range s.sandboxed() {
		if c.docker("readOnlyRoot") == false {
			weak = append(weak, c.name()+": readOnlyRoot is false")
		}
		if drop, set := c.docker("capDrop").([]any); set && !slices.Contains(upper(texts(drop)), "ALL") {
			weak = append(weak, c.name()+": capDrop leaves capabilities")
		}
		if user, _ := c.docker("user").(string); user == "root" || user == "0" || strings.HasPrefix(user, "0:") {
			weak = append(weak, c.name()+": the user is root")
		}
	}
	if len(weak) > 0 {
		f := o.add("agents.defaults.sandbox.docker", lines(weak))
		f.Commands = []string{configSet("agents.defaults.sandbox.docker.readOnlyRoot", "true"), configSet("agents.defaults.sandbox.docker.capDrop", `["ALL"]`)}
	}
}

func upper(all []string) []string {
	for i := range all {
		all[i] = strings.ToUpper(all[i])
	}
	return all
}

func (s *state) guideBind(o *outcome) {
	if bind := s.bind(); bind != "loopback" {
		f := o.add("gateway.bind", fmt.Sprintf("gateway.bind is %q", short(bind)))
		f.set([]string{"gateway", "bind"}, `"loopback"`)
		f.Commands = append(f.Commands, "ssh -L 18789:localhost:18789 USER@THIS-HOST")
	}
}

func (s *state) guideAuth(o *outcome) {
	if a := s.auth(); !a.shared() && !a.tailscale {
		f := o.add("gateway.auth", fmt.Sprintf("auth mode %q without a secret", short(a.mode)))
		f.Commands = []string{configSet("gateway.auth.mode", `"token"`), newToken}
	}
}

// examples are secrets of guides and example files, and words attackers try first.
var examples = []string{
	"change-me", "changeme", "change-me-now", "change-me-to-a-long-random-token", "change-me-to-a-strong-password", "your-token", "your_token_here", "your-token-here",
	"token", "secret", "password", "openclaw", "clawdbot", "moltbot", "test", "admin", "letmein", "12345678", "undefined", "null",
}

// weakness tells why a secret can be guessed, in words that don't give it away; "" if it cannot.
func weakness(secret string) string {
	lower, n := strings.ToLower(secret), len([]rune(secret))
	switch bits := entropy(secret); {
	case slices.Contains(examples, lower):
		return "is a well-known example"
	case n < shortSecret:
		return fmt.Sprintf("has only %d characters", n)
	case bits < 64:
		return fmt.Sprintf("repeats itself (about %.0f bits of chance)", bits)
	}
	return ""
}

// entropy estimates the bits of chance in a text from how often each character stands in it.
func entropy(text string) float64 {
	counts, n := map[rune]int{}, 0
	for _, r := range text {
		counts[r]++
		n++
	}
	bits := 0.0
	for _, c := range counts {
		bits -= float64(c) * math.Log2(float64(c)/float64(n))
	}
	return bits
}

func (s *state) guideToken(o *outcome) {
	c := s.auth().active()
	if c.value == "" {
		return
	}
	if why := weakness(c.value); why != "" {
		f := o.add(c.where, "the secret "+why)
		f.Commands = []string{newToken}
	}
}

func (s *state) guideDM(o *outcome) {
	for _, c := range s.accounts() {
		policy, key := c.dm()
		if !slices.Contains([]string{"pairing", "allowlist", "disabled"}, policy) && len(o.findings) < maxLines {
			s.setPolicy(o.add(key, fmt.Sprintf("%s is %q", key, short(policy))), c, key)
		}
	}
}

func (s *state) guideWildcard(o *outcome) {
	for _, c := range s.channelSections() {
		for _, name := range []string{"allowFrom", "groupAllowFrom"} {
			if slices.Contains(texts(c.conf[name]), "*") && c.enabled() && len(o.findings) < maxLines {
				key := append(c.path(), name)
				f := o.add(c.key+"."+name, c.key+"."+name+` has "*"`)
				f.set(key, listWithout(s.root, key, func(t string) bool { return t == "*" }))
				if c.conf["dmPolicy"] == "open" && name == "allowFrom" { // "open" without "*" is no valid config
					f.set(append(c.path(), "dmPolicy"), `"pairing"`)
				}
			}
		}
	}
	if slices.Contains(texts(s.root, "commands", "ownerAllowFrom"), "*") {
		o.add("commands.ownerAllowFrom", `commands.ownerAllowFrom has "*": everybody is the owner`).Level = severity.Critical
	}
}

func (s *state) guideGroups(o *outcome) {
	for _, c := range s.accounts() {
		if s.groupPolicy(c) == "open" && len(o.findings) < maxLines {
			o.add(c.key+".groupPolicy", c.key+`.groupPolicy is "open"`).set(append(c.path(), "groupPolicy"), `"allowlist"`)
		}
	}
}

func (s *state) guideMention(o *outcome) {
	for _, c := range s.channelSections() {
		for _, kind := range []string{"groups", "guilds", "channels", "rooms"} {
			groups := object(c.conf, kind)
			for _, name := range keys(groups) {
				if isFalse(groups[name], "requireMention") && c.enabled() && len(o.findings) < maxLines {
					key := append(c.path(), kind, name, "requireMention")
					o.add(dotted(key...), dotted(key...)+" is false").set(key, "true")
				}
			}
		}
	}
}

// riskyTools are those the guide calls high-risk.
var riskyTools = []string{"exec", "process", "write", "edit", "apply_patch", "browser", "web_fetch"}

func (s *state) guideTools(o *outcome) {
	for _, c := range s.working() {
		tools := which(riskyTools, c.policies())
		if c.sandboxMode() == "all" || len(tools) == 0 || len(o.findings) >= maxLines {
			continue
		}
		f := o.add(c.key+".tools", c.name()+" may use outside a sandbox: "+strings.Join(tools, ", "))
		f.Commands = []string{configSet("tools.deny", `["exec","process","write","edit","browser"]`)}
	}
}

func (s *state) guideReader(o *outcome) {
	for _, c := range s.working() {
		p := c.policies()
		read, act := which([]string{"web_fetch", "web_search", "browser"}, p), which([]string{"exec", "process", "write", "edit"}, p)
		if len(read) > 0 && len(act) > 0 && c.sandboxMode() != "all" && len(o.findings) < maxLines {
			o.add(c.key+".tools", fmt.Sprintf("%s reads with %s and acts with %s", c.name(), strings.Join(read, ", "), strings.Join(act, ", ")))
		}
	}
}

func (s *state) guideBrowser(o *outcome) {
	if !s.browserOn() {
		return
	}
	if p := text(s.root, "browser", "defaultProfile"); slices.Contains([]string{"chrome", "user", "default", "chrome-relay"}, p) {
		o.add("browser.defaultProfile", fmt.Sprintf("browser.defaultProfile is %q: the browser you use yourself", p)).set([]string{"browser", "defaultProfile"}, `"openclaw"`)
	}
	profiles := object(s.root, "browser", "profiles")
	for _, name := range keys(profiles) {
		if driver := text(profiles[name], "driver"); slices.Contains([]string{"extension", "existing-session"}, driver) && len(o.findings) < maxLines {
			o.add(dotted("browser", "profiles", name), fmt.Sprintf("the profile %s joins a browser that is running (%s)", short(name), driver))
		}
	}
	for _, c := range s.sandboxed() {
		if c.setting("sandbox", "browser", "allowHostControl") == true {
			o.add(c.key+".sandbox.browser.allowHostControl", c.name()+" may steer the machine's browser from its sandbox")
		}
	}
}

// maxModes bounds the findings of permissions; more are told in one gap.
const maxModes = 500

func (s *state) guideModes(o *outcome) { s.modes(o, func(p place) bool { return !p.copied }) }

// modes reports what others may reach, of the places that ok chooses.
func (s *state) modes(o *outcome, ok func(place) bool) {
	if s.o.NoModes {
		o.undecided = noModes
		return
	}
	for _, p := range s.places() {
		if p.link != "" || p.perm&0o077 == 0 || !ok(p) {
			continue
		}
		if len(o.findings) == maxModes {
			s.gap(s.in.StateDir, fmt.Sprintf("more than %d files have permissions for others; the rest is not listed", maxModes))
			return
		}
		want := uint32(0o600)
		if p.dir {
			want = 0o700
		}
		f := o.add(p.path, fmt.Sprintf("%s (%s) has the permissions %03o", p.path, p.kind, p.perm))
		f.Level = p.grade()
		f.mode(p.path, want)
	}
}

// grade says how bad permissions are: what others can really reach counts.
func (p place) grade() severity.Level {
	switch {
	case p.closed:
		return severity.Low
	case p.perm&0o022 != 0:
		return severity.Critical
	case p.perm&0o007 != 0:
		return severity.High
	}
	return severity.Medium
}

func (s *state) guideLinks(o *outcome) {
	for _, p := range s.places() {
		if p.link == "" || p.path == s.in.StateDir || p.path == s.in.ConfigPath || len(o.findings) >= maxModes {
			continue
		}
		f := o.add(p.path, fmt.Sprintf("%s (%s) leads to %s", p.path, p.kind, short(p.link)))
		if !openclaw.Within(s.real(p.path), s.in.StateDir) {
			f.Level = severity.High
		}
		f.Commands = []string{"ls -l " + console.ShellWord(p.path)}
	}
	for _, dir := range []string{path.Join(s.in.StateDir, "skills"), path.Join(s.in.StateDir, "hooks")} {
		if info, ok := s.lstat(dir); ok && info.Mode()&fs.ModeSymlink != 0 {
			o.add(dir, dir+" leads to "+short(s.link(dir)))
		}
	}
}

func (s *state) guideModel(o *outcome) {
	var old []string
	for _, m := range s.models() {
		b := billions(m.id)
		if weak := haiku.MatchString(m.id) || gpt.MatchString(m.id) && !gpt5.MatchString(m.id) || claude.MatchString(m.id) && !claude45.MatchString(m.id); weak || b > 0 && b <= smallBillions {
			old = append(old, short(m.id)+" at "+m.key)
		}
	}
	if len(old) > 0 {
		o.add("agents", lines(old))
	}
}
