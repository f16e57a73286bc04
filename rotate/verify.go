package rotate

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"
)

// A Check is one thing that was looked at after a change, and what was seen.
type Check struct {
	What   string `json:"what"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"`
	Hint   string `json:"hint,omitempty"` // what to do where it is not OK
}

// Answer is what a gateway said to a credential.
type Answer string

// The answers. NoAnswer is also an answer that tells nothing about the credential, such as that there were too many attempts.
const (
	Accepted Answer = "accepted"
	Refused  Answer = "refused"
	NoAnswer Answer = "no answer"
)

// A Verdict is a gateway's answer to one credential over one protocol.
type Verdict struct {
	Answer Answer `json:"answer"`
	Code   string `json:"code,omitempty"` // as "401", "AUTH_TOKEN_MISMATCH", "close 1008"
	Why    string `json:"why,omitempty"`  // why there is no answer
}

func (v Verdict) String() string {
	s := string(v.Answer)
	if v.Code != "" {
		s += " (" + v.Code + ")"
	}
	if v.Why != "" {
		s += ": " + v.Why
	}
	return s
}

// A Probe asks a gateway on this machine. It speaks to loopback alone, or with Own to an address of this machine, through no
// proxy, follows nothing and reads no more than it must: the gateway may be the attacker's.
type Probe struct {
	Addr string // as "127.0.0.1:18789"
	TLS  bool   // gateway.tls; no certificate is checked, as over loopback there is no one in between
	Own  bool   // also an address of this machine's interfaces: only for what asks without a secret
	// Dial connects, where the gateway has a network of its own; nil is the machine's.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

const (
	// probeTimeout bounds one question. A refusal over loopback is delayed by some seconds at most.
	probeTimeout = 15 * time.Second
	// maxOld bounds the old values that are tried. With a limit on loopback too (gateway.auth.rateLimit.exemptLoopback off)
	// ten failures in a minute shut everyone out for five.
	maxOld = 3
	// reloadTries and reloadPause are how long a running gateway that still refuses gets to take over an edited config: about
	// 1 s is usual (FACTS 3.3). Until 2026.7 at least it starts itself anew instead, even after it has taken the value over, and
	// is away for restartLimit at most: 20 s on two cores, a minute where they are busy.
	reloadTries  = 3
	reloadPause  = 2 * time.Second
	restartLimit = 2 * time.Minute
)

// Verify shows that a gateway accepts the new value of a credential and refuses the old ones, over HTTP and over WebSocket. It
// gives a running gateway a few seconds to notice the change, and one that starts anew because of it, or does not answer for
// another reason, two minutes for all questions together. Where no old value is known one that never was is tried.
func Verify(ctx context.Context, p Probe, c Credential, old []string, value string) []Check {
	end := time.Now().Add(restartLimit)
	var protocols []protocol
	for _, proto := range p.protocols() {
		protocols = append(protocols, protocol{proto.name, patient(proto.ask, end)})
	}
	return append(accepts(ctx, protocols, c.Name, value), refuses(ctx, protocols, c.Name, old, value)...)
}

// A protocol is a way to ask a gateway.
type protocol struct {
	name string
	ask  func(ctx context.Context, value string) Verdict
}

func (p Probe) protocols() []protocol {
	return []protocol{{"HTTP", p.HTTP}, {"WebSocket", p.WebSocket}}
}

// patient asks again and again until there is an answer, or time is over.
func patient(ask func(context.Context, string) Verdict, end time.Time) func(context.Context, string) Verdict {
	return func(ctx context.Context, value string) Verdict {
		for {
			v := ask(ctx, value)
			if v.Answer != NoAnswer || v.limited() || time.Now().After(end) || !pause(ctx, reloadPause) {
				return v
			}
		}
	}
}

func accepts(ctx context.Context, protocols []protocol, name, value string) (checks []Check) {
	tries := reloadTries // for all protocols together
	for _, proto := range protocols {
		v := proto.ask(ctx, value)
		for ; v.Answer == Refused && tries > 1 && pause(ctx, reloadPause); tries-- {
			v = proto.ask(ctx, value)
		}
		check := Check{What: fmt.Sprintf("%s: the new value is accepted over %s", name, proto.name), OK: v.Answer == Accepted, Detail: v.String()}
		if !check.OK {
			check.Hint = hint(v, "a gateway that got its credential from its environment, or from a file beside the config, takes a new one only when it is started again")
		}
		checks = append(checks, check)
	}
	return checks
}

// limited reports that there were too many wrong attempts.
func (v Verdict) limited() bool { return v.Code == "429" || v.Code == "AUTH_RATE_LIMITED" }

func refuses(ctx context.Context, protocols []protocol, name string, old []string, value string) (checks []Check) {
	what := "the old value is"
	switch {
	case len(old) == 0:
		old, what = []string{NewValue()}, "a wrong value is"
	case len(old) > 1:
		what = fmt.Sprintf("%d old values are", len(old))
	}
	for _, proto := range protocols {
		check := Check{What: fmt.Sprintf("%s: %s refused over %s", name, what, proto.name), OK: true}
		var details []string
		for i, o := range old {
			v := Verdict{Answer: NoAnswer, Why: "not tried, as too many wrong attempts shut the gateway for everyone"}
			switch {
			case o == value:
				v.Why = "it is the new one"
			case i < maxOld:
				v = proto.ask(ctx, o)
			}
			if v.Answer != Refused {
				check.OK, check.Hint = false, hint(v, "whoever has it still has the gateway: stop it with \"openclaw-ir contain\", or see that it is started again")
			}
			details = append(details, v.String())
		}
		check.Detail = strings.Join(details, "; ")
		checks = append(checks, check)
	}
	return checks
}

// hint says what to do about an answer that should have been another.
func hint(v Verdict, answered string) string {
	switch {
	case v.limited():
		return "wait five minutes, then: openclaw-ir rotate verify"
	case v.Answer == NoAnswer:
		return "see that the gateway runs, then: openclaw-ir rotate verify"
	}
	return answered
}

// pause waits and reports whether there is time left.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
