package report

import (
	"html/template"

	"github.com/clawbook/openclaw-ir/analyze"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/severity"
)

// maxRows bounds each list of the page but the findings and the timeline, which have bounds of their own.
const maxRows = 1000

// A pageView is what the templates of the page show of a story.
type pageView struct {
	*Story
	Policy string
	Style  template.CSS
	Script template.JS

	Summary   summary
	Groups    []levelGroup
	Total     int // findings, listed in the story or not
	Skills    rows[Skill]
	Open      rows[Item]
	Addresses rows[Address]
	Undone    int // items that are still open
	Posture   rows[Weakness]
	Exposed   rows[Exposure]
	Done      rows[Action]
	Bundles   rows[Bundle]
	Known     rows[analyze.FindingRecord]
	Sources   rows[analyze.SourceCoverage]
	Gaps      rows[openclaw.Gap]
	Notes     rows[string]
	Missing   rows[string]
	Faults    rows[string]

	Events   int
	LeftOut  int64
	Plain    []plainEvent
	OfRules  int // events of findings
	Unlisted int64
}

// rows are the rows of a list that are shown, and the number of those that are not.
type rows[T any] struct {
	Shown []T
	Left  int
}

func firstRows[T any](list []T) rows[T] {
	n := min(len(list), maxRows)
	return rows[T]{list[:n], len(list) - n}
}

// A plainEvent is an event as it is shown without the script.
type plainEvent struct {
	*analyze.Record
	Level severity.Level
}

func newPageView(s *Story, t *timelineData, a *pageAssets) *pageView {
	groups := groupFindings(s, t) // marks the events, which all that follows counts
	v := &pageView{
		Story: s, Policy: a.policy, Style: a.style, Script: a.script, Groups: groups, Total: len(s.Findings) + int(s.FindingsLeftOut),
		Skills: firstRows(s.Skills), Addresses: firstRows(s.Addresses),
		Open: firstRows(s.Open), Posture: firstRows(s.Posture), Exposed: firstRows(s.Exposures), Done: firstRows(s.Actions),
		Bundles: firstRows(s.Bundles), Known: firstRows(s.Suppressed), Sources: firstRows(s.Coverage.Sources), Gaps: firstRows(gapsOf(s)),
		Notes: firstRows(s.Coverage.Notes), Missing: firstRows(s.Coverage.Missing), Faults: firstRows(s.Case.Problems),
		Events: len(t.events), LeftOut: s.EventsLeftOut, Unlisted: t.unlisted,
	}
	for _, n := range t.leftOut {
		v.LeftOut += n
	}
	for i := range s.Open {
		if s.Open[i].undone() {
			v.Undone++
		}
	}
	for _, level := range t.levels {
		if level > 0 {
			v.OfRules++
		}
	}
	for _, i := range t.plainEvents() {
		v.Plain = append(v.Plain, plainEvent{t.events[i], severity.Level(t.levels[i] - 1)})
	}
	v.Summary = summarize(v)
	return v
}

// undone reports an item that still has to be dealt with.
func (it *Item) undone() bool { return it.Status == "open" }

// gapsOf are all gaps, whether or not the story tells those of the analysis apart.
func gapsOf(s *Story) []openclaw.Gap {
	if len(s.Coverage.Gaps) > 0 {
		return s.Coverage.Gaps
	}
	return s.Coverage.Coverage.Gaps
}
