package contain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/clawbook/openclaw-ir/internal/host"
	"pgregory.net/rapid"
)

// A fakeFirewall stands in for the programs. It keeps what they were told, and does as much of it as is looked at afterwards.
type fakeFirewall struct {
	p     *procTree
	log   []string
	fails func(line string) error // nil to have it succeed
	table string
}

func (r *fakeFirewall) Run(_ context.Context, c host.Command) host.Result {
	line := strings.Join(c.Argv, " ")
	r.log = append(r.log, line)
	res := host.Result{Argv: c.Argv}
	if r.fails != nil {
		if res.Err = r.fails(line); res.Err != nil {
			res.ExitCode = -1
			return res
		}
	}
	switch {
	case line == "ufw status verbose":
		res.Stdout = []byte("Status: inactive\n")
	case strings.HasPrefix(line, "ufw prepend allow proto tcp from "):
		src := c.Argv[6]
		if src == "any" {
			src = "0.0.0.0/0"
		}
		text, err := os.ReadFile(filepath.Join(r.p.dir, ufwRules))
		if err != nil {
			r.p.t.Fatal(err)
		}
		r.p.put(ufwRules, string(text)+fmt.Sprintf("### tuple ### allow tcp %s 0.0.0.0/0 any %s in\n", c.Argv[10], src))
	case strings.HasPrefix(line, "nft -f /"):
		text, err := os.ReadFile(c.Argv[2])
		if err != nil {
			r.p.t.Fatal(err)
		}
		r.table = string(text)
	case strings.HasPrefix(line, "nft -s list table"):
		if res.Stdout = []byte(r.table); r.table == "" {
			res.ExitCode = 1
		}
	case strings.HasPrefix(line, "firewall-cmd"):
		res.ExitCode = 252
	}
	return res
}

// index is where a command whose line starts so was run, -1 if it was not.
func (r *fakeFirewall) index(prefix string) int {
	return slices.IndexFunc(r.log, func(s string) bool { return strings.HasPrefix(s, prefix) })
}

const fakeUserRules = `*filter
### RULES ###
### tuple ### allow any 18789 0.0.0.0/0 any 0.0.0.0/0 in comment=2d6a20414343455054
### tuple ### allow tcp 80,443 0.0.0.0/0 any 0.0.0.0/0 Nginx%20Full - in
### tuple ### allow any any 0.0.0.0/0 any 0.0.0.0/0 in_tailscale0
### tuple ### allow any 1 ; reboot 0.0.0.0/0 any 0.0.0.0/0 in
`

func fakeHost(t *testing.T) (Machine, *fakeFirewall) {
	t.Helper()
	p := sshHost(t)
	p.put(ufwDefaults, "IPV6=yes\nDEFAULT_INPUT_POLICY=\"ACCEPT\"\nDEFAULT_FORWARD_POLICY=\"DROP\"\n")
	p.put(ufwConf, "ENABLED=no\n")
	p.put(ufwRules, fakeUserRules)
	p.put(ufwRules6, "")
	p.process(50, 1, 1000, "node", "")
	p.process(51, 1, 0, "ng\x1binx", "")
	p.process(52, 1, 0, "apt\nd", "")
	p.socket("tcp", "[::]:18789", "[::]:0", listen, 1000, 50)
	p.socket("tcp", "[::ffff:198.51.100.7]:18789", "[::ffff:192.0.2.66]:1", estab, 1000, 50)
	p.socket("tcp", "[::]:443", "[::]:0", listen, 0, 51)
	p.socket("tcp", "[::]:8080", "[::]:0", listen, 0, 51)
	p.socket("tcp", "[::1]:5432", "[::]:0", listen, 0, 51)
	run := &fakeFirewall{p: p}
	return p.machine(run), run
}

func planOn(t *testing.T, m Machine, o FirewallOptions) *Firewall {
	t.Helper()
	if o.Responder == nil {
		var err error
		if o.Responder, err = Responder(t.Context(), m, "", nil); err != nil {
			t.Fatal(err)
		}
	}
	if o.Ports == nil {
		o.Ports = []int{18791, 18789, 18789, -1, 70000}
	}
	f, err := PlanFirewall(t.Context(), m, o)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func saveNothing() error { return nil }

func TestFirewallLines(t *testing.T) {
	m, run := fakeHost(t)
	f := planOn(t, m, FirewallOptions{Egress: true})
	want := []string{
		"UFW: deny incoming, keep 2222/tcp from 203.0.113.9, close 18789, 18791; cut 1 connections; deny outgoing but DNS, DHCP, NTP and replies to you, for containers too; IPv6 too",
		"kept: 2222/tcp from 203.0.113.9 (SSH_CONNECTION of a parent process)",
		"removed: UFW's rule allow 18789 from any",
		"denied before: UFW's rule allow any from any on tailscale0",
		"kept: UFW's rule allow 80,443/tcp from any (Nginx%20Full)",
		`closed as well: 8080/tcp (ng\x1binx)`,
		"note: systemd does not run here: our own rules do not outlast a reboot",
		"note: 1 rules of UFW are not understood and stay",
	}
	if got := f.Lines(); !reflect.DeepEqual(got, want) {
		t.Errorf("%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, line := range run.log {
		if w := strings.Fields(line); slices.Contains([]string{"ufw", "nft"}, w[0]) && !slices.Contains(w, "status") && !slices.Contains(w, "list") {
			t.Errorf("planning runs %q", line)
		}
	}
	text, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	var again Firewall
	if err := json.Unmarshal(text, &again); err != nil || !reflect.DeepEqual(again.Keep, f.Keep) || !reflect.DeepEqual(again.Files, f.Files) || !reflect.DeepEqual(again.Lines(), want) {
		t.Errorf("%v\n%s", err, text)
	}
}

func TestNobodyIsLockedOut(t *testing.T) {
	p := newProcTree(t)
	p.process(10, 1, 0, "sshd", "")
	p.socket("tcp", "[::]:2222", "[::]:0", listen, 0, 10)
	m := p.machine(&fakeFirewall{p: p})
	f := planOn(t, m, FirewallOptions{Responder: []Way{}, Ports: []int{2222, 18789}, Egress: true})
	if len(f.Keep) != 1 || f.Keep[0].String() != "2222/tcp from any" || !slices.Equal(f.Ports, []uint16{18789}) || !f.Egress {
		t.Errorf("%+v", f)
	}
	tunnel := Way{From: netip.MustParsePrefix("127.0.0.1/32"), Port: 2222}
	f = planOn(t, m, FirewallOptions{Responder: []Way{tunnel}, Egress: true})
	if len(f.Keep) != 1 || f.Keep[0].From.IsValid() || f.Egress {
		t.Errorf("through a tunnel: %+v", f)
	}
}

// Whatever fails, nothing is denied in UFW before the responder is in, and the rest is done.
func TestAllowedBeforeDenied(t *testing.T) {
	hangs := fmt.Errorf("running \"ufw\": %w", context.DeadlineExceeded)
	for _, test := range []struct {
		name, breaks string
		err          error
		deny, whole  bool
	}{
		{"nothing", "none", nil, true, false},
		{"no prepend", "ufw prepend allow", errors.New("exits with 1"), false, true},
		{"hang", "ufw prepend", hangs, false, true},
		{"enable", "ufw --force enable", hangs, true, true},
		{"delete", "ufw --force delete", hangs, true, false},
		{"nft", "nft -f", errors.New("exits with 1"), true, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			m, run := fakeHost(t)
			f := planOn(t, m, FirewallOptions{})
			run.log, run.fails = nil, func(line string) error {
				if strings.HasPrefix(line, test.breaks) {
					return test.err
				}
				return nil
			}
			err := f.Apply(t.Context(), m, saveNothing)
			if (err != nil) != (test.err != nil) || errors.Is(test.err, context.DeadlineExceeded) && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v", err)
			}
			allow, deny, load := run.index("ufw prepend allow proto tcp from 203.0.113.9 to any port 2222"), run.index("ufw default deny incoming"), run.index("nft -f")
			if allow < 0 || load < 0 || (deny >= 0) != test.deny || test.deny && deny < allow || run.index("ufw --force enable") >= 0 && deny < 0 {
				t.Errorf("%q", run.log)
			}
			if f.Whole != test.whole || f.Whole && !strings.Contains(run.table, "ip saddr 203.0.113.9 tcp dport 2222 accept") {
				t.Errorf("whole is %v:\n%s", f.Whole, run.table)
			}
			if test.err == hangs && test.name != "enable" {
				if n := strings.Count(strings.Join(run.log, "\n"), test.breaks); n != 1 {
					t.Errorf("hangs %d times: %q", n, run.log)
				}
			} else if run.index("ufw --force delete allow in from any to any port 18789") < 0 || run.index("ufw prepend deny proto tcp from any to any port 18789,18791") < 0 {
				t.Errorf("%q", run.log)
			}
			if i := run.index("ss -H -K -t -n sport >= :18789 and sport <= :18789"); i < 0 {
				t.Errorf("not cut: %q", run.log)
			}
			if want := map[bool]State{true: Contained, false: Begun}[err == nil]; f.State != want {
				t.Errorf("state %q", f.State)
			}
		})
	}
}

func TestFirewallSavesFirst(t *testing.T) {
	m, run := fakeHost(t)
	f := planOn(t, m, FirewallOptions{})
	run.log = nil
	full := errors.New("no space left")
	if err := f.Apply(t.Context(), m, func() error { return full }); !errors.Is(err, full) || len(run.log) > 0 {
		t.Errorf("%v, %q", err, run.log)
	}
	m.UID = 1000
	f = planOn(t, m, FirewallOptions{})
	if err := f.Apply(t.Context(), m, saveNothing); !errors.Is(err, os.ErrPermission) || len(run.log) > 0 || f.State != "" {
		t.Errorf("%v, %q", err, run.log)
	}
	if lines := f.Lines(); !slices.Contains(lines, "note: only root can change the firewall") {
		t.Errorf("%q", lines)
	}
}

func TestWithoutPrograms(t *testing.T) {
	m, run := fakeHost(t)
	run.fails = func(string) error { return exec.ErrNotFound }
	f := planOn(t, m, FirewallOptions{})
	if line := f.Lines()[0]; !strings.HasPrefix(line, "the host cannot be closed; by hand") {
		t.Errorf("%q", line)
	}
	if err := f.Apply(t.Context(), m, saveNothing); err == nil {
		t.Error("no error")
	}
	if c := f.Verify(t.Context(), m)[0]; c.OK || c.Hint == "" {
		t.Errorf("%+v", c)
	}
	if err := f.Undo(t.Context(), m, false, saveNothing); err != nil || f.State != Undone {
		t.Errorf("%v", err)
	}
}

func TestVerifyLooks(t *testing.T) {
	m, _ := fakeHost(t)
	f := planOn(t, m, FirewallOptions{})
	bad := map[string]string{}
	for _, c := range f.Verify(t.Context(), m) {
		if !c.OK {
			bad[c.What] = c.Detail
		}
	}
	want := map[string]string{
		"UFW is active and denies incoming":    "UFW is inactive",
		"UFW lets the responder in":            "UFW has no rule for 2222/tcp from 203.0.113.9",
		"UFW has no rule for the gateway":      "allow 18789 from any is there",
		"our own rules are loaded":             "they are not there",
		"our own rules are loaded at boot":     "systemd does not run here",
		"nothing listens on 18789, 18791":      "[::]:18789 (node)",
		"nothing is connected to 18789, 18791": "[::ffff:192.0.2.66]:1 to [::ffff:198.51.100.7]:18789 (node)",
	}
	if !reflect.DeepEqual(bad, want) {
		t.Errorf("%q", bad)
	}
}

func TestAdopt(t *testing.T) {
	m, _ := fakeHost(t)
	f := planOn(t, m, FirewallOptions{})
	f.State = Contained
	f.Adopt(planOn(t, m, FirewallOptions{Ports: []int{19001, 18789}, Egress: true, Responder: []Way{{From: netip.MustParsePrefix("192.0.2.9/32"), Port: 2222}, f.Keep[0]}}))
	if portList(f.Ports, "-") != "18789, 18791, 19001" || len(f.Keep) != 2 || f.Keep[1].String() != "2222/tcp from 192.0.2.9" || !f.Egress || f.State != Contained {
		t.Errorf("%+v", f)
	}
}

func TestUFWRule(t *testing.T) {
	for _, test := range []struct {
		tuple, words, text string
		reach              int
	}{
		{"allow any 18789 0.0.0.0/0 any 0.0.0.0/0 in", "allow in from any to any port 18789", "allow 18789 from any", exactly},
		{"limit_log tcp 18789 ::/0 any ::/0 in comment=782079", "limit in log proto tcp from any to any port 18789", "limit 18789/tcp from any", exactly},
		{"allow tcp 18789,18790:18791 0.0.0.0/0 any 10.0.0.0/8 in_eth0", "allow in on eth0 proto tcp from 10.0.0.0/8 to any port 18789,18790:18791", "allow 18789,18790:18791/tcp from 10.0.0.0/8 on eth0", exactly},
		{"allow tcp 18000:19000 10.1.1.1 53 fd00::1 in", "allow in proto tcp from fd00::1 port 53 to 10.1.1.1 port 18000:19000", "allow 18000:19000/tcp from fd00::1 to 10.1.1.1", among},
		{"allow any any 0.0.0.0/0 any 10.0.0.0/8 in", "allow in from 10.0.0.0/8 to any", "allow any from 10.0.0.0/8", among},
		{"allow tcp 18789 0.0.0.0/0 any 0.0.0.0/0 OpenClaw - in", "allow in proto tcp from any to any port 18789", "allow 18789/tcp from any (OpenClaw)", among},
		{"route:allow any 18789 0.0.0.0/0 any 0.0.0.0/0 in_eth0", "allow in on eth0 from any to any port 18789", "route allow 18789 from any on eth0", among},
		{"allow udp 18789 0.0.0.0/0 any 0.0.0.0/0 in", "allow in proto udp from any to any port 18789", "allow 18789/udp from any", nowhere},
		{"deny any 18789 0.0.0.0/0 any 0.0.0.0/0 in", "deny in from any to any port 18789", "deny 18789 from any", nowhere},
		{"allow any 18789 0.0.0.0/0 any 0.0.0.0/0 out", "allow out from any to any port 18789", "allow 18789 from any", nowhere},
	} {
		r, err := parseUFWRule(" " + test.tuple + "\n")
		if err != nil || strings.Join(r.words(), " ") != test.words || r.String() != test.text || r.reach([]uint16{18789, 18790, 18791}) != test.reach {
			t.Errorf("%q: %v\n%q\n%q %d", test.tuple, err, r.words(), r, r.reach([]uint16{18789, 18790, 18791}))
		}
	}
}

func FuzzUFWRule(f *testing.F) {
	for line := range strings.Lines(fakeUserRules) {
		f.Add(strings.TrimPrefix(line, "### tuple ###"))
	}
	f.Fuzz(func(t *testing.T, line string) {
		r, err := parseUFWRule(line)
		if err != nil {
			return
		}
		r.reach([]uint16{18789})
		for _, w := range append(r.words(), strings.Fields(r.String())...) {
			if w == "" || w[0] == '-' || strings.ContainsFunc(w, func(c rune) bool { return c <= ' ' || c > '~' }) {
				t.Errorf("%q: %q of %q", line, w, r.words())
			}
		}
	})
}

// A rule reaches as its ports do, one by one.
func TestReach(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ports := rapid.SliceOfNDistinct(rapid.Uint16Range(1, 12), 1, 6, rapid.ID[uint16]).Draw(t, "ports")
		slices.Sort(ports)
		lets, parts := map[uint16]bool{}, []string{}
		for i := rapid.IntRange(1, 3).Draw(t, "parts"); i > 0; i-- {
			first := rapid.Uint16Range(1, 12).Draw(t, "first")
			last := rapid.Uint16Range(first, 12).Draw(t, "last")
			parts = append(parts, strconv.Itoa(int(first))+":"+strconv.Itoa(int(last)))
			for p := first; p <= last; p++ {
				lets[p] = true
			}
		}
		want, hit := exactly, 0
		for p := range lets {
			if slices.Contains(ports, p) {
				hit++
			}
		}
		if hit == 0 {
			want = nowhere
		} else if hit < len(lets) {
			want = among
		}
		r, err := parseUFWRule("allow tcp " + strings.Join(parts, ",") + " 0.0.0.0/0 any 0.0.0.0/0 in")
		if err != nil {
			t.Fatal(err)
		}
		if got := r.reach(ports); got != want {
			t.Errorf("%q over %v: %d, want %d", parts, ports, got, want)
		}
		var all []uint16
		for _, r := range portRanges(ports) {
			for p := r.first; p <= r.last; p++ {
				all = append(all, p)
			}
		}
		if !slices.Equal(all, ports) {
			t.Errorf("%v became %v", ports, all)
		}
	})
}

const nftListing = `table ip filter { # handle 1
	set banned {
		type ipv4_addr
		elements = { 192.0.2.1,
			     192.0.2.2 }
	}

	chain INPUT {
		type filter hook input priority filter; policy drop;
		# a comment
		tcp dport 22 counter accept comment "} table ip nat {"
	}

	chain ufw-user-input {
	}
}
table inet openclaw_ir {
	chain input {
		type filter hook input priority -10; policy drop;
	}
}
# Warning: table ip6 filter is managed by iptables-nft, do not touch!
table ip6 filter {
}
`

func TestRulesAreCutIntoChains(t *testing.T) {
	want := map[string][]string{
		"ip filter": nil, "ip filter set banned": nil, "ip filter ufw-user-input": nil, "ip6 filter": nil,
		"ip filter INPUT": {"type filter hook input priority filter; policy drop;", `tcp dport 22 counter accept comment "} table ip nat {"`},
	}
	if got := nftChains(nftListing); !reflect.DeepEqual(got, want) {
		t.Errorf("%q", got)
	}
	const save = "# Generated\n*mangle\n:PREROUTING ACCEPT [5:6]\n:OPENCLAW-IR-PRE - [0:0]\n-A PREROUTING -j OPENCLAW-IR-PRE\n-A OPENCLAW-IR-PRE -j DROP\nCOMMIT\n" +
		"*filter\n:INPUT DROP [1:2]\n:ufw-user-input - [0:0]\n-A INPUT -j ufw-user-input\n-A INPUT -m comment --comment \"*nat\" -j ACCEPT\nCOMMIT\n"
	want = map[string][]string{
		"mangle PREROUTING": {":PREROUTING ACCEPT"}, "filter ufw-user-input": {":ufw-user-input -"},
		"filter INPUT": {":INPUT DROP", "-A INPUT -j ufw-user-input", `-A INPUT -m comment --comment "*nat" -j ACCEPT`},
	}
	if got := iptablesChains(save); !reflect.DeepEqual(got, want) {
		t.Errorf("%q", got)
	}
	f := &Firewall{UFW: true, Own: "nft"}
	if got := f.leftovers("iptables", save); got != "*filter\n:INPUT ACCEPT [0:0]\n-D INPUT -j ufw-user-input\n-F ufw-user-input\n-X ufw-user-input\nCOMMIT\n" {
		t.Errorf("%q", got)
	}
	if got := f.emptyTables(nftChains(nftListing)); got != "delete table ip6 filter\n" {
		t.Errorf("%q", got)
	}
}

func FuzzRules(f *testing.F) {
	f.Add(nftListing)
	f.Add(":\n*\n-A\n-A x\n\t\tx\n\tchain\n")
	f.Fuzz(func(t *testing.T, text string) {
		fw := &Firewall{UFW: true}
		for line := range strings.Lines(fw.leftovers("iptables", text) + fw.emptyTables(nftChains(text))) {
			if strings.Contains(line, ";") || strings.HasPrefix(line, "-A") {
				t.Errorf("%q", line)
			}
		}
	})
}
