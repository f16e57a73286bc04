// Package analyze turns evidence into events and tells what they say: the timeline of what an agent executed
// and wrote, when, and who asked for it.
//
// It reads any io/fs.FS of a host through internal/openclaw, changes nothing, runs nothing and prints nothing:
// cmd/ renders what it returns. Every byte of every source ends in an event, in the count of duplicates or in
// the Coverage as what could not be parsed.
package analyze

import (
	"strconv"
	"time"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

// A Kind is what sort of thing an event is.
type Kind string

// The kinds. Session, tool and result hold what the others do not: a transcript's own bookkeeping, a tool this
// release does not know, and a result whose call is nowhere.
const (
	KindExec       Kind = "exec"
	KindWrite      Kind = "write"
	KindEdit       Kind = "edit"
	KindRead       Kind = "read"
	KindFetch      Kind = "fetch"
	KindBrowse     Kind = "browse"
	KindMessage    Kind = "message"
	KindSpawn      Kind = "spawn"
	KindConfig     Kind = "config"
	KindPairing    Kind = "pairing"
	KindApproval   Kind = "approval"
	KindAutomation Kind = "automation"
	KindLog        Kind = "log"
	KindTool       Kind = "tool"
	KindResult     Kind = "result"
	KindSession    Kind = "session"
)

// Kinds lists every kind, in the order help shows them.
var Kinds = []Kind{KindExec, KindWrite, KindEdit, KindRead, KindFetch, KindBrowse, KindMessage, KindSpawn, KindConfig, KindPairing, KindApproval, KindAutomation, KindLog, KindTool, KindResult, KindSession}

// DefaultKinds are shown when none is asked for: what ran and what was written.
var DefaultKinds = []Kind{KindExec, KindWrite, KindEdit}

// An Owner says whether the one who asked is the owner of the agent.
type Owner string

// What the evidence can say of a sender. Releases before 2026.7 do not record it in the transcript.
const (
	OwnerYes     Owner = "owner"
	OwnerNo      Owner = "not-owner"
	OwnerUnknown Owner = "owner?"
)

// An Asker is whose input an action answers: a sender on a channel, the operator at the terminal or the
// dashboard, an automation, a hook, the HTTP API, another agent or OpenClaw itself.
type Asker struct {
	Kind    string `json:"kind"`              // channel, operator, automation, heartbeat, hook, http, agent, system, unknown
	Channel string `json:"channel,omitempty"` // telegram, whatsapp, …
	Sender  string `json:"sender,omitempty"`  // the channel's id of the sender, the job's id, the agent's session
	Name    string `json:"name,omitempty"`    // what the sender calls itself: not to be trusted
	Owner   Owner  `json:"owner,omitempty"`
	Group   bool   `json:"group,omitempty"`
}

// String renders the asker for a timeline line, as telegram:666000222,not-owner. A name without an id, which
// anyone can take, is marked by "?". It may hold hostile text.
func (a *Asker) String() string {
	s := a.Kind
	if a.Kind == "channel" {
		s = a.Channel
	}
	switch {
	case a.Sender != "":
		s += ":" + a.Sender
	case a.Name != "":
		s += ":?" + a.Name
	}
	if a.Group {
		s += ",group"
	}
	if a.Owner != "" {
		s += "," + string(a.Owner)
	}
	return s
}

// A Status is how an action ended.
type Status string

// The statuses. Asked is not done: without a result it is not known that anything ran.
const (
	StatusOK      Status = "ok"
	StatusError   Status = "error"
	StatusDenied  Status = "denied"
	StatusTimeout Status = "timeout"
	StatusRunning Status = "running"
	StatusPending Status = "approval-pending"
	StatusNone    Status = "no result"
)

// A Result is what the evidence says of an action's outcome.
type Result struct {
	Status   Status `json:"status"`
	Exit     *int   `json:"exit_code,omitempty"`
	Signal   string `json:"signal,omitempty"`
	Millis   int64  `json:"duration_ms,omitempty"`
	Size     int64  `json:"result_bytes,omitempty"` // of the result as stored
	PID      int64  `json:"pid,omitempty"`
	Error    string `json:"error,omitempty"` // the start of the message
	Recorded bool   `json:"recorded"`
}

// An Event is one thing that happened, or was asked for, as the evidence records it.
// All strings may hold hostile text.
type Event struct {
	Time     int64 // milliseconds since 1970, UTC
	NoTime   bool  // the record bears no time; Time is that of the record before it
	Kind     Kind
	Source   *openclaw.Source
	Line     int64  // line number, seq or rowid in the source
	Call     int    // position among the calls of its record, from 0
	Digest   string // SHA-256 of the record's bytes, hex; only if asked for
	Agent    string
	Session  string
	Key      string // session key
	Asker    *Asker
	Tool     string
	CallID   string
	Parent   string // id of the parent record in the transcript
	What     string // the command as recorded, the path, the URL, the message text
	Recorded string // the path as recorded, where What has it made absolute
	Cwd      string
	Target   string // where a message went, which node, which action
	Bytes    int64  // of the content written or the message
	Result   Result
	Marks    []string // masked, elevated, background, node:…, indirect, differs, …

	// Of events that are searched by rules. The first two are not stored.
	Args    string   // the call's arguments, as JSON
	Details []Detail // what a ledger's record says, by name
	hits    []hit    // rules that met it
	first   string   // true or false: whether what it deals with is new
	hosts   []string // that a quick look found in it
	values  []string // by which the input that led to it may be known
}

// A Detail is one named thing that a ledger's record says of an event. Its name is that of a field of rules.
type Detail struct{ Name, Text string }

// say adds what a record says, unless it says nothing.
func (e *Event) say(name, text string) {
	if text != "" {
		e.Details = append(e.Details, Detail{name, text})
	}
}

// ID names the event within its evidence: session.line, and /n for a later call of one record.
func (e *Event) ID() string {
	session := e.Session
	if len(session) > 8 {
		session = session[:8]
	}
	id := session + "." + strconv.FormatInt(e.Line, 10)
	if e.Call > 0 {
		id += "/" + strconv.Itoa(e.Call+1)
	}
	return id
}

// place is what tells an event from all others; several may share an id, which holds only the beginning of the session's.
func (e *Event) place() string { return e.Session + "\x00" + e.ID() }

// A spot is where an event stands in the evidence: no two share one, in whatever run they were read.
type spot struct {
	path string
	form openclaw.Form
	line int64
	call int
	kind Kind
}

func (e *Event) spot() spot {
	s := spot{line: e.Line, call: e.Call, kind: e.Kind}
	if e.Source != nil {
		s.path, s.form = e.Source.Path, e.Source.Form
	}
	return s
}

// When returns the event's time in UTC.
func (e *Event) When() time.Time { return time.UnixMilli(e.Time).UTC() }

func (e *Event) mark(m string) {
	for _, have := range e.Marks {
		if have == m {
			return
		}
	}
	e.Marks = append(e.Marks, m)
}
