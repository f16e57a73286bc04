package report

import (
	"strings"

	"github.com/clawbook/openclaw-ir/analyze"
	"github.com/clawbook/openclaw-ir/internal/severity"
)

// maxPageEvents and maxMarks bound what the page holds of the timeline; the rest is counted.
const (
	maxPageEvents = 200_000
	maxMarks      = 200_000
)

func joinedMarks(marks []string) string { return strings.Join(marks, " ") }

// An eventIndex finds events by their ids. An id holds only the start of the session's name, so several may share one.
type eventIndex struct {
	events []*analyze.Record
	first  map[string]int32
	next   []int32 // the next event with the same id; -1 if there is none
}

func indexEvents(events []*analyze.Record) *eventIndex {
	x := &eventIndex{events: events, first: make(map[string]int32, len(events)), next: make([]int32, len(events))}
	for i := len(events) - 1; i >= 0; i-- {
		x.next[i] = -1
		if later, ok := x.first[events[i].ID]; ok {
			x.next[i] = later
		}
		x.first[events[i].ID] = int32(i)
	}
	return x
}

// find returns the place of an event; -1 if it is not there.
func (x *eventIndex) find(e *analyze.Record) int {
	return x.best(e.ID, func(o *analyze.Record) int {
		return same(o.Session == e.Session)*4 + same(o.Kind == e.Kind)*2 + same(o.Time == e.Time && o.Source == e.Source)
	})
}

// findID returns the event with an id that is most likely meant beside another event; -1 if none has it. It is not that of a
// session's own bookkeeping if another has the id too.
func (x *eventIndex) findID(id string, beside *analyze.Record) int {
	return x.best(id, func(o *analyze.Record) int {
		fit := same(o.Kind != analyze.KindSession)
		if beside != nil {
			fit += same(o.Session == beside.Session)*4 + same(o.Source == beside.Source && o.Form == beside.Form)*2
		}
		return fit
	})
}

// best returns the event with an id that fits best.
func (x *eventIndex) best(id string, fit func(o *analyze.Record) int) int {
	i, ok := x.first[id]
	if !ok {
		return -1
	}
	best, most := i, -1
	for ; i >= 0; i = x.next[i] {
		if n := fit(x.events[i]); n > most {
			best, most = i, n
		}
	}
	return int(best)
}

func same(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// newTimelineData takes the events and marks those of which findings speak.
func newTimelineData(s *Story) *timelineData {
	t := &timelineData{leftOut: map[analyze.Kind]int64{}}
	t.choose(s)
	t.levels = make([]int8, len(t.events))
	for i, e := range t.events {
		if level, err := severity.Parse(e.Level); err == nil {
			t.levels[i] = int8(level) + 1
		}
	}
	return t
}

// choose takes all events if they are not too many; else those of findings, then what was done, then the rest, of each the
// newest.
func (t *timelineData) choose(s *Story) {
	ranks := make([]int8, len(s.Events))
	room := maxPageEvents
	keep := make([]bool, len(s.Events))
	if len(s.Events) > maxPageEvents {
		rankEvents(s, ranks)
	}
	for rank := int8(0); rank < 3; rank++ {
		for i := len(s.Events) - 1; i >= 0 && room > 0; i-- {
			if ranks[i] == rank {
				keep[i] = true
				room--
			}
		}
	}
	t.events = make([]*analyze.Record, 0, maxPageEvents-room)
	for i := range s.Events {
		if keep[i] {
			t.events = append(t.events, &s.Events[i])
			continue
		}
		t.leftOut[s.Events[i].Kind]++
	}
}

// rankEvents says what is kept first: 0 is an event of a finding, 1 what was done, 2 the rest.
func rankEvents(s *Story, ranks []int8) {
	of := map[string]bool{}
	for i := range s.Findings {
		if e := s.Findings[i].Event; e != nil {
			of[e.ID] = true
		}
	}
	for i := range s.Events {
		switch e := &s.Events[i]; {
		case e.Level != "", of[e.ID]:
		case e.Kind == analyze.KindResult, e.Kind == analyze.KindLog, e.Kind == analyze.KindSession, e.Kind == analyze.KindMessage:
			ranks[i] = 2
		default:
			ranks[i] = 1
		}
	}
}

// mark notes that a finding, shown under a number or not, speaks of its events. It returns the first of them, -1 if none is
// on the page.
func (t *timelineData) mark(x *eventIndex, f *analyze.FindingRecord, card int) int {
	at := -1
	if f.Event != nil {
		at = x.find(f.Event)
		t.add(at, f, card)
	}
	for _, id := range f.Related {
		if i := x.findID(id, f.Event); i != at {
			t.add(i, f, card)
		}
	}
	return at
}

func (t *timelineData) add(event int, f *analyze.FindingRecord, card int) {
	if event < 0 {
		return
	}
	level := min(max(f.Level, severity.Info), severity.Critical)
	t.levels[event] = max(t.levels[event], int8(level)+1)
	if len(t.marks) == maxMarks {
		t.unlisted++
		return
	}
	t.marks = append(t.marks, eventMark{event, f.Title, level, card})
}
