package collect

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"time"
	"unicode/utf8"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
)

const (
	copyBuffer = 128 << 10
	// streamPart is how much of a stream of unknown length is held in memory: tar needs the size first.
	streamPart = 4 << 20
)

// Writer writes one bundle from beginning to end. It is not safe for concurrent use, and the first error of
// the destination sticks: every later call returns it.
type Writer struct {
	header  Header
	seal    *sealWriter
	age     io.WriteCloser
	frames  *frameWriter
	tar     *tar.Writer
	rows    *spool
	line    []byte // scratch for one row
	buf     []byte // scratch for content
	stream  []byte // scratch for AddStream, made when needed
	sumSize int64  // bytes of SHA256SUMS so far
	sum     Summary
	closed  bool
	tap     io.Writer // sees what is stored of files, for the index of a snapshot; nil for nobody
}

// Summary says what a finished bundle holds.
type Summary struct {
	Ciphertext
	// Rows counts the manifest's rows by status.
	Rows map[Status]int64
	// Bytes is the sum of the stored sizes.
	Bytes int64
	// ManifestSHA256 is the digest of manifest.jsonl, in hex.
	ManifestSHA256 string
}

// NewWriter begins a bundle that every one of the recipients can open. It fails without recipients: nothing
// falls back to plaintext. dst is neither closed nor synced.
//
// Its memory does not depend on how much is collected but for the manifest's rows, which take about
// 100 bytes each until the end.
func NewWriter(dst io.Writer, recipients []age.Recipient, h Header) (*Writer, error) {
	return newWriter(dst, recipients, h, frameSize)
}

func newWriter(dst io.Writer, recipients []age.Recipient, h Header, size int) (*Writer, error) {
	if len(recipients) == 0 {
		return nil, errors.New("no recipient given, and a bundle is never written in clear")
	}
	level, err := encoderLevel(h.Level)
	if err != nil {
		return nil, err
	}
	w := &Writer{header: h, seal: newSealWriter(dst), buf: make([]byte, copyBuffer)}
	w.sum.Rows = make(map[Status]int64)
	if w.rows, err = newSpool(); err != nil {
		return nil, err
	}
	if w.age, err = age.Encrypt(w.seal, recipients...); err != nil {
		return nil, fmt.Errorf("beginning encryption: %w", err)
	}
	if w.frames, err = newFrameWriter(w.age, level, size); err != nil {
		return nil, err
	}
	w.tar = tar.NewWriter(w.frames)
	if err := w.addBytes(memberReadme, readme(h)); err != nil {
		w.Abort()
		return nil, err
	}
	return w, nil
}

func encoderLevel(name string) (zstd.EncoderLevel, error) {
	switch name {
	case "", "default":
		return zstd.SpeedDefault, nil
	case "better":
		return zstd.SpeedBetterCompression, nil
	}
	return 0, fmt.Errorf("unknown compression level %q", name)
}

// AddFile stores size bytes of r as a regular file and records the row it returns.
//
// Evidence lives: if r ends early the rest is zeros, if it holds more the rest is left out, and both make the
// row's status Changed. If size is less than m.HostSize, the caller has cut the file, and the status is
// Truncated. If reading fails midway it is Truncated too, and Unreadable, with nothing stored, if it fails at
// the first byte. The error is not nil only if the bundle itself cannot be written, or m.Path is not a path.
// A path must be added once only.
func (w *Writer) AddFile(m Meta, r io.Reader, size int64) (Row, error) {
	row := Row{Meta: m, Status: Collected, Size: size}
	row.Type, row.Link = File, ""
	if size < 0 {
		return row, fmt.Errorf("adding %.80q: negative size", m.Path)
	}
	n, readErr := io.ReadFull(r, w.buf[:min(size, int64(len(w.buf)))])
	if n == 0 && !atEnd(readErr) {
		row.Status, row.Size, row.Reason = Unreadable, 0, readErr.Error()
		return row, w.Record(row)
	}
	if err := w.begin(&row, tar.TypeReg); err != nil {
		return row, err
	}
	if err := w.copyContent(&row, r, n, readErr); err != nil {
		return row, err
	}
	return row, w.Record(row)
}

func atEnd(err error) bool {
	return err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// begin writes the member's tar header and fills in where its content lies.
func (w *Writer) begin(row *Row, typeflag byte) error {
	if w.closed {
		return errors.New("bundle is already closed")
	}
	name, err := row.memberName()
	if err != nil {
		return fmt.Errorf("adding to bundle: %w", err)
	}
	if typeflag == tar.TypeDir {
		name += "/"
	}
	if err := w.tar.Flush(); err != nil {
		return fmt.Errorf("writing bundle: %w", err)
	}
	start := w.frames.off
	// The special bits stay in the manifest: a stock tar run by root would bring setuid files to life.
	h := &tar.Header{
		Typeflag: typeflag, Name: name, Linkname: row.Link, Size: row.Size, Mode: int64(row.Mode & 0o777),
		Uid: int(row.UID), Gid: int(row.GID), ModTime: row.Mtime, Format: tar.FormatPAX,
	}
	if !utf8.ValidString(name) || !utf8.ValidString(row.Link) {
		// pax(1) has names be UTF-8 unless this says that they are bytes. Without it bsdtar, macOS's tar, ends with an error.
		h.PAXRecords = map[string]string{"hdrcharset": "BINARY"}
	}
	if err := w.tar.WriteHeader(h); err != nil {
		return fmt.Errorf("writing bundle: %w", err)
	}
	row.At, row.HeaderSize = w.frames.off, w.frames.off-start
	return nil
}

// copyContent stores exactly row.Size bytes. The first n, and how reading them ended, are known already.
func (w *Writer) copyContent(row *Row, r io.Reader, n int, readErr error) error {
	h := sha256.New()
	left := row.Size
	for {
		h.Write(w.buf[:n])
		w.see(w.buf[:n])
		if _, err := w.tar.Write(w.buf[:n]); err != nil {
			return fmt.Errorf("writing bundle: %w", err)
		}
		left -= int64(n)
		if left == 0 || readErr != nil {
			break
		}
		n, readErr = io.ReadFull(r, w.buf[:min(left, int64(len(w.buf)))])
	}
	row.SHA256 = hex.EncodeToString(h.Sum(nil))
	row.judge(r, row.Size-left, readErr)
	if left == 0 {
		return nil
	}
	if _, err := io.CopyN(io.MultiWriter(w.tar, h, writeFunc(w.see)), zeros{}, left); err != nil {
		return fmt.Errorf("writing bundle: %w", err)
	}
	row.StoredSHA256 = hex.EncodeToString(h.Sum(nil))
	return nil
}

// see shows stored bytes to whoever keeps an index of them.
func (w *Writer) see(p []byte) (int, error) {
	if w.tap == nil {
		return len(p), nil
	}
	return w.tap.Write(p)
}

// judge sets the status after read bytes of r were stored and reading ended with err.
func (row *Row) judge(r io.Reader, read int64, err error) {
	if read < row.Size {
		row.Read = &read
		row.torn()
	}
	whole := row.WholeSize()
	cut := row.HostSize > whole
	switch {
	case read < row.Size && atEnd(err):
		row.Status, row.Reason = Changed, fmt.Sprintf("shrank while read: ended after %d of %d bytes, the rest is zeros", read, row.Size)
	case read < row.Size:
		row.Status, row.Reason = Truncated, fmt.Sprintf("reading failed after %d of %d bytes, the rest is zeros: %v", read, row.Size, err)
	case cut:
		row.Status, row.Reason = Truncated, fmt.Sprintf("only the first %d of %d bytes are stored", whole, row.HostSize)
	case more(r):
		row.Status, row.Reason = Changed, fmt.Sprintf("grew while read: only the first %d bytes are stored", whole)
	}
	if !cut {
		row.HostSize = 0
	}
}

// more says whether r holds at least one more byte.
func more(r io.Reader) bool {
	var one [1]byte
	n, _ := io.ReadFull(r, one[:])
	return n == 1
}

// zeros is an endless source of zero bytes.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// AddStream stores all of r, whose size is not known before, as a regular file, and records and returns its
// row. What is longer than 4 MiB becomes numbered members, m.Path + ".part0001" and so on, with a row each;
// the returned row then is that of the whole stream, with the digest of all parts put together and no member.
// If reading fails, what was read is stored and the status is Truncated. The caller bounds r.
func (w *Writer) AddStream(m Meta, r io.Reader) (Row, error) {
	m.Type, m.Link = File, ""
	if w.stream == nil {
		w.stream = make([]byte, streamPart)
	}
	whole := Row{Meta: m, Status: Collected}
	whole.Type = Stream
	h := sha256.New()
	for {
		n, readErr := io.ReadFull(r, w.stream)
		if !atEnd(readErr) {
			whole.Status, whole.Reason = Truncated, fmt.Sprintf("reading failed after %d bytes: %v", whole.Size+int64(n), readErr)
		}
		if whole.Parts == 0 && readErr != nil {
			return w.addPart(m, w.stream[:n], 0, whole)
		}
		if n > 0 {
			whole.Parts++
			h.Write(w.stream[:n])
			whole.Size += int64(n)
			if _, err := w.addPart(m, w.stream[:n], whole.Parts, Row{Status: Collected}); err != nil {
				return whole, err
			}
		}
		if readErr != nil {
			whole.SHA256 = hex.EncodeToString(h.Sum(nil))
			return whole, w.Record(whole)
		}
	}
}

// addPart stores b as the whole of a stream (part 0), or as one of its parts, with how's status and reason.
func (w *Writer) addPart(m Meta, b []byte, part int, how Row) (Row, error) {
	row := Row{Meta: m, Status: how.Status, Reason: how.Reason, Part: part, Size: int64(len(b))}
	if part > 0 {
		row.Path = partName(m.Path, part)
	}
	digest := sha256.Sum256(b)
	row.SHA256 = hex.EncodeToString(digest[:])
	if err := w.begin(&row, tar.TypeReg); err != nil {
		return row, err
	}
	if _, err := w.tar.Write(b); err != nil {
		return row, fmt.Errorf("writing bundle: %w", err)
	}
	return row, w.Record(row)
}

func partName(name string, part int) string { return fmt.Sprintf("%s.part%04d", name, part) }

// addBytes stores a member of our own making.
func (w *Writer) addBytes(name string, b []byte) error {
	m := Meta{Path: name, Source: "bundle", Type: File, Mode: 0o600, Mtime: w.header.Started}
	_, err := w.addPart(m, b, 0, Row{Status: Collected})
	return err
}

// AddDir stores a directory without what is in it, and records and returns its row.
func (w *Writer) AddDir(m Meta) (Row, error) {
	row := Row{Meta: m, Status: Collected}
	row.Type, row.Link = Dir, ""
	if err := w.begin(&row, tar.TypeDir); err != nil {
		return row, err
	}
	return row, w.Record(row)
}

// AddLink stores a symlink to m.Link, and records and returns its row.
func (w *Writer) AddLink(m Meta) (Row, error) {
	row := Row{Meta: m, Status: Collected}
	row.Type = Symlink
	if m.Link == "" || len(m.Link) > maxPath {
		row.Status, row.Reason = Unreadable, "link target is empty or too long"
		row.Link = ""
		return row, w.Record(row)
	}
	if err := w.begin(&row, tar.TypeSymlink); err != nil {
		return row, err
	}
	return row, w.Record(row)
}

// Record adds a row to the manifest. Callers use it for what has no member in the archive: what is missing,
// skipped, unreadable, or neither file nor directory nor symlink. Reason and Note are joined.
func (w *Writer) Record(row Row) error {
	if w.closed {
		return errors.New("bundle is already closed")
	}
	row.Reason = joinText(row.Reason, row.Note)
	row.Mode &= 0o7777
	tidyTimes(&row)
	err := checkRow(row)
	if err != nil {
		return fmt.Errorf("recording row: %w", err)
	}
	if w.line, err = appendRow(w.line[:0], row); err != nil {
		return fmt.Errorf("recording %.80q: %w", row.Path, err)
	}
	if len(w.line) > maxLine {
		return fmt.Errorf("recording %.80q: row of more than %d bytes", row.Path, maxLine)
	}
	if err := w.rows.add(w.line); err != nil {
		return fmt.Errorf("recording %.80q: %w", row.Path, err)
	}
	w.sum.Rows[row.Status]++
	if row.At > 0 {
		w.sum.Bytes += row.Size
	}
	w.sumSize += int64(len(appendSum(w.line[:0], row)))
	return w.frames.failed()
}

func joinText(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "; " + b
}

// tidyTimes makes times UTC. RFC 3339 ends with the year 9999 and file systems do not, so what cannot be
// written moves to the reason.
func tidyTimes(row *Row) {
	for _, t := range []struct {
		name string
		at   *time.Time
	}{{"mtime", &row.Mtime}, {"ctime", &row.Ctime}, {"btime", &row.Btime}} {
		if t.at.IsZero() {
			continue
		}
		*t.at = t.at.UTC()
		if y := t.at.Year(); y < 0 || y > 9999 {
			row.Reason = joinText(row.Reason, fmt.Sprintf("%s is %d seconds after 1970", t.name, t.at.Unix()))
			*t.at = time.Time{}
		}
	}
}

// Close ends the bundle: custody.jsonl with what custody returns once everything else is stored (nil: an
// empty log), the manifest, the digests and the trailer. Only a nil error means that the bundle is whole.
func (w *Writer) Close(custody func() []byte) (Summary, error) {
	if w.closed {
		return Summary{}, errors.New("bundle is already closed")
	}
	err := w.finish(custody)
	w.Abort()
	if err != nil {
		return Summary{}, fmt.Errorf("finishing bundle: %w", err)
	}
	w.sum.Ciphertext = w.seal.ciphertext()
	return w.sum, nil
}

// Abort releases what the writer holds and leaves the bundle cut short. After Close it does nothing.
func (w *Writer) Abort() {
	if !w.closed {
		w.closed = true
		w.frames.close()
	}
}

func (w *Writer) finish(custody func() []byte) error {
	var log []byte
	if custody != nil {
		log = custody()
	}
	if err := w.addBytes(memberCustody, log); err != nil {
		return err
	}
	if err := w.tar.Flush(); err != nil {
		return err
	}
	end, err := w.frames.flush()
	if err != nil {
		return err
	}
	if err := w.rows.finish(); err != nil {
		return err
	}
	if err := w.writeManifest(end); err != nil {
		return err
	}
	if err := w.writeSums(); err != nil {
		return err
	}
	if err := w.tar.Close(); err != nil {
		return err
	}
	if _, err := w.frames.flush(); err != nil {
		return err
	}
	if _, err := w.age.Write(end.bytes()); err != nil {
		return err
	}
	return w.age.Close()
}

// writeManifest writes the header, the frame table and the rows.
func (w *Writer) writeManifest(end trailer) error {
	table := w.frames.table
	head, err := appendLine(nil, headLine{FormatVersion, int64(len(table)), w.rows.rows, w.header})
	for err == nil && len(table) > 0 {
		n := min(len(table), framesPerLine)
		head, err = appendLine(head, frameLine{table[:n]})
		table = table[n:]
	}
	if err != nil {
		return err
	}
	rows, done, err := w.rows.reader()
	if err != nil {
		return err
	}
	defer done()
	row := w.tailRow(memberManifest, int64(len(head))+w.rows.size)
	if err := w.begin(&row, tar.TypeReg); err != nil {
		return err
	}
	h := sha256.New()
	if _, err := io.CopyBuffer(io.MultiWriter(w.tar, h), io.MultiReader(bytes.NewReader(head), rows), w.buf); err != nil {
		return err
	}
	row.SHA256 = hex.EncodeToString(h.Sum(nil))
	w.sum.ManifestSHA256 = row.SHA256
	w.line = appendSum(w.line[:0], row)
	return nil
}

// writeSums writes SHA256SUMS: the rows' members in order, and then the manifest, whose line writeManifest
// has left in w.line.
func (w *Writer) writeSums() error {
	rows, done, err := w.rows.reader()
	if err != nil {
		return err
	}
	defer done()
	row := w.tailRow(memberSums, w.sumSize+int64(len(w.line)))
	if err := w.begin(&row, tar.TypeReg); err != nil {
		return err
	}
	last := w.line
	for row, err := range parseRows(newLineReader(rows)) {
		if err != nil {
			return err
		}
		if _, err := w.tar.Write(appendSum(nil, row)); err != nil {
			return err
		}
	}
	_, err = w.tar.Write(last)
	return err
}

func (w *Writer) tailRow(name string, size int64) Row {
	return Row{Meta: Meta{Path: name, Type: File, Mode: 0o600, Mtime: w.header.Started}, Size: size}
}

// Note adds a remark to the manifest's first line, which is written when the bundle is closed.
func (w *Writer) Note(name, text string) {
	notes := maps.Clone(w.header.Notes)
	if notes == nil {
		notes = map[string]string{}
	}
	notes[name] = text
	w.header.Notes = notes
}

// Rows yields the manifest's rows of a closed bundle, for an index that stays with whoever wrote it.
func (w *Writer) Rows() iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		rows, done, err := w.rows.reader()
		if err != nil {
			yield(Row{}, err)
			return
		}
		defer done()
		for row, err := range parseRows(newLineReader(rows)) {
			if !yield(row, err) {
				return
			}
		}
	}
}
