package report

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"unicode"

	"github.com/clawbook/openclaw-ir/analyze"
	"pgregory.net/rapid"
)

// Whoever knows a secret can write it in any way that Scan sees through: the report is written all the same, without it.
func TestWithhold(t *testing.T) {
	var names []string
	for name := range hidings {
		names = append(names, name)
	}
	support := Templates()[0]
	forms := map[string]func(io.Writer, *Story) error{
		"r.json": WriteJSON,
		"r.eml":  func(w io.Writer, s *Story) error { return support.WriteMail(w, s, support.To) },
	}
	empty := map[string][]byte{}
	for name, write := range forms {
		var b bytes.Buffer
		if err := write(&b, &Story{}); err != nil {
			t.Fatal(err)
		}
		empty[name] = b.Bytes()
	}
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.StringMatching(`[A-Za-z0-9_+/=.&"'<-]{12,40}`).Filter(func(s string) bool { return setOf(s).Found(s) != nil }).Draw(t, "secret")
		set := setOf(value)
		hidden := "before " + hidings[rapid.SampledFrom(names).Draw(t, "hiding")](t, value) + " after"
		s := smallStory()
		s.Incident.Noticed, s.Findings[0].Event.What, s.Open[0].What = hidden, hidden, hidden
		s.Events = []analyze.Record{{Kind: analyze.KindExec, What: set.Redact(hidden)}}
		s.Redact(set.Redact)
		texts := s.Withhold(set)
		if said := strings.HasPrefix(s.Incident.Noticed, "(left out: "); said != (texts > 0) {
			t.Fatalf("%d texts are left out, and this stands there: %q", texts, s.Incident.Noticed)
		}
		for name, write := range forms {
			var b bytes.Buffer
			if err := write(&b, s); err != nil {
				t.Fatal(err)
			}
			if err := Scan(name, b.Bytes(), empty[name], set); err != nil {
				t.Fatalf("%v, hidden as %q", err, hidden)
			}
		}
	})
}

func TestSeen(t *testing.T) {
	for text, want := range map[string]string{
		"plain\ntext\t": "plain\ntext\t", "to\x1b[01;31m\x1b[Kken\x1b[m": "token", "to\x1b]8;;http://x\x1b\\ken": "token", "to\u200b\u202e\x00k\ufe0fen": "token", "\x1b[": "[",
	} {
		if got := seen(text); got != want {
			t.Errorf("%q is seen as %q, not as %q", text, got, want)
		}
	}
}

// TestUnseenByTable holds the quick way for the first characters to the tables.
func TestUnseenByTable(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		want := r != '\n' && r != '\r' && r != '\t' && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Variation_Selector)
		if isUnseen(r) != want {
			t.Fatalf("%U: %v", r, isUnseen(r))
		}
	}
}
