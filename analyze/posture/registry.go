package posture

import (
	"context"
	"io/fs"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/severity"
)

// needs says what a check looks at.
type needs uint8

const (
	needsConfig needs = iota // the config and nothing else
	needsFiles               // files, directories and databases
	needsLive                // the running machine
)

// A check is one row of the table. Its texts are the finding's unless the function says otherwise.
type check struct {
	id     string
	source Source
	needs  needs
	level  severity.Level
	title  string
	why    string
	fix    string
	run    func(*state, *outcome)
}

// An outcome collects what a check finds.
type outcome struct {
	check     check
	findings  []Finding
	undecided string
}

// add adds a finding with the row's texts and returns it for more.
func (o *outcome) add(where, seen string) *Finding {
	c := o.check
	o.findings = append(o.findings, Finding{ID: c.id, Level: c.level, Title: c.title, Seen: seen, Why: c.why, Fix: c.fix, Where: where, Source: c.source})
	return &o.findings[len(o.findings)-1]
}

// checks returns the table of every check.
func checks() []check { return nil }

// state is what the checks share: the evidence and what was worked out from it.
type state struct {
	ctx  context.Context
	in   *openclaw.Installation
	o    Options
	gaps []openclaw.Gap
}

func newState(ctx context.Context, in *openclaw.Installation, o Options) *state {
	return &state{ctx: ctx, in: in, o: o}
}

func (s *state) run(c check) outcome {
	o := outcome{check: c}
	c.run(s, &o)
	return o
}

// nothing is a file system without files.
type nothing struct{}

// Open finds nothing.
func (nothing) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}
