package analyze

import (
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/severity"
	"github.com/clawbook/openclaw-ir/internal/sigma"
)

// installers are the hosts from which installing by a pipe into a shell is usual. What comes from them is still shown, at a
// lower level (DETECTIONS 5.1).
var installers = []string{
	"sh.rustup.rs", "raw.githubusercontent.com/nvm-sh", "raw.githubusercontent.com/homebrew", "astral.sh", "bun.sh", "deno.land", "get.docker.com", "openclaw.ai",
	"release.solana.com", "foundry.paradigm.xyz",
}

// A judge looks at events in the order of time, and turns what rules found into findings: how bad it is depends on who
// asked, on what came before, and on whether it was done.
type judge struct {
	found      findings
	correlator *sigma.Correlator
	talks      map[string]*talk // by session
	parents    map[string]string
	world      *world
	events     []*Event // of which correlations tell
	derive     *derivers
	injected   map[string]string // places of inputs in which a rule saw instructions to the agent, and the words
	after      []*Event          // deeds behind such inputs, in their turn
}

// A talk is what a session's course so far says of what comes next.
type talk struct {
	prompt   *Event // the last input by a message
	injected *Event // content of this turn in which a rule saw an instruction to the agent
}

func newJudge(set *sigma.Set, w *world) *judge {
	return &judge{correlator: set.NewCorrelator(), talks: map[string]*talk{}, parents: map[string]string{}, world: w, derive: newDerivers(w), injected: map[string]string{}}
}

// event takes the next event.
func (j *judge) event(e *Event) {
	t := j.talks[e.Session]
	if t == nil {
		t = &talk{}
		j.talks[e.Session] = t
	}
	if e.Asker.Kind == "agent" && e.Key != "" && e.Asker.Sender != "" && len(j.parents) < maxKnown {
		j.parents[e.Key] = "agent:" + strings.TrimPrefix(e.Asker.Sender, "agent:")
	}
	if e.Kind == KindMessage && e.Tool == "" && e.Target == "in" {
		t.prompt, t.injected = e, nil
	}
	if t.injected != nil && e.acts() && len(j.after) < maxAfter {
		j.after = append(j.after, e)
	}
	j.derive.event(e)
	for i := range e.hits {
		j.hit(e, &e.hits[i], t)
	}
	if i := slices.IndexFunc(e.hits, instructs); i >= 0 && isInput(e) {
		t.injected = e
		if len(j.injected) < maxKnown {
			j.injected[e.place()] = firstNonEmpty(e.hits[i].excerpt, e.hits[i].rule.Key())
		}
	}
}

// instructs reports a rule that saw instructions to the agent.
func instructs(h hit) bool { return family(h.rule) == "INJ" && h.level >= severity.Medium }

// hit makes a finding of a hit, if it is one by itself, and hands it to the correlations.
func (j *judge) hit(e *Event, h *hit, t *talk) {
	if h.alert {
		f := &Finding{Rule: h.rule, Level: h.level, Sink: sinkOf(h.category), Event: e, Time: e.Time, Field: h.field, Layer: h.layer, Excerpt: h.excerpt}
		if h.level != h.rule.Level {
			f.Adjusted = append(f.Adjusted, "the rule's own condition for this level")
		}
		j.adjust(f, h, t)
		j.found.add(f)
	}
	if !h.playedDown() {
		j.correlate(e, h)
	}
}

// playedDown reports a hit of a rule that takes it for harmless itself: it is shown, but nothing is built on it.
func (h *hit) playedDown() bool {
	return h.alert && h.level < severity.Medium && h.rule.Level >= severity.Medium
}

// adjust applies what holds for all rules (DETECTIONS 2, global severity modifiers).
func (j *judge) adjust(f *Finding, h *hit, t *talk) {
	e := f.Event
	done := f.Sink == SinkExecuted || f.Sink == SinkWritten || f.Sink == SinkSent
	switch {
	case !done:
	case isUntrusted(e) && j.world.trust(e) != TrustOwner:
		f.shift(+1, "asked by somebody who is not the owner")
	case t.injected != nil && before(t.injected, e):
		f.shift(+1, "in the same turn the agent had read instructions in "+t.injected.ID())
	}
	if done && t.injected == nil && j.askedFor(f, t) {
		f.shift(-1, "the owner had asked for this in these words")
	}
	if done && fromInstaller(h.excerpt) && family(h.rule) == "DLX" {
		f.shift(-1, "from a host of well-known installers")
	}
	switch e.Result.Status {
	case StatusDenied, StatusPending:
		f.shift(-1, "it did not run, as far as the record says")
	}
	if (f.Sink == SinkReturned || f.Sink == SinkRest) && !mayMention(h.rule) {
		f.cap(severity.Medium, "only mentioned")
	}
}

// mayMention reports the families for which a mention is the thing itself.
func mayMention(rule *sigma.Rule) bool {
	switch family(rule) {
	case "SUP", "MEM", "INJ", "PAI", "CFG", "INT", "GWY", "PER", "RSH":
		return true
	}
	return false
}

// fromInstaller reports whether everything that a text fetches comes from such hosts: one of them beside another address, or
// as the beginning of another host's name, excuses nothing.
func fromInstaller(text string) bool {
	text = strings.ToLower(text)
	urls := strings.Split(text, "://")[1:]
	return len(urls) == strings.Count(text, "curl ")+strings.Count(text, "wget ") && len(urls) > 0 &&
		!slices.ContainsFunc(urls, func(u string) bool { return !isInstaller(u) })
}

// isInstaller reports an address, without its scheme, of one of these hosts.
func isInstaller(address string) bool {
	return slices.ContainsFunc(installers, func(host string) bool {
		rest, ok := strings.CutPrefix(address, host)
		return ok && (rest == "" || strings.IndexByte("/ \t\n\"'`)|;&", rest[0]) >= 0)
	})
}

// askedFor reports whether the owner's last message holds the very command, or a path or address of it.
func (j *judge) askedFor(f *Finding, t *talk) bool {
	if t.prompt == nil || j.world.trust(t.prompt) != TrustOwner {
		return false
	}
	asked := strings.ToLower(t.prompt.What)
	if what := strings.ToLower(strings.TrimSpace(f.Event.What)); len(what) >= minValue && strings.Contains(asked, start(what, excerptBytes)) {
		return true
	}
	return slices.ContainsFunc(f.Event.values, func(v string) bool {
		return strings.ContainsAny(v, "/.@") && strings.Contains(asked, strings.ToLower(v))
	})
}

// correlate feeds the correlations: once for each combination of the values that the rule's records had.
func (j *judge) correlate(e *Event, h *hit) {
	ref := -1
	for _, values := range combinations(h.groups) {
		get := func(field string) string { return firstNonEmpty(values[field], j.common(e, field)) }
		if ref < 0 {
			ref = len(j.events)
			j.events = append(j.events, e)
		}
		for _, alert := range j.correlator.Add(e.Time, h.rule, get, ref) {
			j.alert(alert)
		}
	}
}

// alert makes a finding of what a correlation found.
func (j *judge) alert(a sigma.Alert) {
	f := &Finding{Rule: a.Rule, Level: a.Level, Sink: SinkExecuted, Time: a.First, Last: a.Last}
	for _, ref := range a.Refs {
		e := j.events[ref]
		if f.Event = e; len(f.Related) < maxRelated && !slices.Contains(f.Related, e.ID()) {
			f.Related = append(f.Related, e.ID())
		}
	}
	if f.Event == nil {
		return
	}
	if f.Event.Kind == KindLog {
		f.Sink = SinkLogged
	}
	if isUntrusted(f.Event) {
		f.shift(+1, "asked by somebody who is not the owner")
	}
	j.found.add(f)
}

// maxRelated bounds how many events a finding names.
const maxRelated = 12

// maxCombinations bounds what one event can add to the correlations.
const maxCombinations = 16

// combinations are the ways to take one value of each field.
func combinations(groups []Detail) []map[string]string {
	all := []map[string]string{{}}
	byField := map[string][]string{}
	var fields []string
	for _, g := range groups {
		if byField[g.Name] == nil {
			fields = append(fields, g.Name)
		}
		byField[g.Name] = append(byField[g.Name], g.Text)
	}
	for _, field := range fields {
		var next []map[string]string
		for _, have := range all {
			for _, v := range byField[field] {
				if len(next) == maxCombinations {
					break
				}
				one := map[string]string{field: v}
				for k, w := range have {
					one[k] = w
				}
				next = append(next, one)
			}
		}
		all = next
	}
	return all
}

// maxSpawns is how deep agents are followed to the session that started them all.
const maxSpawns = 16

// common is a field that events have by themselves.
func (j *judge) common(e *Event, field string) string {
	switch field {
	case "Session":
		return e.Session
	case "SessionKey":
		return e.Key
	case "SessionTree":
		key := e.Key
		for range maxSpawns {
			parent, ok := j.parents[key]
			if !ok {
				break
			}
			key = parent
		}
		return firstNonEmpty(key, e.Session)
	case "Agent":
		return e.Agent
	case "Sender":
		return e.Asker.Sender
	case "Channel":
		return e.Asker.Channel
	case "Tool":
		return e.Tool
	case "Target":
		return e.Target
	}
	return ""
}
