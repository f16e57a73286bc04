package sigma

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/clawbook/openclaw-ir/internal/severity"
)

// What a rule file may cost. The largest of SigmaHQ's has 30 KiB and 600 values.
const (
	maxFile  = 1 << 20 // bytes
	maxRules = 1_000   // documents in a file
	maxNodes = 50_000  // values in a document, each alias counted as what it stands for
	maxDepth = 16      // lists and maps inside each other
)

// What all rule files together may cost. All of SigmaHQ's have 4,000 rules and 200,000 values.
const (
	maxAllRules   = 20_000    // documents
	maxAllValues  = 500_000   // values and words of conditions
	maxAllProgram = 1_000_000 // instructions of regular expressions
)

// ErrTooMuch says that rule files hold more than is read, and that nothing was read after that place.
var ErrTooMuch = errors.New("too much for all rule files together")

// A Budget is what rule files may still cost.
type Budget struct{ rules, values, program int }

// NewBudget returns what all files of a set may cost together.
func NewBudget() *Budget { return &Budget{maxAllRules, maxAllValues, maxAllProgram} }

func (b *Budget) takeValues(n int) error {
	if b.values -= n; b.values < 0 {
		return fmt.Errorf("more than %d values: %w", maxAllValues, ErrTooMuch)
	}
	return nil
}

func (b *Budget) takeProgram(n int) error {
	if b.program -= n; b.program < 0 {
		return fmt.Errorf("more than %d instructions of regular expressions: %w", maxAllProgram, ErrTooMuch)
	}
	return nil
}

// A Parser reads rule files. The zero Parser is ready to use.
type Parser struct {
	// Placeholders are the values for the modifier "expand", by their name without percent signs. A rule with a
	// placeholder that is not among them is an error.
	Placeholders map[string][]string
	// Budget is what all files that are read with it may cost; a nil one is each file's own.
	Budget *Budget
}

// Parse reads the rules of a file that has no placeholders; see Parser.Parse.
func Parse(file string, text []byte) ([]*Rule, error) { return Parser{}.Parse(file, text) }

// Parse reads the rules of a file: one or several YAML documents, which may form a collection (an "action" of global,
// reset or repeat). It returns the rules that can be used, and with errors.Join why each of the others cannot; such
// an error starts with the file's name and the document's number.
func (p Parser) Parse(file string, text []byte) ([]*Rule, error) {
	if len(text) > maxFile {
		return nil, fmt.Errorf("%s: larger than %d bytes", file, maxFile)
	}
	if p.Budget == nil {
		p.Budget = NewBudget()
	}
	var rules []*Rule
	var errs []error
	var c collection
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	for n := 1; ; n++ {
		var doc yaml.Node
		err := decoder.Decode(&doc)
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil && n > maxRules {
			err = fmt.Errorf("more than %d documents", maxRules)
		}
		if p.Budget.rules--; err == nil && p.Budget.rules < 0 {
			err = fmt.Errorf("more than %d documents: %w", maxAllRules, ErrTooMuch)
		}
		if err != nil { // the decoder cannot go on after a syntax error
			errs = append(errs, fmt.Errorf("%s: document %d: %w", file, n, err))
			break
		}
		rule, err := p.document(&c, &doc)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: document %d: %w", file, n, err))
			if errors.Is(err, ErrTooMuch) {
				break
			}
		} else if rule != nil {
			rule.File = file
			rules = append(rules, rule)
		}
	}
	return rules, errors.Join(errs...)
}

// document reads one document; it returns no rule for one that is empty or only changes the collection.
func (p Parser) document(c *collection, doc *yaml.Node) (*Rule, error) {
	if len(doc.Content) == 0 || doc.Content[0].Tag == "!!null" {
		return nil, nil
	}
	left := maxNodes
	root, err := expand(doc.Content[0], maxDepth, &left)
	if spent := p.Budget.takeValues(maxNodes - left); err == nil || spent != nil {
		err = spent
	}
	if err != nil {
		return nil, err
	}
	if root.Kind != yaml.MappingNode {
		return nil, errors.New("a rule must be a map")
	}
	whole, applies, err := c.apply(root)
	if err == nil {
		err = p.Budget.takeValues(size(whole) - size(root)) // what it has of the documents before
	}
	if err != nil || !applies {
		return nil, err
	}
	return p.rule(whole)
}

// expand returns a copy of n in which each alias is replaced by what it stands for. It refuses what would make the
// copy large or a map's meaning doubtful.
func expand(n *yaml.Node, depth int, budget *int) (*yaml.Node, error) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if *budget--; *budget < 0 {
		return nil, fmt.Errorf("more than %d values", maxNodes)
	}
	if depth < 0 {
		return nil, fmt.Errorf("nested deeper than %d", maxDepth)
	}
	e := &yaml.Node{Kind: n.Kind, Tag: n.Tag, Value: n.Value, Line: n.Line, Style: n.Style}
	names := make(map[string]bool)
	for i, child := range n.Content {
		c, err := expand(child, depth-1, budget)
		if err != nil {
			return nil, err
		}
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			if c.Kind != yaml.ScalarNode || c.Tag == "!!merge" || names[c.Value] {
				return nil, fmt.Errorf("line %d: a key must be plain text and occur once: %q", c.Line, c.Value)
			}
			names[c.Value] = true
		}
		e.Content = append(e.Content, c)
	}
	return e, nil
}

// size counts the values in n.
func size(n *yaml.Node) int {
	if n == nil {
		return 0
	}
	total := 1
	for _, c := range n.Content {
		total += size(c)
	}
	return total
}

// collection is the state that Sigma's collections keep between the documents of a file.
type collection struct{ global, previous *yaml.Node }

// apply returns what a document stands for with those before it, and whether that is a rule.
func (c *collection) apply(root *yaml.Node) (whole *yaml.Node, isRule bool, err error) {
	action := child(root, "action")
	if action == nil {
		c.previous = merged(c.global, root)
		return c.previous, true, nil
	}
	switch action.Value {
	case "global":
		c.global = merged(c.global, root)
		return c.global, false, nil
	case "reset":
		c.global = nil
		return root, false, nil
	case "repeat":
		if c.previous == nil {
			return nil, false, errors.New("action repeat without a rule before it")
		}
		c.previous = merged(c.previous, root)
		return c.previous, true, nil
	}
	return nil, false, fmt.Errorf("unknown action %q", action.Value)
}

// merged returns a map with the entries of base and over; of two maps for one key the entries, of other values over's.
func merged(base, over *yaml.Node) *yaml.Node {
	if base == nil || base.Kind != yaml.MappingNode || over.Kind != yaml.MappingNode {
		return over
	}
	m := &yaml.Node{Kind: yaml.MappingNode, Tag: base.Tag, Line: over.Line}
	before, after := maps.Collect(entries(base)), maps.Collect(entries(over))
	for key, value := range entries(base) {
		if v := after[key]; v != nil {
			value = merged(value, v)
		}
		m.Content = append(m.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: key}, value)
	}
	for key, value := range entries(over) {
		if before[key] == nil {
			m.Content = append(m.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: key}, value)
		}
	}
	return m
}

// rule reads a rule's attributes. Those that neither Sigma nor this package defines are left out, as Sigma allows.
func (p Parser) rule(root *yaml.Node) (*Rule, error) {
	a := attributes{node: root}
	r := &Rule{
		ID: a.text("id"), Name: a.text("name"), Title: a.text("title"), Status: a.text("status"),
		Description: a.text("description"), Author: a.text("author"), Date: a.text("date"), Modified: a.text("modified"),
		References: a.texts("references"), Tags: a.texts("tags"), FalsePositives: a.texts("falsepositives"),
		Shown: a.texts("fields"), Level: a.level("level"), Related: a.related(), Samples: a.samples(),
	}
	taxonomy := a.text("taxonomy")
	switch {
	case a.err != nil:
		return nil, a.err
	case r.Title == "":
		return nil, errors.New("no title")
	case r.Key() == "":
		return nil, errors.New("neither a name nor an id")
	case taxonomy != "" && taxonomy != "sigma":
		return nil, fmt.Errorf("unknown taxonomy %q", taxonomy)
	case child(root, "filter") != nil:
		return nil, errors.New("filters are not supported")
	}
	if c := child(root, "correlation"); c != nil {
		return r, r.parseCorrelation(root, c)
	}
	if err := r.parseLogsource(child(root, "logsource")); err != nil {
		return nil, err
	}
	if err := p.parseDetection(r, child(root, "detection")); err != nil {
		return nil, err
	}
	return r, p.parseLevels(r, child(root, "levels"))
}

func (r *Rule) parseLogsource(n *yaml.Node) error {
	if n == nil || n.Kind != yaml.MappingNode {
		return errors.New("no logsource")
	}
	a := attributes{node: n}
	r.Logsource = Logsource{Product: a.text("product"), Service: a.text("service"), Category: a.text("category")}
	if a.err == nil && !slices.Contains(products, r.Logsource.Product) {
		return fmt.Errorf("logsource: product %q leaves no records here", r.Logsource.Product)
	}
	r.Inactive = r.Logsource.inactive()
	return a.err
}

func (p Parser) parseLevels(r *Rule, n *yaml.Node) error {
	if n == nil {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		return errors.New("levels: not a list")
	}
	for _, entry := range n.Content {
		a := attributes{node: entry}
		condition, level := a.text("condition"), a.level("level")
		switch {
		case a.err != nil:
			return fmt.Errorf("levels: %w", a.err)
		case len(entry.Content) != 4 || condition == "" || child(entry, "level") == nil:
			return errors.New("levels: an entry has a condition and a level, and nothing else")
		}
		c, err := parseCondition(condition, r.names, p.Budget)
		if err != nil {
			return fmt.Errorf("levels: %w", err)
		}
		r.levels = append(r.levels, levelIf{c, level})
	}
	return nil
}

// attributes reads the entries of a map and keeps the first error.
type attributes struct {
	node *yaml.Node
	err  error
}

func (a *attributes) fail(key, what string) {
	if a.err == nil {
		a.err = fmt.Errorf("%s: %s", key, what)
	}
}

// text returns an entry's text, "" if it is absent.
func (a *attributes) text(key string) string {
	n := child(a.node, key)
	if n == nil || n.Tag == "!!null" {
		return ""
	}
	if n.Kind != yaml.ScalarNode {
		a.fail(key, "not a text")
		return ""
	}
	return strings.TrimSpace(n.Value)
}

// texts returns an entry's list of texts; a single text is a list of one.
func (a *attributes) texts(key string) []string {
	n := child(a.node, key)
	if n == nil || n.Tag == "!!null" {
		return nil
	}
	texts, ok := scalars(n)
	if !ok {
		a.fail(key, "not a list of texts")
	}
	return texts
}

func (a *attributes) level(key string) severity.Level {
	name := a.text(key)
	if name == "" {
		return severity.Medium
	}
	level, err := severity.Parse(name)
	if err != nil {
		a.fail(key, err.Error())
	}
	return level
}

func (a *attributes) related() []Related {
	var related []Related
	for _, n := range a.maps("related") {
		r := attributes{node: n}
		related = append(related, Related{ID: r.text("id"), Type: r.text("type")})
	}
	return related
}

func (a *attributes) samples() Samples {
	n := child(a.node, "samples")
	if n == nil {
		return Samples{}
	}
	s := attributes{node: n}
	samples := Samples{Positive: s.records("positive"), Negative: s.records("negative")}
	if s.err != nil {
		a.fail("samples", s.err.Error())
	}
	for key := range entries(n) {
		if key != "positive" && key != "negative" {
			a.fail("samples", "neither positive nor negative: "+key)
		}
	}
	return samples
}

func (a *attributes) records(key string) []map[string][]string {
	var records []map[string][]string
	for _, n := range a.maps(key) {
		record := make(map[string][]string)
		for field, value := range entries(n) {
			texts, ok := scalars(value)
			if !ok {
				a.fail(key, "the value of "+field+" is neither a text nor a list of texts")
			}
			record[field] = texts
		}
		records = append(records, record)
	}
	return records
}

// maps returns an entry's list of maps.
func (a *attributes) maps(key string) []*yaml.Node {
	n := child(a.node, key)
	if n == nil || n.Tag == "!!null" {
		return nil
	}
	if n.Kind != yaml.SequenceNode || slices.ContainsFunc(n.Content, func(m *yaml.Node) bool { return m.Kind != yaml.MappingNode }) {
		a.fail(key, "not a list of maps")
		return nil
	}
	return n.Content
}
