package console

import (
	"regexp"
	"strings"
)

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// ShellWord quotes a word for a command that a person is told to type into a shell, where it must be quoted. Whatever the word is, the
// shell takes it for one word and runs nothing of it. Nothing in the result has to be escaped but backslashes, and even with these doubled it
// stays one word: no quote has one before it. A word that a terminal does not show as it is has bash's $'…'.
func ShellWord(w string) string {
	switch {
	case plainWord.MatchString(w):
		return w
	case EscapeCommand(w) == w:
		return "'" + strings.ReplaceAll(w, "'", `'"'"'`) + "'"
	default: // bash knows all that Escape writes
		return "$'" + strings.ReplaceAll(Escape(w), "'", `\x27`) + "'"
	}
}

// EscapeCommand is [Escape] for a command made of [ShellWord]s: backslashes are the shell's, and stay single.
func EscapeCommand(line string) string { return string(appendEscaped(nil, line, false)) }
