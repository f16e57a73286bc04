package ioc

import (
	"strconv"
	"strings"
)

// A word is one way to write an indicator.
type word struct {
	text     string
	of       int // which indicator
	boundary boundary
}

// A boundary reports whether what stands at text[start:end] is the indicator and not part of something else.
type boundary func(ind *Indicator, text string, start, end int) bool

// wordsOf returns how an indicator is written; case does not matter.
func wordsOf(ind *Indicator) []string {
	switch ind.Type {
	case URL:
		return urlWords(ind.Value)
	case Package:
		name, version := splitPackage(ind.Value)
		if version == "" || strings.HasSuffix(version, "+") {
			return []string{name}
		}
		return []string{name + "@" + version, name + `": "` + version, name + `":"` + version, name + "-" + version + ".tgz", name + "==" + version}
	case SHA256, SHA1, MD5:
		return nil // see List.add
	}
	return []string{ind.Value}
}

// urlWords returns a URL without its scheme, which commands leave out, with and without the port that the scheme means.
func urlWords(value string) []string {
	scheme, rest, _ := strings.Cut(value, "://")
	rest = strings.TrimSuffix(rest, "/")
	authority, path, slash := strings.Cut(rest, "/")
	if slash {
		path = "/" + path
	}
	port := map[string]string{"http": ":80", "https": ":443"}[scheme]
	switch _, _, hasPort := cutPort(authority); {
	case port == "":
		return []string{rest}
	case strings.HasSuffix(authority, port):
		return []string{rest, strings.TrimSuffix(authority, port) + path}
	case !hasPort:
		return []string{rest, authority + port + path}
	}
	return []string{rest}
}

func boundaryOf(ind *Indicator) boundary {
	switch ind.Type {
	case IP:
		return addressBoundary
	case Domain:
		return domainBoundary
	case URL:
		return urlBoundary
	case Email:
		return emailBoundary
	case Package:
		return packageBoundary
	case Path:
		return pathBoundary
	case Skill:
		return skillBoundary
	}
	return func(*Indicator, string, int, int) bool { return true }
}

// A class is a set of bytes.
type class [256]bool

func classOf(chars string) *class {
	var c class
	for i := range len(chars) {
		c[chars[i]] = true
	}
	return &c
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

var (
	digits    = classOf("0123456789")
	alnum     = classOf(letters + "0123456789")
	hostChars = classOf(letters + "0123456789-_")
	mailChars = classOf(letters + "0123456789-_.+%")
	hexColon  = classOf("abcdefABCDEF0123456789:")
)

// begins reports whether no byte of the class stands before i. An escape such as "\n" or "%2F" is not text, though it ends
// in a letter or digit.
func begins(text string, i int, c *class) bool {
	if i == 0 || !c[text[i-1]] {
		return true
	}
	return i >= 2 && text[i-2] == '\\' && strings.IndexByte("nrtbfv", text[i-1]) >= 0 ||
		i >= 3 && text[i-3] == '%' && isHex(strings.ToLower(text[i-2:i]))
}

// ends reports whether neither a byte of the class nor a dot and more of it stands at i.
func ends(text string, i int, c *class) bool {
	if i < len(text) && text[i] == '.' {
		i++
	}
	return i >= len(text) || !c[text[i]]
}

func addressBoundary(ind *Indicator, text string, start, end int) bool {
	if strings.Contains(ind.Value, ":") {
		return begins(text, start, hexColon) && (end == len(text) || !hexColon[text[end]]) && rightPort(ind, text, end+1)
	}
	if !begins(text, start, digits) || !ends(text, end, digits) {
		return false
	}
	if start >= 2 && text[start-1] == '.' && digits[text[start-2]] {
		return false // a longer number such as a version's
	}
	return rightPort(ind, text, end)
}

// rightPort reports whether no other port than the indicator's stands at i.
func rightPort(ind *Indicator, text string, i int) bool {
	if ind.Port == 0 || i+1 >= len(text) || text[i] != ':' || !digits[text[i+1]] {
		return true
	}
	rest, ok := strings.CutPrefix(text[i+1:], strconv.Itoa(ind.Port))
	return ok && (rest == "" || !digits[rest[0]])
}

func domainBoundary(ind *Indicator, text string, start, end int) bool {
	return begins(text, start, hostChars) && ends(text, end, hostChars) && rightPort(ind, text, end)
}

func urlBoundary(_ *Indicator, text string, start, end int) bool {
	if !begins(text, start, hostChars) || !ends(text, end, hostChars) {
		return false
	}
	return start == 0 || text[start-1] != '.' || hasSuffixFold(text[:start], "www.")
}

func hasSuffixFold(text, suffix string) bool {
	return len(text) >= len(suffix) && strings.EqualFold(text[len(text)-len(suffix):], suffix)
}

func hashBoundary(_ *Indicator, text string, start, end int) bool {
	return begins(text, start, alnum) && (end == len(text) || !alnum[text[end]])
}

func emailBoundary(_ *Indicator, text string, start, end int) bool {
	return begins(text, start, mailChars) && ends(text, end, hostChars)
}

func pathBoundary(ind *Indicator, text string, start, end int) bool {
	if hostChars[ind.Value[0]] && !begins(text, start, hostChars) {
		return false
	}
	return ends(text, end, hostChars)
}

func skillBoundary(_ *Indicator, text string, start, end int) bool {
	return begins(text, start, hostChars) && (end == len(text) || !hostChars[text[end]])
}

// packageBoundary tells a package's name from the end of another's, "@scope/name", and from a file's, "name.py".
func packageBoundary(ind *Indicator, text string, start, end int) bool {
	if !begins(text, start, hostChars) || !ends(text, end, hostChars) {
		return false
	}
	if start > 0 {
		switch text[start-1] {
		case '.', '@':
			return false
		case '/':
			scope := start - 1
			for scope > 0 && hostChars[text[scope-1]] {
				scope--
			}
			if scope > 0 && text[scope-1] == '@' {
				return false
			}
		}
	}
	least, isRange := strings.CutSuffix(ind.Value, "+")
	if !isRange {
		return true
	}
	_, least = splitPackage(least)
	given := versionAt(text[end:])
	return given == "" || compareVersions(given, least) >= 0
}

// versionAt returns the version that follows a package's name as "@1.2.3", "==1.2.3", "-1.2.3.tgz" or `": "^1.2.3"`; "" if none.
func versionAt(rest string) string {
	rest = rest[:min(len(rest), 40)]
	sep := 0
	for sep < len(rest) && sep < 6 && strings.IndexByte("@=\": ^~>-'v", rest[sep]) >= 0 {
		sep++
	}
	n := sep
	for n < len(rest) && (digits[rest[n]] || rest[n] == '.') {
		n++
	}
	if sep == 0 || strings.TrimSpace(rest[:sep]) == "" {
		return ""
	}
	return strings.Trim(rest[sep:n], ".")
}

// compareVersions compares dotted numbers.
func compareVersions(a, b string) int {
	for a != "" || b != "" {
		var x, y string
		x, a, _ = strings.Cut(a, ".")
		y, b, _ = strings.Cut(b, ".")
		m, _ := strconv.Atoi(x)
		n, _ := strconv.Atoi(y)
		if m != n {
			return m - n
		}
	}
	return 0
}
