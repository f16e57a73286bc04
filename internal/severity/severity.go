// Package severity holds the one scale on which everything that was found is ranked: Sigma's levels.
package severity

import (
	"encoding/json"
	"fmt"
	"strings"
)

// A Level says how bad a finding is. Levels compare with < and >.
type Level int

// The levels, as Sigma names them; Info is Sigma's "informational" and OpenClaw's "info".
const (
	Info Level = iota
	Low
	Medium
	High
	Critical
)

var names = [...]string{"info", "low", "medium", "high", "critical"}

// Names lists the levels as users type them, lowest first.
func Names() []string { return names[:] }

// Parse reads a level's name, Sigma's "informational" and OpenClaw's "warn" included.
func Parse(name string) (Level, error) {
	switch name {
	case "informational":
		return Info, nil
	case "warn":
		return Medium, nil
	}
	for i, n := range names {
		if n == name {
			return Level(i), nil
		}
	}
	return 0, fmt.Errorf("no such level: %q; levels are %s", name, strings.Join(names[:], ", "))
}

// String returns the level's name.
func (l Level) String() string { return names[min(max(l, Info), Critical)] }

// Shift moves a level by steps and stays within the scale.
func (l Level) Shift(steps int) Level { return min(max(l+Level(steps), Info), Critical) }

// MarshalJSON writes the level's name.
func (l Level) MarshalJSON() ([]byte, error) { return json.Marshal(l.String()) }

// UnmarshalJSON reads a level's name.
func (l *Level) UnmarshalJSON(data []byte) error {
	var name string
	if err := json.Unmarshal(data, &name); err != nil {
		return err
	}
	level, err := Parse(name)
	*l = level
	return err
}
