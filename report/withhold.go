package report

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/clawbook/openclaw-ir/internal/secret"
)

// Withhold leaves out every text of the story, its events too, in which a secret is still written in a way that has no place to
// put a token: broken by a line, a tag, a colour or what cannot be seen. Whoever knows a secret can write it so, and without this
// [Scan] would refuse every report of that host. It returns how many texts it left out; each says so, with the fingerprints.
func (s *Story) Withhold(set *secret.Set) (texts int) {
	redactValue(reflect.ValueOf(s).Elem(), func(text string) string {
		prints := foundIn(text, set)
		if len(prints) == 0 {
			return text
		}
		texts++
		return "(left out: it holds <secret:" + strings.Join(prints, ">, <secret:") + "> written in another way)"
	})
	return texts
}

// foundIn returns the fingerprints of the secrets that a text holds, however it is read.
func foundIn(text string, set *secret.Set) (prints []string) {
	for reading := range readings(text) {
		prints = append(prints, set.Found(reading)...)
	}
	slices.Sort(prints)
	return slices.Compact(prints)
}

// unseen is what a terminal takes for a command, not for text: colours, and titles.
var unseen = regexp.MustCompile("\x1b(?:\\[[0-?]*[ -/]*[@-~]|\\][^\x07\x1b]*(?:\x07|\x1b\\\\)?)")

// seen leaves out what nobody sees: a value can be broken by it, as a program that colours what it found does.
func seen(text string) string {
	if !strings.ContainsFunc(text, isUnseen) {
		return text
	}
	return strings.Map(func(r rune) rune {
		if isUnseen(r) {
			return -1
		}
		return r
	}, unseen.ReplaceAllLiteralString(text, ""))
}

// isUnseen reports characters without a width of their own; the breaking of lines is undone by others.
func isUnseen(r rune) bool {
	if r < 0xa0 {
		return r < ' ' && r != '\n' && r != '\r' && r != '\t' || r >= 0x7f
	}
	return unicode.In(r, unicode.Cf, unicode.Variation_Selector)
}
