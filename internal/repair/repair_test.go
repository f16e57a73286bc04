package repair

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/statetest"
)

func self() host.Owner { return host.Owner{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())} }

// newCase opens a case in a temporary directory.
func newCase(t testing.TB) *casefile.Case {
	t.Helper()
	cs, err := casefile.Open(filepath.Join(t.TempDir(), "cases"), "c", true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cs.Close() })
	return cs
}

func newJournal(t *testing.T, cs *casefile.Case) *Journal {
	t.Helper()
	j, err := Open(cs, "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(j.Close)
	return j
}

const config = `{
  // the owner's comment
  gateway: { bind: "lan", auth: { mode: "token", token: "FAKE-gateway-token-0123456789abcdef" } },
  channels: { telegram: { dmPolicy: 'open', allowFrom: ["*"] } },
}
`

func state(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	write(t, filepath.Join(dir, "openclaw.json"), config, 0o644)
	write(t, filepath.Join(dir, "creds.json"), "{}", 0o664)
	if err := os.Mkdir(filepath.Join(dir, "credentials"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "credentials"), 0o775); err != nil {
		t.Fatal(err)
	}
	return dir
}

func write(t *testing.T, name, text string, mode fs.FileMode) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, mode); err != nil {
		t.Fatal(err)
	}
}

func modes(t *testing.T, dir string) map[string]string {
	t.Helper()
	seen := statetest.Snapshot(t, dir)
	for name, what := range seen { // times change, and a rewritten file is another inode
		fields := strings.Fields(what)
		seen[name] = fields[0] + " " + fields[1] + " " + strings.Join(fields[3:], " ")
	}
	return seen
}

// repairAll does everything that the tests do to a state.
func repairAll(t *testing.T, j *Journal, dir string) {
	t.Helper()
	for name, want := range map[string]uint32{"openclaw.json": 0o600, "creds.json": 0o600, "credentials": 0o700} {
		m, todo, err := PlanMode(self(), filepath.Join(dir, name), want)
		if err != nil || !todo {
			t.Fatal(name, todo, err)
		}
		if err := j.Narrow(m); err != nil {
			t.Fatal(err)
		}
	}
	e, refused, err := PlanSet(self(), os.DirFS("/"), filepath.Join(dir, "openclaw.json"), []Value{
		{[]string{"gateway", "bind"}, `"loopback"`},
		{[]string{"channels", "telegram", "dmPolicy"}, `"pairing"`},
		{[]string{"tools", "elevated", "enabled"}, `false`},
	})
	if err != nil || len(refused) > 0 {
		t.Fatal(refused, err)
	}
	if err := j.Set(e); err != nil {
		t.Fatal(err)
	}
}

func undoAll(j *Journal, force bool) map[string]error {
	failed := map[string]error{}
	j.Undo(force, func(path string, err error) {
		if err != nil {
			failed[filepath.Base(path)] = err
		}
	})
	return failed
}

// TestRepairAndUndo leaves a state byte for byte and mode for mode as it was, also when undoing is another run's, and no
// secret in the case.
func TestRepairAndUndo(t *testing.T) {
	dir, cs := state(t), newCase(t)
	before := modes(t, dir)
	j := newJournal(t, cs)
	repairAll(t, j, dir)
	text, err := os.ReadFile(filepath.Join(dir, "openclaw.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`bind: "loopback"`, `dmPolicy: "pairing"`, "the owner's comment", "elevated"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the configuration lacks %s: %s", want, text)
		}
	}
	for name, want := range map[string]fs.FileMode{"openclaw.json": 0o600, "creds.json": 0o600, "credentials": 0o700 | fs.ModeDir} {
		if fi, err := os.Stat(filepath.Join(dir, name)); err != nil || fi.Mode() != want {
			t.Errorf("%s: %v %v", name, fi.Mode(), err)
		}
	}
	record, err := cs.ReadFile(journalName, journalLimit)
	if err != nil || bytes.Contains(record, []byte("FAKE-gateway")) {
		t.Errorf("the record holds a secret: %s %v", record, err)
	}
	if _, err := Open(cs, "test"); !errors.Is(err, ErrBusy) {
		t.Errorf("two runs at once: %v", err)
	}
	j.Close()
	again := newJournal(t, cs)
	if n := len(again.Pending()); n != 4 {
		t.Errorf("pending %q", again.Pending())
	}
	if failed := undoAll(again, false); len(failed) > 0 {
		t.Error(failed)
	}
	for name, was := range before {
		if is := modes(t, dir)[name]; is != was {
			t.Errorf("%s: %s, was %s", name, is, was)
		}
	}
	if failed := undoAll(again, false); len(failed) > 0 || len(again.Pending()) > 0 {
		t.Error("undoing twice:", failed, again.Pending())
	}
}

// TestRepairFaults changes things between plan, repair and undo: what is not what was planned is left alone.
func TestRepairFaults(t *testing.T) {
	t.Run("a file that is another", func(t *testing.T) {
		dir, j := state(t), newJournal(t, newCase(t))
		name := filepath.Join(dir, "creds.json")
		m, _, err := PlanMode(self(), name, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		write(t, name+".new", "other", 0o664)
		if err := os.Rename(name+".new", name); err != nil {
			t.Fatal(err)
		}
		if err := j.Narrow(m); !errors.Is(err, host.ErrChanged) || len(j.Pending()) > 0 {
			t.Error(err, j.Pending())
		}
	})
	t.Run("a link in its place", func(t *testing.T) {
		dir, j := state(t), newJournal(t, newCase(t))
		victim, name := filepath.Join(dir, "victim"), filepath.Join(dir, "creds.json")
		write(t, victim, "v", 0o644)
		m, _, err := PlanMode(self(), name, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		link(t, victim, name)
		if err := j.Narrow(m); err == nil {
			t.Error("it followed the link")
		}
		if _, _, err := PlanMode(self(), name, 0o600); err == nil {
			t.Error("a link is planned")
		}
		if fi, _ := os.Stat(victim); fi.Mode() != 0o644 {
			t.Errorf("the victim has %v", fi.Mode())
		}
	})
	t.Run("a configuration that changed, then a link to its twin", func(t *testing.T) {
		dir, j := state(t), newJournal(t, newCase(t))
		name := filepath.Join(dir, "openclaw.json")
		e, _, err := PlanSet(self(), os.DirFS("/"), name, []Value{{[]string{"gateway", "bind"}, `"loopback"`}})
		if err != nil {
			t.Fatal(err)
		}
		write(t, name, config+"\n", 0o644)
		if err := j.Set(e); !errors.Is(err, host.ErrChanged) {
			t.Error(err)
		}
		write(t, filepath.Join(dir, "twin"), config, 0o644)
		link(t, filepath.Join(dir, "twin"), name)
		if err := j.Set(e); err == nil {
			t.Error("it followed the link")
		}
		if text, _ := os.ReadFile(filepath.Join(dir, "twin")); string(text) != config {
			t.Error("the twin was edited")
		}
	})
	t.Run("a directory that may not be written", func(t *testing.T) {
		if os.Geteuid() == 0 {
			t.Skip("root may")
		}
		dir, j := state(t), newJournal(t, newCase(t))
		e, _, err := PlanSet(self(), os.DirFS("/"), filepath.Join(dir, "openclaw.json"), []Value{{[]string{"gateway", "bind"}, `"loopback"`}})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, 0o500); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = os.Chmod(dir, 0o700) }()
		if err := j.Set(e); !errors.Is(err, fs.ErrPermission) {
			t.Error(err)
		}
	})
	t.Run("a file that only its owner may read", func(t *testing.T) {
		dir := state(t)
		name := filepath.Join(dir, "creds.json")
		if err := os.Chmod(name, 0o444); err != nil {
			t.Fatal(err)
		}
		m, todo, err := PlanMode(self(), name, 0o600)
		if err != nil || !todo || m.Want != 0o400 {
			t.Errorf("%+v %v %v: permissions are taken away, never given", m, todo, err)
		}
	})
	t.Run("a case that cannot be written", func(t *testing.T) {
		dir, cs := state(t), newCase(t)
		j := newJournal(t, cs)
		m, _, err := PlanMode(self(), filepath.Join(dir, "creds.json"), 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(cs.Path()); err != nil {
			t.Fatal(err)
		}
		if err := j.Narrow(m); err == nil {
			t.Error("it was not noted and done all the same")
		}
		if fi, _ := os.Stat(m.Path); fi.Mode() != 0o664 {
			t.Errorf("it has %v", fi.Mode())
		}
	})
	t.Run("changed before undo", func(t *testing.T) {
		dir, j := state(t), newJournal(t, newCase(t))
		repairAll(t, j, dir)
		name := filepath.Join(dir, "openclaw.json")
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		write(t, name, string(text)+"// mine\n", 0o600)
		if err := os.Chmod(filepath.Join(dir, "creds.json"), 0o640); err != nil {
			t.Fatal(err)
		}
		failed := undoAll(j, false)
		if len(failed) != 2 || !errors.Is(failed["openclaw.json"], host.ErrChanged) || !errors.Is(failed["creds.json"], host.ErrChanged) {
			t.Error(failed)
		}
		if failed := undoAll(j, true); len(failed) > 0 {
			t.Error(failed)
		}
		if text, _ := os.ReadFile(name); string(text) != config+"// mine\n" {
			t.Errorf("what somebody added is gone: %s", text)
		}
	})
}

func link(t *testing.T, target, name string) {
	t.Helper()
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, name); err != nil {
		t.Fatal(err)
	}
}

// TestPlanSet refuses what it cannot keep or what would not count.
func TestPlanSet(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "openclaw.json")
	write(t, name, `{"$include":"./more.json5","gateway":{"$include":"./gateway.json5"},"hooks":{"token":"FAKE-hook-token-0123456789"},"tools":{"deny":["x"]}}`, 0o600)
	write(t, filepath.Join(dir, "more.json5"), `{tools:{profile:"full"},tools2:1}`, 0o600)
	write(t, filepath.Join(dir, "gateway.json5"), `{bind:"lan"}`, 0o600)
	e, refused, err := PlanSet(self(), os.DirFS("/"), name, []Value{
		{[]string{"hooks", "token"}, `"short"`},
		{[]string{"hooks"}, `{}`},
		{[]string{"gateway", "bind"}, `"loopback"`},
		{[]string{"tools", "profile"}, `"minimal"`},
		{[]string{"tools", "deny"}, `["x"]`},
		{[]string{"tools2", "a"}, `1`},
		{[]string{"bad"}, `{`},
	})
	if err != nil {
		t.Fatal(err)
	}
	if !errors.Is(refused["hooks.token"], ErrSecret) || !errors.Is(refused["hooks"], ErrSecret) || refused["bad"] == nil || len(refused) != 3 {
		t.Errorf("refused %v", refused)
	}
	after, err := e.Edits.Apply([]byte(`{"$include":"./more.json5","gateway":{"$include":"./gateway.json5"},"hooks":{"token":"FAKE-hook-token-0123456789"},"tools":{"deny":["x"]}}`))
	if err != nil || len(e.What) != 3 || !strings.Contains(string(after), `"bind":"loopback"`) {
		t.Errorf("%q gives %s, %v", e.What, after, err)
	}
	for _, edit := range e.Edits {
		if strings.Contains(edit.Old, "FAKE") {
			t.Errorf("edit %+v", edit)
		}
	}
	if _, _, err := PlanSet(self(), os.DirFS("/"), filepath.Join(dir, "none.json"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// TestMerge makes one of several values for one setting, and never one that brings back what another takes away.
func TestMerge(t *testing.T) {
	key, other := []string{"a", "b"}, []string{"a"}
	merged, refused := merge([]Value{
		{key, `["x","y"]`}, {other, `"one"`}, {key, `["y","z"]`}, {other, `"one"`}, {[]string{"c"}, `1`}, {[]string{"c"}, `2`},
	})
	if len(merged) != 2 || merged[0].Literal != `["y"]` || merged[1].Literal != `"one"` || !errors.Is(refused["c"], ErrDisagree) {
		t.Errorf("merged %v, refused %v", merged, refused)
	}
}

// FuzzJournal reads posture.json, which somebody else could have put into the case. What is read is written so that it reads the same.
func FuzzJournal(f *testing.F) {
	f.Add([]byte(`{"version":1,"modes":[{"path":"/h/.openclaw","before":511,"want":448}],"edits":[{"path":"/h/x","edits":[{"start":9,"old":"a","new":"b"}],"undone":true}]}`))
	f.Add([]byte(`{"version":0}`))
	cs := newCase(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(cs.Path(journalName), text, 0o600); err != nil {
			t.Fatal(err)
		}
		j, err := Open(cs, "test")
		if (err == nil) == (j == nil) {
			t.Fatalf("%+v and %v", j, err)
		}
		if err != nil {
			return
		}
		pending := j.Pending()
		if len(pending) > len(j.Edits)+len(j.Modes) || len(j.Files()) > len(j.Edits) {
			t.Errorf("%q are more than there are", pending)
		}
		err = j.save()
		j.Close()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Open(cs, "test")
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		if !slices.Equal(again.Pending(), pending) {
			t.Errorf("%q became %q", pending, again.Pending())
		}
	})
}

// TestSystemStays looks whether what every account needs keeps its permissions, whoever says that the agent's state lies there.
func TestSystemStays(t *testing.T) {
	for _, dir := range []string{"/", "/etc", "/usr/bin/", "/var/lib", "/home"} {
		info, err := os.Stat(dir)
		if err != nil {
			t.Fatal(err)
		}
		owner := host.Owner{UID: host.Meta(info).UID}
		if owner.UID != uint32(os.Geteuid()) {
			t.Skip("only root has directories of the system")
		}
		if m, todo, err := PlanMode(owner, dir, 0o700); todo || !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%s: %+v, %v", dir, m, err)
		}
	}
}
