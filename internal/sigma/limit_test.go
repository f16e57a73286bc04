package sigma

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestEvidence(t *testing.T) {
	set := load(t, `
title: t
id: t
logsource: {category: x}
detection:
  image: {Image: /bin/curl}
  text: {CommandLine|re: 'se+cret'}
  word: {Content|contains: 'né*t'}
  none: {Missing|exists: true}
  condition: image and (text or word) and not none
`)
	m := set.NewMatcher()
	long := strings.Repeat("é ", 5000)
	for _, test := range []struct{ field, text, want string }{
		{"CommandLine", "a seeecret b", "seeecret"},
		{"CommandLine", long + "seecret" + long, "seecret"},
		{"Content", long + "NÉGLIGENT" + long, "NÉGLIGENT"},
	} {
		r := record("x", "Image", "/bin/curl")
		r.Add(test.field, "nothing here", "raw")
		r.Add(test.field, test.text, "decoded")
		matches := m.Match(r)
		if len(matches) != 1 {
			t.Errorf("%.20q: %d matches", test.text, len(matches))
			continue
		}
		got := matches[0]
		if got.Field != test.field || got.Layer != "decoded" || got.Text != test.text || got.Text[got.Start:got.End] != test.want || !got.Alert {
			t.Errorf("%.20q: field %s, layer %s, %q", test.text, got.Field, got.Layer, got.Text[got.Start:got.End])
		}
	}
}

// TestLongValues has the start and the end of a value looked at that is too long, and the rest counted.
func TestLongValues(t *testing.T) {
	set := load(t, rule("F|contains: needle")+"---\n"+
		"title: r\nname: re\nlogsource: {category: x}\ndetection: {s: {F|re: '(?m)^needle.?$'}, condition: s}\n---\n"+
		"title: s\nname: start\nlogsource: {category: x}\ndetection: {s: {F|startswith: needle}, condition: s}\n---\n"+
		"title: a\nname: anchored\nlogsource: {category: x}\ndetection: {s: {F|re: '^needle'}, condition: s}\n---\n"+
		"title: e\nname: end\nlogsource: {category: x}\ndetection: {s: {F|re: 'needle$'}, condition: s}\n")
	filler := strings.Repeat("haystack ", 3*maxScan/9)
	m := set.NewMatcher()
	for text, want := range map[string]string{
		"needle\n" + filler:                        "[t re start anchored]",
		filler + "\nneedle":                        "[t re end]",
		filler + "\nneedle\n" + filler:             "[]",
		filler + "needles":                         "[t]",
		filler[:maxScan/2] + "needle":              "[t end]",
		filler[:maxScan*3/4-6] + "needle":          "[t end]",
		filler[:maxScan/4*3-6] + "needle" + filler: "[t]",
	} {
		cut := m.Cut()
		var got []string
		for _, match := range m.Match(record("x", "F", text)) {
			got = append(got, match.Rule.Key())
			if match.Text[match.Start:match.End] != "needle" {
				t.Errorf("the evidence is %q", match.Text[match.Start:match.End])
			}
		}
		if fmt.Sprint(got) != want || (m.Cut() > cut) != (len(text) > maxScan) {
			t.Errorf("%.10q… of %d bytes: %v, want %s; %d cut", text, len(text), got, want, m.Cut()-cut)
		}
	}
}

// hostile returns texts that are made to be dear to match.
func hostile() map[string]string {
	texts := make(map[string]string)
	var seed uint64 = 1
	next := func(n int) int {
		seed = seed*6364136223846793005 + 1442695040888963407
		return int(seed>>33) % n
	}
	random := func(n int, words ...string) string {
		var b strings.Builder
		for b.Len() < n {
			b.WriteString(words[next(len(words))])
			b.WriteString(strings.Repeat("x", next(9)))
			b.WriteString(" "[next(2):])
		}
		return b.String()
	}
	for _, size := range []int{64 << 10, 3 << 20} {
		texts[fmt.Sprint("downloads ", size)] = random(size, "curl ", "chmod 755 ", "; ", "wget ", "&& ", "|", " sh")
		texts[fmt.Sprint("interpreters ", size)] = random(size, "python -c ", "socket ", "perl -e ", "dup2 ", "urlopen ", "exec( ", "eval(")
		texts[fmt.Sprint("instructions ", size)] = random(size, "agent ", "must ", "run ", "display:none", ">", "ignore ", "<!--", "https://x ", "fetch ", "setup ", "base64 ", ".zip")
		texts[fmt.Sprint("base64 ", size)] = random(size, "QUJD", "abcd+/", "ZZZZ", "=", "''", `""`)
		texts[fmt.Sprint("invisible ", size)] = random(size, "\u200b", "a\u200b", "\U000E0041", "\ufe0f", "\u202e", "ſ", "\u212a", "\xf3\xa0")
	}
	return texts
}

// TestHostileTextIsBounded has each record stay within its units, whatever it holds, say so if that cuts it, and come
// to the same whether or not other records have been before.
func TestHostileTextIsBounded(t *testing.T) {
	set := catalogue(t)
	used := set.NewMatcher()
	cut := 0
	texts := hostile()
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		text := texts[name]
		for _, category := range []string{"process_creation", "tool_result"} {
			rec := record(category, "CommandLine", text, "Content", text)
			fresh := set.NewMatcher()
			want, got := results(fresh.Match(rec)), results(used.Match(rec))
			if want != got {
				t.Errorf("%s: %s, after other records %s", name, want, got)
			}
			before := used.Cut()
			again := results(used.Match(rec))
			if again != want || used.Cut()-before != fresh.Cut() {
				t.Errorf("%s: %s with %d cut, again %s with %d cut", name, want, fresh.Cut(), again, used.Cut()-before)
			}
			if fresh.budget.units < -maxUnits/10 {
				t.Errorf("%s: %d units too many", name, -fresh.budget.units)
			}
			if len(text) > maxScan && fresh.Cut() == 0 {
				t.Errorf("%s: not said to be cut", name)
			}
			cut += int(fresh.Cut())
		}
	}
	if cut == 0 {
		t.Error("nothing was cut, so the limits have not been tried")
	}
}

func results(matches []Match) string {
	var b strings.Builder
	for _, m := range matches {
		fmt.Fprintf(&b, "%s:%s:%d-%d ", m.Rule.Key(), m.Field, m.Start, m.End)
	}
	return b.String()
}

// BenchmarkHostile is what the dearest records cost, each once and with nothing known from others.
func BenchmarkHostile(b *testing.B) {
	set := catalogue(b)
	texts := hostile()
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		b.Run(strings.ReplaceAll(name, " ", "-"), func(b *testing.B) {
			rec := record("process_creation", "CommandLine", texts[name], "Content", texts[name])
			for b.Loop() {
				m := set.NewMatcher()
				m.Match(rec)
			}
		})
	}
}

// TestSpentBudgetIsCounted has an automaton come to a new state with every byte. It must be given up, be counted, and
// keep neither other rules from matching nor the next record from being looked through.
func TestSpentBudgetIsCounted(t *testing.T) {
	set := load(t, rule("F|re: 'x[^y]{300}z'")+"---\n"+strings.Replace(rule("F|contains: needle"), "id: t", "id: other", 1))
	var b strings.Builder
	for i := uint32(1); b.Len() < 200_000; i = i*1664525 + 1013904223 {
		b.WriteString("x" + strings.Repeat("a", int(i>>24)%7))
	}
	m := set.NewMatcher()
	for range 3 {
		cut := m.Cut()
		if got := results(m.Match(record("x", "F", b.String()+" needle", "F", b.String()))); !strings.HasPrefix(got, "other:F:") || m.Cut() != cut+2 {
			t.Errorf("%s with %d cut, want the other rule and 2 values", got, m.Cut()-cut)
		}
		short := "x" + strings.Repeat("a", 300) + "z"
		if got := results(m.Match(record("x", "F", short))); got != "t:F:0-302 " || m.Cut() != cut+2 {
			t.Errorf("afterwards: %s", got)
		}
	}
}

// TestParseIsBounded reads files that are small and stand for much. Each took minutes, or gigabytes, before it was refused.
func TestParseIsBounded(t *testing.T) {
	head := func(n int) string { return fmt.Sprintf("title: t\nname: n%d\nlogsource: {category: x}\n", n) }
	rule := func(selection, condition string) string {
		return head(0) + "detection:\n  s: {" + selection + "}\n  condition: " + condition + "\n"
	}
	list := func(format string, n int) string {
		var text strings.Builder
		for i := range n {
			fmt.Fprintf(&text, format, i)
		}
		return text.String()
	}
	for name, test := range map[string]struct{ text, want string }{
		"a global with many values": {
			"action: global\ndetection:\n  s:\n    F:\n" + list("    - z%d\n", 40_000) + "  condition: s\n---\n" + list("title: t\nname: n%d\n---\n", 900), "values",
		},
		"aliases in many documents": {
			strings.Repeat("a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n---\n", 900), "values",
		},
		"one condition many times":  {rule("F: a", "\n  - &a "+strings.Repeat("not ", 900)+"s\n"+strings.Repeat("  - *a\n", 10_000)), "values"},
		"all selections many times": {head(0) + "detection:\n" + list("  s%d: {F: a}\n", 4000) + "  condition: " + strings.TrimSuffix(strings.Repeat("1 of s* or ", 240), " or ") + "\n", "values"},
		"a long pattern of names":   {rule("F: a", "1 of "+strings.Repeat("*a", 100_000)), "longer than"},
		"encodings of encodings":    {rule("F"+strings.Repeat("|base64", 70)+"|contains: a", "s"), "encodings"},
		"a long text many times":    {rule("F|re: '("+strings.Repeat("a", 3000)+"){1000}'", "s"), "instructions"},
		"many large expressions":    {rule("F|re: ["+list("'[a-f]{0,900}x%d.{0,900}',", 10_000)+"]", "s"), "instructions of regular expressions"},
		"rules of several files":    {"", "documents"},
	} {
		_, err := Parse("f", []byte(test.text))
		if test.text == "" {
			_, err = Parser{Budget: &Budget{rules: 1, values: 100}}.Parse("f", []byte(list("a: %d\n---\n", 3)))
		}
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %.200v", name, err)
		}
	}
}
