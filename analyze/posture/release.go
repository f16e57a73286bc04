package posture

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A release is a version of OpenClaw, such as 2026.9.6, 2026.2.19-2 (which repeats 2026.2.19 and comes after it) or
// 2026.7.2-beta.1 (which comes before 2026.7.2).
type release struct {
	numbers [3]int
	stage   int // below 0 for what comes before the release, above for what repeats it
	step    int
}

// maxRelease bounds a version's text, in bytes.
const maxRelease = 64

// parseRelease reads a version, with or without space around it and a leading v.
func parseRelease(s string) (r release, ok bool) {
	s = strings.TrimPrefix(strings.TrimSpace(s), "v")
	s, _, _ = strings.Cut(s, "+")
	if len(s) > maxRelease {
		return r, false
	}
	numbers, suffix, more := strings.Cut(s, "-")
	parts := strings.Split(numbers, ".")
	if len(parts) != 3 {
		return r, false
	}
	for i, part := range parts {
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 || part[0] == '+' {
			return r, false
		}
		r.numbers[i] = n
	}
	if !more {
		return r, true
	}
	name, step, _ := strings.Cut(suffix, ".")
	r.step, _ = strconv.Atoi(step)
	if n, err := strconv.Atoi(name); err == nil {
		r.stage, r.step = 1, n
		return r, true
	}
	stages := []string{"dev", "alpha", "beta", "rc"}
	r.stage = slices.Index(stages, name) - len(stages)
	return r, name != ""
}

func (r release) compare(s release) int {
	return cmp.Or(slices.Compare(r.numbers[:], s.numbers[:]), cmp.Compare(r.stage, s.stage), cmp.Compare(r.step, s.step))
}

// A bound is one condition of a range.
type bound struct {
	op string
	release
}

// A releaseRange is the versions that meet all its bounds.
type releaseRange []bound

// parseRange reads "< 2026.1.29", ">= 2026.2.25, <= 2026.5.26" or "= 2026.3.1".
func parseRange(s string) (rng releaseRange, err error) {
	for part := range strings.SplitSeq(s, ",") {
		op, version, ok := strings.Cut(strings.TrimSpace(part), " ")
		r, valid := parseRelease(version)
		if !ok || !valid || !slices.Contains([]string{"<", "<=", ">", ">=", "="}, op) {
			return nil, fmt.Errorf("not a range of versions: %q", s)
		}
		rng = append(rng, bound{op, r})
	}
	return rng, nil
}

func (rng releaseRange) holds(r release) bool {
	for _, b := range rng {
		c := r.compare(b.release)
		ok := map[string]bool{"<": c < 0, "<=": c <= 0, ">": c > 0, ">=": c >= 0, "=": c == 0}[b.op]
		if !ok {
			return false
		}
	}
	return len(rng) > 0
}

// fixed is the first version beyond the range, as far as the range says.
func (rng releaseRange) fixed() string {
	for _, b := range rng {
		if b.op == "<" {
			return fmt.Sprintf("%d.%d.%d", b.numbers[0], b.numbers[1], b.numbers[2])
		}
		if b.op == "<=" {
			return fmt.Sprintf("a version after %d.%d.%d", b.numbers[0], b.numbers[1], b.numbers[2])
		}
	}
	return "the newest version"
}
