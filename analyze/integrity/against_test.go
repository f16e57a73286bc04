package integrity

import (
	"testing"

	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/statetest"
)

func compare(tb testing.TB, older, newer string) *Report {
	tb.Helper()
	then, err := host.OpenRoot(older)
	if err != nil {
		tb.Fatal(err)
	}
	defer then.Close()
	now, err := host.OpenRoot(newer)
	if err != nil {
		tb.Fatal(err)
	}
	defer now.Close()
	was, _ := openclaw.Find(then, openclaw.FindOptions{})
	is, _ := openclaw.Find(now, openclaw.FindOptions{})
	r, err := Against(tb.Context(), Past{FS: then, Installs: was}, now, is, Options{Now: taken})
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// TestAgainst compares two states of one host: between them a session was deleted, and no record changed.
func TestAgainst(t *testing.T) {
	r := compare(t, statetest.Root(t, "2026.9.6/running"), statetest.Root(t, "2026.9.6/stopped"))
	if len(r.Findings) != 1 || r.Findings[0].Title != "a session was deleted since" || len(r.Gaps) != 0 {
		t.Errorf("found %v, with gaps %v", r.Findings, r.Gaps)
	}
}
