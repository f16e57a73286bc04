package statetest_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/clawbook/openclaw-ir/analyze"
	"github.com/clawbook/openclaw-ir/internal/statetest"
)

func TestRoot(t *testing.T) {
	for _, version := range statetest.Versions() {
		t.Run(strings.ReplaceAll(version, "/", "_"), func(t *testing.T) {
			dir := statetest.Root(t, version)
			user := "claw"
			if strings.HasPrefix(version, "2026.9.6/") {
				user = "alice"
			}
			passwd, err := os.ReadFile(filepath.Join(dir, "etc/passwd"))
			if err != nil || !strings.Contains(string(passwd), ":/home/"+user+":") {
				t.Errorf("etc/passwd: %q, %v", passwd, err)
			}
			state := filepath.Join(dir, "home", user, ".openclaw")
			info, err := os.Stat(state)
			if err != nil {
				t.Fatal(err)
			}
			if time.Since(info.ModTime()) < time.Hour {
				t.Errorf("modification time of %q was not restored: %v", state, info.ModTime())
			}
			if version == "2026.9.6/node-host" {
				return
			}
			if logs, _ := filepath.Glob(filepath.Join(dir, "tmp/openclaw/openclaw-*.log")); len(logs) == 0 {
				t.Error("no log in tmp/openclaw")
			}
			if info, err := os.Stat(filepath.Join(state, "openclaw.json")); err != nil || info.Size() == 0 {
				t.Errorf("openclaw.json: %v", err)
			}
		})
	}
}

func TestSnapshotSeesChanges(t *testing.T) {
	dir := statetest.Root(t, "2026.1.30")
	before := statetest.Snapshot(t, dir)
	const name = "home/claw/.openclaw/openclaw.json"
	if before[name] == "" {
		t.Fatalf("no %q in the snapshot", name)
	}
	full := filepath.Join(dir, name)
	info, err := os.Stat(full)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(full)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(full, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(full, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	after := statetest.Snapshot(t, dir)
	if after[name] == before[name] {
		t.Error("a changed byte under the old time is not seen")
	}
	delete(before, name)
	delete(after, name)
	for path, want := range before {
		if after[path] != want {
			t.Errorf("%q: %q became %q", path, want, after[path])
		}
	}
}

// TestSecrets keeps secrets.txt honest: each value is long enough not to occur by chance, and none is listed twice.
func TestSecrets(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range statetest.Secrets(t) {
		if len(s) < 8 || seen[s] {
			t.Errorf("%q: too short or listed twice", s)
		}
		seen[s] = true
	}
	if len(seen) < 30 {
		t.Errorf("only %d secrets", len(seen))
	}
}

// expected is what testdata/scenarios/expected.json says of a scenario.
type expected struct {
	Release string
	Rules   []string
	Cause   struct {
		Action, Input, Source string
		Asker                 struct{ Kind, Trust string }
	}
	Note string
}

// TestScenarios checks that each scenario is the host of a user called claw and that its expectations name what is in it.
func TestScenarios(t *testing.T) {
	data, err := os.ReadFile("../../testdata/scenarios/expected.json")
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]expected
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	for _, name := range statetest.Scenarios() {
		t.Run(name, func(t *testing.T) {
			e := want[name]
			if len(e.Rules) == 0 || e.Cause.Asker.Kind == "" || e.Cause.Asker.Trust == "" {
				t.Fatalf("expected.json lacks something: %+v", e)
			}
			text := told(t, statetest.Scenario(t, name))
			for _, part := range []string{e.Cause.Action, e.Cause.Input} {
				if part == "" || !strings.Contains(text, part) {
					t.Errorf("no event holds %q", part)
				}
			}
		})
	}
}

// told is the text of every event of a host.
func told(t *testing.T, dir string) string {
	t.Helper()
	r, err := analyze.Timeline(t.Context(), os.DirFS(dir), analyze.Options{Kinds: analyze.Kinds})
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for e, err := range r.Events() {
		if err != nil {
			t.Fatal(err)
		}
		line, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		var plain any
		if err := json.Unmarshal(line, &plain); err != nil {
			t.Fatal(err)
		}
		writeStrings(&text, plain)
	}
	return text.String()
}

func writeStrings(w *strings.Builder, v any) {
	switch v := v.(type) {
	case string:
		w.WriteString(v + "\n")
	case []any:
		for _, inner := range v {
			writeStrings(w, inner)
		}
	case map[string]any:
		for _, inner := range v {
			writeStrings(w, inner)
		}
	}
}
