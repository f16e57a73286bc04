package rotate

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// envText makes files that are nearly as people and programs write them.
func envText() *rapid.Generator[string] {
	name := rapid.SampledFrom([]string{"TOKEN", "TOKEN", "OTHER", "TOKEN_2", "xTOKEN"})
	lead := rapid.SampledFrom([]string{"", "", "export ", " ", "# "})
	equal := rapid.SampledFrom([]string{"=", "=", " = ", ": ", "= "})
	value := rapid.SampledFrom([]string{"", "abc", "'abc'", `"abc"`, "`abc`", "a#b", "'a#b'", "a b", `"a\nb"`, "$X", "a;b", `"abc`, "'a'b", "a=b", "abc\\"})
	tail := rapid.SampledFrom([]string{"", "", " ", " # c", "#c", ";", " x", "; export Y=1"})
	end := rapid.SampledFrom([]string{"\n", "\n", "\r\n", "\n\n"})
	return rapid.Custom(func(t *rapid.T) string {
		var b strings.Builder
		for range rapid.IntRange(1, 5).Draw(t, "lines") {
			b.WriteString(lead.Draw(t, "lead") + name.Draw(t, "name") + equal.Draw(t, "equal") + value.Draw(t, "value") + tail.Draw(t, "tail") + end.Draw(t, "end"))
		}
		return b.String()
	})
}

// replaced is an edit that was made: what reads the file must see it, and nothing else.
type replaced struct{ Before, After string }

func replacements(t *testing.T, syntax Syntax) (list []replaced) {
	t.Helper()
	p := Place{Syntax: syntax, Name: "TOKEN"}
	gen := envText()
	for seed := range 2000 {
		before := gen.Example(seed)
		if after, err := p.replace([]byte(before), "NEW+/="); err == nil {
			list = append(list, replaced{before, string(after)})
		}
	}
	if len(list) < 200 {
		t.Fatalf("%d of 2000 texts could be edited", len(list))
	}
	return list
}

// check compares what a reader sees before and after.
func check(t *testing.T, r replaced, before, after map[string]string) {
	t.Helper()
	if before["TOKEN"] == "" {
		return // it was not set for this reader, and need not be
	}
	want := maps.Clone(before)
	want["TOKEN"] = "NEW+/="
	if !maps.Equal(after, want) {
		t.Errorf("%q became %q, which reads as %q, want %q", r.Before, r.After, after, want)
	}
}

// TestDotenvLikeTheReference reads what was edited with the dotenv that OpenClaw itself uses, from the cache of the gateway tests.
func TestDotenvLikeTheReference(t *testing.T) {
	base, err := os.UserCacheDir()
	if err != nil {
		t.Skip(err)
	}
	nodes, _ := filepath.Glob(filepath.Join(base, "openclaw-ir-test", "20*", "node_modules/node-linux-*/bin/node"))
	dotenv, _ := filepath.Glob(filepath.Join(base, "openclaw-ir-test", "20*", "node_modules/dotenv/lib/main.js"))
	if len(nodes) == 0 || len(dotenv) == 0 {
		t.Skip("no release in the cache: run the gateway test of cmd/openclaw-ir first")
	}
	list := replacements(t, InDotenv)
	input, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	const script = `const {parse} = require(process.argv[1]);
		const list = JSON.parse(require("fs").readFileSync(0));
		console.log(JSON.stringify(list.map(r => [parse(r.Before), parse(r.After)])))`
	cmd := exec.Command(nodes[0], "-e", script, dotenv[0])
	cmd.Stdin = bytes.NewReader(input)
	out, err := cmd.Output()
	var read [][2]map[string]string
	if err == nil {
		err = json.Unmarshal(out, &read)
	}
	if err != nil || len(read) != len(list) {
		t.Fatal(err, len(read))
	}
	for i, r := range list {
		check(t, r, read[i][0], read[i][1])
	}
}

// TestShellReads does the same with a shell, which reads a profile.
func TestShellReads(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip(err)
	}
	list := replacements(t, InShell)
	// Each text is read by a shell of its own, and two marks that no text holds stand around what it then knows.
	var script bytes.Buffer
	for _, r := range list {
		for _, text := range []string{r.Before, r.After} {
			text = strings.ReplaceAll(text, "\r", "")
			script.WriteString("IFS= read -r -d '' text <<'END_OF_TEXT'\n" + text + "\nEND_OF_TEXT\n(eval \"$text\" 2>/dev/null; printf '%s\\t%s\\n' \"$TOKEN\" \"$OTHER\") 2>/dev/null; echo @@\n")
		}
	}
	file := filepath.Join(t.TempDir(), "script") // from a pipe bash reads byte by byte
	if err := os.WriteFile(file, script.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bash, "--norc", file)
	cmd.Env, cmd.Dir = []string{"PATH=/nonexistent:/usr/bin:/bin"}, t.TempDir()
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	read := strings.Split(string(out), "@@\n")
	if len(read) < 2*len(list) {
		t.Fatalf("%d answers for %d texts", len(read), 2*len(list))
	}
	seen := func(s string) map[string]string {
		token, other, _ := strings.Cut(strings.TrimSuffix(s, "\n"), "\t")
		return map[string]string{"TOKEN": token, "OTHER": other}
	}
	for i, r := range list {
		check(t, r, seen(read[2*i]), seen(read[2*i+1]))
	}
}

// FuzzPlaces edits any text in any syntax: it must not fail in another way than by an error, the new value must read
// back, and every byte outside of what was replaced must stay.
func FuzzPlaces(f *testing.F) {
	for _, text := range []string{
		"TOKEN=a", "export TOKEN='a'\n", "[Service]\nEnvironment=\"TOKEN=a\" B=c\\\n d\nExecStart=/x --token a\n",
		"<key>TOKEN</key>\n<string>a</string>", `{TOKEN: "a", x: [1,]}`, "a\n",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, p := range []Place{
			{Syntax: InConfig, steps: []string{"TOKEN"}},
			{Syntax: InWhole},
			{Syntax: InDotenv, Name: "TOKEN"},
			{Syntax: InShell, Name: "TOKEN"},
			{Syntax: InSystemd, Name: "TOKEN"},
			{Syntax: InUnit, Name: "TOKEN"},
			{Syntax: InUnit, Name: "--token"},
			{Syntax: InPlist, Name: "TOKEN"},
		} {
			spans, err := p.spans([]byte(text))
			if err != nil {
				continue
			}
			after, err := p.replace([]byte(text), "NEW+/=")
			if err != nil {
				continue
			}
			first, last := spans[0], spans[len(spans)-1]
			if !strings.HasPrefix(string(after), text[:first.start]) || !strings.HasSuffix(string(after), text[last.end:]) {
				t.Errorf("%s: %q became %q", p.Syntax, text, after)
			}
			if strings.Count(string(after), "NEW+/=") < len(spans) {
				t.Errorf("%s: %q became %q without the new value", p.Syntax, text, after)
			}
		}
	})
}
