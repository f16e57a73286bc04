// Package inerttest says whether output is inert: that nothing in it which an intruder may have written moves a cursor, hides,
// becomes a formula, markup, a link or a header, or stands for a line of ours. There is one check for each format. It is a test
// helper: nothing but tests imports it.
package inerttest

import (
	"encoding/csv"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// A TB is what the checks need of a test, rapid's too.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
}

// Harmful reports the characters that do something else than show themselves: controls, formats, separators, tags, selectors, fillers,
// blanks of odd width, private ones.
func Harmful(r rune) bool {
	switch {
	case r == ' ', r == '\u3000':
		return false
	case r == '\u2800':
		return true
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zs, unicode.Zl, unicode.Zp, unicode.Co, unicode.Cs,
		unicode.Bidi_Control, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
}

// MaxMarks is how many marks one above the other a character may have: what more are hides the lines around it.
const MaxMarks = 4

// Forged begins a line in [Payloads] that imitates one of ours.
const Forged = "forged"

var (
	colour = regexp.MustCompile(`\x1b\[[0-9;]*m`)
	forged = regexp.MustCompile(`(?m)^(?:openclaw-ir: (?:warning: |error: |hint: )?)?` + Forged)
)

// Line checks one line of text, without its end.
func Line(tb TB, name, line string) {
	tb.Helper()
	if !utf8.ValidString(line) {
		tb.Fatalf("%s: not UTF-8: %q", name, around(line, strings.IndexRune(line, utf8.RuneError)))
	}
	marks := 0
	for i, r := range line {
		if Harmful(r) {
			tb.Fatalf("%s: holds %U: %q", name, r, around(line, i))
		}
		if marks++; !unicode.In(r, unicode.Mn, unicode.Me) {
			marks = 0
		}
		if marks > MaxMarks {
			tb.Fatalf("%s: a flood of marks: %q", name, around(line, i))
		}
	}
}

// Lines checks lines of text. Tabs may stand in it, and nothing of what the Payloads imitate at the beginning of a line.
func Lines(tb TB, name, text string) {
	tb.Helper()
	characters(tb, name, text)
	if at := forged.FindStringIndex(text); at != nil {
		tb.Fatalf("%s: a line of the intruder's: %q", name, around(text, at[0]))
	}
}

func characters(tb TB, name, text string) {
	tb.Helper()
	for line := range strings.Lines(text) {
		Line(tb, name, strings.ReplaceAll(strings.TrimSuffix(line, "\n"), "\t", " "))
	}
}

// Screen checks what a terminal was sent: text with our own colours.
func Screen(tb TB, name, text string) {
	tb.Helper()
	Lines(tb, name, colour.ReplaceAllString(text, ""))
}

// CSV checks a table, and returns its rows.
func CSV(tb TB, name, text string) [][]string {
	tb.Helper()
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		tb.Fatalf("%s: %v", name, err)
	}
	for _, row := range rows {
		for _, cell := range row {
			Line(tb, name, cell)
			// In many countries a spreadsheet parts cells at semicolons.
			for part := range strings.SplitSeq(cell, ";") {
				if strings.IndexAny(strings.TrimLeft(part, " \u3000\""), "=+-@＝＋－＠") == 0 {
					tb.Fatalf("%s: a formula: %q", name, cell)
				}
			}
		}
	}
	return rows
}

// JSONLines checks JSON, one value a line, and returns the lines.
func JSONLines(tb TB, name, text string) (lines []string) {
	tb.Helper()
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		Line(tb, name, line)
		if v := jsontext.Value(line); !v.IsValid() { // twice the same name is not, nor is half of a surrogate pair
			tb.Fatalf("%s: no JSON: %.300q", name, line)
		}
		lines = append(lines, line)
	}
	return lines
}

// around is a text before and after a place.
func around(text string, at int) string {
	return text[max(0, at-60):min(max(0, at)+60, len(text))]
}
