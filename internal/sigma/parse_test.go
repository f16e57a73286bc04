package sigma

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/clawbook/openclaw-ir/internal/severity"
)

const wholeRule = `
title: A Title
id: 545a5da6-f103-4919-a519-e9aec1026ee4
name: TST-001
related: [{id: 6c82cf5c-090d-4d57-9188-533577631108, type: similar}]
status: test
description: What it means
references: [https://example.com/a]
author: Someone
date: 2017-05-09
modified: 2023-04-14
tags: [attack.execution, attack.t1059.004, attack.t1105, atlas.aml.t0050, cve.2026-25253]
logsource: {product: openclaw, category: process_creation, definition: ignored}
detection:
  pipe: {CommandLine|re: 'curl.*sh'}
  known: {Host: [a.example, b.example]}
  condition: pipe
levels:
  - {condition: pipe and known, level: low}
  - {condition: known, level: informational}
fields: [CommandLine]
falsepositives: [installers]
level: critical
samples:
  positive: [{CommandLine: curl x | sh, Host: [c.example, d.example]}]
  negative: [{CommandLine: ls}]
house_attribute: {anything: [1, 2]}
`

func TestParseKeepsTheAttributes(t *testing.T) {
	rules, err := Parse("dir/a.yml", []byte(wholeRule))
	if err != nil || len(rules) != 1 {
		t.Fatalf("%d rules, %v", len(rules), err)
	}
	r := rules[0]
	attack, atlas := r.Techniques()
	got := fmt.Sprint(r.Key(), r.ID, r.Title, r.Status, r.Description, r.Author, r.Date, r.Modified, r.File, r.Level, r.Logsource,
		r.References, r.FalsePositives, r.Shown, r.Related, attack, atlas, r.Fields(), r.Samples)
	want := "TST-001545a5da6-f103-4919-a519-e9aec1026ee4A TitletestWhat it meansSomeone2017-05-092023-04-14dir/a.yml" +
		"critical {openclaw  process_creation} [https://example.com/a] [installers] [CommandLine] " +
		"[{6c82cf5c-090d-4d57-9188-533577631108 similar}] [T1059.004 T1105] [AML.T0050] [CommandLine Host] " +
		"{[map[CommandLine:[curl x | sh] Host:[c.example d.example]]] [map[CommandLine:[ls]]]}"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestLevelsReplaceTheLevel(t *testing.T) {
	m := load(t, wholeRule).NewMatcher()
	for host, want := range map[string]severity.Level{"a.example": severity.Low, "c.example": severity.Critical} {
		matches := m.Match(record("process_creation", "CommandLine", "x; curl y | sh", "Host", host))
		if len(matches) != 1 || matches[0].Level != want {
			t.Errorf("host %s: %+v, want level %v", host, matches, want)
		}
	}
	if matches := m.Match(record("file_event", "CommandLine", "curl y | sh")); len(matches) != 0 {
		t.Errorf("matches in another category: %+v", matches)
	}
}

func TestCollections(t *testing.T) {
	rules, err := Parse("c.yml", []byte(`
action: global
title: Many
logsource: {product: linux, category: process_creation}
detection: {s: {Image|endswith: /a}, condition: s}
level: high
---
id: one
---
id: two
detection: {s: {Image|endswith: /b}}
---
action: repeat
id: three
level: low
---
action: reset
---
title: Alone
id: four
logsource: {category: process_creation}
detection: {s: {Image: d}, condition: s}
`))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	set, err := NewSet(rules)
	if err != nil {
		t.Fatal(err)
	}
	m := set.NewMatcher()
	for _, image := range []string{"/bin/a", "/bin/b", "d"} {
		for _, match := range m.Match(record("process_creation", "Image", image)) {
			got = append(got, image+" "+match.Rule.Title+" "+match.Rule.Key()+" "+match.Level.String())
		}
	}
	want := []string{"/bin/a Many one high", "/bin/b Many two high", "/bin/b Many three low", "d Alone four medium"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestConditions(t *testing.T) {
	fields := "a: {F|contains: a}\n  b: {F|contains: b}\n  c1: {F|contains: c}\n  c2: {F|contains: d}\n  _h: {F|contains: h}"
	for _, test := range []struct{ condition, holds, not string }{
		{"a", "a", "b"},
		{"a and b", "ab", "a"},
		{"a or b", "b", "c"},
		{"not a", "b", "a"},
		{"not not a", "a", "b"},
		{"a or b and c1", "a", "b"},
		{"(a or b) and c1", "ac", "a"},
		{"not a and b", "b", "ab"},
		{"1 of c*", "d", "a"},
		{"any of c*", "d", "a"},
		{"all of c*", "cd", "c"},
		{"1 of them", "b", "h"},
		{"all of them", "abcd", "abc"},
		{"2 of them", "ac", "ah"},
		{"1 of _*", "h", "a"},
		{"a and not 1 of c*", "a", "ac"},
		{"[a, b]", "b", "c"},
	} {
		set := load(t, "title: t\nid: t\nlogsource: {category: x}\ndetection:\n  "+fields+"\n  condition: "+test.condition)
		m := set.NewMatcher()
		if len(m.Match(record("x", "F", test.holds))) != 1 || len(m.Match(record("x", "F", test.not))) != 0 {
			t.Errorf("%q does not tell %q from %q", test.condition, test.holds, test.not)
		}
	}
}

func TestListsOfMaps(t *testing.T) {
	m := load(t, "title: t\nid: t\nlogsource: {category: x}\ndetection:\n  s:\n    - {F: a, G: b}\n    - {F: c}\n    - word\n  condition: s").NewMatcher()
	for want, records := range map[int][]*Record{
		1: {record("x", "F", "a", "G", "b"), record("x", "F", "c"), record("x", "H", "a word")},
		0: {record("x", "F", "a"), record("x", "G", "b"), record("x", "H", "c")},
	} {
		for _, r := range records {
			if got := len(m.Match(r)); got != want {
				t.Errorf("%v: %d matches", r.values, got)
			}
		}
	}
}

func TestBadRules(t *testing.T) {
	head := "title: t\nid: t\nlogsource: {product: openclaw}\n"
	detection := func(s string) string { return head + "detection:\n  " + s }
	for text, want := range map[string]string{
		"- a":           "must be a map",
		"a: [":          "yaml",
		"title: t":      "neither a name nor an id",
		"id: t":         "no title",
		"title: [a]":    "not a text",
		"id: a\nid: b":  "occur once",
		"{? [a] : b}":   "plain text",
		"a: &a {<<: b}": "plain text",
		"x: &x [*x]":    "nested deeper",
		"a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n" +
			"d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d,*d]": "more than",
		strings.Repeat("[", 100_000):                   "yaml",
		strings.Repeat(" ", maxFile+1):                 "larger than",
		strings.Repeat("---\n---\n", maxRules):         "documents",
		"action: x":                                    "unknown action",
		"action: repeat":                               "without a rule",
		"title: t\nid: t":                              "no logsource",
		"title: t\nid: t\nlogsource: {product: azure}": "azure",
		head:                                                                 "no detection",
		head + "level: awful":                                                "no such level",
		head + "taxonomy: ecs":                                               "taxonomy",
		head + "filter: {}":                                                  "filters",
		head + "tags: {a: b}":                                                "tags",
		head + "samples: {positiv: []}":                                      "positiv",
		head + "samples: {positive: [a]}":                                    "list of maps",
		head + "samples: {positive: [{a: {b: c}}]}":                          "neither a text",
		detection("s: {F: a}"):                                               "no condition",
		detection("s: {F: a}\n  condition: x"):                               `no selection "x"`,
		detection("s: {F: a}\n  condition: {}"):                              "neither a text nor a list",
		detection("s: {F: a}\n  condition: s s"):                             `unexpected "s"`,
		detection("s: {F: a}\n  condition: (s"):                              "not closed",
		detection("s: {F: a}\n  condition: s and"):                           "too early",
		detection("s: {F: a}\n  condition: 1 of x*"):                         "no selection is one of",
		detection("s: {F: a}\n  condition: 2 of them"):                       "of 1 selections",
		detection("s: {F: a}\n  condition: 0 of them"):                       "of 1 selections",
		detection("s: {F: a}\n  condition: s near s"):                        `unexpected "near"`,
		detection("s: {F: a}\n  condition: s | count()>1"):                   `unexpected "|"`,
		detection("s: {F: a}\n  condition: " + strings.Repeat("(", 100_000)): "longer than",
		detection("timeframe: 5m\n  s: {F: a}\n  condition: s"):              "timeframe",
		detection("s: {}\n  condition: s"):                                   "is empty",
		detection("s: []\n  condition: s"):                                   "is empty",
		detection("s: [[a]]\n  condition: s"):                                "inside a list",
		detection("s: {F: []}\n  condition: s"):                              "neither a value",
		detection("s: {F: {a: b}}\n  condition: s"):                          "neither a value",
		detection("s: {F: [a, null]}\n  condition: s"):                       "null stands alone",
		detection("s: null\n  condition: s"):                                 "null stands alone",
		detection("s: ''\n  condition: s"):                                   "empty text",
		detection("s: {F|contains: ''}\n  condition: s"):                     "empty text",
		detection("s: {F|contain: a}\n  condition: s"):                       `unknown modifier "contain"`,
		detection("s: {F|hour: 3}\n  condition: s"):                          "time modifier",
		detection("s: {F|i: a}\n  condition: s"):                             `without "re"`,
		detection("s: {F|re|contains: a}\n  condition: s"):                   "stands alone",
		detection("s: {F|re: '(?=a)'}\n  condition: s"):                      "regular expression",
		detection("s: {F|re: '(a{1000}){1000}'}\n  condition: s"):            "regular expression",
		detection("s: {F|re: '[a-z]{1000}[a-z]{1000}" + strings.Repeat("x[0-9]{900}", 10) + "'}\n  condition: s"): "instructions",
		detection("s: {F|re: " + strings.Repeat("a", maxRegex+1) + "}\n  condition: s"):                           "longer than",
		detection("s: {F|cidr: 10.0.0.0}\n  condition: s"):                                                        "ParsePrefix",
		detection("s: {F|gt: a}\n  condition: s"):                                                                 "not a number",
		detection("s: {F|exists: maybe}\n  condition: s"):                                                         "true or false",
		detection("s: {F|exists|neq: true}\n  condition: s"):                                                      "stands alone",
		detection("s: {F|contains|endswith: a}\n  condition: s"):                                                  "exclude each other",
		detection("s: {F|all|neq: [a, b]}\n  condition: s"):                                                       "exclude each other",
		detection("s: {F|wide: a}\n  condition: s"):                                                               "needs base64",
		detection("s: {F|base64offset: abc}\n  condition: s"):                                                     "needs \"contains\"",
		detection("s: {F|contains|base64: abc}\n  condition: s"):                                                  "must come before",
		detection("s: {F|base64: 'a*'}\n  condition: s"):                                                          "wildcards",
		detection("s: {F|expand: '%a%'}\n  condition: s"):                                                         "no placeholders",
		detection("s: {'|exists': true}\n  condition: s"):                                                         "need a field",
		detection("s: {'|neq': true}\n  condition: s"):                                                            "need a field",
		detection("s: {F: a}\n  condition: s\nlevels: [{condition: x, level: low}]"):                              `no selection "x"`,
		detection("s: {F: a}\n  condition: s\nlevels: [{condition: s}]"):                                          "a condition and a level",
		detection("s: {F: a}\n  condition: s\nlevels: {condition: s, level: low}"):                                "not a list",
	} {
		rules, err := Parse("bad.yml", []byte(text))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "bad.yml: ") {
			t.Errorf("%.100q: %v, want %q", text, err, want)
		}
		if len(rules) > 0 {
			t.Errorf("%.100q is a rule all the same", text)
		}
	}
}

// TestGoodRulesAreKept reads a file in which one of three documents is bad.
func TestGoodRulesAreKept(t *testing.T) {
	good := func(id string) string { return strings.Replace(rule("F: a"), "id: t", "id: "+id, 1) }
	rules, err := Parse("mixed.yml", []byte(good("one")+"---\n"+rule("F|x: a")+"---\n"+good("two")))
	if len(rules) != 2 || err == nil || !strings.HasPrefix(err.Error(), `mixed.yml: document 2: selection "s": "F|x": unknown modifier "x"`) {
		t.Errorf("%d rules, %v", len(rules), err)
	}
}

func TestPlaceholders(t *testing.T) {
	p := Parser{Placeholders: map[string][]string{"admins": {"root", "adm_*"}}}
	rules, err := p.Parse("p.yml", []byte(rule(`F|expand: '\%%admins%!'`)))
	if err != nil {
		t.Fatal(err)
	}
	set, err := NewSet(rules)
	if err != nil {
		t.Fatal(err)
	}
	m := set.NewMatcher()
	for text, want := range map[string]int{"%root!": 1, "%adm_eve!": 1, "root": 0, "%eve!": 0} {
		if got := len(m.Match(record("x", "F", text))); got != want {
			t.Errorf("%q: %d matches", text, got)
		}
	}
	if _, err := p.Parse("p.yml", []byte(rule("F|expand: '%users%'"))); err == nil || !strings.Contains(err.Error(), `no placeholder "%users%"`) {
		t.Errorf("an unknown placeholder: %v", err)
	}
}

func TestInactiveRules(t *testing.T) {
	for logsource, want := range map[string]bool{
		"{product: openclaw}": true, "{product: linux, category: x}": true, "{product: macos, category: x}": true, "{category: x}": true,
		"{product: windows, category: x}": false, "{product: linux, service: auditd}": false, "{category: y}": false, "{product: openclaw, service: gateway}": true,
	} {
		text := strings.Replace(rule("F: a"), "{product: openclaw}", logsource, 1)
		if got := len(load(t, text).NewMatcher().Match(record("x", "F", "a"))) > 0; got != want {
			t.Errorf("%s: applied %v", logsource, got)
		}
	}
	rules, err := Parse("w.yml", []byte(strings.Replace(rule("F: a"), "openclaw", "windows", 1)))
	if err != nil {
		t.Fatal(err)
	}
	rules[0].Inactive = ""
	if set, err := NewSet(rules); err != nil || len(set.NewMatcher().Match(record("x", "F", "a"))) != 1 {
		t.Errorf("a rule that was asked for is not applied, %v", err)
	}
}

func TestNamesAreUnique(t *testing.T) {
	rules, err := Parse("u.yml", []byte(rule("F: a")+"---\n"+rule("F: b")))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewSet(rules); err == nil || !strings.Contains(err.Error(), `"t" is also in u.yml`) {
		t.Errorf("two rules of one id: %v", err)
	}
	set := load(t, wholeRule)
	if set.Rule("TST-001") == nil || set.Rule("TST-001") != set.Rule("545a5da6-f103-4919-a519-e9aec1026ee4") || set.Rule("x") != nil {
		t.Error("a rule is not found by its name and its id, or one by neither")
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{wholeRule, baseRules + "correlation: {type: temporal, rules: [a, b], timespan: 1s}", rule("F|windash|contains|all: [' -a', b*c]")} {
		f.Add([]byte(text))
	}
	if files, _ := filepath.Glob("testdata/*.yml"); len(files) > 0 {
		text, err := os.ReadFile(files[0])
		if err != nil {
			f.Fatal(err)
		}
		for i, document := range strings.SplitAfter(string(text), "\n---\n") {
			if i%10 == 0 {
				f.Add([]byte(document))
			}
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		rules, err := Parse("fuzz.yml", text)
		if err != nil && !strings.Contains(err.Error(), "fuzz.yml: ") {
			t.Errorf("the error does not name the file: %v", err)
		}
		for _, r := range rules {
			if r.Key() == "" || r.Title == "" || r.Correlation == nil && r.condition == nil {
				t.Errorf("half a rule: %+v", r)
			}
		}
		set, err := NewSet(rules)
		if err != nil {
			return
		}
		m := set.NewMatcher()
		m.Match(record("process_creation", "CommandLine", "curl x | sh", "F", string(text)))
		c := set.NewCorrelator()
		for i, r := range set.Rules() {
			c.Add(int64(i), r, func(string) string { return "1" }, i)
		}
	})
}
