package host

import (
	"time"

	"golang.org/x/sys/unix"
)

func readClock() clockRow {
	var tx unix.Timex // no modes: only reads
	row := clockRow{Record: "clock", Now: time.Now().UTC()}
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
