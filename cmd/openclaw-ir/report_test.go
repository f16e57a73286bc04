package main

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clawbook/openclaw-ir/analyze"
	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/secret"
	"github.com/clawbook/openclaw-ir/report"
	"github.com/urfave/cli/v2"
)

// newTestReporting is a run of report on an empty case, with one known secret.
func newTestReporting(t *testing.T, value string) (*reporting, *bytes.Buffer) {
	t.Helper()
	cs, err := casefile.Open(t.TempDir(), "c1", true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cs.Close() })
	set := secret.NewSet(secret.NewFingerprinter([]byte("salt")))
	if !set.Add(value, "a test") {
		t.Fatalf("%q is no secret", value)
	}
	var said bytes.Buffer
	streams := console.Streams{Out: &said, Err: &said}
	x := &reporting{
		env: env{console: console.New(streams, console.Facts{}), getenv: func(string) string { return "" }, uid: 0},
		c:   cli.NewContext(nil, flag.NewFlagSet("report", flag.ContinueOnError), nil), cs: cs, template: report.Templates()[0],
		renderer: &analyze.Renderer{Secrets: set},
	}
	return x, &said
}

// A story that was not redacted never becomes a file, and the error names no secret.
func TestReportRefusesSecrets(t *testing.T) {
	const value = "tok3n-of-this-gateway"
	x, _ := newTestReporting(t, value)
	x.story.Host.Name = "host-" + value
	_, err := x.render()
	var ce *codeError
	if !errors.As(err, &ce) || ce.code != exitFailed || strings.Contains(err.Error(), value) || !strings.Contains(err.Error(), `nothing was written: "c1.eml" still holds 1 secret`) {
		t.Fatalf("rendering a secret: %v", err)
	}
	if files, err := os.ReadDir(x.cs.Path(casefile.ReportDir)); err != nil || len(files) > 0 {
		t.Fatalf("files in the case: %v, %v", files, err)
	}
	if err := x.hand(); err != nil {
		t.Fatalf("redacted: %v", err)
	}
	if files, err := os.ReadDir(x.cs.Path(casefile.ReportDir)); err != nil || len(files) != 4 {
		t.Fatalf("files in the case: %v, %v", files, err)
	}
}

func TestReportOpensNothingAsRoot(t *testing.T) {
	x, said := newTestReporting(t, "tok3n-of-this-gateway")
	x.openDraft([]reportFile{{name: "c1.eml"}, {name: "c1.txt"}})
	if !strings.Contains(said.String(), "not opened: root runs no such program") || !strings.Contains(said.String(), "c1.eml") {
		t.Errorf("said %q", said)
	}
}

func TestConfiguredAddress(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can make a file that root alone can write")
	}
	dir := t.TempDir()
	for name := dir; name != "/tmp" && name != "/"; name = filepath.Dir(name) {
		if err := os.Chmod(name, 0o755); err != nil {
			t.Skip(err)
		}
	}
	root, err := host.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if to, err := configuredAddress(root); to != "" || err != nil {
		t.Errorf("without a file: %q, %v", to, err)
	}
	file := filepath.Join(dir, reportConfig)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		text string
		mode os.FileMode
		want string
		ok   bool
	}{
		{`{"to": "ir@example.org"}`, 0o644, "ir@example.org", true},
		{`{}`, 0o644, "", true},
		{`to: ir@example.org`, 0o644, "", false},
		{strings.Repeat(" ", maxReportConfig) + `{"to": "ir@example.org"}`, 0o644, "", false},
		{`{"to": "ir@example.org"}`, 0o666, "", false},
	} {
		if err := errors.Join(os.WriteFile(file, []byte(c.text), c.mode), os.Chmod(file, c.mode)); err != nil {
			t.Fatal(err)
		}
		if to, err := configuredAddress(root); to != c.want || (err == nil) != c.ok {
			t.Errorf("%s, mode %v: %q, %v", c.text, c.mode, to, err)
		}
	}
}

func TestLeaveOut(t *testing.T) {
	for _, c := range []struct{ counts, want [3]int64 }{
		{[3]int64{1, 2, 3}, [3]int64{}},
		{[3]int64{4, 5, 6}, [3]int64{0, 0, 5}},
		{[3]int64{4, 9, 6}, [3]int64{0, 3, 6}},
		{[3]int64{12, 9, 6}, [3]int64{2, 9, 6}},
	} {
		if got := leaveOut(c.counts, 10); got != c.want {
			t.Errorf("of %v: %v, want %v", c.counts, got, c.want)
		}
	}
}
