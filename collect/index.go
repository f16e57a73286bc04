package collect

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"
	"time"
	"unique"

	"github.com/go-json-experiment/json"
)

// The host has no key that opens what it sealed. What the chain holds is known by an index in the case: for each path what
// stat(2) said, the digest of the whole and those of its chunks, and no content. It is written anew with each snapshot, gets its
// name when bundle and seal are on the disk, and says which seal it belongs to.

// An entry is what the index has of one path.
type entry struct {
	path   string
	source string
	kind   Type
	status Status
	state  flags

	hostSize     int64
	mtime, ctime int64 // nanoseconds since 1970; 0 for none
	inode, dev   uint64
	born         int64 // nanoseconds since 1970; the number of an inode is used again, and this tells
	mode         Mode
	uid, gid     uint32

	size  int64    // bytes of content in the chain
	sum   [32]byte // SHA-256 of the content, or of a link's target
	row   [16]byte // keyed digest of the row, where there is no content
	chunk int64    // size of a chunk
	count int64    // of digests of chunks
	at    int64    // where they lie in the index
	link  int      // number of the link that stored the last of the content
}

// flags say what is special about an entry.
type flags uint64

const (
	stored flags = 1 << iota // the chain has content
	summed                   // and its digest is known
	again                    // it may have changed since without a change of its times: look again
	torn                     // it changed while it was read: what was stored may never have been
	stale                    // the last link could not take it, or did not look: the content is of an earlier one
)

func (f flags) has(g flags) bool { return f&g == g }

// claimed says that the last link holds the path as part of the state.
func (e *entry) claimed() bool { return e.state.has(stored) && !e.state.has(stale) }

// sameStat says that nothing that stat(2) tells has changed.
func (e *entry) sameStat(m *Meta) bool {
	return e.kind == m.Type && e.hostSize == m.HostSize && e.mtime == nanos(m.Mtime) && e.ctime == nanos(m.Ctime) &&
		e.inode == m.Inode && e.dev == m.Dev && e.mode == m.Mode&0o7777 && e.uid == m.UID && e.gid == m.GID
}

func (e *entry) setStat(m *Meta) {
	e.path, e.source, e.kind, e.hostSize = m.Path, m.Source, m.Type, m.HostSize
	e.mtime, e.ctime, e.inode, e.dev = nanos(m.Mtime), nanos(m.Ctime), m.Inode, m.Dev
	e.mode, e.uid, e.gid, e.born = m.Mode&0o7777, m.UID, m.GID, nanos(m.Btime)
}

// sameFile says whether a file is the one that the entry was made of, whatever it is called and holds now.
func (e *entry) sameFile(m *Meta) bool {
	return e.inode == m.Inode && e.dev == m.Dev && e.born == nanos(m.Btime)
}

// is reports whether both are one file, at whatever times.
func (e *entry) is(o *entry) bool {
	return e != nil && e.inode == o.inode && e.dev == o.dev && e.born == o.born
}

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// entryNumbers is how many fields are written as numbers.
const entryNumbers = 14

// numbers are those fields.
func (e *entry) numbers() [entryNumbers]uint64 {
	return [...]uint64{
		uint64(e.state), uint64(e.hostSize), uint64(e.mtime), uint64(e.ctime), e.inode, e.dev,
		uint64(e.mode), uint64(e.uid), uint64(e.gid), uint64(e.size), uint64(e.chunk), uint64(e.count), uint64(e.link), uint64(e.born),
	}
}

func (e *entry) setNumbers(n [entryNumbers]uint64) {
	e.state, e.hostSize, e.mtime, e.ctime, e.inode, e.dev = flags(n[0]), int64(n[1]), int64(n[2]), int64(n[3]), n[4], n[5]
	e.mode, e.uid, e.gid = Mode(n[6]), uint32(n[7]), uint32(n[8])
	e.size, e.chunk, e.count, e.link = int64(n[9]), int64(n[10]), int64(n[11]), int(n[12])
	e.born = int64(n[13])
}

// indexHead says what an index belongs to.
type indexHead struct {
	Version int       `json:"version"`
	Chain   string    `json:"chain"`
	Number  int       `json:"number"`
	Full    int       `json:"full"` // number of the last full link
	Seal    string    `json:"seal"` // SealDigest of the link's seal
	Started time.Time `json:"started"`
	Custody int64     `json:"custody"` // bytes of the custody log that the chain holds
	Said    []byte    `json:"said"`    // digests of rows about what has no path of its own, 16 bytes each
	// Rows are the stretches of the databases that have any, by their paths.
	Rows map[string]databaseRows `json:"rows"`
}

const (
	indexVersion = 1
	maxWord      = 100
	maxIndexHead = 64 << 20
)

// An index is one that was read. Digests of chunks are left in the file.
type index struct {
	indexHead
	src     io.ReaderAt
	entries map[string]*entry
	said    map[[16]byte]bool
}

// indexWriter writes an index: entries, an empty path, the head, and a keyed digest of it all.
type indexWriter struct {
	w    *bufio.Writer
	mac  hash.Hash
	buf  []byte
	part []byte // scratch for digests
	err  error
}

func newIndexWriter(w io.Writer, key []byte) *indexWriter {
	return &indexWriter{w: bufio.NewWriterSize(w, 1<<16), part: make([]byte, 1<<12), mac: hmac.New(sha256.New, key)}
}

func (w *indexWriter) write(p []byte) {
	w.mac.Write(p)
	if w.err == nil {
		_, w.err = w.w.Write(p)
	}
}

// add writes an entry with the digests of its chunks. The entry's own place stays that in the index before.
func (w *indexWriter) add(e *entry, sums io.Reader) {
	b := binary.AppendUvarint(w.buf[:0], uint64(len(e.path)))
	b = append(b, e.path...)
	for _, s := range []string{e.source, string(e.kind), string(e.status)} {
		s = s[:min(len(s), maxWord)]
		b = append(append(b, byte(len(s))), s...)
	}
	for _, n := range e.numbers() {
		b = binary.AppendUvarint(b, n)
	}
	b = append(append(b, e.sum[:]...), e.row[:]...)
	w.buf = b
	w.write(b)
	if e.count == 0 {
		return
	}
	if n, err := io.CopyBuffer(writeFunc(func(p []byte) (int, error) { w.write(p); return len(p), nil }), sums, w.part); w.err == nil {
		if w.err = err; err == nil && n != e.count*chunkSum {
			w.err = fmt.Errorf("index: %d bytes of digests for %d chunks", n, e.count)
		}
	}
}

type writeFunc func([]byte) (int, error)

func (f writeFunc) Write(p []byte) (int, error) { return f(p) }

func (w *indexWriter) finish(h indexHead) error {
	h.Version = indexVersion
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	w.write([]byte{0})
	w.write(binary.AppendUvarint(nil, uint64(len(text))))
	w.write(text)
	sum := w.mac.Sum(nil)
	if w.err == nil {
		_, w.err = w.w.Write(sum)
	}
	return errors.Join(w.err, w.w.Flush())
}

var errIndex = errors.New("the index of what was sealed before is damaged")

// readIndex reads an index of size bytes. It returns errIndex if that is not what was written.
func readIndex(src io.ReaderAt, size int64, key []byte) (*index, error) {
	body := size - sha256.Size
	if body < 0 {
		return nil, fmt.Errorf("%w: it is cut short", errIndex)
	}
	if err := checkIndex(src, body, key); err != nil {
		return nil, err
	}
	return parseIndex(src, body)
}

// parseIndex reads an index without the digest at its end.
func parseIndex(src io.ReaderAt, body int64) (*index, error) {
	r := &indexReader{in: bufio.NewReaderSize(io.NewSectionReader(src, 0, body), 1<<16)}
	x := &index{src: src, entries: map[string]*entry{}, said: map[[16]byte]bool{}}
	for {
		e := r.entry(body)
		if r.err != nil {
			return nil, fmt.Errorf("%w: %v", errIndex, r.err)
		}
		if e == nil {
			break
		}
		x.entries[e.path] = e
	}
	text := r.bytes(int64(r.number()), min(body, maxIndexHead))
	if r.err != nil || r.off != body {
		return nil, fmt.Errorf("%w: its head, %v", errIndex, r.err)
	}
	if err := json.Unmarshal(text, &x.indexHead); err != nil || x.Version != indexVersion {
		return nil, fmt.Errorf("%w: version %d, %v", errIndex, x.Version, err)
	}
	for s := range slices.Chunk(x.Said, 16) {
		if len(s) == 16 {
			x.said[[16]byte(s)] = true
		}
	}
	return x, nil
}

// checkIndex compares the first size bytes of an index with the keyed digest that follows them.
func checkIndex(src io.ReaderAt, size int64, key []byte) error {
	mac := hmac.New(sha256.New, key)
	if _, err := io.Copy(mac, io.NewSectionReader(src, 0, size)); err != nil {
		return fmt.Errorf("reading the index of what was sealed before: %w", err)
	}
	sum := make([]byte, sha256.Size)
	if err := readFullAt(src, sum, size); err != nil {
		return fmt.Errorf("reading the index of what was sealed before: %w", err)
	}
	if !hmac.Equal(sum, mac.Sum(nil)) {
		return errIndex
	}
	return nil
}

// indexReader reads what indexWriter wrote. Its first error sticks.
type indexReader struct {
	in  *bufio.Reader
	off int64
	err error
}

// ReadByte makes it a source of numbers.
func (r *indexReader) ReadByte() (byte, error) {
	b, err := r.in.ReadByte()
	if err == nil {
		r.off++
	}
	return b, err
}

func (r *indexReader) number() uint64 {
	n, err := binary.ReadUvarint(r)
	r.fail(err)
	return n
}

func (r *indexReader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

func (r *indexReader) bytes(n, most int64) []byte {
	if n < 0 || n > most {
		r.fail(errors.New("a length is too large"))
	}
	if r.err != nil {
		return nil
	}
	b := make([]byte, n)
	_, err := io.ReadFull(r.in, b)
	r.fail(err)
	r.off += n
	return b
}

// skip passes over digests, which stay in the file.
func (r *indexReader) skip(n int64) {
	if r.err == nil {
		_, err := r.in.Discard(int(n))
		r.fail(err)
		r.off += n
	}
}

// entry reads the next entry, nil at the end.
func (r *indexReader) entry(size int64) *entry {
	e := &entry{path: string(r.bytes(int64(r.number()), maxPath))}
	if e.path == "" || r.err != nil {
		return nil
	}
	e.source, e.kind, e.status = r.word(), Type(r.word()), Status(r.word())
	var numbers [entryNumbers]uint64
	for i := range numbers {
		numbers[i] = r.number()
	}
	e.setNumbers(numbers)
	e.sum = [32]byte(padded(r.bytes(32, 32), 32))
	e.row = [16]byte(padded(r.bytes(16, 16), 16))
	if e.count < 0 || e.count > size/chunkSum || e.chunk < 0 {
		r.fail(errors.New("a count is too large"))
		return nil
	}
	e.at = r.off
	r.skip(e.count * chunkSum)
	return e
}

// word reads one of a few words, of which one copy is kept.
func (r *indexReader) word() string {
	return unique.Make(string(r.bytes(int64(r.number()), maxWord))).Value()
}

// padded keeps an array whole after an error.
func padded(b []byte, n int) []byte { return append(b, make([]byte, n-len(b))...) }

// sums reads the digests of an entry's chunks.
func (x *index) sums(e *entry) ([]byte, error) {
	b := make([]byte, e.count*chunkSum)
	err := readFullAt(x.src, b, e.at)
	return b, err
}

// sumsReader yields them without holding them.
func (x *index) sumsReader(e *entry) io.Reader {
	return io.NewSectionReader(x.src, e.at, e.count*chunkSum)
}

// stateOf returns the digest of a whole state, as [Link] says.
func stateOf(entries map[string]*entry) string {
	paths := make([]string, 0, len(entries))
	for p, e := range entries {
		if e.claimed() && strings.HasPrefix(p, "/") {
			paths = append(paths, p)
		}
	}
	slices.Sort(paths)
	h := sha256.New()
	for _, p := range paths {
		e, sum := entries[p], ""
		if e.state.has(summed) {
			sum = hex.EncodeToString(e.sum[:])
		}
		stateLine(h, p, e.size, sum)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// stateLine writes what a state's digest is made of.
func stateLine(w io.Writer, p string, size int64, sum string) {
	fmt.Fprintf(w, "%s\x00%d\x00%s\n", p, size, sum)
}
