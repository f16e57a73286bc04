package host

import (
	"time"

	"golang.org/x/sys/unix"
)

// ReadClock asks the kernel (adjtimex(2)), which any user may.
func ReadClock() Clock {
	var tx unix.Timex // no modes: only reads
	row := Clock{Record: "clock", Now: time.Now().UTC()}
	if _, err := unix.Adjtimex(&tx); err != nil {
		row.Err = err.Error()
		return row
	}
	unit := time.Microsecond
	if tx.Status&unix.STA_NANO != 0 {
		unit = time.Nanosecond
	}
	row.Synchronized = tx.Status&unix.STA_UNSYNC == 0
	row.Offset = time.Duration(tx.Offset) * unit
	row.MaxError = time.Duration(tx.Maxerror) * time.Microsecond
	return row
}

// Running is how long our own process has run, to the clock tick (10 ms) in which it began.
func Running() time.Duration {
	r, err := OpenRoot("/")
	if err != nil {
		return 0
	}
	defer r.Close()
	start, _, err := Alive(r, unix.Getpid())
	var now unix.Timespec
	if err != nil || unix.ClockGettime(unix.CLOCK_BOOTTIME, &now) != nil {
		return 0
	}
	return time.Duration(now.Nano()) - time.Duration(start)*(time.Second/100)
}
