package stores

import (
	"context"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/statetest"
)

// A machine is a real state, unpacked where it can be changed.
type machine struct {
	fsys  *host.Root
	in    *openclaw.Installation
	owner host.Owner
	dir   string // of the unpacked host
}

func unpack(t *testing.T, version string) machine {
	t.Helper()
	m := machine{dir: statetest.Root(t, version)}
	if err := os.Chmod(filepath.Dir(m.dir), 0o755); err != nil { // the owner must get there
		t.Fatal(err)
	}
	state := filepath.Join(m.dir, "home/alice/.openclaw")
	if _, err := os.Stat(state); err != nil {
		state = filepath.Join(m.dir, "home/claw/.openclaw")
	}
	var err error
	if m.fsys, err = host.OpenRoot("/"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.fsys.Close() })
	found, _ := openclaw.Find(m.fsys, openclaw.FindOptions{StateDirs: []string{state}})
	for _, in := range found {
		if in.StateDir == state {
			m.in = in
		}
	}
	fi, err := os.Stat(state)
	if err != nil || m.in == nil {
		t.Fatal(state, err)
	}
	m.owner = host.Owner{UID: host.Meta(fi).UID, GID: host.Meta(fi).GID}
	return m
}

// counts tells what there is of each kind, a star for what stays.
func (m machine) counts(t *testing.T) map[string]int {
	t.Helper()
	found, gaps := Pending(context.Background(), m.fsys, m.in)
	if gaps != nil {
		t.Error(gaps)
	}
	n := map[string]int{}
	for _, r := range found {
		kind := r.Kind
		if r.Stays {
			kind += "*"
		}
		n[kind]++
	}
	return n
}

func (m machine) defuse(t *testing.T) (what []string) {
	t.Helper()
	done, err := Defuse(context.Background(), m.owner, m.in)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range done {
		if d.Count < 1 || !strings.HasPrefix(d.Where, m.in.StateDir) {
			t.Errorf("%+v", d)
		}
		what = append(what, d.What)
	}
	return what
}

func staying(n map[string]int) map[string]int {
	n = maps.Clone(n)
	maps.DeleteFunc(n, func(kind string, _ int) bool { return !strings.HasSuffix(kind, "*") })
	return n
}

func TestDefuse(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]map[string]int{
		"2026.1.30":        {"automation": 2, "channel*": 2, "heartbeat*": 1},
		"2026.2.12":        {"automation": 3, "channel*": 2, "heartbeat*": 1},
		"2026.3.31":        {"automation": 3, "channel*": 2, "heartbeat*": 1},
		"2026.7.1":         {"automation": 2, "delivery": 1, "channel*": 2, "heartbeat*": 1, "hook*": 1},
		"2026.7.1-live":    {"automation": 2, "delivery": 1, "channel*": 2, "heartbeat*": 1, "hook*": 1},
		"2026.9.6/stopped": {"turn": 1, "message": 1, "automation": 2, "automation*": 3, "channel*": 1, "heartbeat*": 2, "hook*": 1},
		"2026.9.6/running": {"turn": 1, "message": 1, "automation": 2, "automation*": 3, "channel*": 1, "heartbeat*": 2, "hook*": 1},
	} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			m := unpack(t, version)
			allowed := FilesToChange(m.fsys, m.in, KindDefuse)
			before := statetest.Snapshot(t, m.dir)
			if diff := cmp.Diff(want, m.counts(t)); diff != "" {
				t.Errorf("pending (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, statetest.Snapshot(t, m.dir)); diff != "" {
				t.Fatalf("reading changed something:\n%s", diff)
			}
			what := m.defuse(t)
			if diff := cmp.Diff(staying(want), m.counts(t)); diff != "" {
				t.Errorf("pending after %q (-want +got):\n%s", what, diff)
			}
			m.onlyChanged(t, before, allowed)
			m.keptOwners(t)
			if again := m.defuse(t); again != nil {
				t.Errorf("a second time: %q", again)
			}
		})
	}
}

// onlyChanged checks that of all files none but the ones named were changed, made or removed.
func (m machine) onlyChanged(t *testing.T, before map[string]string, allowed []string) {
	t.Helper()
	after := statetest.Snapshot(t, m.dir)
	for name := range after {
		if _, was := before[name]; !was {
			before[name] = ""
		}
	}
	for name, was := range before {
		file := filepath.Join(m.dir, name)
		known := slices.ContainsFunc(allowed, func(a string) bool {
			return file == a || file == a+"-wal" || file == a+aside || file == path.Dir(a)
		})
		if after[name] != was && !known {
			t.Errorf("%q was changed: %q, then %q", name, was, after[name])
		}
	}
}

// keptOwners checks that whatever was written belongs to the user.
func (m machine) keptOwners(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir(m.in.StateDir, func(name string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := e.Info()
		if err == nil && host.Meta(fi).UID != m.owner.UID {
			t.Errorf("%q belongs to user %d", name, host.Meta(fi).UID)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
