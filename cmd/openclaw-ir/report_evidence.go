package main

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/analyze"
	"github.com/clawbook/openclaw-ir/analyze/posture"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/secret"
	"github.com/clawbook/openclaw-ir/report"
	"github.com/clawbook/openclaw-ir/rotate"
)

// tellEvidence tells what the evidence shows: findings, the way in, the setup, and the timeline for the page.
func (x *reporting) tellEvidence(ctx context.Context) error {
	var gaps []openclaw.Gap
	var err error
	if x.renderer, gaps, err = newRenderer(x.c, x.env, x.src, x.installs); err != nil {
		return err
	}
	if len(x.installs) == 0 {
		x.gaps(x.unfound)
		x.missing("the evidence", analyze.ErrNothing)
		return nil
	}
	x.gaps(gaps)
	for _, part := range []struct {
		name string
		tell func(context.Context) error
	}{{"the findings", x.tellFindings}, {"the setup", x.tellPosture}, {"the timeline", x.tellEvents}} {
		if err := part.tell(ctx); err != nil {
			x.missing(part.name, err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// gaps adds what could not be read, each once.
func (x *reporting) gaps(more []openclaw.Gap) {
	c := &x.story.Coverage
	for _, g := range more {
		if !x.told[g] {
			x.told[g] = true
			c.Gaps = append(c.Gaps, g)
		}
	}
	c.Coverage.Gaps = c.Gaps
}

func (x *reporting) tellFindings(ctx context.Context) error {
	found, err := investigate(x.c, x.env, x.src, x.look)
	if err != nil {
		return err
	}
	s := &x.story
	gaps := s.Coverage.Gaps
	s.Coverage.Coverage = found.Coverage
	s.Coverage.Coverage.Gaps = gaps
	s.Coverage.Coverage.Shown = int64(min(len(found.Findings), report.MaxFindings))
	s.Coverage.Rules, s.Coverage.Cut, s.Coverage.Lost = found.Rules, found.Cut, found.Lost
	x.gaps(found.Coverage.Gaps)
	s.Find(x.records(found.Findings))
	for rec := range x.records(found.Suppressed[:min(len(found.Suppressed), report.MaxFindings)]) {
		s.Suppressed = append(s.Suppressed, rec)
	}
	s.FindSkills(x.src.fsys)
	return ctx.Err()
}

func (x *reporting) records(list []*analyze.Finding) iter.Seq[analyze.FindingRecord] {
	return func(yield func(analyze.FindingRecord) bool) {
		for _, f := range list {
			if !yield(x.renderer.FindingRecord(f)) {
				return
			}
		}
	}
}

// tellPosture tells what of the setup is weak, and which known weaknesses of OpenClaw were open.
func (x *reporting) tellPosture(ctx context.Context) error {
	cves, err := posture.KnownCVEs()
	if err != nil {
		return err
	}
	p := &posturing{env: x.env, c: x.c, src: x.src, cves: cves}
	if err := p.look(ctx); err != nil {
		return err
	}
	x.gaps(p.gaps)
	for i := range p.list {
		one := &p.list[i]
		for _, f := range one.report.Findings {
			if f.ID != "GWY-007" { // an exposure
				x.story.Posture = append(x.story.Posture, weaknessOf(&f, one.since))
			}
		}
		for _, e := range one.open {
			w := posture.Window{From: e.From, To: e.To, Holds: e.Lasts}
			x.story.Exposures = append(x.story.Exposures, report.Exposure{ID: e.CVE.ID, Title: e.CVE.Title, Releases: e.Releases, Span: w.String(), Unproved: e.Unproved})
		}
	}
	slices.SortStableFunc(x.story.Posture, func(a, b report.Weakness) int { return cmp.Compare(b.Level, a.Level) })
	return nil
}

func weaknessOf(f *posture.Finding, since map[posture.Weakness][]posture.Window) report.Weakness {
	w := report.Weakness{Check: f.ID, Level: f.Level, Title: f.Title, Seen: f.Seen, Why: f.Why, Fix: f.Fix, Where: f.Where, Commands: f.Commands}
	for _, span := range since[posture.Weakness{Check: f.ID, Where: f.Where}] {
		w.Since = append(w.Since, span.String())
	}
	return w
}

// maxReportEvents is how many events the page shows.
const maxReportEvents = 100_000

// tellEvents chooses the events of the page: those of findings, what ran and was written, and the rest as far as there is room,
// the newest first.
func (x *reporting) tellEvents(ctx context.Context) error {
	r, err := analyze.Timeline(ctx, x.src.fsys, analyze.Options{
		Find: x.look.Find, Kinds: analyze.Kinds, Agent: x.look.Agent, Session: x.look.Session, Since: x.look.Since, Until: x.look.Until,
	})
	if err != nil {
		return err
	}
	rank := x.ranks()
	var counts [3]int64
	for e, err := range r.Events() {
		if err != nil {
			return err
		}
		counts[rank(e)]++
	}
	skip := leaveOut(counts, maxReportEvents)
	for e, err := range r.Events() {
		if err != nil {
			return err
		}
		if k := rank(e); skip[k] > 0 {
			skip[k]--
			x.story.EventsLeftOut++
			continue
		}
		x.story.Events = append(x.story.Events, x.renderer.Record(e))
	}
	return nil
}

// leaveOut says how many events of each rank to leave out, so that no more than most are kept.
func leaveOut(counts [3]int64, most int64) (skip [3]int64) {
	for i, n := range counts {
		keep := min(n, most)
		skip[i], most = n-keep, most-keep
	}
	return skip
}

// ranks says how much an event matters: 0 if a finding or its cause is about it, 1 if it ran or wrote something, 2 otherwise.
func (x *reporting) ranks() func(*analyze.Event) int {
	told := map[string]bool{}
	for i := range x.story.Findings {
		f := &x.story.Findings[i]
		if f.Event != nil {
			told[f.Event.ID] = true
		}
		if f.Cause != nil {
			for j := range f.Cause.Chain {
				told[f.Cause.Chain[j].Event.ID] = true
			}
		}
	}
	return func(e *analyze.Event) int {
		switch {
		case told[e.ID()]:
			return 0
		case slices.Contains(analyze.DefaultKinds, e.Kind):
			return 1
		}
		return 2
	}
}

// inventory lists what the installations hold, as rotate does before it has a list.
func (x *reporting) inventory(ctx context.Context, salt []byte) []rotate.Item {
	print := secret.NewFingerprinter(salt)
	var lists [][]rotate.Item
	for _, in := range x.installs {
		found, gaps := rotate.Inventory(ctx, x.src.fsys, in, print)
		x.gaps(gaps)
		lists = append(lists, found)
	}
	return rotate.Join(lists...)
}

func itemOf(it *rotate.Item) report.Item {
	what := strings.TrimSpace(it.Provider + " " + string(it.Kind))
	if it.Owner != "" {
		what += " of " + it.Owner
	}
	item := report.Item{ID: it.ID, What: what, Status: string(it.Status), Who: it.Who, How: it.How, Page: it.Page, Command: it.Command, Note: it.Note}
	for _, way := range []struct {
		is   bool
		name analyze.Way
	}{{it.Seen.Sent, analyze.WaySent}, {it.Seen.Run, analyze.WayRun}, {it.Seen.Written, analyze.WayWritten}, {it.Seen.Read, analyze.WaySeen}} {
		if way.is {
			item.Used = append(item.Used, string(way.name))
		}
	}
	return item
}

// tokenPlaces says where each token's secret is held: for the owner alone.
func (x *reporting) tokenPlaces() map[string][]string {
	places := map[string][]string{}
	for _, k := range x.renderer.Secrets.All() {
		places["<secret:"+k.Fingerprint+">"] = k.Origins
	}
	return places
}
