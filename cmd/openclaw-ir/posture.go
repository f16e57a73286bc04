package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/analyze"
	"github.com/clawbook/openclaw-ir/analyze/posture"
	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/secret"
	"github.com/clawbook/openclaw-ir/internal/severity"
	"github.com/urfave/cli/v2"
)

func postureCommand(e env) *cli.Command {
	return &cli.Command{
		Name:      "posture",
		Usage:     "say how the installation is set up, what is weak and since when; --fix repairs what is safe to",
		ArgsUsage: "[SOURCE]",
		Description: `Checks everything that ClawBook's security guide asks for, every check of "openclaw security audit" that can be decided without
running OpenClaw, under the same ids, and what that audit does not look at. Each finding says what was seen, why it matters, the
fix to type, and since when, from the config's backups and journal. Possible vectors (GWY-007) are known weaknesses of the
versions that ran.

--deep also looks at the running machine, without root at a part of it: listening ports, firewall, containers, and whether the
gateway lets in who shows no secret (its log notes that it was asked). --fix narrows permissions and sets the values that can break
nothing, after showing the plan; "posture undo" takes that back.

Examples:
   openclaw-ir analyze posture
   sudo openclaw-ir analyze posture --deep --level medium
   openclaw-ir analyze posture --root /mnt/disk --fail-on high
   openclaw-ir analyze posture bundle.tar.zst.age --identity key.txt --json
   sudo openclaw-ir analyze posture --fix --dry-run

` + exitText,
		Flags: append(append(sourceFlags(), caseFlags()...),
			&cli.BoolFlag{Name: "deep", Usage: "look at the running machine too"},
			&cli.StringFlag{Name: "level", Value: "info", Usage: "show findings of this `LEVEL` and above: " + strings.Join(severity.Names(), ", ")},
			&cli.StringFlag{Name: "fail-on", Usage: "exit with 4 if there is a finding of this `LEVEL` or above"},
			&cli.BoolFlag{Name: "all", Usage: "list the checks that passed and those that could not be decided"},
			&cli.StringFlag{Name: "cves", Usage: "take the known weaknesses of OpenClaw from the JSON `FILE`"},
			&cli.BoolFlag{Name: "fix", Usage: "repair permissions and safe config values, on this machine only"},
			&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "with --fix: do it without asking"},
			&cli.BoolFlag{Name: "dry-run", Usage: "with --fix: say what it would do, and change nothing"},
			&cli.BoolFlag{Name: "without-evidence", Usage: "with --fix: change a config that no sealed bundle of the case holds, on the record"},
			&cli.BoolFlag{Name: "json", Usage: "one JSON object a line: a version first, the coverage last"},
		),
		Subcommands:  []*cli.Command{postureUndoCommand(e)},
		OnUsageError: onUsageError,
		Action:       func(c *cli.Context) error { return runPosture(c, e) },
	}
}

// A postured is one installation and what was found of it.
type postured struct {
	report *posture.Report
	past   *posture.Past
	since  map[posture.Weakness][]posture.Window
}

// A posturing is one run of posture.
type posturing struct {
	env
	c       *cli.Context
	src     *source
	named   bool // SOURCE or --root: not this machine
	level   severity.Level
	failOn  severity.Level // above Critical if nothing fails
	cves    []posture.CVE
	options posture.Options
	list    []postured
	gaps    []openclaw.Gap
	secrets *secret.Set
	lines   *console.Lines[postureRow]
	cs      *casefile.Case // of --fix
}

func runPosture(c *cli.Context, e env) error {
	if c.NArg() > 1 {
		return usageError("openclaw-ir analyze posture [SOURCE]", "too many arguments: %q", c.Args().Tail())
	}
	x := &posturing{env: e, c: c, named: c.Args().Present() || c.String("root") != ""}
	if err := x.read(); err != nil {
		return err
	}
	var err error
	if c.Bool("fix") && !c.Bool("dry-run") { // what is repaired is noted in it
		if x.cs, err = openCase(c, e); err != nil {
			return err
		}
		defer x.cs.Close()
	}
	if x.src, err = openEvidence(c, e, c.Args().First()); err != nil {
		return err
	}
	defer x.src.close()
	if err := x.look(c.Context); err != nil {
		return err
	}
	if c.Bool("fix") {
		return x.fix()
	}
	return x.print()
}

// read reads what the flags say.
func (x *posturing) read() (err error) {
	if x.level, err = severity.Parse(x.c.String("level")); err != nil {
		return usageError("openclaw-ir analyze posture --level medium", "--level: %v", err)
	}
	x.failOn = severity.Critical + 1
	if name := x.c.String("fail-on"); name != "" {
		if x.failOn, err = severity.Parse(name); err != nil {
			return usageError("openclaw-ir analyze posture --fail-on high", "--fail-on: %v", err)
		}
	}
	for _, flag := range []string{"deep", "fix"} {
		if x.named && x.c.Bool(flag) {
			return usageError("openclaw-ir analyze posture --"+flag, "--%s looks at this machine, and another source was named", flag)
		}
	}
	if x.cves, err = posture.KnownCVEs(); err != nil || x.c.String("cves") == "" {
		return err
	}
	f, err := os.Open(x.c.String("cves"))
	if err != nil {
		return fmt.Errorf("opening the table of known weaknesses: %w", err)
	}
	defer f.Close()
	x.cves, err = posture.LoadCVEs(f)
	return err
}

// look finds the installations and checks each.
func (x *posturing) look(ctx context.Context) error {
	installs, gaps := openclaw.Find(x.src.fsys, x.src.find)
	if x.c.Bool("fix") && len(x.src.find.StateDirs) > 0 { // what was not named stays as it is
		installs = slices.DeleteFunc(installs, func(in *openclaw.Installation) bool { return !slices.Contains(in.FoundBy, "given") })
	}
	x.gaps = gaps
	if len(installs) == 0 {
		return nothingFound(&analyze.Coverage{Gaps: gaps}, x.env)
	}
	r, gaps, err := newRenderer(x.c, x.env, x.src, installs)
	if err != nil {
		return err
	}
	x.secrets, x.gaps = r.Secrets, append(x.gaps, gaps...)
	x.options = posture.Options{FS: x.src.fsys, Now: x.src.now, NoModes: x.copied()}
	bar := x.console.Progress(console.Items)
	bar.Start("checking", int64(len(installs)))
	defer bar.Done()
	for _, in := range installs {
		o := x.options
		if x.c.Bool("deep") {
			if o.Live, err = x.live(ctx, in); err != nil {
				return err
			}
		}
		if err := x.check(ctx, in, o); err != nil {
			return err
		}
		bar.Add(1)
	}
	return nil
}

// copied reports that the source is a directory somebody copied, which does not tell the files' modes and owners on the
// host.
func (x *posturing) copied() bool { return x.c.Args().Present() && isDirectory(x.c.Args().First()) }

func (x *posturing) check(ctx context.Context, in *openclaw.Installation, o posture.Options) error {
	p := postured{}
	var gaps []openclaw.Gap
	p.past, gaps = posture.History(ctx, x.src.fsys, in)
	x.gaps = append(x.gaps, gaps...)
	var err error
	if p.report, err = posture.Check(ctx, in, o); err != nil {
		return err
	}
	x.gaps = append(x.gaps, p.report.Gaps...)
	sightings, gaps := posture.Sightings(ctx, x.src.fsys, in, p.past, x.src.now)
	x.gaps = append(x.gaps, gaps...)
	p.report.Findings = append(p.report.Findings, posture.CVEFindings(posture.Exposures(x.cves, sightings, p.past))...)
	p.since = p.past.Since(ctx, func(c *openclaw.Config) []posture.Finding { return posture.CheckConfig(ctx, in, c, o) })
	x.list = append(x.list, p)
	return ctx.Err()
}

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

// end tells the coverage and gives the exit code.
func (x *posturing) end(c *postureCoverage, worst severity.Level) error {
	for i := range x.gaps {
		if i == maxGapsShown {
			x.console.Warningf("and %d more; --json lists them all", len(x.gaps)-i)
			break
		}
		g := x.redactGap(i)
		x.console.Warningf("%s: %s", g.Path, g.What)
	}
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
	row.text = append(row.text, title)
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
		part("type", command)
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
