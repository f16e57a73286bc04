package ioc

import (
	"strings"

	"github.com/clawbook/openclaw-ir/internal/ahocorasick"
)

// A List is indicators, ready to be looked for. It may be used by several goroutines at once.
type List struct {
	indicators []Indicator
	words      []word // by the machine's numbers
	machine    *ahocorasick.Machine
	hashes     map[string]int // of a file, by hash: which indicator
	skills     map[string]int // by publisher/slug
	slugs      map[string]int
}

// NewList returns a list of the indicators. Of several that are the same, the first counts.
func NewList(indicators []Indicator) *List {
	l := &List{
		indicators: make([]Indicator, 0, len(indicators)), words: make([]word, 0, len(indicators)),
		hashes: map[string]int{}, skills: map[string]int{}, slugs: map[string]int{},
	}
	type what struct {
		typ   Type
		value string
		port  int
	}
	seen := make(map[what]bool, len(indicators))
	for _, ind := range indicators {
		key := what{ind.Type, ind.Value, ind.Port}
		if !seen[key] && ind.Value != "" {
			seen[key] = true
			l.add(ind)
		}
	}
	texts := make([]string, len(l.words))
	for i := range l.words {
		texts[i] = l.words[i].text
	}
	l.machine = ahocorasick.New(texts)
	return l
}

func (l *List) add(ind Indicator) {
	n := len(l.indicators)
	l.indicators = append(l.indicators, ind)
	for _, text := range wordsOf(&ind) {
		l.words = append(l.words, word{text, n, boundaryOf(&ind)})
	}
	hash := ind.Hash
	switch ind.Type {
	case SHA256, SHA1, MD5:
		hash = ind.Value
	case Skill:
		l.skills[ind.Value] = n
		_, slug, _ := strings.Cut(ind.Value, "/")
		if _, known := l.slugs[slug]; !known {
			l.slugs[slug] = n
		}
	}
	if hash == "" {
		return
	}
	if _, known := l.hashes[hash]; !known {
		l.hashes[hash] = n
		l.words = append(l.words, word{hash, n, hashBoundary})
	}
}

// Indicators returns all of the list, each once. The slice must not be changed.
func (l *List) Indicators() []Indicator { return l.indicators }

// Hash returns the indicator of a file with this SHA-256, SHA-1 or MD5 in hexadecimal, or nil. It can be a skill's.
func (l *List) Hash(hex string) *Indicator {
	if n, ok := l.hashes[strings.ToLower(hex)]; ok {
		return &l.indicators[n]
	}
	return nil
}

// How a skill was recognised, the surest first.
const (
	BySHA256 = "sha256"
	ByName   = "publisher/slug"
	// BySlug is weak: attackers cloned skills that are harmless, and gave the clones the same slug.
	BySlug = "slug alone"
)

// Skill returns the indicator of a skill and how it was recognised: by the SHA-256 of its SKILL.md, by its publisher and slug,
// or, only where the publisher is not known (""), by its slug. It returns nil if the skill is not on the list.
func (l *List) Skill(publisher, slug, sha256 string) (ind *Indicator, how string) {
	publisher, slug = strings.ToLower(publisher), strings.ToLower(slug)
	named, isNamed := l.skills[publisher+"/"+slug]
	if n, ok := l.hashes[strings.ToLower(sha256)]; ok && sha256 != "" {
		if isNamed && strings.EqualFold(l.indicators[named].Hash, sha256) {
			n = named // many share one text
		}
		return &l.indicators[n], BySHA256
	}
	if isNamed {
		return &l.indicators[named], ByName
	}
	if n, ok := l.slugs[slug]; ok && publisher == "" {
		return &l.indicators[n], BySlug
	}
	return nil, ""
}
