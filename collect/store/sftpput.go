package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/pkg/sftp"
)

const (
	// readBack is how large a file is that is read again once it is stored; of a larger one, some of it. Bytes.
	readBack = 64 << 20
	sample   = 1 << 20
)

// A parcel is one file on its way to a server.
type parcel struct {
	*server
	name  string
	r     io.ReaderAt
	size  int64
	sum   string
	sent  count
	state sentPart
}

// A sentPart is what is remembered of an upload: the server has so many bytes under a temporary name.
type sentPart struct {
	Name string `json:"name"`
	Sent int64  `json:"sent"`
	Sum  string `json:"sha256"` // of the whole
}

// Put writes to a temporary name, has the server bring it to its disk, and renames it when it is whole.
func (s *server) Put(ctx context.Context, name string, r io.ReaderAt, size int64, sum string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	if f, err := s.Open(ctx, name); err == nil {
		defer f.Close()
		return sameStored(ctx, name, f, size, sum)
	}
	p := &parcel{server: s, name: name, r: r, size: size, sum: sum, sent: count{tell: s.o.Progress}}
	p.recall()
	err := s.with(ctx, p.send)
	if err == nil {
		err = s.with(ctx, p.finish)
	}
	if err != nil {
		return fmt.Errorf("storing %q: %w", name, err)
	}
	return s.o.Memory.Remember(p.memory(), nil)
}

func (p *parcel) memory() string { return p.String() + "/" + p.name }

func (p *parcel) recall() {
	err := json.Unmarshal(p.o.Memory.Recall(p.memory()), &p.state)
	if err != nil || p.state.Sum != p.sum || p.state.Sent < 0 || p.state.Sent > p.size || !p.ours(p.state.Name) {
		p.fresh()
	}
}

// ours reports whether a name is one that fresh made up.
func (p *parcel) ours(name string) bool {
	return len(name) > len(unfinished)+9 && name[len(name)-len(unfinished):] == unfinished && nameProblem(name[:len(name)-len(unfinished)]) == ""
}

// fresh begins under another name: what lies under the old one may be anything.
func (p *parcel) fresh() {
	stem := p.name[:min(len(p.name), maxName-len(unfinished)-9)]
	p.state = sentPart{Name: stem + "." + rand.Text()[:8] + unfinished, Sum: p.sum}
}

func (p *parcel) remember() error {
	text, err := json.Marshal(p.state)
	if err != nil {
		return err
	}
	return p.o.Memory.Remember(p.memory(), text)
}

// send sends what the server does not have yet.
func (p *parcel) send(ctx context.Context, c *connection) error {
	f, err := p.open(c)
	if err != nil {
		return p.account(c, fmt.Errorf("making %q: %w", p.state.Name, err))
	}
	defer f.Close()
	whole := sha256.New()
	if _, err := io.Copy(whole, contextReader{ctx, io.NewSectionReader(p.r, 0, p.state.Sent)}); err != nil {
		return final(err)
	}
	for p.state.Sent < p.size {
		n := min(p.o.PartSize, p.size-p.state.Sent)
		r := io.TeeReader(io.NewSectionReader(p.r, p.state.Sent, n), whole)
		if err := p.write(ctx, f, p.o.slowly(ctx, r, p.sent.add)); err != nil {
			return p.account(c, err)
		}
		p.state.Sent += n
		if err := p.remember(); err != nil {
			return final(err)
		}
	}
	if err := final(sameSum(whole.Sum(nil), p.sum)); err != nil {
		return err
	}
	return p.durable(c, f)
}

// open opens the temporary file at the place to go on at. It begins another where the old one is not as it was left, or is not to be
// written again: a server may be set up so that nothing that was written can be.
func (p *parcel) open(c *connection) (*sftp.File, error) {
	if p.state.Sent > 0 {
		f, err := p.reopen(c)
		if err == nil {
			p.sent.at(p.state.Sent)
			return f, nil
		}
		if !errors.Is(err, fs.ErrPermission) && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errDiffers) {
			return nil, err
		}
	}
	_ = c.sftp.Remove(p.path(p.state.Name)) // where it may be
	p.fresh()
	p.sent.at(0)
	f, err := c.sftp.OpenFile(p.path(p.state.Name), os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return nil, err
	}
	return f, p.remember()
}

// reopen goes on with what is there, if its end is what was sent.
func (p *parcel) reopen(c *connection) (*sftp.File, error) {
	f, err := c.sftp.OpenFile(p.path(p.state.Name), os.O_RDWR)
	if err != nil {
		return nil, err
	}
	if err := p.same(f, max(0, p.state.Sent-sample), min(sample, p.state.Sent)); err != nil {
		f.Close()
		return nil, err
	}
	_, err = f.Seek(p.state.Sent, io.SeekStart)
	return f, err
}

// errDiffers is of what the server has.
var errDiffers = errors.New("it is other than what was sent")

// same compares a range of what is stored with what was to be.
func (p *parcel) same(f *sftp.File, off, n int64) error {
	theirs, mine := make([]byte, n), make([]byte, n)
	if _, err := io.ReadFull(io.NewSectionReader(p.r, off, n), mine); err != nil {
		return final(err)
	}
	k, err := f.ReadAt(theirs, off)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if !bytes.Equal(theirs[:k], mine) {
		return fmt.Errorf("%w from byte %d on", errDiffers, off)
	}
	return nil
}

// write sends r. Between two writes the connection must not stall.
func (p *parcel) write(ctx context.Context, f *sftp.File, r io.Reader) error {
	ctx, watched, stop := watch(ctx)
	defer stop()
	defer context.AfterFunc(ctx, func() { p.drop(nil) })()
	r = watched(r)
	buffer := make([]byte, 8*bite)
	for {
		n, err := io.ReadFull(r, buffer)
		if n > 0 {
			if _, werr := f.Write(buffer[:n]); werr != nil {
				return orStalled(ctx, werr)
			}
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil:
			return final(err)
		}
	}
}

// durable has the server bring what it has to its disk, if it can, and closes the file. Only then do some say that the disk was full.
func (p *parcel) durable(c *connection, f *sftp.File) error {
	if _, can := c.sftp.HasExtension("fsync@openssh.com"); can {
		if err := f.Sync(); err != nil {
			return p.account(c, err)
		}
	}
	return p.account(c, f.Close())
}

// account explains why the server did not take more: SFTP has no word for a full disk.
func (p *parcel) account(c *connection, err error) error {
	var status *sftp.StatusError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrPermission):
		return &Error{fmt.Errorf("the server does not let this account write in %q: %w", p.dir, err), "have who runs it make the directory, writable for that account"}
	case errors.Is(err, fs.ErrNotExist):
		return &Error{fmt.Errorf("the server has no directory %q", p.dir), "have who runs it make the directory, writable for that account"}
	case !errors.As(err, &status):
		return err
	}
	text := "its disk or the account's quota may be full"
	if v, verr := c.sftp.StatVFS(p.dir); verr == nil {
		text = fmt.Sprintf("its disk has %d bytes free, and the account's quota may be full", v.FreeSpace())
	}
	return &Error{fmt.Errorf("the server takes no more: %w; %s", err, text), "make room there, and upload again"}
}

// finish checks what the server has and gives it its name. Rename, as OpenSSH does it, replaces nothing; we look before, for those that do.
func (p *parcel) finish(_ context.Context, c *connection) error {
	temporary := p.path(p.state.Name)
	if err := p.check(c, temporary); err != nil {
		if info, lerr := c.sftp.Lstat(p.path(p.name)); lerr == nil && info.Size() == p.size && errors.Is(err, fs.ErrNotExist) {
			return p.check(c, p.path(p.name)) // renamed, and the answer was lost
		}
		return err
	}
	if _, err := c.sftp.Lstat(p.path(p.name)); err == nil {
		return fmt.Errorf("%w: it came while this was sent", ErrExists)
	}
	return c.sftp.Rename(temporary, p.path(p.name))
}

// check compares what the server has with what was sent: its size, and its bytes; of a large file, those at its ends and in the middle.
func (p *parcel) check(c *connection, name string) error {
	info, err := c.sftp.Lstat(name)
	if err != nil {
		return err
	}
	if info.Size() != p.size {
		return p.lied(fmt.Errorf("it has %d bytes of %d", info.Size(), p.size))
	}
	f, err := c.sftp.Open(name)
	if errors.Is(err, fs.ErrPermission) {
		return nil // it takes and does not give: the size is all that can be told
	}
	if err != nil {
		return err
	}
	defer f.Close()
	for _, r := range p.ranges() {
		err := p.same(f, r[0], r[1])
		if errors.Is(err, errDiffers) {
			return p.lied(err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *parcel) lied(err error) error {
	if rerr := p.o.Memory.Remember(p.memory(), nil); rerr != nil { // not to be gone on with
		err = errors.Join(err, rerr)
	}
	return &Error{fmt.Errorf("what the server has is not what it was sent: %w", err), "do not rely on this server: what it keeps is not what it was sent"}
}

// ranges are the offsets and lengths that are read again.
func (p *parcel) ranges() (list [][2]int64) {
	if p.size > readBack {
		middle := p.size / 2
		return [][2]int64{{0, sample}, {middle, sample}, {p.size - sample, sample}}
	}
	for off := int64(0); off < p.size; off += sample {
		list = append(list, [2]int64{off, min(sample, p.size-off)})
	}
	return list
}
