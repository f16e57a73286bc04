package collect

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3"
)

// snapshotBytes is how much state the benchmark takes snapshots of; OPENCLAW_IR_BENCH_MB overrides it.
func snapshotBytes() int64 {
	if mb, err := strconv.Atoi(os.Getenv("OPENCLAW_IR_BENCH_MB")); err == nil && mb > 0 {
		return int64(mb) << 20
	}
	return 1 << 30
}

// writeState fills a state directory: transcripts for four fifths, a database for the rest.
func writeState(b *testing.B, dir string, total int64) {
	b.Helper()
	writeCorpus(b, dir, total*4/5)
	db := filepath.Join(dir, "state/openclaw.sqlite")
	if err := os.MkdirAll(filepath.Dir(db), 0o700); err != nil {
		b.Fatal(err)
	}
	conn, err := sqlite3.Open("file:" + db)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	rows := total / 5 / 3000
	err = conn.Exec(fmt.Sprintf(`PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; CREATE TABLE t (id INTEGER PRIMARY KEY, v BLOB);
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < %d) INSERT INTO t SELECT i, randomblob(2900) FROM n;
		PRAGMA wal_checkpoint(TRUNCATE)`, rows))
	if err != nil {
		b.Fatal(err)
	}
}

// changeState changes a hundredth: of the transcripts by adding to some, of the database by rewriting rows. It returns how many bytes.
func changeState(b *testing.B, dir string, total int64) (changed int64) {
	b.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "agents/main/sessions/*.jsonl"))
	if err != nil || len(files) == 0 {
		b.Fatal("no transcripts", err)
	}
	r := rand.New(rand.NewPCG(9, 9))
	each := total / 100 * 4 / 5 / int64(max(1, len(files)/20))
	for i := 0; i < len(files); i += 20 {
		f, err := os.OpenFile(files[i], os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			b.Fatal(err)
		}
		n, err := f.WriteString(noise(r.Uint64(), int(each)))
		if err != nil {
			b.Fatal(err)
		}
		changed += int64(n)
		f.Close()
	}
	conn, err := sqlite3.Open("file:" + filepath.Join(dir, "state/openclaw.sqlite"))
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	rows := total / 5 / 3000
	if err := conn.Exec(fmt.Sprintf("UPDATE t SET v = randomblob(2900) WHERE id > %d; PRAGMA wal_checkpoint(TRUNCATE)", rows*99/100)); err != nil {
		b.Fatal(err)
	}
	return changed + rows/100*3000
}

// BenchmarkSnapshot takes a full snapshot, an idle one and one of 1 % change, and, where restic is installed, has it back the same state
// up at the same moments. Times in seconds, sizes in bytes; "change-ratio" is what the snapshot of the change takes of what changed.
func BenchmarkSnapshot(b *testing.B) {
	total := snapshotBytes()
	for b.Loop() {
		l := newLab(b, nil)
		dir := l.dir + state
		writeState(b, dir, total)
		time.Sleep(100 * time.Millisecond)
		repo := newRestic(b)
		measure := func(name string) *Snapshot {
			begin := time.Now()
			s := l.take(SnapshotOptions{})
			b.ReportMetric(time.Since(begin).Seconds(), name+"-s")
			b.ReportMetric(float64(s.Summary.Size), name+"-B")
			if repo != "" {
				seconds, size := backUp(b, repo, dir)
				b.ReportMetric(seconds, name+"-restic-s")
				b.ReportMetric(float64(size), name+"-restic-B")
			}
			return s
		}
		measure("full")
		if idle := measure("idle"); idle.Summary.Size > 100_000 {
			b.Errorf("an idle snapshot takes %d bytes", idle.Summary.Size)
		}
		changed := changeState(b, dir, total)
		s := measure("change")
		b.ReportMetric(float64(s.Summary.Bytes)/float64(changed), "change-ratio")
	}
}

// newRestic makes a repository, "" where there is no restic.
func newRestic(b *testing.B) string {
	b.Helper()
	if _, err := exec.LookPath("restic"); err != nil {
		return ""
	}
	repo := filepath.Join(b.TempDir(), "repo")
	restic(b, repo, "init")
	return repo
}

func restic(b *testing.B, repo string, args ...string) {
	b.Helper()
	cmd := exec.Command("restic", append([]string{"-q", "-r", repo, "--no-cache"}, args...)...)
	cmd.Env = append(os.Environ(), "RESTIC_PASSWORD=bench")
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("restic: %v\n%s", err, out)
	}
}

// backUp measures one backup: seconds, and by how many bytes the repository grew.
func backUp(b *testing.B, repo, dir string) (float64, int64) {
	b.Helper()
	before := diskUsage(b, repo)
	begin := time.Now()
	restic(b, repo, "backup", dir)
	return time.Since(begin).Seconds(), diskUsage(b, repo) - before
}

func diskUsage(b *testing.B, dir string) (total int64) {
	b.Helper()
	err := filepath.Walk(dir, func(_ string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() {
			total += info.Size()
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return total
}
