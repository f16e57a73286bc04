package contain

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/json5"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/statetest"
)

// lockState closes the configuration of a state and checks what must hold for every one. It returns the edited texts.
func lockState(t *testing.T, file string, texts map[string][]byte) (map[string][]byte, []ConfigChange, []string) {
	t.Helper()
	changes, notes, err := LockConfig(file, texts)
	if err != nil {
		t.Fatal(err)
	}
	said, err := json.Marshal(changes)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range statetest.Secrets(t) {
		if strings.Contains(string(said), s) || strings.Contains(strings.Join(notes, "\n"), s) {
			t.Errorf("a secret is in the changes or notes")
		}
	}
	locked := edit(t, texts, changes)
	again, _, err := LockConfig(file, locked)
	if err != nil || len(again) > 0 {
		t.Errorf("locked again: %v, %v", again, err)
	}
	return locked, changes, notes
}

func edit(t *testing.T, texts map[string][]byte, changes []ConfigChange) map[string][]byte {
	t.Helper()
	edited := maps.Clone(texts)
	for _, c := range changes {
		text, err := c.Patch.Apply(texts[c.File])
		if err != nil {
			t.Fatalf("%q: %v", c.File, err)
		}
		edited[c.File] = text
		back, err := c.Patch.Invert().Apply(text)
		if err != nil || string(back) != string(texts[c.File]) {
			t.Errorf("%q is not restored: %v", c.File, err)
		}
		if len(c.What) == 0 {
			t.Errorf("%q: nothing is said of its changes", c.File)
		}
	}
	return edited
}

// stateConfig reads the configuration of a real state.
func stateConfig(t *testing.T, version string) (string, map[string][]byte) {
	t.Helper()
	root, home := statetest.Root(t, version), "claw"
	if strings.HasPrefix(version, "2026.9.6/") {
		home = "alice"
	}
	file := "/home/" + home + "/.openclaw/openclaw.json"
	text, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	return file, map[string][]byte{file: text}
}

func TestLockConfigOfStates(t *testing.T) {
	const everywhere = "tools.elevated.enabled not set → false\ncron.enabled not set → false\n" +
		"hooks.internal.enabled not set → false\nagents.defaults.heartbeat.every not set → 0m\n"
	for version, want := range map[string]string{
		"2026.1.30": everywhere + `tools.exec.security allowlist → deny
tools.exec.ask on-miss → always
agents.list.1.tools.exec.security allowlist → deny
agents.list.1.tools.exec.ask on-miss → always
channels.whatsapp.dmPolicy pairing → disabled
channels.signal.dmPolicy pairing → disabled
`,
		"2026.2.12": strings.Replace(everywhere, "every not set", "every 30m", 1) + `tools.exec.security allowlist → deny
tools.exec.ask on-miss → always
agents.list.1.tools.exec.security allowlist → deny
agents.list.1.tools.exec.ask on-miss → always
channels.whatsapp.dmPolicy pairing → disabled
channels.signal.dmPolicy pairing → disabled
`,
		"2026.3.31": everywhere + `tools.exec.security full → deny
tools.exec.ask off → always
channels.signal.dmPolicy pairing → disabled
channels.whatsapp.dmPolicy pairing → disabled
`,
		"2026.7.1": everywhere + `tools.exec.security allowlist → deny
tools.exec.ask on-miss → always
agents.list.1.tools.exec.security allowlist → deny
agents.list.1.tools.exec.ask on-miss → always
channels.signal.dmPolicy pairing → disabled
channels.whatsapp.dmPolicy pairing → disabled
`,
		"2026.9.6/stopped": strings.Replace(everywhere, "elevated.enabled not set", "elevated.enabled true", 1) + `gateway.bind lan → loopback
tools.exec.mode full → deny
tools.elevated.allowFrom.telegram "*" → removed
hooks.enabled true → false
channels.telegram.dmPolicy open → disabled
channels.telegram.allowFrom "*" → removed
channels.telegram.groupPolicy open → allowlist
channels.telegram.groups.*.requireMention false → true
`,
	} {
		t.Run(strings.ReplaceAll(version, "/", "_"), func(t *testing.T) {
			file, texts := stateConfig(t, version)
			_, changes, notes := lockState(t, file, texts)
			if len(changes) != 1 || changes[0].File != file || len(notes) > 0 {
				t.Fatalf("changes %v, notes %q", changes, notes)
			}
			got, want := changes[0].What, strings.Split(strings.TrimSpace(want), "\n")
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		})
	}
}

// TestLockConfigKeepsStyle edits a configuration as people write it.
func TestLockConfigKeepsStyle(t *testing.T) {
	const text = `// the family's agent
{
  gateway: { bind: "lan", auth: { token: 'short-FAKE' } }, // for the phone
  agents: {
    defaults: { heartbeat: { every: '30m' } },
    list: [
      { id: 'ops', tools: { exec: { security: 'full' }, elevated: { enabled: true, allowFrom: { slack: ['*', 'U1'] } } } },
    ],
  },
  channels: {
    telegram: {
      dmPolicy: 'pairing',
      accounts: {
        work: { botToken: '123456789:AAFAKE-telegram-token-0000000000000000' },
      },
      groups: { '*': { requireMention: false }, '-100': { topics: { '7': { requireMention: false, allowFrom: ['tg:*', 7] } } } },
    },
    /* chat */
    discord: { dm: { policy: 'open', allowFrom: ['*'] }, guilds: { '1': { users: ['*', '2'] } } },
  },
}
`
	const want = `// the family's agent
{
  gateway: { bind: "loopback", auth: { token: 'short-FAKE' } }, // for the phone
  agents: {
    defaults: { heartbeat: { every: "0m" } },
    list: [
      { id: 'ops', tools: { exec: { security: "deny", ask: "always" }, elevated: { enabled: false, allowFrom: { slack: ['U1'] } } } },
    ],
  },
  channels: {
    telegram: {
      dmPolicy: "disabled",
      accounts: {
        work: { botToken: '123456789:AAFAKE-telegram-token-0000000000000000', dmPolicy: "disabled" },
      },
      groups: { '*': { requireMention: true }, '-100': { topics: { '7': { requireMention: true, allowFrom: [7] } } } },
    },
    /* chat */
    discord: { dm: { policy: "disabled", allowFrom: [], enabled: false }, guilds: { '1': { users: ['2'] } } },
  },
  tools: {
    elevated: {
      enabled: false
    },
    exec: {
      security: "deny",
      ask: "always"
    }
  },
  cron: {
    enabled: false
  },
  hooks: {
    internal: {
      enabled: false
    }
  },
}
`
	locked, _, notes := lockState(t, "/c.json", map[string][]byte{"/c.json": []byte(text)})
	if got := string(locked["/c.json"]); got != want || len(notes) > 0 {
		t.Errorf("notes %q\ngot:\n%s\nwant:\n%s", notes, got, want)
	}
}

// TestLockConfigEditsWhatWins spreads one configuration over files.
func TestLockConfigEditsWhatWins(t *testing.T) {
	texts := map[string][]byte{
		"/c/openclaw.json": []byte(`{$include: ["./base.json", "more/over.json"], gateway: {$include: "gw.json5"}, cron: {enabled: false}}`),
		"/c/base.json":     []byte(`{"tools":{"exec":{"mode":"full"}},"cron":{"enabled":true},"commands":{"ownerAllowFrom":["*"]}}`),
		"/c/more/over.json": []byte(`{tools: {exec: {mode: 'auto'}, elevated: {enabled: false}}, commands: {ownerAllowFrom: ['a', '*']},
 channels: {telegram: {$include: '../tg.json'}, line: {$include: '../gone.json'}}, hooks: {internal: {enabled: false}}}`),
		"/c/gw.json5": []byte(`{bind: 'tailnet', tailscale: {mode: 'funnel'}, auth: {token: "short-FAKE"}}`),
		"/c/tg.json":  []byte(`{accounts: {a: {$include: './acc.json'}, b: {$include: './acc.json'}}}`),
		"/c/acc.json": []byte(`{dmPolicy: 'open'}`),
	}
	want := map[string]string{
		"/c/openclaw.json": `{$include: ["./base.json", "more/over.json"], gateway: {$include: "gw.json5"}, cron: {enabled: false}, agents: { defaults: { heartbeat: { every: "0m" } } }}`,
		"/c/base.json":     `{"tools":{"exec":{"mode":"full"}},"cron":{"enabled":true},"commands":{"ownerAllowFrom":[]}}`,
		"/c/more/over.json": `{tools: {exec: {mode: "deny"}, elevated: {enabled: false}}, commands: {ownerAllowFrom: ['a']},
 channels: {telegram: {$include: '../tg.json'}, line: {$include: '../gone.json', dmPolicy: "disabled"}}, hooks: {internal: {enabled: false}}}`,
		"/c/gw.json5": `{bind: "loopback", tailscale: {mode: "off"}, auth: {token: "short-FAKE"}}`,
		"/c/tg.json":  `{accounts: {a: {$include: './acc.json'}, b: {$include: './acc.json'}}, dmPolicy: "disabled"}`,
		"/c/acc.json": `{dmPolicy: "disabled"}`,
	}
	locked, _, notes := lockState(t, "/c/openclaw.json", texts)
	for file, text := range want {
		if got := string(locked[file]); got != text {
			t.Errorf("%s:\ngot  %s\nwant %s", file, got, text)
		}
	}
	if want := []string{`included file "/c/gone.json" was not read: what it sets stays`}; !slices.Equal(notes, want) {
		t.Errorf("notes %q, want %q", notes, want)
	}
}

func TestLockConfigNotes(t *testing.T) {
	const text = `{
  gateway: { bind: 'lan', auth: { mode: 'trusted-proxy' }, trustedProxies: ['10.0.0.1'] },
  tools: { exec: { security: 'sk-FAKE-fakeai-key-1111111111', ask: ['sk-FAKE-fakeai-key-1111111111'] }, elevated: 'sk-FAKE-fakeai-key-1111111111' },
  agents: { defaults: { sandbox: { mode: 'all' } }, entries: { ops: { groupChat: { mentionPatterns: ['.*'] } } } },
  channels: { carrier: { dmPolicy: 'open' }, telegram: null, 'sk\u001b[2J': {} },
  plugins: { entries: { 'voice-call': { config: { inboundPolicy: 'open' } } } },
}`
	locked, changes, notes := lockState(t, "/c.json", map[string][]byte{"/c.json": []byte(text)})
	want := []string{
		"gateway.bind stays: gateway.auth.mode is trusted-proxy, and no proxy is on loopback",
		`tools.elevated.enabled stays: "enabled" has no place: what should hold it is not an object`,
		"tools.exec.security holds no plain word and stays",
		"tools.exec.ask holds no plain word and stays",
		"agents.entries.ops.groupChat.mentionPatterns stays: what matches it counts as a mention",
		"channels.carrier is not known here: it is switched off, its own policies stay",
		"channels.telegram is no object and stays",
		`channels."sk\x1b[2J" is not known here: it is switched off, its own policies stay`,
		"agents.defaults.sandbox.mode stays: tools.exec does not deny commands inside a sandbox",
	}
	if !slices.Equal(notes, want) {
		t.Errorf("notes:\n%s\nwant:\n%s", strings.Join(notes, "\n"), strings.Join(want, "\n"))
	}
	root, err := json5.Parse(locked["/c.json"])
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"channels carrier enabled", "plugins entries voice-call enabled"} {
		if v := root.Get(strings.Fields(path)...); v == nil || v.Kind != json5.Bool || v.Bool {
			t.Errorf("%s is %v in %v", path, v, changes)
		}
	}
}

func TestLockConfigTrustedProxy(t *testing.T) {
	text := []byte(`{gateway: {bind: 'lan', auth: {mode: 'trusted-proxy'}, trustedProxies: ['10.0.0.1', '127.0.0.1']}}`)
	locked, _, notes := lockState(t, "/c.json", map[string][]byte{"/c.json": text})
	if !strings.Contains(string(locked["/c.json"]), `bind: "loopback"`) || len(notes) > 0 {
		t.Errorf("%s, notes %q", locked["/c.json"], notes)
	}
}

func TestLockConfigErrors(t *testing.T) {
	for _, row := range []struct{ main, include, want string }{
		{"{gateway: {bind: 'lan'}", "{}", `configuration "/c/a.json": line 1 column 24: unexpected end`},
		{"{$include: 'b.json'}", "{\n 'sk-FAKE-fakeai-key-1111111111'}", `configuration "/c/b.json": line 2 column 33: unexpected character '}'`},
		{"{$include: 'b.json'}", "{tools: {$include: 'a.json'}}", `configuration "/c/a.json": includes go round or too deep`},
		{"[]", "", `configuration "/c/a.json": not an object`},
		{"{$include: 'b.json'}", "1", `configuration "/c/a.json": not an object`},
		{"{a: [" + strings.Repeat("0,", maxConfigValues) + "]}", "", "configuration: too many values"},
		{strings.Repeat(" ", maxConfigText), "{}", `configuration "/c/a.json": larger than 8388608 bytes`},
	} {
		changes, _, err := LockConfig("/c/a.json", map[string][]byte{"/c/a.json": []byte(row.main), "/c/b.json": []byte(row.include)})
		if err == nil || err.Error() != row.want || changes != nil {
			t.Errorf("%.40q: %v, %v", row.main, changes, err)
		}
	}
	_, _, err := LockConfig("/c/a.json", map[string][]byte{"/c/a.json": []byte("{")})
	if syntax := (*json5.SyntaxError)(nil); !errors.As(err, &syntax) {
		t.Errorf("%v is no syntax error", err)
	}
}

// TestLockConfigHostile gives texts that would multiply or overflow a careless reader.
func TestLockConfigHostile(t *testing.T) {
	texts := map[string][]byte{"/c.json": []byte(`{channels: {telegram: {accounts: {` + strings.Repeat("a:{},", 10_000) + `}}}}`)}
	for i := range 9 {
		texts[fmt.Sprintf("/%d", i)] = fmt.Appendf(nil, `{$include: [%s]}`, strings.Repeat(fmt.Sprintf("'%d',", i+1), 100))
	}
	texts["/9"] = []byte("{}")
	start := time.Now()
	lockState(t, "/c.json", texts)
	if _, _, err := LockConfig("/0", texts); err == nil {
		t.Error("100^9 includes were read")
	}
	for _, text := range []string{
		strings.Repeat("{channels:", 900) + "{}" + strings.Repeat("}", 900),
		`{channels: {__proto__: {a: 1}, constructor: {}}, agents: {list: [[], null, 3]}, $include: [null, 7, "/c.json"]}`,
		`{agents: [], channels: {telegram: {accounts: []}, discord: {dm: []}}, commands: {allowFrom: {"*": ["*", 5]}}}`,
		`{$include: {}, gateway: 5, plugins: {entries: {imap: 3}}}`,
	} {
		lockState(t, "/d.json", map[string][]byte{"/d.json": []byte(text), "/c.json": []byte("{}")})
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("took %v", took)
	}
}

// TestLockConfigProperties closes random configurations: the result says what it must wherever it is well-formed, and
// nothing else is touched.
func TestLockConfigProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		words := []any{"open", "pairing", "lan", "full", "off", "30m", true, false, nil}
		scalar := rapid.SampledFrom(words)
		lists := rapid.SliceOfN(rapid.SampledFrom([]any{"*", "tg:*", "+1555", 7}), 0, 3)
		section := func(keys ...string) *rapid.Generator[map[string]any] {
			return rapid.Custom(func(rt *rapid.T) map[string]any {
				drawn := rapid.MapOf(rapid.SampledFrom(keys), scalar).Draw(rt, "section")
				if slices.Contains(keys, "allowFrom") {
					drawn["allowFrom"] = lists.Draw(rt, "allowFrom")
				}
				return drawn
			})
		}
		channel := rapid.Custom(func(rt *rapid.T) any {
			c := section("enabled", "dmPolicy", "groupPolicy", "allowFrom", "requireMention").Draw(rt, "channel")
			if rapid.Bool().Draw(rt, "accounts") {
				c["accounts"] = map[string]any{"a": section("dmPolicy", "allowFrom").Draw(rt, "account")}
			}
			return c
		})
		config := map[string]any{
			"gateway":  section("bind", "port").Draw(rt, "gateway"),
			"cron":     section("enabled", "store").Draw(rt, "cron"),
			"channels": rapid.MapOf(rapid.SampledFrom([]string{"telegram", "slack", "feishu", "other"}), channel).Draw(rt, "channels"),
		}
		text, err := json.MarshalIndent(config, "", rapid.SampledFrom([]string{"", "\t"}).Draw(rt, "indent"))
		if err != nil {
			rt.Fatal(err)
		}
		checkLocked(rt, text)
	})
}

func checkLocked(t *rapid.T, text []byte) {
	texts := map[string][]byte{"/c": text}
	changes, _, err := LockConfig("/c", texts)
	if err != nil || len(changes) != 1 {
		t.Fatalf("%s: %v, %v", text, changes, err)
	}
	locked, err := changes[0].Patch.Apply(text)
	if err != nil {
		t.Fatal(err)
	}
	back, err := changes[0].Patch.Invert().Apply(locked)
	if err != nil || string(back) != string(text) {
		t.Fatalf("%s became %s: %v", text, back, err)
	}
	again, _, err := LockConfig("/c", map[string][]byte{"/c": locked})
	if err != nil || len(again) > 0 {
		t.Fatalf("%s became %s and then %v, %v", text, locked, again, err)
	}
	root, err := json5.Parse(locked)
	if err != nil {
		t.Fatalf("%s: %v", locked, err)
	}
	for _, m := range root.Get("channels").Members {
		closed := m.Value.Get("enabled")
		switch m.Key {
		case "slack":
			closed = m.Value.Get("dm", "enabled")
			checkLists(t, m.Value, locked)
		case "telegram":
			checkLists(t, m.Value, locked)
			closed = m.Value.Get("dmPolicy")
			if closed.Str == "disabled" {
				continue
			}
		}
		if closed == nil || closed.Kind < json5.Number && closed.Bool {
			t.Fatalf("%s leaves %q open", locked, m.Key)
		}
	}
}

func checkLists(t *rapid.T, channel *json5.Value, locked []byte) {
	if strings.Contains(string(locked[channel.Start:channel.End]), `*"`) {
		t.Fatalf("%s still allows everyone", locked)
	}
}

// TestLockedConfigIsAccepted has real releases judge what was closed. A configuration that they do not accept would
// keep the gateway from starting.
func TestLockedConfigIsAccepted(t *testing.T) {
	if os.Getenv("OPENCLAW_IR_GATEWAY_TEST") != "1" {
		t.Skip("runs a real openclaw from npm: set OPENCLAW_IR_GATEWAY_TEST=1")
	}
	for version, state := range map[string]string{"2026.7.1": "2026.7.1", "2026.9.6": "2026.9.6/stopped"} {
		_, texts := stateConfig(t, state)
		texts["/every"], texts["/empty"] = []byte(everyChannel), []byte("{}")
		for file := range texts {
			locked, _, _ := lockState(t, file, texts)
			before := complaints(t, version, texts[file])
			for _, c := range complaints(t, version, locked[file]) {
				if !slices.Contains(before, c) {
					t.Errorf("%s refuses the locked %q: %s", version, file, c)
				}
			}
			t.Logf("%s complains of %q anyway: %q", version, file, before)
		}
	}
}

// everyChannel is open wherever it can be, in every channel that 2026.7.1 and 2026.9.6 both know.
const everyChannel = `{
  gateway: { mode: 'local', bind: 'custom', customBindHost: '0.0.0.0', tailscale: { mode: 'off' } },
  cron: { enabled: true },
  hooks: { enabled: true, token: 'a-token-of-hooks-FAKE-000000' },
  commands: { bash: true, ownerAllowFrom: ['*'], allowFrom: { '*': ['*'] } },
  tools: { exec: { host: 'gateway' }, elevated: { enabled: true, allowFrom: { telegram: ['*', 5] } } },
  messages: { groupChat: { mentionPatterns: ['claw'] } },
  channels: {
    defaults: { groupPolicy: 'open' },
    telegram: {
      dmPolicy: 'open', allowFrom: ['*'], groupPolicy: 'open', groupAllowFrom: ['*'],
      groups: { '*': { requireMention: false, groupPolicy: 'open', topics: { '3': { requireMention: false } } } },
      accounts: { a: { botToken: '1:FAKE' }, b: { dmPolicy: 'pairing' } },
    },
    discord: { dmPolicy: 'pairing', groupPolicy: 'open', guilds: { '1': { requireMention: false, users: ['*'], channels: { c: { requireMention: false } } } }, accounts: { a: {} } },
    slack: { requireMention: false, channels: { C1: { requireMention: false, users: ['*'] } }, accounts: { a: {} } },
    signal: { groups: { '*': { requireMention: false } }, accounts: { a: {} } },
    whatsapp: { groups: { '*': { requireMention: false } }, accounts: { a: {} } },
    googlechat: { groups: { g: { requireMention: false, users: ['*'] } }, accounts: { a: {} } },
    msteams: { requireMention: false, teams: { t: { requireMention: false, channels: { c: { requireMention: false } } } } },
    matrix: { groups: { r: { autoReply: true, users: ['*'] } }, dm: { policy: 'open', allowFrom: ['*'] }, accounts: { a: {} } },
    mattermost: { chatmode: 'onmessage', groups: { g: { requireMention: false } }, accounts: { a: { chatmode: 'onchar' } } },
    imessage: { accounts: { a: {} } }, irc: { accounts: { a: {} } }, line: { accounts: { a: {} } },
    'nextcloud-talk': { rooms: { r: { requireMention: false } } }, nostr: {}, sms: {}, zalo: {}, zalouser: { accounts: { a: {} } },
    feishu: { dmPolicy: 'open', allowFrom: ['*'], groupPolicy: 'open', accounts: { a: { enabled: true } } },
    clickclack: {}, raft: {}, 'synology-chat': {}, tlon: {},
  },
}`

// complaints returns what a release has against a configuration. It starts nothing and reads a copy.
func complaints(t *testing.T, version string, text []byte) (list []string) {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	modules := filepath.Join(cache, "openclaw-ir-test", version, "node_modules")
	nodes, _ := filepath.Glob(filepath.Join(modules, "node-linux-*/bin/node"))
	if len(nodes) == 0 {
		t.Skipf("%s is not in the cache: run the gateway tests of cmd/openclaw-ir first", version)
	}
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, "openclaw.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(nodes[0], filepath.Join(modules, "openclaw/openclaw.mjs"), "config", "validate")
	cmd.Dir = home
	cmd.Env = []string{"HOME=" + home, "TMPDIR=" + home, "PATH=/usr/bin:/bin", "OPENCLAW_STATE_DIR=" + home}
	out, err := cmd.CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if _, what, found := strings.Cut(line, "×"); found {
			list = append(list, strings.TrimSpace(what))
		}
	}
	if (err != nil) != (len(list) > 0) {
		t.Fatalf("%s: %v: %s", version, err, out)
	}
	return list
}

// TestLockConfigReadsWhatConfigRead hands LockConfig the files that LoadConfig found.
func TestLockConfigReadsWhatConfigRead(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "openclaw.json"), []byte(`{$include: "./a.json5"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a.json5"), []byte(`{gateway: {bind: 'auto'}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	config, gaps := openclaw.LoadConfig(os.DirFS("/"), filepath.Join(dir, "openclaw.json"))
	texts := map[string][]byte{}
	for _, file := range config.Files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts[file] = text
	}
	locked, _, notes := lockState(t, config.Path, texts)
	if len(gaps) > 0 || len(notes) > 0 || !strings.Contains(string(locked[filepath.Join(dir, "a.json5")]), `bind: "loopback"`) {
		t.Errorf("%q, gaps %v, notes %q", locked, gaps, notes)
	}
}

// TestOtherConfigStaysOpen: a config that may be the installation's as well is told.
func TestOtherConfigStaysOpen(t *testing.T) {
	root, err := host.OpenRoot("/")
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	dir := t.TempDir()
	p, in := &Plan{}, &openclaw.Installation{StateDir: dir, ConfigPath: filepath.Join(dir, "none.json"), Others: []string{"/home/claw/.openclaw/openclaw.json"}}
	Machine{Root: root, UID: os.Geteuid()}.planLocks(p, []*openclaw.Installation{in})
	if len(p.Unlocked) != 1 || !strings.Contains(p.Unlocked[0], in.Others[0]) {
		t.Errorf("told: %q", p.Unlocked)
	}
}
