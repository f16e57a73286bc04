package analyze

import (
	"slices"
	"strings"
	"time"
)

// ecsVersion is the release of the Elastic Common Schema whose fields an ECS writes
// (https://github.com/elastic/ecs/tree/v8.17.0/generated/csv/fields.csv).
const ecsVersion = "8.17.0"

// An ECS makes of events and findings documents of the Elastic Common Schema. What it has no field for is a label, and a label is
// a text, as the schema has it.
type ECS struct{ Origin }

type ecsDocument struct {
	Time    string            `json:"@timestamp"`
	ECS     ecsSchema         `json:"ecs"`
	Message string            `json:"message"`
	Event   ecsEvent          `json:"event"`
	Host    *ecsHost          `json:"host,omitempty"`
	User    *ecsUser          `json:"user,omitempty"`
	Process *ecsProcess       `json:"process,omitempty"`
	File    *ecsFile          `json:"file,omitempty"`
	URL     *ecsURL           `json:"url,omitempty"`
	Error   *ecsError         `json:"error,omitempty"`
	Log     ecsLog            `json:"log,omitzero"`
	Rule    *ecsRule          `json:"rule,omitempty"`
	Threat  *ecsThreat        `json:"threat,omitempty"`
	Related ecsRelated        `json:"related,omitzero"`
	Service ecsService        `json:"service"`
	Watcher ecsObserver       `json:"observer"`
	Tags    []string          `json:"tags,omitempty"`
	Labels  map[string]string `json:"labels,omitempty"`
}

type ecsSchema struct {
	Version string `json:"version"`
}

type ecsEvent struct {
	Kind     string   `json:"kind"`
	Category []string `json:"category,omitempty"`
	Type     []string `json:"type,omitempty"`
	Action   string   `json:"action"`
	Outcome  string   `json:"outcome,omitempty"`
	Module   string   `json:"module"`
	Dataset  string   `json:"dataset"`
	ID       string   `json:"id"`
	Hash     string   `json:"hash,omitempty"`     // SHA-256 of the record
	Sequence int64    `json:"sequence,omitempty"` // line number, seq or rowid
	Duration int64    `json:"duration,omitempty"` // nanoseconds
	Severity int      `json:"severity,omitempty"` // of the worst finding: 1 for info to 5 for critical
	Start    string   `json:"start,omitempty"`
	End      string   `json:"end,omitempty"`
	Reason   string   `json:"reason,omitempty"`
}

type ecsHost struct {
	Name string `json:"name"`
}

type ecsUser struct {
	Name     string   `json:"name"`
	ID       string   `json:"id,omitempty"`
	FullName string   `json:"full_name,omitempty"`
	Domain   string   `json:"domain,omitempty"`
	Roles    []string `json:"roles,omitempty"`
}

type ecsProcess struct {
	CommandLine string `json:"command_line,omitempty"`
	Exit        *int   `json:"exit_code,omitempty"`
	PID         int64  `json:"pid,omitempty"`
	Cwd         string `json:"working_directory,omitempty"`
}

type ecsFile struct {
	Path string `json:"path"`
	Size int64  `json:"size,omitempty"`
}

type ecsURL struct {
	Full     string `json:"full,omitempty"`
	Original string `json:"original"`
	Domain   string `json:"domain,omitempty"`
	Scheme   string `json:"scheme,omitempty"`
}

type ecsError struct {
	Message string `json:"message"`
}

type ecsLog struct {
	File  ecsLogFile `json:"file,omitzero"`
	Level string     `json:"level,omitempty"`
}

type ecsLogFile struct {
	Path string `json:"path"`
}

type ecsRule struct {
	ID          string `json:"id"`
	UUID        string `json:"uuid,omitempty"`
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
}

type ecsThreat struct {
	Framework string       `json:"framework"`
	Technique ecsTechnique `json:"technique"`
}

type ecsTechnique struct {
	ID  []string `json:"id"`
	Sub *ecsSub  `json:"subtechnique,omitempty"`
}

type ecsSub struct {
	ID []string `json:"id"`
}

type ecsRelated struct {
	User  []string `json:"user,omitempty"`
	Hosts []string `json:"hosts,omitempty"`
	Hash  []string `json:"hash,omitempty"`
}

type ecsService struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

type ecsObserver struct {
	Product string `json:"product"`
}

func (x *ECS) document(kind, action, id string) ecsDocument {
	d := ecsDocument{
		ECS: ecsSchema{ecsVersion}, Service: ecsService{"openclaw", "openclaw"}, Watcher: ecsObserver{"openclaw-ir"},
		Event: ecsEvent{Kind: kind, Action: action, Module: "openclaw", Dataset: "openclaw." + action, ID: id},
	}
	if x.Host != "" {
		d.Host = &ecsHost{x.cut(x.text(x.Host))}
		d.Related.Hosts = []string{d.Host.Name}
	}
	return d
}

// Event makes a document of an event.
func (x *ECS) Event(e *Event) Document {
	id := x.eventID(e)
	d := x.document("event", string(e.Kind), id)
	d.Time, d.Message = e.When().Format(timeLayout), x.cut(string(e.Kind)+" "+x.what(e))
	d.Event.Category, d.Event.Type = x.class(e)
	if f := x.found(e); f != nil {
		d.Rule, d.Event.Severity = x.rule(f), int(f.Level)+1
	}
	x.describe(&d, e)
	return Document{id, d}
}

// class is what sort of event it is, in the words that the schema allows. A start, a change or an access says that it took place:
// what was only asked for is information.
func (x *ECS) class(e *Event) (category, kind []string) {
	name, did := ecsClass(e)
	if !e.ran() {
		did = "info"
	}
	return nonEmpty(name), []string{did}
}

// ecsClass is the category of an event, and what it did if it took place.
func ecsClass(e *Event) (category, did string) {
	switch {
	case e.Kind == KindExec:
		return "process", "start"
	case e.Kind == KindWrite, e.Kind == KindEdit:
		return "file", ecsChange(e)
	case e.Kind == KindRead && e.path() != "":
		return "file", "access"
	case e.Kind == KindFetch, e.Kind == KindBrowse:
		return "web", "access"
	case e.Kind == KindSpawn:
		return "session", "start"
	case e.Kind == KindSession:
		return "session", "info"
	case e.Kind == KindConfig, e.Kind == KindAutomation:
		return "configuration", "info"
	case e.Kind == KindPairing:
		return "iam", "info"
	}
	return "", "info"
}

// ecsChange tells files that a patch added or deleted from those that are changed, or new for all that is known.
func ecsChange(e *Event) string {
	switch {
	case slices.Contains(e.Marks, "added"):
		return "creation"
	case slices.Contains(e.Marks, "deleted"):
		return "deletion"
	}
	return "change"
}

// describe says of an event what the schema has fields for, and the rest in labels.
func (x *ECS) describe(d *ecsDocument, e *Event) {
	rec := x.Record(e)
	d.User = x.user(&rec.Asker)
	d.Related.User = nonEmpty(x.cut(rec.Asker.Sender))
	d.Related.Hash = nonEmpty(rec.Digest)
	d.Event.Hash, d.Event.Sequence = rec.Digest, rec.Line
	d.Event.Duration = rec.Result.Millis * int64(time.Millisecond)
	d.Log.File.Path = x.cut(rec.Source)
	d.Tags = x.cutAll(rec.Marks)
	x.target(d, e, &rec)
	if ok, known := x.outcome(e); known {
		d.Event.Outcome = map[bool]string{true: "success", false: "failure"}[ok]
	} else if x.result(e) != "" {
		d.Event.Outcome = "unknown"
	}
	if rec.Result.Error != "" {
		d.Error = &ecsError{x.cut(rec.Result.Error)}
	}
	d.Labels = x.rest(e, &rec)
}

// target says what an event was done to or with.
func (x *ECS) target(d *ecsDocument, e *Event, rec *Record) {
	what := x.cut(rec.What)
	switch {
	case e.Kind == KindExec:
		d.Process = &ecsProcess{what, rec.Result.Exit, rec.Result.PID, x.cut(rec.Cwd)}
	case e.path() != "":
		d.File = &ecsFile{Path: what}
		if e.Kind == KindWrite {
			d.File.Size = rec.Bytes
		}
	case e.Kind == KindLog:
		d.Log.Level = x.cut(rec.Target)
	}
	if u := x.address(e); u != nil {
		d.URL = &ecsURL{what, what, x.cut(u.Hostname()), u.Scheme}
		d.Related.Hosts = append(d.Related.Hosts, d.URL.Domain)
	}
}

func (x *ECS) user(a *Asker) *ecsUser {
	return &ecsUser{
		Name: x.cut(a.who()), ID: x.cut(a.Sender), FullName: x.cut(a.Name), Domain: x.cut(a.Channel), Roles: nonEmpty(string(a.Owner)),
	}
}

func (x *ECS) rule(f *Finding) *ecsRule {
	return &ecsRule{ID: x.cut(x.text(f.Rule.Key())), UUID: x.cut(x.text(f.Rule.ID)), Name: x.cut(x.text(f.Rule.Title))}
}

// Finding makes a document of a finding, as an alert.
func (x *ECS) Finding(f *Finding) Document {
	id := x.findingID(f)
	d := x.document("alert", "finding", id)
	rec := x.FindingRecord(f)
	if f.Event != nil {
		x.describe(&d, f.Event)
	} else if rec.Path != "" {
		d.File = &ecsFile{Path: x.cut(rec.Path)}
	}
	d.Event.Category, d.Event.Type = []string{"intrusion_detection"}, []string{"info"}
	d.Event.Severity, d.Event.Reason = int(f.Level)+1, x.cut(rec.Deed)
	d.Rule = x.rule(f)
	d.Rule.Description = x.cut(rec.Means)
	d.Threat = ecsAttack(rec.Attack)
	d.Message = x.cut(rec.Rule + " " + rec.Title + ": " + x.deed(f))
	d.Time, d.Event.Start, d.Event.End = rec.Time, rec.Time, rec.Last
	if d.Time == "" {
		d.Time = x.Now.UTC().Format(timeLayout)
	}
	d.Labels = x.findingRest(f, &rec)
	return Document{id, d}
}

// ecsAttack parts techniques from their parts, as T1059.004.
func ecsAttack(ids []string) *ecsThreat {
	if len(ids) == 0 {
		return nil
	}
	t := &ecsThreat{Framework: "MITRE ATT&CK"}
	for _, id := range ids {
		whole, _, part := strings.Cut(id, ".")
		t.Technique.ID = append(t.Technique.ID, whole)
		if part {
			if t.Technique.Sub == nil {
				t.Technique.Sub = &ecsSub{}
			}
			t.Technique.Sub.ID = append(t.Technique.Sub.ID, id)
		}
	}
	return t
}
