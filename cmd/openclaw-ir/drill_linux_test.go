package main

import (
	"encoding/json"
	"os"
	"path/filepath"
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

// With --json every line of standard output is an object, and what is only played says so.
func TestDrillAsJSON(t *testing.T) {
	m := newDrillMachine(t)
	tty := statetest.NewTerminal(t)
	tty.Typed(t, []string{"go on? ", "y\rn\ry\rq\r"}, func() {
		if code := run(t.Context(), []string{"openclaw-ir", "drill", "--json", "--state", "2026.2.12", "--dir", m.dir}, m.env(tty.Open)); code != exitDone {
			t.Errorf("exit code %d\n%s", code, &m.err)
		}
	})
	seen, simulated := map[string]int{}, 0
	for line := range strings.Lines(m.out.String()) {
		var l struct {
			Record, Command string
			Simulated       bool
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		seen[l.Record+l.Command]++
		played := l.Record == "frozen" || l.Record == "step" || l.Record == "plan" && seen["rotate"] == 0
		if played && !l.Simulated {
			t.Errorf("not marked as simulated: %s", line)
		}
		if l.Simulated {
			simulated++
		}
	}
	if seen["drill"] != 2 || seen["stage"] != 4 || seen["result"] != 3 || seen["end"] != 1 || seen["item"] == 0 || simulated < 12 {
		t.Errorf("%d simulated lines, and of each record: %v", simulated, seen)
	}
}

// In a guided run the passphrase is asked for once, and seals all bundles.
func TestOnePassphraseForAllSteps(t *testing.T) {
	oneAfterTheOther(t)
	m := newDrillMachine(t)
	host := filepath.Join(m.home, "empty")
	if err := os.Mkdir(host, 0o700); err != nil {
		t.Fatal(err)
	}
	tty := statetest.NewTerminal(t)
	e := m.env(tty.Open)
	e.asked = &asked{}
	tty.Typed(t, []string{"secure one): ", "correct horse\r", "confirm", "correct horse\r"}, func() {
		for range 2 {
			args := []string{"openclaw-ir", "collect", "--root", host, "--case-dir", m.dir, "--case", "c1"}
			if code := run(t.Context(), args, e); code != exitDone {
				t.Errorf("exit code %d\n%s", code, &m.err)
			}
		}
	})
	text := m.err.String()
	if strings.Count(text, "Without one, a passphrase does") != 1 || strings.Count(text, "sealed with the same passphrase as before") != 1 || strings.Contains(text, "horse") {
		t.Errorf("it says\n%s", text)
	}
	if names, _ := filepath.Glob(filepath.Join(m.dir, "c1/bundles/*.age")); len(names) != 2 {
		t.Errorf("sealed %q", names)
	}
}
