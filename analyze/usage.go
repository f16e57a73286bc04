package analyze

import (
	"cmp"
	"slices"
	"strconv"
)

// A modelUse is what one answer of a model took, as the transcript has it.
type modelUse struct {
	tokens int64
	cost   int64 // in millionths of a dollar
}

// maxTokens and maxCost bound what one answer can have taken; more is no usage. Tokens, millionths of a dollar.
const (
	maxTokens = 1 << 30
	maxCost   = 1_000_000 * micro
	micro     = 1_000_000
)

// usage reads {totalTokens, cost: {total}} of a message.
func (d *decoder) usage() (u modelUse) {
	p := &d.p
	for name := range p.Members() {
		switch string(name) {
		case "totalTokens":
			if n, ok := p.Int(); ok && n > 0 && n < maxTokens {
				u.tokens = n
			}
		case "cost":
			for part := range p.Members() {
				if string(part) == "total" {
					u.cost = dollars(p.Raw())
				}
			}
		}
	}
	return u
}

// dollars reads a number of dollars; 0 for anything else.
func dollars(raw []byte) int64 {
	f, err := strconv.ParseFloat(string(raw[:min(len(raw), 32)]), 64)
	if err != nil || !(f > 0 && f*micro < maxCost) {
		return 0
	}
	return int64(f * micro)
}

// The bounds of a spike (DETECTIONS, CST-001): how far back the usual is looked for, in hours; how many hours of use it takes
// to know what is usual; how many times the spread an hour lies above it; and what no hour is a spike below.
const (
	usualHours = 14 * 24
	minHours   = 6
	spreads    = 6
	spikeCost  = 5 * micro
	spikeUse   = 2_000_000 // tokens, where nothing has a price
)

// An hourOfUse is what an agent used in one hour.
type hourOfUse struct {
	home, agent string
	hour        int64 // since 1970
	modelUse
	models map[string]int64 // tokens of each
	first  Event            // the first answer of the hour
}

// spending sums up by hour and agent what models took.
type spending struct{ hours map[string]*hourOfUse }

func newSpending() *spending { return &spending{map[string]*hourOfUse{}} }

// add counts one answer of an agent of the installation at home.
func (s *spending) add(home string, e *Event, it *item) {
	n := e.Time / hour
	key := home + "\x00" + e.Agent + "\x00" + strconv.FormatInt(n, 10)
	h := s.hours[key]
	if h == nil {
		if len(s.hours) == maxKnown {
			return
		}
		h = &hourOfUse{home: home, agent: e.Agent, hour: n, models: map[string]int64{}, first: *e}
		s.hours[key] = h
	}
	if e.Time < h.first.Time {
		h.first = *e
	}
	h.tokens += it.usage.tokens
	h.cost += it.usage.cost
	if _, known := h.models[it.model]; known || len(h.models) < maxHosts {
		h.models[it.model] += it.usage.tokens
	}
}

// sorted lists the hours, those of one agent after each other.
func (s *spending) sorted() []*hourOfUse {
	list := make([]*hourOfUse, 0, len(s.hours))
	for _, h := range s.hours {
		list = append(list, h)
	}
	slices.SortFunc(list, func(a, b *hourOfUse) int {
		return cmp.Or(cmp.Compare(a.home, b.home), cmp.Compare(a.agent, b.agent), cmp.Compare(a.hour, b.hour))
	})
	return list
}

// spikes notices hours that took far more than those of the fourteen days before: of money, or of tokens where nothing has
// a price. Hours without any use are not among those that are compared.
func (d *derivers) spikes(s *spending, keeps func(*Event) bool) {
	list := s.sorted()
	from := 0
	for i, h := range list {
		for list[from].home != h.home || list[from].agent != h.agent || list[from].hour < h.hour-usualHours {
			from++
		}
		if before := list[from:i]; len(before) >= minHours && keeps(&h.first) {
			d.spike(h, before)
		}
	}
}

func (d *derivers) spike(h *hourOfUse, before []*hourOfUse) {
	took, least := func(h *hourOfUse) int64 { return h.cost }, int64(spikeCost)
	show := func(n int64) string { return strconv.FormatFloat(float64(n)/micro, 'f', 2, 64) }
	if h.cost == 0 {
		took, least = func(h *hourOfUse) int64 { return h.tokens }, spikeUse
		show = func(n int64) string { return strconv.FormatInt(n, 10) }
	}
	usual := make([]int64, len(before))
	for i, b := range before {
		usual[i] = took(b)
	}
	middle, spread := medianAndSpread(usual)
	if took(h) <= least || took(h) <= middle+spreads*spread {
		return
	}
	fields := []Detail{{"Tokens", strconv.FormatInt(h.tokens, 10)}, {"Median", show(middle)}}
	if h.cost > 0 {
		fields = append(fields, Detail{"Cost", show(h.cost)})
	}
	if m := h.model(); m != "" {
		fields = append(fields, Detail{"Model", m})
	}
	d.emit("cost-spike", h.home+"\x00"+h.agent+"\x00"+strconv.FormatInt(h.hour, 10), &h.first, fields...)
}

// model is the one that took most.
func (h *hourOfUse) model() (most string) {
	for m, n := range h.models {
		if best := h.models[most]; most == "" || n > best || n == best && m < most {
			most = m
		}
	}
	return most
}

// medianAndSpread returns the median of numbers and the median of how far they lie from it. It sorts them.
func medianAndSpread(list []int64) (median, spread int64) {
	slices.Sort(list)
	median = list[len(list)/2]
	for i, n := range list {
		list[i] = max(n-median, median-n)
	}
	slices.Sort(list)
	return median, list[len(list)/2]
}
