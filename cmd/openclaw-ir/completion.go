package main

import (
	"embed"
	"fmt"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/severity"
	"github.com/urfave/cli/v2"
)

// shellFiles are the scripts that make a shell complete our commands. Each asks completeCommand.
//
//go:embed completion/openclaw-ir.bash completion/openclaw-ir.zsh completion/openclaw-ir.fish
var shellFiles embed.FS

var shells = []string{"bash", "zsh", "fish"}

func completionCommand(e env) *cli.Command {
	return &cli.Command{
		Name:      "completion",
		Usage:     "print the completion for a shell: bash, zsh or fish",
		ArgsUsage: "SHELL",
		Description: `Commands, options, their values, names of cases and files are completed. The packages install it.

Examples:
   source <(openclaw-ir completion bash)                   # or zsh; for this shell
   openclaw-ir completion bash > /etc/bash_completion.d/openclaw-ir
   openclaw-ir completion fish > ~/.config/fish/completions/openclaw-ir.fish

` + exitText,
		OnUsageError: onUsageError,
		Action: func(c *cli.Context) error {
			shell := c.Args().First()
			if c.NArg() != 1 || !slices.Contains(shells, shell) {
				return usageError("openclaw-ir completion bash", "for which shell? one of %s, not %q", strings.Join(shells, ", "), shell)
			}
			text, err := shellFiles.ReadFile("completion/openclaw-ir." + shell)
			if err != nil {
				return err
			}
			_, err = e.console.Out().Write(text)
			return err
		},
	}
}

// completeName is what the shells' scripts call, with "--" and the words of the line so far, the last of which is to be completed.
const completeName = "__complete"

// completeCommand prints what the last word may become, each with a tab and what it means, and last what else the shell is to offer:
// ":none", ":files" or ":dirs". It never fails: nobody is helped by an error in the middle of a line.
func completeCommand(e env) *cli.Command {
	return &cli.Command{
		Name: completeName, Hidden: true, Usage: "say how a command line may go on; run by the shell",
		Description:     "Example:\n   openclaw-ir " + completeName + " -- contain --e\n\n" + exitText,
		SkipFlagParsing: true,
		Action: func(c *cli.Context) error {
			words := c.Args().Slice()
			if len(words) > 0 && words[0] == "--" {
				words = words[1:]
			}
			if len(words) == 0 {
				words = []string{""}
			}
			list, also := completer{e, c.App.Commands}.complete(words)
			for _, d := range list {
				fmt.Fprintf(e.console.Out(), "%s\t%s\n", d.term, d.text)
			}
			_, err := fmt.Fprintln(e.console.Out(), also)
			return err
		},
	}
}

// What the shell is to offer besides.
const (
	noneToo  = ":none"
	filesToo = ":files"
	dirsToo  = ":dirs"
)

type completer struct {
	env
	commands []*cli.Command
}

// complete says how the last of the words may go on.
func (p completer) complete(words []string) (list []definition, also string) {
	last := words[len(words)-1]
	line := p.read(words[:len(words)-1])
	prefix := ""
	if name, value, ok := strings.Cut(last, "="); ok && strings.HasPrefix(name, "--") { // --level=hi
		line.flag, prefix, last = flagNamed(line.flags, strings.TrimLeft(name, "-")), name+"=", value
		if line.flag == nil {
			return nil, noneToo
		}
	}
	if last == "=" { // bash parts --level=hi at the equals sign
		last = ""
	}
	switch {
	case line.flag != nil:
		list, also = p.values(line)
	case strings.HasPrefix(last, "-") && !line.ended:
		list, also = optionWords(line.flags), noneToo
	default:
		list, also = p.arguments(line)
	}
	list = slices.DeleteFunc(list, func(d definition) bool { return !strings.HasPrefix(d.term, last) })
	for i := range list {
		list[i].term = prefix + list[i].term
	}
	return list, also
}

// A partLine is a command line up to the word that is completed.
type partLine struct {
	command   *cli.Command // nil before there is one
	commands  []*cli.Command
	flags     []cli.Flag
	flag      cli.Flag // whose value comes next, nil if none
	arguments []string
	ended     bool   // "--" has been
	caseDir   string // the value of --case-dir
}

// read follows the words as permute and cli do.
func (p completer) read(words []string) partLine {
	line := partLine{commands: p.commands, flags: []cli.Flag{cli.VersionFlag}}
	for _, word := range words {
		word = strings.TrimPrefix(word, "=")
		switch {
		case line.flag != nil && word == "":
		case line.flag != nil:
			if slices.Contains(line.flag.Names(), "case-dir") {
				line.caseDir = word
			}
			line.flag = nil
		case word == "--" && !line.ended:
			line.ended = true
		case strings.HasPrefix(word, "-") && !line.ended:
			if f := flagNamed(line.flags, strings.TrimLeft(word, "-")); f != nil && takesValue(line.flags, strings.TrimLeft(word, "-")) {
				line.flag = f
			}
		default:
			line.enter(word)
		}
	}
	return line
}

// enter takes a word for a command, if there is one of that name, else for an argument.
func (l *partLine) enter(word string) {
	i := slices.IndexFunc(l.commands, func(c *cli.Command) bool { return c.HasName(word) })
	if i < 0 || len(l.arguments) > 0 {
		l.arguments = append(l.arguments, word)
		return
	}
	l.command, l.flags, l.commands = l.commands[i], l.commands[i].Flags, l.commands[i].Subcommands
}

func flagNamed(flags []cli.Flag, name string) cli.Flag {
	for _, f := range flags {
		if slices.Contains(f.Names(), name) {
			return f
		}
	}
	return nil
}

func optionWords(flags []cli.Flag) (list []definition) {
	for _, f := range append(slices.Clone(flags), cli.HelpFlag) {
		if v, ok := f.(cli.VisibleFlag); ok && !v.IsVisible() {
			continue
		}
		for _, name := range strings.Split(flagNames(f, ""), ", ") {
			list = append(list, definition{name, option(f).text})
		}
	}
	return list
}

// arguments offers subcommands first, then what the command's usage names.
func (p completer) arguments(line partLine) (list []definition, also string) {
	if len(line.arguments) == 0 {
		list = visible(line.commands)
	}
	if line.command == nil {
		return list, noneToo
	}
	more, also := p.named(line.command.ArgsUsage, line)
	return append(list, more...), also
}

// values offers what an option takes.
func (p completer) values(line partLine) (list []definition, also string) {
	doc, ok := line.flag.(cli.DocGenerationFlag)
	if !ok {
		return nil, noneToo
	}
	word, text := placeholder(doc)
	switch name := line.flag.Names()[0]; {
	case name == "case":
		return p.cases(line.caseDir), noneToo
	case name == "fail-on":
		return plain(severity.Names()), noneToo
	}
	if words := choices(text); len(words) > 1 {
		return plain(words), noneToo
	}
	return p.named(word, line)
}

// choices are the words that a usage ends with, as in "begin at STEP: contain, collect or rotate"; nil if it does not end so.
func choices(usage string) (words []string) {
	i := strings.LastIndex(usage, ": ")
	if i < 0 {
		return nil
	}
	for _, part := range strings.Split(usage[i+2:], ", ") {
		for _, word := range strings.Split(strings.TrimPrefix(part, "or "), " or ") {
			if strings.Trim(word, "abcdefghijklmnopqrstuvwxyz-") != "" {
				return nil
			}
			words = append(words, word)
		}
	}
	return words
}

// named offers what a word of a usage stands for.
func (p completer) named(usage string, line partLine) (list []definition, also string) {
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(usage, w) })
	}
	switch {
	case has("SHELL") && len(line.arguments) == 0:
		return plain(shells), noneToo
	case has("CASE", "[NAME]"):
		return p.cases(line.caseDir), noneToo
	case has("SOURCE", "FILE", "BUNDLE"):
		return nil, filesToo
	case has("DIR"):
		return nil, dirsToo
	}
	return nil, noneToo
}

func plain(words []string) (list []definition) {
	for _, w := range words {
		list = append(list, definition{w, ""})
	}
	return list
}

// cases names the cases in a directory. One that is none, and whose name may be anything, has a Problem.
func (p completer) cases(dir string) (list []definition) {
	if dir == "" {
		dir = casefile.DefaultDir(p.uid, p.getenv("XDG_STATE_HOME"), p.getenv("HOME"))
	}
	infos, err := casefile.List(dir)
	if err != nil {
		return nil
	}
	for _, info := range infos {
		if info.Problem == "" {
			list = append(list, definition{info.Name, string(info.State)})
		}
	}
	return list
}
