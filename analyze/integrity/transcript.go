package integrity

import (
	"bytes"
	"fmt"
	"io/fs"
	"slices"

	"github.com/clawbook/openclaw-ir/internal/jsonl"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/klauspost/compress/zstd"
)

const (
	// backwards is how far, in ms, a time may lie before the one before it.
	backwards = 5_000
	// maxBroken is how many records of one source that do not parse are kept.
	maxBroken = 1000
	// minute is in ms.
	minute = 60_000
	// apart is how far, in ms, two times of one event may lie apart.
	apart = 60_000
	// afterMtime is how far, in ms, a file's time may lie from that of its last event. Archives cut times to seconds.
	afterMtime = 2_000
	// rewritten is how long, in ms, after its last event a transcript may still be written without a word about it.
	rewritten = 15_000
)

// ofOpenClaw are the forms of OpenClaw's own transcripts. Those of the claude and codex command lines have no chain
// that this release knows.
func ofOpenClaw(s openclaw.Source) bool {
	switch s.Form {
	case openclaw.FormClaude, openclaw.FormCodex, openclaw.FormSQLite, openclaw.FormTrajectorySQLite, openclaw.FormLog, openclaw.FormLedger:
		return false
	}
	return true
}

// transcripts reads every transcript: databases first, which OpenClaw itself believes first.
func (c *checker) transcripts() {
	sources, gaps := c.in.Transcripts(c.fsys)
	c.gap(gaps...)
	for _, a := range c.in.Agents {
		c.agentDatabase(a)
	}
	sources = slices.DeleteFunc(sources, func(s openclaw.Source) bool { return !ofOpenClaw(s) })
	trajectories := slices.DeleteFunc(slices.Clone(sources), func(s openclaw.Source) bool { return s.Form != openclaw.FormTrajectory })
	sources = slices.DeleteFunc(sources, func(s openclaw.Source) bool { return s.Form == openclaw.FormTrajectory || c.brought(s) })
	r := c.newReader()
	defer r.close()
	openclaw.ReadSources(c.ctx, c.fsys, sources, r.batch)
	r.end()
	openclaw.ReadSources(c.ctx, c.fsys, trajectories, c.trajectoryBatch)
}

// brought reports whether another installation of the same account has brought the source.
func (c *checker) brought(s openclaw.Source) bool {
	key := s.Form.String() + " " + s.Path
	was := c.seen[key]
	c.seen[key] = true
	return was
}

// A reader takes transcripts record by record and keeps one chain for each session in each source.
type reader struct {
	c      *checker
	d      decoder
	zstd   *zstd.Decoder
	source *openclaw.Source
	chains map[string]*chain
	bad    []badLine
	lines  int64
}

type badLine struct {
	line int64
	why  string
}

func (c *checker) newReader() *reader {
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(jsonl.MaxLine))
	if err != nil { // only options are wrong
		panic(err)
	}
	return &reader{c: c, zstd: z, chains: map[string]*chain{}}
}

func (r *reader) close() { r.zstd.Close() }

func (r *reader) batch(b openclaw.Batch) bool {
	if b.Source != r.source {
		r.end()
		r.source = b.Source
	}
	r.c.gap(b.Gaps...)
	line := b.Line
	for text := range bytes.Lines(b.Text) {
		if trimmed := bytes.TrimSpace(text); len(trimmed) > 0 {
			r.record(b.Session, line, trimmed, 0)
		}
		line++
	}
	r.lines = max(r.lines, line-1)
	r.c.read(int64(len(b.Text)))
	b.Free()
	return true
}

// record takes one event and returns it, or nil if it does not parse. created is the time of its row, in ms; 0 if it has none.
func (r *reader) record(id string, line int64, text []byte, created int64) *event {
	r.c.count("INT-001", 1)
	e, err := r.d.event(text)
	if err != nil {
		r.broken(line, err)
		return nil
	}
	ch := r.chains[id]
	if ch == nil {
		s := r.c.session(id, r.source.Agent)
		s.in(r.source)
		ch = newChain(r.c, r.source, s)
		r.chains[id] = ch
	}
	ch.take(e, line, text, created)
	return e
}

// broken notes a record that does not parse. Of too many, the last one is kept, which may be torn.
func (r *reader) broken(line int64, err error) {
	b := badLine{line, err.Error()}
	if len(r.bad) < maxBroken {
		r.bad = append(r.bad, b)
		return
	}
	r.bad[maxBroken-1] = b
	r.c.rep.undecided("INT-001", "records that do not parse were told only in part")
}

// end closes the chains of the source that was read.
func (r *reader) end() {
	if r.source == nil {
		return
	}
	for _, ch := range r.chains {
		ch.end()
	}
	r.unparsed()
	r.mtime()
	r.chains, r.bad, r.lines, r.source = map[string]*chain{}, nil, 0, nil
}

// unparsed tells the lines that are no JSON. A last line without its end is what a crash leaves.
func (r *reader) unparsed() {
	for _, b := range r.bad {
		f := Finding{
			Check: "INT-001", Level: high, Title: "a line of a transcript does not parse", Path: r.source.Path, Session: r.source.Session, Line: b.line,
			Detail: b.why,
		}
		if b.line == r.lines && r.source.Form != openclaw.FormSQLite && !r.endsInNewline() {
			f.Level, f.Title = info, "the last line of a transcript is torn"
			f.Benign = "a crash or a copy during a write leaves such a line; it is no sign of tampering"
		}
		r.c.add(f)
	}
}

func (r *reader) endsInNewline() bool {
	f, err := r.c.fsys.Open(openclaw.FSName(r.source.Path))
	if err != nil {
		return true
	}
	defer f.Close()
	at, ok := f.(interface {
		ReadAt(p []byte, off int64) (int, error)
	})
	last := make([]byte, 1)
	if !ok || r.source.Zstd || r.source.Size == 0 {
		return false
	}
	_, err = at.ReadAt(last, r.source.Size-1)
	return err == nil && last[0] == '\n'
}

// mtime compares a file's time with that of its last event: OpenClaw only appends, so they are one.
func (r *reader) mtime() {
	if r.source.Form != openclaw.FormJSONL || len(r.chains) == 0 {
		return
	}
	st, err := fs.Stat(r.c.fsys, openclaw.FSName(r.source.Path))
	last := int64(0)
	for _, ch := range r.chains {
		last = max(last, ch.latest)
	}
	if err != nil || last == 0 {
		return
	}
	r.c.count("INT-002", 1)
	written := st.ModTime().UnixMilli()
	f := Finding{Check: "INT-002", Level: medium, Path: r.source.Path, Session: r.source.Session, Time: ms(last), Until: st.ModTime().UTC()}
	switch {
	case written-last > rewritten:
		f.Title = "a transcript was written after its last event"
		f.Detail = "OpenClaw appends an event and its time together; something else was written or the file was rewritten"
		f.Benign = "a copy that did not keep times, a compaction, or a clock that was set"
	case last-written > afterMtime:
		f.Title = "a transcript holds events later than its last write"
		f.Detail = "the file's time was set back, or the events' times are false"
		f.Benign = "a clock that was set"
	default:
		return
	}
	r.c.add(f)
}

// unpack returns the text of a row that is one zstd frame.
func (r *reader) unpack(frame []byte) ([]byte, error) {
	text, err := r.zstd.DecodeAll(frame, nil)
	if err != nil {
		return nil, fmt.Errorf("unpacking: %w", err)
	}
	return text, nil
}
