package shell

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// ansi reads the escapes of $'…', which echo -e and printf have too.
func ansi(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		if s[i] != '\\' || i+1 >= len(s) {
			b.WriteByte(s[i])
			i++
			continue
		}
		text, n := ansiEscape(s[i+1:])
		b.WriteString(text)
		i += 1 + n
	}
	return b.String()
}

// ansiEscape reads what follows a backslash and returns how many bytes of it are read.
func ansiEscape(s string) (text string, n int) {
	const from, to = `abeEfnrtv\'"?`, "\a\b\x1b\x1b\f\n\r\t\v\\'\"?"
	if i := strings.IndexByte(from, s[0]); i >= 0 {
		return to[i : i+1], 1
	}
	switch c := s[0]; {
	case c == 'x':
		return number(s, 1, 16, 2, false)
	case c == 'u':
		return number(s, 1, 16, 4, true)
	case c == 'U':
		return number(s, 1, 16, 8, true)
	case c == 'c' && len(s) > 1:
		return string(rune(s[1] & 0x1f)), 2
	case c >= '0' && c <= '7':
		return number(s, 0, 8, 3, false)
	}
	return `\` + s[:1], 1
}

// number reads at most so many digits from an offset. A byte, or a character's code point.
func number(s string, at, base, most int, isRune bool) (text string, n int) {
	end := at
	for end < len(s) && end < at+most {
		if _, err := strconv.ParseUint(s[end:end+1], base, 8); err != nil {
			break
		}
		end++
	}
	v, err := strconv.ParseUint(s[at:end], base, 32)
	switch {
	case err != nil:
		return `\` + s[:max(at, 1)], max(at, 1)
	case isRune && v <= utf8.MaxRune:
		return string(rune(v)), end
	case isRune:
		return string(utf8.RuneError), end
	case v&0xff == 0:
		return "", end
	}
	return string([]byte{byte(v)}), end
}
