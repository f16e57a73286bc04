package posture

import (
	"cmp"
	"context"
	"fmt"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

// A Reach says how far the configuration let others reach the gateway and the agent. Its lines may hold hostile text but no
// secret.
type Reach struct {
	Beyond string   // "yes" if others than this machine could reach the gateway, "no", or "unknown"
	Facts  []string // one line a fact
}

// ReachOf reads the configuration that is in force. A tunnel, a reverse proxy or a published port of a container does not show
// in it.
func ReachOf(ctx context.Context, in *openclaw.Installation, o Options) Reach {
	if in.Config == nil || in.Config.Tree == nil {
		return Reach{Beyond: "unknown", Facts: []string{"the configuration could not be read"}}
	}
	s := newState(ctx, in, o)
	a := s.auth()
	r := Reach{Beyond: "no"}
	if s.exposed() {
		r.Beyond = "yes"
	}
	auth := fmt.Sprintf("authentication %q, and no secret is set", short(a.mode))
	if a.shared() {
		auth = fmt.Sprintf("authentication %q", short(a.mode))
	}
	r.Facts = []string{fmt.Sprintf("bound to %q, port %d", short(s.bind()), in.Port), auth, fmt.Sprintf("Tailscale is %q", short(s.tailscale()))}
	sections := s.channelSections()
	for i, c := range sections {
		if i == maxLines {
			r.Facts = append(r.Facts, fmt.Sprintf("%d channels and accounts more", len(sections)-i))
			break
		}
		if c.enabled() {
			r.Facts = append(r.Facts, c.policies())
		}
	}
	return r
}

// policies says whom a channel lets in.
func (c channelSection) policies() string {
	word := func(v any) string {
		s, _ := v.(string)
		return fmt.Sprintf("%q", short(cmp.Or(s, "default")))
	}
	name := "channel " + short(c.channel)
	if c.account != "" {
		name += ", account " + short(c.account)
	}
	return fmt.Sprintf("%s: direct messages %s, groups %s", name, word(either(c.setting("dmPolicy"), at(c.conf, "dm", "policy"))), word(c.setting("groupPolicy")))
}
