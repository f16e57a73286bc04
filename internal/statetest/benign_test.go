package statetest_test

import (
	"io/fs"
	"os"
	"testing"
	"unicode/utf8"

	"github.com/clawbook/openclaw-ir/analyze"
	"github.com/clawbook/openclaw-ir/internal/statetest"
)

// events counts what analyze tells of a host, by kind, but for a transcript's own bookkeeping.
func events(t *testing.T, dir string) (counts map[analyze.Kind]int, commands map[string]bool) {
	t.Helper()
	r, err := analyze.Timeline(t.Context(), os.DirFS(dir), analyze.Options{Kinds: analyze.Kinds})
	if err != nil {
		t.Fatal(err)
	}
	counts, commands = map[analyze.Kind]int{}, map[string]bool{}
	for e, err := range r.Events() {
		if err != nil {
			t.Fatal(err)
		}
		counts[e.Kind]++
		if e.Kind == analyze.KindExec {
			commands[e.What] = true
		}
	}
	if r.Coverage.Unparsed > 0 {
		t.Errorf("%d records were not understood", r.Coverage.Unparsed)
	}
	return counts, commands
}

func TestBenign(t *testing.T) {
	if statetest.Raced() {
		t.Skip("one goroutine generates")
	}
	for _, version := range statetest.BenignVersions() {
		t.Run(version, func(t *testing.T) {
			counts, commands := events(t, statetest.Benign(t, version, 1))
			total := 0
			for kind, n := range counts {
				if kind != analyze.KindSession {
					total += n
				}
			}
			t.Logf("%d events, %d distinct commands: %v", total, len(commands), counts)
			if total < 2000 || len(commands) < 600 {
				t.Errorf("%d events and %d distinct commands, want 2000 and 600", total, len(commands))
			}
			for _, kind := range []analyze.Kind{analyze.KindWrite, analyze.KindEdit, analyze.KindRead, analyze.KindFetch, analyze.KindBrowse, analyze.KindMessage, analyze.KindSpawn} {
				if counts[kind] == 0 {
					t.Errorf("no %s", kind)
				}
			}
		})
	}
}

func TestBenignIsTheSameEachTime(t *testing.T) {
	if statetest.Raced() {
		t.Skip("one goroutine generates")
	}
	content := func(seed uint64) string {
		dir := statetest.Benign(t, "2026.3.31", seed)
		data := ""
		err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			b, err := fs.ReadFile(os.DirFS(dir), name)
			data += name + string(b)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	first := content(1)
	if first != content(1) {
		t.Error("the same seed gives another state")
	}
	if first == content(2) {
		t.Error("another seed gives the same state")
	}
	if !utf8.ValidString(first) {
		t.Error("not UTF-8")
	}
}

// TestBenignCommands keeps the list as large and as tricky as it claims to be.
func TestBenignCommands(t *testing.T) {
	distinct, tricky := map[string]bool{}, map[string]bool{}
	for _, c := range statetest.BenignCommands(t) {
		distinct[c.Command] = true
		if c.Tricky {
			tricky[c.Command] = true
		}
		if c.Ask == "" {
			t.Errorf("%q: nobody asked for it", c.Command)
		}
	}
	if len(distinct) < 600 || len(tricky) < 100 {
		t.Errorf("%d commands, %d of them tricky; want 600 and 100", len(distinct), len(tricky))
	}
}
