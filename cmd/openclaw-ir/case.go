package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/urfave/cli/v2"
)

func caseCommand(e env) *cli.Command {
	return &cli.Command{
		Name:  "case",
		Usage: "list, open, show, close and verify cases: what was done, by whom, and that nobody changed the record of it",
		Description: `A case is a directory for one incident. It holds the bundles, the reports, what contain and rotate need to know, and
custody.jsonl: a line for everything that was done, each with the digest of the line before. The first command that needs a
case opens one, and every command works on the newest open one unless --case names another.

Every command leaves a line when it ends: who ran it, on which evidence, how it ended, and the SHA-256 of what it printed. What
was searched for is not noted. A command that only reads makes no case for that, and "rules" and "case list" leave no line.

Without a subcommand the cases are listed.

Examples:
   openclaw-ir case
   openclaw-ir case open bakery-laptop
   openclaw-ir case show
   openclaw-ir case verify
   openclaw-ir case close

` + exitText,
		Flags:        caseListFlags(),
		Subcommands:  []*cli.Command{caseListCommand(e), caseOpenCommand(e), caseShowCommand(e), caseCloseCommand(e), caseVerifyCommand(e)},
		OnUsageError: onUsageError,
		Action: func(c *cli.Context) error {
			if name := c.Args().First(); name != "" {
				return usageError("openclaw-ir case --help", "no such command: %q%s", name, suggestion(c.Command.Subcommands, name))
			}
			return listCases(c, e)
		},
	}
}

func caseListFlags() []cli.Flag {
	return append(caseFlags()[1:], &cli.BoolFlag{Name: "json", Usage: "one JSON object a line, a version first"})
}

func caseOpenCommand(e env) *cli.Command {
	return &cli.Command{
		Name: "open", Usage: "open a case, or take up a closed one again", ArgsUsage: "[NAME]",
		Description: `Without NAME a new case is made, named by the time and this host. With it, a case of that name is made, or taken up again if it
was closed. The name is printed.

Examples:
   openclaw-ir case open
   openclaw-ir case open bakery-laptop

` + exitText,
		Flags:        oneCaseFlags(),
		OnUsageError: onUsageError,
		Action:       func(c *cli.Context) error { return openOne(c, e) },
	}
}

func caseCloseCommand(e env) *cli.Command {
	return &cli.Command{
		Name: "close", Usage: "close a case: no command takes it by itself any more", ArgsUsage: "[NAME]",
		Description: `Without NAME the newest open case is closed. Nothing of it is removed, and "case open NAME" takes it up again. What is still
open is told: secrets that are to be replaced, a host that is still contained, evidence that was never sealed.

Example:
   openclaw-ir case close

` + exitText,
		Flags:        oneCaseFlags(),
		OnUsageError: onUsageError,
		Action:       func(c *cli.Context) error { return closeOne(c, e) },
	}
}

func oneCaseFlags() []cli.Flag {
	flags := append(caseFlags(), &cli.BoolFlag{Name: "json", Usage: "one JSON object a line, a version first"})
	flags[0].(*cli.StringFlag).Usage = "the `NAME` of the case, instead of the argument"
	return flags
}

// caseName is the case that the argument or --case names; empty if neither does.
func caseName(c *cli.Context) (string, error) {
	name, flag := c.Args().First(), c.String("case")
	if c.NArg() > 1 || name != "" && flag != "" && name != flag {
		return "", usageError("openclaw-ir "+commandPath(c)+" --help", "name one case")
	}
	if name == "" {
		name = flag
	}
	return name, nil
}

// namedCase opens the case that a command about one is for.
func namedCase(c *cli.Context, e env) (*casefile.Case, error) {
	name, err := caseName(c)
	if err != nil {
		return nil, err
	}
	dir := casesDir(c, e)
	e.record.belongs(dir, name) // also if it cannot be opened: then no other case is told
	cs, err := casefile.Open(dir, name, false)
	if err != nil {
		return nil, caseError(err)
	}
	e.take(dir, cs)
	return cs, nil
}

// openOne makes a case, or takes up a closed one again.
func openOne(c *cli.Context, e env) error {
	name, err := caseName(c)
	if err != nil {
		return err
	}
	dir := casesDir(c, e)
	var cs *casefile.Case
	if name == "" {
		cs, err = casefile.New(dir)
	} else {
		cs, err = casefile.Open(dir, name, true)
	}
	if err != nil {
		return caseError(err)
	}
	defer cs.Close()
	e.take(dir, cs)
	did := "is open already"
	switch {
	case cs.Made():
		did = "opened"
	case cs.Info().State == casefile.StateClosed:
		did = "open again"
		if err := cs.SetState(casefile.StateOpen); err != nil {
			return err
		}
	}
	if err := sayCase(c, e, cs, did); err != nil {
		return err
	}
	return sayDefault(e, dir, cs)
}

// sayDefault tells if commands take another case unless this one is named.
func sayDefault(e env, dir string, cs *casefile.Case) error {
	newest, err := casefile.Open(dir, "", false)
	if errors.Is(err, casefile.ErrNoCase) {
		return nil // this is the case of the snapshots, which is used only where it is named
	}
	if err != nil {
		return err
	}
	defer newest.Close()
	if newest.Name() != cs.Name() {
		e.console.Hintf("case %q is open and newer, and commands take it: --case %s names this one", newest.Name(), cs.Name())
	}
	return nil
}

func closeOne(c *cli.Context, e env) error {
	cs, err := namedCase(c, e)
	if err != nil {
		return err
	}
	defer cs.Close()
	did := "closed"
	if cs.Info().State == casefile.StateClosed {
		did = "is closed already"
	}
	for _, o := range stillOpen(c, cs) {
		e.console.Warningf("%s", o.What)
		if o.Type != "" {
			e.console.Hintf("%s", o.Type)
		}
	}
	if err := cs.SetState(casefile.StateClosed); err != nil {
		return err
	}
	return sayCase(c, e, cs, did)
}

// sayCase prints the name of a case, and tells what became of it.
func sayCase(c *cli.Context, e env, cs *casefile.Case, did string) error {
	if c.Bool("json") {
		return printJSON(e, commandPath(c), map[string]any{"case": cs.Info(), "path": cs.Path(), "did": did})
	}
	e.console.Printf("case %q in %q: %s", cs.Name(), strings.TrimSuffix(cs.Path(), "/"+cs.Name()), did)
	_, err := fmt.Fprintln(e.console.Out(), console.Escape(cs.Name()))
	return err
}
