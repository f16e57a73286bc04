//go:build linux

package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
)

func TestZZBoot(t *testing.T) {
	needHost(t)
	tool := buildTool(t)
	inst := install(t, newest)
	for i := range 6 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			t.Cleanup(func() {
				if t.Failed() {
					out, _ := exec.Command("bash", "-c", fmt.Sprintf("ps axo pid,ppid,stat,wchan:30,args | grep -v '\\[' | tail -70; cat /proc/*/stack | head -0; for p in $(pgrep -f -- --machine=ir); do echo $p; cat /proc/$p/task/$p/children; done")).CombinedOutput()
					os.WriteFile("/tmp/irhost/stuck", out, 0o600)
				}
			})
			standInHost(t, tool, inst)
		})
	}
}
