package analyze

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// externalMark begins or ends what OpenClaw fences off as content from outside (FACTS 5.4): one pair of marks with an id that
// nobody outside can know; without an id before 2026.3. Inside JSON the quotes are escaped.
var externalMark = regexp.MustCompile(`<<<(END_)?EXTERNAL_UNTRUSTED_CONTENT(?: id=\\*"([0-9A-Za-z_-]{1,64})\\*")?>>>`)

// OpenClaw writes a warning before the first mark, from noticeBegin to noticeEnd, or the end of the text, at most maxNotice characters
// later; its own words must not pass for an intruder's.
const (
	noticeBegin = "SECURITY NOTICE: The following content is from an EXTERNAL"
	noticeEnd   = "third parties"
	maxNotice   = 1000
)

// maxMarks bounds the marks that are looked at in one text; the rest stays as it is.
const maxMarks = 1000

// The states of the fence around foreign content.
const (
	fenceIntact = "intact"
	fenceBroken = "broken" // a mark is left over: some of them are not OpenClaw's
)

// unfence takes OpenClaw's own marks and notice off a text. Marks within the fenced content stay: they are forged.
func unfence(text string) (inner, fence string) {
	if !strings.Contains(text, "EXTERNAL_UNTRUSTED_CONTENT") {
		return text, ""
	}
	marks := externalMark.FindAllStringSubmatchIndex(text, maxMarks)
	var b strings.Builder
	at := 0
	fence = fenceIntact
	for i := 0; i < len(marks); {
		end := closing(text, marks, i)
		if end < 0 {
			fence = fenceBroken
			i++
			continue
		}
		if end > i+1 {
			fence = fenceBroken
		}
		b.WriteString(withoutNotices(text[at:marks[i][0]]))
		b.WriteString(text[marks[i][1]:marks[end][0]])
		at, i = marks[end][1], end+1
	}
	b.WriteString(text[at:])
	return b.String(), fence
}

// withoutNotices cuts OpenClaw's warnings out. A regular expression that counts to a thousand is half a megabyte at every start.
func withoutNotices(text string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(text, noticeBegin)
		b.WriteString(before)
		if !found {
			return b.String()
		}
		end := endOfNotice(after)
		if end < 0 {
			b.WriteString(noticeBegin)
			end = 0
		}
		text = after[end:]
	}
}

// endOfNotice returns where the notice ends that text goes on with, or -1 if it is too long for one.
func endOfNotice(text string) int {
	last := 0 // the last place where noticeEnd may begin
	for n := 0; n < maxNotice && last < len(text); n++ {
		_, size := utf8.DecodeRuneInString(text[last:])
		last += size
	}
	if i := strings.Index(text[:min(len(text), last+len(noticeEnd))], noticeEnd); i >= 0 {
		return i + len(noticeEnd)
	}
	if last < len(text) {
		return -1
	}
	return last
}

// closing finds the mark that ends what mark i begins: the next of the same id, or, without ids, the last there is.
func closing(text string, marks [][]int, i int) int {
	if marks[i][2] >= 0 {
		return -1 // an end with no beginning
	}
	found := -1
	for n := i + 1; n < len(marks); n++ {
		switch {
		case marks[n][2] < 0 || group(text, marks[n], 2) != group(text, marks[i], 2):
		case marks[i][4] >= 0:
			return n
		default:
			found = n
		}
	}
	return found
}

func group(text string, m []int, n int) string {
	if m[2*n] < 0 {
		return ""
	}
	return text[m[2*n]:m[2*n+1]]
}
