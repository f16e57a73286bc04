package analyze

import (
	"path"
	"strings"
)

// ocsfVersion is the release of the Open Cybersecurity Schema Framework that an OCSF writes (https://schema.ocsf.io/1.8.0).
const ocsfVersion = "1.8.0"

// An OCSF makes of events and findings documents of the Open Cybersecurity Schema Framework: what ran is Process Activity, files are
// File System Activity, web addresses HTTP Activity, findings Detection Findings, and what the framework has no class for is a
// Base Event. What it has no attribute for is in unmapped.
type OCSF struct{ Origin }

// A class of the framework. Its type is class and activity together.
type ocsfClass struct{ category, class, activity int }

// The classes and activities used, by their numbers in the schema.
var (
	ocsfLaunch  = ocsfClass{1, 1007, 1}
	ocsfCreate  = ocsfClass{1, 1001, 1}
	ocsfRead    = ocsfClass{1, 1001, 2}
	ocsfUpdate  = ocsfClass{1, 1001, 3}
	ocsfDelete  = ocsfClass{1, 1001, 4}
	ocsfHTTP    = ocsfClass{4, 4002, 0}
	ocsfBase    = ocsfClass{0, 0, 99}
	ocsfFinding = ocsfClass{2, 2004, 1}
)

const (
	ocsfInfo       = 1 // severity_id; the scale is severity's, from 1
	ocsfSHA256     = 3
	ocsfRule       = 1 // analytic.type_id
	ocsfNew        = 1 // status_id of a finding
	ocsfSuppressed = 3
)

type ocsfDocument struct {
	Activity     int               `json:"activity_id"`
	ActivityName string            `json:"activity_name,omitempty"`
	Category     int               `json:"category_uid"`
	Class        int               `json:"class_uid"`
	Type         int               `json:"type_uid"`
	Severity     int               `json:"severity_id"`
	Time         int64             `json:"time"` // milliseconds since 1970
	Message      string            `json:"message"`
	Metadata     ocsfMetadata      `json:"metadata"`
	Status       *int              `json:"status_id,omitempty"`
	StatusName   string            `json:"status,omitempty"`
	StatusDetail string            `json:"status_detail,omitempty"`
	Device       *ocsfDevice       `json:"device,omitempty"`
	Actor        *ocsfActor        `json:"actor,omitempty"`
	Process      *ocsfProcess      `json:"process,omitempty"`
	Exit         *int              `json:"exit_code,omitempty"`
	File         *ocsfFile         `json:"file,omitempty"`
	Request      *ocsfRequest      `json:"http_request,omitempty"`
	To           *ocsfEndpoint     `json:"dst_endpoint,omitempty"`
	Hash         *ocsfHash         `json:"raw_data_hash,omitempty"`
	Info         *ocsfInfoObject   `json:"finding_info,omitempty"`
	Evidences    []ocsfEvidence    `json:"evidences,omitempty"`
	Alert        bool              `json:"is_alert,omitempty"`
	Count        int               `json:"count,omitempty"`
	Start        int64             `json:"start_time,omitempty"`
	End          int64             `json:"end_time,omitempty"`
	Unmapped     map[string]string `json:"unmapped,omitempty"`
}

type ocsfMetadata struct {
	Version  string      `json:"version"`
	Product  ocsfProduct `json:"product"`
	Profiles []string    `json:"profiles"`
	UID      string      `json:"uid"`
	Log      string      `json:"log_name,omitempty"`
	Sequence int64       `json:"sequence,omitempty"`
	Labels   []string    `json:"labels,omitempty"`
}

type ocsfProduct struct {
	Name string `json:"name"`
}

type ocsfDevice struct {
	Type     int    `json:"type_id"` // 0, unknown
	Hostname string `json:"hostname,omitempty"`
	Name     string `json:"name,omitempty"`
}

type ocsfActor struct {
	App     string       `json:"app_name"`
	User    *ocsfUser    `json:"user,omitempty"`
	Session *ocsfSession `json:"session,omitempty"`
}

type ocsfUser struct {
	Name    string `json:"name"`
	UID     string `json:"uid,omitempty"`
	Display string `json:"display_name,omitempty"`
	Domain  string `json:"domain,omitempty"`
	Type    int    `json:"type_id"` // 0, unknown
}

type ocsfSession struct {
	UID string `json:"uid"`
}

type ocsfProcess struct {
	UID     string `json:"uid"`
	PID     int64  `json:"pid,omitempty"`
	Command string `json:"cmd_line,omitempty"`
	Cwd     string `json:"working_directory,omitempty"`
}

type ocsfFile struct {
	Name string `json:"name"`
	Path string `json:"path"`
	Type int    `json:"type_id"` // 0, unknown
	Size int64  `json:"size,omitempty"`
}

type ocsfRequest struct {
	URL ocsfURL `json:"url"`
}

type ocsfURL struct {
	Text     string `json:"url_string"`
	Hostname string `json:"hostname"`
	Scheme   string `json:"scheme"`
}

type ocsfEndpoint struct {
	Hostname string `json:"hostname"`
}

type ocsfHash struct {
	Algorithm int    `json:"algorithm_id"`
	Value     string `json:"value"`
}

type ocsfInfoObject struct {
	UID      string       `json:"uid"`
	Title    string       `json:"title"`
	Desc     string       `json:"desc,omitempty"`
	Analytic ocsfAnalytic `json:"analytic"`
	Attacks  []ocsfAttack `json:"attacks,omitempty"`
	First    int64        `json:"first_seen_time,omitempty"`
	Last     int64        `json:"last_seen_time,omitempty"`
}

type ocsfAnalytic struct {
	Name string `json:"name"`
	UID  string `json:"uid"`
	Type int    `json:"type_id"`
}

type ocsfAttack struct {
	Technique ocsfNamed  `json:"technique"`
	Sub       *ocsfNamed `json:"sub_technique,omitempty"`
}

type ocsfNamed struct {
	UID string `json:"uid"`
}

type ocsfEvidence struct {
	Actor   *ocsfActor   `json:"actor,omitempty"`
	Process *ocsfProcess `json:"process,omitempty"`
	File    *ocsfFile    `json:"file,omitempty"`
	Request *ocsfRequest `json:"http_request,omitempty"`
	Device  *ocsfDevice  `json:"device,omitempty"`
}

func (x *OCSF) document(c ocsfClass, id string) ocsfDocument {
	device := &ocsfDevice{Hostname: x.cut(x.text(x.Host))}
	if x.Host == "" {
		device.Name = "unknown"
	}
	return ocsfDocument{
		Activity: c.activity, Category: c.category, Class: c.class, Type: c.class*100 + c.activity, Severity: ocsfInfo,
		Metadata: ocsfMetadata{Version: ocsfVersion, Product: ocsfProduct{"openclaw-ir"}, Profiles: []string{"host"}, UID: id}, Device: device,
	}
}

// Event makes a document of an event.
func (x *OCSF) Event(e *Event) Document {
	id := x.eventID(e)
	rec := x.Record(e)
	c := x.class(e)
	d := x.document(c, id)
	if c == ocsfBase {
		d.ActivityName = string(e.Kind)
	}
	d.Time, d.Message = e.Time, x.cut(string(e.Kind)+" "+x.what(e))
	x.source(&d, &rec)
	x.status(&d, e, &rec)
	d.Actor = x.actor(&rec)
	x.target(&d, c, id, e, &rec)
	if f := x.found(e); f != nil {
		d.Severity = int(f.Level) + 1
	}
	d.Unmapped = x.rest(e, &rec)
	return Document{id, d}
}

func (x *OCSF) class(e *Event) ocsfClass {
	switch {
	case e.Kind == KindExec:
		return ocsfLaunch
	case e.Kind == KindRead && e.path() != "":
		return ocsfRead
	case e.path() != "":
		return map[string]ocsfClass{"creation": ocsfCreate, "deletion": ocsfDelete, "change": ocsfUpdate}[ecsChange(e)]
	case x.address(e) != nil:
		return ocsfHTTP
	}
	return ocsfBase
}

// source says where the record stands, and what its digest is.
func (x *OCSF) source(d *ocsfDocument, rec *Record) {
	d.Metadata.Log, d.Metadata.Sequence = x.cut(rec.Source), rec.Line
	d.Metadata.Labels = x.cutAll(rec.Marks)
	if rec.Digest != "" {
		d.Hash = &ocsfHash{ocsfSHA256, rec.Digest}
	}
}

// status says how it ended. Each class of activities is of requests, so that what was only asked for is one, of unknown outcome.
func (x *OCSF) status(d *ocsfDocument, e *Event, rec *Record) {
	if x.result(e) == "" {
		return
	}
	id := 0
	if ok, known := x.outcome(e); known {
		id = map[bool]int{true: 1, false: 2}[ok]
	}
	d.Status, d.StatusName = &id, []string{"Unknown", "Success", "Failure"}[id]
	d.StatusDetail = x.cut(strings.Join(nonEmpty(string(rec.Result.Status), rec.Result.Error), ": "))
}

func (x *OCSF) actor(rec *Record) *ocsfActor {
	a := &ocsfActor{App: x.cut(strings.TrimSpace("OpenClaw " + rec.Agent)), User: &ocsfUser{
		Name: x.cut(rec.Asker.who()), UID: x.cut(rec.Asker.Sender), Display: x.cut(rec.Asker.Name), Domain: x.cut(rec.Asker.Channel),
	}}
	if rec.Session != "" {
		a.Session = &ocsfSession{x.cut(rec.Session)}
	}
	return a
}

// target says what an event was done to or with.
func (x *OCSF) target(d *ocsfDocument, c ocsfClass, id string, e *Event, rec *Record) {
	what := x.cut(rec.What)
	switch c.class {
	case ocsfLaunch.class:
		d.Process = &ocsfProcess{id, rec.Result.PID, what, x.cut(rec.Cwd)}
		d.Exit = rec.Result.Exit
	case ocsfRead.class:
		d.File = x.file(what)
		if e.Kind == KindWrite {
			d.File.Size = rec.Bytes
		}
	case ocsfHTTP.class:
		u := x.address(e)
		d.Request = &ocsfRequest{ocsfURL{what, x.cut(u.Hostname()), u.Scheme}}
		d.To = &ocsfEndpoint{d.Request.URL.Hostname}
	}
}

func (x *OCSF) file(name string) *ocsfFile {
	base := path.Base(name)
	if base == "." || base == "/" {
		base = name
	}
	return &ocsfFile{Name: base, Path: name}
}

// Finding makes a document of a finding.
func (x *OCSF) Finding(f *Finding) Document {
	id := x.findingID(f)
	rec := x.FindingRecord(f)
	d := x.document(ocsfFinding, id)
	d.Severity, d.Alert, d.Count = int(f.Level)+1, true, f.Count
	d.Message = x.cut(rec.Rule + " " + rec.Title + ": " + x.deed(f))
	d.Info = x.info(f, &rec, id)
	status := ocsfNew
	if d.StatusName = "New"; f.Rejected != nil {
		status, d.StatusName, d.StatusDetail = ocsfSuppressed, "Suppressed", x.cut(x.text(f.Rejected.Reason))
	}
	d.Status = &status
	if d.Time, d.Start, d.End = f.Time, f.Time, f.Last; f.Time == 0 {
		d.Time = x.Now.UnixMilli()
	}
	d.Unmapped = x.findingRest(f, &rec)
	x.evidence(&d, f, &rec)
	return Document{id, d}
}

func (x *OCSF) info(f *Finding, rec *FindingRecord, id string) *ocsfInfoObject {
	info := &ocsfInfoObject{
		UID: id, Title: x.cut(rec.Title), Desc: x.cut(rec.Means), Analytic: ocsfAnalytic{x.cut(rec.Title), x.cut(rec.Rule), ocsfRule}, First: f.Time, Last: f.Last,
	}
	for _, technique := range rec.Attack {
		whole, _, part := strings.Cut(technique, ".")
		a := ocsfAttack{Technique: ocsfNamed{whole}}
		if part {
			a.Sub = &ocsfNamed{technique}
		}
		info.Attacks = append(info.Attacks, a)
	}
	return info
}

// evidence says what the finding speaks of.
func (x *OCSF) evidence(d *ocsfDocument, f *Finding, rec *FindingRecord) {
	ev := ocsfEvidence{Device: d.Device}
	if f.Event != nil {
		var of ocsfDocument
		x.target(&of, x.class(f.Event), x.eventID(f.Event), f.Event, rec.Event)
		x.source(d, rec.Event)
		ev.Process, ev.File, ev.Request, ev.Actor = of.Process, of.File, of.Request, x.actor(rec.Event)
	} else if rec.Path != "" {
		ev.File = x.file(x.cut(rec.Path))
	}
	d.Evidences = []ocsfEvidence{ev}
}
