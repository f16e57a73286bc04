package contain

import (
	"fmt"
	"strings"
	"testing"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/google/go-cmp/cmp"
)

// TestOthersPorts: a configuration that calls another service's port the gateway's does not have it closed; its own, and one that nobody
// serves, are.
func TestOthersPorts(t *testing.T) {
	p := newProcTree(t)
	p.process(1, 0, 0, "systemd", "")
	p.process(10, 1, 0, "nginx", "")
	p.process(11, 1, 1000, "x", "")
	for port, pids := range map[int][]int{443: {10}, 19000: {10, 11}, 19002: {1, 10}, 18789: {10}} {
		p.socket("tcp", fmt.Sprintf("[::]:%d", port), "[::]:0", listen, 0, pids...)
	}
	in := func(port int) *openclaw.Installation {
		return &openclaw.Installation{StateDir: "/srv/state", Port: port}
	}
	installs := []*openclaw.Installation{in(443), in(19000), in(20000)}
	plan := &Plan{Ports: gatewayPorts(installs, nil), Users: []uint32{1000}}
	gaps := plan.leaveOthersPorts(t.Context(), p.machine(nil))
	if diff := cmp.Diff([]int{445, 18789, 18791, 19000, 19002, 20000, 20002}, plan.Ports); diff != "" {
		t.Errorf("ports (-want +got):\n%s", diff)
	}
	if len(gaps) != 1 || !strings.Contains(gaps[0], `443/tcp`) || !strings.Contains(gaps[0], "nginx") {
		t.Errorf("gaps %q", gaps)
	}
}
