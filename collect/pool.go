package collect

import (
	"errors"
	"io"
	"os"
	"slices"
	"sync"
)

// maxOpenFiles is how many bundles of a chain are open at once: a year of hours is more than a process may open.
const maxOpenFiles = 64

// A filePool keeps files open, those that were read last. It is safe for concurrent use.
type filePool struct {
	openFile func(name string) (readerAtCloser, error)
	mu       sync.Mutex
	open     []openedFile // the last used last
}

type readerAtCloser interface {
	io.ReaderAt
	io.Closer
}

type openedFile struct {
	readerAtCloser
	name string
}

// openOS opens a file of this machine.
func openOS(name string) (readerAtCloser, error) { return os.Open(name) }

// get returns an open file. It may be closed as soon as others are opened.
func (p *filePool) get(name string) (io.ReaderAt, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.IndexFunc(p.open, func(f openedFile) bool { return f.name == name })
	if i >= 0 {
		f := p.open[i]
		p.open = append(slices.Delete(p.open, i, i+1), f)
		return f, nil
	}
	f, err := p.openFile(name)
	if err != nil {
		return nil, err
	}
	if len(p.open) == maxOpenFiles {
		p.open[0].Close()
		p.open = slices.Delete(p.open, 0, 1)
	}
	p.open = append(p.open, openedFile{f, name})
	return f, nil
}

// Close closes what is open.
func (p *filePool) Close() (err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range p.open {
		err = errors.Join(err, f.Close())
	}
	p.open = nil
	return err
}

// A pooledFile is opened when it is read.
type pooledFile struct {
	pool *filePool
	name string
}

// ReadAt reads from the file, and again if others had it closed meanwhile.
func (f pooledFile) ReadAt(b []byte, off int64) (int, error) {
	for {
		file, err := f.pool.get(f.name)
		if err != nil {
			return 0, err
		}
		if n, err := file.ReadAt(b, off); !errors.Is(err, os.ErrClosed) {
			return n, err
		}
	}
}
