package statetest

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A Terminal is a pseudo-terminal for a test: what is typed on its keyboard is read from the file that Open opens, and what is
// written there is on its screen.
type Terminal struct {
	keyboard *os.File
	path     string
	mu       sync.Mutex
	screen   bytes.Buffer
}

// NewTerminal makes a terminal that lasts as long as the test; the test is skipped where there are none.
func NewTerminal(tb testing.TB) *Terminal {
	tb.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		tb.Skipf("no pseudo-terminal: %v", err)
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		tb.Skipf("unlocking the pseudo-terminal: %v", err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		tb.Skipf("naming the pseudo-terminal: %v", err)
	}
	p := &Terminal{keyboard: os.NewFile(uintptr(fd), "/dev/ptmx"), path: fmt.Sprintf("/dev/pts/%d", n)}
	// Held open, so that the terminal lives on between two questions.
	hold, err := p.Open()
	if err != nil {
		tb.Skipf("opening the pseudo-terminal: %v", err)
	}
	go p.show()
	tb.Cleanup(func() { hold.Close(); p.keyboard.Close() })
	return p
}

func (p *Terminal) show() {
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
}

// Open opens the terminal as a program does.
func (p *Terminal) Open() (*os.File, error) {
	return os.OpenFile(p.path, os.O_RDWR|unix.O_NOCTTY, 0)
}

// Shown is all that the screen has shown.
func (p *Terminal) Shown() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.screen.String()
}

// WaitFor waits until the screen has shown text; what is typed before raw mode would be echoed by the kernel.
func (p *Terminal) WaitFor(tb testing.TB, text string) {
	tb.Helper()
	for range 500 {
		if strings.Contains(p.Shown(), text) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	tb.Errorf("the terminal never showed %q, only %q", text, p.Shown())
}

// Typed runs f while each text is typed after the prompt before it in script is shown.
func (p *Terminal) Typed(tb testing.TB, script []string, f func()) {
	tb.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; i+1 < len(script); i += 2 {
			p.WaitFor(tb, script[i])
			_, _ = p.keyboard.WriteString(script[i+1])
		}
	}()
	f()
	<-done
}
