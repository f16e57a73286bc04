package report

import (
	"fmt"
	"html/template"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/clawbook/openclaw-ir/analyze"
	"github.com/clawbook/openclaw-ir/internal/console"
)

// How much of a text the page shows at once, and how much of it the page holds at all. Bytes.
const (
	shownAtOnce = 600
	heldOfText  = 8 << 10
)

var pageFuncs = template.FuncMap{
	"say": say, "lines": lines, "long": longText, "when": when, "moment": moment, "who": who, "ending": ending, "trust": trustOf, "trusts": allTrusts,
	"size": console.Size, "size64": func(n int) string { return console.Size(int64(n)) }, "brief": brief, "deedOf": textOf,
	"count": count, "role": roleOf, "plural": plural, "sum": func(a, b int) int { return a + b },
	"join": func(list []string) string { return say(strings.Join(list, ", ")) }, "own": own, "typed": console.Escape,
	"broken":  func(s string) string { return console.Escape(unlinked(s, defangWord)) },
	"ownJoin": func(list []string) string { return own(strings.Join(list, ", ")) },
}

// say makes a text harmless and visible, on one line.
func say(text any) string { return console.Escape(defang(head(fmt.Sprint(text), heldOfText))) }

// own is say for names of ours and of the host's files, which somebody may have to type or copy: only a URL is broken.
func own(text any) string {
	s := head(fmt.Sprint(text), heldOfText)
	if strings.Contains(s, "://") {
		s = defang(s)
	}
	return console.Escape(s)
}

// defang breaks addresses. A bare word with a dot in it stays: it is the name of a file or a setting far more often than a
// host, and no program makes links on the page.
func defang(s string) string {
	if !strings.Contains(s, "://") && !strings.Contains(s, "@") && strings.Count(s, ".") < 2 {
		return s // quickly: so are most texts of a timeline
	}
	return unlinked(s, func(word string) string {
		if strings.Count(word, ".") >= 3 && strings.Trim(word, "0123456789.:/") == "" {
			return defangWord(word)
		}
		return linkOnly(word)
	})
}

// shownBrief is how much of a text stands in a line of a list. Bytes.
const shownBrief = 240

// brief is the start of a text on one line.
func brief(s string) string {
	cut := head(s, shownBrief)
	text := console.Escape(strings.Join(strings.Fields(defang(cut)), " "))
	if len(cut) < len(s) {
		text += "…"
	}
	return text
}

// lines is say for texts of several lines: breaks and tabs stay what they are.
func lines(s string) string { return visible(defang(s)) }

func visible(s string) string {
	if !strings.ContainsAny(s, "\n\t") {
		return console.Escape(s)
	}
	b := make([]byte, 0, len(s)+len(s)/8)
	for {
		i := strings.IndexAny(s, "\n\t")
		if i < 0 {
			return string(console.AppendEscape(b, s))
		}
		b = append(console.AppendEscape(b, s[:i]), s[i])
		s = s[i+1:]
	}
}

// head is the start of a text, at most n bytes, with whole characters.
func head(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for back := 0; n > 0 && back < utf8.UTFMax && !utf8.RuneStart(s[n]); back++ {
		n--
	}
	return s[:n]
}

// A cutText is a text of which the page shows the start, holds the rest up to a bound, and says what is beyond it.
type cutText struct {
	Start, Rest string
	Held        int // bytes of the text that the page holds
	Size        int // bytes of the whole
}

func longText(s string) cutText {
	held := head(s, heldOfText)
	whole := defang(held)
	start := head(whole, shownAtOnce)
	return cutText{Start: visible(start), Rest: visible(whole[len(start):]), Held: len(held), Size: len(s)}
}

// Cut reports whether the page does not hold all of it.
func (c cutText) Cut() bool { return c.Held < c.Size }

const shownTime = "2006-01-02 15:04:05"

// when shows a time of the story.
func when(t time.Time) string {
	if t.IsZero() {
		return "at no recorded time"
	}
	return t.UTC().Format(shownTime)
}

// moment shows the time of a record, to the millisecond.
func moment(text string) string {
	t, err := time.Parse(time.RFC3339Nano, text)
	switch {
	case text == "":
		return "no time recorded"
	case err != nil:
		return say(text)
	}
	return t.UTC().Format(shownTime + ".000")
}

// who says by which agent something was done, and for whom.
func who(r *analyze.Record) string {
	asker := r.Asker.String()
	switch {
	case asker == "":
		return say(r.Agent)
	case r.Agent == "":
		return say(asker)
	}
	return say(r.Agent + " for " + asker)
}

// ending says how an action ended: its exit code or its status, the signal and the duration.
func ending(r analyze.Result) string {
	var words []string
	switch {
	case r.Exit != nil && r.Status != analyze.StatusTimeout:
		words = append(words, "exit "+strconv.Itoa(*r.Exit))
	case r.Status != "":
		words = append(words, string(r.Status))
	}
	if r.Signal != "" {
		words = append(words, r.Signal)
	}
	if r.Millis > 0 {
		words = append(words, console.Duration(time.Duration(r.Millis)*time.Millisecond))
	}
	return strings.Join(words, ", ")
}

// count writes a number with its thousands apart.
func count(n any) string {
	digits := fmt.Sprint(n)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// plural writes a number and the word for that many.
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + many
}
