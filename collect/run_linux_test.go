package collect

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"

	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/statetest"
)

// A taken is a bundle made from a directory that stands for a host.
type taken struct {
	*Bundle
	out  Outcome
	rows map[string]Row
}

// noRunner is a machine without any program.
type noRunner struct{}

func (noRunner) Run(_ context.Context, c host.Command) host.Result {
	return host.Result{Argv: c.Argv, ExitCode: -1, Err: fs.ErrNotExist}
}

func openRoot(t testing.TB, dir string) *host.Root {
	t.Helper()
	root, err := host.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

// runOn collects from a directory and checks what holds for every bundle.
func runOn(t testing.TB, ctx context.Context, dir string, o Options) taken {
	t.Helper()
	root := openRoot(t, dir)
	installs, gaps := openclaw.Find(root, openclaw.FindOptions{})
	id := newKey(t)
	var buf bytes.Buffer
	w, err := newWriter(&buf, []age.Recipient{id.Recipient()}, testHeader, smallFrame)
	if err != nil {
		t.Fatal(err)
	}
	got := taken{rows: map[string]Row{}}
	if got.out, err = Run(ctx, root, noRunner{}, installs, gaps, w, o); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Close(nil); err != nil {
		t.Fatal(err)
	}
	got.Bundle = open(t, buf.Bytes(), id)
	for row, err := range got.Rows() {
		if err != nil {
			t.Fatal(err)
		}
		if old, twice := got.rows[row.Path]; twice && row.Type != "" && old.Type != "" {
			t.Errorf("two rows for %q: %+v and %+v", row.Path, old, row)
		}
		if row.Status != Collected && row.Reason == "" {
			t.Errorf("%s %q without a reason", row.Status, row.Path)
		}
		if row.Source == "" {
			t.Errorf("%q without a source", row.Path)
		}
		got.rows[row.Path] = row
	}
	for _, p := range got.Problems() {
		t.Error(p)
	}
	if buf.Len() > 1<<20 {
		return got // what holds for small bundles holds for this one
	}
	report, err := Verify(context.WithoutCancel(ctx), bytes.NewReader(buf.Bytes()), int64(buf.Len()), nil, VerifyOptions{Identities: []age.Identity{id}})
	if err != nil || len(report.Problems) != 1 || report.Problems[0].Kind != "unsealed" {
		t.Errorf("verify: %v %+v", err, report)
	}
	return got
}

// content reads a file of the bundle.
func (g taken) content(t testing.TB, p string) []byte {
	t.Helper()
	row, ok := g.rows[p]
	if !ok {
		t.Fatalf("no row for %q", p)
	}
	r, err := g.Content(row)
	if err != nil {
		t.Fatalf("%q: %v", p, err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Every file of a real state is in the bundle with its digest, or has a row that says why not, and nothing on
// the host changes.
func TestRealStates(t *testing.T) {
	for _, version := range statetest.Versions() {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			dir := statetest.Root(t, version)
			before := statetest.Snapshot(t, dir)
			got := runOn(t, context.Background(), dir, Options{})
			if diff := cmp.Diff(before, statetest.Snapshot(t, dir)); diff != "" {
				t.Errorf("the host changed: %s", diff)
			}
			if got.out.Partial() {
				t.Errorf("partial: %+v", got.out)
			}
			checkState(t, got, dir)
			checkDiffs(t, got, version)
		})
	}
}

// checkState compares the state directory, the logs and the accounts with the bundle.
func checkState(t *testing.T, got taken, dir string) {
	stored := 0
	for _, top := range []string{"home/claw/.openclaw", "home/alice/.openclaw", "tmp/openclaw"} {
		err := filepath.WalkDir(filepath.Join(dir, top), func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				return nil // another version's home
			}
			p := strings.TrimPrefix(name, dir)
			row, ok := got.rows[p]
			switch {
			case !ok:
				t.Errorf("no row for %q", p)
			case d.Type().IsRegular() && row.Status == Skipped:
				if !strings.HasPrefix(row.Reason, "listing only: ") || !strings.Contains(p, "/media/") {
					t.Errorf("%q: %s", p, row.Reason)
				}
			case d.Type().IsRegular():
				text, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				sum := sha256.Sum256(text)
				if row.SHA256 != hex.EncodeToString(sum[:]) || row.Status != Collected || row.Size != int64(len(text)) {
					t.Errorf("%q is stored differently: %+v", p, row)
				}
				stored++
			case row.Status != Collected:
				t.Errorf("%q: %+v", p, row)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if stored < 4 {
		t.Errorf("only %d files are stored", stored)
	}
}

// checkDiffs checks that diffs are in order and hold no secret.
func checkDiffs(t *testing.T, got taken, version string) {
	var all bytes.Buffer
	diffs := 0
	for p := range got.rows {
		if strings.HasPrefix(p, "config-diffs/") {
			all.Write(got.content(t, p))
			diffs++
		}
	}
	for _, s := range statetest.Secrets(t) {
		if strings.Contains(all.String(), s) {
			t.Errorf("the config diffs hold the secret %.6q…", s)
		}
	}
	if want := 6; diffs < want && version != "2026.9.6/node-host" {
		t.Errorf("%d config diffs, want at least %d", diffs, want)
	}
}

// What is read back from a bundle is what is read from the host.
func TestBundleReadsLikeHost(t *testing.T) {
	for _, version := range []string{"2026.1.30", "2026.9.6/running"} {
		dir := statetest.Root(t, version)
		got := runOn(t, context.Background(), dir, Options{})
		live, _ := openclaw.Find(openRoot(t, dir), openclaw.FindOptions{})
		sealed, gaps := openclaw.Find(got.FS(), openclaw.FindOptions{})
		if diff := cmp.Diff(live, sealed); diff != "" || len(live) == 0 {
			t.Errorf("%s: %d installations, gaps %v: %s", version, len(live), gaps, diff)
		}
	}
}

// No secret leaves the bundle through its diffs, which name the versions in the order in which they were.
func TestConfigHistory(t *testing.T) {
	got := runOn(t, context.Background(), statetest.Root(t, "2026.9.6/stopped"), Options{})
	var names []string
	for p := range got.rows {
		if strings.HasPrefix(p, "config-diffs/") {
			names = append(names, p)
		}
	}
	const folder = "config-diffs/1-home-alice-.openclaw/"
	for i, name := range []string{
		"001-openclaw.json.bak.4--openclaw.json.bak.3.diff", "002-openclaw.json.bak.3--openclaw.json.bak.2.diff",
		"003-openclaw.json.bak.2--openclaw.json.bak.1.diff", "004-openclaw.json.bak.1--openclaw.json.bak.diff",
		"005-openclaw.json.bak--openclaw.json.last-good.diff", "006-openclaw.json.last-good--openclaw.json.diff",
	} {
		if _, ok := got.rows[folder+name]; !ok {
			t.Fatalf("no difference %d, %s, among %q", i, name, names)
		}
	}
	list := string(got.content(t, folder+"history.jsonl"))
	if n := strings.Count(list, `"journal, no copy"`); n != 7 {
		t.Errorf("%d states of which only the journal tells, want 7:\n%s", n, list)
	}
	if !strings.Contains(list, "4fb9fb774c1aaf1db0c3217d309efc4c61ae5dc34c306137d9e61f3310c34721") {
		t.Errorf("the digest of the current config is not there:\n%s", list)
	}
}
