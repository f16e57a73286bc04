package analyze

import (
	"fmt"
	"iter"
	"regexp"
	"strings"
)

// A Grep selects events whose line matches a pattern, with the meaning grep's options have.
type Grep struct {
	Pattern    string // RE2 syntax, or a fixed string
	Fixed      bool   // -F
	IgnoreCase bool   // -i
	Invert     bool   // -v
	Words      bool   // -w
	Before     int    // -B
	After      int    // -A
	Max        int    // -m; 0 is without limit
}

// A Hit is an event that was selected, or stands around one.
type Hit struct {
	Event   *Event
	Line    string
	Context bool // it does not match itself
	Gap     bool // lines were left out before it: print "--"
}

// Check says what is wrong with the pattern, before anything is read.
func (g *Grep) Check() error {
	_, err := g.compile()
	return err
}

// compile returns the pattern's expression; the error says what is wrong with it.
func (g *Grep) compile() (*regexp.Regexp, error) {
	pattern := g.Pattern
	if g.Fixed {
		pattern = regexp.QuoteMeta(pattern)
	}
	if _, err := regexp.Compile(pattern); err == nil && g.Words {
		pattern = `(?:^|[^\pL\pN_])(?:` + pattern + `)(?:[^\pL\pN_]|$)` // not \b: the match itself may begin with another character
	}
	if g.IgnoreCase {
		pattern = `(?i)` + pattern
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("pattern %q: %v", g.Pattern, strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return re, nil
}

// Select returns the events that the pattern selects, and those around them. An empty pattern selects all.
func (g *Grep) Select(events iter.Seq2[*Event, error], render func(*Event) string) (iter.Seq2[Hit, error], error) {
	re, err := g.compile()
	if err != nil {
		return nil, err
	}
	return func(yield func(Hit, error) bool) {
		w := window{g: g}
		for e, err := range events {
			if err != nil {
				yield(Hit{}, err)
				return
			}
			hit := Hit{Event: e, Line: render(e)}
			if !w.take(hit, re.MatchString(hit.Line) != g.Invert, yield) {
				return
			}
		}
	}, nil
}

// A window remembers what may become context.
type window struct {
	g       *Grep
	before  []Hit
	after   int
	skipped bool // something was left out since the last line shown
	shown   bool
	matches int
}

func (w *window) take(h Hit, match bool, yield func(Hit, error) bool) bool {
	done := w.g.Max > 0 && w.matches == w.g.Max // what follows the last match is context, whether or not it matches
	switch {
	case done && w.after == 0:
		return false
	case match && !done:
		for _, b := range w.before {
			if !w.show(b, true, yield) {
				return false
			}
		}
		w.before = w.before[:0]
		w.after = w.g.After
		w.matches++
		return w.show(h, false, yield) && (w.g.Max == 0 || w.matches < w.g.Max || w.after > 0)
	case w.after > 0:
		w.after--
		return w.show(h, true, yield)
	case w.g.Before > 0:
		if len(w.before) == w.g.Before {
			w.before = append(w.before[:0], w.before[1:]...)
			w.skipped = true
		}
		w.before = append(w.before, h)
		return true
	}
	w.skipped = true
	return true
}

func (w *window) show(h Hit, context bool, yield func(Hit, error) bool) bool {
	h.Context = context
	h.Gap = w.skipped && w.shown && (w.g.Before > 0 || w.g.After > 0)
	w.skipped, w.shown = false, true
	return yield(h, nil)
}
