package report

import (
	"fmt"
	"slices"

	"github.com/clawbook/openclaw-ir/analyze"
	"github.com/clawbook/openclaw-ir/internal/severity"
)

// The criteria of the severities, as the letter states them.
const (
	ruleSEV1 = "something critical was carried out, and data was sent away or a way back in was left"
	ruleSEV2 = "something critical was carried out"
	ruleSEV3 = "something of level high was carried out, or something critical was asked for, said or found lying there"
	ruleSEV4 = "nothing critical was found, and nothing of level high was carried out, in what was read"
	ruleNone = "No severity is suggested: no evidence was read."
)

// facts are what the severity is judged by.
type facts struct {
	criticalDone, criticalSeen, highDone int
	sent, planted                        int // carried out at high or above: of the rules about sending away, and about staying
}

// Rules about sending data away, and about what lets an intruder come back, by family.
var (
	familiesSending = []string{"EXF"}
	familiesStaying = []string{"PER", "MEM", "PAI"}
)

func (t *facts) note(f *analyze.FindingRecord) {
	critical := f.Level >= severity.Critical
	switch {
	case critical && done(f):
		t.criticalDone++
	case critical:
		t.criticalSeen++
	case done(f):
		t.highDone++
	}
	if done(f) && slices.Contains(familiesSending, family(f.Rule)) {
		t.sent++
	}
	if done(f) && slices.Contains(familiesStaying, family(f.Rule)) {
		t.planted++
	}
}

// assess suggests a severity by the criteria above.
func assess(t *tally) Assessment {
	a := Assessment{Level: "SEV4", Rule: ruleSEV4}
	switch {
	case t.criticalDone > 0 && t.sent+t.planted > 0:
		a = Assessment{Level: "SEV1", Rule: ruleSEV1}
	case t.criticalDone > 0:
		a = Assessment{Level: "SEV2", Rule: ruleSEV2}
	case t.criticalSeen+t.highDone > 0:
		a = Assessment{Level: "SEV3", Rule: ruleSEV3}
	}
	for _, c := range []struct {
		n    int
		what string
	}{
		{t.criticalDone, "critical: carried out"},
		{t.criticalSeen, "critical: asked for, said or found lying there"},
		{t.highDone, "high: carried out"},
		{t.sent, "of these, about sending data away"},
		{t.planted, "of these, about a way back in"},
	} {
		if c.n > 0 {
			a.Because = append(a.Because, fmt.Sprintf("%d %s", c.n, c.what))
		}
	}
	return a
}
