package posture

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

// liveIDs are the checks that only --deep decides.
var liveIDs = []string{
	"deep.bind", "deep.open", "deep.control", "gateway.probe_failed", "guide.port_exposed", "guide.firewall", "guide.ssh_limit", "guide.container_running",
	"sandbox.browser_container.hash_label_missing", "sandbox.browser_container.hash_epoch_stale", "sandbox.browser_container.non_loopback_publish",
	"sandbox.browser_container.docker_probe_timeout",
}

func listen(addr, program string) Listener {
	return Listener{Addr: netip.MustParseAddrPort(addr), Program: program, PIDs: []int{1}}
}

// TestDeep gives each check a machine on which it passes, finds or cannot tell.
func TestDeep(t *testing.T) {
	hard := ContainerSeen{Engine: "docker", Name: "openclaw-sbx-a", What: "sandbox", Running: true, NoNewPrivileges: true, CapDrop: []string{"ALL"}, ReadOnly: true, Network: "none"}
	soft, host := hard, hard
	soft.CapDrop, soft.CapAdd, soft.NoNewPrivileges = nil, []string{"SYS_ADMIN"}, false
	host.Network, host.Binds = "host", []string{"/var/run/docker.sock:/var/run/docker.sock"}
	browser := hard
	browser.What, browser.Published = "browser", []string{"127.0.0.1:9222"}
	browser.Labels = map[string]string{"openclaw.configHash": "x", "openclaw.browserConfigEpoch": "y"}
	bare := browser
	bare.Published, bare.Labels = []string{"0.0.0.0:9222", "[::]:6080"}, nil
	stopped := soft
	stopped.Running = false
	healthy := ProbeSeen{Addr: netip.MustParseAddrPort("127.0.0.1:18789"), Healthy: true, Refused: true}
	dead := ProbeSeen{Addr: healthy.Addr, Why: "connection refused"}
	open := ProbeSeen{Addr: healthy.Addr, Healthy: true, Accepted: true}
	ufw := FirewallState{UFW: "active", Incoming: "deny", Rules: []string{"22/tcp (OpenSSH)           LIMIT IN    Anywhere"}}
	allows := ufw
	allows.Rules = []string{"18789/tcp                  ALLOW IN    Anywhere", "22                         ALLOW IN    Anywhere"}
	for _, test := range []struct {
		name, bind string
		live       Live
		want       string // ids found, with how often and the worst level
		undecided  string
	}{
		{"closed", "loopback", Live{Listeners: []Listener{listen("127.0.0.1:18789", "node"), listen("0.0.0.0:22", "sshd")}, Firewall: ufw, Probes: []ProbeSeen{healthy}, Containers: []ContainerSeen{hard, browser, stopped}}, "", "sandbox.browser_container.hash_epoch_stale"},
		{"beyond its config", "loopback", Live{Listeners: []Listener{listen("0.0.0.0:18789", "node")}, Firewall: ufw, Probes: []ProbeSeen{healthy}}, "deep.bind critical", ""},
		{"as its config", "lan", Live{Listeners: []Listener{listen("0.0.0.0:18789", "node")}, Firewall: FirewallState{UFW: "inactive"}, Probes: []ProbeSeen{healthy}}, "guide.firewall medium, guide.port_exposed high", ""},
		{"in a container's namespace", "loopback", Live{Listeners: []Listener{{Addr: netip.MustParseAddrPort("0.0.0.0:18789"), Outside: true}}, Firewall: ufw, Probes: []ProbeSeen{healthy}}, "", ""},
		{"open", "loopback", Live{Listeners: []Listener{listen("127.0.0.1:18789", "node")}, Firewall: ufw, Probes: []ProbeSeen{open}}, "deep.open critical", ""},
		{"UFW allows it, SSH unlimited", "lan", Live{Listeners: []Listener{listen("[::]:18789", "node"), listen("0.0.0.0:22", "sshd")}, Firewall: allows, Probes: []ProbeSeen{healthy}}, "guide.port_exposed high, guide.port_exposed high, guide.ssh_limit low", ""},
		{"UFW allows what is not there", "loopback", Live{Firewall: allows, Probes: []ProbeSeen{dead}}, "gateway.probe_failed medium, guide.port_exposed low", "deep.open"},
		{"fail2ban", "loopback", Live{Listeners: []Listener{listen("0.0.0.0:2222", "sshd")}, Firewall: FirewallState{UFW: "absent", Drops: true}, Programs: []string{"fail2ban-server"}, Probes: []ProbeSeen{healthy}}, "", ""},
		{"not root", "loopback", Live{Listeners: []Listener{listen("0.0.0.0:22", "")}, Firewall: FirewallState{UFW: "inactive", Why: "root alone"}, Probes: []ProbeSeen{healthy}}, "", "guide.firewall guide.ssh_limit"},
		{"browser control", "loopback", Live{Listeners: []Listener{listen("0.0.0.0:18791", "node"), listen("192.0.2.1:18800", "chrome"), listen("0.0.0.0:18798", "x")}, Firewall: ufw, Probes: []ProbeSeen{healthy}}, "deep.control critical, deep.control critical", ""},
		{"containers", "loopback", Live{Firewall: ufw, Probes: []ProbeSeen{healthy}, Containers: []ContainerSeen{soft, host, bare}}, "guide.container_running critical, guide.container_running high, sandbox.browser_container.hash_epoch_stale medium, sandbox.browser_container.hash_label_missing medium, sandbox.browser_container.non_loopback_publish critical, sandbox.browser_container.non_loopback_publish critical", ""},
		{"nothing could be asked", "lan", Live{Gaps: map[string]string{"sockets": "denied", "firewall": "denied", "containers": "timed out"}}, "sandbox.browser_container.docker_probe_timeout medium", "deep.bind deep.control deep.open gateway.probe_failed guide.container_running guide.firewall guide.port_exposed guide.ssh_limit sandbox.browser_container.hash_epoch_stale sandbox.browser_container.hash_label_missing sandbox.browser_container.non_loopback_publish"},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := &openclaw.Installation{StateDir: "/home/u/.openclaw", ConfigPath: "/home/u/.openclaw/openclaw.json", Port: 18789}
			in.Config = &openclaw.Config{Tree: map[string]any{"gateway": map[string]any{"bind": test.bind}}}
			r, err := Check(t.Context(), in, Options{FS: fstest.MapFS{}, Live: &test.live})
			if err != nil {
				t.Fatal(err)
			}
			var found, undecided []string
			for _, f := range r.Findings {
				if slices.Contains(liveIDs, f.ID) {
					found = append(found, f.ID+" "+f.Level.String())
				}
			}
			for _, u := range r.Undecided {
				if slices.Contains(liveIDs, u.ID) {
					undecided = append(undecided, u.ID)
				}
			}
			slices.Sort(found)
			slices.Sort(undecided)
			if got := strings.Join(found, ", "); got != test.want {
				t.Errorf("found %q, want %q", got, test.want)
			}
			if got := strings.Join(undecided, " "); got != test.undecided {
				t.Errorf("undecided %q, want %q", got, test.undecided)
			}
		})
	}
}

// TestDeepWithoutALook leaves every check of the running machine undecided.
func TestDeepWithoutALook(t *testing.T) {
	in := &openclaw.Installation{StateDir: "/s", ConfigPath: "/s/openclaw.json", Port: 18789, Config: &openclaw.Config{Tree: map[string]any{}}}
	r, err := Check(t.Context(), in, Options{FS: fstest.MapFS{}})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range liveIDs {
		if !slices.ContainsFunc(r.Undecided, func(u Undecided) bool { return u.ID == id }) {
			t.Errorf("%s was decided without looking", id)
		}
	}
}
