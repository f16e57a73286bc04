package stores

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/json5"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/sqlite"
)

// A Resume is one thing that the gateway would do by itself at its next start.
type Resume struct {
	// Kind is turn, delivery, message, automation, heartbeat, subagent, task, flow, commitment, input, restart,
	// publication, hook or channel.
	Kind  string `json:"kind"`
	Where string `json:"where"` // absolute path of the file that says so
	ID    string `json:"id"`    // as the store names it: a session's key, a job's or run's id
	What  string `json:"what"`  // one phrase; a job's name may be in it
	// Stays says that [Defuse] leaves it: the config or the workspace decides it, or no safe change is known.
	Stays bool `json:"stays,omitempty"`
}

// jsonStores returns the JSON files that a start goes on from.
func jsonStores(in *openclaw.Installation) []jsonStore {
	var stores []jsonStore
	for _, file := range sessionIndexes(in) {
		stores = append(stores, jsonStore{file, "sessions set to killed, what would resume them removed", sessionEntries})
	}
	return append(stores,
		jsonStore{cronFile(in), "automations disabled", jobs},
		jsonStore{path.Join(in.StateDir, "subagents", "runs.json"), "sub-agents' runs removed", unsettled},
		jsonStore{path.Join(in.StateDir, "commitments", "commitments.json"), "follow-ups dismissed", promised})
}

// cronFile returns where the automations of releases before 2026.6 lie.
func cronFile(in *openclaw.Installation) string {
	if file := inHome(in, in.Config.String("cron", "store")); file != "" {
		return file
	}
	return path.Join(in.StateDir, "cron", "jobs.json")
}

// queues are the directories of deliveries of 2026.2 to 2026.6: each NAME.json is one that waits, and names with any
// other ending are not read.
func queues(in *openclaw.Installation) []string {
	return []string{path.Join(in.StateDir, "delivery-queue"), path.Join(in.StateDir, "session-delivery-queue")}
}

// notes are the files of 2026.1 to 2026.6 with which one run of the gateway tells the next to restart something.
func notes(in *openclaw.Installation) []string {
	return []string{
		path.Join(in.StateDir, "restart-sentinel.json"),
		path.Join(in.StateDir, "gateway-restart-intent.json"),
		path.Join(in.StateDir, "gateway-supervisor-restart-handoff.json"),
	}
}

// Pending lists what would act by itself at the next start of the gateway, in every store the installation has. It
// only reads. What it could not read is a gap, and may hide more.
func Pending(ctx context.Context, fsys fs.FS, in *openclaw.Installation) ([]Resume, []openclaw.Gap) {
	p := pending{ctx: ctx, fsys: fsys}
	for _, file := range agentDatabases(in) {
		p.database(file, sessionRows)
	}
	for _, file := range stateDatabases(in) {
		p.database(file, jobRows)
	}
	for _, s := range jsonStores(in) {
		p.json(s)
	}
	for _, dir := range queues(in) {
		p.queue(dir)
	}
	for _, file := range notes(in) {
		if _, err := fs.Stat(fsys, openclaw.FSName(file)); err == nil {
			p.found = append(p.found, Resume{Kind: "restart", Where: file, ID: path.Base(file), What: "a note from before a restart, acted on after it"})
		}
	}
	return append(p.found, configured(fsys, in)...), p.gaps
}

type pending struct {
	ctx   context.Context
	fsys  fs.FS
	found []Resume
	gaps  []openclaw.Gap
}

func (p *pending) database(file string, rows jsonRows) {
	p.gaps = append(p.gaps, readDatabase(p.fsys, file, func(d *openclaw.Database) error {
		found, gaps, err := rows.pending(p.ctx, d)
		p.found, p.gaps = append(p.found, found...), append(p.gaps, gaps...)
		for i := 0; err == nil && i < len(steps); i++ {
			found, gaps, err = steps[i].pending(p.ctx, d)
			p.found, p.gaps = append(p.found, found...), append(p.gaps, gaps...)
		}
		return err
	})...)
}

func (p *pending) json(s jsonStore) {
	text, gaps := readText(p.fsys, s.file)
	p.gaps = append(p.gaps, gaps...)
	if len(strings.TrimSpace(string(text))) == 0 {
		return
	}
	root, err := json5.Parse(text)
	if err != nil {
		p.gaps = append(p.gaps, openclaw.Gap{Path: s.file, What: "not JSON: " + err.Error()})
		return
	}
	for i, f := range s.scan(root) {
		if i == shown {
			p.gaps = append(p.gaps, tooMany(s.file, "its entries"))
			break
		}
		f.Where = s.file
		p.found = append(p.found, f.Resume)
	}
}

func (p *pending) queue(dir string) {
	names, gaps := list(p.fsys, dir, ".json")
	p.gaps = append(p.gaps, gaps...)
	for i, name := range names {
		if i == shown {
			p.gaps = append(p.gaps, tooMany(dir, "its files"))
			break
		}
		p.found = append(p.found, Resume{Kind: "delivery", Where: path.Join(dir, name), ID: short(strings.TrimSuffix(name, ".json")), What: "a message that waits to be delivered"})
	}
}

// configured lists what the config starts by itself.
func configured(fsys fs.FS, in *openclaw.Installation) (found []Resume) {
	add := func(kind, id, what string) {
		found = append(found, Resume{Kind: kind, Where: in.ConfigPath, ID: short(id), What: what, Stays: true})
	}
	every := in.Config.String("agents", "defaults", "heartbeat", "every")
	if every == "" {
		every = "30m" // the default
	}
	if strings.Trim(every, "0smhd ") != "" {
		add("heartbeat", "agents.defaults.heartbeat", "the agent is woken every "+short(every))
	}
	entries, _ := in.Config.Get("hooks", "internal", "entries").(map[string]any)
	for _, name := range sorted(entries) {
		if hook, _ := entries[name].(map[string]any); hook["enabled"] != false && in.Config.Get("hooks", "internal", "enabled") != false {
			add("hook", name, "a hook inside the gateway")
		}
	}
	for _, a := range in.Agents {
		boot := path.Join(a.Workspace, "BOOT.md")
		if _, err := fs.Stat(fsys, openclaw.FSName(boot)); err == nil {
			found = append(found, Resume{Kind: "hook", Where: boot, ID: a.ID, What: "a prompt that the hook boot-md runs at every start", Stays: true})
		}
	}
	channels, _ := in.Config.Get("channels").(map[string]any)
	for _, name := range sorted(channels) {
		if c, ok := channels[name].(map[string]any); ok && name != "defaults" && c["enabled"] != false {
			add("channel", name, "a channel that fetches what was written meanwhile")
		}
	}
	return found
}

func sorted(m map[string]any) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Defuse changes the stores of this machine so that nothing of [Pending] but what Stays acts at the next start. The
// gateway must be dead. Turns end as killed, queued messages as failed, automations are disabled; nothing is deleted
// but notes of restarts and records of sub-agents that are not settled, and a delivery's file gets another name. It
// can be run again.
func Defuse(ctx context.Context, owner host.Owner, in *openclaw.Installation) ([]Done, error) {
	var r results
	now := time.Now()
	for _, file := range agentDatabases(in) {
		r.add(defuseDatabase(ctx, owner, file, sessionRows, now))
	}
	for _, file := range stateDatabases(in) {
		r.add(defuseDatabase(ctx, owner, file, jobRows, now))
	}
	for _, s := range jsonStores(in) {
		r.add(changeFile(owner, s.file, s.done, s.defuse))
	}
	for _, dir := range queues(in) {
		r.add(moveAside(owner, dir, ".json", "deliveries renamed to "+aside))
	}
	for _, file := range notes(in) {
		r.add(rename(owner, file, "a note of a restart renamed to "+aside))
	}
	return r.all()
}

func defuseDatabase(ctx context.Context, owner host.Owner, file string, rows jsonRows, now time.Time) ([]Done, error) {
	return changeDatabase(ctx, owner, file, func(tx *sqlite.Tx) ([]Done, error) {
		d, err := rows.defuse(tx)
		done := []Done{d}
		for i := 0; err == nil && i < len(steps); i++ {
			var columns []string
			if columns, err = tx.Columns(steps[i].table); err != nil {
				break
			}
			d, err = steps[i].defuse(tx, columns, now)
			done = append(done, d)
		}
		return done, err
	})
}

func (s jsonStore) defuse(text []byte) ([]byte, int, error) {
	if len(strings.TrimSpace(string(text))) == 0 {
		return text, 0, nil
	}
	root, err := json5.Parse(text)
	if err != nil {
		return nil, 0, fmt.Errorf("not JSON: %w", err)
	}
	var edits []edit
	n := 0
	for _, f := range s.scan(root) {
		if f.edits != nil {
			n++
			edits = append(edits, f.edits...)
		}
	}
	return splice(text, edits), n, nil
}
