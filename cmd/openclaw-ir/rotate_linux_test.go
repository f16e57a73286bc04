package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/rotate"
)

// TestFormerValues: what is tried as an old value is one of the agent's own. What root's config holds is not told to the agent's gateway,
// whatever the agent's old versions include, and wherever the agent says that its config lies.
func TestFormerValues(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("files of several users need root")
	}
	dir := t.TempDir()
	state, roots := filepath.Join(dir, "claw"), filepath.Join(dir, "root")
	own, others := filepath.Join(state, "openclaw.json"), filepath.Join(roots, "openclaw.json")
	for name, text := range map[string]string{
		own: `{gateway: {auth: {token: "now"}}}`, own + ".bak": `{gateway: {auth: {token: "before"}}}`,
		own + ".bak.1": `{$include: "` + others + `"}`, own + ".bak.2": `{$include: "../root/openclaw.json"}`,
		others: `{gateway: {auth: {token: "roots"}}}`, others + ".last-good": `{gateway: {auth: {token: "roots"}}}`,
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if filepath.Dir(name) == state {
			if err := os.Chown(name, 1000, 1000); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.Chown(state, 1000, 1000); err != nil {
		t.Fatal(err)
	}
	root, err := host.OpenRoot("/")
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	x := &rotation{root: root}
	for config, want := range map[string][]string{own: {"before"}, others: nil} {
		in := &openclaw.Installation{StateDir: state, ConfigPath: config}
		if got := x.formerValues(&held{Installation: in}, rotate.Credential{Name: rotate.GatewayToken, Installation: in}, "now"); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", config, got, want)
		}
	}
}
