package analyze

import (
	"slices"
	"strings"
)

// A newcomers knows who and what was met before, in the order in which evidence is read: hosts that commands and fetches
// name, addresses in the gateway's log, senders of hooks, and who answers for approvals. It is asked by one goroutine, so
// that the same evidence always gives the same answer.
type newcomers struct {
	hosts map[string]int64           // the earliest time at which each was met, in milliseconds
	known map[string]map[string]bool // by what they are
}

// settled is how long before an event a host must have been met to be an old acquaintance: two deeds of one attack do not
// vouch for each other. Milliseconds.
const settled = 24 * hour

// maxHosts bounds how many hosts are looked for in one command, and maxHostText in how much of it. Bytes.
const (
	maxHosts    = 16
	maxHostText = 16 << 10
)

func newNewcomers() *newcomers {
	return &newcomers{hosts: map[string]int64{}, known: map[string]map[string]bool{}}
}

// event says of an event whether what it deals with is new: e.first is "true", "false", or "" where that cannot be told.
func (n *newcomers) event(e *Event) {
	switch {
	case e.Kind == KindExec || e.Kind == KindFetch || e.Kind == KindBrowse:
		n.command(e)
	case e.Kind == KindLog:
		e.first = n.meet("remote", logRemote(e.What))
	case e.Kind == KindMessage && e.Tool == "" && e.Target == "in" && e.Asker.Kind == "hook":
		e.first = n.meet("hook", firstNonEmpty(e.Asker.Sender, e.Key))
	case e.Kind == KindApproval && e.Asker.Kind != "system":
		for _, d := range e.Details {
			if d.Name == "Resolver" {
				e.first = n.meet("resolver", d.Text)
			}
		}
	}
}

// command meets the hosts of a command. One new host makes the command new.
func (n *newcomers) command(e *Event) {
	e.hosts = hostsIn(e.What)
	for _, host := range e.hosts {
		at, met := n.hosts[host]
		switch {
		case !met || at > e.Time-settled:
			e.first = "true"
		case e.first == "":
			e.first = "false"
		}
		if met && at <= e.Time || !met && len(n.hosts) >= maxKnown {
			continue
		}
		n.hosts[host] = e.Time
	}
}

// meet tells whether somebody is new. The first of a kind is not: with nobody to compare, nothing can be told.
func (n *newcomers) meet(kind, name string) string {
	if name == "" {
		return ""
	}
	known := n.known[kind]
	switch {
	case known == nil:
		n.known[kind] = map[string]bool{name: true}
		return ""
	case known[name]:
		return "false"
	case len(known) < maxKnown:
		known[name] = true
	}
	return "true"
}

// old reports whether every host of a command is among those that were looked for and have been met long before.
func (e *Event) old(hosts []string) bool {
	return e.first == "false" && !slices.ContainsFunc(hosts, func(h string) bool { return !slices.Contains(e.hosts, h) })
}

// hostsIn finds the hosts of URLs, and of user@host where a program of secure shells is named. It does not parse the command.
func hostsIn(text string) (hosts []string) {
	text = start(text, maxHostText)
	add := func(rest string) {
		if h := hostAt(rest); h != "" && len(hosts) < maxHosts && !slices.Contains(hosts, h) {
			hosts = append(hosts, h)
		}
	}
	for rest := text; ; {
		_, after, ok := strings.Cut(rest, "://")
		if !ok {
			break
		}
		authority := after[:max(0, cutAt(after, "/?# \t\n\"'`\\"))]
		add(authority[strings.LastIndexByte(authority, '@')+1:])
		rest = after
	}
	if !slices.ContainsFunc([]string{"ssh", "scp", "rsync", "sftp"}, func(p string) bool { return strings.Contains(text, p) }) {
		return hosts
	}
	for i, c := range text {
		if c == '@' && i > 0 && isHostByte(text[i-1]) && !strings.Contains(wordBefore(text, i), "://") {
			add(text[i+1:])
		}
	}
	return hosts
}

// cutAt is where the first of some characters stands, or the length.
func cutAt(text, chars string) int {
	if i := strings.IndexAny(text, chars); i >= 0 {
		return i
	}
	return len(text)
}

// wordBefore is what stands before a position, back to a space.
func wordBefore(text string, i int) string {
	return text[strings.LastIndexAny(text[:i], " \t\n")+1 : i]
}

// hostAt reads the host that a text begins with, in lower case.
func hostAt(text string) string {
	if strings.HasPrefix(text, "[") {
		inside, _, ok := strings.Cut(text[1:min(len(text), 64)], "]")
		if !ok {
			return ""
		}
		return strings.ToLower(inside)
	}
	i := 0
	for i < len(text) && i < 255 && isHostByte(text[i]) {
		i++
	}
	return strings.ToLower(strings.Trim(text[:i], "."))
}

func isHostByte(c byte) bool {
	return c == '.' || c == '-' || c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

// logRemote is the address that a line of the gateway's log names.
func logRemote(line string) string {
	for _, name := range []string{"remote=", " ip="} {
		if _, after, ok := strings.Cut(start(line, maxKept), name); ok {
			return after[:cutAt(after, " ,;\"\t\n")]
		}
	}
	return ""
}
