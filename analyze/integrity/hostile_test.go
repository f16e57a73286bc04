package integrity

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ncruces/go-sqlite3"
)

// hostileHost is a host whose agent's database and transcript are given.
func hostileHost(t *testing.T, fill func(db *sqlite3.Conn), transcript string) string {
	t.Helper()
	root := t.TempDir()
	v := &victim{tb: t, root: root}
	agent := filepath.Join(root, "home/eve/.openclaw/agents/main")
	for _, dir := range []string{filepath.Join(agent, "agent"), filepath.Join(agent, "sessions"), filepath.Join(root, "etc")} {
		v.must(os.MkdirAll(dir, 0o700))
	}
	v.must(os.WriteFile(filepath.Join(root, "etc/passwd"), []byte("eve:x:1000:1000::/home/eve:/bin/sh\n"), 0o600))
	v.must(os.WriteFile(filepath.Join(root, "home/eve/.openclaw/openclaw.json"), []byte("{}"), 0o600))
	v.must(os.WriteFile(filepath.Join(agent, "sessions/s.jsonl"), []byte(transcript), 0o600))
	if fill != nil {
		db, err := sqlite3.Open(filepath.Join(agent, "agent/openclaw-agent.sqlite"))
		v.must(err)
		fill(db)
		v.must(db.Close())
	}
	return root
}

// TestManyTables examines a database with thousands of tables. SQLite's own time for them grows with their square.
func TestManyTables(t *testing.T) {
	root := hostileHost(t, func(db *sqlite3.Conn) {
		var b strings.Builder
		b.WriteString("BEGIN;")
		for i := range 2_000 {
			fmt.Fprintf(&b, "CREATE TABLE t%d (a, b, c, d);", i)
		}
		b.WriteString("CREATE TABLE transcript_events (session_id TEXT, seq INTEGER, event_json TEXT, created_at INTEGER);COMMIT")
		if err := db.Exec(b.String()); err != nil {
			t.Fatal(err)
		}
	}, "")
	if r := check(t, root); len(r.Gaps) > 0 {
		t.Errorf("gaps: %v", r.Gaps)
	}
}

// TestManyFaults examines a transcript in which everything is wrong: the findings stay few, and say how many there were.
func TestManyFaults(t *testing.T) {
	var b bytes.Buffer
	for i := range 50_000 {
		fmt.Fprintf(&b, `{"type":"message","id":"id-%d","parentId":"nobody","timestamp":"20%02d-01-01T00:00:00.000Z","message":{"role":"toolResult","toolCallId":"c%d","content":[]}}`+"\n", i, 10+i%20, i)
		b.WriteString("{\n")
	}
	r := check(t, hostileHost(t, nil, b.String()))
	if len(r.Findings) > 100 {
		t.Errorf("%d findings of a handful of kinds", len(r.Findings))
	}
	all := ""
	for _, f := range r.Findings {
		all += line(f) + strings.Join(f.Evidence, " ")
	}
	for _, want := range []string{"49900 more of this kind were counted and not kept", "the parent of an event is not in its session", "a tool's result has no call"} {
		if !strings.Contains(all, want) {
			t.Errorf("not told: %s", want)
		}
	}
}
