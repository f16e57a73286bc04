package contain

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// scripted is a Runner that says what it is told to, and remembers what it was asked.
type scripted struct {
	say   func(argv []string) string // "!" stands for exit code 1
	asked []string
}

func (a *scripted) Run(_ context.Context, c host.Command) host.Result {
	a.asked = append(a.asked, strings.Join(c.Argv, " "))
	out := a.say(c.Argv)
	if out == "!" {
		return host.Result{Argv: c.Argv, ExitCode: 1}
	}
	return host.Result{Argv: c.Argv, Stdout: []byte(out)}
}

func newContainment(t *testing.T, run host.Runner) *Containment {
	t.Helper()
	root, err := host.OpenRoot("/")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	cs, err := casefile.Open(filepath.Join(t.TempDir(), "cases"), "", true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cs.Close() })
	j := &Journal{Version: journalVersion, State: Begun, Frozen: &Frozen{}}
	return &Containment{Machine: Machine{Root: root, Run: run, UID: os.Geteuid()}, Case: cs, Journal: j}
}

func us() host.Owner { return host.Owner{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())} }

// TestFilesGoBack makes and edits files, and takes that back: as they were, not if somebody changed them since, and from
// whichever moment the program was killed at.
func TestFilesGoBack(t *testing.T) {
	const crontab = "MAILTO=\"\"\n@reboot /usr/bin/openclaw gateway\n5 4 * * * backup # openclaw\n# openclaw gateway\n"
	for _, tc := range []struct {
		name    string
		meddle  func(t *testing.T, file string) // between the change and its undoing
		force   bool
		want    string // of the file in the end
		refused bool
	}{
		{name: "untouched", want: crontab},
		{name: "somebody added a line", meddle: appendTo("0 0 * * * own\n"), refused: true, want: "*"},
		{name: "forced", meddle: appendTo("0 0 * * * own\n"), force: true, want: crontab + "0 0 * * * own\n"},
		{name: "somebody took it back", meddle: write(crontab), want: crontab},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newContainment(t, &scripted{say: func([]string) string { return "" }})
			file := filepath.Join(t.TempDir(), "crontab")
			if err := os.WriteFile(file, []byte(crontab), 0o640); err != nil {
				t.Fatal(err)
			}
			f := File{Path: file, Owner: us(), Edits: disableCron(crontab), Why: "test"}
			for range 2 { // a second run finds it done
				if err := c.make(f, nil); err != nil {
					t.Fatal(err)
				}
			}
			text, _ := os.ReadFile(file)
			want := "MAILTO=\"\"\n" + cronMark + "@reboot /usr/bin/openclaw gateway\n" + cronMark + "5 4 * * * backup # openclaw\n# openclaw gateway\n"
			if diff := cmp.Diff(want, string(text)); diff != "" {
				t.Fatalf("edited (-want +got):\n%s", diff)
			}
			if tc.meddle != nil {
				tc.meddle(t, file)
			}
			again, err := Open(c.Machine, c.Case) // as another process would
			if err != nil {
				t.Fatal(err)
			}
			checks := again.Undo(t.Context(), tc.force)
			if failed := slices.ContainsFunc(checks, func(ch Check) bool { return !ch.OK }); failed != tc.refused {
				t.Errorf("refused: %v, want %v: %+v", failed, tc.refused, checks)
			}
			text, _ = os.ReadFile(file)
			if tc.want != "*" && string(text) != tc.want {
				t.Errorf("in the end %q, want %q", text, tc.want)
			}
			if fi, _ := os.Stat(file); fi.Mode().Perm() != 0o640 {
				t.Errorf("mode %v", fi.Mode())
			}
		})
	}
}

func appendTo(line string) func(*testing.T, string) {
	return func(t *testing.T, file string) {
		f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString(line); err != nil {
			t.Fatal(err)
		}
	}
}

func write(text string) func(*testing.T, string) {
	return func(t *testing.T, file string) {
		if err := os.WriteFile(file, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
}

// TestKilledBetweenRecordAndChange undoes a change that was noted and never made.
func TestKilledBetweenRecordAndChange(t *testing.T) {
	c := newContainment(t, &scripted{say: func([]string) string { return "" }})
	dir := t.TempDir()
	made, edited := filepath.Join(dir, "unit.d", dropInName), filepath.Join(dir, "crontab")
	write("openclaw\n")(t, edited)
	for _, f := range []File{{Path: made, Owner: us()}, {Path: edited, Owner: us(), Edits: disableCron("openclaw\n")}} {
		_, before, err := host.ReadFile(us(), f.Path)
		if err != nil {
			t.Fatal(err)
		}
		f.Before, f.After = before, host.FileState{Exists: true, SHA256: "as planned"}
		c.Journal.Files = append(c.Journal.Files, f)
	}
	for _, ch := range c.Undo(t.Context(), false) {
		if !ch.OK {
			t.Errorf("%s: %s", ch.What, ch.Detail)
		}
	}
	if _, err := os.Lstat(made); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the drop-in: %v", err)
	}
	if c.Journal.State != Undone {
		t.Errorf("state %q", c.Journal.State)
	}
}

// TestLinksGoBack takes the link away that starts a unit at boot, and puts it back.
func TestLinksGoBack(t *testing.T) {
	c := newContainment(t, &scripted{say: func([]string) string { return "" }})
	link := filepath.Join(t.TempDir(), "default.target.wants", "openclaw-gateway.service")
	if err := os.Mkdir(filepath.Dir(link), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../openclaw-gateway.service", link); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := c.unlink(link, us()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Lstat(link); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("the link is still there: %v", err)
	}
	c.Undo(t.Context(), false)
	if target, err := os.Readlink(link); err != nil || target != "../openclaw-gateway.service" {
		t.Errorf("the link leads to %q: %v", target, err)
	}
}

// TestDisableCronGoesBack is that of any crontab.
func TestDisableCronGoesBack(t *testing.T) {
	line := rapid.SampledFrom([]string{"openclaw gateway\n", "# openclaw\n", "\n", "5 * * * * x\n", "\topenclaw-ir collect\r\n", "@daily CLAWDBOT doctor", "\n\n"})
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOf(line).Draw(t, "lines"), "")
		edits := disableCron(text)
		edited, err := edits.Apply([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if left := disableCron(string(edited)); len(left) > 0 {
			t.Errorf("%q still starts it", edited)
		}
		back, err := edits.Invert().Apply(edited)
		if err != nil || string(back) != text {
			t.Errorf("gives %q back, %v; want %q", back, err, text)
		}
	})
}

// TestRebase rotates a token in a configuration that was locked, and unlocks it: all is as before but the token.
func TestRebase(t *testing.T) {
	const text = `{ gateway: { bind: "lan", auth: { token: "OLD" } }, /* why */ hooks: { token: "OLD", enabled: true }, tools: { exec: { security: "full" } } }`
	token := rapid.StringMatching(`[A-Za-z0-9+/]{1,60}`)
	rapid.Check(t, func(rt *rapid.T) {
		c := newContainment(t, &scripted{say: func([]string) string { return "" }})
		file := filepath.Join(t.TempDir(), "openclaw.json")
		write(text)(t, file)
		changes, _, err := LockConfig(file, map[string][]byte{file: []byte(text)})
		if err != nil || len(changes) != 1 {
			rt.Fatalf("locking: %v, %d changes", err, len(changes))
		}
		if err := c.make(File{Path: file, Owner: us(), Edits: changes[0].Patch}, nil); err != nil {
			rt.Fatal(err)
		}
		first, second := token.Draw(rt, "gateway's"), token.Draw(rt, "hooks'")
		rotate := func(text string) string {
			text = strings.Replace(text, `"OLD"`, `"`+first+`"`, 1)
			return strings.Replace(text, `"OLD"`, `"`+second+`"`, 1)
		}
		before, was, _ := host.ReadFile(us(), file)
		after := rotate(string(before))
		is, err := host.Rewrite(us(), file, []byte(after), was, 0o600)
		if err != nil {
			rt.Fatal(err)
		}
		if err := c.Rebase(file, before, []byte(after), is); err != nil {
			rt.Fatal(err)
		}
		for _, ch := range c.Undo(t.Context(), false) {
			if !ch.OK {
				rt.Errorf("%s: %s", ch.What, ch.Detail)
			}
		}
		got, _ := os.ReadFile(file)
		if diff := cmp.Diff(rotate(text), string(got)); diff != "" {
			rt.Errorf("unlocked (-want +got):\n%s", diff)
		}
	})
}
