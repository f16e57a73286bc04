package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/urfave/cli/v2"
	"github.com/xrash/smetrics"
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

` + exitText

// env is what a command knows of the world besides its arguments.
type env struct {
	console *console.Console
	getenv  func(string) string
	uid     int
	record  *record // what this run leaves in the custody log; nil in a test
	asked   *asked  // what was asked for once and holds for all steps of a guided run; nil otherwise
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
	app := newApp(e)
	err := app.RunContext(ctx, permute(app, asHelp(args)))
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
		Commands:               []*cli.Command{runbookCommand(e), drillCommand(e), containCommand(e), rotateCommand(e), collectCommand(e), analyzeCommand(e), reportCommand(e), caseCommand(e), doctorCommand(e), manCommand(e), completionCommand(e), completeCommand(e)},
		Action: func(c *cli.Context) error {
			if name := c.Args().First(); name != "" {
				return usageError("openclaw-ir --help", "no such command: %q%s", name, suggestion(c.App.Commands, name))
			}
			return usageError("openclaw-ir --help", "which command? one of %s", strings.Join(commandNames(c.App.Commands), ", "))
		},
	}
	noteAll(e, "", app.Commands)
	return withHelp(app, e.console)
}

// suggestion asks whether a word was meant to be one of these commands, if it is like one.
func suggestion(commands []*cli.Command, name string) string {
	if like := closest(name, commandNames(commands)); like != "" {
		return fmt.Sprintf("; did you mean %q?", like)
	}
	return ""
}

// alike is from what similarity on a word may be another one with a slip in it.
const alike = 0.82

// closest returns which of the names a word is most like, "" if it is like none.
func closest(word string, names []string) (best string) {
	top := alike
	for _, name := range names {
		if score := smetrics.JaroWinkler(name, word, 0.7, 4); score > top {
			best, top = name, score
		}
	}
	return best
}

func commandNames(commands []*cli.Command) (names []string) {
	for _, c := range visible(commands) {
		names = append(names, c.term)
	}
	return names
}

// asHelp takes "help contain" for "contain --help", which is what whoever types it wants.
func asHelp(args []string) []string {
	if len(args) < 2 || args[1] != "help" {
		return args
	}
	return append(append(slices.Clone(args[:1]), args[2:]...), "--help")
}

func onUsageError(c *cli.Context, err error, _ bool) error {
	hint := strings.TrimSpace("openclaw-ir "+commandPath(c)) + " --help"
	if name, ok := strings.CutPrefix(err.Error(), "flag provided but not defined: -"); ok {
		return usageError(hint, "no such option: %q%s", dashed(name), likeOption(c, name))
	}
	return usageError(hint, "%v", err)
}

func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// likeOption asks whether a word was meant to be one of the command's options.
func likeOption(c *cli.Context, name string) string {
	var names []string
	for _, f := range c.Command.Flags {
		names = append(names, f.Names()...)
	}
	if like := closest(name, names); len(name) > 1 && like != "" {
		return fmt.Sprintf("; did you mean %s?", dashed(like))
	}
	return ""
}

func commandPath(c *cli.Context) string {
	var names []string
	for _, level := range c.Lineage() {
		if level.Command != nil && level.Command.Name != "" && level.Command.Name != "openclaw-ir" && !slices.Contains(names, level.Command.Name) {
			names = append([]string{level.Command.Name}, names...)
		}
	}
	return strings.Join(names, " ")
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

// permute moves a command's options before its arguments, because cli stops looking for options at the first
// argument and people type them at the end. What follows "--" stays as it is.
func permute(app *cli.App, args []string) []string {
	if len(args) == 0 {
		return args
	}
	out, rest := []string{args[0]}, args[1:]
	flags, commands := []cli.Flag(nil), app.Commands
	name := ""
	for len(rest) > 0 {
		i := slices.IndexFunc(commands, func(c *cli.Command) bool { return c.HasName(rest[0]) })
		if i < 0 {
			break
		}
		out, name = append(out, rest[0]), commands[i].Name
		flags, commands, rest = commands[i].Flags, commands[i].Subcommands, rest[1:]
	}
	switch {
	case name == "" && len(rest) > 0 && !strings.HasPrefix(rest[0], "-"):
		return append(out, "--", rest[0]) // no such command; what options it would have is not known
	case name == "analyze":
		rest = separateIdentity(rest)
	case !takesValue(flags, "i") && takesValue(flags, "identity"): // analyze's subcommands have age's -i alone
		rest = replaceOption(rest, "-i", "--identity")
	}
	options, arguments := split(flags, rest)
	out = append(out, options...)
	if len(arguments) > 0 {
		out = append(append(out, "--"), arguments...)
	}
	return out
}

// split parts options (each with its value) from arguments.
func split(flags []cli.Flag, args []string) (options, arguments []string) {
	for i := 0; i < len(args); i++ {
		a := args[i]
		switch {
		case a == "--":
			return options, append(arguments, args[i+1:]...)
		case a == "-" || !strings.HasPrefix(a, "-"):
			arguments = append(arguments, a)
			continue
		}
		if len(a) > 2 && a[1] != '-' && takesValue(flags, a[1:2]) && !strings.Contains(a, "=") { // -A2
			options = append(options, a[:2], a[2:])
			continue
		}
		options = append(options, a)
		if takesValue(flags, strings.TrimLeft(a, "-")) && i+1 < len(args) {
			i++
			options = append(options, args[i])
		}
	}
	return options, arguments
}

func takesValue(flags []cli.Flag, name string) bool {
	for _, f := range flags {
		if d, ok := f.(cli.DocGenerationFlag); ok && slices.Contains(f.Names(), name) {
			return d.TakesValue()
		}
	}
	return false
}

// replaceOption writes an option's other name wherever it stands before "--".
func replaceOption(args []string, old, name string) []string {
	out := slices.Clone(args)
	for i, a := range out {
		if a == "--" {
			break
		}
		if a == old {
			out[i] = name
		}
	}
	return out
}

// maxIdentity is the largest file that is taken for a key, in bytes.
const maxIdentity = 64 << 10

// separateIdentity tells the two meanings of -i apart: "-i FILE", where FILE holds a private key, is age's; any
// other -i is grep's. The long forms --identity and --ignore-case are never in doubt.
func separateIdentity(args []string) []string {
	out := slices.Clone(args)
	for i, a := range out {
		if a == "--" {
			break
		}
		if a != "-i" {
			continue
		}
		out[i] = "--ignore-case"
		if i+1 < len(out) && isIdentityFile(out[i+1]) {
			out[i] = "--identity"
		}
	}
	return out
}

func isIdentityFile(name string) bool {
	info, err := os.Stat(name)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxIdentity {
		return false
	}
	text, err := os.ReadFile(name)
	return err == nil && (strings.Contains(string(text), "AGE-SECRET-KEY-") || strings.Contains(string(text), "PRIVATE KEY-----") ||
		strings.Contains(string(text), "AGE-PLUGIN-") || strings.HasPrefix(string(text), "age-encryption.org/") || strings.HasPrefix(string(text), "-----BEGIN AGE ENCRYPTED FILE-----"))
}
