package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/urfave/cli/v2"
)

// runRules runs a command line of "analyze rules" and returns its exit code, and what it printed.
func runRules(t *testing.T, args ...string) (code int, stdout string) {
	t.Helper()
	var out bytes.Buffer
	e := env{console: console.New(console.Streams{In: strings.NewReader(""), Out: &out, Err: io.Discard}, console.Facts{}), getenv: func(string) string { return "" }}
	app := &cli.App{Name: "openclaw-ir", Commands: []*cli.Command{rulesCommand(e)}, ExitErrHandler: func(*cli.Context, error) {}, Writer: io.Discard, ErrWriter: io.Discard}
	err := app.RunContext(t.Context(), append([]string{"openclaw-ir", "rules"}, args...))
	var ce *codeError
	switch {
	case errors.As(err, &ce):
		code = ce.code
	case err != nil:
		t.Fatal(err)
	}
	return code, out.String()
}

func ruleFile(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

const ownRule = `title: Mine
name: MY-001
logsource: {product: openclaw, category: process_creation}
detection: {a: {CommandLine|contains: frobnicate}, condition: a}
level: high
samples:
  positive: [{CommandLine: sudo frobnicate}]
  negative: [{CommandLine: ls}]
`

func TestRulesCommand(t *testing.T) {
	good := ruleFile(t, "mine.yml", ownRule)
	failing := ruleFile(t, "failing.yml", strings.Replace(ownRule, "{CommandLine: ls}", "{CommandLine: frobnicate --help}", 1))
	quoted := ruleFile(t, "quoted.yml", strings.Replace(ownRule, "sudo frobnicate", "fro''bnicate", 1))
	broken := ruleFile(t, "broken.yml", strings.Replace(ownRule, "condition: a", "condition: b", 1))
	burst := ruleFile(t, "burst.yml", ownRule+`---
title: Twice
name: MY-002
correlation: {type: event_count, rules: [MY-001], group-by: [Session], timespan: 1m, condition: {gte: 2}}
sequences:
  positive: [[{CommandLine: frobnicate, Session: a, Times: 2, Every: 9}]]
  negative: [[{CommandLine: frobnicate, Session: a, Times: 1}], [{CommandLine: frobnicate, Session: a, Times: 2, Every: 90}]]
`)
	for _, test := range []struct {
		args string
		code int
		want []string
	}{
		{"", exitUsage, nil},
		{"nope", exitUsage, nil},
		{"list", exitDone, []string{"RULE ", "DLX-001 ", "critical", "process_creation", "Download piped into an interpreter", "EXF-011 ", "correlation"}},
		{"list --rules " + filepath.Dir(good), exitDone, []string{"MY-001", "DLX-001"}},
		{"list --rules " + filepath.Dir(broken), exitPartial, []string{"DLX-001"}},
		{"list --rules /nonexistent", exitUsage, nil},
		{"list --json", exitDone, []string{`"command":"analyze rules list"`, `"rule":"EXF-011-egress"`, `"part_of":["EXF-011"]`}},
		{"show DLX-001", exitDone, []string{"DLX-001  critical  ", "T1105", "AML.T0050", "what it matches:", "condition: command", "installer and not several", "must not match:", "curl https://x/y | shasum -a 256"}},
		{"show exf-011", exitDone, []string{"temporal_ordered", "what may look like it:"}},
		{"show --rules " + filepath.Dir(good) + " MY-001", exitDone, []string{"frobnicate"}},
		{"show --json DLX-001", exitDone, []string{`"attack":["T1105","T1059.004"]`, `"must_match":[{"CommandLine":`}},
		{"show NOPE-1", exitFailed, nil},
		{"show", exitUsage, nil},
		{"test " + good, exitDone, []string{"2 samples of 1 rule, 0 failed"}},
		{"test " + quoted, exitDone, []string{"0 failed"}},
		{"test " + filepath.Dir(good), exitDone, []string{"2 samples of 1 rule, 0 failed"}},
		{"test " + failing, exitFound, []string{"FAIL  MY-001: wanted no match: frobnicate --help", "1 failed"}},
		{"test --json " + failing, exitFound, []string{`"ok":true`, `"ok":false`, `"record":"summary"`}},
		{"test " + burst, exitDone, []string{"5 samples of 2 rules, 0 failed"}},
		{"test " + broken, exitUsage, nil},
		{"test " + filepath.Join(t.TempDir(), "absent.yml"), exitUsage, nil},
		{"test " + t.TempDir(), exitUsage, nil},
	} {
		code, out := runRules(t, strings.Fields(test.args)...)
		if code != test.code {
			t.Errorf("rules %s: exit code %d, want %d\n%s", test.args, code, test.code, out)
		}
		for _, want := range test.want {
			if !strings.Contains(out, want) {
				t.Errorf("rules %s: no %q in\n%s", test.args, want, out)
			}
		}
	}
}
