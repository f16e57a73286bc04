package report

import (
	"bytes"
	"io"
	"mime"
	"strings"
	"testing"

	"github.com/clawbook/openclaw-ir/internal/inerttest"
	gomail "github.com/wneessen/go-mail"
)

// parseMail reads a mail with a library that has not written it.
func parseMail(tb testing.TB, data []byte) *gomail.Msg {
	tb.Helper()
	m, err := gomail.EMLToMsgFromReader(bytes.NewReader(data))
	if err != nil {
		tb.Fatalf("%v in %s", err, data)
	}
	return m
}

func bodyOf(tb testing.TB, m *gomail.Msg) string {
	tb.Helper()
	parts := m.GetParts()
	if len(parts) != 1 {
		tb.Fatalf("%d parts of text", len(parts))
	}
	text, err := parts[0].GetContent()
	if err != nil {
		tb.Fatal(err)
	}
	return strings.ReplaceAll(string(text), "\r\n", "\n")
}

func TestMail(t *testing.T) {
	for _, story := range []*Story{hostileStory(nasty), hostileStory("plain words, ünïcode and 中文 and 🦞"), hostileStory(strings.Repeat("lang ", 4000)), hostileStory("=?utf-8?q?=E2=80=AE?="), {}} {
		for _, tmpl := range Templates() {
			var data, text bytes.Buffer
			if err := tmpl.WriteMail(&data, story, "support@clawbook.io"); err != nil {
				t.Fatal(err)
			}
			if err := tmpl.WriteText(&text, story); err != nil {
				t.Fatal(err)
			}
			m := inerttest.Mail(t, "the mail", data.Bytes())
			if to := m.Header.Get("To"); to != "<support@clawbook.io>" {
				t.Errorf("to %q", to)
			}
			var dec mime.WordDecoder
			subject, err := dec.DecodeHeader(m.Header.Get("Subject"))
			if want := headerText(tmpl.Subject(story)); err != nil || subject != want {
				t.Errorf("subject %q, want %q: %v", subject, want, err)
			}
			if got := bodyOf(t, parseMail(t, data.Bytes())); got != text.String() {
				t.Errorf("%s: the text is not the letter: %q", tmpl.Name, got)
			}
		}
	}
}

func TestAttachments(t *testing.T) {
	bundle := bytes.Repeat([]byte{0, 1, 2, 0xff, '\r', '\n', '.'}, 10_000)
	attached := []Attachment{{"B\r\nX: y\u202e.tar.zst.age", "application/octet-stream", bundle}, {"B.seal", "application/json", []byte("{}\n")}}
	var data, again bytes.Buffer
	if err := Templates()[0].WriteMail(&data, hostileStory(nasty), "", attached...); err != nil {
		t.Fatal(err)
	}
	if err := Templates()[0].WriteMail(&again, hostileStory(nasty), "", attached...); err != nil || !bytes.Equal(data.Bytes(), again.Bytes()) {
		t.Errorf("the same letter gives other bytes: %v", err)
	}
	if to := inerttest.Mail(t, "the mail", data.Bytes()).Header.Get("To"); to != "" {
		t.Errorf("to %q", to)
	}
	m := parseMail(t, data.Bytes())
	files := m.GetAttachments()
	if len(files) != 2 {
		t.Fatalf("%d attachments", len(files))
	}
	var content bytes.Buffer
	if _, err := files[0].Writer(&content); err != nil || !bytes.Equal(content.Bytes(), bundle) {
		t.Errorf("the bundle came out with %d bytes of %d: %v", content.Len(), len(bundle), err)
	}
	checkText(t, bodyOf(t, m))
}

func TestCheckAddress(t *testing.T) {
	for _, good := range []string{"support@clawbook.io", "a.b+c@d-e.example"} {
		if err := CheckAddress(good); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", "x", "a@b, c@d", "A <a@b.c>", "a@b.c\r\nBcc: d@e.f", "a@b.c\n", "a @b.c", "a@b\u202e.c", strings.Repeat("a", 300) + "@b.c"} {
		if CheckAddress(bad) == nil {
			t.Errorf("%q is taken for an address", bad)
		}
		if err := Templates()[0].WriteMail(io.Discard, &Story{}, bad); bad != "" && err == nil {
			t.Errorf("a mail to %q is written", bad)
		}
	}
}

func FuzzMail(f *testing.F) {
	f.Add(nasty)
	f.Add("=?utf-8?q?x?=")
	f.Add(strings.Repeat("ü", 2000))
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 4096 {
			return
		}
		s := hostileStory(text)
		var data, letter bytes.Buffer
		if err := Templates()[0].WriteMail(&data, s, "support@clawbook.io"); err != nil {
			t.Fatal(err)
		}
		if err := Templates()[0].WriteText(&letter, s); err != nil {
			t.Fatal(err)
		}
		inerttest.Mail(t, "the mail", data.Bytes())
		if got := bodyOf(t, parseMail(t, data.Bytes())); got != letter.String() {
			t.Fatalf("the text is not the letter: %q", got)
		}
	})
}
