package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/analyze/rules"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/severity"
	"github.com/clawbook/openclaw-ir/internal/sigma"
	"github.com/urfave/cli/v2"
)

func rulesCommand(e env) *cli.Command {
	return &cli.Command{
		Name:  "rules",
		Usage: "list, show and test the rules that findings come from",
		Description: `The rules are Sigma 2.1. Those of your own lie in a directory; one that has the name or id of a built-in rule takes its place.

Examples:
   openclaw-ir analyze rules list
   openclaw-ir analyze rules show DLX-001
   openclaw-ir analyze rules test mine.yml

` + exitText,
		Subcommands:  []*cli.Command{rulesListCommand(e), rulesShowCommand(e), rulesTestCommand(e)},
		OnUsageError: onUsageError,
		Action: func(c *cli.Context) error {
			if name := c.Args().First(); name != "" {
				return usageError("openclaw-ir analyze rules --help", "no such command: %q%s", name, suggestion(c.Command.Subcommands, name))
			}
			return usageError("openclaw-ir analyze rules --help", "which command? one of list, show, test")
		},
	}
}

func rulesFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "rules", Usage: "add the rules that lie in `DIR`"},
		&cli.BoolFlag{Name: "json", Usage: "one JSON object a line, a version first"},
	}
}

func rulesListCommand(e env) *cli.Command {
	return &cli.Command{
		Name:  "list",
		Usage: "list the rules: name, level, what records they are for, title",
		Description: `Rules that are only part of others are left out of the text; the JSON has them. Exit code 3 if rules in DIR cannot be used.

Example:
   openclaw-ir analyze rules list --rules DIR

` + exitText,
		Flags:        rulesFlags(),
		OnUsageError: onUsageError,
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return usageError("openclaw-ir analyze rules list", "too many arguments: %q", c.Args().Slice())
			}
			return listRules(c, e)
		},
	}
}

func rulesShowCommand(e env) *cli.Command {
	return &cli.Command{
		Name:      "show",
		Usage:     "show a rule: what it means, what it matches, its techniques, false positives and samples",
		ArgsUsage: "ID",
		Description: `ID is a rule's name, such as DLX-001, or its id.

Example:
   openclaw-ir analyze rules show DLX-001

` + exitText,
		Flags:        rulesFlags(),
		OnUsageError: onUsageError,
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return usageError("openclaw-ir analyze rules list shows the names", "which rule? one name is needed")
			}
			return showRule(c, e)
		},
	}
}

// A ruleBook is the catalogue and the user's own rules.
type ruleBook struct {
	rules  []*sigma.Rule
	own    map[*sigma.Rule]bool
	ownFS  fs.FS
	errors error // why rules of the user cannot be used
}

// openRules reads the catalogue and, if --rules is given, the rules there.
func openRules(c *cli.Context) (*ruleBook, error) {
	list, err := rules.Load()
	if err != nil {
		return nil, err
	}
	b := &ruleBook{rules: list, own: map[*sigma.Rule]bool{}}
	dir := c.String("rules")
	if dir == "" {
		return b, nil
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, usageError("--rules DIR wants a directory with .yml files", "no such directory: %q", dir)
	}
	b.ownFS = os.DirFS(dir)
	own, err := rules.LoadDir(b.ownFS)
	b.add(own, err)
	return b, nil
}

func (b *ruleBook) add(own []*sigma.Rule, err error) {
	b.errors = err
	b.rules = rules.Merge(b.rules, own)
	for _, r := range own {
		b.own[r] = true
	}
}

// text returns the file that a rule stands in.
func (b *ruleBook) text(r *sigma.Rule) ([]byte, error) {
	if b.own[r] {
		return fs.ReadFile(b.ownFS, r.File)
	}
	return fs.ReadFile(rules.Files(), r.File)
}

// end says which of the user's rules cannot be used.
func (b *ruleBook) end(e env) error {
	if b.errors == nil {
		return nil
	}
	for line := range strings.SplitSeq(b.errors.Error(), "\n") {
		e.console.Warningf("%s", line)
	}
	return errPartial
}

// A ruleRow is a rule in a list.
type ruleRow struct {
	Record   string         `json:"record"` // rule
	Rule     string         `json:"rule"`
	ID       string         `json:"id,omitempty"`
	Level    severity.Level `json:"level"`
	Title    string         `json:"title"`
	Category string         `json:"category"` // "any", or "correlation"
	File     string         `json:"file"`
	PartOf   []string       `json:"part_of,omitempty"`  // correlations without which it is no finding
	Inactive string         `json:"inactive,omitempty"` // why it is not applied
}

func newRuleRow(list []*sigma.Rule, r *sigma.Rule) ruleRow {
	row := ruleRow{Record: "rule", Rule: r.Key(), ID: r.ID, Level: r.Level, Title: r.Title, Category: r.Logsource.Category, File: r.File, Inactive: r.Inactive, PartOf: partOf(list, r)}
	switch {
	case r.Correlation != nil:
		row.Category = "correlation"
	case row.Category == "":
		row.Category = "any"
	}
	return row
}

// partOf names the correlations that a rule is part of, unless it is a finding by itself.
func partOf(list []*sigma.Rule, r *sigma.Rule) (names []string) {
	for _, other := range list {
		corr := other.Correlation
		if corr == nil || !slices.Contains(corr.Rules, r.Name) && !slices.Contains(corr.Rules, r.ID) {
			continue
		}
		if corr.Generate {
			return nil
		}
		names = append(names, other.Key())
	}
	return names
}

func listRules(c *cli.Context, e env) error {
	b, err := openRules(c)
	if err != nil {
		return err
	}
	slices.SortStableFunc(b.rules, func(a, b *sigma.Rule) int { return strings.Compare(a.Key(), b.Key()) })
	if c.Bool("json") {
		lines, err := console.NewJSONLines(e.console.Out(), map[string]any{"command": "analyze rules list"})
		if err != nil {
			return err
		}
		for _, r := range b.rules {
			if err := lines.Write(newRuleRow(b.rules, r)); err != nil {
				return err
			}
		}
		return b.end(e)
	}
	var rows [][]string
	for _, r := range b.rules {
		if row := newRuleRow(b.rules, r); len(row.PartOf) == 0 {
			rows = append(rows, []string{row.Rule, row.Level.String(), row.Category, row.Title})
		}
	}
	if err := e.console.Table([]string{"RULE", "LEVEL", "RECORDS", "TITLE"}, rows); err != nil {
		return err
	}
	return b.end(e)
}

func showRule(c *cli.Context, e env) error {
	b, err := openRules(c)
	if err != nil {
		return err
	}
	name := c.Args().First()
	i := slices.IndexFunc(b.rules, func(r *sigma.Rule) bool { return strings.EqualFold(r.Name, name) || strings.EqualFold(r.ID, name) })
	if i < 0 {
		return &codeError{exitFailed, fmt.Errorf("no such rule: %q", name), []string{"openclaw-ir analyze rules list"}}
	}
	page, err := newRulePage(b, b.rules[i])
	if err != nil {
		return err
	}
	lines, err := console.NewLines(e.console, c.Bool("json"), map[string]any{"command": "analyze rules show"}, (*rulePage).text)
	if err != nil {
		return err
	}
	if err := errors.Join(lines.Write(page), lines.Flush()); err != nil {
		return err
	}
	return b.end(e)
}
