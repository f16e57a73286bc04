package analyze

import (
	"net/url"
	"regexp"
	"strings"
)

// logNames are the words before "=" in the gateway's lines of connections (FACTS 7) and the fields of rules.
var logNames = map[string]string{
	"remote": "Remote", "origin": "Origin", "host": "HostHeader", "role": "Role", "client": "Client", "conn": "Conn", "reason": "Reason", "auth": "AuthMethod", "device": "Device",
	"scopes": "Scope", "ip": "Remote", "roleTo": "Role", "scopesTo": "Scope",
}

// log makes the record of a line of the gateway's log.
func (r *recorder) log(e *Event) {
	rec := r.record(e, CategoryLog)
	r.value(rec, "Message", r.bounded(e.What), "")
	rec.Add("Subsystem", e.Tool, "")
	rec.Add("Level", e.Target, "")
	said := logFields(e.What)
	for name, value := range said {
		rec.Add(name, value, "")
	}
	if scope := scopeOf(said["Remote"]); scope != "" {
		rec.Add("RemoteScope", scope, "")
	}
	if u, err := url.Parse(said["Origin"]); err == nil && u.Host != "" && said["HostHeader"] != "" && u.Host != said["HostHeader"] {
		rec.Add("OriginForeign", "true", "")
	}
	if method, ok := rpcMethod(e.What); ok != "" {
		rec.Add("Method", method, "")
		rec.Add("Outcome", ok, "")
	}
	if auth := logAuth(e.What); auth != "" {
		rec.Add("Auth", auth, "")
	}
}

var logPair = regexp.MustCompile(`(?:^| )([A-Za-z]{2,20})=`)

// logFields reads the name=value pairs of a line. A value ends where the next pair begins.
func logFields(line string) map[string]string {
	line = start(line, maxKept)
	said := map[string]string{}
	pairs := logPair.FindAllStringSubmatchIndex(line, -1)
	for i, p := range pairs {
		end := len(line)
		if i+1 < len(pairs) {
			end = pairs[i+1][0]
		}
		field, value := logNames[line[p[2]:p[3]]], strings.TrimSpace(line[p[1]:end])
		if field != "" && value != "" && value != "n/a" {
			said[field] = value
		}
	}
	return said
}

var logResponse = regexp.MustCompile(`⇄ res ([✓✗]) ([^ ]*)`)

// rpcMethod reads the method of a call over the gateway's socket, and whether it succeeded. The first counts: what follows it on the
// line can be the caller's own words.
func rpcMethod(line string) (method, outcome string) {
	m := logResponse.FindStringSubmatch(line)
	switch {
	case m == nil:
		return "", ""
	case m[1] == "✓":
		return m[2], "ok"
	}
	return m[2], "failed"
}

// logAuth tells whether a line says that somebody was let in or refused.
func logAuth(line string) string {
	switch {
	case strings.HasPrefix(line, "unauthorized "), strings.Contains(line, `"cause":"unauthorized"`), strings.Contains(line, "reason=token_mismatch"), strings.Contains(line, "AUTH_TOKEN_MISMATCH"):
		return "failed"
	case strings.HasPrefix(line, "webchat connected "), strings.HasPrefix(line, "connected "), strings.Contains(line, "hello-ok"):
		return "ok"
	}
	return ""
}
