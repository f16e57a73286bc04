package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"filippo.io/age"
	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/statetest"
	"github.com/urfave/cli/v2"
)

// A responder runs command lines in this process, on a real state and a case of its own.
type responder struct {
	t     *testing.T
	dir   string // of the test; what a command is given lies here
	cases string
	state string // a state directory
}

func newResponder(t *testing.T, version string) *responder {
	t.Helper()
	return newResponderOn(t, statetest.Root(t, version))
}

// newResponderOn takes a host's root, and its first installation.
func newResponderOn(t *testing.T, root string) *responder {
	t.Helper()
	r := &responder{t: t, dir: t.TempDir()}
	r.cases = filepath.Join(r.dir, "cases")
	if err := os.Rename(root, filepath.Join(r.dir, "host")); err != nil {
		t.Fatal(err)
	}
	dirs, err := filepath.Glob(filepath.Join(r.dir, "host/home/*/.openclaw"))
	if err != nil || len(dirs) == 0 {
		t.Fatal("no state directory: ", err)
	}
	r.state = dirs[0]
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	r.write("key.txt", id.String()+"\n")
	r.write("recipients.txt", id.Recipient().String()+"\n")
	t.Chdir(r.dir)
	return r
}

func (r *responder) write(name, text string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// run runs a command line and returns its exit code and what it printed.
func (r *responder) run(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	e := r.env(&out, &errs)
	code = run(r.t.Context(), append([]string{"openclaw-ir"}, args...), e)
	return code, out.String(), errs.String()
}

func (r *responder) env(out, errs *bytes.Buffer) env {
	streams := console.Streams{In: strings.NewReader(""), Out: out, Err: errs, OpenTTY: noTerminal}
	return env{console: console.New(streams, console.Facts{}), getenv: r.getenv, uid: os.Getuid(), haste: true}
}

func (r *responder) getenv(name string) string {
	return map[string]string{"HOME": r.dir, "XDG_STATE_HOME": filepath.Join(r.dir, "xdg"), "SUDO_USER": "carol"}[name]
}

func noTerminal() (*os.File, error) { return nil, os.ErrNotExist }

// log returns the lines of the case's custody log.
func (r *responder) log() (entries []casefile.Entry) {
	r.t.Helper()
	logs, err := filepath.Glob(filepath.Join(r.cases, "*/custody.jsonl"))
	if err != nil || len(logs) != 1 {
		r.t.Fatalf("%d custody logs, %v", len(logs), err)
	}
	text, err := os.ReadFile(logs[0])
	if err != nil {
		r.t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		var e casefile.Entry
		if err := json.Unmarshal(line, &e); err != nil {
			r.t.Fatal(err)
		}
		entries = append(entries, e)
	}
	return entries
}

// A notedLine is one that a test types.
type notedLine struct {
	args   string
	code   int    // anyCode where it depends on who tests
	action string // what the log says, if it is not the command
	object string // the evidence, in the test's directory; "/" is the host
}

const anyCode = -1

// notedLines has one line for each command that leaves one in the custody log: they run in this order, on the case that the
// first one opens. Those that would change this machine only say what they would do.
var notedLines = []notedLine{
	{"case open one", exitDone, "", ""},
	{"collect --root host -R recipients.txt", exitDone, "", "host"},
	{"collect --root host -R recipients.txt -o B.tar.zst.age", exitDone, "", "host"},
	{"collect --root host --estimate", exitDone, "collect --dry-run", "host"},
	{"collect verify B.tar.zst.age", exitDone, "", "B.tar.zst.age"},
	{"collect verify changed.age", exitFound, "", "changed.age"},
	{"collect verify missing.age", exitFailed, "", ""},
	{"collect list -i key.txt B.tar.zst.age", exitDone, "", "B.tar.zst.age"},
	{"collect open -i key.txt B.tar.zst.age out", exitDone, "", "B.tar.zst.age"},
	{"collect upload", exitDone, "", ""},
	{"collect chain verify .", exitFailed, "", "."},
	{"collect diff B.tar.zst.age host -i key.txt", exitDone, "", "B.tar.zst.age, host"},
	{"collect schedule install --dry-run --case one -R recipients.txt", anyCode, "collect schedule install --dry-run", ""},
	{"collect schedule remove --dry-run --case one", anyCode, "collect schedule remove --dry-run", ""},
	{"contain --dry-run --no-firewall --state-dir STATE", exitDone, "contain --dry-run", ""},
	{"contain status", exitFailed, "", ""},
	{"contain undo --dry-run", exitFailed, "contain undo --dry-run", ""},
	{"contain confirm", exitFailed, "", ""},
	{"rotate --dry-run --state-dir NONE", exitFailed, "rotate --dry-run", ""},
	{"rotate verify --state-dir NONE", exitFailed, "", ""},
	{"rotate list --state-dir STATE", exitPartial, "", ""},
	{"rotate done nothing", exitFailed, "", ""},
	{"analyze --root host", exitDone, "", "host"},
	{"analyze B.tar.zst.age -i key.txt curl", exitDone, "", "B.tar.zst.age"},
	{"analyze findings --root host --fail-on info", exitFound, "", "host"},
	{"analyze why nothing host", exitFailed, "", "host"},
	{"analyze posture --root host", exitDone, "", "host"},
	{"analyze posture --fix --dry-run --state-dir STATE", anyCode, "analyze posture --fix --dry-run", "/"},
	{"analyze posture undo", exitDone, "", ""},
	{"analyze integrity host --against B.tar.zst.age -i key.txt", exitDone, "", "host, B.tar.zst.age"},
	{"analyze secrets host", exitDone, "", "host"},
	{"report --root host --yes -R recipients.txt", exitDone, "", "host"},
	{"run --dry-run", exitDone, "run --dry-run", ""},
	{"case show", exitDone, "", ""},
	{"case verify", exitDone, "", ""},
	{"case close", exitDone, "", ""},
}

// Whatever runs leaves its line, with the exit code and the digest of what it printed; and no line holds a secret.
func TestEveryCommandIsNoted(t *testing.T) {
	oneAfterTheOther(t)
	if testing.Short() {
		t.Skip("runs every command")
	}
	planted := statetest.Secrets(t)
	r := newResponder(t, "2026.1.30") // from here on, in another directory
	r.write("changed.age", "age-encryption.org/v1\n")
	for _, line := range notedLines {
		r.check(line, planted)
	}
	everyCommand(testApp(80), func(path string, c *cli.Command) {
		path = strings.TrimPrefix(path, "openclaw-ir ")
		if !c.Hidden && !slices.Contains(unnoted, path) && !slices.ContainsFunc(notedLines, func(l notedLine) bool { return l.command() == path }) {
			t.Errorf("openclaw-ir %s is not run here: add it to notedLines, or to unnoted with the reason", path)
		}
		if named := takesValue(c.Flags, "case-dir"); !c.Hidden && !named && !slices.Contains(unnoted, path) {
			t.Errorf("openclaw-ir %s has no --case-dir", path)
		}
	})
}

// An interrupted command is noted as such.
func TestInterruptedCommandIsNoted(t *testing.T) {
	r := newResponder(t, "2026.1.30")
	r.run("case", "open", "one", "--case-dir", r.cases)
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	e := r.env(new(bytes.Buffer), new(bytes.Buffer))
	code := run(ctx, []string{"openclaw-ir", "analyze", "findings", "--root", "host", "--case-dir", r.cases}, e)
	all := r.log()
	if last := all[len(all)-1]; code != exitInterrupted || last.Action != "analyze findings" || last.Result != "interrupted" || *last.Exit != code {
		t.Errorf("exit code %d, and the log ends with %+v", code, last)
	}
}

// commandTree is made once: whoever asks for the name of a command asks for many.
var commandTree = sync.OnceValue(func() []*cli.Command { return testApp(80).Commands })

// command is the command without its options and arguments.
func (l notedLine) command() string {
	if l.action != "" {
		name, _, _ := strings.Cut(l.action, " --")
		return name
	}
	var names []string
	commands := commandTree()
	for word := range strings.FieldsSeq(l.args) {
		i := slices.IndexFunc(commands, func(c *cli.Command) bool { return c.Name == word })
		if i < 0 {
			break
		}
		names, commands = append(names, word), commands[i].Subcommands
	}
	return strings.Join(names, " ")
}

func (r *responder) check(line notedLine, planted []string) {
	r.t.Helper()
	args := strings.Fields(strings.NewReplacer("STATE", r.state, "NONE", filepath.Join(r.dir, "none")).Replace(line.args))
	code, stdout, stderr := r.run(append(args, "--case-dir", r.cases)...)
	if code != line.code && line.code != anyCode {
		r.t.Errorf("%s: exit code %d, want %d\n%s", line.args, code, line.code, stderr)
	}
	all := r.log()
	last := all[len(all)-1]
	action := line.action
	if action == "" {
		action = line.command()
	}
	var objects []string
	for name := range strings.SplitSeq(line.object, ", ") {
		if name != "" && name != "/" {
			name = filepath.Join(r.dir, name)
		}
		objects = append(objects, name)
	}
	if object := strings.Join(objects, ", "); last.Action != action || last.Object != object || last.Exit == nil || *last.Exit != code ||
		last.Result != results[code] || last.Operator.SudoUser != "carol" {
		r.t.Errorf("%s: the log ends with %+v, want action %q, object %q, exit %d", line.args, last, action, object, code)
	}
	if sum := sha256.Sum256([]byte(stdout)); stdout != "" && (len(last.Digests) != 1 || last.Digests[0].SHA256 != hex.EncodeToString(sum[:])) {
		r.t.Errorf("%s: digests %v are not of what was printed", line.args, last.Digests)
	}
	text, err := json.Marshal(all)
	if err != nil {
		r.t.Fatal(err)
	}
	for i, s := range planted {
		if bytes.Contains(text, []byte(s)) {
			r.t.Fatalf("%s: the custody log holds planted secret number %d", line.args, i+1)
		}
	}
}
