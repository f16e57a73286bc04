package report

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"html"
	"io"
	"iter"
	"mime"
	"mime/multipart"
	"net/mail"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/secret"
)

// A SecretError says that a finished file still holds secrets. It names them by fingerprint only.
type SecretError struct {
	File   string
	Prints []string
}

func (e *SecretError) Error() string {
	return fmt.Sprintf("%q still holds %s", e.File, plural(len(e.Prints), "secret", "secrets")) + " (" + strings.Join(e.Prints, ", ") + ")"
}

// Scan looks for every known secret in the finished bytes of a file: as they are, and as they read when they are undone what
// mail, HTML, JSON, a URL, a terminal and the breaking of lines do to a text, one on top of another. The set itself knows
// base64 at any alignment, hexadecimal and the escapes of single values.
//
// A value that stands in empty, the same file made of an empty story, is a word of this program's own and tells nothing.
func Scan(name string, data, empty []byte, set *secret.Set) error {
	prints := found(name, data, set)
	if len(prints) > 0 {
		own := found(name, empty, set)
		prints = slices.DeleteFunc(prints, func(p string) bool { return slices.Contains(own, p) })
	}
	if len(prints) > 0 {
		return &SecretError{name, prints}
	}
	return nil
}

func found(name string, data []byte, set *secret.Set) (prints []string) {
	texts := []string{string(data)}
	if strings.HasSuffix(name, ".eml") {
		texts = mailTexts(data)
	}
	for _, text := range texts {
		prints = append(prints, foundIn(text, set)...)
	}
	slices.Sort(prints)
	return slices.Compact(prints)
}

// maxReadings bounds in how many ways one text is read. What is undone is undone again only in texts of up to maxDeep bytes: of
// longer ones no more than one reading is held.
const (
	maxReadings = 60
	maxDeep     = 2 << 20
)

// readings are the ways in which a text can be read, the text itself first.
func readings(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		all := []string{text}
		for i := 0; i < len(all); i++ {
			if !yield(all[i]) {
				return
			}
			for _, undo := range undoings {
				if len(all) == maxReadings {
					break
				}
				t := undo(all[i])
				switch {
				case t == all[i]:
				case len(text) > maxDeep:
					if !yield(t) {
						return
					}
				case !slices.Contains(all, t):
					all = append(all, t)
				}
			}
		}
	}
}

// undoings each take away one thing that is done to a text on its way.
var undoings = []func(string) string{
	unquotedPrintable, joinedLines, joinedWords, seen, html.UnescapeString, unescapedScript, withoutTags, unescapedURL, unescapedConsole,
}

// joinedLines joins what was broken within a word, and joinedWords what was broken between two.
func joinedLines(text string) string { return mended(text, "") }
func joinedWords(text string) string { return mended(text, " ") }

// mended undoes the breaking of lines, with what stands around the breaks in a list or a quotation of the letter.
func mended(text, with string) string {
	var b strings.Builder
	b.Grow(len(text))
	for {
		line, rest, broken := strings.Cut(text, "\n")
		if !broken {
			b.WriteString(line)
			return b.String()
		}
		b.WriteString(strings.TrimRight(line, " \t\r") + with)
		if quoted, ok := strings.CutPrefix(rest, fence); ok {
			text = quoted
		} else {
			text = strings.TrimLeft(rest, " \t")
		}
	}
}

func unquotedPrintable(text string) string {
	if !strings.Contains(text, "=") {
		return text
	}
	return unescapedBytes('=', softBreak.ReplaceAllLiteralString(text, ""))
}

var softBreak = regexp.MustCompile(`=[ \t]*\r?\n`)

// tag is an HTML tag or comment: a value can be broken by one, as a highlighter does.
var tag = regexp.MustCompile(`<!--(?s:.*?)-->|</?[a-zA-Z][^<>]*>`)

func withoutTags(text string) string {
	if !strings.Contains(text, "<") {
		return text
	}
	return tag.ReplaceAllLiteralString(text, "")
}

var scriptEscape = regexp.MustCompile(`\\(?:u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|["'\\/bfnrt])`)

// unescapedScript undoes the escapes of JSON and JavaScript wherever they stand.
func unescapedScript(text string) string {
	if !strings.Contains(text, `\`) {
		return text
	}
	return scriptEscape.ReplaceAllStringFunc(text, func(s string) string {
		if n, err := strconv.ParseUint(s[2:], 16, 16); err == nil && len(s) > 2 {
			return string(rune(n))
		}
		if i := strings.IndexByte("bfnrt", s[1]); i >= 0 {
			return "\b\f\n\r\t"[i : i+1]
		}
		return s[1:]
	})
}

func unescapedURL(text string) string { return unescapedBytes('%', text) }

// unescapedBytes undoes escapes of a byte by a mark and two digits.
func unescapedBytes(mark byte, text string) string {
	if strings.IndexByte(text, mark) < 0 {
		return text
	}
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		if text[i] == mark && i+2 < len(text) {
			if c, err := hex.DecodeString(text[i+1 : i+3]); err == nil {
				out, i = append(out, c[0]), i+2
				continue
			}
		}
		out = append(out, text[i])
	}
	return string(out)
}

// unescapedConsole undoes what console.Escape does, line by line: a line that it has not made stays.
func unescapedConsole(text string) string {
	if !strings.Contains(text, `\`) {
		return text
	}
	var b strings.Builder
	for line := range strings.SplitAfterSeq(text, "\n") {
		if plain, err := console.Unescape(line); err == nil {
			line = plain
		}
		b.WriteString(line)
	}
	return b.String()
}

// mailTexts are what is to be read of a mail: its headers, its parts decoded, and the whole as it is but for what is sealed:
// ciphertext tells nothing, and in megabytes of it a short value comes about by chance.
func mailTexts(data []byte) []string {
	m, err := mail.ReadMessage(bytes.NewReader(data))
	if err != nil {
		return []string{string(data)}
	}
	var texts []string
	var dec mime.WordDecoder
	for name, values := range m.Header {
		for _, v := range values {
			plain, _ := dec.DecodeHeader(v)
			texts = append(texts, name+": "+v, plain)
		}
	}
	kind, params, _ := mime.ParseMediaType(m.Header.Get("Content-Type"))
	body, err := io.ReadAll(m.Body)
	if err != nil || !strings.HasPrefix(kind, "multipart/") {
		return append(texts, string(body))
	}
	parts := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	for {
		p, err := parts.NextRawPart()
		if err != nil {
			return texts
		}
		raw, _ := io.ReadAll(p)
		for name, values := range p.Header {
			texts = append(texts, name+": "+strings.Join(values, ", "))
		}
		if !isSealed(raw) {
			texts = append(texts, string(raw))
		}
	}
}

// isSealed reports a part of a mail that is a sealed bundle, in base64. Whoever attaches one has checked it against its seal.
func isSealed(raw []byte) bool {
	const start = "age-encryption.org/v1\n"
	head := make([]byte, len(start))
	n, _ := io.ReadFull(base64.NewDecoder(base64.StdEncoding, bytes.NewReader(raw)), head)
	return string(head[:n]) == start
}
