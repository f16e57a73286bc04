package host

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// FreeDisk returns how many bytes our own account may still write to the file system that holds path.
func FreeDisk(path string) (int64, error) {
	var st unix.Statfs_t
	if err := retry(func() error { return unix.Statfs(path, &st) }); err != nil {
		return 0, fmt.Errorf("asking for free disk: %q: %w", path, err)
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}

// FreeMemory returns how many bytes of memory a new program can have, as the kernel estimates it (MemAvailable of
// proc_meminfo(5)). Other systems than Linux do not tell.
func FreeMemory(r *Root) (int64, error) {
	text, _, err := readCapped(r, "proc/meminfo", 64<<10)
	if err != nil {
		return 0, fmt.Errorf("asking for free memory: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		rest, ok := strings.CutPrefix(line, "MemAvailable:")
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
		if err != nil || n < 0 || n > 1<<50 {
			return 0, fmt.Errorf("asking for free memory: %q is no number", rest)
		}
		return n << 10, nil
	}
	return 0, errors.New("asking for free memory: the kernel does not tell")
}
