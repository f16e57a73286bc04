package stores

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/sqlite"
)

// A step is one sort of row from which a start goes on, told by SQL alone.
type step struct {
	kind   string   // Resume.Kind; "" for rows that only repeat what another step tells
	table  string   // in whichever database has it
	needs  []string // columns without which the table is another release's
	lacks  string   // a column that only another release's table has; "" for none
	where  string   // which rows
	id     string   // SQL for Resume.ID
	what   string   // Resume.What
	change string   // what takes them out of action, :now being the time in ms; "" if nothing here can
	done   string   // Done.What
}

// steps says what the gateway takes up again from its tables, and the state in which it leaves each alone. The
// states are those that its own code gives such a row when it is cancelled or fails.
var steps = []step{
	{
		// delivery-queue-recovery loads pending rows, and failed ones whose outcome is to be settled; spool rows named
		// outbound-media-… hold files, not messages.
		kind: "delivery", table: "delivery_queue_entries", needs: []string{"queue_name", "id", "status", "recovery_state", "failed_at", "updated_at"},
		where: `(status = 'pending' OR status = 'failed' AND recovery_state = 'settlement_pending') AND substr(queue_name, 1, 15) <> 'outbound-media-'`,
		id:    `queue_name || ' ' || id`, what: "a message that waits to be delivered",
		change: `UPDATE delivery_queue_entries SET status = 'failed', recovery_state = NULL, failed_at = coalesce(failed_at, :now), updated_at = :now`,
		done:   "deliveries set to failed",
	},
	{
		kind: "message", table: "channel_ingress_events", needs: []string{"queue_name", "event_id", "status", "claim_token", "claim_owner", "claimed_at", "failed_reason", "failed_at", "updated_at"},
		where: `status IN ('pending', 'claimed')`,
		id:    `queue_name || ' ' || event_id`, what: "a message that came in and is not answered yet",
		change: `UPDATE channel_ingress_events SET status = 'failed', failed_reason = 'openclaw-ir', failed_at = :now, updated_at = :now,
			claim_token = NULL, claim_owner = NULL, claimed_at = NULL`,
		done: "incoming messages set to failed",
	},
	{
		// A sub-agent whose end was not announced is waited for again, and its result wakes the one who asked for it.
		kind: "subagent", table: "subagent_runs", needs: []string{"run_id", "payload_json"},
		where: `CASE WHEN json_valid(payload_json) THEN json_extract(payload_json, '$.cleanupCompletedAt') IS NULL
			OR json_type(payload_json, '$.requesterSettleWake') = 'object' ELSE 1 END`,
		id: `run_id`, what: "a sub-agent's run that is not settled",
		change: `DELETE FROM subagent_runs`, done: "sub-agents' runs removed",
	},
	{
		kind: "subagent", table: "subagent_runs", needs: []string{"run_id", "cleanup_completed_at"}, lacks: "payload_json",
		where: `cleanup_completed_at IS NULL`,
		id:    `run_id`, what: "a sub-agent's run that is not settled",
		change: `DELETE FROM subagent_runs`, done: "sub-agents' runs removed",
	},
	{
		// Kept: the row that counts revisions and the receipt of the last update.
		kind: "restart", table: "gateway_restart_sentinel", needs: []string{"sentinel_key", "session_key"},
		where: `sentinel_key = 'current'`,
		id:    `coalesce(session_key, sentinel_key)`, what: "a note that wakes the agent after a restart",
		change: `DELETE FROM gateway_restart_sentinel`, done: "notes of a restart removed",
	},
	{
		kind: "restart", table: "gateway_restart_intent", needs: []string{"intent_key"},
		where: `1`, id: `intent_key`, what: "an order to restart",
		change: `DELETE FROM gateway_restart_intent`, done: "orders to restart removed",
	},
	{
		kind: "restart", table: "gateway_restart_handoff", needs: []string{"handoff_key"},
		where: `1`, id: `handoff_key`, what: "a restart handed to the supervisor",
		change: `DELETE FROM gateway_restart_handoff`, done: "handed over restarts removed",
	},
	{
		kind: "task", table: "task_runs", needs: []string{"task_id", "status", "delivery_status", "notify_policy", "ended_at", "last_event_at", "error"},
		where: `status IN ('queued', 'running')`,
		id:    `task_id`, what: "a task that counts as running",
		change: `UPDATE task_runs SET status = 'cancelled', delivery_status = 'not_applicable', notify_policy = 'silent', ended_at = :now,
			last_event_at = :now, error = 'cancelled by openclaw-ir'`,
		done: "tasks set to cancelled",
	},
	{
		kind: "task", table: "task_runs", needs: []string{"task_id", "status", "delivery_status", "notify_policy"},
		where: `status NOT IN ('queued', 'running') AND delivery_status IN ('pending', 'session_queued') AND notify_policy <> 'silent'`,
		id:    `task_id`, what: "a task whose end is to be told to the agent",
		change: `UPDATE task_runs SET delivery_status = 'not_applicable', notify_policy = 'silent'`,
		done:   "tasks' notices dropped",
	},
	{
		kind: "flow", table: "flow_runs", needs: []string{"flow_id", "status", "revision", "ended_at", "updated_at"},
		where: `status IN ('queued', 'running', 'waiting') OR status = 'blocked' AND ended_at IS NULL`,
		id:    `flow_id`, what: "a flow that is not finished",
		change: `UPDATE flow_runs SET status = 'cancelled', revision = revision + 1, ended_at = :now, updated_at = :now`,
		done:   "flows set to cancelled",
	},
	{
		// 2026.7: follow-ups that a heartbeat sends when they are due.
		kind: "commitment", table: "commitments", needs: []string{"id", "status", "record_json", "updated_at_ms", "dismissed_at_ms"},
		where: `status IN ('pending', 'snoozed')`,
		id:    `id`, what: "a follow-up the agent promised",
		change: `UPDATE commitments SET status = 'dismissed', updated_at_ms = :now, dismissed_at_ms = :now, record_json = CASE
			WHEN json_valid(record_json) THEN json_set(record_json, '$.status', 'dismissed', '$.updatedAtMs', :now, '$.dismissedAtMs', :now)
			ELSE record_json END`,
		done: "follow-ups dismissed",
	},
	{
		kind: "input", table: "session_pending_inputs", needs: []string{"input_id", "session_key", "state", "consumed_event_id"},
		where: `state = 'queued' AND consumed_event_id IS NULL`,
		id:    `session_key`, what: "a prompt that was accepted and not run yet",
		change: `UPDATE session_pending_inputs SET state = 'cancelled'`,
		done:   "accepted prompts set to cancelled",
	},
	{
		// The generations of sessions; their entries are changed by [sessionRows].
		table: "session_windows", needs: []string{"session_id", "status"},
		where:  `status = 'running'`,
		change: `UPDATE session_windows SET status = 'killed'`, done: "sessions' windows set to killed",
	},
	{
		kind: "publication", table: "github_publication_requests", needs: []string{"request_id", "status"},
		where: `status IN ('requested', 'publishing')`, id: `request_id`, what: "a pull request that is being published",
	},
	{
		kind: "publication", table: "github_personal_publication_requests", needs: []string{"request_id", "status"},
		where: `status IN ('requested', 'publishing')`, id: `request_id`, what: "a pull request that is being published",
	},
}

// pending lists the step's rows.
func (s step) pending(ctx context.Context, d *openclaw.Database) (found []Resume, gaps []openclaw.Gap, err error) {
	if s.kind == "" || !d.Has(s.table, s.needs...) || s.lacks != "" && d.Has(s.table, s.lacks) {
		return nil, nil, nil
	}
	q := fmt.Sprintf("SELECT substr(%s, 1, %d) FROM %s NOT INDEXED WHERE %s LIMIT %d", s.id, longest, s.table, s.where, shown+1)
	for row, err := range d.Query(ctx, q) {
		if err != nil {
			return found, gaps, err
		}
		if len(found) == shown {
			gaps = append(gaps, tooMany(d.Path, s.table))
			break
		}
		found = append(found, Resume{Kind: s.kind, Where: d.Path, ID: string(row.Text(0)), What: s.what, Stays: s.change == ""})
	}
	return found, gaps, nil
}

// defuse changes the step's rows.
func (s step) defuse(tx *sqlite.Tx, columns []string, now time.Time) (Done, error) {
	lacking := func(c string) bool { return !slices.Contains(columns, c) }
	if s.change == "" || slices.ContainsFunc(s.needs, lacking) || s.lacks != "" && !lacking(s.lacks) {
		return Done{}, nil
	}
	q := strings.ReplaceAll(s.change+" WHERE "+s.where, ":now", fmt.Sprint(now.UnixMilli()))
	n, err := tx.Exec(q)
	return Done{What: s.done, Count: n}, err
}

func tooMany(file, of string) openclaw.Gap {
	return openclaw.Gap{Path: file, What: fmt.Sprintf("more than %d of %s; the first of them are shown", shown, of)}
}
