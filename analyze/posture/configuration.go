package posture

import (
	"fmt"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/severity"
)

var configChecks = []check{
	{
		id: "config.insecure_or_dangerous_flags", level: severity.Medium, title: "A switch that OpenClaw itself calls dangerous is on",
		why: "These switches exist for testing; each takes a protection away.", fix: "Set it back.", run: (*state).dangerousFlags,
	},
	{
		id: "config.secrets.gateway_password_in_config", level: severity.Medium, title: "The gateway password stands in the config", why: "Every copy and backup of the config carries it.",
		fix: "Keep it in the environment (OPENCLAW_GATEWAY_PASSWORD) and take it out of the config.", run: (*state).passwordInConfig,
	},
	{
		id: "config.secrets.hooks_token_in_config", level: severity.Info, title: "The hook token stands in the config", why: "Every copy and backup of the config carries it.",
		fix: "Keep the config's permissions at 600.", run: (*state).hookTokenInConfig,
	},
	{
		id: "config.agent_roster.invalid_default_count", since: "2026.8.0", level: severity.Medium, title: "No single agent is the default one", why: "Messages without an owner may reach an agent you did not mean.",
		fix: "Run openclaw doctor --fix once the incident is over: it rewrites the config.", run: (*state).noDefaultAgent,
	},
	{
		id: "security.audit.suppressions.active", level: severity.Info, title: "Findings of OpenClaw's audit are hidden by the config",
		why: "An attacker who can write the config can hide what they did from `openclaw security audit`. This tool shows the hidden findings all the same.",
		fix: "Remove the entries you did not write.", run: (*state).suppressionsActive,
	},
	{
		id: "mcp.apps.enabled", level: severity.Medium, title: "Servers of tools may show web pages in the control page", why: "Such a page can call the tools of its server.",
		fix: "Set mcp.apps.enabled to false unless you need it.", run: (*state).mcpApps,
	},
	{
		id: "logging.redact_off", level: severity.Medium, title: "Secrets are not masked in the logs", why: "Whoever reads a log or a status page reads your keys.",
		fix: "Set logging.redactSensitive to tools.", run: (*state).redactOff,
	},
}

// dangerousFlags lists the switches of collectEnabledInsecureOrDangerousFlags (2026.9.6, and those of older releases).
func (s *state) dangerousFlags(o *outcome) {
	for _, key := range []string{
		"gateway.controlUi.allowInsecureAuth", "gateway.controlUi.dangerouslyAllowHostHeaderOriginFallback", "gateway.controlUi.dangerouslyDisableDeviceAuth",
		"hooks.gmail.allowUnsafeExternalContent", "hooks.allowRequestSessionKey", "browser.ssrfPolicy.dangerouslyAllowPrivateNetwork",
	} {
		s.flagSet(o, key, true)
	}
	s.flagSet(o, "tools.exec.applyPatch.workspaceOnly", false)
	s.flagSet(o, "tools.fs.workspaceOnly", false)
	for i, m := range list(s.root, "hooks", "mappings") {
		if key := fmt.Sprintf("hooks.mappings[%d].allowUnsafeExternalContent", i); isTrue(m, "allowUnsafeExternalContent") && len(o.findings) < maxLines {
			o.add(key, key+" is true")
		}
	}
	for _, c := range s.scopes() {
		for _, name := range []string{"dangerouslyAllowReservedContainerTargets", "dangerouslyAllowExternalBindSources", "dangerouslyAllowContainerNamespaceJoin"} {
			docker := at(c.conf, "sandbox", "docker")
			if c.id == "" {
				docker = at(s.root, "agents", "defaults", "sandbox", "docker")
			}
			if isTrue(docker, name) {
				o.add(c.key+".sandbox.docker."+name, name+" is true for "+c.name())
			}
		}
	}
	if at(s.root, "plugins", "entries", "acpx", "config", "permissionMode") == "approve-all" {
		o.add("plugins.entries.acpx.config.permissionMode", `the coding agent of the plugin acpx runs with "approve-all"`)
	}
	if n := len(s.suppressions()); n > 0 {
		o.add("security.audit.suppressions", fmt.Sprintf("security.audit.suppressions has %d entries", n))
	}
}

func (s *state) flagSet(o *outcome, key string, bad bool) {
	names := strings.Split(key, ".")
	if at(s.root, names...) == bad {
		o.add(key, fmt.Sprintf("%s is %v", key, bad)).set(names, fmt.Sprint(!bad))
	}
}

func (s *state) passwordInConfig(o *outcome) {
	if raw := text(s.root, "gateway", "auth", "password"); raw != "" && !strings.HasPrefix(raw, "${") {
		f := o.add("gateway.auth.password", "gateway.auth.password holds a value")
		f.Commands = []string{configUnset("gateway.auth.password")}
	}
}

func (s *state) hookTokenInConfig(o *outcome) {
	if raw := text(s.root, "hooks", "token"); s.hooksOn() && raw != "" && !strings.HasPrefix(raw, "${") {
		o.add("hooks.token", "hooks.token holds a value")
	}
}

// noDefaultAgent is collectAgentRosterFindings of 2026.9.6.
func (s *state) noDefaultAgent(o *outcome) {
	agents, marked := s.agents(), 0
	for _, c := range agents {
		if isTrue(c.conf, "default") {
			marked++
		}
	}
	explicit := text(s.root, "agents", "ownership") == "explicit"
	switch {
	case !s.hasRoster() && len(agents) == 0, explicit && marked == 0, !explicit && (marked == 1 || len(agents) == 1):
		return
	}
	o.add("agents", fmt.Sprintf("%d of %d agents are marked as the default one", marked, len(agents)))
}

func (s *state) suppressionsActive(o *outcome) {
	if all := s.suppressions(); len(all) > 0 {
		var ids []string
		for _, sup := range all {
			ids = append(ids, short(sup.Check))
		}
		f := o.add("security.audit.suppressions", fmt.Sprintf("%d entries, for: %s", len(all), named(ids)))
		f.Commands = []string{configUnset("security.audit.suppressions")}
	}
}

func (s *state) mcpApps(o *outcome) {
	if key := []string{"mcp", "apps", "enabled"}; isTrue(s.root, key...) {
		o.add(dotted(key...), "mcp.apps.enabled is true").set(key, "false")
	}
}

func (s *state) redactOff(o *outcome) {
	if key := []string{"logging", "redactSensitive"}; text(s.root, key...) == "off" {
		o.add(dotted(key...), `logging.redactSensitive is "off"`).set(key, `"tools"`)
	}
}

// suppressions returns the entries of security.audit.suppressions.
func (s *state) suppressions() (all []Suppression) {
	for _, v := range list(s.root, "security", "audit", "suppressions") {
		all = append(all, Suppression{
			Check: text(v, "checkId"), Title: text(v, "titleIncludes"), Detail: text(v, "detailIncludes"), Reason: text(v, "reason"), Hides: []string{},
		})
	}
	return all
}

// hides reports that OpenClaw's audit would leave the finding out. Its title and detail are in OpenClaw's own words, so
// that an entry with one of them may hide the finding.
func (sup Suppression) hides(f Finding) bool {
	return sup.Check != "" && sup.Check == f.ID && f.Source == OpenClaw
}
