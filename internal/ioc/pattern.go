package ioc

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A term is one value that a STIX pattern asks for.
type term struct {
	typ   Type
	value string
	port  int
}

// stixPaths are the properties that can be looked for (STIX 2.1, section 6); hashes without their quotes.
var stixPaths = map[string]Type{
	"ipv4-addr:value": IP, "ipv6-addr:value": IP, "domain-name:value": Domain, "url:value": URL,
	"file:hashes.sha-256": SHA256, "file:hashes.sha256": SHA256, "file:hashes.sha-1": SHA1, "file:hashes.sha1": SHA1, "file:hashes.md5": MD5,
	"email-addr:value": Email, "email-message:from_ref.value": Email, "email-message:sender_ref.value": Email,
	"network-traffic:dst_ref.value": IP, "network-traffic:src_ref.value": IP,
	"file:name": Path, "process:command_line": Text,
}

// stixPorts are properties that narrow an address.
var stixPorts = map[string]bool{"network-traffic:dst_port": true, "network-traffic:src_port": true}

var errSyntax = errors.New("not a STIX pattern")

// maxPattern bounds a pattern's tokens.
const maxPattern = 10_000

// parsePattern reads the patterns that ask for values: comparisons with = or IN, of which any will do. What needs several
// things at once is not supported but for a hash, which is enough alone, and for an address with a port. The error tells of
// alternatives that are not supported; the terms are the others.
func parsePattern(text string) ([]term, error) {
	tokens, err := tokenize(text)
	if err != nil {
		return nil, err
	}
	p := &patternParser{tokens: tokens}
	terms := p.observations()
	return terms, p.err
}

type patternParser struct {
	tokens []string // strings begin with a quote
	err    error    // the first alternative that is not supported
}

func (p *patternParser) next() string {
	if len(p.tokens) == 0 {
		return ""
	}
	t := p.tokens[0]
	p.tokens = p.tokens[1:]
	return t
}

func (p *patternParser) peek() string {
	if len(p.tokens) == 0 {
		return ""
	}
	return p.tokens[0]
}

func (p *patternParser) fail(err error) {
	if p.err == nil {
		p.err = err
	}
}

// stop gives up on the rest.
func (p *patternParser) stop(err error) []term {
	p.fail(err)
	p.tokens = nil
	return nil
}

// observations reads [..] OR [..]; parentheses around them change nothing where all are joined by OR.
func (p *patternParser) observations() (all []term) {
	open := 0
	for {
		for p.peek() == "(" {
			p.next()
			open++
		}
		if p.next() != "[" {
			return p.stop(errSyntax)
		}
		found := p.alternatives(0)
		if p.next() != "]" {
			return p.stop(errSyntax)
		}
		for p.peek() == ")" && open > 0 {
			p.next()
			open--
		}
		all = append(all, found...)
		switch op := strings.ToUpper(p.next()); op {
		case "":
			if open > 0 {
				return p.stop(errSyntax)
			}
			return all
		case "OR":
		case "AND", "FOLLOWEDBY", "WITHIN", "REPEATS", "START":
			return p.stop(fmt.Errorf("a pattern with %s needs several observations; not supported", op))
		default:
			return p.stop(errSyntax)
		}
	}
}

// maxParens bounds parentheses within each other.
const maxParens = 32

// alternatives reads comparisons joined by OR, which binds less than AND.
func (p *patternParser) alternatives(depth int) (all []term) {
	if depth > maxParens {
		return p.stop(errSyntax)
	}
	for {
		all = append(all, p.together(depth)...)
		if !strings.EqualFold(p.peek(), "OR") {
			return all
		}
		p.next()
	}
}

// together reads comparisons joined by AND.
func (p *patternParser) together(depth int) []term {
	var parts [][]term
	for {
		parts = append(parts, p.comparison(depth))
		if !strings.EqualFold(p.peek(), "AND") {
			break
		}
		p.next()
	}
	if len(parts) == 1 {
		if len(parts[0]) == 1 && parts[0][0].typ == "" && parts[0][0].port > 0 {
			p.fail(errors.New("a port alone is not an indicator"))
			return nil
		}
		return parts[0]
	}
	return p.joined(parts)
}

// joined returns what is enough of several comparisons that must all hold.
func (p *patternParser) joined(parts [][]term) []term {
	port := 0
	var addresses, hashes []term
	for _, part := range parts {
		for _, t := range part {
			switch {
			case t.typ == SHA256 || t.typ == SHA1 || t.typ == MD5:
				hashes = append(hashes, t)
			case t.port > 0 && t.typ == "":
				port = t.port
			case t.typ == IP || t.typ == Domain:
				addresses = append(addresses, t)
			}
		}
	}
	if len(hashes) > 0 {
		return hashes
	}
	if port > 0 && len(parts) == 2 && len(addresses) > 0 {
		for i := range addresses {
			addresses[i].port = port
		}
		return addresses
	}
	p.fail(errors.New("a pattern that needs several things at once is not supported"))
	return nil
}

// comparison reads one: path = 'value', path IN ('a', 'b'), or some in parentheses.
func (p *patternParser) comparison(depth int) []term {
	if p.peek() == "(" {
		p.next()
		all := p.alternatives(depth + 1)
		if p.next() != ")" {
			return p.stop(errSyntax)
		}
		return all
	}
	path := strings.ToLower(strings.NewReplacer("'", "", `"`, "").Replace(p.next()))
	for strings.HasPrefix(p.peek(), "'") && strings.HasSuffix(path, ".") { // hashes.'SHA-256'
		path += strings.ToLower(p.next()[1:])
	}
	op := strings.ToUpper(p.next())
	negated := op == "NOT"
	if negated {
		op = strings.ToUpper(p.next())
	}
	values := p.values()
	if len(values) == 0 {
		return p.stop(errSyntax)
	}
	if negated || op != "=" && op != "==" && op != "IN" {
		p.fail(fmt.Errorf("comparisons with %s are not supported", strings.TrimSpace(op+map[bool]string{true: " NOT"}[negated])))
		return nil
	}
	return p.termsOf(path, values)
}

func (p *patternParser) termsOf(path string, values []string) (all []term) {
	typ, known := stixPaths[path]
	for _, v := range values {
		switch port, err := strconv.Atoi(v); {
		case stixPorts[path] && err == nil && port > 0 && port < 1<<16:
			all = append(all, term{port: port})
		case known:
			all = append(all, term{typ: typ, value: v})
		default:
			p.fail(fmt.Errorf("the property %q is not supported", shorten(path)))
		}
	}
	return all
}

// values reads a constant or a list of them.
func (p *patternParser) values() (all []string) {
	if p.peek() != "(" {
		return p.value(nil)
	}
	p.next()
	for {
		all = p.value(all)
		switch p.next() {
		case ",":
		case ")":
			return all
		default:
			return nil
		}
	}
}

func (p *patternParser) value(all []string) []string {
	switch t := p.next(); {
	case strings.HasPrefix(t, "'"):
		return append(all, t[1:])
	case t != "" && strings.Trim(t, "0123456789") == "":
		return append(all, t)
	}
	return all
}

// tokenize splits a pattern into brackets, operators, words and strings, which keep their first quote and lose escapes.
func tokenize(text string) (tokens []string, err error) {
	for i := 0; i < len(text); {
		if len(tokens) > maxPattern {
			return nil, fmt.Errorf("more than %d parts", maxPattern)
		}
		switch c := text[i]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
		case c == '\'':
			value, n := quoted(text[i+1:])
			if n < 0 {
				return nil, errSyntax
			}
			tokens = append(tokens, "'"+value)
			i += 1 + n
		case strings.IndexByte("[](),", c) >= 0:
			tokens = append(tokens, text[i:i+1])
			i++
		case strings.IndexByte("=<>!", c) >= 0:
			n := len(text[i:]) - len(strings.TrimLeft(text[i:], "=<>!"))
			tokens = append(tokens, text[i:i+n])
			i += n
		default:
			n := strings.IndexAny(text[i:], " \t\r\n[](),=<>!'")
			if n < 0 {
				n = len(text) - i
			}
			tokens = append(tokens, text[i:i+n])
			i += n
		}
	}
	return tokens, nil
}

// quoted reads a string up to its closing quote and returns it with the number of bytes read; -1 if it does not end.
func quoted(text string) (string, int) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\'':
			return b.String(), i + 1
		case text[i] == '\\' && i+1 < len(text):
			i++
		}
		b.WriteByte(text[i])
	}
	return "", -1
}
