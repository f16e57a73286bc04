package collect

import (
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// compressors is how many frames are compressed at once. Each takes about 2.5 frames of memory, which is
// why it does not follow the number of cores: a small host must survive a collection.
const compressors = 2

// frame is a piece of the tar stream on its way through compression.
type frame struct {
	at   int64 // offset of raw in the tar stream
	raw  []byte
	out  []byte
	done chan struct{} // receives once when out is ready
}

// frameWriter cuts what is written to it into frames of equal size, compresses two at a time and writes them
// to dst in order. Errors of dst stick and are returned by the next call.
type frameWriter struct {
	dst   io.Writer
	enc   *zstd.Encoder
	size  int
	off   int64 // bytes taken so far
	cur   *frame
	spare int // frames that may still be made
	free  chan *frame
	work  chan *frame
	order chan *frame
	live  sync.WaitGroup // goroutines
	sent  sync.WaitGroup // frames that were cut and not written yet

	mu     sync.Mutex
	err    error
	stored int64
	table  []frameAt
}

// window is how far back the compressor looks, in bytes: as far as zstd -3 does.
const window = 2 << 20

func newFrameWriter(dst io.Writer, level zstd.EncoderLevel, size int) (*frameWriter, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(level), zstd.WithEncoderConcurrency(compressors),
		zstd.WithWindowSize(min(size, window)), zstd.WithLowerEncoderMem(true),
		// age authenticates every byte and the manifest holds every file's digest: a third check would only cost time.
		zstd.WithEncoderCRC(false), zstd.WithAllLitEntropyCompression(true))
	if err != nil {
		return nil, err
	}
	// One frame is being filled, one written, the others compressed.
	const frames = compressors + 2
	w := &frameWriter{
		dst: dst, enc: enc, size: size, spare: frames,
		free: make(chan *frame, frames), work: make(chan *frame), order: make(chan *frame, frames),
	}
	for range compressors {
		w.live.Go(w.compress)
	}
	w.live.Go(w.deliver)
	return w, nil
}

// Write takes p into the current frame and cuts it when it is full.
func (w *frameWriter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		f := w.current()
		take := min(len(p), w.size-len(f.raw))
		f.raw = append(f.raw, p[:take]...)
		w.off += int64(take)
		p = p[take:]
		if len(f.raw) == w.size {
			w.cut()
			if err := w.failed(); err != nil {
				return n - len(p), err
			}
		}
	}
	return n, nil
}

func (w *frameWriter) current() *frame {
	if w.cur != nil {
		return w.cur
	}
	select {
	case w.cur = <-w.free:
	default:
		if w.spare > 0 {
			w.spare--
			w.cur = &frame{raw: make([]byte, 0, w.size), done: make(chan struct{}, 1)}
		} else {
			w.cur = <-w.free
		}
	}
	w.cur.at, w.cur.raw = w.off, w.cur.raw[:0]
	return w.cur
}

// cut ends the current frame if it holds anything.
func (w *frameWriter) cut() {
	if w.cur == nil || len(w.cur.raw) == 0 {
		return
	}
	w.sent.Add(1)
	w.order <- w.cur
	w.work <- w.cur
	w.cur = nil
}

// flush cuts and waits until all is written, and returns where the next frame will begin.
func (w *frameWriter) flush() (trailer, error) {
	w.cut()
	w.sent.Wait()
	return trailer{stored: w.stored, tar: w.off}, w.failed()
}

// close ends the goroutines. What was not cut is dropped.
func (w *frameWriter) close() {
	close(w.work)
	close(w.order)
	w.live.Wait()
}

func (w *frameWriter) compress() {
	for f := range w.work {
		f.out = w.enc.EncodeAll(f.raw, f.out[:0])
		f.done <- struct{}{}
	}
}

func (w *frameWriter) deliver() {
	for f := range w.order {
		<-f.done
		if w.failed() == nil {
			w.table = append(w.table, frameAt{w.stored, f.at})
			n, err := w.dst.Write(f.out)
			w.stored += int64(n)
			w.fail(err)
		}
		w.free <- f
		w.sent.Done()
	}
}

func (w *frameWriter) failed() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

func (w *frameWriter) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
	}
}
