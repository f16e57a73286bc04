package collect

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/ncruces/go-sqlite3"
)

const agentDatabase = state + "/agents/main/agent/openclaw-agent.sqlite"

// TestRowAlarms says which rows of a database sound an alarm when they are no longer what they were.
func TestRowAlarms(t *testing.T) {
	now := time.Now().UnixMilli()
	long := now - 40*24*3600*1000
	for name, c := range map[string]struct{ sql, want string }{
		"rows are added": {"INSERT INTO transcript_events VALUES ('s1', 9, '{}', %d, NULL); INSERT INTO audit_events VALUES (1001, %[1]d, 'x')", ""},
		"and a session":  {"INSERT INTO transcript_events VALUES ('s9', 1, '{}', %d, NULL)", ""},
		"row rewritten":  {"UPDATE transcript_events SET event_json = '{\"other\":1}' WHERE session_id = 's1' AND seq = 2", `rows of session "s1" are not what snapshot 1 holds`},
		"row deleted":    {"DELETE FROM transcript_events WHERE session_id = 's1' AND seq = 2", `1 of 3 rows of session "s1", which snapshot 1 holds, are no more`},
		"row moved":      {"UPDATE transcript_events SET seq = 99 WHERE session_id = 's1' AND seq = 2", `1 of 3 rows of session "s1"`},
		"session gone":   {"DELETE FROM transcript_events WHERE session_id = 's1'", `3 of 3 rows of session "s1"`},
		"session archived": {
			"DELETE FROM transcript_events WHERE session_id = 's1'; INSERT INTO session_transcript_archives VALUES ('s1', x'00')", "",
		},
		"old session pruned": {"DELETE FROM transcript_events WHERE session_id = 'old'", ""},
		"compressed":         {"UPDATE transcript_events SET event_json = NULL, event_zstd = (SELECT z FROM packed) WHERE session_id = 's1' AND seq = 2", ""},
		"ledger rewritten":   {"UPDATE audit_events SET action = 'y' WHERE sequence = 600", "rows of the ledger from number 512 on are not what snapshot 1 holds"},
		"ledger row deleted": {"DELETE FROM audit_events WHERE sequence = 600", "1 of 489 rows of the ledger from number 512 on"},
		"ledger pruned":      {"DELETE FROM audit_events WHERE sequence < 300", ""},
		"vacuum":             {"VACUUM", ""},
		"in capitals":        {"ALTER TABLE audit_events RENAME TO a; ALTER TABLE a RENAME TO AUDIT_Events", ""},
		"a table more":       {"CREATE TABLE more (a)", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, map[string]string{agentDatabase: ""})
			db, err := sqlite3.Open("file:" + l.dir + agentDatabase)
			l.must(err)
			defer db.Close()
			exec := func(sql string) {
				t.Helper()
				if strings.Contains(sql, "%") {
					sql = fmt.Sprintf(sql, now)
				}
				l.must(db.Exec(sql))
			}
			exec(`PRAGMA journal_mode=WAL; CREATE TABLE transcript_events (session_id TEXT NOT NULL, seq INTEGER NOT NULL, event_json TEXT, created_at INTEGER NOT NULL, event_zstd BLOB, PRIMARY KEY (session_id, seq));
				CREATE TABLE audit_events (sequence INTEGER PRIMARY KEY, occurred_at INTEGER NOT NULL, action TEXT);
				CREATE TABLE session_transcript_archives (session_id TEXT, archive_blob BLOB); CREATE TABLE packed (z BLOB)`)
			exec(`INSERT INTO transcript_events VALUES ('s1', 1, '{"a":1}', %d, NULL), ('s1', 2, '{"a":2}', %[1]d, NULL), ('s1', 3, '{"a":3}', %[1]d, NULL), ('s2', 1, '{}', %[1]d, NULL)`)
			exec(fmt.Sprintf("INSERT INTO transcript_events VALUES ('old', 1, '{}', %d, NULL)", long))
			exec(fmt.Sprintf(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 1000)
				INSERT INTO audit_events SELECT i, CASE WHEN i < 512 THEN %d ELSE %d END, 'a' FROM n`, long, now))
			s, _, err := db.Prepare("INSERT INTO packed VALUES (?)")
			l.must(err)
			l.must(s.BindBlob(1, packZstd(t, `{"a":2}`)))
			s.Step()
			l.must(s.Close())
			if s := l.take(SnapshotOptions{}); len(s.Outcome.Alarms) > 0 {
				t.Fatalf("at first: %+v", s.Outcome.Alarms)
			}
			exec(c.sql)
			got := l.take(SnapshotOptions{}).Outcome.Alarms
			switch {
			case c.want == "" && len(got) > 0:
				t.Errorf("alarms: %+v", got)
			case c.want != "" && (len(got) != 1 || got[0].Kind != "rows" || got[0].Path != agentDatabase || !strings.Contains(got[0].Detail, c.want)):
				t.Errorf("alarms %+v, want %q", got, c.want)
			}
			for name, text := range l.chain().Bundle(2).Header().Notes {
				if name == "rows not compared" {
					t.Errorf("not compared: %s", text)
				}
			}
			if s := l.take(SnapshotOptions{Full: true}); len(s.Outcome.Alarms) > 0 {
				t.Errorf("told twice: %+v", s.Outcome.Alarms)
			}
		})
	}
}

// TestRowsMadeOld: to set the times of a session's rows back does not make it one that OpenClaw prunes.
func TestRowsMadeOld(t *testing.T) {
	l := newLab(t, map[string]string{agentDatabase: ""})
	db, err := sqlite3.Open("file:" + l.dir + agentDatabase)
	l.must(err)
	defer db.Close()
	for _, step := range []struct {
		sql    string
		alarms int
	}{
		{fmt.Sprintf(`CREATE TABLE transcript_events (session_id TEXT, seq INTEGER, event_json TEXT, created_at INTEGER);
			INSERT INTO transcript_events VALUES ('s1', 1, '{}', %d), ('s2', 1, '{}', %[1]d)`, time.Now().UnixMilli()), 0},
		{"UPDATE transcript_events SET created_at = 1", 0},
		{"DELETE FROM transcript_events WHERE session_id = 's1'", 1},
	} {
		l.must(db.Exec(step.sql))
		if got := l.take(SnapshotOptions{}).Outcome.Alarms; len(got) != step.alarms {
			t.Errorf("%s: alarms %+v", step.sql, got)
		}
	}
}

func packZstd(t *testing.T, text string) []byte {
	t.Helper()
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	return enc.EncodeAll([]byte(text), nil)
}
