package posture

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/severity"
)

const whyExec = "A command runs with every right of the account: it reads your keys and can install what it likes."

var execChecks = []check{
	{
		id: "tools.exec.security_full_configured", level: severity.Medium, title: "The agent may run any command", why: whyExec + " Nothing asks you first.",
		fix: `Let it ask: set tools.exec.mode to "ask" (before 2026.8: tools.exec.security to "allowlist" and tools.exec.ask to "on-miss").`, run: (*state).execFull,
	},
	{
		id: "security.exposure.open_channels_with_exec", level: severity.Medium, title: "Strangers can write to an agent that runs commands", why: "Whoever finds the bot can try to make it run commands on this machine.",
		fix: "Set the policies to pairing or allowlist.", run: (*state).openExec,
	},
	{
		id: "tools.exec.host_sandbox_no_sandbox_defaults", level: severity.Medium, title: "Commands should run in a sandbox that is off", why: "Depending on the release they fail, or run on the machine itself.",
		fix: `Set agents.defaults.sandbox.mode to "all".`, run: (*state).noSandboxDefaults,
	},
	{
		id: "tools.exec.host_sandbox_no_sandbox_agents", level: severity.Medium, title: "An agent's commands should run in a sandbox that is off", why: "Depending on the release they fail, or run on the machine itself.",
		fix: "Switch the agent's sandbox on.", run: (*state).noSandboxAgents,
	},
	{
		id: "tools.exec.fs_tools_disabled_but_exec_enabled", level: severity.Medium, title: "Writing files is forbidden, running commands is not", why: "A command can write any file; forbidding the file tools alone protects nothing.",
		fix: "Deny exec and process too, or sandbox the agent.", run: (*state).fsOffExecOn,
	},
	{
		id: "tools.exec.auto_allow_skills_enabled", needs: needsFiles, level: severity.Medium, title: "Skills may run their programs without asking", why: "A skill somebody else wrote adds programs to what runs unasked.",
		fix: "Switch autoAllowSkills off with openclaw approvals.", run: (*state).autoAllowSkills,
	},
	{
		id: "tools.exec.allowlist_interpreter_without_strict_inline_eval", needs: needsFiles, level: severity.Medium, title: "An interpreter runs unasked", why: "Python, Node and their like run any program given to them; allowing them allows everything.",
		fix: "Set tools.exec.strictInlineEval to true, or remove the entry.", run: (*state).interpreterAllowed,
	},
	{
		id: "tools.exec.safe_bins_interpreter_unprofiled", level: severity.Medium, title: "An interpreter counts as a harmless program", why: "What is in safeBins runs unasked.",
		fix: "Take it out of safeBins.", run: (*state).safeBinInterpreters,
	},
	{
		id: "tools.exec.safe_bins_broad_behavior", level: severity.Medium, title: "A program that can do more than filter counts as harmless", why: "awk, sed and jq can read files and run commands.",
		fix: "Take it out of safeBins.", run: (*state).safeBinsBroad,
	},
	{
		id: "tools.exec.safe_bin_trusted_dirs_risky", level: severity.Medium, title: "Programs in a writable directory count as harmless", why: "Whoever can write there, the agent included, decides what runs unasked.",
		fix: "Keep to /bin and /usr/bin.", run: (*state).safeBinDirs,
	},
	{
		id: "tools.exec.agent_skill_mcp_boundary_drift", needs: needsFiles, level: severity.Medium, title: "A skill list does not keep commands from other servers", why: "An agent that may run commands reaches every configured server of tools, whatever its skill list says.",
		fix: "Sandbox the agent, or take its commands away.", run: (*state).skillBoundary,
	},
	{
		id: "tools.exec.mcporter_registry_inspection_incomplete", needs: needsFiles, level: severity.Medium, title: "The list of tool servers cannot be read", why: "Nobody can say which servers the agent's commands reach.",
		fix: "Look at skills/config/mcporter.json: it should be a plain JSON file.", run: (*state).mcporterBroken,
	},
	{
		id: "tools.elevated.allowFrom.<provider>.wildcard", level: severity.Critical, title: "Everybody on a channel may run commands with full rights", why: "Elevated mode passes the sandbox and the approvals by; here nobody is left out.",
		fix: "List the people instead of *.", run: (*state).elevatedWildcard,
	},
	{
		id: "tools.elevated.allowFrom.<provider>.large", level: severity.Medium, title: "Many people may run commands with full rights", why: "Each of their accounts can be taken over.",
		fix: "Shorten the list.", run: (*state).elevatedLarge,
	},
	{
		id: "tools.profile_minimal_overridden", level: severity.Medium, title: "The small tool set is widened for single agents", why: "The global minimal profile looks like protection and does not hold for them.",
		fix: `Set their tools.profile to "minimal".`, run: (*state).minimalOverridden,
	},
	{
		id: "agents.claude_cli.permission_mode_overridden_by_yolo", level: severity.Medium, title: "Claude's permission mode is ignored", why: "Commands run without asking whatever the option says.",
		fix: "Restrict tools.exec.", run: (*state).claudeOverridden,
	},
}

// execScopes are the scopes whose command policy OpenClaw's audit counts: the configured one, and each agent's.
func (s *state) execScopes() []scope {
	if agents := s.agents(); len(agents) > 0 {
		return s.scopes()
	}
	return []scope{s.defaults()}
}

func (s *state) execFull(o *outcome) {
	full := names(s.execScopes(), func(c scope) bool { return c.execSecurity() == "full" })
	if len(full) == 0 {
		return
	}
	f := o.add("tools.exec", "any command, unasked: "+named(full))
	if open := s.openExecPaths(); len(open) > 0 {
		f.Level = severity.Critical
		f.Seen += "\nand strangers are let in at " + named(open)
	}
	f.Commands = []string{configSet("tools.exec.mode", `"ask"`)}
	if s.before("2026.8.0") {
		f.Commands = []string{configSet("tools.exec.security", `"allowlist"`), configSet("tools.exec.ask", `"on-miss"`)}
	}
}

// openExecPaths lists every groupPolicy and dmPolicy below channels that is open, however deep.
func (s *state) openExecPaths() (open []string) {
	var visit func(v any, key string, depth int)
	visit = func(v any, key string, depth int) {
		m, ok := v.(map[string]any)
		if !ok || depth > 12 || len(open) > maxListed {
			return
		}
		for _, name := range []string{"groupPolicy", "dmPolicy"} {
			if m[name] == "open" {
				open = append(open, key+"."+name)
			}
		}
		for _, name := range keys(m) {
			visit(m[name], key+"."+name, depth+1)
		}
	}
	channels := object(s.root, "channels")
	for _, name := range keys(channels) {
		visit(channels[name], "channels."+name, 0)
	}
	slices.Sort(open)
	return open
}

func (s *state) openExec(o *outcome) {
	open := s.openExecPaths()
	able := names(s.execScopes(), func(c scope) bool { return c.execSecurity() != "deny" })
	if len(open) == 0 || len(able) == 0 {
		return
	}
	f := o.add(open[0], "strangers are let in at "+named(open)+"\nand commands may be run by "+named(able))
	if slices.ContainsFunc(s.execScopes(), func(c scope) bool { return c.execSecurity() == "full" }) {
		f.Level = severity.Critical
	}
}

func (s *state) noSandboxDefaults(o *outcome) {
	if text(s.root, "tools", "exec", "host") == "sandbox" && s.defaults().sandboxMode() == "off" {
		o.add("tools.exec.host", `tools.exec.host is "sandbox" and the sandbox is off`)
	}
}

func (s *state) noSandboxAgents(o *outcome) {
	bad := names(s.agents(), func(c scope) bool {
		return text(c.conf, "tools", "exec", "host") == "sandbox" && c.sandboxMode() == "off"
	})
	if len(bad) > 0 {
		o.add("agents", `tools.exec.host is "sandbox" and the sandbox is off for `+named(bad))
	}
}

func (s *state) fsOffExecOn(o *outcome) {
	var bad []string
	for _, c := range s.scopes() {
		contained := c.sandboxMode() == "all" && c.execHost() != "gateway" && c.execHost() != "node" && c.workspaceAccess() != "rw"
		p := c.policies()
		if !contained && allowed("exec", p) && len(which([]string{"write", "edit", "apply_patch"}, p)) == 0 {
			bad = append(bad, c.name())
		}
	}
	if len(bad) > 0 {
		o.add("tools", "write, edit and apply_patch are denied, exec is not: "+named(bad))
	}
}

func (s *state) autoAllowSkills(o *outcome) {
	for _, a := range s.approvals() {
		if a.autoSkills {
			f := o.add(a.where, "autoAllowSkills is on for "+a.name())
			f.Commands = []string{"openclaw approvals get"}
		}
	}
}

// interpreters run programs that are given to them (INTERPRETER_ALLOWLIST_NAMES and INTERPRETER_LIKE_SAFE_BINS of
// 2026.9.6). A version after the name makes no difference.
var interpreters = strings.Fields(`ash awk bash busybox bun cmd cscript dash deno fish gawk gsed ksh lua mawk nawk node nodejs osascript perl php
	powershell pypy pypy3 pwsh python python2 python3 ruby sed sh toybox wscript zsh find make xargs`)

// notUnasked are interpreters whose entry in the list of approvals OpenClaw's audit does not count.
var notUnasked = strings.Fields("ash bash busybox cmd cscript dash fish gsed ksh powershell pwsh sed sh toybox wscript zsh")

var versionSuffix = regexp.MustCompile(`[-.]?\d+(\.\d+)*$`)

// program is the bare name of what a pattern of the list of approvals allows.
func program(pattern string) string {
	name := path.Base(strings.ToLower(strings.ReplaceAll(pattern, `\`, "/")))
	name = strings.TrimRight(strings.NewReplacer("*", "", "?", "", "[", "", "]", "", ".exe", "").Replace(name), ".-")
	return name
}

func isInterpreter(name string) bool {
	return slices.Contains(interpreters, name) || slices.Contains(interpreters, versionSuffix.ReplaceAllString(name, ""))
}

func (s *state) interpreterAllowed(o *outcome) {
	strict := map[string]bool{}
	for _, c := range s.agents() {
		strict[c.id] = either(at(c.conf, "tools", "exec", "strictInlineEval"), at(s.root, "tools", "exec", "strictInlineEval")) == true
	}
	for _, a := range s.approvals() {
		isStrict, known := strict[a.agent]
		if !known {
			isStrict = isTrue(s.root, "tools", "exec", "strictInlineEval")
		}
		var bad []string
		for _, p := range a.patterns {
			if name := program(p); isInterpreter(name) && !slices.Contains(notUnasked, name) {
				bad = append(bad, short(p))
			}
		}
		if len(bad) > 0 && !isStrict && a.agent != "" {
			f := o.add(a.where, a.name()+" runs unasked: "+named(bad))
			f.Commands = []string{configSet("tools.exec.strictInlineEval", "true")}
		}
	}
}

// safeBins returns the lists of harmless programs with the names of those that have a profile of their own.
func (s *state) safeBins(fn func(key string, bins []string, profiled func(string) bool)) {
	for _, c := range append([]scope{{key: "tools.exec", conf: s.root}}, s.agents()...) {
		key := c.key
		if c.id != "" {
			key += ".tools.exec"
		}
		exec := at(c.conf, "tools", "exec")
		var bins []string
		for _, b := range texts(exec, "safeBins") {
			bins = append(bins, program(b))
		}
		fn(key+".safeBins", bins, func(name string) bool {
			return at(exec, "safeBinProfiles", name) != nil || at(s.root, "tools", "exec", "safeBinProfiles", name) != nil
		})
	}
}

func (s *state) safeBinInterpreters(o *outcome) {
	var bad []string
	s.safeBins(func(key string, bins []string, profiled func(string) bool) {
		for _, b := range bins {
			if isInterpreter(b) && !profiled(b) && !slices.Contains([]string{"find", "make", "xargs", "osascript", "pypy3"}, b) {
				bad = append(bad, short(b)+" in "+key)
			}
		}
	})
	if len(bad) > 0 {
		o.add("tools.exec.safeBins", lines(bad))
	}
}

func (s *state) safeBinsBroad(o *outcome) {
	var bad []string
	s.safeBins(func(key string, bins []string, _ func(string) bool) {
		for _, b := range bins {
			if slices.Contains([]string{"jq", "awk", "gawk", "mawk", "nawk", "sed", "gsed"}, b) {
				bad = append(bad, b+" in "+key)
			}
		}
	})
	if len(bad) > 0 {
		o.add("tools.exec.safeBins", lines(bad))
	}
}

// riskyDir tells why programs of a directory are no harmless ones.
func riskyDir(dir string) string {
	clean := strings.ToLower(path.Clean(dir))
	switch {
	case !path.IsAbs(dir):
		return "is not absolute"
	case openclaw.Within(clean, "/tmp"), openclaw.Within(clean, "/var/tmp"), openclaw.Within(clean, "/private/tmp"):
		return "is for temporary files"
	case slices.Contains([]string{"/usr/local/bin", "/opt/homebrew/bin", "/opt/local/bin", "/home/linuxbrew/.linuxbrew/bin"}, clean):
		return "belongs to a package manager"
	case openclaw.Within(clean, "/users"), openclaw.Within(clean, "/home"), strings.Contains(clean, "/.local/bin"):
		return "lies in a home"
	}
	return ""
}

func (s *state) safeBinDirs(o *outcome) {
	var bad []string
	for _, c := range append([]scope{{conf: s.root}}, s.agents()...) {
		for _, dir := range texts(c.conf, "tools", "exec", "safeBinTrustedDirs") {
			if why := riskyDir(dir); why != "" {
				bad = append(bad, fmt.Sprintf("%q %s", short(dir), why))
			}
		}
	}
	if len(bad) > 0 {
		o.add("tools.exec.safeBinTrustedDirs", lines(bad))
	}
}

// mcporter is the registry of tool servers that commands can use.
func (s *state) mcporter() string {
	return path.Join(s.in.StateDir, "skills", "config", "mcporter.json")
}

// boundaryScopes are the scopes with a skill list whose commands run on a host.
func (s *state) boundaryScopes() []string {
	inherited := at(s.root, "agents", "defaults", "skills") != nil
	return names(s.scopes(), func(c scope) bool {
		listed := inherited || at(c.conf, "skills") != nil
		return listed && c.execSecurity() != "deny" && c.execHost() != "sandbox" && !(c.execHost() == "auto" && c.sandboxMode() != "off")
	})
}

func (s *state) skillBoundary(o *outcome) {
	servers := object(s.root, "mcp", "servers")
	_, registry := s.lstat(s.mcporter())
	if scopes := s.boundaryScopes(); len(scopes) > 0 && (len(servers) > 0 || registry) {
		o.add("mcp.servers", "a skill list and commands on the host: "+named(scopes))
	}
}

func (s *state) mcporterBroken(o *outcome) {
	info, there := s.lstat(s.mcporter())
	if len(s.boundaryScopes()) == 0 || !there {
		return
	}
	if v, ok := s.json(s.mcporter()); !info.Mode().IsRegular() || !ok || v == nil {
		o.add(s.mcporter(), s.mcporter()+" is no readable JSON file")
	}
}

func (s *state) elevated(fn func(provider string, entries []string)) {
	from := object(s.root, "tools", "elevated", "allowFrom")
	if isFalse(s.root, "tools", "elevated", "enabled") {
		return
	}
	for _, provider := range keys(from) {
		fn(provider, texts(from[provider]))
	}
}

func (s *state) elevatedWildcard(o *outcome) {
	s.elevated(func(provider string, entries []string) {
		if slices.Contains(entries, "*") {
			key := []string{"tools", "elevated", "allowFrom", provider}
			f := o.named(provider, dotted(key...), dotted(key...)+` has "*"`)
			f.set(key, listWithout(s.root, key, func(t string) bool { return t == "*" }))
		}
	})
}

func (s *state) elevatedLarge(o *outcome) {
	s.elevated(func(provider string, entries []string) {
		if len(entries) > 25 && !slices.Contains(entries, "*") {
			o.named(provider, dotted("tools.elevated.allowFrom", provider), fmt.Sprintf("%d entries", len(entries)))
		}
	})
}

func (s *state) minimalOverridden(o *outcome) {
	if text(s.root, "tools", "profile") != "minimal" {
		return
	}
	wider := names(s.agents(), func(c scope) bool { p := text(c.conf, "tools", "profile"); return p != "" && p != "minimal" })
	if len(wider) > 0 {
		o.add("tools.profile", `tools.profile is "minimal" and wider for `+named(wider))
	}
}

func (s *state) claudeOverridden(o *outcome) {
	args := append(texts(s.root, "agents", "defaults", "cliBackends", "claude-cli", "args"), texts(s.root, "agents", "defaults", "cliBackends", "claude-cli", "resumeArgs")...)
	hasMode := slices.ContainsFunc(args, func(a string) bool { return strings.HasPrefix(a, "--permission-mode") })
	unasked := names(s.execScopes(), func(c scope) bool { return c.execSecurity() == "full" })
	if hasMode && len(unasked) > 0 {
		o.add("agents.defaults.cliBackends.claude-cli", "--permission-mode is set and any command runs unasked for "+named(unasked))
	}
}
