package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/collect"
	"github.com/clawbook/openclaw-ir/collect/store"
	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/urfave/cli/v2"
)

// snapshotFlags make collect take a snapshot: a link of a chain.
func snapshotFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "snapshot", Usage: "take only what changed since the last snapshot, chained to it, in the case " + casefile.SnapshotsCase},
		&cli.BoolFlag{Name: "full", Usage: "with --snapshot: take everything this time"},
		&cli.BoolFlag{Name: "live", Usage: "with --snapshot: take processes, sockets and the journal's excerpts too"},
		&cli.IntFlag{Name: "every-full", Value: collect.DefaultEveryFull, Usage: "with --snapshot: take everything every `N` snapshots"},
		&cli.StringFlag{Name: "keep", Usage: "with --snapshot: then remove old bundles, but for one an hour, day and month as `SPANS` say (as 24h,30d,12m)"},
		notifyFlag("with --snapshot: tell"),
	}
}

// snapshotGC is collectGC for a snapshot, which holds the index all the while: going through it every few megabytes would take longer
// than the rest of an idle one.
const snapshotGC = 50

// snapshotWait is how long a snapshot waits for another one to end before it gives up.
const snapshotWait = 5 * time.Second

// checkSnapshot refuses what does not go together.
func checkSnapshot(c *cli.Context, e env) error {
	if !c.Bool("snapshot") {
		for _, name := range []string{"full", "live", "every-full", "keep", "notify"} {
			if c.IsSet(name) {
				return usageError("openclaw-ir collect --snapshot --"+name, "--%s goes with --snapshot; collect without it takes everything", name)
			}
		}
		return nil
	}
	for _, name := range []string{"output", "passphrase", "estimate"} {
		if c.IsSet(name) {
			return usageError("openclaw-ir collect --snapshot -R recipients.txt", "--%s does not go with --snapshot: snapshots lie in their case, and are sealed to keys", name)
		}
	}
	if c.Int("every-full") < 1 {
		return usageError("openclaw-ir collect --snapshot --every-full 168", "--every-full: %d is not a number of snapshots", c.Int("every-full"))
	}
	if _, err := keepFlag(c); err != nil {
		return err
	}
	if _, err := notifyTarget(c, e); err != nil {
		return err
	}
	return snapshotsCase(c)
}

// snapshotsCase has a command work on the case of the snapshots, unless another is named.
func snapshotsCase(c *cli.Context) error {
	if !c.IsSet("case") {
		return c.Set("case", casefile.SnapshotsCase)
	}
	return nil
}

// keepFlag is what --keep says; nil without.
func keepFlag(c *cli.Context) (collect.Keep, error) {
	if !c.IsSet("keep") {
		return nil, nil
	}
	k, err := collect.ParseKeep(c.String("keep"))
	if err != nil {
		return nil, usageError("--keep 24h,30d,12m", "--keep: %v", err)
	}
	return k, nil
}

// snapshot adds a link to the chain of the case.
func (x *collection) snapshot() error {
	if x.c.Bool("live") && !x.root.Live() {
		return usageError("openclaw-ir collect --snapshot --live", "--live does not go with --root: the live state is that of this machine")
	}
	to, err := snapshotRecipients(x.c, x.env)
	if err != nil {
		return err
	}
	cs, err := existingCase(x.c, x.env) // so that where it is, a schedule need be able to write to nothing else
	if errors.Is(err, casefile.ErrNoCase) {
		cs, err = openCase(x.c, x.env)
	}
	if err != nil {
		return err
	}
	defer cs.Close()
	if x.salt, err = cs.Salt(); err != nil {
		return err
	}
	return x.thenRetain(cs, x.takeSnapshot(cs, to))
}

func (x *collection) takeSnapshot(cs *casefile.Case, to []collect.Recipient) error {
	x.host = x.hostname(cs)
	o := collect.SnapshotOptions{
		Options: x.options, Recipients: to, Full: x.c.Bool("full"), EveryFull: x.c.Int("every-full"), Wait: snapshotWait,
		Header: collect.Header{
			Tool: "openclaw-ir " + version(), Host: x.host, Started: time.Now().UTC(), Argv: append([]string{"openclaw-ir"}, os.Args[1:]...),
			States: stateDirs(x.installs), Level: x.c.String("level"),
		},
	}
	o.Live = x.c.Bool("live")
	progress := x.console.Progress(console.Bytes)
	progress.Start("snapshot", 0)
	o.Progress = func(_ string, n int64) { progress.Add(n) }
	s, err := collect.TakeSnapshot(x.ctx, cs, x.root, x.runner, x.installs, x.gaps, o)
	progress.Done()
	if errors.Is(err, collect.ErrBusy) {
		return &codeError{exitFailed, err, []string{"it is tried again at the next time; the chain is as it was"}}
	}
	if err != nil {
		return &codeError{exitFailed, err, []string{"the chain is as it was: openclaw-ir collect --snapshot tries again"}}
	}
	x.made = s
	err = x.thenUpload(cs, x.saySnapshot(cs, s), cs.Path(casefile.BundlesDir, s.Bundle), s.Summary.Ciphertext, s.Seal)
	if owed, lerr := store.ListOwed(cs); lerr == nil && x.to.To != "" {
		x.owed = len(owed)
	}
	return err
}

// thenRetain removes the bundles that --keep does not keep, unless the run before it failed. The run ends as badly as what it did before,
// said, if that did not end well.
func (x *collection) thenRetain(cs *casefile.Case, said error) error {
	keep, err := keepFlag(x.c) // was checked
	if err != nil || len(keep) == 0 || isFailure(x.ctx, said) {
		return said
	}
	var r collect.Retained
	spare, err := spared(cs)
	if err == nil {
		r, err = collect.Retain(cs, keep, spare, snapshotWait)
	}
	if n := len(r.Removed); n > 0 {
		x.console.Printf("removed %s (%s) that --keep does not keep; the seals stay", plural(n, "old bundle"), console.Size(r.Bytes))
	}
	if err == nil {
		return said
	}
	x.console.Warningf("%v", err)
	if said == nil {
		return errPartial
	}
	return said
}

// isFailure says whether nothing was done: the run failed, or was interrupted.
func isFailure(ctx context.Context, err error) bool {
	code := exitCode(ctx, err)
	return code == exitFailed || code == exitInterrupted
}

// snapshotRecipients are those of a bundle, without a passphrase: a snapshot is taken where nobody can be asked.
func snapshotRecipients(c *cli.Context, e env) ([]collect.Recipient, error) {
	list, err := givenRecipients(c)
	if err == nil && len(list) == 0 {
		list, err = recipientsFromDefaults(e)
	}
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, usageError("openclaw-ir collect --snapshot -R recipients.txt; put the file at /etc/openclaw-ir/recipients.txt for next time",
			"no recipient given, and a snapshot is never written in clear")
	}
	if err := collect.CheckRecipients(list); err != nil {
		return nil, &codeError{exitUsage, err, nil}
	}
	return list, nil
}

// A snapshotLine is what is told of a snapshot.
type snapshotLine struct {
	Bundle    string                   `json:"bundle"`
	Seal      string                   `json:"seal"`
	Link      collect.Link             `json:"link"`
	Size      int64                    `json:"size"`
	SHA256    string                   `json:"sha256"`
	Head      string                   `json:"head"` // digest of the seal
	Rows      map[collect.Status]int64 `json:"rows"`
	Unchanged int64                    `json:"unchanged"`
	Partial   bool                     `json:"partial"`
	Alarms    []collect.Alarm          `json:"alarms"`
}

// saySnapshot tells the one line, and every alarm.
func (x *collection) saySnapshot(cs *casefile.Case, s *collect.Snapshot) error {
	o := s.Outcome
	x.warn(o)
	for i, a := range o.Alarms {
		if i == maxWarnings {
			x.console.Warningf("and %s more: openclaw-ir collect list has them all", plural(len(o.Alarms)-i, "alarm"))
			break
		}
		x.console.Warningf("alarm: %s: %q: %s", a.Kind, a.Path, a.Detail)
	}
	name := cs.Path(casefile.BundlesDir, s.Bundle)
	if x.c.Bool("json") {
		err := printJSON(x.env, "collect --snapshot", snapshotLine{
			name, name + collect.SealSuffix, s.Link, s.Summary.Size, s.Summary.SHA256, s.SealSHA256, o.Rows, o.Unchanged, o.Partial(),
			append([]collect.Alarm{}, o.Alarms...),
		})
		if err != nil {
			return err
		}
	} else {
		fmt.Fprintln(x.console.Out(), x.snapshotText(name, s))
	}
	switch {
	case len(o.Alarms) > 0:
		return &codeError{exitFound, fmt.Errorf("%s: the past was rewritten, or is missing", plural(len(o.Alarms), "alarm")), []string{
			"what was there before is in the snapshots named above; if it was not you: sudo openclaw-ir run",
		}}
	case o.Partial():
		return errPartial
	}
	return nil
}

// snapshotText is a snapshot in one line.
func (x *collection) snapshotText(name string, s *collect.Snapshot) string {
	kind := "incremental"
	if s.Link.Full {
		kind = "full"
	}
	words := []string{fmt.Sprintf("snapshot %d", s.Link.Number), kind, console.Size(s.Summary.Size), plural(len(s.Outcome.Alarms), "alarm")}
	return strings.Join(words, ", ") + "  " + console.Escape(name)
}
