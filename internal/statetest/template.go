package statetest

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// templates are records that the real gateway of a version wrote, to be cloned.
type templates struct {
	heads         []record // a session's first records, before anybody spoke
	user          record
	toolUse, stop record            // of the assistant: with a call, and the last word
	results       map[string]record // by the tool's name
	entries       map[string]record // of sessions.json: web, group, subagent
	job           record
	log           []record
}

// readTemplates reads them from a state directory.
func readTemplates(tb testing.TB, state string) templates {
	tb.Helper()
	t := templates{results: map[string]record{}, entries: map[string]record{}}
	names, err := filepath.Glob(filepath.Join(state, "agents/*/sessions/*.jsonl"))
	if err != nil {
		tb.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, ".trajectory.jsonl") {
			continue
		}
		data, err := os.ReadFile(name)
		if err != nil {
			tb.Fatal(err)
		}
		t.learnSession(data)
	}
	t.learnIndexes(tb, state)
	t.learnLog(tb, filepath.Join(state, "../../../tmp/openclaw"))
	for name, r := range map[string]record{"user": t.user, "toolUse": t.toolUse, "stop": t.stop, "exec": t.results["exec"], "web": t.entries["web"], "group": t.entries["group"], "subagent": t.entries["subagent"]} {
		if r == nil {
			tb.Fatalf("no %s record in %q", name, state)
		}
	}
	return t
}

func (t *templates) learnSession(data []byte) {
	var heads []record
	for line := range bytes.Lines(data) {
		r, err := parseRecord(line)
		if err != nil {
			return // cut off: a file that was copied while it was written
		}
		if r.text("type") != "message" {
			heads = append(heads, r)
			continue
		}
		if t.heads == nil && len(heads) >= 4 {
			t.heads = heads
		}
		t.learnMessage(r)
	}
}

func (t *templates) learnMessage(r record) {
	switch r.text("message.role") {
	case "user":
		t.user = r
	case "assistant":
		switch r.text("message.stopReason") {
		case "toolUse":
			t.toolUse = r
		case "stop":
			t.stop = r
		}
	case "toolResult":
		tool := r.text("message.toolName")
		status := r.text("message.details.status")
		if tool == "exec" && status != "completed" || status == "error" {
			return
		}
		t.results[tool] = r
	}
}

func (t *templates) learnIndexes(tb testing.TB, state string) {
	tb.Helper()
	names, _ := filepath.Glob(filepath.Join(state, "agents/*/sessions/sessions.json"))
	for _, name := range names {
		for _, m := range readRecord(tb, name) {
			entry, _ := m.value.(record)
			entry = entry.without("skillsSnapshot").without("systemPromptReport").without("compactionCheckpoints")
			switch {
			case strings.HasSuffix(m.name, ":web-1"):
				t.entries["web"] = entry
			case strings.Contains(m.name, ":group:"):
				t.entries["group"] = entry
			case strings.Contains(m.name, ":subagent:"):
				t.entries["subagent"] = entry
			}
		}
	}
	if name := filepath.Join(state, "cron/jobs.json"); exists(name) {
		if jobs, _ := readRecord(tb, name).at("jobs").([]any); len(jobs) > 0 {
			t.job, _ = jobs[0].(record)
		}
	}
}

// learnLog keeps the lines of a gateway's ordinary life.
func (t *templates) learnLog(tb testing.TB, dir string) {
	tb.Helper()
	names, _ := filepath.Glob(filepath.Join(dir, "openclaw-*.log"))
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			tb.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			if r, err := parseRecord([]byte(line)); err == nil && len(t.log) < 200 && r.text("_meta.logLevelName") == "INFO" && ordinaryLine(line) {
				t.log = append(t.log, r)
			}
		}
	}
}

func ordinaryLine(line string) bool {
	for _, words := range []string{"listening on", "starting provider", "cron: started", "log file:", "agent model:", "health-monitor", "Browser control service ready", "res ✓ agent", "res ✓ sessions.list", "res ✓ chat.history"} {
		if strings.Contains(line, words) {
			return true
		}
	}
	return false
}

// assistant is the agent's call of a tool, with a word before it or "".
func (t *templates) assistant(text, id string, c call) record {
	var parts []any
	if text != "" {
		parts = append(parts, record{{"type", "text"}, {"text", text}})
	}
	parts = append(parts, record{{"type", "toolCall"}, {"id", id}, {"name", c.tool}, {"arguments", c.args}})
	return t.toolUse.with("message.content", parts)
}

// answer is the agent's last word of a turn.
func (t *templates) answer(text string) record {
	return t.stop.with("message.content", []any{record{{"type", "text"}, {"text", text}}})
}

// result is what a tool gave back. A tool that the real state has no result of gets that of one which has.
func (t *templates) result(id string, c call) record {
	r, known := t.results[c.tool]
	if !known {
		r = t.results["exec"].with("message.details", record{})
	}
	r = r.with("message.toolCallId", id).with("message.toolName", c.tool).with("message.content", contentOf(c))
	switch {
	case c.tool == "exec":
		r = r.with("message.details.exitCode", c.code).with("message.details.aggregated", c.result).with("message.details.durationMs", c.duration())
	case c.tool == "web_fetch":
		r = r.with("message.details", fetched(c))
	case known && r.at("message.details") != nil:
		r = r.with("message.details", record{})
	}
	return r
}

// contentOf is a result as the model sees it: of a picture a part of its own.
func contentOf(c call) []any {
	if data, ok := strings.CutPrefix(c.result, "data:image/png;base64,"); ok {
		return []any{record{{"type", "text"}, {"text", "Read image file [image/png]"}}, record{{"type", "image"}, {"data", data}, {"mimeType", "image/png"}}}
	}
	text := c.result
	switch {
	case c.tool == "web_fetch":
		text = indented(fetched(c))
	case text == "" && c.tool == "exec":
		text = "(no output)"
	}
	if c.tool == "exec" && c.code != 0 {
		text += "\n\nCommand exited with code " + jsonText(c.code)
	}
	return []any{record{{"type", "text"}, {"text", text}}}
}

// fetched is web_fetch's result: the page's text between the marks of what comes from outside.
func fetched(c call) record {
	text := "\n<<<EXTERNAL_UNTRUSTED_CONTENT>>>\nSource: Web Fetch\n---\n" + c.result + "\n<<<END_EXTERNAL_UNTRUSTED_CONTENT>>>"
	return record{
		{"url", c.args.text("url")},
		{"finalUrl", c.args.text("url")},
		{"status", 200},
		{"contentType", "text/html"},
		{"extractMode", "markdown"},
		{"extractor", "readability"},
		{"truncated", false},
		{"length", len(text)},
		{"fetchedAt", "2026-11-25T09:00:00.000Z"},
		{"tookMs", 214},
		{"text", text},
	}
}

func readRecord(tb testing.TB, name string) record {
	tb.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		tb.Fatal(err)
	}
	r, err := parseRecord(data)
	if err != nil {
		tb.Fatalf("%q: %v", name, err)
	}
	return r
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

func jsonText(v any) string {
	var b bytes.Buffer
	if err := encode(&b, v); err != nil {
		panic(err) // only numbers and records come here
	}
	return b.String()
}

func indented(r record) string {
	var b bytes.Buffer
	if err := json.Indent(&b, []byte(r.line()), "", "  "); err != nil {
		panic(err) // what record writes is JSON
	}
	return b.String()
}
