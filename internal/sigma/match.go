package sigma

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/clawbook/openclaw-ir/internal/severity"
)

// What matching one record may cost. A unit is the work on one byte, about 2 ns; a record's units and its scan
// together keep it under 50 ms. Values that this cuts are counted.
const (
	maxScan    = 1 << 20  // bytes of all values; of a value that is longer, its start and its end
	maxUnits   = 10 << 20 // for a record
	maxPattern = 3 << 20  // of them for one pattern
	maxEffort  = 20 << 20 // for a record that is made to cost more than is charged
	maxMemory  = 8 << 20  // entries of the tables that a matcher keeps from record to record
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
	set      *Set
	record   *Record
	number   int // of the record, from 1
	parts    []scanned
	words    int      // of seen, for one part
	seen     []uint64 // a bit for each part and literal
	sighting sighting
	places   []place
	tried    []int // by rule: the number of the record on which it was last a candidate
	try      []int
	memo     []outcome // by selection of the current rule
	lazies   []*lazy   // by pattern: of the relaxed program and the exact one
	memory   int       // entries of their tables
	scan     int       // bytes that may still be scanned
	budget   budget
	matches  []Match
	cut      int64
}

// scanned is a value of the record, or one of the two parts of it that are looked at.
type scanned struct {
	part   part
	value  *value
	places []place // of literals with which matches begin
	odd    bool    // there may be more of them
	base   int     // where in the value the part starts
	id     int     // the field's number, noField if no rule asks for it
	cut    bool
}

const noField = -2

// evidence is a place in a part. Its rank is 2 for a piece of a text, 1 for a whole value, 0 for none.
type evidence struct {
	rank, part, start, end int
	regex                  *regex // where start is not known yet
}

// outcome is what a selection has come to.
type outcome struct {
	known, ok bool
	evidence  evidence
}

// NewMatcher returns a matcher for the set's rules.
func (s *Set) NewMatcher() *Matcher {
	return &Matcher{
		set: s, words: (len(s.triggers) + 63) / 64,
		tried: make([]int, len(s.rules)), lazies: make([]*lazy, 2*s.patterns),
	}
}

// Cut returns how many values have not been matched wholly, because of what a record may cost.
func (m *Matcher) Cut() int64 { return m.cut }

// Match returns the rules that hold for r, in the set's order. The result is valid until the next call.
func (m *Matcher) Match(r *Record) []Match {
	m.record, m.scan, m.budget = r, maxScan, budget{maxUnits, maxEffort}
	m.number++
	m.forget()
	m.try = append(m.try[:0], m.set.always[""]...)
	if r.Category != "" {
		m.try = append(m.try, m.set.always[r.Category]...)
	}
	m.split()
	for i := range m.parts {
		m.find(i)
	}
	slices.Sort(m.try)
	clear(m.matches)
	m.matches = m.matches[:0]
	for _, i := range m.try {
		m.rule(m.set.compiled[i])
	}
	m.count()
	return m.matches
}

// forget drops the automatons of expressions when they have grown large.
func (m *Matcher) forget() {
	if m.memory > maxMemory {
		clear(m.lazies)
		m.memory = 0
	}
}

// count counts the values of which some was cut.
func (m *Matcher) count() {
	var last *value
	for _, p := range m.parts {
		if p.cut && p.value != last {
			m.cut++
			last = p.value
		}
	}
}

// split takes the record's values, or of those that are too long the start and the end.
func (m *Matcher) split() {
	clear(m.parts)
	m.parts = m.parts[:0]
	m.places = m.places[:0]
	for i := range m.record.values {
		v := &m.record.values[i]
		id, ok := m.set.fields[v.field]
		switch {
		case !ok && !m.set.keywords:
			continue
		case !ok:
			id = noField
		}
		if len(v.text) <= m.scan {
			m.parts = append(m.parts, scanned{part: whole(v.text), value: v, id: id})
			m.scan -= len(v.text)
			continue
		}
		head, tail := m.scan/4*3, len(v.text)-m.scan/4
		for head > 0 && !utf8.RuneStart(v.text[head]) {
			head--
		}
		before, _ := utf8.DecodeLastRuneInString(v.text[:tail])
		m.parts = append(m.parts,
			scanned{part: part{v.text[:head], -1, true}, value: v, id: id, cut: true},
			scanned{part: part{v.text[tail:], before, false}, value: v, id: id, cut: true, base: tail})
		m.scan = 0
	}
	m.seen = slices.Grow(m.seen[:0], len(m.parts)*m.words)[:len(m.parts)*m.words]
	clear(m.seen)
}

// find notes the literals in a part, and the rules to be tried for them.
func (m *Matcher) find(i int) {
	p := &m.parts[i]
	s := &m.sighting
	s.text, s.seen, s.placed, s.loose, s.fresh = p.part.text, m.seen[i*m.words:][:m.words], m.set.placed, false, s.fresh[:0]
	for n := range s.places {
		s.places[n] = s.places[n][:0]
	}
	m.set.automaton.scan(s)
	from := len(m.places)
	m.places = s.appendPlaces(m.places)
	p.places = m.places[from:]
	if s.seen[0]&(1<<len(oddRunes)-1) != 0 {
		s.text, s.loose, p.odd = foldLiteral(p.part.text), true, true
		m.set.automaton.scan(s)
	}
	for _, word := range m.sighting.fresh {
		for _, t := range m.set.triggers[word] {
			if t.field == p.id || t.field == anyField {
				m.candidate(t.rule)
			}
		}
	}
}

func (m *Matcher) candidate(rule int) {
	category := m.set.rules[rule].Logsource.Category
	if m.tried[rule] != m.number && (category == "" || category == m.record.Category) {
		m.tried[rule] = m.number
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
		p := m.parts[e.part]
		match.Field, match.Layer, match.Text = p.value.field, p.value.layer, p.value.text
		match.Start, match.End = m.locate(p, e)
	}
	m.matches = append(m.matches, match)
}

// locate returns where in the value a match is. Of a regular expression only the end is known; it is looked for in
// the text before, as far as a reader would want to see it quoted.
func (m *Matcher) locate(p scanned, e evidence) (start, end int) {
	const before, after = 2048, 512
	text := p.value.text
	start, end = p.base+e.start, p.base+e.end
	if e.regex == nil {
		return start, end
	}
	from, to := max(0, end-before), min(len(text), end+after)
	cost := (to - from) * (10 + len(e.regex.exact.Inst)/20)
	if m.budget.units -= cost; m.budget.units > 0 {
		if at := e.regex.where().FindStringIndex(text[from:to]); at != nil {
			return from + at[0], from + at[1]
		}
	}
	return max(from, end-after), end
}

// eval tells whether a part of a condition holds, and what shows it.
func (m *Matcher) eval(c *compiled, n *node) (bool, evidence) {
	switch n.op {
	case and:
		return m.atLeast(c, n.kids, len(n.kids))
	case atLeast:
		return m.atLeast(c, n.kids, n.n)
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
	ok, e := m.test(c, n.test)
	if n.test.neq {
		return !ok, evidence{}
	}
	return ok, e
}

// atLeast tells whether so many of kids hold.
func (m *Matcher) atLeast(c *compiled, kids []*node, least int) (bool, evidence) {
	var shown evidence
	for i, kid := range kids {
		if least > len(kids)-i {
			break
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
	return false, evidence{}
}

func (m *Matcher) test(c *compiled, t *test) (bool, evidence) {
	field := c.fields[t.index]
	switch t.kind {
	case "exists":
		return m.has(field) == t.exists, evidence{}
	case "null":
		return !m.has(field), evidence{}
	case "fieldref":
		return m.fieldref(t, field)
	}
	return m.patterns(c, t, field)
}

func (m *Matcher) has(field int) bool {
	return slices.ContainsFunc(m.parts, func(p scanned) bool { return p.id == field })
}

// patterns tells whether one of a test's patterns, or each, is found in a value of the field.
func (m *Matcher) patterns(c *compiled, t *test, field int) (bool, evidence) {
	var shown evidence
	for _, p := range t.patterns {
		e := m.pattern(c, p, field)
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
func (m *Matcher) pattern(c *compiled, p *pattern, field int) evidence {
	for i := range m.parts {
		if id := m.parts[i].id; (id != field && field != anyField) || !m.possible(i, c.need[p.index]) {
			continue
		}
		if e := m.place(c, p, i); e.rank > 0 {
			return e
		}
	}
	return evidence{}
}

// possible reports whether a part has the literals that a pattern needs.
func (m *Matcher) possible(part int, need [][]int32) bool {
	seen := m.seen[part*m.words:][:m.words]
	for _, clause := range need {
		if !slices.ContainsFunc(clause, func(word int32) bool { return seen[word/64]>>(word%64)&1 != 0 }) {
			return false
		}
	}
	return true
}

// place looks for a pattern in a part.
func (m *Matcher) place(c *compiled, p *pattern, i int) evidence {
	s := &m.parts[i]
	e := evidence{rank: 1, part: i, regex: p.regex}
	if p.shown {
		e.rank = 2
	}
	var ok bool
	if p.regex == nil {
		if m.budget.units -= len(s.part.text); m.budget.units < 0 {
			s.cut = true
			return evidence{}
		}
		e.start, e.end, ok = p.matcher.find(s.part)
	} else {
		e.end, ok = m.regex(c.first+p.index, c.begin[p.index], p.regex, s)
	}
	if !ok {
		return evidence{}
	}
	return e
}

// regex tells where the first match of an expression ends in a part.
func (m *Matcher) regex(index int, begin []int32, re *regex, s *scanned) (end int, ok bool) {
	limit := min(m.budget.units, maxPattern)
	b := budget{limit, m.budget.effort}
	at := places{s.places, begin}
	if s.odd {
		at.words = nil
	}
	ok, whole := true, true
	if re.relaxed != nil {
		_, ok, whole = m.run(&m.lazies[2*index], re.relaxed, s.part, at, &b)
	}
	if ok {
		end, ok, whole = m.run(&m.lazies[2*index+1], re.exact, s.part, at, &b)
	}
	m.budget = budget{m.budget.units - (limit - b.units), b.effort}
	s.cut = s.cut || !whole
	return end, ok
}

// run runs a program's automaton, which it makes if there is none yet.
func (m *Matcher) run(l **lazy, p *program, of part, at places, b *budget) (end int, ok, whole bool) {
	if *l == nil {
		*l = newLazy(p)
	}
	size := len((*l).table)
	end, ok, whole = (*l).find(of, at, m.number, b)
	m.memory += len((*l).table) - size
	return end, ok, whole
}

// maxRef is how long a value may be, in bytes, to be compared with another field's.
const maxRef = 4 << 10

// fieldref looks for the values of one field in those of another.
func (m *Matcher) fieldref(t *test, field int) (bool, evidence) {
	ref := m.set.fields[t.ref]
	for i := range m.parts {
		for j := range m.parts {
			value, other := &m.parts[i], &m.parts[j]
			if value.id != field || other.id != ref {
				continue
			}
			if m.budget.units -= len(value.part.text); len(other.part.text) > maxRef || m.budget.units < 0 {
				other.cut = true
				continue
			}
			g := t.compare(strings.ToValidUTF8(other.part.text, "\uFFFD"))
			if start, end, ok := g.find(value.part); ok {
				return true, evidence{rank: 1, part: i, start: start, end: end}
			}
		}
	}
	return false, evidence{}
}
