package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/urfave/cli/v2"
)

// everyCommand calls do with each command there is and what is typed for it.
func everyCommand(app *cli.App, do func(path string, c *cli.Command)) {
	var walk func(path string, commands []*cli.Command)
	walk = func(path string, commands []*cli.Command) {
		for _, c := range commands {
			do(path+" "+c.Name, c)
			walk(path+" "+c.Name, c.Subcommands)
		}
	}
	walk(app.Name, app.Commands)
}

func testApp(columns int) *cli.App {
	c := console.New(console.Streams{In: strings.NewReader(""), Out: new(bytes.Buffer), Err: new(bytes.Buffer)}, console.Facts{Width: columns})
	return newApp(env{console: c, getenv: func(string) string { return "" }, uid: 1})
}

// TestHelp looks at every command's help: it has an example and the exit codes, names every option, and fits on 80 columns.
func TestHelp(t *testing.T) {
	everyCommand(testApp(80), func(path string, c *cli.Command) {
		text := helped(t, strings.Fields(path)...)
		if c.Action == nil || c.OnUsageError == nil && !c.SkipFlagParsing {
			t.Errorf("%s leaves it to cli to show its own page", path)
		}
		if c.Hidden {
			return
		}
		if !strings.Contains(c.Description, "Example") || !strings.Contains(c.Description, exitText) || !strings.Contains(text, "Exit codes: 0 done;") {
			t.Errorf("%s --help has no example or no exit codes:\n%s", path, text)
		}
		for _, f := range c.Flags {
			if name := "--" + f.Names()[0]; len(f.Names()[0]) > 1 && !strings.Contains(text, name) {
				t.Errorf("%s --help does not name %s", path, name)
			}
		}
		for _, line := range strings.Split(text, "\n") {
			if utf8.RuneCountInString(line) > 80 || strings.HasSuffix(line, " ") {
				t.Errorf("%s --help: %q", path, line)
			}
		}
	})
}

// helped is what a command prints for --help on a terminal of 80 columns.
func helped(t *testing.T, args ...string) string {
	t.Helper()
	out, errs := new(bytes.Buffer), new(bytes.Buffer)
	c := console.New(console.Streams{In: strings.NewReader(""), Out: out, Err: errs}, console.Facts{Width: 80})
	code := run(context.Background(), append(args, "--help"), env{console: c, getenv: func(string) string { return "" }, uid: 1})
	if code != exitDone || errs.Len() > 0 {
		t.Errorf("%q --help: exit code %d, %s", args, code, errs)
	}
	return out.String()
}

// TestHelpIsAskedFor looks at every way in which cli lets somebody ask: each shows our page, and nothing else lays it out.
func TestHelpIsAskedFor(t *testing.T) {
	want := helped(t, "openclaw-ir", "case", "list")
	for _, ask := range []string{"-h", "--h", "-help", "--help=true", "-h=1"} {
		out := new(bytes.Buffer)
		c := console.New(console.Streams{In: strings.NewReader(""), Out: out, Err: new(bytes.Buffer)}, console.Facts{Width: 80})
		code := run(context.Background(), []string{"openclaw-ir", "case", "list", ask}, env{console: c, getenv: func(string) string { return "" }, uid: 1})
		if code != exitDone || out.String() != want {
			t.Errorf("%s: exit code %d, %q", ask, code, out)
		}
	}
	for _, args := range [][]string{nil, {"case", "list"}, {"analyze", "help"}, {"analyze", "-e", "--helper"}} {
		if wantsHelp(args) {
			t.Errorf("%q asks for help", args)
		}
	}
}

func TestExampleBreaks(t *testing.T) {
	for line, want := range map[string]string{
		"   a --b": "   a --b",
		"   openclaw-ir a                 # says so":    "   # says so\n      openclaw-ir a",
		"   openclaw-ir aaaaaaaa --bbbbbbbb c --dddd e": "   openclaw-ir aaaaaaaa --bbbbbbbb c \\\n         --dddd e",
		"   openclaw-ir aaaaaaaa 'b | c --d -e --f -g'": "   openclaw-ir aaaaaaaa 'b | c --d -e --f -g'",
	} {
		if got := example(line, 42); got != want {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
}

func TestHelpIsNoTemplate(t *testing.T) {
	page := helpPage{console: console.New(console.Streams{}, console.Facts{}), name: "x", usage: "{{.Name}}", description: "{{"}
	if got := page.template(); !strings.Contains(got, `{{"{{"}}.Name}}`) {
		t.Errorf("%q", got)
	}
}

// TestManPage looks whether the page names every command and option, and whether groff reads it without a remark.
func TestManPage(t *testing.T) {
	app := testApp(80)
	page := manPage(app)
	if strings.ContainsFunc(page, func(r rune) bool { return r >= 0x80 }) {
		t.Error("the page has characters beyond ASCII, which some formatters do not read")
	}
	everyCommand(app, func(path string, c *cli.Command) {
		if c.Hidden {
			if strings.Contains(page, roff(c.Name)) {
				t.Errorf("the page names %s, which is hidden", c.Name)
			}
			return
		}
		_, section, ok := strings.Cut(page, ".SS \""+roff(strings.TrimSpace(path+" "+c.ArgsUsage))+"\"\n")
		if !ok {
			t.Errorf("the page lacks %s", path)
			return
		}
		section, _, _ = strings.Cut(section, ".SS ")
		for _, f := range c.Flags {
			for _, name := range f.Names() {
				if dash := "-" + name; !strings.Contains(section, roff(strings.Repeat("-", min(len(name), 2)-1)+dash)) {
					t.Errorf("the page lacks %s %s", path, name)
				}
			}
		}
	})
	if _, err := exec.LookPath("groff"); err != nil {
		t.Skip("no groff")
	}
	name := filepath.Join(t.TempDir(), "openclaw-ir.1")
	if err := os.WriteFile(name, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	groff, remarks := exec.Command("groff", "-man", "-Tutf8", "-ww", "-z", name), new(bytes.Buffer)
	groff.Stderr = remarks
	if err := groff.Run(); err != nil || remarks.Len() > 0 {
		t.Errorf("%v: %s", err, remarks)
	}
}

func TestRoff(t *testing.T) {
	for text, want := range map[string]string{
		".dot": `\&.dot`, "'q": `\(aqq`, `a\b`: `a\eb`, "--x": `\-\-x`, "…": `\[u2026]`,
	} {
		if got := roffLine(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
