package main

import (
	"fmt"
	"time"

	"github.com/clawbook/openclaw-ir/analyze"
	"github.com/clawbook/openclaw-ir/analyze/changes"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/secret"
	"github.com/urfave/cli/v2"
)

// What a comparison may be told to fail on.
const (
	failRewritten = "rewritten"
	failChanged   = "changed"
)

func diffCommand(e env) *cli.Command {
	return &cli.Command{
		Name: "diff", Usage: "tell what changed between two pieces of evidence, and whether the past was rewritten", ArgsUsage: "OLD [NEW]",
		Description: `OLD and NEW are sealed bundles, directories, or snapshots: DIR@NUMBER is one of the chain in DIR, DIR alone the union of it. Without
NEW, OLD is compared with this host. Settings are compared key by key, secrets by their fingerprints; skills, hooks and plugins
file by file; automations, senders, devices and approvals by their ids; what the agent reads and remembers line by line.

What was recorded then must be there still, byte for byte. Exit code 4 if it is not; --fail-on changed also if anything else is
other than it was, but for new conversations and records.

Examples:
   openclaw-ir collect diff before.tar.zst.age after.tar.zst.age -i key.txt
   openclaw-ir collect diff snapshots/bundles@167 snapshots/bundles@168 -i key.txt
   sudo openclaw-ir collect diff before.tar.zst.age -i key.txt --fail-on changed

` + exitText,
		Flags: append(append(readFlags(), reachFlags()...),
			&cli.StringSliceFlag{Name: "identity", Aliases: []string{"i"}, Usage: "open sealed evidence with the private key in `FILE`"},
			&cli.StringSliceFlag{Name: "state-dir", Usage: "take this OpenClaw state `DIR` too (as the host names it)"},
			&cli.StringFlag{Name: "fail-on", Value: failRewritten, Usage: "exit with 4 on `WHAT`: rewritten or changed"},
			&cli.BoolFlag{Name: "json", Usage: "one JSON object a line: a version first, the changes, the counts last"}),
		OnUsageError: onUsageError,
		Action:       func(c *cli.Context) error { return runDiff(c, e) },
	}
}

func runDiff(c *cli.Context, e env) error {
	if n := c.NArg(); n < 1 || n > 2 {
		return usageError("openclaw-ir collect diff OLD NEW -i key.txt", "name the earlier evidence and the later")
	}
	if f := c.String("fail-on"); f != failRewritten && f != failChanged {
		return usageError("--fail-on rewritten, or --fail-on changed", "--fail-on: %q", f)
	}
	older, err := openSide(c, e, c.Args().Get(0))
	if err != nil {
		return err
	}
	defer older.close()
	newer, err := openSide(c, e, c.Args().Get(1))
	if err != nil {
		return err
	}
	defer newer.close()
	report, err := compareSides(c, e, older, newer)
	if err != nil {
		return err
	}
	p := diffPrinter{env: e, report: report}
	if c.Bool("json") {
		err = p.json(older, newer)
	} else {
		err = p.text(older, newer)
	}
	if err != nil {
		return err
	}
	return diffResult(c, e, report)
}

// openSide opens one of the two; without a name it is this host. It asks for no --root, for that of collect is another matter.
func openSide(c *cli.Context, e env, name string) (*source, error) {
	stateDirs, err := absoluteAll(c.StringSlice("state-dir"))
	if err != nil {
		return nil, err
	}
	var src *source
	if name == "" {
		e.record.reads("/")
		name = "this host"
		src, err = openDirectory(e, "/", openclaw.FindOptions{UID: e.uid, StateDirs: stateDirs})
	} else {
		src, err = openNamed(c, e, name, openclaw.FindOptions{UID: -1, StateDirs: stateDirs})
	}
	if err == nil {
		src.name = name
	}
	return src, err
}

func compareSides(c *cli.Context, e env, older, newer *source) (*changes.Report, error) {
	was, is := sideOf(older), sideOf(newer)
	stateDirs := append(stateDirsOf(was.Installs), stateDirsOf(is.Installs)...)
	var gaps []openclaw.Gap
	for _, s := range []*changes.Side{&was, &is} { // where one side has an installation, the other is looked at too
		s.Find.StateDirs = append(s.Find.StateDirs, stateDirs...)
		var more []openclaw.Gap
		s.Installs, more = openclaw.Find(s.FS, s.Find)
		gaps = append(gaps, more...)
	}
	if len(was.Installs)+len(is.Installs) == 0 {
		return nil, nothingFound(&analyze.Coverage{Gaps: gaps}, e)
	}
	if older.sealed && newer.sealed && older.now.After(newer.now) {
		e.console.Warningf("the first evidence was collected after the second (%s, %s): is the order right?", stamp(older.now), stamp(newer.now))
	}
	salt, err := fingerprintSalt(c, e)
	if err != nil {
		return nil, err
	}
	progress := e.console.Progress(console.Bytes)
	progress.Start("comparing", 0)
	defer progress.Done()
	report, err := changes.Between(c.Context, was, is, changes.Options{Set: secret.NewSet(secret.NewFingerprinter(salt)), Read: progress.Add})
	if err == nil {
		report.Gaps = append(gaps, report.Gaps...)
	}
	return report, err
}

func sideOf(src *source) changes.Side {
	installs, _ := openclaw.Find(src.fsys, src.find)
	return changes.Side{FS: src.fsys, Installs: installs, Find: src.find, Taken: src.now}
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// label is how a piece of evidence is called: by its name, and by when it was sealed if that is known.
func (s *source) label() string {
	if !s.sealed {
		return s.name
	}
	return s.name + " (" + stamp(s.now) + ")"
}

// diffResult ends the command: a rewritten past is code 4, incomplete evidence code 3.
func diffResult(c *cli.Context, e env, r *changes.Report) error {
	for i, g := range r.Gaps {
		if i == maxGapsShown {
			e.console.Warningf("and %d more; --json lists them all", len(r.Gaps)-i)
			break
		}
		e.console.Warningf("%s: %s", g.Path, g.What)
	}
	switch {
	case r.Rewritten():
		return &codeError{exitFound, fmt.Errorf("the past was rewritten: %s", plural(r.Count(changes.Past), "sign")), []string{
			"what was there before is in the earlier evidence: keep it where the host cannot reach it",
		}}
	case c.String("fail-on") == failChanged && r.Noted():
		return &codeError{exitFound, fmt.Errorf("%s", plural(r.Count(changes.Kinds...), "change")), nil}
	case len(r.Gaps) > 0:
		return errPartial
	}
	return nil
}
