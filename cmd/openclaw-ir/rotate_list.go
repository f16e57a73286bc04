package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/analyze"
	"github.com/clawbook/openclaw-ir/contain"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/secret"
	"github.com/clawbook/openclaw-ir/rotate"
	"github.com/urfave/cli/v2"
)

func rotateVerifyCommand(e env) *cli.Command {
	return &cli.Command{
		Name:  "verify",
		Usage: "prove again that the old values are refused and the new ones accepted",
		Description: `Asks the gateway that runs, or where it is contained a private one that holds nothing of the installation. Old values are those
that lie in earlier versions of the config; without any, a wrong one is tried.

Example:
   sudo openclaw-ir rotate verify

` + exitText,
		Flags:        rotateFlags(),
		OnUsageError: onUsageError,
		Action: func(c *cli.Context) error {
			return withRotation(c, e, "rotate verify", (*rotation).verify)
		},
	}
}

func rotateListCommand(e env) *cli.Command {
	return &cli.Command{
		Name:  "list",
		Usage: "list every secret the installation held, in the order in which to replace it",
		Description: `Each with what it is, where it lies, whether the transcripts show that the agent read it, ran with it, wrote or sent it, and the
page where it is replaced. Keys that only the transcripts show are on it too. The list is kept in the case; no value is on it.
Exit code 3 while anything is open.

Examples:
   sudo openclaw-ir rotate list
   openclaw-ir rotate list --root /mnt/image                 # what a mounted disk held

` + exitText,
		Flags:        append(rotateFlags(), rootFlag(), &cli.BoolFlag{Name: "all", Usage: "what is done or replaced too"}),
		OnUsageError: onUsageError,
		Action: func(c *cli.Context) error {
			return withRotation(c, e, "rotate list", func(x *rotation) error {
				list, err := x.ledger(c.Context)
				if err != nil {
					return err
				}
				return x.list(list)
			})
		},
	}
}

func rotateDoneCommand(e env) *cli.Command {
	return &cli.Command{
		Name:      "done",
		Usage:     "note that you have replaced an item of the list",
		ArgsUsage: "ITEM",
		Description: `ITEM is an item's name, or a beginning of it that no other has. Who said so and when is kept in the case.

Example:
   openclaw-ir rotate done anthropic-model-key-3f2a

` + exitText,
		Flags:        append(caseFlags(), &cli.BoolFlag{Name: "json", Usage: "one JSON object a line, a version first"}),
		OnUsageError: onUsageError,
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return usageError("openclaw-ir rotate list shows the items", "which item? one name is needed")
			}
			return runDone(c, e)
		},
	}
}

func runDone(c *cli.Context, e env) error {
	cs, err := openCase(c, e)
	if err != nil {
		return err
	}
	defer cs.Close()
	by := cs.Operator.User
	if cs.Operator.SudoUser != "" {
		by = cs.Operator.SudoUser
	}
	var item rotate.Item
	list, err := rotate.UpdateLedger(cs, func(l *rotate.Ledger) (err error) {
		item, err = l.Done(c.Args().First(), by, time.Now())
		return err
	})
	if err != nil {
		return &codeError{exitFailed, err, []string{"openclaw-ir rotate list --all shows the items"}}
	}
	x := &rotation{env: e, c: c, cs: cs}
	if x.lines, err = console.NewLines(e.console, c.Bool("json"), map[string]any{"command": "rotate done"}, e.rotateLine); err != nil {
		return err
	}
	x.say("done", x.done("done", item.ID, nil, ""))
	return x.end("", list.Open())
}

// verify proves what is in force now.
func (x *rotation) verify() error {
	for _, h := range x.installs {
		for _, c := range h.credentials {
			values := h.old[c.Name]
			if c.Mode() == "" || len(values) == 0 {
				continue
			}
			h.fresh[c.Name] = values[0]
			h.old[c.Name] = append(values[1:], x.formerValues(h, c, values[0])...)
		}
		if len(h.fresh) == 0 {
			x.say("verify", contain.Check{What: h.StateDir, Detail: "its gateway has no token and no password that could be asked for", Hint: "sudo openclaw-ir rotate"})
		}
		x.prove(x.c.Context, h)
	}
	return x.end("", 0)
}

// ledger brings the case's list up to date with what the installations hold now, and with what the transcripts show of it.
func (x *rotation) ledger(ctx context.Context) (*rotate.Ledger, error) {
	set := secret.NewSet(x.print)
	var items [][]rotate.Item
	var installs []*openclaw.Installation
	var all []openclaw.Gap
	for _, h := range x.installs {
		found, gaps := rotate.Inventory(ctx, x.root, h.Installation, x.print)
		items, all = append(items, found), append(all, gaps...)
		installs = append(installs, h.Installation)
		h.Secrets(ctx, x.root, set) // what is lacking is a gap of the inventory already
	}
	seen, coverage, err := analyze.Sightings(ctx, x.root, installs, set, analyze.SightingOptions{Unknown: true})
	if err != nil {
		return nil, err
	}
	all = append(all, coverage.Gaps...)
	x.gaps(all)
	marks, unknown := map[string]rotate.Seen{}, map[string]secret.Unknown{}
	for print, s := range seen {
		marks[print] = seenOf(&s)
		if s.Unknown != nil {
			unknown[print] = *s.Unknown
		}
	}
	joined := rotate.Join(append(items, rotate.Unlisted(unknown))...)
	rotate.Mark(joined, marks)
	rotate.Order(joined)
	return rotate.UpdateLedger(x.cs, func(l *rotate.Ledger) error {
		l.Merge(joined, all)
		return nil
	})
}

func seenOf(s *analyze.Sighting) rotate.Seen {
	return rotate.Seen{
		Read: s.Read, Run: s.Run, Written: s.Written, Sent: s.Sent, Masked: s.Masked, First: s.First, Last: s.Last, Count: s.Count, Sessions: s.Sessions,
	}
}

// list prints the items, those that are open unless all were asked for.
func (x *rotation) list(l *rotate.Ledger) error {
	hidden := 0
	for _, it := range l.Items {
		if it.Status != rotate.StatusOpen && !x.c.Bool("all") {
			hidden++
			continue
		}
		x.write(itemRow{"item", it})
	}
	text := ""
	if hidden > 0 {
		text = plural(hidden, "item") + " replaced or done; openclaw-ir rotate list --all shows them"
	}
	return x.end(text, l.Open())
}

// An itemRow is one item of the list.
type itemRow struct {
	Record string `json:"record"` // item
	rotate.Item
}

// rotateLine is the text of a step or an item.
func (e env) rotateLine(v any) string {
	it, ok := v.(itemRow)
	if !ok {
		return e.stepLine(v.(step))
	}
	first := fmt.Sprintf("%3d  %-8s %-34s %s %s", it.Rank, console.Escape(string(it.Status)), console.Escape(it.ID), console.Escape(it.Provider), console.Escape(string(it.Kind)))
	if it.Owner != "" {
		first += " of " + console.Escape(it.Owner)
	}
	lines := []string{first, "     " + console.Escape(it.How)}
	add := func(name, text string) {
		if text != "" {
			lines = append(lines, fmt.Sprintf("       %-6s %s", name, text))
		}
	}
	add("page", console.Escape(it.Page))
	add("type", console.EscapeCommand(it.Command))
	add("where", console.Escape(strings.Join(shorten(it.Where, 3), ", ")))
	add("copies", console.Escape(strings.Join(shorten(it.Residue, 3), ", ")))
	add("seen", console.Escape(seenText(it.Seen)))
	add("note", console.Escape(it.Note))
	return strings.Join(lines, "\n")
}

func shorten(list []string, n int) []string {
	if len(list) <= n {
		return list
	}
	return append(list[:n:n], fmt.Sprintf("and %d more", len(list)-n))
}

// seenText says what the transcripts show.
func seenText(s rotate.Seen) string {
	var words []string
	for _, way := range []struct {
		is   bool
		word string
	}{{s.Sent, "sent"}, {s.Run, "run with"}, {s.Written, "written"}, {s.Read, "read"}} {
		if way.is {
			words = append(words, way.word)
		}
	}
	if len(words) == 0 {
		return ""
	}
	text := strings.Join(words, ", ") + fmt.Sprintf(" in %s", plural(s.Count, "record"))
	if !s.First.IsZero() {
		text += ", " + s.First.UTC().Format(time.RFC3339) + " to " + s.Last.UTC().Format(time.RFC3339)
	}
	if s.Masked {
		text += " (sometimes only its mask)"
	}
	return text
}
