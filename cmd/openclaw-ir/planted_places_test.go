package main

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
)

// In what is planted «KIND» stands for a secret of that kind, another each time; see sower.value.

// plantedConfig is merged into openclaw.json: every setting that can hold a secret (FACTS 10), as the releases name them.
const plantedConfig = `{
	"gateway": {
		"auth": {"token": "«token»", "password": "«awkward»"},
		"remote": {"url": "wss://u:«token»@gw.example.org", "token": "«hex»", "password": "«words»"},
		"tailscale": {"authKey": "«tskey»"},
		"tls": {"keyPath": "HOME/tls.key", "passphrase": "«words»"}
	},
	"hooks": {"token": "«awkward»", "gmail": {"pushToken": "«token»", "hookUrl": "https://hooks.example.org/gmail?token=«token»"},
		"mappings": [{"headers": {"Authorization": "Bearer «token»"}}]},
	"cron": {"webhookToken": "«token»", "webhook": "https://hooks.slack.com/services/«slack»"},
	"env": {"ANTHROPIC_API_KEY": "«sk-ant»", "vars": {"DB_PASSWORD": "«words»", "MY_SETTING": "«token»", "GH": "«ghp»"}},
	"models": {"providers": {
		"one": {"apiKey": "«sk»", "headers": {"X-Api-Key": "«hex»", "X-Custom": "«token»", "Authorization": "Basic «basic»"}},
		"two": {"apiKey": "«hex»", "baseUrl": "https://user:«words»@models.example.org/v1"}
	}},
	"agents": {"defaults": {
		"memorySearch": {"remote": {"apiKey": "«token»", "headers": {"X-Key": "«token»"}}},
		"sandbox": {"docker": {"env": {"REGISTRY_TOKEN": "«token»", "HARMLESS": "«token»"}}, "ssh": {"identityData": "«pem»"}}
	}},
	"channels": {
		"telegram": {"botToken": "«telegram»", "webhookSecret": "«token»", "tokenFile": "HOME/telegram.token", "proxy": "socks5://u:«token»@proxy.example.org:1080",
			"accounts": {"two": {"botToken": "«telegram»"}}},
		"discord": {"token": "«discord»", "accounts": {"two": {"token": "«discord»"}}, "pluralkit": {"token": "«token»"}},
		"slack": {"botToken": "«xoxb»", "appToken": "«xapp»", "userToken": "«xoxp»", "signingSecret": "«hex»"},
		"signal": {"httpUrl": "http://signal:«words»@127.0.0.1:8080", "account": "+15550100"},
		"matrix": {"accessToken": "«syt»", "password": "«words»", "recoveryKey": "«token»"},
		"msteams": {"appId": "0f1e", "appPassword": "«awkward»"},
		"googlechat": {"serviceAccount": {"type": "service_account", "private_key": "«pem»"}, "serviceAccountFile": "HOME/google.json"},
		"irc": {"password": "«words»", "nickserv": {"password": "«words»"}},
		"line": {"channelAccessToken": "«token»", "channelSecret": "«hex»"},
		"mattermost": {"botToken": "«lower»"},
		"nostr": {"privateKey": "«hex»"},
		"twitch": {"accessToken": "«lower»", "clientSecret": "«lower»", "refreshToken": "«token»"},
		"feishu": {"appSecret": "«token»", "encryptKey": "«token»", "verificationToken": "«token»"},
		"nextcloud-talk": {"botSecret": "«hex»", "apiPassword": "«words»"},
		"bluebubbles": {"password": "«words»"},
		"zalo": {"botToken": "«token»", "webhookSecret": "«token»"}
	},
	"talk": {"apiKey": "«token»"},
	"messages": {"tts": {"elevenlabs": {"apiKey": "«token»"}, "openai": {"apiKey": "«sk»"}}},
	"tools": {"web": {"search": {"apiKey": "«token»", "perplexity": {"apiKey": "«pplx»"}}, "fetch": {"firecrawl": {"apiKey": "«token»"}}}},
	"skills": {"entries": {"weather": {"apiKey": "«token»", "env": {"WEATHER_KEY": "«token»", "OTHER": "«token»"}, "config": {"clientSecret": "«token»"}}}},
	"plugins": {"entries": {"voice-call": {"config": {"twilio": {"accountSid": "AC00", "authToken": "«hex»"}, "apiKey": "«token»", "credentials": {"secret": "«token»"}}}}},
	"mcp": {"servers": {
		"one": {"command": "npx", "args": ["-y", "server", "--api-key", "«token»", "--token=«token»"], "env": {"SERVER_TOKEN": "«token»", "PLAIN": "«token»"}},
		"two": {"url": "https://mcp.example.org/sse?api_key=«token»", "headers": {"Authorization": "Bearer «jwt»", "X-Thing": "«token»"}}
	}},
	"secrets": {"providers": {"vault": {"source": "file", "path": "HOME/vault.json"}}},
	"browser": {"cdpUrl": "wss://browser.example.org/?token=«token»", "profiles": {"far": {"cdpUrl": "https://u:«token»@cdp.example.org"}}},
	"diagnostics": {"otel": {"headers": {"api-key": "«token»"}}},
	"web": {"authToken": "«token»"}
}`

// A plant is a file that holds secrets; file lies in STATE, HOME, WORKSPACE or at the host's root.
type plant struct{ file, text string }

// plantedFiles are the files of an installation, of every release, and of its account (FACTS 1, 2, 10, 11), that can hold secrets.
var plantedFiles = []plant{
	{"STATE/openclaw.json.bak", `{"gateway": {"auth": {"token": "«token»"}}, "channels": {"telegram": {"botToken": "«telegram»"}}}`},
	{"STATE/openclaw.json.bak.4", `{"hooks": {"token": "«token»"}}`},
	{"STATE/openclaw.json.last-good", `{"gateway": {"auth": {"token": "«lower»"}}}`},
	{"STATE/openclaw.json.rejected.2026-11-22T08-00-00Z", `{"gateway": {"auth": {"token": "«token»", "password": "«aw`},
	{"STATE/openclaw.json.clobbered.2026-11-22T08-00-00Z", `{"gateway": {"auth": {"password": "«awkward»"}}}`},
	{"STATE/clawdbot.json", `{"gateway": {"auth": {"token": "«token»"}}}`},
	{"STATE/private.json5", `{gateway: {remote: {token: "«token»"}}, /* before: {token: "«token»"} */ channels: {irc: {password: '«words»'}}}`},
	{"STATE/.env", "OPENCLAW_GATEWAY_TOKEN=«token»\nOPENAI_API_KEY=«sk»\nexport PASSWORD='«words»'\n# OLD_TOKEN=«token»\nPLAIN=«token»\n"},
	{"STATE/gateway.systemd.env", "OPENCLAW_GATEWAY_PASSWORD=\"«words»\"\nX=«token»\n"},
	{"STATE/node.systemd.env", "OPENCLAW_GATEWAY_TOKEN=«token»\n"},
	{"STATE/service-env/gateway.env", "SLACK_BOT_TOKEN=«xoxb»\n"},
	{"STATE/secrets.json", `{"providers": {"openai": {"apiKey": "«token»"}}, "flat/api/key": "«token»", "FLAT_TOKEN": "«token»"}`},
	{"STATE/credentials/whatsapp/default/creds.json", `{"noiseKey": {"private": {"type": "Buffer", "data": "«b64»"}, "public": {"type": "Buffer", "data": "AA=="}},
		"signedIdentityKey": {"private": {"type": "Buffer", "data": "«b64»"}}, "advSecretKey": "«b64»", "pairingEphemeralKeyPair": {"private": {"data": "«b64»"}}}`},
	{"STATE/credentials/whatsapp/default/app-state-sync-key-AAAA.json", `{"keyData": "«b64»"}`},
	{"STATE/credentials/oauth.json", `{"anthropic": {"type": "oauth", "refresh": "«token»", "access": "«token»", "expires": 1}}`},
	{"STATE/credentials/github-copilot.token.json", `{"token": "«lower»"}`},
	{"STATE/credentials/google/service-account.json", `{"type": "service_account", "private_key": "«pem»"}`},
	{"STATE/credentials/apns/AuthKey_ABC.p8", "«lines»"},
	{"STATE/credentials/browser-extension-relay.secret", "«token»\n"},
	{"STATE/credentials/matrix/default/credentials.json", `{"accessToken": "«syt»", "deviceId": "D"}`},
	{"STATE/matrix/default/recovery-key.json", `{"recoveryKey": "«token»"}`},
	{"STATE/identity/device.json", `{"version": 1, "deviceId": "d1", "publicKeyPem": "-", "privateKeyPem": "«pem»"}`},
	{"STATE/identity/device-auth.json", `{"version": 1, "deviceId": "d1", "tokens": {"operator": {"token": "«b64url»", "role": "operator", "scopes": []}}}`},
	{"STATE/devices/paired.json", `{"d2": {"deviceId": "d2", "tokens": {"operator": {"token": "«hex32»", "role": "operator", "scopes": []}}}}`},
	{"STATE/devices/paired.json.migrated", `{"d3": {"deviceId": "d3", "tokens": {"node": {"token": "«b64url»", "role": "node"}}}}`},
	{"STATE/devices/bootstrap.json", `{"x": {"token": "«b64url»", "ts": 1}}`},
	{"STATE/nodes/paired.json", `{"n1": {"nodeId": "n1", "token": "«b64url»"}}`},
	{"STATE/node.json", `{"version": 1, "nodeId": "n1", "token": "«b64url»", "gateway": {"host": "127.0.0.1", "port": 18789}}`},
	{"STATE/exec-approvals.json", `{"version": 1, "socket": {"path": "/x.sock", "token": "«b64url»"}, "defaults": {}, "agents": {}}`},
	{"STATE/push/vapid-keys.json", `{"publicKey": "p", "privateKey": "«b64url»", "subject": "mailto:a@example.org"}`},
	{"STATE/push/web-push-subscriptions.json", `{"subscriptionsByEndpointHash": {"h": {"keys": {"p256dh": "p", "auth": "«b64url»"}}}}`},
	{"STATE/push/apns-registrations.json", `{"registrationsByNodeId": {"n": {"token": "«hex»", "sendGrant": "«b64url»"}}}`},
	{"STATE/settings/tts.json", `{"tts": {"apiKey": "«token»"}}`},
	{"STATE/msteams-sso-tokens.json", `{"tokens": {"u": {"token": "«jwt»"}}}`},
	{"STATE/mcp-oauth/srv.json", `{"tokens": {"access_token": "«token»", "refresh_token": "«token»"}, "clientInformation": {"client_secret": "«token»"}}`},
	{"STATE/agents/main/agent/auth-profiles.json", `{"version": 1, "profiles": {"a": {"type": "api_key", "provider": "x", "key": "«token»"}, "b": {"type": "token", "token": "«sk-ant»"},
		"c": {"type": "oauth", "access": "«jwt»", "refresh": "«token»"}}}`},
	{"STATE/agents/main/agent/auth-profiles.json.migrated-2026-11-22T08-00-00Z-0f", `{"profiles": {"a": {"type": "api_key", "key": "«sk»"}}}`},
	{"STATE/agents/main/agent/auth.json", `{"openrouter": {"type": "api_key", "key": "«token»"}}`},
	{"STATE/agents/main/agent/codex-home/auth.json", `{"OPENAI_API_KEY": "«token»", "tokens": {"id_token": "«jwt»", "access_token": "«token»", "refresh_token": "«token»"}}`},
	{"STATE/agents/main/agent/codex-home/config.toml", "[mcp_servers.x.env]\nX_TOKEN = \"«token»\"\n"},
	{"STATE/cache/shell-snapshots/0f.sh", "export HOSTED_TOKEN='«token»'\nalias d='deploy --password «words»'\n"},
	{"STATE/skills/shop/.env", "SHOP_API_KEY=«token»\n"},
	{"STATE/skills/shop/config.json", `{"apiKey": "«token»"}`},
	{"STATE/extensions/phone/.env", "PHONE_SECRET=«token»\n"},
	{"STATE/hooks/mine/.env", "HOOK_PASSWORD=«words»\n"},
	{"STATE/cron/jobs.json.bak", `{"jobs": [{"id": "x", "payload": {"kind": "webhook", "headers": {"Authorization": "Bearer «token»"}}}]}`},

	{"WORKSPACE/.env", "WORKSPACE_TOKEN=«token»\nDATABASE_URL=postgres://app:«words»@db.example.org/app\n"},
	{"WORKSPACE/.env.local", "LOCAL_SECRET=«token»\n"},
	{"WORKSPACE/.mcp.json", `{"mcpServers": {"x": {"command": "x", "env": {"X_API_KEY": "«token»"}}}}`},
	{"WORKSPACE/config/mcporter.json", `{"mcpServers": {"x": {"headers": {"Authorization": "Bearer «token»"}}}}`},
	{"WORKSPACE/.git/config", "[remote \"origin\"]\n\turl = https://bot:«token»@git.example.org/x.git\n[http]\n\textraheader = AUTHORIZATION: basic «basic»\n[remote \"two\"]\n\turl = https://«ghp»@github.com/x/y.git\n"},
	{"WORKSPACE/.npmrc", "//registry.npmjs.org/:_authToken=«token»\n"},
	{"WORKSPACE/skills/shop/.env", "SKILL_TOKEN=«token»\n"},
	{"WORKSPACE/MEMORY.md", "# Memory\n- the router: password: «token»\n- API key for the weather: «sk»\n"},
	{"WORKSPACE/TOOLS.md", "- camera login admin, password = `«token»`\n"},
	{"WORKSPACE/memory/2026-11-22.md", "Today I was given GITHUB_TOKEN=«ghp» and stored it.\n"},

	{"HOME/telegram.token", "«telegram»\n"},
	{"HOME/vault.json", `{"a": {"apiKey": "«token»"}, "b": "«token»"}`},
	{"HOME/google.json", `{"type": "service_account", "private_key": "«pem»"}`},
	{"HOME/tls.key", "«lines»"},
	{"HOME/.config/openclaw/gateway.env", "OPENCLAW_GATEWAY_TOKEN=«token»\n"},
	{"HOME/.config/environment.d/keys.conf", "SESSION_API_KEY=«token»\n"},
	{"HOME/.config/systemd/user/openclaw-gateway.service", "[Service]\nExecStart=/usr/bin/node openclaw gateway --token «token»\nEnvironment=OPENCLAW_GATEWAY_TOKEN=«token»\nEnvironment=\"A=b\" \"HOOK_SECRET=«words»\"\n"},
	{"HOME/.config/systemd/user/openclaw-gateway.service.bak", "[Service]\nEnvironment=OPENCLAW_GATEWAY_TOKEN=«token»\n"},
	{"HOME/.config/systemd/user/openclaw-gateway.service.d/override.conf", "[Service]\nEnvironment=OVERRIDE_TOKEN=«token»\n"},
	{"HOME/.bashrc", "export BASH_API_KEY=\"«token»\"\nalias x='X_PASSWORD=«words» x'\n"},
	{"HOME/.profile", "PROFILE_TOKEN=«token»; export PROFILE_TOKEN\n"},
	{"HOME/.zshenv", "export ZSH_SECRET=«token»\n"},
	{"HOME/.bash_history", "curl -u me:«words» https://example.org\nexport HISTORY_TOKEN=«token»\nmysql -p«token» shop\n"},
	{"HOME/.zsh_history", ": 1795334244:0;openclaw config set gateway.auth.token «token»\n"},
	{"HOME/.ssh/id_ed25519", "«lines»"},
	{"HOME/.aws/credentials", "[default]\naws_access_key_id = AKIAABCDEFGHIJKLMNOP\naws_secret_access_key = «aws»\naws_session_token = «token»\n"},
	{"HOME/.netrc", "machine git.example.org login bot password «words»\n"},
	{"HOME/.git-credentials", "https://bot:«token»@git.example.org\n"},
	{"HOME/.gitconfig", "[url \"https://bot:«token»@git.example.org/\"]\n\tinsteadOf = https://git.example.org/\n"},
	{"HOME/.npmrc", "//registry.npmjs.org/:_authToken=«npm»\n//r.example.org/:_password=«b64»\n"},
	{"HOME/.yarnrc.yml", "npmAuthToken: «token»\n"},
	{"HOME/.pypirc", "[pypi]\nusername = __token__\npassword = «token»\n"},
	{"HOME/.cargo/credentials.toml", "[registry]\ntoken = \"«token»\"\n"},
	{"HOME/.gem/credentials", ":rubygems_api_key: «token»\n"},
	{"HOME/.docker/config.json", `{"auths": {"r.example.org": {"auth": "«basic»"}, "s.example.org": {"identitytoken": "«token»"}}}`},
	{"HOME/.kube/config", "users:\n- name: x\n  user:\n    token: «token»\n    client-key-data: «b64»\n    password: «words»\n"},
	{"HOME/.config/gh/hosts.yml", "github.com:\n  oauth_token: «ghp»\n"},
	{"HOME/.config/gcloud/application_default_credentials.json", `{"client_secret": "«token»", "refresh_token": "«token»", "type": "authorized_user"}`},
	{"HOME/.config/rclone/rclone.conf", "[remote]\ntype = drive\ntoken = {\"access_token\":\"«token»\",\"refresh_token\":\"«token»\"}\npass = «token»\n"},
	{"HOME/.config/hub", "github.com:\n- user: x\n  oauth_token: «token»\n"},
	{"HOME/.config/ngrok/ngrok.yml", "authtoken: «token»\n"},
	{"HOME/.cloudflared/tunnel.json", `{"TunnelSecret": "«b64»"}`},
	{"HOME/.s3cfg", "[default]\naccess_key = X\nsecret_key = «token»\n"},
	{"HOME/.curlrc", "user = \"me:«words»\"\nheader = \"Authorization: Bearer «token»\"\n"},
	{"HOME/.msmtprc", "account x\nuser me\npassword «words»\n"},
	{"HOME/.my.cnf", "[client]\npassword=«words»\n"},
	{"HOME/.pgpass", "db.example.org:5432:app:app:«words»\n"},
	{"HOME/.vault-token", "«token»"},
	{"HOME/.cache/huggingface/token", "«hf»"},
	{"HOME/.claude.json", `{"oauthAccount": {}, "primaryApiKey": "«sk-ant»", "mcpServers": {"x": {"env": {"X_KEY": "«token»"}, "headers": {"Authorization": "Bearer «token»"}}}}`},
	{"HOME/.claude/.credentials.json", `{"claudeAiOauth": {"accessToken": "«sk-ant»", "refreshToken": "«token»"}}`},
	{"HOME/.claude/settings.json", `{"env": {"ANTHROPIC_AUTH_TOKEN": "«token»"}, "apiKeyHelper": "/x"}`},
	{"HOME/.codex/auth.json", `{"OPENAI_API_KEY": "«sk»", "tokens": {"access_token": "«jwt»", "refresh_token": "«token»"}}`},
	{"HOME/.codex/config.toml", "[mcp_servers.x.env]\nAPI_KEY = \"«token»\"\n[mcp_servers.y]\nbearer_token = \"«token»\"\n"},
	{"HOME/.gemini/.env", "GEMINI_API_KEY=«token»\n"},
	{"HOME/.gemini/settings.json", `{"mcpServers": {"x": {"env": {"TOKEN": "«token»"}}}}`},
	{"HOME/.cursor/mcp.json", `{"mcpServers": {"x": {"env": {"TOKEN": "«token»"}}}}`},
	{"HOME/.config/opencode/opencode.json", `{"provider": {"x": {"options": {"apiKey": "«token»"}}}}`},
	{"HOME/.local/share/opencode/auth.json", `{"x": {"type": "api", "key": "«token»"}}`},
	{"HOME/.mcporter/credentials.json", `{"entries": {"x": {"tokens": {"access_token": "«token»"}}}}`},
	{"HOME/.env", "HOME_TOKEN=«token»\n"},

	{"etc/environment", "SITE_API_KEY=\"«token»\"\n"},
	{"etc/systemd/system/openclaw-gateway.service", "[Service]\nUser=claw\nExecStart=/usr/bin/openclaw gateway\nEnvironment=OPENCLAW_GATEWAY_TOKEN=«token»\nEnvironmentFile=-/etc/openclaw/gateway.env\n"},
	{"etc/openclaw/gateway.env", "OPENCLAW_HOOK_TOKEN=«token»\n"},
	{"etc/default/openclaw", "DEFAULT_TOKEN=«token»\n"},
	{"var/spool/cron/crontabs/ACCOUNT", "BACKUP_PASSWORD=«words»\n5 4 * * * curl -H 'Authorization: Bearer «token»' https://example.org/ping\n"},
}

// A plantedRow is a row of a database that holds secrets.
type plantedRow struct{ table, column, text string }

// plantedRows are the columns of the databases that can hold secrets (FACTS 6).
var plantedRows = []plantedRow{
	{"device_pairing_paired", "tokens_json", `{"operator": {"token": "«b64url»", "role": "operator"}}`},
	{"device_identities", "private_key_pem", "«lines»"},
	{"device_auth_tokens", "token", "«b64url»"},
	{"device_bootstrap_tokens", "token", "«b64url»"},
	{"gateway_origin_device_tokens", "token", "«b64url»"},
	{"node_pairing_paired", "token", "«b64url»"},
	{"native_hook_relay_bridges", "token", "«hex32»"},
	{"secret_store_entries", "value", "«token»"},
	{"config_machine_state", "value_json", `{"profiles": {"a": {"type": "api_key", "key": "«token»"}}, "privateKey": "«b64url»"}`},
	{"mcp_oauth_stores", "store_json", `{"tokens": {"access_token": "«token»"}, "clientInformation": {"client_secret": "«token»"}, "codeVerifier": "«token»"}`},
	{"exec_approvals_config", "raw_json", `{"socket": {"token": "«b64url»"}}`},
	{"apns_registrations", "token", "«hex»"},
	{"web_push_vapid_keys", "private_key", "«b64url»"},
	{"web_push_subscriptions", "auth", "«b64url»"},
	{"auth_profile_stores", "store_json", `{"profiles": {"a": {"type": "token", "token": "«token»"}}}`},
	{"auth_profile_store", "store_json", `{"profiles": {"a": {"type": "oauth", "access": "«jwt»", "refresh": "«token»"}}}`},
	{"auth_profile_state", "state_json", `{"usage": {"token": "«token»"}}`},
	{"node_host_config", "token", "«b64url»"},
	{"plugin_state_entries", "value_json", `{"accessToken": "«token»"}`},
	{"cron_jobs", "job_json", `{"payload": {"kind": "webhook", "url": "https://u:«token»@example.org", "headers": {"Authorization": "Bearer «token»"}}}`},
	{"delivery_queue_entries", "entry_json", `{"headers": {"authorization": "Bearer «token»"}}`},
	{"worker_environments", "profile_snapshot_json", `{"env": {"WORKER_TOKEN": "«token»"}, "ssh": {"privateKey": "«pem»"}}`},
}

// A secretPlanted is one secret, the parts of it that nobody can guess, and where it was planted.
type secretPlanted struct {
	place, value string
	random       []string
}

// A sower makes secrets, each of them another.
type sower struct {
	rnd     *rand.Rand
	planted []secretPlanted
}

const (
	lowerChars = "abcdefghijklmnopqrstuvwxyz"
	alnumChars = lowerChars + "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
)

func (s *sower) chars(alphabet string, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[s.rnd.IntN(len(alphabet))]
	}
	return string(b)
}

func (s *sower) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(s.rnd.UintN(256))
	}
	return b
}

// marked are the kinds of secrets that begin as their issuer has them begin, with what follows.
var marked = map[string]struct {
	mark     string
	alphabet string
	n        int
}{
	"token": {"", alnumChars, 32}, "lower": {"", lowerChars + "0123456789", 30}, "hex": {"", "0123456789abcdef", 64}, "hex32": {"", "0123456789abcdef", 32},
	"words": {"", lowerChars, 26}, "aws": {"", alnumChars, 40}, "sk": {"sk-proj-", alnumChars, 40}, "sk-ant": {"sk-ant-api03-", alnumChars, 60},
	"ghp": {"ghp_", alnumChars, 36}, "xoxb": {"xoxb-1234567890-", alnumChars, 24}, "xoxp": {"xoxp-1234567890-", alnumChars, 24}, "xapp": {"xapp-1-A0-1-", lowerChars + "0123456789", 40},
	"tskey": {"tskey-auth-", alnumChars, 32}, "syt": {"syt_Ym90_", alnumChars, 26}, "hf": {"hf_", alnumChars, 34}, "pplx": {"pplx-", alnumChars, 40}, "npm": {"npm_", alnumChars, 36},
	"telegram": {"7123456789:AA", alnumChars, 33}, "slack": {"T0ABCDEFG/B0ABCDEFG/", alnumChars, 24},
}

// value makes a secret of a kind. Base64's own signs are no part of what is hunted: they may be escaped.
func (s *sower) value(kind string) (value string, random []string) {
	if m, ok := marked[kind]; ok {
		value = s.chars(m.alphabet, m.n)
		return m.mark + value, []string{value}
	}
	switch kind {
	case "b64":
		value = base64.StdEncoding.EncodeToString(s.bytes(32))
	case "b64url":
		value = base64.RawURLEncoding.EncodeToString(s.bytes(32))
	case "awkward": // what every format has to escape
		a, b := s.chars(alnumChars, 16), s.chars(alnumChars, 16)
		return `p'"\<&` + a + `>%é+/ =` + b + "`$;", []string{a, b}
	case "basic":
		value = base64.StdEncoding.EncodeToString([]byte("mei:" + s.chars(alnumChars, 26)))
		return value, []string{value[6:]}
	case "jwt":
		return "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0." + s.sign(&random), random
	case "discord":
		return "MTIzNDU2Nzg5MDEyMzQ1Njc4." + s.chars(alnumChars, 6) + "." + s.sign(&random), random
	case "pem", "lines":
		der, err := x509.MarshalPKCS8PrivateKey(ed25519.NewKeyFromSeed(s.bytes(ed25519.SeedSize)))
		if err != nil {
			panic(err) // the key is one
		}
		value = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
		body := strings.Split(value, "\n")[1]
		return value, []string{body[22:]} // before that all such keys are the same
	default:
		panic("no kind " + kind)
	}
	return value, []string{value}
}

func (s *sower) sign(random *[]string) string {
	sig := s.chars(alnumChars, 38)
	*random = []string{sig}
	return sig
}

var kindMark = regexp.MustCompile(`«([a-z0-9-]+)(»|$)`)

// sow replaces each «KIND» of a text by a secret. In JSON the value is escaped; a mark that is cut off is half a secret.
func (s *sower) sow(place, text string) string {
	n := 0
	isJSON := strings.HasPrefix(strings.TrimSpace(text), "{")
	return kindMark.ReplaceAllStringFunc(text, func(mark string) string {
		n++
		m := kindMark.FindStringSubmatch(mark)
		if m[2] == "" {
			m[1] = "awkward"
		}
		value, random := s.value(m[1])
		if m[2] == "" {
			value, random = value[:24], random[:1]
		}
		s.planted = append(s.planted, secretPlanted{fmt.Sprintf("%s, secret %d, %s", place, n, m[1]), value, random})
		if isJSON {
			quoted, err := json.Marshal(value)
			if err != nil {
				panic(err) // it is a string
			}
			return string(quoted[1 : len(quoted)-1])
		}
		return value
	})
}
