package statetest

import (
	"fmt"
	"time"
)

// prompt is the record of what somebody said, with what OpenClaw of that version puts before it.
func (w *lines) prompt(s *lineSession, t turn) record {
	sender := t.name
	if t.kind == "direct" {
		sender = "Alice"
	}
	text := w.promptText(s, t, sender)
	user := w.templates.user.with("message", record{{"role", "user"}, {"content", []any{record{{"type", "text"}, {"text", text}}}}, {"timestamp", 0}})
	if w.version != "2026.7.1" {
		return user
	}
	user = user.with("message.content", text)
	switch t.kind {
	case "main":
		return user.with("message.idempotencyKey", w.uuid()+":user")
	case "direct":
		return user.with("message.__openclaw", record{{"senderIsOwner", true}})
	case "group":
		return user.with("message.__openclaw", record{{"senderIsOwner", false}, {"senderId", colleagues[sender]}, {"senderName", sender}})
	case "heartbeat":
		return user.with("message.__openclaw", record{{"senderIsOwner", false}})
	}
	return user
}

func (w *lines) promptText(s *lineSession, t turn, sender string) string {
	stamp := w.at.Format("[Mon 2006-01-02 15:04 UTC] ")
	switch t.kind {
	case "heartbeat":
		return w.heartbeatText()
	case "cron":
		return fmt.Sprintf("[cron:%s %s] %s", w.jobID(t.name), t.name, t.ask) + w.currentTime()
	case "subagent":
		return w.subagentText(stamp, t.ask)
	case "direct", "group":
		return w.channelText(s, t, sender)
	}
	switch w.version {
	case "2026.1.30":
		return t.ask + "\n[message_id: " + w.uuid() + "]"
	case "2026.2.12":
		return stamp + t.ask
	case "2026.3.31":
		return "Sender (untrusted metadata):\n" + fenced(record{{"label", "openclaw-control-ui"}, {"id", "openclaw-control-ui"}}) + "\n\n" + stamp + t.ask
	}
	return t.ask
}

func (w *lines) heartbeatText() string {
	const text = "Read HEARTBEAT.md if it exists (workspace context). Follow it strictly. Do not infer or repeat old tasks from prior chats. If nothing needs attention, reply HEARTBEAT_OK."
	switch w.version {
	case "2026.1.30":
		return text
	case "2026.7.1":
		return "[OpenClaw heartbeat poll]"
	case "2026.3.31":
		return text + "\nWhen reading HEARTBEAT.md, use workspace file /home/claw/.openclaw/workspace/HEARTBEAT.md (exact case). Do not read docs/heartbeat.md." + w.currentTime()
	}
	return text + w.currentTime()
}

func (w *lines) currentTime() string {
	if w.version == "2026.1.30" {
		return ""
	}
	return "\nCurrent time: " + w.at.Format("Monday, January 2") + ordinal(w.at.Day()) + w.at.Format(", 2006 — 3:04 PM (UTC)")
}

func ordinal(day int) string {
	switch {
	case day%10 == 1 && day != 11:
		return "st"
	case day%10 == 2 && day != 12:
		return "nd"
	case day%10 == 3 && day != 13:
		return "rd"
	}
	return "th"
}

func (w *lines) subagentText(stamp, task string) string {
	switch w.version {
	case "2026.1.30":
		return task
	case "2026.2.12":
		return stamp + task
	case "2026.3.31":
		return stamp + "[Subagent Context] You are running as a subagent (depth 1/1). Results auto-announce to your requester; do not busy-poll for status.\n\n[Subagent Task]: " + task
	}
	return "[Subagent Context] You are running as a subagent (depth 1/1). Results auto-announce to your requester; do not busy-poll for status.\n\n[Subagent Task]\n\n" + task + "\n\nBegin. Execute the assigned task to completion."
}

// channelText is a message over Signal, from Alice or in the group.
func (w *lines) channelText(s *lineSession, t turn, sender string) string {
	group := t.kind == "group"
	number, id := colleagues[sender], fmt.Sprint(w.at.UnixMilli()-700)
	label := sender + " id:" + number
	if group {
		label = "Bakers id:" + bakersGroup
	}
	switch w.version {
	case "2026.1.30":
		text := t.ask
		if group {
			text = sender + " (" + number + "): " + text
		}
		return fmt.Sprintf("[Signal %s%s %s] %s\n[message_id: %s]", label, elapsed(w.at.Sub(s.asked)), w.at.Format("2006-01-02 15:04 UTC"), text, id)
	case "2026.2.12":
		about := record{{"conversation_label", label}}
		if !group {
			return "Conversation info (untrusted metadata):\n" + fenced(about) + "\n\n" + t.ask
		}
		return "Conversation info (untrusted metadata):\n" + fenced(about.with("group_subject", "Bakers")) + "\n\nSender (untrusted metadata):\n" +
			fenced(record{{"label", sender}, {"name", sender}}) + "\n\n" + t.ask
	case "2026.3.31":
		about := record{{"message_id", id}, {"sender_id", number}}
		if group {
			about = about.with("conversation_label", label)
		}
		about = about.with("sender", sender).with("timestamp", w.at.Format("Mon 2006-01-02 15:04 UTC"))
		if group {
			about = about.with("group_subject", "Bakers").with("is_group_chat", true)
		}
		return "Conversation info (untrusted metadata):\n" + fenced(about) + "\n\nSender (untrusted metadata):\n" +
			fenced(record{{"label", sender + " (" + number + ")"}, {"id", number}, {"name", sender}}) + "\n\n" + t.ask
	}
	return t.ask
}

// elapsed is how OpenClaw tells the time since the last message of the conversation.
func elapsed(d time.Duration) string {
	switch {
	case d > 48*time.Hour:
		return ""
	case d > time.Hour:
		return fmt.Sprintf(" +%dh", int(d.Hours()))
	case d > time.Minute:
		return fmt.Sprintf(" +%dm", int(d.Minutes()))
	}
	return fmt.Sprintf(" +%ds", max(1, int(d.Seconds())))
}

// fenced is an object as the older releases put it into a prompt.
func fenced(r record) string {
	return "```json\n" + indented(r) + "\n```"
}
