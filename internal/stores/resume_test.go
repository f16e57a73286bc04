package stores

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ncruces/go-sqlite3"
	"pgregory.net/rapid"

	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/json5"
)

// sql reads or changes a database of the machine with stock settings, triggers included, and returns the rows' first
// columns.
func (m machine) sql(t *testing.T, file, statements string) (rows []string) {
	t.Helper()
	conn, err := sqlite3.Open(filepath.Join(m.in.StateDir, file))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for statements != "" {
		var s *sqlite3.Stmt
		if s, statements, err = conn.Prepare(statements); err != nil {
			t.Fatal(err)
		}
		if s == nil {
			break
		}
		for s.Step() {
			rows = append(rows, s.ColumnText(0))
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return rows
}

// plant writes files as the user.
func (m machine) plant(t *testing.T, files map[string]string) {
	t.Helper()
	for name, text := range files {
		file := filepath.Join(m.in.StateDir, name)
		_, was, err := host.ReadFile(m.owner, file)
		if err == nil {
			_, err = host.Rewrite(m.owner, file, []byte(text), was, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

const (
	sharedDB = "state/openclaw.sqlite"
	mainDB   = "agents/main/agent/openclaw-agent.sqlite"
)

// TestSessionsStayValid: what the gateway checks at its start holds for the rows that were changed.
func TestSessionsStayValid(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"2026.9.6/running", "2026.9.6/stopped"} {
		m := unpack(t, version)
		m.defuse(t)
		const q = `SELECT status || entry_valid || json_extract(entry_json, '$.status') FROM session_nodes WHERE session_key = 'agent:main:main';
			SELECT count(*) FROM session_nodes WHERE NOT entry_valid; SELECT count(*) FROM session_canonical_validation_pending;
			SELECT count(*) FROM session_windows WHERE status = 'running'`
		if got := m.sql(t, mainDB, q); strings.Join(got, " ") != "killed1killed 0 0 0" {
			t.Errorf("%s: %q", version, got)
		}
		keys := m.sql(t, mainDB, `SELECT key FROM session_nodes, json_each(entry_json) WHERE key LIKE '%ecovery%' OR key = 'abortedLastRun' AND value`)
		if strings.Join(keys, " ") != "restartRecoveryTerminalRunIds" {
			t.Errorf("%s: left in the entries: %q", version, keys)
		}
		if got := m.sql(t, sharedDB, `SELECT count(*) FROM cron_jobs WHERE enabled OR json_extract(job_json, '$.enabled') OR NOT json_valid(job_json)`); got[0] != "0" {
			t.Errorf("%s: %s automations", version, got)
		}
	}
}

// TestEveryStep plants rows for each step in a real database, and beside them such as must stay as they are.
func TestEveryStep(t *testing.T) {
	t.Parallel()
	m := unpack(t, "2026.9.6/stopped")
	m.defuse(t)
	quiet := m.counts(t)
	m.sql(t, sharedDB, `
		INSERT INTO delivery_queue_entries(queue_name, id, status, recovery_state, entry_json, enqueued_at, updated_at) VALUES
			('outbound-prepared-v1', 'a', 'pending', 'producer_claimed', '{}', 1, 1), ('session', 'b', 'failed', 'settlement_pending', '{}', 1, 1),
			('outbound-media-staging', 'c', 'pending', NULL, '{}', 1, 1), ('outbound-prepared-v1', 'd', 'failed', 'x', '{}', 1, 1);
		INSERT INTO subagent_runs(run_id, child_session_key, requester_session_key, created_at, payload_json) VALUES
			('a', 'k', 'k', 1, '{"execution":{"status":"running"}}'), ('b', 'k', 'k', 1, '{"cleanupCompletedAt":5}'),
			('c', 'k', 'k', 1, '{"cleanupCompletedAt":5,"requesterSettleWake":{}}'), ('d', 'k', 'k', 1, 'no JSON');
		INSERT INTO gateway_restart_sentinel(sentinel_key, version, kind, status, ts, payload_json, updated_at_ms) VALUES
			('current', 1, 'restart', 'ok', 1, '{}', 1), ('revision-floor', 1, 'restart', 'ok', 1, '{}', 1);
		INSERT INTO gateway_restart_intent(intent_key, kind, pid, created_at, updated_at_ms) VALUES ('a', 'restart', 1, 1, 1);
		INSERT INTO gateway_restart_handoff(handoff_key, kind, version, intent_id, pid, created_at, expires_at, source, restart_kind, supervisor_mode, updated_at_ms)
			VALUES ('a', 'k', 1, 'a', 1, 1, 1, 's', 'r', 'm', 1);
		INSERT INTO task_runs(task_id, runtime, owner_key, scope_kind, task, status, delivery_status, notify_policy, created_at) VALUES
			('a', 'cli', 'k', 'session', 't', 'running', 'pending', 'done_only', 1), ('b', 'cli', 'k', 'session', 't', 'succeeded', 'pending', 'done_only', 1),
			('c', 'cli', 'k', 'session', 't', 'succeeded', 'delivered', 'done_only', 1);
		INSERT INTO flow_runs(flow_id, owner_key, status, notify_policy, goal, created_at, updated_at) VALUES ('a', 'k', 'waiting', 'silent', 'g', 1, 1);
		UPDATE cron_jobs SET enabled = 1 WHERE name = 'nightly-report';`)
	m.sql(t, mainDB, `
		INSERT INTO session_pending_inputs(input_id, session_key, session_id, idempotency_key, run_id, request_hash, message_json, lifecycle_generation, state, accepted_at)
			SELECT 'a', session_key, current_session_id, 'i', 'r', 'h', '{}', 'g', 'queued', 1 FROM session_nodes LIMIT 1;`)
	want := maps.Clone(quiet)
	for kind, n := range map[string]int{"delivery": 2, "subagent": 3, "restart": 3, "task": 2, "flow": 1, "input": 1, "automation": 1} {
		want[kind] += n
	}
	if diff := cmp.Diff(want, m.counts(t)); diff != "" {
		t.Fatalf("pending (-want +got):\n%s", diff)
	}
	m.defuse(t)
	if diff := cmp.Diff(quiet, m.counts(t)); diff != "" {
		t.Errorf("pending after (-want +got):\n%s", diff)
	}
	got := m.sql(t, sharedDB, `SELECT id || status || ifnull(recovery_state, '') || (failed_at IS NULL) FROM delivery_queue_entries ORDER BY id;
		SELECT run_id FROM subagent_runs WHERE length(run_id) = 1; SELECT sentinel_key FROM gateway_restart_sentinel;
		SELECT task_id || status || delivery_status FROM task_runs WHERE length(task_id) = 1 ORDER BY task_id`)
	if diff := cmp.Diff([]string{
		"afailed0", "bfailed0", "cpending1", "dfailedx1", "b", "revision-floor",
		"acancellednot_applicable", "bsucceedednot_applicable", "csucceededdelivered",
	}, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

// TestHostileRows: a row that can't be read still ends, and an entry that says one thing twice is wholly changed.
func TestHostileRows(t *testing.T) {
	t.Parallel()
	m := unpack(t, "2026.9.6/stopped")
	m.defuse(t)
	quiet := m.counts(t)
	m.sql(t, mainDB, `UPDATE session_nodes SET status = 'running', entry_json = '{"status":"done","status":"running","sessionId":"x"}' WHERE session_key = 'agent:main:main';
		UPDATE session_nodes SET status = 'running', entry_json = 'broken' WHERE session_key <> 'agent:main:main'`)
	m.sql(t, sharedDB, `UPDATE cron_jobs SET job_json = '{"enabled":true,"enabled":false}' WHERE name = 'nightly-report'`)
	if got := m.counts(t); got["turn"] != 2 || got["automation"] != quiet["automation"]+1 {
		t.Error(got)
	}
	m.defuse(t)
	if diff := cmp.Diff(quiet, m.counts(t)); diff != "" {
		t.Errorf("pending after (-want +got):\n%s", diff)
	}
	got := m.sql(t, mainDB, `SELECT status || entry_json FROM session_nodes ORDER BY session_key`)
	if diff := cmp.Diff([]string{`killed{"status":"killed","status":"killed","sessionId":"x"}`, "killedbroken"}, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

// TestJSONStores plants what older releases resume from in their files.
func TestJSONStores(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"2026.2.12", "2026.3.31", "2026.7.1"} { // the last as an upgraded host has them
		m := unpack(t, version)
		m.defuse(t)
		quiet := m.counts(t)
		m.plant(t, map[string]string{
			"delivery-queue/1.json":         `{}`,
			"delivery-queue/1.json.9.tmp":   `{}`,
			"delivery-queue/failed/2.json":  `{}`,
			"session-delivery-queue/3.json": `{}`,
			"restart-sentinel.json":         `{}`,
			"commitments/commitments.json":  `{"commitments":[{"id":"a","status":"pending"},{"id":"b","status":"sent"}]}`,
			"subagents/runs.json":           `{"version":2,"runs":{"a":{"createdAt":1},"b":{"cleanupCompletedAt":2},"c":{},"d":{}}}`,
			"agents/ops/sessions/sessions.json": `{"agent:ops:main":{"sessionId":"s","status":"running","abortedLastRun":true,"restartRecoveryRuns":[{}],"x":1},` +
				`"agent:ops:other":{"status":"done","abortedLastRun":true}}`,
		})
		want := maps.Clone(quiet)
		for kind, n := range map[string]int{"delivery": 2, "restart": 1, "commitment": 1, "subagent": 3, "turn": 1} {
			want[kind] += n
		}
		if diff := cmp.Diff(want, m.counts(t)); diff != "" {
			t.Fatalf("%s: pending (-want +got):\n%s", version, diff)
		}
		m.defuse(t)
		if diff := cmp.Diff(quiet, m.counts(t)); diff != "" {
			t.Errorf("%s: pending after (-want +got):\n%s", version, diff)
		}
		for file, want := range map[string]string{
			"delivery-queue/1.json" + aside:         `{}`,
			"delivery-queue/failed/2.json":          `{}`,
			"session-delivery-queue/3.json" + aside: `{}`,
			"restart-sentinel.json" + aside:         `{}`,
			"commitments/commitments.json":          `{"commitments":[{"id":"a","status":"dismissed"},{"id":"b","status":"sent"}]}`,
			"subagents/runs.json":                   `{"version":2,"runs":{"b":{"cleanupCompletedAt":2}}}`,
			"agents/ops/sessions/sessions.json":     `{"agent:ops:main":{"sessionId":"s","status":"killed","x":1},"agent:ops:other":{"status":"done","abortedLastRun":true}}`,
		} {
			if got, err := os.ReadFile(filepath.Join(m.in.StateDir, file)); err != nil || string(got) != want {
				t.Errorf("%s: %s: %s, %v", version, file, got, err)
			}
		}
	}
}

// TestLinks: what the user can't change isn't changed through a link of theirs.
func TestLinks(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root: a file that the user can't write")
	}
	m := unpack(t, "2026.3.31")
	victim := filepath.Join(t.TempDir(), "jobs.json")
	const text = `{"jobs":[{"id":"a"}]}`
	if err := os.WriteFile(victim, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	file := cronFile(m.in)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, file); err != nil {
		t.Fatal(err)
	}
	if _, err := Defuse(context.Background(), m.owner, m.in); err == nil {
		t.Error("no error")
	}
	if got, err := os.ReadFile(victim); err != nil || string(got) != text {
		t.Errorf("%s, %v", got, err)
	}
}

// TestWithout: taking members out of an object leaves the others, byte for byte.
func TestWithout(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		keys := rapid.SliceOfDistinct(rapid.StringMatching(`[a-z]{1,3}`), rapid.ID).Draw(r, "keys")
		space := rapid.SampledFrom([]string{"", " ", "\n\t", " /* , } */ "}).Draw(r, "space")
		var members, kept []string
		gone := map[string]bool{}
		for _, k := range keys {
			member := `"` + k + `"` + space + ":" + space + rapid.SampledFrom([]string{"1", `"}"`, "{}", "[1, 2]"}).Draw(r, "value")
			members = append(members, member)
			if gone[k] = rapid.Bool().Draw(r, "gone"); !gone[k] {
				kept = append(kept, member)
			}
		}
		text := []byte("{" + space + strings.Join(members, space+","+space) + space + "}")
		root, err := json5.Parse(text)
		if err != nil {
			r.Fatal(err)
		}
		got := splice(text, without(root, func(m json5.Member) bool { return gone[m.Key] }))
		after, err := json5.Parse(got)
		if err != nil || len(after.Members) != len(kept) {
			r.Fatalf("%s became %s: %v", text, got, err)
		}
		for i, m := range after.Members {
			if string(got[m.KeyStart:m.Value.End]) != kept[i] {
				r.Fatalf("%s became %s", text, got)
			}
		}
		more := splice(got, set(after, "enabled", "false"))
		if v, err := json5.Parse(more); err != nil || v.Get("enabled").Kind != json5.Bool || len(v.Members) != len(kept)+1 {
			r.Fatalf("%s became %s: %v", got, more, err)
		}
	})
}
