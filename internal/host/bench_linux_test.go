package host

import (
	"os/exec"
	"testing"
)

// BenchmarkProcesses reads the process table with every environment, which freezing waits for, beside ps doing the same.
func BenchmarkProcesses(b *testing.B) {
	r, err := OpenRoot("/")
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	b.Run("openclaw-ir", func(b *testing.B) {
		n := 0
		for b.Loop() {
			t, err := Processes(b.Context(), r)
			if err != nil {
				b.Fatal(err)
			}
			n = len(t.Processes)
		}
		b.ReportMetric(float64(n), "processes")
	})
	b.Run("ps", func(b *testing.B) {
		for b.Loop() {
			if err := exec.Command("ps", "axeww", "-o", "pid,ppid,lstart,cgroup,args").Run(); err != nil {
				b.Skip(err)
			}
		}
	})
}
