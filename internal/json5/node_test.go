package json5

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
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

func TestSameAsNode(t *testing.T) {
	var texts []string
	var input bytes.Buffer
	for _, s := range seeds {
		texts = append(texts, nearMisses(s)...)
	}
	for _, text := range texts {
		fmt.Fprintln(&input, base64.StdEncoding.EncodeToString([]byte(text)))
	}
	answers := strings.Split(strings.TrimSuffix(runNode(t, &input), "\n"), "\n")
	if len(answers) != len(texts) {
		t.Fatalf("node gave %d answers to %d texts", len(answers), len(texts))
	}
	accepted := 0
	for i, text := range texts {
		got := "error"
		if v, err := Parse([]byte(text)); err == nil {
			got = form(v)
			accepted++
		}
		want := answers[i]
		if !utf8.ValidString(text) && want != "error" && got != "error" {
			continue // Node replaces a cut character by one U+FFFD, Go by one a byte
		}
		if got != want {
			t.Errorf("%q:\n got %s\nwant %s", text, got, want)
		}
	}
	t.Logf("%d texts, %d accepted", len(texts), accepted)
}

func runNode(t *testing.T, input *bytes.Buffer) string {
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
	cmd := exec.Command("node", "-e", string(script))
	cmd.Env, cmd.Stdin = env, input
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
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
