package analyze

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/secret"
)

// BenchmarkSightings looks for fifty known secrets, and for unknown ones, in 200 MB of transcripts.
func BenchmarkSightings(b *testing.B) {
	root := b.TempDir()
	corpus(b, filepath.Join(root, "home", "claw"), 200<<20)
	fsys, err := host.OpenRoot(root)
	if err != nil {
		b.Fatal(err)
	}
	installs, _ := openclaw.Find(fsys, openclaw.FindOptions{StateDirs: []string{"/home/claw/.openclaw"}})
	set := secret.NewSet(sightingPrinter)
	for i := range 50 {
		set.Add(fmt.Sprintf("sk-FAKE-benchmark-%032d", i), "")
	}
	b.SetBytes(200 << 20)
	for b.Loop() {
		_, cover, err := Sightings(context.Background(), fsys, installs, set, SightingOptions{Unknown: true})
		if err != nil || !cover.Complete() || cover.Bytes < 200<<20 {
			b.Fatal(err, cover.Bytes, cover.Gaps)
		}
	}
}
