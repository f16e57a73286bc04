package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/clawbook/openclaw-ir/internal/inerttest"
	"github.com/clawbook/openclaw-ir/internal/statetest"
)

// terminalLines are what somebody types at a terminal, where there are colours, progress bars and questions. Who is asked
// something there goes away.
var terminalLines = []string{
	"collect --root host -R recipients.txt -o NEW.age",
	"collect --snapshot --root host -R recipients.txt",
	"collect verify NEW.age -i key.txt",
	"collect open NEW.age -i key.txt out",
	"analyze --root host --kind all --format text",
	"analyze findings --root host",
	"analyze posture --root host --all",
	"analyze posture --fix --without-evidence --state-dir STATE",
	"analyze integrity host",
	"analyze secrets host --all",
	"rotate --without-evidence --reset-pairing --scrub --state-dir STATE",
	"contain --dry-run --no-firewall --state-dir STATE",
	"report --root host -R recipients.txt --noticed HOSTILE",
	"case list",
	"case show",
}

// ownSequences are what our progress bars and questions send to a terminal besides colours: lines are written over and erased.
var ownSequences = regexp.MustCompile(`\x1b\[([0-9]*[AFKJ]|\?25[lh]|\?2004[lh])`)

// TestTerminalIsInert runs commands at a terminal on evidence that is hostile wherever it can be.
func TestTerminalIsInert(t *testing.T) {
	if testing.Short() || statetest.Raced() {
		t.Skip("runs many commands")
	}
	x := newInertRun(t, "clawjacked", 0)
	program, coloured := filepath.Join(t.TempDir(), "openclaw-ir"), false
	self, err := os.Executable()
	x.must(err)
	x.must(copyFile(program, self, 0o755))
	for _, line := range terminalLines {
		_, c := commandOf(testApp(80), line)
		words := x.words(strings.ReplaceAll(line, "NEW", "bundle"), c)
		t.Run(line, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			screen := statetest.NewTerminal(t)
			tty, err := screen.Open()
			x.must(err)
			cmd := exec.CommandContext(ctx, program, words...)
			cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
			cmd.Env = append(os.Environ(), "TERM=xterm-256color", "HOME="+x.dir)
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
			x.must(cmd.Start())
			given := time.AfterFunc(2*time.Second, func() { _ = cmd.Process.Signal(os.Interrupt) }) // by who is asked something
			err = cmd.Wait()
			given.Stop()
			tty.Close()
			shown := screen.Shown()
			t.Logf("%v\n%.3000q", err, shown)
			coloured = coloured || strings.Contains(shown, "\x1b[3")
			if code := cmd.ProcessState.ExitCode(); code == exitUsage || code < 0 {
				t.Errorf("exit code %d", code)
			}
			inerttest.Screen(t, "screen", strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(ownSequences.ReplaceAllString(shown, "\n")))
		})
	}
	if !coloured {
		t.Error("nothing was shown as on a terminal")
	}
}
