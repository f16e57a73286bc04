package analyze

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"time"

	"github.com/clawbook/openclaw-ir/analyze/integrity"
	"github.com/clawbook/openclaw-ir/analyze/posture"
	"github.com/clawbook/openclaw-ir/internal/ioc"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/severity"
	"github.com/clawbook/openclaw-ir/internal/sigma"
)

// FindingsOptions choose what is looked for, and where.
type FindingsOptions struct {
	Find         openclaw.FindOptions
	Rules        []*sigma.Rule
	Indicators   []ioc.Indicator
	Suppressions []Suppression
	Agent        string
	Session      string
	Since        time.Time
	Until        time.Time
	Now          time.Time // for suppressions that expire
	Read         func(n int64)
}

// A FindingsReport is what rules found in the evidence, the worst first, and what stands behind it.
type FindingsReport struct {
	Installations []*openclaw.Installation
	Coverage      Coverage
	Findings      []*Finding
	Suppressed    []*Finding // by whom and why stands in each
	Rules         int        // how many were applied
	Cut           int64      // texts that were too long to be matched wholly
	Lost          int64      // findings beyond the bound, which are not listed
	at            map[spot]*Finding
}

// Of returns the worst finding that speaks of an event and is not suppressed; nil if there is none.
func (r *FindingsReport) Of(e *Event) *Finding {
	if f := r.at[e.spot()]; f != nil && f.Rejected == nil {
		return f
	}
	return nil
}

// Findings applies rules to everything that the evidence shows to have happened and to what lies in it, and finds the
// causes of what is at high or above. What cannot be read is in the report's Coverage.
func Findings(ctx context.Context, fsys fs.FS, o FindingsOptions) (*FindingsReport, error) {
	set, err := sigma.NewSet(o.Rules)
	if err != nil {
		return nil, fmt.Errorf("compiling the rules: %w", err)
	}
	st, err := newStore()
	if err != nil {
		return nil, err
	}
	x := &investigation{options: o, set: set, list: ioc.NewList(o.Indicators), fsys: fsys, report: &Report{store: st}, pasts: map[string]*posture.Past{}}
	if err := x.run(ctx); err != nil {
		return x.result(), err
	}
	return x.result(), ctx.Err()
}

// An investigation is the work on one body of evidence.
type investigation struct {
	options FindingsOptions
	set     *sigma.Set
	list    *ioc.List
	fsys    fs.FS
	report  *Report
	judge   *judge
	cut     int64
	pasts   map[string]*posture.Past // of the configurations, by state directory
}

func (x *investigation) timelineOptions() *Options {
	o := &x.options
	return &Options{Find: o.Find, Kinds: Kinds, Agent: o.Agent, Session: o.Session, Since: o.Since, Until: o.Until, Read: o.Read, whole: true}
}

func (x *investigation) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	installs, _ := openclaw.Find(x.fsys, x.options.Find)
	var beside sync.WaitGroup // the checks of the record read on a processor of their own
	defer beside.Wait()
	defer cancel()
	var record *integrity.Report
	var recordErr error
	beside.Go(func() {
		record, recordErr = integrity.Check(ctx, x.fsys, installs, integrity.Options{Now: x.options.Now, Since: x.options.Since, Until: x.options.Until})
	})
	w := x.report.readWorld(ctx, x.fsys, installs)
	for _, in := range installs {
		w.remember(x.past(ctx, in))
	}
	if err := x.events(ctx, w); err != nil {
		return err
	}
	m, r := x.set.NewMatcher(), newRecorder(x.list, w)
	if err := x.still(ctx, m, r); err != nil {
		return err
	}
	if beside.Wait(); recordErr != nil {
		return recordErr
	}
	x.changed(m, r, record)
	seen := x.sequences(m, r, 0)
	if err := x.explain(ctx, w); err != nil {
		return err
	}
	x.sequences(m, r, seen) // those that causes have shown
	x.full()
	x.cut += m.Cut() + r.cut
	return nil
}

// events matches what happened with the rules, and then judges it in the order of time.
func (x *investigation) events(ctx context.Context, w *world) error {
	events := int64(0)
	s := newSifter(ctx, x.set, x.list, w, func(e *Event) {
		events++
		if e.matters() {
			x.report.store.add(e)
		}
	})
	spent, o := newSpending(), x.timelineOptions()
	x.report.spent = spent
	err := x.report.read(ctx, x.fsys, o, s.add)
	x.report.spent = nil // it is read again for causes
	x.cut = s.close()
	x.report.Coverage.Events = events
	if err != nil {
		return err
	}
	x.judge = newJudge(x.set, w)
	for e, err := range x.report.Events() {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		x.judge.event(e)
	}
	x.judge.derive.spikes(spent, o.keeps)
	return nil
}

// past reads the history of an installation's configuration, once.
func (x *investigation) past(ctx context.Context, in *openclaw.Installation) *posture.Past {
	past := x.pasts[in.StateDir]
	if past == nil {
		var gaps []openclaw.Gap
		past, gaps = posture.History(ctx, x.fsys, in)
		x.report.Coverage.gap(gaps...)
		x.pasts[in.StateDir] = past
	}
	return past
}

// matters reports an event that is looked at again in the order of time. Most of a transcript is what tools returned and the
// agent said: where no rule met it, nothing more is to be learned of it.
func (e *Event) matters() bool {
	switch {
	case len(e.hits) > 0:
		return true
	case e.Kind == KindResult, e.Kind == KindSession:
		return false
	case e.Kind == KindMessage:
		return e.Tool != "" || e.Target == "in"
	case e.Kind == KindRead:
		return isPrivate(e.What)
	case e.Kind == KindLog:
		return connID.MatchString(e.What)
	}
	return true
}

// full tells what was remembered no further because there is too much of it: what came after was judged without.
func (x *investigation) full() {
	d := x.judge.derive
	for what, n := range map[string]int{
		"addresses that were polled": len(d.polls), "calls that were repeated": len(d.loops), "connections of the gateway": len(d.conns), "people the agent talked with": len(d.sends.peers),
		"agents that started others": len(x.judge.parents), "inputs with instructions": len(x.judge.injected),
	} {
		if n >= maxKnown {
			x.report.Coverage.gap(openclaw.Gap{Path: "/", What: fmt.Sprintf("more than %d %s; those beyond were not remembered", maxKnown, what)})
		}
	}
	if len(x.judge.found.at) == maxMarked {
		x.report.Coverage.gap(openclaw.Gap{Path: "/", What: fmt.Sprintf("more than %d events have findings; those beyond are not marked in a timeline", maxMarked)})
	}
	if len(x.judge.after) >= maxAfter {
		x.report.Coverage.gap(openclaw.Gap{Path: "/", What: fmt.Sprintf("more than %d deeds follow inputs with instructions; causes of those beyond were looked for only where they are findings", maxAfter)})
	}
}

// result sorts what was found and parts what is suppressed from it.
func (x *investigation) result() *FindingsReport {
	r := &FindingsReport{Installations: x.report.Installations, Coverage: x.report.Coverage, Rules: len(x.set.Rules()), Cut: x.cut}
	if x.judge == nil {
		return r
	}
	x.judge.found.sort()
	r.Lost, r.at = x.judge.found.lost, x.judge.found.at
	for _, f := range x.judge.found.list {
		i := slices.IndexFunc(x.options.Suppressions, func(s Suppression) bool { return s.holds(f, x.options.Now) })
		if i < 0 {
			r.Findings = append(r.Findings, f)
			continue
		}
		f.Rejected = &x.options.Suppressions[i]
		r.Suppressed = append(r.Suppressed, f)
	}
	return r
}

// Worst returns the highest level found, and whether anything was.
func (r *FindingsReport) Worst() (worst severity.Level, any bool) {
	for _, f := range r.Findings {
		worst, any = max(worst, f.Level), true
	}
	return worst, any
}

// Complete reports whether everything was read and all of it was matched.
func (r *FindingsReport) Complete() bool { return r.Coverage.Complete() && r.Cut == 0 && r.Lost == 0 }
