package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// stepCommands are the command of each step, and the options of ours that it is given.
var stepCommands = map[string]struct{ command, options []string }{
	"contain": {[]string{"contain"}, []string{"--state-dir", "--allow-from", "-r", "-R", "-p", "--yes"}},
	"collect": {[]string{"collect"}, []string{"--state-dir", "-r", "-R", "-p"}},
	"rotate":  {[]string{"rotate", "--yes"}, []string{"--state-dir", "--out"}}, // the runbook has shown its plan and asked
	"analyze": {[]string{"analyze", "findings", "--level", "high"}, []string{"--state-dir"}},
	"report":  {[]string{"report"}, []string{"--state-dir", "-r", "-R", "--noticed", "--at", "--yes"}},
}

// commandOf is the command line of a step, as it would be typed.
func (x *runbook) commandOf(name string) []string {
	argv := append(slices.Clone(stepCommands[name].command), x.caseArgs()...)
	for _, option := range append(slices.Clone(stepCommands[name].options), "--json") {
		argv = append(argv, x.given(option)...)
	}
	return argv
}

// given is an option of ours as it was given, with each of its values; nothing if it was not.
func (x *runbook) given(option string) (argv []string) {
	name := strings.TrimLeft(option, "-")
	i := slices.IndexFunc(x.c.Command.Flags, func(f cli.Flag) bool { return slices.Contains(f.Names(), name) })
	switch x.c.Command.Flags[i].(type) {
	case *cli.BoolFlag:
		if x.c.Bool(name) {
			argv = append(argv, option)
		}
	case *cli.StringSliceFlag:
		for _, value := range x.c.StringSlice(name) {
			argv = append(argv, option, value)
		}
	default:
		if value := x.c.String(name); value != "" {
			argv = append(argv, option, value)
		}
	}
	return argv
}

// again is the command line that takes the runbook up where it was, or with other options.
func (x *runbook) again(options ...string) string {
	argv := append([]string{"run"}, options...)
	if x.c.IsSet("case") || x.c.IsSet("case-dir") || x.dir == memoryCases {
		argv = append(argv, x.caseArgs()...)
	}
	return typedLine(argv)
}

// caseArgs name the case on a command line.
func (x *runbook) caseArgs() (argv []string) {
	if x.cs != nil {
		argv = append(argv, "--case", x.cs.Name())
	} else if x.c.IsSet("case") {
		argv = append(argv, "--case", x.c.String("case"))
	}
	if x.c.IsSet("case-dir") || x.dir == memoryCases {
		argv = append(argv, "--case-dir", x.dir)
	}
	return argv
}
