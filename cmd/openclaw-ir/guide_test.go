package main

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"
	"pgregory.net/rapid"
)

// Whatever stands in a command, a shell that it is pasted into runs those very words, also where it is broken into lines.
func TestTypedLineIsWhatRuns(t *testing.T) {
	word := rapid.OneOf(
		rapid.StringMatching(`-{0,2}[a-z]{1,12}`),
		rapid.StringOf(rapid.SampledFrom([]rune(`ab -'"$\`+"`\n\t\x1b"+`|&;<>(){}*?[]#~=%!é,./`))),
	)
	rapid.Check(t, func(t *rapid.T) {
		argv := rapid.SliceOf(word).Draw(t, "argv")
		width := rapid.IntRange(10, 90).Draw(t, "width")
		line := typedLine(argv)
		lines := shellLines(line, width)
		for _, text := range []string{line, strings.Join(lines, "\n")} {
			if got, want := wordsOf(t, text), append([]string{"openclaw-ir"}, argv...); !slices.Equal(got, want) {
				t.Fatalf("a shell reads %q as %q, want %q", text, got, want)
			}
		}
		for _, l := range lines {
			if n := utf8.RuneCountInString(l); n > width && breakAt(strings.TrimSuffix(l, ` \`), width-2) > 4 {
				t.Fatalf("%q is wider than %d and could be broken", l, width)
			}
		}
	})
}

func wordsOf(t *rapid.T, text string) []string {
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
