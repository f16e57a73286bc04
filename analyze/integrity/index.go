package integrity

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/internal/jsonl"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

// index reads sessions.json: what it names must be there.
func (c *checker) index() {
	for _, a := range c.in.Agents {
		file := a.Index()
		text, err := c.small(file)
		if err != nil {
			if !openclaw.IsAbsent(err) {
				c.gap(openclaw.Gap{Path: file, What: openclaw.Cause(err)})
			}
			continue
		}
		var p jsonl.Parser
		p.Reset(text)
		for key := range p.Members() {
			c.entry(string(key), a.ID, &p)
		}
		if err := p.End(); err != nil {
			c.add(Finding{Check: "INT-001", Level: high, Title: "the index of sessions does not parse", Path: file, Detail: err.Error(), Benign: "a crash during a write"})
		}
	}
}

// entry reads one entry of sessions.json. One that never used a token has no transcript yet.
func (c *checker) entry(key, agent string, p *jsonl.Parser) {
	id, used, updated := "", false, int64(0)
	for name := range p.Members() {
		switch string(name) {
		case "sessionId":
			id = p.Text()
		case "totalTokens", "inputTokens", "outputTokens":
			n, _ := p.Int()
			used = used || n > 0
		case "updatedAt":
			updated, _ = p.Int()
		}
	}
	if id == "" {
		return
	}
	s := c.session(id, agent)
	s.key = key
	s.name("sessions.json", used, updated)
}

// retention is how long OpenClaw keeps the ledger and old sessions by default.
const retention = 30 * 24 * time.Hour

// checkSessions tells the sessions that something names and that are nowhere, and those that were deleted.
func (c *checker) checkSessions() {
	c.count("INT-006", int64(len(c.sessions)))
	for _, s := range c.sessions {
		c.count("INT-004", int64(len(s.namedBy)))
		if len(s.forms) == 0 {
			c.ghost(s)
			continue
		}
		c.deleted(s)
	}
}

// ghost tells of a session that is named and not there.
func (c *checker) ghost(s *session) {
	var where []string
	used, last := s.trajectory, s.last
	for _, n := range s.namedBy {
		used, last = used || n.used, max(last, n.time)
		where = append(where, n.where)
	}
	if s.trajectory {
		where = append(where, "a trajectory")
	}
	f := Finding{
		Check: "INT-004", Level: critical, Title: "a session is named and not there", Session: s.id, Time: ms(last), Evidence: listed(where),
		Detail: fmt.Sprintf("%s names it; no transcript, archive or deleted file holds it", strings.Join(listed(where), ", ")),
		Benign: "a private (incognito) session, or one that session.maintenance removed",
	}
	switch {
	case !used && len(s.namedBy) > 0:
		f.Level, f.Title, f.Benign = info, "a session has no transcript", "it was opened and never used"
	case c.o.Now.Sub(f.Time) > retention:
		f.Level, f.Benign = low, "it is older than the 30 days that OpenClaw keeps a session by default"
	case last == 0:
		f.Level = high
	}
	c.add(f)
}

// deleted tells of a session of which only an archive is left, or whose transcript was replaced.
func (c *checker) deleted(s *session) {
	if !s.gone() {
		return
	}
	f := Finding{
		Check: "INT-006", Level: high, Title: "a session was deleted", Session: s.id, Time: ms(s.archivedAt), Evidence: listed(s.paths),
		Detail: "what is left of it: " + formNames(s), Benign: "its owner deleted it",
	}
	f.Path = s.path()
	for _, p := range s.paths {
		if !suffixTime(p).IsZero() {
			f.Path = p
		}
	}
	if t := suffixTime(f.Path); !t.IsZero() {
		f.Time = t
	}
	c.resets = append(c.resets, f.Time)
	if s.has(openclaw.FormReset) || s.reason == "reset" {
		f.Level, f.Title, f.Benign = medium, "a session was reset", "its owner typed /new or /reset"
	}
	if s.live() {
		f.Detail += "; a newer transcript of the same id is there"
	}
	c.add(f)
}

func formNames(s *session) string {
	names := make([]string, len(s.forms))
	for i, f := range s.forms {
		names[i] = f.String()
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// suffixTime reads the time in the name of a deleted or reset transcript: x.jsonl.deleted.2026-11-22T08-36-40.712Z.
func suffixTime(name string) time.Time {
	for _, kind := range []string{".deleted.", ".reset."} {
		if _, rest, ok := strings.Cut(name, kind); ok && len(rest) >= 24 {
			t, _ := time.Parse("2006-01-02T15-04-05.000Z", rest[:24])
			return t
		}
	}
	return time.Time{}
}
