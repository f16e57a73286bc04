package secret

import (
	"fmt"
	"strings"
	"testing"
)

// TestRedactSpelled escapes every byte, also those that need it not, as who hides a value in a URL or for printf does.
func TestRedactSpelled(t *testing.T) {
	const value = "gw-FAKE-abcdefgh-0123"
	s := setOf(value)
	for _, format := range []string{"%%%02x", "%%%02X", `\x%02x`, `\x%02X`} {
		var b strings.Builder
		for _, c := range []byte(value) {
			fmt.Fprintf(&b, format, c)
		}
		if got := s.Redact("a " + b.String() + " b"); got != "a "+mark(value)+" b" {
			t.Errorf("%s: %q", format, got)
		}
	}
}
