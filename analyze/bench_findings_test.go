package analyze

import (
	"context"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/clawbook/openclaw-ir/analyze/rules"
	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/ioc"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

// BenchmarkFindings matches 1 GB of JSONL transcripts with the whole catalogue and the built-in indicators, and reports how
// much of it that is in a second of time and of processor, and the memory it took at most.
func BenchmarkFindings(b *testing.B) {
	root := b.TempDir()
	corpus(b, filepath.Join(root, "home", "claw"), benchSize(b))
	fsys, err := host.OpenRoot(root)
	if err != nil {
		b.Fatal(err)
	}
	o := FindingsOptions{Find: openclaw.FindOptions{UID: -1}, Now: time.Now()}
	if o.Rules, err = rules.Load(); err != nil {
		b.Fatal(err)
	}
	if o.Indicators, err = ioc.Builtin(); err != nil {
		b.Fatal(err)
	}
	var wall, cpu time.Duration
	var bytes int64
	for b.Loop() {
		began, used := time.Now(), processor(b)
		r, err := Findings(context.Background(), fsys, o)
		if err != nil {
			b.Fatal(err)
		}
		wall, cpu, bytes = wall+time.Since(began), cpu+processor(b)-used, bytes+r.Coverage.Bytes
	}
	mb := float64(bytes) / (1 << 20)
	b.ReportMetric(mb/wall.Seconds(), "MB/s")
	b.ReportMetric(mb/cpu.Seconds(), "MB/cpu-s")
	b.ReportMetric(float64(rusage(b).Maxrss)/1024, "MB-rss")
}

func rusage(b *testing.B) (u syscall.Rusage) {
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u
}

// processor is the time this process has had of all processors.
func processor(b *testing.B) time.Duration {
	u := rusage(b)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
