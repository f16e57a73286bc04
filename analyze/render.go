package analyze

import (
	"encoding/csv"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/secret"
)

// A Renderer turns events into lines. It replaces secrets by fingerprints and makes hostile text harmless;
// nothing of an event may be shown in another way.
//
// It is used by one goroutine at a time.
type Renderer struct {
	Secrets *secret.Set
	// Findings marks the events that they speak of; nil marks none.
	Findings *FindingsReport
	shown    map[string]string // short texts that come again: agents, askers, tools
}

// maxShown bounds how many texts a Renderer remembers, and how long they are.
const (
	maxShown     = 4096
	maxShownText = 100
)

const timeLayout = "2006-01-02T15:04:05.000Z"

// redact replaces secrets; it comes before any escaping, which could tear them apart.
func (r *Renderer) redact(s string) string {
	if s == "" {
		return s
	}
	if joined := unquoted(s); joined != "" && len(r.Secrets.Found(joined)) > len(r.Secrets.Found(s)) {
		return r.Secrets.Redact(joined)
	}
	return r.Secrets.Redact(s)
}

// maxUnquoted is the longest text that is looked at without its quotes, in bytes.
const maxUnquoted = 64 << 10

// quotes are what a shell takes out of a word: a secret may be typed with them inside.
var quotes = strings.NewReplacer("\"", "", "'", "", "\\", "")

// unquoted is a text without its quotes; "" if it has none.
func unquoted(s string) string {
	if len(s) > maxUnquoted || !strings.ContainsAny(s, "\"'\\") {
		return ""
	}
	return quotes.Replace(s)
}

func (r *Renderer) show(s string) string { return console.Escape(r.redact(s)) }

// again is show for texts that come again.
func (r *Renderer) again(s string) string {
	if len(s) > maxShownText {
		return r.show(s)
	}
	text, known := r.shown[s]
	if !known {
		text = r.show(s)
		if r.shown == nil || len(r.shown) >= maxShown {
			r.shown = map[string]string{}
		}
		r.shown[s] = text
	}
	return text
}

// Line renders an event as one line of text, without a newline:
//
//	2026-11-20T10:03:11.204Z  exec   main/telegram:666000222,not-owner#80f0b671.19  curl -s http://… | sh  → 0 1.2s  !critical DLX-001 Download piped into an interpreter
func (r *Renderer) Line(e *Event) string {
	b := e.When().AppendFormat(make([]byte, 0, 160+len(e.What)), timeLayout)
	if e.NoTime {
		b = append(b, '~')
	}
	b = append(append(b, "  "...), e.Kind...)
	for range 5 - len(e.Kind) {
		b = append(b, ' ')
	}
	b = append(append(b, "  "...), orDash(r.again(e.Agent))...)
	b = append(append(b, '/'), r.again(e.Asker.String())...)
	b = append(append(b, '#'), console.Escape(e.ID())...)
	b = append(append(b, "  "...), r.what(e)...)
	if result := r.result(e); result != "" {
		b = append(append(b, "  → "...), result...)
	}
	if len(e.Marks) > 0 {
		b = append(append(b, "  ["...), r.again(strings.Join(e.Marks, " "))...)
		b = append(b, ']')
	}
	if f := r.found(e); f != nil {
		b = fmt.Appendf(b, "  !%v %s %s", f.Level, console.Escape(f.Rule.Key()), r.again(f.Rule.Title))
	}
	return string(b)
}

func (r *Renderer) found(e *Event) *Finding {
	if r.Findings == nil {
		return nil
	}
	return r.Findings.Of(e)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// what says what was done, in the words of the evidence.
func (r *Renderer) what(e *Event) string {
	what := r.show(e.What)
	switch e.Kind {
	case KindExec:
		if e.What == "" {
			return "(command not in the evidence)"
		}
		return what
	case KindWrite, KindEdit:
		if e.Bytes > 0 {
			return what + " (" + strconv.FormatInt(e.Bytes, 10) + " bytes)"
		}
		return what
	case KindLog:
		return strings.TrimSpace(r.show(e.Target) + " " + r.show(e.Tool) + ": " + what)
	case KindMessage:
		return strings.TrimSpace(r.show(e.Target) + ": " + what)
	case KindTool, KindResult, KindConfig, KindAutomation, KindApproval, KindPairing, KindSpawn, KindBrowse, KindFetch, KindRead:
		words := []string{r.again(e.Tool)}
		if e.Target != "" && e.Target != e.What {
			words = append(words, r.show(e.Target))
		}
		return strings.TrimSpace(strings.Join(words, " ") + ": " + what)
	}
	return what
}

// result says how it ended; "" where that makes no sense.
func (r *Renderer) result(e *Event) string {
	res := &e.Result
	switch e.Kind {
	case KindLog, KindSession:
		return ""
	case KindMessage:
		if e.Tool == "" {
			return ""
		}
	}
	var words []string
	switch {
	case res.Exit != nil && res.Status != StatusTimeout:
		words = append(words, strconv.Itoa(*res.Exit))
	case res.Status == StatusRunning && res.PID > 0:
		words = append(words, fmt.Sprintf("running (pid %d)", res.PID))
	default:
		words = append(words, string(res.Status))
	}
	if res.Signal != "" {
		words = append(words, r.show(res.Signal))
	}
	if res.Millis > 0 {
		words = append(words, strings.ReplaceAll(console.Duration(time.Duration(res.Millis)*time.Millisecond), " ", ""))
	}
	if res.Status == StatusError && res.Exit == nil && res.Error != "" {
		words = append(words, "("+console.Escape(start(firstLine(r.redact(res.Error)), errorShown))+")")
	}
	return strings.Join(words, " ")
}

// errorShown is how much of an error a line shows. Bytes.
const errorShown = 200

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// A Record is an event as JSON and CSV show it.
type Record struct {
	Time       string   `json:"time"`
	TimeFrom   string   `json:"time_from,omitempty"` // "record before": the record bears none of its own
	Kind       Kind     `json:"kind"`
	ID         string   `json:"id"`
	Agent      string   `json:"agent"`
	Session    string   `json:"session"`
	SessionKey string   `json:"session_key,omitempty"`
	Asker      Asker    `json:"asker"`
	Tool       string   `json:"tool,omitempty"`
	CallID     string   `json:"call_id,omitempty"`
	Parent     string   `json:"parent,omitempty"`
	What       string   `json:"what"`
	Recorded   string   `json:"path_recorded,omitempty"`
	Cwd        string   `json:"cwd,omitempty"`
	Target     string   `json:"target,omitempty"`
	Bytes      int64    `json:"bytes,omitempty"`
	Result     Result   `json:"result"`
	Marks      []string `json:"marks,omitempty"`
	Source     string   `json:"source"`
	Form       string   `json:"form"`
	Line       int64    `json:"line"`
	Digest     string   `json:"sha256,omitempty"`
	Level      string   `json:"level,omitempty"` // of the worst finding that speaks of it, if findings were looked for
	Rule       string   `json:"rule,omitempty"`  // that finding's
}

// Record makes of an event what JSON and CSV show of it.
func (r *Renderer) Record(e *Event) Record {
	rec := Record{
		Time: e.When().Format(timeLayout), Kind: e.Kind, ID: r.text(e.ID()), Agent: r.text(e.Agent), Session: r.text(e.Session),
		SessionKey: r.text(e.Key), Asker: *e.Asker, Tool: r.text(e.Tool), CallID: r.text(e.CallID), Parent: r.text(e.Parent),
		What: r.text(e.What), Recorded: r.text(e.Recorded), Cwd: r.text(e.Cwd), Target: r.text(e.Target), Bytes: e.Bytes,
		Result: e.Result, Source: r.text(e.Source.Path), Form: e.Source.Form.String(), Line: e.Line, Digest: e.Digest,
	}
	if e.NoTime {
		rec.TimeFrom = "record before"
	}
	if f := r.found(e); f != nil {
		rec.Level, rec.Rule = f.Level.String(), r.text(f.Rule.Key())
	}
	for _, m := range e.Marks {
		rec.Marks = append(rec.Marks, r.text(m))
	}
	for _, s := range []*string{&rec.Asker.Channel, &rec.Asker.Sender, &rec.Asker.Name, &rec.Result.Error, &rec.Result.Signal} {
		*s = r.text(*s)
	}
	return rec
}

// text is a string as JSON can hold it: secrets replaced, and escaped as a whole if it is not UTF-8.
func (r *Renderer) text(s string) string {
	s = r.redact(s)
	if !utf8.ValidString(s) {
		return console.Escape(s)
	}
	return s
}

// columns are the CSV's, in order.
var columns = []string{"time", "kind", "id", "agent", "session", "session_key", "asker", "owner", "tool", "call_id", "what", "cwd", "target", "bytes", "status", "exit_code", "duration_ms", "error", "marks", "source", "form", "line", "sha256", "level", "rule"}

// A CSV writes events as comma-separated values with a heading (RFC 4180). A spreadsheet must not take an
// intruder's text for a formula, so an apostrophe stands before what begins like one: at the beginning of a cell, and after a
// semicolon, for where commas are written in numbers a spreadsheet parts cells there.
type CSV struct {
	r *Renderer
	w *csv.Writer
	cutter
}

// formula is what a spreadsheet computes, with what may stand before it. Tabs and ends of lines are escaped already.
var formula = regexp.MustCompile(`(^|;)([ \x{3000}"]*[=+\-@＝＋－＠])`)

// NewCSV writes the heading.
func NewCSV(w io.Writer, r *Renderer) (*CSV, error) {
	c := &CSV{r: r, w: csv.NewWriter(w)}
	return c, c.w.Write(columns)
}

// Write writes one event.
func (c *CSV) Write(e *Event) error {
	rec := c.r.Record(e)
	exit := ""
	if rec.Result.Exit != nil {
		exit = strconv.Itoa(*rec.Result.Exit)
	}
	cells := []string{
		rec.Time, string(rec.Kind), rec.ID, rec.Agent, rec.Session, rec.SessionKey, rec.Asker.String(), string(rec.Asker.Owner), rec.Tool, rec.CallID,
		rec.What, rec.Cwd, rec.Target, strconv.FormatInt(rec.Bytes, 10), string(rec.Result.Status), exit, strconv.FormatInt(rec.Result.Millis, 10),
		rec.Result.Error, strings.Join(rec.Marks, " "), rec.Source, rec.Form, strconv.FormatInt(rec.Line, 10), rec.Digest,
		rec.Level, rec.Rule,
	}
	for i, cell := range cells {
		cells[i] = c.cut(formula.ReplaceAllString(console.Escape(cell), "$1'$2"))
	}
	return c.w.Write(cells)
}

// Flush writes what has waited.
func (c *CSV) Flush() error {
	c.w.Flush()
	return c.w.Error()
}

// timesketchMin is the fewest lines Timesketch imports.
const timesketchMin = 3

// A Timesketch writes events as Timesketch imports them: JSON lines with message, datetime and timestamp_desc,
// timestamp in integer microseconds, no member that begins with an underscore, no string too long to index, and
// at least three lines.
type Timesketch struct {
	r     *Renderer
	enc   *console.JSONLines
	lines int
	last  timesketchLine
	cutter
}

type timesketchLine struct {
	Message   string   `json:"message"`
	Datetime  string   `json:"datetime"`
	Timestamp int64    `json:"timestamp"`
	Desc      string   `json:"timestamp_desc"`
	DataType  string   `json:"data_type"`
	Kind      Kind     `json:"kind"`
	EventID   string   `json:"event_id"`
	Agent     string   `json:"agent,omitempty"`
	Session   string   `json:"session,omitempty"`
	Asker     string   `json:"asker,omitempty"`
	Owner     Owner    `json:"owner,omitempty"`
	Tool      string   `json:"tool,omitempty"`
	Command   string   `json:"command,omitempty"`
	Path      string   `json:"path,omitempty"`
	Status    Status   `json:"status,omitempty"`
	Exit      *int     `json:"exit_code,omitempty"`
	Source    string   `json:"source_file,omitempty"`
	Line      int64    `json:"source_line,omitempty"`
	Tag       []string `json:"tag,omitempty"`
}

// NewTimesketch returns a writer of Timesketch lines.
func NewTimesketch(w io.Writer, r *Renderer) *Timesketch {
	return &Timesketch{r: r, enc: console.NewBareJSONLines(w)}
}

// Write writes one event.
func (t *Timesketch) Write(e *Event) error {
	rec := t.r.Record(e)
	line := timesketchLine{
		Message: t.cut(string(e.Kind) + " " + t.r.what(e)), Datetime: e.When().Format("2006-01-02T15:04:05.000+00:00"), Timestamp: e.Time * 1000,
		Desc: "OpenClaw " + string(e.Kind), DataType: "openclaw:event:" + string(e.Kind), Kind: e.Kind, EventID: rec.ID, Agent: t.cut(rec.Agent),
		Session: t.cut(rec.SessionKey), Asker: t.cut(rec.Asker.String()), Owner: rec.Asker.Owner, Tool: t.cut(rec.Tool), Status: rec.Result.Status,
		Exit: rec.Result.Exit, Source: t.cut(rec.Source), Line: rec.Line, Tag: rec.Marks,
	}
	for i, tag := range line.Tag {
		line.Tag[i] = t.cut(tag)
	}
	switch e.Kind {
	case KindExec:
		line.Command = t.cut(rec.What)
	case KindWrite, KindEdit, KindRead:
		line.Path = t.cut(rec.What)
	}
	t.last, t.lines = line, t.lines+1
	return t.enc.Write(line)
}

// Flush adds lines until there are as many as Timesketch needs; with no event at all there is nothing to import.
func (t *Timesketch) Flush() error {
	for ; t.lines > 0 && t.lines < timesketchMin; t.lines++ {
		pad := t.last
		pad.Message, pad.Desc, pad.DataType, pad.Tag = "openclaw-ir: a line added because Timesketch imports no fewer than three", "padding", "openclaw:padding", []string{"padding"}
		if err := t.enc.Write(pad); err != nil {
			return err
		}
	}
	return nil
}
