package sigma

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// The first literals of every automaton are the two runes outside of ASCII that are letters of ASCII in another case:
// a text with one of them is looked through again, with the letters in their place.
var oddRunes = []string{"ſ", "\u212a"}

// maxWords is how many bytes the literals of a set may have. SigmaHQ's rules for Linux and macOS have 30 KB. Each byte
// can take 1 KB of memory.
const maxWords = 300_000

// A Set is a collection of rules, compiled. It does not change and may be shared.
type Set struct {
	rules     []*Rule
	byKey     map[string]*Rule // names and IDs
	compiled  []*compiled      // in the order of rules; nil for rules that are not applied to records
	fields    map[string]int   // numbers of the fields that rules ask for
	keywords  bool             // some rule asks for every field
	automaton *automaton
	triggers  [][]trigger      // by literal: the rules to be tried when it is found
	placed    []bool           // by literal: some expression's matches begin with it
	always    map[string][]int // by category: the rules to be tried on every record
	feeds     map[*Rule][]feed // which correlations a rule is part of
	patterns  int              // of all rules
}

// compiled is a rule with its parts numbered as in the set.
type compiled struct {
	*Rule
	alert  bool
	first  int         // number of the first of its patterns
	fields []int       // by test
	need   [][][]int32 // by pattern: literals of which one in each list must be there
	begin  [][]int32   // by pattern: literals of which one stands where a match begins, sorted
}

// A trigger is a rule to be tried when a literal stands in a field, or in any field if that is anyField.
type trigger struct{ rule, field int }

const anyField = -1

// NewSet compiles rules. Names and IDs must be unique, and correlations refer to rules of the set without going in
// circles.
func NewSet(rules []*Rule) (*Set, error) {
	s := &Set{
		rules: rules, byKey: make(map[string]*Rule), fields: make(map[string]int),
		always: make(map[string][]int), feeds: make(map[*Rule][]feed),
	}
	if err := errors.Join(s.index(), s.connect()); err != nil {
		return nil, err
	}
	b := setBuilder{set: s, ids: make(map[string]int32)}
	for _, odd := range oddRunes {
		b.literal(odd)
	}
	for i, r := range rules {
		s.compiled = append(s.compiled, nil)
		if r.Inactive == "" && r.Correlation == nil {
			s.compiled[i] = b.rule(i, r)
		}
	}
	if size := len(strings.Join(b.words, "")); size > maxWords {
		return nil, fmt.Errorf("%d rules with %d bytes of literals, more than %d", len(rules), size, maxWords)
	}
	s.automaton = newAutomaton(b.words)
	return s, nil
}

// Rules returns all rules in the order they were given.
func (s *Set) Rules() []*Rule { return s.rules }

// Rule returns the rule with this name or ID, or nil.
func (s *Set) Rule(key string) *Rule { return s.byKey[key] }

func (s *Set) index() error {
	var errs []error
	for _, r := range s.rules {
		keys := []string{r.Name, r.ID}
		if r.Name == r.ID {
			keys = keys[1:]
		}
		for _, key := range keys {
			if other := s.byKey[key]; other != nil {
				errs = append(errs, fmt.Errorf("%s: %q is also in %s", r.File, key, other.File))
			} else if key != "" {
				s.byKey[key] = r
			}
		}
	}
	return errors.Join(errs...)
}

// setBuilder numbers literals.
type setBuilder struct {
	set   *Set
	ids   map[string]int32
	words []string
}

func (b *setBuilder) literal(word string) int32 {
	id, ok := b.ids[word]
	if !ok {
		id = int32(len(b.words))
		b.ids[word] = id
		b.words = append(b.words, word)
		b.set.triggers = append(b.set.triggers, nil)
		b.set.placed = append(b.set.placed, false)
	}
	return id
}

func (b *setBuilder) literals(words []string) (ids []int32) {
	for _, word := range words {
		ids = append(ids, b.literal(word))
	}
	return ids
}

func (b *setBuilder) field(name string) int {
	if name == "" {
		b.set.keywords = true
		return anyField
	}
	id, ok := b.set.fields[name]
	if !ok {
		id = len(b.set.fields)
		b.set.fields[name] = id
	}
	return id
}

func (b *setBuilder) rule(i int, r *Rule) *compiled {
	c := &compiled{Rule: r, alert: b.set.alerts(r), first: b.set.patterns}
	b.set.patterns += len(r.patterns)
	for _, t := range r.tests {
		c.fields = append(c.fields, b.field(t.field))
		if t.ref != "" {
			b.field(t.ref)
		}
	}
	for _, p := range r.patterns {
		var need [][]int32
		for _, clause := range p.need {
			need = append(need, b.literals(clause))
		}
		c.need = append(c.need, need)
		var begin []int32
		if p.regex != nil {
			begin = b.literals(p.regex.begin)
		}
		slices.Sort(begin)
		for _, id := range begin {
			b.set.placed[id] = true
		}
		c.begin = append(c.begin, begin)
	}
	b.trigger(i, c)
	return c
}

// trigger has a rule tried when one of the literals is found that it needs, or always if it needs none.
func (b *setBuilder) trigger(i int, c *compiled) {
	needs := c.needs(c.condition)
	if needs == nil {
		b.set.always[c.Logsource.Category] = append(b.set.always[c.Logsource.Category], i)
		return
	}
	for _, n := range needs {
		list := &b.set.triggers[b.ids[n.word]]
		if t := (trigger{i, n.field}); !slices.Contains(*list, t) {
			*list = append(*list, t)
		}
	}
}

// fieldWord is a literal in a field.
type fieldWord struct {
	field int
	word  string
	class bool // the field says what class of record it is
}

// classes are fields whose values every record of a kind has: a long word there is no rarer than a short one.
var classes = []string{"Category", "EventType", "Role", "Tool", "Trust", "Asker", "SessionKind", "Sink", "Status", "Level", "State", "Action", "Format"}

// needs returns literals of which one is in every record for which n holds, nil if there are no such.
func (c *compiled) needs(n *node) []fieldWord {
	switch n.op {
	case selected:
		return c.needs(c.selections[n.n])
	case tested:
		return c.testNeeds(n.test)
	case and:
		var chosen []fieldWord
		for _, kid := range n.kids {
			if needs := c.needs(kid); needs != nil && (chosen == nil || rarer(needs, chosen)) {
				chosen = needs
			}
		}
		return chosen
	case atLeast:
		return union(len(n.kids), func(i int) []fieldWord { return c.needs(n.kids[i]) })
	}
	return nil
}

// testNeeds takes the rarest literals of each pattern. Of a test for all patterns one would do, and the rarest does.
func (c *compiled) testNeeds(t *test) []fieldWord {
	if t.neq || len(t.patterns) == 0 {
		return nil
	}
	of := func(i int) (needs []fieldWord) {
		for _, word := range best(t.patterns[i].need) {
			needs = append(needs, fieldWord{c.fields[t.index], word, slices.Contains(classes, t.field)})
		}
		return needs
	}
	if !t.all {
		return union(len(t.patterns), of)
	}
	var chosen []fieldWord
	for i := range t.patterns {
		if needs := of(i); needs != nil && (chosen == nil || rarer(needs, chosen)) {
			chosen = needs
		}
	}
	return chosen
}

// union joins n lists, unless one of them is nil.
func union(n int, list func(int) []fieldWord) (all []fieldWord) {
	for i := range n {
		needs := list(i)
		if needs == nil {
			return nil
		}
		all = append(all, needs...)
	}
	return all
}

// rarer guesses which of two lists fewer records fulfil.
func rarer(a, b []fieldWord) bool {
	class := func(f fieldWord) bool { return f.class }
	if x, y := slices.ContainsFunc(a, class), slices.ContainsFunc(b, class); x != y {
		return y
	}
	words := func(list []fieldWord) (words []string) {
		for _, f := range list {
			words = append(words, f.word)
		}
		return words
	}
	return expected(words(a)) < expected(words(b))
}
