package collect

import (
	"os"
	"strconv"
)

// openedPath says where an open file lies now, "" if that cannot be told.
func openedPath(f *os.File) string {
	conn, err := f.SyscallConn()
	if err != nil {
		return ""
	}
	var at string
	_ = conn.Control(func(fd uintptr) { at, _ = os.Readlink("/proc/self/fd/" + strconv.Itoa(int(fd))) })
	return at
}
