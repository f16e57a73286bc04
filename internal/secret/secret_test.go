package secret

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var printer = NewFingerprinter([]byte("a salt for tests"))

func setOf(values ...string) *Set {
	s := NewSet(printer)
	for _, v := range values {
		s.Add(v, "test")
	}
	return s
}

func mark(secret string) string { return tokenStart + printer.Fingerprint(secret) + ">" }

func TestFingerprint(t *testing.T) {
	// printf short-FAKE | openssl dgst -sha256 -hmac 'a salt for tests'
	if got := printer.Fingerprint("short-FAKE"); got != "394a7322cefc" {
		t.Errorf("got %s", got)
	}
	if NewFingerprinter([]byte("another")).Fingerprint("short-FAKE") == printer.Fingerprint("short-FAKE") {
		t.Error("the salt does not count")
	}
}

func TestAdd(t *testing.T) {
	s := NewSet(printer)
	for _, v := range []string{
		"", "short", "true", "undefined", "123456789", "3.14159265", "xxxxxxxx", "********", "sk-FAK…0001",
		"${TOKEN}", "$TOKEN", "$(cat f)", "<your token>", "__OPENCLAW_REDACTED__", "openclaw", "<secret:", "secret:", mark("a"),
		strings.Repeat("long", 5000), "   abc   ",
	} {
		if s.Add(v, "test") {
			t.Errorf("%.30q is a secret", v)
		}
	}
	for _, origin := range []string{"a", "b", "a"} {
		if !s.Add(" hunter2-value\n", origin) {
			t.Error("not added")
		}
	}
	all := s.All()
	if len(all) != 1 || all[0].Fingerprint != printer.Fingerprint("hunter2-value") || !slices.Equal(all[0].Origins, []string{"a", "b"}) {
		t.Errorf("%v", all)
	}
}

// formatted are secrets in text that no one has added, between guillemets.
var formatted = []string{
	`{"apiKey":"«sk-ant-api03-FAKE-000000000000000000000000»"}`,
	`export OPENAI_API_KEY=«sk-FAKE-openai-key-000000000000»`,
	`foo\n«sk-proj-FAKE0000000000000000»\nbar`,
	`foo-«sk-FAKEfakefakefakefakefake1234»`,
	`aws «AKIAIOSFODNN7EXAMPLE» here, and «ASIAIOSFODNN7EXAMPLE».`,
	`git clone with «ghp_FAKE00000000000000000000000000000000»`,
	`«github_pat_11ABCDEFG0abcdefghij_KLMNOPQRSTUVWXYZ» «glpat-abcdefghij1234567890»`,
	`«xoxb-FAKE-000000000000-FAKEFAKEFAKE» «xapp-1-A0-1-abcdef»`,
	`//registry.npmjs.org/:_authToken=«npm_abcdefghijklmnopqrstuvwxyz0123456789»`,
	`key «AIzaSyA-1234567890abcdefghijklmnopqrstu»`,
	`https://api.telegram.org/bot«123456789:AAFAKE-telegram-token-0000000000000000»/getMe`,
	`discord «MTE5ODYyMjQ4MzQ3MTkyNTI0OA.Cl2FMQ.ZnCjm1XVW7vRze4b7Cq4se7kKWs-abcdefg»`,
	`cookie «eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N»`,
	`text\n«eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N»\n`,
	`curl -H 'Authorization: Bearer «gw-FAKE-token-1»' http://127.0.0.1`,
	`{\"headers\":{\"Authorization\":\"Bearer «gw-FAKE-token-1»\"}}`,
	`authorization: basic «dXNlcjpwYXNzd29yZA»==`,
	`key is «AGE-SECRET-KEY-1QQPQQPQQPQQPQQPQQPQQPQQPQQPQQPQQPQQPQQPQQPQQPQQPQQPQQPQQPQ»`,
	"«-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\nBG5vbmUAAAAEbm9uZQ==\n-----END OPENSSH PRIVATE KEY-----»\n",
	`{"k":"«-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIHmf\nHYls+ACe=\n-----END PRIVATE KEY-----»\n"}`,
	`{\"k\":\"«-----BEGIN RSA PRIVATE KEY-----\\nProc-Type: 4,ENCRYPTED\\nDEK-Info: AES,00\\n\\nMC4CAQAwBQYDK2VwBCIEIHmf\\n-----END RSA PRIVATE KEY-----»\\n\"}`,
	"cut: «-----BEGIN EC PRIVATE KEY-----\r\nMC4CAQAwBQYDK2VwBCIEIHmfHYls»… and so on",
	"K=«-----BEGIN PRIVATE KEY----- MC4CAQAwBQYDK2VwBCIEIHmfHYlsMC4CAQAwBQYDK2VwBCIEIHmf MC4C -----END PRIVATE KEY-----»",
	`postgres://admin:«s3cr3t»@db.example:5432/x`,
	`https://hooks.slack.com/services/«T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX»`,
	`POST https://discord.com/api/webhooks/«1234567890/abcdefghijklmnopqrstuvwxyz»`,
	`DB_PASSWORD=«FAKE-hunter2-password»`,
	`a\nDB_PASSWORD=«FAKE-hunter2-password»\nB=c`,
	`openclaw gateway --token «short-FAKE»`,
	`openclaw gateway --password="«with space and, comma»" --force`,
	`["gateway","--token","«short-FAKE»","--port","1"]`,
	`[\"config\",\"set\",\"gateway.auth.token\",\"«short-FAKE»\"]`,
	`openclaw config set gateway.auth.token «short-FAKE» --json`,
	`  "token": "«short-FAKE»",`,
	`  \"token\": \"«short-FAKE»\",`,
	`password: '«it\'s me 1»'`,
	`client_secret: «abc12345def»`,
	`GET /hook?token=«abcdefgh»&x=1`,
	`?access_token%3D«abcdefgh1»`,
	`Cookie: «sid=abcdef123; other=x»`,
	`curl -u admin:«hunter2» http://x`,
	`curl --user 'admin:«hunter2»' http://x`,
	`sshpass -p «hunter2» ssh -p 22 host`,
	`mysql -u root -p«hunter2» db`,
	`redis-cli -a «hunter2»`,
	`x-api-key: «0123456789abcdef0123456789abcdef»`,
	`process.env["API_KEY"] = "«short-FAKE»"`,
}

func TestFormats(t *testing.T) {
	s := setOf()
	for _, row := range formatted {
		text := strings.NewReplacer("«", "", "»", "").Replace(row)
		want := ""
		for rest := row; rest != ""; {
			before, after, found := strings.Cut(rest, "«")
			want += before
			if !found {
				break
			}
			value, after, _ := strings.Cut(after, "»")
			want += mark(plain(value))
			rest = after
		}
		got := s.Redact(text)
		if got != want {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
		if again := s.Redact(got); again != got {
			t.Errorf("redacted twice: %s", again)
		}
	}
}

// benign are texts that hold no secret.
var benign = []string{
	"commit da39a3ee5e6b4b0d3255bfef95601890afd80709 (HEAD -> main)",
	`{"sessionId":"3a40d2b6-7075-479b-ace4-a9a7705dba3c","sessionKey":"agent:main:telegram:direct:666000222"}`,
	`{"token":"sk-FAK…1234","text":"foo-sk-FAK…1234","argv":["config","set","gateway.auth.token","***"]}`,
	`"apiKey": "__OPENCLAW_REDACTED__", "token": "fake-g\u2026abcd", OPENAI_API_KEY=sk-FAK…0000\n`,
	`{"path":"fp:85217f71c024","botToken":"fp:2ef79a28ec1d"}`,
	`"usage":{"input":10,"totalTokens":12345,"maxTokens":4096,"cacheRead":0}`,
	`[gateway] token auth is required; set gateway.auth.token or pass --token`,
	`--token <token>  gateway token (default: "${OPENCLAW_GATEWAY_TOKEN}")`,
	`--password string   the password`,
	`const token = process.env.GATEWAY_TOKEN; const apiKey = getKey(); password: string; secret?: boolean`,
	`apiKey: config.models.apiKey, token: undefined, tokenFile: "/run/secrets/token"`,
	`Bearer authentication failed; basic auth is off; Basic questions`,
	`-----BEGIN PRIVATE KEY----- is how a private key begins`,
	"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA8rJyYs93yZ4jqQxeqIRj6qM4S/E\n-----END PUBLIC KEY-----",
	"-----BEGIN CERTIFICATE-----\nMIIBszCCARwCCQDa\n-----END CERTIFICATE-----",
	`http://10.0.0.9:9222 ssh://git@github.com:22/a mailto:me@example.com https://example.com/a:b@c`,
	`ssh -p 22 host; mkdir -p /srv/x; ls -a; id -u root; docker run -u 1000:1000 -p 8080:80 x`,
	`task-risk-disk-brisk-frisk-whisk1234567890 sk-spinner-three-bounce-large`,
	`the tokenHash is sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855`,
	`"publicKey":"8rJyYs93yZ4jqQxeqIRj6qM4S_ETAd-4A_J-et5IdM4","keyId":"abc123"`,
	`"idempotencyKey":"7c9e6679-7425-40de-944b-e07fc1f90ae7","key":"value","dedupeKey":"telegram:123456789:42"`,
	`2026-11-22T08:21:06.001Z conn=de4d227a…8002 id=45bbc0 password mismatch, token: missing`,
	`password: required for this`, `pass: 12/12`, `Token usage: 12k in`, `"token": "It is missing"`,
	`sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==`,
	`<secret:0123456789ab> and token=<secret:0123456789ab>, "token":"<secret:0123456789ab>"`,
	"\xff\xfe\x00 not text \x1b[0m",
}

func TestBenign(t *testing.T) {
	s := setOf("a-known-secret-value")
	for _, text := range benign {
		if got := s.Redact(text); got != text {
			t.Errorf("%s\n got %s", text, got)
		}
		if s.Contains(text) {
			t.Errorf("contained in %s", text)
		}
	}
}

// TestImages redacts three megabytes of random bytes in base64, as pictures in transcripts are.
func TestImages(t *testing.T) {
	s := setOf("short-FAKE", "hunter2-value", "gw-FAKE-token-00000000000000000000000001")
	text := base64Noise(3 << 20)
	if got := s.Redact(text); got != text {
		t.Error("a picture was changed")
	}
}

func base64Noise(n int) string {
	source := rand.NewChaCha8([32]byte{1})
	noise := make([]byte, n/4*3)
	source.Read(noise)
	return base64.StdEncoding.EncodeToString(noise)
}

// encodings are the ways a secret may be written in the property test.
var encodings = map[string]func(string) string{
	"plain":     func(v string) string { return v },
	"json":      func(v string) string { return goJSON(v) },
	"json js":   func(v string) string { return jsonText(v, false) },
	"json json": func(v string) string { return jsonText(jsonText(v, false), false) },
	"json 3":    func(v string) string { return jsonText(jsonText(jsonText(v, false), false), false) },
	"query":     url.QueryEscape,
	"path":      url.PathEscape,
	"component": componentEscape,
	"lower":     func(v string) string { return lowerPercent(url.QueryEscape(v)) },
	"html":      html.EscapeString,
	"hex":       func(v string) string { return hex.EncodeToString([]byte(v)) },
	"HEX":       func(v string) string { return fmt.Sprintf("%X", v) },
	"base64":    func(v string) string { return base64.StdEncoding.EncodeToString([]byte(v)) },
	"base64url": func(v string) string { return base64.RawURLEncoding.EncodeToString([]byte(v)) },
	"base64+1":  func(v string) string { return base64.StdEncoding.EncodeToString([]byte("u" + v + "\n")) },
	"base64+2":  func(v string) string { return base64.URLEncoding.EncodeToString([]byte("us" + v + "xy")) },
	"base64 in json": func(v string) string {
		return base64.StdEncoding.EncodeToString([]byte(`{"token":"` + jsonText(v, false) + `"}`))
	},
	"base64 percent":  func(v string) string { return url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(v))) },
	"base64 lines":    func(v string) string { return lines(base64.StdEncoding.EncodeToString([]byte(around(v))), 76, "\n") },
	"base64 crlf":     func(v string) string { return lines(base64.StdEncoding.EncodeToString([]byte(around(v))), 64, "\r\n") },
	"base64 escaped":  func(v string) string { return lines(base64.StdEncoding.EncodeToString([]byte(around(v))), 76, `\n`) },
	"base64 escaped2": func(v string) string { return lines(base64.StdEncoding.EncodeToString([]byte(around(v))), 76, `\\n`) },
	"base64 indented": func(v string) string {
		return lines(base64.StdEncoding.EncodeToString([]byte(around(v))), 76, "\n    ")
	},
	"xxd -p": func(v string) string { return lines(hex.EncodeToString([]byte(around(v))), 60, "\n") },
}

func goJSON(v string) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text[1 : len(text)-1])
}

func around(v string) string {
	return strings.Repeat("what stands before, ", 6) + v + strings.Repeat(", what comes after", 6)
}

func lines(text string, width int, end string) string {
	var b strings.Builder
	for len(text) > width {
		b.WriteString(text[:width] + end)
		text = text[width:]
	}
	return b.String() + text
}

// secrets draws values as people and machines make them.
func secrets() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.StringMatching(`[A-Za-z0-9_-]{8,48}`),
		rapid.StringMatching(`[!-~]{8,32}`),
		rapid.StringMatching("[ -~äö€😀\n\t]{8,32}"),
		rapid.StringMatching("-----BEGIN PRIVATE KEY-----\n([A-Za-z0-9+/]{64}\n){1,3}[A-Za-z0-9+/]{8}==\n-----END PRIVATE KEY-----"),
	)
}

func TestNothingRemains(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := NewSet(printer)
		value := strings.TrimSpace(secrets().Draw(t, "secret"))
		if !s.Add(value, "test") {
			t.Skip("not a secret")
		}
		for name, encode := range encodings {
			text := "before " + encode(value) + " after"
			if !s.Contains(text) {
				t.Fatalf("%s: not found in %q", name, text)
			}
			got := s.Redact(text)
			if s.Contains(got) || strings.Contains(got, encode(value)) {
				t.Fatalf("%s: %q still in %q", name, value, got)
			}
			if !strings.HasPrefix(got, "before ") || !strings.HasSuffix(got, " after") {
				t.Fatalf("%s: %q took more than the secret: %q", name, text, got)
			}
			if again := s.Redact(got); again != got {
				t.Fatalf("%s: %q redacted twice is %q", name, got, again)
			}
		}
		if got := s.Redact(value); got != mark(value) {
			t.Fatalf("%q is %q", value, got)
		}
	})
}

// TestIdempotent mixes known values, formats, keys and tokens into texts that no one would write.
func TestIdempotent(t *testing.T) {
	pieces := []string{
		"token", "=", ": ", `"`, `\"`, `\`, "\n", `\n`, "sk-", "abcdefgh1", "hunter2-value", "other<sec", "Bearer ", "://", ":", "@",
		"-----BEGIN PRIVATE KEY-----", "MC4CAQAwBQYDK2VwBCIEIHmf", "<secret:", "0123456789ab", ">", ",", "…", " --password ", "eyJ", ".eyJhbGci", ".",
	}
	s := setOf("hunter2-value", "other<sec", "abcdefgh1hunter2", "value=abc", "123456789ab")
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 30).Draw(t, "pieces"), "")
		got := s.Redact(text)
		if again := s.Redact(got); again != got {
			t.Fatalf("%q\nonce  %q\ntwice %q", text, got, again)
		}
		if s.Contains(got) {
			t.Fatalf("%q still holds a secret in %q", text, got)
		}
	})
}

// spent is the processor's time that this process took, however busy the machine is.
func spent(t *testing.T) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func TestOverlaps(t *testing.T) {
	s := setOf("abcdef-one", "abcdef-one-longer", "one-longer-tail")
	for text, want := range map[string]string{
		"x abcdef-one y":             "x " + mark("abcdef-one") + " y",
		"x abcdef-one-longer y":      "x " + mark("abcdef-one-longer") + " y",
		"x abcdef-one-longer-tail y": "x " + mark("abcdef-one-longer") + " y",
		"abcdef-oneabcdef-one":       mark("abcdef-one") + mark("abcdef-one"),
		"PASSWORD=abcdef-one":        "PASSWORD=" + mark("abcdef-one"),
		"PASSWORD=abcdef-one!":       "PASSWORD=" + mark("abcdef-one!"),
	} {
		if got := s.Redact(text); got != want {
			t.Errorf("%s is %s, want %s", text, got, want)
		}
	}
}

// TestHostile gives an intruder both the secrets and the text, 200 kB of it at a time; what is quadratic takes minutes.
func TestHostile(t *testing.T) {
	s := NewSet(printer)
	long := strings.Repeat("a", maxValue-1)
	for i := range 40 {
		s.Add(fmt.Sprintf("%s%c", long[:len(long)-i], 'b'+i%20), "test")
		s.Add(fmt.Sprintf("abcabc%d", i), "test")
	}
	pieces := []string{
		"a", "abcabc", "sk-", "token=", `token="`, `"token":"`, "eyJ.", ".eyJ", "://", "://:@", pemStart, "-----BEGIN PRIVATE KEY-----",
		"-----BEGIN PRIVATE KEY-----\nA: b\n", "curl -u ", "\n", `\n`, `\`, "bearer ", "token token ", "MTE", "AKIA", "key", ":AA", "1:AA", "hooks.slack.com/services/",
		strings.Repeat("A", 50) + "\n", strings.Repeat("A", 50) + "\n!", "<secret:", mark("x"), "password=(", "password: a.", "cookie: ", "set ",
	}
	for _, piece := range pieces {
		start := spent(t)
		s.Redact(strings.Repeat(piece, 200_000/len(piece)))
		if took := spent(t) - start; took > 30*time.Second {
			t.Errorf("%q took %v", piece, took)
		}
	}
}

func FuzzRedact(f *testing.F) {
	s := setOf("hunter2-value", "gw-FAKE-token-01", `odd "quoted" \ value`)
	for _, text := range append(formatted, benign...) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := s.Redact(text)
		if s.Contains(got) {
			t.Fatalf("%q still holds a secret: %q", text, got)
		}
		if again := s.Redact(got); again != got {
			t.Fatalf("%q\nonce  %q\ntwice %q", text, got, again)
		}
		for range FromEnv([]byte(text)) {
		}
	})
}

func BenchmarkRedact(b *testing.B) {
	s := NewSet(printer)
	for i := range 100 {
		s.Add(fmt.Sprintf("gw-FAKE-%d-%x", i, i*7919), "test")
	}
	prose := strings.Repeat("The gateway started the session, read the file and wrote what it had found to the log.\n", 1<<14)
	for name, text := range map[string]string{"prose": prose, "base64": base64Noise(1 << 20), "benign": strings.Repeat(strings.Join(benign[:10], "\n"), 1<<10)} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				s.Redact(text)
			}
		})
	}
}

func TestFound(t *testing.T) {
	f := NewFingerprinter([]byte("a salt for tests"))
	s := NewSet(f)
	s.Add("first-secret-01", "one")
	s.Add("second-secret-02", "two")
	text := "a first-secret-01, " + base64.StdEncoding.EncodeToString([]byte("xsecond-secret-02")) + " and first-secret-01"
	want := []string{f.Fingerprint("first-secret-01"), f.Fingerprint("second-secret-02")}
	slices.Sort(want)
	if got := s.Found(text); !slices.Equal(got, want) {
		t.Errorf("Found = %q, want %q", got, want)
	}
	if got := s.Found("sk-not-known-000000000000001"); got != nil {
		t.Errorf("Found %q of a value that is not known", got)
	}
}

func TestMasked(t *testing.T) {
	s := NewSet(printer)
	for _, value := range []string{"sk-ant-abcdefghijklmn0001", "xoxb-1-twinned-00000009999", "xoxb-1-another-00000009999", "short-0001"} {
		s.Add(value, "")
	}
	key := printer.Fingerprint("sk-ant-abcdefghijklmn0001")
	for text, want := range map[string][]string{
		`Bearer sk-ant…0001'`:                  {key},
		`{"x":"sk-ant\u20260001 sk-ant…0001"}`: {key},
		"sk-ant…0002":                          nil,
		"xoxb-1…9999":                          nil, // fits two
		"short-…0001":                          nil, // never shown in part
		"…0001":                                nil,
		"sk-ant…":                              nil,
		"sk-ant…00":                            nil,
	} {
		if got := s.Masked(text); !slices.Equal(got, want) {
			t.Errorf("Masked(%q) = %q, want %q", text, got, want)
		}
	}
	s.Add("ghp_0123456789abcdefghij", "")
	if got := s.Masked("ghp_01…ghij"); len(got) != 1 {
		t.Errorf("Masked finds %q of a value that was added later", got)
	}
}
