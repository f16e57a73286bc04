package analyze

import (
	"regexp"
	"slices"
	"strings"
	"sync"

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
	switch kind, from, _ := strings.Cut(p.provenance, ":"); kind {
	case "inter_session":
		return &Asker{Kind: "agent", Sender: from}
	case "internal_system":
		return &Asker{Kind: "system", Sender: from}
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
		return agentAsker(s.SpawnedBy)
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

// agentAsker is another agent, named by its session key.
func agentAsker(key string) *Asker {
	return &Asker{Kind: "agent", Sender: strings.TrimPrefix(key, "agent:")}
}

func (a askers) sender(p *prompt, s *openclaw.Session) *Asker {
	channel, peer, group := keyPeer(s)
	asker := &Asker{
		Kind: "channel", Channel: firstNonEmpty(p.channel, channel, s.Channel, "channel"), Sender: firstNonEmpty(p.sender, peer), Name: p.name,
		Owner: p.owner, Group: s.Group || group,
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

// Those that count are compiled for the first prompt: they are large.
var (
	// [Signal Mallory id:+15550003333 +3m 2026-11-22 08:05 UTC] text (through 2026.2)
	envelope = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^\[([A-Za-z][A-Za-z ]{1,20}?) ([^\]\n]{0,200}?)(?: \+\d+[smhd])? \d{4}-\d\d-\d\d \d\d:\d\d[^\]\n]{0,10}\] ?`)
	})
	// Alice Owner (+15550002222): text, behind the envelope of a group
	groupSender = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^([^\n:]{0,100}) \(([^)\n]{1,100})\): `) })
	// [Sun 2026-11-22 08:31 UTC] text: when a message that came over the gateway was written (2026.2, 2026.3)
	stamp      = regexp.MustCompile(`^\[[A-Z][a-z]{2} \d{4}-\d\d-\d\d \d\d:\d\d[^\]\n]{0,10}\] `)
	cronPrefix = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^\[cron:([^\]\s]{1,100})`) })
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
	{"An async command you ran earlier has completed", Asker{Kind: "system", Sender: "exec"}},
	{"A subagent task \"", Asker{Kind: "system", Sender: "task"}},
	{"A new session was started via /new or /reset", Asker{Kind: "system", Sender: "session"}},
}

// byText tells who asked from what OpenClaw put before the message; nil if it put nothing there.
func (a askers) byText(p *prompt, s *openclaw.Session) *Asker {
	text := p.text
	system := false
	for strings.HasPrefix(text, "System: ") { // of an event with several lines each bears it
		system = true
		_, text, _ = strings.Cut(text, "\n")
		text = strings.TrimLeft(text, "\n")
	}
	over := stamp.FindString(text) // over the gateway, not from a channel: what looks like a channel's sender is typed
	text = text[len(over):]
	if asker := byMark(text); asker != nil {
		return asker
	}
	switch m := cronPrefix().FindStringSubmatch(text); {
	case m != nil:
		return &Asker{Kind: "automation", Sender: m[1]}
	case over != "":
		return nil
	case strings.HasPrefix(text, conversationHead), strings.HasPrefix(text, senderHead):
		return a.byMetadata(text, p, s)
	case system && text == "":
		return &Asker{Kind: "system"}
	}
	return a.byEnvelope(text, s)
}

func byMark(text string) *Asker {
	for _, m := range marks {
		if strings.HasPrefix(text, m.prefix) {
			asker := m.asker
			return &asker
		}
	}
	return nil
}

// byEnvelope reads the sender that OpenClaw wrote before a channel's message. Only in a group does it write the
// sender before the text too; in a direct chat those words are the sender's own.
func (a askers) byEnvelope(text string, s *openclaw.Session) *Asker {
	m := envelope().FindStringSubmatch(text)
	if m == nil {
		return nil
	}
	asker := &Asker{Kind: "channel", Channel: strings.ToLower(m[1]), Sender: m[2]}
	if name, id, ok := strings.Cut(m[2], " id:"); ok {
		asker.Name, asker.Sender = name, id
	}
	_, _, group := keyPeer(s)
	if g := groupSender().FindStringSubmatch(text[len(m[0]):]); g != nil && (group || s.Group) {
		asker.Group, asker.Name, asker.Sender = true, g[1], g[2]
	}
	asker.Owner = a.owner(asker.Channel, asker.Sender)
	return asker
}

// The lines before the JSON blocks that 2026.2 and 2026.3 put before a message.
const (
	conversationHead = "Conversation info (untrusted metadata):"
	senderHead       = "Sender (untrusted metadata):"
)

// gatewayClients are the ids by which programs that hold the gateway's token name themselves as senders.
var gatewayClients = []string{"cli", "gateway-client", "openclaw-control-ui", "openclaw-tui", "webchat", "webchat-ui", "openclaw-macos", "openclaw-ios", "openclaw-android"}

// byMetadata reads the JSON blocks before a message.
func (a askers) byMetadata(text string, p *prompt, s *openclaw.Session) *Asker {
	talk, sender, rest := metadata(text)
	label, id := talk["conversation_label"], firstNonEmpty(talk["sender_id"], sender["id"])
	if talk["sender_id"] == "" && slices.Contains(gatewayClients, id) {
		return &Asker{Kind: "operator", Owner: OwnerYes}
	}
	name, labelID, named := strings.Cut(label, " id:")
	// A heartbeat runs in the conversation that was last, whose label then bears no name; behind a name the same
	// words are the sender's.
	if asker := byMark(rest); asker != nil && asker.Kind == "heartbeat" && id == "" && sender == nil && !named {
		return asker
	}
	channel, _, group := keyPeer(s)
	asker := &Asker{Kind: "channel", Channel: firstNonEmpty(channel, s.Channel, "channel"), Sender: id, Name: firstNonEmpty(sender["name"], talk["sender"])}
	asker.Group = group || s.Group || talk["group_subject"] != ""
	switch {
	case id != "" || asker.Group: // of a group the label names the group, not who wrote
	case named:
		asker.Sender, asker.Name = labelID, name
	case label != "":
		asker.Sender = strings.TrimPrefix(label, asker.Channel+":")
	}
	if asker.Sender == "" && asker.Name == "" {
		return a.unnamed(p, s)
	}
	asker.Owner = a.owner(asker.Channel, asker.Sender)
	return asker
}

// metadata takes the blocks off a message: what they say of the conversation and of its sender, and the rest.
// The sender could write such blocks too, behind OpenClaw's own: of each head only the first counts.
func metadata(text string) (talk, sender map[string]string, rest string) {
	for rest = text; ; rest = strings.TrimLeft(rest, "\n") {
		head, after, ok := strings.Cut(rest, "\n```json\n")
		block, next, closed := strings.Cut(after, "\n```")
		switch {
		case ok && closed && head == conversationHead && talk == nil:
			talk = stringMembers(block)
		case ok && closed && head == senderHead && sender == nil:
			sender = stringMembers(block)
		default:
			return talk, sender, rest
		}
		rest = next
	}
}

// stringMembers returns the string members of an object's text.
func stringMembers(text string) map[string]string {
	m := map[string]string{}
	var p jsonl.Parser
	p.Reset([]byte(text))
	for name := range p.Members() {
		m[string(name)] = p.Text()
	}
	return m
}
