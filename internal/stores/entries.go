package stores

import (
	"strings"

	"github.com/clawbook/openclaw-ir/internal/json5"
)

// A finding is one thing in a JSON text that a start would go on from, and the edits that take it out of action.
type finding struct {
	Resume
	edits []edit
}

// interrupted reads a session's entry, in sessions.json or in a row of session_nodes. From 2026.5 on the gateway runs
// the last turn again of a session whose status is "running": one that was killed in it, and one that was marked when a
// stop did not wait for it (2026.9.6 main-session-restart-recovery looks at no other status). Heartbeats deliver what
// pendingFinalDelivery holds. Releases before that kept no status, and resume no turn.
func interrupted(key string, entry *json5.Value) (f finding, found bool) {
	f.Resume = Resume{Kind: "turn", ID: short(key), What: "an interrupted turn, run again seconds after the start"}
	running, recovery, delivery := false, false, false
	for _, m := range entry.Members {
		running = running || m.Key == "status" && m.Value.Kind == json5.String && m.Value.Str == "running"
		recovery = recovery || leftover(m.Key) && m.Key != "abortedLastRun" && isTrue(m.Value)
		delivery = delivery || strings.HasPrefix(m.Key, "pendingFinalDelivery") && isTrue(m.Value)
	}
	if !running && !recovery && !delivery {
		return f, false
	}
	if !running {
		f.Kind, f.What = "delivery", "an answer that was not delivered"
		if !delivery {
			f.Kind, f.What = "turn", "the rest of an interrupted turn"
		}
	}
	if running {
		f.edits = set(entry, "status", `"killed"`)
	}
	f.edits = append(f.edits, without(entry, func(m json5.Member) bool {
		return leftover(m.Key) || strings.HasPrefix(m.Key, "pendingFinalDelivery")
	})...)
	return f, true
}

// leftover reports the members of a session's entry that carry an interrupted turn over a restart. What names runs that
// ended, and must not run again, is not among them.
func leftover(key string) bool {
	return key == "abortedLastRun" || key == "mainRestartRecovery" ||
		strings.HasPrefix(key, "restartRecovery") && !strings.HasPrefix(key, "restartRecoveryTerminal")
}

// activeJob reads an automation, in cron/jobs.json or in cron_jobs.job_json. Without the member it is enabled.
func activeJob(job *json5.Value) (f finding, found bool) {
	named, enabled := false, false
	for _, m := range job.Members { // of a member that is there twice, any may be the one that counts
		if m.Key == "enabled" {
			named = true
			enabled = enabled || m.Value.Kind != json5.Bool || m.Value.Bool
		}
	}
	enabled = enabled || !named
	remade := fromConfig(text(job, "declarationKey"))
	if !enabled && !remade {
		return f, false
	}
	f.Resume = Resume{Kind: "automation", ID: short(text(job, "id")), What: describe(job), Stays: remade}
	if text(job, "payload", "kind") == "heartbeat" {
		f.Kind = "heartbeat"
	}
	if enabled {
		f.edits = set(job, "enabled", "false")
	}
	return f, true
}

// fromConfig tells the automations that the gateway enables again at every start, as its config and plugins say
// (observed with 2026.9.6). Disabling one still keeps a run that is overdue from being made up for at once.
func fromConfig(declaration string) bool {
	owner, _, _ := strings.Cut(declaration, ":")
	return owner == "heartbeat" || owner == "skill-collection-review" || owner == "memory-core"
}

func describe(job *json5.Value) string {
	what := "an automation"
	if payload := text(job, "payload", "kind"); payload != "" {
		what += " (" + short(payload) + ")"
	}
	if name := text(job, "name"); name != "" {
		what += ": " + short(name)
	}
	if fromConfig(text(job, "declarationKey")) {
		what += "; the gateway enables it at every start"
	}
	return what
}

// A jsonStore is one of the JSON files that a start reads.
type jsonStore struct {
	file string
	done string // Done.What
	scan func(*json5.Value) []finding
}

func sessionEntries(root *json5.Value) (all []finding) {
	for _, m := range root.Members {
		if f, found := interrupted(m.Key, m.Value); found {
			all = append(all, f)
		}
	}
	return all
}

func jobs(root *json5.Value) (all []finding) {
	list := root.Get("jobs")
	if list == nil {
		list = root // the first releases kept a bare list
	}
	for _, job := range list.Elements {
		if f, found := activeJob(job); found && job.Kind == json5.Object {
			all = append(all, f)
		}
	}
	return all
}

// unsettled reads subagents/runs.json. The edits of its first finding take out all of them, for what stands between two
// that go belongs to both.
func unsettled(root *json5.Value) (all []finding) {
	runs := root.Get("runs")
	if runs == nil {
		return nil
	}
	open := func(m json5.Member) bool {
		return !isTrue(m.Value.Get("cleanupCompletedAt")) || isTrue(m.Value.Get("requesterSettleWake"))
	}
	for _, m := range runs.Members {
		if open(m) {
			all = append(all, finding{Resume: Resume{Kind: "subagent", ID: short(m.Key), What: "a sub-agent's run that is not settled"}, edits: []edit{}})
		}
	}
	if len(all) > 0 {
		all[0].edits = without(runs, open)
	}
	return all
}

// promised reads commitments/commitments.json of 2026.5.
func promised(root *json5.Value) (all []finding) {
	list := root.Get("commitments")
	if list == nil {
		return nil
	}
	for _, c := range list.Elements {
		if s := text(c, "status"); s == "pending" || s == "snoozed" {
			all = append(all, finding{
				Resume{Kind: "commitment", ID: short(text(c, "id")), What: "a follow-up the agent promised"},
				set(c, "status", `"dismissed"`),
			})
		}
	}
	return all
}
