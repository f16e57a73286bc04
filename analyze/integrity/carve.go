package integrity

import (
	"bytes"
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/clawbook/openclaw-ir/internal/jsonl"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/sqlite"
	"github.com/klauspost/compress/zstd"
)

// carve looks for rows that a database no longer shows: in free pages, in the unallocated space of pages and in the
// versions of pages that later commits replaced.
func (c *checker) carve() {
	done := map[string]bool{}
	for _, a := range c.in.Agents {
		if !done[a.Database] {
			c.carveDatabase(a.Database, a.ID)
		}
		done[a.Database] = true
	}
	c.carveDatabase(c.in.StateDB(), "")
}

func (c *checker) carveDatabase(file, agent string) {
	c.gap(openclaw.ReadDatabase(c.ctx, c.fsys, file, func(d *openclaw.Database) error {
		z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(jsonl.MaxLine))
		if err != nil {
			return err
		}
		defer z.Close()
		v := &carver{c: c, path: file, agent: agent, zstd: z, lost: map[string]*lost{}, seen: map[uint64]bool{}}
		if err := v.shapes(d); err != nil {
			return err
		}
		info, err := d.Remnants(c.ctx, v.remnant)
		c.count("INT-009", info.Old)
		for _, what := range info.Amiss {
			c.add(Finding{Check: "INT-009", Level: medium, Title: "the pages of a database contradict each other", Path: file, Detail: what, Benign: "a copy of a database that was being written"})
		}
		v.tell()
		return err
	})...)
}

// A carver searches one database.
type carver struct {
	c      *checker
	path   string
	agent  string
	zstd   *zstd.Decoder
	tables []shape
	lost   map[string]*lost // by what and whose it is
	seen   map[uint64]bool  // rows that were told, or are known
}

// A shape is what the rows of a table look like.
type shape struct {
	table   string
	columns []sqlite.Column
	at      map[string]int
}

// A lost is what was found of one session's rows, or of one table's.
type lost struct {
	table, session string
	kinds          []string
	first, last    int64
	rows           int
	changed        bool // another version of a row that is there
	ids            []string
	line           int64
}

// carved are the tables whose rows OpenClaw only adds.
var carved = []string{"transcript_events", "trajectory_runtime_events", "audit_events", "diagnostic_events"}

func (v *carver) shapes(d *openclaw.Database) error {
	for _, table := range carved {
		if !d.Has(table) {
			continue
		}
		s := shape{table: table, at: map[string]int{}}
		err := each(v.c, d, fmt.Sprintf(`SELECT lower(name), type, pk, "notnull" FROM pragma_table_info('%s')`, table), func(row *sqlite.Row) {
			s.at[text(row, 0)] = len(s.columns)
			s.columns = append(s.columns, columnOf(text(row, 1), table == "audit_events" && row.Int(2) > 0, row.Int(2) == 0 && row.Int(3) == 0))
		})
		if err != nil {
			return err
		}
		if len(s.columns) >= 4 {
			v.tables = append(v.tables, s)
		}
	}
	return nil
}

// columnOf is what a column may hold. One that stands for the row's number is stored as NULL.
func columnOf(kind string, rowid, null bool) sqlite.Column {
	switch strings.ToUpper(kind) {
	case "INTEGER", "INT":
		return sqlite.Column{Null: null || rowid, Int: !rowid}
	case "TEXT":
		return sqlite.Column{Null: null, Text: true}
	case "BLOB":
		return sqlite.Column{Null: null, Blob: true}
	}
	return sqlite.Column{Null: null, Int: true, Text: true, Blob: true}
}

// maxLost bounds how many rows are kept apart.
const maxLost = 1_000_000

func (v *carver) remnant(r sqlite.Remnant) bool {
	v.c.read(int64(len(r.Data)))
	for i := range v.tables {
		s := &v.tables[i]
		sqlite.FindRecords(r.Data, s.columns, func(f sqlite.Found) bool {
			v.row(s, &f, r.Kind)
			return len(v.seen) < maxLost
		})
	}
	v.fragments(r)
	return len(v.seen) < maxLost
}

func (s *shape) bytes(f *sqlite.Found, column string) []byte {
	if i, ok := s.at[column]; ok {
		return f.Values[i].Bytes
	}
	return nil
}

// int returns a number; 0 if it is cut off.
func (s *shape) int(f *sqlite.Found, column string) int64 {
	if i, ok := s.at[column]; ok && !f.Values[i].Cut {
		return f.Values[i].Int
	}
	return 0
}

// row judges a record: it must read like a row of the table.
func (v *carver) row(s *shape, f *sqlite.Found, kind sqlite.RemnantKind) {
	switch s.table {
	case "transcript_events", "trajectory_runtime_events":
		v.eventRow(s, f, kind)
	case "audit_events":
		v.ledgerRow(s, f, kind)
	case "diagnostic_events":
		v.journalRow(s, f, kind)
	}
}

// word reports whether bytes read like an id: printable, without spaces and short.
func word(b []byte) bool {
	return len(b) >= 4 && len(b) <= 128 && !bytes.ContainsFunc(b, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' })
}

// plausible reports whether a number can be the time of a row, in ms; 0 stands for one that was cut off.
func (v *carver) plausible(t int64) bool {
	return t == 0 || t > 1_577_836_800_000 && t < v.c.o.Now.AddDate(1, 0, 0).UnixMilli()
}

func (v *carver) eventRow(s *shape, f *sqlite.Found, kind sqlite.RemnantKind) {
	session, seq, created := s.bytes(f, "session_id"), f.Values[s.at["seq"]].Int, s.int(f, "created_at")
	if f.Values[s.at["seq"]].Cut || !word(session) || seq < 0 || seq > 1<<40 || !v.plausible(created) {
		return
	}
	data, whole := s.bytes(f, "event_json"), !f.Values[s.at["event_json"]].Cut
	if frame := s.bytes(f, "event_zstd"); len(frame) > 0 {
		unpacked, err := v.zstd.DecodeAll(frame, nil)
		data, whole = unpacked, err == nil
	} else if !bytes.HasPrefix(data, []byte("{")) {
		return
	}
	if s.table != "transcript_events" {
		v.traceRow(string(session), seq, created, kind)
		return
	}
	id, t := eventID(data)
	if created == 0 {
		created = t
	}
	known, body := v.known(session, seq, id, data, whole)
	if known {
		return
	}
	v.lose(s.table, string(session), seq, created, id, kind, body)
}

// known reports whether an event is in the record. changed says that it is there with other content.
func (v *carver) known(session []byte, seq int64, id string, data []byte, whole bool) (known, changed bool) {
	if id == "" {
		return v.c.rowIDs[v.c.rowKey("transcript_events", string(session), seq)], false
	}
	have, ok := v.c.events[v.c.hash(session, quoted(id))]
	if !ok {
		_, ok = v.c.headers[string(session)] // a header is not compared
		return ok && id == string(session), false
	}
	return !whole || have.body == v.c.hash(data), true
}

func (v *carver) traceRow(session string, seq, created int64, kind sqlite.RemnantKind) {
	if v.c.rowIDs[v.c.rowKey("trajectory_runtime_events", session, seq)] {
		return
	}
	v.lose("trajectory_runtime_events", session, seq, created, "", kind, false)
}

func (v *carver) ledgerRow(s *shape, f *sqlite.Found, kind sqlite.RemnantKind) {
	id, action, t := s.bytes(f, "event_id"), s.bytes(f, "action"), s.int(f, "occurred_at")
	if !word(id) || !word(action) || !bytes.Contains(action, []byte(".")) || t == 0 || !v.plausible(t) || v.c.ledger.events[v.c.hash(id)] {
		return
	}
	session := string(s.bytes(f, "session_id"))
	v.lose(s.table, session, f.Rowid, t, string(id), kind, false)
}

func (v *carver) journalRow(s *shape, f *sqlite.Found, kind sqlite.RemnantKind) {
	key, t := s.bytes(f, "event_key"), s.int(f, "created_at")
	if string(s.bytes(f, "scope")) != "config-audit" || !word(key) || t == 0 || !v.plausible(t) || v.c.rowIDs[v.c.rowKey(s.table, string(key), 0)] {
		return
	}
	v.lose(s.table, "", s.int(f, "sequence"), t, string(key), kind, false)
}

// envelope is how OpenClaw writes the ids and the time of an event, wherever in its text they stand. It is large, and few commands carve.
var envelope = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`"id":"([0-9A-Za-z-]{8,40})","parentId":(?:null|"[0-9A-Za-z-]{8,40}"),"timestamp":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)"`)
})

// eventID finds the id and the time of an event that may be cut short.
func eventID(data []byte) (id string, t int64) {
	m := envelope().FindSubmatch(data)
	if m == nil {
		return "", 0
	}
	return string(m[1]), isoTime(m[2])
}

func isoTime(b []byte) int64 {
	t, err := time.Parse(time.RFC3339Nano, string(b))
	if err != nil {
		return 0
	}
	return t.UnixMilli()
}

// fragments finds envelopes in what is left of rows that cannot be read any more. Their session is not known.
func (v *carver) fragments(r sqlite.Remnant) {
	for _, m := range envelope().FindAllSubmatch(r.Data, -1) {
		id, t := string(m[1]), isoTime(m[2])
		if t == 0 || v.c.ids[v.c.hash(quoted(id))] || v.seen[v.c.hash([]byte("id"), m[1])] {
			continue
		}
		v.lose("transcript_events", "", 0, t, id, r.Kind, false)
	}
}

// lose notes a row that is not in the record any more.
func (v *carver) lose(table, session string, line, t int64, id string, kind sqlite.RemnantKind, changed bool) {
	key := v.c.hash([]byte(table), []byte(session), fmt.Append(nil, line), []byte(id))
	if v.seen[key] {
		return
	}
	v.seen[key] = true
	v.seen[v.c.hash([]byte("id"), []byte(id))] = true
	name := fmt.Sprint(table, "\x00", session, "\x00", changed, "\x00", kind == sqlite.RemnantOpen)
	l := v.lost[name]
	if l == nil {
		l = &lost{table: table, session: session, first: t, line: line, changed: changed}
		v.lost[name] = l
	}
	l.rows++
	if t != 0 {
		l.first = min(cmp.Or(l.first, t), t)
	}
	l.last = max(l.last, t)
	if !slices.Contains(l.kinds, string(kind)) {
		l.kinds = append(l.kinds, string(kind))
	}
	if id != "" && len(l.ids) < maxListed {
		l.ids = append(l.ids, short(id))
	}
}

// tell reports what was found, a session at a time.
func (v *carver) tell() {
	if len(v.seen) >= maxLost {
		v.c.rep.undecided("INT-009", fmt.Sprintf("more than %d lost rows in one database; the rest was not looked at", maxLost))
	}
	for _, l := range v.lost {
		v.c.add(v.finding(l))
	}
}

func (v *carver) finding(l *lost) Finding {
	f := Finding{
		Check: "INT-009", Level: high, Title: "rows of " + l.table + " were removed and are still in the file", Path: v.path, Session: l.session, Line: l.line,
		Time: ms(l.first), Until: ms(l.last), Detail: fmt.Sprintf("%d rows, in: %s", l.rows, strings.Join(l.kinds, ", ")), Evidence: l.ids,
		Benign: "session.maintenance, which removes old sessions",
	}
	s := v.c.sessions[l.session]
	switch {
	case l.changed:
		f.Title = "events were changed and an older version is still in the file"
		f.Benign = "OpenClaw rewrote them: a compaction, or a secret that was masked later"
		if v.c.rewrote(l.session) {
			f.Level = low
		}
	case slices.Equal(l.kinds, []string{string(sqlite.RemnantOpen)}):
		f.Level, f.Title, f.Benign = low, "rows of "+l.table+" belong to a write that never ended", "a crash during a write, or a copy of a database that was being written"
	case s != nil && s.gone() && !s.live():
		f.Level, f.Benign = info, "the session was deleted and is in an archive"
	case l.session == "" && l.table == "transcript_events":
		f.Title = "fragments of events that no transcript has are still in the file"
	case l.table == "audit_events" && l.last < v.c.ledger.first:
		f.Level, f.Benign = info, "OpenClaw removes the oldest rows after 30 days"
	}
	return f
}

// rewrote reports whether OpenClaw itself says that it wrote a transcript anew.
func (c *checker) rewrote(session string) bool { return c.rewritten[session] }

// rowKey names a row by its table and key.
func (c *checker) rowKey(table, key string, n int64) uint64 {
	return c.hash([]byte(table), []byte(key), fmt.Append(nil, n))
}
