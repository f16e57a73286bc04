package host

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// saying is a Runner whose ps says what macOS 15's would.
type saying struct{ table, environ, one string }

func (s saying) Run(_ context.Context, c Command) Result {
	res := Result{Argv: c.Argv}
	out := s.table
	switch {
	case slices.Contains(c.Argv, "-axwwE"):
		out = s.environ
	case slices.Contains(c.Argv, "-p"):
		out = s.one
	}
	if out == "" {
		res.ExitCode = 1
	}
	_, res.Err = io.WriteString(c.Stdout, out)
	return res
}

const (
	macTable = `    1     0     1     0 Ss   Sun Nov 22 08:00:01 2026     /sbin/launchd
  523     1   523   501 S    Sun Nov 22 23:35:33 2026     /opt/homebrew/opt/node/bin/node /opt/homebrew/lib/node_modules/openclaw/dist/index.js gateway --port 18789
  531   523   523   501 S    Sun Nov  8 23:35:34 2026     /opt/homebrew/opt/node/bin/node /opt/homebrew/lib/node_modules/openclaw/dist/process/spawn-broker/worker.js
  540   531   540   501 Ss   Sun Nov 22 23:36:00 2026     /bin/bash --noprofile --norc -c eval 'sleep  9'
  600     1   600   501 T+   Sun Nov 22 23:36:01 2026     python3 bot.py OPENCLAW_TOKEN=argument
  601     1   601   501 S    Sun Nov 22 23:36:01 2026     grep OPENCLAW_SHELL=exec -
  700     1   700   501 S    Sun Nov 22 23:00:00 2026     /Users/claw/Applications/OpenClaw.app/Contents/MacOS/OpenClaw --attach-only
  800     1   800 4294967294 Z    Sun Nov 22 23:00:00 2026     (mdworker)
  801     1   801    -2 ?E   Sun Nov 22 23:00:00 2026     x` + "\x1b[2J\t\xff y" + `
 nonsense
  900     1   900     0 S    Sun Nov 31 99:00:00 2026     never
`
	macEnviron = `  523 /opt/homebrew/opt/node/bin/node /opt/homebrew/lib/node_modules/openclaw/dist/index.js gateway --port 18789 HOME=/Users/claw OPENCLAW_GATEWAY_TOKEN=hush OPENCLAW_GATEWAY_PORT=18789
  600 python3 bot.py OPENCLAW_TOKEN=argument HOME=/Users/claw OPENCLAW_SHELL=exec SECRET=hush OPENCLAW_GATEWAY_PASSWORD=hush
  601 grep OPENCLAW_SHELL=exec - HOME=/Users/claw
  700 another now OPENCLAW_SHELL=exec
 9999 gone OPENCLAW_SHELL=exec
`
)

// TestProcessesOfMac reads ps as macOS prints it.
func TestProcessesOfMac(t *testing.T) {
	r, err := OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	table, err := ProcessesOfMac(t.Context(), r, saying{table: macTable, environ: macEnviron})
	if err != nil {
		t.Fatal(err)
	}
	type row struct {
		pid, ppid int
		uid       uint32
		state     string
		comm      Text
		role      string
	}
	var got []row
	for _, p := range table.Processes {
		got = append(got, row{p.PID, p.PPID, p.UID, p.State, p.Comm, p.Role})
	}
	want := []row{
		{1, 0, 0, "S", "launchd", ""},
		{523, 1, 501, "S", "node", RoleGateway},
		{531, 523, 501, "S", "node", RoleBroker},
		{540, 531, 501, "S", "bash", RoleDescendant},
		{600, 1, 501, "T", "python3", RoleExec},
		{601, 1, 501, "S", "grep", ""},
		{700, 1, 501, "S", "OpenClaw", RoleApp},
		{800, 1, 4294967294, "Z", "(mdworker)", ""},
		{801, 1, 4294967294, "?", "x\x1b[2J", ""},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(row{})); diff != "" {
		t.Errorf("processes (-want +got):\n%s", diff)
	}
	if begun := table.Processes[2].Started; table.Processes[2].Start != uint64(begun.Unix()) || !begun.Equal(time.Date(2026, 11, 8, 23, 35, 34, 0, time.UTC)) {
		t.Errorf("started %v, start %d", begun, table.Processes[2].Start)
	}
	marks := []EnvMark{{"OPENCLAW_SHELL", "exec"}, {"OPENCLAW_GATEWAY_PASSWORD", ""}}
	if diff := cmp.Diff(marks, table.Processes[4].Env); diff != "" {
		t.Errorf("marks (-want +got):\n%s", diff)
	}
	for _, none := range []saying{{}, {table: "nonsense\n"}} {
		if _, err := ProcessesOfMac(t.Context(), r, none); err == nil {
			t.Errorf("of %q no error", none.table)
		}
	}
	table, err = ProcessesOfMac(t.Context(), r, saying{table: macTable})
	if err != nil || len(table.Processes[1].Gaps) != 1 || table.Processes[1].Role != RoleGateway {
		t.Errorf("without the environment: %v, %+v", err, table.Processes[1])
	}
}

// TestAliveOfMac tells one process from a later one, and from none.
func TestAliveOfMac(t *testing.T) {
	start, state, err := AliveOfMac(t.Context(), saying{one: "Ts   Sun Nov 22 23:35:33 2026    \n"}, 5)
	if want := uint64(time.Date(2026, 11, 22, 23, 35, 33, 0, time.UTC).Unix()); start != want || state != "T" || err != nil {
		t.Errorf("start %d, state %q, %v; want %d, T", start, state, err, want)
	}
	if _, _, err := AliveOfMac(t.Context(), saying{}, 5); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of none: %v", err)
	}
	if _, _, err := AliveOfMac(t.Context(), saying{one: "?\n"}, 5); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of nonsense: %v", err)
	}
}

// FuzzPS feeds what ps prints, in pieces of any length.
func FuzzPS(f *testing.F) {
	f.Add(macTable, 7)
	f.Add(macEnviron, 4096)
	f.Add(strings.Repeat("x", 200), 1)
	f.Fuzz(func(t *testing.T, text string, size int) {
		const limit = 100
		var got []string
		w := &lineWriter{limit: limit, each: func(line string) { got = append(got, line) }}
		for left := text; left != ""; {
			n := min(max(size, 1), len(left))
			_, _ = io.WriteString(w, left[:n])
			left = left[n:]
		}
		whole := strings.Split(text, "\n")
		for i, line := range whole[:len(whole)-1] {
			if i >= len(got) || got[i] != line[:min(limit, len(line))] {
				t.Fatalf("line %d of %q: got %q", i, text, got)
			}
			if p, _, ok := parsePS(line); ok && (p.PID <= 0 || len(p.State) != 1) {
				t.Errorf("%q: %+v", line, p)
			}
		}
	})
}
