package analyze

import (
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/internal/jsonl"
)

// maxRuns bounds how many runs of automations are put together from several ledgers, and how many automations are
// remembered for them; runs beyond it are told as each ledger has them.
const maxRuns = 100_000

// An automation is what a run needs to know of its definition.
type automation struct{ name, agent, key, command, cwd string }

// A runKey names a run: an automation's id and when it started, in milliseconds.
type runKey struct {
	job     string
	started int64
}

// An automationRun is a run as one or several ledgers tell it.
type automationRun struct {
	runKey
	entry                                *entry
	agent, key, status, message, command string
	millis, pid                          int64
	exit                                 *int
}

// cronJob reads the definition of an automation, and its last run where the runs' own ledgers have lost it.
func (l *ledgerReader) cronJob(e *entry) {
	job := e.within("job")
	id := firstNonEmpty(job.text("id"), job.text("jobId"), e.text("jobId"))
	def := automation{
		name: firstNonEmpty(job.text("name"), e.text("name")), agent: firstNonEmpty(job.text("agentId"), e.text("agentId"), job.text("owner", "agentId")),
		key: firstNonEmpty(job.text("owner", "sessionKey"), job.text("sessionKey")), cwd: job.text("payload", "cwd"),
	}
	payload := firstNonEmpty(job.text("payload", "kind"), e.text("payloadKind"))
	if payload == "command" {
		def.command = commandLine(job.at("payload"))
	}
	if _, known := l.jobs[id]; !known && len(l.jobs) < maxRuns {
		l.jobs[id] = &def
	}
	ev := Event{
		Kind: KindAutomation, Time: firstTime(job.time("createdAtMs"), job.time("updatedAtMs"), e.time("updatedAt")), Agent: def.agent, Key: def.key, Cwd: def.cwd, Target: id,
		What: new(phrase).add(quoted(def.name), schedule(job.at("schedule"))+",", payload).
			with("trigger", quoted(job.text("trigger", "script"))).String(),
	}
	does := firstNonEmpty(def.command, promptText(job.at("payload")))
	if does != "" {
		ev.What += ": " + does
	}
	ev.say("PayloadKind", payload)
	ev.say("Content", does)
	ev.say("Owner", def.key)
	switch {
	case def.key != "":
		ev.Asker = agentAsker(def.key)
	case job.text("declarationKey") != "":
		ev.Asker = &Asker{Kind: "system", Sender: job.text("declarationKey")}
	}
	if enabled := firstValue(job.at("enabled"), e.at("enabled")); len(enabled.raw) > 0 && !enabled.isTrue() {
		ev.mark("disabled")
	}
	l.emit(e, ev)
	if watched := commandLine(job.at("schedule")); watched != "" {
		l.emit(e, Event{
			Kind: KindExec, Time: ev.Time, Agent: def.agent, Key: def.key, What: watched, Cwd: job.text("schedule", "cwd"), Target: id,
			Asker: &Asker{Kind: "automation", Sender: id}, Result: Result{Status: StatusNone}, Marks: []string{"gateway-automation", "on-exit"},
		})
	}
	l.lastRun(e, id, firstValue(e.at("state"), job.at("state")))
}

// cronState reads jobs-state.json, in which some releases kept what changes of an automation.
func (l *ledgerReader) cronState(e *entry) {
	l.lastRun(e, firstNonEmpty(e.text("id"), e.name), firstValue(e.at("state"), e.doc))
}

func (l *ledgerReader) lastRun(e *entry, job string, state value) {
	at := state.member("lastRunAtMs").time()
	if at == 0 {
		return
	}
	last := &automationRun{
		runKey: runKey{job, at}, entry: e.bare(), status: firstNonEmpty(state.member("lastRunStatus").text(), state.member("lastStatus").text()),
		message: state.member("lastError").text(), millis: state.member("lastDurationMs").int(),
	}
	if len(l.last) == maxRuns {
		l.tellRun(last)
		return
	}
	l.last = append(l.last, last)
}

// commandLine writes a command as a shell would take it: its environment, its arguments and its input.
func commandLine(v value) string {
	command := firstNonEmpty(v.member("argv").words(), v.member("command").words())
	if command == "" {
		return ""
	}
	var p phrase
	for name, setting := range v.member("env").each() {
		p.add(name + "=" + setting.text())
	}
	p.add(command)
	if input := v.member("input").text(); input != "" {
		p.add("<<<", input)
	}
	return p.String()
}

func promptText(payload value) string {
	return firstNonEmpty(payload.member("message").text(), payload.member("text").text(), payload.member("script").text())
}

// schedule says when an automation runs.
func schedule(v value) string {
	switch kind := v.member("kind").text(); kind {
	case "at":
		at := v.member("at").text()
		if ms := v.member("atMs").time(); ms > 0 {
			at = time.UnixMilli(ms).UTC().Format(time.RFC3339)
		}
		return "at " + at
	case "every":
		return "every " + (time.Duration(max(0, min(v.member("everyMs").int(), lastMilli/1000))) * time.Millisecond).String()
	case "cron":
		return new(phrase).add("cron", v.member("expr").text(), v.member("tz").text()).String()
	default:
		return new(phrase).add(firstNonEmpty(kind, "no schedule"), commandLine(v)).String()
	}
}

// cronReceipt reads the receipt of a run, as 2026.9 keeps it.
func (l *ledgerReader) cronReceipt(e *entry) {
	started := e.time("startedAtMs")
	l.addRun(e, automationRun{
		runKey: runKey{e.text("jobId"), started}, agent: e.text("agentId"), status: e.text("status"), message: e.text("errorText"),
		millis: elapsed(started, e.time("finishedAtMs")), pid: e.int("ownerPid"),
	}, value{})
}

// cronRun reads the record of a run that ended: a line of cron/runs, or the row it became.
func (l *ledgerReader) cronRun(e *entry) {
	run := e.within("entry")
	text := func(name string) string { return firstNonEmpty(e.text(name), run.text(name)) }
	millis := firstTime(e.int("durationMs"), run.int("durationMs"))
	ended := firstTime(e.time("ts"), run.time("ts"))
	started := firstTime(e.time("runAtMs"), run.time("runAtMs"), ended-millis)
	l.addRun(e, automationRun{
		runKey: runKey{firstNonEmpty(text("jobId"), e.name), started}, key: text("sessionKey"),
		status: text("status"), message: text("error"), millis: millis,
	}, run.at("diagnostics"))
}

// addRun takes what a ledger tells of a run and adds it to what others told.
func (l *ledgerReader) addRun(e *entry, run automationRun, diagnostics value) {
	run.entry = e.bare()
	run.command, run.exit = ranCommand(diagnostics)
	l.joinRun(&run)
}

func (l *ledgerReader) joinRun(run *automationRun) {
	known := l.runs[run.runKey]
	switch {
	case known != nil && known.entry.tool != run.entry.tool:
		known.complete(run)
		l.copied++
		return
	case len(l.order) == maxRuns:
		l.tellRun(run)
		return
	case known == nil:
		l.runs[run.runKey] = run
	}
	l.order = append(l.order, run)
	l.told++
}

func (r *automationRun) complete(o *automationRun) {
	r.agent, r.key, r.command = firstNonEmpty(r.agent, o.agent), firstNonEmpty(r.key, o.key), firstNonEmpty(r.command, o.command)
	r.status, r.message = firstNonEmpty(r.status, o.status), firstNonEmpty(r.message, o.message)
	r.millis, r.pid = firstTime(r.millis, o.millis), firstTime(r.pid, o.pid)
	if r.exit == nil {
		r.exit = o.exit
	}
}

// finishRuns tells the runs once all definitions are known. That an automation ran last counts only where the
// ledgers of runs do not have it.
func (l *ledgerReader) finishRuns() {
	for _, last := range l.last {
		l.joinRun(last)
	}
	for _, run := range l.order {
		l.tellRun(run)
	}
}

// tellRun emits a run, and the command it was. Such commands run inside the gateway; no transcript holds them.
func (l *ledgerReader) tellRun(run *automationRun) {
	def := l.jobs[run.job]
	if def == nil {
		def = &automation{name: "an automation that is no longer there"}
	}
	ev := Event{
		Kind: KindAutomation, Time: run.started, Agent: firstNonEmpty(run.agent, def.agent), Key: run.key, Target: run.job, What: "ran: " + def.name,
		Asker:  &Asker{Kind: "automation", Sender: run.job},
		Result: Result{Millis: run.millis, PID: run.pid, Exit: run.exit},
	}
	ev.ended(run.status, run.message)
	l.emit(run.entry, ev)
	command := firstNonEmpty(run.command, def.command)
	if command == "" || run.status == "skipped" && run.command == "" {
		return
	}
	ev.Kind, ev.What, ev.Cwd, ev.Marks = KindExec, command, def.cwd, append([]string{"gateway-automation"}, ev.Marks...)
	if run.command == "" {
		ev.mark("as-defined-now") // the definition may have been another when it ran
	}
	l.emit(run.entry, ev)
}

// ranCommand reads the command from the diagnostics of a run, which say it as
// command ok: "sh" "-c" "…", together with its exit code.
func ranCommand(diagnostics value) (command string, exit *int) {
	for _, d := range diagnostics.member("entries").each() {
		message := d.member("message").text()
		_, line, ok := strings.Cut(message, ": ")
		if d.member("source").text() != "exec" || !strings.HasPrefix(message, "command ") || !ok {
			continue
		}
		var p jsonl.Parser
		p.Reset([]byte(line))
		var argv []string
		for p.Kind() == '"' {
			argv = append(argv, p.Text())
		}
		if command = strings.Join(argv, " "); command != "" {
			return command, exitCode(d.member("exitCode"))
		}
	}
	return "", nil
}

// standingIntent reads what the agent was told to do whenever a word comes up.
func (l *ledgerReader) standingIntent(e *entry) {
	p := new(phrase).add(e.text("description")).with("on", quoted(e.at("triggerKeywords").words())).with("channel", e.text("channelScope"))
	p.with("sender", e.text("senderScope")).with("status", e.text("status"))
	ev := Event{Kind: KindAutomation, Time: e.time("createdAt"), Target: e.text("id"), What: p.String()}
	if id := e.text("sourceSessionId"); id != "" {
		ev.Key = id
		if s := l.j.sessions[id]; s != nil {
			ev.Key = firstNonEmpty(s.Key, id)
		}
	}
	if sender := e.text("creatorSender"); sender != "" {
		ev.Asker = &Asker{Kind: "channel", Channel: firstNonEmpty(e.text("channelScope"), "channel"), Sender: sender}
	}
	l.emit(e, ev)
	if fired := e.time("lastFiredAt"); fired > 0 {
		ev.Time, ev.What = fired, "fired last: "+ev.What
		l.emit(e, ev)
	}
}
