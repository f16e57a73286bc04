package console

import (
	"strings"
	"unicode/utf8"
)

// foldLine breaks a line that is wider than a terminal between its words. Where it goes on it is indented as far as its second
// column, so that the first is easily found. What is to be typed stays whole, for it may be copied. Off a terminal nothing is folded: a
// line there is one record.
func foldLine(line string, width int) string {
	if columns(line) <= width || isTyped(line) {
		return line
	}
	indent := strings.Repeat(" ", hang(line, width))
	var b strings.Builder
	for room := width; ; room = width - len(indent) {
		at := breakAt(line, room)
		if at == len(line) {
			b.WriteString(line)
			return b.String()
		}
		b.WriteString(strings.TrimRight(line[:at], " ") + "\n" + indent)
		line = strings.TrimLeft(line[at:], " ")
	}
}

// foldAll folds each line of a text.
func foldAll(text string, width int) string {
	if columns(text) <= width {
		return text
	}
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = foldLine(lines[i], width)
	}
	return strings.Join(lines, "\n")
}

// FoldOut folds text for standard output if that is a terminal.
func (c *Console) FoldOut(text string) string {
	if !c.facts.OutTerminal {
		return text
	}
	return foldAll(text, c.facts.Width)
}

// isTyped reports that a line shows a command.
func isTyped(line string) bool {
	word, _, _ := strings.Cut(strings.TrimLeft(line, " "), " ")
	return word == "→" || word == "type" || word == "command" || strings.HasPrefix(plainText(strings.TrimLeft(line, " ")), "$ ")
}

// hang is where a folded line goes on: under its second column if the first ends soon, else four further than it begins.
func hang(line string, width int) int {
	text := plainText(line)
	start := len(text) - len(strings.TrimLeft(text, " "))
	column := start + 4
	if gap := strings.Index(text[start:], "  "); gap > 0 {
		rest := text[start+gap:]
		second := utf8.RuneCountInString(text[:start+gap]) + len(rest) - len(strings.TrimLeft(rest, " "))
		if second <= width/4 {
			column = second
		}
	}
	return min(column, width/4)
}

// breakAt returns where to break a line so that what is before has at most room columns: at the last space that does, else at the
// first one there is, else at its end.
func breakAt(line string, room int) int {
	at, column, seen := 0, 0, false
	for i := 0; i < len(line); {
		if n := escapeLen(line[i:]); n > 0 {
			i += n
			continue
		}
		r, size := utf8.DecodeRuneInString(line[i:])
		if r == ' ' && seen {
			at = i
			if column > room {
				return at
			}
		}
		seen = seen || r != ' '
		i, column = i+size, column+runeColumns(r)
		if column > room && at > 0 {
			return at
		}
	}
	return len(line)
}

// columns is how wide text is, without the escape sequences of colours.
func columns(text string) (n int) {
	for _, r := range plainText(text) {
		n += runeColumns(r)
	}
	return n
}

// runeColumns is 2 for the characters of East Asia and pictures, which are wide.
func runeColumns(r rune) int {
	if r >= 0x2e80 {
		return 2
	}
	return 1
}

// escapeLen is the length of the colour at the start of text, 0 if there is none.
func escapeLen(text string) int {
	if !strings.HasPrefix(text, "\x1b[") {
		return 0
	}
	return strings.IndexByte(text, 'm') + 1
}

// plainText is text without colours.
func plainText(text string) string {
	if !strings.Contains(text, "\x1b[") {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		if n := escapeLen(text[i:]); n > 0 {
			i += n
			continue
		}
		b.WriteByte(text[i])
		i++
	}
	return b.String()
}
