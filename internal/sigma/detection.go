package sigma

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// parseDetection reads the selections and the condition, or conditions, of which one must hold.
func (p Parser) parseDetection(r *Rule, n *yaml.Node) error {
	if n == nil || n.Kind != yaml.MappingNode {
		return errors.New("no detection")
	}
	for name, value := range entries(n) {
		if name == "condition" {
			continue
		}
		if name == "timeframe" {
			return errors.New("timeframe is of Sigma before correlations and not supported")
		}
		b := builder{rule: r, placeholders: p.Placeholders, budget: p.Budget}
		selection, err := b.selection(value)
		if err != nil {
			return fmt.Errorf("selection %q: %w", name, err)
		}
		r.names = append(r.names, name)
		r.selections = append(r.selections, selection)
	}
	condition := child(n, "condition")
	if condition == nil {
		return errors.New("no condition")
	}
	texts, ok := scalars(condition)
	if !ok || len(texts) == 0 {
		return errors.New("condition is neither a text nor a list of texts")
	}
	any := &node{op: atLeast, n: 1}
	for _, text := range texts {
		c, err := parseCondition(text, r.names, p.Budget)
		if err != nil {
			return err
		}
		any.kids = append(any.kids, c)
	}
	r.condition = any
	return nil
}

// builder makes the tests of one rule.
type builder struct {
	rule         *Rule
	placeholders map[string][]string
	budget       *Budget
}

// selection reads a map, all of whose items must hold, a list, of which one entry must hold, or one keyword.
func (b *builder) selection(n *yaml.Node) (*node, error) {
	switch {
	case n.Kind == yaml.ScalarNode:
		return b.item("", n)
	case len(n.Content) == 0:
		return nil, errors.New("is empty")
	case n.Kind == yaml.MappingNode:
		return b.fields(n)
	case !slices.ContainsFunc(n.Content, func(c *yaml.Node) bool { return c.Kind != yaml.ScalarNode }):
		return b.item("", n)
	}
	any := &node{op: atLeast, n: 1}
	for _, c := range n.Content {
		if c.Kind == yaml.SequenceNode {
			return nil, errors.New("a list directly inside a list")
		}
		kid, err := b.selection(c)
		if err != nil {
			return nil, err
		}
		any.kids = append(any.kids, kid)
	}
	return any, nil
}

func (b *builder) fields(n *yaml.Node) (*node, error) {
	all := &node{op: and}
	for key, value := range entries(n) {
		kid, err := b.item(key, value)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", key, err)
		}
		all.kids = append(all.kids, kid)
	}
	return all, nil
}

func (b *builder) item(key string, n *yaml.Node) (*node, error) {
	it, err := parseItem(key)
	if err != nil {
		return nil, err
	}
	values := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		values = n.Content
	}
	if len(values) == 0 || n.Kind == yaml.MappingNode {
		return nil, errors.New("is neither a value nor a list of values")
	}
	t := &test{index: len(b.rule.tests), field: it.field, kind: it.kind, all: it.all, neq: it.neq}
	for _, v := range values {
		if err := b.value(t, it, v, len(values) == 1); err != nil {
			return nil, err
		}
	}
	b.rule.tests = append(b.rule.tests, t)
	return &node{op: tested, test: t}, nil
}

// value adds a value to a test.
func (b *builder) value(t *test, it item, v *yaml.Node, single bool) error {
	if v.Kind != yaml.ScalarNode {
		return errors.New("a value is neither a text nor a number")
	}
	text := scalarText(v)
	switch {
	case v.Tag == "!!null":
		if !single || it.kind != "" || it.place != "" || it.all || it.field == "" {
			return errors.New("null stands alone, without modifiers, for a field")
		}
		t.kind = "null"
		return nil
	case it.kind == "exists" || it.kind == "fieldref":
		if !single {
			return fmt.Errorf("%s takes one value", it.kind)
		}
		return it.whole(t, v, text)
	}
	texts := []string{text}
	if it.expand {
		var err error
		if texts, err = b.expand(text); err != nil {
			return err
		}
	}
	for _, text := range texts {
		if err := b.text(t, it, text); err != nil {
			return err
		}
	}
	return nil
}

// scalarText returns a value as records write it: whole numbers in decimal.
func scalarText(v *yaml.Node) string {
	if v.Tag == "!!int" {
		if n, err := strconv.ParseInt(strings.ReplaceAll(v.Value, "_", ""), 0, 64); err == nil {
			return strconv.FormatInt(n, 10)
		}
	}
	return v.Value
}

// whole reads the value of exists and fieldref.
func (it item) whole(t *test, v *yaml.Node, text string) error {
	if it.kind == "exists" {
		if v.Tag != "!!bool" {
			return errors.New("exists is true or false")
		}
		t.exists = strings.EqualFold(text, "true")
		return nil
	}
	if text == "" {
		return errors.New("fieldref names a field")
	}
	t.ref = text
	t.compare = func(value string) *glob { return newGlob(it.placed([]rune(value)), it.cased) }
	return nil
}

// placeholder is a name between percent signs that have no backslash before them.
var placeholder = regexp.MustCompile(`\\%|%[^%\\]*%`)

// expand returns the texts that a text with one placeholder stands for.
func (b *builder) expand(text string) ([]string, error) {
	if b.placeholders == nil {
		return nil, errors.New("modifier \"expand\": there are no placeholders")
	}
	var name string
	for _, found := range placeholder.FindAllString(text, -1) {
		if found != `\%` && name != "" {
			return nil, fmt.Errorf("more than one placeholder in %q", text)
		}
		if found != `\%` {
			name = found
		}
	}
	values, ok := b.placeholders[strings.Trim(name, "%")]
	if !ok {
		return nil, fmt.Errorf("no placeholder %q", name)
	}
	var texts []string
	for _, v := range values {
		texts = append(texts, placeholder.ReplaceAllStringFunc(text, func(found string) string {
			if found == `\%` {
				return "%"
			}
			return v
		}))
	}
	return texts, nil
}

// text adds the patterns that a text stands for.
func (b *builder) text(t *test, it item, text string) error {
	switch it.kind {
	case "re":
		return b.regex(t, it, text)
	case "cidr":
		prefix, err := netip.ParsePrefix(text)
		b.add(t, &pattern{matcher: network(prefix)})
		return err
	case "lt", "lte", "gt", "gte":
		limit, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(limit) {
			return fmt.Errorf("%s: not a number: %q", it.kind, text)
		}
		b.add(t, &pattern{matcher: number{it.kind, limit}})
		return nil
	}
	runes := parseGlob(text)
	if it.windash {
		runes = windash(runes)
	}
	if len(it.encode) > 0 && slices.ContainsFunc(runes, func(r rune) bool { return r < 0 }) {
		return fmt.Errorf("a text with wildcards cannot be encoded: %q", text)
	}
	encoded := [][]rune{runes}
	if len(it.encode) > 0 {
		encoded = encode(string(runes), it.encode)
	}
	for _, e := range encoded {
		if len(e) == 0 && (it.place != "" || it.field == "") {
			return fmt.Errorf("an empty text is part of every text: %q", text)
		}
		g := newGlob(it.placed(e), it.cased)
		b.add(t, &pattern{matcher: g, need: g.need(), shown: !g.start || !g.end})
	}
	return nil
}

func (b *builder) add(t *test, p *pattern) {
	p.index = len(b.rule.patterns)
	b.rule.patterns = append(b.rule.patterns, p)
	t.patterns = append(t.patterns, p)
}

// placed puts wildcards around a text as the item's modifier wants it; a keyword may stand anywhere.
func (it item) placed(runes []rune) []rune {
	out := slices.Clone(runes)
	if it.place == "contains" || it.place == "endswith" || it.field == "" && it.place == "" {
		out = append([]rune{anyRun}, out...)
	}
	if it.place == "contains" || it.place == "startswith" || it.field == "" && it.place == "" {
		out = append(out, anyRun)
	}
	return out
}

func (b *builder) regex(t *test, it item, text string) error {
	if len(text) > maxRegex {
		return fmt.Errorf("regular expression longer than %d bytes", maxRegex)
	}
	if it.flags != "" {
		text = "(?" + it.flags + ")" + text
	}
	re, err := newRegex(text)
	if err != nil {
		return fmt.Errorf("regular expression %.60q: %w", text, err)
	}
	if err := b.budget.takeProgram(re.size()); err != nil {
		return err
	}
	b.add(t, &pattern{regex: re, need: re.need, shown: true})
	return nil
}
