package sigma

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"

	"go.yaml.in/yaml/v3"
)

// What a regular expression may cost.
const (
	maxRegex   = 8 << 10 // bytes
	maxProgram = 10_000  // instructions
)

// A test asks whether one of a field's values, or with all and keywords several, is as a rule's item wants it.
type test struct {
	index    int    // among the rule's tests
	field    string // "" for keywords, which look at every field
	kind     string // "", re, cidr, lt, lte, gt, gte: see patterns; null, exists, fieldref
	patterns []*pattern
	all      bool // every pattern must be found, not one
	neq      bool // the test holds where it otherwise would not
	exists   bool
	ref      string             // fieldref: the other field
	compare  func(string) *glob // fieldref: how a value of the other field is looked for
}

// A pattern is one value of an item: a regular expression, or what another matcher finds.
type pattern struct {
	matcher
	regex *regex
	index int        // among the rule's patterns
	need  [][]string // in any text that matches stands, folded, one of each of these lists
	shown bool       // a place inside the text, which shows better what was found than the whole text does
}

// A matcher tells where in a text, or in a part of one, it finds what it looks for.
type matcher interface {
	find(p part) (start, end int, ok bool)
}

// A part of a text; usually the whole.
type part struct {
	text   string
	before rune // the rune before, -1 at the start of the whole text
	open   bool // the whole text goes on after the part
}

func whole(text string) part { return part{text: text, before: -1} }

// isWhole reports whether there is nothing before or after the part.
func (p part) isWhole() bool { return p.before < 0 && !p.open }

// item is the key of an entry in a selection: a field and its modifiers.
type item struct {
	field  string
	kind   string   // what the values are: "" for texts
	place  string   // contains, startswith, endswith
	flags  string   // of a regular expression
	encode []string // how texts are encoded, in this order

	all, cased, neq, windash, expand bool
}

// parseItem reads a key such as CommandLine|contains|all.
func parseItem(key string) (item, error) {
	names := strings.Split(key, "|")
	it := item{field: names[0]}
	for _, name := range names[1:] {
		if err := it.modify(name); err != nil {
			return it, err
		}
	}
	return it, it.check()
}

func (it *item) modify(name string) error {
	switch name {
	case "contains", "startswith", "endswith":
		if it.place != "" {
			return fmt.Errorf("modifiers %q and %q exclude each other", it.place, name)
		}
		it.place = name
	case "re", "cidr", "exists", "fieldref", "lt", "lte", "gt", "gte":
		if it.kind != "" {
			return fmt.Errorf("modifiers %q and %q exclude each other", it.kind, name)
		}
		it.kind = name
	case "i", "m", "s":
		if it.kind != "re" {
			return fmt.Errorf("modifier %q without \"re\" before it", name)
		}
		it.flags += name
	case "wide", "utf16le", "utf16be", "utf16", "base64", "base64offset":
		if it.place != "" {
			return fmt.Errorf("modifier %q must come before %q", name, it.place)
		}
		it.encode = append(it.encode, name)
	case "all":
		it.all = true
	case "cased":
		it.cased = true
	case "neq":
		it.neq = true
	case "windash":
		it.windash = true
	case "expand":
		it.expand = true
	case "minute", "hour", "day", "week", "month", "year":
		return fmt.Errorf("time modifier %q is not supported", name)
	default:
		return fmt.Errorf("unknown modifier %q", name)
	}
	return nil
}

// check refuses combinations that have no meaning, or one that Sigma does not define.
func (it *item) check() error {
	text := it.kind == "" || it.kind == "fieldref"
	binary := len(it.encode) > 0 && strings.HasPrefix(it.encode[len(it.encode)-1], "base64")
	switch {
	case !text && (it.place != "" || it.windash || it.cased || len(it.encode) > 0):
		return fmt.Errorf("modifier %q stands alone, with no other for texts", it.kind)
	case it.kind == "fieldref" && (it.all || it.windash || it.expand || len(it.encode) > 0):
		return errors.New("modifier \"fieldref\" goes with contains, startswith, endswith, cased and neq only")
	case it.kind == "exists" && (it.all || it.neq || it.expand):
		return errors.New("modifier \"exists\" stands alone")
	case it.field == "" && (it.neq || !text && it.kind != "re" || it.kind == "fieldref"):
		return errors.New("keywords are texts or regular expressions, and need a field for this modifier")
	case it.all && it.neq:
		return errors.New("modifiers \"all\" and \"neq\" exclude each other")
	case len(it.encode) > 0 && !binary:
		return fmt.Errorf("modifier %q needs base64 after it: records hold text", it.encode[len(it.encode)-1])
	case slices.Contains(it.encode, "base64offset") && it.place != "contains":
		return errors.New("modifier \"base64offset\" needs \"contains\" after it")
	case len(it.encode) > 0 && it.windash:
		return errors.New("modifier \"windash\" does not go with encodings")
	}
	return nil
}

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
		b := builder{rule: r, placeholders: p.Placeholders}
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
		c, err := parseCondition(text, r.names)
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
	re, need, err := newRegex(text)
	if err != nil {
		return fmt.Errorf("regular expression: %w", err)
	}
	b.add(t, &pattern{regex: re, need: need, shown: true})
	return nil
}

type network netip.Prefix

func (n network) find(p part) (start, end int, ok bool) {
	address, err := netip.ParseAddr(strings.Trim(p.text, "[]"))
	return 0, len(p.text), err == nil && p.isWhole() && netip.Prefix(n).Contains(address.Unmap().WithZone(""))
}

// number compares a value with a limit.
type number struct {
	operator string
	limit    float64
}

func (n number) find(p part) (start, end int, ok bool) {
	v, err := strconv.ParseFloat(strings.TrimSpace(p.text), 64)
	return 0, len(p.text), err == nil && p.isWhole() && holds(n.operator, v, n.limit)
}

// holds tells whether v stands in a relation, named as Sigma does, to a limit.
func holds(operator string, v, limit float64) bool {
	switch operator {
	case "lt":
		return v < limit
	case "lte":
		return v <= limit
	case "gt":
		return v > limit
	case "gte":
		return v >= limit
	case "eq":
		return v == limit
	case "neq":
		return v != limit
	}
	return false
}

// encode returns what a text becomes, with base64offset in three forms: without the characters that depend on what
// stands before and after it.
func encode(text string, encodings []string) [][]rune {
	data := [][]byte{[]byte(text)}
	for _, name := range encodings {
		var next [][]byte
		for _, d := range data {
			next = append(next, encodeOne(d, name)...)
		}
		data = next
	}
	var out [][]rune
	for _, d := range data {
		out = append(out, []rune(string(d)))
	}
	return out
}

func encodeOne(data []byte, name string) [][]byte {
	encoded := func(d []byte) []byte { return base64.StdEncoding.AppendEncode(nil, d) }
	switch name {
	case "base64":
		return [][]byte{encoded(data)}
	case "base64offset":
		var forms [][]byte
		for i := range 3 {
			e := encoded(append(make([]byte, i), data...))
			start, cut := [...]int{0, 2, 3}[i], [...]int{0, 3, 2}[(len(data)+i)%3]
			forms = append(forms, e[min(start, len(e)-cut):len(e)-cut])
		}
		return forms
	}
	var out []byte
	if name == "utf16" {
		out = append(out, 0xff, 0xfe)
	}
	for _, u := range utf16.Encode([]rune(string(data))) {
		if name == "utf16be" {
			out = append(out, byte(u>>8), byte(u))
		} else {
			out = append(out, byte(u), byte(u>>8))
		}
	}
	return [][]byte{out}
}
