package host

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
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

// BenchmarkLookup opens a transcript where it usually lies: as a Root does, by a walk from component to component, and as anybody would.
func BenchmarkLookup(b *testing.B) {
	const name = "home/claw/.openclaw/agents/main/sessions/x.jsonl"
	dir := b.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
		b.Fatal(err)
	}
	r := openRoot(b, dir)
	b.Run("Root", func(b *testing.B) {
		for b.Loop() {
			f, err := r.Open(name)
			if err != nil {
				b.Fatal(err)
			}
			f.Close()
		}
	})
	b.Run("walk", func(b *testing.B) {
		for b.Loop() {
			p, err := r.findSeeing("open", name, true, func(string, *unix.Stat_t) error { return nil })
			if err != nil {
				b.Fatal(err)
			}
			fd, err := p.open()
			if err != nil {
				b.Fatal(err)
			}
			unix.Close(fd)
			p.close()
		}
	})
	b.Run("os", func(b *testing.B) {
		for b.Loop() {
			f, err := os.Open(filepath.Join(r.Dir(), name))
			if err != nil {
				b.Fatal(err)
			}
			f.Close()
		}
	})
}
