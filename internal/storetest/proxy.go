package storetest

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A Proxy stands between us and a server, and is a bad network.
type Proxy struct {
	listener net.Listener
	target   string
	// budget is how many more bytes pass to the server before the connection is cut; below zero there is no end.
	budget atomic.Int64
	// cuts is how many times it is cut; then all passes.
	cuts atomic.Int64
	// again is the budget after a cut.
	again int64
	// passed counts what the server was sent.
	passed atomic.Int64
	// Each is how long a piece is kept back.
	Each time.Duration
	mu   sync.Mutex
	live map[net.Conn]bool
}

// NewProxy starts one before the server at target, until the test ends.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{listener: listener, target: target, live: map[net.Conn]bool{}}
	p.budget.Store(-1)
	t.Cleanup(func() { listener.Close(); p.Cut() })
	go p.serve()
	return p
}

// Addr is where to connect to instead of the server.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// CutAfter cuts the connection after so many bytes to the server, times over.
func (p *Proxy) CutAfter(bytes, times int64) {
	p.again = bytes
	p.cuts.Store(times)
	p.budget.Store(bytes)
}

func (p *Proxy) serve() {
	for {
		in, err := p.listener.Accept()
		if err != nil {
			return
		}
		go p.carry(in)
	}
}

func (p *Proxy) carry(in net.Conn) {
	out, err := net.Dial("tcp", p.target)
	if err != nil {
		in.Close()
		return
	}
	p.mu.Lock()
	p.live[in], p.live[out] = true, true
	p.mu.Unlock()
	go func() {
		_, _ = io.Copy(in, out)
		in.Close()
	}()
	buffer := make([]byte, 16<<10)
	for {
		n, err := in.Read(buffer)
		if err != nil || !p.pass(out, buffer[:n]) {
			in.Close()
			out.Close()
			return
		}
	}
}

// pass sends on, or cuts.
func (p *Proxy) pass(out net.Conn, data []byte) bool {
	time.Sleep(p.Each)
	if p.cuts.Load() > 0 && p.budget.Add(-int64(len(data))) < 0 {
		p.cuts.Add(-1)
		p.budget.Store(p.again)
		return false
	}
	n, err := out.Write(data)
	p.passed.Add(int64(n))
	return err == nil
}

// CutAlways cuts every connection after so many bytes to the server, and later ones at once, until CutAfter or Heal.
func (p *Proxy) CutAlways(bytes int64) {
	p.CutAfter(bytes, 1<<40)
	p.again = 0
}

// Heal lets all pass again.
func (p *Proxy) Heal() { p.cuts.Store(0) }

// Cuts is how many of the cuts are still to come.
func (p *Proxy) Cuts() int64 { return p.cuts.Load() }

// Passed is how many bytes the server was sent so far.
func (p *Proxy) Passed() int64 { return p.passed.Load() }

// Cut closes all connections.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.live {
		c.Close()
	}
	clear(p.live)
}
