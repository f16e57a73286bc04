package sigma

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// processFields are the fields of process_creation that an agent's record can fill.
var processFields = []string{"CommandLine", "CurrentDirectory", "Image", "ParentImage", "User"}

// rulesBelow parses every rule file below a directory. The errors are by file.
func rulesBelow(t *testing.T, dir string) (rules []*Rule, errs map[string]error) {
	t.Helper()
	errs = make(map[string]error)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".yml" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		found, err := Parse(name, text)
		if err != nil {
			errs[name] = err
		}
		rules = append(rules, found...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return rules, errs
}

// TestSigmaHQ reads a copy of the repository SigmaHQ/sigma and says which of its rules can be applied.
func TestSigmaHQ(t *testing.T) {
	root := os.Getenv("OPENCLAW_IR_SIGMAHQ")
	if root == "" {
		t.Skip("OPENCLAW_IR_SIGMAHQ does not name a copy of SigmaHQ/sigma")
	}
	for _, product := range []string{"linux", "macos"} {
		rules, errs := rulesBelow(t, filepath.Join(root, "rules", product, "process_creation"))
		for name, err := range errs {
			t.Errorf("%s: %v", name, err)
		}
		missing := make(map[string][]string)
		usable := 0
		for _, r := range rules {
			lacks := slices.DeleteFunc(r.Fields(), func(f string) bool { return slices.Contains(processFields, f) })
			if len(lacks) == 0 {
				usable++
			}
			if r.Inactive != "" {
				t.Errorf("%s is not applied: %s", r.File, r.Inactive)
			}
			for _, field := range lacks {
				missing[field] = append(missing[field], strings.TrimSuffix(filepath.Base(r.File), ".yml"))
			}
		}
		t.Logf("%s: %d of %d rules need only %s", product, usable, len(rules), strings.Join(processFields, ", "))
		for field, names := range missing {
			t.Logf("%s: %d rules ask for %s: %s", product, len(names), field, strings.Join(names, " "))
		}
	}
	everything(t, filepath.Join(root, "rules"))
}

// everything reads all rules for all products. Each must load or be refused for one of the reasons counted here.
func everything(t *testing.T, dir string) {
	rules, errs := rulesBelow(t, dir)
	counts := make(map[string]int)
	quoted := regexp.MustCompile(`^.*?: document \d+: |(?s)\n.*`)
	for _, err := range errs {
		counts["refused: "+quoted.ReplaceAllString(err.Error(), "")]++
	}
	for _, r := range rules {
		if r.Inactive != "" {
			counts["loaded, not applied: "+r.Inactive]++
		} else {
			counts["loaded and applied"]++
		}
	}
	var lines []string
	for reason, n := range counts {
		lines = append(lines, fmt.Sprintf("%5d %s", n, reason))
	}
	slices.Sort(lines)
	slices.Reverse(lines)
	t.Logf("%d rules, %d files refused\n%s", len(rules), len(errs), strings.Join(lines, "\n"))
	if _, err := NewSet(rules); err != nil {
		t.Error(err)
	}
}
