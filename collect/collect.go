package collect

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"time"

	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/secret"
)

// A Profile says how much is taken.
type Profile string

// The profiles.
const (
	Full Profile = "" // everything in the catalog
	// Volatile is what stopping the gateway and rotating its secrets destroy: the live state, and of the catalog
	// everything up to the state directories.
	Volatile Profile = "volatile"
)

func (p Profile) takes(r Rank) bool { return p != Volatile || r <= RankState }

// Options narrow and widen what Run takes. The zero value takes the whole catalog from the disk, without limits.
type Options struct {
	Profile Profile
	// Live takes the live state too. It is that of the machine we run on, so the root should be its own.
	Live bool
	// MaxFileSize is how many bytes are stored of one file, and MaxSize how many in all, before compression; 0
	// for no limit. A file that does not fit into what is left of MaxSize is left out, smaller ones still fit.
	MaxFileSize, MaxSize int64
	// Include names groups (see Groups) of which the content is taken too, not only a listing.
	Include []string
	// Exclude are absolute paths that are not touched: our own case directory.
	Exclude []string
	// Since is where the journal's excerpts begin, 30 days ago if zero.
	Since time.Time
	// Set replaces the secrets in config diffs. It learns those of the configurations. Nil for a set of its own.
	Set  *secret.Set
	past *past // what a chain of snapshots holds
	// Progress is told of each read: the path and how many bytes.
	Progress func(path string, bytes int64)
}

// maxLacking is how many rows an Outcome keeps.
const maxLacking = 100

// Outcome counts what became of a collection.
type Outcome struct {
	Rows        map[Status]int64
	Bytes       int64 // stored, before compression
	Cut         int64 // things that a limit left out or shortened
	Interrupted bool
	// Unchanged counts what an incremental snapshot has no row for, and Alarms says which of the past was rewritten.
	Unchanged int64
	Alarms    []Alarm
	// Lacking are the first of what should have been had and was not, or not whole.
	Lacking []Row
}

// Partial says whether something is lacking that should have been had. What does not exist is not lacking, nor what
// is left out by design.
func (o *Outcome) Partial() bool {
	return o.Interrupted || o.Cut > 0 || o.Rows[Unreadable]+o.Rows[Truncated]+o.Rows[Changed] > 0
}

// Count adds a row.
func (o *Outcome) Count(row Row) {
	o.Rows[row.Status]++
	o.Bytes += row.Size
	switch row.Status {
	case Unreadable, Truncated, Changed:
		o.lack(row)
	}
}

func (o *Outcome) lack(row Row) {
	if len(o.Lacking) < maxLacking {
		o.Lacking = append(o.Lacking, row)
	}
}

// Run takes everything in the Catalog from root into w, the shortest-lived first, and leaves a row for each thing
// looked for. It changes nothing on the host. installs and gaps are what [openclaw.Find] returned, and go into
// the bundle too.
//
// When ctx ends it stops taking and records what was left, so that the bundle can be closed whole. The error is
// not nil only if the bundle cannot be written; all else that goes wrong is a row, and counted in the Outcome.
func Run(ctx context.Context, root *host.Root, run host.Runner, installs []*openclaw.Installation, gaps []openclaw.Gap, w *Writer, o Options) (Outcome, error) {
	if o.Set == nil {
		o.Set = newSet()
	}
	live := &liveState{}
	if o.Live {
		live.artifacts = host.Snapshot(ctx, root, run, host.Options{Since: o.Since})
	}
	c := newCollector(ctx, root, installs, o)
	c.w, c.past = w, o.past
	for _, g := range gaps {
		if g.Unknown { // where an installation may lie, which then is not taken
			c.out.Count(Row{Meta: Meta{Path: g.Path}, Status: Unreadable, Reason: g.What})
		}
	}
	err := c.run(live, installs, gaps)
	return c.out, err
}

// liveState is what of the live state is still to be written.
type liveState struct{ artifacts []host.Artifact }

func (c *collector) run(live *liveState, installs []*openclaw.Installation, gaps []openclaw.Gap) error {
	steps := []func() error{
		func() error { return c.live(live, fleeting) },
		func() error { return c.ranks(RankLogs, RankLogs) },
		func() error { return c.live(live, nil) },
		func() error { return c.installations(installs, gaps) },
		c.conditions,
		func() error { return c.ranks(RankDatabases, RankConfig) },
		func() error {
			if c.past.incremental() {
				return nil // they are made of what the chain holds, and of all of it
			}
			return c.histories(installs)
		},
		func() error { return c.ranks(RankState, RankHost) },
		c.absent,
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (c *collector) ranks(from, to Rank) error {
	for i, t := range c.targets {
		if t.Rank < from || t.Rank > to {
			continue
		}
		if err := c.take(i); err != nil {
			return err
		}
	}
	return nil
}

// conditions records what limits the search as a whole.
func (c *collector) conditions() error {
	if c.mountErr != nil && !openclaw.IsAbsent(c.mountErr) {
		row := Row{Meta: Meta{Path: "/proc/self/mountinfo", Source: "mount"}, Status: Unreadable}
		row.Reason = "mounts could not be told, so that none was kept out: " + openclaw.Cause(c.mountErr)
		if err := c.record(row); err != nil {
			return err
		}
	}
	if c.places.cut > 0 {
		c.out.Cut++
		return c.record(Row{
			Meta: Meta{Path: "/etc/passwd", Source: "account"}, Status: Skipped,
			Reason: fmt.Sprintf("the homes of %d accounts beyond the first %d were not searched", c.places.cut, maxAccounts),
		})
	}
	return nil
}

// fleeting are the categories of live state that change by the second.
var fleeting = []string{"process", "network", "session", "kernel"}

// live writes the artifacts of some categories, or all that are left.
func (c *collector) live(live *liveState, sources []string) error {
	if !c.o.Live {
		if sources == nil {
			return c.record(Row{Meta: Meta{Path: "live", Source: "live"}, Status: Skipped, Reason: c.past.notLive()})
		}
		return nil
	}
	var rest []host.Artifact
	for _, a := range live.artifacts {
		if sources != nil && !slices.Contains(sources, a.Source) {
			rest = append(rest, a)
			continue
		}
		if err := c.artifact(a); err != nil {
			return err
		}
	}
	live.artifacts = rest
	return nil
}

// grace is how long an artifact whose time is over may take to notice. A read from a dead device never does.
const grace = 2 * time.Second

// artifact streams one piece of live state into the bundle, for no longer than it is allowed.
func (c *collector) artifact(a host.Artifact) error {
	m := Meta{Path: a.Name, Source: a.Source, Type: Stream, Mode: 0o600, Mtime: time.Now(), Note: a.What}
	if c.ctx.Err() != nil {
		return c.record(Row{Meta: m, Status: Skipped, Reason: interrupted})
	}
	ctx, cancel := context.WithTimeout(c.ctx, a.Timeout)
	defer cancel()
	pr, pw := io.Pipe()
	defer pr.Close()
	go func() {
		err := a.Write(ctx, pw)
		if errors.Is(err, exec.ErrNotFound) {
			err = nil // the artifact says itself which program this machine does not have
		}
		pw.CloseWithError(err)
	}()
	stop := context.AfterFunc(ctx, func() {
		time.Sleep(grace)
		pw.CloseWithError(ctx.Err())
	})
	defer stop()
	in := bufio.NewReader(&budgetReader{c: c, r: pr, path: a.Name})
	if _, err := in.Peek(1); errors.Is(err, host.ErrEnded) {
		m.Type = ""
		return c.record(Row{Meta: m, Status: Missing, Reason: host.ErrEnded.Error()})
	}
	row, err := c.w.AddStream(m, in)
	return c.done(row, err)
}

// budgetReader ends a stream where the budget does.
type budgetReader struct {
	c    *collector
	r    io.Reader
	path string
	read int64
}

func (b *budgetReader) Read(p []byte) (int, error) {
	if !b.c.fits(b.read + 1) {
		b.c.out.Cut++
		return 0, fmt.Errorf("over the budget of %d bytes", b.c.o.MaxSize)
	}
	if b.c.o.MaxSize > 0 {
		p = p[:min(int64(len(p)), b.c.o.MaxSize-b.c.out.Bytes-b.read)]
	}
	n, err := b.r.Read(p)
	b.read += int64(n)
	if b.c.o.Progress != nil {
		b.c.o.Progress(b.path, int64(n))
	}
	return n, err
}

// installations stores what was found and what stood in the way of finding more.
func (c *collector) installations(installs []*openclaw.Installation, gaps []openclaw.Gap) error {
	text, err := console.JSON(struct {
		Installations []*openclaw.Installation `json:"installations"`
		Gaps          []openclaw.Gap           `json:"gaps"`
	}{installs, gaps}, "  ")
	if err != nil {
		text = fmt.Appendf(nil, "%q\n", err.Error())
	}
	return c.derived("live/installations.json", "installation", text)
}

// derived stores something of our own making.
func (c *collector) derived(name, source string, text []byte) error {
	m := Meta{Path: name, Source: source, Mode: 0o600, Mtime: time.Now(), HostSize: int64(len(text))}
	if c.past.derived(name, text) {
		return nil
	}
	if !c.fits(m.HostSize) {
		return c.overBudget(m)
	}
	m.Type = File
	row, err := c.w.AddFile(m, bytes.NewReader(text), m.HostSize)
	return c.done(row, err)
}
