package collect

import (
	"bytes"
	"io"

	"github.com/klauspost/compress/zstd"
)

// spool keeps the manifest's rows compressed in memory until the archive's end: they must not touch the disk
// in clear, and cannot be written earlier because they lie behind the evidence.
type spool struct {
	rows int64
	size int64 // bytes of the rows as JSON
	enc  *zstd.Encoder
	buf  blocks
}

func newSpool() (*spool, error) {
	s := &spool{}
	var err error
	s.enc, err = zstd.NewWriter(&s.buf, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20),
		zstd.WithLowerEncoderMem(true))
	return s, err
}

func (s *spool) add(line []byte) error {
	s.rows++
	s.size += int64(len(line))
	_, err := s.enc.Write(line)
	return err
}

// finish ends the spool; after it, reader may be called as often as needed.
func (s *spool) finish() error { return s.enc.Close() }

// reader returns the rows, and a function that releases what reading them took.
func (s *spool) reader() (io.Reader, func(), error) {
	d, err := zstd.NewReader(s.buf.reader(), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, nil, err
	}
	return d, d.Close, nil
}

// blocks is a buffer that grows without copying what it holds.
type blocks struct{ list [][]byte }

const blockSize = 64 << 10

func (b *blocks) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		last := len(b.list) - 1
		if last < 0 || len(b.list[last]) == blockSize {
			b.list = append(b.list, make([]byte, 0, blockSize))
			last++
		}
		take := min(len(p), blockSize-len(b.list[last]))
		b.list[last] = append(b.list[last], p[:take]...)
		p = p[take:]
	}
	return n, nil
}

func (b *blocks) size() int {
	n := 0
	for _, l := range b.list {
		n += len(l)
	}
	return n
}

func (b *blocks) reader() io.Reader {
	readers := make([]io.Reader, len(b.list))
	for i, l := range b.list {
		readers[i] = bytes.NewReader(l)
	}
	return io.MultiReader(readers...)
}
