// Package console is the only package of openclaw-ir that prints.
//
// Everything a command says goes through a [Console]: results to standard
// output, messages to standard error, questions to the terminal. The facts that
// decide how it looks (is it a terminal, may it be coloured, how wide is it) are
// gathered once, by [FactsOf], and never looked up again.
//
// # Hostile text
//
// An attacker wrote most of what is shown. [Escape] turns any bytes into one
// line of visible text that moves no cursor, hides nothing, and can be turned
// back by [Unescape]. Messages, prompts, tables and progress escape what they
// are given; JSON lines escape inside JSON, so that they parse to the same
// values. Only [Lines] in text mode trusts its caller, because the caller may
// add colour.
package console

import (
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/term"
)

const name = "openclaw-ir"

// Streams are the three standard streams of a run, and where questions go.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer

	// OpenTTY opens the terminal that questions are asked on. Nil means
	// /dev/tty: standard input may be a pipe that carries data.
	OpenTTY func() (*os.File, error)
}

// Facts are what is known about the streams and the environment before a run.
type Facts struct {
	OutTerminal bool // standard output is a terminal
	ErrTerminal bool // standard error is a terminal
	NoColor     bool // NO_COLOR is set and not empty (no-color.org)
	ForceColor  bool // FORCE_COLOR is set, not empty and not "0" (force-color.org)
	Dumb        bool // TERM is "dumb"
	Width       int  // columns of the terminal, 80 if unknown
}

// FactsOf looks at the streams and, through getenv, at NO_COLOR, FORCE_COLOR
// and TERM.
func FactsOf(s Streams, getenv func(string) string) Facts {
	f := Facts{
		NoColor:    getenv("NO_COLOR") != "",
		ForceColor: getenv("FORCE_COLOR") != "" && getenv("FORCE_COLOR") != "0",
		Dumb:       getenv("TERM") == "dumb",
		Width:      80,
	}
	// Standard error last: progress is drawn there, so its width wins.
	f.OutTerminal = look(s.Out, &f.Width)
	f.ErrTerminal = look(s.Err, &f.Width)
	return f
}

func look(w io.Writer, width *int) bool {
	f, ok := w.(*os.File)
	if !ok || f == nil || !term.IsTerminal(int(f.Fd())) {
		return false
	}
	if columns, _, err := term.GetSize(int(f.Fd())); err == nil && columns > 0 {
		*width = columns
	}
	return true
}

// Console prints for one run of the program. Its methods may be called from
// several goroutines.
type Console struct {
	streams            Streams
	facts              Facts
	outPaint, errPaint palette

	mu      sync.Mutex
	active  *meter // the progress bar in use, or nil
	drawn   bool   // it is on the terminal now
	asking  bool   // a question is on the terminal
	midLine bool   // the last thing on standard output did not end its line

	copies []io.Writer // what else gets the text on standard output
}

// New returns a Console that prints to s as f allows.
func New(s Streams, f Facts) *Console {
	if f.Width <= 0 {
		f.Width = 80
	}
	return &Console{
		streams:  s,
		facts:    f,
		outPaint: newPalette(f.ForceColor || f.OutTerminal && !f.NoColor && !f.Dumb),
		errPaint: newPalette(f.ForceColor || f.ErrTerminal && !f.NoColor && !f.Dumb),
	}
}

// Facts returns what the Console was made with.
func (c *Console) Facts() Facts { return c.facts }

// Width returns how many columns a line for people may have: the terminal's, but 60 at least and 100 at most, for longer lines are
// hard to read.
func (c *Console) Width() int { return min(max(c.facts.Width, 60), 100) }

// In returns standard input.
func (c *Console) In() io.Reader { return c.streams.In }

// Out returns a writer to standard output that moves a progress bar out of the
// way. What is written is not escaped: escape what comes from outside.
func (c *Console) Out() io.Writer { return out{c: c} }

// Copy lets w have all text that reaches standard output until stop is called; stops are called in the opposite order. What goes
// to [Console.BinaryOut] is not copied: it can be as large as a disk.
func (c *Console) Copy(w io.Writer) (stop func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(c.copies)
	c.copies = append(c.copies, w)
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.copies = c.copies[:n]
	}
}

type out struct {
	c      *Console
	binary bool
}

func (o out) Write(p []byte) (int, error) {
	c := o.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.facts.OutTerminal {
		c.clearBar()
	}
	n, err := c.streams.Out.Write(p)
	if n > 0 && c.facts.OutTerminal {
		c.midLine = p[n-1] != '\n'
	}
	if !o.binary {
		for _, w := range c.copies {
			_, _ = w.Write(p[:n]) // a copy that fails is no reason to stop
		}
	}
	return n, err
}

// Printf writes a remark to standard error: "openclaw-ir: " and the text.
func (c *Console) Printf(format string, args ...any) {
	c.message("", Plain, format, args)
}

// Warningf writes "openclaw-ir: warning: " and the text to standard error.
func (c *Console) Warningf(format string, args ...any) {
	c.message("warning: ", Warn, format, args)
}

// Errorf writes "openclaw-ir: error: " and the text to standard error.
func (c *Console) Errorf(format string, args ...any) {
	c.message("error: ", Bad, format, args)
}

// Hintf writes "openclaw-ir: hint: " and the text, which is a command to type
// whenever it can be, to standard error.
func (c *Console) Hintf(format string, args ...any) {
	c.message("hint: ", Info, format, args)
}

// message writes one line. The text is made visible but its backslashes are
// kept single: it is for reading, and %q has doubled them already.
func (c *Console) message(label string, style Style, format string, args []any) {
	text := string(appendEscaped(nil, fmt.Sprintf(format, args...), false))
	line := name + ": " + c.errPaint.paint(style, label) + text
	if c.facts.ErrTerminal && style != Info { // a hint is to be typed
		line = foldAll(line, c.facts.Width)
	}
	line += "\n"

	c.mu.Lock()
	defer c.mu.Unlock()
	c.clearBar()
	// There is nobody left to tell that standard error is gone.
	_, _ = io.WriteString(c.streams.Err, line)
}
