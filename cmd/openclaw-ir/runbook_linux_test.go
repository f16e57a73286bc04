package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/statetest"
	"github.com/clawbook/openclaw-ir/rotate"
	"github.com/google/go-cmp/cmp"
	"github.com/urfave/cli/v2"
)

// refused is the exit code of a contain whose question is answered with no: it is 0, and nothing is contained.
const refused = -1

// A rehearsal stands in for the commands: it leaves in the case what they would, and ends as it is told to.
type rehearsal struct {
	t     *testing.T
	dir   string
	codes map[string]int // by step; 0 where there is none
	ran   []string
}

func (r *rehearsal) exec(_ context.Context, args []string, e env) int {
	line := strings.Join(args[1:], " ")
	r.ran = append(r.ran, strings.ReplaceAll(line, r.dir, "DIR"))
	if strings.Contains(line, "--dry-run") {
		fmt.Fprintln(e.console.Out(), "  the plan of "+args[1])
		return exitDone
	}
	name := args[1]
	code := r.codes[name]
	cs, err := casefile.Open(r.dir, "c1", true)
	if err != nil {
		r.t.Fatal(err)
	}
	defer cs.Close()
	r.leave(cs, name, &code)
	fmt.Fprintln(e.console.Out(), "what "+name+" prints")
	return code
}

func (r *rehearsal) leave(cs *casefile.Case, name string, code *int) {
	action := name
	var err error
	switch {
	case name == "analyze":
		action = "analyze findings"
	case *code == refused:
		*code = exitDone
	case name == "contain" && succeeded(*code):
		err = cs.WriteFile("contain.json", []byte(`{"version": 1, "state": "contained"}`))
	case name == "rotate" && succeeded(*code):
		err = errors.Join(cs.Append(casefile.Entry{Action: "rotate tell", Object: "new values to terminal", Result: "done"}), r.list(cs))
	case name == "collect" && succeeded(*code):
		err = cs.WriteFile("bundles/openclaw-ir-h-20261129T100000Z.tar.zst.age", []byte("sealed"))
	case name == "report" && succeeded(*code):
		err = errors.Join(cs.WriteFile("report/c1.eml", []byte("To: x")), cs.WriteFile("report/c1.html", []byte("<!doctype html>")))
	}
	if err := errors.Join(err, cs.Append(casefile.Entry{Action: action, Result: resultOf(*code), Exit: code})); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rehearsal) list(cs *casefile.Case) error {
	_, err := rotate.UpdateLedger(cs, func(l *rotate.Ledger) error {
		l.Items = []rotate.Item{{ID: "anthropic-model-key-3f2a", Kind: "model key", Provider: "Anthropic\x1b[2J", Status: rotate.StatusOpen}}
		return nil
	})
	return err
}

// play runs "openclaw-ir run" with these arguments while the person at the terminal types. It returns what was printed and the exit code.
func (r *rehearsal) play(script []string, args ...string) (string, int) {
	r.ran = nil
	var out bytes.Buffer
	streams := console.Streams{In: strings.NewReader(""), Out: &out, Err: &out, OpenTTY: func() (*os.File, error) { return nil, os.ErrNotExist }}
	var tty *statetest.Terminal
	if script != nil {
		tty = statetest.NewTerminal(r.t)
		streams.OpenTTY = tty.Open
	}
	e := env{console: console.New(streams, console.Facts{}), getenv: func(string) string { return "" }, uid: os.Getuid()}
	command := runbookCommand(e)
	command.Action = func(c *cli.Context) error {
		x, err := newRunbook(c, e)
		if err != nil {
			return err
		}
		x.exec = r.exec
		return x.run()
	}
	app := &cli.App{Name: "openclaw-ir", Commands: []*cli.Command{command}, ExitErrHandler: func(*cli.Context, error) {}}
	var err error
	do := func() {
		err = app.RunContext(r.t.Context(), append([]string{"openclaw-ir", "run", "--case-dir", r.dir}, args...))
	}
	if tty == nil {
		do()
	} else {
		tty.Typed(r.t, script, do)
	}
	if err != nil {
		fmt.Fprintln(&out, "error:", err)
	}
	return r.inert(out.String()), codeOf(err)
}

func codeOf(err error) int {
	var ce *codeError
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.As(err, &ce):
		return ce.code
	}
	return exitFailed
}

var (
	stamps = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`)
	byWhom = regexp.MustCompile(`(?m) by [a-z0-9_-]+$`)
	copied = regexp.MustCompile(`scp '[^:]+:`)
)

func (r *rehearsal) inert(text string) string {
	text = broken.ReplaceAllString(text, " ")
	text = stamps.ReplaceAllString(strings.ReplaceAll(text, r.dir, "DIR"), "TIME")
	return copied.ReplaceAllString(byWhom.ReplaceAllString(text, " by USER"), "scp 'HOST:")
}

func newRehearsal(t *testing.T, codes map[string]int) *rehearsal {
	return &rehearsal{t: t, dir: filepath.Join(t.TempDir(), "cases"), codes: codes}
}

const (
	ask  = "run this? "
	goOn = "go on to the next step, "
)

func TestRunbookFromTheStartToTheEnd(t *testing.T) {
	r := newRehearsal(t, map[string]int{"rotate": exitPartial})
	text, code := r.play([]string{ask, "y\ry\ry\ry\ry\r"}, "-R", "r.txt", "--allow-from", "203.0.113.9", "--out", "new values.txt")
	if code != exitPartial {
		t.Errorf("exit code %d, want 3: an item is open", code)
	}
	golden(t, "runbook/whole.txt", text)
	want := []string{
		"contain --case-dir DIR --allow-from 203.0.113.9 -R r.txt",
		"collect --case c1 --case-dir DIR -R r.txt",
		"rotate --case c1 --case-dir DIR --out new values.txt --dry-run",
		"rotate --yes --case c1 --case-dir DIR --out new values.txt",
		"analyze findings --level high --case c1 --case-dir DIR",
		"report --case c1 --case-dir DIR -R r.txt",
	}
	if diff := cmp.Diff(want, r.ran); diff != "" {
		t.Error(diff)
	}
	if text, code = r.play([]string{}); code != exitPartial || len(r.ran) > 0 {
		t.Errorf("run again: exit code %d, ran %q", code, r.ran)
	}
	golden(t, "runbook/again.txt", text)
}

// A person leaves, the connection drops, somebody else goes on, and one step was typed by hand.
func TestRunbookIsResumed(t *testing.T) {
	r := newRehearsal(t, nil)
	text, code := r.play([]string{ask, "y\rq\r"})
	if code != exitPartial || len(r.ran) != 3 { // contain, collect and what rotate would change
		t.Errorf("left: exit code %d, ran %q\n%s", code, r.ran, text)
	}
	if text, code = r.play([]string{ask, "\x03"}); code != exitInterrupted || !strings.Contains(text, "openclaw-ir run --case c1 --case-dir DIR goes on where it was") {
		t.Errorf("interrupted: exit code %d\n%s", code, text)
	}
	text, code = r.play([]string{ask, "n\rq\r"})
	if code != exitPartial {
		t.Errorf("skipped and left: exit code %d", code)
	}
	golden(t, "runbook/left.txt", text)
	r.exec(t.Context(), []string{"openclaw-ir", "analyze"}, env{console: console.New(console.Streams{Out: new(bytes.Buffer)}, console.Facts{})})
	text, code = r.play([]string{ask, "y\r"})
	if want := []string{"report --case c1 --case-dir DIR"}; code != exitPartial || !slices.Equal(r.ran, want) {
		t.Errorf("resumed: exit code %d, ran %q", code, r.ran)
	}
	golden(t, "runbook/resumed.txt", text)
	if _, code = r.play([]string{}, "--from", "contain", "--yes", "--out", "x"); code != exitPartial || len(r.ran) != 5 {
		t.Errorf("from contain: exit code %d, ran %q", code, r.ran)
	}
	if _, code = r.play([]string{ask, "y\ry\ry\r"}, "--from", "rotate"); code != exitPartial || len(r.ran) != 4 {
		t.Errorf("from rotate: exit code %d, ran %q", code, r.ran)
	}
}

func TestRunbookWhereAStepFails(t *testing.T) {
	for name, code := range map[string]int{"contain": 1, "collect": 1, "rotate": 2, "analyze": 1, "report": 1} {
		t.Run(name, func(t *testing.T) {
			r := newRehearsal(t, map[string]int{name: code})
			text, got := r.play([]string{}, "--yes", "--out", "x")
			if got != code || len(r.ran) != 5 {
				t.Errorf("exit code %d, want %d; ran %q", got, code, r.ran)
			}
			for _, want := range []string{name + ": failed\n", "openclaw-ir run --from " + name, "by hand: openclaw-ir " + name} {
				if !strings.Contains(text, want) {
					t.Errorf("it does not say %q:\n%s", want, text)
				}
			}
			r.codes = nil
			if _, got = r.play([]string{}, "--yes", "--out", "x"); !strings.HasPrefix(r.ran[0], name) || len(r.ran) != 1 {
				t.Errorf("again: exit code %d, ran %q", got, r.ran)
			}
		})
	}
}

// After a failure a person is asked before it goes on, and Enter alone is no.
func TestRunbookAsksAfterAFailure(t *testing.T) {
	r := newRehearsal(t, map[string]int{"collect": exitPartial})
	text, code := r.play([]string{ask, "y\r", goOn + "rotate?", "\r"})
	if code != exitPartial || len(r.ran) != 2 {
		t.Errorf("exit code %d, ran %q\n%s", code, r.ran, text)
	}
	r = newRehearsal(t, map[string]int{"contain": refused})
	text, code = r.play([]string{goOn + "collect?", "\r"})
	if code != exitPartial || len(r.ran) != 1 || !strings.Contains(text, "the assistant goes on as before") {
		t.Errorf("exit code %d, ran %q\n%s", code, r.ran, text)
	}
	if _, code = r.play([]string{goOn + "collect?", "y\r", ask, "q\r"}); code != exitPartial || len(r.ran) != 1 {
		t.Errorf("asked again: exit code %d, ran %q", code, r.ran)
	}
}

// A containment that was undone is begun again; a record that cannot be read keeps nobody from freezing.
func TestRunbookContainsAgain(t *testing.T) {
	r := newRehearsal(t, nil)
	if _, code := r.play([]string{}, "--yes", "--out", "x"); code != exitPartial {
		t.Errorf("exit code %d", code)
	}
	for _, record := range []string{`{"version": 1, "state": "undone"}`, `{"version": 99}`, "\x00"} {
		if err := os.WriteFile(filepath.Join(r.dir, "c1", "contain.json"), []byte(record), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _ = r.play([]string{}, "--yes", "--out", "x"); len(r.ran) != 1 || !strings.HasPrefix(r.ran[0], "contain ") {
			t.Errorf("%q: ran %q", record, r.ran)
		}
	}
}

func TestRunbookWithoutATerminal(t *testing.T) {
	for _, args := range [][]string{{}, {"--yes"}, {"--yes", "--out", "x"}, {"--from", "everything", "--yes", "--out", "x", "-p"}} {
		r := newRehearsal(t, nil)
		if text, code := r.play(nil, args...); code != exitUsage || len(r.ran) > 0 {
			t.Errorf("%q: exit code %d, ran %q\n%s", args, code, r.ran, text)
		}
	}
	r := newRehearsal(t, nil)
	recipient := "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
	if text, code := r.play(nil, "--yes", "--out", "x", "-r", recipient); code != exitPartial || len(r.ran) != 5 {
		t.Errorf("exit code %d, ran %q\n%s", code, r.ran, text)
	}
	if _, code := r.play(nil, "--dry-run"); code != exitDone || len(r.ran) > 0 {
		t.Errorf("dry run: exit code %d, ran %q", code, r.ran)
	}
}
