package main

import (
	"cmp"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/clawbook/openclaw-ir/collect"
	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/urfave/cli/v2"
)

func caseListCommand(e env) *cli.Command {
	return &cli.Command{
		Name: "list", Usage: "list the cases, newest first",
		Description: `What lies in the directory and cannot be used as a case is listed below, with the reason, and makes the exit code 3.

Examples:
   openclaw-ir case list
   sudo openclaw-ir case list --json

` + exitText,
		Flags:        caseListFlags(),
		OnUsageError: onUsageError,
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return usageError("openclaw-ir case show NAME", "case list takes no arguments: %q", c.Args().First())
			}
			return listCases(c, e)
		},
	}
}

// A caseRow is one case of the list.
type caseRow struct {
	casefile.Info
	Lines   int `json:"lines"`
	Bundles int `json:"bundles"`
	Reports int `json:"reports"`
}

func listCases(c *cli.Context, e env) error {
	dir := casesDir(c, e)
	infos, err := casefile.List(dir)
	if err != nil {
		return caseError(err)
	}
	rows := make([]caseRow, len(infos))
	bad := 0
	for i, info := range infos {
		rows[i] = newCaseRow(dir, info)
		if rows[i].Problem != "" {
			bad++
		}
	}
	slices.SortStableFunc(rows, func(a, b caseRow) int { return cmp.Compare(min(len(a.Problem), 1), min(len(b.Problem), 1)) })
	if err := printCases(c, e, rows); err != nil {
		return err
	}
	switch {
	case bad > 0:
		return &codeError{exitPartial, fmt.Errorf("%d of what lies in %q cannot be used", bad, dir), nil}
	case len(rows) == 0 && !c.Bool("json"):
		e.console.Printf("no case in %q; the first command that needs one opens it", dir)
	}
	return nil
}

// newCaseRow looks into a case.
func newCaseRow(dir string, info casefile.Info) caseRow {
	row := caseRow{Info: info}
	if info.Problem != "" {
		return row
	}
	cs, err := casefile.Open(dir, info.Name, false)
	if err != nil {
		row.Problem = err.Error()
		return row
	}
	defer cs.Close()
	if _, row.Lines, err = cs.Head(); err != nil {
		row.Problem = err.Error()
	}
	row.Bundles = countFiles(cs, casefile.BundlesDir, collect.BundleSuffix)
	row.Reports = countFiles(cs, casefile.ReportDir, ".eml") // each is in several forms
	return row
}

// countFiles counts the files of a directory of the case whose names end so.
func countFiles(cs *casefile.Case, dir, suffix string) (n int) {
	files, _ := fs.ReadDir(cs.Root().FS(), dir) // what is not there has no files
	for _, f := range files {
		if strings.HasSuffix(f.Name(), suffix) {
			n++
		}
	}
	return n
}

func printCases(c *cli.Context, e env, rows []caseRow) error {
	if c.Bool("json") {
		lines, err := console.NewJSONLines(e.console.Out(), map[string]any{"command": "case list", "dir": casesDir(c, e)})
		if err != nil {
			return err
		}
		for _, row := range rows {
			row.Name = console.Escape(row.Name)
			if err := lines.Write(row); err != nil {
				return err
			}
		}
		return nil
	}
	var good, bad [][]string
	for _, r := range rows {
		if r.Problem != "" {
			bad = append(bad, []string{r.Name, r.Problem})
			continue
		}
		good = append(good, []string{
			r.Name, string(r.State), r.Host, r.Created.Format("2006-01-02"), strconv.Itoa(r.Lines), strconv.Itoa(r.Bundles), strconv.Itoa(r.Reports),
		})
	}
	if len(good) > 0 {
		if err := e.console.Table([]string{"CASE", "STATE", "HOST", "OPENED", "LINES", "BUNDLES", "REPORTS"}, good); err != nil {
			return err
		}
	}
	if len(bad) == 0 {
		return nil
	}
	if len(good) > 0 {
		fmt.Fprintln(e.console.Out())
	}
	return e.console.Table([]string{"CANNOT BE USED", "WHY"}, bad)
}
