package analyze

import (
	"hash/maphash"
	"math"
	"net/url"
	"strings"
)

// The bounds of polling and of loops (DETECTIONS, RSH-010 and CST-002): how many calls, how even, how soon after each
// other. Milliseconds.
const (
	minPolls     = 4
	maxVariation = 0.2
	loopCalls    = 20
	loopWindow   = 10 * 60 * 1000
	spawnCalls   = 10
	maxPolls     = 64 // times kept of one address
)

// A poll is when one address was asked for.
type poll struct{ times []int64 }

// beacon notices an address that is asked for at even intervals by what runs on a schedule.
func (d *derivers) beacon(e *Event) {
	if e.Kind != KindFetch && e.Kind != KindExec || e.Asker.Kind != "heartbeat" && e.Asker.Kind != "automation" {
		return
	}
	for _, raw := range urlsOf(e.What) {
		u, err := url.Parse(raw)
		if err != nil || u.Host == "" {
			continue
		}
		address := strings.ToLower(u.Host) + u.Path
		p := d.polls[address]
		if p == nil {
			if len(d.polls) == maxKnown {
				return
			}
			p = &poll{}
			d.polls[address] = p
		}
		if n := len(p.times); n > 0 && p.times[n-1] == e.Time {
			continue
		}
		if p.times = append(p.times, e.Time); len(p.times) > maxPolls {
			p.times = p.times[1:]
		}
		if mean, variation := evenness(p.times); len(p.times) >= minPolls && variation < maxVariation {
			d.emit("beacon", address, e, Detail{"Url", raw}, Detail{"Host", strings.ToLower(u.Hostname())}, Detail{"Count", number(len(p.times))},
				Detail{"Seconds", number(int(mean / 1000))})
		}
	}
}

// evenness returns the mean of the intervals between times, in milliseconds, and their coefficient of variation.
func evenness(times []int64) (mean, variation float64) {
	n := float64(len(times) - 1)
	if n < 1 {
		return 0, math.Inf(1)
	}
	mean = float64(times[len(times)-1]-times[0]) / n
	if mean <= 0 {
		return 0, math.Inf(1)
	}
	sum := 0.0
	for i := 1; i < len(times); i++ {
		off := float64(times[i]-times[i-1]) - mean
		sum += off * off
	}
	return mean, math.Sqrt(sum/n) / mean
}

// A loop is when one and the same call was made.
type loop struct{ times []int64 }

var loopSeed = maphash.MakeSeed()

// runaway notices the same call again and again, and agents that start others without end.
func (d *derivers) runaway(e *Event) {
	limit, key := loopCalls, e.Session+"\x00"+e.Tool+"\x00"+e.What
	switch {
	case e.Tool == "" || e.CallID == "" || e.Kind == KindResult || e.Tool == "process":
		return
	case e.Kind == KindSpawn:
		limit, key = spawnCalls, e.Agent+"\x00spawn"
	}
	h := maphash.String(loopSeed, key)
	l := d.loops[h]
	if l == nil {
		if len(d.loops) == maxKnown {
			return
		}
		l = &loop{}
		d.loops[h] = l
	}
	for len(l.times) > 0 && l.times[0] < e.Time-loopWindow {
		l.times = l.times[1:]
	}
	if l.times = append(l.times, e.Time); len(l.times) < limit {
		return
	}
	pattern := "runaway-loop"
	if e.Kind == KindSpawn {
		pattern = "spawn-storm"
	}
	d.emit(pattern, key, e, Detail{"Count", number(len(l.times))}, Detail{"Minutes", number(int((e.Time - l.times[0]) / 60_000))})
	l.times = l.times[1:]
}
