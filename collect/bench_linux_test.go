package collect

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"
)

// benchBytes is how much evidence the benchmarks collect; OPENCLAW_IR_BENCH_MB overrides it.
func benchBytes() int64 {
	if mb, err := strconv.Atoi(os.Getenv("OPENCLAW_IR_BENCH_MB")); err == nil && mb > 0 {
		return int64(mb) << 20
	}
	return 300 << 20
}

// collectDir writes a bundle of all files of a directory.
func collectDir(dir, bundle, recipient string) error {
	out, err := os.Create(bundle)
	if err != nil {
		return err
	}
	defer out.Close()
	r, err := age.ParseX25519Recipient(recipient)
	if err != nil {
		return err
	}
	w, err := NewWriter(out, []age.Recipient{r}, testHeader)
	if err != nil {
		return err
	}
	defer w.Abort()
	err = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		m := Meta{Path: name, Source: "sessions", Mode: Mode(info.Mode().Perm()), Mtime: info.ModTime(), HostSize: info.Size()}
		_, err = w.AddFile(m, f, info.Size())
		return err
	})
	if err != nil {
		return err
	}
	_, err = w.Close(nil)
	return err
}

// TestCollectChild is no test: BenchmarkCollect runs it in a process of its own to measure that one's memory.
func TestCollectChild(t *testing.T) {
	dir := os.Getenv("OPENCLAW_IR_BENCH_DIR")
	if dir == "" {
		t.Skip("run by BenchmarkCollect")
	}
	// What the program is advised to do while it collects.
	debug.SetGCPercent(10)
	if err := collectDir(dir, os.Getenv("OPENCLAW_IR_BENCH_OUT"), os.Getenv("OPENCLAW_IR_BENCH_KEY")); err != nil {
		t.Fatal(err)
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, peak, _ := strings.Cut(string(status), "VmHWM:")
	fmt.Println("peak", strings.Fields(peak)[0])
}

// BenchmarkCollect compares us, hashing included, with tar, zstd and age in a pipe on the same files:
// "time-ratio", "cpu-ratio" and "size-ratio" are ours divided by theirs (on a busy machine trust the second), "RSS-MiB" is our peak.
func BenchmarkCollect(b *testing.B) {
	for _, tool := range []string{"tar", "zstd", "age"} {
		if _, err := exec.LookPath(tool); err != nil {
			b.Skip(err)
		}
	}
	dir, id := b.TempDir(), newKey(b)
	corpus := filepath.Join(dir, "evidence")
	writeCorpus(b, corpus, benchBytes())
	ours, theirs := filepath.Join(dir, "ours"), filepath.Join(dir, "theirs")
	best, cpu := [2]time.Duration{1 << 62, 1 << 62}, [2]time.Duration{1 << 62, 1 << 62}
	var rss int64
	run := func(i int, cmd *exec.Cmd) {
		begin := time.Now()
		out, err := cmd.CombinedOutput()
		if err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
		best[i] = min(best[i], time.Since(begin))
		cpu[i] = min(cpu[i], cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
		// The child says so itself: its ru_maxrss would begin with the size of this process.
		if _, peak, found := strings.Cut(string(out), "peak "); found {
			kib, err := strconv.ParseInt(strings.Fields(peak)[0], 10, 64)
			if err != nil {
				b.Fatal(err)
			}
			rss = max(rss, kib)
		}
	}
	for b.Loop() {
		child := exec.Command(os.Args[0], "-test.run=^TestCollectChild$")
		child.Env = append(os.Environ(), "OPENCLAW_IR_BENCH_DIR="+corpus, "OPENCLAW_IR_BENCH_OUT="+ours,
			"OPENCLAW_IR_BENCH_KEY="+id.Recipient().String())
		run(0, child)
		run(1, exec.Command("bash", "-o", "pipefail", "-ec",
			`tar c "$1" 2>/dev/null | zstd -q -3 -T2 | age -r "$2" > "$3"`, "-", corpus, id.Recipient().String(), theirs))
	}
	b.ReportMetric(best[0].Seconds()/best[1].Seconds(), "time-ratio")
	b.ReportMetric(cpu[0].Seconds()/cpu[1].Seconds(), "cpu-ratio")
	b.ReportMetric(float64(fileSize(b, ours))/float64(fileSize(b, theirs)), "size-ratio")
	b.ReportMetric(float64(rss)/1024, "RSS-MiB")
	b.ReportMetric(float64(benchBytes())/best[0].Seconds()/1e6, "MB/s-ours")
}

func fileSize(tb testing.TB, name string) int64 {
	tb.Helper()
	info, err := os.Stat(name)
	if err != nil {
		tb.Fatal(err)
	}
	return info.Size()
}

// countingReader counts what is read of a bundle.
type countingReader struct {
	io.ReaderAt
	n int64
}

func (c *countingReader) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.ReaderAt.ReadAt(p, off)
	c.n += int64(n)
	return n, err
}

// BenchmarkOneSession opens a bundle and reads one session of it. "read-%" is how much of the bundle that
// takes, "speed-up" how much faster it is than decrypting all.
func BenchmarkOneSession(b *testing.B) {
	dir, id := b.TempDir(), newKey(b)
	writeCorpus(b, filepath.Join(dir, "evidence"), benchBytes())
	bundle := filepath.Join(dir, "bundle")
	if err := collectDir(filepath.Join(dir, "evidence"), bundle, id.Recipient().String()); err != nil {
		b.Fatal(err)
	}
	f, err := os.Open(bundle)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	size := fileSize(b, bundle)
	counted := &countingReader{ReaderAt: f}
	var names []string
	for row := range mustOpen(b, f, size, id).Rows() {
		if row.Source == "sessions" && row.Size < 1<<20 {
			names = append(names, row.Path[1:])
		}
	}
	begin := time.Now()
	for m, err := range mustOpen(b, f, size, id).Members(context.Background()) {
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, m.Body); err != nil {
			b.Fatal(err)
		}
	}
	whole := time.Since(begin)
	i := 0
	for b.Loop() {
		if _, err := fs.ReadFile(mustOpen(b, counted, size, id).FS(), names[i*7919%len(names)]); err != nil {
			b.Fatal(err)
		}
		i++
	}
	b.ReportMetric(100*float64(counted.n)/float64(i)/float64(size), "read-%")
	b.ReportMetric(whole.Seconds()/(b.Elapsed().Seconds()/float64(i)), "speed-up")
}

func mustOpen(tb testing.TB, r io.ReaderAt, size int64, id age.Identity) *Bundle {
	tb.Helper()
	b, err := OpenBundle(r, size, id)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// BenchmarkFrameSize is where frameSize comes from: larger frames compress better and take more memory.
func BenchmarkFrameSize(b *testing.B) {
	dir := b.TempDir()
	writeCorpus(b, dir, 64<<20)
	for _, size := range []int{1 << 20, 2 << 20, 4 << 20, 8 << 20} {
		b.Run(fmt.Sprintf("%dMiB", size>>20), func(b *testing.B) {
			var in, out int64
			for b.Loop() {
				in, out = compressDir(b, dir, size)
			}
			b.SetBytes(in)
			b.ReportMetric(float64(in)/float64(out), "ratio")
		})
	}
}

func compressDir(b *testing.B, dir string, size int) (in, out int64) {
	b.Helper()
	var counted bytes.Buffer
	w, err := newFrameWriter(&counted, zstd.SpeedDefault, size)
	if err != nil {
		b.Fatal(err)
	}
	defer w.close()
	err = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		_, err = w.Write(content)
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := w.flush(); err != nil {
		b.Fatal(err)
	}
	return w.off, int64(counted.Len())
}
