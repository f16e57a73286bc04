package collect

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Status says what became of a thing that was looked for.
type Status string

// The statuses of a manifest row.
const (
	Collected  Status = "collected"  // stored whole, as it was
	Skipped    Status = "skipped"    // left out on purpose; the reason says why
	Missing    Status = "missing"    // looked for, not there
	Unreadable Status = "unreadable" // there, could not be read; the reason says why
	Changed    Status = "changed"    // stored, but it grew or shrank while it was read
	Truncated  Status = "truncated"  // only its beginning is stored; the reason says why
	Gone       Status = "gone"       // the snapshot before had it, and it is no more
)

// stored says whether a row with this status may have a member in the archive.
func (s Status) stored() bool { return s == Collected || s == Changed || s == Truncated }

// Type says what kind of thing a manifest row is about. It is empty where that is not known.
type Type string

// The types of a manifest row.
const (
	File    Type = "file"
	Dir     Type = "dir"
	Symlink Type = "symlink"
	Fifo    Type = "fifo"
	Socket  Type = "socket"
	Device  Type = "device"
	Stream  Type = "stream" // the output of a command, or another source without a size of its own
)

// Mode holds the permission bits of a file with setuid, setgid and sticky, as chmod takes them.
// In JSON it is a string of octal digits.
type Mode uint32

// MarshalText returns the octal digits of m, at least four.
func (m Mode) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%04o", uint32(m)), nil }

// UnmarshalText reads octal digits.
func (m *Mode) UnmarshalText(b []byte) error {
	v, err := strconv.ParseUint(string(b), 8, 16)
	if err != nil || v > 0o7777 {
		return fmt.Errorf("%w: mode %.20q", ErrMalformed, b)
	}
	*m = Mode(v)
	return nil
}

// Meta is what is known about a thing before its content is read.
type Meta struct {
	// Path is absolute for what lies on the host, and otherwise the name of the archive member
	// ("live/…", "config-diffs/…"). It may hold any byte but NUL.
	Path string `json:"-"`
	// Link is the target of a symlink, as it is stored on the host.
	Link string `json:"-"`
	// Note is a remark, or why a file was cut: it becomes part of the row's reason.
	Note string `json:"-"`
	// Source is the category of evidence that asked for the thing.
	Source string `json:"source,omitzero"`
	// Type is what the thing is.
	Type Type `json:"type,omitzero"`
	// HostSize is the size that the host gave, in bytes, where it differs from what was stored.
	HostSize int64     `json:"host_size,omitzero"`
	Mode     Mode      `json:"mode,omitzero"`
	UID      uint32    `json:"-"`
	GID      uint32    `json:"-"`
	Mtime    time.Time `json:"mtime,omitzero"`
	Ctime    time.Time `json:"ctime,omitzero"`
	Btime    time.Time `json:"btime,omitzero"`
	hollow   bool      // mostly holes, where that matters
	mixed    bool      // written to while it was read
	Inode    uint64    `json:"inode,omitzero"`
	Dev      uint64    `json:"dev,omitzero"`
}

// Owner returns the user id of a file's owner, and false for what has none.
func (m *Meta) Owner() (uid uint32, ok bool) { return m.UID, m.Type != "" && m.Type != Stream }

// Row is one line of the manifest: one thing that was looked for, and what became of it.
type Row struct {
	Meta   `json:",inline"`
	Status Status `json:"status"`
	// Reason says, for every status but collected, what happened; it may hold a remark for collected too.
	Reason string `json:"reason,omitzero"`
	// Size is how many bytes are stored in the archive.
	Size int64 `json:"size"`
	// Read is how many of them came from the source, where that is fewer: the rest is zeros.
	Read *int64 `json:"read,omitzero"`
	// SHA256 is the digest of the bytes that were really read, in hex.
	SHA256 string `json:"sha256,omitzero"`
	// StoredSHA256 is the digest of the stored bytes where zeros were appended.
	StoredSHA256 string `json:"stored_sha256,omitzero"`
	// Part counts from 1 the members that a long stream was split into. The row of the whole stream has
	// Parts instead, and no member.
	Part  int `json:"part,omitzero"`
	Parts int `json:"parts,omitzero"`
	// At is the offset of the content in the tar stream, and 0 if the row has no member. The member's tar
	// header is the HeaderSize bytes before it.
	At         int64 `json:"at,omitzero"`
	HeaderSize int64 `json:"header_size,omitzero"`
	// Delta, of an incremental snapshot, says that only a part of the file is stored. Size and SHA256 are those of that part.
	Delta *Delta `json:"delta,omitzero"`
}

// StoredDigest returns the SHA-256 of the bytes in the archive, in hex.
func (r Row) StoredDigest() string {
	if r.StoredSHA256 != "" {
		return r.StoredSHA256
	}
	return r.SHA256
}

// Header is the first line of the manifest: who collected what, where and how.
type Header struct {
	Tool    string    `json:"tool,omitzero"` // name and version of the program
	Host    string    `json:"host,omitzero"`
	Case    string    `json:"case,omitzero"`
	Started time.Time `json:"started,omitzero"`
	// Argv is the command line. The caller vouches that it holds no secret.
	Argv []string `json:"argv,omitzero"`
	// States are the OpenClaw state directories that were found.
	States []string `json:"states,omitzero"`
	// Level is the compression: "default" (also when empty) or "better".
	Level string `json:"level,omitzero"`
	// Notes are further remarks, by name.
	Notes map[string]string `json:"notes,omitzero"`
}

// headLine is the manifest's first line as it is written.
type headLine struct {
	Version int   `json:"openclaw_ir_manifest"`
	Frames  int64 `json:"frames"`
	Rows    int64 `json:"rows"`
	Header  `json:",inline"`
}

// frameAt is where one frame begins in the compressed stream and in the tar stream.
type frameAt [2]int64

func (f frameAt) stored() int64 { return f[0] }
func (f frameAt) tar() int64    { return f[1] }

// frameLine holds a part of the frame table. Such lines follow the first.
type frameLine struct {
	Frames []frameAt `json:"frame_table"`
}

const framesPerLine = 4096

// wireRow is a row as it is written: JSON holds no bytes that are not UTF-8, so a name that is not UTF-8 is
// written twice, readable and exact.
type wireRow struct {
	Path    string `json:"path"`
	PathB64 []byte `json:"path_b64,omitzero"`
	Link    string `json:"link,omitzero"`
	LinkB64 []byte `json:"link_b64,omitzero"`
	Row     `json:",inline"`
	// UID and GID are written for what exists only: 0 is root, not "unknown".
	UID *uint32 `json:"uid,omitzero"`
	GID *uint32 `json:"gid,omitzero"`
}

// escapeName returns s with every byte that is not part of valid UTF-8 written as \xNN.
func escapeName(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && n == 1 {
			fmt.Fprintf(&b, `\x%02x`, s[0])
		} else {
			b.WriteString(s[:n])
		}
		s = s[n:]
	}
	return b.String()
}

func splitName(s string) (string, []byte) {
	if utf8.ValidString(s) {
		return s, nil
	}
	return escapeName(s), []byte(s)
}

func joinName(s string, b64 []byte) (string, error) {
	if b64 == nil {
		return s, nil
	}
	if utf8.Valid(b64) || escapeName(string(b64)) != s {
		return "", fmt.Errorf("%w: the two forms of name %.80q differ", ErrMalformed, s)
	}
	return string(b64), nil
}

// appendLine appends v as one line of JSON, in which nothing moves a cursor or hides. Text that is not UTF-8 outside names is made so.
func appendLine(dst []byte, v any) ([]byte, error) {
	b, err := json.Marshal(v, jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return dst, err
	}
	return append(console.AppendVisibleJSON(dst, b), '\n'), nil
}

func appendRow(dst []byte, r Row) ([]byte, error) {
	w := wireRow{Row: r}
	w.Path, w.PathB64 = splitName(r.Path)
	w.Link, w.LinkB64 = splitName(r.Link)
	if r.Type != "" && r.Type != Stream {
		w.UID, w.GID = &r.UID, &r.GID
	}
	return appendLine(dst, w)
}

// parseRow reads one line of the manifest after the first lines, and checks what a reader relies on.
func parseRow(line []byte) (Row, error) {
	var w wireRow
	if err := json.Unmarshal(line, &w); err != nil {
		return Row{}, fmt.Errorf("%w: manifest row: %v", ErrMalformed, err)
	}
	r := w.Row
	if w.UID != nil && w.GID != nil {
		r.UID, r.GID = *w.UID, *w.GID
	}
	var err, err2 error
	r.Path, err = joinName(w.Path, w.PathB64)
	r.Link, err2 = joinName(w.Link, w.LinkB64)
	if err := errors.Join(err, err2); err != nil {
		return Row{}, err
	}
	return r, checkRow(r)
}

func checkRow(r Row) error {
	switch {
	case len(r.Link) > maxPath || strings.ContainsRune(r.Link, 0):
		return fmt.Errorf("%w: link target of %.80q", ErrMalformed, r.Path)
	case r.Size < 0 || r.At < 0 || r.HeaderSize < 0 || r.HeaderSize > r.At || r.HeaderSize > maxFrameSize:
		return fmt.Errorf("%w: sizes of %.80q", ErrMalformed, r.Path)
	case r.At > 0 && !r.Status.stored():
		return fmt.Errorf("%w: %.80q is %s and stored", ErrMalformed, r.Path, r.Status)
	case r.Read != nil && (*r.Read < 0 || *r.Read > r.Size):
		return fmt.Errorf("%w: sizes of %.80q", ErrMalformed, r.Path)
	case !isDigest(r.SHA256, r.At > 0 && r.Type == File) || !isDigest(r.StoredSHA256, false):
		return fmt.Errorf("%w: digest of %.80q", ErrMalformed, r.Path)
	case r.Delta != nil && (r.At == 0 || r.Type != File || r.Part > 0):
		return fmt.Errorf("%w: delta of %.80q", ErrMalformed, r.Path)
	}
	if err := r.Delta.check(r.Size); err != nil {
		return fmt.Errorf("%w of %.80q", err, r.Path)
	}
	if r.At == 0 {
		return nil
	}
	_, err := r.memberName()
	return err
}

// isDigest says whether s is a SHA-256 in lower-case hex, or empty where it need not be there.
func isDigest(s string, needed bool) bool {
	if s == "" {
		return !needed
	}
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == 32 && hex.EncodeToString(b) == s
}

// parseHead reads the lines before the rows, and returns the header and the frame table. The frames lie
// without a gap between offset 0 and where the manifest's own frame begins.
func parseHead(r *bufio.Reader, end trailer) (headLine, []frameAt, error) {
	var head headLine
	line, err := readLine(r)
	if err != nil {
		return head, nil, fmt.Errorf("reading manifest: %w", err)
	}
	if err := json.Unmarshal(line, &head); err != nil {
		return head, nil, fmt.Errorf("%w: first line of manifest: %v", ErrMalformed, err)
	}
	if head.Version != FormatVersion {
		return head, nil, fmt.Errorf("%w: manifest of version %d", ErrMalformed, head.Version)
	}
	// A frame takes more bytes than this, so the bundle's own size bounds the table.
	if head.Frames < 0 || head.Rows < 0 || head.Rows > maxRows || head.Frames > end.stored/8 {
		return head, nil, fmt.Errorf("%w: counts in the manifest's first line", ErrMalformed)
	}
	table, err := parseFrames(r, head.Frames)
	if err != nil {
		return head, nil, err
	}
	return head, table, checkFrames(table, end)
}

func parseFrames(r *bufio.Reader, n int64) ([]frameAt, error) {
	var table []frameAt
	for int64(len(table)) < n {
		line, err := readLine(r)
		if err != nil {
			return nil, fmt.Errorf("reading manifest: %w", err)
		}
		var part frameLine
		if err := json.Unmarshal(line, &part); err != nil {
			return nil, fmt.Errorf("%w: frame table: %v", ErrMalformed, err)
		}
		if len(part.Frames) == 0 || int64(len(table)+len(part.Frames)) > n {
			return nil, fmt.Errorf("%w: frame table of the wrong length", ErrMalformed)
		}
		table = append(table, part.Frames...)
	}
	return table, nil
}

func checkFrames(table []frameAt, end trailer) error {
	next := frameAt{}
	for i, f := range table {
		if i == 0 && f != next {
			return fmt.Errorf("%w: first frame at %d", ErrMalformed, f.stored())
		}
		next = frameAt{end.stored, end.tar}
		if i+1 < len(table) {
			next = table[i+1]
		}
		stored, tar := next.stored()-f.stored(), next.tar()-f.tar()
		if stored <= 0 || stored > maxFrameStored || tar <= 0 || tar > maxFrameSize {
			return fmt.Errorf("%w: frame %d holds %d bytes in %d", ErrMalformed, i, tar, stored)
		}
	}
	if next != (frameAt{end.stored, end.tar}) {
		return fmt.Errorf("%w: manifest does not follow the last frame", ErrMalformed)
	}
	return nil
}

// readLine returns the next line without its newline, valid until the next read. At the end it returns
// io.EOF; a last line without a newline is malformed.
func readLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if err == nil {
		return line[:len(line)-1], nil
	}
	long := bytes.Clone(line)
	for errors.Is(err, bufio.ErrBufferFull) {
		line, err = r.ReadSlice('\n')
		if len(long)+len(line) > maxLine {
			return nil, fmt.Errorf("%w: line of more than %d bytes", ErrMalformed, maxLine)
		}
		long = append(long, line...)
	}
	switch {
	case err == nil:
		return long[:len(long)-1], nil
	case errors.Is(err, io.EOF) && len(long) == 0:
		return nil, io.EOF
	case errors.Is(err, io.EOF):
		return nil, fmt.Errorf("%w: last line without end", ErrMalformed)
	}
	return nil, err
}

func newLineReader(r io.Reader) *bufio.Reader { return bufio.NewReaderSize(r, 64<<10) }

// parseRows reads rows until the end of r, or the first error, which it yields.
func parseRows(r *bufio.Reader) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for {
			line, err := readLine(r)
			if errors.Is(err, io.EOF) {
				return
			}
			var row Row
			if err == nil {
				row, err = parseRow(line)
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
	}
}
