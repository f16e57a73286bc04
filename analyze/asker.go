package analyze

import (
	"regexp"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/jsonl"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

// An askers tells who a prompt came from.
type askers struct {
	owners []string // commands.ownerAllowFrom of the config
}

// of tells who asked. Newer releases record it beside the message; before them it stands in the text, put
// there by OpenClaw, so a sender can forge it only for sessions of those releases.
func (a askers) of(src *openclaw.Source, s *openclaw.Session, p *prompt) *Asker {
	switch src.Form {
	case openclaw.FormClaude:
		return &Asker{Kind: "claude-cli"}
	case openclaw.FormCodex:
		return &Asker{Kind: "codex-cli"}
	}
	if kind, tool, ok := strings.Cut(p.provenance, ":"); ok || p.provenance != "" {
		if kind == "inter_session" {
			return &Asker{Kind: "agent", Sender: tool}
		}
		return &Asker{Kind: "system", Sender: tool}
	}
	if asker := bySession(s); asker != nil && p.sender == "" {
		return asker
	}
	if p.sender != "" || p.channel != "" {
		return a.sender(p, s)
	}
	if asker := a.byText(p, s); asker != nil {
		return asker
	}
	return a.unnamed(p, s)
}

// bySession tells who asks in sessions that only one kind of asker has.
func bySession(s *openclaw.Session) *Asker {
	switch kind, which := s.Kind(); kind {
	case openclaw.SessionSubagent:
		return &Asker{Kind: "agent", Sender: strings.TrimPrefix(s.SpawnedBy, "agent:")}
	case openclaw.SessionCron:
		return &Asker{Kind: "automation", Sender: which}
	case openclaw.SessionHook:
		return &Asker{Kind: "hook", Sender: which}
	case openclaw.SessionHTTP:
		return &Asker{Kind: "http"}
	case openclaw.SessionACP:
		return &Asker{Kind: "agent", Sender: "acp"}
	}
	return nil
}

func (a askers) sender(p *prompt, s *openclaw.Session) *Asker {
	asker := &Asker{Kind: "channel", Channel: p.channel, Sender: p.sender, Name: p.name, Owner: p.owner, Group: s.Group}
	if asker.Channel == "" {
		asker.Channel, _, _ = keyPeer(s)
	}
	if asker.Sender == "" {
		_, asker.Sender, _ = keyPeer(s)
	}
	if asker.Owner == "" {
		asker.Owner = a.owner(asker.Channel, asker.Sender)
	}
	return asker
}

// unnamed is the sender of a message that bears no name: on a channel the peer of the session; otherwise
// someone at the terminal or the dashboard, who holds the gateway's own token.
func (a askers) unnamed(p *prompt, s *openclaw.Session) *Asker {
	channel, peer, group := keyPeer(s)
	if p.owner == OwnerNo && channel == "" {
		channel, peer, group = s.Channel, s.Peer, s.Group
	}
	if channel == "" || channel == "webchat" {
		owner := p.owner
		if owner == "" {
			owner = OwnerYes
		}
		return &Asker{Kind: "operator", Owner: owner}
	}
	owner := p.owner
	if owner == "" {
		owner = a.owner(channel, peer)
	}
	return &Asker{Kind: "channel", Channel: channel, Sender: strings.TrimPrefix(peer, channel+":"), Owner: owner, Group: group}
}

// keyPeer reads channel and peer from a session key such as agent:main:signal:direct:+15550003333.
func keyPeer(s *openclaw.Session) (channel, peer string, group bool) {
	parts := strings.SplitN(s.Key, ":", 6)
	if len(parts) < 5 || parts[0] != "agent" {
		return "", "", false
	}
	for i, p := range parts[3 : len(parts)-1] {
		switch p {
		case "direct", "dm", "group", "channel", "room":
			return parts[2], strings.Join(parts[i+4:], ":"), p != "direct" && p != "dm"
		}
	}
	return "", "", false
}

// owner compares a sender with the owners the config names; without any it is not known.
func (a askers) owner(channel, sender string) Owner {
	switch {
	case len(a.owners) == 0:
		return OwnerUnknown
	case slices.Contains(a.owners, sender), slices.Contains(a.owners, channel+":"+sender), slices.Contains(a.owners, "*"):
		return OwnerYes
	}
	return OwnerNo
}

var (
	// [Signal Mallory id:+15550003333 +3m 2026-11-22 08:05 UTC] text (through 2026.2)
	envelope = regexp.MustCompile(`^\[([A-Z][A-Za-z ]{1,20}?) ([^\]\n]{0,200}?)(?: \+\d+[smhd])? \d{4}-\d\d-\d\d \d\d:\d\d[^\]\n]{0,10}\] ?`)
	// Alice Owner (+15550002222): text, behind the envelope of a group
	groupSender = regexp.MustCompile(`^([^\n:]{0,100}) \(([^)\n]{1,100})\): `)
	cronPrefix  = regexp.MustCompile(`^\[cron:([^\]\s]{1,100})`)
)

// marks are texts that OpenClaw itself puts at the start of a prompt.
var marks = []struct {
	prefix string
	asker  Asker
}{
	{"[OpenClaw heartbeat poll]", Asker{Kind: "heartbeat"}},
	{"Read HEARTBEAT.md if it exists", Asker{Kind: "heartbeat"}},
	{"[OpenClaw exec completion]", Asker{Kind: "system", Sender: "exec"}},
	{"[OpenClaw session event]", Asker{Kind: "system", Sender: "session"}},
	{"[Subagent Context]", Asker{Kind: "agent"}},
	{"OpenClaw runtime context (internal)", Asker{Kind: "system", Sender: "runtime"}},
	{"A background task \"", Asker{Kind: "system", Sender: "task"}},
	{"A new session was started via /new or /reset", Asker{Kind: "system", Sender: "session"}},
}

// byText tells who asked from what OpenClaw put before the message; nil if it put nothing there.
func (a askers) byText(p *prompt, s *openclaw.Session) *Asker {
	text := p.text
	system := false
	for strings.HasPrefix(text, "System: [") {
		system = true
		_, text, _ = strings.Cut(text, "\n")
		text = strings.TrimLeft(text, "\n")
	}
	for _, m := range marks {
		if strings.HasPrefix(text, m.prefix) {
			asker := m.asker
			return &asker
		}
	}
	switch m := cronPrefix.FindStringSubmatch(text); {
	case m != nil:
		return &Asker{Kind: "automation", Sender: m[1]}
	case strings.HasPrefix(text, "Conversation info (untrusted metadata):"), strings.HasPrefix(text, "Sender (untrusted metadata):"):
		return a.byMetadata(text, s)
	case system && text == "":
		return &Asker{Kind: "system"}
	}
	return a.byEnvelope(text)
}

func (a askers) byEnvelope(text string) *Asker {
	m := envelope.FindStringSubmatch(text)
	if m == nil {
		return nil
	}
	asker := &Asker{Kind: "channel", Channel: strings.ToLower(m[1]), Sender: m[2]}
	if name, id, ok := strings.Cut(m[2], " id:"); ok {
		asker.Name, asker.Sender = name, id
	}
	if g := groupSender.FindStringSubmatch(text[len(m[0]):]); g != nil {
		asker.Group, asker.Name, asker.Sender = true, g[1], g[2]
	}
	asker.Owner = a.owner(asker.Channel, asker.Sender)
	return asker
}

// byMetadata reads the JSON blocks that 2026.3 puts before a message.
func (a askers) byMetadata(text string, s *openclaw.Session) *Asker {
	m := map[string]string{}
	for rest := text; ; {
		_, block, ok := strings.Cut(rest, "```json\n")
		if !ok {
			break
		}
		block, rest, _ = strings.Cut(block, "\n```")
		for k, v := range stringMembers(block) {
			m[k] = v
		}
	}
	id := m["sender_id"]
	if id == "" {
		id = m["id"]
	}
	if id == "cli" || id == "" {
		return &Asker{Kind: "operator", Owner: OwnerYes}
	}
	channel, _, _ := keyPeer(s)
	if channel == "" {
		channel = s.Channel
	}
	if channel == "" {
		channel = "channel"
	}
	return &Asker{Kind: "channel", Channel: channel, Sender: id, Name: m["name"], Owner: a.owner(channel, id), Group: s.Group || m["group_subject"] != ""}
}

// stringMembers returns the string members of an object's text.
func stringMembers(text string) map[string]string {
	m := map[string]string{}
	var p jsonl.Parser
	p.Reset([]byte(text))
	for ok := p.Object(); ok; {
		name, more := p.NextMember()
		if !more {
			break
		}
		m[string(name)] = p.Text()
	}
	return m
}
