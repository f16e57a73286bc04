package secret

import (
	"encoding/base64"
	"encoding/hex"
	"html"
	"iter"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// forms yields every text by which [index] is to find value; some more than once.
func forms(value string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, v := range withBody(value) {
			for _, text := range append(escaped(v), wide(v), reversed(v)) {
				if !yield(text) {
					return
				}
			}
			for _, text := range binary(v) {
				if !yield(text) || !yield(slashed(text)) || !yield(url.QueryEscape(text)) {
					return
				}
			}
		}
	}
}

// withBody returns value, and for a private key its base64 without the lines around and the breaks within.
func withBody(value string) []string {
	label, isKey := strings.CutPrefix(value, pemStart)
	_, body, found := strings.Cut(label, pemDashes)
	if !isKey || !found {
		return []string{value}
	}
	body, _, _ = strings.Cut(body, pemDashes)
	body = strings.Join(strings.Fields(strings.ReplaceAll(body, `\n`, "\n")), "")
	if !dumpChars.all(body) || len(body) < 16 {
		return []string{value}
	}
	return []string{value, body}
}

// escaped returns value as itself and as the text formats write it.
func escaped(value string) []string {
	once := []string{jsonText(value, false), jsonText(value, true), slashed(jsonText(value, false)), jsonHTML.Replace(jsonText(value, false))}
	all := append([]string{value}, once...)
	for _, text := range once {
		twice := jsonText(text, false)
		all = append(all, twice, jsonText(twice, false))
	}
	query, component := url.QueryEscape(value), componentEscape(value)
	all = append(all, query, component, url.PathEscape(value), strings.ReplaceAll(query, "+", "%20"))
	all = append(all, lowerPercent(query), lowerPercent(component))
	return append(all, html.EscapeString(value), strings.ReplaceAll(value, `'`, `'\''`), strings.ReplaceAll(value, `'`, `'"'"'`),
		strings.ReplaceAll(value, `'`, `\'`))
}

// binary returns value in base64 and hexadecimal, each byte escaped as well, and likewise the value as JSON and as Windows holds it.
func binary(value string) []string {
	var all []string
	values := []string{value, wide(value)}
	if text := jsonText(value, false); text != value {
		values = append(values, text)
	}
	for _, v := range values {
		digits := hex.EncodeToString([]byte(v))
		all = append(all, digits, strings.ToUpper(digits))
		for _, mark := range []string{"%", `\x`} {
			all = append(all, spelled(digits, mark), spelled(strings.ToUpper(digits), mark))
		}
		for before := range 3 {
			all = append(all, base64Core(base64.RawStdEncoding, v, before), base64Core(base64.RawURLEncoding, v, before))
		}
	}
	return all
}

// wide is value in UTF-16 without the zero that begins or ends it, in either order of bytes: what PowerShell encodes its commands from.
func wide(value string) string {
	var b []byte
	for _, unit := range utf16.Encode([]rune(value)) {
		b = append(b, byte(unit), byte(unit>>8))
	}
	return string(b[:max(len(b)-1, 0)])
}

// reversed is value as rev(1) writes it.
func reversed(value string) string {
	letters := []rune(value)
	slices.Reverse(letters)
	return string(letters)
}

// spelled puts a mark before each byte's two digits, as who hides a value writes it in a URL or for printf.
func spelled(digits, mark string) string {
	var b strings.Builder
	for i := 0; i < len(digits); i += 2 {
		b.WriteString(mark + digits[i:i+2])
	}
	return b.String()
}

// base64Core returns the characters of base64 that depend on value alone when it follows a number of other
// bytes, 0 to 2 more than a multiple of 3.
func base64Core(enc *base64.Encoding, value string, before int) string {
	text := enc.EncodeToString(append(make([]byte, before), value...))
	first := (before*8 + 5) / 6
	return text[first : (before+len(value))*8/6]
}

// jsonHTML is what encoders do that fear for JSON within HTML, Go's among them.
var jsonHTML = strings.NewReplacer("<", `\u003c`, ">", `\u003e`, "&", `\u0026`)

func slashed(text string) string { return strings.ReplaceAll(text, "/", `\/`) }

// jsonText escapes text as JavaScript's JSON.stringify does; ascii escapes all characters beyond ASCII too.
func jsonText(text string, ascii bool) string {
	var b strings.Builder
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			b.WriteByte(text[i])
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case strings.ContainsRune("\b\f\n\r\t", r):
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		case r < ' ' || ascii && r >= utf8.RuneSelf:
			for _, unit := range utf16.Encode([]rune{r}) {
				b.WriteString(`\u` + hex.EncodeToString([]byte{byte(unit >> 8), byte(unit)}))
			}
		default:
			b.WriteString(text[i : i+size])
		}
		i += size
	}
	return b.String()
}

// componentEscape escapes text as JavaScript's encodeURIComponent does.
func componentEscape(text string) string {
	return strings.NewReplacer("+", "%20", "%21", "!", "%27", "'", "%28", "(", "%29", ")", "%2A", "*").Replace(url.QueryEscape(text))
}

var percent = regexp.MustCompile(`%[0-9A-F]{2}`)

func lowerPercent(text string) string { return percent.ReplaceAllStringFunc(text, strings.ToLower) }
