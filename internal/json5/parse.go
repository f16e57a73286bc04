package json5

import (
	"bytes"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxDepth is how deep arrays and objects may be nested. Node has no such limit; a configuration needs ten.
const MaxDepth = 1000

// MaxValues is how many values a text may hold. Each takes some 250 bytes, so that three bytes of a hostile text would take eighty
// times their size; a configuration holds some hundreds, a large store some hundred thousand.
const MaxValues = 1 << 20

// SyntaxError says why and where a text is not JSON5.
type SyntaxError struct {
	// Offset is the byte offset of the error, len(src) at an early end.
	Offset int
	// Line and Column count from 1; lines end at "\n", columns are characters.
	Line, Column int
	// Msg is the reason. It quotes at most one character of the text.
	Msg string
}

// Error returns the place and the reason.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("line %d column %d: %s", e.Line, e.Column, e.Msg)
}

// Parse reads src, which holds one JSON5 value. An error is always a [*SyntaxError].
func Parse(src []byte) (*Value, error) {
	p := parser{src: src}
	v, err := p.document()
	if err != nil {
		before := src[:err.Offset]
		err.Line = bytes.Count(before, []byte("\n")) + 1
		err.Column = utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
		return nil, err
	}
	return v, nil
}

// eof is what peek returns at the end; no character is negative.
const eof = -1

type parser struct {
	src   []byte
	pos   int
	depth int

	values int
}

// peek returns the next character and its size in bytes.
func (p *parser) peek() (rune, int) {
	if p.pos >= len(p.src) {
		return eof, 0
	}
	if c := p.src[p.pos]; c < utf8.RuneSelf {
		return rune(c), 1
	}
	return utf8.DecodeRune(p.src[p.pos:])
}

// accept steps over c if it is the next byte.
func (p *parser) accept(c byte) bool {
	if p.pos < len(p.src) && p.src[p.pos] == c {
		p.pos++
		return true
	}
	return false
}

func (p *parser) fail(msg string) *SyntaxError {
	return &SyntaxError{Offset: p.pos, Msg: msg}
}

// unexpected is the error for the next character.
func (p *parser) unexpected() *SyntaxError {
	r, _ := p.peek()
	if r == eof {
		return p.fail("unexpected end")
	}
	return p.fail(fmt.Sprintf("unexpected character %q", r))
}

func (p *parser) document() (*Value, *SyntaxError) {
	v, err := p.value()
	if err != nil {
		return nil, err
	}
	if err := p.space(); err != nil {
		return nil, err
	}
	if p.pos < len(p.src) {
		return nil, p.unexpected()
	}
	return v, nil
}

// space steps over white space and comments (JSON5 1.0, sections 7 and 8).
func (p *parser) space() *SyntaxError {
	for {
		r, size := p.peek()
		switch {
		case r == '/':
			if err := p.comment(); err != nil {
				return err
			}
		case isSpace(r):
			p.pos += size
		default:
			return nil
		}
	}
}

func isSpace(r rune) bool {
	switch r {
	case '\t', '\n', '\v', '\f', '\r', ' ', '\u00a0', '\ufeff', '\u2028', '\u2029':
		return true
	}
	return r >= utf8.RuneSelf && unicode.Is(unicode.Zs, r)
}

func isLineEnd(r rune) bool {
	return r == '\n' || r == '\r' || r == '\u2028' || r == '\u2029'
}

func (p *parser) comment() *SyntaxError {
	p.pos++
	switch {
	case p.accept('*'):
		n := bytes.Index(p.src[p.pos:], []byte("*/"))
		if n < 0 {
			p.pos = len(p.src)
			return p.unexpected()
		}
		p.pos += n + 2
	case p.accept('/'):
		for r, size := p.peek(); r != eof && !isLineEnd(r); r, size = p.peek() {
			p.pos += size
		}
	default:
		return p.unexpected()
	}
	return nil
}

// Comments yields the comments of a text, whether it parses or not.
func Comments(src []byte) iter.Seq[string] {
	return func(yield func(string) bool) {
		p := parser{src: src}
		for p.pos < len(src) {
			start := p.pos
			switch r, size := p.peek(); r {
			case '"', '\'':
				_, _ = p.quoted()
			case '/':
				_ = p.comment()
				if !yield(string(src[start:p.pos])) {
					return
				}
			default:
				p.pos += size
			}
			p.pos = max(p.pos, start+1)
		}
	}
}

// value reads one value with the space before it.
func (p *parser) value() (*Value, *SyntaxError) {
	if err := p.space(); err != nil {
		return nil, err
	}
	if p.values++; p.values > MaxValues {
		return nil, p.fail(fmt.Sprintf("more than %d values", MaxValues))
	}
	v := &Value{Start: p.pos}
	var err *SyntaxError
	switch r, _ := p.peek(); r {
	case '{':
		v.Kind = Object
		err = p.nested(v, '}', p.member)
	case '[':
		v.Kind = Array
		err = p.nested(v, ']', p.element)
	case '"', '\'':
		v.Kind = String
		v.Str, err = p.quoted()
	case 'n':
		err = p.word("null")
	case 't':
		v.Kind, v.Bool = Bool, true
		err = p.word("true")
	case 'f':
		v.Kind = Bool
		err = p.word("false")
	default:
		v.Kind = Number
		v.Num, err = p.number()
	}
	v.End = p.pos
	return v, err
}

// word steps over w; what follows is for the caller to check.
func (p *parser) word(w string) *SyntaxError {
	for i := range len(w) {
		if !p.accept(w[i]) {
			return p.unexpected()
		}
	}
	return nil
}

// nested reads an array or object up to its closing bracket; one reads an element or member into v.
func (p *parser) nested(v *Value, closing byte, one func(*Value) *SyntaxError) *SyntaxError {
	if p.depth == MaxDepth {
		return p.fail(fmt.Sprintf("nested deeper than %d", MaxDepth))
	}
	p.depth++
	defer func() { p.depth-- }()
	p.pos++
	for {
		if err := p.space(); err != nil {
			return err
		}
		if p.accept(closing) {
			return nil
		}
		if err := one(v); err != nil {
			return err
		}
		if err := p.space(); err != nil {
			return err
		}
		if !p.accept(',') {
			if p.accept(closing) {
				return nil
			}
			return p.unexpected()
		}
	}
}

func (p *parser) element(array *Value) *SyntaxError {
	e, err := p.value()
	array.Elements = append(array.Elements, e)
	return err
}

func (p *parser) member(object *Value) *SyntaxError {
	m := Member{KeyStart: p.pos}
	var err *SyntaxError
	if r, _ := p.peek(); r == '"' || r == '\'' {
		m.Key, err = p.quoted()
	} else {
		m.Key, err = p.identifier()
	}
	if err != nil {
		return err
	}
	m.KeyEnd = p.pos
	if err := p.space(); err != nil {
		return err
	}
	if !p.accept(':') {
		return p.unexpected()
	}
	m.Value, err = p.value()
	object.Members = append(object.Members, m)
	return err
}

// identifier reads an unquoted key, an ECMAScript 5.1 IdentifierName.
func (p *parser) identifier() (string, *SyntaxError) {
	var b strings.Builder
	for {
		start := p.pos
		r, size := p.peek()
		escaped := r == '\\'
		if escaped {
			p.pos++
			if !p.accept('u') {
				return "", p.unexpected()
			}
			unit, err := p.hex(4)
			if err != nil {
				return "", err
			}
			r, size = rune(unit), 0
		}
		if !isIdentifier(r, b.Len() == 0) {
			if escaped || b.Len() == 0 {
				p.pos = start
				return "", p.unexpected()
			}
			return b.String(), nil
		}
		p.pos += size
		b.WriteRune(r)
	}
}

func isIdentifier(r rune, first bool) bool {
	if r == '$' || r == '_' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
		return true
	}
	if unicode.IsLetter(r) || unicode.Is(unicode.Nl, r) {
		return true
	}
	return !first && (r == '\u200c' || r == '\u200d' ||
		unicode.In(r, unicode.Mn, unicode.Mc, unicode.Nd, unicode.Pc))
}

// number reads a number or one of Infinity and NaN, with its sign.
func (p *parser) number() (float64, *SyntaxError) {
	sign := 1.0
	if p.accept('-') {
		sign = -1
	} else {
		p.accept('+')
	}
	switch r, _ := p.peek(); {
	case r == 'I':
		return parseFloat("Inf") * sign, p.word("Infinity")
	case r == 'N':
		return parseFloat("NaN"), p.word("NaN")
	case r == '.' || isDigit(r):
		num, err := p.unsigned()
		return num * sign, err
	}
	return 0, p.unexpected()
}

func (p *parser) unsigned() (float64, *SyntaxError) {
	start := p.pos
	if p.accept('0') {
		if p.accept('x') || p.accept('X') {
			if p.skip(isHex) == 0 {
				return 0, p.unexpected()
			}
			return parseFloat(string(p.src[start:p.pos]) + "p0"), nil
		}
	} else {
		p.skip(isDigit)
	}
	leading := p.pos > start
	if p.accept('.') && p.skip(isDigit) == 0 && !leading {
		return 0, p.unexpected()
	}
	if p.accept('e') || p.accept('E') {
		if !p.accept('+') {
			p.accept('-')
		}
		if p.skip(isDigit) == 0 {
			return 0, p.unexpected()
		}
	}
	return parseFloat(string(p.src[start:p.pos])), nil
}

// parseFloat rounds to the nearest number, and to infinity beyond the largest, as JavaScript does.
// The text is known to be a number, so its only error is that of range.
func parseFloat(text string) float64 {
	num, _ := strconv.ParseFloat(text, 64)
	return num
}

// skip steps over the characters of a class and counts them.
func (p *parser) skip(class func(rune) bool) int {
	start := p.pos
	for p.pos < len(p.src) && class(rune(p.src[p.pos])) {
		p.pos++
	}
	return p.pos - start
}

func isDigit(r rune) bool { return '0' <= r && r <= '9' }

func isHex(r rune) bool { return isDigit(r) || 'a' <= r|0x20 && r|0x20 <= 'f' }

// hex reads exactly n hexadecimal digits.
func (p *parser) hex(n int) (uint16, *SyntaxError) {
	var num uint16
	for range n {
		r, _ := p.peek()
		if !isHex(r) {
			return 0, p.unexpected()
		}
		digit := uint16(r & 0xf)
		if r > '9' {
			digit += 9
		}
		num = num<<4 | digit
		p.pos++
	}
	return num, nil
}
