package analyze

import (
	"context"
	"io/fs"
	"regexp"
	"strings"

	"github.com/clawbook/openclaw-ir/analyze/posture"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/stores"
)

// The degrees of trust in whoever's input the agent answered.
const (
	TrustOwner    = "owner"    // the operator, or a sender the config or the transcript calls owner
	TrustPaired   = "paired"   // let in by pairing or by an allow-list
	TrustUnknown  = "unknown"  // a sender who is on no list
	TrustExternal = "external" // a hook, a mail, the HTTP API, content that others wrote
	TrustSystem   = "system"   // a schedule, another agent, OpenClaw itself
)

// A world is what the installations say of those who deal with their agents, and of what is usual there.
type world struct {
	allowed map[[2]string]string // channel and sender → TrustOwner or TrustPaired
	sandbox map[string]string    // agent → the sandbox's mode; "" is the default for all
	bots    map[string]bool      // ids of the installations' own Telegram bots
	listed  map[[2]string]int64  // channel and entry → since when an older config has it, in milliseconds
}

// readWorld reads what rules want to know of the installations. What cannot be read is a gap.
func (r *Report) readWorld(ctx context.Context, fsys fs.FS, installs []*openclaw.Installation) *world {
	w := &world{allowed: map[[2]string]string{}, sandbox: map[string]string{}, bots: map[string]bool{}, listed: map[[2]string]int64{}}
	for _, in := range installs {
		entries, gaps := stores.Allowed(ctx, fsys, in)
		r.Coverage.gap(gaps...)
		for _, e := range entries {
			w.allow(e)
		}
		w.sandbox[""] = firstNonEmpty(w.sandbox[""], in.Config.String("agents", "defaults", "sandbox", "mode"))
		for _, a := range in.Agents {
			w.sandbox[a.ID] = in.Config.String("agents", "entries", a.ID, "sandbox", "mode")
		}
		w.addBots(in.Config)
	}
	return w
}

func (w *world) allow(e stores.AllowEntry) {
	key := [2]string{e.Channel, e.Entry}
	switch e.Kind {
	case "owner":
		w.allowed[key] = TrustOwner
	case "allow":
		if w.allowed[key] == "" {
			w.allowed[key] = TrustPaired
		}
	}
}

// remember notes whom older versions of a configuration let in. Of the last one, which may be an attacker's, nothing is noted.
func (w *world) remember(past *posture.Past) {
	for i := range past.Steps[:max(0, len(past.Steps)-1)] {
		step := &past.Steps[i]
		if step.Config == nil || step.From.NotAfter.IsZero() {
			continue
		}
		for _, e := range stores.AllowedBy(step.Config) {
			key := [2]string{e.Channel, e.Entry}
			if _, known := w.listed[key]; e.Kind == "allow" && !known {
				w.listed[key] = step.From.NotAfter.UnixMilli()
			}
		}
	}
}

// entry says of somebody on a channel's allow-list, who was put there at a time in milliseconds, what makes that ordinary.
// A list in a file is named by the channel and its account, with "-" between them, and either may hold another.
func (w *world) entry(list, entry string, at int64) (fields []Detail) {
	owner, listed := false, false
	for channel := list; channel != ""; channel = channel[:max(0, strings.LastIndexByte(channel, '-'))] {
		owner = owner || w.peer(channel, entry) == TrustOwner
		since, ok := w.listed[[2]string{channel, entry}]
		listed = listed || ok && since < at
	}
	if owner {
		fields = append(fields, Detail{"OwnerEntry", "true"})
	}
	if listed {
		fields = append(fields, Detail{"Baseline", "true"})
	}
	return fields
}

// addBots notes the ids of Telegram bots: what stands before the colon of their tokens, which is no secret.
func (w *world) addBots(c *openclaw.Config) {
	add := func(token string) {
		if id, _, ok := strings.Cut(token, ":"); ok {
			w.bots[id] = true
		}
	}
	add(c.String("channels", "telegram", "botToken"))
	accounts, _ := c.Get("channels", "telegram", "accounts").(map[string]any)
	for id := range accounts {
		add(c.String("channels", "telegram", "accounts", id, "botToken"))
	}
}

var botID = regexp.MustCompile(`/bot(\d{6,12})`)

// isOwnBot reports whether a text names one of the installations' own bots.
func (w *world) isOwnBot(text string) bool {
	m := botID.FindStringSubmatch(text)
	return m != nil && w.bots[m[1]]
}

// sandboxOf is the mode of the sandbox that an agent's commands run in.
func (w *world) sandboxOf(agent string) string {
	return firstNonEmpty(w.sandbox[agent], w.sandbox[""])
}

// trust tells how far the one who asked for an event can be trusted.
func (w *world) trust(e *Event) string {
	a := e.Asker
	switch a.Kind {
	case "operator", "claude-cli", "codex-cli":
		if a.Owner == OwnerNo {
			return TrustUnknown
		}
		return TrustOwner
	case "channel":
		if a.Owner == OwnerYes {
			return TrustOwner
		}
		known := w.peer(a.Channel, a.Sender)
		if known == TrustOwner && a.Owner == OwnerNo {
			return TrustPaired // the transcript knows better than a list that may have been changed since
		}
		return known
	case "hook", "http":
		return TrustExternal
	case "unknown":
		return ""
	}
	return TrustSystem
}

// peer tells how far somebody on a channel can be trusted. The owner stands on other lists too.
func (w *world) peer(channel, sender string) string {
	known := TrustUnknown
	for _, key := range [][2]string{{channel, sender}, {"", sender}, {"", channel + ":" + sender}, {channel, channel + ":" + sender}} {
		switch t := w.allowed[key]; {
		case sender == "":
		case t == TrustOwner:
			return t
		case t != "":
			known = t
		}
	}
	return known
}

// recipient tells how far whoever gets a message can be trusted. channel is used where the recipient names none.
func (w *world) recipient(to, channel string) string {
	if before, after, ok := strings.Cut(to, ":"); ok {
		channel, to = before, after
	}
	return w.peer(channel, to)
}
