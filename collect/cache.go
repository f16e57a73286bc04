package collect

import (
	"fmt"
	"io"
	"slices"
	"sort"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// cachedFrames is how many decompressed frames a bundle keeps: enough for a few readers side by side.
const cachedFrames = 4

// frameCache is the tar stream before the manifest as an io.ReaderAt, safe for concurrent use.
type frameCache struct {
	plain io.ReaderAt
	table []frameAt
	end   trailer
	dec   *zstd.Decoder

	mu     sync.Mutex
	recent []*cachedFrame // the last used is the last
}

type cachedFrame struct {
	index int
	load  func() ([]byte, error)
}

func newFrameCache(plain io.ReaderAt, table []frameAt, end trailer) (*frameCache, error) {
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(compressors), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(maxFrameSize), zstd.WithDecoderMaxMemory(maxFrameSize))
	return &frameCache{plain: plain, table: table, end: end, dec: dec}, err
}

// ReadAt reads from the tar stream.
func (c *frameCache) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("reading at %d: negative offset", off)
	}
	n := 0
	for n < len(p) {
		if off >= c.end.tar {
			return n, io.EOF
		}
		i := sort.Search(len(c.table), func(i int) bool { return c.table[i].tar() > off }) - 1
		data, err := c.frame(i)
		if err != nil {
			return n, err
		}
		k := copy(p[n:], data[off-c.table[i].tar():])
		n, off = n+k, off+int64(k)
	}
	return n, nil
}

// drop forgets what is kept.
func (c *frameCache) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.recent = nil
}

// frame returns the content of frame i. Frames that are being read by others stay valid when they leave the
// cache; a frame that could not be read leaves it at once.
func (c *frameCache) frame(i int) ([]byte, error) {
	f := c.entry(i)
	data, err := f.load()
	if err != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.recent = slices.DeleteFunc(c.recent, func(g *cachedFrame) bool { return g == f })
	}
	return data, err
}

func (c *frameCache) entry(i int) *cachedFrame {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := slices.IndexFunc(c.recent, func(f *cachedFrame) bool { return f.index == i })
	var f *cachedFrame
	if at >= 0 {
		f = c.recent[at]
		c.recent = slices.Delete(c.recent, at, at+1)
	} else {
		f = &cachedFrame{index: i, load: sync.OnceValues(func() ([]byte, error) { return c.decode(i) })}
	}
	if len(c.recent) == cachedFrames {
		c.recent = slices.Delete(c.recent, 0, 1)
	}
	c.recent = append(c.recent, f)
	return f
}

// decode decompresses frame i, which must hold exactly what the table says: no more is ever allocated.
func (c *frameCache) decode(i int) ([]byte, error) {
	next := frameAt{c.end.stored, c.end.tar}
	if i+1 < len(c.table) {
		next = c.table[i+1]
	}
	stored := make([]byte, next.stored()-c.table[i].stored())
	if err := readFullAt(c.plain, stored, c.table[i].stored()); err != nil {
		return nil, fmt.Errorf("reading frame %d: %w", i, err)
	}
	want := next.tar() - c.table[i].tar()
	// The decoder wants some room to spare and, to be told when there is more than that, a limit.
	data, err := c.dec.DecodeAll(stored, make([]byte, 0, want+64))
	if err != nil {
		return nil, fmt.Errorf("%w: frame %d: %v", ErrMalformed, i, err)
	}
	if int64(len(data)) != want {
		return nil, fmt.Errorf("%w: frame %d holds %d bytes, not %d", ErrMalformed, i, len(data), want)
	}
	return data, nil
}
