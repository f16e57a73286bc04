package posture

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/severity"
)

// deepChecks compare what runs with what is configured.
var deepChecks = []check{
	{
		id: "deep.bind", needs: needsLive, level: severity.Critical, title: "The gateway listens beyond what its config says",
		why: "An argument, the environment or a proxy opens what the config closes; whoever reads the config alone takes it for closed.",
		fix: "Find out what started it so: the service's definition, --bind, OPENCLAW_GATEWAY_BIND.", run: (*state).deepBind,
	},
	{
		id: "deep.open", needs: needsLive, level: severity.Critical, title: "The gateway lets in who shows no secret",
		why: "Every program of this machine, and every web page that reaches it through one, commands the agent.", fix: "Set gateway.auth.mode to token and a long random token, then restart it.", run: (*state).deepOpen,
	},
	{
		id: "deep.control", needs: needsLive, level: severity.Critical, title: "The browser's control is reachable from outside",
		why: "It steers a browser that is logged in for you, and asks for less than the gateway does.", fix: "Bind it to loopback.", run: (*state).deepControl,
	},
}

// live returns the facts, or decides that the check cannot be. parts are those that it needs.
func (s *state) live(o *outcome, parts ...string) *Live {
	l := s.o.Live
	if l == nil {
		s.byTheLiveLook(o)
		return nil
	}
	for _, part := range parts {
		if why, missing := l.Gaps[part]; missing {
			o.undecided = part + ": " + why
			return nil
		}
	}
	return l
}

// gatewayListeners are the listeners on the gateway's port; outside a container it is this installation's.
func (s *state) gatewayListeners(l *Live) (list []Listener) {
	for _, n := range l.Listeners {
		if s.in.Port > 0 && int(n.Addr.Port()) == s.in.Port {
			list = append(list, n)
		}
	}
	return list
}

func (s *state) deepBind(o *outcome) {
	l := s.live(o, "sockets")
	if l == nil {
		return
	}
	mode := "loopback"
	if s.in.Config != nil && s.in.Config.String("gateway", "bind") != "" {
		mode = s.in.Config.String("gateway", "bind")
	}
	for _, n := range s.gatewayListeners(l) {
		if n.Open() && mode == "loopback" {
			o.add("gateway.bind", fmt.Sprintf("gateway.bind is loopback, and it listens on %s", n))
		}
	}
}

func (s *state) deepOpen(o *outcome) {
	l := s.live(o)
	if l == nil {
		return
	}
	answered := false
	for _, p := range l.Probes {
		answered = answered || p.Accepted || p.Refused
		if p.Accepted {
			o.add("gateway.auth.mode", fmt.Sprintf("asked without a secret on %s, it said welcome", p.Addr))
		}
	}
	if !answered {
		o.undecided = "no gateway answered"
	}
}

// isControl reports the ports of the browser's control and of its debugging, which are counted from the gateway's
// (FACTS 1).
func (s *state) isControl(port int) bool {
	control := s.in.Port + 2
	return s.in.Port > 0 && (port == control || port >= control+9 && port <= control+108)
}

func (s *state) deepControl(o *outcome) {
	l := s.live(o, "sockets")
	if l == nil {
		return
	}
	for _, n := range l.Listeners {
		if n.Open() && s.isControl(int(n.Addr.Port())) {
			o.add("browser", "it listens on "+n.String())
		}
	}
}

func (s *state) deepProbe(o *outcome) {
	l := s.live(o)
	if l == nil {
		return
	}
	var seen []string
	for _, p := range l.Probes {
		if p.Healthy || p.Accepted || p.Refused {
			return
		}
		seen = append(seen, fmt.Sprintf("%s: %s", p.Addr, p.Why))
	}
	if len(seen) == 0 {
		o.undecided = "the gateway's port is not known"
		return
	}
	o.add("gateway", strings.Join(seen, "\n"))
}

// filtered reports whether UFW keeps a port closed to others, and whether that is known.
func (f *FirewallState) filtered(port int) (closed, known bool) {
	switch {
	case f.UFW == "active" && f.Incoming != "":
		open := f.rules("allow", strconv.Itoa(port), "Anywhere")
		return f.Incoming != "allow" && len(open) == 0 && len(f.rules("limit", strconv.Itoa(port))) == 0, true
	case f.Drops:
		return false, false // what its rules let through is not worked out here
	}
	return false, f.UFW == "absent" || f.UFW == "inactive"
}

func (s *state) deepExposed(o *outcome) {
	l := s.live(o, "sockets")
	if l == nil {
		return
	}
	closed, known := l.Firewall.filtered(s.in.Port)
	for _, n := range s.gatewayListeners(l) {
		switch {
		case !n.Open() || closed:
		case known:
			o.add("gateway.bind", fmt.Sprintf("it listens on %s, and no firewall closes the port", n))
		default:
			o.add("gateway.bind", fmt.Sprintf("it listens on %s; whether a firewall closes the port is not known", n)).Level = severity.Medium
		}
	}
	for _, rule := range l.Firewall.rules("allow", strconv.Itoa(s.in.Port)) {
		f := o.add("ufw", "UFW lets everybody at the port: "+rule)
		f.Commands = []string{fmt.Sprintf("sudo ufw delete allow %d", s.in.Port)}
		if !slices.ContainsFunc(s.gatewayListeners(l), Listener.Open) {
			f.Level, f.Seen = severity.Low, f.Seen+"; nothing listens there beyond loopback now"
		}
	}
	if l.Firewall.UFW == "unknown" && len(o.findings) == 0 && slices.ContainsFunc(s.gatewayListeners(l), Listener.Open) {
		o.undecided = l.Firewall.Why
	}
}

func (s *state) deepFirewall(o *outcome) {
	l := s.live(o, "firewall")
	if l == nil {
		return
	}
	f := &l.Firewall
	switch {
	case f.Drops:
	case f.UFW == "active" && f.Incoming == "allow":
		o.add("ufw", "UFW is active and lets in whatever no rule refuses").Commands = []string{"sudo ufw default deny incoming"}
	case f.UFW == "active":
	case f.Why != "":
		o.undecided = f.Why
		if f.UFW == "inactive" {
			o.undecided = "UFW is inactive; " + f.Why
		}
	case f.UFW == "unknown":
		o.undecided = "what ufw printed was not understood"
	default:
		o.add("ufw", "UFW is "+f.UFW+", and no other rules drop what comes in").Commands = []string{"sudo ufw limit ssh", "sudo ufw enable"}
	}
}

func (s *state) deepSSH(o *outcome) {
	l := s.live(o, "sockets", "firewall")
	if l == nil {
		return
	}
	ssh := slices.DeleteFunc(slices.Clone(l.Listeners), func(n Listener) bool {
		return !n.Open() || n.Addr.Port() != 22 && !strings.HasPrefix(n.Program, "sshd")
	})
	f := &l.Firewall
	limited := f.Limits || slices.Contains(l.Programs, "fail2ban-server") || slices.Contains(l.Programs, "sshguard")
	for _, n := range ssh {
		limited = limited || f.UFW == "active" && len(f.rules("limit", strconv.Itoa(int(n.Addr.Port())), "OpenSSH", "SSH")) > 0
	}
	switch {
	case len(ssh) == 0 || limited:
	case f.Why != "":
		o.undecided = f.Why
	default:
		o.add("ssh", fmt.Sprintf("SSH listens on %s, and nothing limits attempts", ssh[0])).Commands = []string{"sudo ufw limit ssh"}
	}
}

// loose says what a container lacks of what ClawBook's guide asks for.
func (c *ContainerSeen) loose() (lacks []string) {
	if c.Privileged {
		lacks = append(lacks, "it is privileged")
	}
	if !c.NoNewPrivileges {
		lacks = append(lacks, "no-new-privileges is missing")
	}
	if !slices.ContainsFunc(c.CapDrop, func(d string) bool { return strings.EqualFold(d, "ALL") || strings.EqualFold(d, "CAP_ALL") }) {
		lacks = append(lacks, "it keeps capabilities (no --cap-drop=ALL)")
	}
	for _, cap := range c.CapAdd {
		lacks = append(lacks, "it is given the capability "+short(cap))
	}
	if !c.ReadOnly {
		lacks = append(lacks, "its root file system can be written")
	}
	for what, mode := range map[string]string{"network": c.Network, "processes": c.PID} {
		if mode == "host" {
			lacks = append(lacks, "it shares the host's "+what)
		}
	}
	for _, b := range c.Binds {
		if strings.Contains(b, "docker.sock") || strings.Contains(b, "podman.sock") {
			lacks = append(lacks, "it reaches the container engine: "+short(b))
		}
	}
	slices.Sort(lacks)
	return lacks
}

func (s *state) deepContainers(o *outcome) {
	l := s.live(o, "containers")
	if l == nil {
		return
	}
	for i := range l.Containers {
		c := &l.Containers[i]
		lacks := c.loose()
		if !c.Running || len(lacks) == 0 {
			continue
		}
		f := o.add("container "+c.Engine+":"+short(c.Name), c.What+" "+short(c.Name)+": "+strings.Join(lacks, "; "))
		switch {
		case c.Privileged || strings.Contains(f.Seen, "container engine"):
			f.Level = severity.Critical
		case c.What == "gateway": // OpenClaw's own image writes its file system
			f.Level = severity.Medium
		}
	}
}

// browsers are the containers of sandboxes' browsers.
func (l *Live) browsers() (list []ContainerSeen) {
	for _, c := range l.Containers {
		if c.What == "browser" {
			list = append(list, c)
		}
	}
	return list
}

func (s *state) deepBrowserLabel(o *outcome) {
	l := s.live(o, "containers")
	if l == nil {
		return
	}
	for _, c := range l.browsers() {
		if c.Labels["openclaw.configHash"] == "" {
			o.add("container "+short(c.Name), short(c.Name)+" has no label openclaw.configHash")
		}
	}
}

func (s *state) deepBrowserEpoch(o *outcome) {
	l := s.live(o, "containers")
	if l == nil {
		return
	}
	for _, c := range l.browsers() {
		if c.Labels["openclaw.browserConfigEpoch"] == "" {
			o.add("container "+short(c.Name), short(c.Name)+" has no label openclaw.browserConfigEpoch")
			continue
		}
		o.undecided = "which epoch is the newest depends on the release that made the container"
	}
}

func (s *state) deepBrowserPublish(o *outcome) {
	l := s.live(o, "containers")
	if l == nil {
		return
	}
	for _, c := range l.browsers() {
		for _, p := range c.Published {
			host, _, err := net.SplitHostPort(p)
			if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
				o.add("container "+short(c.Name), short(c.Name)+" is published on "+short(p))
			}
		}
	}
}

// deepSecret cannot fail here: nothing is asked with a secret.
func (s *state) deepSecret(o *outcome) {
	if s.live(o) != nil {
		o.undecided = "the gateway is asked without a secret"
	}
}

func (s *state) deepDocker(o *outcome) {
	if s.o.Live == nil {
		s.byTheLiveLook(o)
		return
	}
	if why, missing := s.o.Live.Gaps["containers"]; missing {
		o.add("docker", why)
	}
}
