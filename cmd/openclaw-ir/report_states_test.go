package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/statetest"
)

// No file of a report of a real state or a played incident holds a secret that was planted there.
func TestReportHoldsNoSecret(t *testing.T) {
	oneAfterTheOther(t)
	planted := statetest.Secrets(t)
	roots := map[string]func() string{}
	for _, v := range []string{"2026.1.30", "2026.7.1-live", "2026.9.6/running"} { // each way of keeping transcripts
		roots[strings.ReplaceAll(v, "/", "-")] = func() string { return statetest.Root(t, v) }
	}
	for _, s := range []string{"session-theft", "log-poisoning"} {
		roots[s] = func() string { return statetest.Scenario(t, s) }
	}
	if testing.Short() {
		roots = map[string]func() string{"2026.9.6-running": roots["2026.9.6-running"]}
	}
	for name, unpack := range roots {
		t.Run(name, func(t *testing.T) {
			cases := t.TempDir()
			var out, said bytes.Buffer
			e := env{console: console.New(console.Streams{Out: &out, Err: &said}, console.Facts{}), getenv: func(string) string { return "" }, uid: os.Getuid()}
			if code := run(t.Context(), []string{"openclaw-ir", "report", "--root", unpack(), "--case-dir", cases, "--case", name, "--yes"}, e); code != exitDone && code != exitPartial {
				t.Fatalf("exit code %d: %s", code, &said)
			}
			texts := map[string][]byte{"stdout": out.Bytes(), "stderr": said.Bytes()}
			files, _ := filepath.Glob(filepath.Join(cases, name, "report", "*"))
			if len(files) != 4 {
				t.Errorf("files %q", files)
			}
			for _, file := range append(files, filepath.Join(cases, name, "custody.jsonl")) {
				text, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				texts[filepath.Base(file)] = text
			}
			for file, text := range texts {
				for i, s := range planted {
					if bytes.Contains(text, []byte(s)) {
						t.Errorf("%s holds planted secret number %d", file, i+1)
					}
				}
			}
		})
	}
}
