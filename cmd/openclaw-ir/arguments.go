package main

import (
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// asHelp takes "help contain" for "contain --help", which is what whoever types it wants.
func asHelp(args []string) []string {
	if len(args) < 2 || args[1] != "help" {
		return args
	}
	return append(append(slices.Clone(args[:1]), args[2:]...), "--help")
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
