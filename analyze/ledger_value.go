package analyze

import (
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/internal/jsonl"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

// An entry is one record of a ledger: a row of a table, a line, or an element of a JSON file. Rows and elements
// are read alike: the column approved_at_ms is the member approvedAtMs, and tokens_json is the member tokens.
type entry struct {
	source   *openclaw.Source
	modified int64 // of the source, in milliseconds
	code     string
	tool     string // table, or file name
	line     int64  // rowid, line number, or number of the element
	name     string // of a member of an object; of the part of a file's name that the star stands for
	columns  map[string]value
	doc      value
	damaged  bool // a part of it is not JSON
}

// at returns the value at a path of member names, or the empty value.
func (e *entry) at(names ...string) value {
	v := e.doc
	if e.columns != nil {
		v, names = e.columns[names[0]], names[1:]
	}
	for _, name := range names {
		v = v.member(name)
	}
	return v
}

// bare returns the entry without what it holds, which is gone when the next is read.
func (e *entry) bare() *entry {
	return &entry{source: e.source, modified: e.modified, code: e.code, tool: e.tool, line: e.line, damaged: e.damaged}
}

func (e *entry) text(names ...string) string { return e.at(names...).text() }
func (e *entry) int(names ...string) int64   { return e.at(names...).int() }
func (e *entry) time(names ...string) int64  { return e.at(names...).time() }

// within returns the entry with the object at a name in place of itself, where there is one: tables hold beside
// their columns the whole object that files hold.
func (e *entry) within(name string) *entry {
	v := e.at(name)
	if e.columns == nil || len(v.raw) == 0 {
		return e
	}
	inner := *e
	inner.columns, inner.doc = nil, v
	return &inner
}

// A value is a JSON value, or the text of a column, which may hold one. The empty value is none.
type value struct {
	raw    []byte
	column bool
}

// member returns an object's member; of equal names the last.
func (v value) member(name string) (found value) {
	for key, m := range v.each() {
		if key == name {
			found = m
		}
	}
	return found
}

// each yields an object's members or an array's elements, up to where it stops being JSON.
func (v value) each() iter.Seq2[string, value] {
	return func(yield func(string, value) bool) {
		var p jsonl.Parser
		p.Reset(v.raw)
		eachOf(&p, yield)
	}
}

// eachOf yields the members or elements of the value that comes next, and reports whether it has such.
func eachOf(p *jsonl.Parser, yield func(string, value) bool) bool {
	kind := p.Kind()
	switch kind {
	case '{':
		for name := range p.Members() {
			key := string(name)
			if raw := p.Raw(); raw == nil || !yield(key, value{raw: raw}) {
				break
			}
		}
	case '[':
		for range p.Elements() {
			if raw := p.Raw(); raw == nil || !yield("", value{raw: raw}) {
				break
			}
		}
	default:
		p.Skip()
	}
	return kind == '{' || kind == '['
}

func (v value) kind() jsonl.Kind {
	var p jsonl.Parser
	p.Reset(v.raw)
	return p.Kind()
}

// text returns a text, or a number or truth value as written; "" for anything else.
func (v value) text() string {
	switch {
	case v.column:
		return string(v.raw)
	case v.kind() == '"':
		return jsonl.Unquote(v.raw)
	case v.kind() == '0' || v.kind() == 't' || v.kind() == 'f':
		return string(v.raw)
	}
	return ""
}

// words returns a text, or an array of texts as one line.
func (v value) words() string { return v.join(" ") }

func (v value) join(separator string) string {
	if v.kind() != '[' {
		return v.text()
	}
	var list []string
	for _, w := range v.each() {
		list = append(list, w.text())
	}
	return strings.Join(list, separator)
}

// int returns a whole number, 0 for anything else.
func (v value) int() int64 {
	var p jsonl.Parser
	p.Reset(v.raw)
	n, _ := p.Int()
	if p.End() != nil { // of a column, a text that begins with digits
		return 0
	}
	return n
}

func (v value) isTrue() bool { return v.text() == "true" || v.column && v.text() == "1" }

// lastMilli is the end of the year 9999, which no layout of a time reaches beyond.
const lastMilli = 253402300799999

// time returns a time in milliseconds from a number or an RFC 3339 text; 0 for anything else.
func (v value) time() int64 {
	ms := v.int()
	if ms == 0 {
		t, err := time.Parse(time.RFC3339Nano, v.text())
		if err != nil {
			return 0
		}
		ms = t.UnixMilli()
	}
	if ms < 0 || ms > lastMilli {
		return 0
	}
	return ms
}

// A phrase is a line of words and of names with values.
type phrase struct{ strings.Builder }

func (p *phrase) add(words ...string) *phrase {
	for _, w := range words {
		if w == "" {
			continue
		}
		if p.Len() > 0 {
			p.WriteByte(' ')
		}
		p.WriteString(w)
	}
	return p
}

// with adds name=value, if there is a value.
func (p *phrase) with(name, value string) *phrase {
	if value == "" {
		return p
	}
	return p.add(name + "=" + value)
}

func quoted(s string) string {
	if s == "" {
		return ""
	}
	return strconv.Quote(s)
}
