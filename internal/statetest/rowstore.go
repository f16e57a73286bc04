package statetest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/ncruces/go-sqlite3"
)

// The size from which the gateway compresses a record.
const compressedFrom = 1024

// insertEvent writes a record with the rows that go with it.
func (w *rows) insertEvent(s *rowSession, r record, id, kind string, parent any) {
	line := r.line()
	var text, frame any = line, nil
	if len(line) >= compressedFrom {
		text, frame = nil, compressed(line)
	}
	at := w.at.UnixMilli()
	w.run(w.agent, "insert into transcript_events (session_id, seq, event_json, created_at, event_zstd, event_utf8_bytes) values (?, ?, ?, ?, ?, ?)",
		s.id, s.seq, text, at, frame, len(line))
	w.run(w.agent, "insert into transcript_event_identities (session_id, event_id, seq, event_type, parent_id, created_at) values (?, ?, ?, ?, ?, ?)",
		s.id, id, s.seq, kind, parent, at)
	if kind != "session" {
		w.run(w.agent, "insert into session_transcript_active_events (session_id, active_position, event_seq, context_eligible) values (?, ?, ?, 1)", s.id, s.positions, s.seq)
		s.positions++
	}
	s.seq++
}

func compressed(line string) []byte {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(true))
	if err != nil {
		panic(err) // the options are right
	}
	defer z.Close()
	return z.EncodeAll([]byte(line), nil)
}

// audit writes an entry of the ledger, which knows a call by its id's digest. The gateway numbers tool actions through from
// its start, and the steps of a run within it.
func (w *rows) audit(s *rowSession, run, kind, action, status, call, tool string) {
	w.ledger++
	number := int64(3)
	switch {
	case call != "":
		w.actions++
		number = w.actions
	case status != "started":
		number = 10 + int64(w.rnd.IntN(30))
	}
	values := map[string]any{
		"sequence": w.ledger, "event_id": randomUUID(w.rnd), "source_id": fmt.Sprintf("%s:%d:%d:%s", run, number, w.at.UnixMilli(), action),
		"source_sequence": number, "occurred_at": w.at.UnixMilli(), "status": status, "session_key": s.key, "session_id": s.id, "run_id": run,
	}
	if call != "" {
		sum := sha256.Sum256([]byte(call))
		values["tool_call_id"], values["tool_name"] = "sha256:"+hex.EncodeToString(sum[:]), tool
	}
	w.clone(w.state, "audit_events", "kind = '"+kind+"' and action = ?", action, values)
}

// clone copies the first row of a table that a condition picks, with other values.
func (w *rows) clone(c *sqlite3.Conn, table, where, arg string, values map[string]any) {
	columns := w.columns[table]
	if columns == nil {
		columns = w.texts(c, "select name from pragma_table_info('"+table+"')")
		w.columns[table] = columns
	}
	var picked []string
	var args []any
	for _, column := range columns {
		if v, ok := values[column]; ok {
			picked, args = append(picked, "?"), append(args, v)
		} else {
			picked = append(picked, `"`+column+`"`)
		}
	}
	w.run(c, "insert into "+table+` ("`+strings.Join(columns, `", "`)+`") select `+strings.Join(picked, ", ")+" from "+table+" where "+where+" limit 1", append(args, arg)...)
}

// finish notes of each session how far it goes, and closes the databases.
func (w *rows) finish() {
	for _, s := range w.sessions {
		w.run(w.agent, "insert into session_transcript_index_state (session_id, indexed_seq, leaf_event_id, needs_rebuild, active_event_count, active_message_count, updated_at) values (?, ?, ?, 0, ?, ?, ?)",
			s.id, s.seq-1, s.last, s.positions, s.positions, w.at.UnixMilli())
	}
	w.run(w.agent, "delete from session_canonical_validation_pending")
	w.putLedgerFirst()
	for _, c := range []*sqlite3.Conn{w.agent, w.state} {
		w.run(c, "commit")
	}
	for _, s := range w.prepared {
		s.Close()
	}
	for _, c := range []*sqlite3.Conn{w.agent, w.state} {
		if err := c.Close(); err != nil {
			w.tb.Fatal(err)
		}
	}
}

// putLedgerFirst puts the new entries of the ledger before the real ones, as their times are, and notes the gateway's run that
// they belong to.
func (w *rows) putLedgerFirst() {
	const far = 1 << 40
	added := w.ledger - w.realEntries
	w.run(w.state, "update audit_events set sequence = sequence + ? where sequence <= ?", int64(far), w.realEntries)
	w.run(w.state, "update audit_events set sequence = sequence - ? where sequence < ?", w.realEntries, int64(far))
	w.run(w.state, "update audit_events set sequence = sequence - ? + ? where sequence > ?", int64(far), added, int64(far))
	w.clone(w.state, "gateway_boot_lifecycle", "outcome = ?", "clean_stop", map[string]any{
		"boot_id": randomUUID(w.rnd), "pid": 4711, "started_at_ms": firstTurn().UnixMilli() - 60000, "completed_at_ms": w.at.UnixMilli() + 60000,
	})
}

// A statement is a query of one of the databases.
type statement struct {
	c     *sqlite3.Conn
	query string
}

// run executes a statement that returns nothing.
func (w *rows) run(c *sqlite3.Conn, query string, args ...any) {
	s := w.prepared[statement{c, query}]
	if s == nil {
		var err error
		if s, _, err = c.Prepare(query); err != nil {
			w.tb.Fatalf("%s: %v", query, err)
		}
		w.prepared[statement{c, query}] = s
	}
	for i, arg := range args {
		if err := bind(s, i+1, arg); err != nil {
			w.tb.Fatalf("%s: %v", query, err)
		}
	}
	if err := s.Exec(); err != nil {
		w.tb.Fatalf("%s: %v", query, err)
	}
}

func bind(s *sqlite3.Stmt, i int, arg any) error {
	switch v := arg.(type) {
	case nil:
		return s.BindNull(i)
	case int:
		return s.BindInt64(i, int64(v))
	case int64:
		return s.BindInt64(i, v)
	case string:
		return s.BindText(i, v)
	case []byte:
		return s.BindBlob(i, v)
	}
	return fmt.Errorf("a value of type %T", arg)
}

// texts returns the first column of a query's rows.
func (w *rows) texts(c *sqlite3.Conn, query string) []string {
	s, _, err := c.Prepare(query)
	if err != nil {
		w.tb.Fatalf("%s: %v", query, err)
	}
	defer s.Close()
	var list []string
	for s.Step() {
		list = append(list, s.ColumnText(0))
	}
	if err := s.Err(); err != nil {
		w.tb.Fatalf("%s: %v", query, err)
	}
	return list
}

func (w *rows) count(c *sqlite3.Conn, query string) int64 {
	var n int64
	if _, err := fmt.Sscan(w.texts(c, query)[0], &n); err != nil {
		w.tb.Fatalf("%s: %v", query, err)
	}
	return n
}
