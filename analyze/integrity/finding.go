package integrity

import (
	"fmt"

	"github.com/clawbook/openclaw-ir/internal/severity"
)

// more folds another finding like f into it; n is how many were folded.
func (f *Finding) more(other *Finding, n int) {
	if t := other.Until; t.After(f.Until) {
		f.Until = t
	} else if other.Time.After(f.Until) && other.Time.After(f.Time) {
		f.Until = other.Time
	}
	note := fmt.Sprintf("and %d more like it, the last at line %d", n, other.Line)
	if n > 1 {
		f.Evidence[len(f.Evidence)-1] = note
		return
	}
	f.Evidence = append(f.Evidence, note)
}

// maxListed bounds a list inside a finding.
const maxListed = 10

// listed shortens a list and says by how much.
func listed(items []string) []string {
	if len(items) <= maxListed {
		return items
	}
	return append(items[:maxListed:maxListed], fmt.Sprintf("and %d more", len(items)-maxListed))
}

// short shortens an id of the evidence.
func short(id string) string { return id[:min(len(id), 80)] }

// Worst is the level of the worst finding; Info if there is none.
func (r *Report) Worst() (worst severity.Level) {
	for i := range r.Findings {
		worst = max(worst, r.Findings[i].Level)
	}
	return worst
}

// Add takes in another report of the same evidence.
func (r *Report) Add(other *Report) {
	r.Findings = append(r.Findings, other.Findings...)
	r.Gaps = append(r.Gaps, other.Gaps...)
	for _, x := range other.Checks {
		r.count(x.Check, x.Examined)
		if x.Undecided != "" {
			r.undecided(x.Check, x.Undecided)
		}
	}
	r.Records += other.Records
	r.order()
}
