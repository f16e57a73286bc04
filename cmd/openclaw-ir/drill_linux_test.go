package main

import (
	"os"
	"strings"
	"testing"

	"github.com/clawbook/openclaw-ir/internal/statetest"
)

// A person answers: no to contain, yes to collect, skips rotate, and leaves.
func TestDrillAsks(t *testing.T) {
	m := newDrillMachine(t)
	tty := statetest.NewTerminal(t)
	code := exitFailed
	tty.Typed(t, []string{"go on? ", "n\ry\rn\rq\r"}, func() {
		code = run(t.Context(), []string{"openclaw-ir", "drill", "--state", "2026.2.12", "--dir", m.dir}, m.env(tty.Open))
	})
	text := m.out.String()
	if code != exitDone {
		t.Errorf("exit code %d\n%s", code, &m.err)
	}
	for _, want := range []string{"\ncontain: not contained\n", "\ncollect: done\n", "\nrotate: skipped\n", "\n  command  openclaw-ir analyze findings ", "\n  remove   rm -r " + m.dir + "\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "\nanalyze: ") {
		t.Error("it went on after q")
	}
	tty = statetest.NewTerminal(t)
	tty.Typed(t, []string{"go on? ", "\x03"}, func() {
		code = run(t.Context(), []string{"openclaw-ir", "drill", "--dir", m.dir + "2"}, m.env(tty.Open))
	})
	if _, err := os.Lstat(m.dir + "2"); code != exitInterrupted || err != nil || !strings.Contains(m.err.String(), "remove it with: rm -r ") {
		t.Errorf("interrupted: exit code %d, %v\n%s", code, err, &m.err)
	}
}
