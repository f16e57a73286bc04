package sigma

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"
)

// A Correlation is a rule about several matches of other rules: so many of them, or all of them, in one group of
// records and within a time.
type Correlation struct {
	Type      string // event_count, value_count, value_sum, value_avg, temporal or temporal_ordered
	Rules     []string
	GroupBy   []string // names of fields or of Aliases
	Timespan  time.Duration
	Field     string                       // the field whose values are counted or summed
	Condition []Limit                      // all of which the number must keep; none for temporal_ordered
	Aliases   map[string]map[string]string // by alias and name or ID of a rule: the field
	Generate  bool                         // the rules referred to are findings by themselves too
}

// A Limit compares a number as one of Sigma's operators does: gt, gte, lt, lte, eq, neq.
type Limit struct {
	Operator string
	Value    float64
}

// maxEvents is how many matches a group of a correlation holds on to.
const maxEvents = 10_000

var timespans = map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}

// parseCorrelation reads a correlation rule.
func (r *Rule) parseCorrelation(root, n *yaml.Node) error {
	for _, key := range []string{"detection", "logsource", "levels"} {
		if child(root, key) != nil {
			return fmt.Errorf("a correlation has no %s", key)
		}
	}
	if n.Kind != yaml.MappingNode {
		return errors.New("correlation: not a map")
	}
	a := attributes{node: n}
	c := &Correlation{Type: a.text("type"), Rules: a.texts("rules"), GroupBy: a.texts("group-by")}
	generate := a.text("generate")
	if generate == "" {
		root := attributes{node: root} // the specification shows it there, pySigma reads it inside
		generate = root.text("generate")
	}
	c.Generate = generate == "true"
	err := a.err
	if err == nil && generate != "" && generate != "true" && generate != "false" {
		err = fmt.Errorf("generate is true or false, not %q", generate)
	}
	if err == nil {
		c.Timespan, err = parseTimespan(a.text("timespan"))
	}
	if err == nil {
		err = errors.Join(c.parseCondition(child(n, "condition")), c.parseAliases(child(n, "aliases")), c.check(n))
	}
	if err != nil {
		return fmt.Errorf("correlation: %w", err)
	}
	r.Correlation = c
	return nil
}

// check refuses what a correlation does not have, or has without the rest that it takes.
func (c *Correlation) check(n *yaml.Node) error {
	for key := range entries(n) {
		if !slices.Contains([]string{"type", "rules", "group-by", "timespan", "condition", "aliases", "generate"}, key) {
			return fmt.Errorf("unknown attribute %q", key)
		}
	}
	seen := make(map[string]bool, len(c.Rules))
	for _, key := range c.Rules {
		if seen[key] {
			return fmt.Errorf("rule %q is there twice", key)
		}
		seen[key] = true
	}
	if len(c.Rules) == 0 {
		return errors.New("no rules")
	}
	needsField, needsCondition := false, true
	switch c.Type {
	case "event_count":
	case "value_count", "value_sum", "value_avg":
		needsField = true
	case "temporal", "temporal_ordered":
		needsCondition = false
	default:
		return fmt.Errorf("type %q is not supported", c.Type)
	}
	switch {
	case needsField != (c.Field != ""):
		return fmt.Errorf("%s has %q as its field", c.Type, c.Field)
	case needsCondition && len(c.Condition) == 0:
		return errors.New("no condition")
	case c.Type == "temporal_ordered" && len(c.Condition) > 0:
		return errors.New("temporal_ordered takes all of its rules and no condition")
	}
	return nil
}

func parseTimespan(text string) (time.Duration, error) {
	if text == "" {
		return 0, errors.New("no timespan")
	}
	unit := timespans[text[len(text)-1]]
	n, err := strconv.ParseUint(text[:len(text)-1], 10, 31)
	if err != nil || unit == 0 || n == 0 || n > uint64(10*365*24*time.Hour/unit) {
		return 0, fmt.Errorf("timespan %q is not a number of s, m, h or d up to ten years", text)
	}
	return time.Duration(n) * unit, nil
}

func (c *Correlation) parseCondition(n *yaml.Node) error {
	if n == nil {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		return errors.New("condition is not a map")
	}
	for operator, v := range entries(n) {
		switch operator {
		case "field":
			if v.Kind != yaml.ScalarNode {
				return errors.New("condition: several fields are not supported")
			}
			c.Field = v.Value
		case "gt", "gte", "lt", "lte", "eq", "neq":
			limit, err := strconv.ParseFloat(v.Value, 64)
			if err != nil || math.IsNaN(limit) {
				return fmt.Errorf("condition: %s: not a number: %q", operator, v.Value)
			}
			if (c.Type == "event_count" || c.Type == "value_count") && math.Abs(limit) >= maxEvents {
				return fmt.Errorf("condition: %s: no more than %d matches are counted", operator, maxEvents)
			}
			c.Condition = append(c.Condition, Limit{operator, limit})
		default:
			return fmt.Errorf("condition: unknown operator %q", operator)
		}
	}
	if c.Field != "" && len(c.Condition) == 0 {
		return errors.New("condition without an operator")
	}
	return nil
}

func (c *Correlation) parseAliases(n *yaml.Node) error {
	if n == nil {
		return nil
	}
	c.Aliases = make(map[string]map[string]string)
	for alias, rules := range entries(n) {
		c.Aliases[alias] = make(map[string]string)
		for rule, field := range entries(rules) {
			if !slices.Contains(c.Rules, rule) || field.Kind != yaml.ScalarNode {
				return fmt.Errorf("alias %q: %q is none of the rules, or has no field", alias, rule)
			}
			c.Aliases[alias][rule] = field.Value
		}
		if len(c.Aliases[alias]) != len(c.Rules) {
			return fmt.Errorf("alias %q does not name a field for each rule", alias)
		}
	}
	return nil
}

// field returns the field of a rule's record that a name in group-by means.
func (c *Correlation) field(name, rule string) string {
	if fields, ok := c.Aliases[name]; ok {
		return fields[rule]
	}
	return name
}

// keeps tells whether a number is within all limits.
func (c *Correlation) keeps(n float64) bool {
	for _, l := range c.Condition {
		if !holds(l.Operator, n, l.Value) {
			return false
		}
	}
	return true
}

// A feed is a correlation's reference to a rule: the how-manieth of its rules it is.
type feed struct {
	to   *Rule
	part int
}

// connect resolves the references of correlations and refuses circles.
func (s *Set) connect() error {
	var errs []error
	for _, r := range s.rules {
		if r.Correlation == nil {
			continue
		}
		for part, key := range r.Correlation.Rules {
			if from := s.byKey[key]; from != nil {
				s.feeds[from] = append(s.feeds[from], feed{r, part})
			} else {
				errs = append(errs, fmt.Errorf("%s: %s refers to %q, which is no rule", r.File, r.Key(), key))
			}
		}
	}
	state := make(map[*Rule]int)
	for _, r := range s.rules {
		if s.circular(r, state) {
			errs = append(errs, fmt.Errorf("%s: %s is part of itself", r.File, r.Key()))
		}
	}
	return errors.Join(errs...)
}

// circular reports whether a rule feeds itself. State is 1 for rules being looked at and 2 for those that have been.
func (s *Set) circular(r *Rule, state map[*Rule]int) bool {
	if state[r] != 0 {
		return state[r] == 1
	}
	state[r] = 1
	found := slices.ContainsFunc(s.feeds[r], func(f feed) bool { return s.circular(f.to, state) })
	state[r] = 2
	return found
}

// alerts reports whether a rule's matches are findings by themselves: those of a rule that is part of correlations
// are if one of them says so.
func (s *Set) alerts(r *Rule) bool {
	feeds := s.feeds[r]
	return len(feeds) == 0 || slices.ContainsFunc(feeds, func(f feed) bool { return f.to.Correlation.Generate })
}
