package posture

import (
	"fmt"
	"slices"

	"github.com/clawbook/openclaw-ir/internal/severity"
)

const whyHooks = "Web hooks let programs outside start the agent. Who holds the hook token decides what it is told."

var hookChecks = []check{
	{
		id: "hooks.token_too_short", level: severity.Medium, title: "The hook token is short", why: whyHooks + " A short token can be guessed.",
		fix: "Set a token of at least 24 random characters.", run: (*state).hookTokenShort,
	},
	{
		id: "hooks.token_reuse_gateway_token", level: severity.Critical, title: "Hooks and gateway share one secret", why: "Every service that may call a hook can then command the whole gateway.",
		fix: "Give the hooks a token of their own.", run: (*state).hookTokenReused,
	},
	{
		id: "hooks.path_root", level: severity.Critical, title: "Hooks answer at the root of the gateway", why: "They stand in front of every other address of the gateway.",
		fix: "Use a path of their own, such as /hooks.", run: (*state).hookPath,
	},
	{
		id: "hooks.default_session_key_unset", since: "2026.2.12", level: severity.Medium, title: "Hook runs get a session of their own each time", why: "They cannot be told apart and watched in one place.",
		fix: "Set hooks.defaultSessionKey.", run: (*state).hookSession,
	},
	{
		id: "hooks.allowed_agent_ids_unrestricted", since: "2026.2.13", level: severity.Medium, title: "Hooks may start any agent", why: whyHooks + " Here they reach the most powerful one too.",
		fix: "List the agents that hooks may start in hooks.allowedAgentIds.", run: (*state).hookAgents,
	},
	{
		id: "hooks.request_session_key_enabled", since: "2026.2.12", level: severity.Medium, title: "Hook callers may choose the conversation", why: "A caller can write into the conversation with you.",
		fix: "Set hooks.allowRequestSessionKey to false.", run: (*state).hookSessionChoice,
	},
	{
		id: "hooks.request_session_key_prefixes_missing", since: "2026.2.12", level: severity.Medium, title: "Hook callers may choose any conversation at all", why: "No prefix limits which one.",
		fix: "Set hooks.allowRequestSessionKey to false, or list prefixes.", run: (*state).hookPrefixes,
	},
}

func (s *state) hooksOn() bool { return isTrue(s.root, "hooks", "enabled") }

func (s *state) hookTokenShort(o *outcome) {
	token := s.secretInput("hooks", "token").value
	if n := len([]rune(token)); s.hooksOn() && n > 0 && n < shortSecret {
		f := o.add("hooks.token", fmt.Sprintf("the hook token has %d characters", n))
		f.Commands = []string{`openclaw config set hooks.token "$(openssl rand -hex 32)"`}
	}
}

func (s *state) hookTokenReused(o *outcome) {
	token := s.secretInput("hooks", "token").value
	if s.hooksOn() && token != "" && token == s.auth().active().value {
		f := o.add("hooks.token", "hooks.token is the gateway's "+s.auth().active().where)
		f.Commands = []string{`openclaw config set hooks.token "$(openssl rand -hex 32)"`}
	}
}

func (s *state) hookPath(o *outcome) {
	if s.hooksOn() && text(s.root, "hooks", "path") == "/" {
		o.add("hooks.path", `hooks.path is "/"`).set([]string{"hooks", "path"}, `"/hooks"`)
	}
}

func (s *state) hookSession(o *outcome) {
	if s.hooksOn() && text(s.root, "hooks", "defaultSessionKey") == "" {
		o.add("hooks.defaultSessionKey", "hooks.defaultSessionKey is not set").set([]string{"hooks", "defaultSessionKey"}, `"hook:ingress"`)
	}
}

func (s *state) hookAgents(o *outcome) {
	_, set := at(s.root, "hooks", "allowedAgentIds").([]any)
	if !s.hooksOn() || set && !slices.Contains(texts(s.root, "hooks", "allowedAgentIds"), "*") {
		return
	}
	seen := "hooks.allowedAgentIds is not set"
	if set {
		seen = `hooks.allowedAgentIds has "*"`
	}
	f := o.add("hooks.allowedAgentIds", seen)
	f.Commands = []string{configSet("hooks.allowedAgentIds", `["main"]`)}
	s.graverOutside(f)
}

// graverOutside makes a finding critical where more than this machine reaches the gateway.
func (s *state) graverOutside(f *Finding) {
	if s.exposed() {
		f.Level = severity.Critical
	}
}

func (s *state) hookSessionChoice(o *outcome) {
	if s.hooksOn() && isTrue(s.root, "hooks", "allowRequestSessionKey") {
		f := o.add("hooks.allowRequestSessionKey", "hooks.allowRequestSessionKey is true")
		f.set([]string{"hooks", "allowRequestSessionKey"}, "false")
		s.graverOutside(f)
	}
}

func (s *state) hookPrefixes(o *outcome) {
	if s.hooksOn() && isTrue(s.root, "hooks", "allowRequestSessionKey") && len(texts(s.root, "hooks", "allowedSessionKeyPrefixes")) == 0 {
		f := o.add("hooks.allowedSessionKeyPrefixes", "hooks.allowedSessionKeyPrefixes is empty")
		f.set([]string{"hooks", "allowRequestSessionKey"}, "false")
		s.graverOutside(f)
	}
}
