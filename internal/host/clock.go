package host

import "time"

// Clock says what this machine's clock is worth. ReadClock reads it, of the running machine.
type Clock struct {
	Record string    `json:"record"` // "clock"
	Now    time.Time `json:"now"`
	// Synchronized, Offset and MaxError are what the kernel knows from the time service (adjtimex(2)).
	Synchronized bool          `json:"synchronized"`
	Offset       time.Duration `json:"offset_ns"`
	MaxError     time.Duration `json:"max_error_ns"`
	Timezone     Text          `json:"timezone"`
	Err          string        `json:"error,omitempty"`
}
