package main

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/drill"
	"github.com/clawbook/openclaw-ir/internal/statetest"
	"github.com/google/go-cmp/cmp"
)

// A drilled machine is one that a drill is held on: only dir may change.
type machine struct {
	t         *testing.T
	home, dir string
	out, err  bytes.Buffer
}

func newDrillMachine(t *testing.T) *machine {
	m := &machine{t: t, home: t.TempDir(), dir: filepath.Join(t.TempDir(), "drill")}
	t.Setenv("TMPDIR", filepath.Join(m.home, "tmp"))
	for _, name := range []string{"tmp", ".openclaw/agents/main/sessions", ".local/state/openclaw-ir"} {
		if err := os.MkdirAll(filepath.Join(m.home, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	m.write(".openclaw/openclaw.json", `{"gateway": {"auth": {"token": "the-token-of-this-machine"}}}`)
	return m
}

func (m *machine) write(name, text string) {
	if err := os.WriteFile(filepath.Join(m.home, name), []byte(text), 0o600); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) env(open func() (*os.File, error)) env {
	streams := console.Streams{In: strings.NewReader(""), Out: &m.out, Err: &m.err, OpenTTY: open}
	return env{console: console.New(streams, console.Facts{}), uid: os.Getuid(), getenv: func(name string) string {
		return map[string]string{"HOME": m.home, "XDG_STATE_HOME": filepath.Join(m.home, ".local", "state")}[name]
	}}
}

func (m *machine) run(args ...string) int {
	m.out.Reset()
	m.err.Reset()
	return run(m.t.Context(), append([]string{"openclaw-ir"}, args...), m.env(noTerminal))
}

// What a drill says, what it leaves behind, and what it leaves alone.
func TestDrill(t *testing.T) {
	planted := statetest.Secrets(t)
	for i, state := range drill.States() {
		if statetest.Raced() && i == 0 {
			continue // the other is a tenth of its size
		}
		t.Run(state.Version, func(t *testing.T) {
			m := newDrillMachine(t)
			before := statetest.Snapshot(t, m.home)
			if code := m.run("drill", "--yes", "--state", state.Version, "--dir", m.dir); code != exitDone {
				t.Errorf("exit code %d\n%s", code, &m.err)
			}
			if diff := cmp.Diff(before, statetest.Snapshot(t, m.home)); diff != "" {
				t.Errorf("the home directory or that for temporary files changed: %s", diff)
			}
			golden(t, "drill/"+state.Version+".txt", m.inert(m.out.String()))
			m.noSecret(append(planted, "the-token-of-this-machine"))
			m.simulatedIsNoted()
			for _, pattern := range []string{"*.eml", "*.md", "*.html", "*.json"} {
				if names, _ := filepath.Glob(filepath.Join(m.dir, "cases/drill/report", pattern)); len(names) != 1 || !strings.Contains(m.out.String(), names[0]) {
					t.Errorf("%s: %q, and each is to be named", pattern, names)
				}
			}
		})
	}
}

// noSecret searches the output and every file outside the attacked host for secrets. The private key of the drill is one that has
// to lie there, for nobody else.
func (m *machine) noSecret(planted []string) {
	m.t.Helper()
	texts := map[string][]byte{"standard output": m.out.Bytes(), "standard error": m.err.Bytes()}
	err := filepath.WalkDir(m.dir, func(name string, d fs.DirEntry, err error) error {
		if name == filepath.Join(m.dir, drillHost) {
			return filepath.SkipDir
		}
		info, ierr := d.Info()
		if ierr == nil && info.Mode().Perm()&0o077 != 0 {
			m.t.Errorf("%s can be read by others: %v", name, info.Mode())
		}
		if err != nil || d.IsDir() {
			return err
		}
		texts[name], err = os.ReadFile(name)
		return err
	})
	if err != nil {
		m.t.Fatal(err)
	}
	for name, text := range texts {
		for i, s := range planted {
			if bytes.Contains(text, []byte(s)) {
				m.t.Errorf("%s holds planted secret number %d", name, i+1)
			}
		}
		if bytes.Contains(text, []byte("AGE-SECRET-KEY-")) != (filepath.Base(name) == drillKey) {
			m.t.Errorf("%s: the private key lies in %s alone", name, drillKey)
		}
	}
}

// simulatedIsNoted makes sure that no line about a running host could be taken for something that was done.
func (m *machine) simulatedIsNoted() {
	m.t.Helper()
	log, err := os.ReadFile(filepath.Join(m.dir, "cases/drill/custody.jsonl"))
	if err != nil {
		m.t.Fatal(err)
	}
	marked := 0
	for line := range strings.Lines(string(log)) {
		if regexp.MustCompile(`"action":"(contain|rotate (replace|remove))`).MatchString(line) {
			marked++
			if !strings.Contains(line, `"result":"simulated"`) || !strings.Contains(line, `"note":"drill: `) {
				m.t.Errorf("not marked as simulated: %s", line)
			}
		}
	}
	for line := range strings.Lines(m.out.String()) {
		if regexp.MustCompile(`^(frozen|keep|stop|close|verify|replace|remove) `).MatchString(line) {
			marked++
			if !strings.Contains(line, " simulated  ") {
				m.t.Errorf("not marked as simulated: %s", line)
			}
		}
	}
	if marked < 12 {
		m.t.Errorf("only %d lines about a running host", marked)
	}
}

var drillReplacements = []struct{ pattern, with string }{
	{`(?ms)^(\$ openclaw-ir analyze findings[^\n]*\n).*?^(analyze: )`, "${1}…\n${2}"}, // what they print is tested elsewhere
	{`(?ms)^(\$ openclaw-ir report[^\n]*\n).*?^(report: )`, "${1}…\n${2}"},
	{`openclaw-ir-drill-clawhost-\d{8}T\d{6}Z`, "openclaw-ir-drill-clawhost-TIME"},
	{`report/\S+\.(\w+)`, "report/NAME.$1"},
	{`SHA256:[A-Za-z0-9+/]{43}`, "SHA256:…"},
	{`(?m)(  (open|done) +[a-z-]+-)[0-9a-f]{4}\b`, "${1}XXXX"},
	{`\b\d+\.\d kB`, "SIZE"},
}

func (m *machine) inert(text string) string {
	text = strings.ReplaceAll(broken.ReplaceAllString(text, " "), m.dir, "DIR")
	for _, r := range drillReplacements {
		text = regexp.MustCompile(r.pattern).ReplaceAllString(text, r.with)
	}
	return text
}

// broken is where a command line goes on in the next line, which depends on the length of the directory.
var broken = regexp.MustCompile(` \\\n +`)

// golden compares with a file, which -update writes.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func TestDrillRefuses(t *testing.T) {
	m := newDrillMachine(t)
	before := statetest.Snapshot(t, m.home)
	for want, args := range map[string][]string{
		"there is no terminal to ask on":     {"drill", "--dir", m.dir},
		`no state of version \"2025.1.1\"`:   {"drill", "--yes", "--state", "2025.1.1", "--dir", m.dir},
		"exists, and nothing is overwritten": {"drill", "--yes", "--dir", m.home},
		"drill takes no arguments":           {"drill", "2026.9.6"},
	} {
		if code := m.run(args...); code != exitUsage || !strings.Contains(m.err.String(), strings.ReplaceAll(want, `\"`, `"`)) {
			t.Errorf("%q: exit code %d, %s", args, code, &m.err)
		}
	}
	if _, err := os.Lstat(m.dir); err == nil || !cmp.Equal(before, statetest.Snapshot(t, m.home)) {
		t.Error("something was made")
	}
	if code := m.run("drill", "--yes", "--dir", filepath.Join(m.home, "missing", "drill")); code != exitFailed {
		t.Errorf("no place for it: exit code %d, %s", code, &m.err)
	}
}

// In a drill no command can open this machine, or anything else that is not the drill's, whatever it is told.
func TestADrillOpensNoOtherHost(t *testing.T) {
	m := newDrillMachine(t)
	if err := os.Mkdir(m.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(m.dir, "out")
	if err := os.Symlink("/", out); err != nil {
		t.Fatal(err)
	}
	e := m.env(noTerminal)
	e.drill = m.dir
	cases := []string{"--case-dir", filepath.Join(m.home, "cases")}
	recipient := []string{"-r", "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"}
	for _, args := range [][]string{
		{"contain", "--dry-run", "--now", "--no-firewall"},
		append([]string{"collect"}, recipient...),
		append([]string{"collect", "--root", out}, recipient...),
		append([]string{"collect", "--root", filepath.Join(m.dir, "..")}, recipient...),
		append([]string{"collect", "--root", m.dir + "x"}, recipient...),
		{"rotate", "--dry-run"},
		{"rotate", "list", "--root", "/"},
		{"analyze"},
		{"analyze", "findings", m.home},
		{"analyze", "posture", "--deep"},
		{"analyze", "secrets", "--root", out},
	} {
		m.err.Reset()
		code := run(t.Context(), append(append([]string{"openclaw-ir"}, args...), cases...), e)
		if code != exitFailed || !strings.Contains(m.err.String(), "a drill touches nothing outside") {
			t.Errorf("%q: exit code %d, %s", args, code, &m.err)
		}
	}
	if m.out.Len() > 0 {
		t.Errorf("printed %s", &m.out)
	}
}
