package integrity

import (
	"fmt"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/jsonl"
)

// calls notes the tool calls of an event.
func (ch *chain) calls(e *event, line int64) {
	for i := range e.calls {
		call := &e.calls[i]
		ch.c.count("INT-003", 1)
		call.arguments(&ch.sub)
		d := &done{tool: short(call.tool), line: line, time: e.time, path: ch.source.Path, cwd: ch.c.hash([]byte(call.cwd))}
		if !masked(string(call.args)) {
			d.args = ch.c.canonical(call.args)
			ch.streamed(call, d)
		}
		if call.command != "" {
			d.command = ch.c.hash([]byte(call.command))
			if ch.c.asked[callKey(call.id)] {
				d.said = call.command
			}
		}
		if call.nested {
			d.results, d.ok = 1, true
		}
		d = ch.s.call(callKey(call.id), d)
		if !call.nested {
			ch.open = append(ch.open, d)
		}
		ch.c.watch(ch.s, callKey(call.id), call, e.time)
	}
}

// streamed compares a call's arguments with those that the model wrote, where the record keeps both.
func (ch *chain) streamed(call *call, d *done) {
	if call.streamed == "" || masked(call.streamed) {
		return
	}
	ch.sub.Reset([]byte(call.streamed))
	ch.sub.Skip()
	if ch.sub.End() != nil || ch.c.canonical([]byte(call.streamed)) == d.args {
		return
	}
	f := ch.finding("INT-007", critical, d.line, d.time, "the arguments of a tool call contradict themselves", d.tool+": arguments and partialArgs of one record differ")
	ch.c.add(f)
}

// call adds a call. A second copy of the session brings the same call again, which is none.
func (s *session) call(key uint64, d *done) *done {
	for was := s.calls[key]; was != nil; was = was.next {
		if was.time == d.time && was.args == d.args {
			return was
		}
	}
	d.next = s.calls[key]
	s.calls[key] = d
	return d
}

// latestCall is the newest call of an id.
func (ch *chain) latestCall(id string) *done { return ch.s.calls[callKey(id)] }

// result joins a result to its call.
func (ch *chain) result(e *event, line int64) {
	r := e.result
	ch.c.count("INT-003", 1)
	ch.s.sums = put(ch.s.sums, e.inner, e.sum())
	if name, running := backgroundName(r.start); running {
		ch.s.background = append(ch.s.background, name)
	} else if r.status == "running" {
		ch.s.unplaced++
	}
	d := ch.latestCall(r.id)
	if d == nil {
		ch.withoutCall(r, line, e.time)
		return
	}
	d.results++
	d.resultTime = e.time
	d.ok = d.ok || !r.failed && r.status != "error" && r.status != "failed" && r.status != "approval-pending"
	ch.open = slices.DeleteFunc(ch.open, func(o *done) bool { return o == d || o.time == d.time && o.args == d.args && o.tool == d.tool })
	if d.command != 0 {
		ch.c.ran(d, r.cwd)
	}
	ch.c.settle(ch.s, callKey(r.id), r)
}

// withoutCall takes a result of a call that is not there. OpenClaw drops the call of a tool that does not exist and
// keeps the answer.
func (ch *chain) withoutCall(r *result, line, t int64) {
	if r.failed && strings.HasSuffix(strings.TrimSpace(r.start), " not found") && strings.Contains(r.start, r.tool) {
		ch.unknown[short(r.tool)]++
		ch.s.missing[short(r.tool)] = true
		return
	}
	f := ch.finding("INT-003", high, line, t, "a tool's result has no call", fmt.Sprintf("%s answers call %s", short(r.tool), short(r.id)))
	f.Benign = "a compaction that dropped the call"
	ch.c.add(f)
}

// missingTools tells of calls to tools that do not exist.
func (ch *chain) missingTools() {
	for tool, n := range ch.unknown {
		f := ch.finding("INT-003", info, 0, ch.latest, "results of a tool that does not exist have no call", fmt.Sprintf("%s, %d times", tool, n))
		f.Benign = "OpenClaw keeps the answer and drops the call"
		ch.c.add(f)
	}
}

// breakOff marks the calls that wait for a result: none will come.
func (ch *chain) breakOff(why string) {
	for _, d := range ch.open {
		d.broken = why
	}
	ch.open = nil
}

// user looks at a user turn: whether it says where it came from, and whether what it reports was ever begun.
func (ch *chain) user(e *event, line int64) {
	ch.c.count("INT-010", 1)
	ch.open = nil // a turn that follows settles that the result is missing
	if e.provenance {
		ch.proved++
	} else if ch.answered {
		ch.users = append(ch.users, turn{line, e.time})
	}
	if e.internal == "exec" || e.completes != "" {
		ch.completion(e, line)
	}
}

// completion checks a report that a background command has ended against the commands that were begun.
func (ch *chain) completion(e *event, line int64) {
	ch.reports++
	begun := len(ch.s.background) + ch.s.unplaced
	known := begun >= ch.reports
	if e.completes != "" {
		known = ch.s.unplaced > 0 || slices.ContainsFunc(ch.s.background, func(n string) bool { return strings.HasPrefix(n, e.completes) })
	}
	if !known {
		level := high
		if e.completes == "" && begun > 0 && ch.reports <= 2*begun {
			level = medium // 2026.9.6 was seen to report one end twice
		}
		f := ch.finding("INT-010", level, line, e.time, "the end of a command is reported that was never begun", "the turn calls itself the completion of a background command")
		f.Benign = "the command was begun in another session or before a reset"
		ch.c.add(f)
	}
}

// unproved tells user turns without provenance in a session whose other turns have it. Releases before transcripts
// moved into SQLite do not record it.
func (ch *chain) unproved() {
	if ch.proved == 0 || !ch.rows {
		if len(ch.users) > 0 {
			ch.c.rep.undecided("INT-010", "transcripts of releases that do not record where a turn came from")
		}
		return
	}
	for _, u := range ch.users {
		f := ch.finding("INT-010", high, u.line, u.time, "a user turn does not say where it came from", "other turns of the session bear a sender, an idempotency key or a provenance; this one has none")
		f.Benign = "an import from an older release"
		ch.c.add(f)
	}
}

// freeze keeps OpenClaw's own digest of a result.
func (s *session) freeze(d digest) { s.frozen = put(s.frozen, d.time, d.sum) }

func put(m map[int64][]uint64, key int64, v uint64) map[int64][]uint64 {
	if m == nil {
		m = map[int64][]uint64{}
	}
	if !slices.Contains(m[key], v) {
		m[key] = append(m[key], v)
	}
	return m
}

// canonical is a hash of arguments that does not depend on how they were written.
func (c *checker) canonical(raw []byte) uint64 {
	var p jsonl.Parser
	p.Reset(raw)
	return c.sumOf(&p, 0)
}

// maxDepth bounds how deep arguments are compared.
const maxDepth = 64

// sumOf hashes a value: members in any order, strings as they read.
func (c *checker) sumOf(p *jsonl.Parser, depth int) (sum uint64) {
	switch kind := p.Kind(); {
	case depth > maxDepth:
		p.Skip()
	case kind == '{':
		for name := range p.Members() {
			n := c.hash(name)
			sum += c.hash([]byte(fmt.Sprint(n, c.sumOf(p, depth+1))))
		}
		return sum ^ 1
	case kind == '[':
		for range p.Elements() {
			sum = sum*31 + c.sumOf(p, depth+1)
		}
		return sum ^ 2
	case kind == '"':
		return c.hash([]byte(p.Text()))
	default:
		return c.hash(p.Raw())
	}
	return sum
}

// checkCalls tells the calls that never got a result, and results that are not what OpenClaw's digest of them says.
func (c *checker) checkCalls() {
	for _, s := range c.sessions {
		for _, d := range s.calls {
			for ; d != nil; d = d.next {
				c.withoutResult(s, d)
			}
		}
		c.checkDigests(s)
	}
}

func (c *checker) withoutResult(s *session, d *done) {
	if d.results > 0 || d.last {
		return
	}
	f := Finding{
		Check: "INT-003", Level: high, Title: "a tool call has no result", Detail: d.tool + " was called and later turns follow",
		Path: d.path, Session: s.id, Line: d.line, Time: ms(d.time),
	}
	switch {
	case d.broken != "":
		f.Level, f.Benign = info, d.broken
	case c.killedAfter(d.time, s):
		f.Level, f.Benign = low, "the gateway ended without a clean stop while it ran"
	}
	c.add(f)
}

// checkDigests compares results with the digests that later events bear.
func (c *checker) checkDigests(s *session) {
	for t, sums := range s.frozen {
		c.count("INT-007", int64(len(sums)))
		have := s.sums[t]
		for _, sum := range sums {
			if slices.Contains(have, sum) || slices.Contains(have, notText) {
				continue
			}
			f := Finding{Check: "INT-007", Level: critical, Title: "a tool's result is not what its digest says", Session: s.id, Time: ms(t), Path: s.path()}
			f.Detail = "OpenClaw recorded a digest of the result; the result at that time has another"
			if len(have) == 0 {
				f.Check, f.Level, f.Title = "INT-003", high, "a tool's result is missing whose digest is there"
				f.Detail = "OpenClaw recorded a digest of a result; no result bears that time"
			}
			c.add(f)
		}
	}
}

func (s *session) path() string {
	if len(s.paths) == 0 {
		return ""
	}
	return s.paths[0]
}
