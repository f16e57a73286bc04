package analyze

import (
	"cmp"
	"context"
	"io/fs"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/ahocorasick"
	"github.com/clawbook/openclaw-ir/internal/shell"
)

// A Grade says how an input is tied to an action.
type Grade string

// The grades, the strongest first.
const (
	GradeValue   Grade = "value"   // a value of the action first appears in the input
	GradeTurn    Grade = "turn"    // the action answers the input
	GradeSession Grade = "session" // the input came earlier in the session
	GradeNone    Grade = "none"    // no input was found
)

// A Cause is what led to an action, as far as the evidence tells.
type Cause struct {
	Grade Grade  `json:"grade"`
	Value string `json:"value,omitempty"` // the value that ties the two; may hold hostile text, and secrets
	Chain []Link `json:"chain,omitempty"` // from the input to the action, which is not in it
	Note  string `json:"note,omitempty"`
}

// A Link is an input, or a deed of the agent's that carried a value on.
type Link struct {
	Event *Event `json:"-"`
	Trust string `json:"trust,omitempty"` // of whoever's input it is
	Quote string `json:"quote,omitempty"` // what stands around the value
	Input bool   `json:"input"`
	Role  Role   `json:"role"`
}

// A Role is what a link is in its chain.
type Role string

// The roles of links.
const (
	RoleCause   Role = "cause"   // where the chain begins
	RoleCarried Role = "carried" // by this the value came further
	RolePrompt  Role = "prompt"  // in answer to this message the agent acted
)

// Input returns the first link, nil if no input was found.
func (c *Cause) Input() *Link {
	if c == nil || len(c.Chain) == 0 {
		return nil
	}
	return &c.Chain[0]
}

// maxTargets bounds for how many actions causes are looked for in one reading.
const maxTargets = 5000

// maxFirst is how many of a value's first appearances are kept. A value that inputs show more often than maxCommon
// times before the action tells nothing.
const (
	maxFirst  = 4
	maxCommon = 200
)

// A target is an action whose cause is looked for.
type target struct {
	event  *Event
	prompt *Event      // the last message before it in its session
	seen   *Event      // the last content from outside before it in its session
	near   *appearance // the last input before it in its session that holds one of its values
}

// An appearance is a value in an input, or in a deed of the agent's.
type appearance struct {
	event *Event
	quote string
	input bool
}

// A causeFinder looks in all inputs for the values of actions.
type causeFinder struct {
	machine  *ahocorasick.Machine
	values   []string
	index    map[string]int // of values, in lower case
	first    [][]appearance // of each value, by time
	inputs   [][]int64      // when inputs held each value: the first of them
	targets  []*target
	wants    [][]*target // by value
	sessions map[string][]*target
	injected map[string]string // places of inputs in which a rule saw instructions, and the words
	world    *world
}

func newCauseFinder(events []*Event, w *world, injected map[string]string) *causeFinder {
	f := &causeFinder{injected: injected, sessions: map[string][]*target{}, world: w, index: map[string]int{}}
	for _, e := range events[:min(len(events), maxTargets)] {
		tg := &target{event: e}
		f.targets = append(f.targets, tg)
		f.sessions[e.Session] = append(f.sessions[e.Session], tg)
		for _, v := range e.values {
			if low := strings.ToLower(v); !f.has(low) {
				f.index[low] = len(f.values)
				f.values = append(f.values, v)
				f.wants = append(f.wants, nil)
			}
			n := f.index[strings.ToLower(v)]
			f.wants[n] = append(f.wants[n], tg)
		}
	}
	f.machine = ahocorasick.New(f.values)
	f.first, f.inputs = make([][]appearance, len(f.values)), make([][]int64, len(f.values))
	return f
}

func (f *causeFinder) has(value string) bool {
	_, ok := f.index[value]
	return ok
}

// causes finds what led to the actions, reading the evidence once more. It returns them in the order of the events; of more
// than maxTargets the rest is nil.
func (r *Report) causes(ctx context.Context, fsys fs.FS, o *Options, events []*Event, w *world, injected map[string]string) ([]*Cause, error) {
	f := newCauseFinder(events, w, injected)
	again := &Report{}
	err := again.read(ctx, fsys, o, f.see)
	list := make([]*Cause, len(events))
	for i, tg := range f.targets {
		list[i] = f.cause(tg)
	}
	return list, err
}

// isInput reports what comes to the agent from outside itself.
func isInput(e *Event) bool {
	switch e.Kind {
	case KindResult:
		return true
	case KindMessage:
		return e.Tool == "" && e.Target == "in"
	}
	return false
}

// fromOutside reports a result whose content others wrote.
func fromOutside(e *Event) bool {
	switch toolNames[e.Tool] {
	case KindFetch, KindBrowse, KindRead:
		return e.Kind == KindResult
	}
	return false
}

// see takes one event of the evidence.
func (f *causeFinder) see(e *Event) {
	input := isInput(e)
	switch {
	case input:
		f.turn(e)
	case !e.acts() && e.Kind != KindMessage:
		return // a log or a ledger only tells of it
	}
	text := e.What
	if e.Kind != KindExec && e.Args != "" {
		text = e.Args
	}
	seen := map[int]bool{}
	f.appear(e, text, input, seen)
	if input {
		for _, d := range shell.Decode(text) {
			f.appear(e, d.Text, input, seen)
		}
	}
}

// turn notes an input for the actions that come after it in its session.
func (f *causeFinder) turn(e *Event) {
	for _, tg := range f.sessions[e.Session] {
		if !before(e, tg.event) {
			continue
		}
		if e.Kind == KindMessage && (tg.prompt == nil || before(tg.prompt, e)) {
			tg.prompt = e
		}
		if fromOutside(e) && (tg.seen == nil || before(tg.seen, e)) {
			tg.seen = e
		}
	}
}

// before orders events by time, and those of one session also by their place in it.
func before(a, b *Event) bool {
	if a.Session == b.Session && a.Source == b.Source && a.Line != b.Line {
		return a.Line < b.Line
	}
	return a.Time < b.Time
}

// appear notes the values in one text of an event that were not seen in it yet.
func (f *causeFinder) appear(e *Event, text string, input bool, seen map[int]bool) {
	f.machine.Find(text, func(word, end int) bool {
		begin := end - len(f.values[word])
		if seen[word] || !stands(text, begin, end) {
			return true
		}
		seen[word] = true
		if input {
			f.shown(word, e.Time)
			f.near(e, word, func() string { return excerpt(text, begin, end) })
		}
		list := f.first[word]
		if len(list) == maxFirst && !before(e, list[maxFirst-1].event) {
			return true
		}
		if slices.ContainsFunc(list, func(a appearance) bool { return a.event.same(e) }) {
			return true
		}
		list = append(list, appearance{e.kept(), excerpt(text, begin, end), input})
		slices.SortStableFunc(list, func(a, b appearance) int {
			switch {
			case before(a.event, b.event):
				return -1
			case before(b.event, a.event):
				return 1
			}
			return 0
		})
		f.first[word] = list[:min(len(list), maxFirst)]
		return true
	})
}

// shown notes when an input held a value. What comes later than enough others is not kept.
func (f *causeFinder) shown(value int, when int64) {
	list := append(f.inputs[value], when)
	if len(list) > 4*maxCommon {
		slices.Sort(list)
		list = list[:maxCommon+1]
	}
	f.inputs[value] = list
}

// isCommon reports a value that too many inputs before the action held. What is repeated after it says nothing of it.
func (f *causeFinder) isCommon(value int, action *Event) bool {
	n := 0
	for _, when := range f.inputs[value] {
		if when < action.Time {
			n++
		}
	}
	return n > maxCommon
}

// stands reports whether a value stands by itself in a text, and is not the beginning or the end of a longer word.
func stands(text string, begin, end int) bool {
	inner := func(i int) bool {
		return i >= 0 && i < len(text) && (isAlnum(text[i]) || text[i] == '_' || text[i] >= 0x80)
	}
	longer := end < len(text) && (inner(end) || (text[end] == '.' || text[end] == '-') && inner(end+1))
	return !(inner(begin-1) && inner(begin)) && !longer
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// kept is an event without what is too long to be kept.
func (e *Event) kept() *Event {
	kept := *e
	kept.What, kept.Args, kept.values = strings.Clone(start(e.What, maxKept)), "", nil
	return &kept
}

// near notes an input that holds a value, for the actions that come after it in its session.
func (f *causeFinder) near(e *Event, value int, quote func() string) {
	var kept *appearance
	for _, tg := range f.wants[value] {
		if tg.event.Session != e.Session || !before(e, tg.event) || tg.near != nil && !before(tg.near.event, e) {
			continue
		}
		if kept == nil {
			kept = &appearance{e.kept(), quote(), true}
		}
		tg.near = kept
	}
}

// same reports whether two readings of the evidence mean one event.
func (e *Event) same(o *Event) bool {
	return e.Session == o.Session && e.Line == o.Line && e.Call == o.Call && e.Kind == o.Kind
}

// cause judges what was found for an action.
func (f *causeFinder) cause(tg *target) *Cause {
	best, value := -1, ""
	for _, v := range tg.event.values {
		n := f.index[strings.ToLower(v)]
		if f.isCommon(n, tg.event) {
			continue
		}
		if first := f.firstInput(n, tg.event); first != nil && (best < 0 || len(v) > len(value)+shingle) {
			best, value = n, v
		}
	}
	if best >= 0 {
		return &Cause{Grade: GradeValue, Value: value, Chain: f.chain(best, tg)}
	}
	return f.withoutValue(tg)
}

// withoutValue judges by what came before the action where no value ties it to an input.
func (f *causeFinder) withoutValue(tg *target) *Cause {
	inTurn := tg.seen != nil && (tg.prompt == nil || before(tg.prompt, tg.seen))
	switch {
	case inTurn && f.injected[tg.seen.place()] != "":
		said := f.link(appearance{event: tg.seen, quote: f.injected[tg.seen.place()], input: true}, RoleCause)
		return &Cause{Grade: GradeTurn, Note: "a rule saw instructions in it; no value of the action appears there", Chain: f.withPrompt([]Link{said}, tg)}
	case tg.prompt != nil:
		c := &Cause{Grade: GradeTurn, Chain: []Link{f.whole(tg.prompt, RoleCause)}}
		if inTurn {
			c.Note = "no value of the action appears in an input; in this turn the agent had also read " + firstNonEmpty(tg.seen.Target, tg.seen.Tool) + " (" + tg.seen.ID() + ")"
		}
		return c
	case tg.seen != nil:
		return &Cause{Grade: GradeSession, Chain: []Link{f.whole(tg.seen, RoleCause)}}
	}
	return &Cause{Grade: GradeNone, Note: "no input before it is in the evidence"}
}

// whole is a link to an input as such.
func (f *causeFinder) whole(e *Event, role Role) Link {
	return f.link(appearance{event: e, quote: start(e.What, excerptBytes), input: true}, role)
}

// firstInput returns the first appearance of a value, if that is an input before the action.
func (f *causeFinder) firstInput(value int, action *Event) *appearance {
	if len(f.first[value]) == 0 {
		return nil
	}
	a := &f.first[value][0]
	if !a.input || a.event.same(action) || !before(a.event, action) {
		return nil
	}
	return a
}

// chain lists what carried the value to the action, and the prompt that the action answers.
func (f *causeFinder) chain(value int, tg *target) (chain []Link) {
	add := func(a appearance, role Role) {
		if !slices.ContainsFunc(chain, func(l Link) bool { return l.Event.same(a.event) }) {
			chain = append(chain, f.link(a, role))
		}
	}
	for i, a := range f.first[value] {
		switch {
		case !before(a.event, tg.event):
		case i == 0:
			add(a, RoleCause)
		default:
			add(a, RoleCarried)
		}
	}
	if tg.near != nil {
		add(*tg.near, RoleCarried)
	}
	return f.withPrompt(chain, tg)
}

// withPrompt adds the message that the action answers, unless it is in the chain, and orders what is behind the cause.
func (f *causeFinder) withPrompt(chain []Link, tg *target) []Link {
	if p := tg.prompt; p != nil && !slices.ContainsFunc(chain, func(l Link) bool { return l.Event.same(p) }) {
		chain = append(chain, f.whole(p, RolePrompt))
	}
	slices.SortStableFunc(chain[1:], func(a, b Link) int { return cmp.Compare(a.Event.Time, b.Event.Time) })
	return chain
}

// link says whose input it is. What a tool returned is content from outside, whoever asked for it.
func (f *causeFinder) link(a appearance, role Role) Link {
	l := Link{Event: a.event, Quote: a.quote, Input: a.input, Role: role}
	switch {
	case !a.input:
	case a.event.Kind == KindMessage:
		l.Trust = f.world.trust(a.event)
	case fromOutside(a.event):
		l.Trust = TrustExternal
	default:
		l.Trust = TrustSystem
	}
	return l
}
