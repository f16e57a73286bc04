package analyze

// subagent reads one run of a subagent: of a table's row the whole object in payload_json, and its columns where
// that lacks something.
func (l *ledgerReader) subagent(e *entry) {
	run := e.within("payload")
	text := func(name string) string { return firstNonEmpty(run.text(name), e.text(name)) }
	started := firstTime(run.time("execution", "startedAt"), run.time("startedAt"))
	ended := firstTime(run.time("execution", "endedAt"), run.time("endedAt"))
	status := firstNonEmpty(run.text("execution", "outcome", "status"), run.text("outcome", "status"))
	l.spawn(e, firstNonEmpty(text("runId"), e.name), Event{
		Time: firstTime(run.time("createdAt"), e.time("createdAt")), What: text("task"), Target: text("childSessionKey"),
		Key: text("requesterSessionKey"), Cwd: text("workspaceDir"), Result: Result{Millis: elapsed(started, ended)},
	}, status, firstNonEmpty(run.text("execution", "outcome", "error"), run.text("outcome", "error")))
}

// spawn emits a run of a subagent, which two ledgers may hold, once.
func (l *ledgerReader) spawn(e *entry, run string, ev Event, status, message string) {
	if run != "" && l.spawns[run] {
		l.copied++
		return
	}
	if len(l.spawns) < maxKnown {
		l.spawns[run] = true
	}
	ev.Kind, ev.Asker = KindSpawn, agentAsker(ev.Key)
	ev.ended(status, message)
	ev.mark("subagent-record") // the call that asked for it is in the transcript, if that is still there
	l.emit(e, ev)
}

func elapsed(from, to int64) int64 {
	if from == 0 || to < from {
		return 0
	}
	return to - from
}

// task reads one background task: a command, a subagent or a run of an automation. Other tasks are turns, which
// the transcripts hold.
func (l *ledgerReader) task(e *entry) {
	created, started, ended := e.time("createdAt"), e.time("startedAt"), e.time("endedAt")
	ev := Event{
		Time: firstTime(started, created), Agent: e.text("agentId"), Key: firstNonEmpty(e.text("requesterSessionKey"), e.text("ownerKey")),
		What: e.text("task"), Target: e.text("childSessionKey"),
		Result: Result{Millis: elapsed(started, ended), PID: e.int("executionOwnerPid")},
	}
	switch runtime := e.text("runtime"); {
	case e.text("taskKind") == "exec":
		ev.ended(e.text("status"), e.text("error"))
		ev.Result.Exit = exitCode(e.at("detail", "exitCode"))
		ev.Marks = append(ev.Marks, "background", "task-record-only")
		ev.Target = e.text("sourceId")
		l.recordOnly(e, ev)
	case runtime == "subagent" || runtime == "acp":
		ev.Time = firstTime(created, started)
		l.spawn(e, e.text("runId"), ev, e.text("status"), e.text("error"))
	case runtime == "cron":
		detail := e.at("detail")
		l.addRun(e, automationRun{
			runKey: runKey{e.text("sourceId"), firstTime(detail.member("runAtMs").time(), started, created)},
			agent:  ev.Agent, status: firstNonEmpty(detail.member("status").text(), e.text("status")), message: e.text("error"),
			millis: firstTime(detail.member("durationMs").int(), ev.Result.Millis),
		}, detail.member("diagnostics"))
	}
}

func exitCode(v value) *int {
	if v.kind() != '0' {
		return nil
	}
	n := int(v.int())
	return &n
}
