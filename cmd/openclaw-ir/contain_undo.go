package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/clawbook/openclaw-ir/contain"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/stores"
	"github.com/urfave/cli/v2"
)

// deadManName is the hidden command that puts the firewall back at the deadline.
const deadManName = "dead-man"

func containStatusCommand(e env) *cli.Command {
	return &cli.Command{
		Name:  "status",
		Usage: "look again whether the host is still contained",
		Description: `Looks at processes, units, ports and rules as contain does at its end, and changes nothing. Exit code 3 if anything is not
as it should be.

Example:
   sudo openclaw-ir contain status

` + exitText,
		Flags:        append(caseFlags(), &cli.BoolFlag{Name: "json", Usage: "one JSON object a line, a version first"}),
		OnUsageError: onUsageError,
		Action: func(c *cli.Context) error {
			x, done, err := reopened(c, e, "contain status")
			if err != nil {
				return err
			}
			defer done()
			j := x.con.Journal
			if j.State == contain.Undone {
				return x.end("undone: nothing of case " + x.con.Case.Name() + " is contained any more")
			}
			x.say("verify", x.con.Verify(c.Context)...)
			x.say("verify", x.machine.VerifyPorts(c.Context, x.con.Ports()))
			x.say("by hand", x.machine.ByHand(true)...)
			return x.end(fmt.Sprintf("%s since %s; kept in %s", j.State, j.Begun.Format(time.RFC3339), orUnknown(j.Kept)))
		},
	}
}

func containUndoCommand(e env) *cli.Command {
	return &cli.Command{
		Name:  "undo",
		Usage: "put back what contain changed, and keep the agent from resuming",
		Description: `Restores firewall, units, crontabs, links and configuration as they were, byte for byte. What somebody changed since is left
alone unless --force. Before a gateway can start again it shows what would go on by itself (interrupted turns, pending
messages, automations) and takes that out of the stores, unless --resume. It starts nothing itself unless --start.

Examples:
   sudo openclaw-ir contain undo
   sudo openclaw-ir contain undo --dry-run
   sudo openclaw-ir contain undo --start

` + exitText,
		Flags: append(caseFlags(),
			&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "do it without asking"},
			&cli.BoolFlag{Name: "dry-run", Usage: "say what it would do, and change nothing"},
			&cli.BoolFlag{Name: "force", Usage: "also put back what somebody changed since"},
			&cli.BoolFlag{Name: "resume", Usage: "let interrupted turns, pending messages and automations go on"},
			&cli.BoolFlag{Name: "start", Usage: "start what ran before"},
			&cli.BoolFlag{Name: "without-evidence", Usage: "change stores that no sealed bundle of the case holds"},
			&cli.BoolFlag{Name: "json", Usage: "one JSON object a line, a version first"},
		),
		OnUsageError: onUsageError,
		Action: func(c *cli.Context) error {
			x, done, err := reopened(c, e, "contain undo")
			if err != nil {
				return err
			}
			defer done()
			return x.undo()
		},
	}
}

func containConfirmCommand(e env) *cli.Command {
	return &cli.Command{
		Name:  "confirm",
		Usage: "say that you still get in, so that the firewall stays closed",
		Description: `After "contain --confirm-within 2m" the firewall goes back to what it was unless this is typed in time. Type it from a new
connection: the one that was open before proves nothing.

Example:
   sudo openclaw-ir contain confirm

` + exitText,
		Flags:        append(caseFlags(), &cli.BoolFlag{Name: "json", Usage: "one JSON object a line, a version first"}),
		OnUsageError: onUsageError,
		Action: func(c *cli.Context) error {
			x, done, err := reopened(c, e, "contain confirm")
			if err != nil {
				return err
			}
			defer done()
			if err := x.con.Take(); err != nil {
				return err
			}
			if err := x.con.Confirm(); err != nil {
				return err
			}
			return x.end("confirmed: the firewall stays closed")
		},
	}
}

// deadManCommand is run by contain itself, detached. It reads the record anew at the deadline: a confirmation kills it before.
func deadManCommand(e env) *cli.Command {
	return &cli.Command{
		Name: deadManName, Hidden: true, Usage: "put the firewall back at the deadline; run by contain itself",
		Description:  "Example: openclaw-ir contain --confirm-within 2m runs it\n\n" + exitText,
		Flags:        append(caseFlags(), &cli.BoolFlag{Name: "json", Usage: "one JSON object a line, a version first"}),
		OnUsageError: onUsageError,
		Action: func(c *cli.Context) error {
			ctx := context.WithoutCancel(c.Context)
			for {
				x, done, err := reopened(c, e, "contain "+deadManName)
				if err != nil {
					return err
				}
				d := x.con.Journal.DeadMan
				if d != nil && time.Now().After(d.Deadline) && x.con.Take() == nil { // else another run is at work: in a second
					defer done()
					x.say("restore", x.con.UndoFirewall(ctx, true))
					return x.end("")
				}
				done()
				time.Sleep(time.Second)
			}
		},
	}
}

// reopened takes up the case's containment, for a command about one that is there.
func reopened(c *cli.Context, e env, name string) (*containing, func(), error) {
	cs, err := existingCase(c, e)
	if err != nil {
		return nil, nil, &codeError{exitFailed, err, []string{"openclaw-ir contain begins one; --case NAME names another case"}}
	}
	m, err := newMachine(e)
	if err != nil {
		cs.Close()
		return nil, nil, err
	}
	x := &containing{env: e, c: c, machine: m, frozen: &contain.Frozen{}}
	done := func() {
		if x.con != nil {
			x.con.Done()
		}
		m.Root.Close()
		cs.Close()
	}
	if x.con, err = contain.Open(m, cs); err != nil {
		done()
		return nil, nil, &codeError{exitFailed, fmt.Errorf("case %q: %w", cs.Name(), err), []string{"openclaw-ir contain begins one; --case NAME names another case"}}
	}
	if x.lines, err = console.NewLines(e.console, c.Bool("json"), map[string]any{"command": name}, e.stepLine); err != nil {
		done()
		return nil, nil, err
	}
	return x, done, nil
}

// undo shows what would resume, asks, defuses it and restores.
func (x *containing) undo() error {
	if !x.c.Bool("dry-run") {
		if err := x.con.Take(); err != nil {
			return err
		}
	}
	if x.con.Journal.State == contain.Undone && !x.c.Bool("start") {
		return x.end("case " + x.con.Case.Name() + " is undone already")
	}
	x.installs, x.gaps = openclaw.Find(x.machine.Root, openclaw.FindOptions{UID: x.uid})
	pending, err := x.pending()
	if err != nil {
		return err
	}
	for _, change := range x.con.Changes() {
		x.write(step{"plan", "restore", contain.Check{What: change, OK: true, Detail: change}})
	}
	if x.c.Bool("dry-run") {
		return x.end("nothing was changed")
	}
	if err := x.checkEvidence(pending); err != nil {
		return err
	}
	yes, err := agreed(x.c, x.env)
	if err != nil {
		return err
	}
	if !yes {
		return x.end("nothing was changed")
	}
	ctx := context.WithoutCancel(x.c.Context)
	safe := true
	err = changing(x.con.Case, x.machine.Root, append(x.con.Edited(), x.stores(pending)...), func() {
		if safe = x.c.Bool("resume") || x.defuse(ctx, pending); safe {
			x.say("undo", x.con.Undo(ctx, x.c.Bool("force"))...)
		}
	})
	if err != nil {
		return err
	}
	if !safe {
		return x.end("the stores could not be made safe, so nothing was put back: mend it, or say --resume")
	}
	if x.c.Bool("start") && x.failed == 0 {
		x.say("start", x.con.Start(ctx)...)
	} else {
		for _, line := range x.con.WouldStart() {
			x.console.Printf("not started; to start it: %s", line)
		}
	}
	return x.end("undone")
}

// pending shows what would go on by itself, and returns the installations where something would.
func (x *containing) pending() (list []*openclaw.Installation, err error) {
	for _, in := range x.installs {
		rows, gaps := stores.Pending(x.c.Context, x.machine.Root, in)
		for _, r := range rows {
			fate := "taken out of the store"
			if r.Stays || x.c.Bool("resume") {
				fate = "goes on"
			}
			x.write(step{"plan", "resumes", contain.Check{What: r.Kind, OK: true, Detail: fmt.Sprintf("%s %s: %s (%s): %s", r.Kind, r.ID, r.What, r.Where, fate)}})
		}
		for _, g := range gaps {
			x.failed++
			x.console.Warningf("%s: %s", g.Path, g.What)
		}
		if len(rows) > 0 {
			list = append(list, in)
		}
	}
	return list, x.c.Context.Err()
}

// checkEvidence refuses to change stores that no sealed bundle holds as they are.
func (x *containing) checkEvidence(pending []*openclaw.Installation) error {
	if x.c.Bool("resume") {
		return nil
	}
	return requireHeld(x.con.Case, x.machine.Root, x.stores(pending), x.c.Bool("without-evidence"))
}

// stores are the files that defusing changes.
func (x *containing) stores(pending []*openclaw.Installation) (files []string) {
	for _, in := range pending {
		files = append(files, stores.FilesToChange(x.machine.Root, in, stores.KindDefuse)...)
	}
	return files
}

// defuse takes out of the stores what would resume, and reports whether all of it worked.
func (x *containing) defuse(ctx context.Context, pending []*openclaw.Installation) bool {
	ok := true
	for _, in := range pending {
		owner, err := host.OwnerOf(x.machine.Root, in.StateDir)
		var rows []stores.Done
		if err == nil {
			rows, err = stores.Defuse(ctx, owner, in)
		}
		for _, r := range rows {
			x.say("defuse", x.con.Note("defuse", fmt.Sprintf("%s: %s", r.Where, r.What), nil))
		}
		if err != nil {
			ok = false
			x.say("defuse", x.con.Note("defuse", in.StateDir, errors.Join(err)))
		}
	}
	return ok
}
