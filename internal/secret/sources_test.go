package secret

import (
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/clawbook/openclaw-ir/internal/json5"
	"github.com/google/go-cmp/cmp"
)

func parse(t testing.TB, src string) *json5.Value {
	t.Helper()
	v, err := json5.Parse([]byte(src))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// listing returns what a source yields, sorted, without repetition.
func listing(found func(func([]string, string) bool)) []string {
	var list []string
	for path, value := range found {
		list = append(list, fmt.Sprintf("%s = %s", strings.Join(path, "."), value))
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// TestRealStores reads files that real gateways wrote; their secrets are invented.
func TestRealStores(t *testing.T) {
	device := "1756b068a12d45b2fa983e798d24aa5603b530ed38df75a2f152c8fa6f67132c"
	for name, want := range map[string][]string{
		"openclaw.json": {
			"channels.telegram.botToken = 123456789:AAFAKE-telegram-token-0000000000000000",
			"gateway.auth.token = short-FAKE",
			"hooks.token = short-FAKE",
			"models.providers.fakeco.apiKey = sk-ant-FAKE0000000000000000000000000000000001",
		},
		"auth-profiles.json":  {"profiles.anthropic:default.key = sk-ant-api03-FAKE-000000000000000000000000"},
		"exec-approvals.json": {"socket.token = VGSXstyAOPbSHDppCz50kw39nEXLO5Ge"},
		"paired.json":         {device + ".tokens.operator.token = cvNRSI1yC4YfkOXAQV27Pd11u44BqHHVm-1MUnO1uYU"},
		"device.json": {"privateKeyPem = -----BEGIN PRIVATE KEY-----\n" +
			"MC4CAQAwBQYDK2VwBCIEIHmfHYls+ACeHAAKk4epADOpCGW+bCZtKA4VV6bTp4WM\n-----END PRIVATE KEY-----"},
		"dotenv": {
			"DB_PASSWORD = FAKE-hunter2-password",
			"GITHUB_TOKEN = ghp_FAKE00000000000000000000000000000000",
			"OPENAI_API_KEY = sk-FAKEopenai0000000000000000000000000000000000000000",
			"SLACK = xoxb-FAKE-000000000000-FAKEFAKEFAKEFAKEFAKEFAKE",
		},
	} {
		data, err := os.ReadFile(filepath.Join("testdata", "stores", name))
		if err != nil {
			t.Fatal(err)
		}
		found := FromEnv(data)
		if name != "dotenv" {
			found = FromConfig(parse(t, string(data)))
		}
		if diff := cmp.Diff(want, listing(found)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestFromConfig(t *testing.T) {
	got := listing(FromConfig(parse(t, `{
	  // what is no secret
	  a: {token: {source: "env", provider: "default", id: "MY_LONG_SECRET_NAME_1"}},
	  b: {apiKey: "${OPENAI_API_KEY}", token: "__OPENCLAW_REDACTED__", password: "***", secret: "sk-FAK…0001"},
	  c: {token: true, maxTokens: 4096, publicKey: "8rJyYs93yZ4jqQxeqIRj6qM4S", tokenFile: "/run/secrets/token",
	      sessionKey: "agent:main:main", password: "string", passwordHash: "x", token_type: "bearer", keyId: "abc123def456"},
	  env: {PATH: "/usr/bin:/bin", NODE_ENV: "production", MODEL: "anthropic/claude-opus-4-20250514",
	        COMMIT: "da39a3ee5e6b4b0d3255bfef95601890afd80709", ID: "550e8400-e29b-41d4-a716-446655440000"},
	  session: {key: "agent:main:telegram:direct:666000222", type: "direct"},
	  // what is
	  gateway: {remote: {token: 'remote-tok-1', password: "remote pass"}},
	  twice: {token: "first-value", token: "second-value"},
	  channels: {slack: {accounts: {one: {signingSecret: "abcdef123456", appToken: "xapp-1-A000-123-abcdef"}}},
	             googlechat: {webhook: "https://discord.com/api/webhooks/123456789/abcdefghijklmnop_QRSTUV"}},
	  mcp: {servers: {gh: {args: ["--verbose", "--api-key", "argument-key-1", "--token=inline-tok-2"],
	        headers: {Authorization: "Bearer header-value-3", "X-Custom": "aB3dE5gH7jK9mN1pQ3"},
	        env: {vars: {SOMETHING: "Zx9Yw8Vu7Ts6Rq5Po4"}}}}},
	  db: {url: "postgres://user:p%40ssword1@db.example/x"},
	  basic: {headers: {authorization: "Basic dXNlcjpiYXNpYy1wYXNz"}},
	  nested: {value_json: '{"profiles":{"p":{"type":"oauth","access":"aC1eS2sT3oK4eN5xY6","refresh":"rE7fR8eS9hT0oK1eN2"}}}'},
	  whatsapp: {noiseKey: {private: {type: "Buffer", data: "cHJpdmF0ZS1rZXktZGF0YQ=="}, public: {type: "Buffer", data: "cHVibGljIGtleQ=="}}},
	  list: {apiKeys: ["key-number-one", "key-number-two"]},
	}`)))
	want := []string{
		"basic.headers.authorization = basic-pass",
		"basic.headers.authorization = dXNlcjpiYXNpYy1wYXNz",
		"channels.googlechat.webhook = 123456789/abcdefghijklmnop_QRSTUV",
		"channels.slack.accounts.one.appToken = xapp-1-A000-123-abcdef",
		"channels.slack.accounts.one.signingSecret = abcdef123456",
		"db.url = p%40ssword1",
		"db.url = p@ssword1",
		"gateway.remote.password = remote pass",
		"gateway.remote.token = remote-tok-1",
		"list.apiKeys.0 = key-number-one",
		"list.apiKeys.1 = key-number-two",
		"mcp.servers.gh.args.2 = argument-key-1",
		"mcp.servers.gh.args.3 = inline-tok-2",
		"mcp.servers.gh.env.vars.SOMETHING = Zx9Yw8Vu7Ts6Rq5Po4",
		"mcp.servers.gh.headers.Authorization = header-value-3",
		"mcp.servers.gh.headers.X-Custom = aB3dE5gH7jK9mN1pQ3",
		"nested.value_json.profiles.p.access = aC1eS2sT3oK4eN5xY6",
		"nested.value_json.profiles.p.refresh = rE7fR8eS9hT0oK1eN2",
		"twice.token = first-value",
		"twice.token = second-value",
		"whatsapp.noiseKey.private.data = cHJpdmF0ZS1rZXktZGF0YQ==",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFromEnv(t *testing.T) {
	got := listing(FromEnv([]byte("# TOKEN=comment-is-read\nexport A_TOKEN='single quoted'\nB_SECRET=\"dou\\tble \\\"q\\\"\"\r\n" +
		"C_KEY=plain\nD_PASSWORD=\nE_API_KEY=bare-value # remark\nPORT=18789\nF_TOKEN=${OTHER}\nnot a line\n" +
		"G=\"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIHmfHYls\n-----END PRIVATE KEY-----\"\n")))
	want := []string{
		" = -----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIHmfHYls\n-----END PRIVATE KEY-----",
		"# TOKEN = comment-is-read",
		"A_TOKEN = single quoted",
		"B_SECRET = dou\tble \"q\"",
		"E_API_KEY = bare-value # remark",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestStopsWhenAsked(t *testing.T) {
	for range FromConfig(parse(t, `{token: "one-value", b: {token: "two-value", url: "http://u:three@h"}}`)) {
		break
	}
	for range FromEnv([]byte("A_TOKEN=one-value\nB_TOKEN=two-value")) {
		break
	}
}

func TestNames(t *testing.T) {
	for name, want := range map[string]bool{
		"token": true, "botToken": true, "GITHUB_TOKEN": true, "x-api-key": true, "APIKey": true, "apikey": true,
		"clientSecret": true, "clientKey": true, "client-key-data": true, "client-certificate-data": false, "keyData": false, "signing_secret": true, "privateKeyPem": true, "DB_PASSWORD": true, "--password": true,
		"gateway.auth.token": true, "Authorization": true, "advSecretKey": true, "accessKey": true, "authToken2": false,
		"publicKey": false, "sessionKey": false, "idempotencyKey": false, "maxTokens": false, "tokens": false,
		"tokenFile": false, "nextPageToken": false, "monkey": false, "compass": false, "passing": false, "author": false,
		"": false, "…": false, "keyId": false, "token_count": false, "inputToken": false, "password_old": true,
	} {
		if got := isSecretName(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}

func TestFromText(t *testing.T) {
	var got []string
	for path, value := range FromText(`{"hooks":{"token":"fake-hooks-token-0002", "n": 1, "mode":"token", sk-ant-fakefakefakefake01`) {
		if path != nil {
			t.Errorf("path %q", path)
		}
		got = append(got, value)
	}
	if want := []string{"fake-hooks-token-0002", "sk-ant-fakefakefakefake01"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// FuzzSources takes secrets from a text as each of its forms. None is empty, and none is longer than the text; what FromText shows by its
// format stands in the text as it is, before what it means.
func FuzzSources(f *testing.F) {
	for _, s := range []string{
		"export A_TOKEN=\"x\\ny\" # c\nB='q", `{"env":{"A_KEY":"Zm9vYmFyYmF6MTIz"},"headers":{"Authorization":"Bearer FAKE0123456789"},"x":"{\"token\":\"inner-FAKE-0123\"}"}`,
		"https://user:pass-FAKE@h/x?token=y", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", `["--token","FAKE-token-1","--api-key=FAKE-2"]`, "ghp_0123456789abcdefghijABCDEFGHIJ012345",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		check := func(from string, found iter.Seq2[[]string, string]) {
			n := 0
			for _, value := range found {
				if n++; value == "" || len(value) > 3*len(text) {
					t.Errorf("%s has %q of %q", from, value, text)
				}
				if from == "FromText" && n == 1 && !strings.Contains(text, value) {
					t.Errorf("%q does not stand in %q", value, text)
				}
			}
			if n > 4*len(text) {
				t.Errorf("%s has %d of %d bytes", from, n, len(text))
			}
		}
		check("FromEnv", FromEnv([]byte(text)))
		check("FromText", FromText(text))
		if v, err := json5.Parse([]byte(text)); err == nil {
			check("FromConfig", FromConfig(v))
		}
	})
}
