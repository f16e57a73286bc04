package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/clawbook/openclaw-ir/analyze"
	"github.com/clawbook/openclaw-ir/analyze/rules"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/ioc"
	"github.com/clawbook/openclaw-ir/internal/sigma"
	"github.com/urfave/cli/v2"
)

func rulesTestCommand(e env) *cli.Command {
	return &cli.Command{
		Name:      "test",
		Usage:     "run the samples that stand in rules",
		ArgsUsage: "[FILE|DIR]",
		Description: `Each sample is turned into the records that evidence like it would make: a command is taken apart, decoded and split into its
programs. Without an argument the built-in rules are tested. Exit code 2 if a rule cannot be read, 4 if a sample fails.

Examples:
   openclaw-ir analyze rules test
   openclaw-ir analyze rules test mine.yml

` + exitText,
		Flags:        []cli.Flag{&cli.BoolFlag{Name: "json", Usage: "one JSON object a line: a version first, the samples, the summary last"}},
		OnUsageError: onUsageError,
		Action: func(c *cli.Context) error {
			if c.NArg() > 1 {
				return usageError("openclaw-ir analyze rules test [FILE|DIR]", "too many arguments: %q", c.Args().Slice()[1:])
			}
			return testRules(c, e)
		},
	}
}

// A sampleRow is the outcome of one sample.
type sampleRow struct {
	Record string              `json:"record"` // sample
	Rule   string              `json:"rule"`
	File   string              `json:"file"`
	Want   string              `json:"want"` // match, no match
	OK     bool                `json:"ok"`
	Sample map[string][]string `json:"sample,omitempty"`
	Number int                 `json:"number"` // of the sample or sequence, from 1
	Error  string              `json:"error,omitempty"`
}

func (r *sampleRow) text() string {
	if r.Error != "" {
		return fmt.Sprintf("FAIL  %s: %s", console.Escape(r.Rule), console.Escape(r.Error))
	}
	what := sampleText(r.Sample)
	if r.Sample == nil {
		what = fmt.Sprintf("sequence %d", r.Number)
	}
	return fmt.Sprintf("FAIL  %s: wanted %s: %s", console.Escape(r.Rule), r.Want, what)
}

// A testSummary ends a test.
type testSummary struct {
	Record  string `json:"record"` // summary
	Rules   int    `json:"rules"`
	Samples int    `json:"samples"`
	Failed  int    `json:"failed"`
	Without int    `json:"rules_without_samples"`
}

// sampleTest runs the samples of rules.
type sampleTest struct {
	set  *sigma.Set
	list *ioc.List
	tell func(*sampleRow) error
	testSummary
}

func testRules(c *cli.Context, e env) error {
	b, tested, err := rulesToTest(c.Args().First())
	if err != nil {
		return err
	}
	indicators, err := ioc.Builtin()
	if err != nil {
		return err
	}
	t := sampleTest{list: ioc.NewList(indicators), testSummary: testSummary{Record: "summary", Rules: len(tested)}}
	if t.set, err = sigma.NewSet(b.rules); err != nil {
		return &codeError{exitUsage, err, nil}
	}
	lines, err := console.NewLines(e.console, c.Bool("json"), map[string]any{"command": "analyze rules test"}, testLine)
	if err != nil {
		return err
	}
	t.tell = func(r *sampleRow) error {
		if r.OK && !c.Bool("json") {
			return nil
		}
		return lines.Write(r)
	}
	for _, r := range tested {
		if err := errors.Join(c.Context.Err(), t.rule(b, r)); err != nil {
			return err
		}
	}
	if err := errors.Join(lines.Write(t.testSummary), lines.Flush()); err != nil {
		return err
	}
	if t.Failed > 0 {
		return &codeError{exitFound, fmt.Errorf("%s failed", plural(t.Failed, "sample")), nil}
	}
	return nil
}

func testLine(v any) string {
	if r, ok := v.(*sampleRow); ok {
		return r.text()
	}
	s := v.(testSummary)
	text := fmt.Sprintf("%s of %s, %d failed", plural(s.Samples, "sample"), plural(s.Rules, "rule"), s.Failed)
	if s.Without > 0 {
		text += fmt.Sprintf("; %s without any", plural(s.Without, "rule"))
	}
	return text
}

// rulesToTest reads the rules that name stands for, a file or a directory, beside the catalogue, to which they may
// refer; "" is the catalogue itself.
func rulesToTest(name string) (*ruleBook, []*sigma.Rule, error) {
	list, err := rules.Load()
	if err != nil {
		return nil, nil, err
	}
	b := &ruleBook{rules: list, own: map[*sigma.Rule]bool{}}
	if name == "" {
		return b, list, nil
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil, nil, usageError("openclaw-ir analyze rules test [FILE|DIR]", "reading rules: %v", err)
	}
	var fsys fs.FS
	if info.IsDir() {
		b.ownFS, fsys = os.DirFS(name), os.DirFS(name)
	} else {
		b.ownFS = os.DirFS(filepath.Dir(name))
		fsys = oneFile{b.ownFS, filepath.Base(name)}
	}
	own, err := rules.LoadDir(fsys)
	if err != nil {
		return nil, nil, &codeError{exitUsage, err, nil}
	}
	if len(own) == 0 {
		return nil, nil, usageError("rules stand in files that end in .yml or .yaml", "no rules in %q", name)
	}
	b.add(own, nil)
	return b, own, nil
}

// oneFile is a directory of which only one file is seen.
type oneFile struct {
	fs.FS
	name string
}

// ReadDir lists the file.
func (o oneFile) ReadDir(name string) ([]fs.DirEntry, error) {
	list, err := fs.ReadDir(o.FS, name)
	return slices.DeleteFunc(list, func(d fs.DirEntry) bool { return d.Name() != o.name }), err
}

// rule runs the samples of one rule.
func (t *sampleTest) rule(b *ruleBook, r *sigma.Rule) error {
	before := t.Samples
	m := t.set.NewMatcher()
	for i, samples := range [][]map[string][]string{r.Samples.Positive, r.Samples.Negative} {
		for n, s := range samples {
			met := slices.ContainsFunc(analyze.SampleRecords(t.list, r.Logsource.Category, s), func(rec *sigma.Record) bool {
				return slices.ContainsFunc(m.Match(rec), func(found sigma.Match) bool { return found.Rule == r })
			})
			if err := t.outcome(&sampleRow{Rule: r.Key(), File: r.File, Sample: s, Number: n + 1}, i == 0, met); err != nil {
				return err
			}
		}
	}
	if err := t.sequences(b, r); err != nil {
		return err
	}
	if t.Samples == before {
		t.Without++
	}
	return nil
}

// sequences runs the sequences of a correlation.
func (t *sampleTest) sequences(b *ruleBook, r *sigma.Rule) error {
	if r.Correlation == nil {
		return nil
	}
	text, err := b.text(r)
	if err != nil {
		return err
	}
	all, err := rules.ReadSequences(text)
	if err != nil {
		return &codeError{exitUsage, fmt.Errorf("%s: %w", r.File, err), nil}
	}
	records := func(fields map[string][]string) []*sigma.Record { return analyze.SampleRecords(t.list, "", fields) }
	for i, rows := range [][][]rules.Event{all[r.Key()].Positive, all[r.Key()].Negative} {
		for n, row := range rows {
			met, err := rules.Holds(t.set, r, row, records)
			result := &sampleRow{Rule: r.Key(), File: r.File, Number: n + 1}
			if err != nil {
				result.Error = err.Error()
			}
			if err := t.outcome(result, i == 0, met); err != nil {
				return err
			}
		}
	}
	return nil
}

// outcome counts and tells a sample's result.
func (t *sampleTest) outcome(row *sampleRow, want, met bool) error {
	row.Record, row.Want, row.OK = "sample", "no match", want == met && row.Error == ""
	if want {
		row.Want = "match"
	}
	t.Samples++
	if !row.OK {
		t.Failed++
	}
	return t.tell(row)
}
