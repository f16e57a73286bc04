package analyze

import (
	"net/netip"
	"slices"
	"strings"
	"unicode"

	"github.com/clawbook/openclaw-ir/internal/shell"
)

// What of an action is looked for in the inputs before it: its values are the URLs, hosts, paths, tokens and runs of
// words by which an input that led to it can be told from others.

// maxValues and maxValue bound them; bytes. minValue keeps out what is everywhere.
const (
	maxValues = 24
	maxValue  = 160
	minValue  = 6
)

// shingle is how many words that follow each other tell one text from another.
const shingle = 5

// commonValues name no input in particular.
var commonValues = []string{
	"localhost", "127.0.0.1", "/dev/null", "/bin/bash", "/bin/sh", "/usr/bin", "/usr/bin/env", "/usr/local/bin", "/etc/passwd", "~/.openclaw", "~/.openclaw/workspace",
	"/home", "/root", "/var/log", "package.json", "README.md", "github.com", "https://github.com", "MEMORY.md", "SOUL.md", "AGENTS.md", "USER.md", "HEARTBEAT.md", "IDENTITY.md",
	"memory", "workspace", "authorized_keys", "~/.ssh/authorized_keys", "~/.ssh", "registry.npmjs.org",
}

// A valueList collects the values of an action, the most telling first.
type valueList struct{ list []string }

func (v *valueList) add(values ...string) {
	for _, s := range values {
		s = strings.TrimSpace(start(s, maxValue))
		if len(s) < minValue || strings.Contains(s, shell.Blank) || slices.Contains(commonValues, s) || len(v.list) == maxValues || slices.Contains(v.list, s) {
			continue
		}
		if a, err := netip.ParseAddr(s); err == nil && (a.IsLoopback() || a.IsUnspecified()) {
			continue
		}
		v.list = append(v.list, strings.Clone(s))
	}
}

// words adds the runs of words of a text.
func (v *valueList) words(text string) {
	fields := strings.FieldsFunc(start(text, 16*maxValue), func(c rune) bool { return unicode.IsSpace(c) || c == '"' || c == '`' })
	for i := 0; i+shingle <= len(fields); i += shingle {
		v.add(strings.Join(fields[i:i+shingle], " "))
	}
	for _, w := range fields {
		if isTelling(w) {
			v.add(strings.Trim(w, "'(),;:.<>[]{}"))
		}
	}
}

// isTelling reports a word that is no ordinary one: long, and with digits or signs inside.
func isTelling(w string) bool {
	return len(w) >= 10 && strings.ContainsAny(w[1:], "0123456789/@:_=")
}

// commandValues are those of a command that was parsed.
func (v *valueList) command(c *shell.Command) {
	v.add(c.URLs...)
	for i := range c.Writes {
		v.words(c.Writes[i].Text)
		v.add(c.Writes[i].Path)
	}
	v.add(c.Hosts...)
	v.add(c.Reads...)
	v.add(c.Executes...)
	for _, l := range c.Layers {
		v.words(l.Text)
	}
}

// findValues returns what of a deed may be found in the input that led to it. c is its command, nil if it is none.
func (e *Event) findValues(c *shell.Command) []string {
	var v valueList
	switch e.Kind {
	case KindExec:
		if c != nil {
			v.command(c)
		}
	case KindWrite, KindEdit:
		text := written(e)
		v.add(urlsOf(text)...)
		v.words(text)
		v.add(e.Recorded, e.What)
	case KindFetch, KindBrowse:
		v.add(e.What)
		v.words(e.What)
	case KindRead:
		v.add(e.Recorded, e.What)
	case KindMessage, KindSpawn, KindAutomation, KindConfig, KindTool:
		if e.Kind == KindMessage && e.Tool == "" {
			return nil // what is said is no deed
		}
		text := firstNonEmpty(e.Args, e.What)
		v.add(urlsOf(text)...)
		v.add(e.Target)
		v.words(text)
	}
	return v.list
}

// urlsOf finds the URLs of a text.
func urlsOf(text string) (urls []string) {
	for rest := text; len(urls) < maxValues; {
		i := strings.Index(rest, "http")
		if i < 0 {
			break
		}
		rest = rest[i:]
		if strings.HasPrefix(rest, "http://") || strings.HasPrefix(rest, "https://") {
			end := strings.IndexAny(rest, " \t\r\n\"'`<>)]}|\\")
			if end < 0 {
				end = len(rest)
			}
			urls = append(urls, strings.TrimRight(rest[:end], ".,;:!?"))
			rest = rest[end:]
			continue
		}
		rest = rest[len("http"):]
	}
	return urls
}
