package changes

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/ncruces/go-sqlite3"

	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/secret"
	"github.com/clawbook/openclaw-ir/internal/statetest"
)

func between(tb testing.TB, older, newer string) *Report {
	tb.Helper()
	side := func(dir string) Side {
		root, err := host.OpenRoot(dir)
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { root.Close() })
		find := openclaw.FindOptions{UID: -1}
		installs, _ := openclaw.Find(root, find)
		return Side{FS: root, Installs: installs, Find: find, Taken: time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)}
	}
	r, err := Between(tb.Context(), side(older), side(newer), Options{Set: secret.NewSet(secret.NewFingerprinter([]byte("salt")))})
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// told lists the changes as "kind status name".
func told(r *Report) (list []string) {
	for _, c := range r.Changes {
		list = append(list, fmt.Sprintf("%s %s %s", c.Kind, c.Status, c.Name))
	}
	slices.Sort(list)
	return list
}

// noSecrets fails if a secret of the states is anywhere in a report.
func noSecrets(tb testing.TB, r *Report) {
	tb.Helper()
	text, err := json.Marshal(r)
	if err != nil {
		tb.Fatal(err)
	}
	for i, s := range statetest.Secrets(tb) {
		if strings.Contains(string(text), s) {
			tb.Errorf("the report holds planted secret number %d", i+1)
		}
	}
}

// TestBetweenSame compares the real state of every release with itself.
func TestBetweenSame(t *testing.T) {
	versions := statetest.Versions()
	if statetest.Raced() { // which is slow, and finds no more in the others
		versions = versions[len(versions)-1:]
	}
	for _, version := range versions {
		root := statetest.Root(t, version)
		if r := between(t, root, root); len(r.Changes) > 0 || r.Noted() || r.Rewritten() {
			t.Errorf("%s: %q", version, told(r))
		}
	}
}

// TestBetweenReleases compares two releases' states, in which almost everything is another: nothing of it is a secret.
func TestBetweenReleases(t *testing.T) {
	versions := statetest.Versions()
	r := between(t, statetest.Root(t, versions[0]), statetest.Root(t, versions[len(versions)-1]))
	if len(r.Changes) == 0 {
		t.Error("two releases are the same")
	}
	noSecrets(t, r)
}

const (
	stateDB = "home/alice/.openclaw/state/openclaw.sqlite"
	agentDB = "home/alice/.openclaw/agents/main/agent/openclaw-agent.sqlite"
)

// TestBetweenDatabases changes the databases of a release that keeps all in them.
func TestBetweenDatabases(t *testing.T) {
	older, newer := statetest.Root(t, "2026.9.6/stopped"), statetest.Root(t, "2026.9.6/stopped")
	for _, x := range []struct {
		name, db  string
		sql       []string
		kinds     []string // that change
		rewritten bool
	}{
		{"what is set up", stateDB, []string{
			"UPDATE cron_jobs SET name = 'other', job_json = json_set(job_json, '$.name', 'other') WHERE rowid = (SELECT min(rowid) FROM cron_jobs)",
			"DELETE FROM cron_jobs WHERE rowid = (SELECT max(rowid) FROM cron_jobs)",
			"INSERT INTO channel_pairing_allow_entries (channel_key, account_id, entry, sort_order, updated_at) VALUES ('telegram', 'default', '777', 9, 1795000000000)",
			"INSERT INTO device_pairing_paired (device_id, public_key, created_at_ms, approved_at_ms) VALUES ('abcdef', 'k', 1, 1795000000000)",
		}, []string{"automation changed", "automation removed", "device added", "pairing added"}, false},
		{"a word of the past", agentDB, []string{"UPDATE transcript_events SET event_json = replace(event_json, 'hello', 'adieu') WHERE seq = 4 AND session_id = (SELECT session_id FROM transcript_events WHERE event_json LIKE '%hello%' AND seq = 4 LIMIT 1)"}, []string{"past changed"}, true},
		{"rows of the past", stateDB, []string{"DELETE FROM audit_events WHERE sequence > 190", "UPDATE sqlite_sequence SET seq = 190 WHERE name = 'audit_events'"}, []string{"past changed"}, true},
	} {
		t.Run(x.name, func(t *testing.T) {
			change(t, filepath.Join(newer, x.db), x.sql...)
			r := between(t, older, newer)
			var kinds []string
			for _, c := range r.Changes {
				kinds = append(kinds, string(c.Kind)+" "+string(c.Status))
			}
			if slices.Sort(kinds); !slices.Equal(slices.Compact(kinds), x.kinds) || r.Rewritten() != x.rewritten {
				t.Errorf("%q, rewritten: %v; want %q", told(r), r.Rewritten(), x.kinds)
			}
			noSecrets(t, r)
		})
	}
}

// change changes a database for one test.
func change(t *testing.T, file string, statements ...string) {
	t.Helper()
	for _, name := range []string{file, file + "-wal", file + "-shm"} {
		before, err := os.ReadFile(name)
		t.Cleanup(func() {
			if err != nil {
				os.Remove(name)
			} else if err := os.WriteFile(name, before, 0o600); err != nil {
				t.Error(err)
			}
		})
	}
	db, err := sqlite3.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, s := range append([]string{"PRAGMA foreign_keys = OFF"}, statements...) {
		if err := db.Exec(s); err != nil {
			t.Fatal(err)
		}
	}
	if db.TotalChanges() == 0 {
		t.Fatal("nothing was changed")
	}
}

// TestBetweenBounds makes more changes than are told, and counts them all.
func TestBetweenBounds(t *testing.T) {
	older, newer := statetest.Root(t, "2026.2.12"), statetest.Root(t, "2026.2.12")
	dir := filepath.Join(newer, "home/claw/.openclaw/workspace/memory")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	const files = maxChanges + 10
	for i := range files {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%05d.md", i)), []byte("note\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := between(t, older, newer)
	if n := r.Count(Memory); n != files || len(r.Changes) != maxChanges || r.Dropped[Memory] != 10 || len(r.Gaps) > 0 {
		t.Errorf("%d counted, %d told, %d not, gaps %v", n, len(r.Changes), r.Dropped[Memory], r.Gaps)
	}
}

// FuzzBetween compares two hosts whose files could have been written by anybody. One does not differ from itself, what differs one way
// differs the other way, and no secret is told.
func FuzzBetween(f *testing.F) {
	f.Add(`{gateway:{auth:{token:"FAKE-token-0123456789"}},channels:{telegram:{allowFrom:["*"]}}}`, `{gateway:{bind:"lan"},agents:{list:[{id:"a"}]}}`, "soul", `{"jobs":[{"id":"j","enabled":true}]}`)
	f.Add("{", "{$include:'./openclaw.json'}", "\x00\xff", "[]")
	const state = "home/claw/.openclaw/"
	f.Fuzz(func(t *testing.T, older, newer, soul, jobs string) {
		side := func(config, soul, jobs string) Side {
			fsys := fstest.MapFS{}
			for name, text := range map[string]string{
				"etc/passwd": "claw:x:1000:1000::/home/claw:/bin/sh\n", state + "openclaw.json": config, state + "workspace/SOUL.md": soul, state + "cron/jobs.json": jobs,
				state + "workspace/skills/a/SKILL.md": soul,
			} {
				fsys[name] = &fstest.MapFile{Data: []byte(text), Mode: 0o600}
			}
			installs, _ := openclaw.Find(fsys, openclaw.FindOptions{UID: -1})
			return Side{FS: fsys, Installs: installs, Taken: time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)}
		}
		differ := func(a, b Side) *Report {
			r, err := Between(t.Context(), a, b, Options{Set: secret.NewSet(secret.NewFingerprinter([]byte("salt")))})
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		a, b := side(older, soul, jobs), side(newer, "other "+soul, "{}")
		if r := differ(a, a); len(r.Changes) > 0 {
			t.Errorf("it differs from itself: %q", told(r))
		}
		there, back := differ(a, b), differ(b, a)
		for kind := range there.Counts { // of a config that cannot be read a gap tells
			if kind != Config && there.Count(kind) != back.Count(kind) {
				t.Errorf("there %q, and back %q", told(there), told(back))
			}
		}
		if text, _ := json.Marshal(there); strings.Contains(older, `token:"FAKE-token-0123456789"`) && strings.Contains(string(text), "FAKE-token-0123456789") {
			t.Error("a token is told")
		}
	})
}
