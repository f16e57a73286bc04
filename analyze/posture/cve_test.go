package posture

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clawbook/openclaw-ir/internal/statetest"
)

func TestReleaseOrder(t *testing.T) {
	order := []string{
		"2026.1.14", "2026.1.14-1", "2026.1.14-2", "2026.1.30", "2026.2.2", "2026.2.12", "2026.7.2-alpha.9", "2026.7.2-beta.1", "2026.7.2-beta.10", "2026.7.2-rc.1",
		"2026.7.2", "2026.9.6", "2026.10.1-beta.1", "2026.10.1", "2027.1.1",
	}
	for i, a := range order {
		for j, b := range order {
			x, okA := parseRelease("v" + a)
			y, okB := parseRelease(b + "+build")
			if got, want := x.compare(y), compareInts(i, j); !okA || !okB || got != want {
				t.Errorf("%s to %s is %d, want %d", a, b, got, want)
			}
		}
	}
	for _, bad := range []string{"", "2026", "2026.1", "2026.1.x", "2026.1.2.3", "2026.-1.2", "2026.+1.2", strings.Repeat("1", 99) + ".1.1", "2026.1.2-"} {
		if _, ok := parseRelease(bad); ok {
			t.Errorf("%q is taken for a version", bad)
		}
	}
}

func compareInts(a, b int) int { return max(-1, min(1, a-b)) }

func TestRange(t *testing.T) {
	for _, test := range []struct {
		rng, in, out string
	}{
		{"< 2026.1.29", "2026.1.28 2026.1.29-beta.1 2025.12.1", "2026.1.29 2026.1.30 2026.10.1"},
		{"<= 2026.2.12", "2026.2.12 2026.2.2", "2026.2.12-1 2026.2.13"},
		{">= 2026.2.25, <= 2026.5.26", "2026.2.25 2026.5.26 2026.3.1", "2026.2.24 2026.5.27"},
		{"> 2026.1.1, < 2026.1.3", "2026.1.2 2026.1.3-beta.2", "2026.1.1 2026.1.3"},
		{"= 2026.3.1", "2026.3.1", "2026.3.1-1 2026.3.2"},
	} {
		rng, err := parseRange(test.rng)
		if err != nil {
			t.Fatal(err)
		}
		for word := range strings.FieldsSeq(test.in + " " + test.out) {
			r, _ := parseRelease(word)
			if want := slices.Contains(strings.Fields(test.in), word); rng.holds(r) != want {
				t.Errorf("%q holds %s: %v", test.rng, word, !want)
			}
		}
	}
	for _, bad := range []string{"", "2026.1.1", "<2026.1.1", "~ 2026.1.1", "< x"} {
		if _, err := parseRange(bad); err == nil {
			t.Errorf("%q is taken for a range", bad)
		}
	}
}

// TestCVETable reads the table: every row has a range, a title, a source, and evidence that are ids of rules.
func TestCVETable(t *testing.T) {
	list, err := KnownCVEs()
	if err != nil {
		t.Fatal(err)
	}
	if len(list) < 55 {
		t.Errorf("%d rows", len(list))
	}
	id := regexp.MustCompile(`^[A-Z]{3}-\d{3}$`)
	name := regexp.MustCompile(`^(CVE-2026-\d{4,6}|[A-Z][A-Z-]+)$`)
	for _, c := range list {
		if !name.MatchString(c.ID) || len(c.Evidence) == 0 || strings.HasSuffix(c.Title, ".") {
			t.Errorf("row %+v", c)
		}
		for _, e := range c.Evidence {
			if !id.MatchString(e) {
				t.Errorf("%s: evidence %q", c.ID, e)
			}
		}
	}
	for text, want := range map[string]string{
		`[{"id":"X","affected":"< 2026.1","title":"t","source":"s"}]`:                                                               "not a range",
		`[{"id":"X","affected":"< 2026.1.1","source":"s"}]`:                                                                         "missing",
		`[{"id":"X","affected":"< 2026.1.1","title":"t","source":"s","needs":[{"key":"a"}]}]`:                                       "says nothing",
		`[{"id":"X","affected":"< 2026.1.1","title":"t","source":"s","fixed":"2026.1.1"}]`:                                          "unknown field",
		`[{"id":"X","affected":"< 2026.1.1","title":"t","source":"s"},{"id":"X","affected":"< 2026.1.1","title":"t","source":"s"}]`: "twice",
		`{`: "table of known weaknesses",
	} {
		if _, err := LoadCVEs(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := LoadCVEs(bytes.NewReader(embeddedCVEs)); err != nil {
		t.Error(err)
	}
}

// TestExposures narrows what ran to when the configuration was as the weakness needs it.
func TestExposures(t *testing.T) {
	table, err := LoadCVEs(strings.NewReader(`[
	 {"id":"ANY","affected":"< 2026.2.0","title":"t","source":"s"},
	 {"id":"LAN","affected":"< 2026.2.0","title":"t","source":"s","needs":[{"key":"gateway.bind","is":["lan"]}]},
	 {"id":"NOT","affected":"< 2026.2.0","title":"t","source":"s","needs":[{"key":"gateway.bind","not":["present"]}]},
	 {"id":"NEW","affected":"< 2025.1.1","title":"t","source":"s"}]`))
	if err != nil {
		t.Fatal(err)
	}
	r := newRig()
	r.file("", bind("loopback"), "10:00:00.5")
	r.file(".bak", bind("lan"), "10:00:00.4")
	r.write("08:00:00", "", sum(bind("loopback")), "onboard")
	r.write("09:00:00", sum(bind("loopback")), sum(bind("lan")), "config", "set", "gateway.bind", "lan")
	r.write("10:00:00", sum(bind("lan")), sum(bind("loopback")), "config", "set", "gateway.bind", "loopback")
	past, _ := r.past(t)
	sightings := []Sighting{
		{"2026.1.5", moment("07:00:00"), "a"},
		{"2026.1.9", moment("09:30:00"), "b"},
		{"2026.1.9", moment("09:40:00"), "b"},
		{"nonsense", moment("09:45:00"), "c"},
		{"2026.3.1", moment("11:00:00"), "d"},
		{"2026.1.9", moment("12:00:00"), "e"},
	}
	var got []string
	for _, e := range Exposures(table, sightings, past) {
		got = append(got, fmt.Sprint(e.CVE.ID, " ", strings.Join(e.Releases, "+"), " ", clocks(e.From), " to ", clocks(e.To), " ", e.Lasts, len(e.Basis)))
	}
	want := []string{
		"ANY 2026.1.5+2026.1.9 –07:00:00 to 09:40:00–11:00:00 false 2", "ANY 2026.1.9 11:00:00–12:00:00 to – true 1",
		"LAN 2026.1.5+2026.1.9 09:00:00 to 10:00:00 false 2",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	unknown := Exposures(table[1:2], sightings[:1], &Past{})
	if len(unknown) != 1 || !unknown[0].Unproved {
		t.Errorf("without a configuration: %+v", unknown)
	}
	for _, f := range CVEFindings(unknown) {
		if f.ID != "GWY-007" || f.Where != "LAN" || !strings.Contains(f.Seen, "is not known") || !strings.Contains(f.Fix, "2026.2.0") {
			t.Errorf("finding %+v", f)
		}
	}
}

// TestSightingsStates finds the release of every state, and what was open in it.
func TestSightingsStates(t *testing.T) {
	table, err := KnownCVEs()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)
	for version, open := range map[string]int{"2026.1.30": 40, "2026.3.31": 10, "2026.7.1": 0, "2026.9.6/stopped": 0} {
		in, fsys := stateInstallation(t, version)
		past, _ := History(t.Context(), fsys, in)
		sightings, gaps := Sightings(t.Context(), fsys, in, past, now)
		release, _, _ := strings.Cut(version, "/")
		bases := map[string]bool{}
		for _, s := range sightings {
			bases[s.Basis] = true
			if s.Release != release {
				t.Errorf("%s: %+v", version, s)
			}
		}
		if len(sightings) == 0 || len(gaps) > 0 {
			t.Errorf("%s: %d sightings, gaps %v", version, len(sightings), gaps)
		}
		if release == "2026.7.1" && !bases["a trajectory's trace.metadata"] || release == "2026.3.31" && !bases["the log, where its command line connects"] {
			t.Errorf("%s: only seen by %v", version, bases)
		}
		exposures := Exposures(table, sightings, past)
		if len(exposures) < open || open == 0 && len(exposures) > 0 {
			t.Errorf("%s: %d exposures", version, len(exposures))
		}
		for _, f := range CVEFindings(exposures) {
			for _, s := range statetest.Secrets(t) {
				if strings.Contains(f.Seen, s) {
					t.Errorf("%s: a finding shows the secret %q", version, s)
				}
			}
		}
	}
}
