package contain

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

// Options choose what a containment does beyond freezing and stopping. The zero value does no more than that.
type Options struct {
	Firewall   *FirewallOptions // nil: the firewall is left alone
	LockConfig bool
}

// A Plan is what a containment is about to do. Making it changes nothing.
type Plan struct {
	Processes  []Ref       `json:"processes"`
	Units      []Unit      `json:"units"`
	Containers []Container `json:"containers"`
	Keepers    []Ref       `json:"supervisors"`        // killed: they run nothing else
	Held       []Ref       `json:"held"`               // stopped and not killed: they run other things too
	Cron       []File      `json:"crontabs"`           //
	Firewall   *Firewall   `json:"firewall,omitempty"` // nil: left alone
	Locks      []Lock      `json:"locks,omitempty"`
	Unlocked   []string    `json:"unlocked,omitempty"` // what a configuration cannot close
	Ports      []int       `json:"ports"`              // of the gateways
	Users      []uint32    `json:"users,omitempty"`    // whose installations there are
	// Gaps says what could not be looked at, and so may be missing here.
	Gaps []string `json:"gaps"`
}

// Plan looks at the host and says what there is to do. What was frozen before it is not thawed by it; processes of
// sandbox containers, which only their engine can name, are frozen now.
func (m Machine) Plan(ctx context.Context, f *Frozen, installs []*openclaw.Installation, o Options) (*Plan, error) {
	table, err := m.Processes(ctx)
	if err != nil {
		return nil, err
	}
	procs := actors(table.Processes, nil)
	p := &Plan{} // what could not be frozen has been told, and is looked at again when it is killed
	containers, gaps := m.containers(ctx, procs, table.Processes)
	p.Containers, p.Gaps = containers, append(p.Gaps, gaps...)
	for _, c := range containers {
		for _, in := range c.within(table.Processes) {
			if in.Role == "" {
				in.Role = c.What
				procs = append(procs, in)
			}
		}
	}
	if len(f.Processes) > 0 {
		f.stop(m, procs)
	}
	alone, shared := keepers(table.Processes, procs)
	up := ancestors(table.Processes)
	for _, k := range alone {
		if !up[k.PID] {
			p.Keepers = append(p.Keepers, refOf(k))
		}
	}
	for _, k := range shared {
		if !up[k.PID] {
			p.Held = append(p.Held, refOf(k))
		}
	}
	for _, pr := range procs {
		p.Processes = append(p.Processes, refOf(pr))
	}
	if m.Mac {
		shared = nil // their jobs stay: launchd ends what it forgets
	}
	members, gaps := atHome(table.Processes, procs)
	p.Gaps = append(p.Gaps, gaps...)
	units, gaps := m.units(ctx, installs, append(members, append(alone, shared...)...))
	p.Units, p.Gaps = units, append(p.Gaps, gaps...)
	p.Cron, gaps = m.crontabs()
	p.Gaps = append(p.Gaps, gaps...)
	for _, in := range installs {
		if owner, err := host.OwnerOf(m.Root, in.StateDir); err == nil && !slices.Contains(p.Users, owner.UID) {
			p.Users = append(p.Users, owner.UID)
		}
	}
	if p.Ports = gatewayPorts(installs, containers); !m.Mac {
		gaps = p.leaveOthersPorts(ctx, m)
		p.Gaps = append(p.Gaps, gaps...)
		p.Ports = unique(append(p.Ports, m.publishedPorts(ctx, p.Ports)...))
	}
	m.planOptions(ctx, p, installs, o)
	return p, nil
}

// planOptions adds the steps that were asked for.
func (m Machine) planOptions(ctx context.Context, p *Plan, installs []*openclaw.Installation, o Options) {
	if o.LockConfig {
		m.planLocks(p, installs)
	}
	if o.Firewall == nil {
		return
	}
	fw := *o.Firewall
	fw.Ports = p.Ports
	var err error
	if p.Firewall, err = PlanFirewall(ctx, m, fw); err != nil { // no reason not to stop the agent
		p.Firewall, p.Gaps = nil, append(p.Gaps, "closing the firewall: "+err.Error())
	}
}

// defaultPort is the gateway's (FACTS 1). The port of the browser's control is two above.
const defaultPort = 18789

// gatewayPorts are the ports that the gateways, their browser control, and their containers' published ports use.
func gatewayPorts(installs []*openclaw.Installation, containers []Container) []int {
	ports := []int{defaultPort, defaultPort + 2}
	for _, in := range installs {
		if in.Port > 0 && in.Port < 65534 {
			ports = append(ports, in.Port, in.Port+2)
		}
	}
	for _, c := range containers {
		ports = append(ports, c.Ports...)
	}
	return unique(ports)
}

// leaveOthersPorts takes out of the plan the ports that only a configuration calls the gateway's and that somebody else serves: the agent
// writes the configuration, and must not have another service closed.
func (p *Plan) leaveOthersPorts(ctx context.Context, m Machine) (gaps []string) {
	sure := gatewayPorts(nil, p.Containers)
	if !slices.ContainsFunc(p.Ports, func(port int) bool { return !slices.Contains(sure, port) }) {
		return nil
	}
	net, err := readNetwork(ctx, m)
	if err != nil {
		return []string{"who serves the gateway's ports: " + err.Error()}
	}
	p.Ports = slices.DeleteFunc(p.Ports, func(port int) bool {
		holder, others := net.servedByOthers(port, p.Users)
		if others = others && !slices.Contains(sure, port); others {
			gaps = append(gaps, fmt.Sprintf("closing %d/tcp: a configuration calls it the gateway's, and %q (process %d) serves it; it is not closed as the gateway's", port, holder.Comm, holder.PID))
		}
		return others
	})
	return gaps
}

// servedByOthers says whether a TCP port is listened on, and by none of the owners' processes, OpenClaw's, or the system's first, which listens
// for others. It returns one that does.
func (n network) servedByOthers(port int, owners []uint32) (holder host.Process, others bool) {
	for _, s := range n.sockets {
		if s.State != "LISTEN" || int(s.Local.Port()) != port {
			continue
		}
		for _, pid := range s.PIDs {
			holder = n.processes[pid]
			if pid == 1 || slices.Contains(owners, holder.UID) || holder.Role != "" {
				return holder, false
			}
			others = true
		}
	}
	return holder, others
}

// Stops says in one phrase what is stopped.
func (p *Plan) Stops() string {
	var words []string
	count := func(n int, one, many string) {
		switch {
		case n == 1:
			words = append(words, one)
		case n > 1:
			words = append(words, strconv.Itoa(n)+" "+many)
		}
	}
	var services, triggers []string
	for _, u := range p.Units {
		if u.Domain != "" || path.Ext(u.Name) == ".service" {
			services = append(services, u.String())
		} else {
			triggers = append(triggers, u.String())
		}
	}
	switch {
	case len(services) > 3:
		words = append(words, fmt.Sprintf("%d services", len(services)))
	case len(services) > 0:
		words = append(words, strings.Join(services, ", ")+" and its restart")
	}
	count(len(triggers), "1 timer or trigger", "timers and triggers")
	count(len(p.Containers), "1 container", "containers")
	for _, k := range p.Keepers {
		words = append(words, "supervisor "+string(k.Name))
	}
	for _, k := range p.Held {
		words = append(words, "supervisor "+string(k.Name)+" (held, not killed: it runs other programs too)")
	}
	count(len(p.Cron), "1 crontab", "crontabs")
	count(len(p.Processes), "1 process", "processes")
	if len(words) == 0 {
		return "nothing: no process, unit, container or crontab of OpenClaw was found"
	}
	return strings.Join(words, ", ") + "; stays stopped after a reboot"
}
