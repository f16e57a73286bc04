package analyze

import (
	"context"
	"runtime"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/clawbook/openclaw-ir/internal/ioc"
	"github.com/clawbook/openclaw-ir/internal/severity"
	"github.com/clawbook/openclaw-ir/internal/sigma"
)

// maxKept is how much of a text is kept of what was said, returned or asked for once rules have seen all of it. Bytes.
const maxKept = 1 << 10

// excerptBytes is how much of a text a finding quotes, at most.
const excerptBytes = 300

// fewValues is how many values are kept of a deed that no rule met: its cause is looked for only if it follows an input with
// instructions.
const fewValues = 8

// A hit is a rule that matched a record of an event.
type hit struct {
	rule     *sigma.Rule
	level    severity.Level
	alert    bool // it is a finding by itself; otherwise it only feeds a correlation
	category string
	field    string
	layer    string
	excerpt  string
	groups   []Detail // the record's values of the fields by which correlations group
}

// A sifter matches events with the rules on all cores and hands them on in the order in which they came.
type sifter struct {
	ctx    context.Context
	set    *sigma.Set
	fields map[*sigma.Rule][]string // what correlations want to know of a rule's records
	// ofProcess are the rules that speak of a program. The others see the whole command, and would be met twice, the second
	// time without what stands around it.
	ofProcess map[*sigma.Rule]bool
	todo      chan *sifted
	order     chan *sifted
	batch     *sifted
	newcomers *newcomers
	running   sync.WaitGroup
	mu        sync.Mutex
	cut       int64
}

// siftBatch is how many events are matched at a time, and siftBytes how much of their text: whichever is reached first.
const (
	siftBatch = 64
	siftBytes = 256 << 10
)

// sifted is a batch of events on its way.
type sifted struct {
	events []*Event
	bytes  int
	done   chan struct{}
}

// newSifter begins to sift; take gets the events, one at a time. It must be closed.
func newSifter(ctx context.Context, set *sigma.Set, list *ioc.List, w *world, take func(*Event)) *sifter {
	s := &sifter{ctx: ctx, set: set, fields: correlated(set), ofProcess: map[*sigma.Rule]bool{}, batch: &sifted{}, newcomers: newNewcomers()}
	for _, rule := range set.Rules() {
		s.ofProcess[rule] = slices.ContainsFunc(rule.Fields(), func(f string) bool { return f == "Image" || f == "ParentImage" })
	}
	workers := runtime.GOMAXPROCS(0)
	s.todo, s.order = make(chan *sifted, workers), make(chan *sifted, 4*workers)
	for range workers {
		s.running.Go(func() { s.work(newRecorder(list, w)) })
	}
	s.running.Go(func() {
		for b := range s.order {
			<-b.done
			for _, e := range b.events {
				take(e)
			}
		}
	})
	return s
}

// add takes an event. The sifter owns it from then on.
func (s *sifter) add(e *Event) {
	s.newcomers.event(e)
	s.batch.events = append(s.batch.events, e)
	s.batch.bytes += len(e.What) + len(e.Args)
	if len(s.batch.events) == siftBatch || s.batch.bytes >= siftBytes {
		s.send()
	}
}

func (s *sifter) send() {
	b := s.batch
	b.done, s.batch = make(chan struct{}), &sifted{}
	s.order <- b
	s.todo <- b
}

// close waits until every event has been handed on, and returns how many texts were too long to be matched wholly.
func (s *sifter) close() (cut int64) {
	s.send()
	close(s.todo)
	close(s.order)
	s.running.Wait()
	return s.cut
}

func (s *sifter) work(r *recorder) {
	m := s.set.NewMatcher()
	for b := range s.todo {
		for _, e := range b.events {
			if s.ctx.Err() == nil {
				s.match(m, r, e)
				e.values = e.findValues(r.parsed)
				if len(e.hits) == 0 {
					e.values = e.values[:min(len(e.values), fewValues)]
				}
			}
			e.shrink()
		}
		close(b.done)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut += m.Cut() + r.cut
}

// match notes which rules the event's records meet: each rule once, where its level is highest.
func (s *sifter) match(m *sigma.Matcher, r *recorder, e *Event) {
	for i, records := 0, r.of(e); i < len(records); i++ {
		single := records[i].Category == CategoryProcess && records[i].Get("Image") != ""
		for _, found := range m.Match(records[i]) {
			if single && !s.ofProcess[found.Rule] {
				continue
			}
			h := hit{
				rule: found.Rule, level: found.Level, alert: found.Alert, category: records[i].Category,
				field: found.Field, layer: found.Layer, excerpt: excerpt(found.Text, found.Start, found.End),
			}
			h.groups = s.groups(found.Rule, records[i])
			e.hit(h)
		}
	}
}

// hit keeps a hit, unless the same rule has met the event at no lower level. Values to group by are united.
func (e *Event) hit(h hit) {
	i := slices.IndexFunc(e.hits, func(have hit) bool { return have.rule == h.rule })
	if i < 0 {
		e.hits = append(e.hits, h)
		return
	}
	groups := append(e.hits[i].groups, h.groups...)
	if h.level > e.hits[i].level {
		e.hits[i] = h
	}
	e.hits[i].groups = groups
}

// groups are a record's values of the fields that correlations of its rule group or count by.
func (s *sifter) groups(rule *sigma.Rule, rec *sigma.Record) (groups []Detail) {
	for _, field := range s.fields[rule] {
		for _, v := range rec.Values(field) {
			if d := (Detail{field, start(v, maxKept)}); !slices.Contains(groups, d) {
				groups = append(groups, d)
			}
		}
	}
	return groups
}

// attachedMark marks a message with a file that went along.
const attachedMark = "attached:"

// shrink drops what was kept for the rules alone.
func (e *Event) shrink() {
	if e.Kind == KindMessage && e.Tool != "" {
		for _, file := range attachments(e) {
			e.mark(attachedMark + start(file, maxValue))
		}
	}
	e.Args, e.hosts = "", nil
	if e.Kind != KindExec && len(e.What) > maxKept {
		e.What = strings.Clone(start(e.What, maxKept)) + "…"
		e.mark("shortened")
	}
}

// excerpt quotes a match with a little of what stands around it, on one line's worth of bytes.
func excerpt(text string, from, to int) string {
	from, to = min(max(from, 0), len(text)), min(max(to, from), len(text))
	around := max(0, excerptBytes-(to-from)) / 2
	begin, end := max(0, from-around), min(len(text), from+min(to-from, excerptBytes)+around)
	for begin > 0 && !utf8.RuneStart(text[begin]) {
		begin--
	}
	for end < len(text) && !utf8.RuneStart(text[end]) {
		end++
	}
	quoted := strings.Clone(text[begin:end])
	if begin > 0 {
		quoted = "…" + quoted
	}
	if end < len(text) {
		quoted += "…"
	}
	return quoted
}

// correlated lists, for each rule that a correlation looks at, the fields that the correlation may ask of it.
func correlated(set *sigma.Set) map[*sigma.Rule][]string {
	fields := map[*sigma.Rule][]string{}
	for _, rule := range set.Rules() {
		if rule.Correlation != nil {
			addCorrelated(set, rule.Correlation, rule.Fields(), fields, maxCorrelated)
		}
	}
	return fields
}

// maxCorrelated is how many correlations deep rules are followed.
const maxCorrelated = 4

func addCorrelated(set *sigma.Set, c *sigma.Correlation, names []string, fields map[*sigma.Rule][]string, depth int) {
	for _, key := range c.Rules {
		base := set.Rule(key)
		switch {
		case base == nil || depth == 0:
			continue
		case base.Correlation != nil:
			addCorrelated(set, base.Correlation, names, fields, depth-1)
		}
		for _, name := range names {
			if !slices.Contains(fields[base], name) {
				fields[base] = append(fields[base], name)
			}
		}
	}
}
