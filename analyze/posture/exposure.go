package posture

import (
	"fmt"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/severity"
)

var exposureChecks = []check{
	{
		id: "summary.attack_surface", level: severity.Info, title: "What can be attacked here", why: "An overview, no fault.",
		fix: "Nothing; switch off what you don't use.", run: (*state).surface,
	},
	{
		id: "security.exposure.open_groups_with_elevated", level: severity.Critical, title: "Strangers are let in while full rights are on", why: "A message can then lead to commands outside the sandbox and without approval.",
		fix: "Set the policies to pairing or allowlist.", run: (*state).openElevated,
	},
	{
		id: "security.exposure.open_groups_with_runtime_or_fs", level: severity.Medium, title: "Strangers are let in while files and commands are within reach", why: "A message can lead to commands or changed files on this machine.",
		fix: "Set the policies to pairing or allowlist, or sandbox the agents.", run: (*state).openTools,
	},
	{
		id: "security.exposure.open_groups_with_control_plane_tools", level: severity.Critical, title: "Strangers are let in while the agent can change OpenClaw itself", why: "A message can lead to a plugin, an update or an automation that stays.",
		fix: "Set the policies to pairing or allowlist, and deny gateway, plugins and automations.", run: (*state).openControl,
	},
	{
		id: "security.trust_model.multi_user_heuristic", level: severity.Medium, title: "More than one person seems to use this agent", why: "OpenClaw protects its owner from strangers, not its users from each other.",
		fix: "Give each person an installation of their own, or sandbox every agent.", run: (*state).multiUser,
	},
	{
		id: "security.trust_model.group_scope_main", since: "2026.8.0", level: severity.Medium, title: "Group chats share your own conversation", why: "Every member of the group reads and steers what you told the agent.",
		fix: `Set session.groupScope to "per-group".`, run: (*state).groupScope,
	},
	{
		id: "security.trust_model.cross_agent_session_access_default", since: "2026.8.0", level: severity.Info, title: "Every agent can read every other agent's conversations", why: "One tricked agent gives away what all of them know.",
		fix: `Set tools.sessions.visibility to "agent", or list who may in tools.agentToAgent.allow.`, run: (*state).crossAgent,
	},
}

func (s *state) surface(o *outcome) {
	open, listed := 0, 0
	for _, c := range s.channelSections() {
		switch text(c.conf, "groupPolicy") {
		case "open":
			open++
		case "allowlist":
			listed++
		}
	}
	onOff := func(on bool) string {
		if on {
			return "on"
		}
		return "off"
	}
	o.add("", fmt.Sprintf("group chats open to all: %d, limited by a list: %d\nfull rights on request (tools.elevated): %s\nweb hooks: %s\nbrowser: %s",
		open, listed, onOff(!isFalse(s.root, "tools", "elevated", "enabled")), onOff(s.hooksOn()), onOff(s.browserOn())))
}

// closeDoors offers the policies of OpenClaw's guide for every policy that is open.
func (s *state) closeDoors(f *Finding, open []string) {
	for _, key := range open[:min(len(open), maxLines)] {
		policy := `"pairing"`
		if strings.HasSuffix(key, "groupPolicy") {
			policy = `"allowlist"`
		}
		f.Commands = append(f.Commands, configSet(key, policy))
	}
}

func (s *state) openElevated(o *outcome) {
	open := s.openPolicies()
	if len(open) == 0 || isFalse(s.root, "tools", "elevated", "enabled") {
		return
	}
	f := o.add(open[0], "strangers are let in at "+named(open)+"\nand tools.elevated is on")
	s.closeDoors(f, open)
	f.Commands = append(f.Commands, configSet("tools.elevated.enabled", "false"))
	f.Repair = &Repair{Set: []ConfigSet{{Path: []string{"tools", "elevated", "enabled"}, Value: "false"}}}
}

// An unguarded scope may use these tools outside a sandbox.
type unguarded struct {
	scope   scope
	runtime []string // exec, process
	files   []string
}

// unguarded lists the scopes with commands or files outside a sandbox (collectRiskyToolExposureContexts).
func (s *state) unguarded() (all []unguarded) {
	for _, c := range s.scopes() {
		if c.sandboxMode() == "all" {
			continue
		}
		p := c.policies()
		u := unguarded{c, which([]string{"exec", "process"}, p), which([]string{"read", "write", "edit", "apply_patch"}, p)}
		only := either(at(c.conf, "tools", "fs", "workspaceOnly"), at(s.root, "tools", "fs", "workspaceOnly"))
		if only == true {
			u.files = nil
		}
		if len(u.runtime)+len(u.files) > 0 {
			all = append(all, u)
		}
	}
	return all
}

func (u unguarded) String() string {
	return fmt.Sprintf("%s: %s", u.scope.name(), strings.Join(append(slices.Clone(u.runtime), u.files...), ", "))
}

func (s *state) openTools(o *outcome) {
	open, risky := s.openPolicies(), s.unguarded()
	if len(open) == 0 || len(risky) == 0 {
		return
	}
	var seen []string
	level := severity.Medium
	for _, u := range risky {
		seen = append(seen, u.String())
		if len(u.runtime) > 0 {
			level = severity.Critical
		}
	}
	f := o.add(open[0], "strangers are let in at "+named(open)+"\nand outside a sandbox are\n"+lines(seen))
	f.Level = level
	s.closeDoors(f, open)
}

func (s *state) openControl(o *outcome) {
	open := s.openPolicies()
	var able []string
	for _, c := range s.scopes() {
		if tools := which([]string{"automations", "gateway", "plugins"}, c.policies()); len(tools) > 0 {
			able = append(able, c.name()+": "+strings.Join(tools, ", "))
		}
	}
	if len(open) > 0 && len(able) > 0 {
		f := o.add(open[0], "strangers are let in at "+named(open)+"\nand OpenClaw itself can be changed by\n"+lines(able))
		s.closeDoors(f, open)
	}
}

// manyPeople lists what in the config says that more than one person writes to the agent.
func (s *state) manyPeople() (signs []string) {
	star := func(v any, names ...string) bool { return slices.Contains(texts(v, names...), "*") }
	for _, c := range s.channelSections() {
		switch group := s.declaredGroups(c); {
		case group == "open":
			signs = append(signs, c.key+".groupPolicy is open")
		case group == "allowlist" && c.groups():
			signs = append(signs, c.key+".groupPolicy is allowlist and groups are listed")
		}
		if c.setting("dmPolicy") == "open" {
			signs = append(signs, c.key+".dmPolicy is open")
		}
		for _, name := range []string{"allowFrom", "groupAllowFrom"} {
			if star(c.setting(name)) {
				signs = append(signs, c.key+"."+name+` has "*"`)
			}
		}
		if dm := c.setting("dm"); at(dm, "policy") == "open" || star(dm, "allowFrom") {
			signs = append(signs, c.key+".dm lets everybody in")
		}
	}
	return signs
}

// declaredGroups is the section's policy for groups. OpenClaw fills in "allowlist" where a channel of its own says
// nothing.
func (s *state) declaredGroups(c channelSection) string {
	policy, set := c.setting("groupPolicy").(string)
	if !set && slices.Contains([]string{"whatsapp", "telegram", "signal", "discord", "slack", "imessage"}, c.channel) {
		return "allowlist"
	}
	return policy
}

// groups reports that the section names groups, guilds, channels or rooms.
func (c channelSection) groups() bool {
	return slices.ContainsFunc([]string{"groups", "guilds", "channels", "rooms"}, func(name string) bool { return len(object(c.setting(name))) > 0 })
}

func (s *state) multiUser(o *outcome) {
	signs := s.manyPeople()
	if len(signs) == 0 {
		return
	}
	seen := lines(signs)
	for _, u := range s.unguarded() {
		seen += "\noutside a sandbox: " + u.String()
	}
	o.add("channels", seen)
}

func (s *state) groupScope(o *outcome) {
	if text(s.root, "session", "groupScope") == "main" {
		o.add("session.groupScope", `session.groupScope is "main"`).set([]string{"session", "groupScope"}, `"per-group"`)
	}
	for i, b := range list(s.root, "bindings") {
		if text(b, "session", "groupScope") == "main" && len(o.findings) < maxLines {
			o.add(fmt.Sprintf("bindings[%d].session.groupScope", i), `the binding's session.groupScope is "main"`)
		}
	}
}

func (s *state) crossAgent(o *outcome) {
	agents := s.agents()
	visibility := strings.ToLower(text(s.root, "tools", "sessions", "visibility"))
	narrow := visibility == "self" || visibility == "tree" || visibility == "agent"
	if len(agents) < 2 || narrow || isFalse(s.root, "tools", "agentToAgent", "enabled") || len(list(s.root, "tools", "agentToAgent", "allow")) > 0 {
		return
	}
	reach := names(agents, func(c scope) bool {
		clamped := c.sandboxMode() == "all" && text(s.root, "agents", "defaults", "sandbox", "sessionToolsVisibility") != "all"
		return !clamped && len(which([]string{"sessions_list", "sessions_history", "sessions_search", "sessions_send", "session_status"}, c.policies())) > 0
	})
	if len(reach) == 0 {
		return
	}
	f := o.add("tools.sessions.visibility", "all conversations are within reach of "+named(reach))
	f.Commands = []string{configSet("tools.sessions.visibility", `"agent"`)}
	differ := names(agents, func(c scope) bool {
		return c.sandboxMode() != "off" || at(c.conf, "tools", "profile") != nil || at(c.conf, "tools", "allow") != nil || at(c.conf, "tools", "deny") != nil
	})
	if signs := append(differ, s.manyPeople()...); len(signs) > 0 {
		f.Level = severity.Medium
		f.Seen += "\nthough they are trusted differently: " + named(signs)
	}
}
