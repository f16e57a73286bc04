package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/urfave/cli/v2"
)

// The exit codes. Every help text repeats them.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitPartial     = 3
	exitFound       = 4
	exitInterrupted = 130
	exitUnread      = 141 // as a shell shows SIGPIPE: whoever read the output went away
)

const exitText = "Exit codes: 0 done; 1 failed; 2 wrong use; 3 done in part (the output says what is missing); 4 something found, or a verification that does not hold; 130 interrupted."

// description is what --help says first.
const description = `Runs no OpenClaw code unless asked, contacts nothing by itself, asks before it changes something and says how to take it back.
Each command has --help, with examples.

Examples:
   sudo openclaw-ir run        # in an incident: be led through all of it
   sudo openclaw-ir contain    # stop the agent; asks before, loses nothing
   sudo openclaw-ir rotate     # replace the secrets it held
   sudo openclaw-ir collect    # seal the evidence
   openclaw-ir analyze         # what it executed and wrote
   sudo openclaw-ir doctor     # on a quiet day: what would be missing
   openclaw-ir drill           # on a quiet day: play an incident through

` + exitText

// env is what a command knows of the world besides its arguments.
type env struct {
	console *console.Console
	getenv  func(string) string
	uid     int
	record  *record // what this run leaves in the custody log; nil in a test
	asked   *asked  // what was asked for once and holds for all steps of a guided run; nil otherwise
	haste   bool    // a test's: a store that is away is tried again at once
	drill   string  // the directory of a drill: no host is opened but one that lies in it; "" outside a drill
}

// A codeError ends the program with a code. Its hints say what to type next.
type codeError struct {
	code  int
	err   error
	hints []string
}

func (e *codeError) Error() string { return e.err.Error() }
func (e *codeError) Unwrap() error { return e.err }

func usageError(hint, format string, args ...any) error {
	return &codeError{exitUsage, fmt.Errorf(format, args...), []string{hint}}
}

// errPartial ends a command that did what it could; its output has said what is missing.
var errPartial = &codeError{code: exitPartial, err: errors.New("done in part: see the warnings above for what is missing")}

// run runs one command line and returns the exit code. It is the only place that maps errors to codes.
func run(ctx context.Context, args []string, e env) int {
	app, args := newApp(e), asHelp(args)
	if wantsHelp(args) {
		withHelp(app, e.console)
	}
	err := app.RunContext(ctx, permute(app, args))
	code := exitCode(ctx, err)
	switch code {
	case exitDone, exitUnread:
	case exitInterrupted:
		e.console.Errorf("interrupted")
	default:
		sayError(e, err)
	}
	return code
}

// exitCode is the code that the program ends with because of err.
func exitCode(ctx context.Context, err error) int {
	var ce *codeError
	switch {
	case err == nil:
		return exitDone
	case ctx.Err() != nil || errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.As(err, &ce):
		return ce.code
	case errors.Is(err, syscall.EPIPE):
		return exitUnread
	}
	return exitFailed
}

func sayError(e env, err error) {
	if err.Error() != "" {
		e.console.Errorf("%v", err)
	}
	var ce *codeError
	if !errors.As(err, &ce) {
		return
	}
	for _, h := range ce.hints {
		if h != "" {
			e.console.Hintf("%s", h)
		}
	}
}

func newApp(e env) *cli.App {
	e.record = &record{}
	app := &cli.App{
		Name:                   "openclaw-ir",
		Usage:                  "incident response for OpenClaw: stop the agent, replace its secrets, seal the evidence, tell what it executed and wrote",
		Version:                version(),
		Description:            description,
		HideHelpCommand:        true,
		UseShortOptionHandling: false,
		Reader:                 e.console.In(),
		Writer:                 e.console.Out(),
		ErrWriter:              io.Discard,
		ExitErrHandler:         func(*cli.Context, error) {}, // cli would exit by itself on any error that has an ExitCode method
		OnUsageError:           onUsageError,
		Commands: []*cli.Command{
			runbookCommand(e), drillCommand(e), containCommand(e), rotateCommand(e), collectCommand(e), analyzeCommand(e),
			reportCommand(e), caseCommand(e), doctorCommand(e), manCommand(e), completionCommand(e), completeCommand(e),
		},
		Action: func(c *cli.Context) error {
			if name := c.Args().First(); name != "" {
				return usageError("openclaw-ir --help", "no such command: %q%s", name, suggestion(c.App.Commands, name))
			}
			return usageError("openclaw-ir --help", "which command? one of %s", strings.Join(commandNames(c.App.Commands), ", "))
		},
	}
	noteAll(e, "", app.Commands)
	hideHelpCommands(app.Commands)
	return app
}

// released is the version of a release, which .ci/release has the linker fill in; empty otherwise.
var released string

// version is that of the release, else the module's as the build recorded it.
func version() string {
	if released != "" {
		return released
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}
