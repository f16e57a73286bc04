package sigma

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// reference tells whether a rule holds for a record, the slow way: every pattern on every value, with Go's regexp.
func reference(r *Rule, n *node, rec *Record) bool {
	held := 0
	for _, kid := range n.kids {
		if reference(r, kid, rec) {
			held++
		}
	}
	switch n.op {
	case and:
		return held == len(n.kids)
	case atLeast:
		return held >= n.n
	case not:
		return held == 0
	case selected:
		return reference(r, r.selections[n.n], rec)
	}
	return referenceTest(n.test, rec) != n.test.neq
}

func referenceTest(t *test, rec *Record) bool {
	values := rec.Values(t.field)
	if t.field == "" {
		for _, v := range rec.values {
			values = append(values, v.text)
		}
	}
	switch t.kind {
	case "null":
		return len(values) == 0
	case "exists":
		return t.exists == (len(values) > 0)
	}
	found := 0
	for _, p := range t.patterns {
		if slices.ContainsFunc(values, func(v string) bool { return referencePattern(p, v) }) {
			found++
		}
	}
	if t.all {
		return found == len(t.patterns)
	}
	return found > 0
}

func referencePattern(p *pattern, text string) bool {
	if p.regex != nil {
		return p.regex.where().MatchString(text)
	}
	g, ok := p.matcher.(*glob)
	if !ok {
		_, _, ok := p.matcher.find(whole(text))
		return ok
	}
	var parts []string
	for _, part := range g.parts {
		var b strings.Builder
		for _, r := range part {
			switch r {
			case anyOne:
				b.WriteString(".")
			case anyDash:
				b.WriteString("[" + regexp.QuoteMeta(dashes) + "]")
			default:
				b.WriteString(regexp.QuoteMeta(string(r)))
			}
		}
		parts = append(parts, b.String())
	}
	expr := strings.Join(parts, ".*")
	if g.start {
		expr = `\A` + expr
	}
	if g.end {
		expr += `\z`
	}
	flags := "(?is)"
	if g.cased {
		flags = "(?s)"
	}
	return regexp.MustCompile(flags + expr).MatchString(text)
}

// agree reports a difference between a matcher and the reference.
func agree(t interface {
	Helper()
	Fatalf(string, ...any)
}, set *Set, m *Matcher, rec *Record,
) {
	t.Helper()
	matches := m.Match(rec)
	for _, r := range set.Rules() {
		got := slices.ContainsFunc(matches, func(m Match) bool { return m.Rule == r })
		category := r.Logsource.Category
		want := (category == "" || category == rec.Category) && reference(r, r.condition, rec)
		if got != want {
			t.Fatalf("rule %s (%s) on %q: %v, the reference says %v", r.Key(), r.Title, rec.values, got, want)
		}
	}
}

var (
	pieces = []string{
		"curl", "sh", "K", "k", "\u212a", "s", "ſ", "é", "É", "ß", "\U000E0041", "\u200b", "-", "/", " ", "\n", "ab", "x", "1", "\ufffd", "İ", "i",
	}
	globs   = append([]string{"*", "?", `\*`, `\\`}, pieces...)
	regexes = append([]string{
		".", ".*", "x*", "(?:curl|wget)", "(?:ab|sh|x)+", `\b`, `\s+`, `[^\n]{0,9}`, "[ab]{2,}", "^", "$", "(?i)", "(?i:Kurl)", "[Ss]h?", `(?:a|b|)`,
		`[\x{E0000}-\x{E007F}]{2,}`, `[\x{200B}\x{FEFF}]`, "[é-ö]", "(?:ab){1,7}", `\w\W`, "(?m:^)", "(?s:.)x", `\B`, `[^a-z]`,
	}, pieces...)
	texts = append([]string{"wget", "CURL", "Sh", "\xe2\x84", "\xff", "B", "*", `\`, "\ufeff", "aB"}, pieces...)
)

func joined(t *rapid.T, from []string, most int, label string) string {
	return strings.Join(rapid.SliceOfN(rapid.SampledFrom(from), 1, most).Draw(t, label), "")
}

// drawItem draws an entry of a selection, as YAML.
func drawItem(t *rapid.T) string {
	field := rapid.SampledFrom([]string{"F", "G", ""}).Draw(t, "field")
	modifier := rapid.SampledFrom([]string{"", "|contains", "|startswith", "|endswith", "|contains|all", "|re", "|re|i", "|contains|cased", "|neq", "|contains|windash", "|base64offset|contains"}).Draw(t, "modifier")
	from := globs
	switch {
	case strings.HasPrefix(modifier, "|re"):
		from = regexes
	case strings.HasPrefix(modifier, "|base64"):
		from = pieces
	case modifier == "|neq" && field == "":
		modifier = ""
	}
	var values []string
	for range rapid.IntRange(1, 3).Draw(t, "values") {
		values = append(values, fmt.Sprintf("%q", joined(t, from, 5, "value")))
	}
	return fmt.Sprintf("%q: [%s]", field+modifier, strings.Join(values, ", "))
}

// TestMatchAgreesWithReference holds random rules on random records against the reference.
func TestMatchAgreesWithReference(t *testing.T) {
	conditions := []string{"a", "a and b", "a or b", "a and not b", "not a", "1 of them", "all of them", "2 of them", "c and (a or b)", "not (a and b) and c"}
	rapid.Check(t, func(t *rapid.T) {
		var b strings.Builder
		for i := range rapid.IntRange(1, 4).Draw(t, "rules") {
			fmt.Fprintf(&b, "---\ntitle: t\nname: r%d\nlogsource: {category: %q}\ndetection:\n", i, rapid.SampledFrom([]string{"", "x"}).Draw(t, "category"))
			for _, name := range []string{"a", "b", "c"} {
				fmt.Fprintf(&b, "  %s:\n    %s\n", name, drawItem(t))
			}
			fmt.Fprintf(&b, "  condition: %s\n", rapid.SampledFrom(conditions).Draw(t, "condition"))
		}
		rules, err := Parse("r.yml", []byte(b.String()))
		if err != nil && len(rules) == 0 {
			t.Skip(err)
		}
		set, err := NewSet(rules)
		if err != nil {
			t.Fatal(err)
		}
		m := set.NewMatcher()
		for range 6 {
			rec := new(Record)
			rec.Reset(rapid.SampledFrom([]string{"x", "y"}).Draw(t, "category"))
			for range rapid.IntRange(0, 4).Draw(t, "values") {
				rec.Add(rapid.SampledFrom([]string{"F", "G", "H"}).Draw(t, "field"), joined(t, texts, 12, "text"), "")
			}
			agree(t, set, m, rec)
		}
	})
}

// TestCatalogueAgreesWithReference holds every expression of the catalogue against all samples, as they are, in the
// middle of other text, and one after another.
func TestCatalogueAgreesWithReference(t *testing.T) {
	set := catalogue(t)
	m := set.NewMatcher()
	var samples []string
	for _, r := range set.Rules() {
		for _, s := range append(r.Samples.Positive, r.Samples.Negative...) {
			for _, texts := range s {
				samples = append(samples, texts...)
			}
		}
	}
	if len(samples) < 400 {
		t.Fatalf("only %d samples", len(samples))
	}
	fields := []string{"CommandLine", "Content", "TargetFilename", "Message", "Value", "Arguments", "c-uri"}
	for i, s := range samples {
		text := []string{s, "x " + s + "\n", s + " " + samples[(i*7+3)%len(samples)]}[i%3]
		for _, category := range []string{"process_creation", "file_event"} {
			agree(t, set, m, record(category, fields[i%len(fields)], strings.ToUpper(text), "CommandLine", text, "Content", s))
		}
	}
}

// FuzzMatch holds one expression, as a regular expression and as a text with wildcards, against the reference.
func FuzzMatch(f *testing.F) {
	for i, p := range regexes {
		f.Add(p+regexes[(i*5+2)%len(regexes)], texts[i%len(texts)]+"curl ſh\nab")
	}
	f.Add(`(?i)\b(?:curl|wget)\b[^\n]{0,40}\|\s*sh\b`, "curl x |\tsh")
	f.Fuzz(func(t *testing.T, expr, text string) {
		if len(expr) > 200 || len(text) > 2000 || strings.ToValidUTF8(expr, "") != expr {
			return
		}
		quoted := "'" + strings.ReplaceAll(expr, "'", "''") + "'"
		for _, modifier := range []string{"F|re", "F|contains", "F", "F|windash|startswith"} {
			rules, err := Parse("f.yml", []byte(rule(modifier+": "+quoted)))
			if err != nil {
				continue
			}
			set, err := NewSet(rules)
			if err != nil {
				t.Fatal(err)
			}
			m := set.NewMatcher()
			rec := record("x", "F", text)
			if m.Match(rec); m.Cut() > 0 {
				continue
			}
			agree(t, set, m, rec)
		}
	})
}
