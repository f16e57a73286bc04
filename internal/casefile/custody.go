package casefile

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/clawbook/openclaw-ir/internal/durable"
)

const (
	custodyName = "custody.jsonl"
	custodyLock = "custody.lock"

	// custodyLimit bounds a log that is read, and so one that is written: half a million actions. closeRoom of it is for closing the case.
	custodyLimit = 256 << 20
	closeRoom    = 4 << 20
	// lineLimit bounds a line, with its newline.
	lineLimit = 1 << 20
	// tailLimit bounds how far back Append looks for a whole line.
	tailLimit = 4 << 20
	// runLimit is how many damaged lines can follow each other after crashes.
	runLimit = 64

	// genesis stands for the line before the first.
	genesis = "0000000000000000000000000000000000000000000000000000000000000000"

	actionTorn  = "custody torn"
	actionClose = "case close"
)

// ErrFull says that a custody log takes no more, because it is large or its end is lost: the next action belongs in another case.
var ErrFull = errors.New("the log takes no more entries")

// Operator is who acted.
type Operator struct {
	UID      int    `json:"uid"`
	User     string `json:"user,omitempty"`
	SudoUser string `json:"sudo_user,omitempty"` // SUDO_USER: what the caller was told
}

// String says who acted: "root", or "carol as root" of somebody who became root.
func (o Operator) String() string {
	name := o.User
	if name == "" {
		name = "uid " + strconv.Itoa(o.UID)
	}
	if o.SudoUser != "" && o.SudoUser != o.User {
		return o.SudoUser + " as " + name
	}
	return name
}

// Digest is the SHA-256, in hex, of something that an action produced. The name of a file that is kept in the case is its path
// there, such as bundles/B.tar.zst.age; a name without a slash, but for seal.pub, is of something else.
type Digest struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
}

// Entry is one action, one line of the custody log. A line's digest is the
// SHA-256 of its bytes and its newline (tail -n 1 custody.jsonl | sha256sum);
// Prev is that of the line before.
type Entry struct {
	Seq      int64     `json:"seq"` // the number of the line, from 1
	Time     time.Time `json:"time"`
	Operator Operator  `json:"operator"`
	Host     string    `json:"host"`
	PID      int       `json:"pid,omitempty"` // of the process that acted: its lines belong together
	Action   string    `json:"action"`
	Object   string    `json:"object,omitempty"`
	Result   string    `json:"result"`
	Exit     *int      `json:"exit,omitempty"`
	Digests  []Digest  `json:"digests,omitempty"`
	Note     string    `json:"note,omitempty"`
	Prev     string    `json:"prev"`
}

// Kept reports whether it is of a file that is kept in the case, at the path that is its name.
func (d Digest) Kept() bool { return strings.Contains(d.Name, "/") || d.Name == pubName }

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// encode returns the line of e. JSON cannot hold bytes that are not UTF-8; a
// string with such bytes is written as Go quotes it.
func (e Entry) encode() ([]byte, error) {
	for _, s := range []*string{&e.Host, &e.Operator.User, &e.Operator.SudoUser, &e.Action, &e.Object, &e.Result, &e.Note} {
		*s = text(*s)
	}
	digests := e.Digests
	e.Digests = nil
	for _, d := range digests {
		e.Digests = append(e.Digests, Digest{text(d.Name), text(d.SHA256)})
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return nil, fmt.Errorf("encoding a custody entry: %v", err)
	}
	line := ascii(b.Bytes())
	if len(line) > lineLimit {
		return nil, fmt.Errorf("encoding a custody entry: %d bytes, more than %d", len(line), lineLimit)
	}
	return line, nil
}

// ascii writes the characters of a JSON text that are not ASCII, and DEL, as
// \uHHHH: the log is read with cat too, and nothing in it may move the cursor.
func ascii(line []byte) []byte {
	var out []byte
	for len(line) > 0 {
		r, size := utf8.DecodeRune(line)
		high, low := utf16.EncodeRune(r)
		switch {
		case r < 0x7f:
			out = append(out, byte(r))
		case high != utf8.RuneError:
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		line = line[size:]
	}
	return out
}

func text(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return strconv.Quote(s)
}

// decode reads a line without its newline. Fields that it does not know are a
// later version's.
func decode(line []byte) (Entry, error) {
	var e Entry
	if err := json.Unmarshal(line, &e); err != nil {
		return Entry{}, err
	}
	const maxSeq = 1 << 53
	if e.Seq < 1 || e.Seq > maxSeq || len(e.Prev) != len(genesis) || e.Time.IsZero() || e.Action == "" {
		return Entry{}, errors.New("not a custody entry")
	}
	return e, nil
}

// Append writes an action to the custody log and returns when it is on disk. Of
// e, it sets Seq, Time, Operator, Host, PID and Prev.
//
// Bytes that are in the log are never changed. If a crash or a full disk cut the
// last line short, Append ends that line and writes another that names it and
// its digest, before the entry.
func (c *Case) Append(e Entry) error {
	if e.Action == "" || e.Action == actionTorn {
		return fmt.Errorf("appending to the custody log: action %q", e.Action)
	}
	unlock, err := lock(c.root, custodyLock, lockWait)
	if err != nil {
		return fmt.Errorf("appending to the custody log: %w", err)
	}
	defer unlock()
	f, err := openRegular(c.root, custodyName, os.O_RDWR|os.O_APPEND)
	if err != nil {
		return fmt.Errorf("appending to the custody log: %w", err)
	}
	defer f.Close()
	end, err := findEnd(f)
	if err != nil {
		return fmt.Errorf("appending to the custody log: %w", err)
	}
	data, err := c.next(end, e)
	if err == nil && end.size+int64(len(data)) > roomFor(e.Action) {
		err = fmt.Errorf("%w: it has %d bytes", ErrFull, end.size)
	}
	if err != nil {
		return fmt.Errorf("appending to the custody log: %w", err)
	}
	if _, err := f.Write(data); err != nil {
		return fmt.Errorf("appending to the custody log: %w", err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("appending to the custody log: %w", err)
	}
	if end.seq == 0 {
		if err := durable.SyncDir(c.root, "."); err != nil {
			return fmt.Errorf("appending to the custody log: %w", err)
		}
	}
	return nil
}

// roomFor is how large the log may become with an action: nothing is written that would not be read.
func roomFor(action string) int64 {
	if action == actionClose {
		return custodyLimit
	}
	return custodyLimit - closeRoom
}

// next returns the bytes that continue a log with the entry e.
func (c *Case) next(end logEnd, e Entry) ([]byte, error) {
	var data []byte
	if end.cut {
		data = append(data, '\n')
	}
	entries := []Entry{e}
	if len(end.torn) > 0 {
		entries = []Entry{{Action: actionTorn, Object: custodyName, Result: "kept", Digests: end.torn, Note: "a write was cut short here"}, e}
	}
	seq, prev := end.seq, end.prev
	for _, e := range entries {
		seq++
		e.Seq, e.Time, e.Operator, e.Host, e.PID, e.Prev = seq, now(), c.Operator, c.host, os.Getpid(), prev
		line, err := e.encode()
		if err != nil {
			return nil, err
		}
		prev = digest(line)
		data = append(data, line...)
	}
	return data, nil
}
