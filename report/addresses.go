package report

import (
	"cmp"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/analyze"
)

// urlForm is a URL in a command or a text; what ends a sentence or a quotation is cut off afterwards.
var urlForm = regexp.MustCompile("(?i)\\b(?:https?|ftps?|sftp|wss?|ssh|git|tcp|udp)://[^\\s\"'<>|;`\\\\^{}]+")

// addressForm is a bare IPv4 address.
var addressForm = regexp.MustCompile(`\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b`)

// address notes where the agent connected to in a finding, or was to. Addresses of this machine and of local networks are no
// business of a provider's.
func (t *tally) address(f *analyze.FindingRecord) {
	if f.Event == nil || f.Sink != analyze.SinkExecuted && f.Sink != analyze.SinkSent && f.Sink != analyze.SinkWritten {
		return
	}
	text := head(f.Event.What+" "+f.Event.Target, 64<<10)
	urls := urlForm.FindAllString(text, 64)
	rest := urlForm.ReplaceAllString(text, " ")
	for _, v := range append(urls, addressForm.FindAllString(rest, 64)...) {
		v = withoutQuery(v)
		if isLocal(hostOf(v)) {
			continue
		}
		a := t.addresses[v]
		if a == nil {
			if len(t.addresses) == maxAddresses {
				return
			}
			a = &Address{Value: v, First: f.Time, Last: f.Time, Deed: f.Deed}
			t.addresses[v] = a
		}
		a.Count++
		a.First, a.Last = min(a.First, f.Time), max(a.Last, cmp.Or(f.Last, f.Time))
	}
}

// withoutQuery cuts a URL's user, query and fragment off: they can hold what was stolen.
func withoutQuery(u string) string {
	u = strings.TrimRight(u, ").,]&")
	if i := strings.IndexAny(u, "?#"); i >= 0 {
		u = u[:i]
	}
	scheme, rest, found := strings.Cut(u, "://")
	if !found {
		return u
	}
	authority, path, slash := strings.Cut(rest, "/")
	authority = authority[strings.LastIndexByte(authority, '@')+1:]
	if slash {
		path = "/" + path
	}
	return scheme + "://" + authority + path
}

// hostOf returns the host of a URL or an address, without its port.
func hostOf(u string) string {
	if _, rest, found := strings.Cut(u, "://"); found {
		u = rest
	}
	u, _, _ = strings.Cut(u, "/")
	if strings.HasPrefix(u, "[") {
		inner, _, _ := strings.Cut(u[1:], "]")
		return inner
	}
	host, _, _ := strings.Cut(u, ":")
	return strings.ToLower(host)
}

func isLocal(host string) bool {
	if host == "" || host == "localhost" || strings.HasSuffix(host, ".local") || strings.ContainsAny(host, "$<") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && (ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast() || ip.IsUnspecified())
}

func (t *tally) list() (all []Address) {
	for _, a := range t.addresses {
		all = append(all, *a)
	}
	slices.SortFunc(all, func(a, b Address) int {
		return cmp.Or(strings.Compare(a.First, b.First), strings.Compare(a.Value, b.Value))
	})
	return all
}
