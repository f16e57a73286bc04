package schedule

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/inerttest"
	"github.com/clawbook/openclaw-ir/internal/product"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"mvdan.cc/sh/v3/syntax"
)

var update = flag.Bool("update", false, "write the golden files")

func TestEvery(t *testing.T) {
	for text, want := range map[string][2]string{
		"5m":  {"*-*-* *:0/5:00", "*/5 * * * *"},
		"30m": {"*-*-* *:0/30:00", "*/30 * * * *"},
		"1h":  {"*-*-* 0/1:00:00", "7 */1 * * *"},
		"6h":  {"*-*-* 0/6:00:00", "7 */6 * * *"},
		"1d":  {"*-*-* 00:00:00", "7 0 * * *"},
	} {
		e, err := ParseEvery(text)
		if got := [2]string{e.calendar(), e.cron(7)}; err != nil || got != want || e.String() != text {
			t.Errorf("%q: %q, %q, %v", text, e, got, err)
		}
		if _, err := exec.LookPath("systemd-analyze"); err == nil {
			if out, err := exec.Command("systemd-analyze", "calendar", want[0]).CombinedOutput(); err != nil {
				t.Errorf("systemd does not take %q: %s", want[0], out)
			}
		}
	}
	if e, err := ParseEvery("24h"); err != nil || e.String() != "1d" {
		t.Errorf("24h: %q, %v", e, err)
	}
	for _, text := range []string{"", "0", "7m", "30s", "5h", "25h", "2d", "-1h", "1h30m", "1w", "hourly"} {
		if e, err := ParseEvery(text); err == nil {
			t.Errorf("%q: %v", text, e)
		}
	}
}

func job(more ...string) Job {
	return Job{
		Name: "openclaw-ir-snapshots", Every: Every(time.Hour), Case: "/var/lib/openclaw-ir/snapshots",
		Argv: append([]string{"/usr/bin/openclaw-ir", "collect", "--snapshot", "--case-dir", "/var/lib/openclaw-ir", "--case", "snapshots"}, more...),
	}
}

// jobs are those whose files are golden.
func jobs() map[string]struct {
	kind Kind
	job  Job
} {
	type row = struct {
		kind Kind
		job  Job
	}
	up := job("--to", "s3://evidence/host-1?region=eu", "--notify", "@/var/lib/openclaw-ir/snapshots/notify-address")
	up.Network = true
	disk := job("--to", "/mnt/evidence $HOME 100%", "--state-dir", "/srv/bots/.openclaw")
	disk.Store = "/mnt/evidence $HOME 100%"
	return map[string]row{
		"system": {System, job()}, "upload": {System, up}, "disk": {System, disk}, "user": {User, job()}, "cron": {Cron, disk},
	}
}

// TestFiles compares what is written with golden files, has systemd verify it, and looks that contain would not take it for OpenClaw's.
func TestFiles(t *testing.T) {
	for name, row := range jobs() {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := &Scheduler{Kind: row.kind, dir: dir}
			files, err := s.Files(row.job)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range files {
				golden(t, filepath.Join("testdata", name+filepath.Ext(f.Path)), strings.ReplaceAll(f.Text, fmt.Sprintf("\n%d ", minuteOf()), "\nMINUTE "))
				if product.Mentions(f.Text) {
					t.Errorf("contain would take %s for one of OpenClaw's", f.Path)
				}
				if err := os.WriteFile(f.Path, []byte(f.Text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if row.kind != Cron {
				verifyUnits(t, row.kind, dir)
			}
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s: %s", name, d)
	}
}

// verifyUnits has systemd read the units, and judge how much the service could do if it were taken over.
func verifyUnits(t *testing.T, kind Kind, dir string) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	service, timer := filepath.Join(dir, "openclaw-ir-snapshots.service"), filepath.Join(dir, "openclaw-ir-snapshots.timer")
	text, err := os.ReadFile(service) // in which the program must exist, and the manual page
	if err != nil {
		t.Fatal(err)
	}
	text = []byte(strings.Replace(string(text), "/usr/bin/openclaw-ir", "/usr/bin/env", 1))
	if err := os.WriteFile(service, text, 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", service, timer).CombinedOutput()
	if err != nil || strings.Contains(string(out), "openclaw-ir-snapshots") {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	if kind != System {
		return
	}
	out, err = exec.Command("systemd-analyze", "security", "--offline=true", "--threshold=30", service).CombinedOutput()
	if err != nil {
		t.Errorf("systemd-analyze security: %v\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "exposure level") {
			t.Log(strings.TrimSpace(line))
		}
	}
}

func TestNotWritten(t *testing.T) {
	s := &Scheduler{Kind: System, dir: "/nowhere"}
	for _, program := range []string{"openclaw-ir", "/usr/bin/open claw-ir", "/usr/bin/%n", "/usr/bin/$HOME", "-/usr/bin/x", ""} {
		j := job()
		j.Argv[0] = program
		if _, err := s.Files(j); err == nil {
			t.Errorf("program %q is taken", program)
		}
	}
	if _, err := s.Files(job("--state-dir", "/a\nExecStartPre=/bin/sh")); err == nil {
		t.Error("a line break is taken")
	}
	if _, err := s.Files(job("--state-dir", "/bad\xff")); err == nil {
		t.Error("what is no UTF-8 is taken")
	}
}

// TestSystemdReadsWords has systemd tell which words and paths it reads in units that hold odd ones.
func TestSystemdReadsWords(t *testing.T) {
	const systemd = "/lib/systemd/systemd"
	if _, err := os.Stat(systemd); err != nil {
		t.Skip("systemd is not installed")
	}
	dir, jobs := t.TempDir(), map[string]Job{}
	all := "[Unit]\n"
	for i, path := range []string{"/a b", "/a  b ", `/a"b`, `/a'b`, `/a\b`, `/a\`, "/a;b", "/;", "/100%", "/%n%%", "/$HOME", "/${x}", "/ä 中文", "/a=b:c,d", "/-x", "/#c", "/*"} {
		j := job("--state-dir", path, "--", "end")
		j.Name, j.Argv[0], j.Case, j.Store = fmt.Sprint("odd", i), "/usr/bin/env", path, path
		files, err := (&Scheduler{Kind: System, dir: dir}).Files(j)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			put(t, f.Path, f.Text)
		}
		jobs[j.Name+".service"], all = j, all+"Wants="+j.Name+".service\n"
	}
	put(t, filepath.Join(dir, "all.target"), all)
	seen := 0
	for _, block := range strings.Split(loadedUnits(t, systemd, dir, "all.target"), "-> Unit ") {
		name, text, _ := strings.Cut(block, ":\n")
		j, ok := jobs[name]
		if !ok {
			continue
		}
		seen++
		if got, want := valueIn(text, "ReadWritePaths: "), j.Case+" -"+j.Store; got != want {
			t.Errorf("of paths %q and %q systemd reads %q", j.Case, j.Store, got)
		}
		if diff := cmp.Diff(j.Argv, shellWords(t, valueIn(text, "Command Line: "))); diff != "" {
			t.Errorf("systemd reads other words: %s", diff)
		}
	}
	if seen != len(jobs) {
		t.Errorf("systemd read %d of %d units", seen, len(jobs))
	}
}

func put(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// loadedUnits is what systemd says of the units in a directory that it would start. It says so to nobody who is root.
func loadedUnits(t *testing.T, systemd, dir, unit string) string {
	t.Helper()
	cmd := exec.Command(systemd, "--test", "--user", "--no-pager", "--unit="+unit)
	cmd.Env = []string{"SYSTEMD_UNIT_PATH=" + dir + ":", "XDG_RUNTIME_DIR=" + dir, "HOME=" + dir, "LC_ALL=C.UTF-8"}
	if os.Geteuid() == 0 {
		const nobody = 65534
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		if err := errors.Join(os.Chmod(filepath.Dir(dir), 0o755), os.Chown(dir, nobody, nobody)); err != nil {
			t.Fatal(err)
		}
	}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, err.(*exec.ExitError).Stderr)
	}
	return string(out)
}

// valueIn is what follows a name in the first line that has it.
func valueIn(text, name string) string {
	_, value, _ := strings.Cut(text, name)
	value, _, _ = strings.Cut(value, "\n")
	return value
}

// shellWords are the words of a line that systemd quoted for a shell: in them a dollar is still two.
func shellWords(t *testing.T, line string) (words []string) {
	t.Helper()
	file, err := syntax.NewParser().Parse(strings.NewReader(line), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range file.Stmts[0].Cmd.(*syntax.CallExpr).Args {
		words = append(words, strings.ReplaceAll(literal(word), "$$", "$"))
	}
	return words
}

// A name that somebody made to mislead is refused, or stands in what is written as it does on a terminal.
func TestHostileNames(t *testing.T) {
	for _, p := range inerttest.Payloads {
		for _, kind := range []Kind{System, User, Cron} {
			j := job("--state-dir", "/home/claw/"+p.Text)
			j.Store = "/mnt/" + p.Text
			files, _ := (&Scheduler{Kind: kind, dir: "/nowhere"}).Files(j)
			for _, f := range files {
				inerttest.Lines(t, p.Class, f.Text)
			}
		}
	}
}

// TestWords reads back what was quoted for cron's shell, and for systemd by its own rules.
func TestWords(t *testing.T) {
	for _, w := range []string{"", "plain", "a b", `a"b`, `a'b`, `a\b`, "$HOME", "100%", "a;b", "${x}", "ä", "#x", `"`, `\`} {
		if got := systemdWord(quoted([]string{w})[0]); got != w {
			t.Errorf("%q: systemd reads %q", w, got)
		}
		line := strings.Split(job(w).crontab(), "\n")[2]
		file, err := syntax.NewParser().Parse(strings.NewReader(strings.ReplaceAll(strings.SplitN(line, " root ", 2)[1], `\%`, "%")), "")
		if err != nil {
			t.Fatal(err)
		}
		call := file.Stmts[0].Cmd.(*syntax.BinaryCmd).X.Cmd.(*syntax.CallExpr)
		if got := literal(call.Args[len(call.Args)-1]); got != w {
			t.Errorf("%q: a shell reads %q", w, got)
		}
	}
}

func literal(w *syntax.Word) (text string) {
	for _, part := range w.Parts {
		switch p := part.(type) {
		case *syntax.Lit:
			text += strings.NewReplacer(`\\`, `\`, `\`, "").Replace(p.Value)
		case *syntax.SglQuoted:
			text += p.Value
		case *syntax.DblQuoted:
			for _, q := range p.Parts {
				text += strings.NewReplacer(`\\`, `\`, `\`, "").Replace(q.(*syntax.Lit).Value)
			}
		}
	}
	return text
}

func systemdWord(w string) string {
	if inner, ok := strings.CutPrefix(w, `"`); ok {
		w = strings.NewReplacer(`\\`, `\`, `\"`, `"`).Replace(strings.TrimSuffix(inner, `"`))
	}
	return strings.NewReplacer("%%", "%", "$$", "$").Replace(w)
}

// fakeManager plays systemctl: it knows what is enabled and what is active.
type fakeManager struct {
	said    []string
	enabled bool
	active  bool
	result  string // of the service
	status  int
	fail    string // a command that fails
}

func (f *fakeManager) Run(_ context.Context, c host.Command) host.Result {
	words := strings.Join(c.Argv[2:], " ")
	if f.fail != "" && strings.HasPrefix(words, f.fail) {
		return host.Result{ExitCode: 1, Stderr: []byte("no\n")}
	}
	switch {
	case strings.HasPrefix(words, "show"):
		return host.Result{Stdout: []byte(f.show(c.Argv[len(c.Argv)-1]))}
	case strings.HasPrefix(words, "enable"):
		f.enabled = true
	case strings.HasPrefix(words, "restart"):
		f.active = true
	case strings.HasPrefix(words, "disable"):
		f.enabled, f.active = false, false
	}
	f.said = append(f.said, words)
	return host.Result{}
}

func (f *fakeManager) show(unit string) string {
	if strings.HasSuffix(unit, ".service") {
		return fmt.Sprintf("LoadState=loaded\nActiveState=inactive\nResult=%s\nExecMainStatus=%d\nDropInPaths=\n", f.result, f.status)
	}
	words := map[bool][2]string{true: {"enabled", "active"}, false: {"disabled", "inactive"}}
	return fmt.Sprintf("UnitFileState=%s\nActiveState=%s\nNextElapseUSecRealtime=Sun 2026-11-29 14:00:00 UTC\n", words[f.enabled][0], words[f.active][1])
}

func newScheduler(t *testing.T) (*Scheduler, *fakeManager) {
	t.Helper()
	cs, err := casefile.Open(filepath.Join(t.TempDir(), "cases"), casefile.SnapshotsCase, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cs.Close() })
	f := &fakeManager{result: "success"}
	own := host.Owner{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())}
	return &Scheduler{Kind: System, cs: cs, run: f, mgr: host.SystemManager(), own: own, dir: t.TempDir()}, f
}

// steps gathers what is told.
type steps []Step

func (s *steps) tell(step Step) { *s = append(*s, step) }

func (s *steps) failed() (list []string) {
	for _, step := range *s {
		if step.Err != nil {
			list = append(list, step.What)
		}
	}
	return list
}

// TestInstallRemove installs over what is there, twice, and removes.
func TestInstallRemove(t *testing.T) {
	s, f := newScheduler(t)
	timer, service := filepath.Join(s.dir, "openclaw-ir-snapshots.timer"), filepath.Join(s.dir, "openclaw-ir-snapshots.service")
	const mine = "# somebody's own\n"
	if err := os.WriteFile(timer, []byte(mine), 0o640); err != nil {
		t.Fatal(err)
	}
	var told steps
	for _, every := range []string{"1h", "6h"} {
		j := job()
		j.Every, _ = ParseEvery(every)
		if err := s.Install(t.Context(), j, "test", told.tell); err != nil {
			t.Fatal(err)
		}
		if text, _ := os.ReadFile(timer); !strings.Contains(string(text), "every "+every) {
			t.Errorf("the timer reads %s", text)
		}
	}
	if !f.enabled || !f.active || len(told) != 10 || told.failed() != nil {
		t.Errorf("enabled %v, active %v, told %v", f.enabled, f.active, told)
	}
	r, err := Load(s.cs)
	if err != nil || r.Every.String() != "6h" || string(r.Files[1].Before) != mine || r.Files[0].Was.Exists {
		t.Fatalf("the record is %+v, %v", r, err)
	}
	if err := s.Remove(t.Context(), r, false, told.tell); err != nil {
		t.Fatal(err)
	}
	text, _ := os.ReadFile(timer)
	info, _ := os.Stat(timer)
	if _, err := os.Stat(service); err == nil || string(text) != mine || info.Mode() != 0o640 || f.enabled || f.active {
		t.Errorf("after removing: %q, %v, enabled %v", text, info.Mode(), f.enabled)
	}
	if _, err := Load(s.cs); !errors.Is(err, ErrNone) {
		t.Errorf("the record is still there: %v", err)
	}
	if report, err := s.cs.Verify(); err != nil || !report.OK() || report.Lines < 10 {
		t.Errorf("the custody log: %+v, %v", report, err)
	}
	if want := []string{"daemon-reload", "enable openclaw-ir-snapshots.timer", "restart openclaw-ir-snapshots.timer"}; !slices.Equal(f.said[:3], want) {
		t.Errorf("systemd was told %q", f.said)
	}
}

// TestRemoveLeavesChanges has somebody change the service.
func TestRemoveLeavesChanges(t *testing.T) {
	s, f := newScheduler(t)
	var told steps
	if err := s.Install(t.Context(), job(), "test", told.tell); err != nil {
		t.Fatal(err)
	}
	service := filepath.Join(s.dir, "openclaw-ir-snapshots.service")
	if err := os.WriteFile(service, []byte("[Service]\nExecStart=/bin/true\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := Load(s.cs)
	if err != nil {
		t.Fatal(err)
	}
	st, err := s.Status(t.Context(), r, time.Now())
	if err != nil || !st.Found || len(st.Problems) != 1 {
		t.Errorf("the status is %+v, %v", st, err)
	}
	if err := s.Remove(t.Context(), r, false, told.tell); !errors.Is(err, host.ErrChanged) || f.enabled {
		t.Errorf("removing: %v, enabled %v", err, f.enabled)
	}
	if err := s.Remove(t.Context(), r, true, told.tell); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(s.dir); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

// TestInstallStops has each step fail in turn; Remove then takes back what was done.
func TestInstallStops(t *testing.T) {
	for _, fail := range []string{"daemon-reload", "enable", "restart", "write"} {
		s, f := newScheduler(t)
		f.fail = fail
		if fail == "write" {
			if err := os.Mkdir(filepath.Join(s.dir, "openclaw-ir-snapshots.timer"), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		var told steps
		if err := s.Install(t.Context(), job(), "test", told.tell); err == nil {
			t.Fatalf("%s fails, and nothing is said", fail)
		}
		f.fail = ""
		r, err := Load(s.cs)
		if fail == "write" { // which is seen before anything is done
			if !errors.Is(err, ErrNone) {
				t.Errorf("write: %+v, %v", r, err)
			}
			continue
		}
		if err != nil || len(told.failed()) != 1 {
			t.Fatalf("%s: %v, failed %q", fail, err, told.failed())
		}
		if err := s.Remove(t.Context(), r, false, told.tell); err != nil {
			t.Errorf("%s: %v", fail, err)
		}
		if left, _ := os.ReadDir(s.dir); len(left) > 0 {
			t.Errorf("%s: %v is left", fail, left)
		}
	}
}

// TestStatus has runs end in every way.
func TestStatus(t *testing.T) {
	exit := func(code int) casefile.Entry {
		return casefile.Entry{Action: "collect --snapshot", Result: "x", Exit: &code}
	}
	for name, tt := range map[string]struct {
		entries []casefile.Entry
		change  func(*fakeManager)
		later   time.Duration
		want    []string // what its problems have in them
		found   bool
	}{
		"new":     {},
		"done":    {entries: []casefile.Entry{exit(4), exit(0)}},
		"in part": {entries: []casefile.Entry{exit(3)}},
		"failed":  {entries: []casefile.Entry{exit(0), exit(1)}, want: []string{"exit code 1"}},
		"alarm": {
			entries: []casefile.Entry{{Action: "alarm", Result: "rewritten"}, exit(4)},
			change:  func(f *fakeManager) { f.result, f.status = "exit-code", 4 }, want: []string{"rewritten"}, found: true,
		},
		"killed":    {change: func(f *fakeManager) { f.result, f.status = "oom-kill", 9 }, want: []string{"oom-kill"}},
		"not run":   {change: func(f *fakeManager) { f.result, f.status = "exit-code", 226 }, want: []string{"exit-code, 226"}},
		"stopped":   {change: func(f *fakeManager) { f.active = false }, want: []string{"enabled and inactive"}},
		"disabled":  {change: func(f *fakeManager) { f.enabled = false }, want: []string{"disabled and active"}},
		"mute":      {change: func(f *fakeManager) { f.fail = "show" }, want: []string{"does not answer"}},
		"in time":   {later: 119 * time.Minute},
		"overslept": {later: 121 * time.Minute, want: []string{"no snapshot for 2h1m"}},
	} {
		t.Run(name, func(t *testing.T) {
			s, f := newScheduler(t)
			var told steps
			if err := s.Install(t.Context(), job(), "test", told.tell); err != nil {
				t.Fatal(err)
			}
			for _, e := range tt.entries {
				if err := s.cs.Append(e); err != nil {
					t.Fatal(err)
				}
			}
			if tt.change != nil {
				tt.change(f)
			}
			r, err := Load(s.cs)
			if err != nil {
				t.Fatal(err)
			}
			st, err := s.Status(t.Context(), r, time.Now().Add(tt.later))
			if err != nil || st.Found != tt.found || len(st.Problems) != len(tt.want) {
				t.Fatalf("%+v, %v", st, err)
			}
			for i, want := range tt.want {
				if !strings.Contains(st.Problems[i], want) {
					t.Errorf("problem %q, want %q", st.Problems[i], want)
				}
			}
			if f.fail == "" && !st.Next.Equal(time.Date(2026, 11, 29, 14, 0, 0, 0, time.UTC)) {
				t.Errorf("the next one is at %v", st.Next)
			}
		})
	}
}

// FuzzEvery reads how often a job runs. What is read is written so that it reads the same, and the timer that is made of it is one.
func FuzzEvery(f *testing.F) {
	f.Add("15m")
	f.Add("1d")
	f.Add("0.5h")
	f.Fuzz(func(t *testing.T, text string) {
		every, err := ParseEvery(text)
		if err != nil {
			return
		}
		if again, err := ParseEvery(every.String()); err != nil || again != every {
			t.Errorf("%q is %v, which reads as %v, %v", text, every, again, err)
		}
		if d := time.Duration(every); d < time.Minute || d > 24*time.Hour {
			t.Errorf("%q is %v", text, d)
		}
	})
}

// FuzzRecord reads schedule.json, which somebody else could have put into the case. What is read is written so that it reads the same.
func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"version":1,"kind":"cron","name":"x","every":"1h","argv":["/x"],"files":[{"path":"/etc/cron.d/x","before":"eA==","was":{},"now":{}}]}`))
	f.Add([]byte(`{"version":1,"every":"7m"}`))
	f.Add([]byte(`{"version":1,"every":"1h"}`))
	cs, err := casefile.Open(filepath.Join(f.TempDir(), "cases"), casefile.SnapshotsCase, true)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { cs.Close() })
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(cs.Path(recordName), text, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := Load(cs)
		if (err == nil) == (r == nil) {
			t.Fatalf("%+v and %v", r, err)
		}
		if err != nil {
			return
		}
		if len(r.Argv) == 0 {
			t.Error("nothing runs, and that is taken")
		}
		if err := r.save(cs); err != nil {
			t.Fatal(err)
		}
		if again, err := Load(cs); err != nil || !cmp.Equal(again, r, cmpopts.EquateEmpty()) {
			t.Errorf("%+v became %+v, %v", r, again, err)
		}
	})
}
