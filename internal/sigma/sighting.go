package sigma

import (
	"regexp/syntax"
	"slices"
	"unicode/utf8"
)

// A sighting collects the literals of a text.
type sighting struct {
	text   string
	seen   []uint64 // a bit for each literal
	fresh  []int32  // those whose bit was not set before
	loose  bool     // wordBreak is taken for granted, and places do not matter
	placed []bool   // by literal: all its places are noted
	places [streams][]place
}

// streams is how many places of a text are looked at together.
const streams = 4

// A place is where a literal starts.
type place struct {
	at   int
	word int32
}

// appendPlaces appends the places of a text in their order. Where streams overlap, and where literals end at one place,
// they are a little out of it.
func (s *sighting) appendPlaces(all []place) []place {
	first := len(all)
	for _, stream := range s.places {
		for _, p := range stream {
			i := len(all)
			for i > first && all[i-1].at > p.at {
				i--
			}
			all = slices.Insert(all, i, p)
		}
	}
	return all
}

// places are where some of the literals start in a text.
type places struct {
	all   []place // in the order of the text
	words []int32 // those that are meant, sorted; none if every place is
}

// next returns the first place at or after i, -1 if there is none, and charges for what it passes over.
func (p *places) next(i int, b *budget) int {
	if len(p.words) == 0 {
		return i
	}
	for n, place := range p.all {
		if place.at < i {
			continue
		}
		if _, ok := slices.BinarySearch(p.words, place.word); ok {
			p.all = p.all[n:]
			b.units -= n
			return place.at
		}
	}
	b.units -= len(p.all)
	return -1
}

// note notes the literals that end in a state.
func (s *sighting) note(a *automaton, stream int, state uint32, end int) {
	for _, word := range a.ends[a.table[state&^1]] {
		bit := uint64(1) << (word % 64)
		fresh, placed := s.seen[word/64]&bit == 0, s.placed[word] && !s.loose
		if !fresh && !placed || !s.loose && !s.stands(a.words[word], end) {
			continue
		}
		if placed {
			s.places[stream] = append(s.places[stream], place{end - len(withoutBreaks(a.words[word])), word})
		}
		if fresh {
			s.seen[word/64] |= bit
			s.fresh = append(s.fresh, word)
		}
	}
}

// stands reports whether \b holds where a literal wants it to. At the ends of the text, which may be those of a part,
// it is taken to hold.
func (s *sighting) stands(word string, end int) bool {
	if word[len(word)-1] == wordBreak[0] {
		word = word[:len(word)-1]
		if end < len(s.text) && isWordByte(s.text[end-1]) == isWordByte(s.text[end]) {
			return false
		}
	}
	if word[0] == wordBreak[0] {
		start := end - len(word) + 1
		return start == 0 || isWordByte(s.text[start-1]) != isWordByte(s.text[start])
	}
	return true
}

func isWordByte(c byte) bool { return c < utf8.RuneSelf && syntax.IsWordChar(rune(c)) }
