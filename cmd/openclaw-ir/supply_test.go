package main

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A linkedPackage is what go list says of a package that is linked into the binary.
type linkedPackage struct {
	ImportPath string
	Imports    []string
	CgoFiles   []string
	Module     *struct{ Path, Version, Dir string }
}

// linked lists the packages of the released command, but for the standard library, for every platform.
func linked(t *testing.T) (packages []linkedPackage) {
	t.Helper()
	for _, platform := range []string{"linux", "darwin"} {
		cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Imports,CgoFiles,Module,Standard", ".")
		cmd.Env = append(os.Environ(), "GOOS="+platform, "GOARCH=arm64", "CGO_ENABLED=1", "GOFLAGS=-mod=readonly")
		out, err := cmd.Output()
		if err != nil {
			t.Skipf("go list: %v", err)
		}
		for d := json.NewDecoder(strings.NewReader(string(out))); d.More(); {
			var p linkedPackage
			if err := d.Decode(&p); err != nil {
				t.Fatal(err)
			}
			if p.Module != nil {
				packages = append(packages, p)
			}
		}
	}
	return packages
}

// TestDependenciesAreDefended holds go.mod to its promise: behind each module stands why it is here, and under which licence; what
// only tests need is not linked.
func TestDependenciesAreDefended(t *testing.T) {
	data, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	required := regexp.MustCompile(`(?m)^\t(\S+) (v\S+)(?: // (?:indirect; )?(tests: )?(.*); ([^;\n]+))?$`)
	dirs := map[string]string{}
	for _, p := range linked(t) {
		dirs[p.Module.Path] = p.Module.Dir
	}
	delete(dirs, "github.com/clawbook/openclaw-ir")
	for _, m := range required.FindAllStringSubmatch(string(data), -1) {
		path, tests, why, licence := m[1], m[3] != "", m[4], m[5]
		dir, isLinked := dirs[path]
		delete(dirs, path)
		switch {
		case why == "" || why == "indirect":
			t.Errorf("go.mod does not say why %s is here, and its licence", path)
		case tests == isLinked:
			t.Errorf("go.mod says of %s that it is for tests: %v, and it is linked: %v", path, tests, isLinked)
		case isLinked && licences(t, dir) != licence:
			t.Errorf("go.mod says that the licence of %s is %q, its files say %q", path, licence, licences(t, dir))
		}
	}
	for path := range dirs {
		t.Errorf("%s is linked and stands in no line of go.mod", path)
	}
}

// licenceMarks are words of the licences under which something may be linked.
var licenceMarks = map[string]string{
	"Apache-2.0":   "apache license",
	"BSD-2-Clause": "redistribution and use",
	"BSD-3-Clause": "neither the name",
	"ISC":          "permission to use, copy, modify",
	"MIT":          "permission is hereby granted, free of charge",
}

// licences names the licences in a module's licence file.
func licences(t *testing.T, dir string) string {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(dir, "LICENSE*"))
	var text string
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		text += strings.ToLower(strings.Join(strings.Fields(strings.ReplaceAll(string(data), ">", " ")), " ")) + " "
	}
	var found []string
	for licence, mark := range licenceMarks {
		if strings.Contains(text, mark) {
			found = append(found, licence)
		}
	}
	if slices.Contains(found, "BSD-3-Clause") { // it holds the words of the other
		found = slices.DeleteFunc(found, func(l string) bool { return l == "BSD-2-Clause" })
	}
	slices.Sort(found)
	return strings.Join(found, " ")
}

// reaching are the packages that import what a connection is made with, each with what it does with it: ours by name, others by module.
var reaching = map[string]string{
	"analyze/posture": "nothing: it reads addresses",
	"cmd/openclaw-ir": "nothing: it lists the machine's own addresses and reads HTTP's numbers",
	"collect/store":   "--to and upload: SFTP, S3, and the agent of SSH on its local socket",
	"contain":         "asks the host's own ports whether they are closed",
	"internal/bulk":   "analyze --bulk",
	"internal/notify": "--notify https://",
	"rotate":          "asks the gateway of this host whether it takes the old secret",

	"github.com/coder/websocket":        "for rotate",
	"github.com/google/uuid":            "nothing: it lists the machine's own addresses",
	"github.com/minio/minio-go/v7":      "for collect/store",
	"github.com/pkg/sftp":               "for collect/store",
	"github.com/schollz/progressbar/v3": "nothing: its HTTP server is not called",
	"golang.org/x/crypto":               "ssh, for collect/store",
	"golang.org/x/net":                  "nothing: http/httpguts checks headers",
}

// TestReach holds the binary to pure Go, and the network to the packages that are known to use it.
func TestReach(t *testing.T) {
	const ours = "github.com/clawbook/openclaw-ir"
	unused := maps.Clone(reaching)
	for _, p := range linked(t) {
		if len(p.CgoFiles) > 0 || slices.Contains(p.Imports, "C") || slices.Contains(p.Imports, "plugin") {
			t.Errorf("%s is more than Go: it uses cgo or plugins", p.ImportPath)
		}
		name := p.Module.Path
		if name == ours {
			name = strings.TrimPrefix(p.ImportPath, ours+"/")
		}
		if slices.ContainsFunc(p.Imports, reaches) {
			if delete(unused, name); reaching[name] == "" {
				t.Errorf("%s can reach the network, and nothing says why", p.ImportPath)
			}
		}
	}
	if len(unused) > 0 {
		t.Errorf("these no longer reach the network: %v", unused)
	}
}

// reaches reports whether a package that imports this one may open a connection with it.
func reaches(imported string) bool {
	switch imported {
	case "net", "crypto/tls", "golang.org/x/net":
		return true
	}
	for _, tree := range []string{"net/http", "net/rpc", "net/smtp", "golang.org/x/net/", "github.com/minio/", "github.com/coder/websocket", "github.com/pkg/sftp"} {
		if strings.HasPrefix(imported, tree) {
			return true
		}
	}
	return false
}
