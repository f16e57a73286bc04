package contain

import (
	"errors"
	"fmt"

	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/json5"
)

// Edited returns the files that the containment edited and that can be edited further: see Rebase.
func (c *Containment) Edited() (paths []string) {
	for _, f := range c.Journal.Files {
		if !f.Undone && f.Edits != nil {
			paths = append(paths, f.Path)
		}
	}
	return paths
}

// Rebase notes that strings in a configuration, such as its token, were replaced on top of the containment's own edits, so that
// undo takes back these and leaves those. before and after are the file's text; was and is are its states.
func (c *Containment) Rebase(path string, before, after []byte, is host.FileState) error {
	for i := range c.Journal.Files {
		f := &c.Journal.Files[i]
		if f.Path != path || f.Undone || f.Edits == nil || f.After.SHA256 != digest(string(before)) {
			continue
		}
		edits, err := rebase(f.Edits, before, after)
		if err != nil {
			return fmt.Errorf("noting the change of %q: %w", path, err)
		}
		old, err := edits.Invert().Apply(after)
		if err != nil {
			return fmt.Errorf("noting the change of %q: %w", path, err)
		}
		f.Edits, f.After = edits, is
		f.Before.SHA256, f.Before.Size = digest(string(old)), int64(len(old))
		return c.save()
	}
	return nil
}

// rebase moves edits to where they stand in a text some of whose strings were replaced since. Edits count from the text before
// them, the strings' places from the text after them.
func rebase(edits json5.Patch, before, after []byte) (json5.Patch, error) {
	changed, err := replaced(before, after)
	if err != nil {
		return nil, err
	}
	moved := make(json5.Patch, 0, len(edits))
	grown := 0 // by the edits so far
	for _, e := range edits {
		shift := 0
		for _, r := range changed {
			if r.Start < e.Start+grown {
				shift += len(r.New) - len(r.Old)
			}
		}
		grown += len(e.New) - len(e.Old)
		e.Start += shift
		moved = append(moved, e)
	}
	return moved, nil
}

var errReshaped = errors.New("more than strings has changed")

// replaced returns which strings of a text were replaced, where nothing else was.
func replaced(before, after []byte) (json5.Patch, error) {
	old, err := json5.Parse(before)
	if err != nil {
		return nil, err
	}
	now, err := json5.Parse(after)
	if err != nil {
		return nil, err
	}
	var places []*json5.Value
	now.Walk(func(_ []string, v *json5.Value) bool {
		places = append(places, v)
		return true
	})
	var p json5.Patch
	n := 0
	old.Walk(func(_ []string, v *json5.Value) bool {
		if n < len(places) && v.Kind == json5.String && places[n].Kind == json5.String && v.Str != places[n].Str {
			p = append(p, json5.Edit{Start: v.Start, Old: string(before[v.Start:v.End]), New: string(after[places[n].Start:places[n].End])})
		}
		n++
		return true
	})
	if text, err := p.Apply(before); err != nil || string(text) != string(after) {
		return nil, errReshaped
	}
	return p, nil
}
