package collect

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"filippo.io/age"
)

// Member is one entry of a bundle's archive as the tar stream has it, without a look at the manifest.
// Everything in it is hostile.
type Member struct {
	Name  string // "[root]/…", "live/…", "manifest.jsonl"; no slash at the end
	Type  Type   // File, Dir or Symlink, and empty for what a bundle never holds
	Size  int64
	Link  string
	Mtime time.Time
	At    int64 // offset of the content in the tar stream
	// HeaderSize is how many bytes of headers come before the content.
	HeaderSize int64
	// Body is the content. It is valid until the next member and returns a *CutError where the bundle ends early.
	Body io.Reader
}

// CutError says where a bundle ended early. It is an ErrCut.
type CutError struct {
	Tar  int64  // how many bytes of the tar stream could be read
	Last string // the last member that is whole, if any
	Part string // the member that the cut went through, if any
	Err  error  // what reading met there
}

// Error describes the cut.
func (e *CutError) Error() string {
	s := fmt.Sprintf("bundle ends after %d bytes of the archive", e.Tar)
	if e.Part != "" {
		s += fmt.Sprintf(", inside %q", e.Part)
	}
	if e.Last != "" {
		s += fmt.Sprintf(", last whole member %q", e.Last)
	}
	return s + ": " + e.Err.Error()
}

// Is reports whether target is ErrCut.
func (e *CutError) Is(target error) bool { return target == ErrCut }

// Unwrap returns what reading met.
func (e *CutError) Unwrap() error { return e.Err }

// Members yields the archive's members in order, decrypting the whole bundle once. If the archive ends early
// or is damaged, a *CutError comes last.
func (b *Bundle) Members(ctx context.Context) iter.Seq2[Member, error] {
	return func(yield func(Member, error) bool) {
		tail, err := b.tail()
		if err != nil {
			yield(Member{}, err)
			return
		}
		defer tail.Close()
		walkMembers(ctx, io.MultiReader(&frameStream{c: b.frames}, tail), yield)
	}
}

// Salvage yields the members of a bundle that may end at any byte: it needs neither trailer nor manifest,
// reads r once from its beginning, and yields what can be authenticated. A *CutError comes last if the
// bundle is not whole, and ErrWrongKey alone if no identity fits.
func Salvage(ctx context.Context, r io.Reader, ids ...age.Identity) iter.Seq2[Member, error] {
	return func(yield func(Member, error) bool) {
		plain, err := age.Decrypt(r, ids...)
		if err != nil {
			yield(Member{}, fmt.Errorf("opening bundle: %w", salvageError(err)))
			return
		}
		frames, err := newFrameReader(plain)
		if err != nil {
			yield(Member{}, err)
			return
		}
		defer frames.Close()
		walkMembers(ctx, frames, yield)
	}
}

// salvageError tells a header that is cut short from a wrong key.
func salvageError(err error) error {
	var noMatch *age.NoIdentityMatchError
	if errors.As(err, &noMatch) {
		return openError(err)
	}
	return &CutError{Err: err}
}

// frameStream reads the frames of a bundle in order, past the cache.
type frameStream struct {
	c    *frameCache
	next int
	data []byte
}

func (s *frameStream) Read(p []byte) (int, error) {
	for len(s.data) == 0 {
		if s.next == len(s.c.table) {
			return 0, io.EOF
		}
		var err error
		if s.data, err = s.c.decode(s.next); err != nil {
			return 0, err
		}
		s.next++
	}
	n := copy(p, s.data)
	s.data = s.data[n:]
	return n, nil
}

// memberWalk is one pass over a tar stream.
type memberWalk struct {
	ctx context.Context
	src io.Reader
	off int64
	cut CutError
	tar *tar.Reader
}

func walkMembers(ctx context.Context, src io.Reader, yield func(Member, error) bool) {
	w := &memberWalk{ctx: ctx, src: src}
	w.tar = tar.NewReader(readFunc(w.read))
	for {
		start := blockEnd(w.off)
		h, err := w.tar.Next()
		if errors.Is(err, io.EOF) {
			err = w.drain()
			if err == nil {
				return
			}
		}
		if err != nil {
			yield(Member{}, w.fail(err))
			return
		}
		if !yield(w.member(h, start), nil) {
			return
		}
		// Reading the rest here, and not in Next, tells a cut in this member from one behind it.
		if _, err := io.Copy(io.Discard, readFunc(w.body)); err != nil {
			yield(Member{}, err)
			return
		}
		w.cut.Last, w.cut.Part = w.cut.Part, ""
	}
}

// blockEnd is where the 512-byte block of the tar stream ends that holds the byte before off.
func blockEnd(off int64) int64 { return (off + 511) &^ 511 }

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

func (w *memberWalk) read(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := w.src.Read(p)
	w.off += int64(n)
	return n, err
}

// member describes the member whose headers begin at start and end here.
func (w *memberWalk) member(h *tar.Header, start int64) Member {
	m := Member{Size: h.Size, Link: h.Linkname, Mtime: h.ModTime, At: w.off, HeaderSize: w.off - start, Body: readFunc(w.body)}
	m.Name = strings.TrimSuffix(h.Name, "/")
	switch {
	case isSparse(h):
	case h.Typeflag == tar.TypeReg:
		m.Type, m.Name = File, h.Name
	case h.Typeflag == tar.TypeDir:
		m.Type = Dir
	case h.Typeflag == tar.TypeSymlink:
		m.Type, m.Name = Symlink, h.Name
	}
	w.cut.Part = m.Name
	return m
}

func (w *memberWalk) body(p []byte) (int, error) {
	n, err := w.tar.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = w.fail(err)
	}
	return n, err
}

// drain reads what follows the archive's end, which must be nothing but the rest of tar's last record.
func (w *memberWalk) drain() error {
	buf := make([]byte, 32<<10)
	for total := 0; ; {
		n, err := w.read(buf)
		for _, c := range buf[:n] {
			if c != 0 {
				return fmt.Errorf("%w: data behind the end of the archive", ErrMalformed)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if total += n; total > maxLine {
			return fmt.Errorf("%w: data behind the end of the archive", ErrMalformed)
		}
	}
}

func (w *memberWalk) fail(err error) error {
	if ctxErr := w.ctx.Err(); ctxErr != nil {
		return ctxErr
	}
	cut := w.cut
	cut.Tar, cut.Err = w.off, err
	return &cut
}
