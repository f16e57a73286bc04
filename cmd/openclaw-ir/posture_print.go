package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/analyze/posture"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/severity"
)

// A postureRow is one line of the output: one of these, or a finding.
type postureRow struct {
	Record       string                 `json:"record"`
	Installation *openclaw.Installation `json:"installation,omitempty"`
	*postureFinding
	Check      string               `json:"id,omitempty"`
	Why        string               `json:"reason,omitempty"`
	Suppressed *posture.Suppression `json:"suppression,omitempty"`
	Gap        *openclaw.Gap        `json:"gap,omitempty"`
	Coverage   *postureCoverage     `json:"coverage,omitempty"`
	text       []string
}

type postureFinding struct {
	posture.Finding
	Since []posture.Window `json:"since,omitempty"`
}

// A postureCoverage says what was looked at.
type postureCoverage struct {
	Installations int            `json:"installations"`
	Checks        int            `json:"checks"`
	Findings      map[string]int `json:"findings"`
	Hidden        int            `json:"hidden,omitempty"` // below --level
	Passed        int            `json:"passed"`
	Undecided     int            `json:"undecided"`
	Suppressed    int            `json:"suppressed"` // by the config's own entries; shown all the same
	Versions      int            `json:"config_versions"`
	Gaps          int            `json:"gaps"`
}

func (x *posturing) open(name string) (err error) {
	x.lines, err = console.NewLines(x.console, x.c.Bool("json"), map[string]any{"command": name}, func(r postureRow) string { return strings.Join(r.text, "\n") })
	return err
}

// safe is a text as it may be shown.
func (x *posturing) safe(text string) string { return console.Escape(x.secrets.Redact(text)) }

// print shows what was found.
func (x *posturing) print() error {
	if err := x.open("analyze posture"); err != nil {
		return err
	}
	cover := postureCoverage{Installations: len(x.list), Findings: map[string]int{}}
	worst := severity.Level(-1)
	for i := range x.list {
		p := &x.list[i]
		if err := x.printOne(p, &cover); err != nil {
			return err
		}
		for _, f := range p.report.Findings {
			worst = max(worst, f.Level)
		}
	}
	cover.Gaps = len(x.gaps)
	if x.c.Bool("json") {
		for i := range x.gaps {
			if err := x.lines.Write(postureRow{Record: "gap", Gap: x.redactGap(i)}); err != nil {
				return err
			}
		}
		if err := x.lines.Write(postureRow{Record: "coverage", Coverage: &cover}); err != nil {
			return err
		}
	}
	if err := x.lines.Flush(); err != nil {
		return err
	}
	return x.end(&cover, worst)
}

func (x *posturing) redactGap(i int) *openclaw.Gap {
	g := x.gaps[i]
	g.Path, g.What = x.secrets.Redact(g.Path), x.secrets.Redact(g.What)
	return &g
}

// warnGaps tells what was not read.
func (x *posturing) warnGaps() {
	for i := range x.gaps {
		if i == maxGapsShown {
			x.console.Warningf("and %d more; --json lists them all", len(x.gaps)-i)
			break
		}
		g := x.redactGap(i)
		x.console.Warningf("%s: %s", g.Path, g.What)
	}
}

// end tells the coverage and gives the exit code.
func (x *posturing) end(c *postureCoverage, worst severity.Level) error {
	x.warnGaps()
	found := 0
	var counts []string
	for _, name := range slices.Backward(severity.Names()) {
		if n := c.Findings[name]; n > 0 {
			found += n
			counts = append(counts, fmt.Sprintf("%d %s", n, name))
		}
	}
	x.console.Printf("coverage: %s, %s of the config; %d checks: %d findings%s, %d passed, %d undecided; %d suppressed by the config, %s",
		plural(c.Installations, "installation"), plural(c.Versions, "version"), c.Checks, found, parenthesized(counts), c.Passed, c.Undecided, c.Suppressed, plural(c.Gaps, "gap"))
	switch {
	case worst >= x.failOn:
		return &codeError{exitFound, fmt.Errorf("found: something of level %s", worst), nil}
	case c.Gaps > 0:
		return errPartial
	}
	return nil
}

func parenthesized(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return " (" + strings.Join(words, ", ") + ")"
}

// printOne shows one installation.
func (x *posturing) printOne(p *postured, cover *postureCoverage) error {
	in := p.report.Installation
	rows := []postureRow{{Record: "installation", Installation: in, text: []string{
		fmt.Sprintf("OpenClaw %s of user %s in %s", x.safe(orUnknown(in.Version)), x.safe(orUnknown(in.User)), x.safe(in.StateDir)), "",
	}}}
	findings := slices.Clone(p.report.Findings)
	slices.SortStableFunc(findings, func(a, b posture.Finding) int { return cmp.Compare(b.Level, a.Level) })
	for _, f := range findings {
		cover.Findings[f.Level.String()]++
		if f.Level < x.level {
			cover.Hidden++
			continue
		}
		rows = append(rows, x.findingRow(f, p.since[posture.Weakness{Check: f.ID, Where: f.Where}]))
	}
	for i := range p.report.Suppressed {
		rows = append(rows, x.suppressedRow(&p.report.Suppressed[i]))
	}
	rows = append(rows, x.otherRows(p.report)...)
	cover.Passed += len(p.report.Passed)
	cover.Undecided += len(p.report.Undecided)
	cover.Suppressed += len(p.report.Suppressed)
	cover.Versions += len(p.past.Steps)
	cover.Checks += len(posture.IDs()) + 1 // and the known weaknesses
	for _, r := range rows {
		if err := x.lines.Write(r); err != nil {
			return err
		}
	}
	return nil
}

// maxSeen is how many lines of what was seen are shown of one finding.
const maxSeen = 12

func (x *posturing) findingRow(f posture.Finding, since []posture.Window) postureRow {
	for _, s := range []*string{&f.Title, &f.Seen, &f.Why, &f.Fix, &f.Where} {
		*s = x.secrets.Redact(*s)
	}
	f.Commands = slices.Clone(f.Commands)
	for i := range f.Commands {
		f.Commands[i] = x.secrets.Redact(f.Commands[i])
	}
	row := postureRow{Record: "finding", postureFinding: &postureFinding{f, since}}
	title := fmt.Sprintf("%-8s  %s  %s", f.Level, console.Escape(f.ID), console.Escape(f.Title))
	if f.Suppressed {
		title += "  [suppressed in the config]"
	}
	row.text = append(row.text, x.leveled(f.Level, title))
	part := func(name, text string) {
		for i, line := range strings.Split(text, "\n") {
			if i == maxSeen {
				row.text = append(row.text, fmt.Sprintf("          %-6s  and %d more", "", strings.Count(text, "\n")+1-i))
				return
			}
			if i > 0 {
				name = ""
			}
			row.text = append(row.text, fmt.Sprintf("          %-6s  %s", name, console.Escape(line)))
		}
	}
	part("where", f.Where)
	part("seen", f.Seen)
	part("why", f.Why)
	part("fix", f.Fix)
	for _, command := range f.Commands {
		row.text = append(row.text, fmt.Sprintf("          %-6s  %s", "type", console.EscapeCommand(command)))
	}
	for _, w := range since {
		part("since", strings.TrimPrefix(x.secrets.Redact(w.String()), "since "))
	}
	row.text = append(row.text, "")
	return row
}

func (x *posturing) suppressedRow(s *posture.Suppression) postureRow {
	hides := "nothing of this report"
	if len(s.Hides) > 0 {
		hides = strings.Join(s.Hides, ", ")
	}
	text := fmt.Sprintf("suppressed  %s: hides %s from OpenClaw's own audit", x.safe(orUnknown(s.Check)), x.safe(hides))
	if s.Reason != "" {
		text += ", because: " + x.safe(s.Reason)
	}
	shown := *s
	for _, field := range []*string{&shown.Check, &shown.Title, &shown.Detail, &shown.Reason} {
		*field = x.secrets.Redact(*field)
	}
	return postureRow{Record: "suppression", Suppressed: &shown, text: []string{text}}
}

// otherRows are the checks without a finding: in JSON all of them, as text with --all.
func (x *posturing) otherRows(r *posture.Report) (rows []postureRow) {
	if !x.c.Bool("json") && !x.c.Bool("all") {
		return nil
	}
	for _, id := range r.Passed {
		rows = append(rows, postureRow{Record: "passed", Check: id, text: []string{"passed     " + console.Escape(id)}})
	}
	for _, u := range r.Undecided {
		rows = append(rows, postureRow{Record: "undecided", Check: u.ID, Why: x.secrets.Redact(u.Why), text: []string{"undecided  " + console.Escape(u.ID) + ": " + x.safe(u.Why)}})
	}
	return rows
}
