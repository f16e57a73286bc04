package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/urfave/cli/v2"
)

func runbookCommand(e env) *cli.Command {
	return &cli.Command{
		Name:  "run",
		Usage: "be led through the runbook: contain, collect, rotate, analyze, report",
		Description: `Freezes the assistant at once, then says before each step what happens next, why, what it changes, how long it takes and
what to say to the others, shows the command, and asks. y runs it, n skips it, q leaves. What was done is in the case:
"openclaw-ir run" again goes on at the next step, also after the connection dropped. It ends with what is left for you.

A step can as well be typed by hand; nothing here does what its command does not.

Examples:
   sudo openclaw-ir run
   sudo openclaw-ir run --dry-run                            # all the steps, and what is done already; runs nothing
   sudo openclaw-ir run -R recipients.txt --from analyze
   sudo openclaw-ir run --yes -R recipients.txt --out /root/new-tokens   # asks nothing

` + exitText,
		Flags: append(append(caseFlags(), recipientFlags()...),
			&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "run every step without asking"},
			&cli.BoolFlag{Name: "dry-run", Usage: "tell the steps, and freeze and run nothing"},
			&cli.StringFlag{Name: "from", Usage: "begin at `STEP`, also if it was done: contain, collect, rotate, analyze or report"},
			&cli.StringSliceFlag{Name: "allow-from", Usage: "contain: let SSH from this `ADDRESS` in too"},
			&cli.StringSliceFlag{Name: "state-dir", Usage: "look at this OpenClaw state `DIR` too"},
			&cli.StringFlag{Name: "out", Usage: "rotate: write the new values to the new `FILE` (0600) instead of showing them"},
			&cli.StringFlag{Name: "noticed", Usage: "report: `TEXT`, what you noticed, in your words"},
			&cli.StringFlag{Name: "at", Usage: "report: `WHEN` you noticed it, in your words"},
			&cli.BoolFlag{Name: "json", Usage: "one JSON object a line, a version first; what the steps print stands between"},
		),
		OnUsageError: onUsageError,
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return usageError("openclaw-ir run --from STEP", "run takes no arguments: %q", c.Args().First())
			}
			return runRunbook(c, e)
		},
	}
}

// A runbook is one run of the guided runbook.
type runbook struct {
	*guide
	stages []*stage
	dir    string         // that holds the cases
	cs     *casefile.Case // nil while there is none
	did    map[string]casefile.Entry
	codes  map[string]int // how the steps of this run ended
}

func runRunbook(c *cli.Context, e env) error {
	x, err := newRunbook(c, e)
	if err != nil {
		return err
	}
	return x.run()
}

func newRunbook(c *cli.Context, e env) (x *runbook, err error) {
	e.asked = &asked{}
	x = &runbook{stages: runbookStages(), dir: casesDir(c, e), codes: map[string]int{}}
	x.guide, err = newGuide(c, e, "run", len(x.stages))
	for _, s := range x.stages {
		s.commands = func() []act { return []act{{argv: x.commandOf(s.Name)}} }
	}
	x.stages[0].result = x.refusal
	return x, err
}

func (x *runbook) run() error {
	first, err := x.first()
	if err != nil {
		return err
	}
	if err := ready(x.c, x.env); err != nil {
		return err
	}
	x.openNewest()
	defer x.close()
	if x.c.Bool("dry-run") {
		return x.tellAll()
	}
	return x.end(x.lead(first))
}

// first is the number of the step that --from names; -1 without it.
func (x *runbook) first() (int, error) {
	name := x.c.String("from")
	i := slices.IndexFunc(x.stages, func(s *stage) bool { return s.Name == name })
	if name != "" && i < 0 {
		return 0, usageError("openclaw-ir run --from collect", "no such step: %q; they are contain, collect, rotate, analyze and report", name)
	}
	return i, nil
}

// ready refuses what would get stuck half way: a question that nobody can answer.
func ready(c *cli.Context, e env) error {
	if c.Bool("dry-run") || e.console.Tell(c.Context) == nil {
		return nil
	}
	if !c.Bool("yes") {
		return usageError("openclaw-ir run --yes -R recipients.txt --out FILE, which asks nothing", "there is no terminal to ask on")
	}
	if c.String("out") == "" {
		return usageError("openclaw-ir run --yes --out FILE", "there is no terminal to show the new values on")
	}
	list, err := givenRecipients(c)
	if err == nil && len(list) == 0 && !c.Bool("passphrase") {
		list, err = recipientsFromDefaults(e)
	}
	if err == nil && len(list) == 0 {
		err = usageError("openclaw-ir run --yes -R recipients.txt", "no recipient given, and there is no terminal to ask for a passphrase")
	}
	return err
}

// openNewest takes up the case that is there. Why it cannot, the first command that needs it says better.
func (x *runbook) openNewest() {
	x.close()
	x.cs, _ = existingCase(x.c, x.env)
	if x.cs == nil && x.uid == 0 && !x.c.IsSet("case-dir") { // contain opens it there when the disk is full
		if x.cs, _ = casefile.Open(memoryCases, x.c.String("case"), false); x.cs != nil {
			x.dir = memoryCases
			x.take(x.dir, x.cs)
		}
	}
}

func (x *runbook) close() {
	if x.cs != nil {
		x.cs.Close()
	}
}

// tellAll says all that would be run, and what of it is done.
func (x *runbook) tellAll() error {
	x.sayDone(x.history())
	for i, s := range x.stages {
		x.introduce(i+1, s)
	}
	x.say("nothing was run")
	return nil
}

// lead goes through the steps that are left, from the one that was asked for if there is one.
func (x *runbook) lead(first int) error {
	// Freezing comes before all else: whether it is to be done is asked of the containment's record alone, which takes a millisecond.
	if first == 0 || first < 0 && !x.isContained() {
		if err := x.step(0); err != nil {
			return err
		}
	}
	if err := x.takeCase(); err != nil {
		return err
	}
	did := x.history()
	x.sayDone(did)
	for i := 1; i < len(x.stages); i++ {
		_, done := did[x.stages[i].Name]
		if i < first || first < 0 && done {
			continue
		}
		if err := x.step(i); err != nil {
			return err
		}
	}
	return nil
}

func (x *runbook) isContained() bool {
	if x.cs == nil {
		return false
	}
	held, err := contained(x.cs)
	return err == nil && held
}

// takeCase opens the case that the steps share, and makes one if there is still none.
func (x *runbook) takeCase() (err error) {
	if x.openNewest(); x.cs == nil {
		x.cs, err = openCase(x.c, x.env)
	}
	return err
}

// step leads through one step, and asks whether to go on if it did not go well.
func (x *runbook) step(i int) error {
	s := x.stages[i]
	if s.Name == "rotate" {
		s.preview = slices.DeleteFunc(append(x.commandOf("rotate"), "--dry-run"), func(w string) bool { return w == "--yes" })
	}
	x.introduce(i+1, s)
	yes, err := x.agree(s)
	if err != nil {
		return err
	}
	if !yes {
		return x.skip(s)
	}
	code := x.do(s)
	x.codes[s.Name] = code
	return x.after(i, code)
}

// refusal is how contain ended if its question was answered with no: its exit code does not tell.
func (x *runbook) refusal() string {
	if x.openNewest(); x.isContained() {
		return ""
	}
	return "not contained"
}

// after says what is to be said when a step has ended, and asks whether to go on.
func (x *runbook) after(i, code int) error {
	s := x.stages[i]
	if code == exitInterrupted {
		return context.Canceled
	}
	if s.Name == "contain" && succeeded(code) && !x.isContained() { // the answer was no
		delete(x.codes, s.Name)
		x.say("the assistant goes on as before; %s asks again, and openclaw-ir contain stops it", x.again())
		return x.goOn(i)
	}
	if code == exitDone || code == exitFound {
		return nil
	}
	x.say("%s: %s; what to do about it stands above", s.Name, resultOf(code))
	if s.Name == "rotate" && code == exitPartial { // again would replace what is replaced
		x.say("the list is kept: %s", typedLine(append([]string{"rotate", "list"}, x.caseArgs()...)))
		return x.goOn(i)
	}
	x.say("again: %s; by hand: %s", x.again("--from", s.Name), typedLine(x.commandOf(s.Name)))
	return x.goOn(i)
}

// goOn asks whether to go on with the next step, if there is one.
func (x *runbook) goOn(i int) error {
	if i+1 == len(x.stages) || x.c.Bool("yes") {
		return nil
	}
	yes, err := x.console.Confirm(x.c.Context, fmt.Sprintf("go on to the next step, %s?", x.stages[i+1].Name))
	if err == nil && !yes {
		err = errLeft
	}
	return err
}

// skip notes that a person did not want a step, so that the next run does not ask again.
func (x *runbook) skip(s *stage) error {
	code := exitPartial
	x.codes[s.Name] = code
	x.sayResult(s, "skipped", &code)
	x.say("%s does it after all", x.again("--from", s.Name))
	return x.cs.Append(casefile.Entry{Action: skipAction, Object: s.Name, Result: "as asked"})
}

// history is what the case says was done before. That it cannot be read is told; then everything is asked again.
func (x *runbook) history() map[string]casefile.Entry {
	if x.cs == nil {
		return nil
	}
	did, err := history(x.cs)
	if err != nil {
		x.console.Warningf("what was done before is not known: %v", err)
	}
	x.did = did
	return did
}

// sayDone says what was done before this run, when, and by whom.
func (x *runbook) sayDone(did map[string]casefile.Entry) {
	for _, s := range x.stages {
		e, ok := did[s.Name]
		if _, now := x.codes[s.Name]; !ok || now {
			continue
		}
		result := "done"
		if e.Action == skipAction {
			result = "skipped"
		} else if e.Exit != nil {
			result = resultOf(*e.Exit)
		}
		text := fmt.Sprintf("%-8s %s, %s by %s", s.Name, result, e.Time.UTC().Format(time.RFC3339), console.Escape(e.Operator.String()))
		x.write(guided{Record: "before", Name: s.Name, Result: result, Exit: e.Exit, Time: e.Time, By: e.Operator.String(), text: []string{text}})
	}
}

// left says where a person left the runbook, or where it was interrupted.
func (x *runbook) left(err error) error {
	if errors.Is(err, errLeft) {
		return &codeError{exitPartial, errors.New("left before the end; nothing is lost"), []string{x.again() + " goes on where you left"}}
	}
	x.say("%s goes on where it was", x.again())
	return err
}
