package report

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
)

// fill sets every string of a value to what text makes of its path, and every list to two elements.
func fill(v any, text func(path string) string) { fillValue(reflect.ValueOf(v).Elem(), "Story", text) }

func fillValue(v reflect.Value, path string, text func(path string) string) {
	switch {
	case !v.CanSet():
	case v.Type() == reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)))
	case v.Kind() == reflect.String:
		v.SetString(text(path))
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			fillValue(v.Field(i), path+"."+v.Type().Field(i).Name, text)
		}
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fillValue(v.Index(i), fmt.Sprintf("%s%d", path, i), text)
		}
	case v.Kind() == reflect.Pointer && !strings.Contains(path, "regexp"):
		v.Set(reflect.New(v.Type().Elem()))
		fillValue(v.Elem(), path, text)
	case v.Kind() == reflect.Int, v.Kind() == reflect.Int64:
		v.SetInt(3)
	case v.Kind() == reflect.Bool:
		v.SetBool(true)
	}
}

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
	fill(&s, func(path string) string {
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
