//go:build !linux

package host

import "time"

// ReadClock knows the time alone here.
func ReadClock() Clock {
	return Clock{Record: "clock", Now: time.Now().UTC(), Err: "not known on this system"}
}

// Running is not known here: it is zero.
func Running() time.Duration { return 0 }
