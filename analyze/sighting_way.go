package analyze

import (
	"encoding/json"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/shell"
)

// A Way is what the agent did with a secret.
type Way string

// The ways, the worst first.
const (
	WaySent    Way = "sent"    // in a message, in a URL it fetched, in a command that sends to another host
	WayRun     Way = "run"     // in a command, its environment included, or another tool's arguments
	WayWritten Way = "written" // into a file, an automation, the config
	WaySeen    Way = "seen"    // in a tool's result, or in what someone wrote to it
	WayRest    Way = "at rest" // in a log or a file of the workspace
	WayUnclear Way = "unclear" // in a record that does not say which way it went, or in a request for approval
)

// Ways lists every way, in the order in which they are shown.
var Ways = []Way{WaySent, WayRun, WayWritten, WaySeen, WayRest, WayUnclear}

// ways is a set of them, by their places in Ways.
type ways uint8

const (
	waySent ways = 1 << iota
	wayRun
	wayWritten
	waySeen
	wayRest
	wayUnclear
)

// maxDepth bounds how deep a record is followed; the decoder of JSON has a bound of its own beyond that.
const maxDepth = 64

// A walker goes through a record and tells of each string which way it went: an assistant's words go out, its calls do what
// their tools do, a tool's result and anybody else's words come in.
type walker struct {
	see  func(text string, way ways)
	call func(text string, c *toolCall) // a string among a call's arguments
}

// A toolCall is a call whose arguments are being walked.
type toolCall struct {
	way     ways
	command string // what an exec runs, until it was looked at
}

func (w *walker) walk(v any, way ways, c *toolCall, depth int) {
	if depth > maxDepth {
		return
	}
	switch v := v.(type) {
	case string:
		if c != nil {
			w.call(v, c)
		} else {
			w.see(v, way)
		}
	case []any:
		for _, e := range v {
			w.walk(e, way, c, depth+1)
		}
	case map[string]any:
		w.object(v, way, c, depth)
	}
}

func (w *walker) object(v map[string]any, way ways, c *toolCall, depth int) {
	isCall := false
	if c == nil {
		way, isCall = partWay(v, way)
	}
	for name, e := range v {
		memberWay, inner := way, c
		switch name {
		case "input", "arguments", "args", "action":
			if c == nil && (name != "action" || isCall) {
				inner = newToolCall(v, e)
			}
		case "result", "output", "toolUseResult", "thinking", "messagesSnapshot":
			if c == nil {
				memberWay = waySeen
			}
		}
		w.walk(e, memberWay, inner, depth+1)
	}
}

// partWay tells from a part's role or type which way it goes, and whether it is a tool call.
func partWay(part map[string]any, way ways) (ways, bool) {
	role, _ := part["role"].(string)
	typ, _ := part["type"].(string)
	switch role {
	case "assistant":
		way = waySent
	case "user", "system", "developer", "tool", "toolResult":
		way = waySeen
	case "bashExecution":
		return waySeen, false // its command was the operator's
	}
	switch typ {
	case "toolCall", "tool_use", "toolUse", "tool_call", "functionCall", "function_call", "custom_tool_call", "local_shell_call", "tool.call":
		return wayRun, true
	case "model.completed", "agent_message":
		return waySent, false
	case "tool_result", "function_call_output", "custom_tool_call_output", "tool.result", "prompt.submitted", "context.compiled", "compaction", "thinking", "reasoning", "user_message":
		return waySeen, false // what the agent thinks of, it has read
	}
	return way, false
}

// newToolCall judges a call by its tool, which the part that holds the arguments names, and by its arguments.
func newToolCall(part map[string]any, args any) *toolCall {
	raw, err := json.Marshal(args)
	if err != nil {
		return &toolCall{way: wayRun}
	}
	if text, ok := args.(string); ok && !strings.HasPrefix(strings.TrimSpace(text), "{") {
		raw, _ = json.Marshal(map[string]any{"input": text}) // a patch
	}
	a, _ := readArguments(raw)
	tool := ""
	for _, name := range []string{"toolName", "tool", "name"} {
		if text, ok := part[name].(string); ok && tool == "" {
			tool = text
		}
	}
	if part["type"] == "local_shell_call" {
		tool = "local_shell"
	}
	tool, _ = unwrap(tool, &a)
	return judgeCall(toolKind(tool, &a), a.command.value, firstNonEmpty(a.url, a.target.value))
}

func judgeCall(kind Kind, command, target string) *toolCall {
	switch kind {
	case KindExec:
		return &toolCall{way: wayRun, command: command}
	case KindWrite, KindEdit, KindAutomation, KindConfig:
		return &toolCall{way: wayWritten}
	case KindFetch, KindBrowse:
		if isLocalTarget(target) {
			return &toolCall{way: wayRun}
		}
		return &toolCall{way: waySent}
	case KindMessage:
		return &toolCall{way: waySent}
	case KindTool:
		if strings.Contains(target, "://") && !isLocalTarget(target) {
			return &toolCall{way: waySent}
		}
	}
	return &toolCall{way: wayRun}
}

// senders are programs that send what they are given to a host.
var senders = strings.Fields("curl wget http https httpie xh nc ncat netcat socat telnet ftp lftp sftp scp rsync ssh rclone git s3cmd mail sendmail swaks openssl")

// sendingParts tells the parts of a command that send what is in them to another host. What a program that it runs reads from a
// file or computes is not seen.
func sendingParts(command string) (parts []string) {
	cmd := shell.NewParser().Parse(command)
	for i := range cmd.Processes {
		p := &cmd.Processes[i]
		if slices.Contains(senders, strings.ToLower(p.Name)) && leavesHost(p.Args) {
			parts = append(parts, p.Text)
		}
	}
	// What is piped into a sender is blank in its own text, and a command that could not be parsed has no processes.
	for _, segment := range strings.FieldsFunc(strings.NewReplacer("&&", ";", "||", ";").Replace(command), func(c rune) bool { return c == ';' || c == '\n' }) {
		if (len(cmd.Processes) == 0 || strings.Contains(segment, "|")) && segmentSends(segment) {
			parts = append(parts, segment)
		}
	}
	return parts
}

// segmentSends reports whether a pipeline's text has a sender that reaches another host.
func segmentSends(segment string) bool {
	words := strings.FieldsFunc(segment, func(c rune) bool { return strings.ContainsRune(" \t|&()`$'\"", c) })
	for i, w := range words {
		if slices.Contains(senders, strings.ToLower(w[strings.LastIndexByte(w, '/')+1:])) && leavesHost(words[i+1:]) {
			return true
		}
	}
	return false
}

// leavesHost reports whether the arguments do not name this host alone; one that cannot be told counts as another.
func leavesHost(args []string) bool {
	local := false
	for _, a := range args {
		switch {
		case isLocalTarget(a):
			local = true
		case strings.Contains(a, "://"):
			return true
		}
	}
	return !local
}

// isLocalTarget reports whether a URL, or a host with or without a port, is the loopback interface.
func isLocalTarget(target string) bool {
	if !strings.Contains(target, "://") {
		target = "x://" + target
	}
	u, err := url.Parse(strings.Trim(target, `'"`))
	if err != nil {
		return false
	}
	host := strings.ToLower(u.Hostname())
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && (addr.IsLoopback() || addr.IsUnspecified())
}
