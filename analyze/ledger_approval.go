package analyze

import "strings"

// approval reads an operator's approval: when it was asked for, and how it was answered (FACTS 6).
func (l *ledgerReader) approval(e *entry) {
	ask := e.at("presentation")
	asked := Event{
		Kind: KindApproval, Time: e.time("createdAtMs"), Target: "asked", CallID: e.text("sourceToolCallId"),
		What:  firstNonEmpty(ask.member("commandText").text(), ask.member("title").text(), ask.member("description").text(), e.text("kind")),
		Agent: e.text("sourceAgentId"), Key: e.text("sourceSessionKey"), Cwd: ask.member("cwd").text(),
		Asker: agentAsker(e.text("sourceSessionKey")), Result: Result{Status: StatusPending},
	}
	if node := ask.member("nodeId").text(); node != "" {
		asked.mark("node:" + node)
	}
	answered := asked
	asked.say("Decision", "pending")
	l.emit(e, asked)
	status := e.text("status")
	if status == "pending" {
		return
	}
	answered.Time, answered.Target = e.time("resolvedAtMs"), firstNonEmpty(e.text("decision"), "answered")
	answered.Asker = &Asker{Kind: "operator", Sender: e.text("resolverKind") + ":" + e.text("resolverId")}
	if e.text("resolverKind") == "system" {
		answered.Asker = &Asker{Kind: "system", Sender: e.text("resolverId")}
	}
	reason := e.text("terminalReason")
	answered.ended(status, reason)
	if status == "cancelled" {
		answered.Result.Status = StatusDenied
	}
	if reason != "" && reason != "user" {
		answered.mark(reason)
	}
	answered.say("Decision", firstNonEmpty(e.text("decision"), status))
	answered.say("Resolver", strings.Trim(e.text("resolverKind")+":"+e.text("resolverId"), ":"))
	l.emit(e, answered)
	if status == "allowed" && e.text("kind") == "exec" {
		run := asked
		run.Target, run.Result, run.Marks = "", Result{Status: StatusNone}, append(answered.Marks, "approval-record-only")
		l.recordOnly(e, run)
	}
}

// execApprovals reads what may run without asking: the defaults, and each agent's settings and allow-list. Of the
// socket's token nothing is taken.
func (l *ledgerReader) execApprovals(e *entry) {
	e, changed := e.within("raw"), e.time("updatedAtMs")
	l.execPolicy(e, "", e.at("defaults"), changed)
	for agent, settings := range e.at("agents").each() {
		l.execPolicy(e, agent, settings, changed)
		for _, allowed := range settings.member("allowlist").each() {
			l.allowedCommand(e, agent, allowed, changed)
		}
	}
}

func (l *ledgerReader) execPolicy(e *entry, agent string, settings value, changed int64) {
	var p phrase
	ev := Event{Kind: KindApproval, Time: changed, Agent: agent, Target: "policy"}
	ev.say("State", "policy")
	for _, name := range []string{"security", "ask", "askFallback", "autoAllowSkills"} {
		setting := settings.member(name).text()
		p.with(name, setting)
		if setting != "" {
			ev.say("Policy", name+"="+setting)
		}
	}
	if ev.What = p.String(); ev.What != "" {
		l.emit(e, ev)
	}
}

func (l *ledgerReader) allowedCommand(e *entry, agent string, allowed value, changed int64) {
	used, command := allowed.member("lastUsedAt").time(), allowed.member("lastUsedCommand").text()
	p := new(phrase).add(firstNonEmpty(allowed.member("pattern").text(), allowed.text(), "(no pattern)"))
	p.with("arguments", quoted(allowed.member("argPattern").text())).with("path", allowed.member("lastResolvedPath").text())
	p.with("for", quoted(allowed.member("commandText").text())).with("last", quoted(command))
	ev := Event{Kind: KindApproval, Time: used, Agent: agent, Target: "allow-list, last used", What: p.String()}
	if used == 0 {
		ev.Time, ev.Target = changed, "allow-list"
	}
	if source := allowed.member("source").text(); source != "" {
		ev.mark(source)
	}
	ev.say("State", "allow-list")
	ev.say("Pattern", firstNonEmpty(allowed.member("pattern").text(), allowed.text()))
	l.emit(e, ev)
	l.recordOnly(e, Event{Time: used, Agent: agent, What: command, Result: Result{Status: StatusNone}, Marks: []string{"allow-list-record-only"}})
}

// pluginBinding reads which plugin may take over a channel's conversations.
func (l *ledgerReader) pluginBinding(e *entry) {
	p := new(phrase).add("plugin", firstNonEmpty(e.text("pluginId"), "(no id)"), quoted(e.text("pluginName")), "may bind", e.text("channel"), e.text("accountId"))
	l.emit(e, Event{Kind: KindApproval, Time: e.time("approvedAt"), Target: e.text("pluginRoot"), What: p.String()})
}
