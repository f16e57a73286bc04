package secret

import (
	"slices"
	"strings"
	"sync"
)

// An Unknown is a secret that is not one of a set's: text shows it by a well-known format. It does not hold the value.
type Unknown struct {
	Fingerprint string
	What        string // what its format says it is: "token", "private key"
	Mark        string // what every such token of its issuer begins with, as "ghp_"; "" of a format without one
	Issuer      string // of a format without a mark, where it tells: "telegram", "discord", "slack"
	// Sure says that nothing else has this format. Of the others some are examples, or short-lived, or no secrets.
	Sure bool
}

// tokenFormats are the formats that tell a secret by itself. The names that values are given to do not: in what an agent
// reads and writes all day they are as often those of variables, examples and error messages.
var tokenFormats = sync.OnceValue(func() *formatTable { return compile(slices.Concat(prefixes, discordTokens(), others)) })

// longMarks tell issuers apart that share a mark.
var longMarks = strings.Fields("sk-ant- sk-or- sk-proj-")

// Look returns the fingerprints of the known values in text, as [Set.Found] does, and the secrets in it that are not known.
func (s *Set) Look(text string) (known []string, unknown []Unknown) {
	spans := s.findKnown(text)
	known = printsOf(spans)
	taken := spans
	for _, t := range tokenFormats().tokens(text) {
		value := text[t.start:t.end]
		if touches(taken, t.span) || isPlaceholder(value) {
			continue
		}
		taken = append(taken, t.span)
		unknown = append(unknown, t.format.unknown(s.print.Fingerprint(plain(value)), value))
	}
	return known, unknown
}

func touches(spans []span, t span) bool {
	for _, sp := range spans {
		if t.start < sp.end && sp.start < t.end {
			return true
		}
	}
	return false
}

func (f *format) unknown(print, value string) Unknown {
	u := Unknown{Fingerprint: print, What: f.what, Issuer: f.issuer, Sure: f.sure}
	if u.What == "" {
		u.What, u.Mark, u.Sure = "token", f.word, true
		for _, mark := range longMarks {
			if strings.HasPrefix(value, mark) {
				u.Mark = mark
			}
		}
	}
	return u
}

// isPlaceholder reports what stands in examples in the place of a secret.
func isPlaceholder(value string) bool {
	head := strings.ToLower(value[:min(len(value), maxHead)])
	for _, word := range []string{"example", "xxxx", "your-", "your_", "placeholder", "0123456789abcdef", "abcdefghij"} {
		if strings.Contains(head, word) {
			return true
		}
	}
	return len(value) >= 16 && entropy(head) < 2.5
}
