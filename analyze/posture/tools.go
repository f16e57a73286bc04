package posture

import (
	"slices"
	"strings"
)

// A toolPolicy lets tools through: nothing that is denied, and of the rest what is allowed, everything if nothing is
// named (createToolPolicyMatcher of 2026.9.6). Its names are expanded.
type toolPolicy struct{ allow, deny []string }

// maxPatterns bounds the names of one list that are matched.
const maxPatterns = 500

func newPolicy(allow, deny []string) toolPolicy {
	return toolPolicy{expand(allow[:min(len(allow), maxPatterns)]), expand(deny[:min(len(deny), maxPatterns)])}
}

// Tool groups and profiles as the catalogue of 2026.9.6 has them. Older releases know fewer tools by the same names,
// so that this decides their configs too.
var toolGroups = map[string][]string{
	"group:fs":      {"ls", "read", "write", "edit", "apply_patch"},
	"group:runtime": {"exec", "process", "code_execution", "secrets"},
	"group:web":     {"web_search", "web_fetch", "x_search"},
	"group:memory":  {"memory_search", "memory_get"},
	"group:sessions": {
		"sessions", "sessions_list", "sessions_history", "sessions_search", "conversations_list", "conversations_send",
		"conversations_turn", "sessions_send", "sessions_spawn", "github_identity_status", "github_publish", "agents_wait", "sessions_yield",
		"subagents", "session_status", "suggest_task", "dismiss_task",
	},
	"group:ui":         {"browser", "screen", "theme", "dashboard", "terminal", "portal", "canvas", "show_widget"},
	"group:messaging":  {"message"},
	"group:automation": {"heartbeat_respond", "automations", "gateway", "plugins", "openclaw"},
	"group:nodes":      {"nodes", "computer", "mobile_ui"},
	"group:agents":     {"agents_list", "get_goal", "create_goal", "update_goal", "progress_card", "ask_user", "skill_workshop"},
	"group:media":      {"view_image", "image_generate", "music_generate", "video_generate", "tts", "pdf"},
}

// notInOpenClawGroup are the core tools that group:openclaw leaves out.
var notInOpenClawGroup = []string{"ls", "read", "write", "edit", "apply_patch", "exec", "process", "canvas"}

var toolProfiles = map[string][]string{
	"minimal": {"session_status", "gateway"},
	"coding": {
		"ls", "read", "write", "edit", "apply_patch", "exec", "process", "code_execution", "secrets", "web_search", "web_fetch", "x_search",
		"memory_search", "memory_get", "group:sessions", "screen", "theme", "dashboard", "terminal", "portal", "automations", "gateway", "plugins",
		"get_goal", "create_goal", "update_goal", "progress_card", "ask_user", "skill_workshop", "view_image", "image_generate",
		"music_generate", "video_generate", "bundle-mcp",
	},
	"messaging": {
		"secrets", "sessions", "sessions_list", "sessions_history", "sessions_search", "conversations_list", "conversations_send",
		"conversations_turn", "sessions_send", "sessions_spawn", "sessions_yield", "subagents", "session_status", "theme", "message", "gateway",
		"ask_user", "bundle-mcp",
	},
	"full": {"*"},
}

// What a sandboxed session may use when tools.sandbox.tools says nothing.
var (
	sandboxAllow = []string{
		"exec", "process", "read", "ls", "write", "edit", "apply_patch", "view_image", "sessions_list", "sessions_history", "sessions_search",
		"sessions_send", "sessions_spawn", "sessions_yield", "subagents", "session_status",
	}
	sandboxDeny = []string{"browser", "canvas", "computer", "mobile_ui", "nodes", "automations", "gateway"}
)

// toolName brings a tool's name into the form of the catalogue.
func toolName(name string) string {
	switch name = strings.ToLower(strings.TrimSpace(name)); name {
	case "bash":
		return "exec"
	case "apply-patch":
		return "apply_patch"
	case "cron":
		return "automations"
	}
	return name
}

// expand replaces groups by their tools.
func expand(names []string) (all []string) {
	for _, n := range names {
		n = toolName(n)
		switch tools, isGroup := toolGroups[n]; {
		case isGroup:
			all = append(all, tools...)
		case n == "group:openclaw":
			for _, group := range toolGroups {
				for _, t := range group {
					if !slices.Contains(notInOpenClawGroup, t) {
						all = append(all, t)
					}
				}
			}
		case n != "":
			all = append(all, n)
		}
	}
	return all
}

func matchesAny(name string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return globMatches(p, name) })
}

// globMatches matches the one wildcard that tool lists know, in one pass over the name.
func globMatches(pattern, name string) bool {
	head, rest, hasStar := strings.Cut(pattern, "*")
	if !hasStar {
		return pattern == name
	}
	name, ok := strings.CutPrefix(name, head)
	for ok && hasStar {
		if head, rest, hasStar = strings.Cut(rest, "*"); !hasStar {
			return strings.HasSuffix(name, head)
		}
		_, name, ok = strings.Cut(name, head)
	}
	return ok
}

func (p toolPolicy) allows(tool string) bool {
	switch {
	case matchesAny(tool, p.deny):
		return false
	case len(p.allow) == 0 || matchesAny(tool, p.allow):
		return true
	}
	return tool == "apply_patch" && matchesAny("write", p.allow)
}

// allowed reports whether every policy lets the tool through.
func allowed(tool string, policies []toolPolicy) bool {
	return !slices.ContainsFunc(policies, func(p toolPolicy) bool { return !p.allows(tool) })
}

// which returns the tools that every policy lets through.
func which(tools []string, policies []toolPolicy) (through []string) {
	for _, t := range tools {
		if allowed(t, policies) {
			through = append(through, t)
		}
	}
	return through
}

// listPolicy reads allow, alsoAllow and deny of a tools section. alsoAllow on its own allows everything besides.
func listPolicy(tools any) (p toolPolicy, set bool) {
	_, hasAllow := at(tools, "allow").([]any)
	also, allow := texts(tools, "alsoAllow"), texts(tools, "allow")
	if len(also) > 0 && len(allow) == 0 {
		allow = []string{"*"}
	}
	_, hasDeny := at(tools, "deny").([]any)
	return newPolicy(append(allow, also...), texts(tools, "deny")), hasAllow || len(also) > 0 || hasDeny
}

// profilePolicy is what tools.profile allows, with alsoAllow.
func profilePolicy(profile string, also []string) (toolPolicy, bool) {
	allow, known := toolProfiles[profile]
	return newPolicy(append(slices.Clone(allow), also...), nil), known
}

// sandboxPolicy is what a sandboxed session may use (resolveSandboxToolPolicyForAgent of 2026.9.6).
func sandboxPolicy(global, agent any) toolPolicy {
	pick := func(field string) ([]string, bool) {
		for _, tools := range []any{agent, global} {
			if _, set := at(tools, "sandbox", "tools", field).([]any); set {
				return texts(tools, "sandbox", "tools", field), true
			}
		}
		return nil, false
	}
	allow, allowSet := pick("allow")
	also, _ := pick("alsoAllow")
	deny, denySet := pick("deny")
	explicit := expand(append(slices.Clone(allow), also...))
	if !denySet {
		deny = slices.DeleteFunc(slices.Clone(sandboxDeny), func(t string) bool { return matchesAny(t, explicit) })
	}
	switch {
	case !allowSet:
		allow = append(slices.Clone(sandboxAllow), also...)
	case len(allow) > 0:
		allow = append(slices.Clone(allow), also...)
	}
	return newPolicy(allow, deny)
}
