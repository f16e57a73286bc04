package integrity

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/ncruces/go-sqlite3"
	"pgregory.net/rapid"
)

// A randomTamper changes one event at random. Those that are marked are not found always, and why is said.
type randomTamper struct {
	name   string
	change func(v *victim, line int)
	misses string
}

// linesOf returns a transcript's lines, each with its newline.
func linesOf(text []byte) [][]byte { return slices.Collect(bytes.Lines(text)) }

func onLine(name string, change func(lines [][]byte, i int) [][]byte) func(*victim, int) {
	return func(v *victim, i int) {
		v.edit(name, func(b []byte) []byte { return bytes.Join(change(linesOf(b), i), nil) })
	}
}

var randomTampers = []randomTamper{
	{"delete a line", onLine(main71, func(l [][]byte, i int) [][]byte { return slices.Delete(l, i, i+1) }), "the last line before the next is written: nothing points to it"},
	{"repeat a line", onLine(main71, func(l [][]byte, i int) [][]byte { return slices.Insert(l, i, l[i]) }), ""},
	{"break a line", onLine(main71, func(l [][]byte, i int) [][]byte { l[i] = append(l[i][:len(l[i])/2], '\n'); return l }), ""},
	{"change an id", onLine(main71, func(l [][]byte, i int) [][]byte {
		l[i] = bytes.Replace(l[i], []byte(`"id":"`), []byte(`"id":"f`), 1)
		return l
	}), "the id of the last line: nothing points to it"},
	{"swap with the next", onLine(main71, func(l [][]byte, i int) [][]byte {
		if i+1 < len(l) {
			l[i], l[i+1] = l[i+1], l[i]
		} else {
			l[i], l[i-1] = l[i-1], l[i]
		}
		return l
	}), ""},
	{"delete an event", func(v *victim, i int) {
		v.sql(agentDB, fmt.Sprint("DELETE FROM transcript_events", where(fmt.Sprint("seq = ", i))))
	}, ""},
	{"delete an event and all that points to it", func(v *victim, i int) {
		v.sql(agentDB, fmt.Sprint("DELETE FROM transcript_events", where(fmt.Sprint("seq = ", i))), fmt.Sprint("DELETE FROM transcript_event_identities", where(fmt.Sprint("seq = ", i))),
			fmt.Sprint("DELETE FROM session_transcript_active_events", where(fmt.Sprint("event_seq = ", i))))
	}, ""},
	{"change an event's id", func(v *victim, i int) {
		v.sql(agentDB, fmt.Sprint("UPDATE transcript_events SET event_json = replace(event_json, '\"id\":\"', '\"id\":\"f')", where(fmt.Sprint("event_json IS NOT NULL AND seq = ", i))))
	}, "a packed event, which the test does not change"},
	{"change an event's time", func(v *victim, i int) {
		v.sql(agentDB, fmt.Sprint("UPDATE transcript_events SET created_at = created_at + 90000", where(fmt.Sprint("seq = ", i))))
	}, ""},
}

// TestAnySingleTamper changes one event of a real transcript, any one, in any of these ways: it is always found, but for
// the last event of a file, to which nothing points yet.
func TestAnySingleTamper(t *testing.T) {
	victims := map[bool]*victim{true: newVictim(t, "2026.9.6/stopped"), false: newVictim(t, "2026.7.1")}
	seen := 0
	rapid.Check(t, func(rt *rapid.T) {
		if seen++; seen > trials() {
			return
		}
		x := rapid.SampledFrom(randomTampers).Draw(rt, "tamper")
		inSQLite := strings.Contains(x.name, "event")
		v, most := victims[inSQLite], 174
		if !inSQLite {
			most = 101
		}
		i := rapid.IntRange(1, most-1).Draw(rt, "event")
		defer v.restore()
		x.change(v, i)
		if len(v.fresh()) == 0 && !(x.misses != "" && v.unchanged()) {
			rt.Errorf("%s: event %d is not missed", x.name, i)
		}
	})
}

// trials is how many changes are tried; OPENCLAW_IR_TRIALS asks for more.
func trials() int {
	n := 12
	fmt.Sscan(os.Getenv("OPENCLAW_IR_TRIALS"), &n)
	return n
}

// unchanged reports whether the change left every file as it was.
func (v *victim) unchanged() bool {
	for name, s := range v.saved {
		if data, err := os.ReadFile(v.path(name)); s.there && (err != nil || !bytes.Equal(data, s.data)) {
			return strings.HasSuffix(name, ".sqlite") && v.packed()
		}
	}
	return true
}

// packed reports that the statement changed no row: SQLite writes its header all the same.
func (v *victim) packed() bool { return v.changes == 0 }

// TestMissed says what cannot be found without an earlier bundle. When one of them is found one day, this must be told anew.
func TestMissed(t *testing.T) {
	v := newVictim(t, "2026.2.12")
	const name = claw + "agents/main/sessions/5f1dcac7-6aaf-4234-93db-eef472bcdcd4.jsonl"
	for what, change := range map[string]func([]byte) []byte{
		"the last line before the next is written, the file's time put back": func(b []byte) []byte {
			l := linesOf(b)
			return bytes.Join(l[:len(l)-1], nil)
		},
		"words in a release that keeps no second copy of them, the file's time put back": replace(`"role":"user","content":[{"type":"text","text":"`, `"role":"user","content":[{"type":"text","text":"Please, `),
	} {
		v.edit(name, change)
		if found := v.fresh(); len(found) > 0 {
			t.Errorf("%s is found after all: %v", what, found)
		}
		v.restore()
	}
}

// TestWAL deletes rows and leaves the log: the main file and the frames before still have them.
func TestWAL(t *testing.T) {
	v := newVictim(t, "2026.9.6/stopped")
	defer v.restore()
	v.keep(agentDB, agentDB+"-wal", agentDB+"-shm")
	db, err := sqlite3.Open(v.path(agentDB))
	v.must(err)
	v.must(db.Exec("PRAGMA foreign_keys = OFF; PRAGMA wal_autocheckpoint = 0; DELETE FROM transcript_events" + where("seq BETWEEN 60 AND 65")))
	wal, err := os.ReadFile(v.path(agentDB) + "-wal")
	v.must(err)
	main, err := os.ReadFile(v.path(agentDB))
	v.must(err)
	v.must(db.Close())
	v.must(os.WriteFile(v.path(agentDB), main, 0o600))
	v.must(os.WriteFile(v.path(agentDB)+"-wal", wal, 0o600))
	rows := 0
	for _, f := range check(t, v.root).Findings {
		if f.Check == "INT-009" && f.Level == high && f.Session == mainID {
			fmt.Sscan(f.Detail, &rows)
			if !strings.Contains(f.Detail, "page that a later commit replaced") {
				t.Errorf("where the rows are is not said: %s", f.Detail)
			}
		}
	}
	if rows != 6 {
		t.Errorf("%d of 6 rows that the log still has are found", rows)
	}
}

// TestFreePages deletes rows for good: most are still in the space that was freed.
func TestFreePages(t *testing.T) {
	v := newVictim(t, "2026.9.6/stopped")
	defer v.restore()
	v.sql(agentDB, "DELETE FROM transcript_events"+where("seq BETWEEN 30 AND 90"), "DELETE FROM transcript_event_identities"+where("seq BETWEEN 30 AND 90"))
	v.sql(stateDB, "DELETE FROM audit_events WHERE sequence BETWEEN 20 AND 60")
	found := map[string]int{}
	for _, f := range check(t, v.root).Findings {
		if f.Check == "INT-009" && f.Level == high {
			n := 0
			fmt.Sscan(f.Detail, &n)
			found[f.Title] += n
		}
	}
	t.Logf("of 61 events and 41 ledger rows: %v", found)
	if n := found["rows of transcript_events were removed and are still in the file"]; n < 50 || n > 61 {
		t.Errorf("%d of 61 deleted events are found", n)
	}
	if n := found["rows of audit_events were removed and are still in the file"]; n < 30 || n > 41 {
		t.Errorf("%d of 41 deleted ledger rows are found", n)
	}
}
