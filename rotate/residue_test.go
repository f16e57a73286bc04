package rotate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/secret"
	"github.com/clawbook/openclaw-ir/internal/sqlite"
	"github.com/clawbook/openclaw-ir/internal/statetest"
)

// realState unpacks a state where it can be changed.
func realState(t *testing.T, version string) (*host.Root, *openclaw.Installation, host.Owner) {
	t.Helper()
	dir := statetest.Root(t, version)
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil { // its owner must get there
		t.Fatal(err)
	}
	state := filepath.Join(dir, "home/claw/.openclaw")
	if strings.HasPrefix(version, "2026.9.6") {
		state = filepath.Join(dir, "home/alice/.openclaw")
	}
	root, in := findState(t, state)
	fi, err := os.Stat(state)
	if err != nil {
		t.Fatal(err)
	}
	m := host.Meta(fi)
	return root, in, host.Owner{UID: m.UID, GID: m.GID}
}

// allHeld knows every secret that the installation holds.
func allHeld(fsys fs.FS, in *openclaw.Installation) *secret.Set {
	set := secret.NewSet(testPrinter)
	in.Secrets(context.Background(), fsys, set)
	return set
}

func told(t *testing.T, in *openclaw.Installation, plan []Residue) (lines []string) {
	t.Helper()
	for _, r := range plan {
		if len(r.Prints) == 0 || r.Why == "" {
			t.Errorf("%+v", r)
		}
		name := strings.TrimPrefix(strings.TrimPrefix(r.Path, in.StateDir+"/"), filepath.Dir(filepath.Dir(filepath.Dir(in.StateDir))))
		if strings.Contains(name, "/sessions/") {
			name = "a transcript"
		}
		lines = append(lines, fmt.Sprint(r.Action, " ", name))
	}
	slices.Sort(lines)
	return slices.Compact(lines)
}

func TestResidueOfRealStates(t *testing.T) {
	baks := strings.Fields("openclaw.json.bak openclaw.json.bak.1 openclaw.json.bak.2 openclaw.json.bak.3 openclaw.json.bak.4")
	for version, more := range map[string][]string{
		"2026.1.30": {"reported a transcript"},
		"2026.3.31": {"reported a transcript", "reported logs/config-audit.jsonl"},
		"2026.7.1":  {"remove openclaw.json.last-good", "reported logs/config-audit.jsonl", "scrub agents/main/agent/openclaw-agent.sqlite"},
		"2026.9.6/stopped": {
			"remove openclaw.json.last-good", "scrub state/openclaw.sqlite",
			"reported agents/main/agent/openclaw-agent.sqlite",
		},
	} {
		t.Run(version, func(t *testing.T) {
			root, in, _ := realState(t, version)
			plan, gaps := FindResidue(context.Background(), root, in, allHeld(root, in))
			if len(gaps) > 0 {
				t.Error(gaps)
			}
			want := slices.Clone(more)
			for _, name := range baks {
				want = append(want, "remove "+name)
			}
			slices.Sort(want)
			if got := told(t, in, plan); !cmp.Equal(got, want) {
				t.Error(cmp.Diff(want, got))
			}
			givesNothingAway(t, plan, statetest.Secrets(t))
		})
	}
}

// TestScrub leaves of what was replaced nothing but the evidence.
func TestScrub(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("the state's files belong to another user: needs root")
	}
	for _, version := range []string{"2026.1.30", "2026.7.1", "2026.9.6/stopped"} {
		t.Run(version, func(t *testing.T) {
			root, in, owner := realState(t, version)
			if version == "2026.9.6/stopped" {
				softDelete(t, owner, in)
			}
			old := allHeld(root, in)
			plan, _ := FindResidue(context.Background(), root, in, old)
			files := ScrubFiles(plan)
			for _, r := range plan {
				if r.Action != ActionNone && !slices.Contains(files, r.Path) {
					t.Errorf("%q is not among the files to be sealed", r.Path)
				}
			}
			before := statetest.Snapshot(t, in.StateDir)
			done, err := Scrub(context.Background(), owner, in, plan)
			if err != nil {
				t.Fatal(err)
			}
			purged := 0
			for _, d := range done {
				purged += d.Rows
			}
			if want := map[bool]int{true: 1}[version == "2026.9.6/stopped"]; purged != want {
				t.Errorf("%d rows purged", purged)
			}
			onlyChanged(t, in, before, files)

			left, gaps := FindResidue(context.Background(), root, in, old)
			if len(gaps) > 0 {
				t.Error(gaps)
			}
			for _, r := range left {
				// A database that a secret is in use in is listed for when it is replaced.
				if r.Action == ActionRemove || r.Action == ActionPurge {
					t.Errorf("left: %+v", r)
				}
			}
			gone := secret.NewSet(testPrinter)
			gone.Add("FAKE-service-secret-000000001", "")
			if left, _ := FindResidue(context.Background(), root, in, gone); len(left) > 0 {
				t.Errorf("a deleted row's secret is left in %+v", left)
			}
		})
	}
}

// softDelete marks a secret of the store as deleted, as "secrets store rm" does.
func softDelete(t *testing.T, owner host.Owner, in *openclaw.Installation) {
	t.Helper()
	err := host.As(owner, func() error {
		return sqlite.Edit(context.Background(), in.StateDB(), func(tx *sqlite.Tx) error {
			if has, err := tx.Has("secret_store_entries", "deleted_at_ms"); err != nil || !has {
				return fmt.Errorf("no table: %v", err)
			}
			_, err := tx.Exec("UPDATE secret_store_entries SET deleted_at_ms = 1 WHERE name = 'FIXTURE_API_KEY'")
			return err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
}

func onlyChanged(t *testing.T, in *openclaw.Installation, before map[string]string, files []string) {
	t.Helper()
	after := statetest.Snapshot(t, in.StateDir)
	for name, was := range before {
		file := filepath.Join(in.StateDir, name)
		isDir := strings.HasPrefix(was, "d")
		if after[name] != was && !isDir && !slices.Contains(files, file) {
			t.Errorf("%q was changed", name)
		}
	}
	for name := range after {
		if _, ok := before[name]; !ok && !slices.Contains(files, filepath.Join(in.StateDir, name)) {
			t.Errorf("%q was made", name)
		}
	}
}

// TestScrubLeavesAlone what changed since the plan and what is not the installation's.
func TestScrubLeavesAlone(t *testing.T) {
	const token = `{"gateway":{"auth":{"token":"fake-gateway-token-0001"}}}`
	root, in := stateOf(t, map[string]string{"openclaw.json": "{}", "openclaw.json.bak": token, "openclaw.json.bak.1": token})
	plan, _ := FindResidue(context.Background(), root, in, allHeld(root, in))
	if len(plan) != 2 {
		t.Fatalf("%+v", plan)
	}
	changed := filepath.Join(in.StateDir, "openclaw.json.bak")
	if err := os.WriteFile(changed, []byte(token+" "), 0o600); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "other.sqlite")
	plan = append(plan, Residue{Path: other, Action: ActionScrub})
	done, err := Scrub(context.Background(), self(), in, plan)
	if !errors.Is(err, host.ErrChanged) || len(done) != 3 || done[0].Error == "" || done[1].Error != "" || done[2].Error == "" {
		t.Errorf("%+v, %v", done, err)
	}
	if _, err := os.Stat(changed); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(changed + ".1"); err == nil {
		t.Error("the unchanged copy is still there")
	}
}

// TestResidueOfMigration finds what the doctor's move to SQLite leaves behind (FACTS 11).
func TestResidueOfMigration(t *testing.T) {
	const profiles = `{"profiles":{"openai:default":{"type":"api_key","key":"sk-proj-fakefakefake0001"}}}`
	root, in := stateOf(t, map[string]string{
		"agents/main/agent/auth-profiles.json.migrated-2026-11-01T00-00-00-000Z-3f2a": profiles,
		"devices/paired.json.migrated":                      `{"d1":{"tokens":{"operator":{"token":"fakedevicetoken0000000000000001"}}}}`,
		"openclaw.json.rejected.1795340892":                 `{"hooks":{"token":"fake-hooks-token-0001"}}`,
		"openclaw.json.clobbered.2026-11-01":                `{"hooks":{"token":"fake-hooks-token-0002", broken`,
		"state/openclaw.sqlite.pre-startup-migration-1.bak": "SQLite format 3\x00 fake-hooks-token-0001",
		"credentials/whatsapp/x/creds.json.bak":             `{"advSecretKey":"ZmFrZSBhZHYgc2VjcmV0IGtleSAwMDAx"}`,
		"logs/config-audit.jsonl.migrated.raw":              `{"argv":["fake-hooks-token-0001"]}`,
		"openclaw.json.bak":                                 `{"gateway":{"port":1}}`,
	})
	plan, gaps := FindResidue(context.Background(), root, in, allHeld(root, in))
	if len(gaps) > 0 {
		t.Error(gaps)
	}
	want := []string{
		"remove agents/main/agent/auth-profiles.json.migrated-2026-11-01T00-00-00-000Z-3f2a",
		"remove devices/paired.json.migrated",
		"remove openclaw.json.clobbered.2026-11-01",
		"remove openclaw.json.rejected.1795340892",
		"remove state/openclaw.sqlite.pre-startup-migration-1.bak",
		"reported credentials/whatsapp/x/creds.json.bak",
		"reported logs/config-audit.jsonl.migrated.raw",
	}
	if got := told(t, in, plan); !cmp.Equal(got, want) {
		t.Error(cmp.Diff(want, got))
	}
}

// TestSearch finds a secret wherever it lies across the reader's bounds.
func TestSearch(t *testing.T) {
	const value = "fake-secret-value-0001"
	set := secret.NewSet(testPrinter)
	set.Add(value, "")
	for _, at := range []int{0, 1, scanChunk - len(value), scanChunk - 5, scanChunk, scanChunk + scanOverlap - 3, 2*scanChunk - 7, 3*scanChunk - len(value)} {
		text := bytes.Repeat([]byte{0}, 3*scanChunk)
		copy(text[at:], value)
		found, size, err := search(iotest.HalfReader(bytes.NewReader(text)), set)
		if err != nil || size != int64(len(text)) || !slices.Equal(found, []string{testPrinter.Fingerprint(value)}) {
			t.Errorf("at %d: %q, %d bytes, %v", at, found, size, err)
		}
	}
}

// TestSparseFile: a file that is a terabyte of holes is searched at once, and what is in it is told.
func TestSparseFile(t *testing.T) {
	const value = "fake-hooks-token-0001"
	root, in := stateOf(t, map[string]string{"openclaw.json.bak": "", "openclaw.json.bak.1": ""})
	for name, text := range map[string]string{"openclaw.json.bak": value, "openclaw.json.bak.1": "nothing"} {
		f, err := os.OpenFile(filepath.Join(root.Dir(), in.StateDir, name), os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = f.WriteAt([]byte(text), 1<<39); err == nil {
			err = f.Truncate(1 << 40)
		}
		if f.Close(); err != nil {
			t.Skip(err)
		}
	}
	old := secret.NewSet(testPrinter)
	old.Add(value, "")
	plan, gaps := FindResidue(context.Background(), root, in, old)
	gaps = slices.DeleteFunc(gaps, func(g openclaw.Gap) bool { return g.What == "longer than 32 MiB; the rest was not read" })
	if len(plan) > 0 || len(gaps) != 1 || !strings.HasSuffix(gaps[0].Path, "/openclaw.json.bak") || !strings.Contains(gaps[0].What, "old secrets lie in it") {
		t.Errorf("%+v, %+v", plan, gaps)
	}
}
