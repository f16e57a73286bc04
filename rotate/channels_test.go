package rotate

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

func self() host.Owner { return host.Owner{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())} }

// stateOf writes files below a state directory of this machine, and finds it.
func stateOf(t *testing.T, files map[string]string) (*host.Root, *openclaw.Installation) {
	t.Helper()
	state := filepath.Join(t.TempDir(), ".openclaw")
	files["openclaw.json"] += ""
	for name, text := range files {
		file := filepath.Join(state, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return findState(t, state)
}

// findState returns the installation of a state directory of this machine.
func findState(t *testing.T, state string) (*host.Root, *openclaw.Installation) {
	t.Helper()
	root, err := host.OpenRoot("/")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	found, _ := openclaw.Find(root, openclaw.FindOptions{StateDirs: []string{state}})
	for _, in := range found {
		if in.StateDir == state {
			return root, in
		}
	}
	t.Fatalf("no installation in %q", state)
	return nil, nil
}

func whatsAppState() map[string]string {
	return map[string]string{
		"openclaw.json": `{"channels":{"whatsapp":{"accounts":{"x":{"authDir":"/srv/elsewhere"}}}}}`,
		"credentials/whatsapp/default/creds.json":       `{"noiseKey":1}`,
		"credentials/whatsapp/default/session-1.0.json": `{}`,
		"credentials/whatsapp/default/sub/more.json":    `{}`,
		"credentials/whatsapp/work/creds.json":          `{"noiseKey":2}`,
		"credentials/creds.json":                        `{"noiseKey":3}`,
		"credentials/pre-key-1.json":                    `{}`,
		"credentials/oauth.json":                        `{"other":"things"}`,
	}
}

func accounts(links []Linked) (names []string) {
	for _, l := range links {
		names = append(names, l.Account)
	}
	return names
}

func TestRemoveLinked(t *testing.T) {
	root, in := stateOf(t, whatsAppState())
	links, gaps := WhatsAppLinks(root, in)
	if got := accounts(links); !slices.Equal(got, []string{"default", "work", "default"}) {
		t.Fatalf("accounts %q", got)
	}
	if len(gaps) != 1 || gaps[0].Path != "/srv/elsewhere" {
		t.Errorf("gaps %v", gaps)
	}
	for _, l := range links {
		digests, err := RemoveLinked(self(), in, l)
		if err != nil || len(digests) != len(l.Files) || len(digests) == 0 {
			t.Errorf("%s: %d of %d files, %v", l.Account, len(digests), len(l.Files), err)
		}
	}
	left, err := filepath.Glob(filepath.Join(in.StateDir, "credentials", "*"))
	if err != nil {
		t.Fatal(err)
	}
	if len(left) != 2 || filepath.Base(left[0]) != "oauth.json" || filepath.Base(left[1]) != "whatsapp" {
		t.Errorf("left: %q", left)
	}
	if rest, _ := os.ReadDir(left[1]); len(rest) > 0 {
		t.Errorf("left of the accounts: %v", rest)
	}
}

// TestRemoveLinkedLeavesAlone what is not what was listed, and what a link leads to.
func TestRemoveLinkedLeavesAlone(t *testing.T) {
	root, in := stateOf(t, whatsAppState())
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, []byte(`{}`), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(in.StateDir, "credentials", "whatsapp")
	links, _ := WhatsAppLinks(root, in)
	first := links[0]
	if err := os.WriteFile(filepath.Join(dir, "default", "creds.json"), []byte(`{"noiseKey":9}`), 0o600); err != nil {
		t.Fatal(err)
	}
	session := filepath.Join(dir, "default", "session-1.0.json")
	if err := errors.Join(os.Remove(session), os.Symlink(outside, session)); err != nil {
		t.Fatal(err)
	}
	removed, err := RemoveLinked(self(), in, first)
	if !errors.Is(err, host.ErrChanged) || !errors.Is(err, host.ErrSpecial) {
		t.Errorf("error %v", err)
	}
	if len(removed) != 1 || !strings.HasSuffix(removed[0].Name, "more.json") {
		t.Errorf("removed %v", removed)
	}
	for _, file := range []string{outside, filepath.Join(dir, "default", "creds.json")} {
		if _, err := os.Stat(file); err != nil {
			t.Error(err)
		}
	}

	second := links[1]
	second.Dir = filepath.Join(in.StateDir, "credentials")
	if removed, err := RemoveLinked(self(), in, second); err == nil || len(removed) > 0 {
		t.Errorf("removed %v from elsewhere, %v", removed, err)
	}
	third := links[1]
	third.Files = []LinkedFile{{Path: outside}}
	if removed, err := RemoveLinked(self(), in, third); err == nil || len(removed) > 0 {
		t.Errorf("removed %v from outside, %v", removed, err)
	}

	// An account that is a link is not gone into.
	if err := errors.Join(os.RemoveAll(filepath.Join(dir, "work")), os.Symlink(filepath.Dir(outside), filepath.Join(dir, "work"))); err != nil {
		t.Fatal(err)
	}
	links, gaps := WhatsAppLinks(root, in)
	for _, l := range links {
		if l.Account == "work" {
			t.Errorf("took %+v", l)
		}
	}
	if len(gaps) != 3 {
		t.Errorf("gaps %v", gaps)
	}
}
