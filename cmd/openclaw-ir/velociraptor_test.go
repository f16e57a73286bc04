package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/clawbook/openclaw-ir/internal/statetest"
	"go.yaml.in/yaml/v3"
)

// A velociraptorArtifact has the fields that Velociraptor's artifact.proto gives to those of ours; it refuses others.
type velociraptorArtifact struct {
	Name, Author, Description, Type, Precondition string
	Reference                                     []string
	RequiredPermissions                           []string `yaml:"required_permissions"`
	Resources                                     struct {
		Timeout        int
		MaxUploadBytes int64 `yaml:"max_upload_bytes"`
	}
	Tools []struct {
		Name         string
		ServeLocally bool `yaml:"serve_locally"`
	}
	Parameters []struct {
		Name, Type, Description, Default string
		ValidatingRegex                  string `yaml:"validating_regex"`
	}
	Sources []struct{ Query string }
}

// vqlArguments are the functions and plugins that the artifact may call, with the arguments that Velociraptor's reference
// (docs/references/vql.yaml) gives them.
var vqlArguments = map[string]string{
	"execve": "argv length", "tempfile": "data extension", "filter": "list regex", "split": "string sep", "if": "condition then else",
	"parse_json": "data", "upload": "file accessor", "foreach": "row query", "scope": "",
	"Artifact.Generic.Utils.FetchBinary": "ToolName ToolInfo", "sealed": "Text",
}

// TestVelociraptorArtifact holds the artifact to what Velociraptor documents; there is no Velociraptor here that could run it. What it reads
// of our output is there.
func TestVelociraptorArtifact(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "collect", "fleet", "velociraptor", "Custom.OpenClaw.Collect.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var a velociraptorArtifact
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&a); err != nil {
		t.Fatal(err)
	}
	if a.Name != "Custom.OpenClaw.Collect" || a.Type != "CLIENT" || len(a.Sources) != 1 || !slices.Contains(a.RequiredPermissions, "EXECVE") {
		t.Errorf("%+v", a)
	}
	query := regexp.MustCompile(`(?m)^\s*--.*$`).ReplaceAllString(a.Sources[0].Query, "")
	for _, p := range a.Parameters {
		if !regexp.MustCompile(`\b` + p.Name + `\b`).MatchString(query) {
			t.Errorf("the parameter %q is not used", p.Name)
		}
		if _, err := regexp.Compile(p.ValidatingRegex); err != nil {
			t.Error(err)
		}
	}
	if !strings.Contains(query, `ToolName="`+a.Tools[0].Name+`"`) {
		t.Errorf("the tool %q is not used", a.Tools[0].Name)
	}
	checkVQL(t, query)
	checkResult(t, query)
}

// checkVQL looks whether brackets are closed and whether what is called is known with its arguments.
func checkVQL(t *testing.T, query string) {
	t.Helper()
	type call struct{ closing, name string }
	var open []call
	names := regexp.MustCompile(`[A-Za-z_.]+$`)
	bare := regexp.MustCompile(`"[^"]*"|'[^']*'`).ReplaceAllStringFunc(query, func(s string) string { return strings.Repeat("s", len(s)) })
	for i, c := range bare {
		switch c {
		case '(':
			open = append(open, call{")", names.FindString(bare[:i])})
		case '{':
			open = append(open, call{"}", ""})
		case '[':
			open = append(open, call{"]", ""})
		case ')', '}', ']':
			if len(open) == 0 || open[len(open)-1].closing != string(c) {
				t.Fatalf("%q closes nothing at …%q", c, bare[max(0, i-40):i])
			}
			open = open[:len(open)-1]
		case '=':
			if len(open) == 0 || open[len(open)-1].closing != ")" {
				continue
			}
			called, argument := open[len(open)-1].name, names.FindString(bare[:i])
			if known, ok := vqlArguments[called]; !ok || !slices.Contains(strings.Fields(known), argument) {
				t.Errorf("%s(%s=…) is not known", called, argument)
			}
		}
	}
	if len(open) > 0 {
		t.Errorf("%q is not closed", open)
	}
}

// checkResult looks in what collect really prints for what the query reads of it.
func checkResult(t *testing.T, query string) {
	t.Helper()
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	u := &uploader{cases: filepath.Join(t.TempDir(), "cases"), root: statetest.Scenario(t, "clawhavoc-skill"), recipient: key.Recipient().String()}
	for _, more := range [][]string{nil, {"--snapshot"}} {
		out := u.command(t, 0, append([]string{"collect", "--json", "--root", u.root, "-r", u.recipient}, more...)...)
		var result map[string]any
		for line := range strings.Lines(out) {
			if strings.Contains(line, `"bundle":`) {
				if err := json.Unmarshal([]byte(line), &result); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, field := range regexp.MustCompile(`Result\.(\w+)`).FindAllStringSubmatch(query, -1) {
			if text, ok := result[field[1]].(string); !ok || text == "" {
				t.Errorf("collect says no %q: %v", field[1], result)
			}
		}
	}
}
