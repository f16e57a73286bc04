package report

import (
	"cmp"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/analyze"
	"github.com/clawbook/openclaw-ir/internal/severity"
)

// How many findings the page shows one by one, in all and of one rule, and how many events without the script. What is
// provoked many times must leave room for what comes once.
const (
	maxCards  = 600
	maxOfRule = 20
	maxPlain  = 300
	maxOpen   = 3 // chains that are shown from the start
)

// A findingCard is a finding as the page shows it.
type findingCard struct {
	*analyze.FindingRecord
	N     int // from 1
	At    int // its event in the timeline; -1 if it is not there
	Chain []chainStep
	Open  bool // whether the chain is shown from the start
}

// A chainStep is one box of a cause chain: an input, what carried it on, or at the end what was done.
type chainStep struct {
	Role  string
	Trust string
	What  string // what it is and whose
	Text  string
	Rec   *analyze.Record
	At    int // its event in the timeline; -1 if it is not there
	Deed  bool
}

// A levelGroup is the findings of one level.
type levelGroup struct {
	Level  severity.Level
	Total  int
	Cards  []findingCard
	Hidden []hiddenRule
}

// A hiddenRule counts the findings of a rule that are not shown one by one.
type hiddenRule struct {
	Rule, Title string
	Count       int
}

// Grave reports a level whose findings are shown open.
func (g *levelGroup) Grave() bool { return g.Level >= severity.High }

// groupFindings sorts findings into levels, the worst first, chooses those to be shown and marks the events of all.
func groupFindings(s *Story, t *timelineData) []levelGroup {
	groups := make([]levelGroup, severity.Critical+1)
	for i := range groups {
		groups[i].Level = severity.Critical - severity.Level(i)
	}
	x, shown, ofRule := indexEvents(t.events), 0, map[string]int{}
	hidden := make([]map[string]*hiddenRule, len(groups))
	for i := range s.Findings {
		f := &s.Findings[i]
		n := int(severity.Critical - min(max(f.Level, severity.Info), severity.Critical))
		g := &groups[n]
		g.Total++
		if ofRule[f.Rule]++; ofRule[f.Rule] > maxOfRule || shown == maxCards {
			hidden[n] = hide(hidden[n], f)
			t.mark(x, f, 0)
			continue
		}
		shown++
		card := findingCard{FindingRecord: f, N: shown, At: t.mark(x, f, shown)}
		card.Chain = chainOf(f, x)
		card.Open = f.Level >= severity.High && ofRule[f.Rule] == 1 && shown <= maxOpen
		g.Cards = append(g.Cards, card)
	}
	for i := range groups {
		groups[i].Hidden = mostHidden(hidden[i])
		groups[i].Total = max(groups[i].Total, s.Counts[groups[i].Level.String()])
	}
	return groups
}

func hide(hidden map[string]*hiddenRule, f *analyze.FindingRecord) map[string]*hiddenRule {
	if hidden == nil {
		hidden = map[string]*hiddenRule{}
	}
	if hidden[f.Rule] == nil {
		hidden[f.Rule] = &hiddenRule{Rule: f.Rule, Title: f.Title}
	}
	hidden[f.Rule].Count++
	return hidden
}

func mostHidden(hidden map[string]*hiddenRule) []hiddenRule {
	var list []hiddenRule
	for _, h := range hidden {
		list = append(list, *h)
	}
	slices.SortFunc(list, func(a, b hiddenRule) int { return cmp.Or(b.Count-a.Count, strings.Compare(a.Rule, b.Rule)) })
	return list
}

// chainOf is what led to a finding, the input first and the deed last; empty if no cause was found.
func chainOf(f *analyze.FindingRecord, x *eventIndex) []chainStep {
	if f.Cause == nil || len(f.Cause.Chain) == 0 {
		return nil
	}
	var chain []chainStep
	for i := range f.Cause.Chain {
		l := &f.Cause.Chain[i]
		chain = append(chain, chainStep{roleOf(l.Role), l.Trust, whatLinkIs(l), l.Quote, &l.Event, x.find(&l.Event), false})
	}
	deed := chainStep{Role: f.Deed, What: f.Path, Text: f.Excerpt, At: -1, Deed: true}
	if f.Event != nil {
		deed.What, deed.Text, deed.Rec = "the agent’s own "+string(f.Event.Kind), textOf(f.Event), f.Event
		deed.At = x.find(f.Event)
	}
	return append(chain, deed)
}

// textOf is what an event says of what was done; of a result, which call returned it.
func textOf(e *analyze.Record) string {
	if e.Kind == analyze.KindResult {
		return strings.TrimSpace(e.Tool + " " + e.Target)
	}
	return e.What
}

// whatLinkIs says in words what an input was, and whose.
func whatLinkIs(l *analyze.LinkRecord) string {
	e := &l.Event
	switch {
	case e.Kind == analyze.KindMessage && l.Input:
		return "message of " + e.Asker.String()
	case e.Kind == analyze.KindResult:
		return "what " + cmp.Or(strings.TrimSpace(e.Tool+" "+e.Target), "a tool") + " returned"
	}
	return "the agent’s own " + string(e.Kind)
}

// Tie says in words what ties a finding to where its chain begins. It is safe to show.
func (c *findingCard) Tie() string {
	var words string
	switch cause := c.Cause; {
	case cause.Grade == analyze.GradeValue:
		words = "Tied by “" + brief(cause.Value) + "”, which first appears there."
	case cause.Grade == analyze.GradeTurn && len(cause.Chain) > 0 && cause.Chain[0].Event.Kind == analyze.KindMessage:
		words = "The agent acted in answer to this message."
	case cause.Grade == analyze.GradeTurn:
		words = "The agent read it in the turn in which it acted."
	case cause.Grade == analyze.GradeSession:
		words = "It came earlier in the session; nothing ties it closer."
	default:
		words = "No cause was found."
	}
	if c.Cause.Note != "" {
		words += " Note: " + say(c.Cause.Note) + "."
	}
	return words
}

// roleOf says in words what a link is in its chain.
func roleOf(r analyze.Role) string {
	switch r {
	case analyze.RoleCause:
		return "where it began"
	case analyze.RoleCarried:
		return "carried on by"
	case analyze.RolePrompt:
		return "the agent was answering"
	}
	return string(r)
}

// A trust is whose input something was: the word, a name for the style, and what the word means.
type trust struct{ Word, Style, Means string }

var trusts = []trust{
	{analyze.TrustOwner, analyze.TrustOwner, "the owner, as far as the record tells"},
	{analyze.TrustPaired, analyze.TrustPaired, "somebody who was let in"},
	{analyze.TrustUnknown, analyze.TrustUnknown, "a sender who is on no list"},
	{analyze.TrustExternal, analyze.TrustExternal, "content that others wrote"},
	{analyze.TrustSystem, analyze.TrustSystem, "a schedule, another agent or OpenClaw itself"},
}

func allTrusts() []trust { return trusts }

func trustOf(word string) trust {
	if i := slices.IndexFunc(trusts, func(t trust) bool { return t.Word == word }); i >= 0 {
		return trusts[i]
	}
	return trust{Word: say(word), Style: "other"}
}

// plainEvents are the events of findings, the worst ones if they are too many, for a page without script and on paper.
func (t *timelineData) plainEvents() []int {
	var list []int
	for i, level := range t.levels {
		if level > 0 {
			list = append(list, i)
		}
	}
	if len(list) > maxPlain {
		slices.SortStableFunc(list, func(a, b int) int { return int(t.levels[b]) - int(t.levels[a]) })
		list = list[:maxPlain]
		slices.Sort(list)
	}
	return list
}
