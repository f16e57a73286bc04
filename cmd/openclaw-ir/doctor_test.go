package main

import (
	"bytes"
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/clawbook/openclaw-ir/contain"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/host"
)

// patient returns a doctor who looks at a host of these files, and what it prints.
func patient(t *testing.T, find func(string) error, files ...string) (*doctor, *bytes.Buffer) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range files {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	root, err := host.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	out := new(bytes.Buffer)
	c := console.New(console.Streams{Out: out, Err: new(bytes.Buffer)}, console.Facts{})
	d := &doctor{
		env: env{console: c, getenv: func(string) string { return "" }}, ctx: context.Background(), find: find,
		machine: contain.Machine{Root: root, Run: noPrograms{}}, counts: map[condition]int{}, part: "part",
	}
	if d.lines, err = console.NewLines(c, false, nil, d.line); err != nil {
		t.Fatal(err)
	}
	return d, out
}

type noPrograms struct{}

func (noPrograms) Run(_ context.Context, c host.Command) host.Result {
	return host.Result{Argv: c.Argv, ExitCode: -1, Err: exec.ErrNotFound}
}

func absentProgram(name string) error {
	return fmt.Errorf("finding program %q: %w", name, exec.ErrNotFound)
}

func TestDoctorTools(t *testing.T) {
	replaced := func(name string) error {
		switch name {
		case "ss":
			return fmt.Errorf("finding program %q: %w", name, fmt.Errorf("%w: %q belongs to user 1000", host.ErrNotTrusted, "/usr/bin/s\x1bs"))
		case "ip", "systemctl", "journalctl", "loginctl", "nft":
			return nil
		}
		return absentProgram(name)
	}
	d, out := patient(t, replaced, "run/docker.sock", "run/systemd/system")
	d.tools()
	d.firewall()
	if err := d.lines.Flush(); err != nil {
		t.Fatal(err)
	}
	want := `part      NO  ss: not trusted: "/usr/bin/s\\x1bs" belongs to user 1000; it is not run, so connections that are open to the gateway are not cut
              → look at its owner and mode and at who changed it, then sudo apt-get install --reinstall iproute2
part      NO  docker: not here: its containers are neither stopped nor collected
              → before an incident, not in one: sudo apt-get install docker.io
part      ok  systemctl, journalctl, loginctl, ip: root alone can write them
part      --  podman, who, w, last, lastb, atq, dpkg-query, rpm, apk: not here
part      ok  nftables: contain closes the host with it; UFW is absent
`
	if got := out.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if d.counts[missing] != 2 {
		t.Errorf("%d things are missing", d.counts[missing])
	}
}

func TestDoctorWithoutAnything(t *testing.T) {
	d, out := patient(t, absentProgram, "sbin/apk")
	d.tools()
	d.firewall()
	d.memory()
	if err := d.end(); err == nil || !strings.Contains(err.Error(), "things are missing") {
		t.Errorf("ended with %v", err)
	}
	for _, want := range []string{"NO  ss: not here", "NO  a packet filter: neither ufw, nft nor iptables", "sudo apk add ufw", "NO  memory: asking for free memory"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("does not say %q:\n%s", want, out)
		}
	}
	if strings.Contains(out.String(), "NO  systemctl") || strings.Contains(out.String(), "NO  docker") {
		t.Errorf("misses what is not needed:\n%s", out)
	}
}

// TestDoctorKnowsTheTools reads the programs that the code runs and looks whether the doctor asks for each.
func TestDoctorKnowsTheTools(t *testing.T) {
	known := append(slices.Clone(otherFilters), "openclaw-ir") // as a bundle's header has it
	for _, f := range filters {
		known = append(known, f.programs...)
	}
	for _, tool := range append(slices.Clone(linuxTools), macTools...) {
		known = append(known, tool.name)
	}
	run := programsInSource(t, "../../contain", "../../collect", "../../rotate", "../../analyze", "../../analyze/posture", "../../internal/host", ".")
	if len(run) < 30 || !slices.Contains(run, "systemctl") || !slices.Contains(run, "pfctl") || !slices.Contains(run, "ss") {
		t.Errorf("only these programs were found in the code: %q", run)
	}
	for _, name := range run {
		if !slices.Contains(known, name) {
			t.Errorf("the code runs %q, which the doctor does not ask for", name)
		}
	}
}

// programsInSource returns the first words of the command lines that stand in the code: in Argv, and in what commands and runAll are given.
func programsInSource(t *testing.T, dirs ...string) []string {
	t.Helper()
	found := map[string]bool{}
	add := func(e ast.Expr) {
		lit, ok := e.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			return
		}
		text, err := strconv.Unquote(lit.Value)
		if words := strings.Fields(text); err == nil && len(words) > 0 {
			found[words[0]] = true
		}
	}
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool { argvOf(n, add); return true })
		}
	}
	return slices.Sorted(maps.Keys(found))
}

func argvOf(n ast.Node, add func(ast.Expr)) {
	switch n := n.(type) {
	case *ast.KeyValueExpr:
		if key, ok := n.Key.(*ast.Ident); ok && key.Name == "Argv" {
			value := n.Value
			if call, ok := value.(*ast.CallExpr); ok && len(call.Args) > 0 { // append([]string{"docker"}, words...)
				value = call.Args[0]
			}
			if list, ok := value.(*ast.CompositeLit); ok && len(list.Elts) > 0 {
				add(list.Elts[0])
			}
		}
	case *ast.CallExpr:
		if f, ok := n.Fun.(*ast.Ident); ok && (f.Name == "commands" || f.Name == "runAll") {
			for _, arg := range n.Args {
				add(arg)
			}
		}
	case *ast.FuncDecl:
		if n.Name.Name == "otherArtifacts" { // its lines stand in a map
			ast.Inspect(n, func(n ast.Node) bool {
				if kv, ok := n.(*ast.KeyValueExpr); ok {
					if list, ok := kv.Value.(*ast.CompositeLit); ok {
						for _, e := range list.Elts {
							add(e)
						}
					}
				}
				return true
			})
		}
	}
}
