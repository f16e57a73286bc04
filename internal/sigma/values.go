package sigma

import (
	"net/netip"
	"strconv"
	"strings"
)

// What a regular expression may cost.
const (
	maxRegex   = 4 << 10 // bytes
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
