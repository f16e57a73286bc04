package integrity

import (
	"fmt"
	"slices"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/sqlite"
)

// A boot is one life of the gateway.
type boot struct {
	begin, end int64 // ms; end is 0 if none is recorded
	outcome    string
}

// stateDatabase reads the shared database: ledger, numbers of rows, boots, approvals and what names sessions.
func (c *checker) stateDatabase() {
	file := c.in.StateDB()
	attempt := 0
	c.gap(openclaw.ReadDatabase(c.ctx, c.fsys, file, func(d *openclaw.Database) error {
		if attempt++; attempt > 1 {
			c.rep.undecided("INT-005", "a database was being written while it was read")
			return nil
		}
		for _, step := range []func(*openclaw.Database) error{c.structure, c.readBoots, c.readLedger, c.numbers, c.named, c.journalRows, c.generated} {
			if err := step(d); err != nil {
				return err
			}
		}
		return nil
	})...)
	for _, side := range []string{"tasks/runs.sqlite", "flows/registry.sqlite", "plugin-state/state.sqlite"} {
		c.gap(openclaw.ReadDatabase(c.ctx, c.fsys, c.in.StateDir+"/"+side, c.structure)...)
	}
}

// readBoots reads when the gateway ran, and tells the boots that ended without a clean stop.
func (c *checker) readBoots(d *openclaw.Database) error {
	const t = "gateway_boot_lifecycle"
	if !d.Has(t, "boot_id", "started_at_ms", "completed_at_ms", "outcome") {
		return nil
	}
	err := each(c, d, "SELECT started_at_ms, completed_at_ms, outcome FROM "+t+" ORDER BY started_at_ms", func(row *sqlite.Row) {
		c.boots = append(c.boots, boot{row.Int(0), row.Int(1), text(row, 2)})
	})
	c.count("INT-008", int64(len(c.boots)))
	for i, b := range c.boots {
		if b.outcome != "" || i == len(c.boots)-1 {
			continue
		}
		c.boots[i].end = c.boots[i+1].begin
		c.add(Finding{
			Check: "INT-008", Level: low, Title: "the gateway ended without a clean stop", Path: d.Path, Time: ms(b.begin), Until: ms(c.boots[i+1].begin),
			Detail: "no outcome is recorded of a boot that another one followed", Benign: "it was killed, or crashed, or the machine went down",
		})
	}
	return err
}

// killedAfter reports whether the gateway ended without a clean stop at or after t, before the session's next event.
func (c *checker) killedAfter(t int64, s *session) bool {
	return slices.ContainsFunc(c.boots, func(b boot) bool {
		return b.outcome == "" && b.begin <= t && (b.end == 0 || t <= b.end)
	})
}

// namers are the tables of the shared database, besides the ledger, that name sessions: table, column and the column
// of a time. A row of "used" tables is written only when the session did something.
var namers = []struct {
	table, session, time string
	used                 bool
}{
	{"session_state_events", "session_id", "occurred_at", true},
	{"task_runs", "child_session_id", "created_at", true},
	{"worker_session_placements", "session_id", "updated_at_ms", false},
	{"operator_approvals", "source_session_id", "created_at_ms", true},
	{"worker_transcript_commit_heads", "session_id", "updated_at_ms", true},
	{"acp_sessions", "session_id", "updated_at", false},
}

// named notes the sessions that other tables name.
func (c *checker) named(d *openclaw.Database) error {
	for _, n := range namers {
		if !d.Has(n.table, n.session, n.time) {
			continue
		}
		query := fmt.Sprintf("SELECT %s, max(%s) FROM %s WHERE %s IS NOT NULL GROUP BY 1", n.session, n.time, n.table, n.session)
		err := each(c, d, query, func(row *sqlite.Row) {
			if id := text(row, 0); id != "" {
				c.session(id, "").name(n.table, n.used, row.Int(1))
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// appended are the tables whose rows are numbered by AUTOINCREMENT and never removed but from the beginning.
// session_pending_inputs is a queue, so its numbers say nothing.
var appended = []string{"audit_events", "session_state_events", "outbound_message_progress"}

// numbers looks for holes in the numbers of rows. A duplicate that is ignored burns one number, so a single one
// missing is told as such and not taken for a deletion.
func (c *checker) numbers(d *openclaw.Database) error {
	given := map[string]int64{}
	if d.Has("sqlite_sequence", "name", "seq") {
		if err := each(c, d, "SELECT lower(name), seq FROM sqlite_sequence", func(row *sqlite.Row) { given[text(row, 0)] = row.Int(1) }); err != nil {
			return err
		}
	}
	for _, table := range appended {
		if !d.Has(table, "sequence") {
			continue
		}
		heads, err := c.heads(d, table)
		if err != nil {
			return err
		}
		n := numbering{c: c, d: d, table: table, given: given[table], corroborated: heads}
		if err := n.check(); err != nil {
			return err
		}
	}
	return nil
}

// heads are numbers that another table says were given to a row.
func (c *checker) heads(d *openclaw.Database, table string) (map[int64]bool, error) {
	numbers := map[int64]bool{}
	if table != "session_state_events" || !d.Has("session_state_heads", "last_sequence") {
		return numbers, nil
	}
	err := each(c, d, "SELECT last_sequence FROM session_state_heads", func(row *sqlite.Row) { numbers[row.Int(0)] = true })
	return numbers, err
}

// A numbering is one table whose rows are numbered.
type numbering struct {
	c            *checker
	d            *openclaw.Database
	table        string
	given        int64 // the last number that SQLite gave
	corroborated map[int64]bool
	last         int64
	time         int64
}

func (n *numbering) check() error {
	column := n.d.Column(n.table, "occurred_at", "0")
	err := each(n.c, n.d, fmt.Sprintf("SELECT sequence, %s FROM %s NOT INDEXED ORDER BY sequence", column, n.table), func(row *sqlite.Row) {
		n.c.count("INT-005", 1)
		if seq := row.Int(0); n.last != 0 && seq > n.last+1 {
			n.hole(n.last+1, seq-1, row.Int(1))
		}
		n.last, n.time = row.Int(0), row.Int(1)
	})
	if err == nil && n.given > n.last {
		n.hole(n.last+1, n.given, 0)
	}
	return err
}

// hole tells of numbers from first to last that no row bears. until is the time of the row after them; 0 if none follows.
func (n *numbering) hole(first, last, until int64) {
	f := Finding{Check: "INT-005", Level: critical, Path: n.d.Path, Line: first, Time: ms(n.time), Until: ms(until)}
	f.Title = "rows of " + n.table + " are missing"
	f.Detail = fmt.Sprintf("numbers %d to %d were given to no row that is there", first, last)
	if first == last {
		f.Detail = fmt.Sprintf("number %d was given to no row that is there", first)
	}
	if until == 0 {
		f.Title = "the last rows of " + n.table + " are missing"
	}
	if n.table != "audit_events" {
		f.Level = high
	}
	if first == last && !n.corroborates(first) {
		f.Level, f.Title = low, "a number of "+n.table+" was given to no row"
		f.Benign = "a duplicate that was ignored burns a number"
	}
	n.c.add(f)
}

// corroborates reports whether something else shows that a row bore the number.
func (n *numbering) corroborates(number int64) bool {
	if n.table == "audit_events" {
		return n.c.ledger.jumpsAt(number)
	}
	return n.corroborated[number]
}
