package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
	"github.com/xrash/smetrics"
)

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
