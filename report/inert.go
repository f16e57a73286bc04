package report

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/ioc"
)

// What an intruder wrote stands between these marks until it is rendered: the text leaves them out, Markdown makes code of what
// they enclose. Escaped text cannot hold them.
const (
	hostileFrom = '\x01'
	hostileTo   = '\x02'
)

// maxShown is how much of a hostile text stands in a sentence, in bytes.
const maxShown = 200

// ours is a text of this program's, which plain takes as it is.
type ours string

// A title is the name of a rule or a weakness: whoever uses them wrote it, so that its dots stay, and it is marked all the same.
type title string

// plain formats a sentence. Strings among args come from outside: they are made inert and marked, unless they are ours.
func plain(format string, args ...any) string {
	args = slices.Clone(args)
	for i, a := range args {
		switch s := a.(type) {
		case string:
			args[i] = mark(inert(s, maxShown))
		case title:
			args[i] = mark(console.Escape(unlinked(head(string(s), maxShown), linkOnly)))
		}
	}
	return fmt.Sprintf(format, args...)
}

func mark(s string) string {
	if s == "" {
		return ""
	}
	return string(hostileFrom) + s + string(hostileTo)
}

// unmarked is a sentence as text shows it.
func unmarked(s string) string {
	return strings.Map(func(r rune) rune {
		if r == hostileFrom || r == hostileTo {
			return -1
		}
		return r
	}, s)
}

// inert makes one line of at most n bytes of a hostile text: nothing in it is a link, moves the cursor or hides.
func inert(s string, n int) string {
	cut := head(s, n)
	text := console.Escape(unlinked(strings.Join(strings.Fields(cut), " "), defangWord))
	if len(cut) < len(s) {
		text += "…"
	}
	return text
}

// unlinked has broken every address in a running text, word by word, so that no program makes a link of it.
func unlinked(s string, broken func(string) string) string {
	var b strings.Builder
	for len(s) > 0 {
		n := strings.IndexFunc(s, isBetween)
		if n < 0 {
			n = len(s)
		}
		b.WriteString(broken(s[:n]))
		if n < len(s) {
			_, size := utf8.DecodeRuneInString(s[n:])
			b.WriteString(s[n : n+size])
			n += size
		}
		s = s[n:]
	}
	return b.String()
}

// isBetween reports what stands between words that can be addresses.
func isBetween(r rune) bool { return r <= ' ' || strings.ContainsRune("\"'`<>()[]{},;|=&\\…", r) }

// linkOnly breaks what is an address for sure, and leaves SKILL.md and system.run as they are.
func linkOnly(word string) string {
	if strings.Contains(word, "://") || strings.Contains(word, "@") || strings.Contains(strings.ToLower(word), "www.") {
		return defangWord(word)
	}
	return word
}

func defangWord(word string) string {
	const web = "www." // enough for some programs to make a link
	if i := strings.Index(strings.ToLower(word), web); i >= 0 && len(strings.ToLower(word)) == len(word) {
		return defangWord(word[:i]+word[i:i+len(web)-1]) + "[.]" + defangWord(word[i+len(web):])
	}
	if strings.Contains(word, "://") {
		return ioc.Defang(word)
	}
	parts := strings.SplitAfter(word, ":") // mailto:a@b.c, evil.com:8080, main/telegram:name
	for i, p := range parts {
		p, colon := strings.CutSuffix(p, ":")
		host := p
		if i > 0 { // http:/evil.com: a path that was a URL, and browsers take it as one
			host = strings.TrimLeft(p, "/")
		}
		p = strings.TrimSuffix(p, host) + defangHost(host)
		if colon {
			p += ":"
		}
		parts[i] = p
	}
	return strings.Join(parts, "")
}

// defangHost breaks a host or a mail address, with what ends a sentence after it.
func defangHost(word string) string {
	host := strings.TrimRight(word, ".!?-")
	rest := word[len(host):]
	first, _, _ := strings.Cut(host, "/")
	if top := strings.ToLower(first[strings.LastIndexByte(first, '.')+1:]); !strings.Contains(first, "@") && (slices.Contains(fileEnds, top) || isFraction(top)) {
		return word
	}
	return ioc.Defang(host) + rest
}

// isFraction reports the end of a time, such as 000Z.
func isFraction(top string) bool {
	digits := strings.TrimSuffix(top, "z")
	return len(digits) < len(top) && digits != "" && strings.Trim(digits, "0123456789") == ""
}

// fileEnds end the names of files, and no host's: the readers should find their files again.
var fileEnds = strings.Fields("json jsonl json5 sqlite sqlite-wal sqlite-shm log txt html htm yml yaml toml conf cfg service timer socket env bak age seal zst tar gz js mjs ts css csv png jpg pdf pem key lock")
