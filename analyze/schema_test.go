package analyze

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/inerttest"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/severity"
	"github.com/clawbook/openclaw-ir/internal/sigma"
	"github.com/clawbook/openclaw-ir/internal/statetest"
	"pgregory.net/rapid"
)

// ecsSchemaFile and ocsfSchemaFile are what testdata/schema keeps of the two published schemas; its README.md says how much.
type ecsSchemaFile struct {
	Version string
	Fields  map[string]struct {
		Type  string
		Array bool
	}
	Allowed map[string][]string
	Types   map[string][]string `json:"types_of_category"`
}

type ocsfSchemaFile struct {
	Version string
	Classes map[string]ocsfShape
	Objects map[string]ocsfShape
}

type ocsfShape struct {
	Name       string
	Category   int
	AtLeastOne []string `json:"at_least_one"`
	Attributes map[string]struct {
		Required, Array bool
		Object, Type    string
		Enum            []string
	}
}

var schemas = sync.OnceValue(func() (s struct {
	ecs  ecsSchemaFile
	ocsf ocsfSchemaFile
},
) {
	for name, to := range map[string]any{"ecs-" + ecsVersion: &s.ecs, "ocsf-" + ocsfVersion: &s.ocsf} {
		text, err := os.ReadFile(filepath.Join("testdata", "schema", name+".json"))
		if err == nil {
			err = json.Unmarshal(text, to)
		}
		if err != nil {
			panic(err)
		}
	}
	return s
})

func documents(t testing.TB, docs ...Document) string {
	var b bytes.Buffer
	lines := console.NewBareJSONLines(&b) // as the commands do
	for _, d := range docs {
		if err := lines.Write(d.Body); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

// checkDocuments holds JSON lines to a schema.
func checkDocuments(t inerttest.TB, text string, want int, check func(map[string]any) error) {
	t.Helper()
	lines := inerttest.JSONLines(t, "the documents", text)
	for _, line := range lines {
		var m map[string]any
		d := json.NewDecoder(strings.NewReader(line))
		d.UseNumber()
		err := d.Decode(&m)
		if err == nil {
			err = check(m)
		}
		if err != nil {
			t.Fatalf("%v: %s", err, line)
		}
	}
	if len(lines) != want {
		t.Fatalf("%d documents of %d", len(lines), want)
	}
}

// checkECS checks that every field is one of the schema, of its type and no longer than is indexed, that there is what must be,
// and that category and type are allowed and go together.
func checkECS(m map[string]any) error {
	s := schemas().ecs
	if err := checkFields("", m); err != nil {
		return err
	}
	event, _ := m["event"].(map[string]any)
	ecs, _ := m["ecs"].(map[string]any)
	if _, ok := m["@timestamp"]; !ok || ecs["version"] != s.Version || event["id"] == nil {
		return fmt.Errorf("no time, no version or no id")
	}
	for _, name := range []string{"kind", "category", "type", "outcome"} {
		values := asList(event[name])
		if one, ok := event[name].(string); ok {
			values = []string{one}
		}
		for _, v := range values {
			if !slices.Contains(s.Allowed["event."+name], v) {
				return fmt.Errorf("event.%s is %q", name, v)
			}
		}
	}
	for _, category := range asList(event["category"]) {
		for _, kind := range asList(event["type"]) {
			if !slices.Contains(s.Types[category], kind) {
				return fmt.Errorf("%s does not go with %s", kind, category)
			}
		}
	}
	return nil
}

func checkFields(prefix string, m map[string]any) error {
	for key, v := range m {
		name := prefix + key
		field, known := schemas().ecs.Fields[name]
		inner, object := v.(map[string]any)
		switch {
		case name == "labels":
			for label, text := range inner {
				if s, ok := text.(string); !ok || strings.ContainsAny(label, ".* ") || len(s) > 32_766 {
					return fmt.Errorf("label %q", label)
				}
			}
			continue
		case object:
			if err := checkFields(name+".", inner); err != nil {
				return err
			}
			continue
		case !known:
			return fmt.Errorf("%q is no field", name)
		}
		list, isList := v.([]any)
		if !isList {
			list = []any{v}
		}
		if isList != field.Array || len(list) == 0 {
			return fmt.Errorf("%q is an array: %v", name, isList)
		}
		for _, item := range list {
			if err := checkScalar(field.Type, item); err != nil {
				return fmt.Errorf("%q: %w", name, err)
			}
		}
	}
	return nil
}

// checkScalar holds a value to a type of either schema.
func checkScalar(kind string, v any) error {
	text, isText := v.(string)
	number, isNumber := v.(json.Number)
	_, notWhole := strconv.ParseInt(string(number), 10, 64)
	_, isBool := v.(bool)
	ok := false
	switch kind {
	case "keyword", "wildcard", "match_only_text", "string_t":
		ok = isText && len(text) < 32_766
	case "long", "long_t":
		ok = isNumber && notWhole == nil
	case "integer_t":
		ok = isNumber && notWhole == nil
	case "boolean_t":
		ok = isBool
	case "date":
		_, err := time.Parse(time.RFC3339Nano, text)
		ok = err == nil && strings.HasSuffix(text, "Z")
	}
	if !ok {
		return fmt.Errorf("%.60v is no %s", v, kind)
	}
	return nil
}

// checkOCSF checks that a document is of a class of the schema, with all that it must have and nothing that it does not know.
func checkOCSF(m map[string]any) error {
	s := schemas().ocsf
	class, ok := s.Classes[fmt.Sprint(m["class_uid"])]
	if !ok {
		return fmt.Errorf("no class %v", m["class_uid"])
	}
	uid, _ := strconv.Atoi(fmt.Sprint(m["class_uid"]))
	activity, _ := strconv.Atoi(fmt.Sprint(m["activity_id"]))
	if fmt.Sprint(m["type_uid"]) != strconv.Itoa(uid*100+activity) || fmt.Sprint(m["category_uid"]) != strconv.Itoa(class.Category) {
		return fmt.Errorf("type %v, category %v", m["type_uid"], m["category_uid"])
	}
	if meta, _ := m["metadata"].(map[string]any); meta["version"] != s.Version {
		return fmt.Errorf("version %v", meta["version"])
	}
	if activity == ocsfBase.activity && m["activity_name"] == nil {
		return fmt.Errorf("another activity without a name")
	}
	return checkShape(class, m)
}

func checkShape(shape ocsfShape, m map[string]any) error {
	for name, a := range shape.Attributes {
		if _, there := m[name]; a.Required && !there {
			return fmt.Errorf("%q is missing", name)
		}
	}
	if len(shape.AtLeastOne) > 0 && !slices.ContainsFunc(shape.AtLeastOne, func(name string) bool { return m[name] != nil }) {
		return fmt.Errorf("none of %q", shape.AtLeastOne)
	}
	for name, v := range m {
		a, known := shape.Attributes[name]
		list, isList := v.([]any)
		if !isList {
			list = []any{v}
		}
		if !known || isList != a.Array {
			return fmt.Errorf("%q is no attribute, or an array: %v", name, isList)
		}
		for _, item := range list {
			if len(a.Enum) > 0 && !slices.Contains(a.Enum, fmt.Sprint(item)) {
				return fmt.Errorf("%q is %v", name, item)
			}
			err := checkScalar(a.Type, item)
			if a.Object != "" {
				inner, _ := item.(map[string]any)
				err = checkShape(schemas().ocsf.Objects[a.Object], inner)
			}
			if a.Object == "object" {
				err = nil // unmapped holds anything
			}
			if err != nil {
				return fmt.Errorf("%q: %w", name, err)
			}
		}
	}
	return nil
}

// TestFindingsFitTheSchemas shows the findings of a played incident, and hostile ones.
func TestFindingsFitTheSchemas(t *testing.T) {
	report := found(t, statetest.Scenario(t, "clawhavoc-skill"))
	if len(report.Findings) < 5 {
		t.Fatalf("%d findings", len(report.Findings))
	}
	from := Origin{Renderer: renderer(), Host: "claw-1", Now: time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)}
	ecs, ocsf := &ECS{from}, &OCSF{from}
	ids := map[string]bool{}
	var inECS, inOCSF []Document
	for _, f := range report.Findings {
		inECS, inOCSF = append(inECS, ecs.Finding(f)), append(inOCSF, ocsf.Finding(f))
		ids[ecs.Finding(f).ID] = true
	}
	checkDocuments(t, documents(t, inECS...), len(report.Findings), checkECS)
	checkDocuments(t, documents(t, inOCSF...), len(report.Findings), checkOCSF)
	if len(ids) != len(report.Findings) {
		t.Errorf("%d ids of %d findings", len(ids), len(report.Findings))
	}
	rapid.Check(t, func(r *rapid.T) {
		f := anyHostileFinding(r)
		checkDocuments(r, documents(t, ecs.Finding(f)), 1, checkECS)
		checkDocuments(r, documents(t, ocsf.Finding(f)), 1, checkOCSF)
	})
}

func anyHostileFinding(r *rapid.T) *Finding {
	text := func(name string) string { return hostile.Draw(r, name) }
	f := &Finding{
		Rule: &sigma.Rule{ID: text("id"), Name: text("name"), Title: text("title"), Description: text("means"), Tags: []string{"attack.t1059.004", "atlas.aml.t0100"}},
		Path: text("path"), Excerpt: text("excerpt"), Field: text("field"), Layer: "raw", Count: 1, Sink: SinkRest,
		Level: rapid.SampledFrom([]severity.Level{severity.Info, severity.Critical}).Draw(r, "level"),
	}
	if rapid.Bool().Draw(r, "timed") {
		f.Time = 1_795_944_040_974
		f.Last = f.Time
	}
	if rapid.Bool().Draw(r, "event") {
		f.Event, f.Sink = anyHostileEvent(r), SinkExecuted
	}
	if rapid.Bool().Draw(r, "suppressed") {
		f.Rejected = &Suppression{Reason: text("reason")}
	}
	return f
}

// TestOnlyWhatRanIsStarted claims of no action that it took place unless the evidence records it.
func TestOnlyWhatRanIsStarted(t *testing.T) {
	one := 1
	for _, c := range []struct {
		result  Result
		kind    string
		outcome string
	}{
		{Result{Status: StatusOK, Recorded: true}, "start", "success"},
		{Result{Status: StatusError, Exit: &one, Recorded: true}, "start", "failure"},
		{Result{Status: StatusError, Recorded: true}, "info", "failure"},
		{Result{Status: StatusDenied, Recorded: true}, "info", "failure"},
		{Result{Status: StatusPending, Recorded: true}, "info", "unknown"},
		{Result{Status: StatusNone}, "info", "unknown"},
		{Result{Status: StatusRunning, Recorded: true}, "start", "unknown"},
	} {
		x := &ECS{Origin{Renderer: renderer()}}
		e := &Event{Kind: KindExec, What: "id", Source: &openclaw.Source{}, Asker: &Asker{Kind: "operator"}, Result: c.result}
		got := x.Event(e).Body.(ecsDocument).Event
		if got.Type[0] != c.kind || got.Outcome != c.outcome {
			t.Errorf("%v: %v, %v", c.result.Status, got.Type, got.Outcome)
		}
	}
}

// TestDocumentIDs names an event the same however its secrets are shown, and two events never the same.
func TestDocumentIDs(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		e := anyHostileEvent(r)
		e.Line = rapid.Int64Range(1, 100).Draw(r, "line")
		a, b := Origin{Renderer: renderer(), Host: "h"}, Origin{Renderer: renderer(e.What), Host: "h"}
		if a.eventID(e) != b.eventID(e) {
			r.Fatal("the id depends on the secrets")
		}
		next, elsewhere := *e, Origin{Renderer: renderer(), Host: "g"}
		next.Line++
		if a.eventID(&next) == a.eventID(e) || elsewhere.eventID(e) == a.eventID(e) {
			r.Fatal("two events have one id")
		}
	})
}
