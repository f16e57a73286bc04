package rotate

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/secret"
	"github.com/clawbook/openclaw-ir/internal/statetest"
)

var testPrinter = secret.NewFingerprinter([]byte("a salt for tests"))

// heldByStates says which of the states' secrets an installation holds: the rest of secrets.txt is only mentioned in
// transcripts and logs. A private key is named by its body.
var heldByStates = map[string][]string{
	"2026.1.30": strings.Fields(`DPDFp0i9uMrTJcwmc1FAMnDb4XJvCE-J sk-FAKE-openai-key-000000000000 rotated-down-0000000000000000000000
		sk-FAKE-fakeai-key-1111111111 rot-1795337063-abcdefghijklmnop rotated-up-0000000000000000000000 fake-gw-token-initial-0001
		c5431c8bd02b42c08df3296c7a42cdef MC4CAQAwBQYDK2VwBCIEIBFABkDWc1g6ZcehAUCtegbAsYj0q83OhXuW9QO+qOtu`),
	"2026.2.12": strings.Fields(`rotated-down-0000000000000000000000 202cdf996b7543e387e17e53d3df60b7 sk-FAKE-openai-key-2222222222
		sk-FAKE-fakeai-key-1111111111 sk-ant-api03-FAKE-000000000000000000000000 1eVn8RKA3iHqpih-yi3Hnnq0u8DHbQXw
		rot-1795337165-abcdefghijklmnop rotated-up-0000000000000000000000 fake-gw-token-initial-0001
		MC4CAQAwBQYDK2VwBCIEIBa1PQU1kVy0y4DEtzqs8RGbGf7CoW458+YIpVQuyuCZ`),
	"2026.3.31": strings.Fields(`rot2-zzzzzzzzzzzzzzzzzzzzzzzzzzzzz VGSXstyAOPbSHDppCz50kw39nEXLO5Ge rotated-down-0000000000000000000000
		rot-1795338517-abcdefghijklmnop sk-FAKE-openai-key-2222222222 cvNRSI1yC4YfkOXAQV27Pd11u44BqHHVm-1MUnO1uYU
		sk-FAKE-fakeai-key-1111111111 sk-ant-api03-FAKE-000000000000000000000000
		MC4CAQAwBQYDK2VwBCIEIHmfHYls+ACeHAAKk4epADOpCGW+bCZtKA4VV6bTp4WM`),
	"2026.7.1": strings.Fields(`rotated-down-0000000000000000000000 sk-FAKE-openai-key-2222222222 sk-FAKE-fakeai-key-1111111111
		sk-ant-api03-FAKE-000000000000000000000000 rotD-1795340892-zzzzzzzzzzzzzzzzzzzz BIe-zpGnY13yUEDSOXzjqOPDR-4UYL46
		rotated-up-0000000000000000000000 fake-gw-token-initial-0001 MC4CAQAwBQYDK2VwBCIEIF99ANj+JQhBNgCP++dLNrVk+cje7DZfNyHXe2r4ycf5`),
	"2026.9.6/stopped": strings.Fields(`sk-ant-FAKE0000000000000000000000000000000001 short-FAKE gw-FAKE-token-DIRECTEDIT-0000000000000003
		gw-FAKE-token-00000000000000000000000001 hnBPFC7u_cTLH5I7g1udg-LUhALyKYGNwKHMdvVR7uY FAKE-service-secret-000000001
		aaIrL5xAOdr75vWmregxINUwt1BUNDai 3jO073K3ZyBsvW6Ni81GJOrscMTuhW9kbWTgwjNIrs0
		7ffd5f8972d07009c4657e47690a150db6ba2aa3c312239794b72e3e280a4bc5 sk-ant-api03-FAKEFAKEFAKEFAKEFAKEFAKEFAKEFAKEFAKEFAKE-01
		123456789:AAFAKE-telegram-token-0000000000000000`),
	"2026.9.6/node-host": strings.Fields(`hnBPFC7u_cTLH5I7g1udg-LUhALyKYGNwKHMdvVR7uY`),
}

func heldBy(version string) []string {
	switch version {
	case "2026.7.1-live":
		version = "2026.7.1"
	case "2026.9.6/running":
		version = "2026.9.6/stopped"
	}
	return heldByStates[version]
}

func installation(tb testing.TB, fsys fs.FS) *openclaw.Installation {
	tb.Helper()
	found, _ := openclaw.Find(fsys, openclaw.FindOptions{})
	if len(found) != 1 {
		tb.Fatalf("%d installations", len(found))
	}
	return found[0]
}

// TestInventoryOfRealStates finds in every release all that it holds, and gives none of it away.
func TestInventoryOfRealStates(t *testing.T) {
	for _, version := range statetest.Versions() {
		t.Run(version, func(t *testing.T) {
			fsys := os.DirFS(statetest.Root(t, version))
			in := installation(t, fsys)
			items, gaps := Inventory(context.Background(), fsys, in, testPrinter)
			if len(gaps) > 0 {
				t.Error(gaps)
			}
			known := map[string]bool{}
			for _, it := range items {
				for _, p := range it.prints() {
					known[p] = true
				}
			}
			missing := slices.Clone(heldBy(version))
			in.Held(context.Background(), fsys, func(h openclaw.HeldSecret) {
				missing = slices.DeleteFunc(missing, func(s string) bool {
					return strings.Contains(h.Value, s) && known[testPrinter.Fingerprint(strings.TrimSpace(h.Value))]
				})
			})
			if len(missing) > 0 || len(heldBy(version)) == 0 {
				t.Errorf("not in the inventory: %q", missing)
			}
			givesNothingAway(t, items, statetest.Secrets(t))
			if again, _ := Inventory(context.Background(), fsys, in, testPrinter); !cmp.Equal(items, again) {
				t.Error("a second run differs:", cmp.Diff(items, again))
			}
			wellFormed(t, items)
		})
	}
}

func givesNothingAway(tb testing.TB, shown any, secrets []string) {
	tb.Helper()
	text, err := json.Marshal(shown)
	if err != nil {
		tb.Fatal(err)
	}
	set := secret.NewSet(testPrinter)
	for _, s := range secrets {
		set.Add(s, "")
		if strings.Contains(string(text), s) {
			tb.Errorf("gives away %q", s)
		}
	}
	if found := set.Found(string(text)); len(found) > 0 {
		tb.Errorf("gives away %q in %s", found, text)
	}
}

func wellFormed(tb testing.TB, items []Item) {
	tb.Helper()
	ids := map[string]bool{}
	for i, it := range items {
		if it.ID == "" || ids[it.ID] || it.Rank != i+1 || it.How == "" || it.Who == "" || !slices.Contains(kindOrder, it.Kind) {
			tb.Errorf("item %+v", it)
		}
		if i > 0 && it.tier() < items[i-1].tier() {
			tb.Errorf("%s comes after %s", it.ID, items[i-1].ID)
		}
		ids[it.ID] = true
	}
}

func TestInventoryStatuses(t *testing.T) {
	fsys := os.DirFS(statetest.Root(t, "2026.9.6/stopped"))
	items, _ := Inventory(context.Background(), fsys, installation(t, fsys), testPrinter)
	var got []string
	for _, it := range items {
		if it.Kind == KindGateway || it.Kind == KindDevice {
			got = append(got, fmt.Sprint(it.Kind, " ", it.Status, " former=", it.Former, " ", len(it.Where), "+", len(it.Residue)))
		}
	}
	want := []string{
		"gateway token open former=false 2+4", // and it is the hooks token too
		"device token open former=false 1+0",
		"gateway token replaced former=true 0+1",
		"gateway token replaced former=true 0+3",
	}
	slices.Sort(got[2:]) // replaced ones come in the order of their fingerprints
	if !cmp.Equal(got, want) {
		t.Error(cmp.Diff(want, got))
	}
	if items[0].Note == "" {
		t.Error("nothing says that the gateway token is the hooks token")
	}
}

// hostOf is a host of one account with an installation, of files below its home.
func hostOf(files map[string]string) fstest.MapFS {
	fsys := fstest.MapFS{
		"etc/passwd":                        {Data: []byte("claw:x:1000:1000::/home/claw:/bin/bash\n")},
		"home/claw/.openclaw/openclaw.json": {Data: []byte("{}")},
	}
	for name, text := range files {
		fsys["home/claw/"+name] = &fstest.MapFile{Data: []byte(text)}
	}
	return fsys
}

const testKey = `-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW
QyNTUxOQAAACBmYWtlZmFrZWZha2VmYWtlZmFrZWZha2VmYWtlZmFrZQAAAJh0ZXN0dGVz
-----END OPENSSH PRIVATE KEY-----
`

// TestInventoryOfHome reads what other programs of the account keep.
func TestInventoryOfHome(t *testing.T) {
	fsys := hostOf(map[string]string{
		".ssh/id_ed25519":                testKey,
		".ssh/id_ed25519.pub":            "ssh-ed25519 AAAAC3 me",
		".ssh/known_hosts":               "example.org ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBwq\n",
		".aws/credentials":               "[default]\naws_access_key_id = AKIAFAKEFAKEFAKEFAKE\naws_secret_access_key = fakewJalrXUtnFEMIK7MDENGbPxRfiCY1\n[work]\naws_secret_access_key = fakeZZalrXUtnFEMIK7MDENGbPxRfi22\n",
		".netrc":                         "machine git.example.org\n login me\n password fake-netrc-pass-1\n",
		".git-credentials":               "https://me:ghp_fakefakefakefakefakefakefakefakefa01@github.com\n",
		".npmrc":                         "//registry.npmjs.org/:_authToken=npm_fakefakefakefakefakefakefakefakefake\n",
		".config/gh/hosts.yml":           "github.com:\n    oauth_token: gho_fakefakefakefakefakefakefakefakefa02\n    user: me\n",
		".docker/config.json":            `{"auths":{"ghcr.io":{"auth":"` + base64.StdEncoding.EncodeToString([]byte("me:fake-docker-pass")) + `"}}}`,
		".kube/config":                   "users:\n- name: admin\n  user:\n    token: fakeKubeToken0123456789abc\n",
		".pgpass":                        "db.example.org:5432:*:me:fake-pg-pass-01\n",
		".claude/.credentials.json":      `{"claudeAiOauth":{"accessToken":"sk-ant-oat01-fakefakefake0001","refreshToken":"sk-ant-ort01-fakefakefake0002"}}`,
		".bashrc":                        "# settings\nexport GROQ_API_KEY=gsk_fakefakefakefakefake0001\nalias ll='ls -l'\n",
		".gnupg/private-keys-v1.d/A.key": "binary",
		".mozilla/firefox/profiles.ini":  "x",
		".openclaw/.env":                 "OPENCLAW_GATEWAY_TOKEN=fake-gateway-token-0001\nELEVENLABS_API_KEY=fake_eleven_key_00001\n",
	})
	items, gaps := Inventory(context.Background(), fsys, installation(t, fsys), testPrinter)
	if len(gaps) > 0 {
		t.Error(gaps)
	}
	var got []string
	for _, it := range items {
		got = append(got, fmt.Sprintf("%s | %s | %s | %d", it.Kind, it.Provider, it.Owner, len(it.prints())))
	}
	want := []string{
		"gateway token | OpenClaw |  | 1",
		"OAuth login | Anthropic |  | 2",
		"model key | Groq | GROQ_API_KEY | 1",
		"cloud credential | AWS | default | 2",
		"cloud credential | AWS | work | 1",
		"cloud credential | Kubernetes |  | 1",
		"git token | GitHub | github.com | 1",
		"git token | GitHub |  | 1",
		"registry token | Docker Hub | ghcr.io | 2",
		"registry token | npm |  | 1",
		"SSH key | SSH |  | 1",
		"API key | ElevenLabs | ELEVENLABS_API_KEY | 1",
		"password store | GnuPG |  | 0",
		"browser profile | Firefox |  | 0",
		"secret | PostgreSQL | db.example.org | 1",
		"secret |  | git.example.org | 1",
	}
	slices.Sort(got)
	slices.Sort(want)
	if !cmp.Equal(got, want) {
		t.Error(cmp.Diff(want, got))
	}
	wellFormed(t, items)
}

// TestInventoryOfWhatsApp makes one item of the thousands of keys of a session, and of its backup.
func TestInventoryOfWhatsApp(t *testing.T) {
	key := func(n int) string {
		return fmt.Sprintf(`{"private":{"type":"Buffer","data":"%s"}}`, base64.StdEncoding.EncodeToString([]byte(fmt.Sprintf("fake private key of 32 bytes %03d", n))))
	}
	files := map[string]string{
		".openclaw/credentials/whatsapp/work/creds.json":     `{"noiseKey":` + key(1) + `,"signedIdentityKey":` + key(2) + `,"advSecretKey":"ZmFrZSBhZHYgc2VjcmV0IGtleSAwMDAx"}`,
		".openclaw/credentials/whatsapp/work/creds.json.bak": `{"noiseKey":` + key(1) + `}`,
	}
	for n := range 150 {
		files[fmt.Sprintf(".openclaw/credentials/whatsapp/work/pre-key-%d.json", n)] = `{"keyPair":` + key(10+n) + `}`
	}
	fsys := hostOf(files)
	items, gaps := Inventory(context.Background(), fsys, installation(t, fsys), testPrinter)
	if len(items) != 1 || len(gaps) > 0 {
		t.Fatalf("%d items, gaps %v", len(items), gaps)
	}
	it := items[0]
	noise := base64.StdEncoding.EncodeToString([]byte("fake private key of 32 bytes 001"))
	if it.Kind != KindLink || it.Owner != "work" || it.Who != WhoYou || it.Fingerprint != testPrinter.Fingerprint(noise) || len(it.Where) != 1 || len(it.Parts) > maxParts || !strings.Contains(it.How, "Linked devices") {
		t.Errorf("%+v", it)
	}
}

// TestSensitivePathsOfConfig has every sort of credential of OpenClaw's own list for 2026.9.6 (its
// docs/reference/secretref-user-supplied-credentials-matrix.json) and those it mints itself.
func TestSensitivePathsOfConfig(t *testing.T) {
	for at, want := range map[string]string{
		"agents.entries.main.memory.search.remote.apiKey":                    "model key | OpenAI | ",
		"agents.entries.main.tts.personas.p.providers.elevenlabs.apiKey":     "API key | ElevenLabs | ",
		"channels.buzz.accounts.me.privateKey":                               "channel session | Buzz | me",
		"channels.clickclack.token":                                          "channel token | ClickClack | ",
		"channels.discord.accounts.work.token":                               "channel token | Discord | work",
		"channels.discord.accounts.work.pluralkit.token":                     "API key | PluralKit | work",
		"channels.discord.voice.tts.providers.openai.apiKey":                 "API key | OpenAI | ",
		"channels.feishu.appSecret":                                          "channel token | Feishu | ",
		"channels.googlechat.serviceAccount.private_key":                     "channel token | Google Chat | ",
		"channels.irc.nickserv.password":                                     "channel session | IRC | ",
		"channels.line.channelSecret":                                        "channel token | LINE | ",
		"channels.matrix.accounts.a.accessToken":                             "channel session | Matrix | a",
		"channels.mattermost.botToken":                                       "channel token | Mattermost | ",
		"channels.msteams.appPassword":                                       "channel token | Microsoft Teams | ",
		"channels.nextcloud-talk.botSecret":                                  "channel token | Nextcloud Talk | ",
		"channels.nostr.privateKey":                                          "channel session | Nostr | ",
		"channels.qqbot.clientSecret":                                        "channel token | QQ bot | ",
		"channels.slack.accounts.team.signingSecret":                         "channel token | Slack | team",
		"channels.sms.authToken":                                             "channel token | Twilio | ",
		"channels.telegram.webhookSecret":                                    "channel token | Telegram | ",
		"channels.twitch.accessToken":                                        "channel session | Twitch | ",
		"channels.zalo.botToken":                                             "channel token | Zalo | ",
		"channels.bluebubbles.password":                                      "channel session | BlueBubbles | ",
		"cron.webhookToken":                                                  "hooks token |  | ",
		"env.vars.MISTRAL_API_KEY":                                           "model key | Mistral | MISTRAL_API_KEY",
		"gateway.auth.password":                                              "gateway token | OpenClaw | ",
		"gateway.remote.token":                                               "gateway token |  | another gateway",
		"hooks.token":                                                        "hooks token | OpenClaw | ",
		"hooks.gmail.pushToken":                                              "hooks token | Google account | ",
		"mcp.servers.files.env.API_TOKEN":                                    "MCP secret |  | files",
		"models.providers.openrouter.apiKey":                                 "model key | OpenRouter | ",
		"models.providers.my-own.request.auth.token":                         "model key | my-own | ",
		"plugins.entries.acpx.config.mcpServers.files.env.API_TOKEN":         "MCP secret |  | files",
		"plugins.entries.brave.config.webSearch.apiKey":                      "API key | Brave Search | ",
		"plugins.entries.firecrawl.config.webFetch.apiKey":                   "API key | Firecrawl | ",
		"plugins.entries.imap.config.accounts.me.password":                   "channel session | mail | me",
		"plugins.entries.team-reports.config.github.token":                   "git token | GitHub | ",
		"plugins.entries.voice-call.config.realtime.providers.openai.apiKey": "API key | OpenAI | ",
		"plugins.entries.voice-call.config.twilio.authToken":                 "API key | Twilio | ",
		"plugins.entries.webhooks.config.routes.r.secret":                    "hooks token |  | ",
		"skills.entries.gemini.apiKey":                                       "API key | Google AI Studio | ",
		"talk.providers.elevenlabs.apiKey":                                   "API key | ElevenLabs | ",
		"tools.web.search.perplexity.apiKey":                                 "API key | Perplexity | ",
		"tools.web.search.apiKey":                                            "API key | Brave Search | ",
		"tts.personas.x.providers.fish-audio.apiKey":                         "API key | Fish Audio | ",
		"messages.tts.openai.apiKey":                                         "API key | OpenAI | ",
	} {
		value := "fake-value-of-a-secret-01"
		if at == "agents.entries.main.memory.search.remote.apiKey" {
			value = "sk-proj-fakefakefakefake01"
		}
		names := strings.Split(at, ".")
		text := fmt.Sprintf("%q", value)
		for _, name := range slices.Backward(names) {
			text = fmt.Sprintf("{%q:%s}", name, text)
		}
		fsys := hostOf(map[string]string{".openclaw/openclaw.json": text})
		items, _ := Inventory(context.Background(), fsys, installation(t, fsys), testPrinter)
		if len(items) != 1 {
			t.Errorf("%s: %d items", at, len(items))
			continue
		}
		if got := fmt.Sprintf("%s | %s | %s", items[0].Kind, items[0].Provider, items[0].Owner); got != want {
			t.Errorf("%s: %s, want %s", at, got, want)
		}
	}
}

func TestVariables(t *testing.T) {
	for name, want := range map[string]string{
		"OPENAI_API_KEY": "openai", "OPENAI_PERSONAL_API_KEY": "openai", "GEMINI_API_KEY": "google", "GH_TOKEN": "github", "XI_API_KEY": "elevenlabs",
		"AWS_SECRET_ACCESS_KEY": "aws", "AWS_SESSION_TOKEN": "aws", "TELEGRAM_BOT_TOKEN": "telegram", "SLACK_APP_TOKEN": "slack", "DISCORD_BOT_TOKEN": "discord",
		"LINE_CHANNEL_ACCESS_TOKEN": "line", "HF_TOKEN": "huggingface", "OP_SERVICE_ACCOUNT_TOKEN": "onepassword", "MY_OWN_TOKEN": "", "PATH": "",
		"CLOUDFLARE_API_TOKEN": "cloudflare", "COPILOT_GITHUB_TOKEN": "github-copilot", "KIMI_API_KEY": "moonshot", "ZAI_API_KEY": "zai", "TWILIO_AUTH_TOKEN": "twilio",
		"MINIMAX_CODE_PLAN_KEY": "minimax", "OPENCODE_ZEN_API_KEY": "opencode", "DASHSCOPE_API_KEY": "alibaba", "AZURE_OPENAI_API_KEY": "azure", "RUNWAYML_API_SECRET": "runway",
	} {
		if got := ofVariable(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

// TestTablesAgree keeps the tables of providers from naming what is not there.
func TestTablesAgree(t *testing.T) {
	known := func(id string) bool { return issuers[id].name != "" || channels[id].name != "" }
	for name, id := range aliases {
		if !known(id) || issuers[name].name != "" {
			t.Errorf("alias %q of %q", name, id)
		}
	}
	for _, f := range formats {
		if !known(f.issuer) {
			t.Errorf("format %q of %q", f.prefix, f.issuer)
		}
	}
	for id := range kindOfIssuer {
		if issuers[id].name == "" {
			t.Errorf("kind of %q", id)
		}
	}
	for _, r := range placeRules {
		if r.is.issuer != "" && !known(r.is.issuer) {
			t.Errorf("rule %q %q of %q", r.file, r.path, r.is.issuer)
		}
	}
	for id, c := range channels {
		if c.how == "" {
			t.Errorf("nothing says what to do about channel %q", id)
		}
	}
}

// TestInventoryNeverTells has secrets in every part of hostile configs, names and file names too.
func TestInventoryNeverTells(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		token := rapid.StringMatching(`sk-fake-[A-Za-z0-9]{16,24}`)
		name := rapid.OneOf(rapid.SampledFrom(strings.Fields("gateway auth token channels telegram accounts botToken env vars OPENAI_API_KEY mcp servers headers profiles key")), token)
		tree := map[string]any{}
		var secrets []string
		for range rapid.IntRange(1, 6).Draw(t, "n") {
			at := tree
			for range rapid.IntRange(0, 4).Draw(t, "depth") {
				k := name.Draw(t, "name")
				next, ok := at[k].(map[string]any)
				if !ok {
					next = map[string]any{}
					at[k] = next
				}
				at = next
			}
			value := token.Draw(t, "value")
			secrets = append(secrets, value)
			at[rapid.OneOf(rapid.Just("token"), token).Draw(t, "last")] = value
			if rapid.Bool().Draw(t, "as a name") {
				at[value] = map[string]any{"token": value}
			}
		}
		text, _ := json.Marshal(tree)
		fsys := hostOf(map[string]string{".openclaw/openclaw.json": string(text), ".openclaw/credentials/" + secrets[0] + ".json": string(text)})
		in := installationOf(fsys)
		items, gaps := Inventory(context.Background(), fsys, in, testPrinter)
		shown, _ := json.Marshal([]any{items, gaps})
		for _, s := range secrets {
			if strings.Contains(string(shown), s) {
				t.Fatalf("gives away %q: %s", s, shown)
			}
		}
	})
}

func installationOf(fsys fs.FS) *openclaw.Installation {
	found, _ := openclaw.Find(fsys, openclaw.FindOptions{})
	return found[0]
}

func TestMarkAndOrder(t *testing.T) {
	items := []Item{
		{ID: "a", Kind: KindKey, Fingerprint: "1", Status: StatusOpen},
		{ID: "b", Kind: KindModel, Fingerprint: "2", Status: StatusOpen},
		{ID: "c", Kind: KindKey, Fingerprint: "3", Parts: []string{"4"}, Status: StatusOpen},
		{ID: "d", Kind: KindLink, Fingerprint: "5", Status: StatusOpen},
		{ID: "e", Kind: KindGateway, Fingerprint: "6", Status: StatusOpen},
		{ID: "f", Kind: KindGateway, Fingerprint: "7", Status: StatusReplaced},
		{ID: "g", Kind: KindDevice, Fingerprint: "8", Status: StatusOpen},
		{ID: "h", Kind: KindKey, Fingerprint: "9", Status: StatusOpen, Former: true},
	}
	Mark(items, map[string]Seen{"4": {Sent: true, Count: 2, Sessions: []string{"s"}}, "3": {Read: true, Count: 1, Sessions: []string{"s", "r"}}, "1": {Read: true, Count: 1}})
	order := ""
	for _, it := range items {
		order += it.ID
	}
	if order != "egdcabhf" {
		t.Errorf("order %q", order)
	}
	if c := items[3].Seen; !c.Read || !c.Sent || c.Count != 3 || !slices.Equal(c.Sessions, []string{"r", "s"}) {
		t.Errorf("seen %+v", c)
	}
}

func TestJoin(t *testing.T) {
	one := Item{ID: "openai-model-key-aaaa", Kind: KindModel, Provider: "OpenAI", Fingerprint: "aaaa00000000", Where: []string{"x"}, Status: StatusOpen}
	two := one
	two.Where = []string{"y"}
	other := Item{ID: one.ID, Kind: KindModel, Provider: "OpenAI", Fingerprint: "aaaa11111111", Where: []string{"z"}, Status: StatusOpen}
	all := Join([]Item{one}, []Item{two, other})
	if len(all) != 2 || !slices.Equal(all[0].Where, []string{"x", "y"}) || all[0].ID == all[1].ID {
		t.Errorf("%+v", all)
	}
}
