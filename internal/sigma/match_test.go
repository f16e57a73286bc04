package sigma

import (
	"strings"
	"testing"
)

// load parses rules and compiles them.
func load(t testing.TB, text string) *Set {
	t.Helper()
	rules, err := Parse("test.yml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	set, err := NewSet(rules)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// record makes a record of field and value pairs.
func record(category string, pairs ...string) *Record {
	r := new(Record)
	r.Reset(category)
	for i := 0; i+1 < len(pairs); i += 2 {
		r.Add(pairs[i], pairs[i+1], "raw")
	}
	return r
}

const ruleHead = "title: t\nid: t\nlogsource: {product: openclaw}\ndetection:\n  s:\n    "

func rule(item string) string { return ruleHead + item + "\n  condition: s\n" }

func TestModifiers(t *testing.T) {
	for _, test := range []struct {
		item, value string
		want        bool
	}{
		{`F: abc`, "ABC", true},
		{`F: abc`, "abcd", false},
		{`F: a*c`, "abbbC", true},
		{`F: a?c`, "abc", true},
		{`F: a?c`, "ac", false},
		{`F: 'a\*c'`, "a*c", true},
		{`F: 'a\*c'`, "abc", false},
		{`F: 'a\\*'`, `a\xyz`, true},
		{`F: 'a\\\*'`, `a\*`, true},
		{`F: 'C:\Windows'`, `c:\windows`, true},
		{`F: 'C:\\Windows'`, `c:\windows`, true},
		{`F: 'a\\\\b'`, `a\\b`, true},
		{`F: ''`, "", true},
		{`F: ''`, "x", false},
		{`F: '*'`, "", true},
		{`F: 4625`, "4625", true},
		{`F: 0x10`, "16", true},
		{`F: true`, "True", true},
		{`F: [a, b]`, "b", true},
		{`F|contains: b`, "abc", true},
		{`F|contains: 'b*d'`, "abcde", true},
		{`F|startswith: ab`, "ABc", true},
		{`F|startswith: b`, "abc", false},
		{`F|endswith: bc`, "aBC", true},
		{`F|endswith: b`, "abc", false},
		{`F|endswith: 'a*b'`, "xaab", true},
		{`F|contains|all: [a, c]`, "abc", true},
		{`F|contains|all: [a, d]`, "abc", false},
		{`F|contains|cased: B`, "abc", false},
		{`F|cased: abc`, "abc", true},
		{`F|contains: ssh`, "run ſſh now", true},
		{`F|contains: kurl`, "\u212aurl", true},
		{`F|contains: école`, "ÉCOLE", true},
		{`F|re: 'a.c'`, "xabcx", true},
		{`F|re: 'a.c'`, "ABC", false},
		{`F|re|i: 'a.c'`, "ABC", true},
		{`F|re: '^b'`, "a\nb", false},
		{`F|re|m: '^b'`, "a\nb", true},
		{`F|re: 'a.b'`, "a\nb", false},
		{`F|re|s: 'a.b'`, "a\nb", true},
		{`F|re|i|s: 'A.B'`, "a\nb", true},
		{`F|cidr: 10.0.0.0/8`, "10.1.2.3", true},
		{`F|cidr: 10.0.0.0/8`, "11.1.2.3", false},
		{`F|cidr: 'fe80::/10'`, "fe80::1%eth0", true},
		{`F|cidr: 10.0.0.0/8`, "::ffff:10.0.0.1", true},
		{`F|cidr: [10.0.0.0/8, 'fc00::/7']`, "fd00::1", true},
		{`F|base64: abc`, "YWJj", true},
		{`F|base64|contains: abc`, "xYWJjx", true},
		{`F|base64offset|contains: /bin/bash`, "eC9iaW4vYmFzaA==", true}, // x/bin/bash
		{`F|base64offset|contains: /bin/bash`, "eHgvYmluL2Jhc2g=", true}, // xx/bin/bash
		{`F|base64offset|contains: /bin/bash`, "L2Jpbi9iYXNo", true},
		{`F|wide|base64offset|contains: ping`, "cABpAG4AZwA=", true},
		{`F|utf16le|base64: ping`, "cABpAG4AZwA=", true},
		{`F|utf16be|base64: ping`, "AHAAaQBuAGc=", true},
		{`F|utf16|base64: ping`, "//5wAGkAbgBnAA==", true},
		{`F|windash|contains: ' -f'`, "x /f", true},
		{`F|windash|contains: ' -f'`, "x –F", true},
		{`F|windash|contains: 'a-f'`, "a/f", false},
		{`F|contains|windash: ' /f -g'`, "x -f ―g", true},
		{`F|exists: true`, "x", true},
		{`G|exists: true`, "x", false},
		{`G|exists: false`, "x", true},
		{`G: null`, "x", true},
		{`F: null`, "x", false},
		{`F|lt: 5`, "4.5", true},
		{`F|lte: 5`, "5", true},
		{`F|gt: 5`, "5", false},
		{`F|gte: 5`, "5", true},
		{`F|gte: 5`, "five", false},
		{`F|neq: a`, "b", true},
		{`F|neq: a`, "A", false},
		{`F|neq: [a, b]`, "b", false},
		{`F|contains|neq: a`, "bar", false},
		{`F|fieldref: E`, "E1", true},
		{`F|fieldref: E`, "E2", false},
		{`F|fieldref|neq: E`, "E2", true},
		{`F|fieldref|startswith: E`, "e1 and more", true},
		{`'|all': [abc, e1]`, "xABCx", true},
		{`'|all': [abc, e2]`, "xABCx", false},
		{`'|re': [c$, 'E\d']`, "x", true},
	} {
		set := load(t, rule(test.item))
		got := len(set.NewMatcher().Match(record("any", "F", test.value, "E", "E1"))) > 0
		if got != test.want {
			t.Errorf("%s on %q: %v", test.item, test.value, got)
		}
	}
}

func TestKeywords(t *testing.T) {
	set := load(t, strings.Replace(rule(""), "s:\n    ", "s: [one, 'two*three']\n", 1))
	m := set.NewMatcher()
	for text, want := range map[string]bool{"someone": true, "two and three": true, "three two": false} {
		if got := len(m.Match(record("x", "Unknown", text))) > 0; got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
