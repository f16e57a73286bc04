package json5

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// An Edit replaces Old, which stands at the byte offset Start, by New.
type Edit struct {
	Start int    `json:"start"`
	Old   string `json:"old"`
	New   string `json:"new"`
}

// A Patch is a list of edits to one text in the order of the text, not overlapping. All offsets are those of the
// text before the first of them.
type Patch []Edit

// ErrMismatch says that a text is not the one a patch was made for.
var ErrMismatch = errors.New("the text is not the one that was to be edited")

// Apply returns the edited text. It returns [ErrMismatch] if any edit's Old is not what stands at its place.
func (p Patch) Apply(text []byte) ([]byte, error) {
	var b bytes.Buffer
	done := 0
	for _, e := range p {
		if e.Start < done || e.Start > len(text) || !bytes.HasPrefix(text[e.Start:], []byte(e.Old)) {
			return nil, ErrMismatch
		}
		b.Write(text[done:e.Start])
		b.WriteString(e.New)
		done = e.Start + len(e.Old)
	}
	b.Write(text[done:])
	return b.Bytes(), nil
}

// Invert returns the patch that makes of the edited text the one before.
func (p Patch) Invert() Patch {
	inverse := make(Patch, len(p))
	moved := 0
	for i, e := range p {
		inverse[i] = Edit{Start: e.Start + moved, Old: e.New, New: e.Old}
		moved += len(e.New) - len(e.Old)
	}
	return inverse
}

// Set returns the patch that gives the value at path the text literal, which is JSON. Objects that are missing on the way are made.
func Set(text []byte, literal string, path ...string) (Patch, error) {
	e, err := NewEditor(text)
	if err != nil {
		return nil, err
	}
	if err := e.Set(e.Root, literal, path...); err != nil {
		return nil, err
	}
	return e.Patch()
}

// An Editor collects changes to one text. Whatever is not changed stays byte for byte: comments, order,
// indentation, line ends, trailing commas. What is added looks like what it is added to.
type Editor struct {
	// Root is the text's value. It stays as it was parsed; the changes are seen in the edited text only.
	Root *Value

	text     []byte
	lines    []int  // the offset of each line's first byte
	newline  string // the text's line end
	replaced map[*Value]string
	added    map[*Value]*addition
	removed  map[*Value]map[int]bool
}

// addition is a member to be added: an object of more of them, or a literal.
type addition struct {
	key     string
	literal string
	members []*addition
}

// NewEditor parses text, whose bytes must not change while the editor is in use. An error is a [*SyntaxError].
func NewEditor(text []byte) (*Editor, error) {
	root, err := Parse(text)
	if err != nil {
		return nil, err
	}
	e := &Editor{
		Root: root, text: text, lines: []int{0}, newline: "\n",
		replaced: map[*Value]string{}, added: map[*Value]*addition{}, removed: map[*Value]map[int]bool{},
	}
	for i, c := range text {
		if c == '\n' {
			e.lines = append(e.lines, i+1)
		}
	}
	if len(e.lines) > 1 && bytes.HasSuffix(text[:e.lines[1]], []byte("\r\n")) {
		e.newline = "\r\n"
	}
	return e, nil
}

// Set gives the value at the path from v, a value in Root, the text literal, which is JSON. The path is read as
// [Value.Get] does; objects that are missing on it are made.
func (e *Editor) Set(v *Value, literal string, path ...string) error {
	if !json.Valid([]byte(literal)) {
		return errors.New("the new value is not JSON")
	}
	for i, step := range path {
		next := v.child(step)
		if next == nil {
			return e.add(v, literal, path[i:])
		}
		v = next
	}
	e.replaced[v] = literal
	return nil
}

func (e *Editor) add(object *Value, literal string, path []string) error {
	if object == nil || object.Kind != Object {
		return fmt.Errorf("%q has no place: what should hold it is not an object", path[0])
	}
	a := e.added[object]
	if a == nil {
		a = &addition{}
		e.added[object] = a
	}
	for _, key := range path {
		if a.literal != "" {
			return fmt.Errorf("%q has no place: what should hold it is being set", key)
		}
		i := slices.IndexFunc(a.members, func(m *addition) bool { return m.key == key })
		if i < 0 {
			i = len(a.members)
			a.members = append(a.members, &addition{key: key})
		}
		a = a.members[i]
	}
	if len(a.members) > 0 {
		return fmt.Errorf("%q is being set from within", a.key)
	}
	a.literal = literal
	return nil
}

// Remove takes the element or member of v with this index out of the text, and the comma that belongs to it.
func (e *Editor) Remove(v *Value, index int) {
	if e.removed[v] == nil {
		e.removed[v] = map[int]bool{}
	}
	e.removed[v][index] = true
}

// Patch returns all changes as one patch. It fails if one of them lies within what another one replaces or removes, and if
// what is replaced is not UTF-8, which would not survive in JSON.
func (e *Editor) Patch() (Patch, error) {
	var p Patch
	for v, literal := range e.replaced {
		p = append(p, e.cut(v.Start, v.End, literal))
	}
	for object, a := range e.added {
		p = append(p, e.insertion(object, a)...)
	}
	for v, indexes := range e.removed {
		if e.added[v] != nil {
			return nil, errors.New("members are added to and removed from one object")
		}
		p = append(p, e.removal(v, indexes)...)
	}
	p = slices.DeleteFunc(p, func(e Edit) bool { return e.Old == e.New })
	slices.SortFunc(p, func(a, b Edit) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(len(a.Old), len(b.Old)))
	})
	done := 0
	for _, edit := range p {
		if edit.Start < done {
			return nil, errors.New("one change lies within another")
		}
		if !utf8.ValidString(edit.Old) {
			return nil, errors.New("what is to be replaced is not UTF-8")
		}
		done = edit.Start + len(edit.Old)
	}
	return p, nil
}

func (e *Editor) cut(start, end int, literal string) Edit {
	return Edit{Start: start, Old: string(e.text[start:end]), New: literal}
}

// gap is what stands between two values: white space, comments and at most one comma.
type gap struct {
	comma    int  // offset of the comma, or -1
	end      int  // offset after the last thing that is not white space
	comments bool // there are comments
	open     bool // the last thing is a comment that only a line end closes
}

func (e *Editor) gap(start, end int) gap {
	g := gap{comma: -1, end: start}
	p := parser{src: e.text[:end], pos: start}
	for p.pos < end {
		r, size := p.peek()
		switch r {
		case ',':
			g.comma = p.pos
			p.pos++
			g.end, g.open = p.pos, false
		case '/':
			g.comments, g.open = true, e.text[p.pos+1] == '/'
			if p.comment() != nil {
				return g // the text was parsed, so it cannot be
			}
			g.end = p.pos
		default:
			p.pos += size
		}
	}
	return g
}

// removal returns the edits that take the items with these indexes out of v. Comments stay, so an item and its comma
// can be two edits.
func (e *Editor) removal(v *Value, indexes map[int]bool) (edits []Edit) {
	items := v.items()
	last := len(items) - 1 // the last item that stays, or -1
	for last >= 0 && indexes[last] {
		last--
	}
	if last >= 0 && last < len(items)-1 {
		// The list now ends earlier. Its last comma separated, unless one that ends the list comes after the last item.
		g, end := e.gap(items[last].end, items[last+1].start), e.gap(items[len(items)-1].end, v.End-1)
		if end.comma < 0 {
			edits = append(edits, e.cut(g.comma, g.comma+1, ""))
		}
	}
	before, done := v.Start+1, 0
	for i, it := range items {
		after := v.End - 1
		if i < len(items)-1 {
			after = items[i+1].start
		}
		if indexes[i] {
			cuts := e.removeItem(before, it, after, i > last)
			item := &cuts[len(cuts)-1]
			if item.Start < done { // the white space before it went with the item before
				*item = e.cut(done, item.Start+len(item.Old), "")
			}
			done = item.Start + len(item.Old)
			edits = append(edits, cuts...)
		}
		before = it.end
	}
	return edits
}

// span is where an element, or a member with its key, stands.
type span struct{ start, end int }

func (v *Value) items() []span {
	var items []span
	for _, el := range v.Elements {
		items = append(items, span{el.Start, el.End})
	}
	for _, m := range v.Members {
		items = append(items, span{m.KeyStart, m.Value.End})
	}
	return items
}

// removeItem removes one item with the comma after it, if there is one, and with white space: that up to what follows
// on the same line, else, and where no item follows that stays, that before it. before and after are where the items
// beside it end and start.
func (e *Editor) removeItem(before int, it span, after int, tail bool) (edits []Edit) {
	lead, trail := e.gap(before, it.start), e.gap(it.end, after)
	start, end := it.start, it.end
	switch {
	case trail.comma < 0:
	case len(bytes.TrimSpace(e.text[it.end:trail.comma])) == 0:
		end = trail.comma + 1
	default:
		edits = append(edits, e.cut(trail.comma, trail.comma+1, ""))
	}
	same := end
	for same < after && (e.text[same] == ' ' || e.text[same] == '\t') {
		same++
	}
	switch {
	case !tail && end > it.end && same < len(e.text) && !bytes.ContainsRune([]byte("\r\n"), rune(e.text[same])):
		end = same
	case !lead.comments && utf8.Valid(e.text[lead.end:start]):
		start = lead.end
	}
	return append(edits, e.cut(start, end, ""))
}

// style is how an object is written.
type style struct {
	newline string // line end before each member; "" if they stand on one line
	indent  string // of each member
	unit    string // of one level of indentation
	close   string // what comes before the closing bracket
	colon   string // with the space around it
	quote   byte   // of keys, 0 for none
}

// insertion returns the edits that add members to the end of an object.
func (e *Editor) insertion(object *Value, a *addition) (edits []Edit) {
	s := e.style(object)
	last := object.Start + 1
	if n := len(object.Members); n > 0 {
		last = object.Members[n-1].Value.End
	}
	g := e.gap(last, object.End-1)
	var b strings.Builder
	switch {
	case len(object.Members) == 0 || g.comma >= 0:
	case g.end == last:
		b.WriteByte(',')
	default:
		edits = append(edits, Edit{Start: last, New: ","})
	}
	for i, m := range a.members {
		if i > 0 {
			b.WriteByte(',')
		}
		switch {
		case s.newline != "":
			b.WriteString(s.newline + s.indent)
		case g.open && i == 0:
			b.WriteString("\n")
		case len(object.Members) > 0 || i > 0 || g.comments:
			b.WriteString(s.space())
		}
		s.write(&b, m)
	}
	if g.comma >= 0 {
		b.WriteByte(',')
	}
	if !bytes.Contains(e.text[g.end:object.End], []byte("\n")) {
		b.WriteString(s.close)
	}
	return append(edits, Edit{Start: g.end, New: b.String()})
}

func (e *Editor) style(object *Value) style {
	s := style{colon: ": ", quote: '"', unit: "  "}
	if indent, ok := e.indent(e.Root); ok {
		s.unit = cmp.Or(strings.TrimPrefix(indent, e.lineIndent(e.Root.Start)), s.unit)
	}
	like := object
	if len(object.Members) == 0 {
		like = e.Root
	}
	if n := len(like.Members); n > 0 {
		s.like(e.text, like.Members[n-1])
	}
	indent, lines := e.indent(object)
	if len(object.Members) == 0 && len(e.lines) > 1 {
		outer := e.lineIndent(object.Start)
		indent, lines = outer+s.unit, true
		s.close = e.newline + outer
	}
	if lines {
		s.newline, s.indent = e.newline, indent
	}
	return s
}

// like takes over how a member's key and colon are written.
func (s *style) like(text []byte, m Member) {
	colon := text[m.KeyEnd:m.Value.Start]
	if len(colon) < 8 && len(bytes.Trim(colon, ": \t")) == 0 {
		s.colon = string(colon)
	}
	s.quote = text[m.KeyStart]
	if s.quote != '"' && s.quote != '\'' {
		s.quote = 0
	}
}

// indent returns the white space before the last member of an object, and whether that member begins a line.
func (e *Editor) indent(object *Value) (string, bool) {
	n := len(object.Members)
	if n == 0 {
		return "", false
	}
	key := object.Members[n-1].KeyStart
	indent := e.lineIndent(key)
	line := key - len(indent)
	return indent, line > object.Start && e.text[line-1] == '\n'
}

// maxIndent bounds, in bytes, the indentation that is copied to new lines: a hostile one could be the whole text.
const maxIndent = 256

// lineIndent returns the spaces and tabs that begin the line of an offset, none of them after it.
func (e *Editor) lineIndent(offset int) string {
	i, _ := slices.BinarySearch(e.lines, offset+1)
	start := e.lines[i-1]
	end := start
	for end < min(offset, start+maxIndent) && (e.text[end] == ' ' || e.text[end] == '\t') {
		end++
	}
	return string(e.text[start:end])
}

// space is what separates members on one line.
func (s *style) space() string {
	if s.colon == ":" {
		return ""
	}
	return " "
}

func (s *style) write(b *strings.Builder, a *addition) {
	b.WriteString(s.key(a.key) + s.colon)
	if a.literal != "" {
		b.WriteString(a.literal)
		return
	}
	inner := *s
	inner.indent += s.unit
	b.WriteByte('{')
	for i, m := range a.members {
		if i > 0 {
			b.WriteByte(',')
		}
		if s.newline != "" {
			b.WriteString(s.newline + inner.indent)
		} else {
			b.WriteString(s.space())
		}
		inner.write(b, m)
	}
	if s.newline != "" {
		b.WriteString(s.newline + s.indent)
	} else {
		b.WriteString(s.space())
	}
	b.WriteByte('}')
}

// key returns a key in the object's quotes, in double ones if it needs others.
func (s *style) key(key string) string {
	plain := key != ""
	for i, r := range key {
		plain = plain && r < utf8.RuneSelf && isIdentifier(r, i == 0)
	}
	switch {
	case plain && s.quote == 0:
		return key
	case plain && s.quote == '\'':
		return "'" + key + "'"
	}
	quoted, err := json.Marshal(key)
	if err != nil {
		return `""` // a string can always be marshalled
	}
	return string(quoted)
}
