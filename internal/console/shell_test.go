package console

import (
	"slices"
	"strings"
	"testing"

	"github.com/clawbook/openclaw-ir/internal/inerttest"
	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"
	"pgregory.net/rapid"
)

func TestShellWord(t *testing.T) {
	for word, want := range map[string]string{
		"a/b-c.d":             "a/b-c.d",
		"":                    "''",
		"a b":                 "'a b'",
		"it's":                `'it'"'"'s'`,
		"$(touch x)`id`":      "'$(touch x)`id`'",
		`a\b`:                 `'a\b'`,
		"a\x1b[31m'$(id)'":    `$'a\x1b[31m\x27$(id)\x27'`,
		"\u202etxt\u3164\xff": `$'\u202etxt\u3164\xff'`,
		"~root":               "'~root'",
		"x;rm -rf ~":          "'x;rm -rf ~'",
		"line\nline":          `$'line\nline'`,
	} {
		if got := ShellWord(word); got != want {
			t.Errorf("%q is quoted as %s, want %s", word, got, want)
		}
	}
}

// Whatever stands in a word, a shell takes that very word, and one word also if its backslashes were doubled on the way.
func TestShellWordIsOneWord(t *testing.T) {
	hostile := rapid.StringOf(rapid.SampledFrom([]rune("ab -'\"$\\`()\n\t\x1b|&;<>{}*?[]#~=%!é\u202e\u3164\u0301\U000e0041")))
	rapid.Check(t, func(t *rapid.T) {
		word := hostile.Draw(t, "word")
		typed := EscapeCommand("x " + ShellWord(word))
		inerttest.Line(t, "the command", typed)
		if got := shellWords(t, typed); !slices.Equal(got, []string{"x", word}) {
			t.Fatalf("a shell reads %q as %q", typed, got)
		}
		if got := shellWords(t, Escape(typed)); len(got) != 2 {
			t.Fatalf("a shell reads %q as %q", Escape(typed), got)
		}
	})
}

func shellWords(t *rapid.T, text string) []string {
	file, err := syntax.NewParser().Parse(strings.NewReader(text), "")
	if err != nil || len(file.Stmts) != 1 {
		t.Fatalf("%q is no one command: %v", text, err)
	}
	call, ok := file.Stmts[0].Cmd.(*syntax.CallExpr)
	if !ok {
		t.Fatalf("%q is no simple command", text)
	}
	words, err := expand.Fields(&expand.Config{}, call.Args...)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return words
}
