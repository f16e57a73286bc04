package analyze

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/ioc"
	"github.com/clawbook/openclaw-ir/internal/severity"
)

// shownWhat is how much of a command or a text a finding's lines show, and shownQuote of what stands around a value. Bytes.
const (
	shownWhat  = 600
	shownQuote = 200
)

// Quotes and line ends as they stand in JSON that holds JSON in JSON: nobody reads over that many backslashes. A single one is
// left, for it may be a command's own.
var (
	nestedQuote = regexp.MustCompile(`\\{2,}(["'/])`)
	nestedSpace = regexp.MustCompile(`\\{2,}[nrt]`)
)

// brief shows a text's start on one line, addresses defanged, so that nobody follows them by mistake.
func (r *Renderer) brief(s string, n int) string {
	s = r.redact(s)
	cut := start(s, n)
	text := console.Escape(ioc.Defang(strings.Join(strings.Fields(cut), " ")))
	if len(cut) < len(s) {
		text += "…"
	}
	return text
}

// quote shows what stands around a value in a text that may be JSON.
func (r *Renderer) quote(s string) string {
	s = r.redact(s)
	if strings.Contains(s, `\\`) {
		s = nestedSpace.ReplaceAllString(nestedQuote.ReplaceAllString(s, "$1"), " ")
	}
	return r.brief(s, shownQuote)
}

// Finding renders a finding as lines of text, without newlines: what was found, what was done, why it counts, and what led to it.
func (r *Renderer) Finding(f *Finding) []string {
	head := fmt.Sprintf("%-8s  %-9s %s  %s", f.Level, console.Escape(f.Rule.Key()), r.moment(f), r.brief(f.Rule.Title, shownWhat))
	lines := []string{head, "    " + f.Deed() + ": " + r.deed(f)}
	if f.Excerpt != "" && f.Event != nil && (f.Sink == SinkReturned || f.Layer != "" && f.Layer != "raw") {
		lines = append(lines, "    matched "+r.matched(f)+": "+r.quote(f.Excerpt))
	}
	if len(f.Adjusted) > 0 {
		lines = append(lines, "    "+f.levels()+": "+r.brief(strings.Join(f.Adjusted, "; "), shownWhat))
	}
	if f.Count > 1 {
		lines = append(lines, fmt.Sprintf("    %d times, the last %s", f.Count, time.UnixMilli(f.Last).UTC().Format(time.RFC3339)))
	}
	if len(f.Related) > 1 {
		lines = append(lines, "    events "+r.brief(strings.Join(f.Related, " "), shownWhat))
	}
	if f.Cause != nil {
		lines = append(lines, indent(r.Cause(f.Cause), "    ")...)
	}
	if f.Rejected != nil {
		lines = append(lines, fmt.Sprintf("    suppressed until %s: %s", f.Rejected.Expires.UTC().Format(time.DateOnly), r.brief(f.Rejected.Reason, shownWhat)))
	}
	return lines
}

// levels says what the level is, and the rule's where it is another.
func (f *Finding) levels() string {
	if f.Level == f.Rule.Level {
		return "still " + f.Level.String()
	}
	return fmt.Sprintf("%v instead of %v", f.Level, f.Rule.Level)
}

func indent(lines []string, by string) []string {
	for i := range lines {
		lines[i] = by + lines[i]
	}
	return lines
}

// moment is when it happened, and where the event stands.
func (r *Renderer) moment(f *Finding) string {
	at := "no time recorded      "
	if f.Time > 0 {
		at = time.UnixMilli(f.Time).UTC().Format(timeLayout)
	}
	if e := f.Event; e != nil {
		return at + "  " + orDash(r.again(e.Agent)) + "/" + r.again(e.Asker.String()) + "#" + console.Escape(e.ID())
	}
	return at + "  " + r.brief(f.Path, shownWhat)
}

func (r *Renderer) deed(f *Finding) string {
	e := f.Event
	if e == nil {
		return r.brief(f.Excerpt, shownWhat)
	}
	text := r.brief(e.What, shownWhat)
	if e.Kind == KindResult {
		text = strings.TrimSpace(r.brief(e.Tool+" "+e.Target, shownWhat))
	}
	if result := r.result(e); result != "" && (f.Sink == SinkExecuted || f.Sink == SinkWritten || f.Sink == SinkSent) {
		text += "  → " + result
	}
	return text
}

func (r *Renderer) matched(f *Finding) string {
	if f.Layer == "" {
		return console.Escape(f.Field)
	}
	return console.Escape(f.Field) + ", " + console.Escape(f.Layer)
}

// Cause renders what led to an action, the input first.
func (r *Renderer) Cause(c *Cause) []string {
	if c.Input() == nil {
		return []string{"cause: none found: " + c.Note}
	}
	why := map[Grade]string{GradeTurn: "the action answers this message", GradeSession: "it came earlier in the session"}[c.Grade]
	if c.Grade == GradeValue {
		why = fmt.Sprintf("%q first appears there", r.brief(r.Secrets.RedactPart(c.Value), shownQuote))
	}
	var lines []string
	for i := range c.Chain {
		lines = append(lines, fmt.Sprintf("%-8s %s", string(c.Chain[i].Role)+":", r.link(&c.Chain[i])))
	}
	lines[0] += " (" + why + ")"
	if c.Note != "" {
		lines = append(lines, "note:    "+r.brief(c.Note, shownWhat))
	}
	return lines
}

// link says what an input was, whose it was and what it said.
func (r *Renderer) link(l *Link) string {
	e := l.Event
	what := "the agent's own " + string(e.Kind)
	switch {
	case e.Kind == KindMessage && l.Input:
		what = "message of " + r.again(e.Asker.String())
	case e.Kind == KindResult:
		what = "what " + r.brief(strings.TrimSpace(orDash(e.Tool)+" "+e.Target), shownQuote) + " returned"
	}
	if l.Trust != "" {
		what += " [" + l.Trust + "]"
	}
	return fmt.Sprintf("%s  %s  #%s: %s", e.When().Format(timeLayout), what, console.Escape(e.ID()), r.quote(l.Quote))
}

// A FindingRecord is a finding as JSON shows it.
type FindingRecord struct {
	Rule      string         `json:"rule"`
	RuleID    string         `json:"rule_id"`
	Title     string         `json:"title"`
	Means     string         `json:"means,omitempty"`
	Level     severity.Level `json:"level"`
	RuleLevel severity.Level `json:"rule_level"`
	Adjusted  []string       `json:"adjusted,omitempty"`
	Attack    []string       `json:"attack,omitempty"`
	Atlas     []string       `json:"atlas,omitempty"`
	Sink      Sink           `json:"sink"`
	Deed      string         `json:"deed"`
	Time      string         `json:"time,omitempty"`
	Last      string         `json:"last,omitempty"`
	Count     int            `json:"count"`
	Path      string         `json:"path,omitempty"`
	Field     string         `json:"field,omitempty"`
	Layer     string         `json:"layer,omitempty"`
	Excerpt   string         `json:"excerpt,omitempty"`
	Event     *Record        `json:"event,omitempty"`
	Related   []string       `json:"events,omitempty"`
	Cause     *CauseRecord   `json:"cause,omitempty"`
	Rejected  *Suppression   `json:"suppressed,omitempty"`
}

// A CauseRecord is a cause as JSON shows it.
type CauseRecord struct {
	Grade Grade        `json:"grade"`
	Value string       `json:"value,omitempty"`
	Chain []LinkRecord `json:"chain,omitempty"`
	Note  string       `json:"note,omitempty"`
}

// A LinkRecord is a link of a cause as JSON shows it.
type LinkRecord struct {
	Input bool   `json:"input"`
	Role  Role   `json:"role"`
	Trust string `json:"trust,omitempty"`
	Quote string `json:"quote"`
	Event Record `json:"event"`
}

// FindingRecord makes of a finding what JSON shows of it.
func (r *Renderer) FindingRecord(f *Finding) FindingRecord {
	attack, atlas := f.Rule.Techniques()
	rec := FindingRecord{
		Rule: r.text(f.Rule.Key()), RuleID: r.text(f.Rule.ID), Title: r.text(f.Rule.Title), Means: r.text(f.Rule.Description), Level: f.Level, RuleLevel: f.Rule.Level,
		Attack: attack, Atlas: atlas, Sink: f.Sink, Deed: r.text(f.Deed()), Count: f.Count, Path: r.text(f.Path), Field: r.text(f.Field), Layer: r.text(f.Layer),
		Excerpt: r.text(f.Excerpt), Rejected: f.Rejected,
	}
	for _, why := range f.Adjusted {
		rec.Adjusted = append(rec.Adjusted, r.text(why))
	}
	for _, id := range f.Related {
		rec.Related = append(rec.Related, r.text(id))
	}
	if f.Time > 0 {
		rec.Time, rec.Last = time.UnixMilli(f.Time).UTC().Format(timeLayout), time.UnixMilli(f.Last).UTC().Format(timeLayout)
	}
	if f.Event != nil {
		e := r.Record(f.Event)
		rec.Event = &e
	}
	if f.Cause != nil {
		c := r.CauseRecord(f.Cause)
		rec.Cause = &c
	}
	return rec
}

// CauseRecord makes of a cause what JSON shows of it.
func (r *Renderer) CauseRecord(c *Cause) CauseRecord {
	rec := CauseRecord{Grade: c.Grade, Value: r.text(r.Secrets.RedactPart(c.Value)), Note: r.text(c.Note)}
	for _, l := range c.Chain {
		rec.Chain = append(rec.Chain, LinkRecord{l.Input, l.Role, l.Trust, r.text(l.Quote), r.Record(l.Event)})
	}
	return rec
}
