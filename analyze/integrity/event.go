package integrity

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash"
	"strconv"
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/internal/jsonl"
)

// An event is what the checks need of one record of a transcript. Content is kept as digests.
type event struct {
	typ, role, custom string
	id                []byte // raw, quoted
	parent            []byte // raw; nil if null or absent
	hasParent         bool   // the member is there
	time, inner       int64  // ms, of the envelope and of the message
	calls             []call
	result            *result
	text              []byte // what FTS would index, of user and assistant
	stop              string
	provenance        bool // says where a user turn came from
	internal          string
	completes         string // name of the background command whose end a user turn reports
	otherParts        bool   // the content holds more than texts
	frozen            []digest
	texts             hash.Hash // of a result: the digest that OpenClaw would make of it
}

// A digest is OpenClaw's own digest of a tool result, in a custom event openclaw.cache-ttl that follows it. It is
// base64url(SHA-256(JSON.stringify(texts))), and names the result by the time of its message.
type digest struct {
	time int64 // ms
	sum  uint64
}

// A call is one tool call.
type call struct {
	id       string
	tool     string
	args     []byte // raw; good while the record is
	streamed string // the arguments as the model wrote them, in releases that keep them too
	command  string
	cwd      string
	nested   bool
}

// A result is a tool's result.
type result struct {
	id, tool, cwd, status, start string
	failed                       bool
}

// callKey is the start of the digest by which the ledger names a call ("sha256:" + hex).
func callKey(id string) uint64 {
	sum := sha256.Sum256([]byte(id))
	return binary.BigEndian.Uint64(sum[:])
}

// A decoder turns records into events, one at a time.
type decoder struct {
	p   jsonl.Parser
	ev  event
	sub jsonl.Parser
}

// errNotObject says that a record is JSON and no object.
type errNotObject struct{}

func (errNotObject) Error() string { return "not a JSON object" }

// event decodes a record. The event is good until the next call.
func (d *decoder) event(text []byte) (*event, error) {
	d.ev = event{}
	d.p.Reset(text)
	object := d.p.Kind() == '{'
	for name := range d.p.Members() {
		d.member(string(name))
	}
	if err := d.p.End(); err != nil {
		return nil, err
	}
	if !object {
		return nil, errNotObject{}
	}
	return &d.ev, nil
}

func (d *decoder) member(name string) {
	e, p := &d.ev, &d.p
	switch name {
	case "type":
		e.typ = p.Text()
	case "id":
		e.id = p.RawText()
	case "parentId":
		e.hasParent = true
		e.parent = p.RawText()
	case "timestamp":
		e.time = moment(p)
	case "customType":
		e.custom = p.Text()
	case "data":
		d.data()
	case "message":
		d.message()
	}
}

// data reads the digests that an openclaw.cache-ttl event bears.
func (d *decoder) data() {
	for name := range d.p.Members() {
		if string(name) != "frozenToolResults" {
			continue
		}
		for range d.p.Elements() {
			d.frozen()
		}
	}
}

func (d *decoder) frozen() {
	var key, sum string
	shortened := false
	for name := range d.p.Members() {
		switch string(name) {
		case "key":
			key = d.p.Text()
		case "sourceHash":
			sum = d.p.Text()
		case "texts": // the result was too long: the digest is of what was not stored
			shortened = true
		}
	}
	n, err := strconv.ParseInt(key[strings.LastIndexByte(key, ':')+1:], 10, 64)
	raw, hashErr := base64.RawURLEncoding.DecodeString(sum)
	if !shortened && err == nil && hashErr == nil && len(raw) == sha256.Size {
		d.ev.frozen = append(d.ev.frozen, digest{n, binary.BigEndian.Uint64(raw)})
	}
}

// notText stands for the digest of a result that holds more than texts, which is made in another way.
const notText = 0

// sum is the digest that OpenClaw would make of the result's texts.
func (e *event) sum() uint64 {
	if e.otherParts {
		return notText
	}
	e.texts.Write([]byte("]"))
	return binary.BigEndian.Uint64(e.texts.Sum(nil))
}

// moment reads a time as ISO text or milliseconds; 0 if it is none.
func moment(p *jsonl.Parser) int64 {
	if p.Kind() == '0' {
		n, _ := p.Int()
		return n
	}
	t, err := time.Parse(time.RFC3339Nano, p.Text())
	if err != nil || t.Year() < 1970 || t.Year() > 9999 {
		return 0
	}
	return t.UnixMilli()
}

func (d *decoder) message() {
	e, p := &d.ev, &d.p
	var content, details []byte
	r := result{}
	for name := range p.Members() {
		switch string(name) {
		case "role":
			e.role = p.Text()
		case "content":
			content = p.Raw()
		case "timestamp":
			e.inner = moment(p)
		case "toolCallId":
			r.id = p.Text()
		case "toolName":
			r.tool = p.Text()
		case "isError":
			r.failed, _ = p.Bool()
		case "details":
			details = p.Raw()
		case "stopReason":
			e.stop = p.Text()
		case "customType":
			e.custom = p.Text()
		case "idempotencyKey", "__openclaw":
			e.provenance = true
			p.Skip()
		case "provenance":
			e.provenance = true
			d.origin()
		}
	}
	d.content(content, &r)
	switch {
	case e.role == "toolResult":
		d.details(details, &r)
		e.result = &r
	case e.role == "custom":
		d.nested(details)
	}
}

// origin reads where OpenClaw itself says that a turn came from.
func (d *decoder) origin() {
	for name := range d.p.Members() {
		if string(name) == "sourceTool" {
			d.ev.internal = d.p.Text()
		}
	}
}

// startOf is how much of a result's text is looked at. Bytes.
const startOf = 200

// content reads the parts of a message: text and tool calls.
func (d *decoder) content(raw []byte, r *result) {
	e, p := &d.ev, &d.sub
	p.Reset(raw)
	if p.Kind() == '"' {
		e.text = []byte(p.Text())
	}
	e.texts = sha256.New()
	e.texts.Write([]byte("["))
	n := 0
	for range p.Elements() {
		text, isText := d.part(p)
		if !isText {
			e.otherParts = true
			continue
		}
		if n++; n > 1 {
			e.text = append(e.text, '\n')
			e.texts.Write([]byte(","))
		}
		e.text = append(e.text, jsonl.Unquote(text)...)
		e.texts.Write(text)
	}
	r.start = string(e.text[:min(len(e.text), startOf)])
	if e.role == "user" && e.internal == "exec" {
		e.completes = completed(e.text)
	}
}

// part reads one part of a message's content.
func (d *decoder) part(p *jsonl.Parser) (text []byte, isText bool) {
	kind, c := "", call{}
	for name := range p.Members() {
		switch string(name) {
		case "type":
			kind = p.Text()
		case "text":
			text = p.RawText()
		case "id":
			c.id = p.Text()
		case "name":
			c.tool = p.Text()
		case "arguments":
			c.args = p.Raw()
		case "partialArgs":
			c.streamed = p.Text()
		}
	}
	if kind == "toolCall" {
		d.ev.calls = append(d.ev.calls, c)
	}
	return text, kind == "text"
}

// details reads what a result says of how the command ran.
func (d *decoder) details(raw []byte, r *result) {
	d.sub.Reset(raw)
	for name := range d.sub.Members() {
		switch string(name) {
		case "status":
			r.status = d.sub.Text()
		case "cwd":
			r.cwd = d.sub.Text()
		}
	}
}

// nested reads a call that another call made (openclaw.nested-tool.v1): the record is its result too.
func (d *decoder) nested(raw []byte) {
	c := call{nested: true}
	d.sub.Reset(raw)
	for name := range d.sub.Members() {
		switch string(name) {
		case "toolCallId":
			c.id = d.sub.Text()
		case "toolName":
			c.tool = d.sub.Text()
		case "input":
			c.args = d.sub.Raw()
		}
	}
	if c.id != "" {
		d.ev.calls = append(d.ev.calls, c)
	}
}

// arguments fills in what a command's arguments say.
func (c *call) arguments(p *jsonl.Parser) {
	p.Reset(c.args)
	for name := range p.Members() {
		switch string(name) {
		case "command":
			c.command = p.Text()
		case "workdir", "cwd":
			c.cwd = p.Text()
		}
	}
}

// completed finds the name of the command in a report of its end: "Exec completed (dawn-mist, code 0)".
func completed(text []byte) string {
	at := bytes.Index(text, []byte("Exec "))
	if at < 0 {
		return ""
	}
	_, rest, ok := bytes.Cut(text[at:min(len(text), at+startOf)], []byte("("))
	if !ok {
		return ""
	}
	name, _, _ := bytes.Cut(rest, []byte(","))
	return strings.TrimSpace(string(name[:min(len(name), 40)]))
}

// masked reports whether text was redacted when it was stored: then it cannot be compared.
func masked(text string) bool {
	return strings.Contains(text, "***") || strings.Contains(text, "redacted") || strings.Contains(text, "REDACTED") ||
		strings.Contains(text, "truncated") || strings.Contains(text, "…")
}

// label names a record by its kind.
func (e *event) label() string {
	switch {
	case e.role != "":
		return fmt.Sprintf("%s/%s", e.typ, e.role)
	case e.custom != "":
		return fmt.Sprintf("%s/%s", e.typ, e.custom)
	}
	return e.typ
}
