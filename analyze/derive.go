package analyze

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/sigma"
)

// Some of what rules speak of is in no single record and no count of records: the same address polled like a clock, a text
// that copies itself, a first message to a stranger. Detectors find it in the course of events and write a record of the
// category "sequence", with its pattern's name; what it means and how bad it is stands in a rule.

// A derived is what a detector found: a pattern, the event that completed it, and what is to be said of it.
type derived struct {
	pattern string
	event   *Event
	cause   *Cause
	fields  []Detail
}

// derivers are all detectors, and what they have found.
type derivers struct {
	world  *world
	found  []derived
	each   []func(*derivers, *Event)
	polls  map[string]*poll
	loops  map[uint64]*loop
	nodes  map[string]bool
	conns  map[string]*Event
	turned *Event // the last rotation of the gateway's token
	idle   map[string]bool
	sends  sends
	copies copies
	sizes  map[string]int64
	told   map[string]bool
}

func newDerivers(w *world) *derivers {
	return &derivers{
		world: w,
		each:  []func(*derivers, *Event){(*derivers).beacon, (*derivers).runaway, (*derivers).firstNode, (*derivers).oldConnection, (*derivers).noTrigger, (*derivers).message, (*derivers).copied, (*derivers).rewritten},
		polls: map[string]*poll{}, loops: map[uint64]*loop{}, nodes: map[string]bool{}, conns: map[string]*Event{}, idle: map[string]bool{},
		sends: newSends(), copies: newCopies(), sizes: map[string]int64{}, told: map[string]bool{},
	}
}

// event shows the next event, in the order of time, to every detector.
func (d *derivers) event(e *Event) {
	for _, see := range d.each {
		see(d, e)
	}
}

// emit notes what was found, once for each key, and reports whether it is new.
func (d *derivers) emit(pattern, key string, e *Event, fields ...Detail) bool {
	if key = pattern + "\x00" + key; d.told[key] || len(d.told) == maxFindings {
		return false
	}
	d.told[key] = true
	d.found = append(d.found, derived{pattern: pattern, event: e, fields: fields})
	return true
}

func number(n int) string { return strconv.Itoa(n) }

// firstNode notices the first command on a node.
func (d *derivers) firstNode(e *Event) {
	for _, m := range e.Marks {
		if node, ok := strings.CutPrefix(m, "node:"); ok && e.Kind == KindExec && !d.nodes[node] {
			d.nodes[node] = true
			d.emit("first-use-of-node", node, e, Detail{"Node", node})
		}
	}
}

var connID = regexp.MustCompile(`\bconn=([0-9a-f]{8}[0-9a-f…-]{4,40})`)

// oldConnection notices a connection that was made before the gateway's token was replaced and is still at work after it.
func (d *derivers) oldConnection(e *Event) {
	switch {
	case e.Kind == KindConfig && strings.Contains(e.What, "gateway.auth.token"):
		d.turned = e
	case e.Kind == KindLog:
		m := connID.FindStringSubmatch(e.What)
		if m == nil {
			return
		}
		first := d.conns[m[1]]
		if first == nil {
			if len(d.conns) < maxKnown {
				d.conns[m[1]] = e
			}
			return
		}
		if t := d.turned; t != nil && first.Time < t.Time && e.Time > t.Time+clockSlack/6 && logAuth(e.What) != "failed" {
			d.emit("old-connection-after-rotation", m[1], e, Detail{"Conn", m[1]})
		}
	}
}

// noTrigger notices, once a session, that the agent acts though nobody asked and no schedule did.
func (d *derivers) noTrigger(e *Event) {
	acts := e.Kind == KindExec || e.Kind == KindWrite || e.Kind == KindMessage && e.Tool != ""
	if acts && e.Asker.Kind == "unknown" && !d.idle[e.Session] && !isOfLedger(e) {
		d.idle[e.Session] = true
		d.emit("no-human-trigger", e.Session, e)
	}
}

// isOfLedger reports an event that a ledger tells, which names no asker.
func isOfLedger(e *Event) bool { return e.Source != nil && e.Source.Form.String() == "ledger" }

// sequences matches what detectors found in the course of events, but for the first so many, and returns how many there are.
func (x *investigation) sequences(m *sigma.Matcher, r *recorder, done int) int {
	for i := range x.judge.derive.found[done:] {
		x.sequence(m, r, &x.judge.derive.found[done+i])
	}
	return len(x.judge.derive.found)
}

// sequence judges one thing that a detector found.
func (x *investigation) sequence(m *sigma.Matcher, r *recorder, d *derived) {
	r.n = 0
	rec := r.record(d.event, CategorySequence)
	rec.Add("Pattern", d.pattern, "")
	for _, f := range d.fields {
		rec.Add(f.Name, f.Text, "")
	}
	for _, found := range m.Match(rec) {
		if !found.Alert {
			continue
		}
		f := &Finding{Rule: found.Rule, Level: found.Level, Sink: SinkExecuted, Event: d.event, Time: d.event.Time, Field: "Pattern", Layer: d.pattern, Cause: d.cause}
		f.Excerpt = describe(d.fields)
		if isUntrusted(d.event) {
			f.shift(+1, "asked by somebody who is not the owner")
		}
		x.judge.found.add(f)
	}
}

// describe lists what is said of a pattern.
func describe(fields []Detail) string {
	var words []string
	for _, f := range fields {
		words = append(words, f.Name+" "+f.Text)
	}
	return start(strings.Join(words, ", "), excerptBytes)
}
