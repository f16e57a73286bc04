package analyze

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/clawbook/openclaw-ir/internal/sigma"
)

// A Suppression says that findings of one rule in one place are known and accepted, why, and until when. What it
// silences is counted and listed all the same.
type Suppression struct {
	Rule    string    `yaml:"rule" json:"rule"`
	Scope   Scope     `yaml:"scope" json:"scope"`
	Reason  string    `yaml:"reason" json:"reason"`
	Expires time.Time `yaml:"expires" json:"expires"` // UTC; it holds until then

	what *regexp.Regexp
}

// A Scope is the place for which a suppression holds: every member that is set must fit, and one must be set.
type Scope struct {
	Agent   string `yaml:"agent,omitempty" json:"agent,omitempty"`
	Session string `yaml:"session,omitempty" json:"session,omitempty"` // id or key
	Path    string `yaml:"path,omitempty" json:"path,omitempty"`       // of what is at rest
	Command string `yaml:"command,omitempty" json:"command,omitempty"` // an expression for what was done
}

const (
	// maxSuppressions bounds the file of suppressions, in bytes.
	maxSuppressions = 1 << 20
	// maxSuppressed bounds its expressions, in instructions: each takes 40 bytes, and one expression can have millions.
	maxSuppressed = 200_000
)

// ReadSuppressions reads a YAML list of suppressions. One without a rule, a scope, a reason or an end is an error: a
// finding must not be silenced for no reason, everywhere or for ever.
func ReadSuppressions(r io.Reader) ([]Suppression, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxSuppressions+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxSuppressions {
		return nil, fmt.Errorf("larger than %d bytes", maxSuppressions)
	}
	var list []Suppression
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&list); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	left := maxSuppressed
	for i := range list {
		if err := list[i].check(&left); err != nil {
			return nil, fmt.Errorf("suppression %d: %w", i+1, err)
		}
	}
	return list, nil
}

func (s *Suppression) check(left *int) (err error) {
	switch {
	case s.Rule == "":
		return errors.New("names no rule")
	case s.Scope == Scope{}:
		return errors.New("has no scope: one of agent, session, path, command")
	case s.Reason == "":
		return errors.New("gives no reason")
	case s.Expires.IsZero():
		return errors.New("never expires: give a date")
	}
	size, err := sigma.LeastSize(s.Scope.Command)
	if *left -= size; err == nil && *left < 0 {
		return fmt.Errorf("the expressions up to it have more than %d instructions", maxSuppressed)
	}
	if err == nil {
		s.what, err = regexp.Compile(s.Scope.Command)
	}
	return err
}

// holds reports whether the suppression is for this finding, at this time.
func (s *Suppression) holds(f *Finding, now time.Time) bool {
	if s.Rule != f.Rule.Key() || !now.Before(s.Expires) || s.Scope.Path != "" && s.Scope.Path != f.Path {
		return false
	}
	e := f.Event
	if e == nil {
		return s.Scope.Agent == "" && s.Scope.Session == "" && s.Scope.Command == ""
	}
	return (s.Scope.Agent == "" || s.Scope.Agent == e.Agent) &&
		(s.Scope.Session == "" || s.Scope.Session == e.Session || s.Scope.Session == e.Key) &&
		s.what.MatchString(e.What)
}
