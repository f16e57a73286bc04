package integrity

import (
	"testing"

	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/statetest"
)

// BenchmarkCheck examines a whole host of 2026.9.6.
func BenchmarkCheck(b *testing.B) {
	fsys, err := host.OpenRoot(statetest.Root(b, "2026.9.6/stopped"))
	if err != nil {
		b.Fatal(err)
	}
	defer fsys.Close()
	installs, _ := openclaw.Find(fsys, openclaw.FindOptions{})
	var read int64
	for b.Loop() {
		read = 0
		if _, err := Check(b.Context(), fsys, installs, Options{Now: taken, Read: func(n int64) { read += n }}); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(read)
}
