package shell

import (
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// maxURLs is how many URLs and hosts of one command are kept.
const maxURLs = 512

// urlForm is a URL in a command's text. What may end a sentence or a quotation is cut off afterwards.
var urlForm = regexp.MustCompile(`(?i)\b(?:https?|ftps?|sftp|wss?|ssh|git|rsync|scp|socks5h?|stratum\+tcp|stratum\+ssl|tcp|udp|ldaps?|smb|gopher|dict|telnet)://[^\s"'<>|;` + "`" + `\\^{}]+`)

// urlsIn notes the URLs in a text, and their hosts.
func (f *follow) urlsIn(text string) {
	if !strings.Contains(text, "://") {
		return
	}
	for _, u := range urlForm.FindAllString(text, maxURLs) {
		u = strings.TrimRight(u, ").,]&")
		if len(f.cmd.URLs) >= maxURLs {
			f.cmd.Cut = true
			return
		}
		f.cmd.URLs = once(f.cmd.URLs, u)
		f.host(hostOf(u))
	}
}

// hostOf returns the host of a URL.
func hostOf(u string) string {
	_, rest, _ := strings.Cut(u, "://")
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	return rest
}

// host notes a host, without user and port.
func (f *follow) host(h string) {
	if i := strings.LastIndexByte(h, '@'); i >= 0 {
		h = h[i+1:]
	}
	if end := strings.IndexByte(h, ']'); strings.HasPrefix(h, "[") && end > 0 {
		h = h[1:end]
	} else if i := strings.IndexByte(h, ':'); i >= 0 && strings.Count(h, ":") == 1 {
		h = h[:i]
	}
	h = strings.ToLower(strings.TrimSuffix(h, "."))
	if h == "" || strings.ContainsAny(h, " $*(){}"+Blank) || len(f.cmd.Hosts) >= maxURLs {
		return
	}
	f.cmd.Hosts = once(f.cmd.Hosts, h)
	if ip, ok := numericIP(h); ok {
		f.cmd.Hosts = once(f.cmd.Hosts, ip)
	}
}

// numericIP reads the spellings of an IPv4 address that inet_aton takes: in one to four parts, decimal, octal or hexadecimal.
func numericIP(h string) (string, bool) {
	parts := strings.Split(h, ".")
	if len(parts) > 4 || h[0] < '0' || h[0] > '9' {
		return "", false
	}
	var ip uint64
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 0, 32)
		left := 8 * (5 - len(parts))
		if i < len(parts)-1 {
			left = 8
		}
		if err != nil || strings.Contains(p, "_") || n >= 1<<left {
			return "", false
		}
		ip = ip<<left | n
	}
	a := netip.AddrFrom4([4]byte{byte(ip >> 24), byte(ip >> 16), byte(ip >> 8), byte(ip)})
	return a.String(), a.String() != h
}

// hostsOf notes the hosts that a network program's operands name without being URLs.
func (s *script) hostsOf(c invocation) {
	args := c.operands()
	switch c.name {
	case "curl":
		s.bareHosts(named(args, flags{"HdFTXuboAeKmrxEcDCwQtyYzPUM", curlLong}))
	case "wget":
		s.bareHosts(named(args, flags{"OoPiUTtAaQ", []string{"header", "post-data", "post-file", "user-agent", "output-document", "method", "body-data", "body-file"}}))
	case "ssh", "autossh", "ssh-copy-id", "sftp", "telnet", "ping", "ping6", "traceroute", "nc", "ncat", "netcat", "mosh", "rdesktop":
		f := sshFlags
		if c.name != "ssh" && c.name != "autossh" {
			f = flags{short: "pwciIOeFoQqs"}
		}
		if hosts := named(args, f); len(hosts) > 0 {
			s.bareHost(hosts[0].text)
		}
	case "dig", "nslookup", "host", "drill", "whois":
		for _, a := range named(args, flags{short: "tpxk"}) {
			if strings.Contains(a.text, ".") || strings.HasPrefix(a.text, "@") {
				s.bareHost(strings.TrimPrefix(a.text, "@"))
			}
		}
	case "scp", "rsync":
		for _, a := range args {
			if host, _, ok := strings.Cut(a.text, ":"); ok && isRemote(a.text) && !strings.Contains(a.text, "://") {
				s.bareHost(host)
			}
		}
	}
}

// curlLong are the long options of curl that take a word.
var curlLong = []string{
	"header", "data", "data-raw", "data-binary", "data-urlencode", "data-ascii", "form", "request", "user", "output", "user-agent",
	"referer", "cookie", "cookie-jar", "config", "max-time", "connect-timeout", "proxy", "upload-file", "json", "write-out", "resolve",
	"retry", "retry-delay", "unix-socket", "cacert", "cert", "key", "interface", "range", "dump-header", "oauth2-bearer", "limit-rate",
}

func (s *script) bareHosts(args []arg) {
	for _, a := range args {
		host := a.text
		if strings.Contains(host, "://") {
			continue
		}
		if i := strings.IndexAny(host, "/?#"); i >= 0 {
			host = host[:i]
		}
		s.bareHost(host)
	}
}

// bareHost notes a host if the word can be one.
func (s *script) bareHost(host string) {
	name := host[strings.LastIndexByte(host, '@')+1:]
	if strings.HasPrefix(name, "[") {
		s.host(host)
		return
	}
	for i := range len(name) {
		if c := name[i]; !isWordByte(c) && c != '.' && c != '-' && c != ':' {
			return
		}
	}
	s.host(host)
}
