package openclaw

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/jsonl"
)

// A Session is what an installation knows of one session besides its transcript.
type Session struct {
	ID        string
	Agent     string
	Key       string // agent:main:main, agent:ops:cron:<job>, agent:main:subagent:<id>, …
	Channel   string // telegram, whatsapp, …; "" if none is recorded
	Peer      string // who or which group is at the other end, as the channel names it
	Group     bool
	SpawnedBy string // session key of the agent that started it
	Hook      string // where its external content came from: webhook, gmail, …
}

// Sessions returns what is known of each session, by session id: from sessions.json (through 2026.7.1) and
// from session_windows, session_nodes and the archives of the agent database.
func (in *Installation) Sessions(ctx context.Context, fsys fs.FS) (map[string]*Session, []Gap) {
	x := &sessionIndex{byID: map[string]*Session{}}
	for _, a := range in.Agents {
		x.file(fsys, a)
		_, err := OpenDatabaseFunc(fsys, a.Database, func(d *Database) error { return x.database(ctx, d, a.ID) })
		if err != nil {
			x.gaps = append(x.gaps, Gap{Path: a.Database, What: "reading the sessions: " + err.Error()})
		}
	}
	return x.byID, x.gaps
}

// OpenDatabaseFunc opens a database, calls read and closes it. A database that does not exist is no error;
// found says whether there was one.
func OpenDatabaseFunc(fsys fs.FS, hostPath string, read func(*Database) error) (found bool, err error) {
	d, err := OpenDatabase(fsys, hostPath)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return true, err
	}
	defer d.Close()
	return true, read(d)
}

type sessionIndex struct {
	byID map[string]*Session
	gaps []Gap
}

func (x *sessionIndex) get(id, agent string) *Session {
	s := x.byID[id]
	if s == nil {
		s = &Session{ID: id, Agent: agent}
		x.byID[id] = s
	}
	return s
}

// file reads sessions.json: session key → entry.
func (x *sessionIndex) file(fsys fs.FS, a Agent) {
	name := a.Index()
	text, gaps := readSmall(fsys, name)
	x.gaps = append(x.gaps, gaps...)
	if text == nil {
		return
	}
	var p jsonl.Parser
	p.Reset(text)
	for key := range p.Members() {
		x.entry(string(key), a.ID, p.Raw())
	}
	if err := p.End(); err != nil {
		x.gaps = append(x.gaps, Gap{Path: name, What: err.Error()})
	}
}

// entry reads one SessionEntry; every release since 2026.1 has these members, where they apply.
func (x *sessionIndex) entry(key, agent string, entry []byte) {
	m := flatten(entry, 3)
	id := m["sessionId"]
	if id == "" {
		return
	}
	s := x.get(id, agent)
	s.Key = key
	s.Channel = firstOf(s.Channel, m["deliveryContext.channel"], m["delivery.route.channel"], m["origin.surface"], m["lastChannel"], m["channel"])
	s.Peer = firstOf(s.Peer, m["deliveryContext.to"], m["origin.from"], m["delivery.origin.from"])
	s.SpawnedBy = firstOf(s.SpawnedBy, m["spawnedBy"])
	s.Hook = firstOf(s.Hook, m["hookExternalContentSource"])
	s.Group = s.Group || m["chatType"] == "group" || m["origin.chatType"] == "group"
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// flatten returns the string members of an object, nested ones under dotted names, down to depth levels.
func flatten(text []byte, depth int) map[string]string {
	out := map[string]string{}
	var p jsonl.Parser
	p.Reset(text)
	flattenInto(&p, "", depth, out)
	return out
}

func flattenInto(p *jsonl.Parser, prefix string, depth int, out map[string]string) {
	for name := range p.Members() {
		full := prefix + string(name)
		switch kind := p.Kind(); {
		case kind == '"':
			out[full] = p.Text()
		case kind == '{' && depth > 1:
			flattenInto(p, full+".", depth-1, out)
		}
	}
}

func (x *sessionIndex) database(ctx context.Context, d *Database, agent string) error {
	if d.Has("session_windows", "session_id", "session_key") {
		const t = "session_windows"
		err := x.each(ctx, d, fmt.Sprintf("SELECT session_id, session_key, %s, %s, %s, %s FROM %s",
			d.Column(t, "channel", "NULL"), d.Column(t, "chat_type", "NULL"), d.Column(t, "spawned_by", "NULL"),
			d.Column(t, "hook_external_content_source", "NULL"), t), agent)
		if err != nil {
			return err
		}
	}
	if d.Has("session_transcript_archives", "session_id", "session_key") {
		if err := x.each(ctx, d, "SELECT session_id, session_key, NULL, NULL, NULL, NULL FROM session_transcript_archives", agent); err != nil {
			return err
		}
	}
	if !d.Has("session_nodes", "session_key", "entry_json") {
		return nil
	}
	for row, err := range d.Query(ctx, "SELECT session_key, entry_json FROM session_nodes") {
		if err != nil {
			return err
		}
		x.entry(string(row.Text(0)), agent, row.Text(1))
	}
	return nil
}

// each takes rows of id, key, channel, chat type, spawner and hook source.
func (x *sessionIndex) each(ctx context.Context, d *Database, query, agent string) error {
	for row, err := range d.Query(ctx, query) {
		if err != nil {
			return err
		}
		text := func(i int) string {
			if row.Null(i) {
				return ""
			}
			return string(row.Text(i))
		}
		s := x.get(text(0), agent)
		s.Key = firstOf(s.Key, text(1))
		s.Channel = firstOf(s.Channel, text(2))
		s.Group = s.Group || text(3) == "group"
		s.SpawnedBy = firstOf(s.SpawnedBy, text(4))
		s.Hook = firstOf(s.Hook, text(5))
	}
	return nil
}

// A SessionKind says what runs a session, read from its key.
type SessionKind string

// What session keys tell (FACTS 5.1).
const (
	SessionChat     SessionKind = "chat"
	SessionCron     SessionKind = "automation"
	SessionHook     SessionKind = "hook"
	SessionHTTP     SessionKind = "http"
	SessionSubagent SessionKind = "subagent"
	SessionACP      SessionKind = "acp"
)

// httpPrefixes begin the keys of sessions that the gateway's HTTP APIs opened.
var httpPrefixes = []string{"openai", "openai-user", "openresponses", "openresponses-user", "http"}

// Kind tells a session's kind and, for automations and subagents, which one.
func (s *Session) Kind() (kind SessionKind, which string) {
	parts := strings.Split(s.Key, ":")
	if len(parts) >= 3 && parts[0] == "agent" {
		parts = parts[2:]
	}
	which = ""
	if len(parts) > 1 {
		which = parts[1]
	}
	switch {
	case s.Hook != "" || parts[0] == "hook":
		return SessionHook, firstOf(s.Hook, which)
	case parts[0] == "cron":
		return SessionCron, which
	case parts[0] == "subagent":
		return SessionSubagent, which
	case slices.Contains(httpPrefixes, parts[0]):
		return SessionHTTP, which
	case parts[0] == "acp":
		return SessionACP, which
	}
	return SessionChat, ""
}
