package jsonl

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
)

// MaxLine is the longest line kept, in bytes. OpenClaw's own events end at 4 MiB; a longer line is counted and
// passed over, so that one line cannot exhaust memory.
const MaxLine = 32 << 20

// chunkSize is how much text a chunk aims for: large enough to spread work over cores, small enough that a
// handful of them fit in memory.
const chunkSize = 1 << 20

// A Chunk is a run of whole lines.
type Chunk struct {
	Text    []byte // whole lines, each ending in a newline except perhaps the stream's last
	Line    int64  // number of the first line, from 1
	Offset  int64  // where Text starts in the stream, in bytes
	TooLong int64  // bytes of one over-long line passed over instead of Text; then Text is empty
}

// Buffers lets the texts of chunks be used again. The zero Buffers are ready; they may be shared.
type Buffers struct{ pool sync.Pool }

// Put gives back a chunk's text, which must not be used any more.
func (b *Buffers) Put(text []byte) {
	if cap(text) >= chunkSize && cap(text) <= 4*chunkSize {
		b.pool.Put(&text)
	}
}

// Get returns an empty buffer.
func (b *Buffers) Get() []byte { return b.get(chunkSize) }

func (b *Buffers) get(size int) []byte {
	if size <= chunkSize {
		if p, ok := b.pool.Get().(*[]byte); ok {
			return (*p)[:0]
		}
	}
	return make([]byte, 0, max(chunkSize, size))
}

// Lines reads r in chunks of whole lines.
type Lines struct {
	buffers *Buffers
	r       io.Reader
	rest    []byte
	line    int64
	offset  int64
	readErr error
}

// NewLines returns a reader of r's lines.
func NewLines(r io.Reader, buffers *Buffers) *Lines { return &Lines{r: r, buffers: buffers, line: 1} }

// Next returns the next chunk, whose text the caller owns, or io.EOF after the last.
// A read error is returned once all lines before it have been, with the torn last line among them.
func (l *Lines) Next() (Chunk, error) {
	if l.readErr != nil && len(l.rest) == 0 {
		return l.last(nil) // without taking a buffer: most files are one chunk, and a host may hold a million
	}
	buf := append(l.buffers.get(2*len(l.rest)), l.rest...)
	l.rest = l.rest[:0]
	searched := 0
	for {
		if i := bytes.LastIndexByte(buf[searched:], '\n'); i >= 0 && (len(buf) >= chunkSize/2 || l.readErr != nil) {
			end := searched + i + 1
			l.rest = append(l.rest, buf[end:]...)
			return l.chunk(buf[:end]), nil
		} else if i < 0 {
			searched = len(buf)
		}
		if l.readErr != nil {
			return l.last(buf)
		}
		if len(buf) >= MaxLine {
			return l.passOver(buf)
		}
		buf = l.fill(buf)
	}
}

func (l *Lines) fill(buf []byte) []byte {
	if len(buf) == cap(buf) {
		grown := make([]byte, len(buf), min(2*cap(buf), MaxLine))
		copy(grown, buf)
		buf = grown
	}
	n, err := l.r.Read(buf[len(buf):cap(buf)])
	l.readErr = err
	return buf[:len(buf)+n]
}

func (l *Lines) chunk(text []byte) Chunk {
	c := Chunk{Text: text, Line: l.line, Offset: l.offset}
	l.line += int64(bytes.Count(text, []byte{'\n'}))
	l.offset += int64(len(text))
	return c
}

// last returns what is left when the stream has ended without a newline.
func (l *Lines) last(buf []byte) (Chunk, error) {
	if len(buf) > 0 {
		return l.chunk(buf), nil
	}
	if errors.Is(l.readErr, io.EOF) {
		return Chunk{}, io.EOF
	}
	return Chunk{}, fmt.Errorf("reading at byte %d: %w", l.offset, l.readErr)
}

// holed is a reader of a file that may be sparse: what SkipHole passes over has no newline.
type holed interface{ SkipHole() int64 }

// passOver counts the bytes of a line longer than MaxLine up to its newline.
func (l *Lines) passOver(buf []byte) (Chunk, error) {
	c := Chunk{Line: l.line, Offset: l.offset, TooLong: int64(len(buf))}
	buf = buf[:cap(buf)]
	defer l.buffers.Put(buf)
	for {
		n, err := l.r.Read(buf)
		if i := bytes.IndexByte(buf[:n], '\n'); i >= 0 {
			c.TooLong += int64(i + 1)
			l.rest = append(l.rest, buf[i+1:n]...)
			l.readErr = err
			break
		}
		c.TooLong += int64(n)
		if h, ok := l.r.(holed); ok && n > 0 && err == nil && buf[n-1] == 0 {
			c.TooLong += h.SkipHole()
		}
		if err != nil {
			l.readErr = err
			break
		}
	}
	l.line++
	l.offset += c.TooLong
	return c, nil
}
