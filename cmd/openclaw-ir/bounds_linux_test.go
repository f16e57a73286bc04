package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"filippo.io/age"
	"github.com/clawbook/openclaw-ir/internal/statetest"
)

// boundedLines are the commands that read evidence, by the name of their column in testdata/bounds.md. They run in this order.
var boundedLines = []struct{ name, args string }{
	{"collect", "collect --root host -R recipients.txt -o B.tar.zst.age"},
	{"timeline", "analyze --root host"},
	{"timeline of the bundle", "analyze B.tar.zst.age -i key.txt"},
	{"rotate list", "rotate list --root host"},
	{"integrity", "analyze integrity --root host"},
	{"secrets", "analyze secrets --root host"},
	{"verify", "collect verify -i key.txt B.tar.zst.age"},
	{"list", "collect list -i key.txt B.tar.zst.age"},
	{"open", "collect open -i key.txt B.tar.zst.age out"},
	{"snapshot", "collect --root host --snapshot -R recipients.txt"},
	{"why", "analyze why nothing host"},
	{"findings", "analyze findings --root host"},
	{"posture", "analyze posture --root host"},
	{"report", "report --root host --yes -R recipients.txt"},
}

// quickLines are how many of them run in an ordinary test.
const quickLines = 4

const (
	// mostMemory is what a command may take more than on an ordinary host, in KiB, whatever the size of what it reads.
	mostMemory = 480 << 10
	// steps is how many times larger the larger of two inputs is, from which the growth is told.
	steps = 4
)

// TestBounds runs every command that reads evidence on every hostile thing, at a quarter of its size and at the whole, and compares what
// they took with each other and with an ordinary host, all in the same run: time in proportion to the size at most, and memory that has
// a bound. What was left out must have been said. With OPENCLAW_IR_LONG_TEST=1 the things have the size that their names say, and -update
// writes testdata/bounds.md; with OPENCLAW_IR_LONG_TEST=part, as in CI, some of them have a four hundredth of it.
func TestBounds(t *testing.T) {
	long := isLong()
	if statetest.Raced() || !long && os.Getenv("OPENCLAW_IR_LONG_TEST") != "part" {
		t.Skip("measures memory and time")
	}
	lines := boundedLines
	if !long {
		lines = lines[:quickLines]
	}
	base := measure(t, hostileThing{name: "an ordinary host", make: func(*hostile) {}}, 1, len(lines))
	table := boundsTable{lines: len(lines), base: base, rows: map[string][]spent{}}
	t.Run("things", func(t *testing.T) {
		for _, thing := range hostileThings {
			if !long && !thing.quick {
				continue
			}
			t.Run(thing.name, func(t *testing.T) {
				t.Parallel()
				scale := max(1, thing.part)
				if !long {
					scale = 400
				}
				part := measure(t, thing, steps*scale, len(lines))
				whole := measure(t, thing, scale, len(lines))
				for i := range lines {
					bounded(t, lines[i].name, max(2, thing.slow), base[i], part[i], whole[i])
				}
				if i := slices.IndexFunc(boundedLines, func(l struct{ name, args string }) bool { return l.name == thing.cuts }); i >= 0 && i < len(lines) && long && whole[i].Exit != exitPartial {
					t.Errorf("%s leaves something out, but ends with exit code %d: %s", thing.cuts, whole[i].Exit, whole[i].said)
				}
				table.add(thing.name, whole)
				t.Log(boundsRow(thing.size(), whole))
			})
		}
	})
	if *update && long && !t.Failed() {
		if err := os.WriteFile("testdata/bounds.md", []byte(table.text()), 0o644); err != nil {
			t.Error(err)
		}
	}
}

// bounded compares what a command took on an ordinary host, on a part of a hostile thing, and on the whole.
func bounded(t *testing.T, name string, slow int64, base, part, whole spent) {
	t.Helper()
	if !slices.Contains([]int{exitDone, exitFailed, exitPartial, exitFound}, whole.Exit) || strings.Contains(whole.said, "goroutine ") {
		t.Errorf("%s: exit code %d: %s", name, whole.Exit, whole.said)
	}
	if grown := whole.Peak - base.Peak; grown > mostMemory {
		t.Errorf("%s takes %d MiB, %d more than on an ordinary host; with a quarter of the input %d MiB", name, whole.Peak>>10, grown>>10, part.Peak>>10)
	}
	// So many times what is in proportion, and what a busy machine adds, since the time of all threads is measured, and no more.
	if grown, want := whole.CPU-base.CPU, slow*steps*max(0, part.CPU-base.CPU)+1000; grown > want {
		t.Errorf("%s takes %d ms, with a quarter of the input %d ms, with an ordinary host %d ms: more than in proportion", name, whole.CPU, part.CPU, base.CPU)
	}
}

// measure makes a thing on a host of its own and runs the commands.
func measure(t *testing.T, thing hostileThing, scale, lines int) (got []spent) {
	t.Helper()
	dir, err := os.MkdirTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	b := newBench(t, dir)
	thing.make(newHostile(t, filepath.Join(dir, "host"), scale))
	for _, line := range boundedLines[:lines] {
		got = append(got, b.run(line.args))
	}
	return got
}

// A bench is a directory in which commands are measured.
type bench struct {
	t                 *testing.T
	dir, program, via string
}

func newBench(t *testing.T, dir string) *bench {
	t.Helper()
	b := &bench{t: t, dir: dir, program: filepath.Join(dir, "openclaw-ir"), via: filepath.Join(dir, "measured")}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{b.program, b.via} {
		if err := os.Symlink(self, name); err != nil { // the test binary is the program by this name
			t.Fatal(err)
		}
	}
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"key.txt": id.String(), "recipients.txt": id.Recipient().String()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// run runs a command and returns what it took, and the last that it said.
func (b *bench) run(line string) (got spent) {
	b.t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		b.t.Fatal(err)
	}
	defer r.Close()
	cmd := exec.Command(b.via, append([]string{b.program}, append(strings.Fields(line), "--case-dir", "cases")...)...)
	cmd.Dir = b.dir
	cmd.Env = append(os.Environ(), "HOME="+b.dir, "XDG_STATE_HOME="+b.dir+"/xdg")
	var errs bytes.Buffer
	cmd.ExtraFiles, cmd.Stderr = []*os.File{w}, &errs
	err = cmd.Run()
	w.Close()
	text, readErr := io.ReadAll(r)
	if err != nil || readErr != nil || json.Unmarshal(text, &got) != nil {
		b.t.Fatalf("%s: %v, %v\n%s", line, err, readErr, &errs)
	}
	got.said = errs.String()[max(0, errs.Len()-2000):]
	return got
}

// A boundsTable is what testdata/bounds.md says.
type boundsTable struct {
	mu    sync.Mutex
	lines int
	base  []spent
	rows  map[string][]spent
}

func (b *boundsTable) add(name string, row []spent) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rows[name] = row
}

const boundsHead = `# What the hostile corpus takes

Peak of resident memory in MB, time of all threads in seconds, and the exit code (3: the output says what was left out; 1: "why" was asked
for an event that is not there). Written by ` + "`OPENCLAW_IR_LONG_TEST=1 go test -run '^TestBounds$' ./cmd/openclaw-ir -update`" + `, which
makes the corpus ([hostile_linux_test.go](../hostile_linux_test.go)) and holds each cell to bounds: 500 MB more than on an ordinary
host, and not more than twice as slow, byte for byte, as on a quarter of the same thing.

`

func (b *boundsTable) text() string {
	var out strings.Builder
	out.WriteString(boundsHead + "| |")
	for _, line := range boundedLines[:b.lines] {
		out.WriteString(" " + line.name + " |")
	}
	out.WriteString("\n|---|" + strings.Repeat("---|", b.lines) + "\n")
	out.WriteString(boundsRow("an ordinary host", b.base))
	for _, thing := range hostileThings {
		if cells := b.rows[thing.name]; cells != nil {
			out.WriteString(boundsRow(thing.size(), cells))
		}
	}
	return out.String()
}

func boundsRow(name string, cells []spent) string {
	row := "| " + name + " |"
	for _, c := range cells {
		row += fmt.Sprintf(" %d MB, %.1f s, %d |", c.Peak<<10/1e6, float64(c.CPU)/1000, c.Exit)
	}
	return row + "\n"
}
