package console

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestFold(t *testing.T) {
	for _, test := range []struct{ line, want string }{
		{"short", "short"},
		{"rights    NO  root: you are somebody else, and so on", "rights    NO  root: you are somebody\n    else, and so on"},
		{"    executed: aaaaaaaaaa bbbbbbbbbb cccccccccc ddd", "    executed: aaaaaaaaaa bbbbbbbbbb\n        cccccccccc ddd"},
		{"    why     aaaaaaaa bbbbbbbbbb cccccccccc ddd", "    why     aaaaaaaa bbbbbbbbbb\n        cccccccccc ddd"},
		{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n    b"},
		{"\x1b[31mred\x1b[0m aaaaaaaaaa bbbbbbbbbb ccccccccc dd", "\x1b[31mred\x1b[0m aaaaaaaaaa bbbbbbbbbb ccccccccc dd"},
		{"   → sudo openclaw-ir contain --allow-from ADDRESS", "   → sudo openclaw-ir contain --allow-from ADDRESS"},
		{"\x1b[1m$ sudo openclaw-ir contain --allow-from ADDRESS\x1b[0m", "\x1b[1m$ sudo openclaw-ir contain --allow-from ADDRESS\x1b[0m"},
	} {
		if got := foldAll(test.line, 38); got != test.want {
			t.Errorf("%q: got\n%q, want\n%q", test.line, got, test.want)
		}
	}
}

// TestFoldKeepsTheWords: whatever the text, only spaces change, no line is too wide if its words are not, and nothing begins a new line
// at the left edge, where it could be taken for a message of ours.
func TestFoldKeepsTheWords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		line := rapid.StringMatching(`( {0,6})(→ ?|type )?(([a-z…漢]{1,9}|\x1b\[31m)( {1,3})){0,30}`).Draw(t, "line")
		width := rapid.IntRange(40, 90).Draw(t, "width")
		got := foldLine(line, width)
		if strings.Join(strings.Fields(got), " ") != strings.Join(strings.Fields(line), " ") {
			t.Fatalf("changed the words: %q to %q", line, got)
		}
		for i, l := range strings.Split(got, "\n") {
			if columns(strings.TrimRight(l, " ")) > width && !isTyped(line) || i > 0 && !strings.HasPrefix(l, "    ") {
				t.Fatalf("line %q of %q", l, got)
			}
		}
	})
}

func TestOnlyTerminalsFold(t *testing.T) {
	long := strings.Repeat("word ", 30)
	c, stdout, stderr := newTest(Facts{})
	c.Warningf("%s", long)
	l, err := NewLines(c, false, nil, func(s string) string { return s })
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Write(long)
	_ = l.Flush()
	if strings.Count(stdout.String(), "\n")+strings.Count(stderr.String(), "\n") != 2 {
		t.Errorf("folded in a pipe: %q %q", stdout, stderr)
	}
	c, stdout, stderr = newTest(Facts{OutTerminal: true, ErrTerminal: true, NoColor: true})
	c.Warningf("%s", long)
	c.Hintf("%s", long)
	if l, err = NewLines(c, false, nil, func(s string) string { return s }); err != nil {
		t.Fatal(err)
	}
	_ = l.Write(long)
	if !strings.Contains(stdout.String(), "word\n    word") || !strings.Contains(stderr.String(), "word\n    word") {
		t.Errorf("not folded on a terminal: %q %q", stdout, stderr)
	}
	if _, hint, _ := strings.Cut(stderr.String(), "hint: "); strings.Count(hint, "\n") != 1 {
		t.Errorf("a hint was folded: %q", hint)
	}
}
