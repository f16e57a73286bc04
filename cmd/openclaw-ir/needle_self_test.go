package main

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"mime/quotedprintable"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/klauspost/compress/zstd"
)

// writings are ways to write a text in which a secret may get out.
var writings = map[string]func(string) string{
	"as it is":   func(s string) string { return s },
	"upper case": strings.ToUpper,
	"in pieces":  func(s string) string { return s[:9] + `" + "` + s[9:] },
	"a half":     func(s string) string { return s[:len(s)/2] },
	"reversed":   func(s string) string { b := []byte(s); slices.Reverse(b); return string(b) },
	"base64":     func(s string) string { return base64.StdEncoding.EncodeToString([]byte("x" + s)) },
	"base64 line": func(s string) string {
		return parted(base64.StdEncoding.EncodeToString([]byte(strings.Repeat("padding ", 9)+s)), 40, "\n  ")
	},
	"base64 url": func(s string) string { return "?q=" + base64.RawURLEncoding.EncodeToString([]byte("??"+s)) },
	"twice": func(s string) string {
		return base64.StdEncoding.EncodeToString([]byte(base64.StdEncoding.EncodeToString([]byte(s))))
	},
	"hexadecimal": func(s string) string { return strings.ToUpper(hex.EncodeToString([]byte(s))) },
	"dump":        func(s string) string { return fmt.Sprintf("% x", s) },
	"percents":    func(s string) string { return each(s, "%%%02x") },
	"JSON":        func(s string) string { return each(s, `\u%04X`) },
	"JSON twice":  func(s string) string { return each(s, `\\u%04x`) },
	"C":           func(s string) string { return each(s, `\x%02x`) },
	"octal":       func(s string) string { return each(s, `\%03o`) },
	"HTML":        func(s string) string { return each(s, "&#%d;") },
	"HTML hex":    func(s string) string { return each(s, "&#x%x;") },
	"tags":        func(s string) string { return parted(s, 5, "</b><b class=\"x\">") },
	"colours":     func(s string) string { return parted(s, 5, "\x1b[1;31m") },
	"mail":        func(s string) string { return mailed(strings.Repeat("ü", 20) + s) },
	"UTF-16":      func(s string) string { return string(wide(s)) },
	"PowerShell":  func(s string) string { return base64.StdEncoding.EncodeToString(wide(s)) },
	"gzip":        zipped,
	"gzip base64": func(s string) string { return base64.StdEncoding.EncodeToString([]byte(zipped(s))) },
	"zstd hex":    func(s string) string { return hex.EncodeToString([]byte(packed(s))) },
}

func each(s, format string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		fmt.Fprintf(&b, format, c)
	}
	return b.String()
}

func parted(s string, width int, with string) string {
	var parts []string
	for part := range slices.Chunk([]byte(s), width) {
		parts = append(parts, string(part))
	}
	return strings.Join(parts, with)
}

func wide(s string) (b []byte) {
	for _, u := range utf16.Encode([]rune(s)) {
		b = append(b, byte(u), byte(u>>8))
	}
	return b
}

func mailed(s string) string {
	var b bytes.Buffer
	w := quotedprintable.NewWriter(&b)
	_, _ = w.Write([]byte(s))
	_ = w.Close()
	return b.String()
}

func zipped(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte("it is " + s))
	_ = w.Close()
	return b.String()
}

func packed(s string) string {
	w, _ := zstd.NewWriter(nil)
	return string(w.EncodeAll([]byte("it is "+s), nil))
}

// The hunter finds a secret in every writing, and where there is none, none.
func TestHunter(t *testing.T) {
	h, err := newHunter()
	if err != nil {
		t.Fatal(err)
	}
	const secret = "qT7mWx2LpR9vKd4ZsB8nHc3Y"
	h.hunts(secret, "the place")
	for name, write := range writings {
		text := "some text before it, and " + write(secret) + " and what follows\n"
		if got := h.in([]byte(text)); len(got) != 1 || !strings.HasPrefix(got[0], "the place") {
			t.Errorf("%s: %q in %q", name, got, text)
		}
	}
	for _, text := range []string{"", secret[:gram-1], strings.Repeat("the quick brown fox ", 999), each(secret[:11], "%%%02x")} {
		if got := h.in([]byte(text)); len(got) > 0 {
			t.Errorf("%q in %q", got, text)
		}
	}
}
