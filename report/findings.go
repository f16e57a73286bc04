package report

import (
	"cmp"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/analyze"
	"github.com/clawbook/openclaw-ir/internal/severity"
)

// MaxFindings bounds how many findings a story lists; the rest is counted.
const MaxFindings = 2000

// maxUntrusted bounds how many inputs a story lists, and maxAddresses how many addresses.
const (
	maxUntrusted = 200
	maxAddresses = 500
)

// Find takes the findings into the story, which come worst first, and what follows from all of them: the counts, the time of
// the incident, what the attacker sent, the addresses and the severity. Memory does not grow with their number.
func (s *Story) Find(findings iter.Seq[analyze.FindingRecord]) {
	s.Counts = map[string]int{}
	t := tally{addresses: map[string]*Address{}, inputs: map[string]bool{}}
	for f := range findings {
		s.Counts[f.Level.String()]++
		if len(s.Findings) < MaxFindings {
			s.Findings = append(s.Findings, f)
		} else {
			s.FindingsLeftOut++
		}
		if f.Level >= severity.High {
			t.take(s, &f)
		}
	}
	s.Addresses = t.list()
	slices.SortStableFunc(s.Incident.Untrusted, func(a, b analyze.LinkRecord) int { return strings.Compare(a.Event.Time, b.Event.Time) })
	s.Severity = assess(&t)
}

// A tally is what is known of the findings at high or above so far.
type tally struct {
	facts
	addresses map[string]*Address
	inputs    map[string]bool // ids of the events whose input is in the story
}

func (t *tally) take(s *Story, f *analyze.FindingRecord) {
	t.note(f)
	in := &s.Incident
	if at, ok := parseTime(f.Time); ok && (in.First.IsZero() || at.Before(in.First)) {
		in.First = at
	}
	if at, ok := parseTime(cmp.Or(f.Last, f.Time)); ok && at.After(in.Last) {
		in.Last = at
	}
	if f.Cause != nil {
		for _, l := range f.Cause.Chain {
			if id := l.Event.ID; l.Input && l.Role == analyze.RoleCause && !t.inputs[id] && len(t.inputs) < maxUntrusted {
				t.inputs[id] = true
				in.Untrusted = append(in.Untrusted, l)
			}
		}
	}
	t.address(f)
}

func parseTime(s string) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339Nano, s)
	return t, err == nil
}

// done reports that what a finding speaks of was carried out, and not only asked for, said or found lying there.
func done(f *analyze.FindingRecord) bool {
	switch f.Sink {
	case analyze.SinkExecuted, analyze.SinkWritten, analyze.SinkSent, analyze.SinkChanged:
		return f.Deed == string(f.Sink) || strings.HasPrefix(f.Deed, string(f.Sink)+", still running")
	}
	return false
}

// family is the part of a rule's name before its number: DLX, EXF, …
func family(rule string) string {
	name, _, _ := strings.Cut(rule, "-")
	return name
}
