package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"filippo.io/age"
	"github.com/clawbook/openclaw-ir/collect"
	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/drill"
	"github.com/urfave/cli/v2"
)

func drillCommand(e env) *cli.Command {
	return &cli.Command{
		Name:  "drill",
		Usage: "rehearse the runbook on a host that was really attacked and lies in this program; touches nothing here",
		Description: `Lays out the files of a host whose OpenClaw was attacked, in a new directory of its own, and leads you through all steps there:
contain, collect, rotate, analyze, report. Sealing, analysis and report are real. What needs a running host is simulated,
and marked so on every line and in the case. Nothing outside that directory is stopped or changed, and this machine's own OpenClaw, if there is one, is not looked at.

It needs no root, no OpenClaw and no configuration, and ends with a report to look at.

Examples:
   openclaw-ir drill
   openclaw-ir drill --yes                                   # asks nothing; takes a few seconds
   openclaw-ir drill --state 2026.2.12 --dir ~/drill --open

` + exitText,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "state", Usage: "the `VERSION` of OpenClaw that the attacked host ran: " + drillVersions()},
			&cli.StringFlag{Name: "dir", Usage: "make the new directory `DIR` for it (default: one in the directory for temporary files)"},
			&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "go through all steps without asking"},
			&cli.BoolFlag{Name: "open", Usage: "open the page of the report at the end"},
			&cli.BoolFlag{Name: "json", Usage: "one JSON object a line, a version first; what the steps print stands between"},
		},
		OnUsageError: onUsageError,
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return usageError("openclaw-ir drill --state 2026.2.12", "drill takes no arguments: %q", c.Args().First())
			}
			return runDrill(c, e)
		},
	}
}

func drillVersions() (text string) {
	for i, s := range drill.States() {
		if i > 0 {
			text += " or "
		}
		text += s.Version
	}
	return text
}

// A drilling is one drill.
type drilling struct {
	*guide
	state drill.State
	dir   string // in which all of it lies
	cs    *casefile.Case
	codes map[string]int
	no    bool // contain was answered with no
}

func runDrill(c *cli.Context, e env) error {
	state, err := drill.Find(c.String("state"))
	if err != nil {
		return usageError("openclaw-ir drill --state "+drill.States()[0].Version, "%v", err)
	}
	if !c.Bool("yes") && e.console.Tell(c.Context) != nil {
		return usageError("openclaw-ir drill --yes", "there is no terminal to ask on")
	}
	x := &drilling{state: state, codes: map[string]int{}}
	if x.dir, err = drillDir(c.String("dir")); err != nil {
		return err
	}
	e.drill = x.dir // from here on no host but the one in there can be opened
	stages := x.stages()
	if x.guide, err = newGuide(c, e, "drill", len(stages)); err != nil {
		return err
	}
	if err := x.prepare(); err != nil {
		return err
	}
	defer x.cs.Close()
	return x.end(x.lead(stages))
}

// drillDir makes the directory of a drill and returns its real path.
func drillDir(name string) (dir string, err error) {
	if name == "" {
		dir = filepath.Join(os.TempDir(), "openclaw-ir-drill-")
	} else if dir, err = filepath.Abs(name); err != nil {
		return "", fmt.Errorf("making the directory of the drill: %w", err)
	}
	// The commands of the drill work on what lies there as they would on a host: nobody else may lead them out of it.
	if _, err := casefile.CheckDir(dir); errors.Is(err, casefile.ErrUnsafe) && !isDirectory(dir) {
		return "", usageError("openclaw-ir drill --dir DIR, where nobody else can write", "a drill is made only where nobody else can change it: %v", err)
	}
	if name == "" {
		dir, err = os.MkdirTemp("", "openclaw-ir-drill-")
	} else {
		err = os.Mkdir(dir, 0o700)
	}
	if errors.Is(err, os.ErrExist) {
		return "", usageError("name a directory that does not exist yet with --dir", "%q exists, and nothing is overwritten", name)
	}
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return "", fmt.Errorf("making the directory of the drill: %w", err)
	}
	return dir, nil
}

func (x *drilling) path(elem ...string) string {
	return filepath.Join(append([]string{x.dir}, elem...)...)
}

// The files of a drill.
const (
	drillHost       = "host"
	drillCases      = "cases"
	drillCase       = "drill"
	drillKey        = "key.txt"
	drillRecipients = "recipients.txt"
)

// prepare lays out the host, makes the responder's key and opens the case.
func (x *drilling) prepare() error {
	bar := x.console.Progress(console.Items)
	bar.Start("laying out the attacked host", 0)
	err := x.state.LayOut(x.path(drillHost))
	bar.Done()
	if err != nil {
		return err
	}
	key, err := age.GenerateX25519Identity()
	if err != nil {
		return fmt.Errorf("making the key of the drill: %w", err)
	}
	for name, text := range map[string]string{drillKey: "# the private key of this drill\n" + key.String() + "\n", drillRecipients: key.Recipient().String() + "\n"} {
		if err := writeNew(x.path(name), []byte(text)); err != nil {
			return fmt.Errorf("writing the key of the drill: %w", err)
		}
	}
	if x.cs, err = casefile.Open(x.path(drillCases), drillCase, true); err != nil {
		return err
	}
	x.cs.Operator.SudoUser = x.getenv("SUDO_USER")
	x.write(guided{Record: "drill", End: map[string]string{"directory": x.dir, "state": x.state.Version}, text: x.opening()})
	return x.cs.Append(casefile.Entry{Action: "drill", Object: drill.Host, Result: "begun", Note: "a rehearsal on an embedded state of OpenClaw " + x.state.Version + "; this is no incident"})
}

func (x *drilling) opening() []string {
	text := []string{x.console.Paint(console.Strong, "this is a drill; it lies in "+console.Escape(x.dir))}
	for _, paragraph := range []string{
		"The files of another host lie there. Its OpenClaw " + x.state.Version + " was really attacked. Nothing of your own machine is stopped or changed, and its own OpenClaw is not looked at.",
		`Its owner says: "` + x.state.Notice + `"`,
		"Now you go through what you would do there. Lines marked \"simulated\" say what would be done to a running host; all else is real.",
	} {
		text = append(text, console.Wrap(paragraph, x.width())...)
	}
	return text
}

// lead goes through all stages.
func (x *drilling) lead(stages []*stage) error {
	for i, s := range stages {
		x.introduce(i+1, s)
		yes, err := x.agree(s)
		if err != nil {
			return err
		}
		if !yes {
			x.sayResult(s, "skipped", nil)
			continue
		}
		if x.codes[s.Name] = x.do(s); x.codes[s.Name] == exitInterrupted {
			return context.Canceled
		}
	}
	return nil
}

// code is the exit code of the drill: the worst of its steps'. The list of what is to be replaced has open items, as it should.
func (x *drilling) code() (code int) {
	for name, c := range x.codes {
		if name != "rotate" || c != exitPartial {
			code = worse(code, c)
		}
	}
	return code
}

// A drilled is what a drill leaves behind.
type drilled struct {
	Exit      int      `json:"exit"`
	Directory string   `json:"directory"`
	Bundles   []string `json:"bundles"`
	Key       string   `json:"key"`
	Reports   []string `json:"reports"`
}

// end says what there is to look at, and how to remove it.
func (x *drilling) end(err error) error {
	if err != nil && !errors.Is(err, errLeft) {
		x.console.Printf("the drill lies in %q; remove it with: rm -r %s", x.dir, console.ShellWord(x.dir))
		return err
	}
	d := drilled{Exit: x.code(), Directory: x.dir, Key: x.path(drillKey), Bundles: newest(x.cs, casefile.BundlesDir, "*"+collect.BundleSuffix)}
	for _, pattern := range []string{"*.html", "*.eml", "*.md", "*.json"} {
		d.Reports = append(d.Reports, newest(x.cs, casefile.ReportDir, pattern)...)
	}
	x.write(guided{Record: "end", Exit: &d.Exit, End: d, text: x.endText(d)})
	if page := newest(x.cs, casefile.ReportDir, "*.html"); x.c.Bool("open") && len(page) > 0 {
		x.open("the page", page[0])
	}
	if d.Exit != exitDone {
		return &codeError{d.Exit, errors.New("a step of the drill did not end as it should: see above"), nil}
	}
	return nil
}

func (x *drilling) endText(d drilled) []string {
	text := []string{"", x.console.Paint(console.Strong, "the drill is over; nothing of this machine was touched")}
	add := func(label, what string) { text = append(text, x.beside(label, []string{what})...) }
	for _, name := range d.Reports {
		add(map[string]string{".html": "look at", ".eml": "letter", ".md": "notes", ".json": "data"}[filepath.Ext(name)], console.Escape(name))
	}
	for _, name := range d.Bundles {
		text = append(text, x.typed("search", []string{"analyze", name, "-i", d.Key, "--kind", "exec"})...)
	}
	text = append(text, x.typed("case", x.argv("case", "show"))...)
	add("remove", "rm -r "+console.ShellWord(x.dir))
	add("for real", "sudo openclaw-ir run")
	return text
}

// bundle is the sealed bundle of the drill; its placeholder before there is one.
func (x *drilling) bundle() string {
	if x.cs != nil {
		if names := newest(x.cs, casefile.BundlesDir, "*"+collect.BundleSuffix); len(names) > 0 {
			return last(names)
		}
	}
	return "BUNDLE"
}

// stages are the steps of the runbook on the host of the drill.
func (x *drilling) stages() []*stage {
	stages := runbookStages()
	for name, change := range map[string]string{
		"contain": "Here nothing: it is simulated. On a running host it stops the gateway and what starts it again, and closes the firewall except for your own way in.",
		"collect": "Nothing that is there. It writes one file, and its seal, into the case of the drill. Then the file is checked.",
		"rotate":  "Here nothing: the plan and the list are real, what would be replaced is simulated.",
	} {
		stages[slices.IndexFunc(stages, func(s *stage) bool { return s.Name == name })].Changes = change
	}
	for _, s := range stages {
		s.Takes, s.result = "A second or two.", func() string {
			if s.Name == "contain" && x.no {
				return "not contained"
			}
			return ""
		}
		s.commands = func() []act { return x.acts(s.Name) }
	}
	return stages
}

func (x *drilling) acts(name string) []act {
	host, key := x.path(drillHost), x.path(drillKey)
	switch name {
	case "contain":
		return []act{{argv: []string{"contain"}, play: x.playContain}}
	case "collect":
		return []act{{argv: x.argv("collect", "--root", host, "-R", x.path(drillRecipients))}, {argv: x.argv("collect", "verify", x.bundle(), "-i", key)}}
	case "rotate":
		return []act{
			{argv: x.argv("rotate", "--dry-run", "--root", host)},
			{argv: []string{"rotate"}, play: x.playRotate},
			{argv: x.argv("rotate", "list", "--root", host)},
		}
	case "analyze":
		return []act{{argv: x.argv("analyze", "findings", x.bundle(), "-i", key, "--level", "high")}}
	}
	return []act{{argv: x.argv("report", x.bundle(), "-i", key, "-R", x.path(drillRecipients), "--yes", "--to", "nobody@drill.invalid",
		"--noticed", "This is a drill, and no incident. "+x.state.Notice, "--at", x.state.At)}}
}

// argv is a command line on the case of the drill.
func (x *drilling) argv(words ...string) []string {
	words = append(words, "--case-dir", x.path(drillCases), "--case", drillCase)
	if x.c.Bool("json") {
		words = append(words, "--json")
	}
	return words
}
