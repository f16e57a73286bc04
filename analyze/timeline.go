package analyze

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"iter"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

// Options choose what of the evidence becomes a timeline. The zero Options show what ran and what was written.
type Options struct {
	Find    openclaw.FindOptions
	Kinds   []Kind    // nil: DefaultKinds
	Agent   string    // only this agent; "" all
	Session string    // only sessions whose id or key holds this; "" all
	Since   time.Time // zero: from the beginning
	Until   time.Time // zero: to the end
	Digest  bool      // compute the digest of each event's record
	Read    func(n int64)
	whole   bool // keep what calls wrote and tools returned, and gateway log lines of every level
}

// A Report is a timeline with what stands behind it.
type Report struct {
	Installations []*openclaw.Installation
	Coverage      Coverage
	store         *store
	spent         *spending // by the models, while it is summed up
}

// Events returns the events by time. Strings of an event may hold hostile text, and secrets.
func (r *Report) Events() iter.Seq2[*Event, error] { return r.store.byTime() }

// ErrNothing says that no installation of OpenClaw was found in the evidence.
var ErrNothing = errors.New("no installation of OpenClaw found")

// Timeline reads all sources of all installations in fsys and returns the events asked for, by time.
// What cannot be read is in the report's Coverage; the error is for a search that found nothing, or ctx.
func Timeline(ctx context.Context, fsys fs.FS, o Options) (*Report, error) {
	if o.Kinds == nil {
		o.Kinds = DefaultKinds
	}
	st, err := newStore()
	if err != nil {
		return nil, err
	}
	r := &Report{store: st}
	err = r.read(ctx, fsys, &o, st.add)
	r.Coverage.Events = int64(st.len())
	return r, err
}

// Visit reads all sources as Timeline does, and hands each event that was asked for to take, in no order but that of the sources.
func Visit(ctx context.Context, fsys fs.FS, o Options, take func(*Event)) (*Report, error) {
	r := &Report{}
	return r, r.read(ctx, fsys, &o, take)
}

// read finds the installations and hands every event that was asked for to take, in no order but that of the sources.
func (r *Report) read(ctx context.Context, fsys fs.FS, o *Options, take func(*Event)) error {
	installs, gaps := openclaw.Find(fsys, o.Find)
	r.Installations = installs
	r.Coverage.gap(gaps...)
	r.Coverage.Installations = len(installs)
	if len(installs) == 0 {
		return ErrNothing
	}
	for _, in := range installs {
		for _, n := range in.Notes {
			r.Coverage.Notes = append(r.Coverage.Notes, in.StateDir+": "+n)
		}
		if err := r.installation(ctx, fsys, in, o, take); err != nil {
			return err
		}
	}
	r.Coverage.sum()
	return ctx.Err()
}

func wanted(kinds []Kind) map[Kind]bool {
	want := map[Kind]bool{}
	for _, k := range kinds {
		want[k] = true
	}
	return want
}

func (r *Report) installation(ctx context.Context, fsys fs.FS, in *openclaw.Installation, o *Options, take func(*Event)) error {
	sources, gaps := in.Transcripts(fsys)
	sources = r.unread(sources)
	sessions, more := in.Sessions(ctx, fsys)
	r.Coverage.gap(append(gaps, more...)...)
	sources = r.ofSession(sources, sessions, o.Session)
	keep := func(e *Event) {
		if o.keeps(e) {
			take(e)
		}
	}
	j := newJoiner(wanted(o.Kinds), sessions, owners(in), keep)
	j.whole, j.home, j.spent = o.whole, in.StateDir, r.spent
	if err := r.transcripts(ctx, fsys, sources, j, o); err != nil {
		return err
	}
	j.flush()
	if j.parted > 0 {
		r.Coverage.gap(openclaw.Gap{Path: in.StateDir, What: fmt.Sprintf("more than %d MB of calls without results, or of results without calls, waited for each other: of some that say so, the other is there all the same", maxWaiting>>20)})
	}
	r.ledgers(ctx, fsys, in, j, keep)
	if j.want[KindLog] {
		r.logs(ctx, fsys, in, o, keep)
	}
	return ctx.Err()
}

// unread leaves out the sources that another installation has brought: those of one account share its logs and the
// records of other command lines.
func (r *Report) unread(sources []openclaw.Source) []openclaw.Source {
	type key struct{ path, form string }
	read := make(map[key]bool, len(r.Coverage.Sources))
	for _, c := range r.Coverage.Sources {
		read[key{c.Path, c.Form}] = true
	}
	return slices.DeleteFunc(sources, func(s openclaw.Source) bool { return read[key{s.Path, s.Form.String()}] })
}

// ofSession leaves out the files of other sessions than the one asked for: one session of a large bundle is read
// without decrypting the rest. A database, and a file whose name does not bear its session, are read.
func (r *Report) ofSession(sources []openclaw.Source, sessions map[string]*openclaw.Session, session string) []openclaw.Source {
	if session == "" {
		return sources
	}
	kept := slices.DeleteFunc(slices.Clone(sources), func(s openclaw.Source) bool {
		if s.Session == "" || s.Form == openclaw.FormReadCache || s.Form == openclaw.FormCold || strings.Contains(s.Session, session) {
			return false
		}
		info := sessions[s.Session]
		return info == nil || !strings.Contains(info.Key, session)
	})
	if n := len(sources) - len(kept); n > 0 {
		r.Coverage.Notes = append(r.Coverage.Notes, fmt.Sprintf("%d files of other sessions were left out, as asked", n))
	}
	return kept
}

// owners are the senders the config calls owners of the agent (commands.ownerAllowFrom).
func owners(in *openclaw.Installation) []string {
	return in.Config.Strings("commands", "ownerAllowFrom")
}

func (o *Options) keeps(e *Event) bool {
	return (o.Agent == "" || e.Agent == o.Agent) &&
		(o.Session == "" || strings.Contains(e.Session, o.Session) || strings.Contains(e.Key, o.Session)) &&
		(o.Since.IsZero() || e.Time >= o.Since.UnixMilli()) &&
		(o.Until.IsZero() || e.Time < o.Until.UnixMilli())
}

// A job is a batch on its way through the decoders, in the order it was read.
type job struct {
	batch openclaw.Batch
	done  chan decoded
}

// decoded is what became of a batch.
type decoded struct {
	scratch
	unparsed []openclaw.Gap
	remarks  []openclaw.Gap
	records  int64
	bytes    int64
	lost     int64
}

// transcripts reads the sources in one goroutine, decodes batches on all cores and joins them in order.
func (r *Report) transcripts(ctx context.Context, fsys fs.FS, sources []openclaw.Source, j *joiner, o *Options) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	workers := runtime.GOMAXPROCS(0)
	todo, order := make(chan *job, workers), make(chan *job, 2*workers)
	var running sync.WaitGroup
	var pool scratchPool
	seed := maphash.MakeSeed()
	for range workers {
		d, err := newDecoder(seed, j.want, o.Digest)
		if err != nil {
			return err
		}
		running.Go(func() {
			defer d.zstd.Close()
			for w := range todo {
				w.done <- d.batch(&w.batch, pool.get())
			}
		})
	}
	running.Go(func() {
		defer close(order)
		defer close(todo)
		openclaw.ReadSources(ctx, fsys, sources, func(b openclaw.Batch) bool {
			w := &job{batch: b, done: make(chan decoded, 1)}
			select {
			case order <- w:
				todo <- w
				return true
			case <-ctx.Done():
				return false
			}
		})
	})
	cover := r.cover(sources)
	for w := range order {
		d := <-w.done
		r.take(w.batch, d, cover[w.batch.Source], j, o)
		w.batch.Free()
		pool.put(d.scratch)
	}
	running.Wait()
	return ctx.Err()
}

// cover makes a row of the coverage for every source. One database serves as several sources.
func (r *Report) cover(sources []openclaw.Source) map[*openclaw.Source]*SourceCoverage {
	first := len(r.Coverage.Sources)
	for _, s := range sources {
		r.Coverage.Sources = append(r.Coverage.Sources, SourceCoverage{Path: s.Path, Form: s.Form.String(), Agent: s.Agent})
	}
	rows := map[*openclaw.Source]*SourceCoverage{}
	for i := range sources {
		rows[&sources[i]] = &r.Coverage.Sources[first+i]
	}
	return rows
}

// take counts a decoded batch and joins its records.
func (r *Report) take(b openclaw.Batch, d decoded, row *SourceCoverage, j *joiner, o *Options) {
	row.Records += d.records
	row.Bytes += d.bytes
	row.Lost += d.lost
	for _, g := range b.Gaps {
		row.Unreadable = row.Unreadable || b.Passed == 0
		r.Coverage.gap(g)
	}
	row.pass(b.Passed)
	r.Coverage.gap(d.remarks...)
	for _, g := range d.unparsed {
		if row.Unparsed++; row.Unparsed <= maxUnparsedGaps {
			r.Coverage.gap(g)
		}
	}
	for i := range d.items {
		if j.add(b.Source, &d.items[i]) {
			row.Duplicates++
		}
	}
	if o.Read != nil {
		o.Read(d.bytes)
	}
}

// A scratch is what a batch is decoded into.
type scratch struct {
	items []item
	text  []byte // unpacked rows
}

// A scratchPool lets the scratch of joined batches be used again: without it most of the time goes to the garbage
// collector.
type scratchPool struct{ pool sync.Pool }

func (p *scratchPool) get() scratch {
	if s, ok := p.pool.Get().(*scratch); ok {
		return scratch{s.items[:0], s.text[:0]}
	}
	return scratch{}
}

// maxScratch keeps one batch of giants from holding its memory for good. Bytes.
const maxScratch = 16 << 20

func (p *scratchPool) put(s scratch) {
	clear(s.items)
	if cap(s.text) <= maxScratch {
		p.pool.Put(&s)
	}
}

// batch decodes the records of a batch.
func (d *decoder) batch(b *openclaw.Batch, into scratch) (out decoded) {
	out.scratch = into
	line := b.Line
	for text := b.Text; len(text) > 0; line++ {
		end := bytes.IndexByte(text, '\n') + 1
		if end == 0 {
			end = len(text)
		}
		record := text[:end]
		text = text[end:]
		if trimmed := bytes.TrimSpace(record); len(trimmed) > 0 {
			d.one(b, trimmed, b.Session, line, &out)
		}
		out.bytes += int64(end)
	}
	for i := range b.Records {
		rec := &b.Records[i]
		data := rec.Data
		if rec.Zstd {
			var err error
			if data, err = d.unpack(rec.Data, rec.Size, &out.text); err != nil {
				out.records++
				out.bytes += int64(len(rec.Data))
				out.fail(b, rec.Line, int64(len(rec.Data)), err)
				continue
			}
		}
		if rec.Size > 0 && rec.Size != int64(len(data)) {
			out.remarks = append(out.remarks, openclaw.Gap{Path: b.Source.Path, What: fmt.Sprintf("session %s record %d: is %d bytes long, its row says %d", rec.Session, rec.Line, len(data), rec.Size)})
		}
		d.one(b, data, rec.Session, rec.Line, &out)
		out.bytes += int64(len(data))
	}
	return out
}

func (d *decoder) one(b *openclaw.Batch, data []byte, session string, line int64, out *decoded) {
	out.records++
	it, err := d.item(data, session)
	if err != nil {
		out.fail(b, line, int64(len(data)), err)
		return
	}
	it.line = line
	out.items = append(out.items, it)
}

func (out *decoded) fail(b *openclaw.Batch, line, size int64, err error) {
	out.lost += size
	out.unparsed = append(out.unparsed, openclaw.Gap{
		Path: b.Source.Path, What: fmt.Sprintf("record %d: %v", line, err), Bytes: size,
	})
}
