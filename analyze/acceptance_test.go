package analyze

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/clawbook/openclaw-ir/analyze/rules"
	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/ioc"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/severity"
	"github.com/clawbook/openclaw-ir/internal/statetest"
)

// found looks for findings in a directory that is laid out as a host, with the whole catalogue.
func found(t *testing.T, dir string) *FindingsReport {
	t.Helper()
	root, err := host.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	o := FindingsOptions{Find: openclaw.FindOptions{UID: -1}, Now: time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)}
	if o.Rules, err = rules.Load(); err != nil {
		t.Fatal(err)
	}
	if o.Indicators, err = ioc.Builtin(); err != nil {
		t.Fatal(err)
	}
	r, err := Findings(context.Background(), root, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// expected is what testdata/scenarios/expected.json says of one scenario.
type expected struct {
	Rules []string
	Cause struct{ Action, Input string }
}

// TestScenariosAreFound looks in the states of ten incidents, made by attacking real gateways, for every rule that must be
// met there, and for the input that led to the attack's main deed.
func TestScenariosAreFound(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "testdata", "scenarios", "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]expected{}
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	for i, name := range statetest.Scenarios() {
		if statetest.Raced() && i%4 != 0 {
			continue
		}
		t.Run(name, func(t *testing.T) {
			r := found(t, statetest.Scenario(t, name))
			met := map[string]severity.Level{}
			for _, f := range r.Findings {
				met[f.Rule.Key()] = max(met[f.Rule.Key()], f.Level)
				if f.Level >= explained && f.Cause == nil {
					t.Errorf("%s at %v has no cause, not even that none was found", f.Rule.Key(), f.Level)
				}
			}
			for _, rule := range want[name].Rules {
				if _, ok := met[rule]; !ok {
					t.Errorf("%s was not found", rule)
				}
			}
			hasCause(t, r, want[name])
		})
	}
}

// hasCause checks that a finding of the deed names the input.
func hasCause(t *testing.T, r *FindingsReport, want expected) {
	t.Helper()
	var seen []string
	for _, f := range r.Findings {
		if f.Event == nil || !strings.Contains(f.Event.What, want.Cause.Action) || f.Cause == nil {
			continue
		}
		for _, l := range f.Cause.Chain {
			seen = append(seen, string(f.Cause.Grade)+" "+string(l.Role)+" "+start(l.Event.What, 200))
			if (strings.Contains(l.Event.What, want.Cause.Input) || strings.Contains(l.Quote, want.Cause.Input)) && l.Input {
				return
			}
		}
	}
	t.Errorf("no finding of %q names an input with %q; links: %q", want.Cause.Action, want.Cause.Input, seen)
}

// TestNothingGraveInOrdinaryWork matches ordinary work in the records of each release: nothing of it may be at high or
// above.
func TestNothingGraveInOrdinaryWork(t *testing.T) {
	for i, version := range statetest.BenignVersions() {
		if statetest.Raced() && i > 0 {
			continue
		}
		t.Run(version, func(t *testing.T) {
			r := found(t, statetest.Benign(t, version, 1))
			if r.Coverage.Events < 2000 {
				t.Errorf("only %d events", r.Coverage.Events)
			}
			for _, f := range r.Findings {
				if f.Level >= severity.High {
					what := f.Path + " " + f.Excerpt
					if f.Event != nil {
						what = start(f.Event.What, 300)
					}
					t.Errorf("%v %s %s: %s: %q (%v, %s)", f.Level, f.Rule.Key(), f.Rule.Title, f.Deed(), what, f.Adjusted, f.Excerpt)
				}
			}
		})
	}
}
