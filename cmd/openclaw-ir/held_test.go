package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/host"
)

// TestHugeFileIsNotHeld: a sparse file of a terabyte in the place of a store is in no bundle, which is known at once.
func TestHugeFileIsNotHeld(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "openclaw.sqlite")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(name, 1<<40); err != nil {
		t.Skip(err)
	}
	root, err := host.OpenRoot("/")
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	cs, err := casefile.Open(filepath.Join(dir, "cases"), "one", true)
	if err != nil {
		t.Fatal(err)
	}
	defer cs.Close()
	if err := os.MkdirAll(cs.Path(casefile.BundlesDir), 0o700); err != nil {
		t.Fatal(err)
	}
	missing, err := notHeld(cs, root, []string{name, name + ".absent"})
	if err != nil || !slices.Equal(missing, []string{name}) {
		t.Errorf("%q, %v", missing, err)
	}
}
