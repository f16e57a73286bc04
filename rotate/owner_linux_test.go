package rotate

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

// TestOthersFilesAreNotChanged has the agent's config lead to files of root and of another user: none of them is read as a value in
// force, or changed.
func TestOthersFilesAreNotChanged(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("files of several users need root")
	}
	const agent, alice = 1000, 1001
	for name, tc := range map[string]struct {
		config string
		victim string // beside the home
		uid    int
	}{
		"root's file":                        {`{gateway: {auth: {token: {source: "file", provider: "p", id: "value"}}}, secrets: {providers: {p: {source: "file", path: "VICTIM", mode: "singleValue"}}}}`, "ssh-ed25519 AAAA root", 0},
		"another user's file":                {`{gateway: {auth: {token: {source: "file", provider: "p", id: "value"}}}, secrets: {providers: {p: {source: "file", path: "VICTIM", mode: "singleValue"}}}}`, "alice's own", alice},
		"a line of the agent's own":          {`{gateway: {auth: {token: {source: "file", provider: "p", id: "value"}}}, secrets: {providers: {p: {source: "file", path: "VICTIM", mode: "singleValue"}}}}`, "ssh-ed25519 AAAA responder", agent},
		"a link as config":                   {"", `{gateway: {auth: {token: "alice's token"}}}`, alice},
		"an included link":                   {`{$include: "link.json"}`, `{gateway: {auth: {token: "alice's token"}}}`, alice},
		"a file that the agent's unit names": {`{gateway: {mode: "local"}}`, "OPENCLAW_GATEWAY_TOKEN=another-gateways\n", 0},
		"a link as .env":                     {`{gateway: {auth: {token: "${PATH}"}}}`, "PATH=/usr/bin\n", 0},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			state, victim := filepath.Join(dir, "home", ".openclaw"), filepath.Join(dir, "victim")
			config := filepath.Join(state, "openclaw.json")
			for _, err := range []error{
				os.Chmod(filepath.Dir(dir), 0o755), os.Chmod(dir, 0o755), os.MkdirAll(state, 0o755), os.Chown(state, agent, agent),
				os.WriteFile(victim, []byte(tc.victim), 0o600), os.Chown(victim, tc.uid, tc.uid),
			} {
				if err != nil {
					t.Fatal(err)
				}
			}
			if tc.config == "" {
				link(t, victim, config)
			} else {
				text := []byte(strings.ReplaceAll(tc.config, "VICTIM", victim))
				if err := os.WriteFile(config, text, 0o600); err != nil {
					t.Fatal(err)
				}
				if err := os.Chown(config, agent, agent); err != nil {
					t.Fatal(err)
				}
				link(t, victim, filepath.Join(state, "link.json"))
				link(t, victim, filepath.Join(state, ".env"))
			}
			if strings.HasPrefix(tc.victim, "OPENCLAW_") {
				unit := filepath.Join(dir, "home/.config/systemd/user/openclaw-gateway.service")
				for _, err := range []error{
					os.Remove(filepath.Join(state, ".env")), os.MkdirAll(filepath.Dir(unit), 0o755),
					os.WriteFile(unit, []byte("[Service]\nEnvironmentFile="+victim+"\n"), 0o644), os.Chown(unit, agent, agent),
				} {
					if err != nil {
						t.Fatal(err)
					}
				}
			}
			root, err := host.OpenRoot("/")
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			in := &openclaw.Installation{Home: filepath.Dir(state), StateDir: state, ConfigPath: config}
			var gaps []openclaw.Gap
			in.Config, gaps = openclaw.LoadConfig(root, config)
			found, _ := FindCredentials(root, in)
			led := slices.ContainsFunc(gaps, func(g openclaw.Gap) bool { return strings.Contains(g.What, host.ErrNotTrusted.Error()) })
			if len(found) == 0 && !led {
				t.Fatalf("no credential found, which proves nothing: %v", gaps)
			}
			for _, c := range found {
				if len(c.Values()) > 0 {
					t.Errorf("%s holds a value of somebody else's", c.Name)
				}
				if _, err := c.Replace(root, NewValue()); err == nil {
					t.Errorf("%s was replaced", c.Name)
				}
			}
			if text, _ := os.ReadFile(victim); string(text) != tc.victim {
				t.Errorf("the file holds %d other bytes now", len(text))
			}
		})
	}
}

func link(t *testing.T, target, name string) {
	t.Helper()
	if err := os.Symlink(target, name); err != nil {
		t.Fatal(err)
	}
}

// TestOpenClawsFiles: the agent's config names which file holds a secret, and so could name the key by which the responder logs in, or where
// the agent is root any file of the system's.
func TestOpenClawsFiles(t *testing.T) {
	f := &authFinder{in: &openclaw.Installation{StateDir: "/srv/state"}}
	for file, want := range map[string][2]bool{ // of an agent that is root, of any other
		"/srv/state/s.json": {true, true}, "/etc/openclaw/token": {true, true},
		"/home/claw/token": {false, true}, "/etc/machine-id": {false, true},
		"/root/.ssh/authorized_keys": {false, false}, "/home/claw/.ssh/id": {false, false}, "/home/openclaw/.ssh/id": {false, false},
	} {
		if got := [2]bool{f.isOpenClaws(file, 0), f.isOpenClaws(file, 1000)}; got != want {
			t.Errorf("%s: %v, want %v", file, got, want)
		}
	}
}
