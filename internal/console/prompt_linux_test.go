package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// ptyPair opens a pseudo-terminal: what is typed on the keyboard is read from
// the path, what is shown there is collected in screen.
type ptyPair struct {
	keyboard *os.File
	path     string
	mu       sync.Mutex
	screen   bytes.Buffer
}

func newPTY(t *testing.T) *ptyPair {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skipf("no pseudo-terminal: %v", err)
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Skipf("unlocking the pseudo-terminal: %v", err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Skipf("naming the pseudo-terminal: %v", err)
	}
	p := &ptyPair{keyboard: os.NewFile(uintptr(fd), "/dev/ptmx"), path: fmt.Sprintf("/dev/pts/%d", n)}
	// Held open, so that the terminal lives on between two questions.
	hold, err := p.open()
	if err != nil {
		t.Skipf("opening the pseudo-terminal: %v", err)
	}
	go func() {
		buf := make([]byte, 1024)
		for {
			n, err := p.keyboard.Read(buf)
			p.mu.Lock()
			p.screen.Write(buf[:n])
			p.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() { hold.Close(); p.keyboard.Close() })
	return p
}

func (p *ptyPair) open() (*os.File, error) {
	return os.OpenFile(p.path, os.O_RDWR|unix.O_NOCTTY, 0)
}

func (p *ptyPair) shown() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.screen.String()
}

// waitFor waits until the screen has shown text; what is typed before raw mode
// would be echoed by the kernel.
func (p *ptyPair) waitFor(t *testing.T, text string) {
	t.Helper()
	for range 500 {
		if strings.Contains(p.shown(), text) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("the terminal never showed %q, only %q", text, p.shown())
}

// typed runs f while each text is typed after the prompt before it is shown.
func typed(t *testing.T, p *ptyPair, script []string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; i+1 < len(script); i += 2 {
			p.waitFor(t, script[i])
			_, _ = p.keyboard.WriteString(script[i+1])
		}
	}()
	f()
	<-done
}

func ptyConsole(p *ptyPair) (*Console, *bytes.Buffer) {
	var stderr bytes.Buffer
	c := New(Streams{In: strings.NewReader("y\n"), Out: &stderr, Err: &stderr, OpenTTY: p.open}, Facts{})
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
			p := newPTY(t)
			c, stderr := ptyConsole(p)
			typed(t, p, []string{"[y/N] ", test.keys}, func() {
				got, err := c.Confirm(t.Context(), "stop \x1b[31mit?")
				if got != test.want || !errors.Is(err, test.err) {
					t.Errorf("got %v, %v", got, err)
				}
			})
			p.waitFor(t, `stop \x1b[31mit? [y/N] `)
			p.waitFor(t, "\x1b[K")
			if stderr.Len() != 0 {
				t.Errorf("a stream got %q", stderr)
			}
		})
	}
}

func TestPassphrase(t *testing.T) {
	p := newPTY(t)
	c, stderr := ptyConsole(p)
	typed(t, p, []string{"for the bundle: ", "hunter2 é\r"}, func() {
		got, err := c.Passphrase(t.Context(), "the bundle")
		if got != "hunter2 é" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
	})
	typed(t, p, []string{"for nothing: ", "\r"}, func() {
		if got, err := c.Passphrase(t.Context(), "nothing"); err == nil {
			t.Errorf("an empty passphrase was taken: %q", got)
		}
	})
	p.waitFor(t, "\x1b[K\x1b[F\x1b[K")
	if strings.Contains(p.shown()+stderr.String(), "hunter2") {
		t.Errorf("the passphrase was shown: %q %q", p.shown(), stderr)
	}
}

func TestNewPassphrase(t *testing.T) {
	p := newPTY(t)
	c, stderr := ptyConsole(p)
	typed(t, p, []string{"secure one): ", "correct horse\r", "confirm", "correct horse\r"}, func() {
		if got, err := c.NewPassphrase(t.Context(), "a"); got != "correct horse" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
	})
	// Both at once, as from a paste: the first question must leave the second its line.
	typed(t, p, []string{"for b (leave", "one\rtwo\r"}, func() {
		if got, err := c.NewPassphrase(t.Context(), "b"); got != "" || err == nil || strings.Contains(err.Error(), "one") {
			t.Errorf("got %q, %v", got, err)
		}
	})
	typed(t, p, []string{"for c (leave", "\r"}, func() {
		got, err := c.NewPassphrase(t.Context(), "c")
		if strings.Count(got, "-") != 9 || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
		p.waitFor(t, got)
	})
	if stderr.Len() != 0 || strings.Contains(p.shown(), "horse") {
		t.Errorf("shown: %q %q", stderr, p.shown())
	}
}

// An answer typed ahead stays for the question it was meant for.
func TestTwoQuestionsFromOneInput(t *testing.T) {
	p := newPTY(t)
	c, _ := ptyConsole(p)
	typed(t, p, []string{"first? ", "y\rsecret\r"}, func() {
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
	p := newPTY(t)
	tty, err := p.open()
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
		p.waitFor(t, "for x: ")
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
