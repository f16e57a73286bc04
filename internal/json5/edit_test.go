package json5

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestSet(t *testing.T) {
	for _, row := range []struct{ name, text, path, literal, want string }{
		{"replaced", "{a: 1, // one\n b: 2}", "a", `true`, "{a: true, // one\n b: 2}"},
		{"the last of two", "{a: 1, 'a': 2}", "a", `3`, "{a: 1, 'a': 3}"},
		{"in an array", "{a: [{b: 1}, {b: 2}]}", "a.1.b", `0`, "{a: [{b: 1}, {b: 0}]}"},
		{"on one line", "{a: 1}", "b", `2`, "{a: 1, b: 2}"},
		{"compact", `{"a":1}`, "b", `2`, `{"a":1,"b":2}`},
		{"trailing comma", "{\n\ta: 1,\n}\n", "b", `2`, "{\n\ta: 1,\n\tb: 2,\n}\n"},
		{"no trailing comma", "{\n\ta: 1\n}\n", "b", `2`, "{\n\ta: 1,\n\tb: 2\n}\n"},
		{"comment after the last", "{\n  a: 1 // one\n}\n", "b", `2`, "{\n  a: 1, // one\n  b: 2\n}\n"},
		{"comment before the end", "{\n  a: 1,\n  // none\n}\n", "b", `2`, "{\n  a: 1,\n  // none\n  b: 2,\n}\n"},
		{"block comment on one line", "{ a: 1 /* one */ }", "b", `2`, "{ a: 1, /* one */ b: 2 }"},
		{"line comment on one line", "{ a: 1 // one\n}", "b", `2`, "{ a: 1, // one\nb: 2\n}"},
		{"CRLF", "{\r\n    \"a\": 1\r\n}\r\n", "b", `2`, "{\r\n    \"a\": 1,\r\n    \"b\": 2\r\n}\r\n"},
		{"quotes", "{'a': 1}", "b", `"x"`, `{'a': 1, 'b': "x"}`},
		{"key that needs quotes", "{a: 1}", "b-c", `2`, `{a: 1, "b-c": 2}`},
		{"empty", "{}", "a", `1`, `{"a": 1}`},
		{"empty with a comment", "{\n  // none\n}", "a", `1`, "{\n  // none\n  \"a\": 1\n}"},
		{"empty among lines", "{\n\ta: {},\n}", "a.b", `1`, "{\n\ta: {\n\t\tb: 1\n\t},\n}"},
		{"missing objects", "{\n  \"a\": 1\n}", "b.c.d", `2`, "{\n  \"a\": 1,\n  \"b\": {\n    \"c\": {\n      \"d\": 2\n    }\n  }\n}"},
		{"missing objects on one line", "{a: 1}", "b.c", `2`, "{a: 1, b: { c: 2 }}"},
		{"byte order mark", "\ufeff{a: 1}", "a", `2`, "\ufeff{a: 2}"},
	} {
		t.Run(row.name, func(t *testing.T) {
			p, err := Set([]byte(row.text), row.literal, strings.Split(row.path, ".")...)
			if err != nil {
				t.Fatal(err)
			}
			if got := apply(t, p, row.text); got != row.want {
				t.Errorf("got  %q\nwant %q", got, row.want)
			}
			checkSet(t, row.text, p, row.literal, strings.Split(row.path, "."))
		})
	}
}

func TestSetRefuses(t *testing.T) {
	for _, row := range []struct{ text, literal, path string }{
		{"{a: 1}", "tru", "a"},
		{"{a: 1}", "1 // comment", "a"},
		{"{a: 1}", "2", "a.b"},
		{"{a: [1]}", "2", "a.1"},
		{"[1]", "2", "a"},
		{"{a: 1", "2", "a"},
		{"{a: '\xff'}", "2", "a"},
	} {
		if p, err := Set([]byte(row.text), row.literal, strings.Split(row.path, ".")...); err == nil {
			t.Errorf("%q in %q gave %v", row.path, row.text, p)
		}
	}
}

func TestRemove(t *testing.T) {
	for _, row := range []struct{ name, text, want string }{
		{"only one", `["*"]`, `[]`},
		{"all", `["*", "*"]`, `[]`},
		{"first", `["*", "a"]`, `["a"]`},
		{"middle", `["a", "*", "b"]`, `["a", "b"]`},
		{"last", `["a", "*"]`, `["a"]`},
		{"last two", `["a", "*", "*"]`, `["a"]`},
		{"trailing comma", `["a", "*",]`, `["a",]`},
		{"a line of its own", "[\n  \"a\",\n  \"*\",\n  \"b\"\n]", "[\n  \"a\",\n  \"b\"\n]"},
		{"the last line", "[\n  \"a\",\n  \"*\"\n]", "[\n  \"a\"\n]"},
		{"comments stay", "[ // all\n '*' /* bad */ , // worse\n 'a'\n]", "[ // all\n  /* bad */  // worse\n 'a'\n]"},
		{"every other", `["*","a","*","b","*"]`, `["a","b"]`},
	} {
		t.Run(row.name, func(t *testing.T) {
			e, err := NewEditor([]byte(row.text))
			if err != nil {
				t.Fatal(err)
			}
			for i, el := range e.Root.Elements {
				if el.Str == "*" {
					e.Remove(e.Root, i)
				}
			}
			p, err := e.Patch()
			if err != nil {
				t.Fatal(err)
			}
			if got := apply(t, p, row.text); got != row.want {
				t.Errorf("got  %q\nwant %q", got, row.want)
			}
		})
	}
}

func TestRemoveMember(t *testing.T) {
	const text = "{\n  a: 1, // one\n  b: 2,\n  c: 3 /* three */\n}"
	for i, want := range []string{
		"{\n  // one\n  b: 2,\n  c: 3 /* three */\n}",
		"{\n  a: 1, // one\n  \n  c: 3 /* three */\n}",
		"{\n  a: 1, // one\n  b: 2 /* three */\n}",
	} {
		e, err := NewEditor([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		e.Remove(e.Root, i)
		p, err := e.Patch()
		if err != nil {
			t.Fatal(err)
		}
		if got := apply(t, p, text); got != want {
			t.Errorf("member %d:\ngot  %q\nwant %q", i, got, want)
		}
	}
}

// TestEditor makes several changes to one text.
func TestEditor(t *testing.T) {
	const text = "{\n  tools: {\n    exec: { host: 'gateway' }, // local\n  },\n  list: ['*', 'a'],\n}\n"
	const want = "{\n  tools: {\n    exec: { host: 'gateway', security: \"deny\", ask: \"always\" }, // local\n    elevated: {\n      enabled: false\n    },\n  },\n" +
		"  list: ['a'],\n  cron: {\n    enabled: false,\n    x: { }\n  },\n}\n"
	e, err := NewEditor([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range [][2]string{
		{"tools.exec.security", `"deny"`},
		{"tools.exec.ask", `"off"`},
		{"tools.exec.ask", `"always"`},
		{"tools.elevated.enabled", "false"},
		{"cron.enabled", "false"},
		{"cron.x", "{ }"},
	} {
		if err := e.Set(e.Root, set[1], strings.Split(set[0], ".")...); err != nil {
			t.Fatal(err)
		}
	}
	e.Remove(e.Root.Get("list"), 0)
	p, err := e.Patch()
	if err != nil {
		t.Fatal(err)
	}
	if got := apply(t, p, text); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for _, path := range []string{"cron", "cron.enabled.deep"} {
		if err := e.Set(e.Root, "1", strings.Split(path, ".")...); err == nil {
			t.Errorf("%q is set twice", path)
		}
	}
	if err := e.Set(e.Root, "1", "tools"); err != nil {
		t.Fatal(err)
	}
	if p, err := e.Patch(); err == nil {
		t.Errorf("a change within a replaced value gave %v", p)
	}
}

func TestApplyMismatch(t *testing.T) {
	p := Patch{{Start: 1, Old: "a", New: "b"}, {Start: 3, Old: "c", New: "d"}}
	for _, text := range []string{"", "x", "xb_c", "xa_", "xa_d"} {
		if got, err := p.Apply([]byte(text)); !errors.Is(err, ErrMismatch) {
			t.Errorf("%q became %q, %v", text, got, err)
		}
	}
}

// TestEditProperties edits texts of every style at random places.
func TestEditProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := drawText(t)
		root, err := Parse([]byte(text))
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		path := drawPath(t, root)
		literal := rapid.SampledFrom([]string{"0", "null", `"x"`, "[1, 2]", `{"k": false}`}).Draw(t, "literal")
		p, err := Set([]byte(text), literal, path...)
		if err != nil {
			t.Fatalf("%q at %q: %v", text, path, err)
		}
		checkSet(t, text, p, literal, path)
	})
}

func TestRemoveProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := drawText(t)
		e, err := NewEditor([]byte(text))
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		checkRemove(t, e, text, func(i int) bool { return rapid.Bool().Draw(t, "removed") })
	})
}

// drawText draws a text of nested objects and arrays with comments, white space, quotes and trailing commas.
func drawText(t *rapid.T) string {
	var write func(depth int) string
	space := func() string {
		return rapid.SampledFrom([]string{"", "", " ", "\n", "\r\n\t", " /* c1 */ ", "// c2\n", "\u00a0", "/* c3\n*/"}).Draw(t, "space")
	}
	list := func(depth int, open, end string, prefix func() string) string {
		text := open + space()
		n := rapid.IntRange(0, 4).Draw(t, "length")
		for i := range n {
			text += prefix() + write(depth+1) + space()
			if i < n-1 || rapid.Bool().Draw(t, "trailing comma") {
				text += "," + space()
			}
		}
		return text + end
	}
	write = func(depth int) string {
		kind := rapid.IntRange(0, 5).Draw(t, "kind")
		switch {
		case depth == 0 || kind == 0 && depth < 4:
			return list(depth, "{", "}", func() string {
				key := rapid.SampledFrom([]string{"a", "b", `"a"`, "'b'", `"d e"`, "f"}).Draw(t, "key")
				return key + space() + ":" + space()
			})
		case kind == 1 && depth < 4:
			return list(depth, "[", "]", func() string { return "" })
		}
		return rapid.SampledFrom([]string{"1", "-.5", "null", "'*'", `"//"`, `"/*"`, "0x1F", "true"}).Draw(t, "scalar")
	}
	return space() + write(0) + space()
}

// drawPath draws the path of a value or of a member that is missing.
func drawPath(t *rapid.T, root *Value) []string {
	paths := [][]string{}
	root.Walk(func(path []string, v *Value) bool {
		if root.Get(path...) != v {
			return false // hidden by a later duplicate
		}
		if len(path) > 0 {
			paths = append(paths, slices.Clone(path))
		}
		if v.Kind == Object {
			paths = append(paths, append(slices.Clone(path), "new"), append(slices.Clone(path), "n e w", "deep"))
		}
		return true
	})
	return rapid.SampledFrom(paths).Draw(t, "path")
}

type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

func apply(t failer, p Patch, text string) string {
	t.Helper()
	edited, err := p.Apply([]byte(text))
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return string(edited)
}

// checkSet holds a patch to what Set promises: the value is there, every other one and every comment is as before, and the
// inverse restores the text.
func checkSet(t failer, text string, p Patch, literal string, path []string) {
	t.Helper()
	edited := apply(t, p, text)
	after, err := Parse([]byte(edited))
	if err != nil {
		t.Fatalf("%q became %q: %v", text, edited, err)
	}
	want, err := Parse([]byte(literal))
	if err != nil {
		t.Fatalf("%q: %v", literal, err)
	}
	if got := after.Get(path...); got == nil || form(got) != form(want) {
		t.Fatalf("%q became %q: %q is not %s", text, edited, path, literal)
	}
	before, err := Parse([]byte(text))
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	if got, want := others(after, path), others(before, path); !slices.Equal(got, want) {
		t.Fatalf("%q became %q:\nothers %q\nwant   %q", text, edited, got, want)
	}
	if old := before.Get(path...); old == nil || old.Kind < Array { // a container goes with its comments
		checkComments(t, text, edited)
	}
	checkInverse(t, text, edited, p)
}

// others lists all scalars but those at or below a path, and all containers that are empty.
func others(root *Value, path []string) (list []string) {
	root.Walk(func(at []string, v *Value) bool {
		if slices.Equal(at, path) && root.Get(path...) == v {
			return false
		}
		if len(v.Members)+len(v.Elements) == 0 && (v.Kind != Object || len(at) > len(path)) {
			list = append(list, fmt.Sprintf("%q = %s", at, form(v)))
		}
		return true
	})
	return list
}

func checkInverse(t failer, text, edited string, p Patch) {
	t.Helper()
	saved, err := json.Marshal(p)
	if err != nil {
		t.Fatalf("%v", err)
	}
	var read Patch
	if err := json.Unmarshal(saved, &read); err != nil {
		t.Fatalf("%v", err)
	}
	if back := apply(t, read.Invert(), edited); back != text {
		t.Fatalf("%q became %q and then %q", text, edited, back)
	}
}

func checkComments(t failer, text, edited string) {
	t.Helper()
	if before, after := slices.Collect(Comments([]byte(text))), slices.Collect(Comments([]byte(edited))); !slices.Equal(before, after) {
		t.Fatalf("%q became %q:\ncomments %q\nwere     %q", text, edited, after, before)
	}
}

// checkRemove removes items from every array and object that is in no removed one, and checks what is left.
func checkRemove(t failer, e *Editor, text string, remove func(int) bool) {
	t.Helper()
	var want []string
	inner := 0
	var visit func(v *Value)
	visit = func(v *Value) {
		values := slices.Clone(v.Elements)
		for _, m := range v.Members {
			values = append(values, m.Value)
		}
		for i, child := range values {
			if remove(i) {
				e.Remove(v, i)
				inner += len(slices.Collect(Comments([]byte(text[v.items()[i].start:child.End]))))
				continue
			}
			if len(child.Members)+len(child.Elements) == 0 && child.Kind < Array {
				want = append(want, form(child))
			}
			visit(child)
		}
	}
	visit(e.Root)
	p, err := e.Patch()
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	edited := apply(t, p, text)
	after, err := Parse([]byte(edited))
	if err != nil {
		t.Fatalf("%q became %q: %v", text, edited, err)
	}
	var got []string
	after.Walk(func(_ []string, v *Value) bool {
		if v.Kind < Array {
			got = append(got, form(v))
		}
		return true
	})
	if e.Root.Kind < Array {
		want = append(want, form(e.Root))
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%q became %q:\nscalars %q\nwant    %q", text, edited, got, want)
	}
	if had, has := len(slices.Collect(Comments([]byte(text)))), len(slices.Collect(Comments([]byte(edited)))); has != had-inner {
		t.Fatalf("%q became %q: %d comments of %d, %d of them in what was removed", text, edited, has, had, inner)
	}
	checkInverse(t, text, edited, p)
}

// FuzzEdit adds, replaces and removes in whatever parses.
func FuzzEdit(f *testing.F) {
	for i, s := range seeds {
		f.Add([]byte(s), uint64(i)*0x9e3779b97f4a7c15)
	}
	f.Add([]byte(commented), uint64(5))
	f.Fuzz(func(t *testing.T, text []byte, choice uint64) {
		e, err := NewEditor(text)
		if err != nil || !utf8.Valid(text) || len(text) > 1<<12 {
			return
		}
		var paths [][]string
		e.Root.Walk(func(path []string, v *Value) bool {
			shown := e.Root.Get(path...) == v && len(path) < 100
			if shown {
				paths = append(paths, slices.Clone(path))
				if v.Kind == Object && v.Get("new") == nil {
					paths = append(paths, append(slices.Clone(path), "new", "deep"))
				}
			}
			return shown
		})
		path := paths[choice%uint64(len(paths))]
		p, err := Set(text, `"x"`, path...)
		if err != nil {
			t.Fatalf("%q at %q: %v", text, path, err)
		}
		checkSet(t, string(text), p, `"x"`, path)
		n := 0
		checkRemove(t, e, string(text), func(int) bool { n++; return choice>>(n%64)&1 == 1 })
	})
}

// TestEditSpeed edits a hostile text of many members in linear time.
func TestEditSpeed(t *testing.T) {
	text := "{" + strings.Repeat("a:['*',{}],", 50_000) + "}"
	e, err := NewEditor([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range e.Root.Members {
		e.Remove(m.Value, 0)
		if err := e.Set(m.Value.Elements[1], "false", "b", "c"); err != nil {
			t.Fatal(err)
		}
	}
	p, err := e.Patch()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := apply(t, p, text), "{"+strings.Repeat("a:[{b:{c:false}}],", 50_000)+"}"; got != want {
		t.Errorf("got %.100q, want %.100q", got, want)
	}
}
