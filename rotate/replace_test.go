package rotate_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/rotate"
)

const agentUID = 64321 // nobody's account

func chownAll(t *testing.T, dir string, uid int) {
	t.Helper()
	for dir := dir; dir != os.TempDir(); dir = filepath.Dir(dir) {
		_ = os.Chmod(dir, 0o755)
	}
	err := filepath.WalkDir(dir, func(name string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(name, uid, uid)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func root(t *testing.T) *host.Root {
	t.Helper()
	r, err := host.OpenRoot("/")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// replaceAll gives every credential a new value and returns the one called name.
func replaceAll(t *testing.T, in *openclaw.Installation, name string) (c rotate.Credential, value string) {
	t.Helper()
	found, gaps := rotate.FindCredentials(root(t), in)
	if len(gaps) > 0 {
		t.Fatal(gaps)
	}
	for _, f := range found {
		v := rotate.NewValue()
		if _, err := f.Replace(root(t), v); err != nil {
			t.Fatal(err)
		}
		if f.Name == name {
			c, value = f, v
		}
	}
	if value == "" {
		t.Fatalf("no %s among %v", name, found)
	}
	return c, value
}

func TestNewValue(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		v := rotate.NewValue()
		if len(v) != 44 || !strings.HasSuffix(v, "=") || seen[v] {
			t.Fatalf("%q is not 32 random bytes in base64", v)
		}
		seen[v] = true
	}
}

// Each text holds the secret "S3CRET" wherever the new value must stand, and nothing else of it may change.
func TestReplaceInPlace(t *testing.T) {
	const old = "S3CRET"
	const unit = ".config/systemd/user/openclaw-gateway.service"
	const job = "Library/LaunchAgents/ai.openclaw.gateway.plist"
	variable := `{gateway: {auth: {token: "${OPENCLAW_GATEWAY_TOKEN}"}}}`
	tests := []struct{ name, file, text, config string }{
		{"json5 with comments", ".openclaw/openclaw.json", "// mine\r\n{ gateway: {\t'auth': { /* S3 */ token : \"S3CRET\", } , port: +0x10 } }\n// end", ""},
		{"last of two members", ".openclaw/openclaw.json", `{gateway: {auth: {token: "other", token: "S3CRET"}}}`, ""},
		{"escaped", ".openclaw/openclaw.json", `{"gateway": {"auth": {"token": "S3CRET"}}, "x": "\u0041\ud800 é"}`, ""},
		{"no end of line", ".openclaw/.env", "A=1\nOPENCLAW_GATEWAY_TOKEN=S3CRET", variable},
		{"quotes and comment", ".openclaw/.env", "export OPENCLAW_GATEWAY_TOKEN = \"S3CRET\"  # S3\nB='2'\n", variable},
		{"bare and comment", ".openclaw/.env", "OPENCLAW_GATEWAY_TOKEN=S3CRET # mine\r\nB=2\r\n", variable},
		{"other marks", ".openclaw/.env", "OPENCLAW_GATEWAY_TOKEN: `S3CRET`\nXOPENCLAW_GATEWAY_TOKEN=keep\n#OPENCLAW_GATEWAY_TOKEN=keep\n", variable},
		{"twice", ".openclaw/.env", "OPENCLAW_GATEWAY_TOKEN=S3CRET\nOPENCLAW_GATEWAY_TOKEN='S3CRET'\n", variable},
		{"shell", ".bashrc", "alias x='y'\n  export OPENCLAW_GATEWAY_TOKEN=S3CRET\nif true; then z; fi\n", variable},
		{"systemd file", ".openclaw/gateway.systemd.env", "; a comment\nOPENCLAW_GATEWAY_TOKEN=S3CRET\nX=\"a \\\n b\"\n", variable},
		{"systemd file, quoted", ".openclaw/gateway.systemd.env", "OPENCLAW_GATEWAY_TOKEN='S3CRET'\n", variable},
		{"unit", unit, "[Service]\nExecStart=/usr/bin/node x\nEnvironment=A=1 OPENCLAW_GATEWAY_TOKEN=S3CRET \\\n  \"B=2 3\"\n", variable},
		{"unit, quoted", unit, "[Service]\nEnvironment=\"A=%h\" \"OPENCLAW_GATEWAY_TOKEN=S3CRET\"\n# Environment=OPENCLAW_GATEWAY_TOKEN=keep\n", variable},
		{"unit, option", unit, "[Service]\nExecStart=/usr/bin/node x gateway --token=S3CRET --port 1\n", `{}`},
		{"secret file", "s.json", "{\n  \"a\": \"keep\",\n  \"b\": {\"c/d\": \"S3CRET\"}\n}\n", `{gateway: {auth: {token: {source: "file", provider: "f", id: "/b/c~1d"}}}, secrets: {providers: {f: {source: "file", path: "~/s.json"}}}}`},
		{"whole file", "s.txt", "S3CRET\n", `{gateway: {auth: {token: {source: "file", provider: "f", id: "value"}}}, secrets: {providers: {f: {source: "file", path: "~/s.txt", mode: "singleValue"}}}}`},
		{"launchd job", job, "<dict>\n<key>OTHER</key><string>keep</string>\n\t<key>OPENCLAW_GATEWAY_TOKEN</key>\n\t<string>S3CRET</string>\n</dict>", variable},
		{"launchd job, option", job, "<array><string>gateway</string>\n<string>--token</string><string>S3CRET</string></array>", `{}`},
		{"unit, option in a word of its own", unit, "[Service]\nExecStart=/usr/bin/node x gateway --token 'S3CRET' --port 1\n", `{}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			home := t.TempDir()
			write := func(name, text string) string {
				file := filepath.Join(home, name)
				if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(text), 0o640); err != nil {
					t.Fatal(err)
				}
				return file
			}
			if test.config != "" {
				write(".openclaw/openclaw.json", test.config)
			}
			file := write(test.file, test.text)
			own(t, home)
			found, gaps := rotate.FindCredentials(root(t), installed(t, home))
			if len(found) != 1 || len(gaps) > 0 || found[0].Values()[0] != old {
				t.Fatalf("found %+v, gaps %v", found, gaps)
			}
			value := rotate.NewValue()
			before, _ := os.Stat(file)
			changes, err := found[0].Replace(root(t), value)
			if err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if want := strings.ReplaceAll(test.text, old, value); string(got) != want {
				t.Errorf("the file is\n%q\nwant\n%q", got, want)
			}
			after, _ := os.Stat(file)
			if a, b := host.Meta(after), host.Meta(before); a.Mode != b.Mode || a.UID != b.UID || a.GID != b.GID {
				t.Errorf("mode and owner %+v, before %+v", a, b)
			}
			if len(changes) != 1 || changes[0].File != file || changes[0].Before.SHA256 == changes[0].After.SHA256 || !changes[0].After.Exists {
				t.Errorf("changes %+v", changes)
			}
			again, _ := rotate.FindCredentials(root(t), installed(t, home))
			if len(again) != 1 || len(again[0].Values()) != 1 || again[0].Values()[0] != value {
				t.Errorf("the new value is not found again: %+v", again)
			}
		})
	}
}

// own gives a tree to an account of no rights where the test runs as root, whose own files must not lie in /tmp.
func own(t *testing.T, dir string) {
	t.Helper()
	if os.Geteuid() == 0 {
		chownAll(t, dir, agentUID)
	}
}

func installed(t *testing.T, home string) *openclaw.Installation {
	t.Helper()
	state := filepath.Join(home, ".openclaw")
	c, _ := openclaw.LoadConfig(root(t), filepath.Join(state, "openclaw.json"))
	in := &openclaw.Installation{Home: home, StateDir: state, ConfigPath: c.Path, Config: c}
	jobs, _ := filepath.Glob(filepath.Join(home, "Library/LaunchAgents/*.plist"))
	for _, job := range jobs {
		in.Units = append(in.Units, openclaw.Unit{Path: job})
	}
	return in
}

func TestReplaceAllPlaces(t *testing.T) {
	home := t.TempDir()
	texts := files{
		".openclaw/openclaw.json": `{$include: "gw.json", hooks: {token: "S3CRET"}, gateway: {remote: {token: "S3CRET"}}}`,
		".openclaw/gw.json":       `{"gateway": {"auth": {"token": "S3CRET"}}}`,
		".openclaw/.env":          "OPENCLAW_GATEWAY_TOKEN=stale\n",
	}
	for name, text := range texts {
		file := filepath.Join(home, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	own(t, home)
	c, value := replaceAll(t, installed(t, home), rotate.GatewayToken)
	if len(c.Files()) != 3 {
		t.Errorf("files %q, want 3", c.Files())
	}
	in := installed(t, home)
	hooks := in.Config.String("hooks", "token")
	if got := in.Config.String("gateway", "auth", "token"); got != value {
		t.Errorf("the token is %q, want %q", got, value)
	}
	if got := in.Config.String("gateway", "remote", "token"); got != value {
		t.Errorf("the token for remote use is %q, want %q", got, value)
	}
	if hooks == value || len(hooks) != len(value) {
		t.Errorf("the hooks' token is %q", hooks)
	}
	for name := range texts {
		if text, err := os.ReadFile(filepath.Join(home, name)); err != nil || bytes.Contains(text, []byte("S3CRET")) || bytes.Contains(text, []byte("stale")) {
			t.Errorf("%s: %s %v", name, text, err)
		}
	}
}

func TestReplaceRefuses(t *testing.T) {
	home := t.TempDir()
	file := filepath.Join(home, ".openclaw/openclaw.json")
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		own(t, home)
	}
	write(`{gateway: {auth: {token: "S3CRET"}}}`)
	found, _ := rotate.FindCredentials(root(t), installed(t, home))

	if _, err := found[0].Replace(root(t), "a\"b"); err == nil {
		t.Error("took a value that needs quoting")
	}
	write(`{gateway: {auth: {token: {source: "exec"}}}}`)
	if _, err := found[0].Replace(root(t), rotate.NewValue()); err == nil || strings.Contains(err.Error(), "S3CRET") {
		t.Errorf("replaced what is gone: %v", err)
	}
	person, _ := rotate.FindCredentials(root(t), installed(t, home))
	if _, err := person[0].Replace(root(t), rotate.NewValue()); !errors.Is(err, rotate.ErrNeedsPerson) {
		t.Errorf("replaced what a program hands out: %v", err)
	}
	write(`{gateway: {auth: {token: "S3CRET"` + "\x00")
	if _, err := found[0].Replace(root(t), rotate.NewValue()); err == nil || strings.Contains(err.Error(), "S3CRET") {
		t.Errorf("replaced in a broken file: %v", err)
	}

	// A link to a file that is not the account's is followed with the account's rights, or not at all.
	if os.Geteuid() != 0 {
		return
	}
	victim := filepath.Join(t.TempDir(), "victim.json")
	const text = `{gateway: {auth: {token: "S3CRET"}}}`
	if err := os.WriteFile(victim, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Remove(file), os.Symlink(victim, file)); err != nil {
		t.Fatal(err)
	}
	if changes, err := found[0].Replace(root(t), rotate.NewValue()); err == nil {
		t.Errorf("followed a link: %+v", changes)
	}
	if got, err := os.ReadFile(victim); err != nil || string(got) != text {
		t.Errorf("the victim is %q %v", got, err)
	}
}
