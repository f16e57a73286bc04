package console

import (
	"fmt"
	"strconv"
	"time"
)

// Size returns a number of bytes for people, in SI units: 999 B, 1.2 MB.
func Size(n int64) string {
	if n > -1000 && n < 1000 {
		return strconv.FormatInt(n, 10) + " B"
	}
	f := float64(n) / 1000
	units := []string{"kB", "MB", "GB", "TB", "PB", "EB"}
	// From 999.95 on, one decimal would round to 1000.0 of the smaller unit.
	for len(units) > 1 && (f >= 999.95 || f <= -999.95) {
		f /= 1000
		units = units[1:]
	}
	return fmt.Sprintf("%.1f %s", f, units[0])
}

// Duration returns a time span for people: 38 ms, 1.2 s, 3 m 04 s, 2 h 05 m,
// 4 d 03 h.
func Duration(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < 0:
		return "-" + Duration(max(-d, 0))
	case d > 0 && d < time.Millisecond:
		return "<1 ms"
	case d.Round(time.Millisecond) < time.Second:
		return fmt.Sprintf("%d ms", d.Round(time.Millisecond).Milliseconds())
	case d.Round(100*time.Millisecond) < time.Minute:
		return fmt.Sprintf("%.1f s", d.Round(100*time.Millisecond).Seconds())
	case d.Round(time.Second) < time.Hour:
		s := int64(d.Round(time.Second) / time.Second)
		return fmt.Sprintf("%d m %02d s", s/60, s%60)
	case d.Round(time.Minute) < day:
		m := int64(d.Round(time.Minute) / time.Minute)
		return fmt.Sprintf("%d h %02d m", m/60, m%60)
	default:
		h := int64(d.Round(time.Hour) / time.Hour)
		return fmt.Sprintf("%d d %02d h", h/24, h%24)
	}
}
