package secret

import "strings"

// assignments are the words in the names of keys that hold secrets.
func assignments() []format {
	var table []format
	for _, word := range strings.Fields("token pass pwd secret key cred auth cookie jwt psk") {
		table = append(table, format{word: word, fold: true, find: assigned})
	}
	return table
}

// How far a name and a quoted value may reach, and how much of a value is judged, in bytes.
const (
	maxName = 64
	maxText = 4096
	maxHead = 256
)

// assigned finds the value that is given to a name which says that it is a secret: NAME=value, "name": "value",
// --name value, and openclaw's own "config set path.to.name value".
func assigned(s *scan, i int) (int, int) {
	if i < s.assignedEnd {
		return 0, 0
	}
	nameEnd := i + keyChars.run(s.text[i:], maxName)
	at, how := separator(s.text, nameEnd)
	if how == none {
		return 0, 0
	}
	nameStart := keyChars.back(s.text, i, max(0, i-maxName))
	if how == gap && !takesArgument(s.text, nameStart) {
		return 0, 0
	}
	name := s.text[nameStart:nameEnd]
	if !isSecretName(name) {
		return 0, 0
	}
	start, end := quotedOrBare(s, at)
	quoted := start > at
	// The start tells what a value is; the rest of a long one is not worth the time.
	value := s.text[start:min(end, start+maxHead)]
	start += len(value) - len(withoutScheme(value))
	value = withoutScheme(value)
	if !isSecret(value) || isCut(s.text[end:]) || isPath(value) || isCode(value, quoted) || isProse(name, value, quoted, how) {
		return 0, 0
	}
	if strings.EqualFold(name, "cookie") || strings.EqualFold(name, "set-cookie") {
		end = restOfLine(s.text, start, end)
	}
	s.assignedEnd = end
	return start, end
}

// isProse reports whether the value is part of a sentence: "password: required here", {"token": "It is missing"}.
func isProse(name, value string, quoted bool, how kind) bool {
	if quoted {
		name = strings.ToLower(name)
		return space.any(value) && !strings.Contains(name, "pass") && !strings.Contains(name, "cookie")
	}
	return how == loose && !(len(value) >= 8 && digits.any(value)) && !(len(value) >= 20 && entropy(value) > 3.5)
}

// restOfLine returns where the line, or the quoted text, ends that holds a header's value.
func restOfLine(text string, start, end int) int {
	line := text[start:min(len(text), start+maxText)]
	if n := strings.IndexAny(line, "\n\r\"'\\"); n >= 0 {
		line = line[:n]
	}
	return max(end, start+len(line))
}

// kind is what stands between a name and its value.
type kind int

const (
	none  kind = iota
	tight      // "=" alone
	loose      // ":" or "=" with space
	gap        // space, or the quotes and comma between two arguments in JSON
)

// separator returns where the value after a name starts, and what stands between.
func separator(text string, i int) (int, kind) {
	closing := quoteLen(text[i:])
	at := i + closing
	if closing > 0 && at < len(text) && text[at] == ']' {
		at++
	}
	spaces := blank.run(text[at:], 8)
	at += spaces
	if at >= len(text) {
		return 0, none
	}
	switch text[at] {
	case '=', ':':
		n := at + 1
		if n < len(text) && (text[n] == '=' && text[at] == '=' || text[at] == ':' && text[n] == ':') {
			return 0, none // a comparison, a C++ name
		}
		if n < len(text) && (text[n] == '=' || text[n] == '>') {
			n++
		}
		after := blank.run(text[n:], 8)
		if text[at] == '=' && spaces+after == 0 {
			return n, tight
		}
		return n + after, loose
	case '%':
		if strings.HasPrefix(text[at:], "%3D") || strings.HasPrefix(text[at:], "%3d") {
			return at + 3, tight
		}
	case ',':
		if closing > 0 {
			return at + 1 + space.run(text[at+1:], 8), gap
		}
	}
	if spaces > 0 && closing == 0 {
		return at, gap
	}
	return 0, none
}

// takesArgument reports whether the word that starts at i takes the next as its value: an option, or the path in
// "config set".
func takesArgument(text string, i int) bool {
	if i < len(text) && text[i] == '-' {
		return true
	}
	before := text[max(0, i-24):i]
	before = strings.TrimRight(before, "\"'`\\ \t,")
	before, ok := strings.CutSuffix(before, "set")
	return ok && strings.HasSuffix(strings.TrimRight(before, "\"'`\\ \t,"), "config")
}

// quoteLen returns the length of the quote that text starts with, the backslashes before it included.
func quoteLen(text string) int {
	n := 0
	for n < len(text) && n < 7 && text[n] == '\\' {
		n++
	}
	if n < len(text) && quotes[text[n]] {
		return n + 1
	}
	return 0
}

// quotedOrBare returns the value that starts at i, without its quotes.
func quotedOrBare(s *scan, i int) (start, end int) {
	n := quoteLen(s.text[i:])
	if n == 0 {
		return i, s.bare(i)
	}
	start = i + n
	if end, ok := closing(s.text, start, s.text[i+n-1], n-1); ok {
		return start, end
	}
	if rest := s.text[start:]; len(rest) <= maxHead && !strings.ContainsAny(rest, " \t\r\n") { // cut off
		return start, len(s.text)
	}
	return start, s.bare(start)
}

// closing returns where a quoted text ends: at the same quote with no more backslashes before it than the opening
// one had. A quote with more is part of the text.
func closing(text string, start int, quote byte, backslashes int) (int, bool) {
	limit := min(len(text), start+maxText)
	escapes := 0
	for i := start; i < limit; i++ {
		switch {
		case text[i] == '\\':
			escapes++
		case text[i] == quote && escapes <= backslashes:
			return i - escapes, true
		default:
			escapes = 0
		}
	}
	return 0, false
}

var bareEnd = classOf(" \t\r\n\v\f\"'`<>()|;&{}[]")

// bare returns where the unquoted value ends that starts at i.
func (s *scan) bare(i int) int {
	if s.bareFrom <= i && i < s.bareEnd {
		return s.bareEnd
	}
	end := i
	limit := min(len(s.text), i+maxValue)
	for end < limit && !bareEnd[s.text[end]] && !(s.text[end] == ',' && endsItem(s.text[end+1:])) {
		if s.text[end] == '\\' {
			if !strings.HasPrefix(s.text[end:], `\\`) {
				break
			}
			end++
		}
		end++
	}
	end = min(end, limit)
	s.bareFrom, s.bareEnd = i, end
	return end
}

// endsItem reports whether a comma before rest ends a value, instead of being part of it.
func endsItem(rest string) bool {
	n := keyChars.run(rest, maxName)
	return n == len(rest) || bareEnd[rest[n]] || rest[n] == '\\' || n > 0 && (rest[n] == '=' || rest[n] == ':')
}

// isCode reports whether an unquoted value is an expression of a program rather than text: "process.env.NAME",
// "getToken(", "$NAME".
func isCode(value string, quoted bool) bool {
	if strings.HasPrefix(value, "$") && !quoted || strings.HasPrefix(value, "process.env") || strings.HasPrefix(value, "os.environ") {
		return true
	}
	if quoted || !strings.Contains(value, ".") {
		return false
	}
	for part := range strings.SplitSeq(value, ".") {
		if part == "" || len(part) > 24 || digits.any(part) || !wordChars.all(part) {
			return false
		}
	}
	return true
}
