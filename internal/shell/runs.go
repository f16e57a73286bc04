package shell

import "strings"

// alphabet marks the characters of base64 in its two alphabets; hexadecimal and base32 are among them.
var alphabet = marks("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_")

// urlText marks the characters between which percent escapes stand.
var urlText = marks("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_%.~!*();:@&=,?#[]$")

func marks(chars string) *[256]bool {
	var m [256]bool
	for i := range len(chars) {
		m[chars[i]] = true
	}
	return &m
}

// letterRuns returns the stretches of at least so many letters of an alphabet, padding included.
// A run that long covers each least-th byte of itself: so only those bytes are looked at until one may be in a run.
func letterRuns(text string, least, most int) []run {
	var runs []run
	for i := 0; i+least <= len(text) && len(runs) < most; {
		last := i + least - 1
		start := last
		for start >= i && alphabet[text[start]] {
			start--
		}
		if start >= i {
			i = start + 1
			continue
		}
		end := lettersEnd(text, i, last+1)
		runs = append(runs, run{i, end, letters})
		i = end
	}
	return runs
}

// lettersEnd returns where a run of letters that began at start ends: after its padding, and after further lines if the
// text is wrapped as base64 and openssl wrap it.
func lettersEnd(text string, start, i int) int {
	for line := start; ; line = i {
		for i < len(text) && alphabet[text[i]] {
			i++
		}
		next := i + lineBreak(text[i:])
		if next == i || (i-line)%4 != 0 || i-line < minEncoded || next >= len(text) || !alphabet[text[next]] {
			break
		}
		i = next
	}
	for n := 0; n < 2 && i < len(text) && text[i] == '='; n++ {
		i++
	}
	return i
}

// lineBreak returns the length of the line break that text begins with, also of one escaped for JSON.
func lineBreak(text string) int {
	for _, s := range []string{"\n", "\r\n", `\n`, `\r\n`} {
		if strings.HasPrefix(text, s) {
			return len(s)
		}
	}
	return 0
}

// percentRuns adds the stretches of URL text with many percent escapes.
func percentRuns(text string, runs []run, most int) []run {
	for i := 0; len(runs) < most; {
		n := strings.IndexByte(text[i:], '%')
		if n < 0 {
			break
		}
		start := i + n
		end, count := percentsEnd(text, start)
		if count >= minEscapes {
			runs = append(runs, run{start, end, percents})
		}
		i = max(end, start+1)
	}
	return runs
}

func percentsEnd(text string, i int) (end, count int) {
	for i < len(text) && urlText[text[i]] {
		if text[i] == '%' && i+2 < len(text) && isHex(text[i+1]) && isHex(text[i+2]) {
			count++
			i += 2
		}
		i++
	}
	return i, count
}

// escapeRuns adds the stretches of \x2f escapes.
func escapeRuns(text string, runs []run, most int) []run {
	for i := 0; len(runs) < most; {
		n := strings.Index(text[i:], `\x`)
		if n < 0 {
			break
		}
		start := i + n
		end := start
		for end+3 < len(text) && text[end] == '\\' && text[end+1] == 'x' && isHex(text[end+2]) && isHex(text[end+3]) {
			end += 4
		}
		if (end-start)/4 >= minEscapes {
			runs = append(runs, run{start, end, escapes})
		}
		i = max(end, start+2)
	}
	return runs
}

func isHex(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f' }
