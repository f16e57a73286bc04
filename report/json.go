package report

import (
	"cmp"
	"encoding/json"
	"io"

	"github.com/clawbook/openclaw-ir/internal/console"
)

// WriteJSON writes the story as one line of JSON. Secrets are replaced in it, addresses are whole; characters that cannot be
// seen are escaped as JSON escapes them.
func WriteJSON(w io.Writer, s *Story) error { return console.NewBareJSONLines(w).Write(s) }

// MarshalJSON writes a list of nothing as an empty one, so that whoever goes through it needs no case for that.
func (s *Story) MarshalJSON() ([]byte, error) {
	type plainStory Story // without this method
	c := plainStory(*s)
	c.Installations, c.Findings, c.Suppressed, c.Posture = some(c.Installations), some(c.Findings), some(c.Suppressed), some(c.Posture)
	c.Exposures, c.Actions, c.Open, c.Bundles = some(c.Exposures), some(c.Actions), some(c.Open), some(c.Bundles)
	c.Incident.Untrusted, c.Coverage.Sources, c.Coverage.Coverage.Gaps = some(c.Incident.Untrusted), some(c.Coverage.Sources), some(c.Coverage.Coverage.Gaps)
	c.Severity.Rule = cmp.Or(c.Severity.Rule, ruleNone)
	if c.Counts == nil {
		c.Counts = map[string]int{}
	}
	return json.Marshal(c)
}

func some[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
