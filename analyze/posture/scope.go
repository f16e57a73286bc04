package posture

import (
	"fmt"
	"slices"
)

// A scope is where tools run: the defaults, or one agent of the config.
type scope struct {
	id   string // the agent's id; "" for the defaults
	key  string // config key of its section: agents.defaults, agents.entries.<id>, agents.list[<n>]
	conf any    // the agent's section
	root any    // the config
}

// maxAgents bounds how many agents of the config are judged.
const maxAgents = 500

// agents returns the agents of the config: agents.entries of 2026.8 on, else agents.list.
func (s *state) agents() []scope {
	if s.roster == nil {
		all := s.readAgents()
		if len(all) > maxAgents {
			s.gap(s.in.ConfigPath, fmt.Sprintf("lists %d agents; only %d were judged", len(all), maxAgents))
			all = all[:maxAgents]
		}
		s.roster = append([]scope{}, all...)
	}
	return s.roster
}

func (s *state) readAgents() (all []scope) {
	if entries, ok := at(s.root, "agents", "entries").(map[string]any); ok {
		for _, id := range keys(entries) {
			if _, isObject := entries[id].(map[string]any); isObject {
				all = append(all, scope{id: id, key: dotted("agents", "entries", id), conf: entries[id], root: s.root})
			}
		}
		return all
	}
	for i, v := range list(s.root, "agents", "list") {
		if id := text(v, "id"); id != "" {
			all = append(all, scope{id: id, key: fmt.Sprintf("agents.list[%d]", i), conf: v, root: s.root})
		}
	}
	return all
}

// hasRoster reports that the config lists agents, though perhaps none.
func (s *state) hasRoster() bool {
	return at(s.root, "agents", "entries") != nil || at(s.root, "agents", "list") != nil
}

func (s *state) defaults() scope { return scope{key: "agents.defaults", root: s.root} }

// scopes returns the defaults and every agent.
func (s *state) scopes() []scope { return append([]scope{s.defaults()}, s.agents()...) }

// working returns the scopes that agents really run in: those of the config, and the defaults where it lists none.
func (s *state) working() []scope {
	if agents := s.agents(); len(agents) > 0 {
		return agents
	}
	return []scope{s.defaults()}
}

// name is how a finding calls the scope.
func (c scope) name() string {
	if c.id == "" {
		return "every agent (defaults)"
	}
	return "agent " + short(c.id)
}

// setting returns a value of the agent's section, else of agents.defaults.
func (c scope) setting(names ...string) any {
	return either(at(c.conf, names...), at(c.root, append([]string{"agents", "defaults"}, names...)...))
}

// sandboxMode is off, non-main or all; what is none of them is off.
func (c scope) sandboxMode() string {
	if mode, _ := c.setting("sandbox", "mode").(string); mode == "all" || mode == "non-main" {
		return mode
	}
	return "off"
}

// workspaceAccess is none, ro or rw.
func (c scope) workspaceAccess() string {
	if access, _ := c.setting("sandbox", "workspaceAccess").(string); access == "ro" || access == "rw" {
		return access
	}
	return "none"
}

// sandboxScope is session, agent or shared: who shares a container.
func (c scope) sandboxScope() string {
	if s, _ := c.setting("sandbox", "scope").(string); s != "" {
		return s
	}
	if perSession, set := c.setting("sandbox", "perSession").(bool); set && !perSession {
		return "shared"
	} else if set {
		return "session"
	}
	return "agent"
}

// docker returns a setting of the sandbox's containers as it applies to the scope.
func (c scope) docker(name string) any {
	if c.sandboxScope() == "shared" {
		return at(c.root, "agents", "defaults", "sandbox", "docker", name)
	}
	return c.setting("sandbox", "docker", name)
}

// tools is the agent's tools section.
func (c scope) tools() any { return at(c.conf, "tools") }

// profile is the tool profile in force, "" if none is set.
func (c scope) profile() string {
	profile, _ := either(at(c.conf, "tools", "profile"), at(c.root, "tools", "profile")).(string)
	return profile
}

// policies are the tool policies in force. A sandboxed session's count where every session is sandboxed.
func (c scope) policies(extra ...any) (all []toolPolicy) {
	also := texts(c.root, "tools", "alsoAllow")
	if _, set := at(c.conf, "tools", "alsoAllow").([]any); set {
		also = texts(c.conf, "tools", "alsoAllow")
	}
	if p, known := profilePolicy(c.profile(), also); known {
		all = append(all, p)
	}
	for _, tools := range append([]any{at(c.root, "tools"), c.tools()}, extra...) {
		if p, set := listPolicy(tools); set {
			all = append(all, p)
		}
	}
	if c.sandboxMode() == "all" {
		all = append(all, sandboxPolicy(at(c.root, "tools"), c.tools()))
	}
	return all
}

// may reports whether the scope may use a tool.
func (c scope) may(tool string) bool { return allowed(tool, c.policies()) }

// execHost is where commands run: auto, sandbox, gateway or node.
func (c scope) execHost() string {
	if host, _ := either(at(c.conf, "tools", "exec", "host"), at(c.root, "tools", "exec", "host")).(string); host != "" {
		return host
	}
	return "auto"
}

// execSecurity is deny, allowlist or full: tools.exec.mode of 2026.9 if it is set, else tools.exec.security. With
// neither, the configured policy is deny as OpenClaw's audit counts it, whatever the release falls back to.
func (c scope) execSecurity() string {
	global := execSecurityOf(at(c.root, "tools", "exec"), "deny")
	if c.id == "" {
		return global
	}
	return execSecurityOf(at(c.conf, "tools", "exec"), global)
}

func execSecurityOf(exec any, inherited string) string {
	switch mode := text(exec, "mode"); mode {
	case "deny", "full":
		return mode
	case "allowlist", "ask", "auto":
		return "allowlist"
	}
	if s := text(exec, "security"); s != "" {
		return s
	}
	return inherited
}

// openPolicies lists the keys under channels at which strangers are let in. Accounts count for themselves.
func (s *state) openPolicies() (open []string) {
	for _, c := range s.channelSections() {
		if text(c.conf, "groupPolicy") == "open" {
			open = append(open, c.key+".groupPolicy")
		}
		switch dm, legacy := at(c.conf, "dmPolicy"), at(c.conf, "dm", "policy"); {
		case dm == "open":
			open = append(open, c.key+".dmPolicy")
		case dm == nil && legacy == "open":
			open = append(open, c.key+".dm.policy")
		}
	}
	return open
}

// A channelSection is the section of a channel or of one account of it.
type channelSection struct {
	channel, account string // account "" for the channel's own section
	key              string
	conf             map[string]any
	parent           map[string]any // of an account: the channel's section
}

func (s *state) channelSections() (all []channelSection) {
	channels := object(s.root, "channels")
	for _, name := range keys(channels) {
		section, ok := channels[name].(map[string]any)
		if !ok {
			continue
		}
		all = append(all, channelSection{channel: name, key: dotted("channels", name), conf: section})
		accounts := object(section, "accounts")
		for _, id := range keys(accounts) {
			if account, ok := accounts[id].(map[string]any); ok && len(all) < maxListed {
				all = append(all, channelSection{name, id, dotted("channels", name, "accounts", id), account, section})
			}
		}
	}
	return all
}

// setting returns a value of the section; an account's falls back to its channel's.
func (c channelSection) setting(name string) any {
	return either(c.conf[name], at(c.parent, name))
}

// enabled reports that neither the account nor its channel is switched off.
func (c channelSection) enabled() bool {
	return !isFalse(c.conf, "enabled") && !isFalse(c.parent, "enabled") && c.channel != "defaults"
}

// names returns the ids of the scopes for which ok holds.
func names(scopes []scope, ok func(scope) bool) (ids []string) {
	for _, c := range scopes {
		if ok(c) {
			ids = append(ids, c.name())
		}
	}
	return slices.Compact(ids)
}
