// Package bulk sends documents to a store of logs through the bulk interface of Elasticsearch and OpenSearch, which others speak too.
//
// A document is created under an id that the caller gives and that is the same in every run, so that what is sent again is not kept
// twice. Nothing is ever replaced or deleted in the store, and no redirect is followed. What the store does not take is counted, with
// its reason.
package bulk

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// An Address is where documents are sent.
type Address struct {
	Index string
	url   *url.URL // of the bulk interface
}

// maxIndexName bounds the name of an index (in bytes); both kinds of store allow 255.
const maxIndexName = 200

// indexName is what both kinds of store accept as the name of an index, an alias or a data stream.
var indexName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*$`)

// ParseAddress reads https://HOST[:PORT][/PREFIX]/INDEX[?QUERY]. Plain http is taken for this machine's own addresses alone. An error
// never holds what may be a password.
func ParseAddress(text string) (Address, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Fragment != "" {
		return Address{}, errors.New("not an address like https://HOST:9200/INDEX")
	}
	if u.User != nil {
		return Address{}, errors.New("the address holds a name or a password, which everybody on this machine could read")
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return Address{}, fmt.Errorf("not https: %q would be sent in clear", u.Hostname())
	}
	prefix, index, _ := cutLast(strings.TrimSuffix(u.Path, "/"), "/")
	if len(index) > maxIndexName || !indexName.MatchString(index) {
		return Address{}, fmt.Errorf("the address names no index: %q; a name is of small letters, digits and . _ -", index)
	}
	u.Path, u.RawPath = prefix+"/_bulk", ""
	return Address{index, u}, nil
}

// String is where the bulk interface is, without its query.
func (a Address) String() string { return a.url.Scheme + "://" + a.url.Host + a.url.EscapedPath() }

func loopback(name string) bool {
	ip := net.ParseIP(name)
	return name == "localhost" || ip != nil && ip.IsLoopback()
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return "", s, false
	}
	return s[:i], s[i+len(sep):], true
}

// Credentials let the store know who sends. The zero value is nobody.
type Credentials struct{ user, password, header string }

// ParseCredentials reads one line: NAME:PASSWORD, "ApiKey KEY" or "Bearer TOKEN". An error never holds any of it.
func ParseCredentials(text string) (Credentials, error) {
	text = strings.TrimSpace(text)
	scheme, rest, _ := strings.Cut(text, " ")
	switch name, password, pair := strings.Cut(text, ":"); {
	case strings.ContainsFunc(text, func(c rune) bool { return c < ' ' }):
		return Credentials{}, errors.New("the credentials are more than one line")
	case (scheme == "ApiKey" || scheme == "Bearer") && rest != "":
		return Credentials{header: text}, nil
	case pair && name != "" && password != "":
		return Credentials{user: name, password: password}, nil
	}
	return Credentials{}, errors.New("the credentials are neither NAME:PASSWORD nor ApiKey KEY nor Bearer TOKEN")
}

func (c Credentials) set(r *http.Request) {
	switch {
	case c.header != "":
		r.Header.Set("Authorization", c.header)
	case c.user != "":
		r.SetBasicAuth(c.user, c.password)
	}
}
