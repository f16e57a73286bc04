package integrity

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/sqlite"
)

// A ledger is what audit_events says, as far as it is compared.
type ledger struct {
	path        string
	first, last int64 // ms
	jumps       []int64
	calls       map[ledgerCall]ledgerRow
	events      map[uint64]bool // event_id
}

type ledgerCall struct {
	session string
	call    uint64
}

type ledgerRow struct {
	sequence, time int64
	tool           string
}

// jumpsAt reports whether the numbers that a process gave to its tool actions jump around a row's number.
func (l *ledger) jumpsAt(number int64) bool {
	for i := 0; i+1 < len(l.jumps); i += 2 {
		if l.jumps[i] < number && number < l.jumps[i+1] {
			return true
		}
	}
	return false
}

// callDigest reads the ledger's name of a call: "sha256:" and the digest of its id in hex; older ones hold the id.
func callDigest(name string) (uint64, bool) {
	digest, ok := strings.CutPrefix(name, "sha256:")
	if !ok {
		return callKey(name), name != ""
	}
	raw, err := hex.DecodeString(digest)
	if err != nil || len(raw) != 32 {
		return 0, false
	}
	return binary.BigEndian.Uint64(raw), true
}

// readLedger reads audit_events in the order of its numbers.
func (c *checker) readLedger(d *openclaw.Database) error {
	l := &c.ledger
	*l = ledger{path: d.Path, calls: map[ledgerCall]ledgerRow{}, events: map[uint64]bool{}}
	if !d.Has("audit_events", "sequence", "event_id", "source_sequence", "occurred_at", "action", "session_id", "tool_call_id", "tool_name") {
		c.rep.undecided("INT-004", "there is no ledger (audit_events)")
		return nil
	}
	var tool ledgerTool
	return each(c, d, "SELECT sequence, event_id, source_sequence, occurred_at, action, session_id, tool_call_id, tool_name FROM audit_events NOT INDEXED ORDER BY sequence",
		func(row *sqlite.Row) {
			c.count("INT-004", 1)
			seq, t, session, action := row.Int(0), row.Int(3), text(row, 5), text(row, 4)
			l.events[c.hash(row.Text(1))] = true
			if l.first == 0 {
				l.first = t
			}
			if l.last-t > apart { // it is written in batches, so that rows of two runs may stand in another order
				c.add(Finding{
					Check: "INT-002", Level: medium, Title: "times of the ledger run backwards", Path: d.Path, Line: seq, Time: ms(t),
					Detail: "by " + seconds(l.last-t), Benign: "a clock that was set",
				})
			}
			l.last = max(l.last, t)
			if session != "" {
				c.session(session, "").name("audit_events", true, t)
			}
			if !strings.HasPrefix(action, "tool.action.") {
				return
			}
			tool.next(c, d.Path, seq, row.Int(2), t)
			if key, ok := callDigest(text(row, 6)); ok && session != "" {
				l.calls[ledgerCall{session, key}] = ledgerRow{seq, t, short(text(row, 7))}
			}
		})
}

// A ledgerTool follows the numbers that a process gives to its tool actions: 1, 2, 3 from its start on.
type ledgerTool struct{ sequence, number, time int64 }

func (p *ledgerTool) next(c *checker, file string, sequence, number, t int64) {
	c.count("INT-005", 1)
	begun := p.sequence != 0
	if begun && number != p.number+1 && number > p.number {
		c.ledger.jumps = append(c.ledger.jumps, p.sequence, sequence)
		c.add(Finding{
			Check: "INT-005", Level: critical, Title: "tool actions are missing from the ledger", Path: file, Line: sequence, Time: ms(p.time), Until: ms(t),
			Detail: fmt.Sprintf("the gateway numbered them itself: %d follows %d", number, p.number),
		})
	}
	*p = ledgerTool{sequence, number, t}
}

// settling is how long, in ms, before the end of the evidence a call may be in the ledger alone or in the transcript
// alone: they are written one after the other.
const settling = 60_000

// checkLedger compares the ledger's calls with those of the transcripts, both ways.
func (c *checker) checkLedger() {
	l := &c.ledger
	for key, row := range l.calls {
		s := c.sessions[key.session]
		if s == nil || !s.live() && !s.gone() || s.calls[key.call] != nil || s.missing[row.tool] || row.time > l.last-settling {
			continue
		}
		f := Finding{
			Check: "INT-004", Level: critical, Title: "the ledger has a tool call that the transcript does not have", Path: l.path, Session: key.session,
			Line: row.sequence, Time: ms(row.time), Detail: row.tool + " was called; the session's transcript has no such call",
		}
		c.add(f)
	}
	if len(l.calls) == 0 {
		return
	}
	for _, s := range c.sessions {
		c.unledgered(s)
	}
}

// unledgered tells the calls of a transcript that the ledger should have and has not.
func (c *checker) unledgered(s *session) {
	l := &c.ledger
	for key, d := range s.calls {
		_, known := l.calls[ledgerCall{s.id, key}]
		for ; d != nil && !known; d = d.next {
			if d.time <= l.first || d.time > l.last-settling || !d.ok { // what was refused before it began is not in the ledger
				continue
			}
			c.add(Finding{
				Check: "INT-004", Level: high, Title: "the ledger does not have a tool call of the transcript", Path: d.path, Session: s.id, Line: d.line, Time: ms(d.time),
				Detail: d.tool + " was called while the ledger was kept", Benign: "logging.audit was off for a time, or the call was written by a release that kept no ledger",
			})
		}
	}
}
