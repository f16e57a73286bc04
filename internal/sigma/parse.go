package sigma

import (
	"bytes"
	"errors"
	"fmt"
	"io"
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

// A Parser reads rule files. The zero Parser is ready to use.
type Parser struct {
	// Placeholders are the values for the modifier "expand", by their name without percent signs. A rule with a
	// placeholder that is not among them is an error.
	Placeholders map[string][]string
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
		if err != nil { // the decoder cannot go on after a syntax error
			errs = append(errs, fmt.Errorf("%s: document %d: %w", file, n, err))
			break
		}
		rule, err := p.document(&c, &doc)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: document %d: %w", file, n, err))
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
	budget := maxNodes
	root, err := expand(doc.Content[0], maxDepth, &budget)
	if err != nil {
		return nil, err
	}
	if root.Kind != yaml.MappingNode {
		return nil, errors.New("a rule must be a map")
	}
	if root, err = c.apply(root); err != nil || root == nil {
		return nil, err
	}
	return p.rule(root)
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

// collection is the state that Sigma's collections keep between the documents of a file.
type collection struct{ global, previous *yaml.Node }

// apply returns the whole rule that a document stands for, or nil if it stands for none.
func (c *collection) apply(root *yaml.Node) (*yaml.Node, error) {
	action := child(root, "action")
	if action == nil {
		c.previous = merged(c.global, root)
		return c.previous, nil
	}
	switch action.Value {
	case "global":
		c.global = merged(c.global, root)
		return nil, nil
	case "reset":
		c.global = nil
		return nil, nil
	case "repeat":
		if c.previous == nil {
			return nil, errors.New("action repeat without a rule before it")
		}
		c.previous = merged(c.previous, root)
		return c.previous, nil
	}
	return nil, fmt.Errorf("unknown action %q", action.Value)
}

// merged returns a map with the entries of base and over; of two maps for one key the entries, of other values over's.
func merged(base, over *yaml.Node) *yaml.Node {
	if base == nil || base.Kind != yaml.MappingNode || over.Kind != yaml.MappingNode {
		return over
	}
	m := &yaml.Node{Kind: yaml.MappingNode, Tag: base.Tag, Line: over.Line}
	for key, value := range entries(base) {
		if v := child(over, key); v != nil {
			value = merged(value, v)
		}
		m.Content = append(m.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: key}, value)
	}
	for key, value := range entries(over) {
		if child(base, key) == nil {
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
	return r, r.parseLevels(child(root, "levels"))
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

func (r *Rule) parseLevels(n *yaml.Node) error {
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
		c, err := parseCondition(condition, r.names)
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
