package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/clawbook/openclaw-ir/analyze"
	"github.com/clawbook/openclaw-ir/analyze/integrity"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/secret"
	"github.com/clawbook/openclaw-ir/internal/severity"
	"github.com/urfave/cli/v2"
)

func integrityCommand(e env) *cli.Command {
	return &cli.Command{
		Name:      "integrity",
		Usage:     "tell whether the record was changed: holes, contradictions, rows removed, files rewritten",
		ArgsUsage: "[SOURCE]",
		Description: `SOURCE is a sealed bundle, a directory, or absent for this host. Transcripts, ledger, config journal, logs, archives and
the pages of the databases are compared with one another. --against compares them with an earlier bundle too: what was
written then must be there still, byte for byte; config, memory and skills that changed are listed.

A finding is a sign, with the innocent explanation that was considered. None is no proof: what each check examined, and
what could not be decided, is listed below the findings.

Examples:
   openclaw-ir analyze integrity
   openclaw-ir analyze integrity B2.tar.zst.age -i key.txt --against B1.tar.zst.age
   openclaw-ir analyze integrity --root /mnt/image --fail-on high

` + exitText,
		Flags: append(append(sourceAndKeyFlags(), readFlags()...),
			&cli.StringFlag{Name: "against", Usage: "compare with the earlier evidence in `BUNDLE`, sealed or a directory"},
			&cli.StringFlag{Name: "since", Usage: "leave out what ended before `TIME`: 24h, 7d, 2026-11-20, 2026-11-20T10:00:00Z"},
			&cli.StringFlag{Name: "until", Usage: "leave out what began after `TIME`"},
			&cli.StringFlag{Name: "level", Usage: "show only findings of at least `LEVEL`: " + strings.Join(severity.Names(), ", ")},
			&cli.StringFlag{Name: "fail-on", Usage: "exit with 4 if there is a finding of at least `LEVEL`"},
			&cli.BoolFlag{Name: "json", Usage: "one JSON object a line: a version first, the findings, the coverage last"}),
		OnUsageError: onUsageError,
		Action:       func(c *cli.Context) error { return runIntegrity(c, e) },
	}
}

// sourceAndKeyFlags are sourceFlags for a command that has no grep: -i is the key, and nothing else.
func sourceAndKeyFlags() []cli.Flag {
	flags := sourceFlags()
	for _, f := range flags {
		if key, ok := f.(*cli.StringSliceFlag); ok && key.Name == "identity" {
			key.Aliases, key.Usage = []string{"i"}, "open a bundle with the private key in `FILE`"
		}
	}
	return flags
}

// levelFlag reads a level; ok is false if the option is not given.
func levelFlag(c *cli.Context, name string) (l severity.Level, ok bool, err error) {
	if !c.IsSet(name) {
		return 0, false, nil
	}
	l, err = severity.Parse(c.String(name))
	if err != nil {
		return 0, false, usageError("openclaw-ir "+commandPath(c)+" --help", "--%s: %v", name, err)
	}
	return l, true, nil
}

func runIntegrity(c *cli.Context, e env) error {
	if c.NArg() > 1 {
		return usageError("openclaw-ir analyze integrity [SOURCE]", "too many arguments: %q", c.Args().Slice()[1:])
	}
	failOn, fails, err := levelFlag(c, "fail-on")
	if err != nil {
		return err
	}
	atLeast, _, err := levelFlag(c, "level")
	if err != nil {
		return err
	}
	src, err := openEvidence(c, e, c.Args().First())
	if err != nil {
		return err
	}
	defer src.close()
	report, set, err := checkIntegrity(c, e, src)
	if err != nil {
		return err
	}
	p := integrityPrinter{env: e, out: e.console.Out(), set: set, atLeast: atLeast}
	if c.Bool("json") {
		err = p.json(report)
	} else {
		err = p.text(report)
	}
	if err != nil {
		return err
	}
	return integrityResult(e, set, report, failOn, fails)
}

// checkIntegrity runs the checks and, if asked, the comparison with earlier evidence, in one report.
func checkIntegrity(c *cli.Context, e env, src *source) (*integrity.Report, *secret.Set, error) {
	o := integrity.Options{Now: src.now}
	var err error
	if o.Since, err = parseTime(c.String("since"), src.now); err != nil {
		return nil, nil, err
	}
	if o.Until, err = parseTime(c.String("until"), src.now); err != nil {
		return nil, nil, err
	}
	installs, gaps := openclaw.Find(src.fsys, src.find)
	if len(installs) == 0 {
		return nil, nil, nothingFound(&analyze.Coverage{Gaps: gaps}, e)
	}
	set, secretGaps, err := knownSecrets(c, e, src, installs)
	if err != nil {
		return nil, nil, err
	}
	progress := e.console.Progress(console.Bytes)
	progress.Start("comparing records", 0)
	defer progress.Done()
	o.Read = progress.Add
	report, err := integrity.Check(c.Context, src.fsys, installs, o)
	if err != nil {
		return nil, nil, err
	}
	report.Gaps = append(append(gaps, secretGaps...), report.Gaps...)
	if c.String("against") != "" {
		err = compareWithPast(c, e, src, installs, o, report)
	}
	return report, set, err
}

func knownSecrets(c *cli.Context, e env, src *source, installs []*openclaw.Installation) (*secret.Set, []openclaw.Gap, error) {
	r, gaps, err := newRenderer(c, e, src, installs)
	if err != nil {
		return nil, nil, err
	}
	return r.Secrets, gaps, nil
}

func compareWithPast(c *cli.Context, e env, src *source, installs []*openclaw.Installation, o integrity.Options, report *integrity.Report) error {
	name := c.String("against")
	past, err := openNamed(c, e, name, openclaw.FindOptions{UID: -1, StateDirs: stateDirsOf(installs)})
	if err != nil {
		return err
	}
	defer past.close()
	then, gaps := openclaw.Find(past.fsys, past.find)
	if len(then) == 0 {
		return usageError("name a bundle or directory of the same host", "the earlier evidence %q holds no installation of OpenClaw", name)
	}
	compared, err := integrity.Against(c.Context, integrity.Past{FS: past.fsys, Installs: then}, src.fsys, installs, o)
	if err != nil {
		return err
	}
	compared.Gaps = append(gaps, compared.Gaps...)
	report.Add(compared)
	return nil
}

// stateDirsOf are the places where the earlier evidence must be looked at too.
func stateDirsOf(installs []*openclaw.Installation) (dirs []string) {
	for _, in := range installs {
		dirs = append(dirs, in.StateDir)
	}
	return dirs
}

// integrityResult ends the command: incomplete evidence is code 3, a finding that was asked for code 4.
func integrityResult(e env, set *secret.Set, r *integrity.Report, failOn severity.Level, fails bool) error {
	for i, g := range r.Gaps {
		if i == maxGapsShown {
			e.console.Warningf("and %d more; --json lists them all", len(r.Gaps)-i)
			break
		}
		e.console.Warningf("%s: %s", set.Redact(g.Path), set.Redact(g.What))
	}
	if fails && r.Worst() >= failOn && len(r.Findings) > 0 {
		return &codeError{exitFound, fmt.Errorf("findings of level %s or above", failOn), nil}
	}
	if len(r.Gaps) > 0 {
		return errPartial
	}
	return nil
}

// An integrityPrinter shows a report. Everything of the evidence goes through show.
type integrityPrinter struct {
	env
	out     io.Writer
	set     *secret.Set
	atLeast severity.Level
}

func (p *integrityPrinter) show(s string) string { return console.Escape(p.set.Redact(s)) }

func (p *integrityPrinter) json(r *integrity.Report) error {
	lines, err := console.NewJSONLines(p.out, map[string]any{"command": "analyze integrity"})
	if err != nil {
		return err
	}
	for i := range r.Findings {
		if f := r.Findings[i]; f.Level >= p.atLeast {
			p.redact(&f)
			if err := lines.Write(map[string]any{"finding": f}); err != nil {
				return err
			}
		}
	}
	return lines.Write(map[string]any{"coverage": map[string]any{"checks": r.Checks, "records": r.Records, "gaps": r.Gaps}})
}

func (p *integrityPrinter) redact(f *integrity.Finding) {
	for _, s := range []*string{&f.Title, &f.Detail, &f.Path, &f.Session, &f.Benign} {
		*s = p.set.Redact(*s)
	}
	evidence := make([]string, len(f.Evidence))
	for i, s := range f.Evidence {
		evidence[i] = p.set.Redact(s)
	}
	f.Evidence = evidence
}

func (p *integrityPrinter) text(r *integrity.Report) error {
	var b strings.Builder
	shown := 0
	for i := range r.Findings {
		if f := &r.Findings[i]; f.Level >= p.atLeast {
			p.finding(&b, f)
			shown++
		}
	}
	switch hidden := len(r.Findings) - shown; {
	case len(r.Findings) == 0:
		fmt.Fprintf(&b, "no sign of change found in %s\n", plural(int(r.Records), "record"))
	case hidden > 0:
		fmt.Fprintf(&b, "%s; %d below %s not shown\n", plural(len(r.Findings), "finding"), hidden, p.atLeast)
	default:
		fmt.Fprintf(&b, "%s in %s\n", plural(len(r.Findings), "finding"), plural(int(r.Records), "record"))
	}
	b.WriteString("\nexamined:\n")
	for _, c := range r.Checks {
		fmt.Fprintf(&b, "  %s  %s %s", c.Check, grouped(c.Examined), c.What)
		if c.Undecided != "" {
			fmt.Fprintf(&b, "; not decided: %s", p.show(c.Undecided))
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(p.out, p.console.FoldOut(b.String()))
	return err
}

// finding writes one finding: what and where on the first lines, then what was considered.
func (p *integrityPrinter) finding(b *strings.Builder, f *integrity.Finding) {
	head := fmt.Sprintf("%-8s  %s  %s: %s\n", f.Level, f.Check, p.show(f.Title), p.show(f.Detail))
	b.WriteString(p.leveled(f.Level, head))
	if where := p.where(f); where != "" {
		fmt.Fprintf(b, "    where     %s\n", where)
	}
	if !f.Time.IsZero() {
		when := f.Time.UTC().Format("2006-01-02T15:04:05Z")
		if !f.Until.IsZero() {
			when += " to " + f.Until.UTC().Format("2006-01-02T15:04:05Z")
		}
		fmt.Fprintf(b, "    when      %s\n", when)
	}
	for _, s := range f.Evidence {
		fmt.Fprintf(b, "    evidence  %s\n", p.show(s))
	}
	if f.Benign != "" {
		fmt.Fprintf(b, "    innocent  %s\n", p.show(f.Benign))
	}
}

func (p *integrityPrinter) where(f *integrity.Finding) string {
	where := p.show(f.Path)
	if f.Session != "" {
		where = strings.TrimSpace(where + " session " + p.show(f.Session))
	}
	if f.Line > 0 {
		where += fmt.Sprintf(" record %d", f.Line)
	}
	return where
}

// grouped writes a number with commas.
func grouped(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
