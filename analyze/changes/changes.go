// Package changes tells what is other in one piece of evidence than in an earlier one of the same host: settings, secrets, skills,
// automations, who may command the agent, what it was told to be, and whether the past itself was rewritten.
//
// It reads both, changes neither, and judges little: most changes are what owners do. Secrets are replaced by fingerprints before
// anything leaves it; all else is as hostile as the evidence.
package changes

import (
	"context"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/analyze/integrity"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/secret"
	"github.com/clawbook/openclaw-ir/internal/severity"
)

// A Kind is what sort of thing changed.
type Kind string

// The kinds, in the order they are told.
const (
	Past         Kind = "past" // what was recorded is no longer what it was
	Installation Kind = "installation"
	Config       Kind = "config"
	Credential   Kind = "credential"
	Skill        Kind = "skill"
	Plugin       Kind = "plugin"
	Hook         Kind = "hook"
	MCP          Kind = "mcp"
	Automation   Kind = "automation"
	Pairing      Kind = "pairing"
	Device       Kind = "device"
	Approval     Kind = "approval"
	Identity     Kind = "identity" // what the agent reads at the start of every session
	Memory       Kind = "memory"
	Other        Kind = "file"
	Session      Kind = "session"
	Records      Kind = "record"
)

// Kinds lists every kind, in the order they are told.
var Kinds = []Kind{
	Past, Installation, Config, Credential, Skill, Plugin, Hook, MCP, Automation, Pairing, Device, Approval, Identity, Memory, Other,
	Session, Records,
}

// Grows says that things of this kind become more while the agent is used: one that was added is nothing of note.
func (k Kind) Grows() bool { return k == Session || k == Records }

// A Status is what became of a thing.
type Status string

// The statuses.
const (
	Added   Status = "added"
	Removed Status = "removed"
	Changed Status = "changed"
)

// A Change is one thing that is other than it was. Its strings hold hostile text, and no secret.
type Change struct {
	Kind   Kind   `json:"kind"`
	Status Status `json:"status"`
	Name   string `json:"name"` // a key, an id, a path on the host
	Was    string `json:"was,omitzero"`
	Is     string `json:"is,omitzero"`
	// Where is the file or the database that it stands in, if Name is no path.
	Where string `json:"where,omitzero"`
	// Files are those of a skill, hook or plugin that changed.
	Files []FileChange `json:"files,omitempty"`
	// Diff is a unified diff of the two texts.
	Diff string `json:"diff,omitzero"`
	// Level and Finding are of the past: how grave it is, and what the comparison says.
	Level   severity.Level     `json:"level,omitzero"`
	Finding *integrity.Finding `json:"finding,omitempty"`
}

// A FileChange is one file of several.
type FileChange struct {
	Path   string `json:"path"`
	Status Status `json:"status"`
	Was    string `json:"was,omitzero"` // SHA-256, hex; of a link its target
	Is     string `json:"is,omitzero"`
}

// A Side is one of two pieces of evidence.
type Side struct {
	FS       fs.FS
	Installs []*openclaw.Installation
	Find     openclaw.FindOptions
	Taken    time.Time // when it was collected
}

// Options are what a comparison needs besides the evidence.
type Options struct {
	Set  *secret.Set // replaces secrets; it learns those of both sides
	Read func(int64) // called with bytes as they are read; may be nil
}

// A Report is what changed, by kind and then by name.
type Report struct {
	Changes []Change `json:"changes"`
	// Counts are by kind and status, of all changes.
	Counts map[Kind]map[Status]int `json:"counts"`
	// Dropped counts, by kind, those beyond the first 2,000.
	Dropped map[Kind]int   `json:"dropped,omitempty"`
	Gaps    []openclaw.Gap `json:"gaps,omitempty"`
}

const (
	maxChanges = 2000 // of one kind
	maxText    = 4096 // bytes of a name or a value
	maxDiff    = 64 << 10
	// longestSecret is how long a known secret can be, in bytes.
	longestSecret = 16 << 10
)

// Rewritten says whether something of the past is no longer what it was, and nothing innocent is likely.
func (r *Report) Rewritten() bool {
	return slices.ContainsFunc(r.Changes, func(c Change) bool { return c.Kind == Past && c.Level >= severity.High })
}

// Noted says whether anything changed besides what grows with use.
func (r *Report) Noted() bool {
	return slices.ContainsFunc(r.Changes, func(c Change) bool { return !c.Kind.Grows() || c.Status == Removed })
}

// A differ compares two sides.
type differ struct {
	ctx          context.Context
	older, newer *Side
	o            Options
	report       *Report
	others       []Change // files that nothing may look at closer
	told         map[openclaw.Gap]bool
}

// Between tells what changed from older to newer. What could not be read is in the report's Gaps; the error is not nil only if ctx ended.
func Between(ctx context.Context, older, newer Side, o Options) (*Report, error) {
	d := &differ{ctx: ctx, older: &older, newer: &newer, o: o, told: map[openclaw.Gap]bool{}, report: &Report{
		Changes: []Change{}, Counts: map[Kind]map[Status]int{}, Dropped: map[Kind]int{},
	}}
	for _, side := range []*Side{d.older, d.newer} {
		for _, in := range side.Installs {
			d.gaps(in.Secrets(ctx, side.FS, o.Set))
		}
	}
	if err := d.past(); err != nil {
		return d.report, err
	}
	d.installations()
	if err := d.events(); err != nil {
		return d.report, err
	}
	d.tellOthers()
	slices.SortStableFunc(d.report.Changes, func(a, b Change) int { return slices.Index(Kinds, a.Kind) - slices.Index(Kinds, b.Kind) })
	return d.report, ctx.Err()
}

func (d *differ) gaps(list []openclaw.Gap) {
	for _, g := range list {
		g.Path, g.What = d.text(g.Path), d.text(g.What)
		if !d.told[g] {
			d.told[g] = true
			d.report.Gaps = append(d.report.Gaps, g)
		}
	}
}

// text is what may be told of a text of the evidence.
func (d *differ) text(s string) string {
	if len(s) > maxText+longestSecret {
		s = s[:maxText+longestSecret] // a secret that is cut here lies behind what is told
	}
	if s = d.o.Set.Redact(s); len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "") + "…"
	}
	return s
}

// add tells a change.
func (d *differ) add(c Change) {
	r := d.report
	if r.Counts[c.Kind] == nil {
		r.Counts[c.Kind] = map[Status]int{}
	}
	r.Counts[c.Kind][c.Status]++
	if r.Count(c.Kind) > maxChanges {
		r.Dropped[c.Kind]++
		return
	}
	c.Name, c.Was, c.Is, c.Where = d.text(c.Name), d.text(c.Was), d.text(c.Is), d.text(c.Where)
	for i := range c.Files {
		f := &c.Files[i]
		f.Path, f.Was, f.Is = d.text(f.Path), d.text(f.Was), d.text(f.Is)
	}
	r.Changes = append(r.Changes, c)
}

// An item is one of the things that are compared by a name.
type item struct{ text, where string }

// items tells the things that only one side has, or that read otherwise.
func (d *differ) items(kind Kind, older, newer map[string]item) {
	for _, name := range namesOf(older, newer) {
		was, had := older[name]
		is, has := newer[name]
		c := Change{Kind: kind, Name: name, Was: was.text, Is: is.text, Where: is.where}
		switch {
		case !had:
			c.Status = Added
		case !has:
			c.Status, c.Where = Removed, was.where
		case was.text != is.text:
			c.Status = Changed
		default:
			continue
		}
		d.add(c)
	}
}

func namesOf[V any](maps ...map[string]V) (names []string) {
	for _, m := range maps {
		for name := range m {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// installations pairs those of both sides by their state directory.
func (d *differ) installations() {
	in := func(side *Side) map[string]*openclaw.Installation {
		m := map[string]*openclaw.Installation{}
		for _, x := range side.Installs {
			m[x.StateDir] = x
		}
		return m
	}
	older, newer := in(d.older), in(d.newer)
	for _, dir := range namesOf(older, newer) {
		was, is := older[dir], newer[dir]
		switch {
		case was == nil:
			d.add(Change{Kind: Installation, Status: Added, Name: dir, Is: is.Version})
		case is == nil:
			d.add(Change{Kind: Installation, Status: Removed, Name: dir, Was: was.Version})
		default:
			d.installation(was, is)
		}
	}
}

func (d *differ) installation(was, is *openclaw.Installation) {
	if was.Version != is.Version {
		d.add(Change{Kind: Installation, Status: Changed, Name: is.StateDir, Was: was.Version, Is: is.Version})
	}
	d.config(was, is)
	d.credentials(was, is)
	d.servers(was, is)
	d.files(was, is)
	d.senders(was, is)
	d.devices(was, is)
}

// Count is how many changes of these kinds there are.
func (r *Report) Count(kinds ...Kind) (n int) {
	for _, kind := range kinds {
		for _, c := range r.Counts[kind] {
			n += c
		}
	}
	return n
}
