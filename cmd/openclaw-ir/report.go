package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/analyze"
	"github.com/clawbook/openclaw-ir/collect"
	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/report"
	"github.com/urfave/cli/v2"
)

func reportCommand(e env) *cli.Command {
	return &cli.Command{
		Name:      "report",
		Usage:     "write the letter to support, the page to look at, and the same as Markdown and JSON",
		ArgsUsage: "[SOURCE]",
		Description: `Puts together what was found, what was done, what is open and what is sealed, and leaves it in the case as a mail draft (.eml),
Markdown, a page (.html) and JSON. Prints the letter. Nothing is sent: you read it, and send it.

SOURCE is what it is for analyze: absent for this host, a sealed bundle, a directory. Secrets are replaced by tokens; before
a file gets its name it is searched for every secret of the installation, and refused if one is in it.

Letters there are, --template WHOM:
   ` + strings.Join(templateTexts(), "\n   ") + `
The address comes from --to, else for the letter to support from {"to": "…"} in ` + reportConfig + `.

Examples:
   openclaw-ir report
   sudo openclaw-ir report --noticed 'it sent messages at night' --at '2026-11-20, about 03:00'
   openclaw-ir report B.tar.zst.age -i key.txt --template security
   openclaw-ir report --attach

` + exitText,
		Flags: append(append(append(sourceFlags(), caseFlags()...), ruleFlags()...),
			&cli.StringFlag{Name: "template", Aliases: []string{"t"}, Value: "support", Usage: "write to `WHOM`: " + strings.Join(report.TemplateNames(), ", ")},
			&cli.StringFlag{Name: "to", Usage: "address the mail to `ADDRESS`"},
			&cli.StringFlag{Name: "noticed", Usage: "`TEXT`: what you noticed, in your words"},
			&cli.StringFlag{Name: "at", Usage: "`WHEN` you noticed it, in your words"},
			&cli.BoolFlag{Name: "attach", Usage: "attach the newest sealed bundle and its seal; at most 20 MB in all"},
			&cli.StringFlag{Name: "split", Usage: "cut the newest sealed bundle into parts of `SIZE` (as 20M) to send one by one"},
			&cli.StringSliceFlag{Name: "recipient", Aliases: []string{"r"}, Usage: "seal the list of tokens to `RECIPIENT`"},
			&cli.StringSliceFlag{Name: "recipients-file", Aliases: []string{"R"}, Usage: "seal the list of tokens to the recipients in `FILE`"},
			&cli.StringFlag{Name: "suppressions", Usage: "leave out what the YAML `FILE` says is known and accepted; it is counted"},
			&cli.StringFlag{Name: "agent", Usage: "look only at this `AGENT`"},
			&cli.StringFlag{Name: "session", Usage: "look only at sessions whose id or key holds `TEXT`"},
			&cli.StringFlag{Name: "since", Usage: "begin at `TIME`: 24h, 7d, 2026-11-20, 2026-11-20T10:00:00Z"},
			&cli.StringFlag{Name: "until", Usage: "end before `TIME`"},
			&cli.BoolFlag{Name: "open", Usage: "open the draft in the mail program"},
			&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "ask nothing"},
			&cli.BoolFlag{Name: "dry-run", Usage: "print the letter, and write nothing"},
			&cli.BoolFlag{Name: "json", Usage: "print the story as JSON, a version first, the files last"},
		),
		OnUsageError: onUsageError,
		Action:       func(c *cli.Context) error { return runReport(c, e) },
	}
}

func templateTexts() (lines []string) {
	for _, t := range report.Templates() {
		line := fmt.Sprintf("%-12s%s", t.Name, t.For)
		if t.To != "" {
			line += ", " + t.To
		}
		lines = append(lines, line)
	}
	return lines
}

// A reporting is one run of report.
type reporting struct {
	env
	c        *cli.Context
	template report.Template
	to       string
	split    int64
	owners   []collect.Recipient // of the list of tokens; nil if none are known
	look     analyze.FindingsOptions
	cs       *casefile.Case // nil with --dry-run where there is none
	src      *source
	installs []*openclaw.Installation
	unfound  []openclaw.Gap // what stood in the way of finding more
	renderer *analyze.Renderer
	story    report.Story
	told     map[openclaw.Gap]bool // the story's gaps
}

func runReport(c *cli.Context, e env) error {
	x := &reporting{env: e, c: c, told: map[openclaw.Gap]bool{}}
	x.story.Version, x.story.Tool, x.story.Written = report.Version, "openclaw-ir "+version(), time.Now().UTC()
	if err := x.readFlags(); err != nil {
		return err
	}
	var err error
	if x.src, err = openEvidence(c, e, c.Args().First()); err != nil {
		return err
	}
	defer x.src.close()
	if err := lookedAt(c, x.src, &x.look); err != nil {
		return err
	}
	if err := x.openCase(); err != nil {
		return err
	}
	if x.cs != nil {
		defer x.cs.Close()
	}
	if err := x.ask(c.Context); err != nil {
		return err
	}
	if err := x.tell(c.Context); err != nil {
		return err
	}
	return x.hand()
}

// readFlags reads what the flags say, before any work.
func (x *reporting) readFlags() (err error) {
	c := x.c
	if c.NArg() > 1 {
		return usageError("openclaw-ir report [SOURCE]", "too many arguments: %q", c.Args().Tail())
	}
	var known bool
	if x.template, known = report.FindTemplate(c.String("template")); !known {
		return usageError("templates are "+strings.Join(report.TemplateNames(), ", "), "no such template: %q", c.String("template"))
	}
	if x.to, err = x.address(); err != nil {
		return err
	}
	if x.split, err = parseSize(c.String("split")); err != nil {
		return err
	}
	if x.split > 0 && c.Bool("attach") {
		return usageError("openclaw-ir report --split 20M", "a bundle is either attached or cut into parts")
	}
	if x.owners, err = x.tokenOwners(); err != nil {
		return err
	}
	x.look, err = lookedFor(c, x.env)
	return err
}

// openCase takes the case there is. Where there is none, one is made if there is evidence to tell of.
func (x *reporting) openCase() error {
	x.installs, x.unfound = openclaw.Find(x.src.fsys, x.src.find)
	cs, err := existingCase(x.c, x.env)
	switch {
	case err == nil:
		x.cs = cs
		return nil
	case !errors.Is(err, casefile.ErrNoCase):
		return err
	case len(x.installs) == 0:
		for _, g := range x.unfound {
			x.console.Warningf("%s: %s", g.Path, g.What)
		}
		return &codeError{exitFailed, errors.New("nothing to report: no case is open, and no installation of OpenClaw was found"), append(x.closedCase(),
			"name the evidence: openclaw-ir report BUNDLE -i KEY, --root DIR or --state-dir DIR; or search every account with sudo",
		)}
	case x.c.Bool("dry-run"):
		return nil
	}
	x.cs, err = openCase(x.c, x.env)
	return err
}

// closedCase says how to report on the case that was closed last, if there is one: it is taken by name only.
func (x *reporting) closedCase() (hints []string) {
	list, _ := casefile.List(casesDir(x.c, x.env)) // newest first
	if i := slices.IndexFunc(list, func(info casefile.Info) bool { return info.State == casefile.StateClosed }); i >= 0 && x.c.String("case") == "" {
		hints = append(hints, fmt.Sprintf("openclaw-ir report --case %s tells of the closed case", list[i].Name))
	}
	return hints
}

// ask asks a person what the flags did not say, once in a case.
func (x *reporting) ask(ctx context.Context) error {
	before := x.saidBefore()
	for _, q := range []struct {
		flag, question string
		before         string
		answer         *string
	}{
		{"noticed", "what did you notice? (one line in your words; empty to leave it out)", before.Noticed, &x.story.Incident.Noticed},
		{"at", "when did you notice it? (as you know it; empty to leave it out)", before.At, &x.story.Incident.At},
	} {
		*q.answer = q.before
		switch {
		case x.c.IsSet(q.flag):
			*q.answer = x.c.String(q.flag)
		case q.before != "":
			x.console.Printf("from the report before: --%s %q", q.flag, q.before)
		case !x.c.Bool("yes") && !x.c.Bool("json"):
			answer, err := x.console.Question(ctx, q.question)
			if err != nil && !errors.Is(err, console.ErrNoTerminal) {
				return err
			}
			*q.answer = strings.TrimSpace(answer)
		}
	}
	return nil
}

// maxReportJSON bounds an earlier report that is read, in bytes.
const maxReportJSON = 64 << 20

// saidBefore is what the person said for an earlier report of the case.
func (x *reporting) saidBefore() (said report.Incident) {
	if x.cs == nil {
		return said
	}
	var earlier struct{ Incident struct{ Noticed, At string } }
	text, err := x.cs.ReadFile(path.Join(casefile.ReportDir, x.cs.Name()+".json"), maxReportJSON)
	if err == nil && json.Unmarshal(text, &earlier) == nil {
		said.Noticed, said.At = earlier.Incident.Noticed, earlier.Incident.At
	}
	return said
}

// missing notes a part of the story that could not be told, with why.
func (x *reporting) missing(part string, err error) {
	x.story.Coverage.Missing = append(x.story.Coverage.Missing, part+": "+err.Error())
}

// redact takes every known secret out of the story.
func (x *reporting) redact() {
	x.story.Redact(x.renderer.Secrets.Redact)
	if n := x.story.Withhold(x.renderer.Secrets); n > 0 {
		x.missing(plural(n, "text"), errors.New("left out, for a secret is written there in a way that no token can stand for"))
	}
}

// hand prints the letter, leaves the files in the case and says where they are.
func (x *reporting) hand() error {
	x.redact()
	files, err := x.render()
	if err != nil {
		return err
	}
	if x.cs != nil && !x.c.Bool("dry-run") {
		if err := x.write(files); err != nil {
			if !x.c.Bool("json") { // a full disk does not keep the letter back
				err = errors.Join(err, x.print(files))
			}
			return err
		}
	}
	if err := x.print(files); err != nil {
		return err
	}
	x.sayFiles(files)
	if x.c.Bool("open") {
		x.openDraft(files)
	}
	return x.end()
}

// end gives the exit code: what is missing was named.
func (x *reporting) end() error {
	s := &x.story
	for _, m := range s.Coverage.Missing {
		x.console.Warningf("missing in the report: %s", m)
	}
	sayLost(x.env, s.Coverage.Cut, s.Coverage.Lost)
	err := sayCoverage(x.env, x.renderer, &s.Coverage.Coverage)
	if n := len(s.Case.Problems); n > 0 {
		why := fmt.Errorf("the custody log of case %q does not hold: %s", s.Case.Name, s.Case.Problems[0])
		return &codeError{exitFound, why, []string{"the report says so; keep a copy of the case as it is"}}
	}
	if i := slices.IndexFunc(s.Bundles, func(b report.Bundle) bool { return b.Problem != "" }); i >= 0 {
		why := fmt.Errorf("bundle %q: %s", s.Bundles[i].Name, s.Bundles[i].Problem)
		return &codeError{exitFound, why, []string{"the report says so; collect again if the host still has the evidence"}}
	}
	if len(s.Coverage.Missing) > 0 || s.Coverage.Cut > 0 || s.Coverage.Lost > 0 {
		return errPartial
	}
	return err
}
