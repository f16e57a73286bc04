package console

import (
	"context"
	"errors"
	"testing"

	"github.com/clawbook/openclaw-ir/internal/statetest"
)

func TestQuestion(t *testing.T) {
	for _, test := range []struct {
		keys, want string
		err        error
	}{
		{"it wrote to my contacts\r", "it wrote to my contacts", nil},
		{"\r", "", nil},
		{"nightx\x7f\r", "night", nil}, // backspace
		{"half\x03", "", context.Canceled},
	} {
		p := statetest.NewTerminal(t)
		c, stderr := ptyConsole(p)
		p.Typed(t, []string{"noticed? ", test.keys}, func() {
			if got, err := c.Question(t.Context(), "what was noticed?"); got != test.want || !errors.Is(err, test.err) {
				t.Errorf("%q: got %q, %v", test.keys, got, err)
			}
		})
		if stderr.Len() != 0 {
			t.Errorf("a stream got %q", stderr)
		}
	}
}
