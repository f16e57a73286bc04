package main

import (
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
		Flags: append(append(sourceFlags(), readFlags()...),
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
	open   []posture.Exposure // known weaknesses of OpenClaw whose conditions were met
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
	p.open = posture.Exposures(x.cves, sightings, p.past)
	p.report.Findings = append(p.report.Findings, posture.CVEFindings(p.open)...)
	p.since = p.past.Since(ctx, func(c *openclaw.Config) []posture.Finding { return posture.CheckConfig(ctx, in, c, o) })
	x.list = append(x.list, p)
	return ctx.Err()
}
