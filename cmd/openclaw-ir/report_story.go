package main

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"path/filepath"
	"slices"

	"github.com/clawbook/openclaw-ir/analyze/posture"
	"github.com/clawbook/openclaw-ir/collect"
	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/report"
	"github.com/clawbook/openclaw-ir/rotate"
)

// tell fills the story in. A part that fails is named in it; only an interruption ends it.
func (x *reporting) tell(ctx context.Context) error {
	if x.cs != nil {
		if err := x.tellCase(); err != nil {
			x.missing("the custody log", err)
		}
		if err := x.tellBundles(ctx); err != nil {
			x.missing("the sealed bundles", err)
		}
	}
	if err := x.tellSource(ctx); err != nil {
		x.missing("the bundle that was read", err)
	}
	x.tellHost(ctx)
	if err := x.tellEvidence(ctx); err != nil {
		return err
	}
	if err := x.tellOpen(ctx); err != nil {
		x.missing("the list of secrets to replace", err)
	}
	return ctx.Err()
}

// maxReportActions is how many lines of the custody log a story lists, the newest.
const maxReportActions = 1000

// tellCase tells what was done, and what the log of it is worth.
func (x *reporting) tellCase() error {
	info := x.cs.Info()
	c := &x.story.Case
	c.Name, c.ID, c.State, c.Created = info.Name, info.ID, string(info.State), info.Created
	verdict, err := x.cs.Verify()
	if err != nil {
		return err
	}
	c.Lines, c.Head = verdict.Lines, verdict.Head
	for _, p := range verdict.Problems {
		c.Problems = append(c.Problems, fmt.Sprintf("line %d: %s", p.Line, p.What))
	}
	if verdict.More > 0 {
		c.Problems = append(c.Problems, fmt.Sprintf("and %d more", verdict.More))
	}
	s := &x.story
	for line, err := range x.cs.Lines() {
		if err != nil {
			return err
		}
		if line.Entry == nil {
			continue // a problem, or torn
		}
		s.Actions = append(s.Actions, actionOf(line.Entry))
		if len(s.Actions) > 2*maxReportActions {
			s.ActionsLeftOut += len(s.Actions) - maxReportActions
			s.Actions = slices.Delete(s.Actions, 0, len(s.Actions)-maxReportActions)
		}
	}
	if n := len(s.Actions) - maxReportActions; n > 0 {
		s.ActionsLeftOut += n
		s.Actions = slices.Delete(s.Actions, 0, n)
	}
	return nil
}

func actionOf(e *casefile.Entry) report.Action {
	a := report.Action{Seq: e.Seq, Time: e.Time, Operator: e.Operator.String(), Host: e.Host, Action: e.Action, Object: e.Object, Result: e.Result, Exit: e.Exit, Note: e.Note}
	for _, d := range e.Digests {
		a.Digests = append(a.Digests, report.Digest{Name: d.Name, SHA256: d.SHA256})
	}
	return a
}

// tellBundles tells which bundles the case holds, and whether they are as they were sealed.
func (x *reporting) tellBundles(ctx context.Context) error {
	progress := x.console.Progress(console.Bytes)
	progress.Start("reading the sealed bundles", 0)
	defer progress.Done()
	kept, err := collect.KeptIn(ctx, x.cs, progress.Add)
	if err != nil {
		return err
	}
	for i := range kept {
		x.story.Bundles = append(x.story.Bundles, bundleOf(&kept[i], x.cs.Path(kept[i].Path)))
	}
	slices.SortStableFunc(x.story.Bundles, func(a, b report.Bundle) int { return a.Created.Compare(b.Created) })
	return ctx.Err()
}

// tellSource tells which bundle was read as evidence, unless the case holds it.
func (x *reporting) tellSource(ctx context.Context) error {
	if x.src.bundle == "" {
		return nil
	}
	file, err := filepath.Abs(x.src.bundle)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(x.story.Bundles, func(b report.Bundle) bool { return b.Path == file || b.Name == path.Base(file) && b.Problem == "" }) {
		return nil
	}
	progress := x.console.Progress(console.Bytes)
	progress.Start("reading the sealed bundle", 0)
	defer progress.Done()
	kept, err := collect.KeptAt(ctx, file, progress.Add)
	if err != nil {
		return err
	}
	kept.Note = cmp.Or(kept.Note, "this report was made from it; it does not lie in the case")
	x.story.Bundles = append(x.story.Bundles, bundleOf(&kept, file))
	return nil
}

func bundleOf(k *collect.Kept, file string) report.Bundle {
	b := report.Bundle{Name: path.Base(k.Path), Path: file, Size: k.Size, SealSHA256: k.SealSHA256, Problem: k.Problem, Note: k.Note}
	if s := k.Seal; s != nil {
		b.Size, b.SHA256, b.Recipients, b.Created, b.Signer = s.Size, s.SHA256, s.Recipients, s.Created, s.Signer()
	}
	return b
}

// tellHost tells what the machine of the evidence is.
func (x *reporting) tellHost(ctx context.Context) {
	info := host.DescribeTree(x.src.fsys)
	if root, ok := x.src.fsys.(*host.Root); ok && root.Live() {
		runner, err := host.NewTrusted()
		if err != nil {
			x.missing("the host's kernel", err)
		} else {
			info = host.Describe(ctx, root, runner)
		}
	}
	x.story.Host = report.Host{Name: string(info.Hostname), OS: string(info.OS), Kernel: string(info.Kernel), Arch: info.Arch, Timezone: string(info.Timezone)}
	if x.story.Host.Name == "" {
		x.story.Host.Name = x.src.host
	}
	for _, in := range x.installs {
		reach := posture.ReachOf(ctx, in, posture.Options{FS: x.src.fsys, Now: x.src.now})
		x.story.Installations = append(x.story.Installations, report.Installation{
			Version: in.Version, Era: string(in.Era), User: in.User, StateDir: in.StateDir, Reach: reach.Facts, Beyond: reach.Beyond,
		})
	}
}

// tellOpen tells what is to be replaced: the case's list, or where there is none yet what the installations hold.
func (x *reporting) tellOpen(ctx context.Context) error {
	var items []rotate.Item
	var err error
	if x.cs != nil {
		var list *rotate.Ledger
		if list, err = rotate.LoadLedger(x.cs); err == nil {
			items = list.Items
		}
	}
	if len(items) == 0 && len(x.installs) > 0 {
		salt, serr := fingerprintSalt(x.c, x.env)
		if serr != nil {
			return serr
		}
		items = x.inventory(ctx, salt)
	}
	for i := range items {
		x.story.Open = append(x.story.Open, itemOf(&items[i]))
	}
	return err
}
