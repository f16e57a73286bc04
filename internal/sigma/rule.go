// Package sigma reads detection rules in Sigma 2.1 and matches them against records.
//
// A record has a category and named fields, of which each may have several values. A rule is read strictly:
// what this package cannot do exactly as written is an error that names the file, the document and the reason, so
// that no rule is ever weaker than it looks. Three steps, each with its own type, make a match: Parse reads a file's
// rules, NewSet compiles rules into one automaton that all goroutines share, and a Matcher, one a goroutine, tells
// which rules hold for a record. A Correlator joins matches over time.
//
// The text of a record is hostile and a record's cost is bounded (match.go); what the bound leaves out is counted.
// Nothing here reads files or prints.
//
// # What differs from other Sigma tools
//
//   - Comparison ignores case by Unicode's simple folding, as RE2's (?i) does.
//   - A keyword is looked for anywhere in the value of any field.
//   - A value of null holds where the record has no value for the field, an empty text where it has an empty one.
//   - A field with several values fulfils a test when one of the values does; neq holds when none does.
//   - Rules for Windows, and rules for a service's own log (auditd, sshd), are read but not applied: Rule.Inactive
//     says so. Rules for linux and macos are applied alike, since a record does not tell on which it was written.
package sigma

import (
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/severity"
)

// A Rule is one detection or correlation, as its file has it.
type Rule struct {
	ID, Name, Title, Status, Description, Author string
	Date, Modified                               string // as written: YYYY-MM-DD
	File                                         string // as given to Parse
	References, Tags, FalsePositives             []string
	Shown                                        []string // the attribute "fields": what a reader of the finding wants to see
	Related                                      []Related
	Level                                        severity.Level // Medium where the file has none
	Logsource                                    Logsource
	Samples                                      Samples
	Correlation                                  *Correlation // nil for a detection
	Inactive                                     string       // why a Set does not apply the rule; clear it to have it applied

	tests      []*test
	patterns   []*pattern
	names      []string // of the selections
	selections []*node
	condition  *node
	levels     []levelIf
}

// Related is a rule that a rule comes from, replaces or resembles.
type Related struct{ ID, Type string }

// A Logsource says which records a rule is meant for. Without a category it is tried on all.
type Logsource struct{ Product, Service, Category string }

// Samples are records that a rule must match, and others that it must not: field names with their values.
type Samples struct{ Positive, Negative []map[string][]string }

// levelIf is an entry of the attribute "levels".
type levelIf struct {
	condition *node
	level     severity.Level
}

// Key returns what users call the rule: its name, and its ID where it has none.
func (r *Rule) Key() string {
	if r.Name != "" {
		return r.Name
	}
	return r.ID
}

// Techniques returns the techniques among the rule's tags, as MITRE ATT&CK (T1105, T1059.004) and MITRE ATLAS
// (AML.T0050) write them.
func (r *Rule) Techniques() (attack, atlas []string) {
	for _, tag := range r.Tags {
		tag = strings.ToUpper(tag)
		if id, ok := strings.CutPrefix(tag, "ATTACK."); ok && isTechnique(id) {
			attack = append(attack, id)
		}
		if id, ok := strings.CutPrefix(tag, "ATLAS."); ok && isTechnique(strings.TrimPrefix(id, "AML.")) {
			atlas = append(atlas, id)
		}
	}
	return attack, atlas
}

func isTechnique(id string) bool {
	return len(id) > 1 && id[0] == 'T' && strings.Trim(id[1:], "0123456789.") == ""
}

// Fields returns the names of the fields that the rule's detection asks for, or its correlation groups and counts by,
// sorted. Keywords, which look at every field, add none.
func (r *Rule) Fields() []string {
	var names []string
	for _, t := range r.tests {
		names = append(names, t.field, t.ref)
	}
	if c := r.Correlation; c != nil {
		names = append(append(names, c.GroupBy...), c.Field)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	return slices.DeleteFunc(names, func(name string) bool { return name == "" })
}

// products are those whose rules can apply to an agent's records, or at least mean the same fields.
var products = []string{"", "openclaw", "linux", "macos", "windows"}

// inactive tells why no record here is what the log source asks for.
func (l Logsource) inactive() string {
	switch {
	case l.Product == "windows":
		return "it is for Windows"
	case l.Service != "" && l.Product != "openclaw":
		return "it is for the log of a service"
	}
	return ""
}
