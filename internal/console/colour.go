package console

import "github.com/fatih/color"

// Style says what a piece of text means; the Console decides how that looks.
type Style int

// The styles. Plain is never coloured.
const (
	Plain Style = iota
	Strong
	Dim
	Good
	Info
	Warn
	Bad
	Critical
	styles
)

var attributes = [styles][]color.Attribute{
	Strong:   {color.Bold},
	Dim:      {color.Faint},
	Good:     {color.FgGreen},
	Info:     {color.FgCyan},
	Warn:     {color.FgYellow},
	Bad:      {color.FgRed},
	Critical: {color.FgHiWhite, color.BgRed, color.Bold},
}

// Paint returns text for standard output in a style, or as it is where
// standard output is not to be coloured. It does not escape text.
func (c *Console) Paint(style Style, text string) string {
	return c.outPaint.paint(style, text)
}

// palette holds a colour for each style; a nil palette paints nothing.
type palette []*color.Color

func newPalette(on bool) palette {
	if !on {
		return nil
	}
	p := make(palette, styles)
	for style := range p {
		p[style] = color.New(attributes[style]...)
		// The package would ask the environment and os.Stdout; we have decided.
		p[style].EnableColor()
	}
	return p
}

func (p palette) paint(style Style, text string) string {
	if text == "" || style <= Plain || int(style) >= len(p) {
		return text
	}
	return p[style].Sprint(text)
}
