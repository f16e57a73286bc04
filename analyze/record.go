package analyze

import (
	"encoding/json"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/ioc"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/shell"
	"github.com/clawbook/openclaw-ir/internal/sigma"
)

// The categories of records, as rules name them in their logsource.
const (
	CategoryProcess    = "process_creation"
	CategoryWrite      = "file_event"
	CategoryAccess     = "file_access"
	CategoryProxy      = "proxy"
	CategoryMessageIn  = "message_in"
	CategoryMessageOut = "message_out"
	CategoryToolResult = "tool_result"
	CategoryToolCall   = "tool_call"
	CategoryConfig     = "config"
	CategoryPairing    = "pairing"
	CategoryAutomation = "automation"
	CategoryApproval   = "approval"
	CategoryLog        = "log"
	CategoryFile       = "file"
	CategorySequence   = "sequence"
	CategoryIntegrity  = "integrity"
)

// A Sink is where what was found went: the order is that of how much it matters.
type Sink string

// The sinks.
const (
	SinkExecuted Sink = "executed"
	SinkWritten  Sink = "written"
	SinkSent     Sink = "sent"
	SinkReturned Sink = "returned"
	SinkChanged  Sink = "changed"
	SinkRest     Sink = "at rest"
	SinkLogged   Sink = "logged"
)

// sinkOf tells a category's sink.
func sinkOf(category string) Sink {
	switch category {
	case CategoryProcess, CategoryAccess, CategoryProxy, CategoryToolCall:
		return SinkExecuted
	case CategoryWrite:
		return SinkWritten
	case CategoryMessageOut:
		return SinkSent
	case CategoryMessageIn, CategoryToolResult:
		return SinkReturned
	case CategoryLog:
		return SinkLogged
	}
	return SinkRest
}

// A recorder makes of an event the records that rules are matched with. It is used by one goroutine at a time, and its
// records are good until the next event.
type recorder struct {
	shell   *shell.Parser
	list    *ioc.List
	finder  *ioc.Finder
	world   *world
	parsed  *shell.Command // the event's command, nil if it is none
	records []*sigma.Record
	n       int
	cut     int64 // texts that were too long to be looked at wholly
}

func newRecorder(list *ioc.List, w *world) *recorder {
	return &recorder{shell: shell.NewParser(), list: list, finder: list.NewFinder(), world: w}
}

// of returns the event's records.
func (r *recorder) of(e *Event) []*sigma.Record {
	r.n, r.parsed = 0, nil
	switch e.Kind {
	case KindExec:
		r.command(e)
	case KindWrite, KindEdit:
		r.write(e)
	case KindRead:
		r.record(e, CategoryAccess).Add("TargetFilename", canonical(e.What), "")
	case KindFetch, KindBrowse:
		r.fetch(e)
	case KindMessage:
		r.message(e)
	case KindResult:
		rec := r.text(e, CategoryToolResult, "Content", e.What)
		rec.Add("Source", e.Target, "")
	case KindLog:
		r.log(e)
	case KindSession:
		// what a transcript says of itself is no deed
	default:
		r.other(e)
	}
	return r.records[:r.n]
}

// maxText is how much of one text is matched, in bytes: what is in its middle beyond that is not looked at, and counted. No
// text may cost more than a moment.
const maxText = 1 << 20

// bounded is a text's start and end, together no longer than maxText.
func (r *recorder) bounded(text string) string {
	if len(text) <= maxText {
		return text
	}
	r.cut++
	return start(text, maxText*3/4) + "\n" + text[len(text)-maxText/4:]
}

// bare begins a record.
func (r *recorder) bare(category string) *sigma.Record {
	if r.n == len(r.records) {
		r.records = append(r.records, &sigma.Record{})
	}
	rec := r.records[r.n]
	r.n++
	rec.Reset(category)
	rec.Add("Category", category, "")
	return rec
}

// record begins a record with what every record has.
func (r *recorder) record(e *Event, category string) *sigma.Record {
	rec := r.bare(category)
	for _, f := range [...]struct{ name, value string }{
		{"Agent", e.Agent},
		{"Session", e.Session},
		{"SessionKey", e.Key},
		{"SessionKind", sessionKind(e)},
		{"Asker", e.Asker.Kind},
		{"Channel", e.Asker.Channel},
		{"Sender", e.Asker.Sender},
		{"Trust", r.world.trust(e)},
		{"Tool", e.Tool},
		{"Status", string(e.Result.Status)},
		{"Sink", string(sinkOf(category))},
	} {
		if f.value != "" {
			rec.Add(f.name, f.value, "")
		}
	}
	if isUntrusted(e) {
		rec.Add("Untrusted", "true", "")
	}
	if e.first == "true" || e.first == "false" && (r.parsed == nil || e.old(r.parsed.Hosts)) {
		rec.Add("FirstSeen", e.first, "")
	}
	for _, m := range e.Marks {
		switch name, value, _ := strings.Cut(m, ":"); name {
		case "elevated":
			rec.Add("Elevated", "true", "")
		case "background":
			rec.Add("Background", "true", "")
		case "node":
			rec.Add("Node", value, "")
		case "host":
			rec.Add("ExecHost", value, "")
		}
	}
	return rec
}

// sessionKind tells what runs an event's session, as rules name it.
func sessionKind(e *Event) string {
	s := openclaw.Session{Key: e.Key}
	switch kind, _ := s.Kind(); {
	case e.Asker.Kind == "hook":
		return "hook"
	case kind == openclaw.SessionCron:
		return "cron"
	case kind != openclaw.SessionChat:
		return string(kind)
	case e.Asker.Group:
		return "group"
	case e.Key == "":
		return "unknown"
	case strings.HasSuffix(e.Key, ":main"):
		return "main"
	}
	return "direct"
}

// isUntrusted reports whether the session's input comes from somebody other than its owner, as far as one event tells.
func isUntrusted(e *Event) bool {
	return e.Asker.Group || e.Asker.Kind == "hook" || e.Asker.Owner == OwnerNo
}

// value adds a text to a field in every form in which it can mean something, and the indicators that are in it.
func (r *recorder) value(rec *sigma.Record, field, text, layer string) {
	rec.Add(field, text, layer)
	r.indicators(rec, text)
}

func (r *recorder) indicators(rec *sigma.Record, text string) {
	for _, hit := range r.finder.Find(text) {
		r.indicator(rec, hit.Indicator, string(hit.Type))
	}
}

// indicator adds an indicator, and by what of it the record was recognised.
func (r *recorder) indicator(rec *sigma.Record, found *ioc.Indicator, kind string) {
	rec.Add("Ioc", found.Value, "")
	rec.Add("IocTier", found.Tier, "")
	rec.Add("IocType", kind, "")
}

// skill adds the indicator of a known-malicious skill. Its digest is proof, its name is not.
func (r *recorder) skill(rec *sigma.Record, publisher, slug, digest string) {
	switch found, how := r.list.Skill(publisher, slug, digest); {
	case found == nil:
	case how == ioc.BySHA256:
		r.indicator(rec, found, string(ioc.SHA256))
	default:
		r.indicator(rec, found, string(ioc.Skill))
	}
}

// installed finds the skill that a command installs.
var installed = regexp.MustCompile(`(?i)\b(?:clawd?hub|openclaw\s+skills?|skills)\s+(?:install|add|update)\s+(?:-\S+\s+)*(?:@?([\w.-]+)/)?([\w.-]+)`)

// text makes a record of a text that was said, returned or written, with what is encoded in it.
func (r *recorder) text(e *Event, category, field, text string) *sigma.Record {
	rec := r.record(e, category)
	inner, fence := unfence(r.bounded(text))
	if fence != "" {
		rec.Add("Wrapper", fence, "")
	}
	r.texts(rec, field, inner)
	return rec
}

func (r *recorder) texts(rec *sigma.Record, field, text string) {
	text = r.bounded(text)
	r.value(rec, field, text, "")
	for _, d := range shell.Decode(text) {
		r.value(rec, field, d.Text, d.Encoding)
		rec.Add("Decoded", d.Text, d.Encoding)
	}
	if r.world.isOwnBot(text) {
		rec.Add("OwnBot", "true", "")
	}
}

// command makes the records of a command: the whole of it, each process in it, and the files it reads and writes.
func (r *recorder) command(e *Event) {
	if e.What == "" {
		return
	}
	c := r.shell.Parse(e.What)
	r.parsed = c
	if c.Cut && len(e.What) <= maxText {
		r.cut++
	}
	whole := r.process(e)
	typed := r.bounded(e.What)
	whole.Add("Typed", typed, "")
	if r.world.isOwnBot(typed) {
		whole.Add("OwnBot", "true", "")
	}
	for _, l := range c.Layers {
		r.value(whole, "CommandLine", l.Text, l.Name)
	}
	if m := installed.FindStringSubmatch(start(e.What, maxKept)); m != nil {
		r.skill(whole, m[1], m[2], "")
	}
	for _, f := range []struct {
		name   string
		values []string
	}{{"Url", c.URLs}, {"Host", c.Hosts}, {"OutputPath", c.Outputs}, {"ExecutedPath", c.Executes}, {"Recon", c.Recon}} {
		for _, v := range f.values {
			whole.Add(f.name, v, "")
		}
	}
	for i := range c.Processes {
		p := &c.Processes[i]
		rec := r.process(e)
		rec.Add("CommandLine", p.Text, "process")
		rec.Add("Image", image(p.Path), "process")
		if p.Parent != "" {
			rec.Add("ParentImage", image(p.Parent), "process")
		}
		for _, host := range c.Hosts {
			rec.Add("Host", host, "")
		}
	}
	r.files(e, c)
}

func (r *recorder) process(e *Event) *sigma.Record {
	rec := r.record(e, CategoryProcess)
	if e.Cwd != "" {
		rec.Add("CurrentDirectory", e.Cwd, "")
	}
	if mode := r.world.sandboxOf(e.Agent); mode != "" {
		rec.Add("SandboxMode", mode, "")
	}
	return rec
}

// image is the program's path as a process' record would have it: where none was typed, that of most systems.
func image(typed string) string {
	if strings.Contains(typed, "/") {
		return typed
	}
	return "/usr/bin/" + typed
}

// files makes the records of the files that a command reads and writes.
func (r *recorder) files(e *Event, c *shell.Command) {
	if len(c.Reads) > 0 {
		rec := r.record(e, CategoryAccess)
		for _, file := range c.Reads {
			rec.Add("TargetFilename", canonical(file), "")
		}
	}
	for i := range c.Writes {
		w := &c.Writes[i]
		rec := r.record(e, CategoryWrite)
		rec.Add("TargetFilename", canonical(w.Path), "")
		rec.Add("EventType", writeType(w), "")
		if w.Known {
			r.texts(rec, "Content", w.Text)
		}
	}
}

func writeType(w *shell.Write) string {
	switch {
	case w.Delete:
		return "delete"
	case w.Truncate && !w.Known:
		return "truncate"
	case w.Append:
		return "append"
	}
	return "write"
}

// write makes the record of a file that a tool wrote or edited.
func (r *recorder) write(e *Event) {
	rec := r.record(e, CategoryWrite)
	rec.Add("TargetFilename", canonical(e.What), "")
	kind := string(e.Kind)
	if slices.Contains(e.Marks, "deleted") {
		kind = "delete"
	}
	rec.Add("EventType", kind, "")
	if text := written(e); text != "" {
		r.texts(rec, "Content", text)
	}
}

// fetch makes the record of a page that was asked for.
func (r *recorder) fetch(e *Event) {
	rec := r.record(e, CategoryProxy)
	r.value(rec, "c-uri", r.bounded(e.What), "")
	if u, err := url.Parse(e.What); err == nil && u.Hostname() != "" {
		rec.Add("cs-host", strings.ToLower(u.Hostname()), "")
		rec.Add("Host", strings.ToLower(u.Hostname()), "")
	}
	rec.Add("Action", e.Target, "")
	if m := methodOf(e.Args); m != "" {
		rec.Add("cs-method", m, "")
	}
	for _, file := range attachments(e) {
		rec.Add("Attachment", canonical(file), "")
	}
}

// methodOf is the method of a request, as its arguments name it.
func methodOf(args string) string {
	var named struct{ Method string }
	if len(args) <= maxText {
		_ = json.Unmarshal([]byte(args), &named) // arguments that are no object name none
	}
	return strings.ToUpper(named.Method)
}

// message makes the record of what was said to the agent, by it, or sent by it to somebody.
func (r *recorder) message(e *Event) {
	category := CategoryMessageOut
	if e.Tool == "" && e.Target == "in" {
		category = CategoryMessageIn
	}
	rec := r.text(e, category, "Content", e.What)
	if e.Tool != "" {
		rec.Add("Recipient", e.Target, "")
		rec.Add("RecipientTrust", r.world.recipient(e.Target, e.Asker.Channel), "")
		for _, file := range attachments(e) {
			rec.Add("Attachment", canonical(file), "")
		}
		r.call(e)
	}
}

// other makes the record of a call of any other tool, or of what a ledger tells.
func (r *recorder) other(e *Event) {
	category := map[Kind]string{KindPairing: CategoryPairing, KindAutomation: CategoryAutomation, KindApproval: CategoryApproval}[e.Kind]
	if len(e.Details) == 0 || category == "" {
		r.call(e)
		return
	}
	rec := r.record(e, category)
	if category == CategoryApproval {
		r.texts(rec, "Content", e.What)
	}
	for _, d := range e.Details {
		switch d.Name {
		case "Content":
			r.texts(rec, d.Name, d.Text)
			if u := firstURL(d.Text); u != "" {
				rec.Add("Url", u, "")
			}
		case "RemoteIp":
			rec.Add("RemoteScope", scopeOf(d.Text), "")
			fallthrough
		default:
			rec.Add(d.Name, d.Text, "")
		}
	}
	if category == CategoryPairing && rec.Get("State") == "allowed" {
		for _, d := range r.world.entry(rec.Get("PairedChannel"), rec.Get("Entry"), e.Time) {
			rec.Add(d.Name, d.Text, "")
		}
	}
}

// call makes the record of a tool's call.
func (r *recorder) call(e *Event) {
	if e.Tool == "" || len(e.Details) > 0 {
		return
	}
	rec := r.record(e, CategoryToolCall)
	args := e.Args
	if args == "" {
		args = e.What
	}
	r.texts(rec, "Arguments", args)
	var named struct{ Action, Model, SessionKey string }
	if len(args) <= maxText {
		_ = json.Unmarshal([]byte(args), &named) // arguments that are no object name nothing
	}
	rec.Add("Action", firstNonEmpty(named.Action, e.Target), "")
	rec.Add("Target", firstNonEmpty(named.SessionKey, e.Target), "")
	if named.Model != "" {
		rec.Add("ModelOverride", named.Model, "")
	}
	if named.SessionKey != "" && named.SessionKey == e.Key {
		rec.Add("SameTarget", "true", "")
	}
}

// scopeOf tells how far away an address is: loopback, private, or public.
func scopeOf(address string) string {
	if a, err := netip.ParseAddrPort(address); err == nil {
		address = a.Addr().String()
	}
	a, err := netip.ParseAddr(strings.Trim(address, "[]"))
	switch {
	case err != nil:
		return ""
	case a.Unmap().IsLoopback():
		return "loopback"
	case a.Unmap().IsPrivate(), a.IsLinkLocalUnicast(), tailnet.Contains(a.Unmap()):
		return "private"
	}
	return "public"
}

// tailnet is the range of carrier-grade NAT, which Tailscale uses.
var tailnet = netip.MustParsePrefix("100.64.0.0/10")

// maxPath is the longest path there is, in bytes (Linux' PATH_MAX).
const maxPath = 4096

// canonical writes a path so that one rule finds it in every home and under every name that OpenClaw has had.
func canonical(file string) string {
	if file == "" || len(file) > maxPath {
		return start(file, maxPath)
	}
	for _, home := range []string{"/.clawdbot/", "/.moltbot/"} {
		file = strings.Replace(file, home, "/.openclaw/", 1)
	}
	if strings.HasPrefix(file, "~") {
		return file
	}
	return path.Clean(file)
}

func firstURL(text string) string {
	i := strings.Index(text, "http")
	if i < 0 || !strings.HasPrefix(text[i:], "http://") && !strings.HasPrefix(text[i:], "https://") {
		return ""
	}
	u, _, _ := strings.Cut(text[i:], " ")
	return start(u, maxKept)
}
