package sigma

import (
	"errors"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/clawbook/openclaw-ir/internal/severity"
)

// A Correlation joins matches of rules over time.
type Correlation struct {
	Type     string // event_count, value_count, value_sum, value_avg, temporal, temporal_ordered
	Rules    []string
	GroupBy  []string
	Timespan time.Duration
	Field    string
	Generate bool
}

type feed struct{}

func (r *Rule) parseCorrelation(root, n *yaml.Node) error { return errors.New("correlations are not supported yet") }

func (s *Set) connect() error { return nil }

// alerts reports whether a rule's matches are findings by themselves.
func (s *Set) alerts(r *Rule) bool { return true }

// An Alert is a correlation that holds.
type Alert struct {
	Rule        *Rule
	Level       severity.Level
	Refs        []int
	First, Last int64 // milliseconds since 1970
}

// A Correlator joins matches over time.
type Correlator struct{ set *Set }

// NewCorrelator returns a correlator without any matches.
func (s *Set) NewCorrelator() *Correlator { return &Correlator{set: s} }

// Add adds a match.
func (c *Correlator) Add(atMillis int64, rule *Rule, get func(field string) string, ref int) []Alert {
	return nil
}

// Evicted returns how many groups were given up.
func (c *Correlator) Evicted() int64 { return 0 }
