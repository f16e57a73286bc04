package main

import (
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/clawbook/openclaw-ir/internal/statetest"
	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "write what the commands print into the scripts")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"openclaw-ir": main})
}

// TestScripts runs the command lines of testdata/script: what a user types, and what must come back.
// "exits 0,3 COMMAND…" is exec that wants one of these exit codes, and
// "state VERSION" unpacks a real OpenClaw state as a host's root into $WORK/host.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
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
			"exits":    exits,
		},
	})
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
