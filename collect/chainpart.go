package collect

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

// chainPart is one chain that is being verified.
type chainPart struct {
	ChainPart
	v     *chainVerifier
	links []*linkSeal
	gone  [][2]int // runs of links of which only the seals are there
}

// check verifies what the seals say, and what is there of the bundles.
func (p *chainPart) check() {
	slices.SortFunc(p.links, func(a, b *linkSeal) int {
		return cmp.Or(cmp.Compare(a.Number, b.Number), a.created.Compare(b.created), strings.Compare(a.file, b.file))
	})
	p.distinct()
	p.sequence()
	p.times()
	p.sum()
	p.restorable()
	p.tellRemoved()
}

// distinct drops copies of a seal and tells forks: two seals of one number, or with one predecessor.
func (p *chainPart) distinct() {
	byDigest, byPrev := map[string]*linkSeal{}, map[string]*linkSeal{}
	named := map[string]bool{}
	for _, l := range p.links {
		named[l.prev] = true
	}
	var kept []*linkSeal
	for _, l := range p.links {
		if first := byDigest[l.digest]; first != nil {
			p.v.report.remark("copy", l.Number, l.file, "the same seal as %.200q", first.file)
			first.adopt(l)
			continue
		}
		byDigest[l.digest] = l
		n := len(kept) - 1
		twice := n >= 0 && kept[n].Number == l.Number
		if other := byPrev[l.prev]; other != nil || twice {
			if other == nil {
				other = kept[n]
			}
			p.v.report.problem("fork", l.Number, l.file, "this and %.200q (link %d) both come after one link: the chain goes on twice", other.file, other.Number)
		}
		byPrev[l.prev] = l
		switch {
		case !twice:
			kept = append(kept, l)
		case named[l.digest] && !named[kept[n].digest]:
			kept[n] = l // the branch that goes on
		}
	}
	p.links = kept
}

// adopt takes the bundle of a copy of the seal, where its own is not there.
func (l *linkSeal) adopt(copied *linkSeal) {
	if !l.here && copied.here {
		l.bundle, l.here = copied.bundle, true
	}
}

// sequence checks that no number is missing and that each seal names the one before.
func (p *chainPart) sequence() {
	r := p.v.report
	first := p.links[0]
	switch {
	case first.Number > 1:
		r.problem("gap", 1, "", "%s not here, not even as seals", missingLinks(1, first.Number-1))
	case first.prev != "":
		r.problem("link", 1, first.file, "the first link names one before it")
	}
	for i, l := range p.links[1:] {
		switch before := p.links[i]; {
		case l.Number > before.Number+1:
			r.problem("gap", before.Number+1, "", "%s not here, not even as seals", missingLinks(before.Number+1, l.Number-1))
		case l.prev != before.digest:
			r.problem("link", l.Number, l.file, "does not name the seal of link %d as the one before it", before.Number)
		}
	}
}

func missingLinks(from, to int) string {
	if from == to {
		return fmt.Sprintf("link %d is", from)
	}
	return fmt.Sprintf("links %d to %d are", from, to)
}

// maxAhead is how far the clocks of two machines may differ before it is told.
const maxAhead = 24 * time.Hour

// times tells a clock that went backwards. It may do so innocently, so that it is a remark.
func (p *chainPart) times() {
	for i, l := range p.links {
		if i > 0 && l.created.Before(p.links[i-1].created) {
			p.v.report.remark("clock", l.Number, l.file, "sealed %s, before link %d (%s): the clock went backwards",
				l.created.UTC().Format(time.RFC3339), p.links[i-1].Number, p.links[i-1].created.UTC().Format(time.RFC3339))
		}
		if l.created.After(p.v.o.Now.Add(maxAhead)) {
			p.v.report.remark("clock", l.Number, l.file, "sealed %s, which is to come", l.created.UTC().Format(time.RFC3339))
		}
	}
}

// sum counts, and compares sizes.
func (p *chainPart) sum() {
	first, last := p.links[0], p.links[len(p.links)-1]
	p.First, p.Last, p.Links = first.Number, last.Number, len(p.links)
	p.From, p.To, p.Host = first.created.UTC(), last.created.UTC(), last.host
	p.Head = ChainHead{last.digest, last.Number}
	for _, l := range p.links {
		if l.Full {
			p.Full++
		}
		if !l.here {
			continue
		}
		size := p.v.bundles[l.bundle]
		p.Here, p.Bytes = p.Here+1, p.Bytes+size
		if size != l.size {
			p.v.report.problem("size", l.Number, l.bundle, "%d bytes, where %d were sealed", size, l.size)
		}
	}
}

// restorable checks that what is there suffices: retention may remove bundles, but neither the last full one nor what came after it,
// nor one that a kept one builds on.
func (p *chainPart) restorable() {
	lastFull := 0
	for _, l := range p.links {
		if l.Full {
			lastFull = l.Number
		}
	}
	whole, next, lost := false, 0, 0 // the state can be put together; the number to come; the link that is lacking
	told := 0
	for _, l := range p.links {
		switch {
		case l.Full:
			whole, lost = l.here, l.Number
		case whole && l.Number != next:
			whole, lost = false, next
		case whole && !l.here:
			whole, lost = false, l.Number
		}
		next = l.Number + 1
		switch {
		case !l.here && l.Number >= lastFull:
			p.v.report.problem("missing", l.Number, l.bundle, "is not here, and the newest state cannot be had without it")
		case !l.here:
			p.removed(l)
		case !whole && lost != told:
			told = lost
			p.v.report.problem("needed", l.Number, l.bundle, "cannot be restored, nor what follows up to the next full one: %s", lacking(lost))
		}
		if l.here && whole {
			p.Whole++
		}
	}
}

func lacking(link int) string {
	if link == 0 {
		return "there is no full one before it"
	}
	return fmt.Sprintf("link %d, on which it builds, is not here", link)
}

// removed notes a bundle that is gone. It is what retention does, if there is a record of that.
func (p *chainPart) removed(l *linkSeal) {
	if p.v.o.Recorded != nil && !p.v.o.Recorded(l.bundle) {
		p.v.report.problem("unrecorded", l.Number, l.bundle, "the bundle is gone, and the custody log does not say that retention removed it")
		return
	}
	p.Removed++
	if n := len(p.gone) - 1; n >= 0 && p.gone[n][1] == l.Number-1 {
		p.gone[n][1] = l.Number
	} else {
		p.gone = append(p.gone, [2]int{l.Number, l.Number})
	}
}

// maxRuns is how many runs of links are listed in a remark.
const maxRuns = 20

func (p *chainPart) tellRemoved() {
	if p.Removed == 0 {
		return
	}
	why := "the record of that is in the case that they were made in"
	if p.v.o.Recorded != nil {
		why = "the custody log has it that retention removed them"
	}
	var runs []string
	for i, r := range p.gone {
		if i == maxRuns {
			runs = append(runs, "and more")
			break
		}
		text := fmt.Sprint(r[0])
		if r[1] > r[0] {
			text += fmt.Sprintf(" to %d", r[1])
		}
		runs = append(runs, text)
	}
	p.v.report.remark("removed", 0, "", "the bundles of links %s were removed, and no later one needs them; %s", strings.Join(runs, ", "), why)
}

// contents compares the bundles that are there with their seals, and opens them if there are keys.
func (v *chainVerifier) contents(parts []*chainPart) error {
	total := int64(0)
	for _, p := range parts {
		total += p.Bytes
	}
	if v.o.Total != nil {
		v.o.Total(total)
	}
	for _, p := range parts {
		for _, l := range p.links {
			if !l.here {
				continue
			}
			if err := v.content(l); err != nil {
				return err
			}
		}
	}
	if v.wrongKey && v.report.Opened == 0 {
		return ErrWrongKey
	}
	return v.allStates(parts)
}

// allStates checks the states of chains that were opened. One that does not open now has been told of already.
func (v *chainVerifier) allStates(parts []*chainPart) error {
	for _, p := range parts {
		if len(v.o.Identities) == 0 || p.Here == 0 {
			continue
		}
		if err := v.states(p); err != nil && v.ctx.Err() == nil {
			v.report.unread(0, "", "the states after the links were not compared: %v", err)
		}
	}
	return v.ctx.Err()
}

func (v *chainVerifier) content(l *linkSeal) error {
	seal, err := v.sealOf(l)
	if err != nil {
		v.report.unread(l.Number, l.file, "%s", openclaw.Cause(err))
		return v.ctx.Err()
	}
	f, err := v.shelf.Open(v.ctx, l.bundle)
	if err != nil {
		v.report.unread(l.Number, l.bundle, "%s", openclaw.Cause(err))
		return v.ctx.Err()
	}
	defer f.Close()
	found, err := Verify(v.ctx, f, f.Size(), seal, VerifyOptions{Identities: v.o.Identities, Progress: v.o.Progress})
	if found.Opened {
		v.report.Opened++
	}
	for _, p := range found.Problems {
		if p.Kind == "size" && f.Size() == v.bundles[l.bundle] {
			continue // told already
		}
		where := l.bundle
		if p.Path != "" {
			where += ": " + p.Path
		}
		v.report.problem(p.Kind, l.Number, where, "%s", p.Detail)
	}
	v.report.Dropped += found.Dropped
	if err != nil && v.ctx.Err() == nil {
		v.wrongKey = v.wrongKey || errors.Is(err, ErrWrongKey)
		v.report.unread(l.Number, l.bundle, "%s", openclaw.Cause(err))
	}
	return v.ctx.Err()
}
