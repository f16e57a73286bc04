package console

import (
	"bytes"
	"fmt"
	"text/tabwriter"
)

// Table writes rows under a header to standard output, in aligned columns two
// spaces apart; on a terminal a row too wide for it is folded. Cells are escaped; an empty one shows as "-". A nil header is
// left out.
func (c *Console) Table(header []string, rows [][]string) error {
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	if header != nil {
		writeRow(w, header)
	}
	for _, row := range rows {
		writeRow(w, row)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	text := []byte(c.FoldOut(b.String()))
	if header != nil {
		// Coloured afterwards: tabwriter would count the colour as width.
		first, rest, _ := bytes.Cut(text, []byte("\n"))
		text = fmt.Appendf(nil, "%s\n%s", c.Paint(Strong, string(first)), rest)
	}
	_, err := c.Out().Write(text)
	return err
}

func writeRow(w *tabwriter.Writer, cells []string) {
	var line []byte
	for i, cell := range cells {
		if i > 0 {
			line = append(line, '\t')
		}
		if cell == "" {
			cell = "-"
		}
		line = AppendEscape(line, cell)
	}
	_, _ = w.Write(append(line, '\n')) // into a bytes.Buffer
}
