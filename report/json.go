package report

import (
	"io"

	"github.com/clawbook/openclaw-ir/internal/console"
)

// WriteJSON writes the story as one line of JSON. Secrets are replaced in it, addresses are whole; characters that cannot be
// seen are escaped as JSON escapes them.
func WriteJSON(w io.Writer, s *Story) error { return console.NewBareJSONLines(w).Write(s) }
