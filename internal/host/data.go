package host

import (
	"context"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Data reads a file until its context ends, and can pass over the holes of a sparse one: an intruder makes a file of a terabyte, of
// which the disk holds nothing, with one command.
type Data struct {
	ctx  context.Context
	file fs.File
}

// NewData returns a reader of a file, which stays the caller's to close.
func NewData(ctx context.Context, f fs.File) *Data { return &Data{ctx, f} }

func (d *Data) Read(p []byte) (int, error) {
	if err := d.ctx.Err(); err != nil {
		return 0, err
	}
	return d.file.Read(p)
}

// SkipHole moves on to the next byte that the disk holds, or to the end, and returns how many bytes it passed over: NULs that nobody
// wrote. That is 0 for what is no file of this machine's and where the file system does not tell.
func (d *Data) SkipHole() int64 {
	f, ok := d.file.(*os.File)
	if !ok {
		return 0
	}
	at, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0
	}
	next, err := unix.Seek(int(f.Fd()), at, unix.SEEK_DATA)
	if err == unix.ENXIO { // a hole up to the end
		next, err = f.Seek(0, io.SeekEnd)
	}
	if err != nil || next < at { // cut off meanwhile: there is no more to read
		return 0
	}
	return next - at
}
