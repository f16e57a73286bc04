package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/severity"
)

// A summary is the case in plain words. Its strings are safe to show.
type summary struct {
	Worst   string // style of the verdict: a level, or none
	Verdict string
	Advice  string
	Gravest []findingCard // at high or above, one a rule
	When    []string
	HowBad  []string
	Steps   []step
}

// Drill reports that steps were only simulated.
func (s *summary) Drill() bool {
	return slices.ContainsFunc(s.Steps, func(st step) bool { return st.Simulated > 0 })
}

// A step is one part of the runbook, and whether the custody log tells of it.
type step struct {
	Name, Means string
	Count       int
	Failed      int // or done in part
	Simulated   int // in a drill
	Undone      bool
	Last        time.Time
	LastAction  string
	Type        string // what to type if it was not done
}

// maxGravest and maxInstalls bound what the summary names one by one.
const (
	maxGravest  = 4
	maxInstalls = 10
)

func summarize(v *pageView) summary {
	s := summary{Worst: "none", When: whenWords(v), HowBad: badWords(v), Steps: stepsOf(v.Story)}
	worst := severity.Info
	for i := range v.Groups {
		if v.Groups[i].Total > 0 {
			worst, s.Worst = v.Groups[i].Level, v.Groups[i].Level.String()
			break
		}
	}
	if s.Verdict, s.Advice = verdict(worst); v.Total == 0 && len(v.Coverage.Sources) == 0 {
		s.Verdict, s.Advice = "No evidence was read", "So nothing is known of what happened. Type: openclaw-ir report --help"
	}
	for i := range v.Groups {
		if g := &v.Groups[i]; g.Grave() {
			s.Gravest = gravest(gravest(s.Gravest, g.Cards, true), g.Cards, false)
		}
	}
	return s
}

// verdict never says that nothing happened.
func verdict(worst severity.Level) (says, advice string) {
	const unknown = "This does not show that nothing happened: what could not be read is listed under “What was read”."
	switch worst {
	case severity.Critical:
		return "There are critical signs of an intrusion",
			"Act as if the host, and every secret it held, is in somebody else’s hands, until each sign below is explained."
	case severity.High:
		return "There are grave signs",
			"Something was done, tried or read here that rarely has a harmless reason. Go through the findings one by one before anything is started again."
	case severity.Medium:
		return "Nothing grave was found, but some things need a look", unknown
	}
	return "No grave sign was found in what could be read", unknown
}

// gravest adds the first finding of each rule, of what was carried out or of the rest.
func gravest(list, cards []findingCard, carried bool) []findingCard {
	for _, c := range cards {
		if done(c.FindingRecord) != carried {
			continue
		}
		if len(list) < maxGravest && !slices.ContainsFunc(list, func(have findingCard) bool { return have.Rule == c.Rule }) {
			list = append(list, c)
		}
	}
	return list
}

func whenWords(v *pageView) []string {
	var words []string
	in := &v.Incident
	if in.Noticed != "" || in.At != "" {
		words = append(words, "Noticed: "+say(cmp.Or(in.Noticed, "something unusual"))+atWords(in.At))
	}
	if in.First.IsZero() {
		return append(words, "The evidence points to no time.")
	}
	span := in.Last.Sub(in.First)
	if span < time.Second {
		return append(words, "The grave signs are of "+when(in.First)+" UTC.")
	}
	return append(words, "The grave signs run from "+when(in.First)+" to "+when(in.Last)+" UTC ("+console.Duration(span)+").")
}

func atWords(at string) string {
	if at == "" {
		return ""
	}
	return " (" + say(at) + ")"
}

func badWords(v *pageView) []string {
	var words []string
	for i := range v.Installations[:min(len(v.Installations), maxInstalls)] {
		in := &v.Installations[i]
		version, user := own(cmp.Or(in.Version, "of an unknown version")), own(cmp.Or(in.User, "an unknown user"))
		words = append(words, fmt.Sprintf("OpenClaw %s of %s: %s.", version, user, reachWords(in.Beyond)))
	}
	if n := len(v.Exposures); n > 0 {
		words = append(words, plural(n, "known vulnerability", "known vulnerabilities")+" could have been used while its version ran.")
	}
	if gaps := gapWords(v); gaps != "" {
		words = append(words, "Not everything could be read: "+gaps+". See “What was read”.")
	}
	return words
}

// gapWords counts what is missing from what was read.
func gapWords(v *pageView) string {
	var words []string
	for _, c := range []struct {
		n         int
		one, many string
	}{
		{len(gapsOf(v.Story)), "gap", "gaps"},
		{int(v.Coverage.Unparsed), "record not understood", "records not understood"},
		{int(v.Coverage.Cut), "text matched in part", "texts matched in part"},
		{len(v.Coverage.Missing), "part of this report missing", "parts of this report missing"},
	} {
		if c.n > 0 {
			words = append(words, plural(c.n, c.one, c.many))
		}
	}
	return strings.Join(words, ", ")
}

func reachWords(beyond string) string {
	switch beyond {
	case "yes":
		return "its gateway could be reached from other machines"
	case "no":
		return "its gateway could be reached from this machine only"
	}
	return "the evidence does not tell from where its gateway could be reached"
}

// looking are the subcommands that change nothing.
var looking = []string{"--dry-run", "list", "open", "status", "verify"}

func (st *step) take(a *Action) {
	st.Count++
	st.Last, st.LastAction = a.Time, a.Action
	st.Undone = strings.HasSuffix(a.Action, " undo") || strings.HasSuffix(a.Action, " thaw")
	switch {
	case a.Result == "simulated":
		st.Simulated++
	case a.Result == "failed", a.Exit != nil && *a.Exit != 0:
		st.Failed++
	}
}

// stepsOf says which parts of the runbook the custody log tells of.
func stepsOf(s *Story) []step {
	steps := []step{
		{Name: "contain", Means: "the agent stopped, the host closed", Type: "sudo openclaw-ir contain"},
		{Name: "collect", Means: "the evidence sealed", Type: "sudo openclaw-ir collect"},
		{Name: "rotate", Means: "secrets replaced", Type: "sudo openclaw-ir rotate"},
	}
	for i := range s.Actions {
		a := &s.Actions[i]
		verb, rest, _ := strings.Cut(a.Action, " ")
		n := slices.IndexFunc(steps, func(st step) bool { return st.Name == verb })
		if n >= 0 && a.Result != "begun" && !slices.Contains(looking, rest) {
			steps[n].take(a)
		}
	}
	return steps
}
