package contain

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/host"
)

// The rules of our own: one table of nftables, or four chains of iptables' mangle table, and what loads them at boot.
const (
	ownDir    = "/etc/openclaw-ir"
	ownNFT    = ownDir + "/contain.nft"
	ownIPT    = ownDir + "/contain.iptables"
	ownIPT6   = ownDir + "/contain.ip6tables"
	ownUnit   = "openclaw-ir-contain.service"
	ownUnitAt = "/etc/systemd/system/" + ownUnit
	ownTable  = "openclaw_ir"
	ownChain  = "OPENCLAW-IR"
)

// ownFiles are the files that hold our own rules.
func (f *Firewall) ownFiles() []string {
	var list []string
	switch {
	case f.Own == "nft":
		list = []string{ownNFT}
	case f.Own != "" && f.NoV6:
		list = []string{ownIPT}
	case f.Own != "":
		list = []string{ownIPT, ownIPT6}
	}
	if f.Persist {
		list = append(list, ownUnitAt)
	}
	return list
}

// nftRules is our table. Reading it again replaces it in one transaction.
//
// The ports are dropped before any address is translated, so it does not matter whether they are published, proxied or served;
// "direction original" leaves alone the replies to a connection of ours that happens to use such a port.
func (f *Firewall) nftRules() string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("table inet %s\ndelete table inet %s\ntable inet %s {", ownTable, ownTable, ownTable)
	if len(f.Ports) > 0 {
		p("\tchain prerouting {\n\t\ttype filter hook prerouting priority -190; policy accept;")
		p("\t\tiif \"lo\" accept\n\t\tct direction original tcp dport { %s } drop\n\t}", portList(f.Ports, "-"))
	}
	if f.Whole {
		p("\tchain input {\n\t\ttype filter hook input priority -10; policy drop;")
		p("\t\tiif \"lo\" accept\n\t\tct state established,related accept")
		p("\t\ticmp type { destination-unreachable, time-exceeded, parameter-problem, echo-request } accept")
		p("\t\ticmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem, echo-request, " +
			"mld-listener-query, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } accept")
		p("\t\tudp sport 67 udp dport 68 accept\n\t\tip6 saddr fe80::/10 udp sport 547 udp dport 546 accept")
		f.nftWays(p, "saddr", "dport")
		if len(f.VPN) > 0 {
			p("\t\tudp dport { %s } accept", portList(f.VPN, "-"))
		}
		p("\t}")
	}
	if f.Whole || f.Egress {
		p("\tchain forward {\n\t\ttype filter hook forward priority -10; policy accept;")
		if f.Whole {
			p("\t\tct status dnat ct state new drop")
		}
		if f.Egress {
			p("\t\tct status dnat accept\n\t\tdrop")
		}
		p("\t}")
	}
	if f.Egress {
		p("\tchain output {\n\t\ttype filter hook output priority -10; policy drop;")
		p("\t\toif \"lo\" accept\n\t\tct direction reply ct state established,related accept")
		f.nftWays(p, "daddr", "sport")
		p("\t\tudp dport { 53, 67, 123, 547 } accept\n\t\ttcp dport 53 accept")
		p("\t\ticmp type { destination-unreachable, time-exceeded, parameter-problem } accept")
		p("\t\ticmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem, nd-router-solicit, " +
			"nd-neighbor-solicit, nd-neighbor-advert, mld2-listener-report } accept")
		if len(f.VPN) > 0 {
			p("\t\tudp sport { %s } accept", portList(f.VPN, "-"))
		}
		if f.tailscale() {
			p("\t\tmeta mark & 0x00ff0000 == 0x00080000 accept")
		}
		p("\t}")
	}
	p("}")
	return b.String()
}

// nftWays accepts the responder's ways, by the given ends of a packet.
func (f *Firewall) nftWays(p func(string, ...any), addr, end string) {
	for _, w := range f.Keep {
		match := ""
		switch {
		case !w.From.IsValid():
		case w.v6():
			match = "ip6 " + addr + " " + w.source() + " "
		default:
			match = "ip " + addr + " " + w.source() + " "
		}
		p("\t\t%stcp %s %d accept", match, end, w.Port)
	}
}

// tailscale says whether a responder comes over Tailscale, whose own packets carry a mark: tailscaled must go on
// reaching its peers and relays where outgoing connections are denied.
func (f *Firewall) tailscale() bool {
	return slices.ContainsFunc(f.Keep, func(w Way) bool { return tailnet(w.From.Addr()) })
}

// iptablesRules are the same rules for iptables-restore or ip6tables-restore, without a flush. RETURN leaves a packet to the rules of
// everybody else.
func (f *Firewall) iptablesRules(v6 bool) string {
	var b strings.Builder
	rule := func(hook, format string, args ...any) {
		fmt.Fprintf(&b, "-A "+ownChain+"-"+hook+" "+format+"\n", args...)
	}
	b.WriteString("*mangle\n")
	for _, c := range f.iptablesChains() {
		fmt.Fprintf(&b, ":%s-%s - [0:0]\n", ownChain, c.short)
	}
	if len(f.Ports) > 0 {
		rule("PRE", "-i lo -j RETURN")
		for _, r := range portRanges(f.Ports) {
			rule("PRE", "-p tcp -m tcp --dport %d:%d -m conntrack --ctdir ORIGINAL -j DROP", r.first, r.last)
		}
	}
	if f.Whole {
		rule("IN", "-i lo -j RETURN")
		rule("IN", "-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN")
		f.iptablesICMP(rule, "IN", v6, []string{"3", "11", "12", "8"}, []string{"1", "2", "3", "4", "128", "130", "134", "135", "136"})
		if v6 {
			rule("IN", "-s fe80::/10 -p udp -m udp --sport 547 --dport 546 -j RETURN")
		} else {
			rule("IN", "-p udp -m udp --sport 67 --dport 68 -j RETURN")
		}
		f.iptablesWays(rule, "IN", "-s", "--dport", v6)
		for _, p := range f.VPN {
			rule("IN", "-p udp -m udp --dport %d -j RETURN", p)
		}
		rule("IN", "-j DROP")
		rule("FWD", "-m conntrack --ctstate DNAT -m conntrack --ctstate NEW -j DROP")
	}
	if f.Egress {
		rule("FWD", "-m conntrack --ctstate DNAT -j RETURN")
		rule("FWD", "-j DROP")
		rule("OUT", "-o lo -j RETURN")
		rule("OUT", "-m conntrack --ctstate RELATED,ESTABLISHED --ctdir REPLY -j RETURN")
		f.iptablesWays(rule, "OUT", "-d", "--sport", v6)
		rule("OUT", "-p udp -m multiport --dports 53,67,123,547 -j RETURN")
		rule("OUT", "-p tcp -m tcp --dport 53 -j RETURN")
		f.iptablesICMP(rule, "OUT", v6, []string{"3", "11", "12"}, []string{"1", "2", "3", "4", "133", "135", "136", "143"})
		for _, p := range f.VPN {
			rule("OUT", "-p udp -m udp --sport %d -j RETURN", p)
		}
		if f.tailscale() {
			rule("OUT", "-m mark --mark 0x80000/0xff0000 -j RETURN")
		}
		rule("OUT", "-j DROP")
	}
	for _, c := range f.iptablesChains() {
		fmt.Fprintf(&b, "-I %s 1 -j %s-%s\n", c.hook, ownChain, c.short)
	}
	b.WriteString("COMMIT\n")
	return b.String()
}

func (f *Firewall) iptablesICMP(rule func(string, string, ...any), hook string, v6 bool, four, six []string) {
	match, types := "-p icmp -m icmp --icmp-type", four
	if v6 {
		match, types = "-p ipv6-icmp -m icmp6 --icmpv6-type", six
	}
	for _, t := range types {
		rule(hook, "%s %s -j RETURN", match, t)
	}
}

func (f *Firewall) iptablesWays(rule func(string, string, ...any), hook, addr, end string, v6 bool) {
	for _, w := range f.Keep {
		match := ""
		if w.From != (netip.Prefix{}) {
			match = addr + " " + w.From.String() + " "
		}
		if v6 && w.v6() || !v6 && w.v4() {
			rule(hook, "%s-p tcp -m tcp %s %d -j RETURN", match, end, w.Port)
		}
	}
}

// A hookedChain is a chain of ours and the one of iptables that leads to it.
type hookedChain struct{ short, hook string }

func (f *Firewall) iptablesChains() []hookedChain {
	return []hookedChain{{"PRE", "PREROUTING"}, {"IN", "INPUT"}, {"FWD", "FORWARD"}, {"OUT", "OUTPUT"}}
}

// iptablesFamilies are the programs' names without their endings, and the files of our rules.
func (f *Firewall) iptablesFamilies() map[string]string {
	list := map[string]string{"iptables": ownIPT}
	if !f.NoV6 {
		list["ip6tables"] = ownIPT6
	}
	return list
}

// loadOwn loads our own rules, in place of those of an earlier run.
func (f *Firewall) loadOwn(ctx context.Context, m Machine) error {
	if f.Own == "nft" {
		if err := f.put(m, ownNFT, f.nftRules()); err != nil {
			return err
		}
		if err := loadRules(ctx, m, "", "nft", "-f", onDisk(m, ownNFT)); err != nil {
			return err
		}
	} else if err := f.loadIPTables(ctx, m); err != nil {
		return err
	}
	if f.Loaded = f.loaded(ctx, m); f.Loaded == "" {
		return errors.New("they are not there after loading")
	}
	return nil
}

// loadIPTables goes on to IPv6 where IPv4 fails, and the other way round.
func (f *Firewall) loadIPTables(ctx context.Context, m Machine) error {
	errs := []error{f.unloadIPTables(ctx, m)} // loading twice would hook the chains twice
	for name, path := range f.iptablesFamilies() {
		err := f.put(m, path, f.iptablesRules(name == "ip6tables"))
		if err == nil {
			err = loadRules(ctx, m, "", name+"-restore", "--noflush", onDisk(m, path))
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// loaded is the digest of our own rules as the kernel has them, "" if it has none.
func (f *Firewall) loaded(ctx context.Context, m Machine) string {
	if f.Own == "nft" {
		res := m.Run.Run(ctx, host.Command{Argv: []string{"nft", "-s", "list", "table", "inet", ownTable}})
		if !res.OK() {
			return ""
		}
		return digest(string(res.Stdout))
	}
	text := ""
	for _, name := range []string{"iptables", "ip6tables"} {
		if f.iptablesFamilies()[name] == "" || f.Own == "" {
			continue
		}
		for _, line := range ownLines(m.Run.Run(ctx, host.Command{Argv: []string{name + "-save"}})) {
			text += line + "\n"
		}
	}
	if text == "" {
		return ""
	}
	return digest(text)
}

// ownLines are the rules of our chains, and those that lead to them, in the output of iptables-save. Declarations carry counters.
func ownLines(res host.Result) (list []string) {
	mangle := false
	for line := range strings.Lines(string(res.Stdout)) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "*") {
			mangle = line == "*mangle"
		}
		if mangle && ownLine.MatchString(line) {
			list = append(list, line)
		}
	}
	return list
}

var ownLine = regexp.MustCompile(`^-A (?:` + ownChain + `-[A-Z]+ |[A-Z]+ -j ` + ownChain + `-[A-Z]+$)`)

// unloadOwn removes our own rules from the kernel.
func (f *Firewall) unloadOwn(ctx context.Context, m Machine) error {
	if f.Own != "nft" {
		return f.unloadIPTables(ctx, m)
	}
	// The first line makes the table if it is missing, so that the second does not fail.
	return loadRules(ctx, m, "table inet "+ownTable+"\ndelete table inet "+ownTable+"\n", "nft", "-f", "-")
}

// unloadIPTables removes our chains where they are, in one transaction a family.
func (f *Firewall) unloadIPTables(ctx context.Context, m Machine) error {
	if f.Own == "" {
		return nil
	}
	var errs []error
	for name := range f.iptablesFamilies() {
		res := m.Run.Run(ctx, host.Command{Argv: []string{name + "-save"}})
		if !res.OK() {
			errs = append(errs, failure(res))
			continue
		}
		if !strings.Contains(string(res.Stdout), "\n:"+ownChain+"-") {
			continue
		}
		text := "*mangle\n"
		for _, line := range ownLines(res) {
			if !strings.HasPrefix(line, "-A "+ownChain) {
				text += "-D" + strings.TrimPrefix(line, "-A") + "\n"
			}
		}
		for _, verb := range []string{"-F", "-X"} {
			for _, c := range f.iptablesChains() {
				if strings.Contains(string(res.Stdout), "\n:"+ownChain+"-"+c.short+" ") {
					text += verb + " " + ownChain + "-" + c.short + "\n"
				}
			}
		}
		errs = append(errs, loadRules(ctx, m, text+"COMMIT\n", name+"-restore", "--noflush"))
	}
	return errors.Join(errs...)
}

// persist has systemd load our own rules at boot: after whatever flushes all rules as it loads its own, and before the network.
func (f *Firewall) persist(ctx context.Context, m Machine) error {
	commands := ""
	if f.Own == "nft" {
		commands = "ExecStart=" + programPath(m, "nft") + " -f " + ownNFT + "\n"
	} else {
		commands = "ExecStart=-" + programPath(m, "iptables-restore") + " --noflush " + ownIPT + "\n"
		if !f.NoV6 {
			commands += "ExecStart=-" + programPath(m, "ip6tables-restore") + " --noflush " + ownIPT6 + "\n"
		}
	}
	unit := `# Written by "openclaw-ir contain"; "openclaw-ir contain undo" removes it.
[Unit]
Description=Firewall rules of openclaw-ir contain
DefaultDependencies=no
After=local-fs.target nftables.service netfilter-persistent.service ufw.service
Before=network-pre.target shutdown.target
Wants=network-pre.target
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
` + commands + `
[Install]
WantedBy=sysinit.target
`
	if err := f.put(m, ownUnitAt, unit); err != nil {
		return err
	}
	return loadRules(ctx, m, "", "systemctl", "enable", ownUnit) // which has systemd read it, too
}

func (f *Firewall) unpersist(ctx context.Context, m Machine) error {
	if !f.Persist {
		return nil
	}
	_, now, err := host.ReadFile(ourselves(), onDisk(m, ownUnitAt))
	if err != nil || !now.Exists {
		return err
	}
	err = loadRules(ctx, m, "", "systemctl", "disable", ownUnit)
	return errors.Join(err, f.restore(m, []string{ownUnitAt}))
}

// programPath is where systemd finds a program that [host.Trusted] would run.
func programPath(m Machine, name string) string {
	for _, dir := range []string{"/usr/sbin", "/usr/bin", "/sbin", "/bin"} {
		if _, err := m.Root.Stat(dir[1:] + "/" + name); err == nil {
			return dir + "/" + name
		}
	}
	return name
}
