package collect

import (
	"archive/tar"
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"filippo.io/age"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/klauspost/compress/zstd"
)

// Bundle is an open bundle. It is safe for concurrent use; it decrypts only what is asked for and keeps a few
// decompressed frames in memory. What it returns is hostile: the evidence as an attacker may have left it.
type Bundle struct {
	plain  io.ReaderAt // the compressed stream
	size   int64       // of the compressed stream, with the trailer
	end    trailer
	head   headLine
	frames *frameCache

	index func() *evidence
}

// OpenBundle opens a bundle of size bytes with the identities. It reads the end of the bundle and the first
// lines of the manifest.
//
// It returns ErrWrongKey if no identity fits, ErrCut if the bundle has no trailer, which Salvage can still
// read, and ErrMalformed if it contradicts itself.
func OpenBundle(ra io.ReaderAt, size int64, ids ...age.Identity) (*Bundle, error) {
	if size == 0 {
		return nil, fmt.Errorf("opening bundle: %w: it is empty", ErrCut)
	}
	watched := &watchedReader{ReaderAt: ra}
	b, err := openBundle(watched, size, ids)
	if err != nil {
		err = fmt.Errorf("opening bundle: %w", cmp.Or(watched.failed(), err)) // what could not be read is not cut or malformed
	}
	return b, err
}

// A watchedReader remembers the first error but the end.
type watchedReader struct {
	io.ReaderAt
	first atomic.Pointer[error]
}

// ReadAt reads.
func (w *watchedReader) ReadAt(p []byte, off int64) (int, error) {
	n, err := w.ReaderAt.ReadAt(p, off)
	if err != nil && !errors.Is(err, io.EOF) {
		w.first.CompareAndSwap(nil, &err)
	}
	return n, err
}

// failed returns that error; nil without one.
func (w *watchedReader) failed() error {
	if err := w.first.Load(); err != nil {
		return *err
	}
	return nil
}

func openBundle(ra io.ReaderAt, size int64, ids []age.Identity) (*Bundle, error) {
	plain, plainSize, err := age.DecryptReaderAt(ra, size, ids...)
	if err != nil {
		return nil, openError(err)
	}
	b := &Bundle{plain: plain, size: plainSize}
	if b.end, err = b.readTrailer(); err != nil {
		return nil, err
	}
	lines, done, err := b.manifest()
	if err != nil {
		return nil, err
	}
	defer done()
	head, table, err := parseHead(lines, b.end)
	if err != nil {
		return nil, err
	}
	b.head = head
	if b.frames, err = newFrameCache(plain, table, b.end); err != nil {
		return nil, err
	}
	b.index = sync.OnceValue(func() *evidence { return newEvidence(b) })
	return b, nil
}

// openError tells a wrong key from a bundle whose end is missing: age finds both before the first byte.
func openError(err error) error {
	var noMatch *age.NoIdentityMatchError
	if errors.As(err, &noMatch) {
		if slices.Equal(noMatch.StanzaTypes, []string{"scrypt"}) {
			return fmt.Errorf("%w: it was sealed with a passphrase, and not with this one", ErrWrongKey)
		}
		return fmt.Errorf("%w (it was sealed for: %s)", ErrWrongKey, strings.Join(quoted(noMatch.StanzaTypes), ", "))
	}
	for _, text := range []string{"final chunk", "payload size", "EOF"} {
		if strings.Contains(err.Error(), text) {
			return fmt.Errorf("%w: %v", ErrCut, err)
		}
	}
	return err
}

func quoted(list []string) []string {
	out := make([]string, 0, len(list))
	for _, s := range list {
		out = append(out, fmt.Sprintf("%.20q", s))
	}
	return out
}

func (b *Bundle) readTrailer() (trailer, error) {
	if b.size < int64(trailerSize) {
		return trailer{}, ErrCut
	}
	last := make([]byte, trailerSize)
	if err := readFullAt(b.plain, last, b.size-int64(trailerSize)); err != nil {
		return trailer{}, err
	}
	return parseTrailer(last, b.size)
}

// readFullAt fills p; that the source ends with p is no error.
func readFullAt(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// tail reads the tar stream from the manifest's frame to the end.
func (b *Bundle) tail() (*zstd.Decoder, error) {
	return newFrameReader(io.NewSectionReader(b.plain, b.end.stored, b.size-b.end.stored))
}

// newFrameReader reads a stream of frames no one of which takes more memory than ours do.
func newFrameReader(r io.Reader) (*zstd.Decoder, error) {
	// The decoder takes io.ErrUnexpectedEOF between two frames for a clean end, and so would hide a cut there.
	honest := readFunc(func(p []byte) (int, error) {
		n, err := r.Read(p)
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = errors.New("encrypted stream ends early")
		}
		return n, err
	})
	return zstd.NewReader(honest, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(maxFrameSize), zstd.WithDecoderMaxMemory(maxFrameSize), zstd.WithDecodeBuffersBelow(0))
}

// manifest returns the lines of the manifest, and a function that releases what reading them took.
func (b *Bundle) manifest() (*bufio.Reader, func(), error) {
	d, err := b.tail()
	if err != nil {
		return nil, nil, err
	}
	t := tar.NewReader(d)
	h, err := t.Next()
	if err == nil && (h.Name != memberManifest || h.Typeflag != tar.TypeReg || isSparse(h)) {
		err = fmt.Errorf("%q lies where the manifest should", h.Name)
	}
	if err != nil {
		d.Close()
		return nil, nil, fmt.Errorf("%w: reading manifest: %v", ErrMalformed, err)
	}
	return newLineReader(&budget{r: t, left: 64<<20 + manifestRatio*(b.size-b.end.stored)}), d.Close, nil
}

// manifestRatio bounds how far a manifest may expand beyond a first 64 MiB. Digests do not compress, so a
// real one stays far below.
const manifestRatio = 200

// budget is a reader that fails with ErrLimit when more is read than was allowed.
type budget struct {
	r    io.Reader
	left int64
}

func (b *budget) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, ErrLimit
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// isSparse says whether a member's size may have nothing to do with its bytes in the archive.
func isSparse(h *tar.Header) bool {
	for k := range h.PAXRecords {
		if strings.HasPrefix(k, "GNU.sparse.") {
			return true
		}
	}
	return h.Typeflag == tar.TypeGNUSparse
}

// Header returns the manifest's first line.
func (b *Bundle) Header() Header { return b.head.Header }

// Rows yields the manifest's rows in the order in which they were recorded, read anew at each call. After an
// error, which it yields, there are no more.
func (b *Bundle) Rows() iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		lines, done, err := b.manifest()
		if err == nil {
			defer done()
			_, _, err = parseHead(lines, b.end)
		}
		if err != nil {
			yield(Row{}, err)
			return
		}
		var n int64
		for row, err := range parseRows(lines) {
			n++
			if err == nil && n > b.head.Rows {
				row, err = Row{}, fmt.Errorf("%w: more rows than the manifest announces", ErrMalformed)
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
		if n < b.head.Rows {
			yield(Row{}, fmt.Errorf("%w: %d rows where the manifest announces %d", ErrMalformed, n, b.head.Rows))
		}
	}
}

// ErrNotCollected says that a thing existed on the host and its content is not in the bundle. It wraps
// fs.ErrPermission, so that a reader that knows no bundles treats it as what it could not read.
var ErrNotCollected = fmt.Errorf("content was not collected: %w", fs.ErrPermission)

func notCollected(row *Row) error {
	return fmt.Errorf("%q: %w (%s %.200q)", row.Path, ErrNotCollected, row.Status, row.Reason)
}

// Content returns the stored bytes of a row of this bundle; of a row with a Delta those are its ranges, one after the other, and
// not the file. It compares the row with the archive's own
// header of the member, so that a manifest that points elsewhere is found out.
func (b *Bundle) Content(row Row) (*io.SectionReader, error) {
	if row.At == 0 || row.Type != File {
		if row.Status == Skipped {
			return nil, fmt.Errorf("%q: %w: %w (%.200q)", row.Path, ErrNotCollected, openclaw.ErrLeftOut, row.Reason)
		}
		return nil, notCollected(&row)
	}
	name, err := row.memberName()
	if err != nil {
		return nil, err
	}
	end := b.end.tar
	if row.At > end || row.Size > end-row.At || row.HeaderSize == 0 {
		return nil, fmt.Errorf("%w: %q lies outside the archive", ErrMalformed, row.Path)
	}
	header := io.NewSectionReader(b.frames, row.At-row.HeaderSize, row.HeaderSize)
	h, err := tar.NewReader(header).Next()
	if err != nil {
		return nil, fmt.Errorf("%w: header of %q: %v", ErrMalformed, row.Path, err)
	}
	if rest, _ := header.Seek(0, io.SeekCurrent); rest != row.HeaderSize ||
		h.Name != name || h.Size != row.Size || h.Typeflag != tar.TypeReg || isSparse(h) {
		return nil, fmt.Errorf("%w: manifest and archive disagree about %q", ErrMalformed, row.Path)
	}
	return io.NewSectionReader(b.frames, row.At, row.Size), nil
}

// Open opens a member by its path in the manifest: absolute for the host's files, otherwise the member's
// name, as "live/…" or "custody.jsonl". A file of which only a part is stored is not opened. It reads the manifest up to the row; for many files use FS or Rows.
func (b *Bundle) Open(name string) (*io.SectionReader, Row, error) {
	for row, err := range b.Rows() {
		if err != nil {
			return nil, Row{}, err
		}
		if row.Path == name && row.At > 0 && row.Delta == nil {
			r, err := b.Content(row)
			return r, row, err
		}
	}
	return nil, Row{}, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}
