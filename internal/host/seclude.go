package host

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Seclude keeps the memory of this process, which holds secrets in clear, out of core files, and on Linux out of reach of the other
// processes of its user: the agent often runs as that user. The programs it starts leave no core file either. Root reads it all the same.
func Seclude() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("forbidding core files: %w", err)
	}
	if err := undump(); err != nil {
		return fmt.Errorf("keeping this program's memory from others: %w", err)
	}
	return nil
}
