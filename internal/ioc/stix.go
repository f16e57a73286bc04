package ioc

import (
	"encoding/json"
	"fmt"
	"time"
)

// A stixObject is what of a STIX 2.1 object matters here (section 4.7, Indicator).
type stixObject struct {
	Type        string    `json:"type"`
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	Pattern     string    `json:"pattern"`
	PatternType string    `json:"pattern_type"`
	ValidUntil  time.Time `json:"valid_until"`
	Revoked     bool      `json:"revoked"`
}

// readSTIX reads the indicators of a bundle. One that is revoked is left out. One that has expired is looked for, with the
// time from which it was no longer said to be bad: evidence is old.
func readSTIX(objects []json.RawMessage) ([]Indicator, []Problem, error) {
	var c collector
	observed := 0
	for n, raw := range objects {
		var o stixObject
		where := fmt.Sprintf("object %d", n+1)
		if err := json.Unmarshal(raw, &o); err != nil {
			c.problem(where, "", fmt.Sprintf("it cannot be read: %v", err))
			continue
		}
		if o.ID != "" {
			where = o.ID
		}
		switch {
		case observables[o.Type]:
			observed++
		case o.Type != "indicator":
		case o.Revoked:
			c.minor(where, o.Pattern, "it was revoked")
		case o.PatternType != "" && o.PatternType != "stix":
			c.problem(where, o.Pattern, fmt.Sprintf("patterns of type %q are not supported", o.PatternType))
		default:
			c.pattern(where, &o)
		}
	}
	if observed > 0 {
		c.minor("", "", fmt.Sprintf("%d objects are observations, not indicators", observed))
	}
	return c.end()
}

// observables are types of objects that say what was seen somewhere, bad or not.
var observables = map[string]bool{
	"ipv4-addr": true, "ipv6-addr": true, "domain-name": true, "url": true, "file": true, "email-addr": true, "observed-data": true,
}

func (c *collector) pattern(where string, o *stixObject) {
	terms, err := parsePattern(o.Pattern)
	if err != nil {
		c.problem(where, o.Pattern, err.Error())
	}
	for _, t := range terms {
		c.add(where, t.typ, t.value, func(ind *Indicator) {
			ind.Name, ind.Until = o.Name, o.ValidUntil.UTC()
			if t.port > 0 && ind.Port == 0 {
				ind.Port = t.port
			}
		})
	}
}
