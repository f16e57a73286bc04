package sigma

import (
	"container/list"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"strconv"

	"github.com/clawbook/openclaw-ir/internal/severity"
)

// What a Correlator holds on to.
const (
	maxGroups = 20_000  // groups of all correlations
	maxHeld   = 500_000 // matches of all groups
	maxRefs   = 1_000   // matches that an alert names
)

// An Alert is a correlation that has come to hold.
type Alert struct {
	Rule        *Rule
	Level       severity.Level
	Refs        []int // as given to Add, in the order of time: the matches it is made of, or the last 1000 of them
	First, Last int64 // when the first and the last of them were, in milliseconds since 1970
}

// A Correlator joins matches over time. It is for one goroutine.
//
// A correlation is judged when a match arrives, over the matches of its group within the timespan before it. It
// alerts when its condition comes to hold, and again only after it has ceased to. A match without a value for a
// field of group-by is in no group.
type Correlator struct {
	set     *Set
	groups  map[groupKey]*list.Element
	byAge   *list.List // of *group, the one that was added to longest ago first
	held    int
	evicted int64
}

type groupKey struct {
	rule *Rule
	sum  [sha256.Size]byte // of the fields' values, which may be long
}

// group is what a correlation knows of one group of records.
type group struct {
	key    groupKey
	events []event
	counts map[uint64]int // events by what is counted
	firing bool           // the condition held after the last match
}

// event is a match, or the alert of a correlation that is part of another.
type event struct {
	at, first int64
	part      int     // which of the correlation's rules it is
	counted   uint64  // what is counted once: the rule, or the hash of the field's value
	number    float64 // what is summed
	refs      []int
}

// NewCorrelator returns a correlator that has seen no matches.
func (s *Set) NewCorrelator() *Correlator {
	return &Correlator{set: s, groups: make(map[groupKey]*list.Element), byAge: list.New()}
}

// Evicted returns how many groups and single matches were given up to stay within memory, oldest first. A correlation
// that needs them has been missed.
func (c *Correlator) Evicted() int64 { return c.evicted }

// Add adds a rule's match and returns the correlations that now come to hold. Matches must come in the order of time.
// The function get returns the first value of a field of the matched record; ref is the caller's name for it.
func (c *Correlator) Add(atMillis int64, rule *Rule, get func(field string) string, ref int) []Alert {
	return c.add(nil, event{at: atMillis, first: atMillis, refs: []int{ref}}, rule, get)
}

func (c *Correlator) add(alerts []Alert, e event, rule *Rule, get func(string) string) []Alert {
	for _, f := range c.set.feeds[rule] {
		e.part = f.part
		alert, ok := c.feed(f.to, e, get)
		if !ok {
			continue
		}
		if c.set.alerts(f.to) {
			alerts = append(alerts, alert)
		}
		alerts = c.add(alerts, event{at: alert.Last, first: alert.First, refs: alert.Refs}, f.to, get)
	}
	return alerts
}

// feed adds an event to its group and tells whether the correlation now comes to hold.
func (c *Correlator) feed(rule *Rule, e event, get func(string) string) (Alert, bool) {
	corr := rule.Correlation
	key, ok := keyOf(rule, e.part, get)
	if !ok || !e.read(corr, get) {
		return Alert{}, false
	}
	g := c.group(key)
	c.forget(g, e.at-corr.Timespan.Milliseconds())
	g.firing = g.firing && g.holds(corr) != nil
	g.events = append(g.events, e)
	g.counts[e.counted]++
	c.held += len(e.refs)
	c.evict()
	events := g.holds(corr)
	if events == nil || g.firing {
		return Alert{}, false
	}
	g.firing = true
	return newAlert(rule, events), true
}

func newAlert(rule *Rule, events []event) Alert {
	alert := Alert{Rule: rule, Level: rule.Level, First: events[0].first, Last: events[len(events)-1].at}
	for _, e := range events {
		alert.First = min(alert.First, e.first)
		for _, ref := range e.refs {
			if n := len(alert.Refs); n == 0 || alert.Refs[n-1] != ref { // one record may match several rules
				alert.Refs = append(alert.Refs, ref)
			}
		}
	}
	alert.Refs = alert.Refs[max(0, len(alert.Refs)-maxRefs):]
	return alert
}

// keyOf returns the group of a match; ok is false if it lacks a value for one of the fields.
func keyOf(rule *Rule, part int, get func(string) string) (key groupKey, ok bool) {
	corr := rule.Correlation
	var text []byte
	for _, name := range corr.GroupBy {
		value := get(corr.field(name, corr.Rules[part]))
		if value == "" {
			return key, false
		}
		text = binary.AppendUvarint(text, uint64(len(value)))
		text = append(text, value...)
	}
	return groupKey{rule, sha256.Sum256(text)}, true
}

// read takes what a correlation counts or sums. It is false if the record lacks it.
func (e *event) read(corr *Correlation, get func(string) string) bool {
	if corr.Field == "" {
		e.counted = uint64(e.part)
		return true
	}
	text := get(corr.field(corr.Field, corr.Rules[e.part]))
	if corr.Type == "value_count" {
		sum := sha256.Sum256([]byte(text))
		e.counted = binary.LittleEndian.Uint64(sum[:])
		return text != ""
	}
	var err error
	e.number, err = strconv.ParseFloat(text, 64)
	return err == nil && !math.IsNaN(e.number) && !math.IsInf(e.number, 0)
}

// group returns the group for a key, which is now the youngest.
func (c *Correlator) group(key groupKey) *group {
	element := c.groups[key]
	if element == nil {
		element = c.byAge.PushBack(&group{key: key, counts: make(map[uint64]int)})
		c.groups[key] = element
	}
	c.byAge.MoveToBack(element)
	return element.Value.(*group)
}

// forget drops a group's events from before a time, and the oldest of too many.
func (c *Correlator) forget(g *group, before int64) {
	n := 0
	for n < len(g.events) && g.events[n].at < before {
		n++
	}
	if len(g.events)-n >= maxEvents {
		n++
		c.evicted++
	}
	for _, e := range g.events[:n] {
		c.held -= len(e.refs)
		if g.counts[e.counted]--; g.counts[e.counted] == 0 {
			delete(g.counts, e.counted)
		}
	}
	clear(g.events[:n])
	g.events = g.events[n:]
}

// evict gives up the oldest groups while there are too many, or too many events in them. Groups whose time is over
// count too: that they are over is only known when the next match comes.
func (c *Correlator) evict() {
	for (len(c.groups) > maxGroups || c.held > maxHeld) && len(c.groups) > 1 {
		oldest := c.byAge.Front()
		g := c.byAge.Remove(oldest).(*group)
		delete(c.groups, g.key)
		for _, e := range g.events {
			c.held -= len(e.refs)
		}
		c.evicted++
	}
}

// holds returns the events that fulfil a correlation, nil if it is not fulfilled.
func (g *group) holds(corr *Correlation) []event {
	if len(g.events) == 0 {
		return nil
	}
	if corr.Type == "temporal_ordered" {
		return g.ordered(len(corr.Rules))
	}
	if corr.Type == "temporal" && len(corr.Condition) == 0 {
		if g.number(corr) == float64(len(corr.Rules)) {
			return g.events
		}
		return nil
	}
	if corr.keeps(g.number(corr)) {
		return g.events
	}
	return nil
}

// number returns what the condition is about.
func (g *group) number(corr *Correlation) float64 {
	switch corr.Type {
	case "event_count":
		return float64(len(g.events))
	case "value_count", "temporal":
		return float64(len(g.counts))
	}
	sum := 0.0
	for _, e := range g.events {
		sum += e.number
	}
	if corr.Type == "value_avg" {
		return sum / float64(len(g.events))
	}
	return sum
}

// ordered returns one event of each of n rules, in the rules' order: the last that ends with the group's last event.
func (g *group) ordered(n int) []event {
	chain := make([]event, n)
	for i := len(g.events) - 1; i >= 0; i-- {
		if g.events[i].part == n-1 {
			n--
			chain[n] = g.events[i]
		}
		if n == 0 {
			return chain
		}
	}
	return nil
}
