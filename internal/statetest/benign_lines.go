package statetest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// The people of the bakery, by their numbers, and its group.
const (
	aliceNumber = "+15550001111"
	bakersGroup = "QmFrZXJzLWdyb3VwLTE="
)

var colleagues = map[string]string{"Alice": aliceNumber, "Bea": "+15550002222", "Carlo": "+15550003333"}

// lines writes the releases that keep a session in a file of JSON lines.
type lines struct {
	tb        testing.TB
	version   string
	rnd       *rand.Rand
	dir       string // the host
	templates templates
	sessions  map[string]*lineSession
	logs      []logLine
	files     map[string]lineFile // of the workspace, by name
	jobs      []record
	at        time.Time
}

// A lineSession is one transcript in the making.
type lineSession struct {
	key, id string
	entry   record
	lines   []string
	last    string // the id of the record before
	asked   time.Time
}

// writeLines lays out the host of a release with transcripts in JSON lines.
func writeLines(tb testing.TB, version string, rnd *rand.Rand, turns []turn) string {
	tb.Helper()
	w := &lines{
		tb: tb, version: version, rnd: rnd, dir: tb.TempDir(), sessions: map[string]*lineSession{}, files: map[string]lineFile{},
		templates: readTemplates(tb, filepath.Join(Root(tb, version), "home/claw/.openclaw")),
		at:        firstTurn(),
	}
	for _, t := range turns {
		w.at = w.at.Add(time.Duration(60+rnd.IntN(700)) * time.Second)
		w.turn(t)
	}
	w.finish()
	return w.dir
}

func (w *lines) turn(t turn) {
	w.log()
	if t.kind == "main" && len(t.calls) > 0 && t.calls[0].tool == "cron" {
		w.jobs = append(w.jobs, w.job(t.calls[0].args.at("job").(record)))
	}
	s := w.session(t)
	w.add(s, w.prompt(s, t))
	for i, c := range t.calls {
		id := "call_" + w.hex(10)
		text := ""
		if i == 0 && w.rnd.IntN(2) == 0 {
			text = "Let me look."
		}
		c.args = w.addressed(c.args)
		w.replay(c)
		w.add(s, w.templates.assistant(text, id, c))
		w.at = w.at.Add(time.Duration(40+w.rnd.IntN(2500)) * time.Millisecond)
		w.add(s, w.templates.result(id, c))
	}
	w.add(s, w.templates.answer(t.reply))
	s.asked = w.at
}

// addressed fills in whom a message goes to.
func (w *lines) addressed(args record) record {
	return fillRecord(strings.NewReplacer("{channel}", "signal", "{bea}", colleagues["Bea"]), args)
}

// add appends a message to a session under the present time.
func (w *lines) add(s *lineSession, r record) {
	w.at = w.at.Add(time.Duration(5+w.rnd.IntN(900)) * time.Millisecond)
	id := w.hex(8)
	r = r.with("id", id).with("parentId", s.last).with("timestamp", isoTime(w.at)).with("message.timestamp", w.at.UnixMilli())
	s.lines, s.last = append(s.lines, r.line()), id
}

// session returns the session that a turn belongs to, begun if it is the first there.
func (w *lines) session(t turn) *lineSession {
	key, like := w.sessionKey(t)
	if s := w.sessions[key]; s != nil {
		return s
	}
	s := &lineSession{key: key, id: w.uuid(), entry: w.templates.entries[like]}
	for _, head := range w.templates.heads {
		head = head.with("timestamp", isoTime(w.at))
		if head.text("type") == "session" {
			head = head.with("id", s.id)
		} else {
			id := w.hex(8)
			head = head.with("id", id).with("parentId", nil)
			if s.last != "" {
				head = head.with("parentId", s.last)
			}
			s.last = id
		}
		s.lines = append(s.lines, head.line())
	}
	w.sessions[key] = s
	return s
}

// sessionKey returns the key of a turn's session, and which kind of the real index's entries is like it.
func (w *lines) sessionKey(t turn) (key, like string) {
	direct := "direct"
	if w.version == "2026.1.30" || w.version == "2026.2.12" {
		direct = "dm"
	}
	switch t.kind {
	case "direct":
		return "agent:main:signal:" + direct + ":" + aliceNumber, "group"
	case "group":
		return "agent:main:signal:group:" + strings.ToLower(bakersGroup), "group"
	case "cron":
		return "agent:main:cron:" + w.jobID(t.name), "web"
	case "subagent":
		return "agent:main:subagent:" + w.uuid(), "subagent"
	}
	return "agent:main:main", "web"
}

func (w *lines) jobID(name string) string {
	for _, job := range w.jobs {
		if job.text("name") == name {
			return job.text("id")
		}
	}
	return w.uuid()
}

// job is the entry in cron/jobs.json for what a cron call asked for.
func (w *lines) job(asked record) record {
	job := w.templates.job
	for _, name := range []string{"name", "schedule", "payload"} {
		job = job.with(name, asked.at(name))
	}
	return job.with("id", w.uuid()).with("agentId", "main").with("createdAtMs", w.at.UnixMilli()).with("updatedAtMs", w.at.UnixMilli()).with("state", record{})
}

// finish writes everything out.
func (w *lines) finish() {
	index := record{}
	for _, key := range slices.Sorted(maps.Keys(w.sessions)) {
		s := w.sessions[key]
		name := "/home/claw/.openclaw/agents/main/sessions/" + s.id + ".jsonl"
		w.write(name, strings.Join(s.lines, "\n")+"\n")
		index = append(index, member{key, w.indexed(s, name)})
	}
	w.write("/home/claw/.openclaw/agents/main/sessions/sessions.json", index.line())
	if w.version != "2026.7.1" { // whose automations lie in its database
		jobs := make([]any, len(w.jobs))
		for i, job := range w.jobs {
			jobs[i] = job
		}
		w.write("/home/claw/.openclaw/cron/jobs.json", record{{"version", 1}, {"jobs", jobs}}.line())
	}
	w.write("/home/claw/.openclaw/openclaw.json", w.config())
	w.write("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\nclaw:x:4242:4242::/home/claw:/bin/bash\n")
	w.file("HEARTBEAT.md", "# Heartbeat\n- If a freezer alarm is open in notes/alarms.md, tell Alice.\n", firstTurn().Add(-time.Hour))
	for name, f := range w.files {
		w.file(name, f.content, f.changed)
	}
	w.keptLogs()
}

// keptLogs writes the gateway's log of the last day, all that it keeps.
func (w *lines) keptLogs() {
	days := map[string]string{}
	for _, line := range w.logs {
		if line.at.After(w.at.Add(-24 * time.Hour)) {
			days[line.at.Format(time.DateOnly)] += line.text + "\n"
		}
	}
	for day, text := range days {
		w.write("/tmp/openclaw/openclaw-"+day+".log", text)
	}
}

// A lineFile is a file of the workspace as the agent's tools left it.
type lineFile struct {
	content string
	changed time.Time
}

// replay does to the workspace what a call did.
func (w *lines) replay(c call) {
	f := lineFile{w.files[c.args.text("path")].content, w.at}
	switch c.tool {
	case "write":
		f.content = c.args.text("content")
	case "edit":
		edits, _ := c.args.at("edits").([]any)
		for _, e := range edits {
			edit := e.(record)
			f.content = strings.Replace(f.content, edit.text("oldText"), edit.text("newText"), 1)
		}
	default:
		return
	}
	w.files[c.args.text("path")] = f
}

func (w *lines) file(name, content string, changed time.Time) {
	name = "/home/claw/.openclaw/workspace/" + name
	w.write(name, content)
	if err := os.Chtimes(filepath.Join(w.dir, name), changed, changed); err != nil {
		w.tb.Fatal(err)
	}
}

// A logLine is a line of the gateway's log.
type logLine struct {
	at   time.Time
	text string
}

// log adds a real line of the gateway's to its log, under the present time.
func (w *lines) log() {
	line := w.templates.log[w.rnd.IntN(len(w.templates.log))]
	text := line.with("time", w.at.Format("2006-01-02T15:04:05.000+00:00")).with("_meta.date", isoTime(w.at)).line()
	w.logs = append(w.logs, logLine{w.at, text})
}

// indexed is the session's entry in sessions.json.
func (w *lines) indexed(s *lineSession, file string) record {
	entry := s.entry.with("sessionId", s.id).with("sessionFile", file).with("updatedAt", s.asked.UnixMilli())
	if strings.Contains(s.key, ":signal:d") {
		peer := "signal:" + aliceNumber
		entry = entry.without("groupId").without("subject").without("displayName").with("chatType", "direct").
			with("origin", record{{"label", "Alice id:" + aliceNumber}, {"provider", "signal"}, {"surface", "signal"}, {"chatType", "direct"}, {"from", peer}, {"to", peer}, {"accountId", "default"}}).
			with("deliveryContext", record{{"channel", "signal"}, {"to", peer}, {"accountId", "default"}}).with("lastTo", peer)
	}
	if strings.Contains(s.key, ":subagent:") {
		entry = entry.with("spawnedBy", "agent:main:main").with("label", "order counter")
	}
	return entry
}

// config is a sober configuration: loopback, a token, known people, a sandboxed group.
func (w *lines) config() string {
	people := []any{aliceNumber, colleagues["Bea"], colleagues["Carlo"]}
	return record{
		{"meta", record{{"lastTouchedVersion", w.version}, {"lastTouchedAt", "2026-11-20T06:00:00.000Z"}}},
		{"gateway", record{{"mode", "local"}, {"port", 18789}, {"bind", "loopback"}, {"auth", record{{"mode", "token"}, {"token", "gw-benign-2f6e1a9c70d4b853e1f7a2c6"}}}}},
		{"agents", record{{"defaults", record{{"workspace", "/home/claw/.openclaw/workspace"}, {"heartbeat", record{{"every", "30m"}}}}}}},
		{"tools", record{{"exec", record{{"host", "gateway"}, {"security", "allowlist"}, {"ask", "on-miss"}}}}},
		{"session", record{{"dmScope", "per-channel-peer"}}},
		{"commands", record{{"ownerAllowFrom", []any{aliceNumber}}}},
		{"channels", record{{"signal", record{
			{"enabled", true},
			{"account", "+15550009999"},
			{"httpUrl", "http://127.0.0.1:11997"},
			{"dmPolicy", "allowlist"},
			{"allowFrom", people},
			{"groupPolicy", "allowlist"},
			{"groupAllowFrom", people},
		}}}},
	}.line() + "\n"
}

func (w *lines) write(name, content string) {
	full := filepath.Join(w.dir, name)
	if err := os.MkdirAll(filepath.Dir(full), 0o700); err != nil {
		w.tb.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(content), 0o600); err != nil {
		w.tb.Fatal(err)
	}
}

func (w *lines) hex(digits int) string { return randomHex(w.rnd, digits) }
func (w *lines) uuid() string          { return randomUUID(w.rnd) }
func isoTime(t time.Time) string       { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
func randomHex(r *rand.Rand, n int) string {
	return fmt.Sprintf("%016x%016x", r.Uint64(), r.Uint64())[:n]
}

func randomUUID(r *rand.Rand) string {
	h := randomHex(r, 32)
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-8" + h[17:20] + "-" + h[20:]
}
