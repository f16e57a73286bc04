// Package ioc knows indicators of compromise: addresses, hosts, URLs, hashes, packages, skills and marks in text, from lists
// built in and lists that a user has, and finds them in text.
//
// It looks nothing up and contacts nobody. A value is live: whoever shows it defangs it first ([Defang]).
package ioc

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// A Type is what an indicator's value is.
type Type string

// The types.
const (
	IP      Type = "ip"
	Domain  Type = "domain" // its subdomains too
	URL     Type = "url"    // and all below its path
	SHA256  Type = "sha256"
	SHA1    Type = "sha1"
	MD5     Type = "md5"
	Email   Type = "email"
	Package Type = "package" // NAME, NAME@VERSION or NAME@VERSION+ for that version and later ones
	Text    Type = "text"
	Path    Type = "path"  // a file's name, or the end of its path
	Skill   Type = "skill" // PUBLISHER/SLUG
)

// The tiers of the built-in lists, and that of lists a user brings.
const (
	TierA      = "A"  // seen in a primary artefact
	TierAMinus = "A-" // the same, and nobody else has written of it
	TierB      = "B"  // in a vendor's or another's report, not checked again
	TierR      = "R"  // a researcher's, of a proof of concept
	TierUser   = "user"
)

// An Indicator is one sign of an attack. Its strings may come from a user's file and hold hostile text.
type Indicator struct {
	Type   Type
	Value  string // hosts, addresses and hashes in lower case
	Port   int    // of an ip or domain: the only port that counts; 0 is any
	Hash   string // of a skill: the SHA-256 of its SKILL.md, if known
	Tier   string
	Source string // who says so
	Name   string // what it is, as the source calls it
	// Until is when the source takes it for expired; zero if it does not say. What happened before that is as bad as ever.
	Until time.Time
}

// String returns the type and the defanged value, with the port if only that counts.
func (i *Indicator) String() string {
	s := string(i.Type) + " " + Defang(i.Value)
	if i.Port > 0 {
		s += ":" + strconv.Itoa(i.Port)
	}
	return s
}

// typeNames are what lists call the types.
var typeNames = map[string]Type{
	"ip": IP, "ipv4": IP, "ipv6": IP, "ip-dst": IP, "ip-src": IP, "ipv4-addr": IP, "ipv6-addr": IP, "ip address": IP, "ip:port": IP,
	"ip-dst|port": IP, "ip-src|port": IP, "address": IP,
	"domain": Domain, "hostname": Domain, "host": Domain, "domain-name": Domain, "fqdn": Domain, "hostname|port": Domain,
	"url": URL, "uri": URL, "link": URL,
	"sha256": SHA256, "sha-256": SHA256, "sha256_hash": SHA256, "filehash-sha256": SHA256,
	"sha1": SHA1, "sha-1": SHA1, "sha1_hash": SHA1, "filehash-sha1": SHA1,
	"md5": MD5, "md5_hash": MD5, "filehash-md5": MD5,
	"email": Email, "email-addr": Email, "email-src": Email, "email-dst": Email, "email-reply-to": Email,
	"package": Package, "npm": Package, "pypi": Package, "purl": Package,
	"text": Text, "string": Text, "pattern-in-file": Text, "command_line": Text,
	"path": Path, "file": Path, "filename": Path, "filepath": Path, "file_name": Path,
	"skill": Skill,
}

// newIndicator makes an indicator of a value as a list writes it, or says why it is none. Without a type the value's form
// decides.
func newIndicator(typ Type, value string) (Indicator, error) {
	value = strings.TrimSpace(value)
	whole := refang(value)
	if typ == "" {
		if typ = guess(whole); typ == "" {
			return Indicator{}, errUnclear
		}
	}
	if typ != Text && typ != Path { // a backslash before a dot is part of a path
		value = whole
	}
	ind := Indicator{Type: typ, Value: value}
	if err := ind.normalise(); err != nil {
		return Indicator{}, err
	}
	if why := ind.generic(); why != "" {
		return Indicator{}, errors.New(why)
	}
	return ind, nil
}

var errUnclear = errors.New("it is not clear what this is")

// maxValue bounds a value, in bytes.
const maxValue = 2048

// normalise brings the value into the one form in which it is looked for.
func (i *Indicator) normalise() error {
	if len(i.Value) > maxValue {
		return fmt.Errorf("longer than %d bytes", maxValue)
	}
	switch i.Type {
	case IP:
		return i.address()
	case Domain:
		return i.domain()
	case URL:
		return i.url()
	case SHA256, SHA1, MD5:
		i.Value = strings.ToLower(i.Value)
		if hashTypes[len(i.Value)] != i.Type || !isHex(i.Value) {
			return fmt.Errorf("not a %s hash", i.Type)
		}
	case Email:
		i.Value = strings.ToLower(i.Value)
		name, host, _ := strings.Cut(i.Value, "@")
		if name == "" || strings.ContainsAny(name, " \t<>\"") || !isDomain(host) {
			return errors.New("not an email address")
		}
	case Package:
		return i.packageName()
	case Skill:
		i.Value = strings.ToLower(strings.TrimPrefix(i.Value, "@"))
		publisher, slug, ok := strings.Cut(i.Value, "/")
		if !ok || publisher == "" || slug == "" || strings.ContainsAny(i.Value, " \t") || strings.Contains(slug, "/") {
			return errors.New("not PUBLISHER/SLUG")
		}
	}
	return nil
}

var hashTypes = map[int]Type{64: SHA256, 40: SHA1, 32: MD5}

func isHex(s string) bool { return strings.Trim(s, "0123456789abcdef") == "" && s != "" }

// address reads an IP address, which may bear a port or an address range's /32.
func (i *Indicator) address() error {
	text := strings.TrimSuffix(strings.TrimSuffix(i.Value, "/32"), "/128")
	if at, err := netip.ParseAddrPort(strings.Replace(text, "|", ":", 1)); err == nil {
		text, i.Port = at.Addr().String(), int(at.Port())
	}
	addr, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if err != nil {
		if strings.Contains(text, "/") {
			return errors.New("address ranges are not supported")
		}
		return errors.New("not an IP address")
	}
	i.Value = addr.Unmap().WithZone("").String()
	return nil
}

func (i *Indicator) domain() error {
	host := strings.ToLower(strings.Trim(strings.TrimPrefix(i.Value, "*"), "."))
	if name, port, ok := cutPort(host); ok {
		host, i.Port = name, port
	}
	if _, err := netip.ParseAddr(host); err == nil {
		i.Type, i.Value = IP, host
		return nil
	}
	if !isDomain(host) {
		return errors.New("not a domain name")
	}
	i.Value = host
	return nil
}

// cutPort takes the port off a host; feeds write it after a colon or a bar.
func cutPort(host string) (string, int, bool) {
	n := strings.LastIndexAny(host, ":|")
	if n < 0 {
		return host, 0, false
	}
	port, err := strconv.ParseUint(host[n+1:], 10, 16)
	return host[:n], int(port), err == nil && port > 0
}

// isDomain reports whether text is a DNS name of at least two labels whose last is no number.
func isDomain(text string) bool {
	labels := strings.Split(text, ".")
	if len(labels) < 2 || len(text) > 253 {
		return false
	}
	for _, l := range labels {
		if l == "" || len(l) > 63 || strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" || l[0] == '-' || l[len(l)-1] == '-' {
			return false
		}
	}
	top := labels[len(labels)-1]
	return len(top) >= 2 && strings.Trim(top, "0123456789") != ""
}

// url reads a URL of any scheme that names a host, or one without a scheme.
func (i *Indicator) url() error {
	text := i.Value
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || strings.ContainsAny(text, " \t\n\"<>") {
		return errors.New("not a URL")
	}
	host := strings.ToLower(u.Hostname())
	if _, err := netip.ParseAddr(host); err != nil && !isDomain(host) {
		return errors.New("not a URL with a public host")
	}
	scheme, rest, _ := strings.Cut(text, "://")
	authority, path, slash := strings.Cut(rest, "/")
	if slash {
		path = "/" + path
	}
	if n := strings.IndexAny(authority, "?#"); n >= 0 {
		authority, path = authority[:n], authority[n:]+path
	}
	authority = authority[strings.LastIndexByte(authority, '@')+1:]
	i.Value = strings.ToLower(scheme) + "://" + strings.ToLower(authority) + path
	return nil
}

// packageName reads NAME, NAME@VERSION or NAME@VERSION+, with the ecosystem before a colon or as a package URL.
func (i *Indicator) packageName() error {
	name := strings.ToLower(strings.TrimPrefix(i.Value, "pkg:"))
	for _, eco := range []string{"npm", "pypi", "cargo", "gem"} {
		if rest, ok := strings.CutPrefix(name, eco); ok && rest != "" && (rest[0] == ':' || rest[0] == '/') {
			name = rest[1:]
		}
	}
	name = strings.ReplaceAll(name, "%40", "@")
	if n := strings.Index(name, "=="); n > 0 {
		name = name[:n] + "@" + name[n+2:]
	}
	i.Value = name
	if base, _ := splitPackage(name); base == "" || strings.Trim(strings.TrimPrefix(base, "@"), "abcdefghijklmnopqrstuvwxyz0123456789-_./") != "" {
		return errors.New("not a package's name")
	}
	return nil
}

// splitPackage returns a package's name and version; the name may begin with an at sign.
func splitPackage(value string) (name, version string) {
	if n := strings.LastIndexByte(value, '@'); n > 0 {
		return value[:n], value[n+1:]
	}
	return value, ""
}

// guess tells from a value's form what it is; "" if that is not clear.
func guess(value string) Type {
	lower := strings.ToLower(value)
	if name, rest, ok := strings.Cut(lower, ":"); ok && rest != "" && !strings.HasPrefix(rest, "/") {
		switch name {
		case "npm", "pypi", "pkg":
			return Package
		}
	}
	host, _, _ := cutPort(lower)
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	_, rangeErr := netip.ParsePrefix(lower)
	_, plainErr := netip.ParseAddr(lower)
	authority, _, slash := strings.Cut(lower, "/")
	switch {
	case strings.Contains(value, "://"):
		return URL
	case err == nil, plainErr == nil, rangeErr == nil:
		return IP
	case isHex(lower) && hashTypes[len(lower)] != "":
		return hashTypes[len(lower)]
	case strings.ContainsAny(value, " \t"):
		return ""
	case strings.HasPrefix(value, "/"), strings.HasPrefix(value, "~/"), strings.HasPrefix(value, `C:\`):
		return Path
	case slash && isHost(authority):
		return URL
	case isDomain(strings.Trim(strings.TrimPrefix(host, "*"), ".")):
		return Domain
	case strings.Count(value, "@") == 1 && isDomain(lower[strings.IndexByte(lower, '@')+1:]) && lower[0] != '@':
		return Email
	}
	return ""
}

// isHost reports whether text is a domain or an IPv4 address, with or without a port.
func isHost(text string) bool {
	host, _, _ := cutPort(text)
	_, err := netip.ParseAddr(host)
	return err == nil || isDomain(host)
}
