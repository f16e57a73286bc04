package analyze

import "strings"

// The bounds of mass sending (DETECTIONS, MSG-002). Milliseconds.
const (
	massRecipients = 5
	massWindow     = 10 * 60 * 1000
	hourSends      = 30
	hour           = 3_600_000
)

// sends knows what the agent sent of late.
type sends struct{ recent []send }

type send struct {
	at        int64
	recipient string
	words     map[string]bool
}

// peer is a recipient without the channel before it.
func peer(s string) string {
	return strings.ToLower(s[strings.LastIndexByte(s, ':')+1:])
}

// massSend notices the same message to many people, and more messages than anybody writes.
func (d *derivers) massSend(e *Event) {
	if e.Kind != KindMessage || e.Tool == "" || e.Target == "" {
		return
	}
	s := &d.sends
	for len(s.recent) > 0 && s.recent[0].at < e.Time-hour {
		s.recent = s.recent[1:]
	}
	if s.recent = append(s.recent, send{e.Time, peer(e.Target), wordSet(e.What)}); len(s.recent) > 8*hourSends {
		s.recent = s.recent[1:]
	}
	if len(s.recent) > hourSends {
		d.emit("mass-send", e.Session+number(int(e.Time/hour)), e, Detail{"Count", number(len(s.recent))})
	}
	if n := s.alike(); n >= massRecipients {
		d.emit("mass-send", e.Session+number(int(e.Time/massWindow)), e, Detail{"Recipients", number(n)}, Detail{"Similarity", "0.9"})
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
