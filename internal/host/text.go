package host

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/clawbook/openclaw-ir/internal/console"
)

// Text is bytes that came from the host. In JSON it is a string, or {"base64": "…"} where a string
// would lose bytes because they are not UTF-8.
type Text string

type textBytes struct {
	Base64 string `json:"base64"`
}

// MarshalJSON implements [json.Marshaler].
func (t Text) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(t)) {
		return json.Marshal(string(t))
	}
	return json.Marshal(textBytes{base64.StdEncoding.EncodeToString([]byte(t))})
}

// UnmarshalJSON implements [json.Unmarshaler].
func (t *Text) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) == nil {
		*t = Text(s)
		return nil
	}
	var raw textBytes
	if err := json.Unmarshal(b, &raw); err != nil {
		return fmt.Errorf("reading text: %w", err)
	}
	dec, err := base64.StdEncoding.DecodeString(raw.Base64)
	*t = Text(dec)
	return err
}

func texts(list []string) []Text {
	t := make([]Text, len(list))
	for i, s := range list {
		t[i] = Text(s)
	}
	return t
}

// rows writes one JSON object a line, in which nothing moves a cursor or hides: they are read with cat too. It remembers its first error,
// so that only the last needs a look.
type rows struct {
	out *console.JSONLines
	err error
}

func newRows(w io.Writer) *rows { return &rows{out: console.NewBareJSONLines(w)} }

func (r *rows) put(v any) {
	if r.err == nil {
		r.err = r.out.Write(v)
	}
}

// note is a row that says why something is not there.
type note struct {
	Record string `json:"record"` // "note"
	About  string `json:"about"`
	Why    Text   `json:"why"`
}

func (r *rows) note(about, why string) { r.put(note{"note", about, Text(why)}) }
