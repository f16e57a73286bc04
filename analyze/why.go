package analyze

import (
	"context"
	"errors"
	"io/fs"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/shell"
)

// ErrNoEvent says that no event of the evidence has the id that was asked for.
var ErrNoEvent = errors.New("no such event in the evidence")

// An Explained is an action with what led to it.
type Explained struct {
	Event *Event
	Cause *Cause
}

// Why finds what led to the events that bear an id; several do if a session was copied under another name. What cannot be
// read is in the coverage.
func Why(ctx context.Context, fsys fs.FS, find openclaw.FindOptions, id string, read func(n int64)) ([]Explained, *Report, error) {
	r := &Report{}
	o := &Options{Find: find, Kinds: Kinds, Read: read, whole: true}
	parser := shell.NewParser()
	var events []*Event
	err := r.read(ctx, fsys, o, func(e *Event) {
		r.Coverage.Events++
		if e.ID() != id || e.Kind == KindResult || len(events) == maxTargets {
			return
		}
		e.values = e.findValues(parser.Parse(e.What))
		e.shrink()
		events = append(events, e)
	})
	switch {
	case err != nil:
		return nil, r, err
	case len(events) == 0:
		return nil, r, ErrNoEvent
	}
	w := r.readWorld(ctx, fsys, r.Installations)
	causes, err := r.causes(ctx, fsys, o, events, w, nil)
	list := make([]Explained, len(events))
	for i, e := range events {
		list[i] = Explained{e, causes[i]}
	}
	return list, r, err
}
