// Package secret finds secrets in text and replaces each by a fingerprint, so that evidence can be shown
// without giving away what it holds.
//
// A [Set] knows two kinds: values that were read out of this host's configuration and stores ([FromConfig],
// [FromEnv]), which it finds in any of the usual encodings, and the formats that tokens of well-known services
// have. It never prints, logs or returns a secret but through those two functions.
//
// What it cannot find: a secret that is encrypted, compressed, reversed, cut into pieces or encoded in a way
// not listed at [Set.Redact], unless its surroundings say what it is.
package secret

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"iter"
	"slices"
	"strings"
	"sync"
)

// Fingerprinter makes fingerprints that can be compared within one case and tell nothing outside it.
type Fingerprinter struct{ salt []byte }

// NewFingerprinter returns a Fingerprinter keyed by the case's salt, which should be 32 random bytes.
func NewFingerprinter(salt []byte) Fingerprinter {
	return Fingerprinter{slices.Clone(salt)}
}

// Fingerprint returns the first 12 hexadecimal digits of HMAC-SHA256(salt, secret).
func (f Fingerprinter) Fingerprint(secret string) string {
	mac := hmac.New(sha256.New, f.salt)
	mac.Write([]byte(secret))
	return hex.EncodeToString(mac.Sum(nil)[:fingerprintLen/2])
}

// What stands for a secret is tokenStart, its fingerprint and ">".
const (
	tokenStart     = "<secret:"
	fingerprintLen = 12
	tokenLen       = len(tokenStart) + fingerprintLen + 1
)

// Set is a set of known secrets together with the formats of well-known ones. It may be used by several
// goroutines at once.
type Set struct {
	print Fingerprinter

	mu    sync.Mutex
	known map[string]*Known // by value
	index *index            // of known; nil when it must be built again
	masks map[string]string // of known: see masksOfKnown; nil likewise
}

// Known is what may be said about a known secret.
type Known struct {
	Fingerprint string
	// Origins are the places it was added from, in that order, without repetition.
	Origins []string
}

// NewSet returns a set without known values.
func NewSet(f Fingerprinter) *Set {
	return &Set{print: f, known: make(map[string]*Known)}
}

// Add makes value a known secret and notes where it came from. White space around it does not count.
// It reports false, and adds nothing, if the value cannot be one: shorter than 6 bytes or longer than 16 KiB,
// a number, a common word, a mask, or a reference to a secret such as "${NAME}".
func (s *Set) Add(value, origin string) bool {
	value = strings.TrimSpace(value)
	if !isSecret(value) || len(value) > maxValue || strings.Contains(value, tokenStart) || strings.Contains(tokenStart, value) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.known[value]
	if k == nil {
		k = &Known{Fingerprint: s.print.Fingerprint(value)}
		s.known[strings.Clone(value)] = k
		s.index, s.masks = nil, nil
	}
	if !slices.Contains(k.Origins, origin) {
		k.Origins = append(k.Origins, origin)
	}
	return true
}

// Fingerprint is what a value would be called if it were known.
func (s *Set) Fingerprint(value string) string { return s.print.Fingerprint(strings.TrimSpace(value)) }

// maxValue bounds a known value in bytes; the largest real ones are service account files of 3 kB.
const maxValue = 16 << 10

// AddAll adds everything found, with the origin and the path to it ("origin: gateway.auth.token").
func (s *Set) AddAll(origin string, found iter.Seq2[[]string, string]) {
	for path, value := range found {
		s.Add(value, origin+": "+strings.Join(path, "."))
	}
}

// All returns the known secrets, ordered by fingerprint.
func (s *Set) All() []Known {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Known, 0, len(s.known))
	for _, k := range s.known {
		all = append(all, Known{k.Fingerprint, slices.Clone(k.Origins)})
	}
	slices.SortFunc(all, func(a, b Known) int { return cmp.Compare(a.Fingerprint, b.Fingerprint) })
	return all
}

// Redact returns text with "<secret:FINGERPRINT>" in the place of every secret; the rest is unchanged, bytes that
// are not UTF-8 included.
//
// Known values are found as they are and escaped for JSON (up to three times), HTML, a shell or a URL, in
// hexadecimal and in base64 of either alphabet at any alignment, also where that is broken into lines.
// Of one that was cut off, at the text's end or by an ellipsis, the part that is there is replaced, from 8 bytes on.
// Masks that OpenClaw wrote ("sk-FAK…0001", "***") are left alone. Redacting twice is the same as once.
func (s *Set) Redact(text string) string {
	// What one pass leaves can, in rare cases, look like a secret only because of what it took out.
	for range 3 {
		spans := s.find(text)
		if len(spans) == 0 {
			return text
		}
		text = s.replace(text, spans)
	}
	return text
}

// Contains reports whether a known value is still in text, in any form that [Set.Redact] finds. Formats of
// secrets that are not known do not count.
func (s *Set) Contains(text string) bool {
	return len(s.findKnown(text)) > 0
}

// RedactPart is Redact for a text that was torn out of another: one that is nothing but a part of a known value is replaced too.
func (s *Set) RedactPart(text string) string {
	if print := s.partOf(text); print != "" {
		return tokenStart + print + ">"
	}
	return s.Redact(text)
}

// partOf returns the least of the fingerprints of the known values of which text is a part; "" if there is none.
func (s *Set) partOf(text string) (print string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for value, k := range s.known {
		part := len(text) >= minCut && len(value) > len(text) && slices.ContainsFunc(escaped(value), func(f string) bool { return strings.Contains(f, text) })
		if part && (print == "" || k.Fingerprint < print) {
			print = k.Fingerprint
		}
	}
	return print
}

// Found returns the fingerprints of the known values that are in text, in any form that [Set.Redact] finds, in
// order and each once.
func (s *Set) Found(text string) []string { return printsOf(s.findKnown(text)) }

func printsOf(spans []span) []string {
	if len(spans) == 0 {
		return nil
	}
	prints := make([]string, len(spans))
	for i, sp := range spans {
		prints[i] = sp.fingerprint
	}
	slices.Sort(prints)
	return slices.Compact(prints)
}

// span is a secret's place in a text. The fingerprint is that of a known value; otherwise it is empty, and
// the bytes themselves are the secret.
type span struct {
	start, end  int
	fingerprint string
}

func (s *Set) find(text string) []span {
	spans := append(s.findKnown(text), findFormats(text)...)
	if x := s.indexed(); !x.empty() {
		spans = append(spans, x.cut(text)...)
	}
	return merge(outsideTokens(text, spans))
}

func (s *Set) indexed() *index {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.index == nil {
		s.index = newIndex(s.known)
	}
	return s.index
}

func (s *Set) findKnown(text string) []span {
	x := s.indexed()
	if x.empty() {
		return nil
	}
	spans := x.find(text)
	for d := range dumps(text) {
		for _, sp := range x.find(d.joined) {
			sp.start, sp.end = d.offset(sp.start), d.offset(sp.end-1)+1
			spans = append(spans, sp)
		}
	}
	return outsideTokens(text, spans)
}

// outsideTokens drops the spans that touch what stands for a secret already.
func outsideTokens(text string, spans []span) []span {
	slices.SortFunc(spans, bySpan)
	kept := spans[:0]
	token := nextToken(text, 0)
	for _, sp := range spans {
		for token >= 0 && token+tokenLen <= sp.start {
			token = nextToken(text, token+tokenLen)
		}
		if token < 0 || sp.end <= token {
			kept = append(kept, sp)
		}
	}
	return kept
}

// nextToken returns where the next token in text starts at or after from, or -1.
func nextToken(text string, from int) int {
	for {
		i := strings.Index(text[from:], tokenStart)
		if i < 0 {
			return -1
		}
		from += i
		if isToken(text[from:]) {
			return from
		}
		from += len(tokenStart)
	}
}

func isToken(text string) bool {
	return len(text) >= tokenLen && strings.HasPrefix(text, tokenStart) && text[tokenLen-1] == '>' &&
		lowerHex.all(text[len(tokenStart):tokenLen-1])
}

// bySpan orders by start, the longest first, and a known value before what only looks like one.
func bySpan(a, b span) int {
	return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(b.end, a.end), cmp.Compare(b.fingerprint, a.fingerprint))
}

// merge joins spans that overlap. The fingerprint is that of the longest, for it names most of what is replaced.
func merge(spans []span) []span {
	slices.SortFunc(spans, bySpan)
	var merged []span
	longest := 0
	for _, sp := range spans {
		n := len(merged)
		if n == 0 || sp.start >= merged[n-1].end {
			merged = append(merged, sp)
			longest = sp.end - sp.start
			continue
		}
		last := &merged[n-1]
		last.end = max(last.end, sp.end)
		if sp.end-sp.start > longest {
			longest, last.fingerprint = sp.end-sp.start, sp.fingerprint
		}
	}
	return merged
}

func (s *Set) replace(text string, spans []span) string {
	var b strings.Builder
	b.Grow(len(text))
	done := 0
	for _, sp := range spans {
		if sp.fingerprint == "" {
			sp.fingerprint = s.print.Fingerprint(plain(text[sp.start:sp.end]))
		}
		b.WriteString(text[done:sp.start])
		b.WriteString(tokenStart + sp.fingerprint + ">")
		done = sp.end
	}
	b.WriteString(text[done:])
	return b.String()
}

// plain undoes what JSON does to a private key's line ends, so that it has one fingerprint in either form.
func plain(secret string) string {
	if strings.HasPrefix(secret, pemStart) {
		return strings.NewReplacer(`\\r`, "", `\\n`, "\n", `\r`, "", `\n`, "\n", "\r", "").Replace(secret)
	}
	return secret
}
