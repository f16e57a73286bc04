package shell

import (
	"regexp"
	"strings"
)

// powerShell is a sign that a command is of PowerShell, whose syntax looks like a shell's but is not.
var powerShell = regexp.MustCompile(`(?i)\$env:|\$PSVersionTable|\b(?:invoke|get|set|new|start|add|remove|out)-[a-z]{3,}[^/.\w-]|\[(?:system|convert|net)\.|\biwr\s|\birm\s`)

func isPowerShell(text string) bool {
	return strings.ContainsAny(text, "-:[iI") && powerShell.MatchString(text)
}

// repairs are endings that make a torn command whole.
var repairs = []string{`"`, `'`, "`", ")", `")`, "\n}", "\nfi", "\ndone", "\nEOF\n", `'"`}

// repaired follows a command that cannot be parsed: with a missing end if that helps, else by cutting it at operators.
// Nothing of it is blanked.
func (s *script) repaired(text string) {
	s.cmd.Broken, s.unparsed = true, true
	if !isPowerShell(text) && !tooDeep(text) && len(text) < maxHead/4 {
		for _, end := range repairs {
			if file, err := s.parser.dialects[0].Parse(strings.NewReader(text+end), ""); err == nil {
				s.src.text = text + end
				s.run(file)
				return
			}
		}
	}
	s.crude(text, "")
}

// crude takes a text that is no shell script apart at operators and notes each piece as a process.
func (s *script) crude(text, parent string) {
	for _, piece := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune("|;&\n", r) }) {
		var args []arg
		for _, w := range strings.Fields(piece) {
			if len(args) < maxFields {
				args = append(args, arg{value: known(strings.Trim(w, `"'(){}`))})
			}
		}
		if len(args) == 0 || args[0].text == "" || !s.step() {
			continue
		}
		c := invocation{name: baseName(args[0].text), args: args, parent: parent}
		s.record(c)
		s.hostsOf(c)
	}
}

// tooDeep reports whether a text opens so many brackets or compound commands at once that reading it would cost too
// much stack. It counts without regard for quotes: what it wrongly refuses is only read more crudely.
func tooDeep(text string) bool {
	depth, signs := 0, 0
	for i := range len(text) {
		switch c := text[i]; c {
		case '(', '{', '[':
			depth++
		case ')', '}', ']':
			depth = max(0, depth-1)
		case '!', '~', '+', '-', '?', '=', '*':
			if signs++; signs > maxDeep && !strings.Contains(text[i-signs+1:i], " ") && i > 0 {
				signs = 0
			}
			continue
		}
		if depth > maxDeep {
			return true
		}
	}
	return strings.Count(text, "if ")+strings.Count(text, "while ")+strings.Count(text, "time ") > 10*maxDeep
}

// plainWords returns the words of a command without anything that the shell would treat specially. Most are such.
func plainWords(src value) ([]arg, bool) {
	text := src.text
	if text == "" || text[0] == ' ' || len(text) > 4096 {
		return nil, false
	}
	var args []arg
	start := 0
	for i := 0; i <= len(text); i++ {
		if i < len(text) && text[i] != ' ' {
			if !plainByte[text[i]] {
				return nil, false
			}
			continue
		}
		if i > start {
			args = append(args, arg{value: canonical(src.part(start, i))})
		}
		start = i + 1
	}
	return args, !isKeyword(args[0].text) && !strings.Contains(args[0].text, "=")
}

// plainByte marks the characters that mean themselves anywhere in a command.
var plainByte = marks("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-+./:,%@=^")

// isKeyword reports whether a command that begins with a word is more than a program and its words.
func isKeyword(word string) bool {
	switch word {
	case "if", "then", "elif", "else", "fi", "for", "while", "until", "do", "done", "case", "esac", "in", "select", "function",
		"time", "coproc", "let", "declare", "export", "local", "readonly", "typeset", "nameref", "foreach", "end", "repeat":
		return true
	}
	return false
}
