//go:build linux

package main_test

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestHostRunbook boots a host whose agent runs away and leads through the runbook. The connection drops when it is contained; the
// second run goes on after that, and the third finds nothing left to run.
func TestHostRunbook(t *testing.T) {
	needHost(t)
	need(t, "npm", "age-keygen")
	tool := buildTool(t)
	debian(t)
	inst := install(t, newest)
	t.Parallel()
	v := standInHost(t, tool, inst)

	v.hangUp(t, v.runbookCommand())
	v.checkClosed(t)
	if ran := v.runbook(t); !slices.Equal(ran, []string{"collect", "rotate", "analyze", "report"}) {
		t.Errorf("after the connection dropped it ran %q", ran)
	}
	v.checkIdle(t)
	if ran := v.runbook(t); len(ran) > 0 {
		t.Errorf("when all was done it ran %q", ran)
	}
	v.checkSecrets(t)
	v.checkMarks(t)
	v.contain(t, 0, "undo", "--yes", "--json")
	v.checkIdle(t)
}

func (v *victim) runbookCommand() *exec.Cmd {
	way := "SSH_CONNECTION=" + responderV4 + " 40000 " + hostV4 + " 22"
	return v.command("env", way, "/usr/local/bin/openclaw-ir", "run", "--yes", "--json", "-R", recipientsFile, "--out", "/root/new-tokens")
}

// runbook runs the runbook, which ends with 3 because the model's key is open, and returns which steps it ran.
func (v *victim) runbook(t *testing.T) (steps []string) {
	t.Helper()
	cmd := v.runbookCommand()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	v.said = append(v.said, stdout.String()+stderr.String())
	if cmd.ProcessState.ExitCode() != 3 {
		t.Errorf("run: %v\n%s", err, tail(stderr.Bytes()))
	}
	for line := range strings.Lines(stdout.String()) {
		var r struct {
			Record, Stage string
			Exit          int
		}
		if json.Unmarshal([]byte(line), &r) == nil && r.Record == "result" {
			steps = append(steps, r.Stage)
			if r.Exit != 0 && r.Exit != 3 {
				t.Errorf("%s: exit %d\n%s", r.Stage, r.Exit, tail(stderr.Bytes()))
			}
		}
	}
	return steps
}

// hangUp starts the runbook and hangs up as soon as the host is contained.
func (v *victim) hangUp(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	for len(v.custody(t, "contain")) < 2 { // the containment's own line, and the command's
		select {
		case <-ended:
			t.Fatal("it ended before the host was contained")
		case <-time.After(10 * time.Millisecond):
		}
	}
	run(t, v.command("pkill", "-HUP", "-x", "openclaw-ir"))
	<-ended
}
