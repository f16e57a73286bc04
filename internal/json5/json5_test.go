package json5

import (
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// commented is a configuration as people write it.
const commented = "\ufeff// gateway\n{\n  gateway: { auth: { token: 'short-FAKE', /* old */ 'token' : \"sk-\\x46AKE\" } },\n" +
	"  'l\\u00efst': [1, +.5, -0x10, Infinity, null, true,],\n}\n"

func mustParse(t *testing.T, src string) *Value {
	t.Helper()
	v, err := Parse([]byte(src))
	if err != nil {
		t.Fatalf("%q: %v", src, err)
	}
	return v
}

func TestPositions(t *testing.T) {
	root := mustParse(t, commented)
	for path, want := range map[string]string{
		"":                   commented[len("\ufeff// gateway\n") : len(commented)-1],
		"gateway.auth.token": `"sk-\x46AKE"`,
		"lïst":               "[1, +.5, -0x10, Infinity, null, true,]",
		"lïst.1":             "+.5",
		"lïst.2":             "-0x10",
		"lïst.3":             "Infinity",
		"lïst.5":             "true",
	} {
		v := root.Get(strings.FieldsFunc(path, func(r rune) bool { return r == '.' })...)
		if v == nil {
			t.Fatalf("%q: no such value", path)
		}
		if got := commented[v.Start:v.End]; got != want {
			t.Errorf("%q stands at %q, want %q", path, got, want)
		}
	}
	m := root.Members[1]
	if got := commented[m.KeyStart:m.KeyEnd]; got != `'l\u00efst'` {
		t.Errorf("the key stands at %q", got)
	}
}

func TestGet(t *testing.T) {
	root := mustParse(t, commented)
	if got := root.Get("gateway", "auth", "token").Str; got != "sk-FAKE" {
		t.Errorf("the last duplicate is %q", got)
	}
	for _, path := range [][]string{
		{"nothing"},
		{"gateway", "nothing", "deeper"},
		{"lïst", "6"},
		{"lïst", "-1"},
		{"lïst", "01"},
		{"lïst", "+1"},
		{"lïst", "0", "0"},
		{"lïst", "99999999999999999999"},
	} {
		if v := root.Get(path...); v != nil {
			t.Errorf("%q found %v", path, v)
		}
	}
	if (*Value)(nil).Get("a") != nil {
		t.Error("nothing holds something")
	}
}

func TestWalk(t *testing.T) {
	var seen []string
	mustParse(t, `{a: {b: 1, b: 2}, skip: [{c: 3}], d: [4, [5]]}`).Walk(func(path []string, _ *Value) bool {
		seen = append(seen, strings.Join(path, "."))
		return !slices.Contains(path, "skip")
	})
	want := []string{"", "a", "a.b", "a.b", "skip", "d", "d.0", "d.1", "d.1.0"}
	if !slices.Equal(seen, want) {
		t.Errorf("walked %q, want %q", seen, want)
	}
}

func TestNumbers(t *testing.T) {
	for src, want := range map[string]float64{
		"0x20000000000001": 1 << 53, "0x20000000000003": 1<<53 + 4, "1e400": math.Inf(1), "-Infinity": math.Inf(-1),
		"5.": 5, "+.5e1": 5, "0XfF": 255, "-0": math.Copysign(0, -1), "-0x0": math.Copysign(0, -1),
	} {
		if got := mustParse(t, src).Num; math.Float64bits(got) != math.Float64bits(want) {
			t.Errorf("%s is %v, want %v", src, got, want)
		}
	}
	if got := mustParse(t, "-NaN").Num; !math.IsNaN(got) {
		t.Errorf("-NaN is %v", got)
	}
}

func TestStrings(t *testing.T) {
	for src, want := range map[string]string{
		`'\ud83d\ude00'`: "😀", `'\ud83d'`: "\ufffd", `'\ude00x'`: "\ufffdx", `'\ud83d\ud83d\ude00'`: "\ufffd😀",
		"'\\ud83d\\\n\\ude00'": "😀", "'a\\\r\nb'": "ab", `'\x41\v\0\q"'`: "A\v\x00q\"", "'\xff'": "\ufffd", "'\u2028'": "\u2028",
	} {
		if got := mustParse(t, src).Str; got != want {
			t.Errorf("%s is %q, want %q", src, got, want)
		}
	}
}

func TestSyntaxErrors(t *testing.T) {
	for _, row := range []struct {
		src                  string
		offset, line, column int
	}{
		{"", 0, 1, 1},
		{"{\n  ä: 'ö' x}", 13, 2, 10},
		{"[1,\n2", 5, 2, 2},
		{"/* open", 7, 1, 8},
		{"'a\nb'", 2, 1, 3},
		{"{\\u0020a: 1}", 1, 1, 2},
		{strings.Repeat("[", MaxDepth+1), MaxDepth, 1, MaxDepth + 1},
	} {
		_, err := Parse([]byte(row.src))
		var syntax *SyntaxError
		if !errors.As(err, &syntax) {
			t.Fatalf("%.20q: %v", row.src, err)
		}
		if syntax.Offset != row.offset || syntax.Line != row.line || syntax.Column != row.column {
			t.Errorf("%.20q: %v at offset %d, want %d:%d at %d", row.src, err, syntax.Offset, row.line, row.column, row.offset)
		}
	}
}

// TestMostValues: as many as are allowed are read, and one more is an error.
func TestMostValues(t *testing.T) {
	src := "[" + strings.Repeat("0,", MaxValues-1) + "]"
	mustParse(t, src)
	if _, err := Parse([]byte(src[:len(src)-1] + "0]")); err == nil || !strings.Contains(err.Error(), "more than 1048576 values") {
		t.Errorf("one more: %v", err)
	}
}

func TestDeepest(t *testing.T) {
	mustParse(t, strings.Repeat("[", MaxDepth)+strings.Repeat("]", MaxDepth))
}

// TestLinear reads hostile texts of 200 kB each; a parser with a quadratic path would need minutes for all.
func TestLinear(t *testing.T) {
	start := time.Now()
	for _, piece := range []string{"[", "{a:", "/**/", "'", `'\`, "0x", "1", "a", `\u0061`, " ", "'',", "//\n", "[0,"} {
		Parse([]byte(strings.Repeat(piece, 200_000/len(piece))))
		Parse([]byte("{k:[" + strings.Repeat(piece, 200_000/len(piece))))
	}
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("took %v", took)
	}
}

// TestReadsJSON holds the parser against encoding/json on texts that are JSON.
func TestReadsJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.MapOf(rapid.String(), rapid.SliceOf(rapid.OneOf(
			rapid.String().AsAny(), rapid.Float64().AsAny(), rapid.Bool().AsAny(), rapid.Just(any(nil)),
		))).Draw(t, "object")
		src, err := json.Marshal(want)
		if err != nil {
			t.Skip("not JSON")
		}
		v, err := Parse(src)
		if err != nil {
			t.Fatalf("%q: %v", src, err)
		}
		if got, err := json.Marshal(plain(v)); err != nil || string(got) != string(src) {
			t.Fatalf("got %s, want %s", got, src)
		}
	})
}

// plain turns v into what encoding/json would have made of it.
func plain(v *Value) any {
	switch v.Kind {
	case Bool:
		return v.Bool
	case Number:
		return v.Num
	case String:
		return v.Str
	case Array:
		list := make([]any, len(v.Elements))
		for i, e := range v.Elements {
			list[i] = plain(e)
		}
		return list
	case Object:
		object := make(map[string]any)
		for _, m := range v.Members {
			object[m.Key] = plain(m.Value)
		}
		return object
	}
	return nil
}

// FuzzParse checks that every value can be read again from its own bytes, that children lie within their
// parents in order, and that the gaps between them hold no value.
func FuzzParse(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Add([]byte(commented))
	f.Fuzz(func(t *testing.T, src []byte) {
		root, err := Parse(src)
		if err != nil {
			var syntax *SyntaxError
			if !errors.As(err, &syntax) || syntax.Offset > len(src) || syntax.Line < 1 || syntax.Column < 1 {
				t.Fatalf("error %#v", err)
			}
			return
		}
		checked := 0
		root.Walk(func(path []string, v *Value) bool {
			if checked++; checked > 50 {
				return false
			}
			again, err := Parse(src[v.Start:v.End])
			if err != nil || form(again) != form(v) {
				t.Fatalf("%q: %q read again: %v", path, src[v.Start:v.End], err)
			}
			checkOrder(t, v)
			return true
		})
	})
}

func checkOrder(t *testing.T, v *Value) {
	last := v.Start
	step := func(start, end int) {
		if start < last || end <= start || end > v.End {
			t.Fatalf("%d:%d is out of order after %d in %d:%d", start, end, last, v.Start, v.End)
		}
		last = end
	}
	for _, m := range v.Members {
		step(m.KeyStart, m.KeyEnd)
		step(m.Value.Start, m.Value.End)
	}
	for _, e := range v.Elements {
		step(e.Start, e.End)
	}
}

func BenchmarkParse(b *testing.B) {
	src := []byte("[" + strings.Repeat(strings.ReplaceAll(commented, "\ufeff", "")+",", 1000) + "]")
	b.SetBytes(int64(len(src)))
	for b.Loop() {
		if _, err := Parse(src); err != nil {
			b.Fatal(err)
		}
	}
}
