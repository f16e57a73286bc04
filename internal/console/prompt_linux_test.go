package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/clawbook/openclaw-ir/internal/statetest"
	"golang.org/x/sys/unix"
)

func ptyConsole(p *statetest.Terminal) (*Console, *bytes.Buffer) {
	var stderr bytes.Buffer
	c := New(Streams{In: strings.NewReader("y\n"), Out: &stderr, Err: &stderr, OpenTTY: p.Open}, Facts{})
	return c, &stderr
}

func TestConfirm(t *testing.T) {
	for _, test := range []struct {
		keys string
		want bool
		err  error
	}{
		{"y\r", true, nil},
		{"YES\n", true, nil},
		{"n\r", false, nil},
		{"\r", false, nil},
		{"what\rmaybe\rhm\r", false, nil},
		{"what\ryes\r", true, nil},
		{"yy\x7f\r", true, nil}, // backspace
		{"\x03", false, context.Canceled},
		{"y\x03", false, context.Canceled},
		{"\x04", false, context.Canceled},
	} {
		t.Run(fmt.Sprintf("%q", test.keys), func(t *testing.T) {
			p := statetest.NewTerminal(t)
			c, stderr := ptyConsole(p)
			p.Typed(t, []string{"[y/N] ", test.keys}, func() {
				got, err := c.Confirm(t.Context(), "stop \x1b[31mit?")
				if got != test.want || !errors.Is(err, test.err) {
					t.Errorf("got %v, %v", got, err)
				}
			})
			p.WaitFor(t, `stop \x1b[31mit? [y/N] `)
			p.WaitFor(t, "\x1b[K")
			if stderr.Len() != 0 {
				t.Errorf("a stream got %q", stderr)
			}
		})
	}
}

func TestChoose(t *testing.T) {
	for keys, want := range map[string]string{
		"y\r": "y", "YES\r": "y", "n\r": "n", "\r": "n", "q\r": "q", "Quit\r": "q", "what\rmaybe\rhm\r": "n", "leave\rq\r": "q",
	} {
		p := statetest.NewTerminal(t)
		c, _ := ptyConsole(p)
		p.Typed(t, []string{"[y/N/q] ", keys}, func() {
			if got, err := c.Choose(t.Context(), "run it?"); got != want || err != nil {
				t.Errorf("%q: got %q, %v", keys, got, err)
			}
		})
	}
	p := statetest.NewTerminal(t)
	c, _ := ptyConsole(p)
	p.Typed(t, []string{"[y/N/q] ", "y\x03"}, func() {
		if _, err := c.Choose(t.Context(), "run it?"); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

func TestPassphrase(t *testing.T) {
	p := statetest.NewTerminal(t)
	c, stderr := ptyConsole(p)
	p.Typed(t, []string{"for the bundle: ", "hunter2 é\r"}, func() {
		got, err := c.Passphrase(t.Context(), "the bundle")
		if got != "hunter2 é" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
	})
	p.Typed(t, []string{"for nothing: ", "\r"}, func() {
		if got, err := c.Passphrase(t.Context(), "nothing"); err == nil {
			t.Errorf("an empty passphrase was taken: %q", got)
		}
	})
	p.WaitFor(t, "\x1b[K\x1b[F\x1b[K")
	if strings.Contains(p.Shown()+stderr.String(), "hunter2") {
		t.Errorf("the passphrase was shown: %q %q", p.Shown(), stderr)
	}
}

func TestNewPassphrase(t *testing.T) {
	p := statetest.NewTerminal(t)
	c, stderr := ptyConsole(p)
	p.Typed(t, []string{"secure one): ", "correct horse\r", "confirm", "correct horse\r"}, func() {
		if got, err := c.NewPassphrase(t.Context(), "a"); got != "correct horse" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
	})
	// Both at once, as from a paste: the first question must leave the second its line.
	p.Typed(t, []string{"for b (leave", "one\rtwo\r"}, func() {
		if got, err := c.NewPassphrase(t.Context(), "b"); got != "" || err == nil || strings.Contains(err.Error(), "one") {
			t.Errorf("got %q, %v", got, err)
		}
	})
	p.Typed(t, []string{"for c (leave", "\r"}, func() {
		got, err := c.NewPassphrase(t.Context(), "c")
		if strings.Count(got, "-") != 9 || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
		p.WaitFor(t, got)
	})
	if stderr.Len() != 0 || strings.Contains(p.Shown(), "horse") {
		t.Errorf("shown: %q %q", stderr, p.Shown())
	}
}

// An answer typed ahead stays for the question it was meant for.
func TestTwoQuestionsFromOneInput(t *testing.T) {
	p := statetest.NewTerminal(t)
	c, _ := ptyConsole(p)
	p.Typed(t, []string{"first? ", "y\rsecret\r"}, func() {
		yes, err := c.Confirm(t.Context(), "first?")
		if !yes || err != nil {
			t.Fatalf("got %v, %v", yes, err)
		}
		got, err := c.Passphrase(t.Context(), "x")
		if got != "secret" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

func TestCancelRestoresTheTerminal(t *testing.T) {
	p := statetest.NewTerminal(t)
	tty, err := p.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	before, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	c, _ := ptyConsole(p)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		p.WaitFor(t, "for x: ")
		cancel()
	}()
	if _, err := c.Passphrase(ctx, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	after, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	if err != nil || *after != *before {
		t.Errorf("the terminal was left as %+v (%v), was %+v", after, err, before)
	}
}

func TestNoTerminal(t *testing.T) {
	for name, open := range map[string]func() (*os.File, error){
		"none":           func() (*os.File, error) { return nil, os.ErrNotExist },
		"not a terminal": func() (*os.File, error) { return os.Open(os.DevNull) },
	} {
		c := New(Streams{OpenTTY: open}, Facts{})
		if _, err := c.Passphrase(t.Context(), "x"); !errors.Is(err, ErrNoTerminal) {
			t.Errorf("%s: Passphrase: %v", name, err)
		}
		if yes, err := c.Confirm(t.Context(), "x"); yes || !errors.Is(err, ErrNoTerminal) {
			t.Errorf("%s: Confirm: %v, %v", name, yes, err)
		}
	}
}
