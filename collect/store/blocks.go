package store

import (
	"fmt"
	"io"
	"slices"
	"sync"
)

const (
	blockSize   = 1 << 20 // bytes asked for at once
	keptBlocks  = 16
	errLessTold = "the store sends less than it said that there is"
)

// blocks reads a remote file by the block and keeps the last used ones: a bundle is read in small pieces that lie close together.
type blocks struct {
	size  int64
	fetch func(p []byte, off int64) error // fills p
	close func() error

	mu     sync.Mutex
	recent []block // the last used is the last
}

type block struct {
	number int64
	data   []byte
}

func (b *blocks) Size() int64  { return b.size }
func (b *blocks) Close() error { return b.close() }

// ReadAt reads from the file.
func (b *blocks) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("reading at %d: negative offset", off)
	}
	n := 0
	for n < len(p) {
		if off >= b.size {
			return n, io.EOF
		}
		data, err := b.block(off / blockSize)
		if err != nil {
			return n, err
		}
		k := copy(p[n:], data[off%blockSize:])
		n, off = n+k, off+int64(k)
	}
	return n, nil
}

// block returns a block. One at a time is fetched: whoever asks for the same meanwhile finds it there.
func (b *blocks) block(number int64) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := slices.IndexFunc(b.recent, func(k block) bool { return k.number == number })
	var found block
	if at >= 0 {
		found = b.recent[at]
		b.recent = slices.Delete(b.recent, at, at+1)
	} else {
		off := number * blockSize
		found = block{number, make([]byte, min(blockSize, b.size-off))}
		if err := b.fetch(found.data, off); err != nil {
			return nil, err
		}
	}
	if len(b.recent) == keptBlocks {
		b.recent = slices.Delete(b.recent, 0, 1)
	}
	b.recent = append(b.recent, found)
	return found.data, nil
}
