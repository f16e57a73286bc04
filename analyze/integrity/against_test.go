package integrity

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/statetest"
)

func compare(tb testing.TB, older, newer string) *Report {
	tb.Helper()
	then, err := host.OpenRoot(older)
	if err != nil {
		tb.Fatal(err)
	}
	defer then.Close()
	now, err := host.OpenRoot(newer)
	if err != nil {
		tb.Fatal(err)
	}
	defer now.Close()
	was, _ := openclaw.Find(then, openclaw.FindOptions{})
	is, _ := openclaw.Find(now, openclaw.FindOptions{})
	r, err := Against(tb.Context(), Past{FS: then, Installs: was}, now, is, Options{Now: taken})
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// TestAgainst compares two states of one host: between them a session was deleted, and no record changed.
func TestAgainst(t *testing.T) {
	r := compare(t, statetest.Root(t, "2026.9.6/running"), statetest.Root(t, "2026.9.6/stopped"))
	if len(r.Findings) != 1 || r.Findings[0].Title != "a session was deleted since" || len(r.Gaps) != 0 {
		t.Errorf("found %v, with gaps %v", r.Findings, r.Gaps)
	}
}

// TestAgainstTamper changes the record after the earlier bundle was taken: also what contradicts nothing is found then.
func TestAgainstTamper(t *testing.T) {
	if statetest.Raced() {
		t.Skip("minutes long, and no more goroutines than in the other tests")
	}
	then := map[string]string{"2026.9.6/stopped": statetest.Root(t, "2026.9.6/stopped"), "2026.7.1": statetest.Root(t, "2026.7.1")}
	now := map[string]*victim{}
	for version := range then {
		now[version] = &victim{tb: t, root: statetest.Root(t, version), saved: map[string]saved{}}
	}
	for _, x := range []struct {
		name, version string
		change        func(*victim)
		want          []string // level, check and title of everything that is found
	}{
		{"nothing", "2026.7.1", func(*victim) {}, nil},
		{
			"the last line", "2026.7.1", func(v *victim) { v.edit(main71, func(b []byte) []byte { return bytes.Join(linesOf(b)[:101], nil) }) },
			[]string{"critical INT-007 events of then are missing", "critical INT-007 the past of a record was changed"},
		},
		{
			"a person's words", "2026.7.1", func(v *victim) { v.edit(main71, replace("Task files please", "Task files, thanks")) },
			[]string{"critical INT-007 events of then were changed", "critical INT-007 the past of a record was changed"},
		},
		{"more lines", "2026.7.1", func(v *victim) {
			v.edit(main71, func(b []byte) []byte { return append(b, "{\"type\":\"custom\",\"id\":\"12345678\"}\n"...) })
		}, nil},
		{"a transcript", "2026.7.1", func(v *victim) { v.keep(main71); v.must(os.Remove(v.path(main71))) }, []string{"critical INT-007 events of then are missing"}},
		{"a deletion with its archive", "2026.7.1", func(v *victim) {
			v.keep(main71)
			v.must(os.Rename(v.path(main71), v.path(main71)+".deleted.2026-11-22T12-00-00.000Z"))
		}, []string{"medium INT-006 a session was deleted since"}},
		{"the log", "2026.7.1", func(v *victim) { v.edit("tmp/openclaw/openclaw-2026-11-22.log", withoutLine(5)) }, []string{"critical INT-008 the past of a log was changed"}},
		{"the journal", "2026.7.1", func(v *victim) { v.edit(claw+"logs/config-audit.jsonl", withoutLine(5)) }, []string{"critical INT-007 the past of a record was changed"}},
		{"config and memory", "2026.7.1", func(v *victim) {
			v.edit(claw+"openclaw.json", func(b []byte) []byte { return append(b, ' ') })
			v.edit(claw+"workspace/SOUL.md", func(b []byte) []byte { return append(b, ' ') })
		}, []string{"info CFG-018 config files were changed since", "info MEM-004 workspace files were changed since"}},
		{"an event", "2026.9.6/stopped", func(v *victim) {
			v.sql(agentDB, "UPDATE transcript_events SET event_json = replace(event_json, 'hello', 'adieu')"+where("seq = 4"))
		}, []string{"critical INT-007 events of then were changed"}},
		{"rows of the ledger", "2026.9.6/stopped", func(v *victim) {
			v.sql(stateDB, "DELETE FROM audit_events WHERE sequence > 190", "UPDATE audit_events SET status = 'ok' WHERE sequence = 20", "UPDATE sqlite_sequence SET seq = 190 WHERE name = 'audit_events'")
		}, []string{"critical INT-005 rows of then are missing from audit_events", "critical INT-005 rows of then were changed in audit_events"}},
		{"the oldest rows of the ledger", "2026.9.6/stopped", func(v *victim) { v.sql(stateDB, "DELETE FROM audit_events WHERE sequence < 50") }, nil},
		{"an archive", "2026.9.6/stopped", func(v *victim) { v.edit(deleted96, func(b []byte) []byte { b[50] ^= 1; return b }) }, []string{"critical INT-007 the past of a record was changed"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			v := now[x.version]
			v.tb = t
			defer v.restore()
			x.change(v)
			defer os.Remove(v.path(main71) + ".deleted.2026-11-22T12-00-00.000Z")
			var got []string
			for _, f := range compare(t, then[x.version], v.root).Findings {
				got = append(got, fmt.Sprint(f.Level, " ", f.Check, " ", f.Title))
			}
			if slices.Sort(got); !slices.Equal(got, x.want) {
				t.Errorf("found\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(x.want, "\n\t"))
			}
		})
	}
}
