package host

import (
	"os"
	"path/filepath"
	"testing"
)

func TestFreeMemory(t *testing.T) {
	for text, want := range map[string]int64{
		"MemTotal: 8 kB\nMemAvailable:    2048 kB\n": 2 << 20,
		"MemTotal: 8 kB\n":                           -1,
		"MemAvailable: many kB\n":                    -1,
		"MemAvailable: -5 kB\n":                      -1,
		"MemAvailable: 9999999999999999 kB\n":        -1,
		"":                                           -1,
	} {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "proc"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "proc/meminfo"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		got, err := FreeMemory(r)
		r.Close()
		if want < 0 && err == nil || want >= 0 && (err != nil || got != want) {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
}

func TestFreeDisk(t *testing.T) {
	if free, err := FreeDisk(t.TempDir()); err != nil || free <= 0 {
		t.Errorf("%d, %v", free, err)
	}
	if _, err := FreeDisk("/no/such/place"); err == nil {
		t.Error("a place that is not there has room")
	}
}
