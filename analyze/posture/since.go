package posture

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

// A Weakness names a finding of the configuration across its versions.
type Weakness struct {
	Check string
	Where string
}

// A Window is a time in which a weakness held.
type Window struct {
	From Span `json:"from"`
	// To is when it ended; the zero Span of one that holds, or of which no later version is known.
	To      Span   `json:"to,omitzero"`
	Holds   bool   `json:"holds"`             // it does in the version that is in force
	By      By     `json:"by"`                // who began it
	Command string `json:"command,omitempty"` // that began it
	// Said is the moment at which a command gave the setting its value, where no version is kept that shows it.
	Said time.Time `json:"said,omitzero"`
}

// String writes "since …" or "from … to …".
func (w Window) String() string {
	text := "from " + w.From.String()
	switch {
	case w.From == Span{}:
		text = "for an unknown time"
	case w.From.NotBefore.IsZero():
		text = "since " + w.From.NotAfter.UTC().Format(time.RFC3339) + " at the latest"
	case w.Holds:
		text = "since " + w.From.String()
	}
	if !w.Holds && w.To != (Span{}) {
		text += ", until " + w.To.String()
	}
	if !w.Said.IsZero() {
		text += ", set by a command at " + w.Said.UTC().Format(time.RFC3339)
	} else if w.By != ByUnknown && w.By != "" {
		text += " by " + string(w.By)
	}
	return text
}

// Since says when each weakness held that evaluate finds in any version of the configuration; evaluate is
// [CheckConfig] with the installation given. Every window is what the versions and the journal prove: where the
// text of a version is not kept, the bounds are wider and not a guess.
func (p *Past) Since(ctx context.Context, evaluate func(*openclaw.Config) []Finding) map[Weakness][]Window {
	s := sinceReader{ctx, p, evaluate, map[Weakness][]Window{}}
	last := -1
	var before map[Weakness]bool
	for i := range p.Steps {
		if p.Steps[i].Config == nil {
			continue
		}
		if ctx.Err() != nil {
			return s.windows
		}
		now := s.weak(p.Steps[i].Config)
		for _, w := range sortedWeaknesses(now) {
			if !before[w] {
				s.begin(w, last, i)
			}
		}
		for _, w := range sortedWeaknesses(before) {
			if !now[w] {
				s.end(w, last, i)
			}
		}
		last, before = i, now
	}
	for w := range before {
		s.last(w).Holds = last == len(p.Steps)-1
	}
	return s.windows
}

type sinceReader struct {
	ctx      context.Context
	past     *Past
	evaluate func(*openclaw.Config) []Finding
	windows  map[Weakness][]Window
}

func (s *sinceReader) weak(c *openclaw.Config) map[Weakness]bool {
	weak := map[Weakness]bool{}
	for _, f := range s.evaluate(c) {
		weak[Weakness{f.ID, f.Where}] = true
	}
	return weak
}

func sortedWeaknesses(m map[Weakness]bool) []Weakness {
	var list []Weakness
	for w := range m {
		list = append(list, w)
	}
	slices.SortFunc(list, func(a, b Weakness) int {
		return cmp.Or(cmp.Compare(a.Check, b.Check), cmp.Compare(a.Where, b.Where))
	})
	return list
}

func (s *sinceReader) last(w Weakness) *Window { return &s.windows[w][len(s.windows[w])-1] }

// begin opens a window for what holds in a step and did not in the one before.
func (s *sinceReader) begin(w Weakness, before, now int) {
	if before < 0 {
		s.windows[w] = append(s.windows[w], s.first(w, now))
		return
	}
	t := s.turn(w, before, now, true)
	s.windows[w] = append(s.windows[w], Window{From: t.span, By: t.by, Command: t.command})
}

// first is the window of what holds in the oldest version that is kept.
func (s *sinceReader) first(w Weakness, now int) Window {
	step := &s.past.Steps[now]
	if now == 0 && step.Event == "config.write" { // it began as this
		return Window{From: step.From, By: step.By, Command: step.Command}
	}
	from := Window{From: Span{NotAfter: step.From.NotAfter}, By: ByUnknown}
	for i := range s.past.Transitions {
		t := &s.past.Transitions[i]
		if t.FromCommand && t.To < now && t.Key == w.Where && !t.Secret && slices.Contains(flatten("", step.Config.Tree), leaf{t.Key, t.Value}) {
			from.Said, from.By, from.Command = t.NotAfter, t.By, t.Command
		}
	}
	return from
}

func (s *sinceReader) end(w Weakness, before, now int) {
	s.last(w).To = s.turn(w, before, now, false).span
}

// A dated is a change and when it happened.
type dated struct {
	change
	span    Span
	by      By
	command string
}

// turn finds the change between two versions with which a weakness came or went: it makes the changes in the order
// of their times, those that may have happened together at once, and looks after each.
func (s *sinceReader) turn(w Weakness, before, now int, comes bool) dated {
	changes := s.past.datedChanges(before, now)
	if len(changes) == 0 { // it turns on what is not in the config's leaves
		step := &s.past.Steps[now]
		return dated{span: Span{s.past.Steps[before+1].From.NotBefore, step.From.NotAfter}, by: ByUnknown}
	}
	groups := groupByTime(changes)
	if len(groups) == 1 {
		return groups[0].sum()
	}
	config := *s.past.Steps[before].Config
	config.Tree = copyTree(config.Tree).(map[string]any)
	for _, g := range groups {
		for i := range g {
			g[i].apply(config.Tree)
		}
		if s.weak(&config)[w] == comes {
			return g.sum()
		}
	}
	return group(changes).sum()
}

// group are changes that may have happened in any order.
type group []dated

// groupByTime puts the changes in the order of their times; those whose times overlap are one group.
func groupByTime(changes []dated) (groups []group) {
	slices.SortStableFunc(changes, func(a, b dated) int {
		return cmp.Or(a.span.NotBefore.Compare(b.span.NotBefore), a.span.NotAfter.Compare(b.span.NotAfter))
	})
	var end time.Time
	for _, c := range changes {
		n := len(groups)
		if n == 0 || c.span.NotBefore.After(end) && !end.IsZero() {
			groups = append(groups, group{c})
			end = c.span.NotAfter
			continue
		}
		groups[n-1] = append(groups[n-1], c)
		if c.span.NotAfter.IsZero() || c.span.NotAfter.After(end) && !end.IsZero() {
			end = c.span.NotAfter
		}
	}
	return groups
}

// sum is the group as one change.
func (g group) sum() dated {
	all := dated{span: g[0].span, by: g[0].by, command: g[0].command}
	for _, c := range g[1:] {
		if c.span.NotBefore.Before(all.span.NotBefore) {
			all.span.NotBefore = c.span.NotBefore
		}
		if c.span.NotAfter.IsZero() || !all.span.NotAfter.IsZero() && c.span.NotAfter.After(all.span.NotAfter) {
			all.span.NotAfter = c.span.NotAfter
		}
		if c.by != all.by {
			all.by = ByUnknown
		}
		if c.command != all.command {
			all.command = ""
		}
	}
	return all
}

// datedChanges are the places at which two versions differ, each with when that changed.
func (p *Past) datedChanges(i, j int) (list []dated) {
	for _, c := range differences(p.Steps[i].Config.Tree, p.Steps[j].Config.Tree) {
		var leaves group
		gone, come := c.leaves()
		for _, l := range append(gone, come...) {
			t := Transition{Key: l.key, Value: l.value, From: i, To: j}
			p.date(&t)
			leaves = append(leaves, dated{c, t.Span(), t.By, t.Command})
		}
		if len(leaves) > 0 {
			d := leaves.sum()
			d.change = c
			list = append(list, d)
		}
	}
	return list
}

// apply makes a change in a tree.
func (c *change) apply(tree map[string]any) {
	for _, name := range c.path[:len(c.path)-1] {
		next, ok := tree[name].(map[string]any)
		if !ok {
			return // another change took the place away
		}
		tree = next
	}
	last := c.path[len(c.path)-1]
	if !c.has {
		delete(tree, last)
		return
	}
	tree[last] = copyTree(c.is)
}

func copyTree(v any) any {
	switch v := v.(type) {
	case map[string]any:
		m := make(map[string]any, len(v))
		for k, e := range v {
			m[k] = copyTree(e)
		}
		return m
	case []any:
		l := make([]any, len(v))
		for i, e := range v {
			l[i] = copyTree(e)
		}
		return l
	}
	return v
}
