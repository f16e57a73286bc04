//go:build !linux

package host

import (
	"errors"
	"fmt"
	"os"
)

// As runs do with our own rights, if they are the user's: this system has no way to take on another's for files alone.
func As(owner Owner, do func() error) error {
	if int(owner.UID) != os.Geteuid() {
		return fmt.Errorf("acting as user %d: %w on this system; run it as that user", owner.UID, errors.ErrUnsupported)
	}
	return do()
}
