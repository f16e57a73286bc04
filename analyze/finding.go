package analyze

import (
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/severity"
	"github.com/clawbook/openclaw-ir/internal/sigma"
)

// A Finding is something in the evidence that a rule speaks of, with the evidence for it.
// All strings of it may hold hostile text, and secrets.
type Finding struct {
	Rule     *sigma.Rule
	Level    severity.Level
	Adjusted []string // why the level is another than the rule's
	Sink     Sink
	Event    *Event // what happened, the first time; nil for what lies in the evidence at rest
	Related  []string
	Path     string // where it lies, for what is at rest
	Time     int64  // milliseconds since 1970, UTC; 0 if nothing tells
	Last     int64  // of the last of Count
	Count    int    // how often the same was found
	Field    string // the field that matched, and which layer of it: raw, words, decoded, …
	Layer    string
	Excerpt  string // what matched, with a little around it
	Cause    *Cause
	Rejected *Suppression // why it is not to be shown
}

// Deed says whether what the finding speaks of was done, or only asked for or approved.
func (f *Finding) Deed() string {
	e := f.Event
	switch {
	case e == nil || f.Sink == SinkRest || f.Sink == SinkLogged:
		return string(f.Sink)
	case f.Sink == SinkReturned:
		if e.Kind == KindMessage {
			return "said to the agent"
		}
		return "returned by a tool"
	case e.Kind == KindApproval:
		return "approval: " + e.Target + " (approved is not executed)"
	case e.Kind == KindMessage && e.Tool == "":
		return "said by the agent"
	}
	switch e.Result.Status {
	case StatusDenied:
		return "asked for, denied"
	case StatusPending:
		return "asked for, waits for approval"
	case StatusNone:
		return "asked for; no record that it ran"
	case StatusRunning:
		return string(f.Sink) + ", still running in the last record"
	case StatusError:
		if e.Result.Exit == nil {
			return "tried, failed"
		}
	}
	return string(f.Sink)
}

// key names what a finding is about: the same again is counted, not listed.
func (f *Finding) key() string {
	what := f.Path + "\x00" + f.Excerpt
	if f.Event != nil {
		what = f.Event.Session + "\x00" + f.Event.What + "\x00" + string(f.Event.Result.Status)
	}
	return f.Rule.Key() + "\x00" + what
}

// A ledger of findings folds what is found again into what was found first.
type findings struct {
	list  []*Finding
	known map[string]*Finding
	rules map[*sigma.Rule]int // how many of the list each has
	lost  int64
	at    map[spot]*Finding // the worst that speaks of an event
}

// maxFindings bounds how many different findings are kept; more are counted. The second half is for rules that have not yet
// found maxOfRule, so that what is provoked many times leaves room for what comes once.
const (
	maxFindings = 100_000
	maxOfRule   = 500
)

// maxMarked bounds how many events are remembered as having findings.
const maxMarked = 1_000_000

// add keeps a finding, or counts it with the one that it repeats, and returns the one that is kept.
func (l *findings) add(f *Finding) *Finding {
	kept, listed := l.keep(f)
	if f.Event == nil || !listed {
		return kept
	}
	at := f.Event.spot()
	if worst := l.at[at]; worst == nil && len(l.at) < maxMarked || worst != nil && kept.Level > worst.Level {
		l.at[at] = kept
	}
	return kept
}

func (l *findings) keep(f *Finding) (kept *Finding, listed bool) {
	if l.known == nil {
		l.known, l.rules, l.at = map[string]*Finding{}, map[*sigma.Rule]int{}, map[spot]*Finding{}
	}
	f.Count = max(f.Count, 1)
	f.Last = max(f.Last, f.Time)
	if first := l.known[f.key()]; first != nil {
		first.Count += f.Count
		first.Last = max(first.Last, f.Last)
		if f.Level > first.Level {
			first.Level, first.Adjusted = f.Level, f.Adjusted
		}
		return first, true
	}
	if len(l.list) == maxFindings || len(l.list) >= maxFindings/2 && l.rules[f.Rule] >= maxOfRule {
		l.lost++
		return f, false
	}
	l.rules[f.Rule]++
	l.known[f.key()] = f
	l.list = append(l.list, f)
	return f, true
}

// sort orders findings by level, then by time.
func (l *findings) sort() {
	slices.SortStableFunc(l.list, func(a, b *Finding) int {
		switch {
		case a.Level != b.Level:
			return int(b.Level - a.Level)
		case a.Time != b.Time:
			return int(min(max(a.Time-b.Time, -1), 1))
		}
		return strings.Compare(a.Rule.Key(), b.Rule.Key())
	})
}

// shift moves the level and says why.
func (f *Finding) shift(steps int, why string) {
	if to := f.Level.Shift(steps); to != f.Level {
		f.Level = to
		f.Adjusted = append(f.Adjusted, why)
	}
}

// cap lowers the level to at most this one and says why.
func (f *Finding) cap(most severity.Level, why string) {
	if f.Level > most {
		f.Level = most
		f.Adjusted = append(f.Adjusted, why)
	}
}

// family is the part of a rule's name before its number: DLX, INJ, …
func family(rule *sigma.Rule) string {
	name, _, _ := strings.Cut(rule.Key(), "-")
	return name
}
