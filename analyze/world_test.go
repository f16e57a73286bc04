package analyze

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// hostOf lays out a host with files below the home of its one user.
func hostOf(t *testing.T, files map[string]string) (root string) {
	t.Helper()
	root = t.TempDir()
	for name, content := range files {
		file := filepath.Join(root, "home", "u", filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// levelsOf lists what a rule found, as "level excerpt".
func levelsOf(r *FindingsReport, rule string) (list []string) {
	for _, f := range r.Findings {
		if f.Rule.Key() == rule {
			what := f.Excerpt
			if f.Event != nil {
				what = f.Event.What + " " + what
			}
			list = append(list, f.Level.String()+" "+what)
		}
	}
	return list
}

// TestWhoIsOnAnAllowList tells the owner and whom an older configuration knows from somebody who was let in.
func TestWhoIsOnAnAllowList(t *testing.T) {
	config := func(at, allow string) string {
		return `{"meta":{"lastTouchedVersion":"2026.3.31","lastTouchedAt":"` + at + `"},"commands":{"ownerAllowFrom":["telegram:1001"]},"channels":{"telegram":{"allowFrom":[` + allow + `]}}}`
	}
	root := hostOf(t, map[string]string{
		".openclaw/openclaw.json":                                 config("2026-11-20T10:00:00.000Z", `"4004"`),
		".openclaw/openclaw.json.bak":                             config("2026-11-10T10:00:00.000Z", `"2002"`),
		".openclaw/credentials/telegram-default-allowFrom.json":   `{"version":1,"allowFrom":["1001","2002","3003","4004"]}`,
		".openclaw/agents/main/sessions/unrelated.jsonl":          `{"type":"session","id":"unrelated","timestamp":"2026-11-20T10:00:00.000Z"}` + "\n",
		".openclaw/credentials/whatsapp-default-allowFrom.json":   `{"version":1,"allowFrom":["2002"]}`,
		".openclaw/credentials/signal-default-pairing.json":       `{"version":1,"requests":[]}`,
		".openclaw/credentials/telegram-default-pairing.json.bak": `{"version":1,"requests":[]}`,
	})
	for name, at := range map[string]time.Time{
		"openclaw.json": time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC), "openclaw.json.bak": time.Date(2026, 11, 10, 10, 0, 0, 0, time.UTC),
		"credentials/telegram-default-allowFrom.json": time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC),
	} {
		if err := os.Chtimes(filepath.Join(root, "home/u/.openclaw", name), at, at); err != nil {
			t.Fatal(err)
		}
	}
	got := levelsOf(found(t, root), "PAI-002")
	has := func(prefix string) bool {
		return slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, prefix) })
	}
	for prefix, want := range map[string]bool{
		"low telegram-default 1001": true, "high telegram-default 3003": true, "high telegram-default 4004": true, // only the newest config has 4004
		"high whatsapp-default 2002": true, // who is known on another channel is not known here
		"high telegram-default 2002": false, "high telegram-default 1001": false,
	} {
		if has(prefix) != want {
			t.Errorf("%q: %v, want %v, in %q", prefix, !want, want, got)
		}
	}
}

// TestBaselineIsOlderThanTheEntry keeps a configuration that was changed after somebody was let in from excusing it.
func TestBaselineIsOlderThanTheEntry(t *testing.T) {
	w := &world{listed: map[[2]string]int64{{"telegram", "7"}: 1000}}
	for at, want := range map[int64]int{999: 0, 1000: 0, 1001: 1} {
		if got := w.entry("telegram", "7", at); len(got) != want {
			t.Errorf("entry made at %d: %v", at, got)
		}
	}
}
