package posture

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/statetest"
)

// TestStates runs the checks over every real state, compares them with what the real command of its release printed
// over it, and looks for secrets in what is said.
func TestStates(t *testing.T) {
	recorded := map[string]string{
		"2026.1.30": "2026.1.30", "2026.2.12": "2026.2.12", "2026.3.31": "2026.3.31", "2026.7.1": "2026.7.1", "2026.7.1-live": "2026.7.1-live",
		"2026.9.6/stopped": "2026.9.6-weakened", "2026.9.6/running": "2026.9.6-weakened", "2026.9.6/node-host": "",
	}
	used := map[int]bool{}
	for _, version := range statetest.Versions() {
		t.Run(version, func(t *testing.T) {
			report := stateReport(t, version)
			noSecrets(t, report)
			if recorded[version] == "" {
				return
			}
			name := "state." + strings.ReplaceAll(version, "/", "-")
			agree, differ := compare(t, strings.TrimSuffix(strings.Split(version, "/")[0], "-live"), name, realFindings(t, recorded[version]), report, used)
			t.Logf("%d findings agree, %d differ with a reason; %d checks passed, %d undecided", agree, differ, len(report.Passed), len(report.Undecided))
		})
	}
	stale(t, used, true)
}

// realFindings reads an output of the real command.
func realFindings(t *testing.T, name string) []realFinding {
	t.Helper()
	data, err := os.ReadFile("testdata/recorded/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Findings []realFinding `json:"findings"`
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	return golden.Findings
}

func stateReport(t *testing.T, version string) *Report {
	t.Helper()
	root, err := host.OpenRoot(statetest.Root(t, version))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	found, _ := openclaw.Find(root, openclaw.FindOptions{})
	if len(found) != 1 {
		t.Fatalf("%d installations", len(found))
	}
	report, err := Check(context.Background(), found[0], Options{FS: root, Now: time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)})
	if err != nil {
		t.Fatal(err)
	}
	whole(t, report)
	return report
}

// noSecrets fails if a secret of the states is in the report.
func noSecrets(t *testing.T, report *Report) {
	t.Helper()
	copied := *report
	copied.Installation = nil
	data, err := json.Marshal(copied)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range statetest.Secrets(t) {
		if strings.Contains(string(data), secret) {
			t.Errorf("the report has the secret %q", secret)
		}
	}
}
