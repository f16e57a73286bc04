package main

import (
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/urfave/cli/v2"
)

func caseVerifyCommand(e env) *cli.Command {
	return &cli.Command{
		Name: "verify", Usage: "check that nobody changed the record of a case, or a file that it names", ArgsUsage: "[NAME]",
		Description: `Finds every line of the custody log that was changed, removed, moved, repeated or put in, and every bundle, seal, index and
report that is missing or is not what the log says. A bundle's seal holds the head of the log as it was then: it is found too
if the end up to there was cut off. For what came after, give a head that you kept elsewhere with --head; the last line of the
output is the one to keep. Exit code 4 if something does not hold; then nothing is added to the log.

Whoever owns the case can write the whole of it anew, seals too. Only a head or a seal kept on another machine shows that.

Examples:
   openclaw-ir case verify
   openclaw-ir case verify bakery-laptop --head 4d1f…:12

` + exitText,
		Flags:        append(oneCaseFlags(), &cli.StringSliceFlag{Name: "head", Usage: "a head `HASH:LINES` that was kept elsewhere"}),
		OnUsageError: onUsageError,
		Action:       func(c *cli.Context) error { return verifyCase(c, e) },
	}
}

// parseHead reads HASH:LINES, or HASH alone.
func parseHead(s string) (knownHead, error) {
	hash, lines, counted := strings.Cut(strings.ToLower(strings.TrimSpace(s)), ":")
	h := knownHead{casefile.Head{Hash: hash}, "--head"}
	raw, err := hex.DecodeString(hash)
	if err == nil && counted {
		h.Lines, err = strconv.Atoi(lines)
	}
	if err != nil || len(raw) != 32 || counted && h.Lines < 1 {
		return h, usageError("a head is 64 hex digits, a colon and a number, as verify prints it", "not a head: %q", s)
	}
	return h, nil
}

func verifyCase(c *cli.Context, e env) error {
	var given []knownHead
	for _, s := range c.StringSlice("head") {
		h, err := parseHead(s)
		if err != nil {
			return err
		}
		given = append(given, h)
	}
	cs, err := namedCase(c, e)
	if err != nil {
		return err
	}
	defer cs.Close()
	l, err := lookAt(c.Context, e, cs, given...)
	if err != nil {
		return err
	}
	if l.problems() > 0 {
		e.record.silence() // what was changed is left as it was found
	}
	if c.Bool("json") {
		err = l.printJSON(e, cs)
	} else {
		err = l.print(e, cs)
	}
	if err != nil {
		return err
	}
	return l.verdict(cs)
}

// verdict is the error of a case that does not hold.
func (l *caseLook) verdict(cs *casefile.Case) error {
	n := l.problems()
	if n == 0 {
		return nil
	}
	text := fmt.Sprintf("case %q does not hold: %s", cs.Name(), plural(n, "problem"))
	if len(l.log.Problems) > 0 && l.log.Problems[0].Line > 0 {
		text += fmt.Sprintf("; the first bad line is %d, and what stands up to there is not proven any more", l.log.Problems[0].Line)
	}
	return &codeError{exitFound, fmt.Errorf("%s", text), []string{"copy the case as it is before anything else is done in it, and compare it with what was kept elsewhere"}}
}

// print says what was checked, and what of it does not hold.
func (l *caseLook) print(e env, cs *casefile.Case) error {
	var text strings.Builder
	for _, line := range l.bad() {
		fmt.Fprintf(&text, "%s  %s\n", e.console.Paint(console.Bad, "does not hold"), console.Escape(line))
	}
	say := func(name, format string, args ...any) {
		labelled(&text, e.console.Facts().Width, name, fmt.Sprintf(format, args...))
	}
	verdict := "holds"
	if l.problems() > 0 {
		verdict = "does not hold"
	}
	say("case", "%s, %s: %s", cs.Name(), cs.Info().State, verdict)
	if l.log.OK() {
		say("log", "%s, none changed, removed or moved", plural(l.log.Lines, "line"))
	}
	for _, n := range l.log.Torn {
		say("torn", "line %d was cut short by a crash or a full disk, as the log itself noted then", n)
	}
	l.sayFiles(say)
	if l.log.OK() {
		l.sayHeads(say)
	}
	_, err := e.console.Out().Write([]byte(text.String()))
	return err
}

// bad are the places that do not hold, each with why.
func (l *caseLook) bad() (list []string) {
	const log = "custody.jsonl"
	for _, p := range l.log.Problems {
		where := log
		if p.Line > 0 {
			where += " line " + strconv.Itoa(p.Line)
		}
		list = append(list, where+": "+p.What)
	}
	if l.log.More > 0 {
		list = append(list, log+": "+plural(l.log.More, "problem")+" more")
	}
	for _, f := range l.files {
		if f.Problem != "" {
			list = append(list, f.Path+": "+f.Problem)
		}
	}
	return list
}

func (l *caseLook) sayFiles(say func(name, format string, args ...any)) {
	named, good, removed := 0, 0, 0
	for _, f := range l.files {
		if f.Removed {
			removed++
			continue
		}
		if f.Line > 0 {
			named++
		}
		if f.Line > 0 && f.Problem == "" {
			good++
		}
	}
	say("files", "%d of %d that the log names are here and unchanged", good, named)
	if removed > 0 {
		say("removed", "%s that --keep did not keep; their seals are here", plural(removed, "old bundle"))
	}
	for _, f := range l.files {
		if !f.Removed && f.Note != "" && f.Problem == "" && strings.Contains(f.Path, "/") {
			say("note", "%s: %s", f.Path, f.Note)
		}
	}
}

// sayHeads says what is known of the log from outside, and what to keep outside for the next time.
func (l *caseLook) sayHeads(say func(name, format string, args ...any)) {
	for _, h := range l.heads {
		if h.Lines > 0 {
			say("known", "line %d is the head that %s has", h.Lines, h.from)
		}
	}
	if last := l.vouched(); last < l.log.Lines {
		say("note", "%s of a head kept elsewhere: that later lines were cut off, or the last one changed, would not show", afterLine(last))
	}
	say("head", "%s:%d", l.log.Head, l.log.Lines)
}

// labelled writes a text behind a short name, broken where it is wider than the terminal.
func labelled(w io.Writer, columns int, name, text string) {
	for i, line := range fold(console.Escape(text), "        ", columns) {
		if i == 0 {
			line = fmt.Sprintf("%-8s%s", name, strings.TrimSpace(line))
		}
		fmt.Fprintln(w, line)
	}
}

func afterLine(n int) string {
	if n == 0 {
		return "this was checked without the help"
	}
	return fmt.Sprintf("from line %d on this was checked without the help", n+1)
}

// A headRow is a known head, as --json shows it.
type headRow struct {
	SHA256 string `json:"sha256"`
	Line   int    `json:"line,omitempty"`
	From   string `json:"from"`
}

func (l *caseLook) printJSON(e env, cs *casefile.Case) error {
	lines, err := console.NewJSONLines(e.console.Out(), map[string]any{"command": "case verify", "case": cs.Info()})
	if err != nil {
		return err
	}
	for _, f := range l.files {
		if err := lines.Write(map[string]any{"file": f}); err != nil {
			return err
		}
	}
	heads := []headRow{}
	for _, h := range l.heads {
		heads = append(heads, headRow{h.Hash, h.Lines, h.from})
	}
	return lines.Write(map[string]any{"log": l.log, "heads": heads, "vouched": l.vouched(), "problems": l.problems(), "holds": l.problems() == 0})
}
