package analyze

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// eventsOf makes an event of each line.
func eventsOf(lines []string) iter.Seq2[*Event, error] {
	return func(yield func(*Event, error) bool) {
		for _, l := range lines {
			if !yield(&Event{What: l}, nil) {
				return
			}
		}
	}
}

// output is what grep would print for the hits.
func output(t interface{ Fatal(...any) }, g *Grep, lines []string, count bool) string {
	hits, err := g.Select(eventsOf(lines), func(e *Event) string { return e.What })
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	n := 0
	for h, err := range hits {
		if err != nil {
			t.Fatal(err)
		}
		if h.Gap {
			b.WriteString("--\n")
		}
		sep := ":"
		if h.Context {
			sep = "-"
		} else {
			n++
		}
		b.WriteString(sep + h.Line + "\n")
	}
	if count {
		return fmt.Sprintln(n)
	}
	return b.String()
}

// TestGrepAgainstGrep compares every combination of the options with GNU grep's output on the same lines.
func TestGrepAgainstGrep(t *testing.T) {
	version, err := exec.Command("grep", "--version").Output()
	if err != nil || !bytes.Contains(version, []byte("GNU")) {
		t.Skip("no GNU grep")
	}
	words := []string{"curl", "Curl", "curlew", "wget", "a.b", "a b", "axb", "", "-c", "x-c", "ä", "é", "https://x/curl", "_curl", "curl_", "CURL x curl"}
	patterns := []string{"curl", "CURL", "c.rl", "curl|wget", "a.b", "^curl", "curl$", "-c", "l", "[ck]url", "x", "ä", "/curl", "no such"}
	rapid.Check(t, func(r *rapid.T) {
		var lines []string
		for range rapid.IntRange(0, 14).Draw(r, "lines") {
			lines = append(lines, strings.Join(rapid.SliceOfN(rapid.SampledFrom(words), 1, 3).Draw(r, "words"), " "))
		}
		g := &Grep{
			Pattern: rapid.SampledFrom(patterns).Draw(r, "pattern"), Fixed: rapid.Bool().Draw(r, "-F"), IgnoreCase: rapid.Bool().Draw(r, "-i"),
			Invert: rapid.Bool().Draw(r, "-v"), Words: rapid.Bool().Draw(r, "-w"),
			Before: rapid.SampledFrom([]int{0, 0, 1, 2, 5}).Draw(r, "-B"), After: rapid.SampledFrom([]int{0, 0, 1, 2, 5}).Draw(r, "-A"), Max: rapid.IntRange(0, 3).Draw(r, "-m"),
		}
		count := rapid.Bool().Draw(r, "-c")
		args := []string{"-E", "-n", "--label=", "--no-messages", "--color=never", "-A", strconv.Itoa(g.After), "-B", strconv.Itoa(g.Before)}
		if g.Fixed {
			args[0] = "-F"
		}
		for flag, on := range map[string]bool{"-i": g.IgnoreCase, "-v": g.Invert, "-w": g.Words, "-c": count} {
			if on {
				args = append(args, flag)
			}
		}
		if g.Max > 0 {
			args = append(args, "-m", strconv.Itoa(g.Max))
		}
		cmd := exec.Command("grep", append(args, "-e", g.Pattern)...)
		cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
		cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + strings.Repeat("\n", min(1, len(lines))))
		out, err := cmd.Output()
		if exit := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
			r.Fatal(err)
		}
		want := stripNumbers(string(out), g, count)
		if got := output(r, g, lines, count); got != want {
			r.Fatalf("grep %q\n%s\ngot:\n%swant:\n%s", append(args, "-e", g.Pattern), strings.Join(lines, "\n"), got, want)
		}
	})
}

// stripNumbers takes the line numbers off grep's -n, which is asked for because it tells context from matches. With
// -A 0 -B 0 grep prints "--" although there is no context; this tool does as without the options.
func stripNumbers(out string, g *Grep, count bool) string {
	if count {
		return out
	}
	var b strings.Builder
	for line := range strings.Lines(out) {
		if line == "--\n" {
			if g.Before+g.After > 0 {
				b.WriteString(line)
			}
			continue
		}
		b.WriteString(strings.TrimLeft(line, "0123456789"))
	}
	return b.String()
}

func TestGrepBadPattern(t *testing.T) {
	for _, g := range []Grep{{Pattern: "("}, {Pattern: "a)|(b", Words: true}, {Pattern: `\`, IgnoreCase: true}} {
		if err := g.Check(); err == nil || !strings.Contains(err.Error(), strconv.Quote(g.Pattern)) {
			t.Errorf("%q: %v", g.Pattern, err)
		}
	}
	if err := (&Grep{Pattern: "(", Fixed: true, Words: true}).Check(); err != nil {
		t.Error(err)
	}
}

func TestGrepHandsOnErrors(t *testing.T) {
	broken := errors.New("broken")
	hits, err := (&Grep{}).Select(func(yield func(*Event, error) bool) { yield(nil, broken) }, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range hits {
		if !errors.Is(err, broken) {
			t.Error(err)
		}
		return
	}
	t.Error("nothing was handed on")
}
