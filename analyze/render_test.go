package analyze

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/inerttest"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/secret"
	"github.com/clawbook/openclaw-ir/internal/statetest"
	"pgregory.net/rapid"
)

func renderer(values ...string) *Renderer {
	set := secret.NewSet(secret.NewFingerprinter([]byte("a salt of a test")))
	for _, v := range values {
		set.Add(v, "test")
	}
	return &Renderer{Secrets: set}
}

// A formats is one event, or some, in every format.
type formats struct{ lines, records, csv, timesketch, ecs, ocsf string }

func render(t testing.TB, r *Renderer, events ...*Event) formats {
	t.Helper()
	var lines, records, table, sketch bytes.Buffer
	c, err := NewCSV(&table, r)
	if err != nil {
		t.Fatal(err)
	}
	ts := NewTimesketch(&sketch, r)
	ecs, ocsf := &ECS{Origin{Renderer: r, Host: "claw-1"}}, &OCSF{Origin{Renderer: r}}
	var inECS, inOCSF []Document
	for _, e := range events {
		inECS, inOCSF = append(inECS, ecs.Event(e)), append(inOCSF, ocsf.Event(e))
		lines.WriteString(r.Line(e) + "\n")
		rec, err := json.Marshal(r.Record(e))
		if err != nil {
			t.Fatal(err)
		}
		records.Write(append(rec, '\n'))
		for _, err := range []error{c.Write(e), ts.Write(e)} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, err := range []error{c.Flush(), ts.Flush()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return formats{lines.String(), records.String(), table.String(), sketch.String(), documents(t, inECS...), documents(t, inOCSF...)}
}

// hostile is text that must not reach a terminal, a spreadsheet or a log as it is.
var hostile = rapid.OneOf(
	rapid.SampledFrom([]string{"\x1b[2J\x1b]0;x\a", "a\nb\r\nc", "\u202etxt.exe", "\u2066x\u2069", "\x00\x07\x7f", "\xff\xfe", "\u0085", "\u2028", "\u200b", "=HYPERLINK(\"x\")", "+1", "-1", "@x", "\t=1", "\r=1", "\n=1", "＝1", " =1", "\" @x", "a;=1", "\u3000+1", "a\u0301\u0301\u0301\u0301\u0301\u0301", "\U000e0041", "\\x1b", "'", `"a","b"`, ""}),
	rapid.String(),
)

func anyHostileEvent(r *rapid.T) *Event {
	e := anyEvent(r, []*openclaw.Source{{Path: "/" + hostile.Draw(r, "path")}})
	for _, s := range []*string{&e.Agent, &e.Session, &e.Key, &e.Tool, &e.CallID, &e.Parent, &e.What, &e.Recorded, &e.Cwd, &e.Target, &e.Result.Signal, &e.Result.Error, &e.Asker.Channel, &e.Asker.Sender, &e.Asker.Name} {
		*s = hostile.Draw(r, "text")
	}
	e.Asker.Kind = rapid.SampledFrom([]string{"channel", "operator", "agent"}).Draw(r, "asker kind")
	e.Marks = rapid.SliceOfN(hostile, 0, 3).Draw(r, "marks")
	e.Digest = ""
	e.Time = rapid.Int64Range(0, 253_402_300_799_999).Draw(r, "ms")
	return e
}

func TestHostileTextIsHarmless(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		e := anyHostileEvent(r)
		out := render(t, renderer(), e)
		line := strings.TrimSuffix(out.lines, "\n")
		inerttest.Line(r, "the line", line)
		checkCSV(r, out.csv, 1)
		checkTimesketch(r, out.timesketch, 3)
		checkDocuments(r, out.ecs, 1, checkECS)
		checkDocuments(r, out.ocsf, 1, checkOCSF)
		var rec Record
		if err := json.Unmarshal([]byte(out.records), &rec); err != nil || strings.Count(out.records, "\n") != 1 {
			r.Fatalf("%v: %q", err, out.records)
		}
	})
}

// checkCSV holds a table to the columns.
func checkCSV(t inerttest.TB, text string, want int) {
	t.Helper()
	if rows := inerttest.CSV(t, "the table", text); len(rows) != want+1 || !slices.Equal(rows[0], columns) {
		t.Fatalf("%d rows of %d", len(rows), want+1)
	}
}

// checkTimesketch holds lines to what Timesketch's importer demands: message, datetime and timestamp_desc on every
// line, the time with an offset and the timestamp in whole microseconds of the same moment, no member that begins
// with an underscore, strings short enough to index, and three lines at least.
func checkTimesketch(t inerttest.TB, text string, least int) {
	lines := inerttest.JSONLines(t, "Timesketch's lines", text)
	for _, line := range lines {
		var m map[string]any
		d := json.NewDecoder(strings.NewReader(line))
		d.UseNumber()
		if err := d.Decode(&m); err != nil {
			t.Fatalf("%v: %q", err, line)
		}
		for _, name := range []string{"message", "datetime", "timestamp_desc"} {
			if s, _ := m[name].(string); s == "" {
				t.Fatalf("no %s in %q", name, line)
			}
		}
		at, err := time.Parse("2006-01-02T15:04:05.000Z07:00", m["datetime"].(string))
		if err != nil || !strings.HasSuffix(m["datetime"].(string), "+00:00") {
			t.Fatalf("datetime %q: %v", m["datetime"], err)
		}
		if micros, err := m["timestamp"].(json.Number).Int64(); err != nil || micros != at.UnixMicro() {
			t.Fatalf("timestamp %v is not %v: %v", m["timestamp"], m["datetime"], err)
		}
		for name, v := range m {
			if s, _ := v.(string); strings.HasPrefix(name, "_") || len(s) >= 32_766 {
				t.Fatalf("member %q, %d bytes", name, len(s))
			}
			if list, ok := v.([]any); ok && name != "tag" {
				t.Fatalf("member %q is a list: %v", name, list)
			}
			for _, s := range asList(v) {
				if len(s) >= 32_766 {
					t.Fatalf("an element of %q has %d bytes", name, len(s))
				}
			}
		}
	}
	if len(lines) < least {
		t.Fatalf("%d lines", len(lines))
	}
}

func asList(v any) (list []string) {
	values, _ := v.([]any)
	for _, v := range values {
		s, _ := v.(string)
		list = append(list, s)
	}
	return list
}

func TestTimesketchLongStrings(t *testing.T) {
	long := strings.Repeat("ä", 40_000)
	e := &Event{Kind: KindExec, Source: &openclaw.Source{Path: "/" + long}, Asker: &Asker{Kind: "channel", Channel: long, Sender: long}, Agent: long, Key: long, Tool: long, What: long, Marks: []string{"node:" + long}}
	var b bytes.Buffer
	ts := NewTimesketch(&b, renderer())
	if err := ts.Write(e); err != nil {
		t.Fatal(err)
	}
	if err := ts.Flush(); err != nil {
		t.Fatal(err)
	}
	checkTimesketch(t, b.String(), 3)
	if ts.Cut < 6 {
		t.Errorf("%d strings were cut", ts.Cut)
	}
	out := render(t, renderer(), e)
	checkDocuments(t, out.ecs, 1, checkECS)
	checkDocuments(t, out.ocsf, 1, checkOCSF)
	empty := NewTimesketch(&b, renderer())
	b.Reset()
	if err := empty.Flush(); err != nil || b.Len() > 0 {
		t.Errorf("%v, %q", err, b.String())
	}
}

// TestStatesRevealNothing shows every kind of event of every real state in every format and looks for each secret
// that was planted in it.
func TestStatesRevealNothing(t *testing.T) {
	secrets := statetest.Secrets(t)
	for _, version := range states() {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			root, err := host.OpenRoot(statetest.Root(t, version))
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			report, events := timelineFS(t, root, Options{Kinds: Kinds, Digest: true})
			r := renderer()
			for _, in := range report.Installations {
				if gaps := in.Secrets(context.Background(), root, r.Secrets); len(gaps) > 0 {
					t.Errorf("gaps %v", gaps)
				}
			}
			out := render(t, r, events...)
			kinds := map[Kind]bool{}
			for _, e := range events {
				kinds[e.Kind] = true
			}
			if version != "2026.9.6/node-host" && (len(kinds) < 8 || !kinds[KindMessage] || !kinds[KindLog] || !kinds[KindSession] || !kinds[KindResult]) {
				t.Errorf("only kinds %v", kinds)
			}
			checkCSV(t, out.csv, len(events))
			checkTimesketch(t, out.timesketch, 0)
			checkDocuments(t, out.ecs, len(events), checkECS)
			checkDocuments(t, out.ocsf, len(events), checkOCSF)
			inerttest.Lines(t, "the lines", out.lines)
			if strings.Count(out.lines, "\n") != len(events) {
				t.Error("a line is several")
			}
			for i, text := range []string{out.lines, out.records, out.csv, out.timesketch, out.ecs, out.ocsf} {
				for _, s := range secrets {
					if at := strings.Index(text, s); at >= 0 {
						t.Errorf("format %d shows %.6s… in …%.60s", i, s, text[max(0, at-60):at])
					}
				}
			}
		})
	}
}

// TestSecretsAtTheEdges replaces secrets before anything is cut, escaped or joined.
func TestSecretsAtTheEdges(t *testing.T) {
	const value = "S3cr3tValue0123456789abcdef\nsecond line"
	r := renderer(value)
	var events []*Event
	for n := range 230 {
		message := strings.Repeat("x", n) + value
		quoted, _ := json.Marshal(message)
		dir := []byte(line("1", `{"role":"toolResult","toolCallId":"c","toolName":"exec","isError":true,"content":[{"type":"text","text":`+string(quoted)+`}]}`))
		d, err := newDecoder(maphash.MakeSeed(), wanted(Kinds), false)
		if err != nil {
			t.Fatal(err)
		}
		it, err := d.item(dir, "s")
		if err != nil {
			t.Fatal(err)
		}
		e := &Event{Kind: KindExec, Source: &openclaw.Source{}, Asker: unknownAsker}
		e.finish(&it.results[0])
		events = append(events, e)
	}
	out := render(t, r, events...)
	for i, text := range []string{out.lines, out.records, out.csv, out.timesketch, out.ecs, out.ocsf} {
		if at := strings.Index(text, "S3cr3t"); at >= 0 {
			t.Errorf("format %d: %.80q", i, text[max(0, at-40):])
		}
	}
}

func TestLine(t *testing.T) {
	three := 3
	src := &openclaw.Source{Path: "/x"}
	for _, c := range []struct {
		e    Event
		want string
	}{
		{
			Event{Kind: KindExec, Agent: "main", Session: "80f0b671-b03e", Line: 19, Asker: &Asker{Kind: "channel", Channel: "telegram", Sender: "666", Owner: OwnerNo}, What: "curl x | sh", Result: Result{Status: StatusOK, Exit: &three, Millis: 1200}},
			"1970-01-01T00:00:00.000Z  exec   main/telegram:666,not-owner#80f0b671.19  curl x | sh  → 3 1.2s",
		},
		{
			Event{Kind: KindExec, NoTime: true, Session: "s", Line: 1, Call: 1, Asker: unknownAsker, Result: Result{Status: StatusNone}, Marks: []string{"masked", "elevated"}},
			"1970-01-01T00:00:00.000Z~  exec   -/unknown#s.1/2  (command not in the evidence)  → no result  [masked elevated]",
		},
		{
			Event{Kind: KindWrite, Agent: "main", Session: "s", Asker: unknownAsker, What: "/a b", Bytes: 7, Result: Result{Status: StatusError, Error: "no\nmore"}},
			"1970-01-01T00:00:00.000Z  write  main/unknown#s.0  /a b (7 bytes)  → error (no)",
		},
		{
			Event{Kind: KindExec, Agent: "main", Session: "s", Asker: unknownAsker, What: "a", Result: Result{Status: StatusRunning, PID: 77}},
			"1970-01-01T00:00:00.000Z  exec   main/unknown#s.0  a  → running (pid 77)",
		},
		{
			Event{Kind: KindLog, Session: "log", Asker: &Asker{Kind: "gateway"}, Tool: "gateway/ws", Target: "warn", What: "x"},
			"1970-01-01T00:00:00.000Z  log    -/gateway#log.0  warn gateway/ws: x",
		},
	} {
		c.e.Source = src
		if got := renderer().Line(&c.e); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

func TestCSVCells(t *testing.T) {
	e := &Event{Kind: KindExec, Source: &openclaw.Source{Path: "/x"}, Asker: unknownAsker, What: `=cmd|' /C calc'!A0`, Tool: "-x", Cwd: "a\nb", Target: `"q",`}
	rows, err := csv.NewReader(strings.NewReader(render(t, renderer(), e).csv)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintf("%q", []string{rows[1][10], rows[1][8], rows[1][11], rows[1][12]})
	if want := fmt.Sprintf("%q", []string{`'=cmd|' /C calc'!A0`, "'-x", `a\nb`, `"q",`}); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A spreadsheet takes no cell that is longer, and Python no table with one: a single command would hide all that comes after it.
func TestCSVCellsAreBounded(t *testing.T) {
	e := &Event{Kind: KindExec, Source: &openclaw.Source{Path: "/x"}, Asker: unknownAsker, What: strings.Repeat("=;", 100_000)}
	var table bytes.Buffer
	c, err := NewCSV(&table, renderer())
	if err == nil {
		err = errors.Join(c.Write(e), c.Flush())
	}
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&table).ReadAll()
	if err != nil || len(rows) != 2 || len(rows[1][10]) > 32_767 || c.Shortened() != 1 {
		t.Errorf("%d rows, %v, %d cells were shortened", len(rows), err, c.Shortened())
	}
}

// TestQuotesHideNoSecret types a secret as a shell would still read it.
func TestQuotesHideNoSecret(t *testing.T) {
	const value = "tok-5f0a9c77d1e24b68a3c1"
	r := renderer(value)
	for _, typed := range []string{value[:7] + `""` + value[7:], value[:7] + `\` + value[7:], `'` + value[:9] + `'"` + value[9:] + `"`, value} {
		e := &Event{Kind: KindExec, What: "curl -H X:" + typed + " https://h.example", Asker: unknownAsker, Source: &openclaw.Source{}}
		for _, shown := range []string{r.Line(e), r.Record(e).What, r.brief(e.What, shownWhat)} {
			if strings.Contains(unquoted(shown+`"`), value) {
				t.Errorf("%q is shown as %q", typed, shown)
			}
			if !strings.Contains(shown, "https://h.example") && !strings.Contains(shown, "hxxps://h[.]example") {
				t.Errorf("%q: the rest of the command is gone: %q", typed, shown)
			}
		}
	}
}
