package integrity

import (
	"fmt"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/sqlite"
)

// newestSchema is the newest schema of any OpenClaw database that was studied (the agent's, in 2026.9.6).
const newestSchema = 23

// maxDamage is how many of SQLite's complaints are kept.
const maxDamage = 5

// structure checks a database's file: SQLite's quick check, its length, its schema's number, and who wrote it last.
func (c *checker) structure(d *openclaw.Database) error {
	version, size := d.Writer()
	page := int64(max(d.Log().PageSize, 1))
	c.count("INT-009", size/page)
	damage, err := d.Check(c.ctx)
	if err != nil {
		return err
	}
	f := Finding{Check: "INT-009", Path: d.Path}
	if len(damage) > 0 {
		f.Level, f.Title, f.Detail = high, "a database is damaged", damage[0]
		f.Evidence = damage[:min(len(damage), maxDamage)]
		f.Benign = "a copy of a database that was being written"
		c.add(f)
	}
	if size%page != 0 {
		c.add(Finding{Check: "INT-009", Level: medium, Title: "a database's last page is cut short", Path: d.Path, Detail: fmt.Sprintf("%d bytes, pages have %d", size, page), Benign: "a copy that was cut short"})
	}
	if err := c.schema(d); err != nil {
		return err
	}
	if w := d.Log().WAL; w.Stopped == sqlite.StopChecksum {
		c.add(Finding{
			Check: "INT-009", Level: medium, Title: "a write-ahead log is torn", Path: d.Path + "-wal", Detail: fmt.Sprintf("%d of %d frames were not used: %s", w.Ignored, w.Frames, w.Detail),
			Benign: "a crash during a write, or a copy of a database that was being written",
		})
	}
	c.writer(d.Path, version)
	return nil
}

// schema compares the number of the schema with what OpenClaw keeps of it itself.
func (c *checker) schema(d *openclaw.Database) error {
	number := d.SchemaVersion()
	if number > newestSchema {
		c.rep.undecided("INT-009", fmt.Sprintf("a schema newer than those known (%d)", number))
	}
	c.tables(d, number)
	if !d.Has("schema_meta", "meta_key", "schema_version") {
		return nil
	}
	return each(c, d, "SELECT schema_version FROM schema_meta WHERE meta_key = 'primary'", func(row *sqlite.Row) {
		if said := row.Int(0); said != number {
			c.add(Finding{
				Check: "INT-009", Level: medium, Title: "a database's schema has two numbers", Path: d.Path,
				Detail: fmt.Sprintf("user_version is %d, schema_meta says %d", number, said), Benign: "an upgrade that was cut short",
			})
		}
	})
}

// The tables of records that 2026.9.6 makes with a database. One that was dropped must not pass for that of a release without it.
var (
	stateTables = strings.Fields(`agent_databases audit_events channel_pairing_allow_entries config_health_entries cron_jobs cron_run_receipts
		device_pairing_paired device_pairing_pending diagnostic_events exec_approvals_config gateway_boot_lifecycle operator_approvals
		plugin_binding_approvals session_state_events session_state_heads subagent_runs task_runs`)
	agentTables = strings.Fields(`session_nodes session_transcript_active_events session_transcript_archives session_transcript_cold_archives
		session_transcript_index_state session_windows standing_intents trajectory_runtime_events transcript_event_identities transcript_events
		transcript_rewrite_watermarks`)
)

// The schemas of 2026.9.6.
const (
	stateSchema = 18
	agentSchema = newestSchema
)

// tables tells the tables that a database of its schema must have and this one has not.
func (c *checker) tables(d *openclaw.Database, number int64) {
	var must []string
	switch isAgent := func(a openclaw.Agent) bool { return a.Database == d.Path }; {
	case d.Path == c.in.StateDB() && number >= stateSchema:
		must = stateTables
	case slices.ContainsFunc(c.in.Agents, isAgent) && number >= agentSchema:
		must = agentTables
	}
	gone := slices.DeleteFunc(slices.Clone(must), func(table string) bool { return len(d.Columns[table]) > 0 })
	if len(gone) > 0 {
		c.add(Finding{
			Check: "INT-009", Level: high, Title: "tables of a database were removed", Path: d.Path,
			Detail: fmt.Sprintf("its schema, %d, has %s", number, strings.Join(gone, ", ")), Benign: "a copy that was made of some tables only",
		})
	}
}

// writer tells a database that another SQLite wrote last than the others: every database of an installation is
// written by the one inside the gateway's Node.
func (c *checker) writer(file string, version uint32) {
	if version == 0 || !strings.HasPrefix(file, c.in.StateDir) {
		return
	}
	if c.wrote == nil {
		c.wrote = map[uint32][]string{}
	}
	c.wrote[version] = append(c.wrote[version], file)
}

// writers compares them when all are known.
func (c *checker) writers() {
	newest := uint32(0)
	for v := range c.wrote {
		newest = max(newest, v)
	}
	for v, files := range c.wrote {
		if v == newest {
			continue
		}
		for _, file := range files {
			c.add(Finding{
				Check: "INT-009", Level: medium, Title: "a database was last written by another SQLite than the others", Path: file,
				Detail: fmt.Sprintf("by %s; others by %s", release(v), release(newest)), Benign: "an upgrade after which it was not written",
			})
		}
	}
}

func release(v uint32) string { return fmt.Sprintf("%d.%d.%d", v/1_000_000, v/1000%1000, v%1000) }
