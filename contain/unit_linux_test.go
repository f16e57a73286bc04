package contain

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/google/go-cmp/cmp"
)

// TestDropInCounts: a unit is kept down only if what its manager goes by is our drop-in: a user's file of the same name stands in its place.
func TestDropInCounts(t *testing.T) {
	dir, unit := t.TempDir(), Unit{Name: "openclaw-gateway.service"}
	place := func(where string, text []byte) string {
		file := filepath.Join(dir, where, unit.Name+".d", dropInName)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, text, 0o644); err != nil {
			t.Fatal(err)
		}
		return file
	}
	ours := place("ours", dropIn(unit))
	root := filepath.Join(dir, "root")
	if err := os.MkdirAll(filepath.Join(root, "run/systemd/system"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, paths string
		ok          bool
	}{
		{"ours", "/a/10-x.conf " + ours, true},
		{"a copy of ours", place("copy", dropIn(unit)), true},
		{"an empty file of its name", place("empty", nil), false},
		{"a link of its name to nothing", "/a/10-x.conf", false},
		{"one after it", ours + " /a/~~~~~.conf", false},
	} {
		c := newContainment(t, &scripted{say: func([]string) string {
			return "LoadState=loaded\nActiveState=inactive\nUnitFileState=disabled\nDropInPaths=" + tc.paths + "\n"
		}})
		r, err := host.OpenRoot(root)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		_, now, err := host.ReadFile(us(), ours)
		if err != nil {
			t.Fatal(err)
		}
		c.Root, c.Journal.Files = r, []File{{Path: ours, Owner: us(), After: now}}
		if check := c.verifyUnit(t.Context(), unit); check.OK != tc.ok || !check.OK && !strings.Contains(check.Hint, "again") {
			t.Errorf("%s: %+v", tc.name, check)
		}
	}
}

// TestRivals finds on the disk what a held manager would go by once it is let go.
func TestRivals(t *testing.T) {
	dir := t.TempDir()
	files := []string{
		"etc/passwd",
		"home/claw/.config/systemd/user/openclaw-gateway.service.d/" + dropInName,
		"home/claw/.config/systemd/user/openclaw-gateway.service.d/override.conf",
		"home/claw/.config/systemd/user.control/service.d/~~~~~.conf",
		"home/claw/.local/share/systemd/user/openclaw-gateway.service.d/~~~~~.conf",
		"home/claw/.local/share/systemd/user/openclaw-.service.d/~~~~~.conf",
		"run/user/1000/systemd/transient/openclaw-gateway.service.d/~~~~~.conf",
		"home/claw/.config/systemd/user/other.service.d/~~~~~.conf",
	}
	for _, name := range files {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte("claw:x:1000:1000::/home/claw:/bin/sh\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	root, err := host.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	m := Machine{Root: root, UID: os.Geteuid()}
	want := []string{"/" + files[1], "/" + files[3], "/" + files[4], "/" + files[5], "/" + files[6]}
	if diff := cmp.Diff(want, m.rivals(Unit{Name: "openclaw-gateway.service", User: true, UID: 1000})); diff != "" {
		t.Errorf("rivals (-want +got):\n%s", diff)
	}
}
