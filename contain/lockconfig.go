package contain

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/clawbook/openclaw-ir/internal/json5"
)

// A ConfigChange closes one file of a configuration.
type ConfigChange struct {
	File  string      `json:"file"`
	Patch json5.Patch `json:"patch"`
	What  []string    `json:"what"` // one phrase a change, such as "gateway.bind lan → loopback"
}

// What bounds a configuration that is closed: all its texts in bytes, its merged values, and how deep includes nest, which is
// OpenClaw's own limit (MAX_INCLUDE_DEPTH).
const (
	maxConfigText     = 8 << 20
	maxConfigValues   = 1 << 19
	maxConfigIncludes = 10
)

// LockConfig says how to close a configuration: the gateway on loopback, no direct messages, groups by mention only,
// nobody allowed by "*", no exec, nothing elevated, no automations, hooks and heartbeats. It changes nothing itself.
//
// texts holds the main file and every file it includes, by absolute path. A setting is edited in the file whose value
// wins, and in none if it is closed already; a closed configuration gives no change. Only keys that every release
// from 2026.1.30 to 2026.9.6 accepts are added; others are changed where they stand. Of what it replaces only plain words
// and "*" are taken into a change, so a secret is in none.
//
// The notes say what stays open. What no note can say: an argument (--bind) or the environment (OPENCLAW_GATEWAY_BIND, a
// channel's token without a section of its own) goes before the configuration.
//
// An error names the place at which a text is not JSON5 or an include goes round; then nothing is to be changed.
func LockConfig(file string, texts map[string][]byte) (changes []ConfigChange, notes []string, err error) {
	l := configLock{texts: texts, files: map[string]*lockedFile{}, done: map[*json5.Value]bool{}, said: map[string]bool{}}
	total := 0
	for _, text := range texts {
		total += len(text)
	}
	if total > maxConfigText {
		return nil, nil, fmt.Errorf("configuration %q: larger than %d bytes", file, maxConfigText)
	}
	root, err := l.load(path.Clean(file), nil)
	if err != nil {
		return nil, nil, err
	}
	if root == nil || root.value.Kind != json5.Object {
		return nil, nil, fmt.Errorf("configuration %q: not an object", file)
	}
	l.lock(root)
	for _, f := range l.order {
		patch, err := f.editor.Patch()
		if err != nil {
			return nil, nil, fmt.Errorf("configuration %q: %w", f.path, err)
		}
		if len(patch) > 0 {
			changes = append(changes, ConfigChange{File: f.path, Patch: patch, What: f.what})
		}
	}
	return changes, l.notes, nil
}

// configLock is one configuration while it is closed.
type configLock struct {
	texts map[string][]byte
	files map[string]*lockedFile
	order []*lockedFile // in the order in which they were first needed
	nodes int
	done  map[*json5.Value]bool // changed already: one file can be included twice
	said  map[string]bool       // notes, and what was added to which file
	notes []string
}

type lockedFile struct {
	path   string
	editor *json5.Editor
	what   []string
}

// node is a value of the merged configuration.
type node struct {
	file  *lockedFile
	value *json5.Value // the value that wins; of an object that is merged from several the one that goes before the others
	keys  []string     // of an object, in order
	by    map[string]*node
	items []item // of an array
}

// item is an element of a merged array and the array in which it stands.
type item struct {
	array *json5.Value
	index int
	*node
}

func (n *node) get(names ...string) *node {
	for _, name := range names {
		if n == nil {
			return nil
		}
		n = n.by[name]
	}
	return n
}

func (l *configLock) note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); l.first(text) {
		l.notes = append(l.notes, text)
	}
}

// first reports whether a text is new.
func (l *configLock) first(text string) bool {
	was := l.said[text]
	l.said[text] = true
	return !was
}

// load returns the merged value of a file, nil if it is not among the texts. from are the files that include it.
func (l *configLock) load(file string, from []string) (*node, error) {
	if slices.Contains(from, file) || len(from) > maxConfigIncludes {
		return nil, fmt.Errorf("configuration %q: includes go round or too deep", file)
	}
	f := l.files[file]
	if f == nil {
		text, ok := l.texts[file]
		if !ok {
			l.note("included file %q was not read: what it sets stays", file)
			return nil, nil
		}
		editor, err := json5.NewEditor(text)
		if err != nil {
			return nil, fmt.Errorf("configuration %q: %w", file, err)
		}
		f = &lockedFile{path: file, editor: editor}
		l.files[file] = f
		l.order = append(l.order, f)
	}
	return l.merged(f, f.editor.Root, append(slices.Clone(from), file))
}

var errTooLarge = errors.New("configuration: too many values")

// merged reads a value with what it includes.
func (l *configLock) merged(f *lockedFile, v *json5.Value, from []string) (*node, error) {
	if l.nodes++; l.nodes > maxConfigValues {
		return nil, errTooLarge
	}
	n := &node{file: f, value: v}
	for i, el := range v.Elements {
		child, err := l.merged(f, el, from)
		if err != nil {
			return nil, err
		}
		n.items = append(n.items, item{v, i, child})
	}
	if v.Kind != json5.Object {
		return n, nil
	}
	n.by = map[string]*node{}
	var include *json5.Value
	for _, m := range v.Members {
		if m.Key == "$include" {
			include = m.Value
			continue
		}
		child, err := l.merged(f, m.Value, from)
		if err != nil {
			return nil, err
		}
		n.put(m.Key, child)
	}
	if include == nil {
		return n, nil
	}
	return l.included(n, include, from)
}

// included merges an object over what its $include brings. An object that only includes gives way to what it
// includes, so that members are added there.
func (l *configLock) included(n *node, include *json5.Value, from []string) (*node, error) {
	names := include.Elements
	if include.Kind == json5.String {
		names = []*json5.Value{include}
	}
	var base *node
	for _, name := range names {
		file := name.Str
		if !path.IsAbs(file) {
			file = path.Join(path.Dir(from[len(from)-1]), file)
		}
		next, err := l.load(path.Clean(file), from)
		if err != nil {
			return nil, err
		}
		base = overlay(base, next)
	}
	if len(n.keys) == 0 && base != nil {
		return base, nil
	}
	return overlay(base, n), nil
}

func (n *node) put(key string, child *node) {
	if n.by[key] == nil {
		n.keys = append(n.keys, key)
	}
	n.by[key] = child
}

// overlay merges b over a as OpenClaw does (deepMerge in its config/includes): objects by member, arrays one after the
// other, anything else by replacing.
func overlay(a, b *node) *node {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	case a.value.Kind == json5.Object && b.value.Kind == json5.Object:
		for _, key := range b.keys {
			a.put(key, overlay(a.by[key], b.by[key]))
		}
		a.file, a.value = b.file, b.value
		return a
	case a.value.Kind == json5.Array && b.value.Kind == json5.Array:
		b.items = append(a.items, b.items...)
	}
	return b
}

// plainKey is a key that is shown as it is.
var plainKey = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[\w*-]{1,40}$`) })

// word is what a setting may hold so that it is taken into a change: no secret reads so.
var word = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^([a-z][a-z-]{0,23}|[0-9]{1,4}[a-z]{0,2}|\$\{[A-Z0-9_]{1,40}\})$`)
})

// plain returns a scalar as it is shown, and whether it may be shown and replaced.
func plain(v *json5.Value) (string, bool) {
	switch v.Kind {
	case json5.Null:
		return "null", true
	case json5.Bool:
		return strconv.FormatBool(v.Bool), true
	case json5.String:
		return v.Str, word().MatchString(v.Str)
	}
	return "", false
}

// set gives the setting at names below n the value want: a word, true or false. at is n's path, for people.
func (l *configLock) set(n *node, at, want string, names ...string) {
	for i, name := range names {
		next := n.get(name)
		if next == nil {
			l.add(n, at, want, names[i:])
			return
		}
		n, at = next, join(at, name)
	}
	if l.done[n.value] {
		return
	}
	was, ok := plain(n.value)
	switch {
	case ok && was == want:
		return
	case !ok:
		l.note("%s holds no plain word and stays", at)
		return
	}
	l.done[n.value] = true
	if err := n.file.editor.Set(n.value, literal(want)); err != nil {
		l.note("%s stays: %v", at, err)
		return
	}
	n.file.what = append(n.file.what, fmt.Sprintf("%s %s → %s", at, was, want))
}

// setPresent is set for a setting whose absence is closed, or that some releases do not know.
func (l *configLock) setPresent(n *node, at, want string, names ...string) {
	if n.get(names...) != nil {
		l.set(n, at, want, names...)
	}
}

func (l *configLock) add(n *node, at, want string, names []string) {
	for _, name := range names {
		at = join(at, name)
	}
	what := fmt.Sprintf("%s not set → %s", at, want)
	if !l.first(n.file.path + " " + what) {
		return
	}
	if err := n.file.editor.Set(n.value, literal(want), names...); err != nil {
		l.note("%s stays: %v", at, err)
		return
	}
	n.file.what = append(n.file.what, what)
}

func literal(want string) string {
	if want == "true" || want == "false" {
		return want
	}
	return strconv.Quote(want)
}

// join adds a key to a path for people; a key that is no plain name is quoted.
func join(at, key string) string {
	if !plainKey().MatchString(key) {
		key = strconv.QuoteToASCII(key[:min(len(key), 40)])
	}
	return strings.TrimPrefix(at+"."+key, ".")
}

// lock closes everything.
func (l *configLock) lock(root *node) {
	l.gateway(root)
	l.set(root, "", "false", "tools", "elevated", "enabled")
	l.exec(root, "", true)
	l.wildcards(root.get("tools", "elevated", "allowFrom"), "tools.elevated.allowFrom")
	l.set(root, "", "false", "cron", "enabled")
	l.setPresent(root, "", "false", "hooks", "enabled")
	l.set(root, "", "false", "hooks", "internal", "enabled")
	l.set(root, "", "0m", "agents", "defaults", "heartbeat", "every")
	l.setPresent(root, "", "false", "commitments", "enabled")
	l.setPresent(root, "", "false", "commands", "bash")
	l.wildcards(root.get("commands", "ownerAllowFrom"), "commands.ownerAllowFrom")
	l.wildcards(root.get("commands", "allowFrom"), "commands.allowFrom")
	l.agents(root)
	l.plugins(root)
	if channels := root.get("channels"); channels != nil {
		for _, id := range channels.keys {
			l.channel(id, channels.by[id])
		}
	}
	l.mentionPatterns(root.get("messages"), "messages")
	l.sandbox(root.get("agents", "defaults"), "agents.defaults")
}

// gateway binds the gateway to loopback. Behind a proxy that it trusts it refuses to start on loopback unless loopback
// is one of the proxies (2026.2.26 on), and a start that fails can start an agent that repairs the host.
func (l *configLock) gateway(root *node) {
	l.setPresent(root, "", "off", "gateway", "tailscale", "mode")
	if mode := root.get("gateway", "auth", "mode"); mode != nil && mode.value.Str == "trusted-proxy" {
		proxies := root.get("gateway", "trustedProxies")
		if proxies == nil || !slices.ContainsFunc(proxies.items, func(i item) bool {
			return strings.HasPrefix(i.value.Str, "127.") || i.value.Str == "::1"
		}) {
			l.note("gateway.bind stays: gateway.auth.mode is trusted-proxy, and no proxy is on loopback")
			return
		}
	}
	l.set(root, "", "loopback", "gateway", "bind")
}

// exec denies exec for one scope, the whole or an agent. From 2026.5 on there is also mode, which must not stand beside
// security and ask.
func (l *configLock) exec(scope *node, at string, must bool) {
	exec := scope.get("tools", "exec")
	switch {
	case exec.get("mode") != nil:
		l.set(scope, at, "deny", "tools", "exec", "mode")
	case must || exec.get("security") != nil || exec.get("ask") != nil:
		l.set(scope, at, "deny", "tools", "exec", "security")
		l.set(scope, at, "always", "tools", "exec", "ask")
	}
}

// agents closes what single agents override: those of agents.list (before 2026.8) and of agents.entries.
func (l *configLock) agents(root *node) {
	agents := root.get("agents")
	if list := agents.get("list"); list != nil {
		for i, a := range list.items {
			l.agent(a.node, fmt.Sprintf("agents.list.%d", i))
		}
	}
	if entries := agents.get("entries"); entries != nil {
		for _, id := range entries.keys {
			l.agent(entries.by[id], join("agents.entries", id))
		}
	}
}

func (l *configLock) agent(a *node, at string) {
	l.exec(a, at, false)
	l.setPresent(a, at, "false", "tools", "elevated", "enabled")
	l.wildcards(a.get("tools", "elevated", "allowFrom"), at+".tools.elevated.allowFrom")
	l.setPresent(a, at, "0m", "heartbeat", "every")
	l.mentionPatterns(a, at)
	l.sandbox(a, at)
}

// inbound are the plugins that take in calls, mail or requests without being channels. Disabled they are accepted with
// any configuration; their own policies are not (voice-call refuses "disabled" beside realtime).
var inbound = []string{"voice-call", "google-meet", "imap", "webhooks"}

func (l *configLock) plugins(root *node) {
	for _, id := range inbound {
		if entry := root.get("plugins", "entries", id); entry != nil && entry.value.Kind == json5.Object {
			l.set(entry, "plugins.entries."+id, "false", "enabled")
		}
	}
}

// How a channel is closed to direct messages. A channel that is in neither list has no policy that every release
// accepts and is switched off: feishu and qqbot learned "disabled" late, others never.
var (
	dmPolicyChannels = []string{
		"bluebubbles", "imessage", "irc", "line", "mattermost", "msteams", "nextcloud-talk", "nostr", "signal", "sms", "telegram",
		"whatsapp", "zalo", "zalouser",
	}
	// These had dm.policy before dmPolicy, or have it still; every release knows dm.enabled.
	dmEnabledChannels = []string{"discord", "googlechat", "matrix", "slack"}
	switchedOff       = []string{
		"a2a", "buzz", "clickclack", "feishu", "qa-channel", "qqbot", "raft", "reef", "synology-chat", "tlon", "twitch",
	}
)

// channel closes one channel and its accounts. An account does not inherit the policy before 2026.8: its own default is "pairing".
func (l *configLock) channel(id string, n *node) {
	at := join("channels", id)
	switch {
	case id == "modelByChannel":
		return
	case n.value.Kind != json5.Object:
		l.note("%s is no object and stays", at)
		return
	case id == "defaults":
	case slices.Contains(dmPolicyChannels, id):
		l.eachAccount(n, at, func(a *node, at string) { l.set(a, at, "disabled", "dmPolicy") })
	case slices.Contains(dmEnabledChannels, id):
		l.eachAccount(n, at, func(a *node, at string) {
			l.set(a, at, "false", "dm", "enabled")
			l.setPresent(a, at, "disabled", "dm", "policy")
			l.setPresent(a, at, "disabled", "dmPolicy")
		})
	default:
		if !slices.Contains(switchedOff, id) {
			l.note("%s is not known here: it is switched off, its own policies stay", at)
		}
		l.set(n, at, "false", "enabled")
		l.eachAccount(n, at, func(a *node, at string) { l.setPresent(a, at, "false", "enabled") })
		return // its lists stay: feishu refuses "open" without "*"
	}
	l.groups(n, at)
}

// eachAccount calls fn for a channel and each of its accounts.
func (l *configLock) eachAccount(channel *node, at string, fn func(account *node, at string)) {
	fn(channel, at)
	accounts := channel.get("accounts")
	if accounts == nil {
		return
	}
	for _, id := range accounts.keys {
		if a := accounts.by[id]; a.value.Kind == json5.Object {
			fn(a, join(at+".accounts", id))
		}
	}
}

// groups closes what a channel says of groups, at any depth: guilds, rooms, teams, topics and accounts. Where
// requireMention is not set it is inherited, in the end from the default, which is true.
func (l *configLock) groups(n *node, at string) {
	for _, key := range n.keys {
		child := n.by[key]
		switch was, _ := plain(child.value); {
		case key == "requireMention":
			l.set(n, at, "true", key)
		case key == "autoReply" && was == "true": // matrix: answer without a mention
			l.set(n, at, "false", key)
		case key == "chatmode" && was != "oncall": // mattermost
			l.set(n, at, "oncall", key)
		case key == "groupPolicy" && (was == "open" || was == "allowall"):
			l.set(n, at, "allowlist", key)
		case key == "users" || strings.HasSuffix(strings.ToLower(key), "allowfrom") || strings.HasSuffix(strings.ToLower(key), "allowlist"):
			l.wildcards(child, join(at, key))
		default:
			l.groups(child, join(at, key))
		}
	}
}

// wildcards removes the entries that allow everyone from a list, or from the lists in an object.
func (l *configLock) wildcards(n *node, at string) {
	if n == nil {
		return
	}
	for _, key := range n.keys {
		l.wildcards(n.by[key], join(at, key))
	}
	for _, it := range n.items {
		s := strings.TrimSpace(it.value.Str)
		// The prefix of a channel ("tg:*") is dropped before entries are compared.
		if s != "*" && (!strings.HasSuffix(s, ":*") || !word().MatchString(strings.TrimSuffix(s, ":*"))) || l.done[it.value] {
			continue
		}
		l.done[it.value] = true
		it.file.editor.Remove(it.array, it.index)
		it.file.what = append(it.file.what, fmt.Sprintf("%s %q → removed", at, s))
	}
}

// mentionPatterns notes patterns that make a message a mention: they are people's own words, or ".*".
func (l *configLock) mentionPatterns(n *node, at string) {
	if p := n.get("groupChat", "mentionPatterns"); p != nil && len(p.items) > 0 {
		l.note("%s.groupChat.mentionPatterns stays: what matches it counts as a mention", at)
	}
}

// sandbox notes agents whose commands run in a container, where tools.exec does not rule.
func (l *configLock) sandbox(n *node, at string) {
	if mode := n.get("sandbox", "mode"); mode != nil && mode.value.Str != "off" {
		l.note("%s.sandbox.mode stays: tools.exec does not deny commands inside a sandbox", at)
	}
}
