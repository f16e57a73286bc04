package main

import (
	_ "embed"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
)

// manBegin and manEnd are what the page says besides the commands, written by hand.
var (
	//go:embed man/begin.roff
	manBegin string
	//go:embed man/end.roff
	manEnd string
)

func manCommand(e env) *cli.Command {
	return &cli.Command{
		Name:  "man",
		Usage: "print the manual page",
		Description: `Examples:
   openclaw-ir man | man -l -
   openclaw-ir man > /usr/local/share/man/man1/openclaw-ir.1

` + exitText,
		OnUsageError: onUsageError,
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return usageError("openclaw-ir man | man -l -", "man takes no arguments: %q", c.Args().First())
			}
			_, err := fmt.Fprint(e.console.Out(), manPage(c.App))
			return err
		},
	}
}

// manWidth is how many columns an example of the page may have on a terminal of 80.
const manWidth = 70

// manPage is openclaw-ir(1): every command with its description and options, as --help has them.
func manPage(app *cli.App) string {
	var b strings.Builder
	fmt.Fprintf(&b, ".TH OPENCLAW\\-IR 1 \"\" \"openclaw\\-ir %s\" \"User Commands\"\n", roff(app.Version))
	b.WriteString(manBegin)
	b.WriteString(".SH COMMANDS\n")
	var walk func(path string, commands []*cli.Command)
	walk = func(path string, commands []*cli.Command) {
		for _, cmd := range commands {
			if !cmd.Hidden {
				manSection(&b, path+" "+cmd.Name, cmd)
				walk(path+" "+cmd.Name, cmd.Subcommands)
			}
		}
	}
	walk(app.Name, app.Commands)
	b.WriteString(manEnd)
	return b.String()
}

func manSection(b *strings.Builder, path string, cmd *cli.Command) {
	fmt.Fprintf(b, ".SS \"%s\"\n", roff(strings.TrimSpace(path+" "+cmd.ArgsUsage)))
	fmt.Fprintf(b, "%s.\n", roffLine(strings.ToUpper(cmd.Usage[:1])+cmd.Usage[1:]))
	text := strings.TrimSpace(strings.ReplaceAll(cmd.Description, exitText, "")) // it has a section of its own
	manText(b, text)
	b.WriteString(".PP\n")
	for _, o := range options(cmd.Flags) {
		fmt.Fprintf(b, ".TP\n\\fB%s\\fR\n%s\n", roff(o.term), roffLine(o.text))
	}
}

// manText writes the paragraphs of a description, and its examples as they are.
func manText(b *strings.Builder, text string) {
	fixed := false
	for _, block := range append(blocks(text), block{}) {
		line := block.text != "" && block.verbatim
		if line && !fixed {
			b.WriteString(".PP\n.nf\n.RS 4\n")
		}
		if !line && fixed {
			b.WriteString(".RE\n.fi\n")
		}
		fixed = line
		switch {
		case line:
			for l := range strings.Lines(example(block.text, manWidth)) {
				b.WriteString(roffLine(strings.TrimRight(strings.TrimPrefix(l, margin), "\n")) + "\n")
			}
		case block.text != "":
			b.WriteString(".PP\n" + roffLine(block.text) + "\n")
		}
	}
}

// roffSpecial escapes what troff would take for its own: a backslash, and hyphens, which are to stay what a shell reads.
var roffSpecial = strings.NewReplacer(`\`, `\e`, "-", `\-`, `"`, `\(dq`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`, "→", `\(->`)

func roff(s string) string {
	s = roffSpecial.Replace(s)
	var b strings.Builder
	for _, r := range s { // whatever else is not ASCII, in a form that needs no preprocessor
		if r < 0x80 {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\[u%04X]`, r)
		}
	}
	return b.String()
}

// roffLine is a line that troff does not take for a request.
func roffLine(s string) string {
	s = roff(s)
	if strings.HasPrefix(s, ".") {
		return `\&` + s
	}
	return s
}
