package stores

import (
	"context"
	"fmt"

	"github.com/clawbook/openclaw-ir/internal/json5"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/sqlite"
)

// maxJSON bounds the text of one row that is parsed, in bytes. Real entries hold some tens of kilobytes.
const maxJSON = 4 << 20

// jsonRows is a table whose rows are told and changed by the JSON they hold.
type jsonRows struct {
	table, key, json, state string // the table and its columns
	more                    string // another column of the key, or ""
	// acting reports whether the state column says by itself that the row acts.
	acting string // SQL
	scan   func(key string, v *json5.Value) (finding, bool)
	what   Resume // of a row that acts and whose JSON cannot be read
	end    string // SQL: what sets the state column of a row that acts
	done   string
}

// sessionRows are the sessions of 2026.7.2 on. The triggers of the real schema, which do not run here, would clear
// entry_valid and queue the row for validation, upon which the gateway refuses to start (FACTS 9): a row stays valid
// because state and JSON are changed alike.
var sessionRows = jsonRows{
	table: "session_nodes", key: "session_key", json: "entry_json", state: "status",
	acting: "status = 'running'",
	scan:   interrupted,
	what:   Resume{Kind: "turn", What: "an interrupted turn, run again seconds after the start"},
	end:    "status = CASE WHEN status = 'running' THEN 'killed' ELSE status END",
	done:   "sessions set to killed, what would resume them removed",
}

// jobRows are the automations of 2026.6 on. Since 2026.9 job_json decides and the column repeats it.
var jobRows = jsonRows{
	table: "cron_jobs", key: "job_id", more: "store_key", json: "job_json", state: "enabled",
	acting: "enabled <> 0",
	scan:   func(_ string, v *json5.Value) (finding, bool) { return activeJob(v) },
	what:   Resume{Kind: "automation", What: "an automation"},
	end:    "enabled = 0",
	done:   "automations disabled",
}

func (r jsonRows) columns() []string {
	c := []string{r.key, r.json, r.state}
	if r.more != "" {
		c = append(c, r.more)
	}
	return c
}

// query selects key, JSON, whether the state acts, and the other half of the key.
func (r jsonRows) query() string {
	more := "NULL"
	if r.more != "" {
		more = r.more
	}
	return fmt.Sprintf("SELECT %s, CASE WHEN octet_length(%s) <= %d THEN %s END, (%s), %s FROM %s NOT INDEXED",
		r.key, r.json, maxJSON, r.json, r.acting, more, r.table)
}

// A hit is a row that acts and its new JSON.
type hit struct {
	key, more any
	found     Resume
	json      []byte // nil if it is left as it is
	acts      bool   // whether there is anything to change
}

// read tells whether a row acts, or will again.
func (r jsonRows) read(row *sqlite.Row) (hit, bool) {
	key, more := string(row.Text(0)), string(row.Text(3))
	text, acts := row.Text(1), row.Int(2) != 0
	h := hit{key: key, more: more, found: r.what, acts: acts}
	h.found.ID = short(key)
	v, err := json5.Parse(text)
	if err != nil {
		return h, acts
	}
	f, found := r.scan(key, v)
	if !found {
		return h, acts
	}
	f.ID = short(key)
	h.found = f.Resume
	if f.edits != nil {
		h.acts, h.json = true, splice(text, f.edits)
	}
	return h, true
}

func (r jsonRows) pending(ctx context.Context, d *openclaw.Database) (found []Resume, gaps []openclaw.Gap, err error) {
	if !d.Has(r.table, r.columns()...) {
		return nil, nil, nil
	}
	for row, err := range d.Query(ctx, r.query()) {
		if err != nil {
			return found, gaps, err
		}
		if h, acts := r.read(row); acts {
			if len(found) == shown {
				return found, append(gaps, tooMany(d.Path, r.table)), nil
			}
			h.found.Where = d.Path
			found = append(found, h.found)
		}
	}
	return found, gaps, nil
}

// defuse ends the rows that act. The rows are read before any is changed.
func (r jsonRows) defuse(tx *sqlite.Tx) (Done, error) {
	done := Done{What: r.done}
	if ok, err := tx.Has(r.table, r.columns()...); !ok || err != nil {
		return done, err
	}
	var hits []hit
	err := tx.Each(r.query(), func(row *sqlite.Row) {
		if h, _ := r.read(row); h.acts {
			hits = append(hits, h)
		}
	})
	for i := 0; err == nil && i < len(hits); i++ {
		err = r.change(tx, hits[i], &done)
	}
	return done, err
}

func (r jsonRows) change(tx *sqlite.Tx, h hit, done *Done) error {
	q, args := fmt.Sprintf("UPDATE %s SET %s", r.table, r.end), []any{}
	if h.json != nil {
		q, args = q+", "+r.json+" = ?", append(args, string(h.json))
	}
	q, args = q+" WHERE "+r.key+" = ?", append(args, h.key)
	if r.more != "" {
		q, args = q+" AND "+r.more+" = ?", append(args, h.more)
	}
	n, err := tx.Exec(q, args...)
	done.Count += n
	return err
}
