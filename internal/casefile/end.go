package casefile

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// logEnd is where a log stands: the number and digest of its last line, and, if
// a crash damaged the lines at its end, these and the whole line before them.
type logEnd struct {
	size int64
	seq  int64
	prev string
	torn []Digest
	cut  bool // the last line has no newline yet
}

// findEnd reads back from the end of the log to the last whole line.
func findEnd(f *os.File) (logEnd, error) {
	info, err := f.Stat()
	if err != nil {
		return logEnd{}, err
	}
	size := info.Size()
	for window := int64(64 << 10); ; window *= 8 {
		window = min(window, size, tailLimit)
		data := make([]byte, window)
		if _, err := f.ReadAt(data, size-window); err != nil && err != io.EOF {
			return logEnd{}, err
		}
		end, found, err := parseEnd(data, window == size)
		if found || err != nil {
			end.size = size
			return end, err
		}
		if window == tailLimit {
			return logEnd{}, fmt.Errorf("%w: no whole line in the last %d bytes", ErrFull, window)
		}
	}
}

// parseEnd finds the end in the last bytes of a log. If they are not the whole
// log, what comes before the first newline is part of a line and is left out.
func parseEnd(data []byte, whole bool) (end logEnd, found bool, err error) {
	end.prev = genesis
	end.cut = len(data) > 0 && data[len(data)-1] != '\n'
	lines := bytes.SplitAfter(data, []byte("\n"))
	if last := len(lines) - 1; len(lines[last]) == 0 {
		lines = lines[:last]
	}
	if !whole && len(lines) > 0 {
		lines = lines[1:]
	}
	i := len(lines) // lines[i:] are damaged
	for ; i > 0; i-- {
		body, newline := bytes.CutSuffix(lines[i-1], []byte("\n"))
		if e, err := decode(body); newline && err == nil {
			end.seq, end.prev, found = e.Seq, digest(lines[i-1]), true
			break
		}
		if len(lines)-i > runLimit {
			return end, false, fmt.Errorf("%w: the last %d lines are damaged", ErrFull, runLimit)
		}
	}
	if !found && !whole {
		return end, false, nil
	}
	if i < len(lines) && end.seq > 0 {
		// A damaged line's prev may be lost: vouch for the whole line before it.
		end.torn = append(end.torn, Digest{tornName(end.seq), end.prev})
	}
	for _, line := range lines[i:] {
		if line[len(line)-1] != '\n' {
			line = append(bytes.Clone(line), '\n') // as it is about to be
		}
		end.seq++
		end.prev = digest(line)
		end.torn = append(end.torn, Digest{tornName(end.seq), end.prev})
	}
	return end, true, nil
}

func tornName(line int64) string { return "line " + strconv.FormatInt(line, 10) }

func tornLine(name string) int64 {
	digits, _ := strings.CutPrefix(name, "line ")
	n, _ := strconv.ParseInt(digits, 10, 64)
	return n
}
