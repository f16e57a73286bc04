package report

import (
	"context"
	"testing"
	"time"

	"github.com/clawbook/openclaw-ir/analyze"
	"github.com/clawbook/openclaw-ir/analyze/posture"
	"github.com/clawbook/openclaw-ir/analyze/rules"
	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/ioc"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/secret"
	"github.com/clawbook/openclaw-ir/internal/severity"
	"github.com/clawbook/openclaw-ir/internal/statetest"
)

// played tells the story of a played incident as far as the evidence goes.
func played(t *testing.T, scenario string) *Story {
	t.Helper()
	root, err := host.OpenRoot(statetest.Scenario(t, scenario))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	ctx, find := context.Background(), openclaw.FindOptions{UID: -1}
	r := &analyze.Renderer{Secrets: secret.NewSet(secret.NewFingerprinter([]byte("test")))}
	s := &Story{Version: Version, Tool: "openclaw-ir (test)", Written: time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)}
	findings(ctx, t, root, r, s)
	timeline, err := analyze.Timeline(ctx, root, analyze.Options{Find: find, Kinds: analyze.Kinds})
	if err != nil {
		t.Fatal(err)
	}
	for e, err := range timeline.Events() {
		if err != nil {
			t.Fatal(err)
		}
		s.Events = append(s.Events, r.Record(e))
	}
	for _, in := range timeline.Installations {
		p, err := posture.Check(ctx, in, posture.Options{FS: root})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range p.Findings {
			s.Posture = append(s.Posture, Weakness{f.ID, f.Level, f.Title, f.Seen, f.Why, f.Fix, f.Where, f.Commands, nil})
		}
		s.Installations = append(s.Installations, Installation{Version: "?", User: in.User, StateDir: in.StateDir, Beyond: "unknown"})
	}
	return s
}

// findings fills in what the rules find.
func findings(ctx context.Context, t *testing.T, root *host.Root, r *analyze.Renderer, s *Story) {
	t.Helper()
	o := analyze.FindingsOptions{Find: openclaw.FindOptions{UID: -1}, Now: s.Written}
	var err error
	if o.Rules, err = rules.Load(); err != nil {
		t.Fatal(err)
	}
	if o.Indicators, err = ioc.Builtin(); err != nil {
		t.Fatal(err)
	}
	found, err := analyze.Findings(ctx, root, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found.Findings {
		rec := r.FindingRecord(f)
		s.Findings = append(s.Findings, rec)
		if rec.Level < severity.High || f.Time == 0 {
			continue
		}
		at := time.UnixMilli(f.Time).UTC()
		if s.Incident.First.IsZero() || at.Before(s.Incident.First) {
			s.Incident.First = at
		}
		if at.After(s.Incident.Last) {
			s.Incident.Last = at
		}
		if rec.Cause != nil && len(rec.Cause.Chain) > 0 && rec.Cause.Chain[0].Input {
			s.Incident.Untrusted = append(s.Incident.Untrusted, rec.Cause.Chain[0])
		}
	}
	s.Coverage = Coverage{Coverage: found.Coverage, Rules: found.Rules, Cut: found.Cut, Lost: found.Lost, Gaps: found.Coverage.Gaps}
}
