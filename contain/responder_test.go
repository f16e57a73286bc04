package contain

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/clawbook/openclaw-ir/internal/host"
)

// A procTree is a made-up /proc of processes and their sockets.
type procTree struct {
	t      *testing.T
	dir    string
	tables map[string]string
	inode  int
}

func newProcTree(t *testing.T) *procTree {
	t.Helper()
	p := &procTree{t, t.TempDir(), map[string]string{}, 1000}
	p.put("proc/stat", "btime 1700000000\n")
	p.process(100, 1, 0, "openclaw-ir", "")
	p.link("100", "proc/self")
	return p
}

func (p *procTree) put(path, text string) {
	p.t.Helper()
	path = filepath.Join(p.dir, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		p.t.Fatal(err)
	}
}

func (p *procTree) link(target, path string) {
	p.t.Helper()
	path = filepath.Join(p.dir, path)
	_ = os.Remove(path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Symlink(target, path); err != nil {
		p.t.Fatal(err)
	}
}

func (p *procTree) process(pid, ppid, uid int, comm, environ string) {
	dir := fmt.Sprintf("proc/%d/", pid)
	p.put(dir+"stat", fmt.Sprintf("%d (%s) S %d 1 1 0 -1 0 0 0 0 0 0 0 0 0 0 0 0 0 5 0", pid, comm, ppid))
	p.put(dir+"status", fmt.Sprintf("Uid:\t%d\t%d\t0\t0\nGid:\t0\t0\t0\t0\n", uid, uid))
	p.put(dir+"environ", environ)
	p.put(dir+"cmdline", comm+"\x00")
	p.link("net:[1]", dir+"ns/net")
}

// becameRoot makes a process that a user started under some name, and that is root because its program, su, is set-user-ID. Some
// programs make root of the real user as well.
func (p *procTree) becameRoot(pid int, comm string, uid int) {
	p.process(pid, 1, 0, comm, "")
	p.put(fmt.Sprintf("proc/%d/status", pid), fmt.Sprintf("Uid:\t%d\t0\t0\t0\nGid:\t0\t0\t0\t0\n", uid))
	p.link("/usr/bin/su", fmt.Sprintf("proc/%d/exe", pid))
}

// socket makes a socket of IPv6's table, where one of IPv4's is mapped.
func (p *procTree) socket(proto, local, remote, state string, uid int, pids ...int) {
	p.inode++
	hex := func(s string) string {
		a := netip.MustParseAddrPort(s)
		b := a.Addr().As16()
		out := ""
		for w := 0; w < 16; w += 4 {
			out += fmt.Sprintf("%02X%02X%02X%02X", b[w+3], b[w+2], b[w+1], b[w])
		}
		return fmt.Sprintf("%s:%04X", out, a.Port())
	}
	p.tables[proto+"6"] += fmt.Sprintf("0: %s %s %s 0:0 0:0 0 %d 0 %d 1\n", hex(local), hex(remote), state, uid, p.inode)
	for _, pid := range pids {
		p.link(fmt.Sprintf("socket:[%d]", p.inode), fmt.Sprintf("proc/%d/fd/%d", pid, p.inode))
	}
	p.put("proc/net/"+proto+"6", "heading\n"+p.tables[proto+"6"])
	p.put("proc/100/net/"+proto+"6", "heading\n"+p.tables[proto+"6"])
}

const (
	estab  = "01"
	listen = "0A"
)

func (p *procTree) machine(run host.Runner) Machine {
	p.t.Helper()
	root, err := host.OpenRoot(p.dir)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { root.Close() })
	return Machine{Root: root, Run: run}
}

// sshHost has a root shell under sudo, whose environment has lost SSH_CONNECTION, in a session on port 2222.
func sshHost(t *testing.T) *procTree {
	t.Helper()
	p := newProcTree(t)
	p.process(1, 0, 0, "systemd", "")
	p.process(10, 1, 0, "sshd", "")
	p.process(20, 10, 0, "sshd-session", "")
	p.process(21, 20, 1000, "sshd-session", "")
	p.process(22, 21, 1000, "bash", "HOME=/home/a\x00SSH_CONNECTION=203.0.113.9 50000 198.51.100.7 2222\x00")
	p.process(23, 22, 0, "sudo", "HOME=/root\x00")
	p.process(100, 23, 0, "openclaw-ir", "")
	p.socket("tcp", "[::]:2222", "[::]:0", listen, 0, 10)
	p.socket("tcp", "[::ffff:198.51.100.7]:2222", "[::ffff:203.0.113.9]:50000", estab, 0, 20, 21)
	return p
}

func ways(t *testing.T, p *procTree, connection string, allow ...string) []string {
	t.Helper()
	list, err := Responder(t.Context(), p.machine(nil), connection, allow)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, w := range list {
		s := w.String() + " by " + w.By
		if w.Peer.IsValid() {
			s += " at " + w.Peer.String()
		}
		out = append(out, s)
	}
	return out
}

func TestResponder(t *testing.T) {
	const sudo = "2222/tcp from 203.0.113.9 by SSH_CONNECTION of a parent process at 203.0.113.9:50000"
	for _, test := range []struct {
		name       string
		change     func(p *procTree)
		connection string
		allow      []string
		want       []string
	}{
		{"sudo", func(*procTree) {}, "", nil, []string{sudo}},
		{"our own environment", func(*procTree) {}, "203.0.113.9 50000 198.51.100.7 2222", nil, []string{strings.Replace(sudo, " of a parent process", "", 1)}},
		{"stale environment of tmux", func(p *procTree) {
			p.process(22, 1, 1000, "tmux", "SSH_CONNECTION=192.0.2.1 1 198.51.100.7 2222\x00")
		}, "", nil, []string{
			"2222/tcp from 192.0.2.1 by SSH_CONNECTION of a parent process",
			"2222/tcp from 203.0.113.9 by open SSH session at 203.0.113.9:50000",
		}},
		{"forged environment", func(p *procTree) { // the gateway's port is not SSH's
			p.process(22, 21, 1000, "bash", "SSH_CONNECTION=192.0.2.1 1 198.51.100.7 18789\x00SSH_CONNECTION=x\x00")
		}, "1.2.3.4 5 6.7.8.9", nil, []string{
			"2222/tcp from 192.0.2.1 by SSH_CONNECTION of a parent process",
			"2222/tcp from 203.0.113.9 by open SSH session at 203.0.113.9:50000",
		}},
		{"forged sshd", func(p *procTree) { // neither what a user calls sshd, nor where root's sshd forwards to or from
			p.process(30, 1, 1000, "sshd", "")
			p.socket("tcp", "[::]:4444", "[::]:0", listen, 1000, 30)
			p.becameRoot(31, "sshd", 1000)
			p.becameRoot(32, "sshd", 0)
			p.socket("tcp", "[::]:5555", "[::]:0", listen, 1000, 31, 32)
			p.socket("tcp", "[::ffff:198.51.100.7]:2222", "[::ffff:192.0.2.66]:1", estab, 1000, 30)
			p.socket("tcp", "[::]:6010", "[::]:0", listen, 0, 20)
			p.socket("tcp", "[::ffff:198.51.100.7]:41000", "[::ffff:192.0.2.66]:443", estab, 0, 20)
		}, "", []string{"192.0.2.7"}, []string{sudo, "2222/tcp from 192.0.2.7 by --allow-from"}},
		{"socket activation", func(p *procTree) {
			p.process(10, 1, 0, "cron", "")
			p.socket("tcp", "[::]:2222", "[::]:0", listen, 0, 1)
			p.socket("tcp", "[::]:9090", "[::]:0", listen, 0, 1)
		}, "", nil, []string{sudo}},
		{"tailnet and link-local", func(*procTree) {}, "fe80::9%eth0 5 fe80::1%eth0 2222", []string{"100.64.0.9", "2001:db8::/32"}, []string{
			"2222/tcp from fe80::9 by SSH_CONNECTION", sudo,
			"2222/tcp from 100.64.0.9 by --allow-from", "2222/tcp from 2001:db8::/32 by --allow-from",
		}},
		{"two ports", func(p *procTree) { p.socket("tcp", "[::]:22", "[::]:0", listen, 0, 10) }, "", []string{"192.0.2.7"}, []string{
			sudo, "22/tcp from 192.0.2.7 by --allow-from", "2222/tcp from 192.0.2.7 by --allow-from",
		}},
	} {
		p := sshHost(t)
		test.change(p)
		if got := ways(t, p, test.connection, test.allow...); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s:\n%q, want\n%q", test.name, got, test.want)
		}
	}
	if got := ways(t, newProcTree(t), ""); got != nil {
		t.Errorf("on the console: %q", got)
	}
}

func TestAllowFrom(t *testing.T) {
	for _, s := range []string{"", "host.example", "1.2.3.4 or 5", "1.2.3.4/33", "::ffff:1.2.3.4/120", "-j ACCEPT"} {
		if _, err := Responder(t.Context(), sshHost(t).machine(nil), "", []string{s}); err == nil {
			t.Errorf("%q: no error", s)
		}
	}
	for s, want := range map[string]string{"::ffff:192.0.2.1": "192.0.2.1", "192.0.2.1/24": "192.0.2.0/24", "0.0.0.0/0": "any"} {
		got := ways(t, sshHost(t), "", s)
		if last := got[len(got)-1]; last != "2222/tcp from "+want+" by --allow-from" {
			t.Errorf("%q: %q", s, last)
		}
	}
}

func TestTunnels(t *testing.T) {
	p := sshHost(t)
	p.socket("udp", "[::]:51820", "[::]:0", "07", 0)
	p.process(40, 1, 0, "tailscaled", "")
	p.process(41, 1, 0, "dnsmasq", "")
	p.process(42, 1, 1000, "openvpn", "")
	p.becameRoot(43, "openvpn", 0)
	p.socket("udp", "[::]:1195", "[::]:0", "07", 1000, 43)
	p.socket("udp", "[::]:41641", "[::]:0", "07", 0, 40)
	p.socket("udp", "[::]:53", "[::]:0", "07", 0, 41)
	p.socket("udp", "[::]:1194", "[::]:0", "07", 1000, 42)
	for _, test := range []struct {
		kind string
		want []uint16
	}{{"1", nil}, {"65534", []uint16{41641, 51820}}} {
		p.put("sys/class/net/wg0/type", test.kind+"\n")
		m := p.machine(nil)
		n, err := readNetwork(t.Context(), m)
		if got := n.tunnels(m); err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: %v, %v", test.kind, got, err)
		}
	}
}

func FuzzConnection(f *testing.F) {
	f.Add("203.0.113.9 50000 198.51.100.7 22")
	f.Add("fe80::1%eth0 1 ::1 22")
	f.Fuzz(func(t *testing.T, text string) {
		peer, port, ok := parseConnection(text)
		if !ok {
			return
		}
		source := Way{From: only(peer.Addr()), Port: port}.source()
		if a, err := netip.ParseAddr(source); err != nil || a.Is4In6() || a.Zone() != "" || port == 0 {
			t.Errorf("%q: %q %d", text, source, port)
		}
	})
}

// TestOwnWays keeps an intruder's session out only if it is sure which one is ours.
func TestOwnWays(t *testing.T) {
	peer := netip.MustParseAddrPort("203.0.113.9:50000")
	mine := Way{From: only(peer.Addr()), Port: 22, By: bySSH + " of a parent process", Peer: peer}
	stale := Way{From: only(netip.MustParseAddr("203.0.113.7")), Port: 22, By: bySSH}
	other := Way{From: only(netip.MustParseAddr("198.51.100.66")), Port: 22, By: bySession, Peer: netip.MustParseAddrPort("198.51.100.66:40000")}
	asked := Way{From: only(netip.MustParseAddr("192.0.2.1")), Port: 22, By: "--allow-from"}
	for _, tc := range []struct {
		name              string
		ways, own, others []Way
	}{
		{"ours is known", []Way{mine, other, asked}, []Way{mine, asked}, []Way{other}},
		{"ours is of yesterday", []Way{stale, other}, []Way{stale, other}, nil},
		{"nothing tells", []Way{other}, []Way{other}, nil},
	} {
		own, others := OwnWays(tc.ways)
		if !slices.Equal(own, tc.own) || !slices.Equal(others, tc.others) {
			t.Errorf("%s: own %v, others %v", tc.name, own, others)
		}
	}
}
