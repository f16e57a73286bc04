package shell

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestWordsAsBash compares the words of a command with those that bash makes of it.
func TestWordsAsBash(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash here")
	}
	p := NewParser()
	rapid.Check(t, func(t *rapid.T) {
		scripts := rapid.SliceOfN(rapid.Custom(drawScript), 5, 5).Draw(t, "scripts")
		for i, out := range runBash(t, bash, scripts) {
			want := strings.Split(strings.TrimSuffix(out, "\x00"), "\x00")
			if got := printfWords(p, scripts[i]); out != "failed" && len(want) <= maxFields && !slices.Equal(got, want) {
				t.Fatalf("%s\n got %q\nwant %q", scripts[i], got, want)
			}
		}
	})
}

// runBash returns what bash prints for each script, or "failed".
func runBash(t *rapid.T, bash string, scripts []string) []string {
	each := `for s; do (shift $#; eval "$s") 2>/dev/null || printf failed; printf '\1'; done`
	cmd := exec.Command(bash, append([]string{"--norc", "--noprofile", "-f", "-c", each, "bash"}, scripts...)...)
	cmd.Env = []string{"PATH=/nowhere", "LC_ALL=C.UTF-8", "HOME=~"}
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x01"), "\x01")
}

// printfWords returns the words that printf gets, without its format, before anything is blanked.
func printfWords(p *Parser, script string) []string {
	f := newFollow(p, script)
	f.top(value{text: script, segs: []seg{{0, len(script), f.all[0], 0, len(script)}}, exact: true})
	var words []string
	for _, process := range f.processes {
		if process.name == "printf" {
			for _, a := range process.args[2:] {
				words = append(words, a.text)
			}
		}
	}
	return words
}

// drawScript returns assignments and a printf whose words are tricks of quoting.
func drawScript(t *rapid.T) string {
	setup := rapid.SampledFrom([]string{
		"a=cu b=; ", "a='x y' b=z; ", "a=abcdef b=cd; ", "b=1; a=(p 'q r' s); ", "a= b=; ", "a=x; a+=y b=' '; ",
		`b=1; a="p"'q'$'\x72'; `, "a=' x  y ' b=2; ",
	})
	piece := rapid.SampledFrom([]string{
		"a", "b/c", `\a`, `\ `, "''", `""`, "'x y'", `"p q"`, `"\$\"\\n"`, `$'\x41\102\t'`, "$a$9", `"$a"`, "${a}", `"${a}z"`, "${a:1}",
		"${a:1:2}", "${a%f}", "${a#a}", "${a/b/Z}", "${a//c/}", "${a^^}", "${a,,}", "${a:-d}", "${zz:-d e}", "${zz-}", "${#a}", "$1",
		"$@", `"$@"`, "${b}", `"${a[@]}"`, "${a[1]}", "{x,y}", "{x,'y z',}", "x{1,2}{3,4}", " {} ", "{a}", "\\{x,y}",
		"'{'x,y}", "{x,{y,z}}", "${IFS}", "$IFS$9", "\\\n", "~/x", " ", " ", " ",
	})
	return setup.Draw(t, "setup") + "printf '%s\\0' x " + strings.Join(rapid.SliceOfN(piece, 1, 8).Draw(t, "words"), "")
}
