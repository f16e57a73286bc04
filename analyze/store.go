package analyze

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"iter"
	"slices"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/severity"
	"github.com/clawbook/openclaw-ir/internal/sigma"
	"github.com/klauspost/compress/zstd"
)

const (
	// blockBytes is how much of encoded events a block holds before it is compressed.
	blockBytes = 256 << 10
	// windowBytes is how much of encoded events is laid out in order of time at once. For each window a block is decompressed once,
	// however the events lie: an intruder can give a transcript's records any times.
	windowBytes = 16 << 20
)

// A store keeps events compressed in memory until they are read back by time: a store of transcripts larger
// than memory must still have a timeline, and nothing of it may touch the disk in clear.
type store struct {
	enc      *zstd.Encoder
	dec      *zstd.Decoder
	blocks   [][]byte
	current  []byte
	keys     []storeKey
	words    map[string]uint64
	texts    []string
	sources  map[*openclaw.Source]uint64
	bySource []*openclaw.Source
	askers   map[Asker]uint64
	byAsker  []*Asker
	rules    map[*sigma.Rule]uint64
	byRule   []*sigma.Rule
	sorted   bool
}

// A storeKey orders an event and says where it lies.
type storeKey struct {
	time    int64
	session uint32
	line    int64
	call    int32
	block   uint32
	offset  uint32
	size    uint32 // bytes
}

func newStore() (*store, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false))
	if err != nil {
		return nil, fmt.Errorf("preparing zstd: %w", err)
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, fmt.Errorf("preparing zstd: %w", err)
	}
	return &store{enc: enc, dec: dec, words: map[string]uint64{}, sources: map[*openclaw.Source]uint64{}, askers: map[Asker]uint64{}, rules: map[*sigma.Rule]uint64{}}, nil
}

// add stores an event, which may be forgotten afterwards.
func (s *store) add(e *Event) {
	if len(s.current) >= blockBytes {
		s.blocks = append(s.blocks, s.enc.EncodeAll(s.current, nil))
		s.current = s.current[:0]
	}
	s.keys = append(s.keys, storeKey{
		time: e.Time, session: uint32(s.word(e.Session)), line: e.Line, call: int32(e.Call),
		block: uint32(len(s.blocks)), offset: uint32(len(s.current)),
	})
	s.current = s.encode(s.current, e)
	last := &s.keys[len(s.keys)-1]
	last.size = uint32(len(s.current)) - last.offset
	s.sorted = false
}

// word returns the number of a text that many events share.
func (s *store) word(text string) uint64 {
	n, ok := s.words[text]
	if !ok {
		n = uint64(len(s.texts))
		s.words[text] = n
		s.texts = append(s.texts, text)
	}
	return n
}

func (s *store) source(src *openclaw.Source) uint64 {
	n, ok := s.sources[src]
	if !ok {
		n = uint64(len(s.bySource))
		s.sources[src] = n
		s.bySource = append(s.bySource, src)
	}
	return n
}

func (s *store) asker(a *Asker) uint64 {
	n, ok := s.askers[*a]
	if !ok {
		n = uint64(len(s.byAsker))
		s.askers[*a] = n
		s.byAsker = append(s.byAsker, a)
	}
	return n
}

func (s *store) encode(b []byte, e *Event) []byte {
	flags, exit := uint64(0), int64(0)
	if e.Result.Exit != nil {
		flags, exit = 4, int64(*e.Result.Exit)
	}
	if e.NoTime {
		flags |= 1
	}
	if e.Result.Recorded {
		flags |= 2
	}
	for _, n := range []uint64{
		flags, s.source(e.Source), s.asker(e.Asker), s.word(string(e.Kind)), s.word(e.Agent), s.word(e.Session), s.word(e.Key),
		s.word(e.Tool), s.word(e.Cwd), s.word(string(e.Result.Status)), s.word(e.Result.Signal), uint64(len(e.Marks)),
	} {
		b = binary.AppendUvarint(b, n)
	}
	for _, n := range []int64{e.Time, e.Line, int64(e.Call), e.Bytes, exit, e.Result.Millis, e.Result.Size, e.Result.PID} {
		b = binary.AppendVarint(b, n)
	}
	for _, m := range e.Marks {
		b = binary.AppendUvarint(b, s.word(m))
	}
	for _, text := range []string{e.Digest, e.CallID, e.Parent, e.What, e.Recorded, e.Target, e.Result.Error} {
		b = appendText(b, text)
	}
	b = binary.AppendUvarint(b, uint64(len(e.values)))
	for _, v := range e.values {
		b = appendText(b, v)
	}
	b = binary.AppendUvarint(b, uint64(len(e.hits)))
	for i := range e.hits {
		b = s.encodeHit(b, &e.hits[i])
	}
	return b
}

func appendText(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

func (s *store) rule(r *sigma.Rule) uint64 {
	n, ok := s.rules[r]
	if !ok {
		n = uint64(len(s.byRule))
		s.rules[r] = n
		s.byRule = append(s.byRule, r)
	}
	return n
}

func (s *store) encodeHit(b []byte, h *hit) []byte {
	alert := uint64(0)
	if h.alert {
		alert = 1
	}
	for _, n := range []uint64{s.rule(h.rule), uint64(h.level), alert, s.word(h.category), s.word(h.field), s.word(h.layer), uint64(len(h.groups))} {
		b = binary.AppendUvarint(b, n)
	}
	b = appendText(b, h.excerpt)
	for _, g := range h.groups {
		b = appendText(binary.AppendUvarint(b, s.word(g.Name)), g.Text)
	}
	return b
}

func (s *store) decodeHit(r *storeReader) hit {
	h := hit{rule: s.byRule[r.uint()], level: severity.Level(r.uint()), alert: r.uint() == 1}
	h.category, h.field, h.layer = s.texts[r.uint()], s.texts[r.uint()], s.texts[r.uint()]
	groups := r.uint()
	h.excerpt = r.text()
	for range groups {
		name := s.texts[r.uint()]
		h.groups = append(h.groups, Detail{name, r.text()})
	}
	return h
}

// A storeReader takes numbers and texts off an encoded event.
type storeReader []byte

func (r *storeReader) uint() uint64 {
	n, size := binary.Uvarint(*r)
	*r = (*r)[size:]
	return n
}

func (r *storeReader) int() int64 {
	n, size := binary.Varint(*r)
	*r = (*r)[size:]
	return n
}

func (r *storeReader) text() string {
	n := r.uint()
	s := string((*r)[:n])
	*r = (*r)[n:]
	return s
}

func (s *store) decode(b []byte) *Event {
	r := storeReader(b)
	flags := r.uint()
	e := &Event{NoTime: flags&1 != 0, Source: s.bySource[r.uint()], Asker: s.byAsker[r.uint()]}
	e.Result.Recorded = flags&2 != 0
	e.Kind = Kind(s.texts[r.uint()])
	e.Agent, e.Session, e.Key = s.texts[r.uint()], s.texts[r.uint()], s.texts[r.uint()]
	e.Tool, e.Cwd = s.texts[r.uint()], s.texts[r.uint()]
	e.Result.Status, e.Result.Signal = Status(s.texts[r.uint()]), s.texts[r.uint()]
	marks := r.uint()
	e.Time, e.Line, e.Call, e.Bytes = r.int(), r.int(), int(r.int()), r.int()
	if code := int(r.int()); flags&4 != 0 {
		e.Result.Exit = &code
	}
	e.Result.Millis, e.Result.Size, e.Result.PID = r.int(), r.int(), r.int()
	for range marks {
		e.Marks = append(e.Marks, s.texts[r.uint()])
	}
	e.Digest, e.CallID, e.Parent, e.What = r.text(), r.text(), r.text(), r.text()
	e.Recorded, e.Target, e.Result.Error = r.text(), r.text(), r.text()
	for range r.uint() {
		e.values = append(e.values, r.text())
	}
	for range r.uint() {
		e.hits = append(e.hits, s.decodeHit(&r))
	}
	return e
}

// len returns how many events are stored.
func (s *store) len() int { return len(s.keys) }

// byTime returns the events in order of time, then of session and place in it.
func (s *store) byTime() iter.Seq2[*Event, error] {
	if !s.sorted {
		slices.SortFunc(s.keys, func(a, b storeKey) int {
			return cmp.Or(cmp.Compare(a.time, b.time), cmp.Compare(a.session, b.session), cmp.Compare(a.line, b.line), cmp.Compare(a.call, b.call),
				cmp.Compare(a.block, b.block), cmp.Compare(a.offset, b.offset))
		})
		s.sorted = true
	}
	return func(yield func(*Event, error) bool) {
		w := eventWindow{store: s}
		for keys := s.keys; len(keys) > 0; keys = keys[len(w.at):] {
			if err := w.fill(keys); err != nil {
				yield(nil, fmt.Errorf("reading events back: %w", err))
				return
			}
			for _, at := range w.at {
				if !yield(s.decode(w.text[at:]), nil) {
					return
				}
			}
		}
	}
}

// An eventWindow holds the next events in order of time, as many as fit, one at least.
type eventWindow struct {
	store *store
	text  []byte
	at    []int // where each event begins in text
	lying []int // the events in the order in which they were stored
	block []byte
}

func (w *eventWindow) fill(keys []storeKey) error {
	size := 0
	w.at, w.lying = w.at[:0], w.lying[:0]
	for i, k := range keys {
		if i > 0 && size+int(k.size) > windowBytes {
			break
		}
		w.at, w.lying = append(w.at, size), append(w.lying, i)
		size += int(k.size)
	}
	w.text = slices.Grow(w.text[:0], size)[:size]
	slices.SortFunc(w.lying, func(a, b int) int {
		return cmp.Or(cmp.Compare(keys[a].block, keys[b].block), cmp.Compare(keys[a].offset, keys[b].offset))
	})
	return w.lay(keys)
}

// lay copies each event to its place, block by block.
func (w *eventWindow) lay(keys []storeKey) (err error) {
	s := w.store
	block, open := s.current, len(s.blocks)
	for _, i := range w.lying {
		k := keys[i]
		if n := int(k.block); n != open {
			open, block = n, s.current
			if n < len(s.blocks) {
				if w.block, err = s.dec.DecodeAll(s.blocks[n], w.block[:0]); err != nil {
					return err
				}
				block = w.block
			}
		}
		copy(w.text[w.at[i]:], block[k.offset:][:k.size])
	}
	return nil
}
