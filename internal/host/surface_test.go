package host

import (
	"context"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const ufwStatus = `Status: active
Logging: on (low)
Default: deny (incoming), allow (outgoing), deny (routed)
New profiles: skip

To                         Action      From
--                         ------      ----
22/tcp (OpenSSH)           LIMIT IN    Anywhere
18789/tcp                  ALLOW IN    Anywhere
22/tcp (OpenSSH (v6))      LIMIT IN    Anywhere (v6)

`

// scripted runs nothing and answers by the program's name.
type scripted map[string]Result

func (s scripted) Run(_ context.Context, c Command) Result {
	if r, ok := s[c.Argv[0]]; ok {
		return r
	}
	return Result{Argv: c.Argv, ExitCode: -1, Err: exec.ErrNotFound}
}

func TestReadFilter(t *testing.T) {
	root, err := OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for _, test := range []struct {
		name string
		run  scripted
		want Filter
	}{
		{"nothing installed", scripted{}, Filter{UFW: "absent"}},
		{"active", scripted{"ufw": {Stdout: []byte(ufwStatus)}}, Filter{UFW: "active", Incoming: "deny"}},
		{"inactive", scripted{"ufw": {Stdout: []byte("Status: inactive\n")}}, Filter{UFW: "inactive"}},
		{"odd", scripted{"ufw": {Stdout: []byte("Status: \x1b[2J\n")}}, Filter{UFW: "unknown"}},
		{"not root", scripted{"ufw": {ExitCode: 1, Stdout: []byte("ERROR: You need to be root")}}, Filter{UFW: "absent", Why: "the firewall tells its rules to root alone"}},
		{"nftables", scripted{"nft": {Stdout: []byte("table inet f {\n chain i {\n type filter hook input priority filter; policy drop;\n tcp dport 22 ct state new limit rate 3/minute accept\n")}}, Filter{UFW: "absent", Drops: "nftables", Limits: true}},
		{"iptables", scripted{"iptables-save": {Stdout: []byte("*filter\n:INPUT DROP [0:0]\n-A INPUT -p tcp --dport 22 -m recent --update --hitcount 6 -j DROP\n")}}, Filter{UFW: "absent", Drops: "iptables", Limits: true}},
		{"policy of forwarding", scripted{"iptables-save": {Stdout: []byte(":FORWARD DROP [0:0]\n:INPUT ACCEPT [0:0]\n")}}, Filter{UFW: "absent"}},
	} {
		got := ReadFilter(t.Context(), root, test.run)
		rules := got.Rules
		got.Rules = nil
		if got.UFW != test.want.UFW || got.Incoming != test.want.Incoming || got.Drops != test.want.Drops || got.Limits != test.want.Limits || got.Why != test.want.Why {
			t.Errorf("%s: got %+v, want %+v", test.name, got, test.want)
		}
		if test.name == "active" && (len(rules) != 3 || !slices.ContainsFunc(rules, func(r string) bool { return strings.HasPrefix(r, "18789/tcp") })) {
			t.Errorf("rules %q", rules)
		}
	}
}
