package analyze

import (
	"context"
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/internal/severity"
)

// An input with instructions to the agent matters when the agent heeds it: when what it does next has an address, a path
// or words from there. Many pages only speak of such instructions.

// explained is the level from which on a finding gets its cause.
const explained = severity.High

// maxAfter bounds the deeds behind inputs with instructions whose causes are looked for besides those of findings.
const maxAfter = maxTargets / 2

// acts reports what changes something or tells somebody.
func (e *Event) acts() bool {
	switch e.Kind {
	case KindExec, KindWrite, KindEdit, KindSpawn, KindConfig, KindAutomation, KindBrowse, KindFetch:
		return e.CallID != ""
	case KindMessage:
		return e.Tool != ""
	}
	return false
}

// explain finds the causes of what is bad enough, and which instructions were heeded.
func (x *investigation) explain(ctx context.Context, w *world) error {
	grave := x.grave()
	events := make([]*Event, len(grave), len(grave)+len(x.judge.after))
	for i, f := range grave {
		events[i] = f.subject()
	}
	events = append(events, x.judge.after...)
	if len(events) == 0 {
		return nil
	}
	o := x.timelineOptions()
	o.Since, o.Until, o.Session, o.Agent, o.Read = time.Time{}, time.Time{}, "", "", nil // what led to it may lie anywhere before it
	causes, err := x.report.causes(ctx, x.fsys, o, events, w, x.judge.injected)
	if err != nil {
		return err
	}
	for i, f := range grave {
		f.explainedBy(causes[i])
	}
	x.heed(events, causes, len(grave))
	return nil
}

// grave lists the findings whose causes are looked for, the worst first: there may be more than causes are looked for.
func (x *investigation) grave() (list []*Finding) {
	x.judge.found.sort()
	for _, f := range x.judge.found.list {
		switch {
		case f.Level < explained:
		case family(f.Rule) == "INT":
			f.Cause = &Cause{Grade: GradeNone, Note: "what changes the record is in no transcript"}
		default:
			list = append(list, f)
		}
	}
	return list
}

// explainedBy gives a finding its cause, or says why it has none.
func (f *Finding) explainedBy(c *Cause) {
	switch {
	case c == nil:
		c = &Cause{Grade: GradeNone, Note: "not looked for: there are more findings than causes are looked for at a time; openclaw-ir analyze why EVENT"}
	case f.Event == nil && c.Grade != GradeValue:
		c = &Cause{Grade: GradeNone, Note: "no input in the evidence names it"}
	}
	f.Cause = c
}

// heed notes which inputs with instructions the agent acted on: it used a value of theirs, or, of the deeds that are findings
// (the first so many), did nothing else that turn that would explain them.
func (x *investigation) heed(events []*Event, causes []*Cause, findings int) {
	heeded := map[string]bool{}
	for i, c := range causes {
		in := c.Input()
		if in == nil || !events[i].acts() || x.judge.injected[in.Event.place()] == "" {
			continue
		}
		if c.Grade == GradeValue || i < findings && in.Event.Kind == KindResult {
			heeded[in.Event.place()] = true
		}
		if c.Grade == GradeValue {
			x.provenance(events[i], c)
		}
	}
	x.unheeded(heeded)
}

// subject is what a finding's cause is looked for by: the event, or for what lies at rest the words and the path of it.
func (f *Finding) subject() *Event {
	if f.Event != nil {
		return f.Event
	}
	var v valueList
	v.add(urlsOf(f.Excerpt)...)
	v.add(f.Path)
	v.words(f.Excerpt)
	return &Event{Kind: KindSession, Time: lastMilli, Asker: unknownAsker, What: f.Path, values: v.list}
}

// provenance notices that the agent did what an input with instructions said, in its words (DETECTIONS, INJ-012).
func (x *investigation) provenance(e *Event, c *Cause) {
	in := c.Input()
	id := in.Event.ID()
	for _, l := range c.Chain {
		if l.Role == RolePrompt && l.Trust == TrustOwner && strings.Contains(strings.ToLower(l.Event.What), strings.ToLower(c.Value)) {
			return // the owner asked for it too
		}
	}
	fields := []Detail{{"Deed", string(e.Kind)}, {"Value", c.Value}, {"Input", id}, {"InputTrust", in.Trust}}
	d := x.judge.derive
	if d.emit("provenance", id+e.Session, e, fields...) {
		d.found[len(d.found)-1].cause = c
	}
}

// unheeded lowers what was said to the agent and nothing came of.
func (x *investigation) unheeded(heeded map[string]bool) {
	for _, f := range x.judge.found.list {
		if family(f.Rule) != "INJ" || f.Event == nil || !isInput(f.Event) {
			continue
		}
		if heeded[f.Event.place()] {
			f.Adjusted = append(f.Adjusted, "the agent acted on it")
			continue
		}
		f.shift(-1, "nothing that the agent did after it has a value from it")
	}
}
