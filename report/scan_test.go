package report

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"html/template"
	"io"
	"mime/quotedprintable"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/secret"
	"pgregory.net/rapid"
)

func setOf(values ...string) *secret.Set {
	set := secret.NewSet(secret.NewFingerprinter([]byte("a salt")))
	for _, v := range values {
		set.Add(v, "a test: gateway.auth.token")
	}
	return set
}

// hidings are what can be done to a value on its way into a file.
var hidings = map[string]func(*rapid.T, string) string{
	"plain": func(_ *rapid.T, s string) string { return s },
	"base64": func(t *rapid.T, s string) string {
		return base64.StdEncoding.EncodeToString([]byte(pad(t) + s + pad(t)))
	},
	"url64": func(t *rapid.T, s string) string {
		return base64.RawURLEncoding.EncodeToString([]byte(pad(t) + s + pad(t)))
	},
	"hex":     func(_ *rapid.T, s string) string { return hex.EncodeToString([]byte(s)) },
	"percent": func(_ *rapid.T, s string) string { return url.QueryEscape(s) },
	"every %": func(_ *rapid.T, s string) string {
		return regexp.MustCompile(`..`).ReplaceAllString(hex.EncodeToString([]byte(s)), "%$0")
	},
	"json":         func(_ *rapid.T, s string) string { return jsonOf(s) },
	"json in json": func(_ *rapid.T, s string) string { return jsonOf(jsonOf(s)) },
	"html":         func(_ *rapid.T, s string) string { return html.EscapeString(s) },
	"template":     func(_ *rapid.T, s string) string { return template.HTMLEscapeString(s) },
	"script":       func(_ *rapid.T, s string) string { return template.JSEscapeString(s) },
	"entities": func(_ *rapid.T, s string) string {
		var b strings.Builder
		for _, r := range s {
			fmt.Fprintf(&b, "&#%d;", r)
		}
		return b.String()
	},
	"console": func(_ *rapid.T, s string) string { return console.Escape(s) },
	"quoted-printable": func(t *rapid.T, s string) string {
		var b bytes.Buffer
		w := quotedprintable.NewWriter(&b)
		_, _ = io.WriteString(w, strings.Repeat("=", rapid.IntRange(0, 80).Draw(t, "before"))+s)
		_ = w.Close()
		return b.String()
	},
	"every =": func(_ *rapid.T, s string) string {
		return regexp.MustCompile(`..`).ReplaceAllString(strings.ToUpper(hex.EncodeToString([]byte(s))), "=$0")
	},
	"broken": func(t *rapid.T, s string) string {
		with := rapid.SampledFrom([]string{"\n", "\r\n", "\n| ", "\n  ", "=\r\n", "<wbr>", "</b>", "\u200b", "\x1b[01;31m"}).Draw(t, "with")
		if with[0] == '=' {
			s = strings.ReplaceAll(s, "=", "=3D")
		}
		var parts []string
		for len(s) > 0 {
			n := min(rapid.IntRange(3, 20).Draw(t, "part"), len(s))
			parts, s = append(parts, s[:n]), s[n:]
		}
		return strings.Join(parts, with)
	},
}

func jsonOf(s string) string {
	text, _ := json.Marshal(s)
	return string(text[1 : len(text)-1])
}

func pad(t *rapid.T) string { return rapid.StringMatching(`[a-z ]{0,5}`).Draw(t, "padding") }

// A secret is found in whatever way it got into a file.
func TestScanFinds(t *testing.T) {
	var names []string
	for name := range hidings {
		names = append(names, name)
	}
	empty := []byte("<p>our own words, and more of them</p>\n")
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.StringMatching(`[A-Za-z0-9_+/=.&"'<-]{12,40}`).Filter(func(s string) bool { return setOf(s).Found(s) != nil }).Draw(t, "secret")
		set := setOf(value)
		name := rapid.SampledFrom(names).Draw(t, "hiding")
		file := "<p>our own words, " + hidings[name](t, value) + " and more of them</p>\n"
		err := Scan("r.html", []byte(file), empty, set)
		var found *SecretError
		if !errors.As(err, &found) || len(found.Prints) != 1 {
			t.Fatalf("%s: %q hidden as %q was not found: %v", name, value, file, err)
		}
		if strings.Contains(err.Error(), value) {
			t.Fatalf("the error holds the secret: %v", err)
		}
	})
}

func TestScanPasses(t *testing.T) {
	set := setOf("correct-horse-battery", "support@clawbook.io")
	own := []byte("To: <support@clawbook.io>\n\nnothing else\n")
	if err := Scan("r.eml", append(own, "<secret:0123456789ab>\n"...), own, set); err != nil {
		t.Errorf("a word of this program's own: %v", err)
	}
	if err := Scan("r.eml", append(own, "correct-horse-battery\n"...), own, set); err == nil {
		t.Error("a secret passes")
	}
}

// leaks are stories with a secret in one place that nobody redacted.
func leaks(value string) map[string]*Story {
	all := map[string]*Story{}
	for name, set := range map[string]func(*Story){
		"command":  func(s *Story) { s.Findings[0].Event.What = "curl -H 'x: " + value + "' http://x.example" },
		"excerpt":  func(s *Story) { s.Findings[1].Excerpt = value },
		"path":     func(s *Story) { s.Findings[1].Path = "/home/" + value },
		"input":    func(s *Story) { s.Incident.Untrusted[0].Quote = "use " + value + " now" },
		"noticed":  func(s *Story) { s.Incident.Noticed = "my token is " + value },
		"host":     func(s *Story) { s.Host.Name = value },
		"gap":      func(s *Story) { s.Coverage.Gaps[0].Path = "/" + value },
		"missing":  func(s *Story) { s.Coverage.Missing[0] = value },
		"item":     func(s *Story) { s.Open[0].What = value },
		"action":   func(s *Story) { s.Actions[0].Object = value },
		"bundle":   func(s *Story) { s.Bundles[0].Name = value },
		"version":  func(s *Story) { s.Installations[0].Version = value },
		"weakness": func(s *Story) { s.Exposures[0].Title = value },
	} {
		s := hostileStory("some text that is not hostile")
		set(s)
		all[name] = s
	}
	return all
}

// A story that was not redacted is refused, whatever file is made of it; the same story redacted passes.
func TestUnredacted(t *testing.T) {
	for _, value := range []string{"tok3n+with/all=kinds&of<marks>\"'", strings.Repeat("long4nd-b0ring_", 9)} {
		set := setOf(value)
		for name, s := range leaks(value) {
			if err := scanAll(s, set); err == nil {
				t.Errorf("%s: %q passes", name, value)
			}
			s.Redact(set.Redact)
			if err := scanAll(s, set); err != nil {
				t.Errorf("%s, redacted: %v", name, err)
			}
		}
	}
}

// scanAll scans what the command writes of a story, and fails unless every kind of file agrees.
func scanAll(s *Story, set *secret.Set) error {
	var errs []error
	for ext, write := range map[string]func(io.Writer, *Story) error{
		".txt": Templates()[0].WriteText, ".md": Templates()[0].WriteMarkdown, ".json": WriteJSON,
		".eml": func(w io.Writer, s *Story) error { return Templates()[0].WriteMail(w, s, "support@clawbook.io") },
		"-attached.eml": func(w io.Writer, s *Story) error {
			return Templates()[0].WriteMail(w, s, "", Attachment{"B.age", "application/octet-stream", []byte("age-encryption.org/v1\n")})
		},
	} {
		var data, empty bytes.Buffer
		if err := errors.Join(write(&data, s), write(&empty, &Story{})); err != nil {
			return err
		}
		if err := Scan("r"+ext, data.Bytes(), empty.Bytes(), set); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 && len(errs) < 5 {
		return nil // that some see it does not help
	}
	return errors.Join(errs...)
}

// An attached secret is found, and an attached bundle is not taken for one.
func TestScanAttachments(t *testing.T) {
	set := setOf("correct-horse-battery")
	for _, c := range []struct {
		data string
		want bool
	}{{"a letter with correct-horse-battery in it", true}, {"age-encryption.org/v1\n-> X25519 correct-horse-battery", false}} {
		var mail bytes.Buffer
		if err := Templates()[0].WriteMail(&mail, &Story{}, "", Attachment{"B", "application/octet-stream", []byte(c.data)}); err != nil {
			t.Fatal(err)
		}
		if err := Scan("r.eml", mail.Bytes(), nil, set); (err != nil) != c.want {
			t.Errorf("%q: %v", c.data, err)
		}
	}
}
