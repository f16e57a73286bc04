package contain

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/host"
)

// A Hardening says how a container of OpenClaw's is shut off from the machine.
type Hardening struct {
	Container
	NoNewPrivileges bool
	CapDrop, CapAdd []string
	ReadOnly        bool
	Privileged      bool
	Network, PID    string
	Binds           []string
	Published       []string // address:port on the host
	Labels          map[string]string
}

// Hardenings looks at the containers of OpenClaw. It asks their engines and changes nothing. The gaps name engines that
// did not answer.
func (m Machine) Hardenings(ctx context.Context, processes []host.Process) (list []Hardening, gaps []string) {
	found, gaps := m.containers(ctx, actors(processes, nil), processes)
	for _, c := range found {
		res := m.Run.Run(ctx, c.command("inspect", "--type", "container", "--", c.ID))
		if !res.OK() {
			gaps = append(gaps, fmt.Sprintf("%s: %v", c, failure(res)))
			continue
		}
		h, err := parseHardening(c, res.Stdout)
		if err != nil {
			gaps = append(gaps, fmt.Sprintf("%s: %v", c, err))
			continue
		}
		list = append(list, h)
	}
	return list, gaps
}

// hardened is what of "docker inspect" and "podman inspect" says how a container is shut off.
type hardened struct {
	HostConfig struct {
		CapAdd, CapDrop, SecurityOpt, Binds []string
		ReadonlyRootfs, Privileged          bool
		NetworkMode, PidMode                string
	}
	NetworkSettings struct {
		Ports map[string][]struct{ HostIp, HostPort string } //nolint:revive // as the engines name it
	}
	Config struct{ Labels map[string]string }
}

func parseHardening(c Container, text []byte) (Hardening, error) {
	var rows []hardened
	if err := json.Unmarshal(text, &rows); err != nil {
		return Hardening{}, fmt.Errorf("reading what %s inspect printed: %w", c.Engine, err)
	}
	if len(rows) != 1 {
		return Hardening{}, fmt.Errorf("%s inspect printed %d containers", c.Engine, len(rows))
	}
	hc := rows[0].HostConfig
	h := Hardening{
		Container: c, CapDrop: hc.CapDrop, CapAdd: hc.CapAdd, ReadOnly: hc.ReadonlyRootfs, Privileged: hc.Privileged,
		Network: hc.NetworkMode, PID: hc.PidMode, Binds: hc.Binds, Labels: map[string]string{},
	}
	for _, o := range hc.SecurityOpt {
		h.NoNewPrivileges = h.NoNewPrivileges || o == "no-new-privileges" || o == "no-new-privileges:true" || o == "no-new-privileges=true"
	}
	for _, published := range rows[0].NetworkSettings.Ports {
		for _, p := range published {
			h.Published = append(h.Published, net.JoinHostPort(p.HostIp, p.HostPort))
		}
	}
	for name, value := range rows[0].Config.Labels {
		if strings.HasPrefix(name, "openclaw.") {
			h.Labels[name] = value
		}
	}
	return h, nil
}
