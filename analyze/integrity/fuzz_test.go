package integrity

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

// recordsOf is a host whose records are given: a transcript with its copy, a log, the config's journal and the index of sessions.
func recordsOf(transcript, deleted, log, journal, index string) fstest.MapFS {
	const state = "home/claw/.openclaw/"
	fsys := fstest.MapFS{}
	for name, text := range map[string]string{
		"etc/passwd": "claw:x:1000:1000::/home/claw:/bin/sh\n", state + "openclaw.json": "{}", state + "agents/main/sessions/s.jsonl": transcript,
		state + "agents/main/sessions/d.jsonl.deleted.2026-11-22T12-00-00.000Z": deleted, "tmp/openclaw/openclaw-2026-11-22.log": log,
		state + "logs/config-audit.jsonl": journal, state + "agents/main/sessions/sessions.json": index,
	} {
		fsys[name] = &fstest.MapFile{Data: []byte(text), Mode: 0o600, ModTime: taken}
	}
	return fsys
}

// FuzzCheck examines records of which each could have been written by the agent. The same records say the same every time, each finding has
// a place in them, and one piece of evidence does not differ from itself.
func FuzzCheck(f *testing.F) {
	const event = `{"type":"message","id":"a","parentId":"b","timestamp":"2026-11-22T08:00:00.000Z","message":{"role":"toolResult","toolCallId":"c","content":[]}}` + "\n"
	f.Add(`{"type":"session","version":4,"id":"s","timestamp":"2026-11-22T08:00:00.000Z"}`+"\n"+event+event, event, `{"time":"2026-11-22T08:00:00.000Z","msg":"x"}`+"\n"+`{"time":"2026-11-22T07:00:00.000Z"}`,
		`{"ts":"2026-11-22T08:00:00Z","event":"config.write","previousHash":"a","nextHash":"b"}`+"\n{", `{"agent:main:main":{"sessionId":"s"}}`)
	f.Add("{\n\x00\n", "", "not JSON", `{"event":"config.write","nextHash":"b"}`, "[")
	f.Fuzz(func(t *testing.T, transcript, deleted, log, journal, index string) {
		fsys := recordsOf(transcript, deleted, log, journal, index)
		installs, _ := openclaw.Find(fsys, openclaw.FindOptions{})
		examine := func() (*Report, string) {
			r, err := Check(t.Context(), fsys, installs, Options{Now: taken})
			if err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			return r, string(text)
		}
		r, text := examine()
		if _, again := examine(); again != text {
			t.Errorf("at first %s\nand then %s", text, again)
		}
		for _, x := range r.Findings {
			if lines := int64(strings.Count(transcript+deleted+log+journal+index, "\n") + 5); x.Line < 0 || x.Line > lines || x.Title == "" || x.Check == "" {
				t.Errorf("of %d lines: %+v", lines, x)
			}
		}
		past, err := Against(t.Context(), Past{FS: fsys, Installs: installs}, fsys, installs, Options{Now: taken})
		if err != nil || len(past.Findings) > 0 {
			t.Errorf("it differs from itself: %+v, %v", past.Findings, err)
		}
	})
}
