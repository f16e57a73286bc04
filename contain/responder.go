package contain

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/internal/host"
)

// A Way is how a responder comes in over SSH: what stays open whatever else is closed.
type Way struct {
	From netip.Prefix   `json:"from,omitzero"` // from anywhere if it is zero
	Port uint16         `json:"port"`          // TCP
	By   string         `json:"by"`            // what told us, such as "SSH_CONNECTION"
	Peer netip.AddrPort `json:"peer,omitzero"` // the far end of the connection that is open now, if one was seen
}

// What tells of a Way.
const (
	bySSH     = "SSH_CONNECTION"
	bySession = "open SSH session"
)

// String says it as the plan does: "22/tcp from 203.0.113.9".
func (w Way) String() string { return fmt.Sprintf("%d/tcp from %s", w.Port, w.source()) }

// source is what a firewall calls where the Way leads from.
func (w Way) source() string {
	switch {
	case !w.From.IsValid():
		return "any"
	case w.From.IsSingleIP():
		return w.From.Addr().String()
	}
	return w.From.String()
}

// v6 says whether the Way needs IPv6.
func (w Way) v6() bool { return !w.From.IsValid() || w.From.Addr().Is6() }

func (w Way) v4() bool { return !w.From.IsValid() || w.From.Addr().Is4() }

// tailnet says whether an address is one that Tailscale gives out.
func tailnet(a netip.Addr) bool {
	return netip.MustParsePrefix("100.64.0.0/10").Contains(a) || netip.MustParsePrefix("fd7a:115c:a1e0::/48").Contains(a)
}

// waysLimit bounds the rules that are made for responders.
const waysLimit = 64

// Responder finds where the people who work on this machine over SSH are connected from: by connection, which is the
// SSH_CONNECTION of our own environment, by that of the processes that started us (sudo drops it), and by the sessions that
// sshd holds open. A session of someone else is among them; By tells them apart, the likeliest of ours being first.
// To them come the addresses or CIDR prefixes of allow, for each port that sshd listens on. Nothing is found on a console.
func Responder(ctx context.Context, m Machine, connection string, allow []string) ([]Way, error) {
	allowed, err := ParsePrefixes(allow)
	if err != nil {
		return nil, err
	}
	net, err := readNetwork(ctx, m)
	if err != nil {
		return nil, fmt.Errorf("finding the responder: %w", err)
	}
	ports, sessions := net.ssh()
	var ways []Way
	add := func(w Way) {
		same := func(o Way) bool { return o.From == w.From && o.Port == w.Port }
		if i := slices.IndexFunc(ways, same); i >= 0 {
			if !ways[i].Peer.IsValid() {
				ways[i].Peer = w.Peer
			}
		} else if len(ways) < waysLimit {
			ways = append(ways, w)
		}
	}
	for i, text := range append([]string{connection}, net.ancestors(m)...) {
		by := bySSH
		if i > 0 {
			by = bySSH + " of a parent process"
		}
		peer, port, ok := parseConnection(text)
		if !ok {
			continue
		}
		for _, port := range trustedPorts(port, ports) {
			add(Way{From: only(peer.Addr()), Port: port, By: by})
		}
	}
	for _, s := range sessions {
		if peer := unmapped(s.Remote); !peer.Addr().IsLoopback() {
			add(Way{only(peer.Addr()), s.Local.Port(), bySession, peer})
		}
	}
	for _, prefix := range allowed {
		for _, port := range ports {
			add(Way{From: prefix, Port: port, By: "--allow-from"})
		}
	}
	return ways, nil
}

// OwnWays parts the ways that are ours, or were asked for, from those of whoever else has a session open, which may be the
// intruder. Where nothing tells which is ours, all are taken for it: nobody is to be locked out. An environment tells only if
// a session from there is open; that of tmux may be of yesterday.
func OwnWays(ways []Way) (own, others []Way) {
	known := slices.ContainsFunc(ways, func(w Way) bool { return strings.HasPrefix(w.By, bySSH) && w.Peer.IsValid() })
	for _, w := range ways {
		if known && w.By == bySession {
			others = append(others, w)
		} else {
			own = append(own, w)
		}
	}
	return own, others
}

// trustedPorts returns the port that an environment names if sshd does listen there, else all that sshd listens on: whoever could
// write the environment must not have us open the gateway's port.
func trustedPorts(port uint16, ports []uint16) []uint16 {
	if slices.Contains(ports, port) {
		return []uint16{port}
	}
	return ports
}

// ParsePrefixes reads addresses and prefixes, as "203.0.113.9" and "203.0.113.0/24".
func ParsePrefixes(list []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, s := range list {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			var a netip.Addr
			if a, err = netip.ParseAddr(s); err == nil {
				p = only(a)
			}
		}
		if err != nil || p.Addr().Is4In6() {
			return nil, fmt.Errorf("%q is neither an address nor a prefix such as 203.0.113.0/24", s)
		}
		if p = p.Masked(); p.Bits() == 0 {
			p = netip.Prefix{} // from anywhere
		}
		out = append(out, p)
	}
	return out, nil
}

// only is the prefix that holds one address.
func only(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	return netip.PrefixFrom(a, a.BitLen())
}

func unmapped(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}

// parseConnection reads SSH_CONNECTION: client address and port, server address and port.
func parseConnection(text string) (peer netip.AddrPort, port uint16, ok bool) {
	f := strings.Fields(text)
	if len(f) != 4 {
		return peer, 0, false
	}
	addr, err := netip.ParseAddr(f[0])
	theirs, err2 := strconv.ParseUint(f[1], 10, 16)
	ours, err3 := strconv.ParseUint(f[3], 10, 16)
	if err != nil || err2 != nil || err3 != nil || ours == 0 || addr.IsUnspecified() || addr.IsMulticast() {
		return peer, 0, false
	}
	return unmapped(netip.AddrPortFrom(addr, uint16(theirs))), uint16(ours), true
}

// network is one look at the TCP and UDP sockets of our own network namespace and at who holds them.
type network struct {
	processes map[int]host.Process
	sockets   []host.Socket
}

func readNetwork(ctx context.Context, m Machine) (network, error) {
	procs, err := host.Processes(ctx, m.Root)
	if err != nil {
		return network{}, err
	}
	table, err := host.Sockets(ctx, m.Root, procs.Processes)
	if err != nil {
		return network{}, err
	}
	n := network{processes: map[int]host.Process{}}
	for _, p := range procs.Processes {
		n.processes[p.PID] = p
	}
	ns, _ := m.Root.ReadLink("proc/self/ns/net")
	for _, s := range table.Sockets {
		if string(s.NetNS) == ns && (strings.HasPrefix(s.Proto, "tcp") || strings.HasPrefix(s.Proto, "udp")) {
			n.sockets = append(n.sockets, s)
		}
	}
	return n, nil
}

// isSSHD tells root's own SSH daemon: sshd, sshd-session since OpenSSH 9.8, or dropbear.
func isSSHD(p host.Process) bool {
	name := programOf(p)
	return name == "sshd" || strings.HasPrefix(name, "sshd-") || strings.HasPrefix(name, "sshd.") || strings.HasPrefix(name, "dropbear")
}

// programOf is the name of the program that a process of root's runs, by its file; "" if somebody else started it. The process's own name
// tells nothing: a user runs what is set-user-ID by any name, and hands it a socket.
func programOf(p host.Process) string {
	switch {
	case p.UID != 0 || p.EUID != 0:
		return ""
	case p.Exe == "": // we are not root
		return string(p.Comm)
	}
	return path.Base(strings.TrimSuffix(string(p.Exe), " (deleted)"))
}

// ssh returns the ports that SSH is served on, 22 if none is seen, and the connections to them. A listening socket of a session is
// a forwarded port and not sshd's own. Under socket activation systemd holds the listening one.
func (n network) ssh() (ports []uint16, sessions []host.Socket) {
	add := func(port uint16) {
		if !slices.Contains(ports, port) {
			ports = append(ports, port)
		}
	}
	for _, s := range n.sockets {
		if s.State != "LISTEN" || s.Local.Addr().Unmap().IsLoopback() {
			continue
		}
		for _, pid := range s.PIDs {
			p := n.processes[pid]
			if isSSHD(p) && !isSSHD(n.processes[p.PPID]) || pid == 1 && s.Local.Port() == 22 {
				add(s.Local.Port())
			}
		}
	}
	held := func(s host.Socket, is func(host.Process) bool) bool {
		return slices.ContainsFunc(s.PIDs, func(pid int) bool { return is(n.processes[pid]) })
	}
	for _, s := range n.sockets {
		if s.State != "ESTAB" || !held(s, isSSHD) {
			continue
		}
		listens := func(l host.Socket) bool {
			return l.State == "LISTEN" && l.Local.Port() == s.Local.Port() && held(l, func(p host.Process) bool { return p.PID == 1 })
		}
		if slices.ContainsFunc(n.sockets, listens) {
			add(s.Local.Port())
		}
		if slices.Contains(ports, s.Local.Port()) {
			sessions = append(sessions, s)
		}
	}
	if len(ports) == 0 {
		ports = []uint16{22}
	}
	slices.Sort(ports)
	return ports, sessions
}

// ancestors returns the SSH_CONNECTION of the processes that started us, the nearest first.
func (n network) ancestors(m Machine) (list []string) {
	self, _ := m.Root.ReadLink("proc/self")
	pid, _ := strconv.Atoi(self)
	for range 64 {
		p, ok := n.processes[pid]
		if !ok || p.PID <= 1 {
			break
		}
		if s := environmentOf(m, pid, "SSH_CONNECTION"); s != "" {
			list = append(list, s)
		}
		pid = p.PPID
	}
	return list
}

// environmentOf reads one variable of a process. Its memory may lie on a file system that never answers.
func environmentOf(m Machine, pid int, name string) string {
	ch := make(chan string, 1)
	go func() {
		defer close(ch)
		f, err := m.Root.Open(fmt.Sprintf("proc/%d/environ", pid))
		if err != nil {
			return
		}
		defer f.Close()
		text, _ := io.ReadAll(io.LimitReader(f, 1<<20))
		for v := range strings.SplitSeq(string(text), "\x00") {
			if s, ok := strings.CutPrefix(v, name+"="); ok {
				ch <- s
				return
			}
		}
	}()
	select {
	case s := <-ch:
		return s
	case <-time.After(500 * time.Millisecond):
		return ""
	}
}

// tunnels returns the UDP ports that VPNs listen on, where a VPN's interface is there: the responder may come in through
// it, and it then has to go on hearing its peers. The kernel's own sockets, such as WireGuard's, have no holder.
func (n network) tunnels(m Machine) (ports []uint16) {
	list, _ := m.Root.ReadDir("sys/class/net")
	if !slices.ContainsFunc(list, func(e fs.DirEntry) bool { return isTunnel(m, e.Name()) }) {
		return nil
	}
	for _, s := range n.sockets {
		if !strings.HasPrefix(s.Proto, "udp") || s.Local.Addr().Unmap().IsLoopback() || s.Local.Port() == 0 || slices.Contains(ports, s.Local.Port()) {
			continue
		}
		vpn := len(s.PIDs) == 0 && s.UID == 0
		for _, pid := range s.PIDs {
			switch programOf(n.processes[pid]) {
			case "tailscaled", "openvpn", "wireguard-go", "charon", "charon-systemd", "pluto", "zerotier-one":
				vpn = true
			}
		}
		if vpn && len(ports) < 16 {
			ports = append(ports, s.Local.Port())
		}
	}
	slices.Sort(ports)
	return ports
}

// isTunnel tells a network interface without link-layer addresses: ARPHRD_NONE of if_arp.h, as WireGuard's, TUN's and Tailscale's are.
func isTunnel(m Machine, name string) bool {
	f, err := m.Root.Open("sys/class/net/" + name + "/type")
	if err != nil {
		return false
	}
	defer f.Close()
	text, _ := io.ReadAll(io.LimitReader(f, 16))
	return strings.TrimSpace(string(text)) == "65534"
}
