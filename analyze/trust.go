package analyze

import (
	"context"
	"io/fs"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/stores"
)

// The degrees of trust in whoever's input the agent answered.
const (
	TrustOwner    = "owner"    // the operator, or a sender the config or the transcript calls owner
	TrustPaired   = "paired"   // let in by pairing or by an allow-list
	TrustUnknown  = "unknown"  // a sender who is on no list
	TrustExternal = "external" // a hook, a mail, the HTTP API
	TrustSystem   = "system"   // a schedule, another agent, OpenClaw itself
)

// trusted knows who was let in, by channel and sender.
type trusted map[[2]string]bool

// readTrusted reads who the installations let in. What cannot be read is a gap.
func (r *Report) readTrusted(ctx context.Context, fsys fs.FS, installs []*openclaw.Installation) trusted {
	t := trusted{}
	for _, in := range installs {
		entries, gaps := stores.Allowed(ctx, fsys, in)
		r.Coverage.gap(gaps...)
		for _, e := range entries {
			if e.Kind != "request" {
				t[[2]string{e.Channel, e.Entry}] = true
			}
		}
	}
	return t
}

// of tells how far the one who asked for an event can be trusted.
func (t trusted) of(e *Event) string {
	a := e.Asker
	switch a.Kind {
	case "operator", "claude-cli", "codex-cli":
		if a.Owner == OwnerNo {
			return TrustUnknown
		}
		return TrustOwner
	case "channel":
		switch {
		case a.Owner == OwnerYes:
			return TrustOwner
		case t[[2]string{a.Channel, a.Sender}], t[[2]string{"", a.Sender}], t[[2]string{a.Channel, "*"}] && a.Owner == OwnerUnknown:
			return TrustPaired
		}
		return TrustUnknown
	case "hook", "http":
		return TrustExternal
	case "unknown":
		return ""
	}
	return TrustSystem
}

// peers are those who were let in, as the recipients of messages are compared.
func (t trusted) peers() map[string]bool {
	all := map[string]bool{}
	for who := range t {
		all[peer(who[1])] = true
	}
	return all
}
