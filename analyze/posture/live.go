package posture

import (
	"net/netip"
	"strings"
)

// Live is what was seen on the running machine: sockets, firewall, containers, and whether the gateway answers
// without a token. It is plain data: who fills it has run the commands.
type Live struct {
	Listeners  []Listener      `json:"listeners"`
	Firewall   FirewallState   `json:"firewall"`
	Containers []ContainerSeen `json:"containers"`
	Probes     []ProbeSeen     `json:"probes"`
	// Programs are the names of the processes that run, for what protects by running (fail2ban).
	Programs []string `json:"programs,omitempty"`
	// Gaps says what could not be looked at, a part a key: "sockets", "firewall", "containers".
	Gaps map[string]string `json:"gaps,omitempty"`
}

// A Listener is a TCP port that something listens on.
type Listener struct {
	Addr    netip.AddrPort `json:"addr"`
	PIDs    []int          `json:"pids"`
	Program string         `json:"program,omitempty"` // of the first of them
	UID     uint32         `json:"uid"`
	// Outside says that it lies in another network namespace than ours, such as a container's.
	Outside bool `json:"outside,omitempty"`
}

// Open reports that others than this machine can reach the listener, as far as its address decides.
func (l Listener) Open() bool { return !l.Outside && !l.Addr.Addr().Unmap().IsLoopback() }

func (l Listener) String() string {
	text := l.Addr.String()
	if l.Program != "" {
		text += " (" + l.Program + ")"
	}
	return text
}

// A FirewallState is what filters incoming packets.
type FirewallState struct {
	UFW      string   `json:"ufw"`             // active, inactive, absent or unknown
	Incoming string   `json:"incoming"`        // UFW's default for incoming packets: deny, reject, allow; "" if unknown
	Rules    []string `json:"rules,omitempty"` // UFW's, as it lists them
	// Drops says that rules beside UFW's drop what comes in and is not allowed.
	Drops bool   `json:"drops,omitempty"`
	Other string `json:"other,omitempty"` // which: nftables, iptables, firewalld
	// Limits says that other rules limit how often a connection to SSH is tried.
	Limits bool   `json:"limits,omitempty"`
	Why    string `json:"why,omitempty"` // why it is unknown
}

// rules returns UFW's rules about a port or an application profile, by what they do: allow, limit, deny or reject.
func (f *FirewallState) rules(action string, names ...string) (found []string) {
	for _, rule := range f.Rules {
		to, rest, _ := strings.Cut(rule, "  ")
		port, _, _ := strings.Cut(strings.TrimSpace(to), "/")
		port, _, _ = strings.Cut(port, " ")
		for _, name := range names {
			if port == name && strings.HasPrefix(strings.TrimSpace(rest), strings.ToUpper(action)) {
				found = append(found, strings.Join(strings.Fields(rule), " "))
			}
		}
	}
	return found
}

// A ContainerSeen is a container of OpenClaw's: its gateway, a sandbox or a sandbox's browser.
type ContainerSeen struct {
	Engine          string            `json:"engine"`
	Name            string            `json:"name"`
	What            string            `json:"what"` // gateway, sandbox or browser
	Running         bool              `json:"running"`
	NoNewPrivileges bool              `json:"no_new_privileges"`
	CapDrop         []string          `json:"cap_drop"`
	CapAdd          []string          `json:"cap_add"`
	ReadOnly        bool              `json:"read_only"`
	Privileged      bool              `json:"privileged"`
	Network         string            `json:"network"`
	PID             string            `json:"pid_mode"`
	Binds           []string          `json:"binds"`
	Published       []string          `json:"published"` // address:port on the host
	Labels          map[string]string `json:"labels,omitempty"`
}

// A ProbeSeen is one address of this machine at which the gateway was asked without a secret.
type ProbeSeen struct {
	Addr    netip.AddrPort `json:"addr"`
	Healthy bool           `json:"healthy"` // it says that it is a gateway and lives
	// Accepted says that it let in who showed no secret; Refused that it did not. Neither: it told nothing.
	Accepted bool   `json:"accepted"`
	Refused  bool   `json:"refused"`
	Why      string `json:"why,omitempty"`
	Version  string `json:"version,omitempty"` // that its page names
}
