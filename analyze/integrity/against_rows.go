package integrity

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/sqlite"
)

// A lasting is a table whose rows stay as they were written. Only the columns given are compared: others change with
// the life of what the row is about. session names the column that says whose row it is; such rows go with a session.
type lasting struct {
	check          string
	table, session string
	key, same      []string
	where          string
	retention      bool // the oldest rows are removed in time
}

// lastings are the tables that are compared; transcript_events are compared as events.
var lastings = []lasting{
	{check: "INT-005", table: "audit_events", key: []string{"sequence"}, same: []string{"event_id", "source_sequence", "occurred_at", "action", "status", "session_id", "run_id", "tool_call_id", "tool_name"}, retention: true},
	{check: "INT-005", table: "session_state_events", key: []string{"sequence"}, same: []string{"dedupe_key", "kind", "occurred_at", "session_key"}, retention: true},
	{check: "INT-005", table: "outbound_message_progress", key: []string{"sequence"}, same: []string{"progress_id", "source_id", "occurred_at", "action"}, retention: true},
	{check: "INT-007", table: "trajectory_runtime_events", session: "session_id", key: []string{"session_id", "seq"}, same: []string{"event_json", "created_at"}},
	{check: "INT-007", table: "session_transcript_archives", key: []string{"session_id", "generation"}, same: []string{"archive_sha256", "archive_name", "created_at"}},
	{check: "CFG-018", table: "diagnostic_events", where: "scope = 'config-audit'", key: []string{"event_key"}, same: []string{"payload_json", "created_at"}, retention: true},
	{check: "INT-012", table: "operator_approvals", key: []string{"approval_id"}, same: []string{"presentation_json", "created_at_ms", "source_tool_call_id"}},
	{check: "INT-008", table: "gateway_boot_lifecycle", key: []string{"boot_id"}, same: []string{"pid", "started_at_ms"}, retention: true},
	{check: "INT-007", table: "cron_run_receipts", key: []string{"receipt_id"}, same: []string{"job_id", "started_at_ms"}, retention: true},
	{check: "INT-007", table: "execution_decision_facts", key: []string{"receipt_id"}, same: []string{"receipt_json", "occurred_at"}, retention: true},
	{check: "INT-007", table: "task_runs", key: []string{"task_id"}, same: []string{"task", "task_kind", "created_at"}, retention: true},
}

// databases compares the rows of every database of then with those of now.
func (a *against) databases() {
	for _, file := range a.databaseFiles() {
		for i := range lastings {
			a.table(file, &lastings[i])
		}
	}
}

func (a *against) databaseFiles() []string {
	files := []string{a.was.StateDB(), a.was.StateDir + "/tasks/runs.sqlite"}
	for _, agent := range a.was.Agents {
		files = append(files, agent.Database)
	}
	slices.Sort(files)
	return slices.Compact(files)
}

// A rowOf is a row of then.
type rowOf struct {
	content uint64
	name    string // only of the first few
	session uint64
	number  int64 // of a row that is numbered
}

func (a *against) table(file string, l *lasting) {
	was, columns := a.rows(a.older, file, l, nil)
	if len(was) == 0 {
		return
	}
	a.rep.count(l.check, int64(len(was)))
	now, _ := a.rows(a.newer, file, l, columns)
	var missing, changed []string
	first := oldest(now)
	for key, row := range was {
		switch n, ok := now[key]; {
		case !ok && l.retention && row.number > 0 && row.number < first:
		case !ok && (row.session == 0 || !a.goneHash()[row.session]):
			missing = append(missing, row.name)
		case ok && n.content != row.content:
			changed = append(changed, row.name)
		}
	}
	a.tellRows(file, l, missing, "rows of then are missing from "+l.table, len(was))
	a.tellRows(file, l, changed, "rows of then were changed in "+l.table, len(was))
}

// oldest is the smallest number of a row that is there; the rows before it were removed in time.
func oldest(rows map[uint64]rowOf) (first int64) {
	for _, r := range rows {
		if first == 0 || r.number < first {
			first = r.number
		}
	}
	return first
}

// goneHash are the sessions of which only an archive is left.
func (a *against) goneHash() map[uint64]bool {
	if a.goneKeys == nil {
		a.goneKeys = map[uint64]bool{}
		c := &checker{seed: a.seed}
		for id, gone := range a.gone {
			if gone {
				a.goneKeys[c.hash([]byte(id))] = true
			}
		}
	}
	return a.goneKeys
}

func (a *against) tellRows(file string, l *lasting, names []string, title string, of int) {
	if len(names) == 0 {
		return
	}
	slices.SortFunc(names, func(x, y string) int { return strings.Compare(fmt.Sprintf("%20s", x), fmt.Sprintf("%20s", y)) })
	f := Finding{
		Check: l.check, Level: critical, Title: title, Path: file, Detail: fmt.Sprintf("%d of %d rows that the earlier evidence holds", len(names), of), Evidence: listed(names),
	}
	if l.retention && l.key[0] != "sequence" {
		f.Level, f.Benign = medium, "OpenClaw removes the oldest rows in time"
	}
	a.rep.add(f)
}

// rows reads a table's rows of one side. columns are those compared; nil for all that are there.
func (a *against) rows(fsys fs.FS, file string, l *lasting, columns []string) (rows map[uint64]rowOf, compared []string) {
	c := &checker{ctx: a.ctx, seed: a.seed}
	gaps := openclaw.ReadDatabase(a.ctx, fsys, file, func(d *openclaw.Database) error {
		rows, compared = map[uint64]rowOf{}, columns
		if !d.Has(l.table, l.key...) {
			return nil
		}
		if compared == nil {
			for _, name := range l.same {
				if d.Has(l.table, name) {
					compared = append(compared, name)
				}
			}
		}
		list := slices.Clone(l.key)
		for _, name := range compared {
			list = append(list, d.Column(l.table, name, "NULL"))
		}
		query := fmt.Sprintf("SELECT %s FROM %s NOT INDEXED", strings.Join(list, ", "), l.table)
		if l.where != "" {
			query += " WHERE " + l.where
		}
		return each(c, d, query, func(row *sqlite.Row) { key, r := l.row(c, row, len(list)); rows[key] = r })
	})
	a.rep.Gaps = append(a.rep.Gaps, gaps...)
	return rows, compared
}

func (l *lasting) row(c *checker, row *sqlite.Row, n int) (key uint64, r rowOf) {
	var keys, rest [][]byte
	var names []string
	for i := range n {
		value := slices.Clone(row.Text(i))
		if i < len(l.key) {
			keys = append(keys, value)
			names = append(names, short(string(value)))
		} else {
			rest = append(rest, value)
		}
	}
	if l.key[0] == "sequence" {
		r.number = row.Int(0)
	}
	if l.session != "" {
		r.session = c.hash(keys[0])
	}
	r.content, r.name = c.hash(rest...), strings.Join(names, " ")
	return c.hash(keys...), r
}
