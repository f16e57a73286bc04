package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/clawbook/openclaw-ir/internal/durable"
	"github.com/clawbook/openclaw-ir/internal/host"
)

// A directory is a store on a disk: a second one, a memory stick, a mounted share.
type directory struct {
	path string
	root *os.Root
	o    Options
}

// openDirectory opens the directory and makes it if it alone is missing: of a path of which more is missing, something is not mounted.
func openDirectory(path string, o Options) (Store, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("making the store: %w", err)
	}
	root, err := host.OpenDir(path)
	if errors.Is(err, host.ErrNotTrusted) {
		return nil, &Error{fmt.Errorf("opening the store: %w", err), "name the directory that is meant itself"}
	}
	if err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	return &directory{path, root, o}, nil
}

func (d *directory) String() string { return d.path }
func (d *directory) Close() error   { return d.root.Close() }

// Put writes to a temporary name, through to the disk, and gives the file its name when it is whole.
func (d *directory) Put(ctx context.Context, name string, r io.ReaderAt, size int64, sum string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	if _, err := d.root.Lstat(name); err == nil {
		return d.compare(ctx, name, size, sum)
	}
	temporary := "." + name[:min(len(name), maxName-len(unfinished)-1)] + unfinished
	_ = d.root.Remove(temporary) // of a run that was killed
	err := d.write(ctx, temporary, r, size, sum)
	if err == nil {
		err = durable.Name(d.root, temporary, name)
	}
	_ = d.root.Remove(temporary)
	switch {
	case errors.Is(err, fs.ErrExist):
		return d.compare(ctx, name, size, sum)
	case err != nil:
		return fmt.Errorf("storing %q: %w", name, diskError(err))
	}
	return nil
}

func (d *directory) write(ctx context.Context, name string, r io.ReaderAt, size int64, sum string) error {
	whole := sha256.New()
	content := d.o.slowly(ctx, io.NewSectionReader(r, 0, size), d.o.Progress)
	if err := durable.Write(d.root, name, io.TeeReader(content, whole)); err != nil {
		return err
	}
	return sameSum(whole.Sum(nil), sum)
}

// compare says whether what is there under a name is what was to be stored.
func (d *directory) compare(ctx context.Context, name string, size int64, sum string) error {
	f, err := d.Open(ctx, name)
	if err != nil {
		return fmt.Errorf("storing %q: %w, and cannot be compared: %v", name, ErrExists, err)
	}
	defer f.Close()
	return sameStored(ctx, name, f, size, sum)
}

// sameStored returns nil if what is stored is what was to be stored.
func sameStored(ctx context.Context, name string, f Reader, size int64, sum string) error {
	if f.Size() != size {
		return fmt.Errorf("storing %q: %w: something else, of %d bytes", name, ErrExists, f.Size())
	}
	whole := sha256.New()
	if _, err := io.Copy(whole, contextReader{ctx, io.NewSectionReader(f, 0, size)}); err != nil {
		return fmt.Errorf("storing %q: %w, and cannot be compared: %v", name, ErrExists, err)
	}
	if got := hex.EncodeToString(whole.Sum(nil)); got != sum {
		return fmt.Errorf("storing %q: %w: something else, with SHA-256 %s", name, ErrExists, got)
	}
	return nil
}

func sameSum(got []byte, want string) error {
	if hex.EncodeToString(got) != want {
		return fmt.Errorf("%w: its SHA-256 is %x and should be %s", ErrChanged, got, want)
	}
	return nil
}

func diskError(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return &Error{err, "make room where it is to be stored, and upload again"}
	}
	return err
}

// List lists the files of the directory.
func (d *directory) List(ctx context.Context) ([]Object, error) {
	f, err := d.root.Open(".")
	if err != nil {
		return nil, fmt.Errorf("listing: %w", err)
	}
	defer f.Close()
	var l listing
	for {
		entries, err := f.ReadDir(1000)
		for _, entry := range entries {
			if err := l.add(d.object(entry)); err != nil {
				return nil, err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return l.sorted(), nil
		case err != nil:
			return nil, fmt.Errorf("listing: %w", err)
		case ctx.Err() != nil:
			return nil, ctx.Err()
		}
	}
}

func (d *directory) object(entry fs.DirEntry) Object {
	o := Object{Name: entry.Name()}
	info, err := entry.Info()
	switch {
	case err != nil:
		o.Problem = "it cannot be looked at"
	case !info.Mode().IsRegular():
		o.Problem = "not a file"
	default:
		o.Size, o.Time = info.Size(), info.ModTime().UTC().Truncate(time.Second)
	}
	return o
}

// A storedFile is a file of the directory.
type storedFile struct {
	*os.File
	size int64
}

func (f storedFile) Size() int64 { return f.size }

// Open opens a file that is no link and no pipe.
func (d *directory) Open(_ context.Context, name string) (Reader, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	f, err := d.root.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("opening what is stored: %w", err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a file")
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("opening %q: %w", name, err)
	}
	return storedFile{f, info.Size()}, nil
}
