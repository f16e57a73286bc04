package collect

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/clawbook/openclaw-ir/internal/secret"
	"github.com/clawbook/openclaw-ir/internal/statetest"
)

func testSecrets() *secret.Set {
	s := secret.NewSet(secret.NewFingerprinter([]byte("a salt for tests")))
	s.Add("short-FAKE", "test")
	s.Add(`odd "one" \ 2`, "test")
	return s
}

func configVersions(texts ...string) []ConfigVersion {
	versions := make([]ConfigVersion, len(texts))
	for i, text := range texts {
		versions[i] = ConfigVersion{
			Name: "a/openclaw.json", Origin: "current", Data: []byte(text),
			Time: time.Date(2026, 11, 22, 8, 3, i, 5e6, time.FixedZone("", 3600)),
		}
	}
	return versions
}

func TestConfigDiffs(t *testing.T) {
	versions := configVersions(
		"{\n  gateway: {\n    auth: { token: \"short-FAKE\" },\n    port: 18789,\n  },\n  one: 1,\n  two: 2,\n  three: 3,\n}\n",
		"{\n  gateway: {\n    auth: { token: \"rotated-1\" },\n    port: 18789,\n  },\n  one: 1,\n  two: 2,\n  three: 3,\n}",
		"{\n  gateway: {\n    auth: { token: \"rotated-1\" },\n    port: 18789,\n  },\n  one: 1,\n  two: 2,\n  three: 3,\n}",
	)
	versions[0].Name, versions[0].Origin = "/home/claw/.openclaw/openclaw.json.bak", ".bak ring"
	versions[2].Time = time.Time{}
	diffs := ConfigDiffs(versions, testSecrets())
	var got strings.Builder
	for _, d := range diffs {
		fmt.Fprintf(&got, "%d-%d %v %q\n%s", d.From, d.To, d.Identical, d.Notes, d.Text)
	}
	want := `0-1 false []
# /home/claw/.openclaw/openclaw.json.bak, .bak ring, 2026-11-22T07:03:00.005Z, 106 bytes
# a/openclaw.json, current, 2026-11-22T07:03:01.005Z, 104 bytes
--- /home/claw/.openclaw/openclaw.json.bak	2026-11-22T07:03:00.005Z
+++ a/openclaw.json	2026-11-22T07:03:01.005Z
@@ -1,9 +1,9 @@
 {
   gateway: {
-    auth: { token: "<secret:` + fingerprint("short-FAKE") + `>" },
+    auth: { token: "<secret:` + fingerprint("rotated-1") + `>" },
     port: 18789,
   },
   one: 1,
   two: 2,
   three: 3,
-}
+}
\ No newline at end of file
1-2 true ["identical"]
# a/openclaw.json, current, 2026-11-22T07:03:01.005Z, 104 bytes
# a/openclaw.json, current, unknown time, 104 bytes
# identical
`
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func fingerprint(value string) string {
	return secret.NewFingerprinter([]byte("a salt for tests")).Fingerprint(value)
}

func TestConfigNotes(t *testing.T) {
	noise := func(seed, lines int) string {
		var b strings.Builder
		for i := range lines {
			fmt.Fprintln(&b, i*seed%lines)
		}
		return b.String()
	}
	long := strings.Repeat("x\n", maxConfigBytes/2)
	for _, row := range []struct{ name, a, b, note string }{
		{"secret written otherwise", `x: 'odd "one" \ 2'`, `x: 'odd \"one\" \\ 2'`, "only in how a secret is written"},
		{"cut by lines", long, long + "y\n", "only after what was compared"},
		{"cut by lines", "z\n" + long, long, "only the first 400000 bytes"},
		{"cut by bytes", strings.Repeat("x", maxConfigBytes+1), "y", "only the first 4194304 bytes"},
		{"too different", noise(1, 10007), noise(5000, 10007), "more than 2000 lines"},
	} {
		d := ConfigDiffs(configVersions(row.a, row.b), testSecrets())[0]
		if !strings.Contains(strings.Join(d.Notes, "\n"), row.note) || !strings.Contains(string(d.Text), row.note) || d.Identical {
			t.Errorf("%s: %q, want %q", row.name, d.Notes, row.note)
		}
		if applied := apply(t, row.a, d.Text); d.Notes[0] == row.note && applied != row.b {
			t.Errorf("%s: the patch does not lead to the second text", row.name)
		}
	}
	if ConfigDiffs(configVersions("alone"), testSecrets()) != nil {
		t.Error("one version has no neighbour")
	}
}

// TestConfigNames keeps an intruder's file name from being more than a name.
func TestConfigNames(t *testing.T) {
	for name, want := range map[string]string{
		"/a/b c.json":      "/a/b c.json",
		"a\n+++ b\t\x1b[m": `"a\n+++ b\t\x1b[m"`,
		"":                 `""`,
		"\xff":             `"\xff"`,
		"x.short-FAKE":     "x.<secret:" + fingerprint("short-FAKE") + ">",
	} {
		versions := configVersions("1", "2")
		versions[0].Name = name
		text := string(ConfigDiffs(versions, testSecrets())[0].Text)
		if !strings.Contains(text, "\n--- "+want+"\t2026-") {
			t.Errorf("%q is written in\n%s", name, text)
		}
	}
}

// apply applies a unified diff as its format says, without looking for the place.
func apply(t testing.TB, text string, patch []byte) string {
	t.Helper()
	_, body, _ := strings.Cut(string(patch), "\n@@")
	if body == "" {
		return text
	}
	old := splitLines(text)
	var result []string
	at := 0
	for line := range strings.Lines("@@" + body) {
		var start, count int
		switch line[0] {
		case '@':
			if _, err := fmt.Sscanf(line, "@@ -%d,%d", &start, &count); err != nil {
				t.Fatal(err)
			}
			if count > 0 {
				start--
			}
			result = append(result, old[at:start]...)
			at = start
		case '\\':
			result[len(result)-1] = strings.TrimSuffix(result[len(result)-1], "\n")
		case '+':
			result = append(result, line[1:])
		case ' ':
			result = append(result, old[at])
			at++
		case '-':
			at++
			result = slices.Clip(result)
			// What follows may be a mark about the removed line; it must not reach the result.
			if at == len(old) && !strings.HasSuffix(old[at-1], "\n") {
				result = append(result, "")
			}
		}
	}
	return strings.Join(append(result, old[at:]...), "")
}

// oddTexts draws texts of few different lines, of every kind that is trouble.
func oddTexts() *rapid.Generator[string] {
	line := rapid.SampledFrom([]string{
		"a\n", "b\n", "c\n", "d\n", "\n", "\r\n", "a\r\n", "x\xff1\n", "x\xfe1\n", "x\ufffd1\n", "nul\x00\n", "\x00\n", "--- a\n", "+++ b\n", "@@ -1 +1 @@\n",
		"\\ No newline at end of file\n", "-\n", "+\n", " \n", "\u2028\n", "\r", "a\rb\n", "token: short-FAKE\n",
	})
	return rapid.Custom(func(t *rapid.T) string {
		text := strings.Join(rapid.SliceOfN(line, 0, 40).Draw(t, "lines"), "")
		return text + rapid.SampledFrom([]string{"", "", "end", "a", "\xff"}).Draw(t, "end")
	})
}

func TestConfigDiffsRebuild(t *testing.T) {
	s := testSecrets()
	rapid.Check(t, func(t *rapid.T) {
		a, b := oddTexts().Draw(t, "a"), oddTexts().Draw(t, "b")
		d := ConfigDiffs(configVersions(a, b), s)[0]
		if d.Identical != (a == b) {
			t.Fatalf("identical: %v", d.Identical)
		}
		if got := rebuild(d.Text); !d.Identical && got[0]+got[1] == "" {
			t.Fatal("no difference shown")
		}
		matches, _ := matchLines(splitLines(a), splitLines(b))
		var last match
		for i, m := range matches {
			if splitLines(a)[m.a] != splitLines(b)[m.b] || i > 0 && (m.a <= last.a || m.b <= last.b) {
				t.Fatalf("%v after %v", m, last)
			}
			last = m
		}
	})
}

// rebuild returns the removed and the added lines.
func rebuild(patch []byte) (texts [2]string) {
	for line := range strings.Lines(string(patch)) {
		if n := strings.IndexByte("-+", line[0]); n >= 0 {
			texts[n] += line[1:]
		}
	}
	return texts
}

// TestConfigDiffsApply gives the diffs of odd texts to patch and git.
func TestConfigDiffsApply(t *testing.T) {
	for _, program := range []string{"patch", "git", "diff"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(err)
		}
	}
	s := testSecrets()
	dir := t.TempDir()
	pairs := [][2]string{
		{"", "a\n"},
		{"a\n", ""},
		{"", "a"},
		{"a", "a\n"},
		{"a\n", "a"},
		{"a\nb", "a\nc"},
		{"x\xff1\n", "x\xfe1\n"},
		{"a\r\nb\r\n", "a\nb\r\n"},
		{"nul\x00\nb\n", "nul\x00\nc\x00\n"},
		{"1\n2\n3\n4\n5\n6\n7\n8\n9\n", "x\n2\n3\n4\n5\n6\n7\n8\ny\n"},
		{"1\n2\n3\n4\n5\n6\n7\n8\n", "x\n2\n3\n4\n5\n6\n7\ny\n"},
	}
	for i := range 25 {
		pairs = append(pairs, [2]string{oddTexts().Example(i), oddTexts().Example(i + 1000)})
	}
	pairs = append(pairs, bigPair())
	for i, p := range pairs {
		versions := configVersions(p[0], p[1])
		versions[i%2].Time = time.Unix(0, 0)
		d := ConfigDiffs(versions, s)[0]
		if d.Identical || len(d.Notes) > 0 {
			continue
		}
		a, b := s.Redact(p[0]), s.Redact(p[1])
		check(t, dir, i, a, b, d.Text, "patch", "--binary", "-s", "-p1", "-i", "../change")
		check(t, dir, i, a, b, d.Text, "git", "apply", "-p1", "../change")
		if got, want := changedLines(d.Text), shortestDifference(t, dir, a, b); got != want {
			t.Errorf("pair %d: %d changed lines, diff has %d", i, got, want)
		}
	}
}

// TestConfigDiffsOfStates takes every neighbouring pair of the real configurations both ways: patch makes the one of the other, and GNU
// diff, asked for the shortest difference, shows as many changed lines.
func TestConfigDiffsOfStates(t *testing.T) {
	for _, program := range []string{"patch", "diff", "git"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(err)
		}
	}
	set := testSecrets()
	for _, value := range statetest.Secrets(t) {
		set.Add(value, "test")
	}
	dir := t.TempDir()
	pairs := 0
	for _, name := range []string{"2026.2.12", "2026.7.1", "2026.9.6/running"} {
		files, err := filepath.Glob(filepath.Join(statetest.Root(t, name), "home/*/.openclaw/openclaw.json*"))
		if err != nil {
			t.Fatal(err)
		}
		for i, after := range files[1:] {
			a, b := readText(t, files[i]), readText(t, after)
			for _, p := range [][2]string{{a, b}, {b, a}} {
				d := ConfigDiffs(configVersions(p[0], p[1]), set)[0]
				if d.Identical || len(d.Notes) > 0 {
					continue
				}
				pairs++
				from, to := set.Redact(p[0]), set.Redact(p[1])
				check(t, dir, pairs, from, to, d.Text, "patch", "--binary", "-s", "-p1", "-i", "../change")
				if got, want := changedLines(d.Text), shortestDifference(t, dir, from, to); got != want {
					t.Errorf("%s to %s: %d changed lines, diff has %d", files[i], after, got, want)
				}
			}
		}
	}
	if pairs < 12 {
		t.Errorf("only %d pairs", pairs)
	}
}

func readText(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// changedLines counts the lines that a unified diff removes and adds.
func changedLines(patch []byte) (n int) {
	_, hunks, _ := strings.Cut(string(patch), "\n@@")
	for line := range strings.Lines(hunks) {
		if line[0] == '-' || line[0] == '+' {
			n++
		}
	}
	return n
}

func shortestDifference(t *testing.T, dir, a, b string) int {
	t.Helper()
	for name, text := range map[string]string{"a": a, "b": b} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("diff", "--text", "--minimal", "-u", "a", "b")
	cmd.Dir = dir
	out, err := cmd.Output()
	if code := cmd.ProcessState.ExitCode(); code > 1 {
		t.Fatal(err)
	}
	return changedLines(out)
}

// bigPair is 80,000 lines of which some changed.
func bigPair() (pair [2]string) {
	var a, b bytes.Buffer
	for i := range 80_000 {
		fmt.Fprintf(&a, "line %d\n", i%5000)
		if i%16 == 0 {
			fmt.Fprintf(&b, "changed %d\n", i)
		} else if i%1000 != 1 {
			fmt.Fprintf(&b, "line %d\n", i%5000)
		}
	}
	return [2]string{a.String(), b.String()}
}

func check(t *testing.T, dir string, i int, a, b string, patch []byte, argv ...string) {
	t.Helper()
	work := filepath.Join(dir, "work")
	file := filepath.Join(work, "openclaw.json")
	os.RemoveAll(work)
	os.Mkdir(work, 0o700)
	if err := os.WriteFile(file, []byte(a), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "change"), patch, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = work
	cmd.Env = append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(dir), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	out, err := cmd.CombinedOutput()
	got, _ := os.ReadFile(file)
	if err != nil || string(got) != b {
		t.Errorf("pair %d: %s: %v\n%s\n%.300q to %.300q\n%.600s", i, argv[0], err, out, a, b, patch)
	}
}

// TestConfigDiffsHostile compares what takes naive algorithms minutes.
func TestConfigDiffsHostile(t *testing.T) {
	lines := func(n int, line func(int) string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(line(i) + "\n")
		}
		return b.String()
	}
	up := lines(80_000, func(i int) string { return fmt.Sprint(i) })
	for name, pair := range map[string][2]string{
		"reversed": {up, lines(80_000, func(i int) string { return fmt.Sprint(80_000 - i) })},
		"periodic": {lines(80_000, func(i int) string { return fmt.Sprint(i % 2) }), lines(80_000, func(i int) string { return fmt.Sprint(i % 3) })},
		"all same": {lines(80_000, func(int) string { return "a" }), "b\n" + lines(78_500, func(int) string { return "a" }) + "c\n"},
		"nearly":   {"b\n" + lines(80_000, func(i int) string { return fmt.Sprint(i % 7) }), lines(79_000, func(i int) string { return fmt.Sprint(i % 7) }) + "b\n"},
		"shuffled": {up, lines(80_000, func(i int) string { return fmt.Sprint(i * 7919 % 80_000) })},
		"strewn":   {up, lines(80_000, func(i int) string { return fmt.Sprint(i - i%97/96) })},
		"empty":    {strings.Repeat("\n", 200_000), strings.Repeat("\n", 199_000) + " \n"},
	} {
		start := time.Now()
		ConfigDiffs(configVersions(pair[0], pair[1]), testSecrets())
		if took := time.Since(start); took > 30*time.Second {
			t.Errorf("%s took %v", name, took)
		} else {
			t.Logf("%s took %v", name, took)
		}
	}
}
