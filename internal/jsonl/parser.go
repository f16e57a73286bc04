// Package jsonl reads hostile JSON lines: transcripts, logs and journals that an intruder with the agent's
// shell could have written.
//
// Parser pulls values out of one JSON text in a single pass. It is strict about syntax, exactly as RFC 8259
// and JSON.parse are, and means what JSON.parse means: names are case-sensitive and the last of two equal
// names wins. It keeps no tree, allocates nothing for what is skipped, and never recurses.
// Lines (lines.go) cuts a stream into chunks of whole lines with bounded memory.
package jsonl

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"iter"
	"math/bits"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// MaxDepth is how deep arrays and objects may nest; deeper text is a syntax error.
// JSON.parse has no such limit, but nothing OpenClaw writes comes near it.
const MaxDepth = 10_000

// A SyntaxError says where in a text, counted in bytes from 0, and how it stops being JSON.
type SyntaxError struct {
	Offset int
	What   string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("invalid JSON at byte %d: %s", e.Offset, e.What)
}

// A Kind is the first byte that tells a JSON value's type: '{', '[', '"', '0' (any number), 't', 'f', 'n',
// or 0 where no value starts.
type Kind byte

// A Parser reads one JSON text from its start to its end. After an error every method returns zero values.
type Parser struct {
	buf   []byte
	pos   int
	err   *SyntaxError
	plain bool   // the text holds no control character, so no string does
	first bool   // what comes next is the first of its container
	open  int    // containers entered and not left
	stack []byte // closing brackets that Skip still waits for
	key   []byte // scratch for unquoted names
}

// Reset points the parser at text, which must not change until parsing ends.
func (p *Parser) Reset(text []byte) {
	p.buf, p.pos, p.err, p.first, p.open = text, 0, nil, false, 0
	p.plain = !hasControl(text)
}

// Err returns the first syntax error, or nil.
func (p *Parser) Err() error {
	if p.err == nil {
		return nil
	}
	return p.err
}

func (p *Parser) fail(what string) {
	if p.err == nil {
		p.err = &SyntaxError{p.pos, what}
	}
	p.pos = len(p.buf)
}

// End checks that nothing but white space is left, and returns the first error of the whole text.
func (p *Parser) End() error {
	p.space()
	if p.err == nil && p.pos != len(p.buf) {
		p.fail("text after the value")
	}
	return p.Err()
}

func (p *Parser) space() {
	for p.pos < len(p.buf) {
		switch p.buf[p.pos] {
		case ' ', '\t', '\n', '\r':
			p.pos++
		default:
			return
		}
	}
}

func (p *Parser) peek() byte {
	if p.pos < len(p.buf) && p.buf[p.pos] > ' ' {
		return p.buf[p.pos]
	}
	p.space()
	if p.pos == len(p.buf) {
		return 0
	}
	return p.buf[p.pos]
}

// Kind returns the kind of the value that comes next, without reading it.
func (p *Parser) Kind() Kind {
	switch c := p.peek(); {
	case c == '-' || c >= '0' && c <= '9':
		return '0'
	case c == '{' || c == '[' || c == '"' || c == 't' || c == 'f' || c == 'n':
		return Kind(c)
	}
	return 0
}

// Members enters the next value and yields the names of its members, unquoted and valid until the next; of a value
// that is no object it yields none. A member whose value the loop does not read is skipped. The loop must not break off.
func (p *Parser) Members() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		if !p.enter('{') {
			return
		}
		for {
			name, ok := p.member()
			if !ok {
				return
			}
			p.space() // looking at the value does not read it
			value := p.pos
			if !yield(name) {
				return
			}
			if p.pos == value {
				p.Skip()
			}
		}
	}
}

// Elements enters the next value and yields once for each of its elements; for a value that is no array it does not
// yield. An element that the loop does not read is skipped. The loop must not break off.
func (p *Parser) Elements() iter.Seq[int] {
	return func(yield func(int) bool) {
		if !p.enter('[') {
			return
		}
		for i := 0; p.next(']'); i++ {
			p.space() // looking at the value does not read it
			value := p.pos
			if !yield(i) {
				return
			}
			if p.pos == value {
				p.Skip()
			}
		}
	}
}

// enter enters the next value if it begins with the bracket, and otherwise skips it.
func (p *Parser) enter(bracket byte) bool {
	if p.peek() != bracket {
		p.Skip()
		return false
	}
	if p.open == MaxDepth {
		p.fail("nested too deep")
		return false
	}
	p.open++
	p.pos++
	p.first = true
	return true
}

// member moves to the next member of the object entered last and returns its name.
func (p *Parser) member() (name []byte, ok bool) {
	if !p.next('}') {
		return nil, false
	}
	if p.peek() != '"' {
		p.fail("a name must be a string")
		return nil, false
	}
	raw := p.rawString()
	if p.peek() != ':' {
		p.fail("no colon after a name")
		return nil, false
	}
	p.pos++
	if len(raw) > 2 && hasEscape(raw) {
		p.key = AppendUnquoted(p.key[:0], raw)
		return p.key, true
	}
	if len(raw) < 2 {
		return nil, false
	}
	return raw[1 : len(raw)-1], true
}

func (p *Parser) next(closing byte) bool {
	first := p.first
	p.first = false
	c := p.peek()
	switch {
	case p.err != nil:
		return false
	case c == closing:
		p.pos++
		p.open--
		return false
	case first:
		return true
	case c == ',':
		p.pos++
		if p.peek() == closing {
			p.fail("comma before a closing bracket")
			return false
		}
		return true
	}
	p.fail("no comma between members")
	return false
}

// Raw reads the next value, whatever it is, and returns its bytes.
func (p *Parser) Raw() []byte {
	p.space()
	start := p.pos
	p.Skip()
	if p.err != nil {
		return nil
	}
	return p.buf[start:p.pos]
}

// Text reads the next value if it is a string and returns it unquoted; of any other value it returns "".
func (p *Parser) Text() string {
	if p.peek() != '"' {
		p.Skip()
		return ""
	}
	raw := p.rawString()
	if p.err != nil {
		return ""
	}
	return Unquote(raw)
}

// RawText reads the next value if it is a string and returns it with its quotes; of any other value, nil.
func (p *Parser) RawText() []byte {
	if p.peek() != '"' {
		p.Skip()
		return nil
	}
	return p.rawString()
}

// Int reads the next value if it is a number without fraction that fits; otherwise ok is false.
func (p *Parser) Int() (n int64, ok bool) {
	if p.Kind() != '0' {
		p.Skip()
		return 0, false
	}
	raw := p.Raw()
	if n, ok := shortInt(raw); ok {
		return n, true
	}
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil {
		f, ferr := strconv.ParseFloat(string(raw), 64)
		if ferr != nil || f < -1e18 || f > 1e18 {
			return 0, false
		}
		return int64(f), true
	}
	return n, true
}

// shortInt reads up to 18 plain digits without allocating.
func shortInt(raw []byte) (n int64, ok bool) {
	for _, c := range raw {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, len(raw) > 0 && len(raw) <= 18
}

// Bool reads the next value if it is true or false; otherwise ok is false.
func (p *Parser) Bool() (b, ok bool) {
	k := p.Kind()
	p.Skip()
	return k == 't', p.err == nil && (k == 't' || k == 'f')
}

// Skip reads one value of any kind, checking its syntax.
func (p *Parser) Skip() {
	stack := p.stack[:0]
	for p.err == nil {
		if !p.skipStart(&stack) {
			return
		}
		if len(stack) == 0 || p.skipAfter(&stack) {
			p.stack = stack
			return
		}
	}
}

// skipStart reads a scalar, or descends into containers until it has read a first scalar or an empty
// container. It returns false on an error.
func (p *Parser) skipStart(stack *[]byte) bool {
	for {
		switch c := p.peek(); {
		case c == '"':
			p.rawString()
			return p.err == nil
		case c == '{' || c == '[':
			if p.open+len(*stack) >= MaxDepth {
				p.fail("nested too deep")
				return false
			}
			p.pos++
			*stack = append(*stack, c+2)
			if p.peek() == c+2 {
				p.pos++
				*stack = (*stack)[:len(*stack)-1]
				return true
			}
			if c == '{' && !p.skipName() {
				return false
			}
		case c == '-' || c >= '0' && c <= '9':
			p.number()
			return p.err == nil
		case c == 't':
			return p.literal("true")
		case c == 'f':
			return p.literal("false")
		case c == 'n':
			return p.literal("null")
		default:
			p.fail("no value")
			return false
		}
	}
}

// skipAfter reads what follows a value inside containers: it closes those that end here and stops before the
// next value. It returns true when the outermost container is closed or on an error.
func (p *Parser) skipAfter(stack *[]byte) bool {
	for len(*stack) > 0 {
		closing := (*stack)[len(*stack)-1]
		switch p.peek() {
		case closing:
			p.pos++
			*stack = (*stack)[:len(*stack)-1]
		case ',':
			p.pos++
			if closing == '}' {
				return !p.skipName()
			}
			return false
		default:
			p.fail("no comma between members")
			return true
		}
	}
	return true
}

func (p *Parser) skipName() bool {
	if p.peek() != '"' {
		p.fail("a name must be a string")
		return false
	}
	p.rawString()
	if p.peek() != ':' {
		p.fail("no colon after a name")
		return false
	}
	p.pos++
	return true
}

func (p *Parser) literal(word string) bool {
	if len(p.buf)-p.pos < len(word) || string(p.buf[p.pos:p.pos+len(word)]) != word {
		p.fail("no value")
		return false
	}
	p.pos += len(word)
	return true
}

func (p *Parser) number() {
	digits := func() int {
		start := p.pos
		for p.pos < len(p.buf) && p.buf[p.pos] >= '0' && p.buf[p.pos] <= '9' {
			p.pos++
		}
		return p.pos - start
	}
	if p.buf[p.pos] == '-' {
		p.pos++
	}
	zero := p.pos < len(p.buf) && p.buf[p.pos] == '0'
	n := digits()
	ok := n > 0 && (!zero || n == 1)
	if ok && p.pos < len(p.buf) && p.buf[p.pos] == '.' {
		p.pos++
		ok = digits() > 0
	}
	if ok && p.pos < len(p.buf) && p.buf[p.pos]|0x20 == 'e' {
		p.pos++
		if p.pos < len(p.buf) && (p.buf[p.pos] == '+' || p.buf[p.pos] == '-') {
			p.pos++
		}
		ok = digits() > 0
	}
	if !ok {
		p.fail("malformed number")
	}
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// breaks marks, with the high bit of each byte, the bytes of eight that end or break a run of plain string bytes: a
// quote, a backslash or a control character. The lowest mark is exact; those above it may be false.
func breaks(w uint64) uint64 {
	quote := w ^ (ones * '"')
	slash := w ^ (ones * '\\')
	return ((w-ones*0x20)&^w | (quote-ones)&^quote | (slash-ones)&^slash) & highs
}

// special finds the first byte at or after i that ends or breaks a run of plain string bytes, looking at 16 bytes
// at a time.
func special(b []byte, i int) int {
	for ; i+16 <= len(b); i += 16 {
		low := breaks(binary.LittleEndian.Uint64(b[i:]))
		high := breaks(binary.LittleEndian.Uint64(b[i+8:]))
		if low|high == 0 {
			continue
		}
		if low != 0 {
			return i + bits.TrailingZeros64(low)/8
		}
		return i + 8 + bits.TrailingZeros64(high)/8
	}
	for ; i < len(b); i++ {
		if c := b[i]; c == '"' || c == '\\' || c < 0x20 {
			return i
		}
	}
	return i
}

// hasControl reports whether b holds a byte below 0x20.
func hasControl(b []byte) bool {
	for ; len(b) >= 32; b = b[32:] {
		w0, w1 := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
		w2, w3 := binary.LittleEndian.Uint64(b[16:]), binary.LittleEndian.Uint64(b[24:])
		if ((w0-ones*0x20)&^w0|(w1-ones*0x20)&^w1|(w2-ones*0x20)&^w2|(w3-ones*0x20)&^w3)&highs != 0 {
			return true
		}
	}
	for _, c := range b {
		if c < 0x20 {
			return true
		}
	}
	return false
}

// rawString reads a string with its quotes, checking its escapes. The next byte must be a quote.
func (p *Parser) rawString() []byte {
	if !p.plain {
		return p.rawStringSlow()
	}
	b, start := p.buf, p.pos
	i, end := start+1, start
	for {
		if i > end { // the quote found last was escaped
			n := bytes.IndexByte(b[i:], '"')
			if n < 0 {
				p.pos = len(b)
				p.fail("unterminated string")
				return nil
			}
			end = i + n
		}
		n := bytes.IndexByte(b[i:end], '\\')
		if n < 0 {
			p.pos = end + 1
			return b[start:p.pos]
		}
		i += n
		if n = escapeLen(b[i:]); n == 0 {
			p.pos = i
			p.fail("unknown escape")
			return nil
		}
		i += n
	}
}

// rawStringSlow is rawString for texts that hold control characters: they are white space outside strings and errors
// inside.
func (p *Parser) rawStringSlow() []byte {
	b, start := p.buf, p.pos
	i := start + 1
	for {
		i = special(b, i)
		if i >= len(b) {
			p.pos = i
			p.fail("unterminated string")
			return nil
		}
		switch b[i] {
		case '"':
			p.pos = i + 1
			return b[start:p.pos]
		case '\\':
			n := escapeLen(b[i:])
			if n == 0 {
				p.pos = i
				p.fail("unknown escape")
				return nil
			}
			i += n
		default:
			p.pos = i
			p.fail("control character in a string")
			return nil
		}
	}
}

// escapeLen returns the length of the escape sequence at the start of b, 0 if it is none.
func escapeLen(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(b) >= 6 && hex4(b[2:6]) >= 0 {
			return 6
		}
	}
	return 0
}

func hex4(b []byte) rune {
	var r rune
	for _, c := range b[:4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

func hasEscape(raw []byte) bool {
	for _, c := range raw {
		if c == '\\' {
			return true
		}
	}
	return false
}

// Unquote returns the text of a raw string with its quotes, as Raw returns it for a string.
// Lone surrogates become U+FFFD; bytes that are not UTF-8 stay as they are.
func Unquote(raw []byte) string {
	if len(raw) < 2 || raw[0] != '"' {
		return ""
	}
	if i := special(raw, 1); i == len(raw)-1 {
		return string(raw[1:i])
	}
	return string(AppendUnquoted(make([]byte, 0, len(raw)), raw))
}

// TextLen returns the length in bytes of a raw string's text.
func TextLen(raw []byte) (n int64) {
	if len(raw) < 2 {
		return 0
	}
	b := raw[1 : len(raw)-1]
	for i := 0; i < len(b); {
		j := special(b, i)
		n += int64(j - i)
		if i = j; i < len(b) {
			r, size := unescape(b[i:])
			n += int64(utf8.RuneLen(r))
			i += size
		}
	}
	return n
}

// UnquoteStart returns the first n bytes or a little more of a raw string's text: a whole number of escapes,
// and of characters if the text is UTF-8.
func UnquoteStart(raw []byte, n int) string {
	if len(raw) <= n+2 {
		return Unquote(raw)
	}
	return string(appendUnquoted(make([]byte, 0, n+utf8.UTFMax), raw, n))
}

// AppendUnquoted appends the text of a raw string to dst.
func AppendUnquoted(dst, raw []byte) []byte { return appendUnquoted(dst, raw, len(raw)) }

func appendUnquoted(dst, raw []byte, limit int) []byte {
	b := raw[1 : len(raw)-1]
	limit += len(dst)
	for i := 0; i < len(b) && len(dst) < limit; {
		if b[i] != '\\' {
			j := i + 1
			for j < len(b) && b[j] != '\\' && (len(dst)+j-i < limit || !utf8.RuneStart(b[j])) {
				j++
			}
			dst = append(dst, b[i:j]...)
			i = j
			continue
		}
		r, n := unescape(b[i:])
		dst = utf8.AppendRune(dst, r)
		i += n
	}
	return dst
}

func unescape(b []byte) (r rune, n int) {
	switch b[1] {
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		r = hex4(b[2:])
		if !utf16.IsSurrogate(r) {
			return r, 6
		}
		if len(b) >= 12 && b[6] == '\\' && b[7] == 'u' {
			if pair := utf16.DecodeRune(r, hex4(b[8:])); pair != utf8.RuneError {
				return pair, 12
			}
		}
		return utf8.RuneError, 6
	}
	return rune(b[1]), 2
}
