package console

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf16"
	"unicode/utf8"
)

// Version is the version of the JSON lines that commands write.
const Version = 1

// JSONLines writes JSON values, one a line. HTML is not escaped; characters that
// a terminal would not show are, as \uHHHH, which parses to the same value.
//
// JSON cannot hold bytes that are not UTF-8: they become U+FFFD. A caller with
// such a string passes it through [Escape] first and says so in the field's name.
type JSONLines struct {
	w    io.Writer
	buf  bytes.Buffer
	enc  *json.Encoder
	safe []byte
}

// NewBareJSONLines returns a writer of lines without a first one, for formats
// that other programs define.
func NewBareJSONLines(w io.Writer) *JSONLines {
	j := &JSONLines{w: w}
	j.enc = json.NewEncoder(&j.buf)
	j.enc.SetEscapeHTML(false)
	return j
}

// NewJSONLines writes the first line to w: the members of header, which must
// encode as a JSON object, after "version". A nil header has no members.
func NewJSONLines(w io.Writer, header any) (*JSONLines, error) {
	j := NewBareJSONLines(w)
	if header == nil {
		header = struct{}{}
	}
	if err := j.enc.Encode(header); err != nil {
		return nil, fmt.Errorf("encoding the first line: %v", err)
	}
	members, ok := bytes.CutPrefix(bytes.Clone(j.buf.Bytes()), []byte("{"))
	if !ok {
		return nil, errors.New("encoding the first line: not an object")
	}
	j.buf.Reset()
	fmt.Fprintf(&j.buf, `{"version":%d`, Version)
	if members[0] != '}' {
		j.buf.WriteByte(',')
	}
	j.buf.Write(members)
	return j, j.flush()
}

// Write writes v as one line, in one call of the underlying writer, or nothing
// if v cannot be encoded.
func (j *JSONLines) Write(v any) error {
	j.buf.Reset()
	if err := j.enc.Encode(v); err != nil {
		return fmt.Errorf("encoding a line: %v", err)
	}
	return j.flush()
}

func (j *JSONLines) flush() error {
	j.safe = AppendVisibleJSON(j.safe[:0], j.buf.Bytes())
	_, err := j.w.Write(j.safe)
	return err
}

// JSON is a value as JSON for a file, and a line end. Such a file is read with cat too: what a terminal does not show is escaped, as
// [JSONLines] does. A member begins a line of its own that indent begins, once for each level, or all is one line without an indent.
func JSON(v any, indent string) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return AppendVisibleJSON(nil, b.Bytes()), nil
}

// AppendVisibleJSON appends valid JSON to dst, its characters that are not visible escaped, so that it parses to the same value.
// Outside ASCII these stand only inside strings, and so does DEL.
func AppendVisibleJSON(dst, line []byte) []byte {
	var marks pile
	for len(line) > 0 {
		if c := line[0]; c < 0x7f {
			marks = 0
			n := 1
			for n < len(line) && line[n] < 0x7f {
				n++
			}
			dst = append(dst, line[:n]...)
			line = line[n:]
			continue
		}
		r, size := utf8.DecodeRune(line)
		high, low := utf16.EncodeRune(r)
		switch {
		case !marks.hides(r) && r != 0x7f && visible(r):
			dst = append(dst, line[:size]...)
		case high != utf8.RuneError:
			dst = appendHex(append(dst, `\u`...), uint32(high), 4)
			dst = appendHex(append(dst, `\u`...), uint32(low), 4)
		default:
			dst = appendHex(append(dst, `\u`...), uint32(r), 4)
		}
		line = line[size:]
	}
	return dst
}

// Lines writes the results of a command to standard output, one a line, either
// as JSON or as text: a command makes one stream of values and the same loop
// prints both.
type Lines[T any] struct {
	out   *bufio.Writer
	json  *JSONLines // nil for text
	text  func(T) string
	flush bool
}

// NewLines returns a writer of T. As JSON, header is written at once (see
// [NewJSONLines]); as text, text makes the line of a value, without its newline,
// and has to [Escape] what came from outside. On a terminal, lines too wide for it are folded.
func NewLines[T any](c *Console, asJSON bool, header any, text func(T) string) (*Lines[T], error) {
	l := &Lines[T]{
		out:   bufio.NewWriterSize(c.Out(), 64<<10),
		text:  func(v T) string { return c.FoldOut(text(v)) },
		flush: c.facts.OutTerminal,
	}
	if !asJSON {
		return l, nil
	}
	var err error
	l.json, err = NewJSONLines(l.out, header)
	return l, err
}

// Write writes one value. On a terminal it is shown at once; otherwise it may
// wait for Flush.
func (l *Lines[T]) Write(v T) error {
	if err := l.write(v); err != nil {
		return err
	}
	if l.flush {
		return l.out.Flush()
	}
	return nil
}

func (l *Lines[T]) write(v T) error {
	if l.json != nil {
		return l.json.Write(v)
	}
	_, _ = l.out.WriteString(l.text(v)) // a bufio.Writer keeps its first error
	return l.out.WriteByte('\n')
}

// Flush writes what has waited. It ends every use of Lines.
func (l *Lines[T]) Flush() error { return l.out.Flush() }
