// Package posture says how an installation is set up, check by check: everything the security guide of ClawBook
// asks for, every check of `openclaw security audit` that can be decided without running OpenClaw, under the same
// ids, and what that audit does not look at.
//
// It reads an io/fs.FS of the host as it was and facts about the live machine that are handed in; it runs nothing,
// contacts nothing and changes nothing. A finding carries its fix as commands to paste, and as a Repair only where
// the fix cannot break anything. No finding shows the value of a secret. What could not be decided is listed as
// undecided with the reason; nothing passes unseen.
package posture

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/severity"
)

// A Source says who asks for a check.
type Source string

// The sources of checks.
const (
	OpenClaw Source = "openclaw" // `openclaw security audit`, under the same id
	Guide    Source = "guide"    // ClawBook's security best practices
	Own      Source = "ir"       // this tool: what neither of them looks at
)

// ErrNoInstallation says that Check was called without an installation or without evidence.
var ErrNoInstallation = errors.New("no installation to check")

// A Finding is one thing that is not as it should be. Its strings may hold hostile text but no secret.
type Finding struct {
	ID       string         `json:"check"`
	Family   string         `json:"family,omitempty"` // the check's id in [IDs], where ID has a name in the place of its <…>
	Level    severity.Level `json:"level"`
	Title    string         `json:"title"`
	Seen     string         `json:"seen"`               // what was found, one line a thing
	Why      string         `json:"why"`                // why it matters
	Fix      string         `json:"fix"`                // what to do
	Where    string         `json:"where"`              // the file's path on the host, or the config key
	Commands []string       `json:"commands,omitempty"` // exact commands of the fix, for a POSIX shell
	Repair   *Repair        `json:"repair,omitempty"`   // what may be done without asking further; nil if nothing may
	Source   Source         `json:"source"`
	// Suppressed says that the config's security.audit.suppressions hide this finding from OpenClaw's own audit.
	Suppressed bool `json:"suppressed,omitempty"`
}

// Check returns the id of the table's row that made the finding.
func (f *Finding) Check() string { return cmp.Or(f.Family, f.ID) }

// A Repair is a fix that can be done by itself: it only narrows modes and sets config values that break nothing.
type Repair struct {
	Mode *ModeRepair `json:"mode,omitempty"`
	Set  []ConfigSet `json:"set,omitempty"`
}

// A ModeRepair narrows the permissions of one file or directory. Links are never followed.
type ModeRepair struct {
	Path string `json:"path"` // absolute path on the host
	Want uint32 `json:"want"` // permissions it then has, such as 0600 or 0700
}

// A ConfigSet sets one value of the config.
type ConfigSet struct {
	Path  []string `json:"path"`  // member names from the root
	Value string   `json:"value"` // JSON text
}

// An Undecided is a check that could not be decided from this evidence.
type Undecided struct {
	ID  string `json:"check"`
	Why string `json:"why"`
}

// A Suppression is an entry of the config's security.audit.suppressions, and what it hides from OpenClaw's audit.
type Suppression struct {
	Check  string   `json:"check"`            // checkId it names; may be empty in a broken entry
	Title  string   `json:"title,omitempty"`  // titleIncludes
	Detail string   `json:"detail,omitempty"` // detailIncludes
	Reason string   `json:"reason,omitempty"`
	Hides  []string `json:"hides"` // ids of the findings of this report that it hides
}

// A Report is what the checks of one installation found. Every id of [IDs] is a finding, passed or undecided.
type Report struct {
	Installation *openclaw.Installation `json:"installation"`
	Findings     []Finding              `json:"findings"` // worst first, then by id and place
	Passed       []string               `json:"passed"`   // ids that were decided and are as they should be
	Undecided    []Undecided            `json:"undecided"`
	Suppressed   []Suppression          `json:"suppressed"` // listed; their findings stand among Findings all the same
	Gaps         []openclaw.Gap         `json:"gaps"`
}

// Options say what a check may look at. FS is needed, the rest may be zero.
type Options struct {
	FS   fs.FS     // the host, names without the leading slash
	Live *Live     // facts of the running machine, nil where there are none
	Now  time.Time // for the age of things; the zero time decides no age
	UID  int       // numeric id of the account that owns the installation; 0 or less asks etc/passwd of FS
	// Modes says that FS tells the modes and owners of files as they were on the host. Where it does not (a copy, an
	// archive unpacked by another account), the checks of modes are undecided.
	NoModes bool
}

// Check runs every check over an installation. It returns what it has with the context's error when that ends.
func Check(ctx context.Context, in *openclaw.Installation, o Options) (*Report, error) {
	if in == nil || o.FS == nil {
		return nil, ErrNoInstallation
	}
	s := newState(ctx, in, o)
	r := &Report{Installation: in, Findings: []Finding{}, Passed: []string{}, Undecided: []Undecided{}, Suppressed: []Suppression{}}
	for _, c := range checks() {
		if err := ctx.Err(); err != nil {
			return r, err
		}
		r.take(c, s.run(c))
	}
	r.finish(s)
	return r, ctx.Err()
}

// CheckConfig runs the checks that look at nothing but the config, over another config of the installation: an older
// one, or one that a fix would make. Of the evidence only the gateway's environment files are read; without it (a nil
// FS) they count as empty. Findings are ordered as in a [Report].
func CheckConfig(ctx context.Context, in *openclaw.Installation, c *openclaw.Config, o Options) []Finding {
	other := *in
	other.Config = c
	if o.FS == nil {
		o.FS = nothing{}
	}
	s := newState(ctx, &other, o)
	var found []Finding
	for _, row := range checks() {
		if row.needs == needsConfig {
			for _, f := range s.run(row).findings {
				found = append(found, *f)
			}
		}
	}
	sortFindings(found)
	return found
}

// IDs returns the id of every check this package knows, sorted. "<…>" in an id stands for a name.
func IDs() []string {
	var ids []string
	for _, c := range checks() {
		ids = append(ids, c.id)
	}
	slices.Sort(ids)
	return ids
}

// take files the outcome of one check.
func (r *Report) take(c check, out outcome) {
	for _, f := range out.findings {
		r.Findings = append(r.Findings, *f)
	}
	switch {
	case len(out.findings) > 0:
	case out.undecided != "":
		r.Undecided = append(r.Undecided, Undecided{ID: c.id, Why: out.undecided})
	default:
		r.Passed = append(r.Passed, c.id)
	}
}

func (r *Report) finish(s *state) {
	r.Gaps = append(r.Gaps, s.gaps...)
	for _, sup := range s.suppressions() {
		for i := range r.Findings {
			if f := &r.Findings[i]; sup.hides(*f) {
				f.Suppressed = true
				sup.Hides = append(sup.Hides, f.ID)
			}
		}
		r.Suppressed = append(r.Suppressed, sup)
	}
	sortFindings(r.Findings)
	slices.Sort(r.Passed)
	slices.SortFunc(r.Undecided, func(a, b Undecided) int { return strings.Compare(a.ID, b.ID) })
}

func sortFindings(found []Finding) {
	slices.SortStableFunc(found, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(b.Level, a.Level), strings.Compare(a.ID, b.ID), strings.Compare(a.Where, b.Where))
	})
}
