package analyze

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/maphash"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/clawbook/openclaw-ir/internal/jsonl"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/klauspost/compress/zstd"
)

// An item is one record of a transcript, decoded as far as the timeline needs it. Byte slices point into the
// batch and are good until it is joined.
type item struct {
	line              int64
	session           string
	typ, role, custom string
	parent, cwd       []byte
	time              int64  // ms; 0 if the record bears none
	key, sum          uint64 // hash of the event's id, and of its content
	calls             []call
	results           []outcome
	prompt            *prompt
	text              string // what was said, where that is a kind to show
	textBytes         int64
	digest            string
	outgoing          bool // said by the agent
	invalidUTF8       bool
}

// A call is one tool call of a record.
type call struct {
	id, tool string
	args     arguments
	badArgs  bool
	nestedIn string // the indirect call that made it
	started  int64  // ms; 0 if only the record's time is known
	repeated bool   // in a trajectory's snapshot of earlier messages
}

// An outcome is a tool's result.
type outcome struct {
	callID, tool string
	result       Result
	cwd          string
	nested       bool
	repeated     bool
}

// A prompt is a message that the agent answers.
type prompt struct {
	text                              string // its start
	owner                             Owner
	sender, name, channel, provenance string
}

// operatorShell stands for the tool in the record of a command that the operator ran from the agent's prompt
// (role bashExecution); the record holds its result too, and no call id.
const operatorShell = "bashExecution"

// promptStart is how much of a message is looked at to tell who sent it, and resultEnd how much of a result to
// tell how it ended. Bytes.
const (
	promptStart = 4 << 10
	resultEnd   = 200
)

// maxInterned bounds the words a decoder remembers to share their memory.
const maxInterned = 4096

// A decoder turns records into items. It is used by one goroutine at a time.
type decoder struct {
	p        jsonl.Parser
	sub      jsonl.Parser
	zstd     *zstd.Decoder
	seed     maphash.Seed
	want     map[Kind]bool
	digest   bool // compute digests
	text     bool // keep what was said
	interned map[string]string
	msg      message
}

func newDecoder(seed maphash.Seed, want map[Kind]bool, digest bool) (*decoder, error) {
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(jsonl.MaxLine+arenaBytes))
	if err != nil {
		return nil, fmt.Errorf("preparing zstd: %w", err)
	}
	return &decoder{
		zstd: z, seed: seed, want: want, digest: digest,
		text: want[KindMessage] || want[KindSession] || want[KindResult], interned: map[string]string{},
	}, nil
}

// intern returns a short word that will come again: a tool's name, a role, a directory.
func (d *decoder) intern(raw []byte) string {
	if len(raw) < 2 {
		return ""
	}
	if s, ok := d.interned[string(raw)]; ok {
		return s
	}
	s := jsonl.Unquote(raw)
	if len(raw) <= 256 && len(d.interned) < maxInterned {
		d.interned[string(raw)] = s
	}
	return s
}

func (d *decoder) word() string { return d.intern(d.p.RawText()) }

// arenaBytes is how much text an arena has room for. What is in it counts towards the limit that guards against a bomb.
const arenaBytes = 2 << 20

// unpack appends a row's JSON text, which its row says is size bytes long, to the arena and returns it. It begins a new
// arena rather than move a full one: others point into it.
func (d *decoder) unpack(frame []byte, size int64, arena *[]byte) ([]byte, error) {
	const slack = 64 // the decoder wants a little more than the text takes
	need := int(min(max(size, 0), jsonl.MaxLine)) + slack
	if cap(*arena)-len(*arena) < need {
		*arena = make([]byte, 0, max(arenaBytes, need))
	}
	start := len(*arena)
	text, err := d.zstd.DecodeAll(frame, *arena)
	if err != nil {
		return nil, fmt.Errorf("unpacking: %w", err)
	}
	*arena = text
	return text[start:], nil
}

var errNotObject = errors.New("not a JSON object")

// item decodes one record.
func (d *decoder) item(data []byte, session string) (item, error) {
	it := item{session: session, invalidUTF8: !utf8.Valid(data)}
	d.p.Reset(data)
	if d.p.Kind() != '{' {
		d.p.Skip()
		if err := d.p.End(); err != nil {
			return it, err
		}
		return it, errNotObject
	}
	id := d.record(&it)
	if err := d.p.End(); err != nil {
		return it, err
	}
	it.sum = maphash.Bytes(d.seed, data)
	it.key = it.sum ^ maphash.String(d.seed, session)
	if len(id) > 2 {
		it.key = d.hash(it.session, id)
	}
	if d.digest {
		sum := sha256.Sum256(data)
		it.digest = hex.EncodeToString(sum[:])
	}
	return it, nil
}

func (d *decoder) hash(session string, id []byte) uint64 {
	var h maphash.Hash
	h.SetSeed(d.seed)
	h.WriteString(session)
	h.WriteByte(0)
	h.Write(id)
	return h.Sum64()
}

// record reads the envelope: OpenClaw's {type,id,parentId,timestamp,message}, claude's {type,uuid,parentUuid,
// timestamp,message} and codex's {timestamp,type,payload}; trajectories' {type,ts,data}. It returns the id, raw.
func (d *decoder) record(it *item) (id []byte) {
	p := &d.p
	for name := range p.Members() {
		switch string(name) {
		case "type":
			it.typ = d.word()
		case "id", "uuid":
			id = p.RawText()
		case "parentId", "parentUuid":
			it.parent = p.RawText()
		case "timestamp", "ts":
			d.timestamp(it)
		case "cwd":
			it.cwd = p.RawText()
		case "message", "payload":
			d.message(it)
		case "data":
			d.data(it)
		case "customType":
			it.custom = d.word()
		case "summary":
			if raw := p.RawText(); d.text {
				it.text = jsonl.Unquote(raw)
			}
		}
	}
	return id
}

func (d *decoder) timestamp(it *item) {
	if d.p.Kind() == '"' {
		if ms, ok := parseTime(d.p.RawText()); ok {
			it.time = ms
		}
	} else if ms, ok := d.p.Int(); ok && isMillis(ms) && it.time == 0 {
		it.time = ms
	}
}

// isMillis reports whether a number can be a time: after 1970 and before the year 10000.
func isMillis(n int64) bool { return n > 0 && n < 253_402_300_800_000 }

// parseTime reads a raw RFC 3339 string as milliseconds since 1970.
func parseTime(raw []byte) (int64, bool) {
	if ms, ok := isoMillis(raw); ok {
		return ms, true
	}
	t, err := time.Parse(time.RFC3339Nano, jsonl.Unquote(raw))
	if err != nil || t.Year() < 1970 || t.Year() > 9999 {
		return 0, false
	}
	return t.UnixMilli(), true
}

// isoMillis reads the form that Date.toISOString writes: "2026-11-22T08:14:27.894Z".
func isoMillis(raw []byte) (int64, bool) {
	const layout = `"0000-00-00T00:00:00.000Z"`
	if len(raw) != len(layout) {
		return 0, false
	}
	var f [7]int
	n := 0
	for i, c := range raw {
		switch {
		case layout[i] != '0':
			if c != layout[i] {
				return 0, false
			}
			n += min(1, i)
		case c < '0' || c > '9':
			return 0, false
		default:
			f[n] = f[n]*10 + int(c-'0')
		}
		if n == len(f) {
			break
		}
	}
	year, month, day := f[0], f[1], f[2]
	if year < 1970 || month < 1 || month > 12 || day < 1 || day > 31 || f[3] > 23 || f[4] > 59 || f[5] > 59 {
		return 0, false
	}
	return time.Date(year, time.Month(month), day, f[3], f[4], f[5], f[6]*1e6, time.UTC).UnixMilli(), true
}

// A message is what the members of a message said. Members come in any order, so its parts are put together
// at its end.
type message struct {
	role, tool, provenance        string
	callID, name, sender, channel []byte
	isError                       bool
	details                       details
	texts                         [][]byte // raw text parts
	arguments                     []byte
	owner                         Owner
	command                       string
	output                        []byte
	exit                          *int
	errorMessage                  []byte
	nested                        bool
}

// message reads a message of any role.
func (d *decoder) message(it *item) {
	p := &d.p
	if p.Kind() != '{' {
		p.Skip()
		return
	}
	d.msg = message{texts: d.msg.texts[:0]}
	for name := range p.Members() {
		d.messageMember(it, &d.msg, string(name))
	}
	d.finish(it, &d.msg)
}

func (d *decoder) messageMember(it *item, m *message, name string) {
	p := &d.p
	switch name {
	case "role":
		m.role = d.word()
	case "type":
		if t := d.word(); m.role == "" {
			m.role = t
		}
	case "customType":
		m.nested = d.word() == "openclaw.nested-tool.v1"
	case "content":
		d.content(it, m)
	case "toolCallId", "call_id":
		m.callID = p.RawText()
	case "toolName", "name":
		m.tool = d.word()
	case "isError":
		m.isError, _ = p.Bool()
	case "details":
		d.details(p, &m.details, 2)
	case "timestamp":
		d.timestamp(it)
	case "arguments", "input":
		m.arguments = p.Raw()
	case "output":
		m.output = p.Raw()
	case "cwd":
		it.cwd = p.RawText()
	case "command":
		m.command = words(p)
	case "exitCode":
		if n, ok := p.Int(); ok {
			code := int(n)
			m.exit = &code
		}
	case "errorMessage":
		m.errorMessage = p.RawText()
	case "provenance":
		m.provenance = d.provenance()
	case "__openclaw":
		d.sender(m)
	default:
		p.Skip()
	}
}

func (d *decoder) provenance() string {
	p := &d.p
	kind, tool := "", ""
	for name := range p.Members() {
		switch string(name) {
		case "kind":
			kind = d.word()
		case "sourceTool", "sourceChannel":
			tool = d.word()
		}
	}
	if kind == "" {
		return ""
	}
	return kind + ":" + tool
}

// sender reads __openclaw: {senderIsOwner, senderId, senderName, transport{channel}} (2026.7 on).
func (d *decoder) sender(m *message) {
	p := &d.p
	for name := range p.Members() {
		switch string(name) {
		case "senderIsOwner":
			if b, ok := p.Bool(); ok && b {
				m.owner = OwnerYes
			} else if ok {
				m.owner = OwnerNo
			}
		case "senderId":
			m.sender = p.RawText()
		case "senderName":
			m.name = p.RawText()
		case "senderIdentity", "transport":
			d.channel(m)
		}
	}
}

func (d *decoder) channel(m *message) {
	p := &d.p
	for name := range p.Members() {
		switch string(name) {
		case "channel", "pluginId":
			if raw := p.RawText(); len(raw) > 2 {
				m.channel = raw
			}
		}
	}
}

// content reads a message's content: a string, or parts of text, tool calls and tool results.
func (d *decoder) content(it *item, m *message) {
	p := &d.p
	switch p.Kind() {
	case '"':
		m.texts = append(m.texts, p.Raw())
	default:
		for range p.Elements() {
			d.part(it, m)
		}
	}
}

// A part is one element of a message's content.
type part struct {
	typ, tool             string
	id, useID, text, args []byte
	result                []byte
	isError               bool
}

func (d *decoder) part(it *item, m *message) {
	p := &d.p
	var c part
	for name := range p.Members() {
		switch string(name) {
		case "type":
			c.typ = d.word()
		case "text":
			c.text = p.RawText()
		case "id":
			c.id = p.RawText()
		case "name":
			c.tool = d.word()
		case "arguments", "input":
			c.args = p.Raw()
		case "tool_use_id":
			c.useID = p.RawText()
		case "is_error":
			c.isError, _ = p.Bool()
		case "content":
			c.result = p.Raw()
		}
	}
	switch c.typ {
	case "toolCall", "tool_use", "toolUse", "tool_call", "functionCall":
		it.calls = append(it.calls, d.call(c.id, c.tool, c.args))
	case "tool_result":
		it.results = append(it.results, c.outcome())
	default:
		if len(c.text) > 2 {
			m.texts = append(m.texts, c.text)
		}
	}
}

// outcome makes a result of claude's tool_result part.
func (c *part) outcome() outcome {
	o := outcome{callID: jsonl.Unquote(c.useID), result: Result{Status: StatusOK, Size: int64(len(c.result)), Recorded: true}}
	if c.isError {
		o.result.Status, o.result.Error = StatusError, start(string(c.result), errorStart)
	}
	return o
}

// call makes a call of its parts. The arguments of a kind that nobody asked for are not read.
func (d *decoder) call(id []byte, tool string, args []byte) call {
	c := call{id: jsonl.Unquote(id), tool: tool}
	if d.reads(tool) {
		var ok bool
		c.args, ok = readArguments(args)
		c.badArgs = !ok && len(args) > 0
	}
	return c
}

// reads reports whether a tool's arguments are needed, to show the call or to tell what it does.
func (d *decoder) reads(tool string) bool {
	kind, known := toolNames[tool]
	return !known || d.want[kind] || tool == "tool_call" || tool == "process" || tool == "nodes" || tool == "apply_patch"
}

// details are the members of a result's details that tell how it ended.
type details struct {
	status, signal, cwd, toolName  string
	err, parentCall, callID, input []byte
	exit                           *int
	millis, pid, started           int64
	isError, timedOut              bool
	inner                          *details
}

func (d *decoder) details(p *jsonl.Parser, out *details, depth int) {
	for name := range p.Members() {
		switch string(name) {
		case "status":
			out.status = d.intern(p.RawText())
		case "error":
			out.err = p.RawText()
		case "exitCode":
			if n, ok := p.Int(); ok {
				code := int(n)
				out.exit = &code
			}
		case "exitSignal":
			out.signal = d.intern(p.RawText())
		case "durationMs", "tookMs":
			out.millis, _ = p.Int()
		case "pid":
			out.pid, _ = p.Int()
		case "cwd":
			out.cwd = d.intern(p.RawText())
		case "timedOut":
			out.timedOut, _ = p.Bool()
		case "parentToolCallId":
			out.parentCall = p.RawText()
		case "toolCallId":
			out.callID = p.RawText()
		case "toolName":
			out.toolName = d.intern(p.RawText())
		case "isError":
			out.isError, _ = p.Bool()
		case "startedAt":
			if n, _ := p.Int(); isMillis(n) {
				out.started = n
			}
		case "input":
			out.input = p.Raw()
		case "result", "details":
			if depth == 0 {
				p.Skip()
				continue
			}
			if out.inner == nil {
				out.inner = &details{}
			}
			d.details(p, out.inner, depth-1)
		}
	}
}

// errorStart is how much of an error is kept, in bytes: more than a line shows, so that a secret in it is still whole
// when it is replaced.
const errorStart = 2 << 10

// start cuts a text to n bytes or a little less.
func start(s string, n int) string {
	n = min(len(s), n)
	for n > 0 && n < len(s) && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// said puts the text parts together: all of them, or their start.
func (m *message) said(all bool) string {
	if len(m.texts) == 1 && (all || len(m.texts[0]) <= promptStart) {
		return jsonl.Unquote(m.texts[0])
	}
	var b []byte
	for i, raw := range m.texts {
		if i > 0 {
			b = append(b, '\n')
		}
		if all {
			b = jsonl.AppendUnquoted(b, raw)
		} else if room := promptStart - len(b); room > 0 {
			b = append(b, jsonl.UnquoteStart(raw, room)...)
		}
	}
	return string(b)
}

func (m *message) size() (n int64) {
	for _, raw := range m.texts {
		n += int64(len(raw)) - 2
	}
	return n
}

// finish makes of a message what it is: a prompt, an answer with calls, a result.
func (d *decoder) finish(it *item, m *message) {
	it.role = m.role
	it.textBytes += m.size()
	switch m.role {
	case "toolResult", "function_call_output", "custom_tool_call_output", "tool":
		it.results = append(it.results, m.outcome())
	case "function_call", "custom_tool_call", "local_shell_call":
		it.calls = append(it.calls, d.call(m.callID, m.tool, m.arguments))
	case "bashExecution":
		it.calls = append(it.calls, call{tool: operatorShell, args: arguments{command: aliased{value: m.command}}})
		it.results = append(it.results, outcome{tool: operatorShell, result: Result{Status: statusOfExit(m.exit), Exit: m.exit, Size: int64(len(m.output)), Recorded: true}})
	case "custom":
		if m.nested {
			d.nestedTool(it, m)
		}
	case "user":
		if len(it.results) == 0 { // claude hands results back in the user's role
			it.prompt = m.prompt()
		}
	default:
		it.outgoing = m.role == "assistant"
	}
	if d.text {
		it.text = m.said(true)
		if it.outgoing && len(m.errorMessage) > 2 {
			it.text += "\n" + jsonl.Unquote(m.errorMessage)
		}
	}
}

func (m *message) prompt() *prompt {
	return &prompt{
		text: m.said(false), owner: m.owner, sender: jsonl.Unquote(m.sender), name: jsonl.Unquote(m.name),
		channel: jsonl.Unquote(m.channel), provenance: m.provenance,
	}
}

func (m *message) outcome() outcome {
	d := &m.details
	if d.exit == nil && len(m.output) > 0 {
		d.exit = codexExit(m.output)
	}
	var text []byte
	if len(m.texts) > 0 {
		text = m.texts[0]
	}
	o := outcome{callID: jsonl.Unquote(m.callID), tool: m.tool, cwd: d.cwd, result: d.result(m.isError, text)}
	o.result.Size = m.size() + int64(len(m.output))
	return o
}

// nestedTool takes the record of a call that an indirect call made (openclaw.nested-tool.v1).
func (d *decoder) nestedTool(it *item, m *message) {
	det := &m.details
	c := d.call(det.callID, det.toolName, det.input)
	c.nestedIn, c.started = jsonl.Unquote(det.parentCall), det.started
	it.calls = append(it.calls, c)
	inner := det.inner
	if inner == nil {
		inner = &details{}
	}
	if inner.inner != nil {
		inner = inner.inner
	}
	it.results = append(it.results, outcome{callID: c.id, tool: c.tool, nested: true, cwd: inner.cwd, result: inner.result(det.isError, nil)})
}

// result tells how a call ended, from the details, the error flag and the raw text.
// A non-zero exit is not an error of the tool; older releases say it only in the text.
func (d *details) result(isError bool, text []byte) Result {
	r := Result{Exit: d.exit, Signal: d.signal, Millis: d.millis, PID: d.pid, Recorded: true}
	message := d.err
	if len(message) == 0 {
		message = text
	}
	if r.Exit == nil && (isError || d.status != "completed") {
		r.Exit = exitIn(message)
	}
	switch {
	case isDenial(message):
		r.Status, r.Exit = StatusDenied, nil
	case d.timedOut, bytes.HasPrefix(message, []byte(`"Command timed out`)):
		r.Status = StatusTimeout
	case d.status == "approval-pending", d.status == "approval_pending":
		r.Status = StatusPending
	case d.status == "running":
		r.Status = StatusRunning
	case r.Exit != nil:
		r.Status = statusOfExit(r.Exit)
	case isError, d.isError, d.status == "error", d.status == "failed":
		r.Status = StatusError
	default:
		r.Status = StatusOK
	}
	if r.Status != StatusOK && len(message) > 2 {
		r.Error = start(jsonl.UnquoteStart(message, errorStart), errorStart)
	}
	return r
}

func isDenial(raw []byte) bool {
	return bytes.HasPrefix(raw, []byte(`"Exec denied`)) || bytes.HasPrefix(raw, []byte(`"exec denied`))
}

func statusOfExit(exit *int) Status {
	if exit != nil && *exit != 0 {
		return StatusError
	}
	return StatusOK
}

// exitIn finds "exited with code N" at the end of a raw text; nil if it says no such thing.
func exitIn(raw []byte) *int {
	return numberAfter(raw[max(0, len(raw)-resultEnd):], "exited with code ")
}

// codexExit finds the exit code in what codex stores of a command's output, as JSON or as text.
func codexExit(raw []byte) *int {
	if n := numberAfter(raw, `\"exit_code\":`); n != nil {
		return n
	}
	return numberAfter(raw[:min(len(raw), promptStart)], "Exit code: ")
}

func numberAfter(text []byte, phrase string) *int {
	i := bytes.LastIndex(text, []byte(phrase))
	if i < 0 {
		return nil
	}
	digits := text[i+len(phrase):]
	n := 0
	for n < len(digits) && n < 9 && digits[n] >= '0' && digits[n] <= '9' {
		n++
	}
	code, err := strconv.Atoi(string(digits[:n]))
	if err != nil {
		return nil
	}
	return &code
}

// data reads what a trajectory event carries: a tool call, its result, or a snapshot of messages.
func (d *decoder) data(it *item) {
	p := &d.p
	var id, args, result []byte
	tool, success, said := "", true, false
	for name := range p.Members() {
		switch string(name) {
		case "toolCallId":
			id = p.RawText()
		case "name":
			tool = d.word()
		case "args":
			args = p.Raw()
		case "success":
			success, said = p.Bool()
		case "result":
			result = p.Raw()
		case "messagesSnapshot":
			d.snapshot(it)
		}
	}
	switch {
	case len(id) <= 2:
	case said || it.typ == "tool.result":
		it.results = append(it.results, d.trajectoryResult(id, tool, result, said && !success))
	default:
		it.calls = append(it.calls, d.call(id, tool, args))
	}
}

func (d *decoder) trajectoryResult(id []byte, tool string, result []byte, failed bool) outcome {
	var det details
	if len(result) > 0 {
		d.sub.Reset(result)
		d.details(&d.sub, &det, 2)
	}
	inner := &det
	if det.inner != nil {
		inner = det.inner
	}
	o := outcome{callID: jsonl.Unquote(id), tool: tool, cwd: inner.cwd, result: inner.result(failed, nil)}
	o.result.Size = int64(len(result))
	return o
}

// snapshot reads the messages that a trajectory repeats: they outlive a deleted transcript.
func (d *decoder) snapshot(it *item) {
	p := &d.p
	all := d.text
	d.text = false
	for range p.Elements() {
		said := item{}
		d.message(&said)
		for _, c := range said.calls {
			c.started, c.repeated = said.time, true
			it.calls = append(it.calls, c)
		}
		for _, o := range said.results {
			o.repeated = true
			it.results = append(it.results, o)
		}
	}
	d.text = all
}

// isTrajectory reports the forms that repeat what transcripts hold, masked more heavily.
func isTrajectory(src *openclaw.Source) bool {
	return src.Form == openclaw.FormTrajectory || src.Form == openclaw.FormTrajectorySQLite
}
