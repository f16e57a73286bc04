package host

import (
	"context"
	"errors"
	"io/fs"
	"os/exec"
	"slices"
	"strings"
)

// Listening returns the TCP sockets that wait for connections, with the network namespace of this process.
func Listening(ctx context.Context, r *Root, processes []Process) (list []Socket, netNS Text, gaps []Text, err error) {
	t, err := Sockets(ctx, r, processes)
	for _, s := range t.Sockets {
		if s.State == "LISTEN" && (s.Proto == "tcp" || s.Proto == "tcp6") {
			list = append(list, s)
		}
	}
	own, _ := r.ReadLink("proc/self/ns/net")
	return list, Text(own), t.Gaps, err
}

// A Filter is what filters the packets that come in.
type Filter struct {
	UFW      string // active, inactive, absent or unknown
	Incoming string // UFW's default: deny, reject or allow; "" if unknown
	Rules    []string
	Drops    string // what beside UFW drops what is not allowed: nftables, iptables; "" if nothing
	Limits   bool   // rules beside UFW's limit connections to SSH
	Why      string // why it is unknown
}

// ReadFilter asks UFW, nft and iptables what filters packets. It changes nothing; without root it knows no more than
// whether UFW is switched on.
func ReadFilter(ctx context.Context, r *Root, run Runner) (f Filter) {
	res := run.Run(ctx, Command{Argv: []string{"ufw", "status", "verbose"}})
	switch {
	case errors.Is(res.Err, exec.ErrNotFound):
		f.UFW = "absent"
	case res.OK():
		f.parseUFW(string(res.Stdout))
	default:
		f.UFW, f.Why = ufwSwitch(r), "the firewall tells its rules to root alone"
	}
	for _, argv := range [][]string{{"nft", "list", "ruleset"}, {"iptables-save"}} {
		res := run.Run(ctx, Command{Argv: argv})
		switch {
		case errors.Is(res.Err, exec.ErrNotFound):
		case !res.OK():
			f.Why = "the firewall tells its rules to root alone"
		case f.Drops == "" && dropsInput(string(res.Stdout)):
			f.Drops = map[string]string{"nft": "nftables", "iptables-save": "iptables"}[argv[0]]
			fallthrough
		default:
			f.Limits = f.Limits || limitsSSH(string(res.Stdout))
		}
	}
	return f
}

// ufwSwitch reads whether UFW is switched on, which anybody may.
func ufwSwitch(r *Root) string {
	text, err := fs.ReadFile(r, "etc/ufw/ufw.conf")
	for line := range strings.Lines(string(text)) {
		switch strings.TrimSpace(line) {
		case "ENABLED=yes":
			return "active"
		case "ENABLED=no":
			return "inactive"
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return "absent"
	}
	return "unknown"
}

// maxRules bounds how many of UFW's rules are kept.
const maxRules = 1000

// parseUFW reads what "ufw status verbose" prints (ufw 0.36).
func (f *Filter) parseUFW(text string) {
	f.UFW = "unknown"
	table := false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "Status: "):
			f.UFW = strings.TrimPrefix(line, "Status: ")
		case strings.HasPrefix(line, "Default: "):
			f.Incoming, _, _ = strings.Cut(strings.TrimPrefix(line, "Default: "), " ")
		case strings.HasPrefix(line, "--"):
			table = true
		case table && strings.TrimSpace(line) != "" && len(f.Rules) < maxRules:
			f.Rules = append(f.Rules, line)
		}
	}
	if !slices.Contains([]string{"active", "inactive"}, f.UFW) {
		f.UFW = "unknown"
	}
}

// dropsInput reports that a ruleset drops what comes in unless a rule lets it.
func dropsInput(rules string) bool {
	for line := range strings.Lines(rules) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, ":INPUT DROP") || strings.Contains(line, "hook input") && strings.Contains(line, "policy drop") {
			return true
		}
	}
	return false
}

// limitsSSH reports that a ruleset limits new connections to port 22.
func limitsSSH(rules string) bool {
	for line := range strings.Lines(rules) {
		ssh := strings.Contains(line, "dport 22 ") || strings.Contains(line, "dport ssh ")
		if ssh && (strings.Contains(line, "limit rate") || strings.Contains(line, "--hitcount") || strings.Contains(line, "-m limit") || strings.Contains(line, "hashlimit")) {
			return true
		}
	}
	return false
}
