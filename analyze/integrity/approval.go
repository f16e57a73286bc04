package integrity

import (
	"fmt"
	"path"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/jsonl"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/sqlite"
)

// A runOf is one execution of a command.
type runOf struct {
	cwd  string
	time int64
	s    *done
}

// ran notes where a command ran.
func (c *checker) ran(d *done, cwd string) {
	if len(c.commands[d.command]) < maxListed {
		c.commands[d.command] = append(c.commands[d.command], runOf{cwd, d.time, d})
	}
}

// An approval is one row of operator_approvals.
type approval struct {
	status, decision, command, key, call string
	created, resolved                    int64
}

// readApprovals reads what was shown for approval, before the transcripts: their text is kept only for these calls.
func (c *checker) readApprovals() {
	c.gap(openclaw.ReadDatabase(c.ctx, c.fsys, c.in.StateDB(), func(d *openclaw.Database) error {
		c.approvals = nil
		return c.approvalRows(d)
	})...)
}

func (c *checker) approvalRows(d *openclaw.Database) error {
	const t = "operator_approvals"
	if !d.Has(t, "kind", "status", "decision", "presentation_json", "source_session_key", "source_tool_call_id", "created_at_ms", "resolved_at_ms") {
		c.rep.undecided("INT-012", "this release keeps no record of what was shown for approval")
		return nil
	}
	return each(c, d, "SELECT status, decision, presentation_json, source_session_key, source_tool_call_id, created_at_ms, resolved_at_ms FROM "+t+" WHERE kind = 'exec'",
		func(row *sqlite.Row) {
			c.count("INT-012", 1)
			a := approval{status: text(row, 0), decision: text(row, 1), key: text(row, 3), call: text(row, 4), created: row.Int(5), resolved: row.Int(6)}
			a.command = shown(row.Text(2))
			c.asked[callKey(a.call)] = true
			c.approvals = append(c.approvals, a)
		})
}

// shown is the command that an approval displayed.
func shown(presentation []byte) (command string) {
	var p jsonl.Parser
	p.Reset(presentation)
	for name := range p.Members() {
		if string(name) == "commandText" {
			command = p.Text()
		}
	}
	return command
}

// checkApprovals compares what was shown to who approved with what ran.
func (c *checker) checkApprovals() {
	for i := range c.approvals {
		c.approval(&c.approvals[i])
	}
}

func (c *checker) approval(a *approval) {
	s, d := c.approved(a)
	f := Finding{Check: "INT-012", Level: critical, Path: c.in.StateDB(), Time: ms(a.created)}
	if d == nil {
		if a.call != "" {
			c.rep.undecided("INT-012", "an approval whose call is not in the transcripts")
		}
		return
	}
	f.Session, f.Line, f.Evidence = s.id, d.line, []string{"call " + short(a.call)}
	if d.said != "" && a.command != "" && !sameCommand(d.said, a.command) {
		f.Title = "another command ran than was shown for approval"
		f.Detail = fmt.Sprintf("the command that was shown has %d bytes, the one in the transcript %d", len(a.command), len(d.said))
		c.add(f)
	}
	ranOK := d.ok && d.results > 0
	switch {
	case ranOK && a.status != "allowed" && a.status != "pending":
		f.Title, f.Detail = "a command ran though its approval was not given", "the approval's status is "+short(a.status)
	case ranOK && (a.status == "pending" || a.resolved > d.resultTime):
		f.Title, f.Detail = "a command ran before its approval was given", fmt.Sprintf("its result is of %s", ms(d.resultTime).Format("15:04:05.000"))
	default:
		c.elsewhere(a, d, f)
		return
	}
	c.add(f)
}

// asking is how long after its call an approval is asked for at most, in ms.
const asking = 10 * minute

// approved finds the call that an approval was for: the newest one of its id that began before the approval was asked.
func (c *checker) approved(a *approval) (*session, *done) {
	for _, s := range c.sessions {
		if s.key != a.key || a.call == "" {
			continue
		}
		for d := s.calls[callKey(a.call)]; d != nil; d = d.next {
			if d.time <= a.created+backwards && d.time > a.created-asking {
				return s, d
			}
		}
	}
	return nil, nil
}

// elsewhere tells that a command which was allowed for good ran in another directory than the one it was allowed in.
func (c *checker) elsewhere(a *approval, d *done, f Finding) {
	if a.decision != "allow-always" {
		return
	}
	runs := c.commands[d.command]
	at := ""
	for _, r := range runs {
		if r.s == d {
			at = r.cwd
		}
	}
	for _, r := range runs {
		if r.s != d && r.time > a.resolved && at != "" && r.cwd != "" && path.Clean(r.cwd) != path.Clean(at) {
			f.Level, f.Line, f.Time = low, r.s.line, ms(r.time)
			f.Title, f.Detail = "a command that was allowed for good ran in another directory", "the approval was given for "+at
			f.Benign = "the permission is for the command, wherever it runs"
			c.add(f)
		}
	}
}

// sameCommand compares a command in a transcript, in which secrets may be masked, with the one that was shown. A mask
// stands for anything, and for the punctuation after it.
func sameCommand(stored, shown string) bool {
	if stored == shown {
		return true
	}
	parts := strings.Split(stored, "***")
	if len(parts) == 1 {
		parts = strings.Split(shown, "***")
		shown = stored
	}
	if len(parts) == 1 {
		return false
	}
	rest := shown
	for i, part := range parts {
		part = strings.Trim(part, " ;'\"")
		at := strings.Index(rest, part)
		if at < 0 || i == 0 && at > 0 {
			return false
		}
		rest = rest[at+len(part):]
	}
	return true
}
