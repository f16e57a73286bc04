package rotate

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

func TestFromExec(t *testing.T) {
	for _, test := range []struct{ exec, node, entry string }{
		{`/opt/n22/bin/node "/opt/v/openclaw/dist/index.js" gateway --port 21130`, "/opt/n22/bin/node", "/opt/v/openclaw/dist/index.js"},
		{`-/usr/bin/node --max-old-space-size=900 /usr/lib/node_modules/openclaw/openclaw.mjs gateway`, "/usr/bin/node", "/usr/lib/node_modules/openclaw/openclaw.mjs"},
		{`/bin/sh -c "evil" /x/dist/index.js`, "", ""},
		{`node /x/dist/index.js`, "", ""},
		{`/usr/bin/node relative.js`, "", ""},
		{``, "", ""},
	} {
		p, ok := fromExec(test.exec)
		if ok != (test.node != "") || ok && (p.node != test.node || p.entry != test.entry) {
			t.Errorf("%q: %q %q %v", test.exec, p.node, p.entry, ok)
		}
	}
}

func TestPackageRoot(t *testing.T) {
	for entry, want := range map[string]string{
		"/usr/lib/node_modules/openclaw/dist/index.js":                "/usr/lib/node_modules",
		"/a/node_modules/b/node_modules/openclaw/dist/index.js":       "/a/node_modules",
		"/opt/openclaw/dist/index.js":                                 "/opt/openclaw",
		"/opt/.pnpm/x/node_modules/openclaw/dist/entry.js":            "/opt/.pnpm/x/node_modules",
		"/usr/local/lib/node_modules/openclaw/extra/deep/openclaw.js": "/usr/local/lib/node_modules",
	} {
		if got := packageRoot(entry); got != want {
			t.Errorf("%q: %q, want %q", entry, got, want)
		}
	}
}

// TestOnlyRootsGatewayIsRun offers programs that others than root could have written. None may run.
func TestOnlyRootsGatewayIsRun(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can own what is trusted")
	}
	usr, _ := filepath.Glob("/usr/lib/node_modules/openclaw")
	local, _ := filepath.Glob("/usr/local/lib/node_modules/openclaw")
	if len(usr)+len(local) > 0 {
		t.Skip("OpenClaw is installed for all users here, and would be run")
	}
	root, err := host.OpenRoot("/")
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	dir, err := os.MkdirTemp("/opt", "openclaw-ir-test-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	marker := filepath.Join(t.TempDir(), "ran")
	node := filepath.Join(dir, "node")
	entry := filepath.Join(dir, "lib/node_modules/openclaw/dist/index.js")
	helper := filepath.Join(dir, "lib/node_modules/helper/index.js")
	write := func(name, text string, mode os.FileMode) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
	}
	good := func() {
		t.Helper()
		write(node, "#!/bin/sh\ntouch "+marker+"\n", 0o755)
		write(entry, "", 0o644)
		write(helper, "", 0o644)
	}
	good()
	p := program{node: node, entry: entry}
	if _, err := p.trusted(root); err != nil {
		t.Fatalf("what root alone can write is not trusted: %v", err)
	}
	for name, spoil := range map[string]func() error{
		"node is another's":       func() error { return os.Lchown(node, 1000, 1000) },
		"node is open":            func() error { return os.Chmod(node, 0o777) },
		"script is open":          func() error { return os.Chmod(entry, 0o666) },
		"a package beside it":     func() error { return os.Lchown(helper, 1000, 1000) },
		"a directory":             func() error { return os.Chmod(filepath.Dir(helper), 0o775) },
		"a link to somewhere":     func() error { os.Remove(helper); return os.Symlink("/tmp/evil.js", helper) },
		"node is a link to /tmp":  func() error { os.Remove(node); return os.Symlink("/tmp/node", node) },
		"a directory on the way":  func() error { return os.Lchown(filepath.Join(dir, "lib"), 1000, 1000) },
		"the script is not there": func() error { return os.Remove(entry) },
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.RemoveAll(filepath.Join(dir, "lib")); err != nil {
				t.Fatal(err)
			}
			os.Remove(node)
			good()
			if err := spoil(); err != nil {
				t.Fatal(err)
			}
			if _, err := p.trusted(root); err == nil {
				t.Error("trusted")
			}
			home := t.TempDir()
			state := filepath.Join(home, ".openclaw")
			write(filepath.Join(state, "openclaw.json"), `{gateway: {auth: {token: "value"}}}`, 0o600)
			in := &openclaw.Installation{Home: home, StateDir: state, ConfigPath: filepath.Join(state, "openclaw.json"), Units: []openclaw.Unit{{Exec: node + " " + entry + " gateway"}}}
			checks := VerifyContained(t.Context(), root, in, Credential{Name: GatewayToken}, nil, "value")
			if len(checks) != 2 || !checks[0].OK || checks[1].OK || !strings.Contains(checks[1].Hint, "rotate verify") {
				t.Errorf("checks %+v", checks)
			}
			if _, err := os.Stat(marker); err == nil {
				t.Fatal("it ran")
			}
		})
	}
}
