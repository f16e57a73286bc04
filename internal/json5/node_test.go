package json5

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/clawbook/openclaw-ir/internal/statetest"
)

// seeds are texts, right and wrong, from which the near misses of the differential test are made.
var seeds = []string{
	`{gateway: {auth: {token: "short-FAKE", mode: 'token'}, port: 18789,},}`,
	"// a comment\n{ /* and * another **/ a: 1, // end\n b: 2 }\n/**/",
	"{a: 1, a: 2, 'a': 3, __proto__: 4, constructor: 5}",
	`["a\tb\n\v\0\x41\u00e9\'\"\/\q", 'it"s', "it's"]`,
	"['one \\\ntwo \\\r\nthree \\\rfour \\\u2028five \\\u2029six']",
	`["\ud83d\ude00", "\ud83d", "\ude00\ud83d", "\ud83dx\ude00", "\ud83d\ud83d\ude00"]`,
	"['\\ud83d\\\n\\ude00']",
	"\ufeff{a\u00a0:\u2003[\u30001\u202f,\u20282\u2029]}\ufeff",
	`{ünïcode: 1, $_a1: 2, \u0061b: 3, a\u0062: 4, \u{61}: 5}`,
	`{a\u200cb: 1, Ⅷ: 2, ́a: 3, á: 4, a‿b: 5}`,
	`[0, -0, +0, 1, -1, +1, 0.5, .5, 5., -.5, +5., 00, 01, -01]`,
	`[1e5, 1E+5, 1e-5, .5e1, 5.e1, 0e0, 1e400, -1e400, 1e-400, 1e, .e1, .]`,
	`[0x0, -0x0, 0XfF, 0xdeadBEEF, 0x, 0xg, 0x1.5, 0xffffffffffffffffffff]`,
	`[Infinity, -Infinity, +Infinity, NaN, -NaN, +NaN, infinity, Nan]`,
	`[9007199254740993, 0x20000000000001, 0x20000000000003, 1.7976931348623159e308, 5e-324, 2.5e-324]`,
	`[null, true, false, nul, tru, falsey, undefined]`,
	`[,]`, `[1,,2]`, `{,}`, `{a:1,,}`, `[1 2]`, `{a 1}`, `{a: }`, `{1: 2}`, `{-a: 1}`,
	`{"": "", '': ''}`, "\"\u2028\u2029\"", "\"a\nb\"", "\"a\x00b\x1fc\x7f\"", `"\1"`, `"\08"`, `"\x4"`, `"\u12"`,
	`/`, `/* open`, `// only`, ``, ` `, `"open`, `'open\`, `{`, `[`, `}`, `null null`, `nulltrue`, `{}[]`, "\\", `'\u00`,
	"{\"a\": \"\xff\xc3\", b: '\xf0\x9f\x98\x80'} // \xe2\x82",
}

// nearMisses returns every text that is one byte cut, doubled or swapped with its neighbour away from text.
func nearMisses(text string) []string {
	misses := []string{text}
	for i := range len(text) {
		misses = append(misses, text[:i]+text[i+1:], text[:i+1]+text[i:])
		if i > 0 {
			misses = append(misses, text[:i-1]+text[i:i+1]+text[i-1:i]+text[i+1:])
		}
	}
	return misses
}

// A question is what testdata/node.js answers.
type question struct {
	Text    []byte    `json:"text"`
	After   []byte    `json:"after,omitempty"`
	Set     *set      `json:"set,omitempty"`
	Removed []removal `json:"removed,omitempty"`
}

type set struct {
	Path    []string `json:"path"`
	Literal string   `json:"literal"`
}

type removal struct {
	Path    []string `json:"path"`
	Indexes []int    `json:"indexes"`
}

// askNode puts all questions to one process.
func askNode(t *testing.T, questions []question) []string {
	t.Helper()
	env := append(os.Environ(), "NODE_PATH="+os.Getenv("JSON5_NODE_PATH"))
	probe := exec.Command("node", "-e", `require("json5")`)
	probe.Env = env
	if err := probe.Run(); err != nil {
		t.Skipf("Node's json5 is not to be had (set JSON5_NODE_PATH to a node_modules folder that has it): %v", err)
	}
	script, err := os.ReadFile("testdata/node.js")
	if err != nil {
		t.Fatal(err)
	}
	var input bytes.Buffer
	for _, q := range questions {
		if err := json.NewEncoder(&input).Encode(q); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("node", "-e", string(script))
	cmd.Env, cmd.Stdin, cmd.Stderr = env, &input, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	answers := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(answers) != len(questions) {
		t.Fatalf("node gave %d answers to %d questions", len(answers), len(questions))
	}
	return answers
}

// generated is how many texts of each sort are made up.
func generated() int {
	if os.Getenv("OPENCLAW_IR_LONG_TEST") == "1" {
		return 10_000
	}
	return 1_000
}

// TestSameAsNode holds the parser and the editor to Node's json5, with which every release of OpenClaw reads its configuration.
func TestSameAsNode(t *testing.T) {
	real := configs(t)
	t.Run("read", func(t *testing.T) { checkReadAsNode(t, real) })
	t.Run("edited", func(t *testing.T) { checkEditedAsNode(t, real) })
}

// checkReadAsNode reads near misses of each rule of the grammar, real files and mutations of them, the fuzzers' finds, and made-up texts.
func checkReadAsNode(t *testing.T, real []string) {
	var texts []string
	for _, s := range seeds {
		texts = append(texts, nearMisses(s)...)
	}
	texts = append(append(texts, fuzzed(t)...), real...)
	draw, soup, mutate := rapid.Custom(drawText), rapid.Custom(drawTokens), rapid.Custom(func(t *rapid.T) string { return drawMutation(t, real) })
	for i := range generated() {
		texts = append(texts, draw.Example(i), soup.Example(i), mutate.Example(i))
	}
	questions := make([]question, len(texts))
	for i, text := range texts {
		questions[i].Text = []byte(text)
	}
	accepted := 0
	for i, want := range askNode(t, questions) {
		got, text := "error", texts[i]
		if v, err := Parse([]byte(text)); err == nil {
			got = form(v)
			accepted++
		}
		switch {
		case got == want:
		case !utf8.ValidString(text) && want != "error" && got != "error":
			// Node replaces a cut character by one U+FFFD, Go by one a byte
		default:
			t.Errorf("%.2000q:\n got %.2000s\nwant %.2000s", text, got, want)
		}
	}
	t.Logf("%d texts, %d accepted, %d real", len(texts), accepted, len(real))
	if len(real) < 100 || accepted < len(texts)/5 || accepted > len(texts)*4/5 {
		t.Error("the texts are no longer of both sorts")
	}
}

// checkEditedAsNode has Node make the same change to what it read, and compare.
func checkEditedAsNode(t *testing.T, real []string) {
	edit := rapid.Custom(func(t *rapid.T) question {
		text := rapid.OneOf(rapid.Custom(drawText), rapid.SampledFrom(real)).Draw(t, "text")
		if rapid.Bool().Draw(t, "removes") {
			return drawRemoval(t, text)
		}
		return drawSet(t, text)
	})
	questions := make([]question, 2*generated())
	for i := range questions {
		questions[i] = edit.Example(i)
	}
	for i, answer := range askNode(t, questions) {
		if q := questions[i]; answer != "same" {
			t.Errorf("%.2000q became %.2000q by %+v %+v:\n%.4000s", q.Text, q.After, q.Set, q.Removed, answer)
		}
	}
}

func drawSet(t *rapid.T, text string) question {
	root, err := Parse([]byte(text))
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	path := drawPath(t, root)
	literal := rapid.SampledFrom([]string{"0", "null", `"x\u2028\"'"`, "[1, 2]", `{"k": false, "__proto__": {}}`}).Draw(t, "literal")
	p, err := Set([]byte(text), literal, path...)
	if err != nil {
		t.Fatalf("%q at %q: %v", text, path, err)
	}
	return question{Text: []byte(text), After: []byte(apply(t, p, text)), Set: &set{path, literal}}
}

// drawRemoval takes elements out of arrays, none of which lies in another one that goes.
func drawRemoval(t *rapid.T, text string) question {
	e, err := NewEditor([]byte(text))
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	q := question{Text: []byte(text), Removed: []removal{}}
	gone := map[*Value]bool{}
	e.Root.Walk(func(path []string, v *Value) bool {
		if gone[v] || e.Root.Get(path...) != v {
			return false // hidden by a later duplicate
		}
		var indexes []int
		for i, element := range v.Elements {
			if rapid.IntRange(0, 2).Draw(t, "goes") == 0 {
				e.Remove(v, i)
				gone[element] = true
				indexes = append(indexes, i)
			}
		}
		if len(indexes) > 0 {
			q.Removed = append(q.Removed, removal{slices.Clone(path), indexes})
		}
		return true
	})
	p, err := e.Patch()
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	q.After = []byte(apply(t, p, text))
	return q
}

// configs returns every distinct JSON file of the real states and scenarios, of at most 64 kB.
func configs(t *testing.T) (texts []string) {
	t.Helper()
	var dirs []string
	for _, name := range statetest.Versions() {
		dirs = append(dirs, statetest.Root(t, name))
	}
	for _, name := range statetest.Scenarios() {
		dirs = append(dirs, statetest.Scenario(t, name))
	}
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() || !strings.Contains(filepath.Base(name)+".", ".json.") {
				return err
			}
			data, err := os.ReadFile(name)
			if len(data) <= 64<<10 {
				texts = append(texts, string(data))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(texts)
	return slices.Compact(texts)
}

// fuzzed returns the texts of the committed corpora.
func fuzzed(t *testing.T) (texts []string) {
	t.Helper()
	names, err := filepath.Glob("testdata/fuzz/*/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		_, quoted, _ := strings.Cut(string(data), "[]byte(")
		quoted, _, _ = strings.Cut(quoted, ")\n")
		text, err := strconv.Unquote(quoted)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		texts = append(texts, text)
	}
	return texts
}

// pieces are of every sort that the grammar tells apart, and such as it does not know.
var pieces = []string{
	"{", "}", "[", "]", ":", ",", "//", "/*", "*/", "*", "/", "\n", "\r", "\r\n", "\u2028", "\u2029", "\ufeff", "\u00a0", "\u180e", "\u200b", "\u0085", "\v", "\f", "\x00",
	`"`, "'", "`", "\\", `\u`, `\x`, `\u0061`, `\ud83d`, `\ude00`, `\0`, `\x4`, `\u{61}`, `"a"`, `'a'`, `"\q"`, "'\\\n'", "é", "🦞", "Ⅷ", "\u0301", "\u200d", "_", "$", "#", "@",
	"0", "1", "9", "00", "01", ".", "+", "-", "e", "E", "e+", "0x", "0X1f", "1e5", ".5", "5.", "-.5", "1_0", "1n", "0b1", "0o7", "Infinity", "-Infinity", "NaN", "undefined",
	"null", "true", "false", "nul", "a", "ab", "__proto__", "constructor", "if", "a-b", "\xff", "\xc3", "\xed\xa0\xbd",
}

// drawTokens strings pieces together, so that most texts break one rule or other.
func drawTokens(t *rapid.T) string {
	return strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 8).Draw(t, "pieces"), "")
}

// drawMutation changes a few places of a real file, and may keep only a part of it.
func drawMutation(t *rapid.T, real []string) string {
	text := rapid.SampledFrom(real).Draw(t, "file")
	for range rapid.IntRange(1, 3).Draw(t, "changes") {
		at := rapid.IntRange(0, len(text)).Draw(t, "at")
		if structure := strings.IndexAny(text[at:], `{}[],:"`); structure >= 0 && rapid.Bool().Draw(t, "at structure") {
			at += structure + rapid.IntRange(0, 1).Draw(t, "after it")
		}
		end := min(len(text), at+rapid.IntRange(0, 3).Draw(t, "cut"))
		text = text[:at] + rapid.SampledFrom(pieces).Draw(t, "piece") + text[end:]
	}
	return text
}

// form writes v as testdata/node.js does.
func form(v *Value) string {
	switch v.Kind {
	case Null:
		return "null"
	case Bool:
		return fmt.Sprint(v.Bool)
	case Number:
		if math.IsNaN(v.Num) {
			return "NaN"
		}
		return fmt.Sprintf("%016x", math.Float64bits(v.Num))
	case String:
		return fmt.Sprintf(`"%x"`, v.Str)
	case Array:
		parts := make([]string, len(v.Elements))
		for i, e := range v.Elements {
			parts[i] = form(e)
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	last := map[string]string{}
	for _, m := range v.Members {
		last[m.Key] = form(m.Value)
	}
	parts := make([]string, 0, len(last))
	for key, value := range last {
		parts = append(parts, fmt.Sprintf(`"%x":%s`, key, value))
	}
	slices.Sort(parts)
	return "{" + strings.Join(parts, ",") + "}"
}
