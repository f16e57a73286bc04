package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/urfave/cli/v2"
)

// A stage is one step of the runbook, as a person is led through it. The texts are ours; the commands are what would be typed.
type stage struct {
	Name    string `json:"stage"` // the command's: contain, collect, …
	Title   string `json:"title"`
	Next    string `json:"next"`    // what happens next
	Why     string `json:"why"`     // and why
	Changes string `json:"changes"` // what it will change
	Takes   string `json:"takes"`   // how long it takes
	Tell    string `json:"tell"`    // what to say to the others, to paste

	asks     bool          // the command asks by itself, in place of us
	preview  []string      // a command that shows what would change, run before the question; nil for none
	result   func() string // says how it ended, if its exit code does not
	commands func() []act  // in this order; asked again after each, since one may name what the one before it made
}

// An act is one command line of a stage.
type act struct {
	argv []string                      // without the program's name
	play func(ctx context.Context) int // what is played in place of the command; nil: the command is run, as if it had been typed
}

// text is the command line, and that it is only played.
func (a act) text() string {
	if a.play != nil {
		return typedLine(a.argv) + "   # simulated"
	}
	return typedLine(a.argv)
}

// A guided is one line of what a guide says with --json.
type guided struct {
	Record string `json:"record"` // before, stage, command, result, end
	*stage
	Name     string     `json:"stage,omitempty"`
	Number   int        `json:"number,omitempty"`
	Of       int        `json:"of,omitempty"`
	Commands [][]string `json:"commands,omitempty"` // without the program's name
	Played   bool       `json:"simulated,omitempty"`
	Result   string     `json:"result,omitempty"`
	Exit     *int       `json:"exit,omitempty"`
	Time     time.Time  `json:"time,omitzero"` // of before: when it was done
	By       string     `json:"by,omitempty"`  // of before: by whom
	End      any        `json:"end,omitempty"`
	text     []string
}

// errLeft says that the person leaves and means to come back.
var errLeft = errors.New("left")

// A guide leads a person through stages: it says what comes, asks, does it, and says how it went.
type guide struct {
	env
	c     *cli.Context
	lines *console.Lines[guided]
	of    int                                                 // how many stages there are in all
	exec  func(ctx context.Context, args []string, e env) int // [run], but for tests of what fails
}

func newGuide(c *cli.Context, e env, name string, of int) (*guide, error) {
	lines, err := console.NewLines(e.console, c.Bool("json"), map[string]any{"command": name}, func(g guided) string { return strings.Join(g.text, "\n") })
	return &guide{env: e, c: c, lines: lines, of: of, exec: run}, err
}

func (g *guide) write(line guided) {
	_ = g.lines.Write(line) // nobody is left to tell; the custody log has it
	_ = g.lines.Flush()
}

// introduce says what is about to happen.
func (g *guide) introduce(number int, s *stage) {
	text := []string{"", g.console.Paint(console.Strong, fmt.Sprintf("step %d of %d  %s: %s", number, g.of, s.Name, s.Title))}
	for _, part := range []struct{ label, text string }{
		{"next", s.Next}, {"why", s.Why}, {"changes", s.Changes}, {"takes", s.Takes}, {"say", s.Tell},
	} {
		text = append(text, g.labelled(part.label, part.text)...)
	}
	line := guided{Record: "stage", stage: s, Name: s.Name, Number: number, Of: g.of}
	for _, a := range s.commands() {
		if !g.c.Bool("yes") || g.c.Bool("dry-run") { // or it stands right below
			text = append(text, g.beside("command", shellLines(a.text(), g.width()-labelWidth))...)
		}
		line.Commands = append(line.Commands, a.argv)
	}
	line.text = text
	g.write(line)
}

// width is how many columns a guide's text takes: what is wider is hard to read.
func (g *guide) width() int { return min(g.console.Width(), 80) }

// labelWidth is the columns of a label.
const labelWidth = 11

// labelled is a text beside its label.
func (g *guide) labelled(label, text string) []string {
	return g.beside(label, console.Wrap(text, g.width()-labelWidth))
}

// typed is a command line beside its label.
func (g *guide) typed(label string, argv []string) []string {
	return g.beside(label, shellLines(typedLine(argv), g.width()-labelWidth))
}

func (g *guide) beside(label string, lines []string) (text []string) {
	for _, line := range lines {
		text = append(text, g.console.Paint(console.Dim, fmt.Sprintf("  %-8s ", label))+line)
		label = ""
	}
	return text
}

// agree asks whether to do a stage. It returns [errLeft] if the person leaves.
func (g *guide) agree(s *stage) (bool, error) {
	if s.asks || g.c.Bool("yes") {
		return true, nil
	}
	if s.preview != nil {
		g.say("what it would change")
		if code := g.exec(g.c.Context, append([]string{"openclaw-ir"}, s.preview...), g.env); code == exitInterrupted {
			return false, context.Canceled
		}
	}
	answer, err := g.console.Choose(g.c.Context, "run this? y yes, n skip it, q leave and go on later")
	switch {
	case err != nil:
		return false, err
	case answer == "q":
		return false, errLeft
	}
	return answer == "y", nil
}

// do runs a stage's commands, up to the first that is interrupted, and returns the worst of their exit codes.
func (g *guide) do(s *stage) int {
	code := exitDone
	for i := 0; i < len(s.commands()) && code != exitInterrupted; i++ {
		code = worse(code, g.act(s, s.commands()[i]))
	}
	result := resultOf(code)
	if s.result != nil && succeeded(code) && s.result() != "" {
		result = s.result()
	}
	g.sayResult(s, result, &code)
	return code
}

func (g *guide) sayResult(s *stage, result string, code *int) {
	style := console.Warn
	switch {
	case code == nil:
	case *code == exitDone:
		style = console.Good
	case !succeeded(*code):
		style = console.Bad
	}
	g.write(guided{Record: "result", Name: s.Name, Result: result, Exit: code, text: []string{s.Name + ": " + g.console.Paint(style, result)}})
}

func (g *guide) act(s *stage, a act) int {
	text := []string{""}
	for _, line := range shellLines("$ "+a.text(), g.width()) {
		text = append(text, g.console.Paint(console.Strong, line))
	}
	g.write(guided{Record: "command", Name: s.Name, Commands: [][]string{a.argv}, Played: a.play != nil, text: text})
	if a.play != nil {
		return a.play(g.c.Context)
	}
	return g.exec(g.c.Context, append([]string{"openclaw-ir"}, a.argv...), g.env)
}

// say tells a person how it goes on. With --json it is a remark on standard error.
func (g *guide) say(format string, args ...any) { g.console.Printf(format, args...) }

// resultOf says an exit code in words.
func resultOf(code int) string {
	if result, ok := results[code]; ok {
		return result
	}
	return results[exitFailed]
}

// severityOf orders the exit codes from the best to the worst.
var severityOf = []int{exitDone, exitFound, exitPartial, exitUnread, exitUsage, exitFailed, exitInterrupted}

// worse is the worse of two exit codes.
func worse(a, b int) int {
	if slices.Index(severityOf, b) > slices.Index(severityOf, a) {
		return b
	}
	return a
}

// succeeded reports an exit code of a command that did its work, though perhaps in part.
func succeeded(code int) bool { return code == exitDone || code == exitPartial || code == exitFound }

// typedLine is a command as it can be typed into a shell.
func typedLine(argv []string) string {
	words := []string{"openclaw-ir"}
	for _, w := range argv {
		words = append(words, console.ShellWord(w))
	}
	return strings.Join(words, " ")
}

// shellLines breaks a command line before its options where it is wider than width columns, as a shell takes it.
func shellLines(line string, width int) []string {
	if utf8.RuneCountInString(line) <= width {
		return []string{line}
	}
	at := 0
	for limit := width - len(` \`); at == 0; limit++ { // a long word has a line to itself
		if limit > len(line) {
			return []string{line}
		}
		at = breakAt(line, limit)
	}
	return append([]string{line[:at] + ` \`}, shellLines("    "+line[at+1:], width)...)
}
