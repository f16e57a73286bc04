package integrity

import (
	"bytes"
	"fmt"

	"github.com/clawbook/openclaw-ir/internal/jsonl"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/sqlite"
)

// A trace is what a trajectory says of one tool call. Trajectories are a second record, masked more heavily.
type trace struct {
	id, tool string
	args     []byte
	time     int64
}

// trajectory reads trajectory_runtime_events.
func (st *store) trajectory() error {
	if !st.d.Has("trajectory_runtime_events", "session_id", "seq", "event_json") {
		return nil
	}
	last := map[string]int64{}
	return st.each("SELECT session_id, seq, event_json FROM trajectory_runtime_events NOT INDEXED ORDER BY session_id, seq", func(row *sqlite.Row) {
		id, seq := text(row, 0), row.Int(1)
		st.c.count("INT-007", 1)
		st.c.rowIDs[st.c.rowKey("trajectory_runtime_events", id, seq)] = true
		if was, begun := last[id]; begun && seq != was+1 || !begun && seq != 0 {
			f := Finding{
				Check: "INT-001", Level: high, Title: "the numbers of a trajectory's events have a hole", Path: st.d.Path, Session: id, Line: seq,
				Detail: fmt.Sprintf("before event %d", seq), Benign: "a long session: OpenClaw keeps not every event of it",
			}
			st.c.add(f)
		}
		last[id] = seq
		st.c.traced(st.d.Path, id, seq, row.Text(2))
	})
}

// trajectoryBatch reads trajectories in files.
func (c *checker) trajectoryBatch(b openclaw.Batch) bool {
	c.gap(b.Gaps...)
	line := b.Line
	for text := range bytes.Lines(b.Text) {
		if text = bytes.TrimSpace(text); len(text) > 0 {
			c.count("INT-007", 1)
			c.traced(b.Source.Path, b.Session, line, text)
		}
		line++
	}
	c.read(int64(len(b.Text)))
	b.Free()
	return true
}

// traced compares what a trajectory says with the transcript.
func (c *checker) traced(file, session string, line int64, text []byte) {
	s := c.session(session, "")
	s.trajectory = true
	c.snapshots(s, file, line, text)
	t, ok := parseTrace(text)
	if !ok {
		return
	}
	s.span(t.time)
	f := Finding{Path: file, Session: session, Line: line, Time: ms(t.time)}
	d := s.calls[callKey(t.id)]
	if d == nil && s.live() && s.unknownTool(t) {
		return
	}
	if d == nil && s.live() {
		f.Check, f.Level, f.Title = "INT-007", high, "a trajectory has a tool call that the transcript does not have"
		f.Detail = fmt.Sprintf("%s, call %s", short(t.tool), short(t.id))
		c.add(f)
		return
	}
	if d == nil || masked(string(t.args)) {
		return
	}
	args := c.canonical(t.args)
	for ; d != nil; d = d.next {
		if d.args == 0 || d.args == args {
			return
		}
	}
	f.Check, f.Level, f.Title = "INT-007", critical, "the arguments of a tool call differ between transcript and trajectory"
	f.Detail = fmt.Sprintf("%s, call %s", short(t.tool), short(t.id))
	c.add(f)
}

// snapshots compares the messages that a trajectory repeats with those of the transcript. A message is known by its
// role and time. What is masked or shortened in a trajectory cannot be compared, as most results are: for those there are
// digests.
func (c *checker) snapshots(s *session, file string, line int64, text []byte) {
	if !bytes.Contains(text, []byte(`"messagesSnapshot"`)) || !s.live() {
		return
	}
	d := &c.repeats
	d.p.Reset(text)
	for name := range d.p.Members() {
		if string(name) != "data" {
			continue
		}
		for name := range d.p.Members() {
			if string(name) != "messagesSnapshot" {
				continue
			}
			for range d.p.Elements() {
				d.ev = event{}
				d.message()
				c.repeated(s, file, line, &d.ev)
			}
		}
	}
}

func (c *checker) repeated(s *session, file string, line int64, e *event) {
	if e.role != "user" && e.role != "assistant" || e.inner == 0 || len(e.text) == 0 || masked(string(e.text)) {
		return
	}
	c.count("INT-007", 1)
	have := s.said[c.hash([]byte(e.role), fmt.Append(nil, e.inner))]
	if have == 0 || have == c.hash(e.text) {
		return
	}
	key := c.hash([]byte("told"), []byte(s.id), []byte(e.role), fmt.Append(nil, e.inner))
	if c.rowIDs[key] {
		return
	}
	c.rowIDs[key] = true
	c.add(Finding{
		Check: "INT-007", Level: critical, Title: "a message reads otherwise in the trajectory", Path: file, Session: s.id, Line: line, Time: ms(e.inner),
		Detail: fmt.Sprintf("the trajectory repeats the %s message of that time with other text", short(e.role)), Benign: "a message that OpenClaw masked in one place only",
	})
}

// unknownTool reports whether the transcript has the answer that a tool of that name does not exist.
func (s *session) unknownTool(t trace) bool {
	return s.missing[short(t.tool)]
}

// parseTrace reads a tool.call of a trajectory.
func parseTrace(text []byte) (t trace, ok bool) {
	var p jsonl.Parser
	p.Reset(text)
	kind := ""
	for name := range p.Members() {
		switch string(name) {
		case "type":
			kind = p.Text()
		case "ts":
			t.time = moment(&p)
		case "data":
			t.data(&p)
		}
	}
	return t, p.End() == nil && kind == "tool.call" && t.id != ""
}

func (t *trace) data(p *jsonl.Parser) {
	for name := range p.Members() {
		switch string(name) {
		case "toolCallId":
			t.id = p.Text()
		case "name":
			t.tool = p.Text()
		case "args":
			t.args = p.Raw()
		}
	}
}
