package analyze

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// A Document is an event or a finding in the shape that a store of logs expects.
type Document struct {
	ID   string // the same in every run over the same evidence, so that what is sent again is not kept twice
	Body any    // encodes as one JSON object
}

// An Origin says what Documents are made of.
type Origin struct {
	*Renderer
	Host string    // whose evidence it is; "" if nothing tells
	Now  time.Time // when the evidence was looked at: the time of a finding of which nothing tells when it happened
	cutter
}

// maxIndexed is the longest string that OpenSearch and Elasticsearch index, less what an escape may add; bytes. A cell of a
// spreadsheet holds as much, and Python's csv module reads no table with one of more than four times that.
const maxIndexed = 32_000

// A cutter shortens what is too long for those who read it.
type cutter struct {
	// Cut counts the strings that were shortened.
	Cut int64
}

// Shortened says how many texts were shortened so far.
func (c *cutter) Shortened() int64 { return c.Cut }

func (c *cutter) cut(s string) string {
	if len(s) <= maxIndexed {
		return s
	}
	c.Cut++
	n := maxIndexed
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

func (c *cutter) cutAll(list []string) []string {
	for i, s := range list {
		list[i] = c.cut(s)
	}
	return list
}

// eventID names an event by where it stands in which host's evidence and by the digest of its record, so that a later look at
// the same evidence names it the same. It holds nothing of the event's text: who guesses a short secret could try it there.
func (o *Origin) eventID(e *Event) string {
	at := e.spot()
	return digestOf("event", o.Host, at.path, at.form.String(), at.line, at.call, at.kind, e.Digest)
}

// findingID names a finding by its rule and its event, or by where it lies and what was found there.
func (o *Origin) findingID(f *Finding) string {
	if f.Event != nil {
		return digestOf("finding", f.Rule.Key(), o.eventID(f.Event))
	}
	return digestOf("finding", o.Host, f.Rule.Key(), o.text(f.Path), f.Field, o.text(f.Excerpt))
}

// idBytes is how much of a digest names a document.
const idBytes = 20

func digestOf(parts ...any) string {
	text, _ := json.Marshal(parts) // of texts and numbers: it cannot fail
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:idBytes])
}

// outcome says how an event ended, if it is one that can end well or badly and the evidence says how.
func (r *Renderer) outcome(e *Event) (ok, known bool) {
	if r.result(e) == "" {
		return false, false
	}
	switch e.Result.Status {
	case StatusOK:
		return true, true
	case StatusError, StatusDenied, StatusTimeout:
		return false, true
	}
	return false, false
}

// ran reports whether the evidence says that an action took place, whatever came of it.
func (e *Event) ran() bool {
	switch e.Result.Status {
	case StatusOK, StatusRunning, StatusTimeout:
		return e.Result.Recorded || e.Result.PID > 0
	case StatusError:
		return e.Result.Exit != nil
	}
	return false
}

// path is the file that an event deals with; "" if it is none, or a search among files.
func (e *Event) path() string {
	switch e.Kind {
	case KindWrite, KindEdit:
		return e.What
	case KindRead:
		if strings.HasPrefix(e.What, "/") || strings.HasPrefix(e.What, "~/") {
			return e.What
		}
	}
	return ""
}

// address is the web address that an event deals with, secrets replaced; nil if there is none.
func (r *Renderer) address(e *Event) *url.URL {
	if e.Kind != KindFetch && e.Kind != KindBrowse {
		return nil
	}
	u, err := url.Parse(r.text(e.What))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil
	}
	return u
}

// who names the one who asked without saying whether it is the owner.
func (a *Asker) who() string {
	bare := *a
	bare.Group, bare.Owner = false, ""
	return bare.String()
}

// nonEmpty returns those of some texts that are not empty.
func nonEmpty(texts ...string) (list []string) {
	for _, s := range texts {
		if s != "" {
			list = append(list, s)
		}
	}
	return list
}

// rest is what of an event the schemas have no field for, by name.
func (o *Origin) rest(e *Event, rec *Record) map[string]string {
	rest := map[string]string{
		"agent": rec.Agent, "session": rec.Session, "session_key": rec.SessionKey, "tool": rec.Tool, "call_id": rec.CallID, "parent": rec.Parent,
		"target": rec.Target, "event": rec.ID, "source_form": rec.Form, "time_from": rec.TimeFrom, "signal": rec.Result.Signal,
		"path_recorded": rec.Recorded, "asker": rec.Asker.Kind, "owner": string(rec.Asker.Owner), "level": rec.Level, "rule": rec.Rule,
	}
	if o.result(e) != "" {
		rest["status"] = string(rec.Result.Status)
	}
	if rec.Result.Millis > 0 {
		rest["duration_ms"] = strconv.FormatInt(rec.Result.Millis, 10)
	}
	return o.said(rest)
}

// findingRest is what of a finding and its event the schemas have no field for, by name.
func (o *Origin) findingRest(f *Finding, rec *FindingRecord) map[string]string {
	rest := map[string]string{}
	if f.Event != nil {
		rest = o.rest(f.Event, rec.Event)
	}
	rest["level"], rest["rule"], rest["count"], rest["deed"] = f.Level.String(), rec.Rule, number(f.Count), rec.Deed
	rest["excerpt"], rest["field"], rest["layer"], rest["atlas"] = rec.Excerpt, rec.Field, rec.Layer, strings.Join(rec.Atlas, " ")
	rest["adjusted"], rest["events"] = strings.Join(rec.Adjusted, "; "), strings.Join(rec.Related, " ")
	if f.Time == 0 {
		rest["time_from"] = "when the evidence was looked at"
	}
	if f.Cause != nil {
		rest["cause"] = strings.Join(o.Cause(f.Cause), "\n")
	}
	if f.Rejected != nil {
		rest["suppressed"] = o.text(f.Rejected.Reason)
	}
	return o.said(rest)
}

// said leaves out what is empty and shortens what is too long.
func (o *Origin) said(texts map[string]string) map[string]string {
	for name, text := range texts {
		if texts[name] = o.cut(text); text == "" {
			delete(texts, name)
		}
	}
	return texts
}
