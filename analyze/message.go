package analyze

import (
	"strings"

	"github.com/clawbook/openclaw-ir/internal/jsonl"
)

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
	case "usage":
		if d.text {
			it.usage = d.usage()
		}
	case "model":
		if d.text {
			it.model = d.word()
		}
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
		o := c.outcome()
		if d.text {
			o.text = textOf(c.result)
		}
		it.results = append(it.results, o)
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
		o := m.outcome()
		if d.text {
			o.text = m.returned()
		}
		it.results = append(it.results, o)
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

// returned is what a tool gave back: the text parts, or codex' output.
func (m *message) returned() string {
	if len(m.output) > 0 {
		return strings.TrimPrefix(m.said(true)+"\n"+textOf(m.output), "\n")
	}
	return m.said(true)
}

// textOf reads a raw value that is a string, or a list of parts with texts; of anything else the raw text.
func textOf(raw []byte) string {
	var p jsonl.Parser
	p.Reset(raw)
	switch p.Kind() {
	case '"':
		return p.Text()
	case '[':
		var b strings.Builder
		for range p.Elements() {
			for name := range p.Members() {
				if string(name) == "text" {
					b.WriteString(p.Text())
					b.WriteByte('\n')
				}
			}
		}
		return strings.TrimSuffix(b.String(), "\n")
	}
	return string(raw)
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
