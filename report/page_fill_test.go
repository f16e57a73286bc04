package report

import (
	"regexp"
	"strings"
	"testing"

	"github.com/clawbook/openclaw-ir/internal/inerttest"
)

// unshown are the parts of a story that its page does not show, and why.
var unshown = map[string]string{
	"Story.Case.ID":                "the name says which case it is",
	"Story.Host.Kernel":            "not needed to understand the case; in the JSON",
	"Story.Host.Arch":              "the same",
	"Story.Host.Timezone":          "all times are UTC",
	"Story.Coverage.Coverage.Gaps": "Coverage.Gaps holds them too",
	"Story.Bundles.Sent":           "of the mail alone",
	"Story.Suppressed":             "a line each: level, rule, title, reason, end",
	"Story.Incident.Untrusted":     "its quote and whose it is; the chains of findings have the rest",
	"Story.Findings.Event":         "what, when, whose and where; the timeline has the rest",
	"Story.Findings.Cause":         "what, when and whose; the timeline has the rest",
	"Story.Findings.Rejected":      "a finding that is not suppressed has none",
	"Story.Findings.Sink":          "the deed says it in words",
	"Story.Events.TimeFrom":        "said in words",
	"Story.Events.Time":            "a number; a time that cannot be read is shown as none",
	"Story.Events.Level":           "a number; a level that does not exist is none",
	"Story.Events.Result.Status":   "the exit code says more",
	"Story.Events.Asker.Channel":   "an asker of a kind that does not exist has none",
	"Story.Events.Asker.Kind":      "the asker's name, as the command line shows it, stands for it",
}

var digits = regexp.MustCompile(`[0-9]`)

// shown is a path as a text that is no address.
func shown(path string) string { return "[" + strings.ReplaceAll(path, ".", "-") + "]" }

// TestPageShowsEverything finds every string of a story on its page, but for those that it leaves out for a reason.
func TestPageShowsEverything(t *testing.T) {
	var s Story
	var paths []string
	inerttest.Fill(&s, "Story", func(path string) string {
		paths = append(paths, path)
		return shown(path)
	})
	_, raw := page(t, &s)
	for _, path := range paths {
		left := false
		for prefix := range unshown {
			left = left || strings.HasPrefix(digits.ReplaceAllString(path, ""), prefix)
		}
		if !left && !strings.Contains(string(raw), shown(path)) {
			t.Errorf("the page does not show %s", path)
		}
	}
}
