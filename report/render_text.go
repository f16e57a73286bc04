package report

import (
	"bufio"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// lineWidth is how wide a line of the letter is where its words allow it: what a phone and a quoted reply can show.
const lineWidth = 72

// fence begins every line of a quotation, so that no line of it can be the one that ends it.
const fence = "| "

// writeText writes the document as plain text.
func (d *document) writeText(w io.Writer) error {
	out := bufio.NewWriter(w)
	for i, b := range d.blocks {
		if i > 0 {
			out.WriteByte('\n')
		}
		switch b.kind {
		case heading:
			text := strings.ToUpper(unmarked(b.text))
			out.WriteString(text + "\n" + strings.Repeat("-", min(utf8.RuneCountInString(text), lineWidth)) + "\n")
		case paragraph:
			wrap(out, "", "", unmarked(b.text))
		case list:
			for _, line := range b.lines {
				wrap(out, "- ", "  ", unmarked(line))
			}
		case quote:
			writeQuote(out, &b)
		}
	}
	return out.Flush()
}

func writeQuote(out *bufio.Writer, b *block) {
	if b.text != "" {
		wrap(out, "", "", unmarked(b.text))
	}
	out.WriteString(b.label.begins + "\n")
	for _, line := range b.lines {
		breakLine(out, unmarked(line))
	}
	out.WriteString(b.label.ends + "\n")
}

// wrap writes words in lines of at most lineWidth; a longer word stands alone.
func wrap(out *bufio.Writer, first, rest, text string) {
	out.WriteString(first)
	used, empty := utf8.RuneCountInString(first), true
	for word := range strings.FieldsSeq(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case empty:
		case used+1+n > lineWidth:
			out.WriteString("\n" + rest)
			used = utf8.RuneCountInString(rest)
		default:
			out.WriteByte(' ')
			used++
		}
		out.WriteString(word)
		used, empty = used+n, false
	}
	out.WriteByte('\n')
}

// breakLine writes a line of a quotation in as many as it needs, between words where that leaves no short line.
func breakLine(out *bufio.Writer, line string) {
	const room = lineWidth - len(fence)
	for utf8.RuneCountInString(line) > room {
		end := runesEnd(line, room)
		if space := strings.LastIndexByte(line[:end], ' '); space > end/2 {
			end = space + 1
		}
		out.WriteString(fence + strings.TrimRight(line[:end], " ") + "\n")
		line = line[end:]
	}
	out.WriteString(strings.TrimRight(fence+line, " ") + "\n")
}

// runesEnd returns where the first n characters of a line end, with the marks that belong to the last of them.
func runesEnd(line string, n int) int {
	for i, r := range line {
		if n <= 0 && !unicode.IsMark(r) {
			return i
		}
		n--
	}
	return len(line)
}
