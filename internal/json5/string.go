package json5

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// text collects a string's characters. JavaScript strings are UTF-16, and two escapes (even with a line
// continuation between them) can be the halves of one character; so the first half waits for the second.
type text struct {
	strings.Builder
	high rune // a high surrogate not written yet, or 0
}

func (t *text) add(r rune) {
	if t.high != 0 {
		pair := utf16.DecodeRune(t.high, r)
		t.high = 0
		if pair != utf8.RuneError {
			t.WriteRune(pair)
			return
		}
		t.WriteRune(utf8.RuneError)
	}
	if 0xd800 <= r && r < 0xdc00 {
		t.high = r
		return
	}
	t.WriteRune(r) // a lone low surrogate is written as U+FFFD
}

func (t *text) end() string {
	if t.high != 0 {
		t.WriteRune(utf8.RuneError)
	}
	return t.String()
}

// quoted reads a string in single or double quotes.
func (p *parser) quoted() (string, *SyntaxError) {
	quote := rune(p.src[p.pos])
	p.pos++
	var t text
	for {
		r, size := p.peek()
		switch r {
		case quote:
			p.pos++
			return t.end(), nil
		case eof, '\n', '\r': // U+2028 and U+2029 may stand in a string (JSON5 1.0, section 5.2)
			return "", p.unexpected()
		case '\\':
			p.pos++
			if err := p.escape(&t); err != nil {
				return "", err
			}
		default:
			p.pos += size
			t.add(r)
		}
	}
}

// escape reads what follows a backslash in a string.
func (p *parser) escape(t *text) *SyntaxError {
	r, size := p.peek()
	if r == eof || '1' <= r && r <= '9' {
		return p.unexpected()
	}
	p.pos += size
	switch r {
	case 'x':
		return p.unit(t, 2)
	case 'u':
		return p.unit(t, 4)
	case '0':
		if next, _ := p.peek(); isDigit(next) {
			return p.unexpected()
		}
		t.add(0)
	case '\r':
		p.accept('\n')
	case '\n', '\u2028', '\u2029':
	default:
		if i := strings.IndexRune("bfnrtv", r); i >= 0 {
			r = rune("\b\f\n\r\t\v"[i])
		}
		t.add(r)
	}
	return nil
}

// unit reads a code unit of UTF-16 in n hexadecimal digits.
func (p *parser) unit(t *text, n int) *SyntaxError {
	u, err := p.hex(n)
	if err == nil {
		t.add(rune(u))
	}
	return err
}
