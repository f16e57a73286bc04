package main

import (
	"bufio"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/console"
)

// A story tells a custody log command by command: the lines of a process up to the one that it left when a command ended.
type story struct {
	console *console.Console
	out     *bufio.Writer
	width   int
	dir     string     // of the case: what lies in it is named without
	host    string     // the case's; others are named
	going   []*chapter // commands that have not ended, by their first line
}

// A chapter is one command.
type chapter struct {
	pid   int
	host  string
	lines []casefile.Line
}

// maxChapter bounds how many lines wait for the end of a command.
const maxChapter = 5000

func (s *story) add(line casefile.Line) {
	if line.Entry == nil {
		fmt.Fprintf(s.out, "%s\n\n", s.console.Paint(console.Bad, fmt.Sprintf("%5d  damaged: cut short, or no line of a custody log", line.Number)))
		return
	}
	i := slices.IndexFunc(s.going, func(c *chapter) bool { return c.pid == line.Entry.PID && c.host == line.Entry.Host })
	if i < 0 {
		i = len(s.going)
		s.going = append(s.going, &chapter{pid: line.Entry.PID, host: line.Entry.Host})
	}
	c := s.going[i]
	c.lines = append(c.lines, line)
	if line.Entry.Exit != nil || len(c.lines) == maxChapter {
		s.going = slices.Delete(s.going, i, i+1)
		s.tell(c)
	}
}

// finish tells the commands that never ended.
func (s *story) finish() {
	for _, c := range s.going {
		s.tell(c)
	}
}

func (s *story) tell(c *chapter) {
	s.title(c)
	action, result := 0, 0
	for _, line := range c.lines {
		a, r := actionAndResult(line.Entry)
		action, result = max(action, width(a)), max(result, width(r))
	}
	for _, line := range c.lines {
		a, r := actionAndResult(line.Entry)
		text := s.flow(fmt.Sprintf("%5d  %s  %s  %s", line.Number, line.Entry.Time.Format("15:04:05"), pad(a, action), pad(r, result)), s.details(line.Entry))
		text[0] = strings.TrimRight(text[0], " ")
		s.write(append(text, s.digests(line.Entry)...))
	}
	fmt.Fprintln(s.out)
}

// title says who ran which command on what.
func (s *story) title(c *chapter) {
	first, last := c.lines[0].Entry, c.lines[len(c.lines)-1].Entry
	title, parts := last.Action, []string{s.short(last.Object)}
	if last.Exit == nil {
		title, parts = first.Action, []string{"(no end noted: killed, or still at work)"}
	}
	if last.Host != s.host {
		parts = append(parts, "on host "+last.Host)
	}
	head := s.flow(fmt.Sprintf("%s  %s  %s", first.Time.Format("2006-01-02"), console.Escape(last.Operator.String()), console.Escape(title)), parts)
	head[0] = s.console.Paint(console.Strong, head[0])
	s.write(head)
}

// actionAndResult is what was done, and the result; of the line that ends a command, the exit code.
func actionAndResult(e *casefile.Entry) (action, result string) {
	action = e.Action
	if e.Exit != nil {
		action = fmt.Sprintf("exit %d", *e.Exit)
	}
	return console.Escape(action), console.Escape(e.Result)
}

// details are the rest of a line. What ends a command has its object in the title.
func (s *story) details(e *casefile.Entry) (parts []string) {
	if e.Exit == nil {
		parts = append(parts, s.short(e.Object))
	}
	parts = append(parts, e.Note)
	if len(e.Digests) == 1 {
		parts = append(parts, e.Digests[0].Name+"  "+e.Digests[0].SHA256)
	}
	return parts
}

// digests are those of several files, one below the other.
func (s *story) digests(e *casefile.Entry) (lines []string) {
	if len(e.Digests) < 2 {
		return nil
	}
	longest := 0
	for _, d := range e.Digests {
		longest = max(longest, width(console.Escape(d.Name)))
	}
	for _, d := range e.Digests {
		name := indent + console.Escape(d.Name)
		if wide := pad(name, longest+len(indent)); width(wide)+2+len(d.SHA256) <= s.width {
			name = wide
		}
		lines = append(lines, s.flow(name, []string{d.SHA256})...)
	}
	return lines
}

// short is what was done something to; what lies in the case has its path there.
func (s *story) short(object string) string { return strings.TrimPrefix(object, s.dir+"/") }

// indent is where what belongs to a line stands below it.
const indent = "       "

// flow puts parts behind a beginning, two spaces apart, in lines that end before the width where that is possible: the parts that
// do not fit stand below.
func (s *story) flow(begin string, parts []string) (lines []string) {
	line := begin
	for _, part := range parts {
		if part = console.Escape(part); part == "" {
			continue
		}
		if width(line)+2+width(part) <= s.width {
			line += "  " + part
			continue
		}
		lines = append(lines, line)
		folded := fold(part, indent, s.width)
		lines, line = append(lines, folded[:len(folded)-1]...), folded[len(folded)-1]
	}
	return append(lines, line)
}

func (s *story) write(lines []string) {
	for _, line := range lines {
		s.out.WriteString(line) // the last Flush tells if it fails
		s.out.WriteByte('\n')
	}
}

func width(s string) int { return utf8.RuneCountInString(s) }

func pad(s string, n int) string { return s + strings.Repeat(" ", max(n-width(s), 0)) }
