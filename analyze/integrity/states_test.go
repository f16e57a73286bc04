package integrity

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/statetest"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write what the checks find in the states into testdata")

// taken is after the states were taken, and within the days that OpenClaw keeps.
var taken = time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)

func check(tb testing.TB, root string) *Report {
	tb.Helper()
	fsys, err := host.OpenRoot(root)
	if err != nil {
		tb.Fatal(err)
	}
	defer fsys.Close()
	installs, _ := openclaw.Find(fsys, openclaw.FindOptions{})
	r, err := Check(tb.Context(), fsys, installs, Options{Now: taken})
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// line is a finding on one line.
func line(f Finding) string {
	return fmt.Sprintf("%s %s %s: %s | %s %s:%d", f.Level, f.Check, f.Title, f.Detail, f.Path, f.Session, f.Line)
}

// done says what was really done in the states, by the title of the finding that tells it. A finding of level medium or
// above that is not explained here is a false alarm.
var really = map[string]string{
	"a session was deleted": "the driver deleted one session of each host (sessions delete)",
	"a session was reset":   "the driver typed /new",
	"the config is not the one that the journal wrote last":                    "the driver replaced secrets in openclaw.json after the gateway had stopped",
	"the config was changed and the journal does not say how":                  "the driver edited openclaw.json while the gateway was down",
	"a backup of the config is no version that the journal knows":              "the driver replaced secrets in the backups too",
	"records can be read by other accounts":                                    "these releases write transcripts 0644; the driver made openclaw.json of 2026.9.6 0644",
	"records can be changed by every account":                                  "the driver made the state directory 0777 (weakened config)",
	"the gateway ended without a clean stop":                                   "the driver killed it",
	"a number of session_state_events was given to no row":                     "the gateway ignored a duplicate",
	"a session has no transcript":                                              "a session that was opened with /new and never used",
	"results of a tool that does not exist have no call":                       "the scripted model calls tools that are not there",
	"a tool call has no result":                                                "the model's requests timed out while approvals were pending",
	"rows of trajectory_runtime_events were removed and are still in the file": "of the session that was deleted",
	"rows of transcript_events were removed and are still in the file":         "of the session that was deleted",
}

// TestStates checks what the real gateway wrote: every finding must be of something that was really done.
func TestStates(t *testing.T) {
	for _, v := range statetest.Versions() {
		t.Run(strings.ReplaceAll(v, "/", "-"), func(t *testing.T) {
			t.Parallel()
			r := check(t, statetest.Root(t, v))
			var b strings.Builder
			for _, f := range r.Findings {
				why := really[f.Title]
				if why == "" {
					t.Errorf("a false alarm: %s", line(f))
				}
				fmt.Fprintf(&b, "%s\n\treally: %s\n", line(f), why)
			}
			for _, g := range r.Gaps {
				fmt.Fprintf(&b, "gap %s: %s\n", g.Path, g.What)
			}
			for _, c := range r.Checks {
				fmt.Fprintf(&b, "%s %d %s %s\n", c.Check, c.Examined, c.What, c.Undecided)
			}
			golden(t, b.String())
		})
	}
}

// golden compares text with the test's file.
func golden(t *testing.T, text string) {
	t.Helper()
	file := filepath.Join("testdata", strings.ReplaceAll(t.Name(), "/", "-")+".txt")
	if *update {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), text); d != "" {
		t.Errorf("not what %s holds (-want +got):\n%s", file, d)
	}
}
