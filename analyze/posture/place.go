package posture

import (
	"slices"
	"strings"
	"time"
)

// take puts one row of the journal at the end of the steps.
func (p *pastReader) take(r *journalRow) {
	switch {
	case r.refused:
		p.past.Aside = append(p.past.Aside, p.step(r, "", exactly(r.at)))
	case r.event == "config.observe":
		p.observe(r)
	case r.next != "":
		p.reach(r.previous, r.at)
		if p.last() == r.next {
			p.confirm(r.at)
			return
		}
		from := exactly(r.at)
		if r.event != "config.write" { // it was noticed, and may have happened at any time since the last look
			from.NotBefore = p.seen()
		}
		p.push(p.step(r, r.next, from))
	}
}

// observe notes what a gateway saw when it read the configuration, and that it put a backup in its place.
func (p *pastReader) observe(r *journalRow) {
	when := r.at
	if r.modified.After(p.seen()) && r.modified.Before(when) {
		when = r.modified
	}
	p.reach(r.next, when)
	p.confirm(r.at)
	if r.restored != "" && r.restored != p.last() {
		s := p.step(r, r.restored, exactly(r.at))
		s.By = ByGateway
		p.push(s)
	}
}

// reach makes sure that the last step is the version with a digest: where it is not, it came without any journal
// between the last look and then.
func (p *pastReader) reach(digest string, then time.Time) {
	if digest == "" || p.last() == digest {
		return
	}
	p.push(Step{SHA256: digest, From: Span{p.seen(), then}, By: ByUnknown})
}

func (p *pastReader) push(s Step) {
	if s.seen.IsZero() {
		s.seen = s.From.NotAfter
	}
	p.past.Steps = append(p.past.Steps, s)
}

// confirm notes that the last step still held.
func (p *pastReader) confirm(when time.Time) {
	if n := len(p.past.Steps); n > 0 && when.After(p.past.Steps[n-1].seen) {
		p.past.Steps[n-1].seen = when
	}
}

// seen is when the last step was last known to hold.
func (p *pastReader) seen() time.Time {
	if n := len(p.past.Steps); n > 0 {
		return p.past.Steps[n-1].seen
	}
	return time.Time{}
}

func (p *pastReader) last() string {
	if n := len(p.past.Steps); n > 0 {
		return p.past.Steps[n-1].SHA256
	}
	return ""
}

func (p *pastReader) step(r *journalRow, digest string, from Span) Step {
	s := Step{SHA256: digest, From: from, Event: r.event, By: r.by(), words: r.words(), Command: p.mask.command(r.argv[min(len(r.argv), 1):])}
	for _, c := range r.changed {
		s.Changed = append(s.Changed, p.mask.text(c))
	}
	return s
}

// by tells who made a change.
func (r *journalRow) by() By {
	words := r.words()
	switch {
	case r.event == "config.external":
		return ByExternal
	case r.origin == "cli":
		return ByCLI
	case r.origin != "":
		return ByGateway
	case len(words) == 0:
		return ByUnknown
	case words[0] == "gateway" && (len(words) == 1 || words[1] == "run" || strings.HasPrefix(words[1], "-")):
		return ByGateway
	}
	return ByCLI
}

// place gives the files their steps.
func (p *pastReader) place(files []version) {
	for i := range files {
		p.attach(&files[i])
	}
	trusted := timesTell(files)
	after := -1 // the step of the file before this one in the ring
	var before time.Time
	for i := range files {
		switch v := &files[i]; v.kind {
		case isRing:
			after = p.placeRing(v, after, before)
			if trusted {
				before = v.modified
			}
		case isCurrent:
			p.placeCurrent(v, before)
		case isGood, isClobbered:
			p.placeSeen(v)
		default:
			if !p.holds(v.sha256) {
				p.past.Aside = append(p.past.Aside, newStep(v, Span{v.stamped, fullSecond(v.modified)}))
			}
		}
	}
}

// attach gives the tree of a file to the steps of which it is the version.
func (p *pastReader) attach(v *version) {
	for i := range p.past.Steps {
		if s := &p.past.Steps[i]; s.SHA256 == v.sha256 {
			s.give(v)
		}
	}
	if p.holds(v.sha256) || v.stamped.IsZero() || v.kind == isRejected {
		return
	}
	for i := range p.past.Steps {
		s := &p.past.Steps[i]
		late := s.From.NotAfter.Sub(v.stamped)
		if s.Event != "config.write" || s.Config != nil && !s.Altered || late < 0 || late > stampLate || !p.untouched(i, v) {
			continue
		}
		s.give(v)
		s.Altered = true
		return
	}
}

// stampLate is how long after it stamped a configuration OpenClaw records that it wrote it, at most.
const stampLate = 2 * time.Second

// untouched reports that between a step and the moment at which a backup was made of it nobody else edited the
// configuration: the journal goes on from it. Of the last step that cannot be known.
func (p *pastReader) untouched(i int, v *version) bool {
	return v.kind == isRing && i+1 < len(p.past.Steps) && p.past.Steps[i+1].Event != ""
}

func (p *pastReader) holds(digest string) bool {
	return slices.ContainsFunc(p.past.Steps, func(s Step) bool { return s.SHA256 == digest })
}

func newStep(v *version, from Span) Step {
	s := Step{SHA256: v.sha256, From: from, By: ByUnknown, seen: from.NotAfter}
	s.give(v)
	return s
}

func (s *Step) give(v *version) {
	s.Files = append(s.Files, v.file)
	if v.config != nil {
		s.Config, s.Release = v.config, v.config.String("meta", "lastTouchedVersion")
	}
}

// timesTell reports whether the times of the backups can be those at which they were made: a copy of a state
// without its times has one for all, and none is before the file was written.
func timesTell(files []version) bool {
	var last time.Time
	distinct := map[int64]bool{}
	ring := 0
	for i := range files {
		v := &files[i]
		if v.kind != isRing && v.kind != isCurrent {
			continue
		}
		if !v.stamped.IsZero() && !last.IsZero() && last.Sub(v.stamped) > stampLate {
			return false
		}
		if v.kind == isRing {
			ring++
			last = v.modified
			distinct[v.modified.Unix()] = true
		}
	}
	return ring < 2 || len(distinct) > 1
}

// placeRing places a backup that no journal knows, after the step of the one before it. A backup was made when
// OpenClaw replaced the version in it; that began when the one before was replaced, or with an edit since.
func (p *pastReader) placeRing(v *version, after int, before time.Time) int {
	for i := after + 1; i < len(p.past.Steps); i++ {
		if slices.Contains(p.past.Steps[i].Files, v.file) {
			return i
		}
	}
	from := Span{v.began(before), fullSecond(v.modified)}
	if after < 0 {
		after = p.stepAt(from.NotBefore, v.modified)
	}
	if after >= 0 {
		s := &p.past.Steps[after]
		if s.SHA256 == v.sha256 {
			s.Files = append(s.Files, v.file)
			return after
		}
		from.NotBefore = latest(from.NotBefore, s.From.NotBefore)
	}
	return p.insert(after+1, v, from)
}

// placeCurrent places the file in use, which is the last.
func (p *pastReader) placeCurrent(v *version, before time.Time) {
	n := len(p.past.Steps)
	if n > 0 && p.past.Steps[n-1].SHA256 == v.sha256 {
		if !slices.Contains(p.past.Steps[n-1].Files, v.file) {
			p.past.Steps[n-1].give(v)
		}
		return
	}
	from := Span{latest(p.seenInForce(), v.began(before)), fullSecond(v.modified)}
	p.insert(n, v, from)
}

// seenInForce is when the last journaled step was last known to hold.
func (p *pastReader) seenInForce() time.Time {
	if n := len(p.past.Steps); n > 0 && p.past.Steps[n-1].Event != "" {
		return p.past.Steps[n-1].seen
	}
	return time.Time{}
}

// placeSeen places a copy that lay in the configuration's place at one moment.
func (p *pastReader) placeSeen(v *version) {
	then := v.modified
	if !v.aside.IsZero() {
		then = v.aside
	}
	for i := range p.past.Steps {
		if s := &p.past.Steps[i]; s.SHA256 == v.sha256 {
			if !slices.Contains(s.Files, v.file) {
				s.Files = append(s.Files, v.file)
			}
			return
		}
	}
	after := p.stepAt(v.stamped, then)
	if n := len(p.past.Steps); after == n-1 && n > 0 { // the file in use stays the last
		after--
	}
	from := Span{v.stamped, fullSecond(then)}
	if after >= 0 {
		from.NotBefore = latest(from.NotBefore, p.past.Steps[after].From.NotBefore)
	}
	p.insert(after+1, v, from)
}

// stepAt is the last step that had begun by a moment, -1 if none had.
func (p *pastReader) stepAt(began, seen time.Time) int {
	if !began.IsZero() {
		seen = began
	}
	last := -1
	for i := range p.past.Steps {
		if !p.past.Steps[i].From.NotAfter.After(seen) {
			last = i
		}
	}
	return last
}

func (p *pastReader) insert(i int, v *version, from Span) int {
	if from.NotAfter.Before(from.NotBefore) { // the file's time is not that of its content
		from.NotAfter = time.Time{}
	}
	if i > 0 && p.past.Steps[i-1].SHA256 == v.sha256 {
		p.past.Steps[i-1].Files = append(p.past.Steps[i-1].Files, v.file)
		return i - 1
	}
	p.past.Steps = slices.Insert(p.past.Steps, i, newStep(v, from))
	return i
}

// began is the earliest moment at which a version can have begun that replaced another one at a known time: that at
// which OpenClaw says it wrote it, which is a moment earlier, or the known one.
func (v *version) began(replaced time.Time) time.Time {
	if !v.stamped.IsZero() && replaced.Sub(v.stamped).Abs() <= stampLate {
		return v.stamped
	}
	return latest(v.stamped, replaced)
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// fullSecond is the end of a second for a time without a fraction: archives cut it off.
func fullSecond(t time.Time) time.Time {
	if t.Nanosecond() == 0 && !t.IsZero() {
		return t.Add(time.Second - time.Millisecond)
	}
	return t
}
