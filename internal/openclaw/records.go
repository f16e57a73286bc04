package openclaw

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/jsonl"
	"github.com/klauspost/compress/zstd"
)

const (
	// batchBytes is how many bytes of rows a batch of a database holds, about; packed, they are several times that.
	batchBytes = 256 << 10
	// maxUnpacked bounds what one compressed transcript may unpack to. OpenClaw keeps a store below 10 GB.
	maxUnpacked = 16 << 30
	// unpackWindow bounds the memory of one zstd stream. Bytes.
	unpackWindow = 32 << 20
)

// A Record is one stored event: a line of a file or a row of a table.
type Record struct {
	Session string
	Line    int64  // line number, seq or rowid
	Data    []byte // JSON text, or one zstd frame of it
	Zstd    bool
	Size    int64 // the length the table claims for the unpacked text; 0 if it says nothing
}

// A Batch is a run of records of one source, in its order. The receiver owns it.
type Batch struct {
	Source  *Source
	Session string // of every record, unless they say otherwise
	Text    []byte // whole lines; then Records is empty
	Line    int64  // number of the first line of Text
	Records []Record
	Gaps    []Gap  // what could not be read here; it comes in a batch of its own
	Passed  int64  // bytes of one line that was too long to keep; Gaps says so too
	text    []byte // of Records
	buffers *jsonl.Buffers
}

// Free gives the batch's text back for another batch. Nothing may point into it any more.
func (b *Batch) Free() {
	if b.buffers != nil {
		b.buffers.Put(b.Text)
		b.buffers.Put(b.text)
	}
	b.Text, b.text, b.Records = nil, nil, nil
}

// ReadSources hands every record of the sources, in order, to yield, which returns false to stop.
func ReadSources(ctx context.Context, fsys fs.FS, sources []Source, yield func(Batch) bool) {
	r := &recordReader{ctx: ctx, fsys: fsys, yield: yield}
	for i := range sources {
		r.source = &sources[i]
		r.read()
		if r.stopped || ctx.Err() != nil {
			return
		}
	}
}

type recordReader struct {
	ctx     context.Context
	fsys    fs.FS
	source  *Source
	yield   func(Batch) bool
	stopped bool
	buffers jsonl.Buffers
}

func (r *recordReader) hand(b Batch) bool {
	b.Source = r.source
	r.stopped = r.stopped || r.ctx.Err() != nil || !r.yield(b)
	return !r.stopped
}

func (r *recordReader) gap(what string, bytes int64) {
	r.hand(Batch{Gaps: []Gap{{Path: r.source.Path, What: what, Bytes: bytes}}})
}

func (r *recordReader) read() {
	switch {
	case r.source.Form == FormSQLite:
		r.database((*recordReader).transcriptRows)
	case r.source.Form == FormTrajectorySQLite:
		r.database((*recordReader).trajectoryRows)
	case r.source.Form == FormArchive:
		r.database((*recordReader).archiveRows)
	case r.source.Form == FormCold && !r.source.Zstd:
		r.database((*recordReader).coldRows)
	default:
		r.file()
	}
}

func (r *recordReader) file() {
	f, err := r.fsys.Open(FSName(r.source.Path))
	if err != nil {
		r.gap(Cause(err), r.source.Size)
		return
	}
	defer f.Close()
	data := host.NewData(r.ctx, f)
	if r.source.Zstd {
		r.unpack(data, r.source.Session)
		return
	}
	r.lines(data, r.source.Session)
}

// unpack reads a zstd stream's lines. A bomb is cut at maxUnpacked, and that is a gap.
func (r *recordReader) unpack(packed io.Reader, session string) {
	d, err := zstd.NewReader(packed, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(unpackWindow), zstd.WithDecoderMaxMemory(maxUnpacked))
	if err != nil {
		r.gap("unpacking: "+err.Error(), r.source.Size)
		return
	}
	defer d.Close()
	limit := &io.LimitedReader{R: lastBlock{d}, N: maxUnpacked}
	r.lines(limit, session)
	if limit.N == 0 {
		r.gap(fmt.Sprintf("unpacks to more than %d GiB; the rest was not read", int64(maxUnpacked>>30)), 0)
	}
}

// lastBlock reads also the block before an error. The decoder holds it back until it is asked again, and for a frame that lacks its
// checksum, or has a wrong one, that can be the whole transcript.
type lastBlock struct{ d *zstd.Decoder }

func (b lastBlock) Read(p []byte) (int, error) {
	n, err := b.d.Read(p)
	if err == nil || errors.Is(err, io.EOF) {
		return n, err
	}
	if n == 0 {
		n, _ = b.d.Read(p)
	}
	if n > 0 {
		return n, nil // the decoder says what is wrong once more when that is read
	}
	return 0, err
}

func (r *recordReader) lines(text io.Reader, session string) {
	if r.source.Form == FormReadCache || r.source.Form == FormCold {
		text, session = headSession(text, session)
	}
	lines := jsonl.NewLines(text, &r.buffers)
	for {
		c, err := lines.Next()
		switch {
		case err == io.EOF:
			return
		case err != nil:
			r.gap(err.Error(), 0)
			return
		case c.TooLong > 0:
			what := fmt.Sprintf("line %d is longer than %d MiB; not parsed", c.Line, jsonl.MaxLine>>20)
			r.hand(Batch{Passed: c.TooLong, Gaps: []Gap{{Path: r.source.Path, What: what, Bytes: c.TooLong}}})
		case !r.hand(Batch{Session: session, Text: c.Text, Line: c.Line, buffers: &r.buffers}):
			return
		}
	}
}

// headSession takes the session's id from a transcript's first line, {"type":"session","id":"…"}, where the file's
// name does not bear it. Without one it stays as it is.
func headSession(text io.Reader, session string) (io.Reader, string) {
	b := bufio.NewReader(text)
	head, _ := b.Peek(b.Size())
	line, _, _ := bytes.Cut(head, []byte{'\n'})
	if m := flatten(line, 1); m["type"] == "session" && m["id"] != "" {
		session = m["id"]
	}
	return b, session
}

func (r *recordReader) database(read func(*recordReader, *Database) error) {
	for _, g := range readSteady(r.ctx, r.fsys, r.source.Path, func(d *Database) error { return read(r, d) }) {
		r.hand(Batch{Gaps: []Gap{g}})
	}
}

func (r *recordReader) transcriptRows(d *Database) error {
	const t = "transcript_events"
	if !d.Has(t, "session_id", "seq", "event_json") {
		if v := d.userVersion(); v >= transcriptSchema {
			return fmt.Errorf("it has no table %s as its schema, %d, has it: the transcripts were removed or replaced", t, v)
		}
		return nil
	}
	return r.rows(d, fmt.Sprintf("SELECT session_id, seq, event_json, %s, %s FROM %s NOT INDEXED",
		d.Column(t, "event_zstd", "NULL"), d.Column(t, "event_utf8_bytes", "NULL"), t))
}

func (r *recordReader) trajectoryRows(d *Database) error {
	if !d.Has("trajectory_runtime_events", "session_id", "seq", "event_json") {
		return nil
	}
	return r.rows(d, "SELECT session_id, seq, event_json, NULL, NULL FROM trajectory_runtime_events NOT INDEXED")
}

// rows hands on the rows of a query of session, number, text, zstd frame and length. Such a query walks the table
// itself: an index could have been changed to hide rows, and the order of insertion is that of the events.
func (r *recordReader) rows(d *Database, query string) error {
	b := r.rowBatch()
	session := ""
	for row, err := range d.Query(r.ctx, query) {
		if err != nil {
			r.handRows(&b)
			return err
		}
		if id := row.Text(0); string(id) != session {
			session = string(id)
		}
		rec := Record{Session: session, Line: row.Int(1), Size: row.Int(4)}
		// OpenClaw fills one of the two; who filled both must not hide one behind the other.
		if !row.Null(2) || row.Null(3) {
			b.add(rec, row.Text(2))
		}
		if !row.Null(3) {
			rec.Zstd = true
			b.add(rec, row.Text(3))
		}
		if len(b.text) >= batchBytes && !r.handRows(&b) {
			return nil
		}
	}
	r.handRows(&b)
	return nil
}

func (r *recordReader) rowBatch() Batch { return Batch{text: r.buffers.Get(), buffers: &r.buffers} }

// add copies a row into the batch.
func (b *Batch) add(rec Record, data []byte) {
	start := len(b.text)
	b.text = append(b.text, data...)
	rec.Data = b.text[start:len(b.text):len(b.text)]
	b.Records = append(b.Records, rec)
}

// handRows hands on a batch of rows and begins the next.
func (r *recordReader) handRows(b *Batch) bool {
	if len(b.Records) == 0 {
		return true
	}
	ok := r.hand(*b)
	*b = r.rowBatch()
	return ok
}

func (r *recordReader) archiveRows(d *Database) error {
	return r.blobs(d, "session_transcript_archives")
}

func (r *recordReader) coldRows(d *Database) error {
	return r.blobs(d, "session_transcript_cold_archives")
}

// blobs unpacks the transcripts that a table holds whole.
func (r *recordReader) blobs(d *Database, table string) error {
	if !d.Has(table, "session_id", "archive_blob") {
		return nil
	}
	query := fmt.Sprintf("SELECT session_id, archive_blob FROM %s WHERE archive_blob IS NOT NULL", table)
	for row, err := range d.Query(r.ctx, query) {
		if err != nil {
			return err
		}
		blob := string(row.Text(1))
		if strings.HasPrefix(blob, "\x28\xb5\x2f\xfd") {
			r.unpack(strings.NewReader(blob), string(row.Text(0)))
		} else {
			r.lines(strings.NewReader(blob), string(row.Text(0)))
		}
		if r.stopped {
			return nil
		}
	}
	return nil
}
