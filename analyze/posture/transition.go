package posture

import (
	"slices"
	"strings"
)

// bookkeeping are the members in which OpenClaw notes when and by what release it wrote the file.
func isBookkeeping(path []string) bool { return path[0] == "meta" || path[0] == "wizard" }

// transitions tells every leaf that changed from one version to the next of which the text is known. Of the
// versions before the oldest of those the journal still tells the commands.
func (p *Past) transitions(m *mask) {
	p.Transitions = []Transition{}
	last := -1
	for i := range p.Steps {
		if p.Steps[i].Config == nil {
			if last < 0 {
				p.commanded(i, m)
			}
			continue
		}
		if last >= 0 {
			p.compare(last, i, m)
		}
		last = i
	}
}

// compare tells what changed between two steps, with the steps of unknown text between them.
func (p *Past) compare(i, j int, m *mask) {
	for _, c := range differences(p.Steps[i].Config.Tree, p.Steps[j].Config.Tree) {
		if isBookkeeping(c.path) {
			continue
		}
		gone, come := c.leaves()
		for _, t := range pair(gone, come) {
			t.hide(m)
			t.From, t.To = i, j
			p.date(&t)
			p.Transitions = append(p.Transitions, t)
		}
	}
}

// pair makes of leaves that are gone and those that have come what changed: one that went and one that came under the
// same key are one change.
func pair(gone, come []leaf) (list []Transition) {
	count := map[string]int{}
	for _, l := range append(append([]leaf{}, gone...), come...) {
		count[l.key]++
	}
	came := map[string]string{}
	for _, l := range come {
		if count[l.key] == 2 {
			came[l.key] = l.value
		}
	}
	paired := map[string]bool{}
	for _, l := range gone {
		t := Transition{Key: l.key, Previous: l.value, Removed: true}
		if value, ok := came[l.key]; ok {
			t.Value, t.Removed, paired[l.key] = value, false, true
		}
		list = append(list, t)
	}
	for _, l := range come {
		if !paired[l.key] {
			list = append(list, Transition{Key: l.key, Value: l.value, Added: true})
		}
	}
	return list
}

// hide takes secrets out of a transition.
func (t *Transition) hide(m *mask) {
	if m.values[t.Previous] || m.values[t.Value] {
		t.Secret, t.Previous, t.Value = true, "", ""
	}
	t.Key, t.Previous, t.Value = m.text(t.Key), m.text(t.Previous), m.text(t.Value)
}

// date says when and by whom, as narrowly as the journal allows.
func (p *Past) date(t *Transition) {
	steps := p.Steps[t.From+1 : t.To+1]
	span := Span{steps[0].From.NotBefore, steps[len(steps)-1].From.NotAfter}
	by, command := steps[0].By, steps[0].Command
	mentions, telling := -1, true
	for i := range steps {
		s := &steps[i]
		if s.By != by {
			by = ByUnknown
		}
		switch {
		case s.mentions(t.Key):
			if telling && mentions < 0 && s.sets(t) {
				t.NotBefore, t.NotAfter, t.By, t.Command = s.From.NotBefore, s.From.NotAfter, s.By, s.Command
				return
			}
			if mentions >= 0 {
				telling = false
			}
			mentions = i
		case !s.tells():
			telling = false
		}
	}
	switch {
	case telling && mentions >= 0:
		s := &steps[mentions]
		span, by, command = s.From, s.By, s.Command
	case len(steps) > 1:
		command = ""
	}
	t.NotBefore, t.NotAfter, t.By, t.Command = span.NotBefore, span.NotAfter, by, command
}

// tells reports that the journal says which keys a step changed.
func (s *Step) tells() bool {
	_, _, set := setCommand(s.words)
	_, unset := unsetCommand(s.words)
	return len(s.Changed) > 0 || set || unset
}

// sets reports that a step's command gave a key the very value that it has after the transition.
func (s *Step) sets(t *Transition) bool {
	key, value, ok := setCommand(s.words)
	return ok && !t.Secret && slices.Contains(flatten(commandKey(key), typed(value).Plain()), leaf{t.Key, t.Value})
}

// mentions reports that the journal says that a step changed a key, or what it lies in.
func (s *Step) mentions(key string) bool {
	key = strings.ReplaceAll(key, "[]", "")
	near := func(changed string) bool {
		changed, _, _ = strings.Cut(changed, "[")
		return changed != "" && (key == changed || strings.HasPrefix(key, changed+".") || strings.HasPrefix(changed, key+"."))
	}
	if set, _, ok := setCommand(s.words); ok && near(strings.ReplaceAll(commandKey(set), "[]", "")) {
		return true
	}
	if unset, ok := unsetCommand(s.words); ok && near(strings.ReplaceAll(commandKey(unset), "[]", "")) {
		return true
	}
	for _, c := range s.Changed {
		if near(c) {
			return true
		}
	}
	return false
}

// commandKey writes the key of a command, in which an element of an array has its index.
func commandKey(names []string) (key string) {
	for _, name := range names {
		if strings.Trim(name, "0123456789") == "" {
			key += "[]"
			continue
		}
		key += keyStep(key, name)
	}
	return key
}

// commanded tells what the command of a step of unknown text set.
func (p *Past) commanded(i int, m *mask) {
	s := &p.Steps[i]
	var list []Transition
	if key, value, ok := setCommand(s.words); ok && len(key) > 0 {
		for _, l := range flatten(commandKey(key), typed(value).Plain()) {
			t := Transition{Key: l.key, Value: l.value}
			if value == masked { // as the journal of 2026.9 has it
				t.Secret, t.Value = true, ""
			}
			list = append(list, t)
		}
	}
	if key, ok := unsetCommand(s.words); ok && len(key) > 0 {
		list = append(list, Transition{Key: commandKey(key), Removed: true})
	}
	for _, t := range list {
		t.hide(m)
		t.From, t.To, t.FromCommand = i-1, i, true
		t.NotBefore, t.NotAfter, t.By, t.Command = s.From.NotBefore, s.From.NotAfter, s.By, s.Command
		p.Transitions = append(p.Transitions, t)
	}
}
