package secret

import (
	"fmt"
	"strings"
	"testing"
)

func TestLook(t *testing.T) {
	const known = "ghp_FAKE00000000000000000000000000000000"
	set := NewSet(NewFingerprinter([]byte("salt")))
	set.Add(known, "")
	pem := "-----BEGIN OPENSSH PRIVATE KEY-----\n" + strings.Repeat("b3BlbnNzaC1rZXktdjEA", 10) + "\n-----END OPENSSH PRIVATE KEY-----\n"
	for text, want := range map[string]string{
		"nothing here":    "",
		"token: " + known: "known",
		"GITHUB=ghp_FAKE11112222333344445555666677778888":                     "token ghp_ sure",
		"x-api-key: sk-ant-api03-FAKE1-zQ9fJ2kLmN":                            "token sk-ant- sure",
		"OPENAI_API_KEY=sk-proj-FAKE1zQ9fJ2kLmN84":                            "token sk-proj- sure",
		"AKIAFAKE5X7QZ2M4W8PL":                                                "token AKIA sure",
		"AKIAIOSFODNN7EXAMPLE":                                                "",
		"sk-xxxxxxxxxxxxxxxxxxxx1":                                            "",
		"sk-your-key-here-000000001":                                          "",
		"ghp_000000000000000000000000000000000000":                            "",
		"xoxb-1234567890-FAKEfakeFAKE":                                        "token xoxb- sure",
		"bot 123456789:AAFAKEfakeFAKE0123456789zyxwvutsrqp":                   "bot token telegram sure",
		"https://hooks.slack.com/services/T0FAKE/B0FAKE/fakefakefake12345678": "webhook slack sure",
		pem: "private key sure",
		"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N": "JSON web token",
		"https://user:hunter2x@host.test/":                                        "password in a URL",
		"Authorization: Bearer FAKE1zQ9fJ2kLmN84":                                 "bearer token",
		"password = hunter2hunter2":                                               "",
		known + " and gsk_FAKE1zQ9fJ2kLmN84abcd":                                  "known, token gsk_ sure",
	} {
		var got []string
		prints, unknown := set.Look(text)
		if len(prints) > 0 {
			got = append(got, "known")
		}
		for _, u := range unknown {
			line := strings.Join(strings.Fields(fmt.Sprint(u.What, " ", u.Mark, " ", u.Issuer)), " ")
			if u.Sure {
				line += " sure"
			}
			if len(u.Fingerprint) != fingerprintLen {
				t.Errorf("fingerprint %q", u.Fingerprint)
			}
			got = append(got, line)
		}
		if line := strings.Join(got, ", "); line != want {
			t.Errorf("%q: %q, want %q", text, line, want)
		}
	}
}

// TestLookIsRedacted has what Look tells be what Redact takes out, under the same fingerprint.
func TestLookIsRedacted(t *testing.T) {
	set := NewSet(NewFingerprinter([]byte("salt")))
	for _, text := range []string{"a ghp_FAKE11112222333344445555666677778888 b", "AKIAFAKE5X7QZ2M4W8PL", "123456789:AAFAKEfakeFAKE0123456789zyxwvutsrqp"} {
		_, unknown := set.Look(text)
		if len(unknown) != 1 || !strings.Contains(set.Redact(text), "<secret:"+unknown[0].Fingerprint+">") {
			t.Errorf("%q: %v, %s", text, unknown, set.Redact(text))
		}
	}
}
