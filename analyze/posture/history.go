package posture

import (
	"context"
	"io/fs"
	"time"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

// A Span is what is known about a moment. A zero NotBefore or NotAfter is a side on which nothing bounds it.
type Span struct {
	NotBefore time.Time `json:"not_before,omitzero"`
	NotAfter  time.Time `json:"not_after,omitzero"`
}

// exactly is the span of a moment that is known.
func exactly(t time.Time) Span { return Span{t, t} }

// Exact reports that the moment is known to the millisecond, as journals write it.
func (s Span) Exact() bool {
	return !s.NotBefore.IsZero() && s.NotAfter.Sub(s.NotBefore) < time.Millisecond
}

// By says who changed a configuration.
type By string

// Who changes configurations. A command line of OpenClaw and its gateway say so themselves in the journal;
// External is an edit by another program, which a gateway noticed.
const (
	ByCLI      By = "openclaw cli"
	ByGateway  By = "gateway"
	ByExternal By = "external"
	ByUnknown  By = "unknown"
)

// A Step is one version of the configuration and when it began to hold. Its strings may hold hostile text but no secret.
type Step struct {
	SHA256 string   `json:"sha256,omitempty"` // of the file's bytes, hex
	Files  []string `json:"files,omitempty"`  // what holds these bytes, absolute paths
	From   Span     `json:"from"`
	By     By       `json:"by"`
	// Event is what the journal calls the change, "" for one that stands in no journal.
	Event   string   `json:"event,omitempty"`
	Command string   `json:"command,omitempty"` // of the process that changed it, secrets masked
	Changed []string `json:"changed,omitempty"` // the paths that the journal says have changed
	Release string   `json:"release,omitempty"` // meta.lastTouchedVersion: of OpenClaw that wrote it
	// Altered says that the file claims by meta.lastTouchedAt to be this version and has another digest than the
	// journal recorded: it was changed after it was written, as `rotate --scrub` changes old copies.
	Altered bool `json:"altered,omitempty"`
	// Config is nil for a version of which no more than the digest is known.
	Config *openclaw.Config `json:"-"`

	words []string // of the command after the program and the script
	seen  time.Time
}

// A Transition is one leaf of the configuration that changed between two versions. Of a secret only that it changed
// is told.
type Transition struct {
	Key       string    `json:"key"`                // dotted; "[]" stands for an element of an array
	Previous  string    `json:"previous,omitempty"` // "" also for what was not there
	Value     string    `json:"value,omitempty"`    // "" also for what is not there any more
	Added     bool      `json:"added,omitempty"`    // it was not there
	Removed   bool      `json:"removed,omitempty"`
	Secret    bool      `json:"secret,omitempty"` // Previous and Value are left out
	NotBefore time.Time `json:"not_before,omitzero"`
	NotAfter  time.Time `json:"not_after,omitzero"`
	By        By        `json:"by"`
	Command   string    `json:"command,omitempty"`
	From      int       `json:"from"` // index of the version before in [Past.Steps]; -1 if it is not known
	To        int       `json:"to"`   // index of the version that has the new value
	// FromCommand says that only the command that made the change is known, and not what it replaced.
	FromCommand bool `json:"from_command,omitempty"`
}

// Span is when the change happened.
func (t *Transition) Span() Span { return Span{t.NotBefore, t.NotAfter} }

// A Past is what the evidence still tells of the versions of a configuration.
type Past struct {
	Path string `json:"path"`
	// Steps are the versions that held, oldest first. The last is the file as it lies there, if it can be read.
	Steps []Step `json:"steps"`
	// Aside are versions that never held as far as is known: writes that OpenClaw refused, copies that somebody made.
	Aside       []Step       `json:"aside,omitempty"`
	Transitions []Transition `json:"transitions"`
}

// History reads every version of the configuration that the evidence holds: the file, OpenClaw's five backups of it,
// .last-good, .clobbered and .rejected copies, and OpenClaw's journal of changes, which tells times and digests of more
// versions than there are files (FACTS 3.4). Releases before 2026.2.26 kept no journal; there the backups' order and
// times, and the time that the config itself says it was written, bound when each began to hold.
//
// The times are those that OpenClaw and the file system recorded. Who can write the state can forge them.
func History(ctx context.Context, fsys fs.FS, in *openclaw.Installation) (*Past, []openclaw.Gap) {
	p := &pastReader{ctx: ctx, fsys: fsys, in: in, past: &Past{Path: in.ConfigPath}}
	rows := p.journal()
	files := p.files()
	p.masks(files, rows)
	for i := range rows {
		p.take(&rows[i])
	}
	p.place(files)
	p.past.transitions(p.mask)
	return p.past, p.gaps
}

// A pastReader puts a Past together.
type pastReader struct {
	ctx  context.Context
	fsys fs.FS
	in   *openclaw.Installation
	past *Past
	mask *mask
	gaps []openclaw.Gap
	left int64 // bytes of versions that may still be read
}

func (p *pastReader) gap(file, what string) {
	p.gaps = append(p.gaps, openclaw.Gap{Path: file, What: what})
}

// masks learns the secrets of all versions, so that none is told by another.
func (p *pastReader) masks(files []version, rows []journalRow) {
	p.mask = newMask()
	for i := range files {
		p.mask.learn(files[i].config)
	}
	for i := range rows {
		p.mask.learnCommand(rows[i].words())
	}
}

// String writes the moment, or its bounds: "2026-11-22T08:21:06.001Z", "between A and B", "by B", "after A".
func (s Span) String() string {
	stamp := func(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.999Z07:00") }
	switch {
	case s.Exact():
		return stamp(s.NotBefore)
	case s.NotBefore.IsZero() && s.NotAfter.IsZero():
		return "at an unknown time"
	case s.NotBefore.IsZero():
		return "by " + stamp(s.NotAfter)
	case s.NotAfter.IsZero():
		return "after " + stamp(s.NotBefore)
	}
	return "between " + stamp(s.NotBefore) + " and " + stamp(s.NotAfter)
}
