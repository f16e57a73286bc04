package collect

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sergi/go-diff/diffmatchpatch"

	"github.com/clawbook/openclaw-ir/internal/secret"
)

// ConfigVersion is one state of a configuration file.
type ConfigVersion struct {
	Name   string    // the path, as found
	Time   time.Time // when the file was so; zero if not known
	Origin string    // where it came from: "current", ".bak ring", "last-good", "rejected", "clobbered", "journal", "git blob"
	Data   []byte
}

// ConfigDiff is what changed between two neighbouring versions.
type ConfigDiff struct {
	From, To int // indexes of the two versions
	// Identical says that not a byte changed.
	Identical bool
	// Notes says what the reader must know: what was cut, what the patch cannot show.
	Notes []string
	// Text begins with lines after "# " that name both versions and hold the notes, and ends in a unified
	// diff of the redacted texts, if they differ, that patch(1) and git-apply(1) take. The texts are the
	// intruder's: Text holds every control character that they hold.
	Text []byte
}

// What is compared of one version, after redaction, and the number of changed lines up to which the difference is
// the shortest. They bound a comparison to a second or two of work, without a clock that would make the outcome
// depend on the machine's load.
const (
	maxConfigBytes = 4 << 20
	maxConfigLines = 200_000
	maxConfigEdits = 2_000
)

// ConfigDiffs compares each version with the one before, in the order given, which should be that of time.
// Secrets are replaced by their fingerprints before anything is compared, so that a changed secret is seen as a
// changed fingerprint.
func ConfigDiffs(versions []ConfigVersion, set *secret.Set) []ConfigDiff {
	var diffs []ConfigDiff
	var before configText
	for i, v := range versions {
		after := redactConfig(v, set)
		if i > 0 {
			d := ConfigDiff{From: i - 1, To: i, Identical: bytes.Equal(versions[i-1].Data, v.Data)}
			d.compare(before, after)
			diffs = append(diffs, d)
		}
		before = after
	}
	return diffs
}

// configText is a version without its secrets.
type configText struct {
	name, time, origin string
	text               string
	bytes              int
	cut                bool
}

func redactConfig(v ConfigVersion, set *secret.Set) configText {
	c := configText{name: quoteName(set.Redact(v.Name)), time: "unknown time", origin: v.Origin, bytes: len(v.Data)}
	if !v.Time.IsZero() {
		c.time = v.Time.UTC().Format(time.RFC3339Nano)
	}
	text := set.Redact(string(v.Data))
	c.text = cutLines(text)
	c.cut = len(c.text) < len(text)
	return c
}

// stamp returns the time for a patch, where the first second of 1970 would say that the file does not exist.
func (c configText) stamp() string {
	if strings.HasPrefix(c.time, "1970-") || strings.HasPrefix(c.time, "1969-") {
		return "unknown time"
	}
	return c.time
}

// quoteName quotes a file name that could be taken for more than a name.
func quoteName(name string) string {
	quoted := strconv.QuoteToGraphic(name)
	if name == "" || quoted[1:len(quoted)-1] != name {
		return quoted
	}
	return name
}

// cutLines returns the start of text within the bounds, whole lines if it has any.
func cutLines(text string) string {
	if len(text) > maxConfigBytes {
		text = text[:maxConfigBytes]
		if n := strings.LastIndexByte(text, '\n'); n >= 0 {
			text = text[:n+1]
		}
	}
	end := 0
	for range maxConfigLines {
		n := strings.IndexByte(text[end:], '\n')
		if n < 0 {
			return text
		}
		end += n + 1
	}
	return text[:end]
}

func (d *ConfigDiff) compare(before, after configText) {
	var patch bytes.Buffer
	switch {
	case d.Identical:
		d.note("identical")
	case before.text == after.text && !before.cut && !after.cut:
		d.note("the files differ only in how a secret is written; their redacted texts are identical")
	case before.text == after.text:
		d.note("the files differ only after what was compared")
	default:
		matches, whole := matchLines(splitLines(before.text), splitLines(after.text))
		if whole {
			d.note("more than %d lines moved or changed: some lines are shown as removed and added that are the same", maxConfigEdits)
		}
		fmt.Fprintf(&patch, "--- %s\t%s\n+++ %s\t%s\n", before.name, before.stamp(), after.name, after.stamp())
		writeHunks(&patch, splitLines(before.text), splitLines(after.text), matches)
	}
	for _, c := range []configText{before, after} {
		if c.cut && !d.Identical {
			d.note("of %s only the first %d bytes were compared, secrets replaced", c.name, len(c.text))
		}
	}
	d.Text = append(d.head(before, after), patch.Bytes()...)
}

func (d *ConfigDiff) note(format string, args ...any) {
	d.Notes = append(d.Notes, fmt.Sprintf(format, args...))
}

func (d *ConfigDiff) head(before, after configText) []byte {
	var b bytes.Buffer
	for _, c := range []configText{before, after} {
		fmt.Fprintf(&b, "# %s, %s, %s, %d bytes\n", c.name, c.origin, c.time, c.bytes)
	}
	for _, n := range d.Notes {
		fmt.Fprintf(&b, "# %s\n", n)
	}
	return b.Bytes()
}

// splitLines returns text's lines with their ends; the last may have none.
func splitLines(text string) []string {
	lines := strings.SplitAfter(text, "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

// match says that line a of one text and line b of the other stay.
type match struct{ a, b int }

// matchLines returns the lines that stay, in order. Lines that only one text has cannot, so the library sees the
// others alone, each as one character: it compares characters, and takes lines that differ only in bytes that
// are not UTF-8 for the same. If whole, the texts are too different to look for the shortest difference.
func matchLines(a, b []string) (matches []match, whole bool) {
	ids := commonLines(a, b)
	runesA, linesA := encodeLines(a, ids)
	runesB, linesB := encodeLines(b, ids)
	head, tail := commonEnds(runesA, runesB)
	for i := range head {
		matches = append(matches, match{linesA[i], linesB[i]})
	}
	middleA, middleB := runesA[head:len(runesA)-tail], runesB[head:len(runesB)-tail]
	if editsWithin(middleA, middleB, maxConfigEdits) {
		for _, m := range matchRunes(middleA, middleB) {
			matches = append(matches, match{linesA[head+m.a], linesB[head+m.b]})
		}
	} else {
		whole = true
	}
	for i := tail; i > 0; i-- {
		matches = append(matches, match{linesA[len(linesA)-i], linesB[len(linesB)-i]})
	}
	return matches, whole
}

// commonLines gives each line that both texts have a character of its own.
func commonLines(a, b []string) map[string]rune {
	inA := make(map[string]bool, len(a))
	for _, line := range a {
		inA[line] = true
	}
	ids := make(map[string]rune)
	next := rune(1)
	for _, line := range b {
		if !inA[line] || ids[line] != 0 {
			continue
		}
		if !utf8.ValidRune(next) {
			next = 0xe000 // the first after the surrogates, which are no characters
		}
		ids[line] = next
		next++
	}
	return ids
}

// encodeLines returns the characters of the lines that have one, and their places.
func encodeLines(lines []string, ids map[string]rune) ([]rune, []int) {
	var runes []rune
	var places []int
	for i, line := range lines {
		if id := ids[line]; id != 0 {
			runes, places = append(runes, id), append(places, i)
		}
	}
	return runes, places
}

func commonEnds(a, b []rune) (head, tail int) {
	shorter := min(len(a), len(b))
	for head < shorter && a[head] == b[head] {
		head++
	}
	for tail < shorter-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	return head, tail
}

// editsWithin reports whether a becomes b with at most so many insertions and deletions. It is the forward half of
// Myers' algorithm, which the library has too but without a limit.
func editsWithin(a, b []rune, most int) bool {
	if len(a)-len(b) > most || len(b)-len(a) > most {
		return false
	}
	furthest := make([]int, 2*most+3) // by diagonal
	for edits := 0; edits <= most; edits++ {
		for k := -edits; k <= edits; k += 2 {
			at := k + most + 1
			x := furthest[at-1] + 1
			if k == -edits || k != edits && furthest[at-1] < furthest[at+1] {
				x = furthest[at+1]
			}
			if edits == 0 {
				x = 0
			}
			for x < len(a) && x-k < len(b) && a[x] == b[x-k] {
				x++
			}
			if x >= len(a) && x-k >= len(b) {
				return true
			}
			furthest[at] = x
		}
	}
	return false
}

func matchRunes(a, b []rune) []match {
	dmp := diffmatchpatch.New()
	dmp.DiffTimeout = 0 // none: its default makes the outcome depend on the machine's load
	var matches []match
	var at match
	for _, d := range dmp.DiffMainRunes(a, b, false) {
		n := utf8.RuneCountInString(d.Text)
		switch d.Type {
		case diffmatchpatch.DiffDelete:
			at.a += n
		case diffmatchpatch.DiffInsert:
			at.b += n
		case diffmatchpatch.DiffEqual:
			for i := range n {
				matches = append(matches, match{at.a + i, at.b + i})
			}
			at.a, at.b = at.a+n, at.b+n
		}
	}
	return matches
}

// contextLines is how many lines that stay are shown before and after a change.
const contextLines = 3

// writeHunks writes the differences as GNU diff -u does.
func writeHunks(w *bytes.Buffer, a, b []string, matches []match) {
	var h hunk
	var last match // the first lines not written yet
	for _, m := range append(matches, match{len(a), len(b)}) {
		if m != last {
			// A change: it goes into the same hunk if the context of both would touch.
			if h.changed && h.trailing > 2*contextLines {
				h.flush(w)
			}
			h.trim()
			h.change(last, a[last.a:m.a], b[last.b:m.b])
		}
		if m.a < len(a) {
			h.keep(m, a[m.a])
		}
		last = match{m.a + 1, m.b + 1}
	}
	h.flush(w)
}

// hunk is a run of changes near each other, with context.
type hunk struct {
	start    match // its first line in both texts, from 0
	body     []string
	changed  bool
	trailing int // how many lines at the end of body are context
}

// keep adds a line of context.
func (h *hunk) keep(at match, line string) {
	if len(h.body) == 0 {
		h.start = at
	}
	h.body = append(h.body, " "+line)
	h.trailing++
}

// trim drops context, before the first change, that is too far away.
func (h *hunk) trim() {
	if extra := h.trailing - contextLines; !h.changed && extra > 0 {
		h.body = h.body[extra:]
		h.start.a, h.start.b = h.start.a+extra, h.start.b+extra
	}
}

func (h *hunk) change(at match, removed, added []string) {
	if len(h.body) == 0 {
		h.start = at
	}
	for _, line := range removed {
		h.body = append(h.body, "-"+line)
	}
	for _, line := range added {
		h.body = append(h.body, "+"+line)
	}
	h.changed, h.trailing = true, 0
}

// flush writes the hunk, if it has a change, and leaves what context the next may need.
func (h *hunk) flush(w *bytes.Buffer) {
	if !h.changed {
		return
	}
	end := len(h.body) - max(0, h.trailing-contextLines)
	var lines match
	for _, line := range h.body[:end] {
		if line[0] != '+' {
			lines.a++
		}
		if line[0] != '-' {
			lines.b++
		}
	}
	fmt.Fprintf(w, "@@ -%s +%s @@\n", hunkRange(h.start.a, lines.a), hunkRange(h.start.b, lines.b))
	for _, line := range h.body[:end] {
		w.WriteString(line)
		if !strings.HasSuffix(line, "\n") {
			w.WriteString("\n\\ No newline at end of file\n")
		}
	}
	next := match{h.start.a + lines.a, h.start.b + lines.b}
	*h = hunk{start: next, body: h.body[end:], trailing: len(h.body) - end}
}

// hunkRange is "line,count"; an empty range names the line before it.
func hunkRange(start, count int) string {
	if count > 0 {
		start++
	}
	return fmt.Sprintf("%d,%d", start, count)
}
