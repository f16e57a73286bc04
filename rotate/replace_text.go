package rotate

import (
	"errors"
	"html"
	"regexp"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/json5"
)

var (
	errNotThere = errors.New("the value is not there")
	errNotPlain = errors.New("the value is not plain")
)

// A span is a part of a text that holds a value: the bytes from start to end become before + the new value + after.
type span struct {
	start, end    int
	before, after string
	old           string
}

// spans finds a place's value in its file's text, in the order of the text and at least one.
func (p Place) spans(text []byte) (found []span, err error) {
	switch p.Syntax {
	case InConfig, InSecret:
		return jsonSpans(text, p.steps)
	case InWhole:
		return wholeSpans(text)
	case InDotenv, InShell:
		found, err = assignmentSpans(string(text), p.Name, p.Syntax)
	case InSystemd:
		found = systemdSpans(string(text), p.Name)
	case InUnit:
		found = unitSpans(string(text), p.Name)
	case InPlist:
		found = plistSpans(string(text), p.Name)
	}
	if err == nil && len(found) == 0 {
		err = errNotThere
	}
	return found, err
}

func jsonSpans(text []byte, steps []string) ([]span, error) {
	v, err := json5.Parse(text)
	if err != nil {
		return nil, errors.New("not JSON5") // the parser's words may quote the text
	}
	if v = v.Get(steps...); v == nil || v.Kind != json5.String || len(steps) == 0 {
		return nil, errNotThere
	}
	return []span{{start: v.Start, end: v.End, old: strings.TrimSpace(v.Str)}}, nil
}

// wholeSpans takes all of a file but the line end behind it, as a provider of the mode singleValue reads it. What has blanks in it is rather
// a line of another program's file.
func wholeSpans(text []byte) ([]span, error) {
	s := strings.TrimRight(string(text), "\r\n")
	if s == "" || strings.ContainsAny(s, " \t\r\n") {
		return nil, errNotPlain
	}
	return []span{{start: 0, end: len(s), old: s}}, nil
}

// A line that sets a variable, as dotenv 17 reads it and as a shell does. The value begins after it.
var (
	dotenvAssignment = regexp.MustCompile(`(?m)^[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)(?:[ \t]*=[ \t]*|:[ \t]+)`)
	shellAssignment  = regexp.MustCompile(`(?m)^[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)=`)
)

// assignmentSpans finds a variable in a dotenv file or a shell's profile, if every line that sets it has a value that both would
// read without working it out.
func assignmentSpans(text, name string, syntax Syntax) (found []span, err error) {
	pattern, quotes, ends := dotenvAssignment, "'\"`", "#"
	if syntax == InShell {
		pattern, quotes, ends = shellAssignment, "'\"", "#;&|"
	}
	for _, m := range pattern.FindAllStringSubmatchIndex(text, -1) {
		if text[m[2]:m[3]] != name {
			continue
		}
		line, _, _ := strings.Cut(text[m[1]:], "\n")
		value, quote := line, ""
		if line != "" && strings.Contains(quotes, line[:1]) {
			quote = line[:1]
			if value, _, _ = strings.Cut(line[1:], quote); len(value) == len(line)-1 {
				return nil, errNotPlain // it goes on in the next line, or never ends
			}
		} else if i := strings.IndexAny(line, " \t\r"+ends); i >= 0 {
			value = line[:i]
		}
		start := m[1]
		end := start + len(quote+value+quote)
		if !isPlain(value, quote) || !isEnd(line[end-start:], syntax) {
			return nil, errNotPlain
		}
		if value != "" {
			found = append(found, span{start, end, quote, quote, strings.TrimSpace(value)})
		}
	}
	return found, nil
}

// isPlain reports that a value stands for itself between these quotes, or without any.
func isPlain(value, quote string) bool {
	switch quote {
	case "'":
		return !strings.Contains(value, `\`)
	case "":
		return !strings.ContainsAny(value, "'\"`\\()&|<>;$")
	}
	return !strings.ContainsAny(value, "\\$`")
}

// isEnd reports that the rest of a line is no part of the value before it: a comment, and for a shell another word or command.
func isEnd(rest string, syntax Syntax) bool {
	text := strings.TrimSpace(rest)
	if text == "" {
		return true
	}
	blank := rest[0] == ' ' || rest[0] == '\t'
	return blank && (text[0] == '#' || syntax == InShell) || syntax == InShell && strings.Contains(";&|", text[:1])
}

// systemdAssignment is a line of an EnvironmentFile= (systemd.exec(5)): the rest of the line is the value, a number sign
// in it too; a backslash continues it.
var systemdAssignment = regexp.MustCompile(`(?m)^[ \t]*([A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*((?:[^\\\n]|\\(?s:.))*)`)

func systemdSpans(text, name string) (found []span) {
	for _, m := range systemdAssignment.FindAllStringSubmatchIndex(text, -1) {
		value := strings.TrimRight(text[m[4]:m[5]], " \t\r")
		if text[m[2]:m[3]] != name || value == "" {
			continue
		}
		s := span{start: m[4], end: m[4] + len(value), old: value}
		if q := value[0]; (q == '"' || q == '\'') && len(value) > 1 && value[len(value)-1] == q {
			s.before, s.after = string(q), string(q)
		}
		if w := words(text, s.start, s.end); len(w) == 1 {
			s.old = w[0].text
		}
		found = append(found, s)
	}
	return found
}

// An assignment of a unit is "Key=value", where the value stands between two offsets. It may go over several lines.
type unitAssignment struct {
	key        string
	start, end int
}

// unitAssignments splits a unit's text into its assignments (systemd.syntax(7)).
func unitAssignments(text string) (list []unitAssignment) {
	for start := 0; start < len(text); {
		end := lineEnd(text, start)
		line := text[start:end]
		if key, _, ok := strings.Cut(line, "="); ok && !strings.HasPrefix(strings.TrimSpace(key), "#") && !strings.HasPrefix(strings.TrimSpace(key), ";") {
			list = append(list, unitAssignment{strings.TrimSpace(key), start + len(key) + 1, end})
		}
		start = end + 1
	}
	return list
}

// lineEnd is the end of the logical line that begins at start: a backslash before the line's end continues it.
func lineEnd(text string, start int) int {
	for at := start; ; {
		i := strings.IndexByte(text[at:], '\n')
		if i < 0 {
			return len(text)
		}
		if i == 0 || text[at+i-1] != '\\' {
			return at + i
		}
		at += i + 1
	}
}

// A word is one of a unit's value, with where it stands, quotes included.
type word struct {
	start, end int
	text       string // without quotes and backslashes
}

// words cuts text[start:end] as systemd does: white space separates, quotes join, a backslash escapes.
func words(text string, start, end int) (list []word) {
	var w word
	var out strings.Builder
	inside, quote := false, byte(0)
	finish := func(at int) {
		if inside {
			w.end, w.text = at, out.String()
			list = append(list, w)
		}
		inside = false
		out.Reset()
	}
	for i := start; i < end; i++ {
		c := text[i]
		blank := strings.IndexByte(" \t\r\n", c) >= 0
		if c == '\\' && i+1 < end && text[i+1] == '\n' {
			blank = true // the backslash of a continued line, then its end
		}
		if quote == 0 && blank {
			finish(i)
			continue
		}
		if !inside {
			inside, w.start = true, i
		}
		switch {
		case c == '\\' && i+1 < end:
			i++
			out.WriteByte(text[i])
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		default:
			out.WriteByte(c)
		}
	}
	finish(end)
	return list
}

// unitSpans finds a variable in a unit's Environment=, or an option in its ExecStart= (a quadlet's Exec=).
func unitSpans(text, name string) (found []span) {
	option := strings.HasPrefix(name, "--")
	for _, a := range unitAssignments(text) {
		switch {
		case !option && a.key == "Environment":
			for _, w := range words(text, a.start, a.end) {
				if value, ok := strings.CutPrefix(w.text, name+"="); ok && value != "" {
					found = append(found, wordSpan(text, w, name+"=", value))
				}
			}
		case option && (a.key == "ExecStart" || a.key == "Exec"):
			list := words(text, a.start, a.end)
			for i, w := range list {
				if value, ok := strings.CutPrefix(w.text, name+"="); ok && value != "" {
					found = append(found, wordSpan(text, w, name+"=", value))
				} else if w.text == name && i+1 < len(list) {
					found = append(found, wordSpan(text, list[i+1], "", list[i+1].text))
				}
			}
		}
	}
	return found
}

// wordSpan replaces a word as a whole and keeps the quotes around it.
func wordSpan(text string, w word, prefix, value string) span {
	s := span{start: w.start, end: w.end, before: prefix, old: value}
	if q := text[w.start]; q == '"' || q == '\'' {
		s.before, s.after = string(q)+prefix, string(q)
	}
	return s
}

var (
	plistEntry  = regexp.MustCompile(`<key>([A-Za-z_][A-Za-z0-9_]*)</key>\s*<string>([^<]+)</string>`)
	plistOption = regexp.MustCompile(`<string>(--[a-z]+)</string>\s*<string>([^<]+)</string>`)
)

// plistSpans finds a variable, or an option of ProgramArguments, in a launchd job in XML.
func plistSpans(text, name string) (found []span) {
	pattern := plistEntry
	if strings.HasPrefix(name, "--") {
		pattern = plistOption
	}
	for _, m := range pattern.FindAllStringSubmatchIndex(text, -1) {
		if text[m[2]:m[3]] == name {
			found = append(found, span{start: m[4], end: m[5], old: html.UnescapeString(text[m[4]:m[5]])})
		}
	}
	return found
}

// isJSON reports the syntaxes that package json5 edits.
func (p Place) isJSON() bool { return p.Syntax == InConfig || p.Syntax == InSecret }

// apply returns the text with value in every span.
func apply(text []byte, spans []span, value string) []byte {
	out := slices.Clone(text)
	for _, s := range slices.Backward(spans) {
		out = slices.Replace(out, s.start, s.end, []byte(s.before+value+s.after)...)
	}
	return out
}
