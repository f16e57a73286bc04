package posture

import (
	"slices"
	"strings"
	"testing"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

// weakBind stands for the checks: it finds a gateway that others reach, and one without a token.
func weakBind(c *openclaw.Config) (found []Finding) {
	if b := c.String("gateway", "bind"); b != "" && b != "loopback" {
		found = append(found, Finding{ID: "bind", Where: "gateway.bind"})
		if c.String("gateway", "auth", "mode") == "none" {
			found = append(found, Finding{ID: "open", Where: "gateway.auth.mode"})
		}
	}
	return found
}

// TestSince says when a weakness held, and no more precisely than is known.
func TestSince(t *testing.T) {
	a, b := bind("loopback"), bind("lan")
	open := `{"gateway":{"bind":"lan","auth":{"mode":"none"}},"logging":{"level":"debug"}}`
	for _, test := range []struct {
		name string
		make func(*rig)
		want []string
	}{
		{"from one write to another", func(r *rig) {
			r.file("", a, "10:00:00.5")
			r.file(".bak", b, "10:00:00.4")
			r.write("08:00:00", "", sum(a), "onboard")
			r.write("09:00:00", sum(a), sum(b), "config", "set", "gateway.bind", "lan")
			r.write("10:00:00", sum(b), sum(a), "config", "set", "gateway.bind", "loopback")
		}, []string{"bind gateway.bind: from 2026-11-20T09:00:00Z, until 2026-11-20T10:00:00Z by openclaw cli"}},
		{"twice, and still", func(r *rig) {
			r.file("", b, "11:00:00.5")
			r.file(".bak", a, "11:00:00.4")
			r.write("08:00:00", "", sum(b), "onboard")
			r.write("10:00:00", sum(b), sum(a), "config", "set", "gateway.bind", "loopback")
			r.write("11:00:00", sum(a), sum(b), "gateway")
		}, []string{
			"bind gateway.bind: from 2026-11-20T08:00:00Z, until 2026-11-20T10:00:00Z by openclaw cli",
			"bind gateway.bind: since 2026-11-20T11:00:00Z by gateway",
		}},
		{"in the oldest version that is kept, and said before", func(r *rig) {
			r.file("", b, "09:00:00.5")
			r.write("07:00:00", "", sum(a)[:63]+"0", "onboard")
			r.write("08:00:00", sum(a)[:63]+"0", sum(a)[:63]+"1", "config", "set", "gateway.bind", "lan")
			r.write("09:00:00", sum(a)[:63]+"1", sum(b), "config", "set", "logging.level", "debug")
		}, []string{"bind gateway.bind: since 2026-11-20T09:00:00Z at the latest, set by a command at 2026-11-20T08:00:00Z"}},
		{"no journal", func(r *rig) {
			r.file("", b, "10:00:00.5")
			r.file(".bak", a, "09:00:00.1")
		}, []string{"bind gateway.bind: since between 2026-11-20T09:00:00.1Z and 2026-11-20T10:00:00.5Z"}},
		{"between two versions, by what the commands between them say", func(r *rig) {
			r.file("", open, "11:00:00.5")
			r.file(".bak.1", a, "09:00:00.1")
			r.write("08:00:00", "", sum(a), "onboard")
			r.write("09:00:00", sum(a), sum(b), "config", "set", "gateway.auth.mode", "none") // bytes of another version, not kept
			r.write("10:00:00", sum(b), sum(a)[:63]+"2", "config", "set", "gateway.bind", "lan")
			r.write("11:00:00", sum(a)[:63]+"2", sum(open), "config", "set", "logging.level", "debug")
		}, []string{
			"bind gateway.bind: since 2026-11-20T10:00:00Z by openclaw cli",
			"open gateway.auth.mode: since 2026-11-20T10:00:00Z by openclaw cli",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig()
			test.make(r)
			p, _ := r.past(t)
			if got := sinceLines(p.Since(t.Context(), weakBind)); !slices.Equal(got, test.want) {
				t.Errorf("got %s\nwant %s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
}

func sinceLines(windows map[Weakness][]Window) (lines []string) {
	weak := map[Weakness]bool{}
	for w := range windows {
		weak[w] = true
	}
	for _, w := range sortedWeaknesses(weak) {
		for _, win := range windows[w] {
			lines = append(lines, w.Check+" "+w.Where+": "+win.String())
		}
	}
	return lines
}

// TestSinceStates dates what was weakened in the state of 2026.9.6 with its real checks.
func TestSinceStates(t *testing.T) {
	in, fsys := stateInstallation(t, "2026.9.6/stopped")
	p, _ := History(t.Context(), fsys, in)
	windows := p.Since(t.Context(), weakBind)
	w := windows[Weakness{"bind", "gateway.bind"}]
	if len(w) != 1 || !w[0].Holds || w[0].From.String() != "2026-11-22T08:23:19.831Z" || w[0].By != ByCLI || !strings.Contains(w[0].Command, "config patch") {
		t.Errorf("windows %+v", windows)
	}
}
