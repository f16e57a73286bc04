package contain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/host"
)

// A ufwRule is one "### tuple ###" line of UFW's user.rules or user6.rules, the form in which UFW keeps and reads back its rules.
// What it prints is for people and holds comments that anyone may have written.
type ufwRule struct {
	route                bool
	action, log          string // allow, deny, reject or limit; "", log or log-all
	proto                string // any, tcp, udp, …
	dport, sport         string // any, or numbers and ranges with commas
	dst, src             string // an address or prefix, or any
	direction, interfaze string
	app                  string // the profile that the ports come from
}

var (
	ufwAction    = regexp.MustCompile(`^(route:)?(allow|deny|reject|limit)(?:_(log|log-all))?$`)
	ufwPorts     = regexp.MustCompile(`^(?:any|[0-9]+(?::[0-9]+)?(?:,[0-9]+(?::[0-9]+)?)*)$`)
	ufwProto     = regexp.MustCompile(`^[a-z]+$`)
	ufwDirection = regexp.MustCompile(`^(in|out)(?:_([A-Za-z0-9.:@+-]+))?$`)
	ufwApp       = regexp.MustCompile(`^[A-Za-z0-9._%+-]+$`)
)

// parseUFWRule reads "action proto dport dst sport src [dapp sapp] direction [comment=hex]".
func parseUFWRule(line string) (r ufwRule, err error) {
	f := strings.Fields(line)
	if n := len(f); n > 0 && strings.HasPrefix(f[n-1], "comment=") {
		f = f[:n-1]
	}
	if len(f) != 7 && len(f) != 9 {
		return r, fmt.Errorf("%d fields", len(f))
	}
	action, direction := ufwAction.FindStringSubmatch(f[0]), ufwDirection.FindStringSubmatch(f[len(f)-1])
	if action == nil || direction == nil || !ufwProto.MatchString(f[1]) || !ufwPorts.MatchString(f[2]) || !ufwPorts.MatchString(f[4]) {
		return r, errors.New("odd field")
	}
	r = ufwRule{
		route: action[1] != "", action: action[2], log: action[3], proto: f[1], dport: f[2], sport: f[4],
		direction: direction[1], interfaze: direction[2],
	}
	if r.dst, err = ufwAddress(f[3]); err != nil {
		return r, err
	}
	if r.src, err = ufwAddress(f[5]); err != nil {
		return r, err
	}
	if len(f) == 9 {
		for _, app := range f[6:8] {
			if !ufwApp.MatchString(app) {
				return r, errors.New("odd profile")
			}
		}
		if r.app = f[6]; r.app == "-" {
			r.app = f[7]
		}
	}
	return r, nil
}

func ufwAddress(s string) (string, error) {
	p, err := netip.ParsePrefix(s)
	if err == nil && p.Bits() == 0 {
		return "any", nil
	}
	if err == nil && p.IsSingleIP() {
		return p.Addr().String(), nil
	}
	if err == nil {
		return p.String(), nil
	}
	a, err := netip.ParseAddr(s)
	return a.String(), err
}

// words are what ufw takes for the rule, as in "ufw delete" and its words.
func (r ufwRule) words() []string {
	w := []string{r.action, r.direction}
	if r.interfaze != "" {
		w = append(w, "on", r.interfaze)
	}
	if r.log != "" {
		w = append(w, r.log)
	}
	if r.proto != "any" {
		w = append(w, "proto", r.proto)
	}
	w = append(w, "from", r.src)
	if r.sport != "any" {
		w = append(w, "port", r.sport)
	}
	w = append(w, "to", r.dst)
	if r.dport != "any" {
		w = append(w, "port", r.dport)
	}
	return w
}

// String says the rule as a person would: "allow 443/tcp from any (Nginx%20Full)".
func (r ufwRule) String() string {
	s := r.action + " " + r.dport
	if r.route {
		s = "route " + s
	}
	if r.proto != "any" {
		s += "/" + r.proto
	}
	s += " from " + r.src
	if r.dst != "any" {
		s += " to " + r.dst
	}
	if r.interfaze != "" {
		s += " on " + r.interfaze
	}
	if r.app != "" {
		s += " (" + r.app + ")"
	}
	return s
}

// lets says whether the rule lets something come in.
func (r ufwRule) lets() bool {
	return r.direction == "in" && (r.action == "allow" || r.action == "limit")
}

// How a rule reaches a set of ports.
const (
	nowhere = iota
	exactly // it lets in nothing else, and can be removed
	among   // it lets in other things too, or cannot be named without its profile
)

func (r ufwRule) reach(ports []uint16) int {
	if !r.lets() || r.proto != "any" && r.proto != "tcp" || len(ports) == 0 {
		return nowhere
	}
	if r.dport == "any" {
		return among
	}
	hit, all := 0, 0
	for part := range strings.SplitSeq(r.dport, ",") {
		a, b, isRange := strings.Cut(part, ":")
		if !isRange {
			b = a
		}
		first, err := strconv.ParseUint(a, 10, 16)
		last, err2 := strconv.ParseUint(b, 10, 16)
		if err != nil || err2 != nil || last < first {
			return among // nothing that UFW writes
		}
		all += int(last-first) + 1
		for _, p := range ports {
			if uint64(p) >= first && uint64(p) <= last {
				hit++
			}
		}
	}
	switch {
	case hit == 0:
		return nowhere
	case hit < all || r.app != "" || r.route:
		return among
	}
	return exactly
}

// readUFWRules reads the rules of both families as they are now, and counts those that are not understood.
func readUFWRules(m Machine) (rules []ufwRule, odd int, err error) {
	for _, path := range []string{ufwRules, ufwRules6} {
		text, _, err := host.ReadFile(ourselves(), onDisk(m, path))
		if err != nil {
			return nil, 0, err
		}
		for line := range strings.Lines(string(text)) {
			tuple, ok := strings.CutPrefix(line, "### tuple ###")
			if !ok {
				continue
			}
			r, err := parseUFWRule(tuple)
			if err != nil {
				odd++
				continue
			}
			rules = append(rules, r)
		}
	}
	return rules, odd, nil
}

// ufwSetting reads a setting of a file of UFW, the last line being the one that counts.
func ufwSetting(text, name string) (value string) {
	for line := range strings.Lines(text) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), name+"="); ok {
			value = strings.ToLower(strings.Trim(v, `"'`))
		}
	}
	return value
}

func (f *Firewall) file(path string) *FirewallFile {
	for _, file := range f.Files {
		if file.Path == path {
			return file
		}
	}
	return &FirewallFile{}
}

func ufwActive(res host.Result) bool {
	return strings.HasPrefix(string(res.Stdout), "Status: active\n")
}

func ufw(ctx context.Context, m Machine, words ...string) error {
	return loadRules(ctx, m, "", append([]string{"ufw"}, words...)...)
}

// ufwFirst puts a rule before all others. Before 0.36 ufw knew no prepend, and insert fails where there are no rules.
func ufwFirst(ctx context.Context, m Machine, words ...string) error {
	err := ufw(ctx, m, append([]string{"prepend"}, words...)...)
	if err == nil || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if ufw(ctx, m, append([]string{"insert", "1"}, words...)...) == nil || ufw(ctx, m, words...) == nil {
		return nil
	}
	return err
}

// ufwLetIn allows the responder's ways and looks whether UFW has kept them. With IPV6=no UFW drops all IPv6 and takes no rule
// for it, so that has to be on where a way needs it.
func (f *Firewall) ufwLetIn(ctx context.Context, m Machine) error {
	defaults := f.file(ufwDefaults)
	if slices.ContainsFunc(f.Keep, Way.v6) && ufwSetting(string(defaults.Text), "IPV6") == "no" {
		if err := f.put(m, ufwDefaults, ipv6Line.ReplaceAllString(string(defaults.Text), "IPV6=yes")); err != nil {
			return err
		}
	}
	for _, w := range f.Keep {
		if err := ufwFirst(ctx, m, "allow", "proto", "tcp", "from", w.source(), "to", "any", "port", port(w.Port)); err != nil {
			return err
		}
	}
	for _, p := range f.VPN {
		if err := ufwFirst(ctx, m, "allow", "proto", "udp", "from", "any", "to", "any", "port", port(p)); err != nil {
			return err
		}
	}
	return f.ufwLetsIn(m)
}

var ipv6Line = regexp.MustCompile(`(?m)^[ \t]*IPV6=.*$`)

// ufwLetsIn looks whether UFW's rules hold each of the ways.
func (f *Firewall) ufwLetsIn(m Machine) error {
	rules, _, err := readUFWRules(m)
	if err != nil {
		return err
	}
	for _, w := range f.Keep {
		want := ufwRule{action: "allow", proto: "tcp", dport: port(w.Port), sport: "any", dst: "any", src: w.source(), direction: "in"}
		if !slices.Contains(rules, want) {
			return fmt.Errorf("UFW has no rule for %s", w)
		}
	}
	return nil
}

// ufwRemove removes the rules that let in the ports and nothing else, and puts a denial before those that let in more.
func (f *Firewall) ufwRemove(ctx context.Context, m Machine) error {
	rules, _, err := readUFWRules(m)
	if err != nil {
		return err
	}
	errs, done, others := []error{}, []ufwRule{}, false
	for _, r := range rules {
		switch r.reach(f.Ports) {
		case exactly:
			if slices.Contains(done, r) {
				continue // IPv6's half, which went with the other
			}
			done = append(done, r)
			err := ufw(ctx, m, append([]string{"--force", "delete"}, r.words()...)...)
			if errors.Is(err, context.DeadlineExceeded) {
				return err // it would hang again
			}
			errs = append(errs, err)
		case among:
			others = true
		}
	}
	if others {
		// iptables' multiport takes 15 ports, a range counting as two.
		for chunk := range slices.Chunk(strings.Split(portList(f.Ports, ":"), ", "), 7) {
			errs = append(errs, ufwFirst(ctx, m, "deny", "proto", "tcp", "from", "any", "to", "any", "port", strings.Join(chunk, ",")))
		}
	}
	return errors.Join(errs...)
}

// ufwDeny sets the policies and turns UFW on. A policy of reject is as good.
func (f *Firewall) ufwDeny(ctx context.Context, m Machine) error {
	text, _, err := host.ReadFile(ourselves(), onDisk(m, ufwDefaults))
	if err != nil {
		return err
	}
	for _, p := range []struct{ setting, word string }{{"DEFAULT_INPUT_POLICY", "incoming"}, {"DEFAULT_FORWARD_POLICY", "routed"}} {
		if v := ufwSetting(string(text), p.setting); v == "drop" || v == "reject" {
			continue
		}
		if err := ufw(ctx, m, "default", "deny", p.word); err != nil {
			return err
		}
	}
	if f.Active {
		if ufwSetting(string(f.file(ufwDefaults).Text), "IPV6") != ufwSetting(string(text), "IPV6") {
			return ufw(ctx, m, "reload")
		}
		return nil
	}
	return ufw(ctx, m, "--force", "enable")
}

// ufwUndo gives UFW its files back and has it load them, or stop. A file that says ENABLED=no has to come after "ufw disable", which
// otherwise leaves the rules loaded.
func (f *Firewall) ufwUndo(ctx context.Context, m Machine) error {
	files := []string{ufwDefaults, ufwConf, ufwRules, ufwRules6}
	if f.Active {
		if err := f.restore(m, files); err != nil {
			return err
		}
		res := m.Run.Run(ctx, host.Command{Argv: []string{"ufw", "status"}, Timeout: firewallTimeout})
		if res.OK() && !ufwActive(res) {
			return ufw(ctx, m, "--force", "enable")
		}
		return ufw(ctx, m, "reload")
	}
	conf, _, err := host.ReadFile(ourselves(), onDisk(m, ufwConf))
	if err == nil && ufwSetting(string(conf), "ENABLED") == "yes" {
		err = ufw(ctx, m, "disable")
	}
	return errors.Join(err, f.restore(m, files), f.writeSysctl(ctx, m))
}

// sysctlName is a name as UFW's sysctl.conf has them, with slashes. Without dots it leads nowhere else.
var sysctlName = regexp.MustCompile(`^net(/[a-z0-9_]+)+$`)

// readSysctl reads what the kernel has for the settings that UFW makes when it is enabled, and never takes back.
func readSysctl(m Machine) (list []string) {
	conf, _, err := host.ReadFile(ourselves(), onDisk(m, "/etc/ufw/sysctl.conf"))
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(conf)) {
		name, _, ok := strings.Cut(strings.TrimSpace(line), "=")
		name = strings.ReplaceAll(name, ".", "/")
		if !ok || !sysctlName.MatchString(name) || len(list) >= 100 {
			continue
		}
		f, err := m.Root.Open("proc/sys/" + name)
		if err != nil {
			continue
		}
		value, err := io.ReadAll(io.LimitReader(f, 64))
		f.Close()
		if v := strings.TrimSpace(string(value)); err == nil && regexp.MustCompile(`^[0-9]+$`).MatchString(v) {
			list = append(list, name+"="+v)
		}
	}
	return list
}

func (f *Firewall) writeSysctl(ctx context.Context, m Machine) error {
	if len(f.Sysctl) == 0 {
		return nil
	}
	return loadRules(ctx, m, "", append([]string{"sysctl", "-e", "-q", "-w"}, f.Sysctl...)...)
}
