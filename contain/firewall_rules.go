package contain

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/host"
)

// ErrNotAsBefore says that a firewall was opened again, and that something is not as it was. Docker and fail2ban change rules
// of their own all the time.
var ErrNotAsBefore = errors.New("not as before")

// Rules are a machine's rules at one moment, without our own, without counters and without the elements of sets.
type Rules struct {
	Chains map[string]string   `json:"chains,omitempty"` // the digest of each chain, by "nft ip filter INPUT" or "iptables filter INPUT"
	Filter map[string][]string `json:"filter,omitempty"` // of iptables' and ip6tables' built-in filter chains: policies and rules
	Status string              `json:"status,omitempty"` // what "ufw status verbose" says
}

// rulesLimit is what a listing may have, in bytes: the sets of a block list are long.
const rulesLimit = 64 << 20

func (f *Firewall) readRules(ctx context.Context, m Machine) Rules {
	r := Rules{Chains: map[string]string{}, Filter: map[string][]string{}}
	if f.Own == "nft" {
		res := m.Run.Run(ctx, host.Command{Argv: []string{"nft", "-s", "list", "ruleset"}, Timeout: firewallTimeout, MaxOutput: rulesLimit})
		for name, lines := range nftChains(string(res.Stdout)) {
			r.Chains["nft "+name] = digest(strings.Join(lines, "\n"))
		}
	}
	for _, name := range []string{"iptables", "ip6tables"} {
		res := m.Run.Run(ctx, host.Command{Argv: []string{name + "-save"}, Timeout: firewallTimeout, MaxOutput: rulesLimit})
		for chain, lines := range iptablesChains(string(res.Stdout)) {
			if len(lines) == 1 && strings.HasSuffix(lines[0], " ACCEPT") {
				continue // as good as none, and nothing removes it
			}
			r.Chains[name+" "+chain] = digest(strings.Join(lines, "\n"))
			if builtin.MatchString(chain) {
				r.Filter[name] = append(r.Filter[name], lines...)
			}
		}
	}
	if f.UFW {
		res := m.Run.Run(ctx, host.Command{Argv: []string{"ufw", "status", "verbose"}, Timeout: firewallTimeout})
		r.Status = string(res.Stdout)
	}
	return r
}

var builtin = regexp.MustCompile(`^filter (INPUT|FORWARD|OUTPUT)$`)

// nftChains cuts the output of "nft list ruleset" into chains and the like, by "ip filter INPUT", and tables, by "ip filter".
// Of what is not a chain, such as a set, only the name is kept.
func nftChains(text string) map[string][]string {
	chains := map[string][]string{}
	table, chain := "", ""
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		inner, isInner := strings.CutPrefix(line, "\t")
		switch words := strings.Fields(line); {
		case strings.HasPrefix(strings.TrimSpace(line), "#") || len(words) == 0:
		case !isInner && words[0] == "table" && len(words) >= 3:
			if table, chain = words[1]+" "+words[2], ""; table == "inet "+ownTable {
				table = ""
				continue
			}
			chains[table] = nil
		case table == "":
		case isInner && !strings.HasPrefix(inner, "\t") && len(words) >= 2 && words[0] != "}":
			chain = ""
			if words[0] == "chain" {
				chain = table + " " + words[1]
				chains[chain] = nil
			} else {
				chains[table+" "+words[0]+" "+words[1]] = nil
			}
		case strings.HasPrefix(inner, "\t") && chain != "":
			chains[chain] = append(chains[chain], inner[1:])
		}
	}
	return chains
}

// iptablesChains cuts the output of iptables-save into chains, by "filter INPUT". The first line of each is its name and policy.
func iptablesChains(text string) map[string][]string {
	chains := map[string][]string{}
	table := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || strings.Contains(line, ownChain+"-"):
		case line[0] == '*':
			table = line[1:]
		case line[0] == ':' && len(words) >= 2:
			chains[table+" "+words[0][1:]] = []string{words[0] + " " + words[1]}
		case words[0] == "-A" && len(words) >= 2:
			chains[table+" "+words[1]] = append(chains[table+" "+words[1]], line)
		}
	}
	return chains
}

// asBefore compares the rules with those of before.
func (f *Firewall) asBefore(ctx context.Context, m Machine) error {
	now := f.readRules(ctx, m)
	var differ []string
	for name, sum := range f.Before.Chains {
		if now.Chains[name] != sum {
			differ = append(differ, name)
		}
	}
	for name := range now.Chains {
		if _, ok := f.Before.Chains[name]; !ok {
			differ = append(differ, name)
		}
	}
	slices.Sort(differ)
	if now.Status != f.Before.Status {
		differ = append(differ, "ufw status")
	}
	if n := len(differ); n > 5 {
		differ = append(differ[:5], fmt.Sprintf("%d more", n-5))
	}
	if len(differ) > 0 {
		return fmt.Errorf("%w: %q", ErrNotAsBefore, differ)
	}
	return nil
}

// dropLeftovers removes what "ufw disable" and iptables leave behind where it was not there before: empty chains with the jumps to them,
// policies that Docker had set, and empty tables.
func (f *Firewall) dropLeftovers(ctx context.Context, m Machine) error {
	var errs []error
	if f.UFW && !f.Active {
		for _, name := range []string{"iptables", "ip6tables"} {
			res := m.Run.Run(ctx, host.Command{Argv: []string{name + "-save"}, MaxOutput: rulesLimit})
			if text := f.leftovers(name, string(res.Stdout)); text != "" {
				errs = append(errs, loadRules(ctx, m, text, name+"-restore", "--noflush"))
			}
		}
	}
	if f.Own == "nft" {
		res := m.Run.Run(ctx, host.Command{Argv: []string{"nft", "-s", "list", "ruleset"}, MaxOutput: rulesLimit})
		if text := f.emptyTables(nftChains(string(res.Stdout))); text != "" {
			errs = append(errs, loadRules(ctx, m, text, "nft", "-f", "-"))
		}
	}
	return errors.Join(errs...)
}

var (
	ufwChain = regexp.MustCompile(`^filter (ufw6?-[a-z-]+)$`)
	ufwJump  = regexp.MustCompile(`^-A (?:INPUT|FORWARD|OUTPUT) -j ufw6?-[a-z-]+$`)
	ufwNoV6  = regexp.MustCompile(`^-A (?:INPUT -i|OUTPUT -o) lo -j ACCEPT$`) // what UFW loads with IPV6=no
)

// leftovers is what iptables-restore is to do about one family, "" if there is nothing.
func (f *Firewall) leftovers(name, save string) string {
	chains := iptablesChains(save)
	before := f.Before.Filter[name]
	var policies, rules, flush, remove string
	for _, chain := range slices.Sorted(maps.Keys(chains)) {
		lines := chains[chain]
		if found := ufwChain.FindStringSubmatch(chain); found != nil {
			if _, was := f.Before.Chains[name+" "+chain]; !was {
				flush += "-F " + found[1] + "\n"
				remove += "-X " + found[1] + "\n"
			}
			continue
		}
		if !builtin.MatchString(chain) {
			continue
		}
		header, policy, _ := strings.Cut(lines[0], " ")
		want := "ACCEPT"
		for _, line := range before {
			if p, ok := strings.CutPrefix(line, header+" "); ok && p == "DROP" {
				want = p
			}
		}
		if policy != want {
			policies += header + " " + want + " [0:0]\n"
		}
		for _, line := range lines[1:] {
			if (ufwJump.MatchString(line) || name == "ip6tables" && ufwNoV6.MatchString(line)) && !slices.Contains(before, line) {
				rules += "-D" + strings.TrimPrefix(line, "-A") + "\n"
			}
		}
	}
	if text := policies + rules + flush + remove; text != "" {
		return "*filter\n" + text + "COMMIT\n"
	}
	return ""
}

// emptyTables is what nft is to remove: iptables' own tables and built-in chains that are empty now and were not there before.
func (f *Firewall) emptyTables(chains map[string][]string) (text string) {
	for _, table := range []string{"ip filter", "ip6 filter", "ip mangle", "ip6 mangle"} {
		if _, is := chains[table]; !is {
			continue
		}
		empty, drop := true, ""
		for _, name := range slices.Sorted(maps.Keys(chains)) {
			chain, inside := strings.CutPrefix(name, table+" ")
			if !inside {
				continue
			}
			_, was := f.Before.Chains["nft "+name]
			// The only line is "type filter hook input priority filter; policy accept;".
			if was || len(chains[name]) != 1 || !strings.HasSuffix(chains[name][0], "policy accept;") || !ourHook.MatchString(chain) {
				empty = false
				continue
			}
			drop += "delete chain " + table + " " + chain + "\n"
		}
		if _, was := f.Before.Chains["nft "+table]; empty && !was {
			drop += "delete table " + table + "\n"
		}
		text += drop
	}
	return text
}

var ourHook = regexp.MustCompile(`^(PREROUTING|INPUT|FORWARD|OUTPUT|POSTROUTING)$`)
