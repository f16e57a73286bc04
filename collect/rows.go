package collect

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/clawbook/openclaw-ir/internal/sqlite"
)

// What the pages of a database say of its past is only that they changed. Of the tables to which OpenClaw only adds, the index
// therefore keeps a digest of the rows: of a session's transcript, and of each stretch of the ledger.

// A stretch is a set of rows that nobody should change any more.
type stretch struct {
	To   int64    `json:"to"`   // number of its last row
	Rows int64    `json:"rows"` // how many
	Sum  [16]byte `json:"sum"`  // of all their keyed digests, in no order
	Last int64    `json:"last"` // time of its youngest row, milliseconds since 1970
	Link int      `json:"link"` // the snapshot that saw it so
}

func (s *stretch) add(number, at int64, sum []byte) {
	s.To, s.Rows, s.Last = max(s.To, number), s.Rows+1, max(s.Last, at)
	for i := range s.Sum {
		s.Sum[i] ^= sum[i]
	}
}

// same says that two stretches are of the same rows.
func (s *stretch) same(t *stretch) bool { return t != nil && s.Rows == t.Rows && s.Sum == t.Sum }

// databaseRows are the stretches of one database: sessions by their id, the ledger by the numbers of its rows.
type databaseRows map[string]*stretch

const (
	// maxStretches bounds what is kept of one database, and maxCompared the size of one that is read for it: each is read as a whole.
	maxStretches = 100_000
	maxCompared  = 512 << 20
	// ledgerStretch is how many numbers of the ledger are one stretch. Its oldest rows go one by one.
	ledgerStretch = 512
	ledgerMark    = "ledger rows from "
)

// A rowReader digests the rows of one database, all of them and those that the link before saw.
type rowReader struct {
	mac  hash.Hash
	zstd *zstd.Decoder
	old  databaseRows
	now  databaseRows
	then databaseRows // the part of now that is of rows that old saw
	kept map[string]bool
	err  error
}

// compareRows digests the rows of a database and suspects those of the past that changed. What cannot be read is not decided, and what
// the link before knew is kept. still says, once they were read, why they may not be of one moment; "" for nothing.
func (c *collector) compareRows(name string, db, wal sqlite.Source, still func() string) {
	p := c.past
	old := p.old.Rows[name]
	r, err := c.readRows(db, wal, old)
	why := still()
	if err != nil && why == "" {
		why = err.Error()
	}
	if why != "" {
		p.undecide(name, why)
		return
	}
	if len(r.now) > 0 {
		p.rows[name] = r.now
	}
	for key, s := range r.now {
		s.Link = p.number
		if was := old[key]; was != nil {
			s.Last = max(s.Last, was.Last) // to set the times back makes no session old enough to be pruned
		}
		if was := old[key]; was != nil && was.same(s) {
			s.Link = was.Link
		}
	}
	var found []string
	for _, key := range slices.Sorted(maps.Keys(old)) {
		if what := r.changed(key, c.past.settled); what != "" {
			found = append(found, what)
		}
	}
	if len(found) > 0 {
		detail := strings.Join(found[:min(len(found), 5)], "; ")
		if n := len(found) - 5; n > 0 {
			detail += fmt.Sprintf("; and %d more", n)
		}
		c.out.Alarms = append(c.out.Alarms, Alarm{"rows", name, detail, p.old.Number})
	}
}

// undecide says that it could not be told whether rows changed.
func (p *past) undecide(name, why string) {
	p.keepRows(name)
	p.undecided = append(p.undecided, fmt.Sprintf("%q: %s", name, why))
}

// keepRows keeps what the link before knew of a database.
func (p *past) keepRows(name string) {
	if p != nil && p.old.Rows[name] != nil {
		p.rows[name] = p.old.Rows[name]
	}
}

func (c *collector) readRows(db, wal sqlite.Source, old databaseRows) (*rowReader, error) {
	if db.Size+wal.Size > maxCompared {
		return nil, fmt.Errorf("it has more than %d bytes", maxCompared)
	}
	d, err := sqlite.Open(db, sqlite.Options{WAL: wal})
	if err != nil {
		return nil, err
	}
	defer d.Close()
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(sqlite.MaxValue))
	if err != nil {
		return nil, err
	}
	defer dec.Close()
	r := &rowReader{mac: hmac.New(sha256.New, c.past.key), zstd: dec, old: old, now: databaseRows{}, then: databaseRows{}, kept: map[string]bool{}}
	return r, r.all(c.ctx, d)
}

// all reads the tables that there are.
func (r *rowReader) all(ctx context.Context, d *sqlite.DB) error {
	has := map[string]string{}
	const columns = "SELECT lower(m.name), lower(group_concat(c.name)) FROM sqlite_schema m, pragma_table_info(m.name) c WHERE m.type = 'table' AND lower(m.name) IN " +
		"('transcript_events', 'audit_events', 'session_transcript_archives', 'session_transcript_cold_archives') GROUP BY m.name"
	for row, err := range d.Query(ctx, columns) {
		if err != nil {
			return err
		}
		has[string(row.Text(0))] = "," + string(row.Text(1)) + ","
	}
	if t := has["transcript_events"]; strings.Contains(t, ",event_json,") && strings.Contains(t, ",seq,") {
		packed := "NULL"
		if strings.Contains(t, ",event_zstd,") {
			packed = "event_zstd"
		}
		r.each(ctx, d, "SELECT session_id, seq, created_at, event_json, "+packed+" FROM transcript_events NOT INDEXED", func(row *sqlite.Row) {
			r.event(string(row.Text(0)), row.Int(1), row.Int(2), row)
		})
	}
	if t := has["audit_events"]; strings.Contains(t, ",sequence,") && strings.Contains(t, ",occurred_at,") {
		r.each(ctx, d, "SELECT sequence, occurred_at, * FROM audit_events NOT INDEXED", r.ledger)
	}
	for _, t := range []string{"session_transcript_archives", "session_transcript_cold_archives"} {
		if strings.Contains(has[t], ",session_id,") {
			r.each(ctx, d, "SELECT session_id FROM "+t+" NOT INDEXED", func(row *sqlite.Row) { r.kept[string(row.Text(0))] = true })
		}
	}
	return r.err
}

func (r *rowReader) each(ctx context.Context, d *sqlite.DB, query string, take func(*sqlite.Row)) {
	if r.err != nil {
		return
	}
	for row, err := range d.Query(ctx, query) {
		if err == nil && len(r.now) > maxStretches {
			err = errors.New("it has too many sessions")
		}
		if err != nil {
			r.err = err
			return
		}
		take(row)
	}
}

// event takes a row of a transcript. It is the same whether it is compressed or not.
func (r *rowReader) event(session string, seq, at int64, row *sqlite.Row) {
	text := row.Text(3)
	if !row.Null(4) {
		unpacked, err := r.zstd.DecodeAll(row.Bytes(4), nil)
		if err != nil {
			unpacked = row.Bytes(4)
		}
		text = unpacked
	}
	r.mac.Reset()
	r.field([]byte(session))
	r.field(binary.AppendVarint(nil, seq))
	r.field(text)
	r.add(session, seq, at)
}

// ledger takes a row of the ledger, all of it.
func (r *rowReader) ledger(row *sqlite.Row) {
	number := row.Int(0)
	r.mac.Reset()
	for i := range row.Columns() {
		r.field(row.Text(i))
	}
	r.add(fmt.Sprintf("%s%012d", ledgerMark, number/ledgerStretch*ledgerStretch), number, row.Int(1))
}

func (r *rowReader) field(b []byte) {
	r.mac.Write(binary.AppendUvarint(nil, uint64(len(b))))
	r.mac.Write(b)
}

func (r *rowReader) add(key string, number, at int64) {
	sum := r.mac.Sum(nil)
	if r.now[key] == nil {
		r.now[key], r.then[key] = &stretch{}, &stretch{}
	}
	r.now[key].add(number, at, sum)
	if was := r.old[key]; was != nil && number <= was.To {
		r.then[key].add(number, at, sum)
	}
}

const (
	ledgerLasts   = 30 * 24 * time.Hour // audit ledger: 30 days, 100,000 rows
	sessionsLast  = 30 * 24 * time.Hour // session.maintenance.pruneAfter
	maxLedgerRows = 100_000
)

// changed says what became of rows that the link before saw, "" if they are there or had to go.
func (r *rowReader) changed(key string, now time.Time) string {
	was, is := r.old[key], r.then[key]
	if was.same(is) {
		return ""
	}
	var rows int64
	if is != nil {
		rows = is.Rows
	}
	age := now.Sub(time.UnixMilli(was.Last))
	from, isLedger := strings.CutPrefix(key, ledgerMark)
	switch {
	case isLedger && rows < was.Rows && (age > ledgerLasts || r.ledgerFull(key)):
		return "" // the oldest rows go
	case !isLedger && rows == 0 && (r.kept[key] || age > sessionsLast):
		return "" // moved to an archive, or beyond its time
	case isLedger && rows < was.Rows:
		return fmt.Sprintf("%d of %d rows of the ledger from number %s on, which snapshot %d holds, are no more", was.Rows-rows, was.Rows, strings.TrimLeft(from, "0"), was.Link)
	case isLedger:
		return fmt.Sprintf("rows of the ledger from number %s on are not what snapshot %d holds", strings.TrimLeft(from, "0"), was.Link)
	case rows < was.Rows:
		return fmt.Sprintf("%d of %d rows of session %q, which snapshot %d holds, are no more", was.Rows-rows, was.Rows, key, was.Link)
	}
	return fmt.Sprintf("rows of session %q are not what snapshot %d holds", key, was.Link)
}

// ledgerFull says that a stretch is the oldest of a ledger that holds as many rows as it may.
func (r *rowReader) ledgerFull(key string) bool {
	rows := int64(0)
	for k, s := range r.now {
		if strings.HasPrefix(k, ledgerMark) {
			rows += s.Rows
			if k < key {
				return false
			}
		}
	}
	return rows >= maxLedgerRows*9/10
}
