package posture

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

// A difference is a check on which `openclaw security audit` and this package do not agree, and why. Release and case
// may be "*".
type difference struct{ release, name, id, why string }

const (
	missed = "-" // before an id: the real command has it, we do not
	ours   = "+" // we have it, the real command does not
)

// TestAgreesWithTheRealAudit compares check by check with what `openclaw security audit --json` of each release printed
// over the same tree of files.
func TestAgreesWithTheRealAudit(t *testing.T) {
	cases, err := filepath.Glob("testdata/audit/*/*.txtar")
	if err != nil || len(cases) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	used := map[int]bool{}
	agree, differ := map[string]int{}, map[string]int{}
	for _, file := range cases {
		release, name := filepath.Base(filepath.Dir(file)), strings.TrimSuffix(filepath.Base(file), ".txtar")
		t.Run(release+"/"+name, func(t *testing.T) {
			real, report := auditCase(t, file, release)
			a, d := compare(t, release, name, real, report, used)
			agree[release], differ[release] = agree[release]+a, differ[release]+d
		})
	}
	stale(t, used, false)
	for release, n := range agree {
		t.Logf("%s: %d findings agree, %d differ with a reason", release, n, differ[release])
	}
}

// stale fails for every explanation of the states, or of the cases, that explains nothing any more.
func stale(t *testing.T, used map[int]bool, states bool) {
	t.Helper()
	for i, d := range explained {
		if !used[i] && strings.HasPrefix(d.name, "state.") == states {
			t.Errorf("the difference %+v does not occur any more", d)
		}
	}
}

// realFinding is a finding of the real command.
type realFinding struct {
	CheckID  string `json:"checkId"`
	Severity string `json:"severity"`
	Detail   string `json:"detail"`
}

// compare fails for every difference without an explanation. It counts what agrees and what differs.
func compare(t *testing.T, release, name string, real []realFinding, report *Report, used map[int]bool) (agree, differ int) {
	t.Helper()
	want, have, families := map[string]string{}, map[string]string{}, map[string]string{}
	for _, f := range real {
		want[f.CheckID] = worst(want[f.CheckID], f.Severity)
	}
	for _, f := range report.Findings {
		if f.Source == OpenClaw {
			have[f.ID] = worst(have[f.ID], realName(f.Level.String()))
			families[f.ID] = f.Check()
		}
	}
	known := knownTo(t, release)
	explain := func(id, what string) {
		t.Helper()
		if family := families[strings.TrimLeft(id, "+-!")]; strings.HasPrefix(id, ours) && !known[family] {
			differ++ // the audit of that release has no such check
			return
		}
		for i, d := range explained {
			if fits(d.release, release) && fits(d.name, name) && fits(d.id, id) {
				used[i] = true
				differ++
				return
			}
		}
		t.Errorf("no explanation for %s: %s", id, what)
	}
	for id, level := range want {
		switch have[id] {
		case level:
			agree++
		case "":
			explain(missed+id, "the real command has it as "+level)
		default:
			explain("!"+id, fmt.Sprintf("the real command says %s, we say %s", level, have[id]))
		}
	}
	for id, level := range have {
		if want[id] == "" {
			explain(ours+id, "we have it as "+level)
		}
	}
	return agree, differ
}

// knownTo returns the ids that stand in the code of a release's audit.
func knownTo(t *testing.T, release string) map[string]bool {
	t.Helper()
	data, err := os.ReadFile("testdata/audit/" + release + "/ids.txt")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, id := range strings.Fields(string(data)) {
		known[id] = true
	}
	return known
}

func fits(pattern, s string) bool {
	ok, err := path.Match(strings.ReplaceAll(pattern, "**", "*"), strings.ReplaceAll(s, "/", "."))
	return err == nil && ok
}

// realName is a level in the words of the real command.
func realName(level string) string {
	if level == "medium" {
		return "warn"
	}
	return level
}

func worst(a, b string) string {
	order := []string{"", "info", "low", "warn", "high", "critical"}
	if slices.Index(order, b) > slices.Index(order, a) {
		return b
	}
	return a
}

// auditCase builds the tree of a case and returns what the real command said and what we say.
func auditCase(t *testing.T, file, release string) ([]realFinding, *Report) {
	t.Helper()
	a, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Findings []realFinding `json:"findings"`
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "etc/passwd"), fmt.Appendf(nil, "claw:x:%d:%d::/home/claw:/bin/bash\n", os.Getuid(), os.Getgid()))
	tree := ""
	for _, f := range a.Files {
		switch f.Name {
		case "audit.json":
			if err := json.Unmarshal(f.Data, &golden); err != nil {
				t.Fatal(err)
			}
		case "tree":
			tree = string(f.Data)
		default:
			write(t, filepath.Join(dir, "home/claw", f.Name), f.Data)
		}
	}
	shape(t, filepath.Join(dir, "home/claw"), tree)
	return golden.Findings, check1(t, dir, release)
}

// check1 runs every check over the one installation of a host.
func check1(t *testing.T, dir, release string) *Report {
	t.Helper()
	root, err := host.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	found, gaps := openclaw.Find(root, openclaw.FindOptions{})
	if len(found) != 1 {
		t.Fatalf("%d installations, gaps %v", len(found), gaps)
	}
	if release != "" {
		found[0].Version = release
	}
	report, err := Check(context.Background(), found[0], Options{FS: root})
	if err != nil {
		t.Fatal(err)
	}
	whole(t, report)
	return report
}

// whole fails unless every id is in exactly one of the lists.
func whole(t *testing.T, r *Report) {
	t.Helper()
	in := map[string]int{}
	found := map[string]bool{}
	for _, f := range r.Findings {
		found[f.Check()] = true
	}
	for id := range found {
		in[id]++
	}
	for _, id := range r.Passed {
		in[id]++
	}
	for _, u := range r.Undecided {
		in[u.ID]++
	}
	for _, id := range IDs() {
		if in[id] != 1 {
			t.Errorf("%s is in %d lists", id, in[id])
		}
		delete(in, id)
	}
	if len(in) > 0 {
		t.Errorf("not known: %v", in)
	}
}

func write(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// shape makes what a case's list of the tree says: "MODE PATH", "MODE PATH/" for a directory, "link PATH TARGET".
func shape(t *testing.T, home, tree string) {
	t.Helper()
	modes := map[string]os.FileMode{}
	for line := range strings.Lines(tree) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		file := filepath.Join(home, f[1])
		if f[0] == "link" {
			if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(f[2], file); err != nil {
				t.Fatal(err)
			}
			continue
		}
		mode, err := strconv.ParseUint(f[0], 8, 32)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(f[1], "/") {
			if err := os.MkdirAll(file, 0o700); err != nil {
				t.Fatal(err)
			}
		} else if _, err := os.Lstat(file); err != nil {
			write(t, file, nil)
		}
		modes[file] = os.FileMode(mode)
	}
	files := make([]string, 0, len(modes))
	for file := range modes {
		files = append(files, file)
	}
	sort.Sort(sort.Reverse(sort.StringSlice(files))) // what lies deep first: a directory may lose its permissions
	for _, file := range files {
		if err := os.Chmod(file, modes[file]); err != nil {
			t.Fatal(err)
		}
	}
}
