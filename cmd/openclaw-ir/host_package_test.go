//go:build linux

package main_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestHostPackage installs the package that .ci/release made on a booted host, runs the whole runbook from it over SSH, and removes it.
func TestHostPackage(t *testing.T) {
	needHost(t)
	need(t, "npm", "age-keygen", "dpkg-deb")
	release := os.Getenv("OPENCLAW_IR_RELEASE")
	if release == "" {
		t.Skip("installs what was released: set OPENCLAW_IR_RELEASE to the directory that .ci/release filled")
	}
	debs, err := filepath.Glob(filepath.Join(release, "openclaw-ir_*_"+runtime.GOARCH+".deb"))
	if err != nil || len(debs) != 1 {
		t.Fatalf("packages in %q: %q, %v", release, debs, err)
	}
	t.Parallel()
	unpacked := t.TempDir()
	run(t, exec.Command("dpkg-deb", "-x", debs[0], unpacked))
	v := newVictim(bootHost(t, filepath.Join(unpacked, "usr/bin/openclaw-ir"), install(t, newest)))
	v.weaken(t, newest)
	v.runAway(t)
	if err := os.Remove(filepath.Join(v.root, "usr/local/bin/openclaw-ir")); err != nil {
		t.Fatal(err)
	}
	v.openSession(t)
	t.Run("install", func(t *testing.T) { v.installPackage(t, debs[0]) })
	t.Run("doctor", func(t *testing.T) {
		v.tool(t, -1, v.inSession("openclaw-ir", "doctor", "--json"))
		for _, part := range []string{"rights", "program", "firewall", "way in", "case", "keys"} {
			if line := `"part":"` + part + `","state":"ok"`; !strings.Contains(v.said[len(v.said)-1], line) {
				t.Errorf("the doctor does not say %s:\n%s", line, v.said[len(v.said)-1])
			}
		}
	})
	t.Run("runbook", func(t *testing.T) {
		v.tool(t, -1, v.inSession("openclaw-ir", "run", "--yes", "--out", "/root/new-tokens", "--json"))
		exits := stepExits(v.said[len(v.said)-1])
		for _, step := range []string{"contain", "collect", "rotate", "analyze", "report"} {
			if code, ok := exits[step]; !ok || code != 0 && code != 3 && code != 4 {
				t.Errorf("%s ended with %d (run: %v)\n%s", step, code, ok, tail([]byte(v.said[len(v.said)-1])))
			}
		}
		v.checkIdle(t)
		v.tool(t, 0, v.inSession("openclaw-ir", "contain", "status", "--json"))
		v.tool(t, 0, v.inSession("openclaw-ir", "case", "verify"))
	})
	t.Run("remove", func(t *testing.T) { v.removePackage(t) })
	v.checkSecrets(t)
}

// installPackage installs it and looks whether what it brought works and nothing else changed.
func (v *victim) installPackage(t *testing.T, deb string) {
	units := func() string { return output(t, v.command("systemctl", "list-unit-files", "--no-legend")) }
	before := units()
	run(t, exec.Command("cp", deb, filepath.Join(v.root, "root/openclaw-ir.deb")))
	run(t, v.command("dpkg", "-i", "/root/openclaw-ir.deb"))
	if now := units(); now != before {
		t.Errorf("installing changed units:\n%s", lineDiff(before, now))
	}
	version, _, _ := strings.Cut(strings.ReplaceAll(output(t, exec.Command("dpkg-deb", "-f", deb, "Version")), "~", "_"), "-")
	version = strings.ReplaceAll(version, "_", "-")
	if got, want := output(t, v.command("openclaw-ir", "--version")), "openclaw-ir version v"+version+"\n"; got != want {
		t.Errorf("says %q, want %q", got, want)
	}
	if output(t, v.command("zcat", "/usr/share/man/man1/openclaw-ir.1.gz")) != output(t, v.command("openclaw-ir", "man")) {
		t.Error("the manual page is not this program's")
	}
	run(t, v.command("bash", "-c", "source /usr/share/bash-completion/completions/openclaw-ir && complete -p openclaw-ir"))
	if err := os.Rename(filepath.Join(v.root, recipientsFile), filepath.Join(v.root, "etc/openclaw-ir/recipients.txt")); err != nil {
		t.Fatal(err)
	}
}

// removePackage removes it and looks whether the case is left.
func (v *victim) removePackage(t *testing.T) {
	if changed := output(t, v.command("dpkg", "--verify", "openclaw-ir")); changed != "" {
		t.Errorf("what the package brought was changed: %s", changed)
	}
	v.newestCase() // there is one
	run(t, v.command("dpkg", "--purge", "openclaw-ir"))
	for _, name := range []string{casesDir, "etc/openclaw-ir/recipients.txt"} {
		if _, err := os.Stat(filepath.Join(v.root, name)); err != nil {
			t.Errorf("removing the package took more than it brought: %v", err)
		}
	}
	if _, err := os.Stat(filepath.Join(v.root, "usr/bin/openclaw-ir")); err == nil {
		t.Error("the program is still there")
	}
}

// stepExits are the exit codes of the steps in what run printed as JSON.
func stepExits(text string) map[string]int {
	exits := map[string]int{}
	for line := range strings.Lines(text) {
		var r struct {
			Record, Stage string
			Exit          *int
		}
		if json.Unmarshal([]byte(line), &r) == nil && r.Record == "result" && r.Exit != nil {
			exits[r.Stage] = *r.Exit
		}
	}
	return exits
}

func output(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	text, err := cmd.Output()
	if err != nil {
		t.Fatalf("%q: %v", cmd.Args, err)
	}
	return string(text)
}
