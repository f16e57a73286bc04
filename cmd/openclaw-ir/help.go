package main

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/urfave/cli/v2"
)

// wantsHelp reports whether one of the arguments may ask for help. That is the only way to a page: every command has an action and says
// what is wrong with its options by itself.
func wantsHelp(args []string) bool {
	return slices.ContainsFunc(args, func(a string) bool {
		name, _, _ := strings.Cut(strings.TrimLeft(a, "-"), "=")
		return strings.HasPrefix(a, "-") && slices.Contains(cli.HelpFlag.Names(), name)
	})
}

// hideHelpCommands keeps cli from taking an argument "help" for a command of its own.
func hideHelpCommands(commands []*cli.Command) {
	for _, c := range commands {
		c.HideHelpCommand = true
		hideHelpCommands(c.Subcommands)
	}
}

// withHelp gives every command its help text, laid out for the terminal: cli's own neither wraps lines nor leaves out what is
// false by default. To lay all of them out takes longer than many a command.
func withHelp(app *cli.App, c *console.Console) {
	top := helpPage{c, app.Name, app.Usage, app.Description, "", app.Commands, append([]cli.Flag{cli.VersionFlag}, app.Flags...)}
	app.CustomAppHelpTemplate = top.template()
	var walk func(path string, commands []*cli.Command)
	walk = func(path string, commands []*cli.Command) {
		for _, cmd := range commands {
			page := helpPage{c, path + " " + cmd.Name, cmd.Usage, cmd.Description, cmd.ArgsUsage, cmd.Subcommands, cmd.Flags}
			cmd.CustomHelpTemplate = page.template()
			walk(page.name, cmd.Subcommands)
		}
	}
	walk(app.Name, app.Commands)
}

// A helpPage is what --help says about a command.
type helpPage struct {
	console                       *console.Console
	name, usage, description, arg string
	commands                      []*cli.Command
	flags                         []cli.Flag
}

// margin is what stands before every line of text.
const margin = "   "

// template is the page for cli, which takes it for a template.
func (p helpPage) template() string {
	return strings.ReplaceAll(p.text(), "{{", "{{\"{{\"}}")
}

func (p helpPage) text() string {
	var b strings.Builder
	section := func(heading, text string) {
		b.WriteString(p.console.Paint(console.Strong, heading) + "\n" + strings.TrimRight(text, "\n") + "\n\n")
	}
	width := p.console.Width()
	b.WriteString(wrapped(p.name+" - "+p.usage, width, margin) + "\n\n")
	section("USAGE:", margin+p.synopsis())
	section("DESCRIPTION:", layOut(p.description, width))
	if list := visible(p.commands); len(list) > 0 {
		section("COMMANDS:", definitions(list, width))
	}
	section("OPTIONS:", definitions(options(p.flags), width))
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// synopsis is the line that shows what to type.
func (p helpPage) synopsis() string {
	line := p.name
	if len(p.commands) > 0 {
		line += " [COMMAND]"
	}
	line += " [OPTIONS]"
	if p.arg != "" {
		line += " " + p.arg
	}
	return line
}

// layOut wraps the paragraphs of a description. What is indented, such as an example, keeps its lines.
func layOut(text string, width int) string {
	var out []string
	for _, b := range blocks(text) {
		switch {
		case b.text == "":
			out = append(out, "")
		case b.verbatim:
			out = append(out, margin+example(b.text, width))
		default:
			out = append(out, margin+wrapped(b.text, width, margin))
		}
	}
	return strings.Join(out, "\n")
}

// wrapped breaks text into lines of at most width columns, indent included, which each but the first begins with: there the caller has
// written as much.
func wrapped(text string, width int, indent string) string {
	return strings.Join(console.Wrap(text, width-utf8.RuneCountInString(indent)), "\n"+indent)
}

// A block is a paragraph of a description, or a line of it that is to stay as it is. An empty one parts paragraphs.
type block struct {
	text     string
	verbatim bool
}

func blocks(text string) (list []block) {
	open := false // the last block is a paragraph that may go on
	for line := range strings.Lines(strings.TrimSpace(text)) {
		line = strings.TrimRight(line, "\n")
		switch {
		case line == "" || strings.HasPrefix(line, " "):
			list, open = append(list, block{line, true}), false
		case open:
			list[len(list)-1].text += " " + line
		default:
			list, open = append(list, block{line, false}), true
		}
	}
	return list
}

// example puts the remark at a line's end above it, and breaks a long command as a shell would read it, where the line does not fit.
func example(line string, width int) string {
	fits := func(s string) bool { return utf8.RuneCountInString(margin+s) <= width }
	if fits(line) {
		return line
	}
	indent := line[:len(line)-len(strings.TrimLeft(line, " "))]
	above := ""
	if command, remark, ok := strings.Cut(line, "  # "); ok {
		above, line = indent+"# "+strings.TrimSpace(remark)+"\n"+margin, strings.TrimRight(command, " ")
	}
	if at := breakAt(line, width-len(margin)-len(" \\")); !fits(line) && at > 0 {
		line = line[:at] + " \\\n" + margin + indent + margin + example(line[at+1:], width-len(indent+margin))
	}
	return above + line
}

// breakAt returns the last space within limit bytes before an option or a pipe, outside quotes; 0 if there is none.
func breakAt(command string, limit int) (at int) {
	quote, ansi := byte(0), false // the quote that is open; whether it is $'…', in which a backslash is no letter
	for i := 1; i+1 < len(command) && i <= limit; i++ {
		switch c := command[i]; {
		case c == '\\' && (quote != '\'' || ansi):
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote, ansi = c, command[i-1] == '$'
		case c == ' ' && (command[i+1] == '-' || command[i+1] == '|') && command[i-1] != ' ':
			at = i
		}
	}
	return at
}

// A definition is a term and what it means.
type definition struct{ term, text string }

func visible(commands []*cli.Command) (list []definition) {
	for _, c := range commands {
		if !c.Hidden {
			list = append(list, definition{c.Name, c.Usage})
		}
	}
	return list
}

// options describes flags, and --help, which every command has.
func options(flags []cli.Flag) (list []definition) {
	for _, f := range append(slices.Clone(flags), cli.HelpFlag) {
		if v, ok := f.(cli.VisibleFlag); ok && !v.IsVisible() {
			continue
		}
		list = append(list, option(f))
	}
	return list
}

func option(f cli.Flag) definition {
	doc, ok := f.(cli.DocGenerationFlag)
	if !ok {
		return definition{flagNames(f, ""), ""}
	}
	value, text := placeholder(doc)
	if slice, ok := f.(cli.DocGenerationSliceFlag); ok && slice.IsSliceFlag() {
		text += "; may be repeated"
	} else if given := doc.GetValue(); doc.TakesValue() && !slices.Contains([]string{"", "0", "0s"}, given) {
		text += " (default: " + given + ")"
	}
	return definition{flagNames(f, value), text}
}

// placeholder is the word in backquotes of a flag's usage, which stands for its value, and the usage without the backquotes.
func placeholder(doc cli.DocGenerationFlag) (value, text string) {
	before, rest, ok := strings.Cut(doc.GetUsage(), "`")
	word, after, closed := strings.Cut(rest, "`")
	if !ok || !closed {
		if doc.TakesValue() {
			value = "VALUE"
		}
		return value, doc.GetUsage()
	}
	return word, before + word + after
}

// flagNames reads "-o, --output FILE".
func flagNames(f cli.Flag, value string) string {
	var short, long []string
	for _, name := range f.Names() {
		if len(name) == 1 {
			short = append(short, "-"+name)
		} else {
			long = append(long, "--"+name)
		}
	}
	line := strings.Join(append(short, long...), ", ")
	if value != "" {
		line += " " + value
	}
	return line
}

// termWidth is how wide a term may be to have its text beside it.
const termWidth = 26

// definitions lays out terms and texts in two columns.
func definitions(list []definition, width int) string {
	column := 0
	for _, d := range list {
		if n := utf8.RuneCountInString(d.term); n <= termWidth {
			column = max(column, n)
		}
	}
	indent := margin + strings.Repeat(" ", column+2)
	var b strings.Builder
	for _, d := range list {
		b.WriteString(margin + d.term)
		pad := column + 2 - utf8.RuneCountInString(d.term)
		if pad < 2 {
			b.WriteString("\n" + indent)
		} else {
			b.WriteString(strings.Repeat(" ", pad))
		}
		b.WriteString(wrapped(d.text, width, indent) + "\n")
	}
	return b.String()
}
