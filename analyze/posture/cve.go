package posture

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/severity"
)

// A CVE is a known weakness of OpenClaw itself.
type CVE struct {
	ID       string   `json:"id"`
	Affected string   `json:"affected"` // "< 2026.1.29", ">= 2026.2.25, <= 2026.5.26"
	Title    string   `json:"title"`
	Needs    []Need   `json:"needs,omitempty"` // what the configuration must be like for it; all of them
	Evidence []string `json:"evidence"`        // ids of the rules that would show its use
	Source   string   `json:"source"`

	affected releaseRange
}

// A Need is a condition on one value of the configuration.
type Need struct {
	Key string `json:"key"` // dotted
	// Is and Not list values as they are written; "present" and "absent" say whether there is one.
	Is  []string `json:"is,omitempty"`
	Not []string `json:"not,omitempty"`
}

//go:embed cve.json
var embeddedCVEs []byte

// maxCVEs bounds a table, in bytes.
const maxCVEs = 16 << 20

// KnownCVEs returns the table this program carries. Its ranges are those of the public records of August 2026.
func KnownCVEs() ([]CVE, error) { return LoadCVEs(bytes.NewReader(embeddedCVEs)) }

// LoadCVEs reads a table, which is a JSON array as cve.json is. It takes the place of the one this program carries.
func LoadCVEs(r io.Reader) ([]CVE, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxCVEs+1))
	if err != nil {
		return nil, fmt.Errorf("reading the table of known weaknesses: %w", err)
	}
	if len(text) > maxCVEs {
		return nil, fmt.Errorf("reading the table of known weaknesses: larger than %d bytes", maxCVEs)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	var list []CVE
	if err := d.Decode(&list); err != nil {
		return nil, fmt.Errorf("reading the table of known weaknesses: %w", err)
	}
	seen := map[string]bool{}
	for i := range list {
		c := &list[i]
		if c.affected, err = parseRange(c.Affected); err == nil {
			err = c.check()
		}
		if err == nil && seen[c.ID] {
			err = errors.New("is there twice")
		}
		if err != nil {
			return nil, fmt.Errorf("reading the table of known weaknesses: %q: %w", c.ID, err)
		}
		seen[c.ID] = true
	}
	return list, nil
}

func (c *CVE) check() error {
	if c.ID == "" || c.Title == "" || c.Source == "" {
		return errors.New("id, title or source is missing")
	}
	for _, n := range c.Needs {
		if n.Key == "" || len(n.Is)+len(n.Not) == 0 {
			return fmt.Errorf("need %q says nothing", n.Key)
		}
	}
	return nil
}

// met reports whether a configuration is as a weakness needs it.
func (c *CVE) met(config *openclaw.Config) bool {
	return !slices.ContainsFunc(c.Needs, func(n Need) bool { return !n.met(config) })
}

func (n Need) met(config *openclaw.Config) bool {
	v := config.Get(strings.Split(n.Key, ".")...)
	words := []string{"present", scalar(v)}
	if v == nil {
		words = []string{"absent"}
	}
	has := func(list []string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return slices.Contains(list, w) })
	}
	return (len(n.Is) == 0 || has(n.Is)) && !has(n.Not)
}

// An Exposure is a time in which a vulnerable version ran with a configuration that the weakness needs. That it could
// have been used then does not say that it was.
type Exposure struct {
	CVE      CVE      `json:"cve"`
	Releases []string `json:"releases"`
	From     Span     `json:"from"`
	To       Span     `json:"to,omitzero"` // the zero Span of one that lasts, or of which no end is known
	Lasts    bool     `json:"lasts"`
	// Unproved says that no version of the configuration is kept that shows whether it was as the weakness needs it.
	Unproved bool     `json:"unproved,omitempty"`
	Basis    []string `json:"basis"` // what shows that the releases were there
}

// Exposures tells for each known weakness when it could have been used, by what ran when and by the configuration's past.
func Exposures(table []CVE, sightings []Sighting, past *Past) (list []Exposure) {
	for i := range table {
		for _, w := range vulnerable(&table[i], sightings) {
			list = append(list, w.narrow(past)...)
		}
	}
	return list
}

// vulnerable are the runs of sightings of affected versions, one after the other.
func vulnerable(c *CVE, sightings []Sighting) (list []Exposure) {
	var e *Exposure
	var before Sighting
	for _, s := range sightings {
		r, ok := parseRelease(s.Release)
		if !ok {
			continue
		}
		switch affected := c.affected.holds(r); {
		case affected && e == nil:
			list = append(list, Exposure{CVE: *c, From: Span{before.At, s.At}})
			e = &list[len(list)-1]
			fallthrough
		case affected:
			e.see(s)
		case e != nil:
			e.To = Span{before.At, s.At}
			e.Lasts, e = false, nil
		}
		before = s
	}
	return list
}

// maxBasis bounds how much is told of why a release is believed to have been there.
const maxBasis = 8

func (e *Exposure) see(s Sighting) {
	e.To, e.Lasts = Span{}, true
	if !slices.Contains(e.Releases, s.Release) {
		e.Releases = append(e.Releases, s.Release)
	}
	if len(e.Basis) < maxBasis && !slices.ContainsFunc(e.Basis, func(b string) bool { return strings.HasPrefix(b, s.Release+" by "+s.Basis) }) {
		e.Basis = append(e.Basis, fmt.Sprintf("%s by %s at %s", s.Release, s.Basis, Span{s.At, s.At}))
	}
}

// narrow cuts an exposure down to the times in which the configuration was as the weakness needs it.
func (e Exposure) narrow(past *Past) (list []Exposure) {
	if len(e.CVE.Needs) == 0 {
		return []Exposure{e}
	}
	known := 0
	var held *Exposure
	for i := range past.Steps {
		s := &past.Steps[i]
		if s.Config == nil {
			continue
		}
		known++
		switch met := e.CVE.met(s.Config); {
		case met && held == nil:
			list = append(list, e)
			held = &list[len(list)-1]
			held.From = later(e.From, past.sinceStep(i))
		case !met && held != nil:
			held.To, held.Lasts, held = sooner(e.To, past.sinceStep(i)), false, nil
		}
	}
	if known == 0 {
		e.Unproved = true
		return []Exposure{e}
	}
	return slices.DeleteFunc(list, func(e Exposure) bool {
		return !e.To.NotAfter.IsZero() && e.To.NotAfter.Before(e.From.NotBefore)
	})
}

// sinceStep is when what is seen in a step can have begun: after the last version before it that is kept. Of the
// oldest nothing says when it began.
func (p *Past) sinceStep(i int) Span {
	from := p.Steps[i].From
	j := i - 1
	for j >= 0 && p.Steps[j].Config == nil {
		j--
	}
	if j < i-1 {
		from.NotBefore = p.Steps[j+1].From.NotBefore
	}
	if j < 0 {
		if i > 0 || p.Steps[0].Event != "config.write" {
			return Span{NotAfter: from.NotAfter}
		}
	}
	return from
}

// later is the moment at which two things both have begun.
func later(a, b Span) Span {
	s := Span{latest(a.NotBefore, b.NotBefore), latest(a.NotAfter, b.NotAfter)}
	if a.NotAfter.IsZero() || b.NotAfter.IsZero() {
		s.NotAfter = latest(a.NotAfter, b.NotAfter)
	}
	return s
}

// sooner is the moment at which the first of two things ends; a zero Span is an end that is not known.
func sooner(a, b Span) Span {
	if a == (Span{}) || !b.NotAfter.IsZero() && b.NotAfter.Before(a.NotAfter) {
		return b
	}
	return a
}

// CVEFindings turns exposures into findings: a vector that was open, and no proof that anybody used it.
func CVEFindings(list []Exposure) (found []Finding) {
	for i := range list {
		e := &list[i]
		fixed := e.CVE.affected.fixed()
		seen := fmt.Sprintf("OpenClaw %s ran %s", strings.Join(e.Releases, ", "), e.window())
		if e.Unproved {
			seen += "; whether the configuration was as it needs is not known"
		}
		f := Finding{
			ID: "GWY-007", Level: severity.Info, Title: "Possible vector: " + e.CVE.ID + ", " + e.CVE.Title,
			Seen: seen + "\n" + strings.Join(e.Basis, "\n"),
			Why:  "While it ran, this known weakness could be used. Its use would show in " + strings.Join(e.CVE.Evidence, ", ") + ".",
			Fix:  "Look for findings of those rules in that time. The weakness is gone in " + fixed + ".", Where: e.CVE.ID, Source: Own,
		}
		if e.Lasts {
			f.Fix = "Update to " + fixed + " or newer, from a state that you trust, and look for findings of those rules in that time."
		}
		found = append(found, f)
	}
	return found
}

func (e *Exposure) window() string {
	w := Window{From: e.From, To: e.To, Holds: e.Lasts}
	return w.String()
}
