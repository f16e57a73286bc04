package analyze

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
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
	Read     bool      `json:"read"`           // in a tool's result, a file, or what someone wrote to the agent
	Sent     bool      `json:"sent"`           // in a command, a URL, a message or a file of the agent's
	First    time.Time `json:"first,omitzero"` // UTC; zero if no record bears a time
	Last     time.Time `json:"last,omitzero"`
	Masked   bool      `json:"masked,omitempty"` // in some only as the mask OpenClaw wrote: its first six and last four characters
	Count    int       `json:"count"`            // records, each counted once however many copies of it there are
	Sessions []string  `json:"sessions,omitempty"`
}

// Sightings looks for the known values of set in all records of the installations: transcripts of every form,
// trajectories, and the ledgers of commands, approvals, automations and messages. It returns what it saw by fingerprint,
// and what it read. A value counts in any form that [secret.Set.Redact] finds, base64 for instance, and so does its mask.
//
// OpenClaw masks what it stores, and some of it leaves nothing ("***"): a secret that is not seen may have been read or
// sent all the same.
func Sightings(ctx context.Context, fsys fs.FS, installs []*openclaw.Installation, set *secret.Set) (map[string]Sighting, *Coverage, error) {
	r := &Report{Installations: installs}
	r.Coverage.Installations = len(installs)
	w := newWatcher(set)
	for _, in := range installs {
		sources, gaps := in.Transcripts(fsys)
		r.Coverage.gap(gaps...)
		sources = r.unread(sources)
		// Trajectories repeat what transcripts hold, so they come after.
		var transcripts, trajectories []openclaw.Source
		for _, s := range sources {
			if isTrajectory(&s) {
				trajectories = append(trajectories, s)
			} else {
				transcripts = append(transcripts, s)
			}
		}
		for _, phase := range [][]openclaw.Source{transcripts, trajectories} {
			if err := r.watch(ctx, fsys, phase, w); err != nil {
				return nil, &r.Coverage, err
			}
		}
		r.watchLedgers(ctx, fsys, in, w)
	}
	r.Coverage.sum()
	return w.sightings(), &r.Coverage, ctx.Err()
}

// sighted is a Sighting in the making.
type sighted struct {
	Sighting
	first, last int64 // ms; 0 if none
	sessions    map[string]bool
}

// A watcher collects sightings. Its methods may be called by several goroutines at once.
type watcher struct {
	set  *secret.Set
	seed maphash.Seed

	mu    sync.Mutex
	known map[[2]uint64]bool // records that were counted
	seen  map[string]*sighted
}

func newWatcher(set *secret.Set) *watcher {
	return &watcher{set: set, seed: maphash.MakeSeed(), known: map[[2]uint64]bool{}, seen: map[string]*sighted{}}
}

func (w *watcher) sightings() map[string]Sighting {
	all := map[string]Sighting{}
	for print, s := range w.seen {
		if s.first > 0 {
			s.First, s.Last = time.UnixMilli(s.first).UTC(), time.UnixMilli(s.last).UTC()
		}
		for id := range s.sessions {
			s.Sessions = append(s.Sessions, id)
		}
		slices.Sort(s.Sessions)
		all[print] = s.Sighting
	}
	return all
}

// direction is which way a text went.
type direction int

const (
	wayUnknown direction = iota // neither, as far as it says
	wayIn
	wayOut
)

// A trace is what one record shows of a secret.
type trace struct {
	in, out bool
	masked  bool // only its mask is there
}

// find returns the secrets of a text.
func (w *watcher) find(text string) map[string]trace {
	whole, masked := w.set.Found(text), w.set.Masked(text)
	if len(whole)+len(masked) == 0 {
		return nil
	}
	found := map[string]trace{}
	for _, p := range masked {
		found[p] = trace{masked: true}
	}
	for _, p := range whole {
		found[p] = trace{}
	}
	return found
}

// note counts a record that holds secrets. again says that it may repeat one of the same session.
func (w *watcher) note(found map[string]trace, session string, at int64, again bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for print, f := range found {
		s := w.seen[print]
		if s == nil {
			s = &sighted{sessions: map[string]bool{}}
			w.seen[print] = s
		}
		s.Read, s.Sent, s.Masked = s.Read || f.in, s.Sent || f.out, s.Masked || f.masked
		if !again || !s.sessions[session] {
			s.Count++
		}
		if session != "" {
			s.sessions[session] = true
		}
		if at > 0 {
			s.last = max(s.last, at)
			if s.first == 0 || at < s.first {
				s.first = at
			}
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
	for text := b.Text; len(text) > 0; {
		line, rest, _ := bytes.Cut(text, []byte{'\n'})
		out.bytes += int64(len(text) - len(rest))
		text = rest
		if len(line) > 0 {
			out.records++
			w.record(b.Source, line, b.Session)
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
		w.record(b.Source, data, rec.Session)
	}
	return out
}

// record notes the secrets of one record. Only one that holds any is parsed, and one that is not JSON counts too.
func (w *watcher) record(src *openclaw.Source, data []byte, session string) {
	found := w.find(string(data))
	if len(found) == 0 {
		return
	}
	doc, err := parseRecord(data)
	var at int64
	if err == nil {
		at = recordTime(doc)
		walkRecord(doc, wayUnknown, 0, func(text string, way direction) { w.direct(found, text, way) })
	}
	id, _ := doc["id"].(string)
	if uuid, _ := doc["uuid"].(string); id == "" {
		id = uuid
	}
	key := [2]uint64{maphash.Bytes(w.seed, data)}
	if id != "" {
		key = [2]uint64{maphash.String(w.seed, session+"\x00"+id), maphash.String(w.seed, strings.Join(slices.Sorted(maps.Keys(found)), " "))}
	}
	if !isTrajectory(src) && !w.isNew(key) {
		return
	}
	w.note(found, session, at, isTrajectory(src))
}

// direct marks which way the secrets of a text went.
func (w *watcher) direct(found map[string]trace, text string, way direction) {
	if way == wayUnknown {
		return
	}
	for p := range w.find(text) {
		f := found[p]
		f.in, f.out = f.in || way == wayIn, f.out || way == wayOut
		found[p] = f
	}
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

// maxDepth bounds how deep a record is followed; the decoder of JSON has a bound of its own beyond that.
const maxDepth = 64

// walkRecord calls see for each string of a record with the direction it went: an assistant's words and calls go out, a
// tool's result and anybody else's words come in.
func walkRecord(v any, way direction, depth int, see func(string, direction)) {
	if depth > maxDepth {
		return
	}
	switch v := v.(type) {
	case string:
		see(v, way)
	case []any:
		for _, e := range v {
			walkRecord(e, way, depth+1, see)
		}
	case map[string]any:
		way = partDirection(v, way)
		for name, e := range v {
			walkRecord(e, memberDirection(name, way), depth+1, see)
		}
	}
}

// partDirection tells from a part's role or type which way it goes.
func partDirection(part map[string]any, way direction) direction {
	role, _ := part["role"].(string)
	typ, _ := part["type"].(string)
	switch role {
	case "assistant":
		way = wayOut
	case "user", "system", "developer", "tool", "toolResult":
		way = wayIn
	case "bashExecution":
		return wayIn // its command was the operator's
	}
	switch typ {
	case "toolCall", "tool_use", "toolUse", "tool_call", "functionCall", "function_call", "custom_tool_call", "local_shell_call", "tool.call", "model.completed", "agent_message":
		return wayOut
	case "tool_result", "function_call_output", "custom_tool_call_output", "tool.result", "prompt.submitted", "context.compiled", "compaction", "thinking", "reasoning", "user_message":
		return wayIn // what the agent thinks of, it has read
	}
	return way
}

// memberDirection tells from a member's name: an inner call's record holds both what went out and what came back.
func memberDirection(name string, way direction) direction {
	switch name {
	case "input", "arguments", "args":
		return wayOut
	case "result", "output", "toolUseResult", "thinking", "messagesSnapshot":
		return wayIn
	}
	return way
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
		for p, f := range found {
			f.in = e.Kind == KindMessage && e.Target == "in"
			f.out = !f.in
			found[p] = f
		}
		at := e.Time
		if e.NoTime {
			at = 0
		}
		w.note(found, e.Session, at, true)
	})
}
