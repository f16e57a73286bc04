package analyze

import (
	"path"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/jsonl"
)

// arguments are what any tool's arguments may say that a timeline shows. One reader serves all tools: names
// mean the same across them, and an intruder gains nothing by adding some.
type arguments struct {
	command, path, text, target       aliased
	inner                             aliased // args of an indirect call
	workdir, url, query, action, task string
	patch, id, node, host, session    string
	raw                               []byte // the whole; good until the batch is joined
	contentBytes                      int64
	elevated, background              bool
}

// readArguments reads a tool's arguments: an object, or a string that holds one.
func readArguments(raw []byte) (a arguments, ok bool) {
	var p jsonl.Parser
	p.Reset(raw)
	if p.Kind() == '"' {
		p.Reset([]byte(p.Text()))
	}
	a.raw, ok = raw, p.Kind() == '{'
	for name := range p.Members() {
		a.member(string(name), &p)
	}
	return a, ok && p.End() == nil
}

// An aliased text is one that tools name differently. Where the arguments hold several of its names the first of
// its list counts, as OpenClaw reads its own name before others; of one name the last, as JSON.parse has it.
type aliased struct {
	value string
	rank  int // place of the name in its list, from 1; 0 if none was seen
}

var (
	commandNames = []string{"command", "cmd", "argv", "script", "code"}
	pathNames    = []string{"path", "file_path", "filePath", "notebook_path"}
	textNames    = []string{"message", "text", "data", "keys", "chars"}
	targetNames  = []string{"target", "to", "channelId", "sessionKey"}
	innerNames   = []string{"args", "input"}
)

func (t *aliased) set(names []string, name, value string) {
	if rank := slices.Index(names, name) + 1; value != "" && (t.rank == 0 || rank <= t.rank) {
		*t = aliased{value, rank}
	}
}

func (a *arguments) member(name string, p *jsonl.Parser) {
	switch name {
	case "command", "cmd", "argv", "script", "code":
		a.command.set(commandNames, name, words(p))
	case "workdir", "cwd":
		a.workdir = p.Text()
	case "path", "file_path", "filePath", "notebook_path":
		a.path.set(pathNames, name, p.Text())
	case "url", "targetUrl":
		a.url = p.Text()
	case "query", "pattern":
		a.query = p.Text()
	case "action":
		a.action = p.Text()
	case "target", "to", "channelId", "sessionKey":
		a.target.set(targetNames, name, p.Text())
	case "message", "text", "data", "keys", "chars":
		a.text.set(textNames, name, words(p))
	case "task", "prompt":
		a.task = p.Text()
	case "input", "patch":
		if p.Kind() == '"' {
			a.patch = p.Text()
		} else {
			a.inner.set(innerNames, name, string(p.Raw()))
		}
	case "id":
		a.id = p.Text()
	case "args":
		a.inner.set(innerNames, name, string(p.Raw()))
	case "node":
		a.node = p.Text()
	case "host":
		a.host = p.Text()
	case "sessionId", "session_id":
		a.session = p.Text()
	case "content", "new_string", "newText":
		a.contentBytes += textBytes(p)
	case "elevated":
		a.elevated, _ = p.Bool()
	case "background", "run_in_background":
		a.background, _ = p.Bool()
	default:
		p.Skip()
	}
}

// words reads a string, or an array of them as one line.
func words(p *jsonl.Parser) string {
	if p.Kind() != '[' {
		return p.Text()
	}
	var list []string
	for range p.Elements() {
		list = append(list, p.Text())
	}
	return strings.Join(list, " ")
}

// textBytes reads a string and returns its length, in bytes, unquoted.
func textBytes(p *jsonl.Parser) int64 {
	if p.Kind() != '"' {
		return int64(len(p.Raw()))
	}
	return jsonl.TextLen(p.RawText())
}

// toolNames maps the names tools have, or had, to what they do. Back ends of the claude and codex command
// lines name theirs differently.
var toolNames = map[string]Kind{
	"exec": KindExec, "bash": KindExec, "Bash": KindExec, "shell": KindExec, "terminal": KindExec, "code_execution": KindExec,
	operatorShell: KindExec, "local_shell": KindExec, "exec_command": KindExec, "shell_command": KindExec, "write_stdin": KindExec, "BashOutput": KindRead, "KillShell": KindTool,
	"write": KindWrite, "Write": KindWrite, "NotebookEdit": KindEdit,
	"edit": KindEdit, "Edit": KindEdit, "MultiEdit": KindEdit, "apply_patch": KindEdit,
	"read": KindRead, "Read": KindRead, "ls": KindRead, "LS": KindRead, "grep": KindRead, "Grep": KindRead, "find": KindRead, "glob": KindRead, "Glob": KindRead,
	"image": KindRead, "pdf": KindRead, "memory_get": KindRead, "memory_search": KindRead, "sessions_list": KindRead,
	"sessions_history": KindRead, "session_status": KindRead, "agents_list": KindRead, "tool_search": KindRead, "tool_describe": KindRead,
	"web_fetch": KindFetch, "WebFetch": KindFetch, "web_search": KindFetch, "WebSearch": KindFetch, "x_search": KindFetch,
	"browser": KindBrowse, "canvas": KindBrowse,
	"message": KindMessage, "sessions_send": KindMessage, "tts": KindMessage,
	"sessions_spawn": KindSpawn, "Task": KindSpawn, "subagents": KindSpawn, "spawn_agent": KindSpawn,
	"gateway": KindConfig, "openclaw": KindConfig, "config": KindConfig, "plugins": KindConfig, "secrets": KindConfig, "skills": KindConfig,
	"cron": KindAutomation, "automations": KindAutomation,
	"nodes": KindTool, "process": KindTool,
}

// toolKind tells what a call does. A tool with several actions is judged by the one called.
func toolKind(tool string, a *arguments) Kind {
	switch tool {
	case "process":
		switch a.action {
		case "write", "send-keys", "submit", "paste":
			return KindExec
		}
		return KindRead
	case "nodes":
		if a.command.value != "" || a.action == "run" {
			return KindExec
		}
	}
	if kind, ok := toolNames[tool]; ok {
		return kind
	}
	return KindTool
}

// unwrap turns an indirect call (tool_call with an id and args) into the call it makes.
// Ids read "automations" or "openclaw:core:automations".
func unwrap(tool string, a *arguments) (string, bool) {
	if tool != "tool_call" || a.id == "" {
		return tool, false
	}
	name := a.id[strings.LastIndexByte(a.id, ':')+1:]
	inner, _ := readArguments([]byte(a.inner.value))
	*a = inner
	return name, true
}

// A fileChange is one file that a patch touches.
type fileChange struct {
	kind Kind
	verb string
	path string
}

// patchFiles lists what an apply_patch input touches. The format's headers stand at the start of a line.
func patchFiles(patch string) (files []fileChange) {
	for line := range strings.Lines(patch) {
		verb, name, ok := strings.Cut(strings.TrimSpace(strings.TrimPrefix(line, "*** ")), ": ")
		if !ok || !strings.HasPrefix(line, "*** ") {
			continue
		}
		switch verb {
		case "Add File":
			files = append(files, fileChange{KindWrite, "added", name})
		case "Update File":
			files = append(files, fileChange{KindEdit, "updated", name})
		case "Delete File":
			files = append(files, fileChange{KindEdit, "deleted", name})
		case "Move to":
			files = append(files, fileChange{KindWrite, "moved", name})
		}
	}
	return files
}

// absolute joins a recorded path to the directory it was relative to; "" dir leaves it as recorded.
func absolute(recorded, dir string) string {
	if recorded == "" || dir == "" || path.IsAbs(recorded) || strings.HasPrefix(recorded, "~") {
		return recorded
	}
	return path.Join(dir, recorded)
}

// isMasked reports whether OpenClaw masked part of a recorded text: "***", or the first six and last four
// characters of a secret around an ellipsis (FACTS 5.6).
func isMasked(s string) bool {
	if strings.Contains(s, "***") {
		return true
	}
	for rest := s; ; {
		i := strings.Index(rest, "…")
		if i < 0 {
			return false
		}
		after := rest[i+len("…"):]
		if i >= 6 && len(after) >= 4 && isToken(rest[i-6:i]) && isToken(after[:4]) {
			return true
		}
		rest = after
	}
}

func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c != '-' && c != '_' && c != '.' && c != ':' && c != '/' && c != '+' && c != '=' &&
			(c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}
