package rules

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/clawbook/openclaw-ir/internal/sigma"
)

// Sequences are the samples of a correlation: rows of records that it must find, and others that it must not. They
// stand in a rule's attribute "sequences".
type Sequences struct{ Positive, Negative [][]Event }

// An Event is a record of a sequence.
type Event struct {
	At     time.Duration       // after the first
	Fields map[string][]string // Category included
}

// Fields of a sequence's record that are no fields of the record.
const (
	fieldTime  = "Time"  // seconds after the first; 0 if absent
	fieldTimes = "Times" // how often the record comes; 1 if absent
	fieldEvery = "Every" // seconds between them
)

// maxEvents is how many records a sequence may hold.
const maxEvents = 10_000

// ReadSequences returns the sequences of a rule file's rules, by the rule's name or, where it has none, its id. What
// is wrong with the file otherwise is not its business.
func ReadSequences(text []byte) (map[string]Sequences, error) {
	found := make(map[string]Sequences)
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var doc struct {
			Name, ID  string
			Sequences struct{ Positive, Negative [][]map[string]texts }
		}
		err := decoder.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading sequences: %w", err)
		}
		key := doc.Name
		if key == "" {
			key = doc.ID
		}
		var s Sequences
		if s.Positive, err = expand(doc.Sequences.Positive); err == nil {
			s.Negative, err = expand(doc.Sequences.Negative)
		}
		if err != nil {
			return nil, fmt.Errorf("reading sequences of %q: %w", key, err)
		}
		if len(s.Positive)+len(s.Negative) > 0 {
			found[key] = s
		}
	}
}

// texts is a value of a field, or a list of them.
type texts []string

// UnmarshalYAML reads one text, or a list, whatever YAML takes it for.
func (t *texts) UnmarshalYAML(n *yaml.Node) error {
	switch n.Kind {
	case yaml.ScalarNode:
		*t = texts{n.Value}
		return nil
	case yaml.SequenceNode:
		return n.Decode((*[]string)(t))
	}
	return errors.New("a field has neither a text nor a list of texts")
}

func expand(rows [][]map[string]texts) ([][]Event, error) {
	var out [][]Event
	for _, row := range rows {
		var events []Event
		for _, record := range row {
			at, times, every, err := timing(record)
			if err == nil && len(events)+times > maxEvents {
				err = fmt.Errorf("more than %d records", maxEvents)
			}
			if err != nil {
				return nil, err
			}
			fields := make(map[string][]string)
			for name, values := range record {
				if name != fieldTime && name != fieldTimes && name != fieldEvery {
					fields[name] = values
				}
			}
			for i := range times {
				events = append(events, Event{at + time.Duration(i)*every, fields})
			}
		}
		slices.SortStableFunc(events, func(a, b Event) int { return cmp.Compare(a.At, b.At) })
		out = append(out, events)
	}
	return out, nil
}

// timing reads when a record comes, and how often.
func timing(record map[string]texts) (at time.Duration, times int, every time.Duration, err error) {
	numbers := map[string]int{fieldTimes: 1}
	for _, name := range []string{fieldTime, fieldTimes, fieldEvery} {
		values, ok := record[name]
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(strings.Join(values, ","), 10, 30)
		if err != nil {
			return 0, 0, 0, fmt.Errorf("%s is no number of seconds or times: %q", name, values)
		}
		numbers[name] = int(n)
	}
	return time.Duration(numbers[fieldTime]) * time.Second, numbers[fieldTimes], time.Duration(numbers[fieldEvery]) * time.Second, nil
}

// Holds reports whether a rule of the set comes to hold in the course of a sequence. The function records makes of an
// event's fields the records that evidence like it would make; however many of them meet a rule, the event counts once.
func Holds(set *sigma.Set, rule *sigma.Rule, row []Event, records func(fields map[string][]string) []*sigma.Record) (bool, error) {
	alone, err := sigma.NewSet(needed(set, []*sigma.Rule{rule}))
	if err != nil {
		return false, err
	}
	m, c := alone.NewMatcher(), alone.NewCorrelator()
	for i, e := range row {
		met := make(map[*sigma.Rule]bool)
		for _, r := range records(e.Fields) {
			for _, match := range m.Match(r) {
				if match.Rule == rule {
					return true, nil
				}
				if met[match.Rule] {
					continue
				}
				met[match.Rule] = true
				alerts := c.Add(e.At.Milliseconds(), match.Rule, r.Get, i)
				if slices.ContainsFunc(alerts, func(a sigma.Alert) bool { return a.Rule == rule }) {
					return true, nil
				}
			}
		}
	}
	return false, nil
}

// needed returns the rules and those that they refer to, each once. In a set of these, one that is elsewhere only part
// of correlations alerts.
func needed(set *sigma.Set, list []*sigma.Rule) []*sigma.Rule {
	for i := 0; i < len(list); i++ {
		if list[i].Correlation == nil {
			continue
		}
		for _, key := range list[i].Correlation.Rules {
			if r := set.Rule(key); r != nil && !slices.Contains(list, r) {
				list = append(list, r)
			}
		}
	}
	return list
}
