package contain

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/host"
)

// Verify looks whether the host is closed, whatever the commands said that closed it.
func (f *Firewall) Verify(ctx context.Context, m Machine) []Check {
	var list []Check
	add := func(what string, err error, hint string) {
		c := Check{What: what, OK: err == nil}
		if err != nil {
			c.Detail, c.Hint = err.Error(), hint
		}
		list = append(list, c)
	}
	const again = "openclaw-ir contain"
	if f.UFW {
		add("UFW is active and denies incoming", f.verifyUFW(ctx, m), "ufw default deny incoming; ufw enable")
		add("UFW lets the responder in", f.ufwLetsIn(m), again)
		add("UFW has no rule for the gateway", f.verifyRemoved(m), "ufw status numbered")
	}
	switch now := f.loaded(ctx, m); {
	case f.Own == "":
		add("our own rules are loaded", fmt.Errorf("neither nft nor iptables works"), "close the ports at your provider's firewall")
	case now == "":
		add("our own rules are loaded", fmt.Errorf("they are not there"), again)
	case f.Loaded != "" && now != f.Loaded:
		add("our own rules are loaded", host.ErrChanged, again)
	default:
		add("our own rules are loaded", nil, "")
	}
	if f.Persist {
		res := m.Run.Run(ctx, host.Command{Argv: []string{"systemctl", "is-enabled", ownUnit}})
		var err error
		if !res.OK() {
			err = failure(res)
		}
		add("our own rules are loaded at boot", err, "systemctl enable "+ownUnit)
	} else if f.Own != "" {
		add("our own rules are loaded at boot", fmt.Errorf("systemd does not run here"), "after a reboot: "+again)
	}
	net, err := readNetwork(ctx, m)
	if err != nil {
		add("sockets", err, "ss -tanp")
		return list
	}
	return append(list, f.verifySockets(net)...)
}

func (f *Firewall) verifyUFW(ctx context.Context, m Machine) error {
	res := m.Run.Run(ctx, host.Command{Argv: []string{"ufw", "status", "verbose"}, Timeout: firewallTimeout})
	if !res.OK() {
		return failure(res)
	}
	if !ufwActive(res) {
		return fmt.Errorf("UFW is inactive")
	}
	for line := range strings.Lines(string(res.Stdout)) {
		if rest, ok := strings.CutPrefix(line, "Default: "); ok {
			incoming, _, _ := strings.Cut(rest, ",")
			if incoming != "deny (incoming)" && incoming != "reject (incoming)" {
				return fmt.Errorf("UFW's default is %.40q", incoming)
			}
			return nil // what comes after may be a comment
		}
	}
	return fmt.Errorf("UFW says no default")
}

func (f *Firewall) verifyRemoved(m Machine) error {
	rules, _, err := readUFWRules(m)
	for _, r := range rules {
		if err == nil && r.reach(f.Ports) == exactly {
			err = fmt.Errorf("%s is there", r)
		}
	}
	return err
}

// verifySockets looks for what listens on the ports, what is connected to them, and for the responder's own way in.
func (f *Firewall) verifySockets(net network) []Check {
	var listening, connected, gone []string
	for _, s := range net.sockets {
		if !slices.Contains(f.Ports, s.Local.Port()) {
			continue
		}
		if s.State == "LISTEN" {
			listening = append(listening, s.Local.String()+net.holder(s))
		} else if isConnection(s) {
			connected = append(connected, s.Remote.String()+" to "+s.Local.String()+net.holder(s))
		}
	}
	ssh, sessions := net.ssh()
	for _, w := range f.Keep {
		open := func(s host.Socket) bool { return unmapped(s.Remote) == w.Peer }
		if w.Peer.IsValid() && !slices.ContainsFunc(sessions, open) {
			gone = append(gone, w.Peer.String())
		}
	}
	closed := []string{}
	for _, port := range ssh {
		listens := func(s host.Socket) bool { return s.State == "LISTEN" && s.Local.Port() == port }
		if !slices.ContainsFunc(net.sockets, listens) {
			closed = append(closed, fmt.Sprintf("nothing listens on %d", port))
		}
	}
	check := func(what string, seen []string, hint string) Check {
		if len(seen) == 0 {
			return Check{What: what, OK: true}
		}
		if n := len(seen); n > 5 {
			seen = append(seen[:5], fmt.Sprintf("%d more", n-5))
		}
		return Check{What: what, Detail: strings.Join(seen, ", "), Hint: hint}
	}
	ports := portList(f.Ports, "-")
	var list []Check
	if len(f.Ports) > 0 {
		list = append(list,
			check("nothing listens on "+ports, listening, "ss -tlnp"),
			check("nothing is connected to "+ports, connected, "ss -K sport = :"+port(f.Ports[0])))
	}
	if !f.settled && slices.ContainsFunc(f.Keep, func(w Way) bool { return w.Peer.IsValid() }) {
		list = append(list, check("the SSH sessions are open", gone, "ss -tnp"))
	}
	return append(list, check("SSH listens", closed, "systemctl start ssh"))
}
