package collect

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/clawbook/openclaw-ir/internal/casefile"
)

var errKilled = errors.New("killed")

// A faultyDisk fails at one of the things that a snapshot does to the disk: a killed process does nothing any more, on a full disk
// nothing is added any more. A write that fails has written a part.
type faultyDisk struct {
	disk
	at   int // which, from 0
	kill bool
	n    int
	met  bool
}

func (d *faultyDisk) step(adds bool) error {
	if d.met && d.kill {
		return errKilled
	}
	if adds && !d.kill && d.n >= d.at {
		d.met = true
		return syscall.ENOSPC
	}
	if d.kill && d.n >= d.at {
		d.met = true
		return errKilled
	}
	d.n++
	return nil
}

func (d *faultyDisk) create(name string) (diskFile, error) {
	if err := d.step(true); err != nil {
		return nil, err
	}
	f, err := d.disk.create(name)
	return &faultyFile{f, d}, err
}

func (d *faultyDisk) write(name string, data []byte) error {
	if err := d.step(true); err != nil {
		return err
	}
	return d.disk.write(name, data)
}

func (d *faultyDisk) rename(from, to string) error {
	if err := d.step(true); err != nil { // a directory can be full too
		return err
	}
	return d.disk.rename(from, to)
}

func (d *faultyDisk) remove(name string) error {
	if err := d.step(false); err != nil {
		return err
	}
	return d.disk.remove(name)
}

type faultyFile struct {
	diskFile
	d *faultyDisk
}

func (f *faultyFile) Write(p []byte) (int, error) {
	if err := f.d.step(true); err != nil {
		n, _ := f.diskFile.Write(p[:len(p)/2])
		return n, err
	}
	return f.diskFile.Write(p)
}

func (f *faultyFile) Sync() error {
	if err := f.d.step(true); err != nil {
		return err
	}
	return f.diskFile.Sync()
}

// TestSnapshotFaults cuts a snapshot at everything that it does to the disk. Each time the chain verifies, and the next snapshot
// succeeds and holds everything.
func TestSnapshotFaults(t *testing.T) {
	for name, kill := range map[string]bool{"killed": true, "disk full": false} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, map[string]string{state + "/agents/main/sessions/a.jsonl": noise(1, 200<<10)})
			l.take(SnapshotOptions{})
			for at := 0; ; at++ {
				l.add(state+"/agents/main/sessions/a.jsonl", fmt.Sprint("line ", at, "\n"))
				d := &faultyDisk{disk: caseDisk{l.cs}, at: at, kill: kill}
				_, err := l.try(SnapshotOptions{disk: d})
				if !d.met {
					if err != nil || at < 8 {
						t.Errorf("without a fault, after %d steps: %v", at, err)
					}
					break
				}
				if err == nil {
					t.Errorf("cut at step %d, and nothing said so", at)
				}
				l.valid()
				l.take(SnapshotOptions{})
			}
			l.take(SnapshotOptions{})
			l.valid()
			l.restored()
			l.everyState()
			if left := leftovers(t, l.cs); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

// leftovers are files that mean nothing.
func leftovers(t *testing.T, cs *casefile.Case) (left []string) {
	t.Helper()
	for _, dir := range []string{"", casefile.BundlesDir} {
		files, err := os.ReadDir(cs.Path(dir))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if name := f.Name(); name[0] == '.' || len(name) > 8 && name[len(name)-8:] == partialSuffix {
				left = append(left, name)
			}
		}
	}
	return left
}

// TestSnapshotIndexBehind says that an index that does not fit the last seal is not used.
func TestSnapshotIndexBehind(t *testing.T) {
	l := newLab(t, nil)
	l.take(SnapshotOptions{})
	old, err := os.ReadFile(l.cs.Path(indexName))
	if err != nil {
		t.Fatal(err)
	}
	l.put(state+"/workspace/new", "new")
	l.take(SnapshotOptions{})
	for name, text := range map[string][]byte{"behind": old, "damaged": append([]byte("x"), old...), "cut": old[:len(old)/2], "empty": nil} {
		writeFile(t, l.cs.Path(indexName), text)
		if s := l.take(SnapshotOptions{}); !s.Link.Full || len(s.Outcome.Alarms) > 0 {
			t.Errorf("%s: link %+v, alarms %+v", name, s.Link, s.Outcome.Alarms)
		}
		l.restored()
	}
	os.Remove(l.cs.Path(indexName))
	if s := l.take(SnapshotOptions{}); !s.Link.Full {
		t.Error("without an index the link is not full")
	}
	l.valid()
	if err := os.Remove(l.bundles() + "/" + l.last.Bundle + SealSuffix); err != nil {
		t.Fatal(err)
	}
	n := l.last.Link.Number
	s := l.take(SnapshotOptions{})
	if len(s.Outcome.Alarms) != 1 || s.Outcome.Alarms[0].Kind != "seal" || s.Link.Number != n+1 || !s.Link.Full {
		t.Errorf("the last seal was taken away: %+v, %+v", s.Link, s.Outcome.Alarms)
	}
}

// TestTwoSnapshots takes two at once: the second waits, or is refused.
func TestTwoSnapshots(t *testing.T) {
	l := newLab(t, nil)
	l.take(SnapshotOptions{})
	unlock, err := l.cs.Lock(snapshotLock, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.try(SnapshotOptions{}); !errors.Is(err, ErrBusy) {
		t.Errorf("while another is taken: %v", err)
	}
	unlock()
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			if _, err := l.try(SnapshotOptions{Wait: time.Minute}); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	l.valid()
	if n := len(l.chain().Seals()); n != 3 {
		t.Errorf("%d links, want 3", n)
	}
}

// TestSnapshotChild is no test: TestSnapshotKilled runs it in a process of its own.
func TestSnapshotChild(t *testing.T) {
	dir := os.Getenv("OPENCLAW_IR_SNAP_CASES")
	if dir == "" {
		t.Skip("run by TestSnapshotKilled")
	}
	cs, err := casefile.Open(dir, casefile.SnapshotsCase, false)
	if err != nil {
		t.Fatal(err)
	}
	defer cs.Close()
	id, err := age.ParseX25519Identity(os.Getenv("OPENCLAW_IR_SNAP_KEY"))
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{t: t, dir: os.Getenv("OPENCLAW_IR_SNAP_HOST"), cs: cs, id: id}
	l.take(SnapshotOptions{})
}

// TestSnapshotKilled kills a process that takes snapshots at random moments, OPENCLAW_IR_KILLS times. The chain verifies each time, and
// the next snapshot succeeds.
func TestSnapshotKilled(t *testing.T) {
	kills, err := strconv.Atoi(os.Getenv("OPENCLAW_IR_KILLS"))
	if err != nil {
		kills = 4
	}
	l := newLab(t, map[string]string{state + "/agents/main/sessions/a.jsonl": noise(1, 8<<20)})
	child := func() *exec.Cmd {
		cmd := exec.Command(os.Args[0], "-test.run=^TestSnapshotChild$")
		cmd.Env = append(os.Environ(), "OPENCLAW_IR_SNAP_CASES="+l.cs.Path(".."), "OPENCLAW_IR_SNAP_HOST="+l.dir, "OPENCLAW_IR_SNAP_KEY="+l.id.String())
		return cmd
	}
	begin := time.Now()
	if out, err := child().CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	long := time.Since(begin)
	r := rand.New(rand.NewPCG(5, 6))
	cut, tries := 0, 0
	for ; cut < kills && tries < 4*kills; tries++ {
		i := tries
		l.add(state+"/agents/main/sessions/a.jsonl", fmt.Sprint("line ", i, "\n"))
		if i%3 == 0 { // makes the next one full, which takes longer
			os.Remove(l.cs.Path(indexName))
		}
		cmd := child()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(time.Duration(r.Int64N(int64(long))), func() { _ = cmd.Process.Kill() })
		if cmd.Wait() != nil {
			cut++
		}
		timer.Stop()
		after := l.take(SnapshotOptions{})
		l.validFrom(after.Link.Number - 1)
	}
	l.valid()
	l.restored()
	t.Logf("%d of %d were killed before they ended", cut, tries)
}
