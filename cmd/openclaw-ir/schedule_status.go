package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/collect"
	"github.com/clawbook/openclaw-ir/collect/schedule"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/urfave/cli/v2"
)

// scheduleStatus tells how the schedule stands.
func scheduleStatus(c *cli.Context, e env) error {
	x, cs, r, s, err := installed(c, e)
	if err != nil {
		return err
	}
	defer x.root.Close()
	defer cs.Close()
	now := time.Now()
	st, err := s.Status(c.Context, r, now)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		err = x.lines.Flush()
		if err == nil {
			err = printRest(e, st)
		}
	} else {
		_, err = e.console.Out().Write([]byte(x.statusText(st, now)))
	}
	if err != nil || len(st.Problems) == 0 {
		return err
	}
	code, hint := exitPartial, "sudo openclaw-ir collect --snapshot, with the same options, takes one now and says what is wrong"
	if st.Found {
		code, hint = exitFound, "if it was not you: sudo openclaw-ir run"
	}
	return &codeError{code, fmt.Errorf("%s: see above", plural(len(st.Problems), "problem")), []string{hint}}
}

// printRest writes a result after the first line, which is written.
func printRest(e env, v any) error {
	return console.NewBareJSONLines(e.console.Out()).Write(v)
}

// statusText is a status, one fact a line.
func (x *scheduling) statusText(st *schedule.Status, now time.Time) string {
	var text strings.Builder
	say := func(name, format string, args ...any) {
		labelled(&text, x.console.Facts().Width, name, fmt.Sprintf(format, args...))
	}
	state := "enabled"
	if !st.Enabled {
		state = "NOT enabled"
	}
	say("timer", "%s (%s), every %s: %s", st.Name, st.Kind, st.Every, state)
	say("runs", "%s", typedLine(st.Argv[1:]))
	if !st.Next.IsZero() {
		say("next", "%s", st.Next.UTC().Format(time.RFC3339))
	}
	if st.LastExit != nil {
		say("last", "%s: %s (exit code %d)", st.LastRun.UTC().Format(time.RFC3339), results[*st.LastExit], *st.LastExit)
	}
	if st.Number > 0 {
		say("link", "%d of chain %s, sealed %s, %s ago", st.Number, st.Chain, st.Sealed.UTC().Format(time.RFC3339), now.Sub(st.Sealed).Round(time.Second))
		say("head", "%s", collect.ChainHead{Seal: st.Head, Number: st.Number})
	} else {
		say("link", "none yet")
	}
	say("kept", "%s, %s", plural(st.Bundles, "bundle"), console.Size(st.Bytes))
	say("owed", "%s to a store", plural(st.Owed, "file"))
	if st.Alarms > 0 {
		say("alarms", "%d on the record, the last of %s", st.Alarms, st.LastAlarm.UTC().Format(time.RFC3339))
	}
	if st.DropIns != "" {
		say("note", "changed by drop-ins: %s", st.DropIns)
	}
	for _, p := range st.Problems {
		say("NO", "%s", p)
	}
	return text.String()
}
