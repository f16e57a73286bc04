package console

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Escape returns s as one line of visible text that is safe to show on a
// terminal and to grep:
//
//   - a backslash becomes \\, and newline, carriage return and tab become \n, \r, \t;
//   - other control bytes, DEL, and every byte that is not UTF-8 (lone
//     surrogates too) become \xHH;
//   - other characters that cannot be seen or that move their neighbours (C1
//     controls, bidi controls, zero-width characters, tags, variation selectors,
//     fillers, line separators, odd spaces, private use) become \uHHHH or
//     \UHHHHHHHH, and so do marks (accents) that stand on no character of s, or
//     above more than four others: a pile of them hides the lines around it.
//
// Everything else is kept, and a string with nothing to escape is returned
// itself. No two strings have the same escaped form: [Unescape] is the inverse.
func Escape(s string) string {
	if cleanPrefix(s, true) == len(s) {
		return s
	}
	return string(AppendEscape(make([]byte, 0, len(s)+len(s)/4+16), s))
}

// AppendEscape appends Escape(s) to dst.
func AppendEscape(dst []byte, s string) []byte {
	return appendEscaped(dst, s, true)
}

func appendEscaped(dst []byte, s string, backslash bool) []byte {
	for {
		n := cleanPrefix(s, backslash)
		dst = append(dst, s[:n]...)
		if n == len(s) {
			return dst
		}
		r, size := utf8.DecodeRuneInString(s[n:])
		switch {
		case r == '\\':
			dst = append(dst, `\\`...)
		case r == '\n':
			dst = append(dst, `\n`...)
		case r == '\r':
			dst = append(dst, `\r`...)
		case r == '\t':
			dst = append(dst, `\t`...)
		case size == 1:
			dst = appendHex(append(dst, `\x`...), uint32(s[n]), 2)
		case r <= 0xffff:
			dst = appendHex(append(dst, `\u`...), uint32(r), 4)
		default:
			dst = appendHex(append(dst, `\U`...), uint32(r), 8)
		}
		s = s[n+size:]
	}
}

func appendHex(dst []byte, v uint32, digits int) []byte {
	for shift := 4 * (digits - 1); shift >= 0; shift -= 4 {
		dst = append(dst, "0123456789abcdef"[v>>shift&0xf])
	}
	return dst
}

// maxMarks is how many marks one character may have. Scripts that pile them up use three, and seldom four.
const maxMarks = 4

// cleanPrefix returns how much of s can be shown as it is.
func cleanPrefix(s string, backslash bool) int {
	i, marks := 0, pile(maxMarks) // a mark at the beginning would stand on what is not of s
	for i < len(s) {
		for i+8 <= len(s) && cleanWord(load64(s, i)) {
			i, marks = i+8, 0
		}
		if i == len(s) {
			break
		}
		if c := s[i]; c < utf8.RuneSelf {
			if c < ' ' || c == 0x7f || c == '\\' && backslash {
				return i
			}
			i, marks = i+1, 0
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if marks.hides(r) || size == 1 || !visible(r) {
			return i
		}
		i += size
	}
	return i
}

func load64(s string, i int) uint64 {
	s = s[i : i+8]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// cleanWord reports whether eight bytes are all printable ASCII other than the
// backslash. It may say no for a clean word, never yes for another.
func cleanWord(x uint64) bool {
	const (
		each = 0x0101010101010101
		high = 0x80 * each
	)
	control := x - ' '*each // borrows into the high bit of a byte below ' '
	del := x + each         // carries into the high bit of 0x7f
	b := x ^ '\\'*each
	back := b - each // borrows into the high bit of a zero byte
	return (x|control|del|back)&high == 0
}

// visible reports whether a character outside ASCII shows as itself. It is Go's
// notion of printable, less the characters that are printable by category but
// leave no mark, plus the ideographic space and the emoji that are newer than
// Go's Unicode tables.
func visible(r rune) bool {
	switch {
	case r == 0x034f, // combining grapheme joiner
		r == 0x115f, r == 0x1160, r == 0x3164, r == 0xffa0, // Hangul fillers
		r == 0x17b4, r == 0x17b5, // Khmer inherent vowels
		r >= 0x180b && r <= 0x180f,   // Mongolian variation selectors
		r == 0x2800,                  // blank Braille pattern
		r >= 0xfe00 && r <= 0xfe0f,   // variation selectors
		r == 0x16fe4,                 // Khitan filler
		r == 0x1d159,                 // musical null notehead
		r >= 0xe0000 && r <= 0xe0fff: // tags, variation selectors supplement
		return false
	case r == 0x3000, r >= 0x1f000 && r <= 0x1faff:
		return true
	}
	return strconv.IsPrint(r)
}

// A pile counts the marks that stand on one character.
type pile int

// hides reports whether r, which comes next, is a mark too many.
func (p *pile) hides(r rune) bool {
	if r < 0x0300 || !unicode.In(r, unicode.Mn, unicode.Me) {
		*p = 0
		return false
	}
	*p++
	return *p > maxMarks
}

var errEscape = errors.New("not an escaped text")

// Unescape returns the string that Escape made s from. It reports an error for
// a backslash that does not start one of Escape's forms.
func Unescape(s string) (string, error) {
	var b strings.Builder
	for {
		i := strings.IndexByte(s, '\\')
		if i < 0 {
			b.WriteString(s)
			return b.String(), nil
		}
		b.WriteString(s[:i])
		rest, err := unescapeOne(&b, s[i+1:])
		if err != nil {
			return "", err
		}
		s = rest
	}
}

func unescapeOne(b *strings.Builder, s string) (rest string, err error) {
	if s == "" {
		return "", fmt.Errorf("%w: ends in a backslash", errEscape)
	}
	digits := 0
	switch s[0] {
	case '\\':
		b.WriteByte('\\')
	case 'n':
		b.WriteByte('\n')
	case 'r':
		b.WriteByte('\r')
	case 't':
		b.WriteByte('\t')
	case 'x':
		digits = 2
	case 'u':
		digits = 4
	case 'U':
		digits = 8
	default:
		return "", fmt.Errorf("%w: unknown escape %q", errEscape, `\`+s[:1])
	}
	s = s[1:]
	if digits == 0 {
		return s, nil
	}
	if len(s) < digits {
		return "", fmt.Errorf("%w: escape cut short", errEscape)
	}
	v, err := strconv.ParseUint(s[:digits], 16, 32)
	switch {
	case err != nil:
		return "", fmt.Errorf("%w: bad digits %q", errEscape, s[:digits])
	case digits == 2:
		b.WriteByte(byte(v))
	case v > utf8.MaxRune || !utf8.ValidRune(rune(v)):
		return "", fmt.Errorf("%w: no such character %q", errEscape, s[:digits])
	default:
		b.WriteRune(rune(v))
	}
	return s[digits:], nil
}
