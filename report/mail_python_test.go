package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/clawbook/openclaw-ir/internal/console"
)

// A pythonMail is what testdata/mail.py tells of a mail.
type pythonMail struct {
	To, Subject      string
	Headers, Defects []string
	Parts            []struct{ Type, Disposition, Name, SHA256, Text string }
}

// A draft is a mail as it was meant.
type draft struct {
	story    *Story
	template Template
	attached []Attachment
}

// TestMailAsPythonReadsIt holds what a parser of another make and language reads to what was written: no defect, the subject, the letter,
// and the attachments byte for byte, whatever the story and the names of the files hold.
func TestMailAsPythonReadsIt(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip(err)
	}
	var drafts []draft
	for _, text := range []string{nasty, "plain words, ünïcode and 中文 and 🦞", strings.Repeat("lang ", 4000), "", "=?utf-8?q?x?= \r\nBcc: a@b.c\r\n\r\n--x"} {
		for _, tmpl := range Templates() {
			drafts = append(drafts, draft{hostileStory(text), tmpl, nil}, draft{hostileStory(text), tmpl, []Attachment{
				{text + ".tar.zst.age", "application/octet-stream", bytes.Repeat([]byte{0, 1, 2, 0xff, '\r', '\n', '.'}, 1000)}, {"B.seal", "application/json", []byte("{}\n" + text)},
			}})
		}
	}
	// The names have a space, so that they are quoted: Python takes an apostrophe in a bare one for RFC 2231's.
	text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[ -~\r\n\t"\\;=?_<>@]{0,80}`))
	for i := range 60 {
		drafts = append(drafts, draft{hostileStory(text.Example(i)), Templates()[i%len(Templates())], []Attachment{{"B " + text.Example(i+1000), "application/octet-stream", []byte(text.Example(i))}}})
	}
	dir := t.TempDir()
	var names strings.Builder
	for i, d := range drafts {
		var mail bytes.Buffer
		if err := d.template.WriteMail(&mail, d.story, "support@clawbook.io", d.attached...); err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(dir, fmt.Sprint(i, ".eml"))
		if err := os.WriteFile(name, mail.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&names, name)
	}
	cmd := exec.Command(python, "testdata/mail.py")
	cmd.Stdin, cmd.Stderr = strings.NewReader(names.String()), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	answers := json.NewDecoder(bytes.NewReader(out))
	for i, d := range drafts {
		var got pythonMail
		if err := answers.Decode(&got); err != nil {
			t.Fatalf("mail %d of %d: %v", i, len(drafts), err)
		}
		d.check(t, &got)
	}
}

func (d *draft) check(t *testing.T, got *pythonMail) {
	t.Helper()
	var letter bytes.Buffer
	if err := d.template.WriteText(&letter, d.story); err != nil {
		t.Fatal(err)
	}
	subject := headerText(d.template.Subject(d.story))
	switch {
	case len(got.Defects) > 0:
		t.Errorf("%s: %q", subject, got.Defects)
	case got.To != "support@clawbook.io" && got.To != "<support@clawbook.io>", got.Subject != subject:
		t.Errorf("to %q, subject %q, want %q", got.To, got.Subject, subject)
	case len(got.Parts) != 1+len(d.attached):
		t.Fatalf("%s: %d parts: %+v", subject, len(got.Parts), got.Parts)
	case got.Parts[0].Type != "text/plain" || got.Parts[0].Text != letter.String():
		t.Errorf("%s: the text is not the letter: %q", subject, got.Parts[0].Text)
	}
	for i, a := range d.attached {
		sum := sha256.Sum256(a.Data)
		p, name := got.Parts[1+i], headerText(console.Escape(a.Name))
		if p.Type != a.Type || p.Disposition != "attachment" || p.Name != name || p.SHA256 != hex.EncodeToString(sum[:]) {
			t.Errorf("%s: attachment %+v, want %q", subject, p, name)
		}
	}
}
