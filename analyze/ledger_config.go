package analyze

import (
	"fmt"
	"regexp"
	"strings"
)

// configAudit reads a record of OpenClaw's journal of its config (FACTS 3.4): a write with the command that made
// it, or an edit by someone else that the gateway noticed.
func (l *ledgerReader) configAudit(e *entry) {
	created := e.time("createdAt")
	e = e.within("payload")
	event := firstNonEmpty(e.text("event"), "(no event)")
	p := new(phrase).add(event, e.at("changedPaths").words())
	if argv := l.maskArguments(e.at("argv")); argv != "" {
		p.add("by:", argv)
	}
	ev := Event{
		Kind: KindConfig, Time: firstTime(e.time("ts"), created), What: p.String(), Target: e.text("configPath"), Cwd: e.text("cwd"),
		Result: Result{PID: e.int("pid")},
	}
	if result := e.text("result"); result != "" {
		ev.ended(result, firstNonEmpty(e.text("errorMessage"), e.text("error")))
	}
	if event == "config.external" {
		ev.mark("not-by-openclaw")
	}
	if e.text("valid") == "false" {
		ev.mark("invalid")
	}
	for _, s := range e.at("suspicious").each() {
		ev.mark("suspicious:" + s.text())
	}
	l.emit(e, ev)
}

var (
	maskToken   = regexp.MustCompile(`<secret:[0-9a-f]{12}>`)
	pairingCode = regexp.MustCompile(`(pairing approve (?:--\S+ )*\S+ )[A-Z0-9]{6,10}\b`)
)

// maskArguments joins a command's arguments. Releases before 2026.9 recorded them unmasked, with the tokens and
// pairing codes among them.
func (l *ledgerReader) maskArguments(argv value) string {
	line := maskToken.ReplaceAllString(l.masks.Redact(argv.words()), "***")
	return pairingCode.ReplaceAllString(line, "${1}***")
}

// gatewayBoot reads one life of the gateway.
func (l *ledgerReader) gatewayBoot(e *entry) {
	pid, started, ended := e.int("pid"), e.time("startedAtMs"), e.time("completedAtMs")
	ev := Event{Kind: KindConfig, Time: started, Target: "gateway", What: new(phrase).add("started").with("reason", quoted(e.text("startupReason"))).String(), Result: Result{PID: pid}}
	if ended == 0 {
		ev.mark("no-end-recorded") // killed, or still running
	}
	l.emit(e, ev)
	if ended > 0 {
		outcome := firstNonEmpty(e.text("outcome"), "ended")
		ev.Time, ev.What, ev.Marks = ended, new(phrase).add(outcome).with("reason", quoted(e.text("reason"))).String(), nil
		ev.Result.Millis = max(ended-started, 0)
		if strings.HasSuffix(outcome, "_failed") {
			ev.Result.Status, ev.Result.Error = StatusError, e.text("reason")
		}
		l.emit(e, ev)
	}
}

var restartRecord = regexp.MustCompile(`^\[([^\]]{1,40})\] (?:openclaw )?(.*)$`)

// restartLine reads a line of the log of gateway starts and stops, which holds what their scripts print too.
func (l *ledgerReader) restartLine(e *entry) {
	text := string(e.doc.raw)
	ev := Event{Kind: KindConfig, Target: "gateway", What: text, Result: Result{Status: StatusNone}}
	if m := restartRecord.FindStringSubmatch(text); m != nil {
		ev.Time, ev.What = (value{raw: []byte(m[1]), column: true}).time(), m[2]
		for word := range strings.FieldsSeq(m[2]) {
			if pid, ok := strings.CutPrefix(word, "pid="); ok {
				ev.Result.PID = (value{raw: []byte(pid)}).int()
			}
		}
	}
	l.emit(e, ev)
}

// storedSecret reads that a secret was stored or removed, by its name.
func (l *ledgerReader) storedSecret(e *entry) {
	created, changed, removed := e.time("createdAtMs"), e.time("updatedAtMs"), e.time("deletedAtMs")
	what := new(phrase).add(firstNonEmpty(e.text("kind"), "secret"), e.text("name")).with("scope", strings.TrimSuffix(e.text("scopeKind")+":"+e.text("scopeId"), ":"))
	what.with("hosts", e.text("allowedHosts")).with("by", e.text("updatedBy"))
	for _, step := range []struct {
		at   int64
		name string
	}{{created, "stored"}, {changed, "changed"}, {removed, "removed"}} {
		if step.at > 0 && (step.name == "stored" || step.at != created) && (step.name != "changed" || step.at != removed) {
			l.emit(e, Event{Kind: KindConfig, Time: step.at, Target: step.name, What: what.String()})
		}
	}
}

// pluginState reads the index of plugins as 2026.9 keeps it.
func (l *ledgerReader) pluginState(e *entry) {
	changed := e.columns["updatedAtMs"]
	index := *e
	index.columns = map[string]value{"updatedAtMs": changed}
	for _, name := range []string{"installRecords", "plugins"} {
		index.columns[name] = e.at("value", "index", name)
	}
	l.plugins(&index)
}

// plugins reads which plugins were installed, and which are there without that and are not OpenClaw's own.
func (l *ledgerReader) plugins(e *entry) {
	installed := map[string]bool{}
	for id, record := range e.at("installRecords").each() {
		installed[id] = true
		p := new(phrase).add(id, record.member("version").text()).with("source", record.member("source").text())
		p.with("spec", record.member("spec").text()).with("path", firstNonEmpty(record.member("installPath").text(), record.member("sourcePath").text()))
		ev := Event{Kind: KindConfig, Time: record.member("installedAt").time(), Target: "plugin installed", What: p.String()}
		if ev.Time == 0 {
			ev.Time = e.time("updatedAtMs")
		}
		l.emit(e, ev)
	}
	for _, plugin := range e.at("plugins").each() {
		id, origin := plugin.member("pluginId").text(), plugin.member("origin").text()
		if installed[id] || origin == "bundled" {
			continue
		}
		p := new(phrase).add(id, plugin.member("packageVersion").text()).with("origin", origin).with("enabled", plugin.member("enabled").text()).with("path", plugin.member("rootDir").text())
		l.emit(e, Event{Kind: KindConfig, Time: e.time("updatedAtMs"), Target: "plugin found", What: p.String(), Marks: []string{"no-install-record"}})
	}
}

// chatCommand reads a /new, /reset or /stop that someone sent.
func (l *ledgerReader) chatCommand(e *entry) {
	key, source := e.text("sessionKey"), e.text("source")
	asker := &Asker{Kind: "channel", Channel: source, Sender: e.text("senderId")}
	if source == "webchat" || strings.HasPrefix(source, "gateway:") {
		asker.Kind = "operator"
	}
	l.emit(e, Event{
		Kind: KindSession, Time: firstTime(e.time("timestampMs"), e.time("timestamp")), Key: key, Target: source,
		What: fmt.Sprintf("/%s %s", firstNonEmpty(e.text("action"), "?"), key), Asker: asker,
	})
}

// sessionState reads that a session was made, started another, ended a run or was compacted: it outlives the
// session itself.
func (l *ledgerReader) sessionState(e *entry) {
	key := e.text("sessionKey")
	l.emit(e, Event{
		Kind: KindSession, Time: e.time("occurredAt"), Key: key, Agent: e.text("agentId"), Target: e.text("kind"),
		What:  new(phrase).add(firstNonEmpty(e.text("summary"), e.text("kind")), key).String(),
		Asker: &Asker{Kind: firstNonEmpty(e.text("actorType"), "unknown"), Sender: e.text("actorId")},
	})
}
