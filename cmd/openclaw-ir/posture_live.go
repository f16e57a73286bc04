package main

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/analyze/posture"
	"github.com/clawbook/openclaw-ir/contain"
	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/rotate"
)

// live looks at the running machine for one installation. What cannot be looked at is told in its Gaps.
func (x *posturing) live(ctx context.Context, in *openclaw.Installation) (*posture.Live, error) {
	m, err := newMachine(x.env)
	if err != nil {
		return nil, err
	}
	defer m.Root.Close()
	return lookLive(ctx, m, in)
}

func lookLive(ctx context.Context, m contain.Machine, in *openclaw.Installation) (*posture.Live, error) {
	l := &posture.Live{Listeners: []posture.Listener{}, Containers: []posture.ContainerSeen{}, Probes: []posture.ProbeSeen{}, Gaps: map[string]string{}}
	table, err := m.Processes(ctx)
	if err != nil {
		return nil, err
	}
	names := map[int]string{}
	for _, p := range table.Processes {
		names[p.PID] = string(p.Comm)
		l.Programs = append(l.Programs, string(p.Comm))
	}
	slices.Sort(l.Programs)
	l.Programs = slices.Compact(l.Programs)
	if m.Mac {
		l.Gaps["sockets"], l.Gaps["firewall"] = "not looked at on macOS", "not looked at on macOS"
	} else if err := lookNetwork(ctx, m, table.Processes, names, l); err != nil {
		return nil, err
	}
	containers, gaps := m.Hardenings(ctx, table.Processes)
	for _, c := range containers {
		l.Containers = append(l.Containers, containerSeen(c))
	}
	if len(gaps) > 0 {
		l.Gaps["containers"] = strings.Join(gaps, "; ")
	}
	l.Probes = lookProbes(ctx, in, l.Listeners)
	return l, ctx.Err()
}

func lookNetwork(ctx context.Context, m contain.Machine, processes []host.Process, names map[int]string, l *posture.Live) error {
	sockets, own, gaps, err := host.Listening(ctx, m.Root, processes)
	if err != nil {
		return err
	}
	for _, s := range sockets {
		n := posture.Listener{Addr: s.Local, PIDs: s.PIDs, UID: s.UID, Outside: own != "" && s.NetNS != "" && s.NetNS != own}
		if len(s.PIDs) > 0 {
			n.Program = names[s.PIDs[0]]
		}
		l.Listeners = append(l.Listeners, n)
	}
	for _, g := range gaps { // whose sockets they are may be hidden, and that they listen is not
		if !strings.HasPrefix(string(g), "open files") {
			l.Gaps["sockets"] = string(g)
		}
	}
	f := host.ReadFilter(ctx, m.Root, m.Run)
	l.Firewall = posture.FirewallState{UFW: f.UFW, Incoming: f.Incoming, Rules: f.Rules, Drops: f.Drops != "", Other: f.Drops, Limits: f.Limits, Why: f.Why}
	return nil
}

func containerSeen(c contain.Hardening) posture.ContainerSeen {
	return posture.ContainerSeen{
		Engine: c.Engine, Name: string(c.Name), What: c.What, Running: c.Running, NoNewPrivileges: c.NoNewPrivileges, CapDrop: c.CapDrop, CapAdd: c.CapAdd,
		ReadOnly: c.ReadOnly, Privileged: c.Privileged, Network: c.Network, PID: c.PID, Binds: c.Binds, Published: c.Published, Labels: c.Labels,
	}
}

// maxProbes bounds how many addresses of this machine are asked.
const maxProbes = 4

// lookProbes asks the gateway without a secret: over loopback, and where it listens beyond that at addresses of this
// machine's own. Nothing leaves the machine.
func lookProbes(ctx context.Context, in *openclaw.Installation, listeners []posture.Listener) (seen []posture.ProbeSeen) {
	if in.Port <= 0 || in.Port > 65535 {
		return nil
	}
	port := uint16(in.Port)
	addrs := []netip.AddrPort{netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port)}
	for _, n := range listeners {
		if n.Addr.Port() != port || !n.Open() {
			continue
		}
		addrs = append(addrs, ownAddresses(n.Addr)...)
	}
	slices.SortFunc(addrs[1:], netip.AddrPort.Compare)
	addrs = slices.Compact(addrs)
	tls, _ := in.Config.Get("gateway", "tls", "enabled").(bool)
	for _, addr := range addrs[:min(len(addrs), maxProbes)] {
		p := rotate.Probe{Addr: addr.String(), TLS: tls, Own: true}
		s := posture.ProbeSeen{Addr: addr}
		s.Healthy, s.Version, s.Why = p.Health(ctx)
		v := p.WebSocket(ctx, "")
		s.Accepted, s.Refused = v.Answer == rotate.Accepted, v.Answer == rotate.Refused
		seen = append(seen, s)
	}
	return seen
}

// ownAddresses are the addresses of this machine at which a listener is reached: its own, or for one that listens on
// all those of the interfaces.
func ownAddresses(at netip.AddrPort) (list []netip.AddrPort) {
	if !at.Addr().IsUnspecified() {
		return []netip.AddrPort{at}
	}
	interfaces, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	for _, a := range interfaces {
		prefix, err := netip.ParsePrefix(a.String())
		if err == nil && prefix.Addr().Is4() && !prefix.Addr().IsLoopback() && !prefix.Addr().IsLinkLocalUnicast() {
			list = append(list, netip.AddrPortFrom(prefix.Addr(), at.Port()))
		}
	}
	return list
}
