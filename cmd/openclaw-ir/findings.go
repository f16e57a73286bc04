package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/analyze"
	"github.com/clawbook/openclaw-ir/analyze/rules"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/ioc"
	"github.com/clawbook/openclaw-ir/internal/severity"
	"github.com/clawbook/openclaw-ir/internal/sigma"
	"github.com/urfave/cli/v2"
)

func findingsCommand(e env) *cli.Command {
	return &cli.Command{
		Name:      "findings",
		Usage:     "tell which of it is suspicious, how bad it is, and what led to it",
		ArgsUsage: "[SOURCE]",
		Description: `Matches what ran, was written, sent, returned and lies there with rules and known indicators. Each finding says whether it was
done or only asked for, and, at high and above, which input led to it. SOURCE is what it is for analyze.

Examples:
   openclaw-ir analyze findings
   openclaw-ir analyze findings B.tar.zst.age -i key.txt --level high
   openclaw-ir analyze findings --rules ./my-rules --ioc advisory.stix.json --fail-on critical

` + exitText,
		Flags: append(append(append(append(sourceFlags(), readFlags()...), ruleFlags()...), bulkFlags()...),
			&cli.StringFlag{Name: "level", Value: "low", Usage: "show findings at `LEVEL` and above: " + strings.Join(severity.Names(), ", ")},
			&cli.StringFlag{Name: "fail-on", Usage: "exit 4 if anything is found at `LEVEL` or above"},
			&cli.StringFlag{Name: "suppressions", Usage: "do not show what the YAML `FILE` says is known and accepted; it is counted and listed at the end"},
			&cli.StringFlag{Name: "agent", Usage: "look only at this `AGENT`"},
			&cli.StringFlag{Name: "session", Usage: "look only at sessions whose id or key holds `TEXT`"},
			&cli.StringFlag{Name: "since", Usage: "begin at `TIME`: 24h, 7d, 2026-11-20, 2026-11-20T10:00:00Z"},
			&cli.StringFlag{Name: "until", Usage: "end before `TIME`"},
			&cli.StringFlag{Name: "format", Value: "text", Usage: "print as `FORMAT`: text, ecs or ocsf"},
			&cli.BoolFlag{Name: "json", Usage: "one JSON object a line: a version first, the findings, the coverage last"},
		),
		OnUsageError: onUsageError,
		Action:       func(c *cli.Context) error { return runFindings(c, e) },
	}
}

// ruleFlags name rules and indicators beside the built-in ones.
func ruleFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "rules", Usage: "apply the Sigma rules in `DIR` too"},
		&cli.StringSliceFlag{Name: "ioc", Usage: "look for the indicators in `FILE` too: a plain list, CSV, STIX 2.1 or MISP"},
		&cli.BoolFlag{Name: "no-builtin", Usage: "leave out the built-in rules and indicators"},
	}
}

func runFindings(c *cli.Context, e env) error {
	sink, err := newDocumentSink(c, e)
	if err != nil {
		return err
	}
	src, o, err := findingsOptions(c, e)
	if err != nil {
		return err
	}
	defer src.close()
	least, err := parseLevel(c.String("level"))
	if err != nil {
		return err
	}
	fail, err := failLevel(c)
	if err != nil {
		return err
	}
	if format := c.String("format"); format != "text" && !isSchema(format) {
		return usageError("formats are text, ecs and ocsf", "no such format: %q", format)
	}
	report, err := investigate(c, e, src, o)
	if err != nil {
		return err
	}
	renderer, gaps, err := newRenderer(c, e, src, report.Installations)
	if err != nil {
		return err
	}
	report.Coverage.Gaps = append(report.Coverage.Gaps, gaps...)
	if isSchema(c.String("format")) {
		err = shapeFindings(c, e, src, sink, report, renderer, least)
	} else {
		err = printFindings(c, e, report, renderer, least)
	}
	if err != nil && !errors.Is(err, errPartial) {
		return err
	}
	return cmp.Or(endFindings(e, renderer, report, fail), err)
}

// findingsOptions opens the evidence and reads the rules, indicators and suppressions.
func findingsOptions(c *cli.Context, e env) (*source, analyze.FindingsOptions, error) {
	if c.NArg() > 1 {
		return nil, analyze.FindingsOptions{}, usageError("openclaw-ir analyze findings [SOURCE]", "too many arguments: %q", c.Args().Slice()[1:])
	}
	o, err := lookedFor(c, e)
	if err != nil {
		return nil, o, err
	}
	src, err := openEvidence(c, e, c.Args().First())
	if err != nil {
		return nil, o, err
	}
	if err = lookedAt(c, src, &o); err != nil {
		src.close()
	}
	return src, o, err
}

// lookedFor reads the rules, indicators and suppressions.
func lookedFor(c *cli.Context, e env) (o analyze.FindingsOptions, err error) {
	if o.Rules, err = loadRules(c); err != nil {
		return o, err
	}
	if o.Indicators, err = loadIndicators(c, e); err != nil {
		return o, err
	}
	o.Suppressions, err = loadSuppressions(c)
	return o, err
}

// lookedAt says in which part of the evidence.
func lookedAt(c *cli.Context, src *source, o *analyze.FindingsOptions) (err error) {
	o.Find, o.Now, o.Agent, o.Session = src.find, src.now, c.String("agent"), c.String("session")
	if o.Since, err = parseTime(c.String("since"), src.now); err == nil {
		o.Until, err = parseTime(c.String("until"), src.now)
	}
	return err
}

// investigate looks for findings, with a bar.
func investigate(c *cli.Context, e env, src *source, o analyze.FindingsOptions) (*analyze.FindingsReport, error) {
	progress := e.console.Progress(console.Bytes)
	progress.Start("matching rules", 0)
	o.Read = progress.Add
	report, err := analyze.Findings(c.Context, src.fsys, o)
	progress.Done()
	if errors.Is(err, analyze.ErrNothing) {
		return nil, nothingFound(&report.Coverage, e)
	}
	return report, err
}

func loadRules(c *cli.Context) (list []*sigma.Rule, err error) {
	if !c.Bool("no-builtin") {
		if list, err = rules.Load(); err != nil {
			return nil, err
		}
	}
	for _, dir := range c.StringSlice("rules") {
		more, err := rules.LoadDir(os.DirFS(dir))
		if err != nil {
			return nil, &codeError{exitUsage, fmt.Errorf("reading rules from %q: %w", dir, err), []string{"openclaw-ir analyze rules test " + console.ShellWord(dir)}}
		}
		list = rules.Merge(list, more)
	}
	return list, nil
}

func loadIndicators(c *cli.Context, e env) (list []ioc.Indicator, err error) {
	if !c.Bool("no-builtin") {
		if list, err = ioc.Builtin(); err != nil {
			return nil, err
		}
	}
	for _, name := range c.StringSlice("ioc") {
		more, err := readIndicators(e, name)
		if err != nil {
			return nil, &codeError{exitUsage, fmt.Errorf("reading indicators from %q: %w", name, err), nil}
		}
		list = append(list, more...)
	}
	return list, nil
}

func readIndicators(e env, name string) ([]ioc.Indicator, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	list, problems, err := ioc.Read(name, f)
	for _, p := range problems {
		e.console.Warningf("%s: %v; not used", name, p)
	}
	return list, err
}

func loadSuppressions(c *cli.Context) ([]analyze.Suppression, error) {
	name := c.String("suppressions")
	if name == "" {
		return nil, nil
	}
	f, err := os.Open(name)
	if err == nil {
		defer f.Close()
		var list []analyze.Suppression
		if list, err = analyze.ReadSuppressions(f); err == nil {
			return list, nil
		}
	}
	return nil, &codeError{exitUsage, fmt.Errorf("reading suppressions from %q: %w", name, err), []string{
		`each reads: {rule: PER-001, scope: {agent: main, command: 'crontab -l'}, reason: why, expires: 2027-01-31}`,
	}}
}

func parseLevel(name string) (severity.Level, error) {
	l, err := severity.Parse(name)
	if err != nil {
		return 0, &codeError{exitUsage, err, nil}
	}
	return l, nil
}

// failLevel is the level of --fail-on; above all where it is not given.
func failLevel(c *cli.Context) (severity.Level, error) {
	if name := c.String("fail-on"); name != "" {
		return parseLevel(name)
	}
	return severity.Critical + 1, nil
}

// A findingRow is one line of the output with --json.
type findingRow struct {
	Finding  *analyze.FindingRecord `json:"finding,omitempty"`
	Coverage *findingsCoverage      `json:"coverage,omitempty"`
	text     []string
}

type findingsCoverage struct {
	*analyze.Coverage
	Rules      int   `json:"rules"`
	Suppressed int   `json:"suppressed"`
	Below      int   `json:"below_level"`
	Cut        int64 `json:"texts_cut"`
	Lost       int64 `json:"findings_not_listed"`
}

func printFindings(c *cli.Context, e env, report *analyze.FindingsReport, r *analyze.Renderer, least severity.Level) error {
	out, err := console.NewLines(e.console, c.Bool("json"), map[string]any{"command": "analyze findings", "installations": report.Installations},
		func(row findingRow) string { return strings.Join(row.text, "\n") })
	if err != nil {
		return err
	}
	cover := &findingsCoverage{Coverage: &report.Coverage, Rules: report.Rules, Suppressed: len(report.Suppressed), Cut: report.Cut, Lost: report.Lost}
	for _, f := range report.Findings {
		if f.Level < least {
			cover.Below++
			continue
		}
		report.Coverage.Shown++
		if err := out.Write(newFindingRow(c, e, r, f)); err != nil {
			return err
		}
	}
	for _, f := range report.Suppressed {
		if err := out.Write(newFindingRow(c, e, r, f)); err != nil {
			return err
		}
	}
	if c.Bool("json") {
		if err := out.Write(findingRow{Coverage: cover}); err != nil {
			return err
		}
	}
	return out.Flush()
}

// shapeFindings writes findings as documents, the suppressed ones too.
func shapeFindings(c *cli.Context, e env, src *source, sink documentSink, report *analyze.FindingsReport, r *analyze.Renderer, least severity.Level) error {
	shape := newShaper(c.String("format"), src, r)
	for _, f := range slices.Concat(report.Findings, report.Suppressed) {
		if f.Level < least && f.Rejected == nil {
			continue
		}
		if err := sink.Write(c.Context, shape.Finding(f)); err != nil {
			return fmt.Errorf("writing the findings: %w", err)
		}
	}
	sayCut(e, shape.Shortened())
	return sink.Close(c.Context)
}

func newFindingRow(c *cli.Context, e env, r *analyze.Renderer, f *analyze.Finding) findingRow {
	if c.Bool("json") {
		rec := r.FindingRecord(f)
		return findingRow{Finding: &rec}
	}
	lines := r.Finding(f)
	lines[0] = e.leveled(f.Level, lines[0])
	return findingRow{text: lines}
}

// levelStyles are how levels look.
var levelStyles = map[severity.Level]console.Style{
	severity.Critical: console.Critical, severity.High: console.Bad, severity.Medium: console.Warn, severity.Low: console.Info, severity.Info: console.Dim,
}

// leveled gives the level with which a line begins its colour.
func (e env) leveled(l severity.Level, line string) string {
	rest, ok := strings.CutPrefix(line, l.String())
	if !ok {
		return line
	}
	return e.console.Paint(levelStyles[l], l.String()) + rest
}

// endFindings says how much was found in how much, and ends with the code for it.
func endFindings(e env, r *analyze.Renderer, report *analyze.FindingsReport, fail severity.Level) error {
	counts := make([]int, severity.Critical+1)
	for _, f := range report.Findings {
		counts[f.Level]++
	}
	var words []string
	for l := severity.Critical; l >= severity.Info; l-- {
		if counts[l] > 0 {
			words = append(words, fmt.Sprintf("%d %v", counts[l], l))
		}
	}
	said := strings.Join(words, ", ")
	if said == "" {
		said = "no indicator found"
	}
	e.console.Printf("%s, by %d rules in %d events; %d suppressed; %d unreadable, %d gaps", said, report.Rules, report.Coverage.Events, len(report.Suppressed),
		report.Coverage.Unparsed, len(report.Coverage.Gaps))
	sayLost(e, report.Cut, report.Lost)
	err := sayCoverage(e, r, &report.Coverage)
	if worst, any := report.Worst(); any && worst >= fail {
		return &codeError{code: exitFound, err: fmt.Errorf("found at %v or above", fail)}
	}
	if err == nil && !report.Complete() {
		return errPartial
	}
	return err
}

// sayLost says what the rules did not see, and what they found beyond what is kept.
func sayLost(e env, cut, lost int64) {
	if cut > 0 {
		e.console.Warningf("%d texts were too long to be matched wholly with the rules", cut)
	}
	if lost > 0 {
		e.console.Warningf("%d findings more are not listed", lost)
	}
}
