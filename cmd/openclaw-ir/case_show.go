package main

import (
	"bufio"
	"fmt"

	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/urfave/cli/v2"
)

func caseShowCommand(e env) *cli.Command {
	return &cli.Command{
		Name: "show", Usage: "tell what was done in a case, by whom and with what result, and what is in it", ArgsUsage: "[NAME]",
		Description: `Every command with its steps below it: the number of its line in the custody log, the time (UTC), what was done, the result, to
what, and the SHA-256 of what came of it. Then the files of the case, each compared with the log, and what waits for a person.
Exit code 4 if something does not hold; "case verify" says more of that.

Examples:
   openclaw-ir case show
   openclaw-ir case show bakery-laptop --json

` + exitText,
		Flags:        oneCaseFlags(),
		OnUsageError: onUsageError,
		Action:       func(c *cli.Context) error { return showCase(c, e) },
	}
}

func showCase(c *cli.Context, e env) error {
	cs, err := namedCase(c, e)
	if err != nil {
		return err
	}
	defer cs.Close()
	l, err := lookAt(c.Context, e, cs)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		err = showJSON(c, e, cs, l)
	} else {
		err = showText(c, e, cs, l)
	}
	if err != nil {
		return err
	}
	return l.verdict(cs)
}

// A shownLine is a line of the log, as --json shows it.
type shownLine struct {
	Line    int             `json:"line"`
	SHA256  string          `json:"sha256"`
	Damaged bool            `json:"damaged,omitempty"`
	Entry   *casefile.Entry `json:"entry,omitempty"`
}

func showJSON(c *cli.Context, e env, cs *casefile.Case, l *caseLook) error {
	lines, err := console.NewJSONLines(e.console.Out(), map[string]any{"command": "case show", "case": cs.Info()})
	if err != nil {
		return err
	}
	for line, err := range cs.Lines() {
		if err != nil {
			break // the problems below say so
		}
		if err := lines.Write(shownLine{line.Number, line.SHA256, line.Entry == nil, line.Entry}); err != nil {
			return err
		}
	}
	for _, f := range l.files {
		if err := lines.Write(map[string]any{"file": f}); err != nil {
			return err
		}
	}
	open := stillOpen(c, cs)
	if open == nil {
		open = []openThing{}
	}
	return lines.Write(map[string]any{"log": l.log, "open": open})
}

// showText tells the story, then what is in the case and what waits for a person.
func showText(c *cli.Context, e env, cs *casefile.Case, l *caseLook) error {
	out := bufio.NewWriterSize(e.console.Out(), 64<<10)
	s := story{console: e.console, out: out, width: e.console.Facts().Width, dir: cs.Path(), host: cs.Info().Host}
	for line, err := range cs.Lines() {
		if err != nil {
			break // the problems below say so
		}
		s.add(line)
	}
	s.finish()
	if err := out.Flush(); err != nil {
		return err
	}
	var rows [][]string
	for _, f := range l.files {
		rows = append(rows, fileCells(f))
	}
	if err := e.console.Table([]string{"OK", "SIZE", "FILE"}, rows); err != nil {
		return err
	}
	fmt.Fprintln(e.console.Out())
	if err := l.print(e, cs); err != nil {
		return err
	}
	for _, o := range stillOpen(c, cs) {
		labelled(e.console.Out(), e.console.Facts().Width, "open", o.What)
		if o.Type != "" { // whole, so that it can be copied
			fmt.Fprintf(e.console.Out(), "          %s\n", console.EscapeCommand(o.Type))
		}
	}
	return nil
}

// fileCells are a file in the table: "ok" says that it is as the log has it.
func fileCells(f caseFile) []string {
	mark, name := "ok", f.Path
	switch {
	case f.Problem != "":
		mark, name = "NO", f.Path+": "+f.Problem
	case f.Note != "":
		mark, name = "-", f.Path+": "+f.Note
	}
	return []string{mark, console.Size(f.Size), name}
}
