package secret

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// What OpenClaw leaves of a secret that it masks: so many characters before an ellipsis and after it (FACTS 5.6).
const (
	maskHead = 6
	maskTail = 4
)

// ellipses are how the middle of a mask is written: as it is, and escaped for JSON.
var ellipses = []string{"…", `\u2026`}

// Masked returns the fingerprints of the known values whose mask, as OpenClaw writes it ("sk-FAK…0001"), is in text, in
// order and each once. A mask that would fit several known values tells none.
func (s *Set) Masked(text string) []string {
	if !strings.Contains(text, ellipses[0]) && !strings.Contains(text, ellipses[1]) {
		return nil
	}
	masks := s.masksOfKnown()
	var prints []string
	for _, ellipsis := range ellipses {
		for i := 0; ; {
			n := strings.Index(text[i:], ellipsis)
			if n < 0 {
				break
			}
			at := i + n
			i = at + len(ellipsis)
			if at < maskHead || len(text) < i+maskTail {
				continue
			}
			if p := masks[text[at-maskHead:at]+text[i:i+maskTail]]; p != "" {
				prints = append(prints, p)
			}
		}
	}
	slices.Sort(prints)
	return slices.Compact(prints)
}

// minMasked is the length from which OpenClaw shows any part of a secret, in bytes.
const minMasked = 18

// masksOfKnown maps what a mask leaves to the fingerprint of the one value it fits; "" where it fits several.
func (s *Set) masksOfKnown() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.masks != nil {
		return s.masks
	}
	s.masks = map[string]string{}
	for value, k := range s.known {
		if len(value) < minMasked || strings.IndexFunc(value, func(c rune) bool { return c >= utf8.RuneSelf }) >= 0 {
			continue
		}
		mask := value[:maskHead] + value[len(value)-maskTail:]
		if _, several := s.masks[mask]; several {
			s.masks[mask] = ""
		} else {
			s.masks[mask] = k.Fingerprint
		}
	}
	return s.masks
}
