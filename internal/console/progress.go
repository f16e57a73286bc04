package console

import (
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/schollz/progressbar/v3"
)

// Progress tells a person how far something long has come. The same value may be
// started again after Done. Add may be called from hot loops and from several
// goroutines.
type Progress interface {
	// Start shows what is being done, of total units; total <= 0 is unknown.
	Start(what string, total int64)
	// Add counts n more units as done.
	Add(n int64)
	// Describe changes what is being done.
	Describe(what string)
	// Done takes the bar away and leaves a clean line. It may be repeated.
	Done()
}

// Unit is what a Progress counts.
type Unit int

// The units.
const (
	Items Unit = iota
	Bytes
)

// Progress returns a bar on standard error if that is a terminal wide enough for
// one, and otherwise a Progress that does nothing. One bar is shown at a time:
// the last started.
func (c *Console) Progress(unit Unit) Progress {
	if !c.facts.ErrTerminal || c.facts.Width < numbersWidth+14 {
		return noProgress{}
	}
	return &meter{c: c, unit: unit}
}

type noProgress struct{}

func (noProgress) Start(string, int64) {}
func (noProgress) Add(int64)           {}
func (noProgress) Describe(string)     {}
func (noProgress) Done()               {}

// redraw is how often a bar is drawn, and how long a task runs before it has one.
const redraw = 100 * time.Millisecond

// numbersWidth is the widest that a bar's figures get:
// " 100% [] (999 MB/1.2 GB, 999 MB/s) [99h59m59s:99h59m59s] ". A line that wraps
// could not be taken away again.
const numbersWidth = 60

// spinnerWidth is numbersWidth where the total is not known: "| (999 MB, 999 MB/s) [99h59m59s] ".
const spinnerWidth = 40

func (c *Console) barWidth() int { return max(5, min(30, (c.facts.Width-numbersWidth)/3)) }

// meter counts with an atomic add; a ticker alone draws.
type meter struct {
	c    *Console
	unit Unit
	n    atomic.Int64
	what atomic.Pointer[string]
	room atomic.Int64 // columns that are left for what

	life sync.Mutex // guards Start and Done, and stop
	stop chan struct{}
	end  sync.WaitGroup

	// Guarded by c.mu.
	bar   *progressbar.ProgressBar
	total int64
	shown string
}

func (m *meter) Start(what string, total int64) {
	m.Done()
	m.life.Lock()
	defer m.life.Unlock()
	m.n.Store(0)
	m.room.Store(int64(m.c.facts.Width - spinnerWidth))
	if total > 0 {
		m.room.Store(int64(m.c.facts.Width - numbersWidth - m.c.barWidth()))
	}
	m.Describe(what)

	m.c.mu.Lock()
	m.c.clearBar()
	m.c.active = m
	m.total = total
	m.shown = *m.what.Load()
	m.bar = m.c.newBar(m.unit, total, m.shown)
	m.c.mu.Unlock()

	stop := make(chan struct{})
	m.stop = stop
	m.end.Go(func() { m.run(stop) })
}

func (m *meter) Add(n int64) { m.n.Add(n) }

func (m *meter) Describe(what string) {
	what = clip(Escape(what), int(m.room.Load()))
	m.what.Store(&what)
}

func (m *meter) Done() {
	m.life.Lock()
	defer m.life.Unlock()
	if m.stop == nil {
		return
	}
	close(m.stop)
	m.stop = nil
	m.end.Wait()

	m.c.mu.Lock()
	defer m.c.mu.Unlock()
	if m.c.active == m {
		m.c.clearBar()
		m.c.active = nil
	}
}

func (m *meter) run(stop chan struct{}) {
	tick := time.NewTicker(redraw)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
			m.draw()
		}
	}
}

func (m *meter) draw() {
	c := m.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.active != m || c.asking || c.midLine {
		return
	}
	n := m.n.Load()
	if m.total > 0 {
		// At its total the library's bar would finish and draw no more, past it
		// fail; evidence grows while it is read.
		n = min(n, m.total-1)
	}
	if what := *m.what.Load(); what != m.shown {
		m.shown = what
		m.bar.Describe(what)
	}
	// A bar that cannot be drawn is not worth stopping for.
	_ = m.bar.Set64(max(n, 0))
	c.drawn = true
}

func (c *Console) newBar(unit Unit, total int64, what string) *progressbar.ProgressBar {
	if total <= 0 {
		total = -1
	}
	return progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(c.streams.Err),
		progressbar.OptionSetDescription(what),
		progressbar.OptionSetTheme(progressbar.ThemeASCII),
		progressbar.OptionSetWidth(c.barWidth()),
		progressbar.OptionUseANSICodes(!c.facts.Dumb),
		progressbar.OptionShowBytes(unit == Bytes),
		progressbar.OptionShowCount(),
		progressbar.OptionSetPredictTime(total > 0), // elapsed:left
		progressbar.OptionSetElapsedTime(true),
		// No goroutine of its own: it would draw outside our lock.
		progressbar.OptionSetSpinnerChangeInterval(0),
	)
}

// clearBar takes the bar off its line. The caller holds c.mu.
func (c *Console) clearBar() {
	if c.active != nil && c.drawn {
		_ = c.active.bar.Clear()
	}
	c.drawn = false
}

// clip shortens s to at most width columns, and says so. Characters outside
// ASCII count as two: the wide ones are, and a short description harms nobody.
func clip(s string, width int) string {
	const more = "..."
	columns, fits := 0, 0 // fits is how much of s leaves room for more
	for i, r := range s {
		if columns <= width-len(more) {
			fits = i
		}
		columns++
		if r >= utf8.RuneSelf {
			columns++
		}
	}
	if columns <= width {
		return s
	}
	return s[:fits] + more
}
