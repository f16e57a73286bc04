package secret

import (
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"github.com/clawbook/openclaw-ir/internal/json5"
)

const cutToken = "qT7mWx2LpR9vKd4ZsB8nHc3YfG6jUe1A"

// What an excerpt cuts off leaves no part of a secret, in whatever form; what several secrets share is none.
func TestRedactCut(t *testing.T) {
	s := setOf(cutToken, "sk-proj-first0000000001", "sk-proj-second000000001")
	for text, want := range map[string]string{
		"with " + cutToken[:9] + "…":                              "with " + mark(cutToken) + "…",
		"with " + cutToken[:20]:                                   "with " + mark(cutToken),
		"…" + cutToken[12:] + " and":                              "…" + mark(cutToken) + " and",
		"x …" + cutToken[20:] + " … " + cutToken[:8] + "… y":      "x …" + mark(cutToken) + " … " + mark(cutToken) + "… y",
		"echo " + hex.EncodeToString([]byte(cutToken))[:30] + "…": "echo " + mark(cutToken) + "…",
		"with " + cutToken[:7] + "…":                              "with " + cutToken[:7] + "…",
		"with " + cutToken[:9] + " …":                             "with " + cutToken[:9] + " …",
		"it begins with sk-proj-…":                                "it begins with sk-proj-…",
		"rev " + reversed(cutToken) + " | rev":                    "rev " + mark(cutToken) + " | rev",
	} {
		got := s.Redact(text)
		if got != want {
			t.Errorf("%s is %s, want %s", text, got, want)
		}
	}
	if got := s.Redact("-enc " + base64.StdEncoding.EncodeToString(wideOf("a"+cutToken+"z"))); !strings.Contains(got, mark(cutToken)) || len(got) > 40 {
		t.Errorf("UTF-16 is %s", got)
	}
	if found := s.Found("with " + cutToken[:9] + "…"); len(found) > 0 {
		t.Error("a part was taken for the whole")
	}
}

func wideOf(s string) []byte { return append([]byte(wide(s)), 0) }

func TestRedactPart(t *testing.T) {
	s := setOf(`p'"\<&8FJx6QWARL7AWvk4>%`)
	for text, torn := range map[string]bool{`<&8FJx6QWARL7AWvk4>`: true, `8FJx6QWA`: true, `8FJx6Q`: false, "http://198.51.100.7/x": false} {
		if got := s.RedactPart(text); (got != text) != torn {
			t.Errorf("%s is %s", text, got)
		}
	}
}

func TestFromNotes(t *testing.T) {
	text := "the router: password: " + cutToken + "\npassword: something-simple\nkey sk-ant-api03-" + cutToken + "\n"
	var got []string
	for _, v := range FromNotes(text) {
		got = append(got, v)
	}
	if want := []string{cutToken, "sk-ant-api03-" + cutToken}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestFromVault(t *testing.T) {
	v, err := json5.Parse([]byte(`{"a": {"b": "anything at all"}, "c": ["words-words"], "d": 5, "e": "/path/to/it"}`))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for path, v := range FromVault(v) {
		got = append(got, strings.Join(path, ".")+"="+v)
	}
	if want := []string{"a.b=anything at all", "c.0=words-words"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// A damaged config and a script tell their secrets as they are meant.
func TestFromTextMeans(t *testing.T) {
	for text, want := range map[string]string{
		`{"password": "p'\"\\\u003c` + cutToken + `%`:                                       `p'"\<` + cutToken + `%`,
		`x https://u:a%2Fb` + cutToken + `@h/`:                                              "a/b" + cutToken,
		"Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("me:"+cutToken)): cutToken,
	} {
		var got []string
		for _, v := range FromText(text) {
			got = append(got, v)
		}
		if !slices.Contains(got, want) {
			t.Errorf("%s tells %q", text, got)
		}
	}
}
