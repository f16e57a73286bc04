package host

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/clawbook/openclaw-ir/internal/inerttest"
)

// A row shows on a terminal what it says and no more, and says what the host said.
func TestRowsAreInert(t *testing.T) {
	for _, p := range inerttest.Payloads {
		var line bytes.Buffer
		out := newRows(&line)
		out.put(fileRow{"file", "/x", Text(p.Text)})
		inerttest.JSONLines(t, p.Class, line.String())
		var back fileRow
		if err := json.Unmarshal(line.Bytes(), &back); err != nil || out.err != nil || string(back.Text) != p.Text {
			t.Errorf("%s: %q became %q, %v, %v", p.Class, p.Text, back.Text, err, out.err)
		}
	}
}
