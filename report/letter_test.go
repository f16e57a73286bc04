package report

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/clawbook/openclaw-ir/internal/inerttest"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

func gap(text string) openclaw.Gap { return openclaw.Gap{Path: text, What: text} }

// checkText fails if a letter moves the cursor, hides something, holds a link, or a quotation in it can be ended from inside.
func checkText(tb testing.TB, text string) {
	tb.Helper()
	inerttest.Letter(tb, "the letter", text)
	inside := false
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case line == untrusted.begins || line == ownWords.begins:
			if inside {
				tb.Fatal("a quotation in a quotation")
			}
			inside = true
		case line == untrusted.ends || line == ownWords.ends:
			if !inside {
				tb.Fatal("a quotation ends that has not begun")
			}
			inside = false
		case inside && !strings.HasPrefix(line, strings.TrimSpace(fence)):
			tb.Fatalf("in a quotation, without its mark: %q", line)
		}
	}
	if inside {
		tb.Fatal("a quotation does not end")
	}
}

func TestHostileLetters(t *testing.T) {
	s := hostileStory(nasty)
	for _, tmpl := range Templates() {
		var text bytes.Buffer
		if err := tmpl.WriteText(&text, s); err != nil {
			t.Fatal(err)
		}
		checkText(t, text.String())
		if subject := tmpl.Subject(s); strings.ContainsAny(subject, "\r\n\x1b\x01\x02") {
			t.Errorf("%s: subject %q", tmpl.Name, subject)
		}
	}
}

func TestLineWidth(t *testing.T) {
	var text bytes.Buffer
	if err := Templates()[0].WriteText(&text, hostileStory("some words that are not long, as in most letters, and no address")); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(text.String()) {
		if n := utf8.RuneCountInString(line) - 1; n > lineWidth {
			t.Errorf("%d columns: %q", n, line)
		}
	}
}

// An empty story gives a letter of every kind, which says what is not known.
func TestEmptyStory(t *testing.T) {
	for _, tmpl := range Templates() {
		var text, md, mail bytes.Buffer
		if err := tmpl.WriteText(&text, &Story{}); err != nil {
			t.Fatal(err)
		}
		if err := tmpl.WriteMarkdown(&md, &Story{}); err != nil {
			t.Fatal(err)
		}
		if err := tmpl.WriteMail(&mail, &Story{}, tmpl.To); err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"%!", "<nil>", "0001-01-01"} {
			if strings.Contains(text.String(), word) {
				t.Errorf("%s: %q in %s", tmpl.Name, word, text.String())
			}
		}
	}
}

// Of a bundle whose seal cannot be read the letter says no more than is known.
func TestBundleWithoutSeal(t *testing.T) {
	var text bytes.Buffer
	s := &Story{Bundles: []Bundle{{Name: "b.tar.zst.age", Problem: "it is a symbolic link"}}}
	if err := Templates()[0].WriteText(&text, s); err != nil {
		t.Fatal(err)
	}
	if got := text.String(); !strings.Contains(got, "- bundle: b.tar.zst.age\n- problem: it is a symbolic link\n\n") {
		t.Errorf("the letter says %s", got)
	}
}

func FuzzLetter(f *testing.F) {
	f.Add(nasty)
	f.Add(untrusted.ends + "\n" + ownWords.ends)
	f.Add("a.b.co/\u0301\u0301 x@y.z http://[::1]/")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 4096 {
			return
		}
		s := hostileStory(text)
		for _, tmpl := range Templates() {
			var b bytes.Buffer
			if err := tmpl.WriteText(&b, s); err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(b.String()) {
				if strings.ContainsFunc(strings.TrimSuffix(line, "\n"), func(r rune) bool { return r < ' ' || r == 0x7f || r >= 0x202a && r <= 0x202e || r == utf8.RuneError }) && !strings.Contains(text, "\ufffd") {
					t.Fatalf("not inert: %q", line)
				}
			}
			if begins, ends := strings.Count(b.String(), "\n"+untrusted.begins+"\n"), strings.Count(b.String(), "\n"+untrusted.ends+"\n"); begins != ends {
				t.Fatalf("%d quotations begin, %d end", begins, ends)
			}
		}
	})
}
