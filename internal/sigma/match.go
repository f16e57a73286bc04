package sigma

import (
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/severity"
)

// A Match is a rule that holds for a record, with the value that best shows why.
type Match struct {
	Rule        *Rule
	Level       severity.Level // the rule's, or what its "levels" put in its place
	Field       string         // "" if the rule holds by what is not there
	Layer, Text string         // the value
	Start, End  int            // where in Text it was found, in bytes
	Alert       bool           // false if the rule only feeds correlations
}

// A Matcher holds what matching needs for one goroutine.
type Matcher struct {
	set     *Set
	values  []scanned
	seen    []uint64 // a bit for each value and literal
	words   int      // of seen, for one value
	tried   []int    // by rule: the record on which it was last a candidate
	record  int
	current *Record
	try     []int
	memo    []outcome // by selection of the current rule
	matches []Match
	cut     int64
}

// scanned is a value of the record, after the automaton has been over it.
type scanned struct {
	*value
	id  int // the field's number, noField if no rule asks for it
	cut bool
}

const noField = -2

// evidence is a place in a value. Its rank is 2 for a part of a text, 1 for a whole value, 0 for none.
type evidence struct{ rank, value, start, end int }

// outcome is what a selection has come to.
type outcome struct {
	known, ok bool
	evidence  evidence
}

// NewMatcher returns a matcher for the set's rules.
func (s *Set) NewMatcher() *Matcher {
	return &Matcher{set: s, words: (len(s.triggers) + 63) / 64, tried: make([]int, len(s.rules))}
}

// Cut returns how many values have not been matched wholly, because of what a record may cost.
func (m *Matcher) Cut() int64 { return m.cut }

// Match returns the rules that hold for r, in the set's order. The result is valid until the next call.
func (m *Matcher) Match(r *Record) []Match {
	m.current = r
	m.record++
	m.try = append(append(m.try[:0], m.set.always[""]...), m.set.always[r.Category]...)
	if r.Category == "" {
		m.try = m.try[:len(m.set.always[""])]
	}
	m.values = m.values[:0]
	m.seen = slices.Grow(m.seen[:0], len(r.values)*m.words)[:len(r.values)*m.words]
	clear(m.seen)
	for i := range r.values {
		m.scan(i, &r.values[i])
	}
	slices.Sort(m.try)
	m.matches = m.matches[:0]
	for _, i := range m.try {
		m.rule(m.set.compiled[i])
	}
	return m.matches
}

func (m *Matcher) scan(i int, v *value) {
	id, ok := m.set.fields[v.field]
	if !ok {
		id = noField
	}
	m.values = append(m.values, scanned{value: v, id: id})
	if !ok && !m.set.keywords {
		return
	}
	seen := m.seen[i*m.words:][:m.words]
	note := func(word int32, _ int) {
		if seen[word/64]>>(word%64)&1 != 0 {
			return
		}
		seen[word/64] |= 1 << (word % 64)
		for _, t := range m.set.triggers[word] {
			if t.field == id || t.field == anyField {
				m.candidate(t.rule)
			}
		}
	}
	m.set.automaton.scan(v.text, note)
	if seen[0]&3 != 0 {
		m.set.automaton.scan(foldLiteral(v.text), note)
	}
}

func (m *Matcher) candidate(rule int) {
	category := m.set.rules[rule].Logsource.Category
	if m.tried[rule] != m.record && (category == "" || category == m.current.Category) {
		m.tried[rule] = m.record
		m.try = append(m.try, rule)
	}
}

// rule adds a match if the rule holds.
func (m *Matcher) rule(c *compiled) {
	m.memo = slices.Grow(m.memo[:0], len(c.selections))[:len(c.selections)]
	clear(m.memo)
	ok, e := m.eval(c, c.condition)
	if !ok {
		return
	}
	match := Match{Rule: c.Rule, Level: c.Level, Alert: c.alert}
	for _, l := range c.levels {
		if ok, _ := m.eval(c, l.condition); ok {
			match.Level = l.level
			break
		}
	}
	if e.rank > 0 {
		v := m.values[e.value]
		match.Field, match.Layer, match.Text, match.Start, match.End = v.field, v.layer, v.text, e.start, e.end
	}
	m.matches = append(m.matches, match)
}

// eval tells whether a part of a condition holds, and what shows it.
func (m *Matcher) eval(c *compiled, n *node) (bool, evidence) {
	switch n.op {
	case and:
		return m.count(c, n.kids, len(n.kids))
	case atLeast:
		return m.count(c, n.kids, n.n)
	case not:
		ok, _ := m.eval(c, n.kids[0])
		return !ok, evidence{}
	case selected:
		o := &m.memo[n.n]
		if !o.known {
			o.known = true
			o.ok, o.evidence = m.eval(c, c.selections[n.n])
		}
		return o.ok, o.evidence
	}
	return m.test(c, n.test)
}

// count tells whether at least so many of kids hold.
func (m *Matcher) count(c *compiled, kids []*node, least int) (bool, evidence) {
	var shown evidence
	for i, kid := range kids {
		if least > len(kids)-i {
			return false, evidence{}
		}
		ok, e := m.eval(c, kid)
		if !ok {
			continue
		}
		if e.rank > shown.rank {
			shown = e
		}
		if least--; least == 0 {
			return true, shown
		}
	}
	return least <= 0, shown
}

func (m *Matcher) test(c *compiled, t *test) (bool, evidence) {
	field := c.fields[t.index]
	switch t.kind {
	case "exists":
		return m.has(field) == t.exists, evidence{}
	case "null":
		return m.has(field) == t.neq, evidence{}
	case "fieldref":
		ok, e := m.fieldref(t, field)
		if t.neq {
			return !ok, evidence{}
		}
		return ok, e
	}
	ok, e := m.patterns(c, t, field)
	if t.neq {
		return !ok, evidence{}
	}
	return ok, e
}

func (m *Matcher) has(field int) bool {
	return slices.ContainsFunc(m.values, func(v scanned) bool { return v.id == field })
}

// patterns tells whether one of a test's patterns, or each, is found in a value of the field.
func (m *Matcher) patterns(c *compiled, t *test, field int) (bool, evidence) {
	var shown evidence
	for _, p := range t.patterns {
		e := m.pattern(c.need[p.index], p, field)
		if e.rank > shown.rank {
			shown = e
		}
		if found := e.rank > 0; found != t.all {
			return found, shown
		}
	}
	return t.all, shown
}

// pattern looks for a pattern in the values of a field.
func (m *Matcher) pattern(need [][]int32, p *pattern, field int) evidence {
	for i := range m.values {
		if v := &m.values[i]; (v.id == field || field == anyField) && m.possible(i, need) {
			if start, end, ok := p.find(v.text); ok {
				e := evidence{1, i, start, end}
				if p.shown {
					e.rank = 2
				}
				return e
			}
		}
	}
	return evidence{}
}

// possible reports whether a value has the literals that a pattern needs.
func (m *Matcher) possible(value int, need [][]int32) bool {
	seen := m.seen[value*m.words:][:m.words]
	for _, clause := range need {
		if !slices.ContainsFunc(clause, func(word int32) bool { return seen[word/64]>>(word%64)&1 != 0 }) {
			return false
		}
	}
	return true
}

// fieldref looks for the values of one field in those of another.
func (m *Matcher) fieldref(t *test, field int) (bool, evidence) {
	ref := m.set.fields[t.ref]
	for _, other := range m.values {
		if other.id != ref {
			continue
		}
		g := t.compare(strings.ToValidUTF8(other.text, "\uFFFD"))
		for i, v := range m.values {
			if v.id == field {
				if start, end, ok := g.find(v.text); ok {
					return true, evidence{1, i, start, end}
				}
			}
		}
	}
	return false, evidence{}
}
