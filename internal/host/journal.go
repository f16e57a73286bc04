package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/internal/product"
)

// journalUnits writes the journal of OpenClaw's system and user units. journalctl --user-unit would only find those of
// our own user, so the units' names are asked for and matched by field.
func journalUnits(run Runner, o Options) writeFunc {
	return func(ctx context.Context, w io.Writer) error {
		out := newRows(w)
		var matches []string
		for _, field := range []string{"_SYSTEMD_UNIT", "_SYSTEMD_USER_UNIT", "UNIT", "USER_UNIT"} {
			res := run.Run(ctx, Command{Argv: []string{"journalctl", "--no-pager", "--quiet", "--field=" + field}})
			out.put(res)
			if res.Err != nil {
				return errors.Join(out.err, res.Err)
			}
			group := unitMatches(field, string(res.Stdout))
			if len(matches) > 0 && len(group) > 0 {
				matches = append(matches, "+") // or; without it the fields would have to match together
			}
			matches = append(matches, group...)
		}
		if len(matches) == 0 {
			out.note("journal", "names no unit of OpenClaw")
			return out.err
		}
		return errors.Join(out.err, journal(ctx, out, w, run, o, matches))
	}
}

func unitMatches(field, values string) []string {
	var list []string
	for v := range strings.Lines(values) {
		if v = strings.TrimSuffix(v, "\n"); product.Mentions(v) && len(list) < 200 {
			list = append(list, field+"="+v)
		}
	}
	return list
}

// journalLogins writes who came in and who became whom. The name a program gives itself catches what the kernel's
// _COMM misses, and the other way round.
func journalLogins(run Runner, o Options) writeFunc {
	return func(ctx context.Context, w io.Writer) error {
		programs := []string{"sshd", "sshd-session", "sudo", "su", "cron", "crond", "CRON", "systemd-logind"}
		var matches []string
		for _, p := range programs {
			matches = append(matches, "SYSLOG_IDENTIFIER="+p)
		}
		matches = append(matches, "+")
		for _, p := range programs {
			matches = append(matches, "_COMM="+p)
		}
		return journal(ctx, newRows(w), w, run, o, matches)
	}
}

// journal streams entries, newest first so that a cap cuts the oldest, and ends with the row of the command.
func journal(ctx context.Context, out *rows, w io.Writer, run Runner, o Options, matches []string) error {
	lines := &endLine{w: w}
	res := run.Run(ctx, Command{
		Argv: append([]string{
			"journalctl", "--no-pager", "--quiet", "--output=json", "--all", "--reverse",
			fmt.Sprintf("--since=@%d", o.Since.Unix()),
		}, matches...),
		Stdout: lines, MaxOutput: o.JournalCap, Timeout: 15 * time.Second,
	})
	lines.end()
	out.put(res)
	if res.Truncated > 0 {
		out.note("journal", fmt.Sprintf("cut at %d bytes, %d older ones left out; the last entry may be incomplete", o.JournalCap, res.Truncated))
	}
	return errors.Join(res.Err, out.err)
}

// endLine ends the last line of an output that was cut.
type endLine struct {
	w    io.Writer
	last byte
}

func (e *endLine) Write(p []byte) (int, error) {
	if len(p) > 0 {
		e.last = p[len(p)-1]
	}
	return e.w.Write(p)
}

func (e *endLine) end() {
	if e.last != 0 && e.last != '\n' {
		io.WriteString(e.w, "\n")
	}
}
