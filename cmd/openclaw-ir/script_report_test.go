package main

import (
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// unsteady are texts that are others in every run, and what stands for them; as long as they are, so that lines break alike.
var unsteady = []struct {
	form *regexp.Regexp
	text string
}{
	{regexp.MustCompile(`\b[0-9a-f]{64}\b`), strings.Repeat("d", 64)},
	{regexp.MustCompile(`<secret:[0-9a-f]{12}>`), "<secret:ffffffffffff>"},
	{regexp.MustCompile(`\b[A-Z2-7]{26}\b`), strings.Repeat("I", 26)},
	{regexp.MustCompile(`openclaw-ir \(devel\)|openclaw-ir v[0-9][^ "]*`), "openclaw-ir (devel)"},
}

var stampForm = regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d`)

// steady replaces times from start on, and what else differs from run to run.
func steady(start time.Time) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, _ bool, args []string) {
		text := stampForm.ReplaceAllStringFunc(ts.ReadFile(args[0]), func(s string) string {
			at, err := time.Parse(time.DateTime, strings.Replace(s, "T", " ", 1))
			if err != nil || at.Before(start.UTC().Truncate(time.Second)) {
				return s
			}
			return "2000-01-01" + s[10:11] + "00:00:00"
		})
		for _, u := range unsteady {
			text = u.form.ReplaceAllString(text, u.text)
		}
		ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
	}
}
