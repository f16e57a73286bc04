// Package statetest gives tests the real OpenClaw states of testdata/states and testdata/scenarios, unpacked as the
// file system of the host they came from. It is a test helper: nothing but tests imports it.
package statetest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/clawbook/openclaw-ir/internal/drill"
)

// Versions returns every name that Root takes, oldest release first.
func Versions() []string {
	return []string{
		"2026.1.30", "2026.2.12", "2026.3.31", "2026.7.1", "2026.7.1-live",
		"2026.9.6/stopped", "2026.9.6/running", "2026.9.6/node-host",
	}
}

// Root unpacks the state named version, one of Versions, into a new temporary directory laid out as a host:
// home/claw/.openclaw (home/alice/.openclaw for 2026.9.6), tmp/openclaw and etc/passwd. Modes and modification
// times are the archive's; owners too when the test runs as root. What the archives hold beside the host
// (the printed output of real commands) is left out. It returns the directory's absolute path.
func Root(tb testing.TB, version string) string {
	tb.Helper()
	release, variant, _ := strings.Cut(version, "/")
	return unpacked(tb, filepath.Join(testdata(tb), "states", release+".tar.zst"), variant)
}

// Scenarios returns every name that Scenario takes, in the order of the incidents they follow.
func Scenarios() []string {
	return []string{
		"clawhavoc-skill", "clone-skills", "cve-2026-25253", "clawjacked", "forged-tool-results",
		"log-poisoning", "automation", "forged-exec-events", "approvals", "session-theft",
	}
}

// Scenario unpacks the acceptance scenario of that name, one of Scenarios, into a new temporary directory laid out as
// Root's are, for the user claw. What each must show is in testdata/scenarios/expected.json.
func Scenario(tb testing.TB, name string) string {
	tb.Helper()
	return unpacked(tb, filepath.Join(testdata(tb), "scenarios", name+".tar.zst"), "")
}

func unpacked(tb testing.TB, archive, variant string) string {
	tb.Helper()
	dir := tb.TempDir()
	if err := unpack(dir, archive, variant); err != nil {
		tb.Fatalf("unpacking %q: %v", archive, err)
	}
	return dir
}

// Secrets returns every secret value planted in the states and the scenarios, each once. None may appear in anything
// that is printed or written in clear.
func Secrets(tb testing.TB) []string {
	tb.Helper()
	dir := testdata(tb)
	secretsOnce.Do(func() { secrets, errSecrets = readSecrets(dir) })
	if errSecrets != nil {
		tb.Fatal(errSecrets)
	}
	return slices.Clone(secrets)
}

// The secrets are asked for again and again, once for each field of a document, and stand in many files.
var (
	secretsOnce sync.Once
	secrets     []string
	errSecrets  error
)

func readSecrets(dir string) (all []string, err error) {
	lists, err := filepath.Glob(filepath.Join(dir, "scenarios", "secrets", "*.txt"))
	if err != nil {
		return nil, err
	}
	for _, list := range append(lists, filepath.Join(dir, "states", "secrets.txt")) {
		data, err := os.ReadFile(list)
		if err != nil {
			return nil, err
		}
		all = append(all, strings.Fields(string(data))...)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// Snapshot describes every file under dir, dir itself excepted, by its slash-separated relative path: mode, size,
// modification time in nanoseconds, and the SHA-256 of a regular file or the target of a symbolic link. Two
// snapshots are equal when nothing that a reader must not change was changed between them.
func Snapshot(tb testing.TB, dir string) map[string]string {
	tb.Helper()
	seen := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == dir {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		seen[filepath.ToSlash(rel)], err = describe(name, d)
		return err
	})
	if err != nil {
		tb.Fatalf("snapshot of %q: %v", dir, err)
	}
	return seen
}

func describe(name string, d fs.DirEntry) (string, error) {
	info, err := d.Info()
	if err != nil {
		return "", err
	}
	content := ""
	switch {
	case info.Mode().IsRegular():
		data, err := os.ReadFile(name)
		if err != nil {
			return "", err
		}
		sum := sha256.Sum256(data)
		content = hex.EncodeToString(sum[:])
	case info.Mode()&fs.ModeSymlink != 0:
		if content, err = os.Readlink(name); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%v %d %d %s", info.Mode(), info.Size(), info.ModTime().UnixNano(), content), nil
}

// testdata finds the module's testdata from the package directory that go test runs in.
func testdata(tb testing.TB) string {
	tb.Helper()
	dir, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, "testdata")
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			tb.Fatal("no go.mod above the working directory")
		}
		dir = parent
	}
}

func unpack(dir, archive, variant string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	o := drill.Options{Own: os.Geteuid() == 0}
	if variant != "" {
		o.Place = func(member string) string { return place(member, variant) }
	}
	if err := drill.Unpack(dir, f, o); err != nil {
		return err
	}
	return passwd(dir, variant)
}

// place returns where a member of the archive of 2026.9.6 lies in the host, or "" if it is no part of it. It holds three
// home directories, with the log directory inside them.
func place(member, variant string) string {
	if !drill.Within(member, variant) {
		return ""
	}
	rest := strings.TrimPrefix(strings.TrimPrefix(member, variant), "/")
	if drill.Within(rest, "tmp-openclaw") {
		return "tmp/openclaw" + strings.TrimPrefix(rest, "tmp-openclaw")
	}
	return path.Join("home/alice", rest)
}

func passwd(dir, variant string) error {
	user := "claw:x:4242:4242::/home/claw:/bin/bash\n"
	if variant != "" {
		user = "alice:x:1000:1000::/home/alice:/bin/bash\n"
	}
	if err := os.Mkdir(filepath.Join(dir, "etc"), 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "etc", "passwd"), []byte("root:x:0:0:root:/root:/bin/bash\n"+user), 0o644)
}
