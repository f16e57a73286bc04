package shell

import (
	"errors"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// isWindows reports whether a command is of PowerShell or cmd.exe, whose syntax looks like a shell's but is not: a variable
// of the environment, a type of .NET, or a name such as Get-Item.
func isWindows(text string) bool {
	if len(text) > 2 && text[1] == ':' && text[2] == '\\' {
		return true // C:\… is the path of a program
	}
	for _, sign := range []string{"$env:", "$Env:", "$PSVersionTable", "[System.", "[Convert]::", "[Net."} {
		if strings.Contains(text, sign) {
			return true
		}
	}
	for i := 1; i+1 < len(text); i++ {
		n := strings.IndexByte(text[i:len(text)-1], '-')
		if n < 0 {
			return false
		}
		if i += n; isUpper(text[i+1]) && isVerb(text[:i]) {
			return true
		}
	}
	return false
}

func isUpper(c byte) bool { return 'A' <= c && c <= 'Z' }

// isVerb reports whether text ends in one of the verbs that PowerShell's commands begin with, where a word begins.
func isVerb(text string) bool {
	for _, verb := range []string{"Invoke", "Get", "Set", "New", "Start", "Stop", "Add", "Remove", "Out", "Expand", "Import", "Write"} {
		if before, ok := strings.CutSuffix(text, verb); ok {
			return before == "" || strings.IndexByte(" \t\n;|({&", before[len(before)-1]) >= 0
		}
	}
	return false
}

// maxRepairs is how many endings are tried on a torn command.
const maxRepairs = 4

// repaired follows a command that cannot be parsed: with the end that it lacks if that helps, else by cutting it at
// operators. Nothing of it is blanked, except where the end lacks because the command is looked at only in part.
func (s *script) repaired(text string, err error) {
	s.cmd.Broken, s.unparsed = true, true
	if isWindows(text) {
		s.crude(text, "")
		return
	}
	whole := text
	for range maxRepairs {
		end := missing(err)
		if end == "" {
			break
		}
		var file *syntax.File
		whole += end
		if file, err = s.parser.parse(whole); err == nil {
			s.cmd.Broken, s.unparsed = !s.cmd.Cut, !s.cmd.Cut
			s.src.text = whole
			s.run(file)
			return
		}
	}
	if file, err := s.parser.torn(text); err == nil {
		s.run(file)
		return
	}
	s.crude(text, "")
}

// torn parses a text that may lack more than its end.
func (p *Parser) torn(text string) (*syntax.File, error) {
	if tooDeep(text) {
		return nil, errTooDeep
	}
	return p.lenient.Parse(strings.NewReader(text), "")
}

// lacks is what a parser's error says of a text that ends too early, and the ending that it lacks.
var lacks = [][2]string{
	{"closing quote `\"`", `"`},
	{"closing quote `'`", "'"},
	{"closing quote `$'`", "'"},
	{"closing quote \"`\"", "`"},
	{"with `)`", ")"},
	{"with `))`", "))"},
	{"with `}`", "\n}"},
	{"with `]]`", " ]]"},
	{"end with `fi`", "\nfi"},
	{"end with `done`", "\ndone"},
	{"end with `esac`", "\nesac"},
	{"followed by a word", " :"},
	{"followed by an expression", "1"},
}

// missing returns the ending that a parser's error says a text lacks, or "".
func missing(err error) string {
	var e syntax.ParseError
	if !errors.As(err, &e) {
		return ""
	}
	for _, l := range lacks {
		if strings.Contains(e.Text, l[0]) {
			return l[1]
		}
	}
	if _, name, ok := strings.Cut(e.Text, "unclosed here-document `"); ok {
		return "\n" + strings.TrimSuffix(name, "`") + "\n"
	}
	return ""
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

// tooDeep reports whether a text opens so many brackets or compound commands at once that reading it would cost too much
// stack or time. It counts without regard for quotes: what it wrongly refuses is only read more crudely.
func tooDeep(text string) bool {
	if len(text) < 1024 {
		return false
	}
	if strings.Contains(text, "[[") && strings.Count(text, "&&")+strings.Count(text, "||")+strings.Count(text, "! ") > maxTests {
		return true
	}
	return longArithmetic(text) || bracketDepth(text) > maxDeep || wordDepth(text) > maxDeep
}

// longArithmetic reports whether an arithmetic expression is longer than any that was written by hand.
func longArithmetic(text string) bool {
	for _, form := range [][2]string{{"((", "))"}, {"$[", "]"}, {"let ", "\n"}} {
		for rest := text; ; {
			_, after, ok := strings.Cut(rest, form[0])
			if !ok {
				break
			}
			if n := strings.Index(after, form[1]); n > maxArithmetic || n < 0 && len(after) > maxArithmetic {
				return true
			}
			rest = after
		}
	}
	return false
}

func bracketDepth(text string) int {
	depth, most := 0, 0
	for i := range len(text) {
		switch text[i] {
		case '(', '{', '[':
			depth++
			most = max(most, depth)
		case ')', '}', ']':
			depth = max(0, depth-1)
		}
	}
	return most
}

// wordDepth counts the keywords that are open at once, and those that may stand in a row.
func wordDepth(text string) int {
	depth, row, most := 0, 0, 0
	for w := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ' ' || r == '\t' || r == '\n' || r == ';' }) {
		switch w {
		case "if", "while", "until", "for", "select", "case":
			depth++
		case "fi", "done", "esac":
			depth = max(0, depth-1)
		case "time", "coproc", "function", "elif", "!":
			row++
		default:
			if strings.HasSuffix(w, "()") {
				row++
			} else {
				row = max(0, row-1)
			}
		}
		most = max(most, depth, row)
	}
	return most
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
