package main

import (
	"errors"
	"strings"

	"github.com/clawbook/openclaw-ir/analyze"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/urfave/cli/v2"
)

func whyCommand(e env) *cli.Command {
	return &cli.Command{
		Name:      "why",
		Usage:     "tell what led to an event: the chain from the input to the action",
		ArgsUsage: "EVENT [SOURCE]",
		Description: `EVENT is what stands behind # in a line of the timeline or of the findings. The input is tied to the action by the strongest of:
a value of the action (an address, a path, a token, some words, also encoded) first appears in it; the action answers it; it came
earlier in the session. Whose input it is stands in brackets: owner, paired, unknown, external, system.

Example:
   openclaw-ir analyze why 80f0b671.34

` + exitText,
		Flags:        append(append(sourceFlags(), readFlags()...), &cli.BoolFlag{Name: "json", Usage: "one JSON object a line: a version first, the coverage last"}),
		OnUsageError: onUsageError,
		Action:       func(c *cli.Context) error { return runWhy(c, e) },
	}
}

func runWhy(c *cli.Context, e env) error {
	if c.NArg() < 1 || c.NArg() > 2 {
		return usageError("openclaw-ir analyze why EVENT [SOURCE]", "one event is needed, and at most one source")
	}
	id := strings.TrimPrefix(c.Args().First(), "#")
	id = id[strings.LastIndexByte(id, '#')+1:]
	src, err := openEvidence(c, e, c.Args().Get(1))
	if err != nil {
		return err
	}
	defer src.close()
	progress := e.console.Progress(console.Bytes)
	progress.Start("reading the evidence", 0)
	list, report, err := analyze.Why(c.Context, src.fsys, src.find, id, progress.Add)
	progress.Done()
	switch {
	case errors.Is(err, analyze.ErrNothing):
		return nothingFound(&report.Coverage, e)
	case errors.Is(err, analyze.ErrNoEvent):
		return &codeError{exitFailed, err, []string{"openclaw-ir analyze --kind all shows every event; its id stands behind #"}}
	case err != nil:
		return err
	}
	renderer, gaps, err := newRenderer(c, e, src, report.Installations)
	if err != nil {
		return err
	}
	report.Coverage.Gaps = append(report.Coverage.Gaps, gaps...)
	report.Coverage.Shown = int64(len(list))
	if err := printWhy(c, e, renderer, report, list); err != nil {
		return err
	}
	return sayCoverage(e, renderer, &report.Coverage)
}

// A whyRow is one line of the output with --json.
type whyRow struct {
	Event    *analyze.Record      `json:"event,omitempty"`
	Cause    *analyze.CauseRecord `json:"cause,omitempty"`
	Coverage *analyze.Coverage    `json:"coverage,omitempty"`
	text     []string
}

func printWhy(c *cli.Context, e env, r *analyze.Renderer, report *analyze.Report, list []analyze.Explained) error {
	out, err := console.NewLines(e.console, c.Bool("json"), map[string]any{"command": "analyze why", "installations": report.Installations},
		func(row whyRow) string { return strings.Join(row.text, "\n") })
	if err != nil {
		return err
	}
	for _, x := range list {
		event, cause := r.Record(x.Event), r.CauseRecord(x.Cause)
		row := whyRow{Event: &event, Cause: &cause, text: append([]string{r.Line(x.Event)}, r.Cause(x.Cause)...)}
		if err := out.Write(row); err != nil {
			return err
		}
	}
	if c.Bool("json") {
		if err := out.Write(whyRow{Coverage: &report.Coverage}); err != nil {
			return err
		}
	}
	return out.Flush()
}
