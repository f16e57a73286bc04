package sigma

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const baseRules = `
title: a
name: a
logsource: {category: c}
detection: {s: {F: a}, condition: s}
---
title: b
name: b
id: id-of-b
logsource: {category: c}
detection: {s: {F: b}, condition: s}
---
title: x
name: x
level: high
`

// feedAll feeds matches, written as "rule@second field=value …", and returns the alerts as "rule first-last refs".
func feedAll(t *testing.T, set *Set, matches ...string) []string {
	t.Helper()
	c := set.NewCorrelator()
	var got []string
	for i, match := range matches {
		words := strings.Fields(match)
		name, at, _ := strings.Cut(words[0], "@")
		var second int64
		fmt.Sscan(at, &second)
		fields := make(map[string]string)
		for _, word := range words[1:] {
			field, value, _ := strings.Cut(word, "=")
			fields[field] = value
		}
		for _, a := range c.Add(second*1000, set.Rule(name), func(f string) string { return fields[f] }, i) {
			got = append(got, fmt.Sprintf("%s %d-%d %v", a.Rule.Key(), a.First/1000, a.Last/1000, a.Refs))
		}
	}
	return got
}

func TestCorrelations(t *testing.T) {
	for _, test := range []struct {
		name, correlation string
		matches           []string
		want              []string
	}{
		{
			"event_count", "{type: event_count, rules: [a], group-by: [U], timespan: 10s, condition: {gte: 3}}",
			[]string{"a@1 U=x", "a@2 U=y", "a@3 U=x", "b@4 U=x", "a@5 U=x", "a@6 U=x", "a@30 U=x", "a@31 U=x", "a@41 U=x", "a@41 U=x"},
			[]string{"x 1-5 [0 2 4]", "x 31-41 [7 8 9]"},
		},
		{
			"a range", "{type: event_count, rules: [a], timespan: 1m, condition: {gt: 1, lte: 3}}",
			[]string{"a@1", "a@2", "a@3", "a@4"},
			[]string{"x 1-2 [0 1]"},
		},
		{
			"value_count", "{type: value_count, rules: [a, b], group-by: [U], timespan: 1m, condition: {field: V, gte: 2}}",
			[]string{"a@1 U=x V=1", "a@2 U=x V=1", "a@3 U=x", "b@4 U=x V=2"},
			[]string{"x 1-4 [0 1 3]"},
		},
		{
			"value_sum", "{type: value_sum, rules: [a], timespan: 1m, condition: {field: V, gt: 10}}",
			[]string{"a@1 V=6", "a@2 V=NaN", "a@3 V=4", "a@4 V=0.5", "a@5 V=1"},
			[]string{"x 1-4 [0 2 3]"},
		},
		{
			"value_avg", "{type: value_avg, rules: [a], timespan: 1m, condition: {field: V, gt: 10}}",
			[]string{"a@1 V=2", "a@3 V=4", "a@4 V=100"},
			[]string{"x 1-4 [0 1 2]"},
		},
		{
			"temporal", "{type: temporal, rules: [a, id-of-b], group-by: [U, W], timespan: 10s}",
			[]string{"b@1 U=x W=1", "a@2 U=x W=2", "a@12 U=x W=1", "b@13 U=x W=1", "a@14 U=x", "a@14 U=y W=1"},
			[]string{"x 12-13 [2 3]"},
		},
		{
			"temporal with a condition", "{type: temporal, rules: [a, b], timespan: 10s, condition: {gte: 1}}",
			[]string{"b@1"},
			[]string{"x 1-1 [0]"},
		},
		{
			"temporal_ordered", "{type: temporal_ordered, rules: [a, b], timespan: 10s}",
			[]string{"b@1", "a@2", "a@3", "b@4", "b@5", "a@20", "b@31", "a@31", "b@32"},
			[]string{"x 3-4 [2 3]", "x 31-32 [7 8]"},
		},
		{
			"aliases", "{type: temporal, rules: [a, b], group-by: [ip], aliases: {ip: {a: src, b: dst}}, timespan: 10s}",
			[]string{"a@1 src=1 dst=2", "b@2 src=1 dst=2", "b@3 src=2 dst=1"},
			[]string{"x 1-3 [0 2]"},
		},
	} {
		set := load(t, baseRules+"correlation: "+test.correlation)
		if diff := cmp.Diff(test.want, feedAll(t, set, test.matches...)); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
}

func TestCorrelationsOfCorrelations(t *testing.T) {
	set := load(t, baseRules+`correlation: {type: event_count, rules: [a], group-by: [U], timespan: 10s, condition: {gte: 2}}
---
title: y
name: y
correlation: {type: temporal_ordered, rules: [x, b], group-by: [U], timespan: 1m}
`)
	got := feedAll(t, set, "a@1 U=1", "a@2 U=1", "b@3 U=2", "b@4 U=1")
	if diff := cmp.Diff([]string{"y 1-4 [0 1 3]"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestGenerateLetsBaseRulesAlert(t *testing.T) {
	for correlation, want := range map[string]bool{
		"": false, "generate: true, ": true, "generate: false, ": false,
	} {
		set := load(t, baseRules+"correlation: {"+correlation+"type: temporal, rules: [a, b], timespan: 1s}")
		matches := set.NewMatcher().Match(record("c", "F", "a"))
		if len(matches) != 1 || matches[0].Alert != want {
			t.Errorf("with %q: %+v, want an alert: %v", correlation, matches, want)
		}
	}
}

func TestCorrelatorIsBounded(t *testing.T) {
	set := load(t, baseRules+"correlation: {type: event_count, rules: [a], group-by: [U], timespan: 1d, condition: {gte: 3}}")
	c := set.NewCorrelator()
	a := set.Rule("a")
	for i := range 3 * maxGroups {
		c.Add(int64(i), a, func(string) string { return fmt.Sprint(i) }, i)
	}
	if len(c.groups) != maxGroups || c.Evicted() != 2*maxGroups || c.held != maxGroups {
		t.Errorf("%d groups with %d matches, %d evicted", len(c.groups), c.held, c.Evicted())
	}
	for i := range 3 * maxEvents {
		c.Add(int64(3*maxGroups+i), a, func(string) string { return "one" }, i)
	}
	if g := c.byAge.Back().Value.(*group); len(g.events) != maxEvents || c.held > maxHeld || c.Evicted() < 2*maxEvents {
		t.Errorf("a group holds %d matches, all %d; %d evicted", len(g.events), c.held, c.Evicted())
	}
}

func TestBadCorrelations(t *testing.T) {
	for correlation, want := range map[string]string{
		"{type: value_percentile, rules: [a], timespan: 1h, condition: {field: F, lte: 1}}": "not supported",
		"{type: event_count, rules: [a], timespan: 1h}":                                     "no condition",
		"{type: event_count, rules: [a], condition: {gte: 3}}":                              "no timespan",
		"{type: event_count, rules: [a], timespan: 1w, condition: {gte: 3}}":                "timespan",
		"{type: event_count, rules: [a], timespan: 1h, condition: {gte: 1000000}}":          "no more than",
		"{type: event_count, rules: [a], timespan: 1h, condition: {near: 1}}":               "unknown operator",
		"{type: value_count, rules: [a], timespan: 1h, condition: {gte: 1}}":                "as its field",
		"{type: temporal, rules: [a, c], timespan: 1h}":                                     "no rule",
		"{type: temporal, rules: [a, x], timespan: 1h}":                                     "part of itself",
		"{type: temporal, rules: [a, a], timespan: 1h}":                                     "twice",
		"{type: temporal, rules: [], timespan: 1h}":                                         "no rules",
		"{type: temporal_ordered, rules: [a, b], timespan: 1h, condition: {gte: 1}}":        "no condition",
		"{type: temporal, rules: [a, b], timespan: 1h, aliases: {ip: {a: F}}}":              "alias",
		"{type: temporal, rules: [a, b], timespan: 1h, group: [U]}":                         "unknown attribute",
		"{type: temporal, rules: [a, b], timespan: 1h, generate: maybe}":                    "generate",
	} {
		rules, err := Parse("test.yml", []byte(baseRules+"correlation: "+correlation))
		if err == nil {
			_, err = NewSet(rules)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", correlation, err, want)
		}
	}
}
