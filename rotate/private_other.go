//go:build !linux

package rotate

import (
	"errors"
	"fmt"
	"syscall"
)

func onThread(do func()) { do() }

func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

func (p program) room() (room, error) {
	return room{}, fmt.Errorf("this system has no namespaces: %w", errors.ErrUnsupported)
}
