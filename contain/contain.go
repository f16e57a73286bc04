package contain

import (
	"context"

	"github.com/clawbook/openclaw-ir/internal/host"
)

// Machine is the host that is contained: its files and the programs that may run on it.
type Machine struct {
	Root *host.Root
	Run  host.Runner
	UID  int  // our own effective user: what others own can be changed by root only
	Mac  bool // macOS: ps and launchctl are asked where Linux has /proc and systemd
}

// Processes reads the process table.
func (m Machine) Processes(ctx context.Context) (host.ProcessTable, error) {
	if m.Mac {
		return host.ProcessesOfMac(ctx, m.Root, m.Run)
	}
	return host.Processes(ctx, m.Root)
}

// alive reads the start and state of a process, as [host.Alive] does.
func (m Machine) alive(pid int) (start uint64, state string, err error) {
	if m.Mac {
		return host.AliveOfMac(context.Background(), m.Run, pid)
	}
	return host.Alive(m.Root, pid)
}

// A Check is something that was looked at after a change.
type Check struct {
	What   string `json:"what"`             // such as "18789/tcp from outside"
	OK     bool   `json:"ok"`               // it is as planned
	Detail string `json:"detail,omitempty"` // what was seen
	Hint   string `json:"hint,omitempty"`   // what to type if it is not
}
