package contain

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// guardStep is how often Guard looks. A program that thaws the agent gains no more than this.
const guardStep = 200 * time.Millisecond

// Guard keeps what is frozen frozen while a person thinks: a process of the user's that was not recognised can thaw what the
// user owns, and start more. The function it returns ends that and adds to f what was found.
func (m Machine) Guard(ctx context.Context, f *Frozen) (end func()) {
	own := &Frozen{Processes: slices.Clone(f.Processes), Cgroups: slices.Clone(f.Cgroups), Gaps: slices.Clone(f.Gaps), Passes: f.Passes}
	ctx, cancel := context.WithCancel(ctx)
	var done sync.WaitGroup
	done.Go(func() {
		for ctx.Err() == nil {
			own.refreeze(ctx, m)
			select {
			case <-ctx.Done():
			case <-time.After(guardStep):
			}
		}
	})
	return sync.OnceFunc(func() {
		cancel()
		done.Wait()
		f.Processes, f.Cgroups, f.Gaps, f.Passes = own.Processes, own.Cgroups, own.Gaps, own.Passes
	})
}

// refreeze freezes again what somebody thawed, and what is new.
func (f *Frozen) refreeze(ctx context.Context, m Machine) {
	for _, dir := range f.Cgroups {
		text, err := os.ReadFile(path.Join(m.Root.Dir(), dir, "cgroup.freeze"))
		if err == nil && strings.TrimSpace(string(text)) == "0" && m.writeCgroup(dir, "1") == nil {
			f.gap("cgroup "+dir, errors.New("somebody thawed it, and it was frozen again"))
		}
	}
	_, _ = f.pass(ctx, m) // what it cannot read it could not before
	for _, r := range f.Processes {
		start, state, err := m.alive(r.PID)
		if err != nil || start != r.Start || strings.ContainsAny(state, "TtZX") {
			continue
		}
		if m.signal(r, unix.SIGSTOP) == nil && state == "R" {
			f.gap(fmt.Sprintf("process %d (%s)", r.PID, r.Role), errors.New("somebody thawed it, and it was frozen again"))
		}
	}
}
