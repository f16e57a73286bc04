package rotate

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/sqlite"
)

// A Scrubbed is what became of one residue of a plan.
type Scrubbed struct {
	Path   string `json:"path"`
	Action Action `json:"action"`
	Error  string `json:"error,omitempty"` // "" if it is done
	Rows   int    `json:"rows,omitempty"`  // that were purged
}

// Scrub does what a plan of [FindResidue] says, on this machine and with the rights of the user who owns the
// installation: old copies are removed, rows that are marked as deleted are deleted, and databases are rewritten. What
// is only reported is left alone.
//
// The caller has made sure that no gateway runs and that the files of [ScrubFiles] are sealed. A file that changed since
// the plan is left alone (the error wraps [host.ErrChanged]), and so is a database that is in use ([sqlite.ErrInUse]) or
// too large ([sqlite.ErrTooLarge]). One that fails does not keep the rest from being done.
//
// Files are removed and not overwritten: on a disk that levels its wear, or a file system that copies on write, old
// blocks stay until they are used again, which nothing here can hurry.
func Scrub(ctx context.Context, owner host.Owner, in *openclaw.Installation, plan []Residue) ([]Scrubbed, error) {
	var all []Scrubbed
	var errs []error
	for _, action := range actionOrder[:len(actionOrder)-1] {
		for _, r := range plan {
			if r.Action != action {
				continue
			}
			done := Scrubbed{Path: r.Path, Action: action}
			rows, err := scrubOne(ctx, owner, in, &r)
			if done.Rows = rows; err != nil {
				done.Error = err.Error()
				errs = append(errs, err)
			}
			all = append(all, done)
		}
	}
	return all, errors.Join(errs...)
}

func scrubOne(ctx context.Context, owner host.Owner, in *openclaw.Installation, r *Residue) (rows int, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if r.Action == ActionRemove {
		return 0, host.Remove(owner, r.Path, r.State)
	}
	if !isStore(in, r.Path) {
		return 0, fmt.Errorf("%q is not a database of this installation", r.Path)
	}
	err = host.AsAt(owner, r.Path, func() error {
		if r.Action == ActionScrub {
			return sqlite.Scrub(ctx, r.Path)
		}
		return sqlite.Edit(ctx, r.Path, func(t *sqlite.Tx) error {
			rows, err = purge(t)
			return err
		})
	})
	return rows, err
}

func isStore(in *openclaw.Installation, file string) bool {
	return file == in.StateDB() || slices.ContainsFunc(in.Agents, func(a openclaw.Agent) bool { return a.Database == file })
}

// purge deletes the secrets that OpenClaw has only marked as deleted, as it does itself after 30 days (FACTS 10).
func purge(t *sqlite.Tx) (int, error) {
	const table, mark = "secret_store_entries", "deleted_at_ms"
	has, err := t.Has(table, mark)
	if err != nil || !has {
		return 0, err
	}
	return t.Exec("DELETE FROM " + table + " WHERE " + mark + " IS NOT NULL")
}
