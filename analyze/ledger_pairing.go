package analyze

import (
	"slices"
	"strings"
)

// channelRequest reads a stranger's request to talk to the agent. Its code would let anyone approve it, so it is
// not taken.
func (l *ledgerReader) channelRequest(e *entry) {
	channel, sender := firstNonEmpty(e.text("channelKey"), e.name), firstNonEmpty(e.text("requestId"), e.text("id"))
	var names []string
	for _, name := range []string{"name", "displayName", "firstName", "lastName", "username"} {
		if s := e.text("meta", name); s != "" {
			names = append(names, s)
		}
	}
	account := firstNonEmpty(e.text("accountId"), e.text("meta", "accountId"))
	ev := Event{
		Kind: KindPairing, Time: e.time("createdAt"), Target: "asked",
		What:   new(phrase).add(channel, sender, quoted(strings.Join(names, " "))).with("account", account).String(),
		Asker:  &Asker{Kind: "channel", Channel: channel, Sender: sender, Name: strings.Join(names, " ")},
		Result: Result{Status: StatusPending},
	}
	ev.say("State", "asked")
	ev.say("Entry", sender)
	ev.say("PairedChannel", channel)
	l.emit(e, ev)
	if again := e.time("lastSeenAt"); again > ev.Time {
		ev.Time, ev.Target = again, "asked again"
		l.emit(e, ev)
	}
}

// channelAllowed reads a sender who may talk to the agent. Files keep no times.
func (l *ledgerReader) channelAllowed(e *entry) {
	channel, sender := firstNonEmpty(e.text("channelKey"), e.name), firstNonEmpty(e.text("entry"), e.doc.text())
	ev := Event{
		Kind: KindPairing, Time: e.time("updatedAt"), Target: "allowed",
		What: new(phrase).add(channel, sender).with("account", e.text("accountId")).String(),
	}
	ev.say("State", "allowed")
	ev.say("Entry", sender)
	ev.say("PairedChannel", channel)
	l.emit(e, ev)
}

// sayDevice says of a device or node what rules ask for.
func (ev *Event) sayDevice(e *entry, state string) {
	ev.say("State", state)
	ev.say("Device", firstNonEmpty(e.text("nodeId"), e.text("deviceId"), e.name))
	ev.say("ApprovedVia", e.text("approvedVia"))
	ev.say("RemoteIp", e.text("remoteIp"))
	ev.say("Origin", e.text("browserOrigin"))
	ev.say("Client", e.text("clientId"))
	for _, role := range strings.Split(firstNonEmpty(e.at("roles").join(","), e.text("role")), ",") {
		ev.say("Role", role)
	}
	for _, scope := range strings.Split(scopes(e), ",") {
		ev.say("Scope", scope)
	}
}

// device says what a device or a node is, and what it may do.
func device(e *entry) *phrase {
	p := new(phrase).add(firstNonEmpty(e.text("nodeId"), e.text("deviceId"), e.name), quoted(e.text("displayName")))
	p.with("role", e.text("role")).with("roles", e.at("roles").join(",")).with("scopes", scopes(e)).with("client", e.text("clientId"))
	p.with("mode", e.text("clientMode")).with("platform", e.text("platform")).with("origin", e.text("browserOrigin")).with("ip", e.text("remoteIp"))
	return p.with("commands", firstValue(e.at("commands"), e.at("nodeSurface", "commands")).join(","))
}

func firstValue(a, b value) value {
	if len(a.raw) > 0 {
		return a
	}
	return b
}

func scopes(e *entry) string {
	return firstNonEmpty(e.at("approvedScopes").join(","), e.at("scopes").join(","))
}

// paired reads a device or node that was let in: when, and when it was here last. Of its tokens only the roles
// are told.
func (l *ledgerReader) paired(e *entry) {
	p, seen := device(e), max(e.time("lastSeenAtMs"), e.time("lastConnectedAtMs"))
	var tokens []string
	for role, token := range e.at("tokens").each() {
		tokens = append(tokens, role)
		seen = max(seen, token.member("lastUsedAtMs").time())
	}
	slices.Sort(tokens)
	via := e.text("approvedVia")
	p.with("via", via).with("tokens", strings.Join(tokens, ","))
	ev := Event{Kind: KindPairing, Time: firstTime(e.time("approvedAtMs"), e.time("createdAtMs")), Target: "paired", What: p.String()}
	if via == "silent" {
		ev.mark("silent")
	}
	ev.sayDevice(e, "paired")
	l.emit(e, ev)
	if seen > 0 {
		ev.Time, ev.Target, ev.Details = seen, "last seen", nil
		if why := e.text("lastSeenReason"); why != "" {
			ev.Target += ": " + why
		}
		l.emit(e, ev)
	}
}

func firstTime(times ...int64) int64 {
	for _, t := range times {
		if t > 0 {
			return t
		}
	}
	return 0
}

// pending reads a device or node that waits to be let in.
func (l *ledgerReader) pending(e *entry) {
	ev := Event{Kind: KindPairing, Time: e.time("ts"), Target: "asked", What: device(e).String(), Result: Result{Status: StatusPending}}
	for _, name := range []string{"silent", "isRepair"} {
		if e.at(name).isTrue() {
			ev.mark(name)
		}
	}
	ev.sayDevice(e, "pending")
	l.emit(e, ev)
}

// bootstrapToken reads that a token was made with which a device can pair by itself, not the token.
func (l *ledgerReader) bootstrapToken(e *entry) {
	p := new(phrase).add("a bootstrap token").with("setup", e.text("setupId")).with("device", e.text("deviceId"))
	ev := Event{Kind: KindPairing, Time: e.time("issuedAtMs"), Target: "issued", What: p.String()}
	ev.sayDevice(e, "bootstrap")
	l.emit(e, ev)
	if ev.Time = e.time("lastUsedAtMs"); ev.Time > 0 {
		ev.Target = "used"
		l.emit(e, ev)
	}
}
