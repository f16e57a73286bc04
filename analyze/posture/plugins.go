package posture

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/severity"
)

const (
	whyPlugin = "A plugin is a program with every right of the gateway."
	whyPinned = "The next installation may bring another program under the same name."
)

var pluginChecks = []check{
	{id: "plugins.extensions_no_allowlist", needs: needsFiles, level: severity.Medium, title: "Any plugin found on the disk may load", why: whyPlugin, fix: "List the plugins you trust in plugins.allow.", run: (*state).noPluginList},
	{id: "plugins.allow_phantom_entries", needs: needsFiles, level: severity.Medium, title: "The list of plugins names some that aren't there", why: "Whoever installs a plugin of that name has it trusted at once.", fix: "Remove the entries.", run: (*state).phantoms},
	{id: "plugins.tools_reachable_permissive_policy", needs: needsFiles, level: severity.Medium, title: "Every agent may use every plugin's tools", why: whyPlugin, fix: `Set tools.profile to "coding" or "minimal", or list tools.`, run: (*state).pluginTools},
	{id: "plugins.installs_unpinned_npm_specs", needs: needsFiles, level: severity.Medium, title: "A plugin was installed without a fixed version", why: whyPinned, fix: "Install an exact version.", run: unpinned("plugins")},
	{id: "plugins.installs_missing_integrity", needs: needsFiles, level: severity.Medium, title: "A plugin was installed without a checksum", why: "Nobody can tell whether it was changed.", fix: "Install it again.", run: noIntegrity("plugins")},
	{id: "plugins.installs_version_drift", needs: needsFiles, level: severity.Medium, title: "A plugin on the disk is another version than was installed", why: "It was changed past OpenClaw.", fix: "Compare it with the published package, then install it again.", run: drift("plugins")},
	{id: "plugins.code_safety", needs: needsFiles, level: severity.Medium, title: "A plugin's code has patterns of harmful programs", why: whyPlugin, fix: "Read the lines; remove the plugin if you don't know it.", run: (*state).pluginCode},
	{id: "plugins.code_safety.entry_path", needs: needsFiles, level: severity.Medium, title: "A plugin starts from a hidden place", why: "Scanners pass such places by.", fix: "Read that file; remove the plugin if you don't know it.", run: (*state).entryHidden},
	{id: "plugins.code_safety.entry_escape", needs: needsFiles, level: severity.Critical, title: "A plugin starts a program outside its directory", why: "It runs code that was not installed with it.", fix: "Remove the plugin.", run: (*state).entryEscape},
	{id: "plugins.code_safety.manifest_parse_error", needs: needsFiles, level: severity.Medium, title: "A plugin's package.json is broken", why: "Nobody can say what it starts.", fix: "Remove the plugin if you don't know it.", run: (*state).manifestBroken},
	{id: "plugins.code_safety.scan_failed", needs: needsFiles, level: severity.Medium, title: "A plugin could not be read", why: "Nobody can say what it does.", fix: "Look at its permissions.", run: (*state).pluginUnread},
	{id: "plugins.<id>.security_audit_failed", level: severity.Medium, title: "A plugin's own check failed", why: "See its text.", fix: "See its text.", run: undecided("a plugin's own code decides it")},
	{id: "hooks.installs_unpinned_npm_specs", needs: needsFiles, level: severity.Medium, title: "A hook was installed without a fixed version", why: whyPinned, fix: "Install an exact version.", run: unpinned("hooks")},
	{id: "hooks.installs_missing_integrity", needs: needsFiles, level: severity.Medium, title: "A hook was installed without a checksum", why: "Nobody can tell whether it was changed.", fix: "Install it again.", run: noIntegrity("hooks")},
	{id: "hooks.installs_version_drift", needs: needsFiles, level: severity.Medium, title: "A hook on the disk is another version than was installed", why: "It was changed past OpenClaw.", fix: "Compare it with the published package, then install it again.", run: drift("hooks")},
	{id: "skills.code_safety", needs: needsFiles, level: severity.Medium, title: "A skill has patterns of harmful programs", why: "A skill tells the agent what to do, and its programs run with the agent's rights.", fix: "Read the lines; remove the skill if you don't know it.", run: (*state).skillCode},
	{id: "skills.code_safety.scan_failed", needs: needsFiles, level: severity.Medium, title: "A skill could not be read", why: "Nobody can say what it does.", fix: "Look at its permissions.", run: (*state).skillUnread},
	{id: "skills.workspace.symlink_escape", needs: needsFiles, level: severity.Medium, title: "A skill is a link to somewhere outside the workspace", why: "What the agent is told lies where others may write.", fix: "Replace the link by the file, or remove it.", run: (*state).skillEscape},
	{id: "skills.workspace.scan_truncated", needs: needsFiles, level: severity.Medium, title: "There are too many skills to look at", why: "What was not looked at may be harmful.", fix: "Remove what is not needed.", run: (*state).skillsTruncated},
}

// pluginDirs lists the plugins below the state directory.
func (s *state) pluginDirs() (ids []string, failed error) {
	entries, err := fs.ReadDir(s.o.FS, openclaw.FSName(s.extensions()))
	if err != nil {
		s.fail(s.extensions(), err)
		if openclaw.IsAbsent(err) {
			err = nil
		}
		return nil, err
	}
	for _, e := range entries {
		n := strings.ToLower(e.Name())
		ignored := n == "node_modules" || strings.HasPrefix(n, ".") || strings.HasSuffix(n, ".bak") || strings.Contains(n, ".backup-") || strings.Contains(n, ".disabled")
		if e.IsDir() && !ignored && len(ids) < maxListed {
			ids = append(ids, e.Name())
		}
	}
	return ids, nil
}

func (s *state) extensions() string { return path.Join(s.in.StateDir, "extensions") }

func (s *state) noPluginList(o *outcome) {
	ids, _ := s.pluginDirs()
	if len(ids) == 0 || len(list(s.root, "plugins", "allow")) > 0 {
		return
	}
	f := o.add("plugins.allow", fmt.Sprintf("%d plugins in %s: %s", len(ids), s.extensions(), named(ids)))
	for _, c := range s.accounts() {
		if slices.Contains([]string{"telegram", "discord"}, c.channel) && either(at(c.setting("commands"), "nativeSkills"), at(s.root, "commands", "nativeSkills")) != false {
			f.Level = severity.Critical
		}
	}
}

// shippedPlugins come with OpenClaw (the extensions directories of 2026.1.30 to 2026.9.6).
var shippedPlugins = strings.Fields(`a2a acpx active-memory admin-http-rpc alibaba amazon-bedrock anthropic anthropic-vertex apple-fm azure-speech beam
	bluebubbles bonjour brave browser buzz byteplus canvas chutes clawrouter cloudflare-ai-gateway code-mode-quickjs codex codex-supervisor cohere comfy copilot-proxy
	crabbox cua-computer deepgram deepseek device-pair diagnostics-otel diffs discord document-extract duckduckgo elevenlabs exa fal feishu
	file-transfer firecrawl geolocation github github-copilot google google-antigravity-auth google-gemini-cli-auth googlechat groq huggingface
	image-generation-core imap imessage irc kilocode kimi-coding line linux-node litellm llm-task lmstudio lobster logbook matrix mattermost
	media-understanding-core memory memory-core memory-lancedb memory-wiki meta microsoft microsoft-foundry migrate-claude migrate-hermes minimax
	minimax-portal-auth mistral modelstudio moonshot msteams nextcloud-talk nostr novita nvidia oc-path ollama onepassword open-prose openai
	opencode opencode-go openrouter openshell perplexity phone-control policy qianfan qqbot qwen-portal-auth reef runway senseaudio session-share
	sglang signal slack speech-core synology-chat synthetic talk-voice tavily telegram thread-ownership tlon together tts-local-cli twitch vault
	venice vercel-ai-gateway video-generation-core vllm voice-call volcengine voyage vydra web-readability webhooks whatsapp workboard xai xiaomi
	zai zalo zalouser`)

func (s *state) phantoms(o *outcome) {
	ids, _ := s.pluginDirs()
	if len(ids) == 0 {
		return
	}
	var gone []string
	for _, id := range texts(s.root, "plugins", "allow") {
		known := slices.ContainsFunc(ids, func(dir string) bool { return strings.EqualFold(dir, id) }) || slices.Contains(shippedPlugins, strings.ToLower(id))
		if _, installed := s.installs("plugins")[id]; id != "group:plugins" && !known && !installed {
			gone = append(gone, short(id))
		}
	}
	if len(gone) > 0 {
		f := o.add("plugins.allow", "no such plugin: "+named(gone))
		key := []string{"plugins", "allow"}
		f.Commands = []string{configSet(dotted(key...), listWithout(s.root, key, func(t string) bool { return slices.Contains(gone, t) }))}
	}
}

// loaded lists the plugins of the state directory that the config lets load.
func (s *state) loaded() (on []string) {
	ids, _ := s.pluginDirs()
	allow, deny := texts(s.root, "plugins", "allow"), texts(s.root, "plugins", "deny")
	for _, id := range ids {
		id = strings.ToLower(id)
		if !isFalse(s.root, "plugins", "enabled") && !slices.Contains(deny, id) && (len(allow) == 0 || slices.Contains(allow, id)) && !isFalse(s.root, "plugins", "entries", id, "enabled") {
			on = append(on, id)
		}
	}
	return on
}

func (s *state) pluginTools(o *outcome) {
	on := s.loaded()
	if len(on) == 0 {
		return
	}
	explicit := func(tools any) bool {
		return slices.ContainsFunc(append(texts(tools, "allow"), texts(tools, "alsoAllow")...), func(t string) bool {
			return strings.EqualFold(t, "group:plugins") || slices.Contains(on, strings.ToLower(t))
		})
	}
	open := names(s.scopes(), func(c scope) bool {
		_, restricted := toolProfiles[c.profile()]
		return c.may("__openclaw_plugin_probe__") || !restricted && (explicit(at(s.root, "tools")) || explicit(c.tools()))
	})
	if len(open) > 0 {
		o.add("tools.profile", "plugins that load: "+named(on)+"\nwith all their tools for "+named(open))
	}
}

// installs returns the records of what was installed for the kind plugins or hooks: of the config up to 2026.6, of
// the state database since.
func (s *state) installs(kind string) map[string]any {
	if kind == "hooks" {
		if in := object(s.root, "hooks", "internal", "installs"); len(in) > 0 {
			return in
		}
		return object(s.machineState("hooks.internal.installs"))
	}
	if in := object(s.root, "plugins", "installs"); len(in) > 0 {
		return in
	}
	index := s.machineState("plugins.installedIndex")
	if in := object(index, "index", "installRecords"); in != nil {
		return in
	}
	return object(index, "installRecords")
}

// machineState returns a value of config_machine_state, where 2026.7 on keeps what it once wrote into the config.
func (s *state) machineState(key string) (v any) {
	s.database(s.in.StateDB(), func(d *openclaw.Database) error {
		if !d.Has("config_machine_state", "state_key", "value_json") {
			return nil
		}
		for row, err := range d.Query(s.ctx, "SELECT value_json FROM config_machine_state WHERE state_key = ?", key) {
			if err != nil {
				return err
			}
			v, _ = parseJSON(row.Text(0))
		}
		return nil
	})
	return v
}

// npmInstalls calls fn for every installation from npm.
func (s *state) npmInstalls(kind string, fn func(id string, record any)) {
	all := s.installs(kind)
	for _, id := range keys(all) {
		if text(all[id], "source") == "npm" {
			fn(id, all[id])
		}
	}
}

var exactVersion = regexp.MustCompile(`.@v?\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$`)

func unpinned(kind string) func(*state, *outcome) {
	return func(s *state, o *outcome) {
		var bad []string
		s.npmInstalls(kind, func(id string, record any) {
			if spec := text(record, "spec"); spec != "" && !exactVersion.MatchString(spec) {
				bad = append(bad, short(id)+" ("+short(spec)+")")
			}
		})
		if len(bad) > 0 {
			o.add(kind, lines(bad))
		}
	}
}

func noIntegrity(kind string) func(*state, *outcome) {
	return func(s *state, o *outcome) {
		var bad []string
		s.npmInstalls(kind, func(id string, record any) {
			if text(record, "integrity") == "" {
				bad = append(bad, short(id))
			}
		})
		if len(bad) > 0 {
			o.add(kind, lines(bad))
		}
	}
}

func drift(kind string) func(*state, *outcome) {
	return func(s *state, o *outcome) {
		var bad []string
		s.npmInstalls(kind, func(id string, record any) {
			want, _ := either(at(record, "resolvedVersion"), at(record, "version")).(string)
			dir := text(record, "installPath")
			if dir == "" {
				sub := map[string]string{"plugins": "extensions", "hooks": "hooks"}[kind]
				dir = path.Join(s.in.StateDir, sub, path.Base(path.Clean("/"+id)))
			}
			manifest, _ := s.json(path.Join(dir, "package.json"))
			if have := text(manifest, "version"); want != "" && have != "" && have != want {
				bad = append(bad, fmt.Sprintf("%s: installed %s, there is %s", short(id), short(want), short(have)))
			}
		})
		if len(bad) > 0 {
			o.add(kind, lines(bad))
		}
	}
}

// entryPoints calls fn for every file that a plugin of the state directory starts from.
func (s *state) entryPoints(fn func(id, entry string)) {
	ids, _ := s.pluginDirs()
	for _, id := range ids {
		manifest, _ := s.json(path.Join(s.extensions(), id, "package.json"))
		for _, name := range []string{"openclaw", "clawdbot", "moltbot"} {
			for _, entry := range texts(manifest, name, "extensions") {
				fn(id, entry)
			}
		}
	}
}

func (s *state) entryHidden(o *outcome) {
	s.entryPoints(func(id, entry string) {
		hidden := func(part string) bool {
			return part == "node_modules" || strings.HasPrefix(part, ".") && part != "." && part != ".."
		}
		if dir := path.Join(s.extensions(), id); openclaw.Within(path.Join(dir, entry), dir) && slices.ContainsFunc(strings.FieldsFunc(entry, func(r rune) bool { return r == '/' || r == '\\' }), hidden) {
			o.add(dir, fmt.Sprintf("%s starts %q", short(id), short(entry)))
		}
	})
}

func (s *state) entryEscape(o *outcome) {
	s.entryPoints(func(id, entry string) {
		dir := path.Join(s.extensions(), id)
		target := path.Join(dir, entry)
		if path.IsAbs(entry) {
			target = path.Clean(entry)
		}
		if !openclaw.Within(target, dir) {
			o.add(dir, fmt.Sprintf("%s starts %q", short(id), short(entry)))
		}
	})
}

func (s *state) manifestBroken(o *outcome) {
	ids, _ := s.pluginDirs()
	for _, id := range ids {
		file := path.Join(s.extensions(), id, "package.json")
		data := s.small(file)
		if _, ok := parseJSON([]byte(data)); data != "" && !ok {
			o.add(file, short(id)+": package.json is no JSON")
		}
	}
}

func (s *state) pluginUnread(o *outcome) {
	if _, err := s.pluginDirs(); err != nil {
		o.add(s.extensions(), openclaw.Cause(err))
	}
	for _, r := range s.scanned(s.pluginRoots()) {
		if r.failed != "" {
			o.add(r.dir, r.failed)
		}
	}
}

func (s *state) pluginRoots() (dirs []string) {
	ids, _ := s.pluginDirs()
	for _, id := range ids {
		dirs = append(dirs, path.Join(s.extensions(), id))
	}
	return dirs
}

func (s *state) pluginCode(o *outcome) { codeFindings(o, s.scanned(s.pluginRoots())) }
func (s *state) skillCode(o *outcome)  { codeFindings(o, s.scanned(s.skillRoots())) }

func (s *state) skillUnread(o *outcome) {
	for _, r := range s.scanned(s.skillRoots()) {
		if r.failed != "" {
			o.add(r.dir, r.failed)
		}
	}
}

// codeFindings turns what a scan saw into findings, one a directory.
func codeFindings(o *outcome, results []scanResult) {
	for _, r := range results {
		if len(r.hits) == 0 {
			continue
		}
		f := o.add(r.dir, lines(r.hits))
		if r.grave {
			f.Level = severity.Critical
		}
	}
}
