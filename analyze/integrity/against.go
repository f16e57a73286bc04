package integrity

import (
	"context"
	"fmt"
	"hash/maphash"
	"io/fs"
	"slices"
	"time"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

// A Past is evidence of the same host that was taken earlier.
type Past struct {
	FS       fs.FS
	Installs []*openclaw.Installation
	Taken    string // how to call it, for people: the time it was taken, or its name
}

// Against compares the record with an earlier copy of it: what was written then must be there still, byte for byte.
// Transcripts, ledgers, journals and archives only grow, so a difference in them is a finding. The config, memory,
// skills and everything else an owner changes are listed as changes, at level info.
func Against(ctx context.Context, older Past, newer fs.FS, installs []*openclaw.Installation, o Options) (*Report, error) {
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	rep := newReport()
	for _, was := range older.Installs {
		i := slices.IndexFunc(installs, func(in *openclaw.Installation) bool { return in.StateDir == was.StateDir })
		if i < 0 {
			rep.add(Finding{
				Check: "INT-006", Level: critical, Title: "an installation is gone", Path: was.StateDir,
				Detail: "the earlier evidence holds it, and this one does not", Benign: "it was uninstalled, or this evidence does not reach it",
			})
			continue
		}
		a := &against{ctx: ctx, o: &o, rep: rep, older: older.FS, newer: newer, was: was, in: installs[i], seed: maphash.MakeSeed()}
		a.events()
		a.databases()
		a.files()
	}
	rep.finish(&o)
	return rep, ctx.Err()
}

// An against compares one installation with its past.
type against struct {
	ctx          context.Context
	o            *Options
	rep          *Report
	older, newer fs.FS
	was, in      *openclaw.Installation
	seed         maphash.Seed
	gone         map[string]bool // sessions of which only an archive is left now
	goneKeys     map[uint64]bool
}

// transcriptsOf reads every transcript of one side. What is amiss in them is for Check to say.
func (a *against) transcriptsOf(fsys fs.FS, in *openclaw.Installation) *checker {
	scratch := newReport()
	c := newChecker(a.ctx, fsys, in, a.o, scratch, map[string]bool{}, a.seed)
	c.transcripts()
	a.rep.Gaps = append(a.rep.Gaps, scratch.Gaps...)
	return c
}

// events compares the transcripts event by event, wherever they are stored: a migration or a deletion moves them.
func (a *against) events() {
	was, now := a.transcriptsOf(a.older, a.was), a.transcriptsOf(a.newer, a.in)
	a.rep.count("INT-001", int64(len(was.events)))
	missing, changed := map[*session][]int64{}, map[*session][]int64{}
	for key, old := range was.events {
		switch p, ok := now.events[key]; {
		case !ok:
			missing[old.session] = append(missing[old.session], old.line)
		case p.body != old.body:
			changed[old.session] = append(changed[old.session], old.line)
		}
	}
	a.gone = map[string]bool{}
	for id, s := range was.sessions {
		n := now.sessions[id]
		a.gone[id] = n != nil && n.gone() && !n.live()
		if s.live() && a.gone[id] && len(missing[s]) == 0 {
			a.rep.add(Finding{
				Check: "INT-006", Level: medium, Title: "a session was deleted since", Session: id, Path: n.path(),
				Detail: "its archive holds every event of then (" + formNames(n) + ")", Benign: "its owner deleted it",
			})
		}
	}
	for s, lines := range missing {
		a.tell(s, lines, "events of then are missing", "%d events that the earlier evidence holds are in no transcript or archive now")
	}
	for s, lines := range changed {
		a.tell(s, lines, "events of then were changed", "%d events are not what the earlier evidence holds")
	}
}

func (a *against) tell(s *session, lines []int64, title, detail string) {
	slices.Sort(lines)
	at := make([]string, len(lines))
	for i, n := range lines {
		at[i] = fmt.Sprintf("event %d", n)
	}
	a.rep.add(Finding{
		Check: "INT-007", Level: critical, Title: title, Session: s.id, Path: s.path(), Line: lines[0], Time: ms(s.first), Until: ms(s.last),
		Detail: fmt.Sprintf(detail, len(lines)), Evidence: listed(at), Benign: "session.maintenance, where it removed whole sessions",
	})
}
