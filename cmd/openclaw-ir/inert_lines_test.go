package main

import (
	"bufio"
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/clawbook/openclaw-ir/analyze"
	"github.com/clawbook/openclaw-ir/analyze/integrity"
	"github.com/clawbook/openclaw-ir/analyze/posture"
	"github.com/clawbook/openclaw-ir/collect"
	"github.com/clawbook/openclaw-ir/collect/schedule"
	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/inerttest"
	"github.com/clawbook/openclaw-ir/internal/secret"
)

// hostileLines makes the lines that a command shows of what it found on a running host, in a bundle or in a case, with the same text wherever
// a text can stand in it. What it needs for that, an intruder's units, processes and devices, no test has.
func hostileLines(e env, text string) map[string]string {
	fill := func(v any) { inerttest.Fill(v, "", func(string) string { return text }) }
	lines := map[string]string{}
	for _, record := range []string{"plan", "step", "frozen"} {
		for _, ok := range []bool{true, false} {
			var s step
			fill(&s.Check)
			s.Record, s.Step, s.OK = record, "verify", ok
			lines["contain, rotate: "+record] += e.stepLine(s) + "\n"
			lines["drill: "+record] += (&drilling{guide: &guide{env: e}}).playedLine(played{step: s}) + "\n"
		}
	}
	var item itemRow
	fill(&item)
	lines["rotate list"] = e.rotateLine(item)
	symptoms := symptom{"check", "tools", missing, text, text, text}
	lines["doctor"] = (&doctor{env: e}).line(symptoms)
	var row collect.Row
	fill(&row)
	lines["collect list"] = rowLine(row)
	var member collect.Member
	member.Name, member.Link, member.Type = text, text, collect.Symlink
	lines["collect verify --salvage"] = memberLine(listed(member))
	var size collect.SourceSize
	fill(&size)
	lines["collect --estimate"] = estimateLine(size)
	var problems []collect.ChainProblem
	fill(&problems)
	var chain strings.Builder
	tellChain(&chain, e, problems, func(kind string) string { return "does not hold" })
	lines["collect chain verify"] = chain.String()
	var secrets secretRow
	fill(&secrets)
	secrets.Fingerprint = "0123456789ab"
	for i := range secrets.Sighting.Uses {
		secrets.Sighting.Uses[i].Way = analyze.WaySent
	}
	lines["analyze secrets"] = secretText(&secrets)
	var sample sampleRow
	fill(&sample)
	sample.Want = "match"
	lines["analyze rules test"] = sample.text()
	sample.Error = ""
	lines["analyze rules test"] += sample.text()
	set := secret.NewSet(secret.NewFingerprinter(nil))
	var found posture.Finding
	fill(&found)
	found.Level = 3
	lines["analyze posture"] = strings.Join((&posturing{env: e, secrets: set}).findingRow(found, nil).text, "\n")
	var sign integrity.Finding
	fill(&sign)
	sign.Level, sign.Check = 3, "ours"
	var signs strings.Builder
	(&integrityPrinter{env: e, set: set}).finding(&signs, &sign)
	lines["analyze integrity"] = signs.String()
	var entry casefile.Entry
	fill(&entry)
	var story strings.Builder
	s := newStory(e, &story)
	s.add(casefile.Line{Number: 1, Entry: &entry})
	s.finish()
	s.out.Flush()
	lines["case show"] = story.String()
	var status schedule.Status
	fill(&status)
	status.LastExit = nil
	lines["collect schedule status"] = (&scheduling{env: e}).statusText(&status, time.Now())
	lines["notice"] = forChat(text)
	return lines
}

func newStory(e env, w *strings.Builder) *story {
	return &story{console: e.console, out: bufio.NewWriter(w), width: 80}
}

// TestLinesAreInert puts each hostile text wherever one can stand in a line.
func TestLinesAreInert(t *testing.T) {
	for _, terminal := range []bool{false, true} {
		e := env{console: console.New(console.Streams{Out: new(bytes.Buffer)}, console.Facts{OutTerminal: terminal, ForceColor: terminal, Width: 80})}
		texts := map[string]string{}
		for _, p := range inerttest.Payloads {
			texts[p.Class] = p.Text
		}
		for _, head := range inerttest.Heads {
			texts["begins with "+head] = head + "x"
		}
		for class, text := range texts {
			for name, line := range hostileLines(e, text) {
				t.Run(name+": "+class, func(t *testing.T) { inerttest.Screen(t, "the line", line) })
			}
		}
	}
}

// TestNoticesAreNoMarkup lets no name make a chat service mention somebody or show a link.
func TestNoticesAreNoMarkup(t *testing.T) {
	for _, p := range inerttest.Payloads {
		if text := forChat(p.Text); strings.ContainsAny(text, "<>@&`*|") || strings.Contains(text, "://") || strings.Contains(strings.ToLower(text), "www.") {
			t.Errorf("%s: %q", p.Class, text)
		}
	}
}
