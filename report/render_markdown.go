package report

import (
	"bufio"
	"io"
	"strings"
)

// writeMarkdown writes the document as Markdown (CommonMark, and GitHub's dialect). Whatever an intruder wrote is code: in code
// no link, image, mention, reference or HTML works. There are no tables to break out of.
func (d *document) writeMarkdown(w io.Writer) error {
	out := bufio.NewWriter(w)
	if d.subject != "" {
		out.WriteString("# " + markdown(d.subject) + "\n")
	}
	for i, b := range d.blocks {
		if i > 0 || d.subject != "" {
			out.WriteByte('\n')
		}
		switch b.kind {
		case heading:
			out.WriteString("## " + markdown(b.text) + "\n")
		case paragraph:
			out.WriteString(markdown(b.text) + "\n")
		case list:
			for _, line := range b.lines {
				out.WriteString("- " + markdown(line) + "\n")
			}
		case quote:
			writeCode(out, &b)
		}
	}
	return out.Flush()
}

func writeCode(out *bufio.Writer, b *block) {
	if b.text != "" {
		out.WriteString(markdown(b.text) + "\n\n")
	}
	fence := ticks(strings.Join(b.lines, "\n"), 3)
	out.WriteString(fence + "text\n" + b.label.begins + "\n")
	for _, line := range b.lines {
		out.WriteString("| " + unmarked(line) + "\n")
	}
	out.WriteString(b.label.ends + "\n" + fence + "\n")
}

// markdown renders a sentence: what is marked as hostile becomes code, in the rest nothing means anything to Markdown.
func markdown(s string) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, string(hostileFrom))
		b.WriteString(markup.Replace(before))
		if !found {
			return b.String()
		}
		code, after, _ := strings.Cut(rest, string(hostileTo))
		b.WriteString(codeSpan(code))
		s = after
	}
}

// markup escapes what Markdown takes for more than text. Our own words hold no address and no mention.
var markup = strings.NewReplacer(`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "<", `\<`, ">", `\>`, "|", `\|`, "#", `\#`, "~", `\~`)

// codeSpan is a hostile text as code. A space keeps a backtick at its end from the delimiters; CommonMark takes it away again.
func codeSpan(s string) string {
	fence := ticks(s, 1)
	if strings.HasPrefix(s, "`") || strings.HasSuffix(s, "`") || strings.TrimSpace(s) == "" {
		s = " " + s + " "
	}
	return fence + s + fence
}

// ticks are more backticks than stand together anywhere in s, and at least n.
func ticks(s string, n int) string {
	run := 0
	for _, c := range s {
		if c != '`' {
			run = 0
			continue
		}
		if run++; run >= n {
			n = run + 1
		}
	}
	return strings.Repeat("`", n)
}
