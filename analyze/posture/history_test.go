package posture

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/statetest"
)

var update = flag.Bool("update-history", false, "write the golden files of histories anew")

// stateInstallation finds the one installation of a state.
func stateInstallation(tb testing.TB, version string) (*openclaw.Installation, fs.FS) {
	tb.Helper()
	return onlyInstallation(tb, os.DirFS(statetest.Root(tb, version)))
}

func onlyInstallation(tb testing.TB, fsys fs.FS) (*openclaw.Installation, fs.FS) {
	tb.Helper()
	installs, _ := openclaw.Find(fsys, openclaw.FindOptions{UID: -1})
	if len(installs) != 1 {
		tb.Fatalf("%d installations", len(installs))
	}
	return installs[0], fsys
}

// TestHistoryStates compares what is told of every release's configuration with its golden file: all steps, with times and
// who made them, and every leaf that changed. No secret may be in it.
func TestHistoryStates(t *testing.T) {
	for _, v := range statetest.Versions() {
		t.Run(strings.ReplaceAll(v, "/", "-"), func(t *testing.T) {
			in, fsys := stateInstallation(t, v)
			p, gaps := History(t.Context(), fsys, in)
			var out bytes.Buffer
			for i := range p.Steps {
				fmt.Fprintf(&out, "step %d %s\n", i, describeStep(&p.Steps[i]))
			}
			for i := range p.Aside {
				fmt.Fprintf(&out, "aside %s\n", describeStep(&p.Aside[i]))
			}
			for i := range p.Transitions {
				out.WriteString(describeTransition(&p.Transitions[i]) + "\n")
			}
			for _, g := range gaps {
				fmt.Fprintf(&out, "gap %s: %s\n", g.Path, g.What)
			}
			text, err := json.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range statetest.Secrets(t) {
				if strings.Contains(out.String(), s) || strings.Contains(string(text), s) {
					t.Errorf("it shows the secret %q", s)
				}
			}
			compareHistory(t, "history/"+strings.ReplaceAll(v, "/", "-")+".txt", out.Bytes())
		})
	}
}

func compareHistory(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s: got\n%s\nwant\n%s", file, got, want)
	}
}

func describeStep(s *Step) string {
	text := s.SHA256[:min(len(s.SHA256), 12)] + " " + s.From.String() + " by " + string(s.By)
	for _, f := range s.Files {
		text += " " + filepath.Base(f)
	}
	if s.Altered {
		text += " (altered)"
	}
	return text + " | " + s.Command
}

func describeTransition(t *Transition) string {
	what := fmt.Sprintf("%q → %q", t.Previous, t.Value)
	if t.Secret {
		what = "secret changed"
	}
	if t.FromCommand {
		what += " (from the command)"
	}
	return fmt.Sprintf("%d→%d %s %s %s by %s", t.From, t.To, t.Key, what, t.Span(), t.By)
}

// TestHistoryApplies applies what changed from each version to the next to the oldest tree: that must give the newest.
func TestHistoryApplies(t *testing.T) {
	for _, v := range statetest.Versions() {
		in, fsys := stateInstallation(t, v)
		p, _ := History(t.Context(), fsys, in)
		var tree map[string]any
		for i := range p.Steps {
			c := p.Steps[i].Config
			if c == nil {
				continue
			}
			if tree == nil {
				tree = copyTree(c.Tree).(map[string]any)
				continue
			}
			applyAll(tree, differences(tree, c.Tree))
		}
		if in.Config.Tree != nil && !reflect.DeepEqual(tree, in.Config.Tree) {
			t.Errorf("%s: the changes applied to the oldest version do not give the newest", v)
		}
	}
}

// TestDifferencesApply does the same with random trees, and counts leaves: what a change takes away and brings is
// exactly what the two trees do not share.
func TestDifferencesApply(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		a, b := randomTree(r, 3), randomTree(r, 3)
		changes := differences(a, b)
		got := copyTree(a).(map[string]any)
		applyAll(got, changes)
		if !reflect.DeepEqual(got, b) {
			t.Fatalf("%v and the changes to %v give %v", a, b, got)
		}
		count := map[leaf]int{}
		for _, l := range flatten("", a) {
			count[l]++
		}
		for _, c := range changes {
			gone, come := c.leaves()
			for _, l := range gone {
				count[l]--
			}
			for _, l := range come {
				count[l]++
			}
		}
		for _, l := range flatten("", b) {
			count[l]--
		}
		for l, n := range count {
			if n != 0 && l.key != "" { // an empty tree has no leaf of its own in a change
				t.Fatalf("%v to %v: leaf %v is %d too many", a, b, l, n)
			}
		}
	}
}

func applyAll(tree map[string]any, changes []change) {
	for i := range changes {
		changes[i].apply(tree)
	}
}

func randomTree(r *rand.Rand, depth int) map[string]any {
	tree := map[string]any{}
	for range r.IntN(4) {
		tree[string(rune('a'+r.IntN(4)))] = randomValue(r, depth-1)
	}
	return tree
}

func randomValue(r *rand.Rand, depth int) any {
	switch r.IntN(6) {
	case 0:
		return float64(r.IntN(3))
	case 1:
		return r.IntN(2) == 0
	case 2:
		return nil
	case 3:
		list := []any{}
		for range r.IntN(3) {
			list = append(list, string(rune('x'+r.IntN(3))))
		}
		return list
	case 4:
		if depth > 0 {
			return randomTree(r, depth)
		}
	}
	return string(rune('x' + r.IntN(3)))
}

// rig is a state with a configuration, its copies and a journal.
type rig struct {
	files   fstest.MapFS
	journal []map[string]any
}

const rigState = "home/claw/.openclaw/"

func newRig() *rig {
	return &rig{files: fstest.MapFS{"etc/passwd": {Data: []byte("claw:x:1000:1000::/home/claw:/bin/sh\n")}}}
}

// file writes a copy of the configuration and returns its digest.
func (r *rig) file(suffix, text, modified string) string {
	r.files[rigState+"openclaw.json"+suffix] = &fstest.MapFile{Data: []byte(text), Mode: 0o600, ModTime: moment(modified)}
	return sum(text)
}

func (r *rig) write(when, previous, next string, argv ...string) {
	r.record(when, "config.write", previous, next, map[string]any{"result": "rename", "argv": append([]string{"node", "openclaw"}, argv...)})
}

func (r *rig) record(when, event, previous, next string, more map[string]any) {
	row := map[string]any{"ts": moment(when).Format(time.RFC3339Nano), "event": event, "configPath": "/" + rigState + "openclaw.json", "previousHash": previous, "nextHash": next, "existsBefore": previous != ""}
	maps.Copy(row, more)
	r.journal = append(r.journal, row)
}

func (r *rig) past(t *testing.T) (*Past, []openclaw.Gap) {
	t.Helper()
	var lines bytes.Buffer
	for _, row := range r.journal {
		text, err := json.Marshal(row)
		if err != nil {
			t.Fatal(err)
		}
		lines.Write(append(text, '\n'))
	}
	if lines.Len() > 0 {
		r.files[rigState+"logs/config-audit.jsonl"] = &fstest.MapFile{Data: lines.Bytes()}
	}
	in, fsys := onlyInstallation(t, r.files)
	return History(t.Context(), fsys, in)
}

// moment is a time of one day.
func moment(clock string) time.Time {
	t, err := time.Parse("2006-01-02 15:04:05.999", "2026-11-20 "+clock)
	if err != nil {
		panic(err)
	}
	return t
}

func sum(text string) string {
	v := version{}
	p := &pastReader{ctx: context.Background(), fsys: fstest.MapFS{"f": {Data: []byte(text)}}, left: 1 << 20, past: &Past{}}
	v.file = "/f"
	p.read(&v)
	return v.sha256
}

func bind(value string) string { return `{"gateway":{"bind":"` + value + `"}}` }

// TestHistoryPlaces places versions by the journal, the backups and the times, and says no more than they tell.
func TestHistoryPlaces(t *testing.T) {
	a, b, c := bind("loopback"), bind("lan"), bind("tailnet")
	for _, test := range []struct {
		name string
		make func(*rig)
		want []string
	}{
		{"a change that the gateway noticed", func(r *rig) {
			r.file("", b, "10:05:00.5")
			r.file(".bak", a, "09:00:00")
			r.write("08:00:00", "", sum(a), "onboard")
			r.record("10:06:00", "config.external", sum(a), sum(b), map[string]any{"changedPaths": []string{"gateway.bind"}})
		}, []string{"08:00:00 openclaw cli loopback", "08:00:00–10:06:00 external lan"}},
		{"a change that no journal has", func(r *rig) {
			r.file("", c, "11:00:00.5")
			r.write("08:00:00", "", sum(a), "onboard")
			r.write("09:00:00", sum(b), sum(a), "config", "set", "gateway.bind", "loopback")
		}, []string{"08:00:00 openclaw cli -", "08:00:00–09:00:00 unknown -", "09:00:00 openclaw cli -", "09:00:00–11:00:00.5 unknown tailnet"}},
		{"back to what it was", func(r *rig) {
			r.file("", a, "10:00:00.5")
			r.file(".bak", b, "10:00:00.4")
			r.write("08:00:00", "", sum(a), "onboard")
			r.write("09:00:00", sum(a), sum(b), "config", "set", "gateway.bind", "lan")
			r.write("10:00:00", sum(b), sum(a), "gateway", "--port", "1")
		}, []string{"08:00:00 openclaw cli loopback", "09:00:00 openclaw cli lan", "10:00:00 gateway loopback"}},
		{"a write that was refused", func(r *rig) {
			r.file("", a, "08:00:00.5")
			r.write("08:00:00", "", sum(a), "onboard")
			r.record("09:00:00", "config.write", sum(a), sum(b), map[string]any{"result": "rejected"})
			r.file(".rejected.2026-11-20T09-00-00-000Z", b, "09:00:00.5")
		}, []string{"08:00:00 openclaw cli loopback"}},
		{"no journal", func(r *rig) {
			r.file("", c, "10:00:00.2")
			r.file(".bak", b, "10:00:00.1")
			r.file(".bak.1", a, "09:00:00.1")
		}, []string{"–09:00:00.1 unknown loopback", "09:00:00.1–10:00:00.1 unknown lan", "10:00:00.1–10:00:00.2 unknown tailnet"}},
		{"no journal, and times that are those of a copy", func(r *rig) {
			r.file("", c, "12:00:00.5")
			r.file(".bak", b, "12:00:00.5")
			r.file(".bak.1", a, "12:00:00.5")
		}, []string{"–12:00:00.5 unknown loopback", "–12:00:00.5 unknown lan", "–12:00:00.5 unknown tailnet"}},
		{"put aside by OpenClaw", func(r *rig) {
			r.file("", a, "10:00:00.5")
			r.file(".clobbered.2026-11-20T10-00-00-000Z", b, "10:00:00.1")
			r.write("08:00:00", "", sum(a), "onboard")
			r.record("10:00:00.01", "config.observe", "", "", map[string]any{"hash": sum(b), "mtimeMs": float64(moment("09:30:00").UnixMilli()), "backupHash": sum(a), "restoredFromBackup": true})
		}, []string{"08:00:00 openclaw cli loopback", "08:00:00–09:30:00 unknown lan", "10:00:00.01 gateway loopback"}},
		{"put aside, and no journal", func(r *rig) {
			r.file("", a, "10:00:00.5")
			r.file(".clobbered.2026-11-20T09-00-00-000Z", b, "09:00:00.1")
		}, []string{"–09:00:00.999 unknown lan", "–10:00:00.5 unknown loopback"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig()
			test.make(r)
			p, gaps := r.past(t)
			var got []string
			for i := range p.Steps {
				s := &p.Steps[i]
				value := "-"
				if s.Config != nil {
					value = s.Config.String("gateway", "bind")
				}
				got = append(got, clocks(s.From)+" "+string(s.By)+" "+value)
			}
			if !slices.Equal(got, test.want) || len(gaps) > 0 {
				t.Errorf("got %q, gaps %v; want %q", got, gaps, test.want)
			}
		})
	}
}

func clocks(s Span) string {
	clock := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.Format("15:04:05.999")
	}
	if s.Exact() {
		return clock(s.NotBefore)
	}
	return clock(s.NotBefore) + "–" + clock(s.NotAfter)
}

// TestHistoryScrubbed knows a backup in which a secret was replaced since by the time in it.
func TestHistoryScrubbed(t *testing.T) {
	stamp := func(token, when string) string {
		return `{"meta":{"lastTouchedAt":"` + moment(when).Format(time.RFC3339Nano) + `"},"gateway":{"auth":{"token":"` + token + `"}}}`
	}
	old, scrubbed, now := stamp("old-token-0123456789", "08:00:00"), stamp("scrubbed", "08:00:00"), stamp("new-token-0123456789", "09:00:00")
	r := newRig()
	r.file("", now, "09:00:00.1")
	r.file(".bak", scrubbed, "12:00:00.1")
	r.write("08:00:00.1", "", sum(old), "onboard")
	r.write("09:00:00.1", sum(old), sum(now), "config", "set", "gateway.auth.token", "new-token-0123456789")
	p, _ := r.past(t)
	if len(p.Steps) != 2 || !p.Steps[0].Altered || p.Steps[0].Config == nil || p.Steps[1].Altered {
		t.Fatalf("steps %+v", p.Steps)
	}
	if text := fmt.Sprintf("%+v", p.Transitions); len(p.Transitions) != 1 || !p.Transitions[0].Secret || strings.Contains(text, "token-") {
		t.Errorf("transitions %s", text)
	}
	if strings.Contains(p.Steps[1].Command, "new-token") {
		t.Errorf("command %q", p.Steps[1].Command)
	}
}

// TestHistoryHostile gives what cannot be read as gaps.
func TestHistoryHostile(t *testing.T) {
	r := newRig()
	r.file("", bind("lan"), "10:00:00")
	r.file(".bak", `{"a":`, "09:00:00")
	r.file(".bak.1", strings.Repeat(" ", maxVersionBytes+1), "09:00:00")
	r.files[rigState+"openclaw.json.bak.2"] = &fstest.MapFile{Mode: fs.ModeNamedPipe}
	for i := range maxVersions + 8 {
		r.file(fmt.Sprintf(".copy-%d", i), bind("lan"), "09:00:00")
	}
	r.files[rigState+"logs/config-audit.jsonl.migrated"] = &fstest.MapFile{Data: []byte("not json\n{\"ts\":1}\n{}\n")}
	p, gaps := r.past(t)
	if len(p.Steps) == 0 || p.Steps[len(p.Steps)-1].Config.String("gateway", "bind") != "lan" {
		t.Errorf("steps %+v", p.Steps)
	}
	var text strings.Builder
	for _, g := range gaps {
		text.WriteString(g.What + "\n")
	}
	for _, want := range []string{"not JSON5", "larger than", "no regular file", "more than 128 copies", "3 records of configuration changes could not be read"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no gap tells %q: %s", want, &text)
		}
	}
}

func FuzzJournalRow(f *testing.F) {
	f.Add([]byte(`{"ts":"2026-11-22T08:21:06.001Z","event":"config.write","argv":["node","openclaw","config","set","gateway.auth.token","FAKE-token-value"],"previousHash":"` + strings.Repeat("a", 64) + `","nextHash":"` + strings.Repeat("b", 64) + `","changedPaths":["gateway.auth.token"],"result":"rename"}`))
	f.Add([]byte(`{"ts":"2026-11-22T08:21:06.001Z","event":"config.observe","hash":"` + strings.Repeat("c", 64) + `","mtimeMs":1e300,"restoredFromBackup":true,"backupHash":"x"}`))
	f.Add([]byte(`{"ts":"2026-11-22T08:21:48Z","event":"config.external","changedPaths":["","[0]","a..b"],"argv":["a","b","config","set","a[0].b","{\"token\":[1,2,{}]}"]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		rows := [][]byte{text, text}
		p := &pastReader{ctx: t.Context(), past: &Past{}}
		j := &journalReader{pastReader: p, rows: map[string][]journalRow{}, known: map[string]bool{}}
		for _, r := range rows {
			j.take(r)
		}
		for _, list := range j.rows {
			if len(list) != 1 {
				t.Fatalf("a row that comes twice counts %d times", len(list))
			}
			p.masks(nil, list)
			for i := range list {
				p.take(&list[i])
				if len(list[i].argv) > maxJournalWords || len(list[i].next) != 0 && len(list[i].next) != 64 {
					t.Fatalf("row %+v", list[i])
				}
			}
			p.past.transitions(p.mask)
			for _, tr := range p.past.Transitions {
				if tr.To < 0 || tr.To >= len(p.past.Steps) {
					t.Fatalf("transition %+v of %d steps", tr, len(p.past.Steps))
				}
			}
		}
	})
}
