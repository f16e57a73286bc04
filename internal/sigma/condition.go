package sigma

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

const (
	// maxCondition bounds a condition, in words and brackets, and with it how deep brackets nest.
	maxCondition = 1_000
	// maxSelections bounds a pattern for the names of selections, in bytes.
	maxSelections = 200
)

// A node is part of a condition or of a selection.
type node struct {
	op   op
	kids []*node
	n    int   // of atLeast: how many of kids must hold; of selected: which selection
	test *test // of tested
}

type op int

const (
	and op = iota
	not
	atLeast
	selected
	tested
)

// parseCondition reads a condition over the selections with these names.
func parseCondition(text string, names []string, budget *Budget) (*node, error) {
	text = strings.NewReplacer("(", " ( ", ")", " ) ").Replace(text)
	p := conditionParser{strings.Fields(text), names, budget}
	if len(p.words) > maxCondition {
		return nil, fmt.Errorf("condition longer than %d words", maxCondition)
	}
	if err := budget.takeValues(len(p.words)); err != nil {
		return nil, err
	}
	n, err := p.or()
	if err == nil && len(p.words) > 0 {
		err = fmt.Errorf("unexpected %q", p.words[0])
	}
	if err != nil {
		return nil, fmt.Errorf("condition: %w", err)
	}
	return n, nil
}

type conditionParser struct {
	words, names []string
	budget       *Budget
}

func (p *conditionParser) take(word string) bool {
	if len(p.words) == 0 || p.words[0] != word {
		return false
	}
	p.words = p.words[1:]
	return true
}

func (p *conditionParser) or() (*node, error)  { return p.list("or", 1, (*conditionParser).and) }
func (p *conditionParser) and() (*node, error) { return p.list("and", 0, (*conditionParser).not) }

// list reads operands joined by a word; atLeast is how many must hold, 0 for all.
func (p *conditionParser) list(word string, least int, operand func(*conditionParser) (*node, error)) (*node, error) {
	n := &node{op: and}
	if least > 0 {
		n = &node{op: atLeast, n: least}
	}
	for {
		kid, err := operand(p)
		if err != nil {
			return nil, err
		}
		n.kids = append(n.kids, kid)
		if !p.take(word) {
			break
		}
	}
	if len(n.kids) == 1 {
		return n.kids[0], nil
	}
	return n, nil
}

func (p *conditionParser) not() (*node, error) {
	if !p.take("not") {
		return p.operand()
	}
	kid, err := p.not()
	if err != nil {
		return nil, err
	}
	return &node{op: not, kids: []*node{kid}}, nil
}

func (p *conditionParser) operand() (*node, error) {
	if p.take("(") {
		n, err := p.or()
		if err == nil && !p.take(")") {
			err = errors.New("a bracket is not closed")
		}
		return n, err
	}
	if len(p.words) == 0 {
		return nil, errors.New("ends too early")
	}
	word := p.words[0]
	p.words = p.words[1:]
	if p.take("of") {
		return p.of(word)
	}
	for i, name := range p.names {
		if name == word {
			return &node{op: selected, n: i}, nil
		}
	}
	return nil, fmt.Errorf("no selection %q", word)
}

// of reads what comes after "1 of", "all of" or another number of selections.
func (p *conditionParser) of(quantity string) (*node, error) {
	if len(p.words) == 0 {
		return nil, fmt.Errorf("%s of what?", quantity)
	}
	pattern := p.words[0]
	p.words = p.words[1:]
	if len(pattern) > maxSelections {
		return nil, fmt.Errorf("a pattern for selections longer than %d bytes", maxSelections)
	}
	kids := p.matching(pattern)
	if err := p.budget.takeValues(len(kids)); err != nil {
		return nil, err
	}
	if len(kids) == 0 {
		return nil, fmt.Errorf("no selection is one of %q", pattern)
	}
	switch quantity {
	case "all":
		return &node{op: and, kids: kids}, nil
	case "any":
		return &node{op: atLeast, n: 1, kids: kids}, nil
	}
	n, err := strconv.Atoi(quantity)
	if err != nil || n < 1 || n > len(kids) {
		return nil, fmt.Errorf("%q of %d selections", quantity, len(kids))
	}
	return &node{op: atLeast, n: n, kids: kids}, nil
}

// matching returns the selections that a pattern with * means. Names that begin with an underscore are only meant by
// a pattern that does so too.
func (p *conditionParser) matching(pattern string) (kids []*node) {
	expr := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, ".*") + "$")
	for i, name := range p.names {
		hidden := strings.HasPrefix(name, "_") && !strings.HasPrefix(pattern, "_")
		if !hidden && (pattern == "them" || expr.MatchString(name)) {
			kids = append(kids, &node{op: selected, n: i})
		}
	}
	return kids
}
