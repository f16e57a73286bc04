package integrity

import (
	"fmt"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/sqlite"
)

// A store is what one reading of an agent's database gave: it is taken over only when the reading held still.
type store struct {
	c     *checker
	d     *openclaw.Database
	agent string
	rows  map[string]*rows // by session
}

// rows are the events of one session in transcript_events.
type rows struct {
	last, count int64
	begun       int64            // ms, of the row of the first event
	at          map[int64]uint64 // seq → id
	ids         map[uint64]int64 // id → seq
	text        map[uint64]uint64
}

// agentDatabase reads an agent's database: its transcripts, and what it says of them elsewhere.
func (c *checker) agentDatabase(a openclaw.Agent) {
	if c.brought(openclaw.Source{Path: a.Database, Form: openclaw.FormSQLite}) {
		return
	}
	attempt := 0
	c.gap(openclaw.ReadDatabase(c.ctx, c.fsys, a.Database, func(d *openclaw.Database) error {
		if attempt++; attempt > 1 {
			c.rep.undecided("INT-001", "a database was being written while it was read")
			return nil
		}
		st := &store{c: c, d: d, agent: a.ID, rows: map[string]*rows{}}
		if err := c.structure(d); err != nil {
			return err
		}
		for _, step := range []func() error{st.transcripts, st.identities, st.active, st.indexState, st.searchIndex, st.windows, st.nodes, st.archiveRows, st.watermarks, st.trajectory} {
			if err := step(); err != nil {
				return err
			}
		}
		return nil
	})...)
}

// each runs a query and calls f with every row.
func (st *store) each(query string, f func(*sqlite.Row)) error { return each(st.c, st.d, query, f) }

func each(c *checker, d *openclaw.Database, query string, f func(*sqlite.Row)) error {
	for row, err := range d.Query(c.ctx, query) {
		if err != nil {
			return err
		}
		f(row)
	}
	return nil
}

func text(r *sqlite.Row, i int) string {
	if r.Null(i) {
		return ""
	}
	return string(r.Text(i))
}

// transcripts reads the events in the order of their sessions and numbers.
func (st *store) transcripts() error {
	if !st.d.Has("transcript_events", "session_id", "seq", "event_json") {
		return nil
	}
	src := &openclaw.Source{Path: st.d.Path, Form: openclaw.FormSQLite, Agent: st.agent}
	r := st.c.newReader()
	defer r.close()
	r.source = src
	const t = "transcript_events"
	query := fmt.Sprintf("SELECT session_id, seq, event_json, created_at, %s, %s FROM %s NOT INDEXED ORDER BY session_id, seq",
		st.d.Column(t, "event_zstd", "NULL"), st.d.Column(t, "event_utf8_bytes", "NULL"), t)
	err := st.each(query, func(row *sqlite.Row) { st.row(r, row) })
	r.end()
	return err
}

// row takes one event of transcript_events.
func (st *store) row(r *reader, row *sqlite.Row) {
	id, seq := text(row, 0), row.Int(1)
	data := row.Text(2)
	if !row.Null(4) {
		unpacked, err := r.unpack(row.Bytes(4))
		if err != nil {
			r.broken(seq, err)
			return
		}
		data = unpacked
		if size := row.Int(5); size != int64(len(data)) {
			st.c.add(Finding{
				Check: "INT-001", Level: high, Title: "an event is not as long as its row says", Path: st.d.Path, Session: id, Line: seq,
				Detail: fmt.Sprintf("%d bytes, the row says %d", len(data), size),
			})
		}
	}
	st.c.read(int64(len(data)))
	if e := r.record(id, seq, data, row.Int(3)); e != nil {
		st.note(e, id, seq)
		if s := st.rows[id]; s.begun == 0 {
			s.begun = row.Int(3)
		}
	}
}

func (st *store) note(e *event, id string, seq int64) {
	s := st.rows[id]
	if s == nil {
		s = &rows{at: map[int64]uint64{}, ids: map[uint64]int64{}, text: map[uint64]uint64{}}
		st.rows[id] = s
	}
	st.c.rowIDs[st.c.rowKey("transcript_events", id, seq)] = true
	s.last, s.count = max(s.last, seq), s.count+1
	if len(e.id) <= 2 {
		return
	}
	key := st.c.hash(e.id)
	s.at[seq], s.ids[key] = key, seq
	if e.role == "user" || e.role == "assistant" {
		s.text[key] = st.c.hash(e.text)
	}
}

// quoted is an id as it stands in an event.
func quoted(id string) []byte { return fmt.Appendf(nil, "%q", id) }

// identities compares transcript_event_identities with the events: deleting a row with another tool leaves them.
func (st *store) identities() error {
	if !st.d.Has("transcript_event_identities", "session_id", "event_id", "seq") {
		return nil
	}
	return st.each("SELECT session_id, event_id, seq, created_at FROM transcript_event_identities NOT INDEXED", func(row *sqlite.Row) {
		id, event, seq := text(row, 0), text(row, 1), row.Int(2)
		st.c.count("INT-007", 1)
		s := st.rows[id]
		if s != nil && s.at[seq] == st.c.hash(quoted(event)) {
			return
		}
		f := Finding{Check: "INT-001", Level: high, Path: st.d.Path, Session: id, Line: seq, Time: ms(row.Int(3))}
		f.Title = "an event is listed and not there"
		f.Detail = fmt.Sprintf("transcript_event_identities lists event %s as number %d; transcript_events has no such row", short(event), seq)
		if s != nil && s.at[seq] != 0 {
			f.Title = "an event bears another id than the one it was listed with"
			f.Detail = fmt.Sprintf("transcript_event_identities lists event %s as number %d; the row there has another id", short(event), seq)
		}
		st.c.add(f)
	})
}

// active checks that the events of the active branch are there.
func (st *store) active() error {
	if !st.d.Has("session_transcript_active_events", "session_id", "event_seq") {
		return nil
	}
	return st.each("SELECT session_id, event_seq FROM session_transcript_active_events NOT INDEXED", func(row *sqlite.Row) {
		id, seq := text(row, 0), row.Int(1)
		if s := st.rows[id]; s == nil || s.at[seq] == 0 {
			st.c.add(Finding{
				Check: "INT-001", Level: high, Title: "an event of the active branch is not there", Path: st.d.Path, Session: id, Line: seq,
				Detail: "session_transcript_active_events names a number that transcript_events does not have",
			})
		}
	})
}

// indexState compares how far OpenClaw had indexed a transcript with how far it goes.
func (st *store) indexState() error {
	if !st.d.Has("session_transcript_index_state", "session_id", "indexed_seq", "leaf_event_id", "updated_at") {
		return nil
	}
	return st.each("SELECT session_id, indexed_seq, leaf_event_id, updated_at FROM session_transcript_index_state", func(row *sqlite.Row) {
		id, seq, leaf := text(row, 0), row.Int(1), text(row, 2)
		s := st.rows[id]
		if s == nil {
			s = &rows{last: -1}
		}
		f := Finding{Check: "INT-001", Level: high, Path: st.d.Path, Session: id, Line: seq, Time: ms(row.Int(3))}
		_, known := s.ids[st.c.hash(quoted(leaf))]
		switch {
		case s.last < seq:
			f.Title, f.Detail = "the end of a transcript is missing", fmt.Sprintf("OpenClaw had indexed event %d; the last one there is %d", seq, s.last)
		case leaf != "" && !known:
			f.Title, f.Detail = "the last event of a transcript is not the one that was indexed", fmt.Sprintf("event %s is not there", short(leaf))
		default:
			return
		}
		st.c.add(f)
	})
}

// searchIndex compares the messages with the text that the full-text index keeps of them: a second copy.
func (st *store) searchIndex() error {
	if !st.d.Has("session_transcript_fts_content", "c0", "c1", "c2") {
		return nil
	}
	seen := map[string]int64{}
	err := st.each("SELECT c1, c2, c0 FROM session_transcript_fts_content NOT INDEXED", func(row *sqlite.Row) {
		id, message := text(row, 0), text(row, 1)
		st.c.count("INT-007", 1)
		seen[id]++
		key := st.c.hash(quoted(message))
		f := Finding{Check: "INT-007", Level: critical, Path: st.d.Path, Session: id}
		s := st.rows[id]
		if s == nil || s.ids[key] == 0 && s.text[key] == 0 {
			f.Check, f.Level, f.Title = "INT-001", high, "a message is indexed and not there"
			f.Detail = fmt.Sprintf("the full-text index holds message %s; the transcript does not", short(message))
			f.Benign = "the index was not brought up to date after a deletion"
			st.c.add(f)
			return
		}
		if s.text[key] != st.c.hash(row.Text(2)) {
			f.Line, f.Title = s.ids[key], "the text of a message is not what was indexed"
			f.Detail = fmt.Sprintf("message %s reads otherwise in the full-text index, which was made when it was written", short(message))
			f.Benign = "a message that OpenClaw rewrote and did not index again"
			st.c.add(f)
		}
	})
	return err
}

// windows reads session_windows: when a transcript last grew, and why a session was begun anew.
func (st *store) windows() error {
	const t = "session_windows"
	if !st.d.Has(t, "session_id", "session_key") {
		return nil
	}
	query := fmt.Sprintf("SELECT session_id, session_key, %s, %s, %s, %s FROM %s", st.d.Column(t, "transcript_updated_at", "NULL"),
		st.d.Column(t, "reason", "NULL"), st.d.Column(t, "previous_session_id", "NULL"), st.d.Column(t, "updated_at", "NULL"), t)
	return st.each(query, func(row *sqlite.Row) {
		s := st.c.session(text(row, 0), st.agent)
		s.key, s.windowUpdated = text(row, 1), row.Int(2)
		s.name("session_windows", row.Int(2) > 0, row.Int(5))
		if previous := text(row, 4); previous != "" {
			st.c.session(previous, st.agent).name("session_windows.previous_session_id", true, row.Int(5))
		}
		if why := text(row, 3); why == "rewind" || why == "recovery" {
			st.c.add(Finding{
				Check: "INT-006", Level: medium, Title: "a session was begun anew", Detail: "session_windows gives the reason: " + why,
				Path: st.d.Path, Session: s.id, Time: ms(row.Int(5)), Benign: "a rewind by its owner, or a recovery by OpenClaw",
			})
		}
	})
}

// watermarks reads when OpenClaw wrote a transcript anew; it writes the first one with the first event.
func (st *store) watermarks() error {
	if !st.d.Has("transcript_rewrite_watermarks", "session_id", "updated_at") {
		return nil
	}
	return st.each("SELECT session_id, updated_at FROM transcript_rewrite_watermarks", func(row *sqlite.Row) {
		s := st.c.session(text(row, 0), st.agent)
		if have := st.rows[s.id]; have == nil || row.Int(1)-have.begun <= apart {
			return
		}
		st.c.rewritten[s.id] = true
		st.c.add(Finding{
			Check: "INT-006", Level: medium, Title: "a transcript was written anew", Path: st.d.Path, Session: s.id, Time: ms(row.Int(1)),
			Detail: "OpenClaw recorded a new generation of the transcript after it was begun", Benign: "a rewind, an edited turn or a repair by OpenClaw",
		})
	})
}

// nodes reads session_nodes: every key names a session that must be there.
func (st *store) nodes() error {
	if !st.d.Has("session_nodes", "session_key", "current_session_id") {
		return nil
	}
	return st.each("SELECT session_key, current_session_id, updated_at FROM session_nodes", func(row *sqlite.Row) {
		id := text(row, 1)
		if id == "" {
			return
		}
		s := st.c.session(id, st.agent)
		s.key = text(row, 0)
		s.name("session_nodes", false, row.Int(2))
	})
}
