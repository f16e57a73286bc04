package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/clawbook/openclaw-ir/internal/faults"
	"github.com/clawbook/openclaw-ir/internal/statetest"
	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "write what the commands print into the scripts")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"openclaw-ir": main, "measured": measured, "faults": faults.Main, attackerRole: attack})
}

// TestScripts runs the command lines of testdata/script: what a user types, and what must come back.
// "exits 0,3 COMMAND…" is exec that wants one of these exit codes,
// "state VERSION" unpacks a real OpenClaw state as a host's root into $WORK/host, "scenario NAME" a played incident, and
// "steady FILE" replaces in a file what is another in every run: times of the run, digests, tokens and names made of them.
func TestScripts(t *testing.T) {
	scripts, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatal("no scripts", err)
	}
	if statetest.Raced() { // the packages that do the work are raced by their own tests
		scripts = slices.DeleteFunc(scripts, func(name string) bool { return !slices.Contains(racedScripts, filepath.Base(name)) })
	}
	testscript.Run(t, testscript.Params{
		Files:               scripts,
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Condition: func(cond string) (bool, error) {
			if cond != "asroot" {
				return false, fmt.Errorf("no condition %q", cond)
			}
			return os.Geteuid() == 0, nil
		},
		Setup: func(e *testscript.Env) error {
			e.Setenv("XDG_STATE_HOME", filepath.Join(e.WorkDir, "state"))
			e.Setenv("HOME", filepath.Join(e.WorkDir, "home"))
			e.Setenv("NO_COLOR", "1")
			return os.Mkdir(filepath.Join(e.WorkDir, "home"), 0o700)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"state": func(ts *testscript.TestScript, _ bool, args []string) {
				root := statetest.Root(t, args[0])
				ts.Check(os.Rename(root, ts.MkAbs("host")))
			},
			"nosecret": noSecret(statetest.Secrets(t)),
			"scenario": func(ts *testscript.TestScript, _ bool, args []string) {
				root := statetest.Scenario(t, args[0])
				ts.Check(os.Rename(root, ts.MkAbs("host")))
			},
			"steady": steady(time.Now()),
			"exits":  exits,
			"masked": masked,
		},
	})
}

// racedScripts are those that go through what runs at once: freezing, sealing, uploading, the timeline, the custody log.
var racedScripts = []string{"bundle.txtar", "case.txtar", "contain.txtar", "custody.txtar", "snapshot.txtar", "timeline.txtar", "upload.txtar"}

// oneAfterTheOther leaves a test that takes long and runs one command after the other out under the race detector.
func oneAfterTheOther(t *testing.T) {
	t.Helper()
	if statetest.Raced() {
		t.Skip("what runs at once in these commands is raced by racedScripts and the packages' own tests")
	}
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODES command…")
	}
	code := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		code = exit.ExitCode()
	}
	if !slices.Contains(strings.Split(args[0], ","), strconv.Itoa(code)) {
		ts.Fatalf("exit code %d, want %s; stderr: %s", code, args[0], ts.ReadFile("stderr"))
	}
}

// varying is what the output of a command has in it that is another each time, or on another machine.
var varying = []struct{ what, as string }{
	{`[0-9a-f]{64}`, "SHA256"},
	{`SHA256:[A-Za-z0-9+/]{43}`, "SIGNER"},
	{`age1[0-9a-z]{58}`, "AGE1"},
	{`[0-9]{8}T[0-9]{6}Z`, "TIME"},
	{`[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(\.[0-9]+)?Z`, "TIME"},
	{`[0-9]{4}-[0-9]{2}-[0-9]{2}`, "DATE"},
	{`[0-9]{2}:[0-9]{2}:[0-9]{2}`, "CLOCK"},
	{`[0-9]+\.[0-9] [kM]B|[0-9]+ B`, "SIZE"},
	{`case id [A-Z2-7]{26}`, "case id ID"},
	{`chain   [A-Z2-7]{26}`, "chain   ID"},
	{`\n {7,}`, "  "}, // where a line is broken depends on how long paths are
	{`  +`, "  "},
}

// masked compares what the last command printed, but for what changes, with a file of the script.
func masked(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: masked FILE")
	}
	got := strings.ReplaceAll(ts.ReadFile("stdout"), ts.Getenv("WORK"), "$WORK")
	host, err := os.Hostname()
	ts.Check(err)
	me, err := user.Current()
	ts.Check(err)
	for _, c := range varying {
		got = regexp.MustCompile(c.what).ReplaceAllString(got, c.as)
	}
	got = regexp.MustCompile(`\b`+regexp.QuoteMeta(host)+`\b`).ReplaceAllString(got, "HOST")
	got = regexp.MustCompile(`\b`+regexp.QuoteMeta(me.Username)+`\b`).ReplaceAllString(got, "USER")
	if want := ts.ReadFile(args[0]); got != want {
		ts.Fatalf("%s: got\n%s\nwant\n%s", args[0], got, want)
	}
}

// noSecret fails if a file named, or the output of the last command, holds a secret planted in the states.
func noSecret(planted []string) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, _ bool, args []string) {
		if len(args) == 0 {
			args = []string{"stdout", "stderr"}
		}
		for _, name := range args {
			text := ts.ReadFile(name)
			for i, s := range planted {
				if strings.Contains(text, s) {
					ts.Fatalf("%s holds planted secret number %d", name, i+1)
				}
			}
		}
	}
}

// isLong says whether there is time for more than a taste.
func isLong() bool { return os.Getenv("OPENCLAW_IR_LONG_TEST") == "1" }
