//go:build linux

package contain

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/clawbook/openclaw-ir/internal/host"
	"golang.org/x/sys/unix"
)

// The tests here run the real ufw, iptables and nft in a Debian of their own, in namespaces of their own: this file's outer test
// unpacks it and starts itself again inside, once for each scenario.

// insideVariable names the scenario to the inner test.
const insideVariable = "OPENCLAW_IR_FIREWALL_SCENARIO"

// A scenario is a machine before it is closed.
type scenario struct {
	name   string
	setup  string // a script
	egress bool
	nft    bool // with the nft program
	quick  bool
	run    func(*lab, *testing.T)
}

func scenarios() []scenario {
	const open = "ufw allow 18789; ufw limit log 18791/tcp comment 'x -j ACCEPT'; ufw allow 443/tcp; ufw allow 18000:19000/tcp; ufw allow SSH;"
	const systemd = `mkdir -p /run/systemd/system; mv /usr/bin/systemctl /usr/bin/systemctl.real
printf '#!/bin/sh\nSYSTEMD_OFFLINE=1 exec /usr/bin/systemctl.real "$@"\n' > /usr/bin/systemctl; chmod 755 /usr/bin/systemctl;`
	const noUFW = "rm /usr/sbin/ufw;"
	var list []scenario
	for _, nft := range []bool{false, true} {
		list = append(list,
			scenario{"ufw inactive", open, false, nft, false, (*lab).closes},
			scenario{"ufw active", open + "ufw default allow incoming; ufw --force enable", false, nft, false, (*lab).closes},
			scenario{"ufw without IPv6", "sed -i s/IPV6=yes/IPV6=no/ /etc/default/ufw;" + open, false, nft, false, (*lab).closes},
			scenario{"no ufw", noUFW, false, nft, true, (*lab).closes},
			scenario{"docker", systemd + "iptables -P FORWARD DROP; iptables -N DOCKER-USER; iptables -A FORWARD -j DOCKER-USER; iptables -A FORWARD -d 172.17.0.2 -j ACCEPT; iptables -A FORWARD -s 172.17.0.2 -j ACCEPT", false, nft, false, (*lab).closes},
			scenario{"egress", "", true, nft, false, (*lab).closes},
			scenario{"egress without ufw", noUFW, true, nft, false, (*lab).closes},
			scenario{"crash, ufw inactive", open, false, nft, false, (*lab).crashes},
			scenario{"crash, ufw active", open + "ufw --force enable", false, nft, false, (*lab).crashes},
			scenario{"crash, no ufw", noUFW, false, nft, false, (*lab).crashes},
			scenario{"changed", open, false, nft, false, (*lab).changed},
			scenario{"broken ufw", open + "cp /bin/false /usr/lib/ufw/ufw-init", false, nft, false, (*lab).broken},
		)
	}
	return list
}

func TestFirewallReally(t *testing.T) {
	if os.Getenv(insideVariable) != "" {
		t.Skip("inside")
	}
	if testing.Short() {
		t.Skip("short")
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root, for namespaces")
	}
	base := debian(t)
	_, noNFT := os.Stat(filepath.Join(base, "usr/sbin/nft"))
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, sc := range scenarios() {
		t.Run(fmt.Sprintf("%s,nft=%v", sc.name, sc.nft), func(t *testing.T) {
			if !sc.quick && os.Getenv("OPENCLAW_IR_HOST_TEST") != "1" {
				t.Skip("takes long: set OPENCLAW_IR_HOST_TEST=1")
			}
			t.Parallel()
			remove := "usr/sbin/nft"
			if sc.nft {
				if remove = ""; noNFT != nil {
					t.Skip("no nft in it")
				}
			}
			dir := t.TempDir()
			const script = `set -e; mount -t tmpfs none "$2"; cd "$2"; mkdir up work root
mount -t overlay overlay -o "lowerdir=$1,upperdir=up,workdir=work" root; cd root
mount -t proc proc proc; mount -t sysfs sysfs sys; mount -t tmpfs none run; mount --rbind /dev dev; touch test; mount --bind "$3" test; rm -f $4
exec chroot . /test -test.run '^TestFirewallInside$' -test.v`
			cmd := exec.CommandContext(t.Context(), "unshare", "-n", "-m", "-p", "-f", "--kill-child", "--propagation", "private", "sh", "-c", script, "sh", base, dir, self, remove)
			cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", fmt.Sprintf("%s=%s,nft=%v", insideVariable, sc.name, sc.nft)}
			out, err := cmd.CombinedOutput()
			if err != nil || !bytes.Contains(out, []byte("--- PASS")) {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// debian unpacks the Debian that the host tests keep.
func debian(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Skip(err)
	}
	tarballs, _ := filepath.Glob(filepath.Join(cache, "openclaw-ir-test", "debian-12-*.tar.zst"))
	if len(tarballs) == 0 {
		t.Skip("no Debian to run in: the test of whole hosts makes one")
	}
	root := t.TempDir()
	if out, err := exec.Command("tar", "-I", "zstd", "-xf", tarballs[0], "-C", root).CombinedOutput(); err != nil {
		t.Skipf("unpacking Debian: %v: %s", err, out)
	}
	if out, err := exec.Command("unshare", "-n", "chroot", root, "ufw", "version").CombinedOutput(); err != nil {
		t.Skipf("no namespaces, or no ufw in them: %v: %s", err, out)
	}
	if out, err := exec.Command("chroot", root, "ssh-keygen", "-A").CombinedOutput(); err != nil {
		t.Skipf("no sshd: %v: %s", err, out)
	}
	return root
}

// A lab is the machine that is closed, seen from inside, with an outside of two people and a container.
type lab struct {
	m       Machine
	egress  bool
	nft     bool
	session net.Conn // the responder's
	saved   []byte
	failAt  int // the call of save that is the last before a crash, 0 for none
	saves   int
}

var errCrash = errors.New("crash")

func TestFirewallInside(t *testing.T) {
	name := os.Getenv(insideVariable)
	if name == "" {
		t.Skip("runs inside TestFirewallReally")
	}
	i := slices.IndexFunc(scenarios(), func(sc scenario) bool { return fmt.Sprintf("%s,nft=%v", sc.name, sc.nft) == name })
	sc := scenarios()[i]
	root, err := host.OpenRoot("/")
	if err != nil {
		t.Fatal(err)
	}
	run, err := host.NewTrusted()
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{m: Machine{Root: root, Run: run}, egress: sc.egress, nft: sc.nft}
	sh(t, `ip link set lo up; mkdir -p /run/netns /run/sshd
for ns in outside container; do ip netns add $ns; ip -n $ns link set lo up; ip link add $ns type veth peer name eth0 netns $ns; ip link set $ns up; ip -n $ns link set eth0 up; done
ip addr add 203.0.113.1/24 dev outside; ip addr add fd00:113::1/64 dev outside nodad
for a in 9 66; do ip -n outside addr add 203.0.113.$a/24 dev eth0; ip -n outside addr add fd00:113::$a/64 dev eth0 nodad; done
ip addr add 172.17.0.1/16 dev container; ip -n container addr add 172.17.0.2/16 dev eth0; ip -n container route add default via 172.17.0.1
echo 1 > /proc/sys/net/ipv4/ip_forward; `+sc.setup)
	if strings.Contains(sc.setup, "DOCKER") {
		sh(t, "iptables -t nat -A PREROUTING -p tcp --dport 18795 -j DNAT --to-destination 172.17.0.2:18789")
		serve(t, "container", "172.17.0.2:18789")
	}
	sh(t, "/usr/sbin/sshd -o LoginGraceTime=0 -o PidFile=/run/sshd.pid; while ! test -e /run/sshd.pid; do sleep 0.1; done; ss -Htln sport = :22 | grep -q .")
	for _, addr := range []string{"[::]:18789", "0.0.0.0:18791", "[::]:443", "[::]:8080", "127.0.0.1:5432"} {
		serve(t, "", addr)
	}
	serve(t, "outside", "203.0.113.66:4444")
	l.session = dial(t, "outside", "203.0.113.9", "203.0.113.1:22")
	if _, err := l.session.Read(make([]byte, 4)); err != nil { // sshd's greeting: it has taken the connection
		t.Fatal(err)
	}
	sc.run(l, t)
}

func sh(t *testing.T, script string) string {
	t.Helper()
	out, err := exec.Command("sh", "-ec", script).CombinedOutput()
	if err != nil {
		t.Fatalf("%s\n%v\n%s", script, err, out)
	}
	return string(out)
}

// in runs do on a thread that is in a network namespace. The sockets that do makes stay there.
func in(t *testing.T, ns string, do func()) {
	t.Helper()
	if ns == "" {
		do()
		return
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		runtime.LockOSThread()
		if unix.Gettid() == os.Getpid() { // /proc/self shows this thread's namespace
			in(t, ns, do)
			runtime.UnlockOSThread()
			return
		}
		f, err := os.Open("/run/netns/" + ns)
		if err != nil {
			t.Error(err)
			return
		}
		defer f.Close()
		if err := unix.Setns(int(f.Fd()), unix.CLONE_NEWNET); err != nil {
			t.Error(err)
			return
		}
		do()
	})
	wg.Wait()
}

// serve echoes.
func serve(t *testing.T, ns, addr string) {
	t.Helper()
	in(t, ns, func() {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Error(err)
			return
		}
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() { _, _ = io.Copy(c, c) }()
			}
		}()
	})
}

func tryDial(t *testing.T, ns, from, to string, want bool) (c net.Conn, err error) {
	t.Helper()
	in(t, ns, func() {
		d := net.Dialer{Timeout: 400 * time.Millisecond}
		if want {
			d.Timeout = 10 * time.Second // a busy machine
		}
		if from != "" {
			d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
		}
		c, err = d.Dial("tcp", to)
	})
	return c, err
}

func dial(t *testing.T, ns, from, to string) net.Conn {
	t.Helper()
	c, err := tryDial(t, ns, from, to, true)
	if err != nil {
		t.Fatalf("from %q to %q: %v", from, to, err)
	}
	return c
}

// answers says whether the other end of a connection still acknowledges what it is sent.
func answers(c net.Conn) bool {
	if _, err := c.Write([]byte("x")); err != nil {
		return false
	}
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		return false
	}
	alive := false
	for end := time.Now().Add(time.Second); !alive && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		_ = raw.Control(func(fd uintptr) {
			info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
			alive = err == nil && info.State == unix.BPF_TCP_ESTABLISHED && info.Unacked == 0
		})
	}
	return alive
}

// state is all that must be as before after an undo.
func state(t *testing.T) map[string]string {
	t.Helper()
	s := map[string]string{}
	for _, cmd := range []string{"ufw status verbose", "iptables-save", "ip6tables-save", "nft -s list ruleset", "sysctl net.ipv4 net.ipv6"} {
		words := strings.Fields(cmd)
		out, _ := exec.Command(words[0], words[1:]...).Output()
		var lines []string
		for line := range strings.Lines(string(out)) {
			if strings.HasPrefix(line, "#") || strings.Contains(line, "_mem = ") {
				continue
			}
			line, _, _ = strings.Cut(line, " [") // counters
			lines = append(lines, strings.TrimSpace(line))
		}
		if strings.HasPrefix(cmd, "nft") || strings.HasPrefix(cmd, "sysctl") {
			slices.Sort(lines)
		}
		s[cmd] = strings.Join(lines, "\n")
	}
	for _, file := range []string{ufwDefaults, ufwConf, ufwRules, ufwRules6} {
		text, _ := os.ReadFile(file)
		fi, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		s[file] = fi.Mode().String() + string(text)
	}
	s[ownDir] = sh(t, "find /etc/systemd /etc/openclaw-ir 2>&1 || true")
	return s
}

// emptyTable is what iptables leaves of a table without rules: no program but nft could remove it.
func sameState(t *testing.T, before, after map[string]string) {
	t.Helper()
	emptyTables := strings.NewReplacer("*filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\nCOMMIT", "",
		"*mangle\n:PREROUTING ACCEPT\n:INPUT ACCEPT\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\n:POSTROUTING ACCEPT\nCOMMIT", "", "\n", "")
	for name := range before {
		b, a := before[name], after[name]
		if strings.HasSuffix(name, "-save") {
			b, a = emptyTables.Replace(b), emptyTables.Replace(a)
		}
		if b != a {
			t.Errorf("%s was:\n%s\nis:\n%s", name, before[name], after[name])
		}
	}
}

func (l *lab) plan(t *testing.T) *Firewall {
	t.Helper()
	ways, err := Responder(t.Context(), l.m, "", []string{"fd00:113::9"})
	if err != nil {
		t.Fatal(err)
	}
	f, err := PlanFirewall(t.Context(), l.m, FirewallOptions{Ports: []int{18789, 18791, 18795, 18800, 18801}, Responder: ways, Egress: l.egress})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// save keeps the state as the case does, and dies when it is told to.
func (l *lab) save(f *Firewall) func() error {
	return func() error {
		if l.saves++; l.failAt > 0 && l.saves > l.failAt {
			panic(errCrash)
		}
		var err error
		l.saved, err = json.Marshal(f)
		return err
	}
}

func (l *lab) load(t *testing.T) *Firewall {
	t.Helper()
	var f Firewall
	if err := json.Unmarshal(l.saved, &f); err != nil {
		t.Fatal(err)
	}
	return &f
}

// isClosed knocks at every door.
func (l *lab) isClosed(t *testing.T, f *Firewall) {
	t.Helper()
	if !answers(l.session) {
		t.Error("the responder's session is cut")
	}
	for _, to := range []string{"203.0.113.1:22", "[fd00:113::1]:22"} {
		from := "203.0.113.9"
		if strings.HasPrefix(to, "[") {
			from = "fd00:113::9"
		}
		if _, err := tryDial(t, "outside", from, to, true); err != nil {
			t.Errorf("the responder does not get in again: %v", err)
		}
	}
	var doors sync.WaitGroup
	for _, side := range []struct{ from, to, rules string }{{"203.0.113.66", "203.0.113.1", ufwRules}, {"fd00:113::66", "fd00:113::1", ufwRules6}} {
		rules, err := os.ReadFile(side.rules)
		if err != nil {
			t.Fatal(err)
		}
		for _, port := range []string{"22", "443", "8080", "18789", "18791", "18795"} {
			kept := !f.Whole && regexp.MustCompile(`allow tcp `+port+` \S+ any (0.0.0.0|::)/0`).Match(rules)
			doors.Go(func() {
				c, err := tryDial(t, "outside", side.from, net.JoinHostPort(side.to, port), kept)
				if open := err == nil; open != kept {
					t.Errorf("%s %s: open is %v, want %v", side.to, port, open, kept)
				}
				if c != nil {
					c.Close()
				}
			})
		}
	}
	doors.Wait()
	dial(t, "", "", "127.0.0.1:5432").Close()
	out, err := tryDial(t, "", "", "203.0.113.66:4444", !l.egress)
	if (err != nil) != l.egress {
		t.Errorf("outgoing: %v", err)
	}
	if out != nil {
		out.Close()
	}
	if _, err := tryDial(t, "container", "", "203.0.113.66:4444", false); err == nil && l.egress {
		t.Error("a container gets out")
	}
}

func (l *lab) closes(t *testing.T) {
	before := state(t)
	var attack []net.Conn
	for _, to := range []string{"203.0.113.1:18789", "203.0.113.1:18795"} {
		if c, err := tryDial(t, "outside", "203.0.113.66", to, false); err == nil && answers(c) {
			attack = append(attack, c)
		}
	}
	f := l.plan(t)
	t.Log(strings.Join(f.Lines(), "\n"))
	if (f.Own == "nft") != l.nft {
		t.Errorf("own rules by %q", f.Own)
	}
	if f.Keep[0].From != netip.MustParsePrefix("203.0.113.9/32") || f.Keep[0].Port != 22 || f.Keep[0].Peer.String() != l.session.LocalAddr().String() {
		t.Errorf("%+v", f.Keep)
	}
	if after := state(t); !reflect.DeepEqual(before, after) {
		sameState(t, before, after)
		t.Error("planning changed something")
	}
	for range 2 { // twice is harmless
		if err := f.Apply(t.Context(), l.m, l.save(f)); err != nil {
			t.Fatal(err)
		}
		l.isClosed(t, f)
	}
	for _, c := range attack {
		if answers(c) {
			t.Errorf("the attacker is still connected to %s", c.RemoteAddr())
		}
	}
	if f.Persist {
		if out, err := exec.Command("systemd-analyze", "verify", ownUnitAt).CombinedOutput(); err != nil || strings.Contains(string(out), ownUnit) {
			t.Errorf("%v: %s", err, out)
		}
	}
	f = l.load(t)
	for _, c := range f.Verify(t.Context(), l.m) {
		want := !strings.HasPrefix(c.What, "nothing listens on") && (f.Persist || !strings.HasSuffix(c.What, "loaded at boot")) // nobody stopped the gateway
		if c.OK != want {
			t.Errorf("%+v", c)
		}
	}
	if err := f.Undo(t.Context(), l.m, false, l.save(f)); err != nil {
		t.Error(err)
	}
	sameState(t, before, state(t))
	f = l.load(t)
	if err := f.Undo(t.Context(), l.m, false, l.save(f)); err != nil || f.State != Undone {
		t.Errorf("undoing twice: %v", err)
	}
	if !answers(l.session) {
		t.Error("the responder's session is cut")
	}
}

// crashes dies before each step of Apply in turn, and then before each step of Undo.
func (l *lab) crashes(t *testing.T) {
	before := state(t)
	crash := func(do func() error) (crashed bool) {
		defer func() {
			if p := recover(); p != nil && p != any(errCrash) {
				panic(p)
			} else if p != nil {
				crashed = true
			}
		}()
		if err := do(); err != nil {
			t.Error(err)
		}
		return false
	}
	step := 1
	first := l.plan(t)
	if first.UFW {
		step = 2 // it is slow: the odd steps here, the even ones where it is active
	}
	at := 1
	if first.Active {
		at = 2
	}
	for done := false; !done; at += step {
		f := l.plan(t)
		l.saves, l.failAt = 0, at
		done = !crash(func() error { return f.Apply(t.Context(), l.m, l.save(f)) })
		f = l.load(t)
		if at%3 == 0 {
			l.failAt = 0
			if err := f.Apply(t.Context(), l.m, l.save(f)); err != nil {
				t.Errorf("after a crash at %d: %v", at, err)
			}
			l.isClosed(t, f)
		}
		l.saves, l.failAt = 0, 1
		crash(func() error { return f.Undo(t.Context(), l.m, false, l.save(f)) })
		l.failAt = 0
		f = l.load(t)
		if err := f.Undo(t.Context(), l.m, false, l.save(f)); err != nil || f.State != Undone {
			t.Errorf("undoing after a crash at %d: %v", at, err)
		}
		sameState(t, before, state(t))
	}
}

// changed has somebody else change the rules.
func (l *lab) changed(t *testing.T) {
	before := state(t)
	f := l.plan(t)
	if err := f.Apply(t.Context(), l.m, l.save(f)); err != nil {
		t.Fatal(err)
	}
	sh(t, "ufw allow 8080")
	closed := state(t)
	if err := f.Undo(t.Context(), l.m, false, l.save(f)); !errors.Is(err, host.ErrChanged) {
		t.Errorf("%v", err)
	}
	sameState(t, closed, state(t))
	if err := f.Undo(t.Context(), l.m, true, l.save(f)); err != nil {
		t.Error(err)
	}
	sameState(t, before, state(t))
}

// broken has a UFW that cannot be enabled: our own rules take its part.
func (l *lab) broken(t *testing.T) {
	f := l.plan(t)
	err := f.Apply(t.Context(), l.m, l.save(f))
	if err == nil || !strings.Contains(err.Error(), "ufw --force enable") || !f.Whole || f.State != Begun {
		t.Fatalf("%v, %+v", err, f)
	}
	l.isClosed(t, f)
	if err := f.Undo(t.Context(), l.m, false, l.save(f)); err != nil {
		t.Log(err)
	}
	dial(t, "outside", "203.0.113.66", "203.0.113.1:8080").Close()
}
