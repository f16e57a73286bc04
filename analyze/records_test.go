package analyze

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/statetest"
)

// A record is what jq sees of one line of a file or one row of a database.
type record struct {
	ID    string
	Sort  string   // role or type
	Calls []string // ids of the calls that it makes or answers
	Times []int64  // all that can be a time, in milliseconds
	Said  []string // all its strings
	Quiet bool     // a log's line that warns of nothing
}

// recordProgram prints a record for each line, none for what is no object.
const recordProgram = `select(type == "object") | {
  ID: ((.id? // "") | tostring), Sort: ((.message.role? // .type? // "") | tostring),
  Calls: [.. | objects | (select(.type? == "toolCall" or .type? == "tool_use" or .type? == "function_call") | .id?, .call_id?), .toolCallId?, .tool_use_id?, .call_id? | strings],
  Times: [.. | numbers | select(. > 1.5e12 and . < 2.5e12) | floor],
  Said: [.. | strings],
  Quiet: ((._meta.logLevelName? // "") | IN("WARN", "ERROR", "FATAL") | not)}`

// place is where a record stands.
type place struct {
	path, form string
	session    string // of a row
	line       int64
}

func placeOf(e *Event) place {
	at := place{path: e.Source.Path, form: e.Source.Form.String(), line: e.Line}
	if strings.HasSuffix(at.path, ".sqlite") {
		at.session = e.Session
	}
	return at
}

// TestEveryRecord holds the timeline to the records that jq and sqlite3 find in every real state and scenario: each is an event or is
// counted, and no event tells of what no record says.
func TestEveryRecord(t *testing.T) {
	for _, name := range []string{"jq", "sqlite3"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skip(err)
		}
	}
	for name, unpack := range hosts() {
		t.Run(name, func(t *testing.T) {
			dir := unpack(t, name)
			r, events := timeline(t, dir, Options{Kinds: Kinds})
			records := recorded(t, dir, r.Coverage.Sources)
			calls := map[string]bool{}
			told := map[place]bool{}
			for _, e := range events {
				if e.Source.Form == openclaw.FormLedger {
					continue // TestLedgersOfStates
				}
				told[placeOf(e)] = true
				calls[e.CallID] = true
				if fault := records[placeOf(e)].contradicts(e); fault != "" {
					t.Errorf("%v: %s: %+v", placeOf(e), fault, e)
				}
			}
			silent := map[[2]string]int64{}
			count := map[[2]string]int64{}
			for at, rec := range records {
				count[[2]string{at.path, at.form}]++
				switch {
				case told[at] || at.form == "log" && rec.Quiet:
				case strings.HasPrefix(at.form, "trajectory") && rec.Sort == "tool.call" && len(rec.Calls) == 1 && calls[rec.Calls[0]]:
					// the transcript has it
				default:
					silent[[2]string{at.path, at.form}]++
				}
			}
			for _, s := range r.Coverage.Sources {
				at := [2]string{s.Path, s.Form}
				if s.Form != "ledger" && (s.Records != count[at] || s.Duplicates != silent[at] || s.Unparsed != 0) {
					t.Errorf("%+v, but there are %d records, %d without an event", s, count[at], silent[at])
				}
			}
			t.Logf("%d records, %d events", len(records), len(events))
		})
	}
}

// hosts are the states and scenarios that one test reads as other programs do: all of them take a minute.
func hosts() map[string]func(testing.TB, string) string {
	if os.Getenv("OPENCLAW_IR_LONG_TEST") != "1" {
		return map[string]func(testing.TB, string) string{"2026.9.6/stopped": statetest.Root, "2026.1.30": statetest.Root, "approvals": statetest.Scenario}
	}
	all := map[string]func(testing.TB, string) string{}
	for _, name := range states() {
		all[name] = statetest.Root
	}
	for _, name := range statetest.Scenarios() {
		all[name] = statetest.Scenario
	}
	return all
}

// contradicts says what an event tells that its record does not, "" if there is nothing.
func (r record) contradicts(e *Event) string {
	switch {
	case r.Said == nil:
		return "there is no such record"
	case !e.NoTime && !slices.Contains(r.times(), e.Time):
		return "another time"
	case e.CallID != "" && !slices.Contains(r.Calls, e.CallID):
		return "another call"
	case e.Kind == KindSession || e.Kind == KindLog || e.Tool == "process" || e.isArguments():
		// several things in one line, or JSON as it was written
	case e.What != "" && !r.says(firstNonEmpty(e.Recorded, e.What)):
		return "other words"
	}
	return ""
}

// says reports whether words are in the record: in one of its texts, in several one after the other, or as JSON.
func (r record) says(words string) bool {
	has := func(text string) bool { return strings.Contains(text, words) }
	return slices.ContainsFunc(r.Said, has) || has(strings.Join(r.Said, "\n"))
}

// times are the record's times, in milliseconds.
func (r *record) times() []int64 {
	times := slices.Clone(r.Times)
	for _, s := range r.Said {
		if at, err := time.Parse(time.RFC3339Nano, s); err == nil {
			times = append(times, at.UnixMilli())
		}
	}
	return times
}

// recorded reads every source but the ledgers by other programs.
func recorded(t *testing.T, dir string, sources []SourceCoverage) map[place]record {
	t.Helper()
	found := map[place]record{}
	for _, s := range sources {
		name := filepath.Join(dir, s.Path)
		switch s.Form {
		case "ledger":
		case "sqlite":
			readRows(t, found, s, sqlite3Rows(t, name, transcriptRows))
		case "trajectory-sqlite":
			readRows(t, found, s, sqlite3Rows(t, name, trajectoryRows))
		case "archive", "cold":
			if s.Form == "cold" && !strings.HasSuffix(s.Path, ".sqlite") {
				readLines(t, found, place{path: s.Path, form: s.Form}, readPlain(t, name))
				continue
			}
			for _, f := range sqlite3Rows(t, name, map[string]string{"archive": archiveRows, "cold": coldRows}[s.Form]) {
				readLines(t, found, place{path: s.Path, form: s.Form, session: f[0]}, unpackedRow(t, f[2:]))
			}
		default:
			readLines(t, found, place{path: s.Path, form: s.Form}, readPlain(t, name))
		}
	}
	return found
}

// readLines takes one line for a record.
func readLines(t *testing.T, found map[place]record, at place, data []byte) {
	t.Helper()
	for _, rec := range jqRecords(t, data) {
		at.line++
		if rec != nil {
			found[at] = *rec
		}
	}
}

func readRows(t *testing.T, found map[place]record, s SourceCoverage, rows [][]string) {
	t.Helper()
	var data []byte
	for _, f := range rows {
		data = append(append(data, bytes.ReplaceAll(unpackedRow(t, f[2:]), []byte("\n"), []byte(" "))...), '\n')
	}
	for i, rec := range jqRecords(t, data) {
		seq, err := strconv.ParseInt(rows[i][1], 10, 64)
		if err != nil || rec == nil {
			t.Fatalf("%s: row %d: %v", s.Path, i, err)
		}
		found[place{s.Path, s.Form, rows[i][0], seq}] = *rec
	}
}

// jqRecords has jq read lines, and returns nil for what is no record.
func jqRecords(t *testing.T, data []byte) (records []*record) {
	t.Helper()
	cmd := exec.Command("jq", "-Rc", `[(try (fromjson | `+recordProgram+`) catch null)] | .[0]`)
	cmd.Stdin = bytes.NewReader(data)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(out) {
		var rec *record
		if err := json.Unmarshal(line, &rec); err != nil {
			t.Fatal(err)
		}
		records = append(records, rec)
	}
	return records
}
