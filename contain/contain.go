package contain

import (
	"github.com/clawbook/openclaw-ir/internal/host"
)

// Machine is the host that is contained: its files and the programs that may run on it.
type Machine struct {
	Root *host.Root
	Run  host.Runner
	UID  int // our own effective user: what others own can be changed by root only
}

// A Check is something that was looked at after a change.
type Check struct {
	What   string `json:"what"`             // such as "18789/tcp from outside"
	OK     bool   `json:"ok"`               // it is as planned
	Detail string `json:"detail,omitempty"` // what was seen
	Hint   string `json:"hint,omitempty"`   // what to type if it is not
}
