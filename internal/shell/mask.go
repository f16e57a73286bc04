package shell

import "strings"

// How OpenClaw masks a secret in what it stores: a short one wholly, of a long one the first and last characters stay.
const (
	maskWhole    = "***"
	maskEllipsis = "…"
	maskHead     = 6
	maskTail     = 4
)

// tokenLength is how long the text is that stands for a masked secret, in bytes.
const tokenLength = 40

// filler is what a masked secret's hidden part becomes: letters of both cases and digits, as in a token.
const filler = "Mk7Mk7Mk7Mk7Mk7Mk7Mk7Mk7Mk7Mk7Mk7Mk7Mk7M"

// Unmask replaces the secrets that OpenClaw has masked by text of a token's length and alphabet, so that an expression for
// a token matches, and reports whether there were any. What a mask leaves of the secret stays where it was.
func Unmask(text string) (string, bool) {
	if !mayBeMasked(text) {
		return text, false
	}
	var b strings.Builder
	done := 0
	for i := 0; i < len(text); {
		start, end, token := maskAt(text, i)
		if token == "" {
			i++
			continue
		}
		start = max(start, done)
		b.WriteString(text[done:start])
		b.WriteString(token)
		i, done = end, end
	}
	if done == 0 {
		return text, false
	}
	b.WriteString(text[done:])
	return b.String(), true
}

func mayBeMasked(text string) bool {
	return strings.Contains(text, maskWhole) || strings.Contains(text, maskEllipsis)
}

// maskAt returns the extent of the mask whose middle is at i and what replaces it, or "".
func maskAt(text string, i int) (start, end int, token string) {
	switch {
	case text[i] == '*' && isWholeMask(text, i):
		return i, i + len(maskWhole), filler
	case strings.HasPrefix(text[i:], maskEllipsis):
		start, end = i-maskHead, i+len(maskEllipsis)+maskTail
		if start < 0 || end > len(text) || !isToken(text[start:i]) || !isToken(text[end-maskTail:end]) {
			return 0, 0, ""
		}
		return start, end, text[start:i] + filler[:tokenLength-maskHead-maskTail] + text[end-maskTail:end]
	}
	return 0, 0, ""
}

// isWholeMask reports whether the three asterisks at i are no part of a longer run, as in a ruler or in emphasis.
func isWholeMask(text string, i int) bool {
	return strings.HasPrefix(text[i:], maskWhole) && (i == 0 || text[i-1] != '*') &&
		(i+3 >= len(text) || text[i+3] != '*')
}

// isToken reports whether s is printable ASCII without spaces, as every part of a secret is.
func isToken(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// restore gives back the semicolon that masking swallows after an assignment: `export K=***; curl` is stored as
// `export K=*** curl`, which would make curl a name to export. Lengths do not change: the space becomes the semicolon.
func restore(command string) string {
	if !strings.Contains(command, "="+maskWhole) {
		return command
	}
	b := []byte(command)
	for i := 0; ; {
		n := strings.Index(command[i:], "="+maskWhole)
		if n < 0 {
			return string(b)
		}
		after := i + n + 1 + len(maskWhole)
		if isDeclared(command[:i+n]) && startsCommand(command[after:]) {
			b[after] = ';'
		}
		i = after
	}
}

// isDeclared reports whether text ends in the name of a variable that export or its kin assigns.
func isDeclared(text string) bool {
	line := text[strings.LastIndexAny(text, "\n;&|(")+1:]
	words := strings.Fields(line)
	if len(words) < 2 || strings.HasSuffix(line, " ") || !isName(words[len(words)-1]) {
		return false
	}
	switch words[0] {
	case "export", "declare", "typeset", "readonly", "local":
		return true
	}
	return false
}

// startsCommand reports whether what follows an assignment is a blank and then neither an operator nor an assignment.
func startsCommand(rest string) bool {
	word := strings.TrimLeft(rest, " \t")
	if word == rest || word == "" || strings.ContainsRune("\n\r;&|)<>#", rune(word[0])) {
		return false
	}
	name, _, assigns := strings.Cut(word[:wordEnd(word)], "=")
	return !assigns || !isName(name)
}

func wordEnd(text string) int {
	if i := strings.IndexAny(text, " \t\n"); i >= 0 {
		return i
	}
	return len(text)
}

// isName reports whether s can name a shell variable.
func isName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c != '_' && (c|0x20 < 'a' || c|0x20 > 'z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}
