package collect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

// A Shelf is where the bundles and the seals of a chain lie: a directory, or a store on another machine. It is somebody else's:
// nothing that it says is trusted.
type Shelf interface {
	// List yields what lies there, in any order. An error ends it.
	List(ctx context.Context) iter.Seq2[ShelfEntry, error]
	// Open opens a thing that List named, for random reading.
	Open(ctx context.Context, name string) (ShelfFile, error)
}

// A ShelfEntry is one thing on a Shelf.
type ShelfEntry struct {
	Name    string // without a folder; hostile text
	Size    int64  // in bytes; of what is neither a bundle nor a seal it may be unknown, and 0
	Problem string // why it is nothing that can be opened; usually empty
}

// A ShelfFile reads one file of a Shelf.
type ShelfFile interface {
	io.ReaderAt
	io.Closer
	Size() int64 // in bytes
}

// DirShelf is the Shelf of a directory. Links are not followed, and pipes and devices are not opened.
func DirShelf(root *host.Root) Shelf { return dirShelf{root} }

type dirShelf struct{ root *host.Root }

func (d dirShelf) List(ctx context.Context) iter.Seq2[ShelfEntry, error] {
	return func(yield func(ShelfEntry, error) bool) {
		for entry, err := range d.root.ReadDirIter(".") {
			if err = errors.Join(ctx.Err(), err); err != nil {
				yield(ShelfEntry{}, err)
				return
			}
			if !yield(shelfEntry(entry), nil) {
				return
			}
		}
	}
}

// shelfEntry looks closer only at what has the name of a bundle or a seal: a directory may hold a million other things.
func shelfEntry(entry fs.DirEntry) ShelfEntry {
	e := ShelfEntry{Name: entry.Name()}
	if !isBundleName(e.Name) && !isSealName(e.Name) {
		return e
	}
	info, err := entry.Info()
	switch {
	case err != nil:
		e.Problem = openclaw.Cause(err)
	case info.Mode()&fs.ModeSymlink != 0:
		e.Problem = "a link, which is not followed"
	case !info.Mode().IsRegular():
		e.Problem = "not a file"
	default:
		e.Size = info.Size()
	}
	return e
}

func (d dirShelf) Open(_ context.Context, name string) (ShelfFile, error) {
	if strings.Contains(name, "/") {
		return nil, fmt.Errorf("%q: %w", name, fs.ErrInvalid)
	}
	f, err := d.root.OpenNoFollow(name)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = host.ErrSpecial
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return shelfFile{f, info.Size()}, nil
}

type shelfFile struct {
	*os.File
	size int64
}

func (f shelfFile) Size() int64 { return f.size }

// readShelf reads a whole file of at most limit bytes.
func readShelf(ctx context.Context, s Shelf, name string, limit int64) ([]byte, error) {
	f, err := s.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if f.Size() > limit {
		return nil, fmt.Errorf("%d bytes, more than the %d that are read", f.Size(), limit)
	}
	data := make([]byte, f.Size())
	if n, err := f.ReadAt(data, 0); int64(n) < f.Size() {
		return nil, fmt.Errorf("read %d of %d bytes: %w", n, f.Size(), err)
	}
	return data, nil
}
