package console

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"testing"
	"time"
)

// screen is a terminal of one line: it knows \r, \n and erase-line, which is all
// that a bar may use.
type screen struct {
	lines []string
	line  []rune
	at    int
}

func (s *screen) feed(t *testing.T, text string) {
	for text != "" {
		switch {
		case strings.HasPrefix(text, "\x1b[2K"):
			s.line = nil
			text = text[4:]
			continue
		case strings.HasPrefix(text, "\x1b[0K"):
			s.line = s.line[:min(s.at, len(s.line))]
			text = text[4:]
			continue
		case text[0] == '\r':
			s.at = 0
		case text[0] == '\n':
			s.lines = append(s.lines, strings.TrimRight(string(s.line), " "))
			s.line, s.at = nil, 0
		case text[0] == 0x1b:
			t.Fatalf("unexpected control sequence in %q", text)
		default:
			for len(s.line) <= s.at {
				s.line = append(s.line, ' ')
			}
			s.line[s.at] = rune(text[0])
			s.at++
		}
		text = text[1:]
	}
}

func TestProgressIsSilentWithoutTerminal(t *testing.T) {
	c, stdout, stderr := newTest(Facts{OutTerminal: true})
	p := c.Progress(Bytes)
	p.Start("x", 10)
	p.Add(5)
	p.Describe("y")
	p.Done()
	p.Done()
	if stdout.Len()+stderr.Len() != 0 {
		t.Errorf("wrote %q %q", stdout, stderr)
	}
}

func TestProgressLeavesCleanLine(t *testing.T) {
	for _, facts := range []Facts{
		{ErrTerminal: true, OutTerminal: true, NoColor: true, Width: 80},
		{ErrTerminal: true, OutTerminal: true, Width: 76, Dumb: true},
	} {
		for _, total := range []int64{1000, 0, -1} {
			var tty bytes.Buffer // both streams, as on a real terminal
			c := New(Streams{Out: &tty, Err: &tty}, facts)
			p := c.Progress(Bytes)
			p.Start("reading \x1b[31m\u202e"+strings.Repeat("x", 200), total)
			m := p.(*meter)
			for range 5 {
				p.Add(400) // twice the total in the end
				m.draw()
			}
			c.Warningf("between")
			m.draw()
			p.Describe("sealing")
			m.draw()
			_, _ = io.WriteString(c.Out(), "result\n")
			_, _ = io.WriteString(c.Out(), "half")
			m.draw()
			_, _ = io.WriteString(c.Out(), " line\n")
			m.draw()
			p.Done()
			p.Done()

			text := tty.String()
			if !strings.Contains(text, "sealing") || !strings.Contains(text, "reading") {
				t.Errorf("%+v, %d: no bar was drawn: %q", facts, total, text)
			}
			if strings.Contains(text, "\x1b[31m") || strings.Contains(text, "\u202e") {
				t.Errorf("the description is raw: %q", text)
			}
			var s screen
			s.feed(t, text)
			got := strings.Join(s.lines, "|") + "|" + strings.TrimSpace(string(s.line))
			if want := "openclaw-ir: warning: between|result|half line|"; got != want {
				t.Errorf("%+v, %d: the terminal shows %q, want %q", facts, total, got, want)
			}
		}
	}
}

func TestProgressNeedsRoom(t *testing.T) {
	c, _, _ := newTest(Facts{ErrTerminal: true, Width: 73})
	if _, ok := c.Progress(Bytes).(noProgress); !ok {
		t.Error("a bar on a terminal that is too narrow")
	}
}

func TestProgressFitsTheTerminal(t *testing.T) {
	for i, width := range []int{74, 80, 200, 74, 80, 200} {
		c, _, stderr := newTest(Facts{ErrTerminal: true, Width: width})
		p := c.Progress(Bytes)
		p.Start(strings.Repeat("long ", 100), []int64{123456789, 0}[i/3])
		p.Add(12345678)
		p.(*meter).draw()
		p.Done()
		for line := range strings.SplitSeq(stderr.String(), "\r") {
			line = strings.TrimSuffix(strings.TrimSuffix(line, "\x1b[2K"), "\x1b[0K")
			if len(line) > width {
				t.Errorf("width %d: %d columns: %q", width, len(line), line)
			}
		}
	}
}

func TestClip(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"", ""}, {"12345678", "12345678"}, {"123456789", "12345..."}, {"日本語の", "日本語の"}, {"日本語の名", "日本..."},
	} {
		if got := clip(test.in, 8); got != test.want {
			t.Errorf("clip(%q) = %q, want %q", test.in, got, test.want)
		}
	}
}

func TestProgressTicksAndRestarts(t *testing.T) {
	var mu sync.Mutex
	var b bytes.Buffer
	c := New(Streams{Err: writerFunc(func(p []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return b.Write(p)
	})}, Facts{ErrTerminal: true})
	p := c.Progress(Items)
	for range 2 {
		p.Start("counting", 1_000_000)
		var workers sync.WaitGroup
		for range 4 {
			workers.Go(func() {
				for range 1000 {
					p.Add(1)
				}
				c.Printf("remark")
				p.Describe("more")
			})
		}
		workers.Wait()
		time.Sleep(3 * redraw / 2)
		p.Done()
	}
	mu.Lock()
	defer mu.Unlock()
	if n := strings.Count(b.String(), "4000/1000000"); n < 2 {
		t.Errorf("the count was shown %d times: %q", n, b.String())
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func BenchmarkProgressAdd(b *testing.B) {
	c := New(Streams{Err: io.Discard}, Facts{ErrTerminal: true})
	p := c.Progress(Bytes)
	p.Start("x", int64(b.N))
	defer p.Done()
	for b.Loop() {
		p.Add(1)
	}
}
