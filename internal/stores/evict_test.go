package stores

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/clawbook/openclaw-ir/internal/statetest"
)

func TestEvict(t *testing.T) {
	t.Parallel()
	for version, want := range map[string][]string{
		"2026.1.30": {"device operator linux"}, "2026.2.12": {"device operator linux"}, "2026.3.31": {"device operator linux"},
		"2026.7.1": nil, "2026.9.6/running": {"device node linux"},
	} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			m := unpack(t, version)
			before := statetest.Snapshot(t, m.dir)
			allowed := FilesToChange(m.fsys, m.in, KindDevices)
			devices, gaps := Devices(context.Background(), m.fsys, m.in)
			var got []string
			for _, d := range devices {
				got = append(got, d.Kind+" "+d.Role+" "+d.Platform)
				if len(d.ID) != 64 || d.Since.IsZero() {
					t.Errorf("%+v", d)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" || gaps != nil {
				t.Errorf("devices (-want +got): %v\n%s", gaps, diff)
			}
			noSecret(t, devices)
			done, err := EvictDevices(context.Background(), m.owner, m.in)
			if err != nil || len(done) != len(want) {
				t.Error(done, err)
			}
			if left, gaps := Devices(context.Background(), m.fsys, m.in); left != nil || gaps != nil {
				t.Error(left, gaps)
			}
			m.onlyChanged(t, before, allowed)
			m.keptOwners(t)
		})
	}
}

// TestEvictEverything: each table and file that lets something in, those of both eras at once.
func TestEvictEverything(t *testing.T) {
	t.Parallel()
	m := unpack(t, "2026.7.1")
	m.sql(t, sharedDB, `INSERT INTO device_pairing_pending(request_id, device_id, public_key, ts) VALUES ('r', 'd', 'k', 1);
		INSERT INTO device_bootstrap_tokens(token_key, token, ts, issued_at_ms) VALUES ('the-secret', 'the-secret', 1, 1);`)
	m.plant(t, map[string]string{
		"devices/paired.json": `{"a":{"tokens":{"node":{"token":"the-secret"}}}}`, "devices/pending.json": `{"b":{}}`,
		"devices/bootstrap.json": `{"the-secret":{"deviceId":"c","issuedAtMs":5}}`, "nodes/paired.json": `{"d":{"token":"the-secret"}}`, "nodes/pending.json": `broken`,
	})
	devices, gaps := Devices(context.Background(), m.fsys, m.in)
	if len(devices) != 6 || len(gaps) != 1 || !strings.HasSuffix(gaps[0].Path, "nodes/pending.json") {
		t.Error(devices, gaps)
	}
	if b, _ := json.Marshal(devices); strings.Contains(string(b), "the-secret") {
		t.Errorf("%s", b)
	}
	if _, err := EvictDevices(context.Background(), m.owner, m.in); err != nil {
		t.Error(err)
	}
	if left, gaps := Devices(context.Background(), m.fsys, m.in); left != nil || gaps != nil {
		t.Error(left, gaps)
	}
}

func noSecret(t *testing.T, v any) {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range statetest.Secrets(t) {
		if strings.Contains(string(b), s) {
			t.Errorf("holds the secret %q", s)
		}
	}
}

// stored lists the entries of the stores, and counts those of the config.
func (m machine) stored(t *testing.T) (list []string, config int) {
	t.Helper()
	entries, gaps := Allowed(context.Background(), m.fsys, m.in)
	if gaps != nil {
		t.Error(gaps)
	}
	noSecret(t, entries)
	for _, e := range entries {
		if e.Config {
			config++
			continue
		}
		list = append(list, e.Kind+" "+e.Channel+" "+e.Account+" "+e.Entry)
	}
	return list, config
}

func TestResetPairing(t *testing.T) {
	t.Parallel()
	for version, want := range map[string][]string{
		"2026.1.30":        {"allow signal  +15550003333", "request signal  +15550004444"},
		"2026.3.31":        {"allow signal default +15550003333", "request signal default +15550004444"},
		"2026.7.1":         {"allow signal default +15550003333", "request signal default +15550004444"},
		"2026.9.6/stopped": {"allow telegram default 555000111", "request telegram default 666000222"},
	} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			m := unpack(t, version)
			before := statetest.Snapshot(t, m.dir)
			files := FilesToChange(m.fsys, m.in, KindPairing)
			got, config := m.stored(t)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("entries (-want +got):\n%s", diff)
			}
			if _, err := ResetPairing(context.Background(), m.owner, m.in); err != nil {
				t.Error(err)
			}
			if left, still := m.stored(t); left != nil || still != config || config == 0 {
				t.Errorf("left %q, %d of the config's %d", left, still, config)
			}
			m.onlyChanged(t, before, files)
			m.keptOwners(t)
		})
	}
}
