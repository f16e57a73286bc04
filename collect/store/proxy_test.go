package store

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A proxy stands between us and a server, and is a bad network.
type proxy struct {
	listener net.Listener
	target   string
	// budget is how many more bytes pass to the server before the connection is cut; below zero there is no end.
	budget atomic.Int64
	// cuts is how many times it is cut; then all passes.
	cuts atomic.Int64
	// again is the budget after a cut.
	again int64
	// each is how long a piece is kept back.
	each time.Duration
	mu   sync.Mutex
	live map[net.Conn]bool
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: listener, target: target, live: map[net.Conn]bool{}}
	p.budget.Store(-1)
	t.Cleanup(func() { listener.Close(); p.cut() })
	go p.serve()
	return p
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

// cutAfter cuts the connection after so many bytes to the server, times over.
func (p *proxy) cutAfter(bytes, times int64) {
	p.again = bytes
	p.cuts.Store(times)
	p.budget.Store(bytes)
}

func (p *proxy) serve() {
	for {
		in, err := p.listener.Accept()
		if err != nil {
			return
		}
		go p.carry(in)
	}
}

func (p *proxy) carry(in net.Conn) {
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
func (p *proxy) pass(out net.Conn, data []byte) bool {
	time.Sleep(p.each)
	if p.cuts.Load() > 0 && p.budget.Add(-int64(len(data))) < 0 {
		p.cuts.Add(-1)
		p.budget.Store(p.again)
		return false
	}
	_, err := out.Write(data)
	return err == nil
}

// cut closes all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.live {
		c.Close()
	}
	clear(p.live)
}
