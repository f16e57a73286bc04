package analyze

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/secret"
)

// A Sighting is what the evidence shows of one secret.
type Sighting struct {
	Unknown  *secret.Unknown `json:"-"` // what is known of a value that no set holds, else nil
	Read     bool            `json:"read"`
	Run      bool            `json:"run"`
	Written  bool            `json:"written"`
	Sent     bool            `json:"sent"`
	First    time.Time       `json:"first,omitzero"` // UTC; zero if no record bears a time
	Last     time.Time       `json:"last,omitzero"`
	Masked   bool            `json:"masked,omitempty"` // in some only as the mask OpenClaw wrote: its first six and last four characters
	Count    int             `json:"count"`            // records, each counted once however many copies of it there are
	Sessions []string        `json:"sessions,omitempty"`
	Uses     []Use           `json:"uses,omitempty"` // in the order of Ways
}

// A Use is what the evidence shows of one way in which a secret was used. A record can be of several.
type Use struct {
	Way      Way       `json:"way"`
	Count    int       `json:"count"`            // records; files of what is at rest
	Masked   int       `json:"masked,omitempty"` // of them only as a mask
	First    time.Time `json:"first,omitzero"`
	Last     time.Time `json:"last,omitzero"`
	Sessions []string  `json:"sessions,omitempty"`
	Events   []string  `json:"events"` // the first few, as [Event.ID] names them; files of what is at rest
}

// Join adds what was seen of another value that is replaced together with this one.
func (s *Sighting) Join(o *Sighting) {
	s.Read, s.Run, s.Written, s.Sent, s.Masked = s.Read || o.Read, s.Run || o.Run, s.Written || o.Written, s.Sent || o.Sent, s.Masked || o.Masked
	s.Count += o.Count
	s.First, s.Last, s.Sessions = joinTimes(s.First, o.First, s.Last, o.Last, s.Sessions, o.Sessions)
	for _, u := range o.Uses {
		i := slices.IndexFunc(s.Uses, func(have Use) bool { return have.Way == u.Way })
		if i < 0 {
			s.Uses = append(s.Uses, u)
			continue
		}
		have := &s.Uses[i]
		have.Count, have.Masked = have.Count+u.Count, have.Masked+u.Masked
		have.First, have.Last, have.Sessions = joinTimes(have.First, u.First, have.Last, u.Last, have.Sessions, u.Sessions)
		events := slices.Compact(slices.Sorted(slices.Values(slices.Concat(have.Events, u.Events))))
		have.Events = events[:min(len(events), maxMentions)]
	}
	slices.SortFunc(s.Uses, func(a, b Use) int { return cmp.Compare(slices.Index(Ways, a.Way), slices.Index(Ways, b.Way)) })
}

func joinTimes(first, otherFirst, last, otherLast time.Time, sessions, otherSessions []string) (time.Time, time.Time, []string) {
	if first.IsZero() || !otherFirst.IsZero() && otherFirst.Before(first) {
		first = otherFirst
	}
	if otherLast.After(last) {
		last = otherLast
	}
	return first, last, slices.Compact(slices.Sorted(slices.Values(slices.Concat(sessions, otherSessions))))
}

// maxMentions is how many events a Use names.
const maxMentions = 5

// SightingOptions choose what Sightings looks at. The zero value is all records, for the known values alone.
type SightingOptions struct {
	Since, Until time.Time // records that bear a time before or not before these do not count
	Unknown      bool      // secrets that the set does not hold and that a well-known format shows, too
	Rest         bool      // the gateway's logs and the files of the workspaces, too
	Read         func(bytes int64)
}

// Sightings looks for the known values of set in all records of the installations: transcripts of every form,
// trajectories, and the ledgers of commands, approvals, automations and messages. It returns what it saw by fingerprint,
// and what it read. A value counts in any form that [secret.Set.Redact] finds, base64 for instance, and so does its mask.
//
// OpenClaw masks what it stores, and some of it leaves nothing ("***"): a secret that is not seen may have been read or
// sent all the same.
func Sightings(ctx context.Context, fsys fs.FS, installs []*openclaw.Installation, set *secret.Set, o SightingOptions) (map[string]Sighting, *Coverage, error) {
	r := &Report{Installations: installs}
	r.Coverage.Installations = len(installs)
	w := newWatcher(set, o)
	for _, in := range installs {
		sources, gaps := in.Transcripts(fsys)
		r.Coverage.gap(gaps...)
		// Trajectories repeat what transcripts hold, so they come after.
		var transcripts, trajectories, logs []openclaw.Source
		for _, s := range r.unread(sources) {
			if isTrajectory(&s) {
				trajectories = append(trajectories, s)
			} else {
				transcripts = append(transcripts, s)
			}
		}
		if o.Rest {
			found, gaps := in.Logs(fsys)
			r.Coverage.gap(gaps...)
			logs = r.unread(found)
			r.watchFiles(ctx, fsys, in, w)
		}
		for _, phase := range [][]openclaw.Source{transcripts, trajectories, logs} {
			if err := r.watch(ctx, fsys, phase, w); err != nil {
				return nil, &r.Coverage, err
			}
		}
		r.watchLedgers(ctx, fsys, in, w)
	}
	r.Coverage.sum()
	if w.lost > 0 {
		r.Coverage.gap(openclaw.Gap{Path: "/", What: fmt.Sprintf("more than %d different texts look like secrets; %d sightings of others are not told", maxUnknown, w.lost)})
	}
	return w.sightings(), &r.Coverage, ctx.Err()
}

// maxUnknown bounds how many unknown secrets are told: whoever writes a transcript can invent them.
const maxUnknown = 10_000

// A mention is one record that holds a secret.
type mention struct {
	at  int64 // ms; 0 if it bears no time
	id  string
	key [2]uint64
}

// sighted is a Sighting in the making.
type sighted struct {
	Sighting
	tally
	uses [unclearPlace + 1]tally // by place in Ways
}

const unclearPlace = 5

// A tally is what Uses and Sightings count.
type tally struct {
	count, masked int
	first, last   int64 // ms; 0 if none
	sessions      map[string]bool
	mentions      []mention // the first few, in order
}

// A watcher collects sightings. Its methods may be called by several goroutines at once.
type watcher struct {
	set  *secret.Set
	o    SightingOptions
	seed maphash.Seed

	mu      sync.Mutex
	known   map[[2]uint64]bool // records that were counted
	seen    map[string]*sighted
	unknown int // of seen
	lost    int // sightings of unknown secrets beyond the bound
}

func newWatcher(set *secret.Set, o SightingOptions) *watcher {
	return &watcher{set: set, o: o, seed: maphash.MakeSeed(), known: map[[2]uint64]bool{}, seen: map[string]*sighted{}}
}

func (w *watcher) sightings() map[string]Sighting {
	all := map[string]Sighting{}
	for print, s := range w.seen {
		whole := s.tally.use("")
		s.First, s.Last, s.Sessions, s.Count = whole.First, whole.Last, whole.Sessions, whole.Count
		for i, way := range Ways {
			if u := &s.uses[i]; u.count > 0 {
				s.Uses = append(s.Uses, u.use(way))
			}
		}
		all[print] = s.Sighting
	}
	return all
}

func (t *tally) use(way Way) Use {
	u := Use{Way: way, Count: t.count, Masked: t.masked}
	if t.first > 0 {
		u.First, u.Last = time.UnixMilli(t.first).UTC(), time.UnixMilli(t.last).UTC()
	}
	for id := range t.sessions {
		u.Sessions = append(u.Sessions, id)
	}
	slices.Sort(u.Sessions)
	for _, m := range t.mentions {
		u.Events = append(u.Events, m.id)
	}
	return u
}

// add counts a record. again says that it may repeat one of the same session.
func (t *tally) add(m mention, session string, masked, again bool) {
	if m.at > 0 {
		t.last = max(t.last, m.at)
		if t.first == 0 || m.at < t.first {
			t.first = m.at
		}
	}
	if again && t.sessions[session] {
		return
	}
	t.count++
	if masked {
		t.masked++
	}
	if session != "" {
		if t.sessions == nil {
			t.sessions = map[string]bool{}
		}
		t.sessions[session] = true
	}
	t.name(m)
}

// name keeps the mention if it is among the first. Of the copies of a record the one with the first name counts, whichever
// was read first.
func (t *tally) name(m mention) {
	if i := slices.IndexFunc(t.mentions, func(have mention) bool { return have.key == m.key }); i >= 0 {
		t.mentions[i].id = min(t.mentions[i].id, m.id)
		return
	}
	i, _ := slices.BinarySearchFunc(t.mentions, m, func(a, b mention) int {
		return cmp.Or(cmp.Compare(a.at, b.at), strings.Compare(a.id, b.id))
	})
	if i < maxMentions {
		t.mentions = slices.Insert(t.mentions, i, m)
		t.mentions = t.mentions[:min(len(t.mentions), maxMentions)]
	}
}

// A trace is what one record shows of a secret.
type trace struct {
	ways    ways
	masked  bool // only its mask is there
	unknown *secret.Unknown
}

// find returns the secrets of a text.
func (w *watcher) find(text string) map[string]trace {
	var whole []string
	var unknown []secret.Unknown
	if w.o.Unknown {
		whole, unknown = w.set.Look(text)
	} else {
		whole = w.set.Found(text)
	}
	masked := w.set.Masked(text)
	if len(whole)+len(masked)+len(unknown) == 0 {
		return nil
	}
	found := map[string]trace{}
	for _, u := range unknown {
		found[u.Fingerprint] = trace{unknown: &u}
	}
	for _, p := range masked {
		found[p] = trace{masked: true}
	}
	for _, p := range whole {
		found[p] = trace{}
	}
	return found
}

// note counts a record that holds secrets. again says that it may repeat one of the same session; copied, that it was counted.
func (w *watcher) note(found map[string]trace, m mention, session string, again, copied bool) {
	if m.at > 0 && (!w.o.Since.IsZero() && m.at < w.o.Since.UnixMilli() || !w.o.Until.IsZero() && m.at >= w.o.Until.UnixMilli()) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for print, f := range found {
		if s := w.sighted(print, f.unknown); s != nil {
			s.note(f, m, session, again, copied)
		}
	}
}

// sighted returns what is known so far of a secret; nil if there are too many.
func (w *watcher) sighted(print string, unknown *secret.Unknown) *sighted {
	s := w.seen[print]
	if s != nil {
		return s
	}
	if unknown != nil {
		if w.unknown == maxUnknown {
			w.lost++
			return nil
		}
		w.unknown++
	}
	s = &sighted{Sighting: Sighting{Unknown: unknown}}
	w.seen[print] = s
	return s
}

func (s *sighted) note(f trace, m mention, session string, again, copied bool) {
	if f.ways == 0 {
		f.ways = wayUnclear
	}
	if !copied {
		s.Read, s.Sent, s.Masked = s.Read || f.ways&waySeen != 0, s.Sent || f.ways&waySent != 0, s.Masked || f.masked
		s.Run, s.Written = s.Run || f.ways&wayRun != 0, s.Written || f.ways&wayWritten != 0
		s.add(m, session, f.masked, again)
	}
	for i := range Ways {
		switch {
		case f.ways>>i&1 == 0:
		case copied:
			s.uses[i].name(m)
		default:
			s.uses[i].add(m, session, f.masked, again)
		}
	}
}

// isNew reports whether a record is seen for the first time: transcripts are kept in several forms.
func (w *watcher) isNew(key [2]uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.known[key] {
		return false
	}
	w.known[key] = true
	return true
}

// watch reads sources in one goroutine and searches their records on all cores.
func (r *Report) watch(ctx context.Context, fsys fs.FS, sources []openclaw.Source, w *watcher) error {
	workers := runtime.GOMAXPROCS(0)
	todo := make(chan openclaw.Batch, workers)
	var running sync.WaitGroup
	var mu sync.Mutex // of the coverage
	cover := r.cover(sources)
	count := func(b *openclaw.Batch, d *decoded) {
		mu.Lock()
		defer mu.Unlock()
		r.count(b, d, cover[b.Source])
	}
	for range workers {
		d, err := newDecoder(w.seed, nil, false)
		if err != nil {
			return err
		}
		running.Go(func() {
			defer d.zstd.Close()
			for b := range todo {
				out := w.batch(d, &b)
				count(&b, &out)
				if w.o.Read != nil {
					w.o.Read(out.bytes)
				}
				b.Free()
			}
		})
	}
	openclaw.ReadSources(ctx, fsys, sources, func(b openclaw.Batch) bool {
		todo <- b
		return ctx.Err() == nil
	})
	close(todo)
	running.Wait()
	return ctx.Err()
}

// count adds a batch to the coverage.
func (r *Report) count(b *openclaw.Batch, d *decoded, row *SourceCoverage) {
	row.Records += d.records
	row.Bytes += d.bytes
	row.Lost += d.lost
	row.Unparsed += int64(len(d.unparsed))
	for _, g := range b.Gaps {
		row.Unreadable = row.Unreadable || b.Passed == 0
		r.Coverage.gap(g)
	}
	row.pass(b.Passed)
	r.Coverage.gap(d.unparsed...)
}

// batch searches the records of a batch.
func (w *watcher) batch(d *decoder, b *openclaw.Batch) (out decoded) {
	number := b.Line
	for text := b.Text; len(text) > 0; number++ {
		line, rest, _ := bytes.Cut(text, []byte{'\n'})
		out.bytes += int64(len(text) - len(rest))
		text = rest
		if len(line) > 0 {
			out.records++
			w.record(b.Source, line, b.Session, number)
		}
	}
	for i := range b.Records {
		rec := &b.Records[i]
		data := rec.Data
		out.records++
		if rec.Zstd {
			var err error
			if data, err = d.unpack(rec.Data, rec.Size, &out.text); err != nil {
				out.fail(b, rec.Line, int64(len(rec.Data)), err)
				continue
			}
			out.text = out.text[:0] // nothing of it is kept
		}
		out.bytes += int64(len(data))
		w.record(b.Source, data, rec.Session, rec.Line)
	}
	return out
}

// record notes the secrets of one record. Only one that holds any is parsed, and one that is not JSON counts too.
func (w *watcher) record(src *openclaw.Source, data []byte, session string, line int64) {
	found := w.find(string(data))
	if len(found) == 0 {
		return
	}
	if src.Form == openclaw.FormLog {
		w.logLine(src, data, line, found)
		return
	}
	m := mention{id: (&Event{Session: session, Line: line}).ID()}
	doc, err := parseRecord(data)
	if err == nil {
		m.at = recordTime(doc)
		found = w.ways(doc, found)
	}
	id, _ := doc["id"].(string)
	if uuid, _ := doc["uuid"].(string); id == "" {
		id = uuid
	}
	m.key = [2]uint64{maphash.Bytes(w.seed, data)}
	if id != "" {
		m.key = [2]uint64{maphash.String(w.seed, session+"\x00"+id), maphash.String(w.seed, strings.Join(slices.Sorted(maps.Keys(found)), " "))}
	}
	again := isTrajectory(src)
	w.note(found, m, session, again, !again && !w.isNew(m.key))
}

// ways tells which way the secrets of a record went. What an unknown one is shows in its text without the escapes of JSON.
func (w *watcher) ways(doc map[string]any, raw map[string]trace) map[string]trace {
	found := map[string]trace{}
	for p, f := range raw {
		if f.unknown == nil {
			found[p] = f
		}
	}
	add := func(text string, way ways) {
		for p, f := range w.find(text) {
			if have, ok := found[p]; ok {
				f = have
			}
			f.ways |= way
			found[p] = f
		}
	}
	called := func(text string, c *toolCall) {
		add(text, c.way)
		if c.command != "" && len(w.find(text)) > 0 {
			for _, part := range sendingParts(c.command) {
				add(part, waySent)
			}
			c.command = ""
		}
	}
	walk := walker{see: add, call: called}
	walk.walk(doc, 0, nil, 0)
	return found
}

var errNotRecord = errors.New("not one JSON object")

// parseRecord parses a record that is known to be bounded.
func parseRecord(data []byte) (map[string]any, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var doc map[string]any
	if err := dec.Decode(&doc); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF || doc == nil {
		return nil, errNotRecord
	}
	return doc, nil
}

// recordTime returns a record's time in milliseconds, 0 if it bears none.
func recordTime(doc map[string]any) int64 {
	message, _ := doc["message"].(map[string]any)
	for _, v := range []any{doc["timestamp"], doc["ts"], message["timestamp"]} {
		switch v := v.(type) {
		case string:
			if ms, ok := parseTime([]byte(`"` + v + `"`)); ok {
				return ms
			}
		case json.Number:
			if ms, err := v.Int64(); err == nil && isMillis(ms) {
				return ms
			}
		}
	}
	return 0
}

// watchLedgers searches the ledgers' events, which tell of what transcripts may have lost.
func (r *Report) watchLedgers(ctx context.Context, fsys fs.FS, in *openclaw.Installation, w *watcher) {
	sessions, gaps := in.Sessions(ctx, fsys)
	r.Coverage.gap(gaps...)
	j := newJoiner(wanted([]Kind{KindExec, KindWrite, KindEdit, KindFetch, KindBrowse, KindMessage, KindSpawn, KindAutomation, KindApproval}), sessions, owners(in), func(*Event) {})
	r.ledgers(ctx, fsys, in, j, func(e *Event) {
		found := w.find(e.What + "\n" + e.Target)
		if len(found) == 0 {
			return
		}
		w.event(found, e)
		m := mention{at: e.Time, id: e.ID()}
		if e.NoTime {
			m.at = 0
		}
		m.key = [2]uint64{maphash.String(w.seed, m.id), maphash.String(w.seed, e.What)}
		w.note(found, m, e.Session, true, false)
	})
}

// event marks which way the secrets of a ledger's event went. What was asked for and not done is unclear.
func (w *watcher) event(found map[string]trace, e *Event) {
	way := judgeCall(e.Kind, "", e.What).way
	switch {
	case e.Kind == KindApproval:
		way = wayUnclear
	case e.Kind == KindMessage && e.Target == "in":
		way = waySeen
	}
	for p, f := range found {
		f.ways |= way
		found[p] = f
	}
	if e.Kind != KindExec {
		return
	}
	for _, part := range sendingParts(e.What) {
		for p := range w.find(part) {
			if f, ok := found[p]; ok {
				f.ways |= waySent
				found[p] = f
			}
		}
	}
}
