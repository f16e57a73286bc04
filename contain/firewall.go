package contain

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/internal/host"
)

// FirewallOptions says what to close and what not.
type FirewallOptions struct {
	Ports     []int // TCP ports of gateways, what derives from them, and what their containers publish
	Responder []Way // as [Responder] finds them
	Egress    bool  // outgoing connections too
}

// A Firewall is how the host is closed, and what it was before: all that undoing needs, and no secret.
//
// Where UFW is installed it holds the policy, as people expect to find it there. It does not see what Docker publishes
// (DNAT, then FORWARD), nor what Tailscale's own chains accept before it. So there are rules of our own as well, in one nftables
// table or, where nft is missing, in chains of iptables' mangle table. They come before everyone else's, and a drop
// in them is final. Without UFW they hold the whole policy; beside firewalld too, whose rules stay as they are.
type Firewall struct {
	Ports  []uint16 `json:"ports"`
	Keep   []Way    `json:"keep"`
	VPN    []uint16 `json:"vpn,omitempty"` // UDP ports that the responder's tunnel may need
	Egress bool     `json:"egress,omitempty"`

	UFW     bool   `json:"ufw"`               // UFW holds the policy
	Active  bool   `json:"active,omitempty"`  // UFW was active before
	Own     string `json:"own,omitempty"`     // what loads our own rules: nft, iptables, or nothing
	NoV6    bool   `json:"no_v6,omitempty"`   // the machine has no ip6tables
	Whole   bool   `json:"whole,omitempty"`   // our own rules hold the whole policy
	Persist bool   `json:"persist,omitempty"` // systemd loads our own rules at boot

	Before Rules           `json:"before"`
	Files  []*FirewallFile `json:"files,omitempty"`
	Sysctl []string        `json:"sysctl,omitempty"` // "name=value" of before, which UFW sets when it is enabled

	State  State  `json:"state,omitempty"`
	Step   string `json:"step,omitempty"` // the one that is about to be done
	Loaded string `json:"loaded,omitempty"`

	Open    int      `json:"open,omitempty"` // connections to the ports
	Remove  []string `json:"remove,omitempty"`
	Deny    []string `json:"deny,omitempty"` // rules that let more than the ports in: a deny rule goes before them
	Kept    []string `json:"kept,omitempty"`
	Closes  []string `json:"closes,omitempty"`
	Remarks []string `json:"remarks,omitempty"`

	settled bool // it was closed by an earlier run: the sessions of then may have ended
}

// A FirewallFile is a file that closing the host changes, or has UFW change.
type FirewallFile struct {
	Path  string         `json:"path"`
	Text  host.Text      `json:"text,omitempty"` // of before
	Was   host.FileState `json:"was"`
	After host.FileState `json:"after,omitzero"` // set once all is done
}

// undoing is the state of a Firewall whose undoing was begun.
const undoing State = "undoing"

const (
	ufwDefaults = "/etc/default/ufw"
	ufwConf     = "/etc/ufw/ufw.conf"
	ufwRules    = "/etc/ufw/user.rules"
	ufwRules6   = "/etc/ufw/user6.rules"
)

// firewallTimeout is what a command that loads rules may take: iptables waits for a lock, and ufw is Python.
const firewallTimeout = 30 * time.Second

// PlanFirewall finds out how to close the host. It changes nothing.
func PlanFirewall(ctx context.Context, m Machine, o FirewallOptions) (*Firewall, error) {
	f := &Firewall{Egress: o.Egress}
	net, err := readNetwork(ctx, m)
	if err != nil {
		return nil, fmt.Errorf("planning the firewall: %w", err)
	}
	f.planWays(m, o, net)
	var rules []ufwRule
	if m.UID != 0 {
		f.remark("only root can change the firewall")
	} else {
		f.planPrograms(ctx, m)
		f.Before = f.readRules(ctx, m)
		if rules, err = f.planFiles(m); err != nil {
			return nil, fmt.Errorf("planning the firewall: %w", err)
		}
	}
	f.planSockets(net, rules)
	return f, ctx.Err()
}

func (f *Firewall) remark(format string, args ...any) {
	f.Remarks = append(f.Remarks, fmt.Sprintf(format, args...))
}

// planWays decides what stays open. SSH's own ports are never closed for everyone, whatever a configuration calls the gateway's.
func (f *Firewall) planWays(m Machine, o FirewallOptions, net network) {
	ssh, _ := net.ssh()
	tunnelled := false
	for _, w := range o.Responder {
		switch {
		case w.From.IsValid() && w.From.Addr().IsLoopback():
			tunnelled = true
		case w.Port != 0 && (!slices.Contains(o.Ports, int(w.Port)) || slices.Contains(ssh, w.Port)):
			f.Keep = append(f.Keep, w)
		}
	}
	if len(f.Keep) == 0 || tunnelled {
		for _, port := range ssh {
			f.Keep = append(f.Keep, Way{Port: port, By: "nobody's address is known"})
		}
		f.remark("where you are connected from is not known: SSH stays open from anywhere; --allow-from ADDRESS narrows it")
	}
	if tunnelled && f.Egress {
		f.Egress = false
		f.remark("outgoing connections stay open: you came through a tunnel that ends on this host, and closing them may cut it")
	}
	for _, p := range o.Ports {
		if p > 0 && p <= 0xffff && !slices.ContainsFunc(f.Keep, func(w Way) bool { return int(w.Port) == p }) {
			f.Ports = append(f.Ports, uint16(p))
		}
	}
	f.Ports = unique(f.Ports)
	f.VPN = net.tunnels(m)
	if _, err := m.Root.Stat("sys/class/net/tailscale0"); err == nil {
		f.remark("tailscale0: only the gateway's ports are closed to the tailnet where UFW rules, since Tailscale's chains come before UFW's")
	}
}

// planPrograms finds out what can hold rules here.
func (f *Firewall) planPrograms(ctx context.Context, m Machine) {
	nft := m.Run.Run(ctx, host.Command{Argv: []string{"nft", "list", "tables"}})
	ipt := m.Run.Run(ctx, host.Command{Argv: []string{"iptables-save"}})
	switch {
	case nft.OK():
		f.Own = "nft"
	case ipt.OK():
		f.Own = "iptables"
		if res := m.Run.Run(ctx, host.Command{Argv: []string{"ip6tables-save"}}); !res.OK() {
			f.NoV6 = true
			f.remark("IPv6 is not closed by our own rules: %v", failure(res))
		}
	default:
		f.remark("neither nft nor iptables works: %v; %v", failure(nft), failure(ipt))
	}
	firewalld := m.Run.Run(ctx, host.Command{Argv: []string{"firewall-cmd", "--state"}}).OK()
	ufw := m.Run.Run(ctx, host.Command{Argv: []string{"ufw", "status", "verbose"}, Timeout: firewallTimeout})
	f.Active = ufw.OK() && ufwActive(ufw)
	f.UFW = ufw.OK() && (f.Active || !firewalld)
	f.Whole = !f.UFW
	if !ufw.OK() && !errors.Is(ufw.Err, errNoProgram) {
		f.remark("UFW is not used: %v", failure(ufw))
	}
	if firewalld {
		f.remark("firewalld runs: its rules stay, ours come before them")
	}
	_, err := m.Root.Stat("run/systemd/system")
	f.Persist = f.Own != "" && err == nil
	if f.Own != "" && !f.Persist {
		f.remark("systemd does not run here: our own rules do not outlast a reboot")
	}
}

// planFiles keeps what the files are now, says what UFW's rules become, and returns those.
func (f *Firewall) planFiles(m Machine) ([]ufwRule, error) {
	paths := f.ownFiles()
	if f.UFW {
		paths = append(paths, ufwDefaults, ufwConf, ufwRules, ufwRules6)
	}
	for _, path := range paths {
		text, st, err := host.ReadFile(ourselves(), onDisk(m, path))
		if err != nil {
			return nil, err
		}
		f.Files = append(f.Files, &FirewallFile{Path: path, Text: host.Text(text), Was: st})
	}
	if !f.UFW {
		return nil, nil
	}
	rules, odd, err := readUFWRules(m)
	if err != nil {
		return nil, err
	}
	if odd > 0 {
		f.remark("%d rules of UFW are not understood and stay", odd)
	}
	for _, r := range rules {
		list := &f.Kept
		switch r.reach(f.Ports) {
		case exactly:
			list = &f.Remove
		case among:
			list = &f.Deny
		}
		if r.lets() && !slices.Contains(*list, r.String()) {
			*list = append(*list, r.String())
		}
	}
	if !f.Active {
		f.Sysctl = readSysctl(m)
	}
	return rules, nil
}

// planSockets counts the connections that are cut and names the services that are closed with the rest.
func (f *Firewall) planSockets(net network, rules []ufwRule) {
	ssh, _ := net.ssh()
	lets := func(port uint16) bool {
		return slices.ContainsFunc(rules, func(r ufwRule) bool {
			return r.reach([]uint16{port}) != nowhere && r.src == "any" && r.interfaze == "" && !r.route
		})
	}
	for _, s := range net.sockets {
		port := s.Local.Port()
		ours := slices.Contains(f.Ports, port)
		switch {
		case ours && isConnection(s):
			f.Open++
		case s.State == "LISTEN" && !ours && !f.Active && !slices.Contains(ssh, port) && !lets(port) && !s.Local.Addr().Unmap().IsLoopback():
			what := fmt.Sprintf("%d/tcp%s", port, net.holder(s))
			if !slices.Contains(f.Closes, what) {
				f.Closes = append(f.Closes, what)
			}
		}
	}
}

// holder names who holds a socket: " (nginx)".
func (n network) holder(s host.Socket) string {
	if len(s.PIDs) == 0 {
		return ""
	}
	return fmt.Sprintf(" (%s)", strings.Trim(strconv.Quote(string(n.processes[s.PIDs[0]].Comm)), `"`))
}

// isConnection tells an open TCP connection.
func isConnection(s host.Socket) bool {
	return strings.HasPrefix(s.Proto, "tcp") && slices.Contains([]string{"ESTAB", "SYN-RECV", "CLOSE-WAIT", "FIN-WAIT-1", "FIN-WAIT-2"}, s.State)
}

// Lines says what is going to be done, for the person who is asked.
func (f *Firewall) Lines() []string {
	var keep []string
	for _, w := range f.Keep {
		keep = append(keep, w.String())
	}
	who := "no firewall"
	switch {
	case f.UFW:
		who = "UFW"
	case f.Own == "nft":
		who = "nftables"
	case f.Own != "":
		who = f.Own
	}
	line := fmt.Sprintf("%s: deny incoming, keep %s, close %s; cut %d connections", who, strings.Join(keep, " and "), portList(f.Ports, "-"), f.Open)
	if len(f.Ports) == 0 {
		line = fmt.Sprintf("%s: deny incoming, keep %s", who, strings.Join(keep, " and "))
	}
	if f.Egress {
		line += "; deny outgoing but DNS, DHCP, NTP and replies to you, for containers too"
	}
	if !f.NoV6 {
		line += "; IPv6 too"
	}
	if who == "no firewall" {
		line = "the host cannot be closed; by hand, at your provider's firewall: " + strings.TrimPrefix(line, who+": ")
	}
	lines := []string{line}
	for _, w := range f.Keep {
		lines = append(lines, fmt.Sprintf("kept: %s (%s)", w, w.By))
	}
	for _, list := range []struct {
		word string
		what []string
	}{
		{"removed: UFW's rule", f.Remove},
		{"denied before: UFW's rule", f.Deny},
		{"kept: UFW's rule", f.Kept},
		{"closed as well:", f.Closes},
		{"note:", f.Remarks},
	} {
		for _, s := range list.what {
			lines = append(lines, list.word+" "+s)
		}
	}
	return lines
}

// Adopt takes over what a later plan for the same host wants beyond this one, which knows what was there before. The next Apply does it.
func (f *Firewall) Adopt(next *Firewall) {
	for _, w := range next.Keep {
		if i := slices.IndexFunc(f.Keep, func(o Way) bool { return o.From == w.From && o.Port == w.Port }); i >= 0 {
			f.Keep[i] = w
			continue
		}
		f.Keep = append(f.Keep, w)
	}
	f.Ports, f.VPN = unique(slices.Concat(f.Ports, next.Ports)), unique(slices.Concat(f.VPN, next.VPN))
	f.Egress = f.Egress || next.Egress
}

// Apply closes the host. save is called before each change, and what it keeps suffices for Undo. After a crash, and at any other
// time before Undo, Apply can be called again. The error joins those of all steps: what is safe after a failed step is still done.
func (f *Firewall) Apply(ctx context.Context, m Machine, save func() error) error {
	switch {
	case f.State == Undone || f.State == undoing:
		return errors.New("closing the host: it was opened again; plan anew")
	case m.UID != 0:
		return fmt.Errorf("closing the host: %w: only root can change the firewall", os.ErrPermission)
	}
	f.State, f.Loaded, f.Whole = Begun, "", !f.UFW
	for _, file := range f.Files {
		file.After = host.FileState{}
	}
	var errs []error
	do := func(what string, step func() error) bool {
		f.Step = what
		err := save()
		if err != nil && errs == nil {
			errs = append(errs, fmt.Errorf("recording it: %w", err))
		}
		if err := step(); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", what, err))
			return false
		}
		return true
	}
	f.Step = "begin"
	if err := save(); err != nil { // nothing has been changed
		return fmt.Errorf("closing the host: %w", err)
	}
	loadOwn := func() error { return f.loadOwn(ctx, m) }
	if f.Own != "" {
		do("load our own rules", loadOwn) // first, because it takes milliseconds
	} else {
		errs = append(errs, errors.New("neither nft nor iptables works here"))
	}
	if f.UFW {
		hangs := false
		in := do("let the responder in", func() error {
			err := f.ufwLetIn(ctx, m)
			hangs = errors.Is(err, context.DeadlineExceeded)
			return err
		})
		if !hangs { // else it would again
			do("remove UFW's rules of the gateway", func() error { return f.ufwRemove(ctx, m) })
		}
		if !in || !do("deny incoming in UFW", func() error { return f.ufwDeny(ctx, m) }) {
			f.Whole = true // our own rules let the responder in and deny the rest in one step
			if f.Own != "" {
				do("load our own rules in UFW's stead", loadOwn)
			}
		}
	}
	if f.Persist {
		do("have our own rules loaded at boot", func() error { return f.persist(ctx, m) })
	}
	do("cut connections", func() error { return f.cut(ctx, m) })
	f.Step = ""
	if errs == nil {
		for _, file := range f.Files {
			var err error
			if _, file.After, err = host.ReadFile(ourselves(), onDisk(m, file.Path)); err != nil {
				errs = append(errs, err)
			}
		}
		f.State = Contained
	}
	if err := save(); err != nil {
		errs = append(errs, err)
	}
	if errs != nil {
		return fmt.Errorf("closing the host: %w", errors.Join(errs...))
	}
	return nil
}

// cut ends the connections to the ports that are still open: a dead gateway's end may linger, and a proxy's is not dead.
func (f *Firewall) cut(ctx context.Context, m Machine) error {
	net, err := readNetwork(ctx, m)
	if err != nil {
		return err
	}
	var errs []error
	for _, r := range portRanges(f.Ports) {
		open := func(s host.Socket) bool {
			return isConnection(s) && s.Local.Port() >= r.first && s.Local.Port() <= r.last
		}
		if !slices.ContainsFunc(net.sockets, open) {
			continue
		}
		res := m.Run.Run(ctx, host.Command{Argv: []string{
			"ss", "-H", "-K", "-t", "-n", "sport", ">=", ":" + port(r.first), "and", "sport", "<=", ":" + port(r.last),
		}})
		if !res.OK() {
			errs = append(errs, failure(res))
		}
	}
	return errors.Join(errs...)
}

// Undo makes the firewall what it was, byte for byte. If somebody changed it since it was closed, the error wraps [host.ErrChanged] and nothing
// is done, unless force is set. It works after a crash of Apply or of Undo, and does nothing when it has been done.
func (f *Firewall) Undo(ctx context.Context, m Machine, force bool, save func() error) error {
	if f.State == "" || f.State == Undone {
		return nil
	}
	if m.UID != 0 {
		return fmt.Errorf("opening the host: %w: only root can change the firewall", os.ErrPermission)
	}
	if f.State == Contained && !force {
		if err := f.unchanged(ctx, m); err != nil {
			return fmt.Errorf("opening the host: %w", err)
		}
	}
	f.State = undoing
	if err := save(); err != nil {
		return fmt.Errorf("opening the host: %w", err)
	}
	var errs []error
	if f.UFW {
		errs = append(errs, f.ufwUndo(ctx, m))
	}
	errs = append(errs, f.unpersist(ctx, m), f.unloadOwn(ctx, m), f.restore(m, f.ownFiles()), f.dropLeftovers(ctx, m))
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("opening the host: %w", err)
	}
	if err := f.asBefore(ctx, m); err != nil {
		errs = append(errs, err)
	}
	f.State = Undone
	errs = append(errs, save())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("opening the host: %w", err)
	}
	return nil
}

// unchanged says whether all is as Apply left it. That our own rules are gone is no change: a flush or a reboot does that.
func (f *Firewall) unchanged(ctx context.Context, m Machine) error {
	for _, file := range f.Files {
		_, now, err := host.ReadFile(ourselves(), onDisk(m, file.Path))
		if err != nil {
			return err
		}
		if now != file.After {
			return fmt.Errorf("%q: %w", file.Path, host.ErrChanged)
		}
	}
	if now := f.loaded(ctx, m); now != "" && f.Loaded != "" && now != f.Loaded {
		return fmt.Errorf("our own rules: %w", host.ErrChanged)
	}
	return nil
}

// restore gives files their old content, or removes them if they are new.
func (f *Firewall) restore(m Machine, paths []string) error {
	var errs []error
	for _, file := range f.Files {
		if !slices.Contains(paths, file.Path) {
			continue
		}
		path := onDisk(m, file.Path)
		_, now, err := host.ReadFile(ourselves(), path)
		switch {
		case err != nil || now == file.Was:
		case !file.Was.Exists:
			err = host.Remove(ourselves(), path, now)
		default:
			_, err = host.Rewrite(ourselves(), path, []byte(file.Text), now, os.FileMode(file.Was.Mode&0o777))
		}
		errs = append(errs, err)
		_ = host.RemoveTemporary(ourselves(), filepath.Dir(path)) // of a run that was killed
	}
	_ = os.Remove(onDisk(m, ownDir)) // stays while something is in it
	return errors.Join(errs...)
}

// put writes one of the files, if it does not say that already.
func (f *Firewall) put(m Machine, path, text string) error {
	now, st, err := host.ReadFile(ourselves(), onDisk(m, path))
	if err != nil || st.Exists && string(now) == text {
		return err
	}
	_, err = host.Rewrite(ourselves(), onDisk(m, path), []byte(text), st, 0o644)
	return err
}

// ourselves is the user who changes the files: root, but in tests.
func ourselves() host.Owner {
	return host.Owner{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())}
}

// onDisk is where a file of the machine lies on this one.
func onDisk(m Machine, path string) string { return filepath.Join(m.Root.Dir(), path) }

// loadRules runs a command that may have to wait for a lock.
func loadRules(ctx context.Context, m Machine, stdin string, argv ...string) error {
	c := host.Command{Argv: argv, Timeout: firewallTimeout}
	if stdin != "" {
		c.Stdin = []byte(stdin)
	}
	if res := m.Run.Run(ctx, c); !res.OK() {
		return failure(res)
	}
	return nil
}

// A portRange is from one port to another, both included.
type portRange struct{ first, last uint16 }

// portRanges joins neighbours of a sorted list.
func portRanges(ports []uint16) (list []portRange) {
	for _, p := range ports {
		if n := len(list); n > 0 && list[n-1].last+1 == p {
			list[n-1].last = p
			continue
		}
		list = append(list, portRange{p, p})
	}
	return list
}

// portList writes ports with a sign for "to", such as "18789, 18800-18899".
func portList(ports []uint16, to string) string {
	var list []string
	for _, r := range portRanges(ports) {
		s := port(r.first)
		if r.last != r.first {
			s += to + port(r.last)
		}
		list = append(list, s)
	}
	return strings.Join(list, ", ")
}

func port(p uint16) string { return strconv.Itoa(int(p)) }

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
