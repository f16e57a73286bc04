package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"mime"
	netmail "net/mail"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/emersion/go-message"
	"github.com/emersion/go-message/mail"
)

// An Attachment is a file that goes with the mail.
type Attachment struct {
	Name string
	Type string // media type
	Data []byte
}

// MaxMail is how much a mail may carry, in bytes: what the common providers take, less what base64 adds.
const MaxMail = 20 << 20

// CheckAddress reports whether a mail can be addressed so: one plain address, without a name, of at most 254 bytes (RFC 5321).
func CheckAddress(to string) error {
	a, err := netmail.ParseAddress(to)
	if err != nil || a.Name != "" || a.Address != to || len(to) > 254 || strings.ContainsFunc(to, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return fmt.Errorf("not a mail address: %q", head(to, maxShown))
	}
	return nil
}

// WriteMail writes the letter as a draft that a mail program opens and sends (RFC 5322, X-Unsent). It has no sender, date or
// message id: those are for the program that sends it. to may be empty: then the user fills it in.
func (t Template) WriteMail(w io.Writer, s *Story, to string, attached ...Attachment) error {
	var text bytes.Buffer
	if err := t.WriteText(&text, s); err != nil {
		return err
	}
	var h mail.Header
	h.Set("X-Unsent", "1")
	if to != "" {
		if err := CheckAddress(to); err != nil {
			return fmt.Errorf("writing the mail: %w", err)
		}
		h.SetAddressList("To", []*mail.Address{{Address: to}})
	}
	h.SetSubject(headerText(t.Subject(s)))
	h.Set("MIME-Version", "1.0")
	if len(attached) == 0 {
		return writePart(h.Header, text.Bytes(), func(h message.Header) (*message.Writer, error) { return message.CreateWriter(w, h) }, letterPart)
	}
	h.SetContentType("multipart/mixed", map[string]string{"boundary": boundary(text.Bytes(), attached)})
	mixed, err := message.CreateWriter(w, h.Header)
	if err != nil {
		return fmt.Errorf("writing the mail: %w", err)
	}
	if err := writePart(message.Header{}, text.Bytes(), mixed.CreatePart, letterPart); err != nil {
		return err
	}
	for _, a := range attached {
		if err := writePart(message.Header{}, a.Data, mixed.CreatePart, a.part); err != nil {
			return err
		}
	}
	return mixed.Close()
}

// letterPart says what the letter is. A part of a mail that says nothing of how it is to be shown is shown.
func letterPart(h *message.Header) {
	h.SetContentType("text/plain", map[string]string{"charset": "utf-8"})
	h.Set("Content-Transfer-Encoding", "quoted-printable")
}

func (a *Attachment) part(h *message.Header) {
	h.SetContentType(a.Type, nil)
	// The library would write a name as an encoded word in quotes, which RFC 2047 forbids; this is RFC 2231's way.
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": headerText(console.Escape(a.Name))}))
	h.Set("Content-Transfer-Encoding", "base64")
}

func writePart(h message.Header, data []byte, create func(message.Header) (*message.Writer, error), describe func(*message.Header)) error {
	describe(&h)
	part, err := create(h)
	if err != nil {
		return fmt.Errorf("writing the mail: %w", err)
	}
	if _, err := part.Write(data); err != nil {
		return fmt.Errorf("writing the mail: %w", err)
	}
	return part.Close()
}

// maxSubject bounds a subject, in bytes.
const maxSubject = 200

// headerText is a text that can stand in a header: one line of visible characters, in which nothing is read as an encoded word (RFC 2047),
// for that would be decoded into characters that were not looked at.
func headerText(s string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(head(s, maxSubject)), " "), "=?", "= ?")
}

// boundary stands between the parts. It follows from them, so that the same letter gives the same bytes.
func boundary(text []byte, attached []Attachment) string {
	h := sha256.New()
	h.Write(text)
	for _, a := range attached {
		fmt.Fprintf(h, "\x00%s\x00%d\x00", a.Name, len(a.Data))
	}
	return "openclaw-ir-" + hex.EncodeToString(h.Sum(nil))[:32]
}
