package analyze

import (
	"context"
	"strconv"

	"github.com/clawbook/openclaw-ir/analyze/integrity"
	"github.com/clawbook/openclaw-ir/analyze/posture"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/sigma"
)

// still matches with the rules what lies at rest: files, how the config changed, which releases ran, and signs that the record
// was changed.
func (x *investigation) still(ctx context.Context, m *sigma.Matcher, r *recorder) error {
	x.rest(ctx, m, r)
	for _, in := range x.report.Installations {
		past := x.past(ctx, in)
		for i := range past.Transitions {
			x.transition(m, r, in, past, &past.Transitions[i])
		}
		if err := x.installs(ctx, m, r, in); err != nil {
			return err
		}
		if err := x.exposures(ctx, m, r, in, past); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// unreadable notes a file that cannot be read. One that does not exist is no gap.
func (x *investigation) unreadable(file string, err error) {
	if err != nil && !openclaw.IsAbsent(err) {
		x.report.Coverage.gap(openclaw.Gap{Path: file, What: err.Error()})
	}
}

// rest matches the files that lie in the installations.
func (x *investigation) rest(ctx context.Context, m *sigma.Matcher, r *recorder) {
	reader := &restReader{ctx: ctx, fsys: x.fsys, cover: &x.report.Coverage, records: r, seen: map[string]bool{}, entered: map[string]bool{}}
	reader.visit = reader.record
	reader.take = func(file string, modified int64, rec *sigma.Record) {
		for _, found := range m.Match(rec) {
			if found.Alert {
				x.atRest(file, modified, &found)
			}
		}
	}
	for _, in := range x.report.Installations {
		reader.installation(in)
	}
}

func (x *investigation) atRest(file string, modified int64, found *sigma.Match) {
	x.judge.found.add(&Finding{
		Rule: found.Rule, Level: found.Level, Sink: SinkRest, Path: file, Time: modified,
		Field: found.Field, Layer: found.Layer, Excerpt: excerpt(found.Text, found.Start, found.End),
	})
}

// transition matches one change of the configuration.
func (x *investigation) transition(m *sigma.Matcher, r *recorder, in *openclaw.Installation, past *posture.Past, t *posture.Transition) {
	r.n = 0
	rec := r.bare(CategoryConfig)
	rec.Add("Key", t.Key, "")
	if c := past.Steps[t.To].Config; c != nil {
		rec.Add("AuthMode", c.String("gateway", "auth", "mode"), "")
	}
	rec.Add("Command", t.Command, "")
	rec.Add("ChangedBy", string(t.By), "")
	if !t.Secret {
		r.value(rec, "Value", t.Value, "")
		rec.Add("Previous", t.Previous, "")
	}
	for name, is := range map[string]bool{"Added": t.Added, "Removed": t.Removed, "Secret": t.Secret} {
		if is {
			rec.Add(name, "true", "")
		}
	}
	at := t.NotAfter
	if at.IsZero() {
		at = t.NotBefore
	}
	f := Finding{Sink: SinkChanged, Path: in.ConfigPath, Field: t.Key, Excerpt: changeText(t)}
	if !at.IsZero() {
		f.Time = at.UnixMilli()
	}
	x.matched(m, rec, f)
}

// changeText says what a setting was and has become. Secrets are left out.
func changeText(t *posture.Transition) string {
	before, after := strconv.Quote(t.Previous), strconv.Quote(t.Value)
	switch {
	case t.Secret:
		before, after = "a secret", "another"
	case t.Added:
		before = "not set"
	}
	if t.Removed {
		after = "not set"
	}
	return start(t.Key+": "+before+" → "+after+", by "+string(t.By)+", "+t.Span().String(), excerptBytes)
}

// exposures matches in which times a known weakness of OpenClaw was open.
func (x *investigation) exposures(ctx context.Context, m *sigma.Matcher, r *recorder, in *openclaw.Installation, past *posture.Past) error {
	table, err := posture.KnownCVEs()
	if err != nil {
		return err
	}
	sightings, gaps := posture.Sightings(ctx, x.fsys, in, past, x.options.Now)
	x.report.Coverage.gap(gaps...)
	exposures := posture.Exposures(table, sightings, past)
	for i, told := range posture.CVEFindings(exposures) {
		r.n = 0
		rec := r.bare(CategorySequence)
		rec.Add("Pattern", "vulnerable-version", "")
		rec.Add("Cve", exposures[i].CVE.ID, "")
		for _, release := range exposures[i].Releases {
			rec.Add("Version", release, "")
		}
		x.matched(m, rec, Finding{Sink: SinkRest, Path: in.StateDir, Excerpt: told.Title + ": " + firstLine(told.Seen), Field: "Version"})
	}
	return ctx.Err()
}

// changed matches the signs that the record was changed.
func (x *investigation) changed(m *sigma.Matcher, r *recorder, report *integrity.Report) {
	x.report.Coverage.gap(report.Gaps...)
	for i := range report.Findings {
		told := &report.Findings[i]
		r.n = 0
		rec := r.bare(CategoryIntegrity)
		rec.Add("Check", told.Check, "")
		rec.Add("Level", told.Level.String(), "")
		rec.Add("Detail", told.Detail, "")
		f := Finding{Sink: SinkRest, Path: told.Path, Excerpt: told.Title + ": " + told.Detail, Field: "Check"}
		if told.Session != "" {
			f.Related = []string{told.Session}
		}
		if !told.Time.IsZero() {
			f.Time = told.Time.UnixMilli()
		}
		x.matched(m, rec, f)
	}
}

// matched adds a finding for each rule that a record meets.
func (x *investigation) matched(m *sigma.Matcher, rec *sigma.Record, f Finding) {
	for _, found := range m.Match(rec) {
		if found.Alert {
			one := f
			one.Rule, one.Level = found.Rule, found.Level
			x.judge.found.add(&one)
		}
	}
}
