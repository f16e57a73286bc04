package analyze

import "strings"

// The bounds of mass sending (DETECTIONS, MSG-002). Milliseconds.
const (
	massRecipients = 5
	massWindow     = 10 * 60 * 1000
	hourSends      = 30
	hour           = 3_600_000
)

// sends knows who the agent has talked with, and what it sent of late.
type sends struct {
	peers   map[string]bool
	recent  []send
	private map[string]string // sessions that have read what is private, and what
}

type send struct {
	at        int64
	recipient string
	words     map[string]bool
}

func newSends() sends { return sends{peers: map[string]bool{}, private: map[string]string{}} }

// message notices the first message to somebody, the same message to many, and one that carries what is private elsewhere.
func (d *derivers) message(e *Event) {
	s := &d.sends
	switch {
	case e.Kind == KindMessage && e.Tool == "" && e.Target == "in":
		if e.Asker.Sender != "" && len(s.peers) < maxKnown {
			s.peers[peer(e.Asker.Sender)] = true
		}
	case e.Kind == KindRead && isPrivate(e.What):
		s.private[e.Session] = e.What
	case e.Kind == KindMessage && e.Tool != "" && e.Target != "":
		d.firstMessage(e)
		d.elsewhere(e)
		d.massSend(e)
	}
}

// isPrivate reports what tells of the owner.
func isPrivate(file string) bool {
	return strings.HasSuffix(file, "/USER.md") || isMemory(file)
}

// firstMessage notices a message to somebody who never wrote and never was written to.
func (d *derivers) firstMessage(e *Event) {
	to := peer(e.Target)
	if d.sends.peers[to] {
		return
	}
	if len(d.sends.peers) < maxKnown {
		d.sends.peers[to] = true
	}
	fields := []Detail{{"Recipient", e.Target}, {"RecipientTrust", d.world.recipient(e.Target, e.Asker.Channel)}, {"Content", e.What}}
	for _, m := range e.Marks {
		if file, ok := strings.CutPrefix(m, attachedMark); ok {
			fields = append(fields, Detail{"Attachment", file})
		}
	}
	d.emit("first-seen-recipient", to, e, fields...)
}

// elsewhere notices a message to somebody else than who asked, from a session that has read what is private.
func (d *derivers) elsewhere(e *Event) {
	read, to := d.sends.private[e.Session], peer(e.Target)
	if read != "" && e.Asker.Kind == "channel" && e.Asker.Sender != "" && peer(e.Asker.Sender) != to {
		d.emit("cross-channel-delivery", e.Session+to, e, Detail{"Recipient", e.Target}, Detail{"RecipientTrust", d.world.recipient(e.Target, e.Asker.Channel)}, Detail{"Read", read})
	}
}

// peer is a recipient without the channel before it.
func peer(s string) string {
	return strings.ToLower(s[strings.LastIndexByte(s, ':')+1:])
}

// massSend notices the same message to many people, and more messages than anybody writes.
func (d *derivers) massSend(e *Event) {
	s := &d.sends
	for len(s.recent) > 0 && s.recent[0].at < e.Time-hour {
		s.recent = s.recent[1:]
	}
	if s.recent = append(s.recent, send{e.Time, peer(e.Target), wordSet(e.What)}); len(s.recent) > 8*hourSends {
		s.recent = s.recent[1:]
	}
	if len(s.recent) > hourSends {
		d.emit("mass-send", e.Session+number(int(e.Time/hour)), e, Detail{"Count", number(len(s.recent))}, Detail{"Minutes", "60"})
	}
	if n := s.alike(); n >= massRecipients {
		d.emit("mass-send", e.Session+number(int(e.Time/massWindow)), e, Detail{"Recipients", number(n)}, Detail{"Minutes", "10"})
	}
}

func wordSet(text string) map[string]bool {
	words := map[string]bool{}
	for _, w := range strings.Fields(strings.ToLower(start(text, maxKept))) {
		words[w] = true
	}
	return words
}

// alike counts the recipients of messages much like the last one, within the window.
func (s *sends) alike() int {
	last := s.recent[len(s.recent)-1]
	to := map[string]bool{}
	for _, r := range s.recent {
		if r.at >= last.at-massWindow && similar(r.words, last.words) {
			to[r.recipient] = true
		}
	}
	return len(to)
}

// similar reports whether nine tenths of the words are the same.
func similar(a, b map[string]bool) bool {
	common := 0
	for w := range a {
		if b[w] {
			common++
		}
	}
	return len(a) > 0 && 10*common >= 9*max(len(a), len(b))
}
