package console

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"
)

func newTest(f Facts) (c *Console, stdout, stderr *bytes.Buffer) {
	stdout, stderr = new(bytes.Buffer), new(bytes.Buffer)
	return New(Streams{In: strings.NewReader(""), Out: stdout, Err: stderr}, f), stdout, stderr
}

func TestMessages(t *testing.T) {
	c, stdout, stderr := newTest(Facts{})
	c.Printf("kept %d files", 3)
	c.Warningf("skipped %q", "a\x1b[31m\\")
	c.Errorf("reading: %v", errors.New("first\nopenclaw-ir: forged"))
	c.Hintf("try 100%%: \x1b]0;title\a\u202e")
	want := `openclaw-ir: kept 3 files
openclaw-ir: warning: skipped "a\x1b[31m\\"
openclaw-ir: error: reading: first\nopenclaw-ir: forged
openclaw-ir: hint: try 100%: \x1b]0;title\x07\u202e
`
	if got := stderr.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if stdout.Len() != 0 {
		t.Errorf("standard output has %q", stdout)
	}
}

func TestColourIsDecidedOnce(t *testing.T) {
	for _, test := range []struct {
		name     string
		facts    Facts
		out, err bool
	}{
		{"pipes", Facts{}, false, false},
		{"terminals", Facts{OutTerminal: true, ErrTerminal: true}, true, true},
		{"one terminal", Facts{ErrTerminal: true}, false, true},
		{"NO_COLOR", Facts{OutTerminal: true, ErrTerminal: true, NoColor: true}, false, false},
		{"dumb", Facts{OutTerminal: true, ErrTerminal: true, Dumb: true}, false, false},
		{"FORCE_COLOR", Facts{NoColor: true, Dumb: true, ForceColor: true}, true, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("NO_COLOR", "1") // the environment itself must not matter
			c, _, stderr := newTest(test.facts)
			c.Warningf("x")
			if got := strings.Contains(stderr.String(), "\x1b["); got != test.err {
				t.Errorf("standard error coloured: %v", got)
			}
			if got := c.Paint(Bad, "x") != "x"; got != test.out {
				t.Errorf("standard output coloured: %v", got)
			}
			if c.Paint(Plain, "x") != "x" || c.Paint(Bad, "") != "" || c.Paint(styles, "x") != "x" {
				t.Error("coloured what has no colour")
			}
		})
	}
}

func TestFactsOf(t *testing.T) {
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	env := map[string]string{"NO_COLOR": "1", "FORCE_COLOR": "0", "TERM": "dumb"}
	got := FactsOf(Streams{Out: file, Err: new(bytes.Buffer)}, func(k string) string { return env[k] })
	want := Facts{NoColor: true, Dumb: true, Width: 80}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	env = map[string]string{"FORCE_COLOR": "3", "TERM": "xterm"}
	if got := FactsOf(Streams{}, func(k string) string { return env[k] }); got != (Facts{ForceColor: true, Width: 80}) {
		t.Errorf("got %+v", got)
	}
}

func TestBinaryOut(t *testing.T) {
	c, _, _ := newTest(Facts{OutTerminal: true})
	if _, err := c.BinaryOut(false); !errors.Is(err, ErrBinary) {
		t.Errorf("a terminal got binary: %v", err)
	}
	if _, err := c.BinaryOut(true); err != nil {
		t.Errorf("-o - refused: %v", err)
	}
	c, stdout, _ := newTest(Facts{})
	w, err := c.BinaryOut(false)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write([]byte{0, 0xff})
	if stdout.String() != "\x00\xff" {
		t.Errorf("got %q", stdout)
	}
}

// A copy has what was printed while it lasted, and nothing of what is binary.
func TestCopy(t *testing.T) {
	c, stdout, _ := newTest(Facts{})
	var outer, inner bytes.Buffer
	stopOuter := c.Copy(&outer)
	fmt.Fprint(c.Out(), "a")
	stopInner := c.Copy(&inner)
	fmt.Fprint(c.Out(), "b")
	binary, err := c.BinaryOut(false)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(binary, "c")
	stopInner()
	fmt.Fprint(c.Out(), "d")
	stopOuter()
	fmt.Fprint(c.Out(), "e")
	if stdout.String() != "abcde" || outer.String() != "abd" || inner.String() != "b" {
		t.Errorf("printed %q, copies %q and %q", stdout, &outer, &inner)
	}
}

func TestTable(t *testing.T) {
	c, stdout, _ := newTest(Facts{})
	err := c.Table([]string{"NAME", "SIZE", "NOTE"}, [][]string{
		{"a\tb\xff\v", "1.2 MB", "x\ny"},
		{"", "3 B", "\x1b[31m"},
		{"only one"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `NAME          SIZE    NOTE
a\tb\xff\x0b  1.2 MB  x\ny
-             3 B     \x1b[31m
only one
`
	if got := stdout.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}

	c, stdout, _ = newTest(Facts{ForceColor: true})
	if err := c.Table([]string{"A", "B"}, [][]string{{"12", "3"}}); err != nil {
		t.Fatal(err)
	}
	if got, want := stdout.String(), "\x1b[1mA   B\x1b[22m\n12  3\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestWidth(t *testing.T) {
	for columns, want := range map[int]int{0: 80, 20: 60, 80: 80, 200: 100} {
		c, _, _ := newTest(Facts{Width: columns})
		if got := c.Width(); got != want {
			t.Errorf("%d columns: %d", columns, got)
		}
	}
}

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 999: "999 B", 1000: "1.0 kB", 1234567: "1.2 MB", 999949: "999.9 kB", 999950: "1.0 MB",
		-1500: "-1.5 kB", 12345678901: "12.3 GB", math.MaxInt64: "9.2 EB", math.MinInt64: "-9.2 EB",
	} {
		if got := Size(n); got != want {
			t.Errorf("Size(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 ms", 1: "<1 ms", 38 * time.Millisecond: "38 ms", 999_400_000: "999 ms", 999_600_000: "1.0 s",
		1234 * time.Millisecond: "1.2 s", 59940 * time.Millisecond: "59.9 s", 59960 * time.Millisecond: "1 m 00 s",
		184 * time.Second: "3 m 04 s", 3599600 * time.Millisecond: "1 h 00 m", 125 * time.Minute: "2 h 05 m",
		99 * time.Hour: "4 d 03 h", -184 * time.Second: "-3 m 04 s",
	} {
		if got := Duration(d); got != want {
			t.Errorf("Duration(%d) = %q, want %q", d, got, want)
		}
	}
}

func TestGeneratePassphrase(t *testing.T) {
	words := strings.Fields(wordlist)
	known := make(map[string]bool, len(words))
	for _, word := range words {
		known[word] = true
	}
	if len(words) != 2048 || len(known) != 2048 || words[0] != "abandon" || words[2047] != "zoo" {
		t.Fatalf("the list has %d words, %d different", len(words), len(known))
	}
	seen := make(map[string]bool)
	for range 2000 {
		pass := strings.Split(GeneratePassphrase(), "-")
		if len(pass) != 10 {
			t.Fatalf("%d words", len(pass))
		}
		for _, word := range pass {
			if !known[word] {
				t.Fatalf("%q is not on the list", word)
			}
			seen[word] = true
		}
	}
	// 20,000 draws miss about 0.1 of 2048 words; a biased draw misses many.
	if len(seen) < 2040 {
		t.Errorf("only %d words were ever drawn", len(seen))
	}
}
