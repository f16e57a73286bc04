package contain

import (
	"encoding/json"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// nftRule is what nft tells of a rule: of a match no more than the ports that are looked for.
type nftRule struct {
	Chain string
	Expr  []struct {
		Match *struct {
			Left struct {
				Payload struct{ Protocol, Field string }
			}
			Right json.RawMessage
		}
	}
}

// ports are the TCP ports to which the rule applies.
func (r *nftRule) ports(t *testing.T) (list []uint16) {
	for _, e := range r.Expr {
		if e.Match == nil || e.Match.Left.Payload.Protocol != "tcp" || e.Match.Left.Payload.Field != "dport" {
			continue
		}
		var set struct{ Set []json.RawMessage }
		if json.Unmarshal(e.Match.Right, &set) != nil || set.Set == nil {
			set.Set = []json.RawMessage{e.Match.Right} // one port, or one range
		}
		for _, element := range set.Set {
			var span struct{ Range [2]uint16 }
			if json.Unmarshal(element, &span.Range[0]) == nil {
				span.Range[1] = span.Range[0]
			} else if err := json.Unmarshal(element, &span); err != nil {
				t.Fatalf("%s: %v", element, err)
			}
			for p := int(span.Range[0]); p <= int(span.Range[1]); p++ {
				list = append(list, uint16(p))
			}
		}
	}
	return list
}

// TestNFTReadsRules has nft load our table, twice, in a network of its own, and tell what it understood.
func TestNFTReadsRules(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, for a namespace")
	}
	if out, err := exec.Command("unshare", "-n", "nft", "add table inet x").CombinedOutput(); err != nil {
		t.Skipf("no nft in a namespace: %v: %s", err, out)
	}
	ways := [][]Way{
		nil,
		{{Port: 22}},
		{{From: netip.MustParsePrefix("203.0.113.9/32"), Port: 2222}, {From: netip.MustParsePrefix("fd00:113::/64"), Port: 65535}},
		{{From: netip.MustParsePrefix("100.101.102.103/32"), Port: 1}, {From: netip.MustParsePrefix("10.0.0.0/8"), Port: 22}, {From: netip.MustParsePrefix("::ffff:203.0.113.9/128"), Port: 22}},
	}
	for i, ports := range [][]uint16{nil, {18789}, {1, 2, 3, 5, 65534, 65535}, {18789, 18790, 18791}} {
		for _, vpn := range [][]uint16{nil, {41641}, {51820, 51821, 1194}} {
			for _, how := range []struct{ whole, egress bool }{{false, false}, {true, false}, {false, true}, {true, true}} {
				f := &Firewall{Ports: ports, Keep: ways[i], VPN: vpn, Own: "nft", Whole: how.whole, Egress: how.egress}
				nftReads(t, f)
			}
		}
	}
}

func nftReads(t *testing.T, f *Firewall) {
	t.Helper()
	file, text := filepath.Join(t.TempDir(), "rules"), f.nftRules()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("unshare", "-n", "sh", "-ec", `nft -f "$1"; nft -f "$1"; nft -j list table inet `+ownTable, "sh", file)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s\n%s", err, &errs, text)
	}
	var table struct {
		NFTables []struct {
			Chain *struct{ Name, Hook, Policy string }
			Rule  *nftRule
		}
	}
	if err := json.Unmarshal(out, &table); err != nil {
		t.Fatal(err)
	}
	var chains []string
	var closed []uint16
	rules := 0
	for _, x := range table.NFTables {
		if x.Chain != nil {
			chains = append(chains, x.Chain.Name+" "+x.Chain.Policy)
		}
		if x.Rule != nil {
			rules++
			if x.Rule.Chain == "prerouting" {
				closed = append(closed, x.Rule.ports(t)...)
			}
		}
	}
	want := []string{}
	for chain, is := range map[string]bool{
		"prerouting accept": len(f.Ports) > 0, "input drop": f.Whole, "forward accept": f.Whole || f.Egress, "output drop": f.Egress,
	} {
		if is {
			want = append(want, chain)
		}
	}
	slices.Sort(chains)
	slices.Sort(want)
	// Every line that is indented twice is a rule, but for what begins a chain.
	if lines := strings.Count(text, "\n\t\t") - len(want); !slices.Equal(chains, want) || !slices.Equal(closed, f.Ports) || rules != lines {
		t.Errorf("nft has chains %q of %q, closes %d of %d, %d rules of %d:\n%s", chains, want, closed, f.Ports, rules, lines, text)
	}
}
