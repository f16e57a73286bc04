package ioc

import (
	"net/netip"
	"strings"
)

// Defang returns a value so that no program takes it for a link: "hxxp://91.92.242[.]30/x", "user[@]evil[.]com". What holds
// neither a host nor a URL is unchanged.
func Defang(value string) string {
	if i := strings.Index(value, "://"); i >= 0 {
		return defangURLs(value)
	}
	if name, host, ok := strings.Cut(value, "@"); ok && name != "" && isDomain(strings.ToLower(host)) {
		return name + "[@]" + breakDot(host)
	}
	if authority, path, slash := strings.Cut(value, "/"); slash && isHost(strings.ToLower(authority)) {
		return breakDot(authority) + "/" + path
	}
	if _, err := netip.ParseAddr(value); err == nil || isHost(strings.ToLower(value)) {
		return breakDot(value)
	}
	return value
}

// breakDot puts the last dot of a host into brackets; an IPv6 address' last colon.
func breakDot(host string) string {
	mark := "."
	if addr, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil && addr.Is6() {
		mark = ":"
	}
	i := strings.LastIndex(host, mark)
	if i < 0 {
		return host
	}
	return host[:i] + "[" + mark + "]" + host[i+1:]
}

// defangURLs breaks the scheme and the host of every URL in a text.
func defangURLs(text string) string {
	var b strings.Builder
	for {
		i := strings.Index(text, "://")
		if i < 0 {
			b.WriteString(text)
			return b.String()
		}
		before, rest := text[:i], text[i+3:]
		end := strings.IndexFunc(rest, func(c rune) bool { return strings.ContainsRune("/?#\"'`<>) \t\r\n", c) })
		if end < 0 {
			end = len(rest)
		}
		if n := len(before) - 4; n >= 0 && strings.EqualFold(before[n:], "http") {
			before = before[:n] + "hxxp"
		} else if n := len(before) - 5; n >= 0 && strings.EqualFold(before[n:], "https") {
			before = before[:n] + "hxxps"
		}
		b.WriteString(before + "://" + breakDot(rest[:end]))
		text = rest[end:]
	}
}

// fangs are how people make values harmless, and what they meant.
var fangs = []struct{ broken, whole string }{
	{"[://]", "://"},
	{"[:]", ":"},
	{"[.]", "."},
	{"(.)", "."},
	{"{.}", "."},
	{"[dot]", "."},
	{"(dot)", "."},
	{"{dot}", "."},
	{"[at]", "@"},
	{"(at)", "@"},
	{"[@]", "@"},
	{"(@)", "@"},
	{`\.`, "."},
	{`\/`, "/"},
	{"hxxp", "http"},
}

// fangEnds are the bytes that fangs but "hxxp" end in, or for an escape begin with, and fangBefore those before the end.
var (
	fangEnds   = classOf(`])}\`)
	fangBefore = classOf(".:/@tT")
)

// isDefanged reports whether text can have something that is defanged. A scheme alone does not matter where values are
// looked for.
func isDefanged(text string) bool {
	for i := 1; i < len(text); i++ {
		if !fangEnds[text[i]] {
			continue
		}
		if text[i] != '\\' {
			if fangBefore[text[i-1]] {
				return true
			}
		} else if i+1 < len(text) && (text[i+1] == '.' || text[i+1] == '/') {
			return true
		}
	}
	return false
}

// refang undoes what makes a value harmless.
func refang(value string) string {
	whole, _ := refangText(value)
	return whole
}

// A cut says that from the byte at in a refanged text on, what stands there stood so many bytes later in the original.
type cut struct{ at, shift int }

// refangText returns text with every value in it made whole, and how places in it become those of the original.
func refangText(text string) (string, []cut) {
	var b strings.Builder
	var cuts []cut
	done := 0
	for i := 0; i < len(text); {
		if strings.IndexByte(`[({\hH`, text[i]) < 0 {
			i++
			continue
		}
		broken, whole := fangAt(text[i:])
		if broken == 0 {
			i++
			continue
		}
		b.WriteString(text[done:i])
		b.WriteString(whole)
		i += broken
		done = i
		if broken != len(whole) {
			cuts = append(cuts, cut{b.Len(), i - b.Len()})
		}
	}
	if done == 0 {
		return text, nil
	}
	b.WriteString(text[done:])
	return b.String(), cuts
}

func fangAt(text string) (broken int, whole string) {
	for _, f := range fangs {
		if len(text) >= len(f.broken) && strings.EqualFold(text[:len(f.broken)], f.broken) {
			return len(f.broken), f.whole
		}
	}
	return 0, ""
}
