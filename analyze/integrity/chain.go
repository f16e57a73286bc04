package integrity

import (
	"bytes"
	"fmt"

	"github.com/clawbook/openclaw-ir/internal/jsonl"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/severity"
)

const (
	info     = severity.Info
	low      = severity.Low
	medium   = severity.Medium
	high     = severity.High
	critical = severity.Critical
)

// A chain follows the events of one session through one source, in their order.
type chain struct {
	c        *checker
	source   *openclaw.Source
	s        *session
	ids      map[uint64]uint64 // event id → content
	sub      jsonl.Parser
	line     int64
	rows     bool
	n        int64
	previous int64 // time of the event before, ms
	latest   int64
	open     []*done // calls of the last turn that have no result yet
	unknown  map[string]int64
	users    []turn // without provenance
	proved   int64  // user turns with provenance
	answered bool   // an assistant has spoken
	reports  int
}

// A turn is a user turn that does not say where it came from.
type turn struct{ line, time int64 }

func newChain(c *checker, src *openclaw.Source, s *session) *chain {
	return &chain{c: c, source: src, s: s, ids: map[uint64]uint64{}, line: -1, rows: src.Form == openclaw.FormSQLite, unknown: map[string]int64{}}
}

func (ch *chain) finding(check string, level severity.Level, line int64, t int64, title, detail string) Finding {
	return Finding{Check: check, Level: level, Title: title, Detail: detail, Path: ch.source.Path, Session: ch.s.id, Line: line, Time: ms(t)}
}

func (ch *chain) take(e *event, line int64, text []byte, created int64) {
	ch.sequence(line, e.time)
	ch.parent(e, line)
	ch.identity(e, line, text)
	ch.times(e, line, created)
	ch.n++
	ch.s.events++
	if ch.source.Form == openclaw.FormCold {
		ch.s.coldEvents++
	}
	ch.s.span(e.time)
	ch.busy(e.time)
	for _, d := range e.frozen {
		ch.s.freeze(d)
	}
	if e.inner != 0 && len(e.text) > 0 && !masked(string(e.text)) {
		ch.s.say(ch.c.hash([]byte(e.role), fmt.Append(nil, e.inner)), ch.c.hash(e.text))
	}
	ch.calls(e, line)
	if e.custom == "openclaw:prompt-error" || e.stop == "aborted" || e.stop == "error" {
		ch.breakOff("the run ended with an error")
	}
	if e.typ == "reset" {
		ch.c.resets = append(ch.c.resets, ms(e.time))
	}
	if e.result != nil {
		ch.result(e, line)
	}
	if e.role == "user" {
		ch.user(e, line)
	}
	ch.answered = ch.answered || e.role == "assistant"
}

// sequence finds rows that are missing: OpenClaw numbers them from 0 without a hole.
func (ch *chain) sequence(line, t int64) {
	if ch.rows && line != ch.line+1 {
		what := fmt.Sprintf("events %d to %d are missing", ch.line+1, line-1)
		if line <= ch.line {
			what = fmt.Sprintf("event %d follows event %d", line, ch.line)
		}
		ch.c.add(ch.finding("INT-001", high, line, t, "the numbers of a transcript's events have a hole", what))
	}
	ch.line = line
}

// parent finds events whose parent is not there, or comes later.
func (ch *chain) parent(e *event, line int64) {
	switch {
	case e.typ == "session":
		if ch.n > 0 {
			ch.c.add(ch.finding("INT-001", medium, line, e.time, "a transcript has a second header", "a header stands first and once"))
		}
		return
	case ch.n == 0 && !ch.rows:
		ch.c.add(ch.finding("INT-001", high, line, e.time, "the header of a transcript is missing", "its first event is of type "+short(e.label())))
	}
	if e.parent == nil {
		if ch.n > 2 && e.hasParent {
			f := ch.finding("INT-001", medium, line, e.time, "an event inside a transcript has no parent", "of type "+short(e.label()))
			f.Benign = "a branch that was begun anew (rewind)"
			ch.c.add(f)
		}
		return
	}
	if _, known := ch.ids[ch.c.hash(e.parent)]; known {
		return
	}
	f := ch.finding("INT-001", high, line, e.time, "the parent of an event is not in its session",
		fmt.Sprintf("event %s, of type %s, names the parent %s", short(jsonl.Unquote(e.id)), short(e.label()), short(jsonl.Unquote(e.parent))))
	f.Benign = "a rewind or a compaction that dropped events"
	ch.c.add(f)
}

// identity finds two events of one id, and copies of an event that differ between sources.
func (ch *chain) identity(e *event, line int64, text []byte) {
	if len(e.id) <= 2 {
		return
	}
	id, body := ch.c.hash(e.id), ch.c.hash(bytes.TrimSpace(text))
	if was, again := ch.ids[id]; again {
		level, what := low, "with the same content"
		if was != body {
			level, what = high, "with other content"
		}
		ch.c.add(ch.finding("INT-003", level, line, e.time, "an event's id is used twice", short(jsonl.Unquote(e.id))+", "+what))
		return
	}
	ch.ids[id] = body
	ch.c.ids[id] = true
	if e.typ == "session" { // a migration may write the header anew
		ch.c.headers[ch.s.id] = true
		return
	}
	ch.c.count("INT-007", 1)
	key := ch.c.hash([]byte(ch.s.id), e.id)
	was, other := ch.c.events[key]
	if other && was.body != body {
		f := ch.finding("INT-007", critical, line, e.time, "two copies of one event differ",
			fmt.Sprintf("event %s is not what another place of the session holds", short(jsonl.Unquote(e.id))))
		f.Evidence = listed(ch.s.paths)
		ch.c.add(f)
	}
	if !other {
		ch.c.events[key] = place{body, line, ch.s}
	}
}

// times finds times that run backwards, lie in the future or contradict each other.
func (ch *chain) times(e *event, line, created int64) {
	if e.time == 0 {
		return
	}
	ch.c.count("INT-002", 1)
	if ch.previous-e.time > backwards {
		f := ch.finding("INT-002", medium, line, e.time, "times of a transcript run backwards", fmt.Sprintf("by %s", seconds(ch.previous-e.time)))
		f.Benign = "a clock that was set"
		ch.c.add(f)
	}
	if e.time-ch.c.o.Now.UnixMilli() > apart {
		f := ch.finding("INT-002", medium, line, e.time, "an event lies in the future", "later than the evidence was taken")
		f.Benign = "a clock that was wrong"
		ch.c.add(f)
	}
	if d := created - e.time; created != 0 && (d > apart || d < -apart) {
		f := ch.finding("INT-002", medium, line, e.time, "an event's time is not that of its row", fmt.Sprintf("they are %s apart", seconds(max(d, -d))))
		f.Benign = "an import: its rows bear the time of the import"
		ch.c.add(f)
	}
	if e.role == "toolResult" && e.inner-e.time > apart {
		ch.c.add(ch.finding("INT-002", medium, line, e.time, "a message is later than its event", fmt.Sprintf("by %s", seconds(e.inner-e.time))))
	}
	ch.previous = e.time
	ch.latest = max(ch.latest, e.time)
}

func seconds(n int64) string { return fmt.Sprintf("%d.%03d s", n/1000, n%1000) }

// busy notes a minute in which something happened.
func (ch *chain) busy(t int64) {
	if t != 0 {
		ch.c.busy[t/minute] = true
	}
}

// end tells what only the end of the source can show.
func (ch *chain) end() {
	for _, d := range ch.open {
		d.last = true
	}
	ch.missingTools()
	ch.unproved()
}
