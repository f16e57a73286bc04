package collect

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/clawbook/openclaw-ir/internal/casefile"
)

// TestRetain takes two full links with incremental ones between, and drops what the second full one makes superfluous.
func TestRetain(t *testing.T) {
	transcript := state + "/agents/main/sessions/s1.jsonl"
	l := newLab(t, map[string]string{transcript: "{\"n\":0}\n", state + "/openclaw.json": "{}"})
	var want []*Snapshot
	for n := range 7 {
		l.age()
		l.add(transcript, fmt.Sprintf("{\"n\":%d}\n", n))
		want = append(want, l.take(SnapshotOptions{Full: n == 0 || n == 4}))
	}
	owed := want[1].Bundle
	keep, _ := ParseKeep("1y")
	r, err := Retain(l.cs, keep, func(bundle string) bool { return bundle == owed }, 0)
	if err != nil || strings.Join(r.Removed, " ") != want[2].Bundle+" "+want[3].Bundle || r.Bytes != want[2].Summary.Size+want[3].Summary.Size {
		t.Fatalf("%+v, %v", r, err)
	}
	if again, err := Retain(l.cs, keep, func(bundle string) bool { return bundle == owed }, 0); err != nil || again.Removed != nil {
		t.Errorf("again: %+v, %v", again, err)
	}
	seals, _ := filepath.Glob(filepath.Join(l.bundles(), "*"+SealSuffix))
	bundles, _ := filepath.Glob(filepath.Join(l.bundles(), "*"+BundleSuffix))
	if len(seals) != 7 || len(bundles) != 5 {
		t.Errorf("%d seals and %d bundles are left", len(seals), len(bundles))
	}
	l.checkRecorded(r.Removed)
	c := l.chain()
	for _, n := range []int{1, 2, 5, 6, 7} {
		if _, digest, err := c.State(n); err != nil || digest != want[n-1].Link.State {
			t.Errorf("the state at link %d: %v", n, err)
		}
	}
	if p := c.Problems(); p != nil {
		t.Errorf("the union: %v", p)
	}
	l.age()
	if s := l.take(SnapshotOptions{}); s.Link.Number != 8 || s.Link.Full || len(s.Outcome.Alarms) > 0 {
		t.Errorf("the next one: %+v, %v", s.Link, s.Outcome.Alarms)
	}
}

// checkRecorded looks for the lines in the custody log.
func (l *lab) checkRecorded(bundles []string) {
	l.t.Helper()
	var recorded []string
	for line, err := range l.cs.Lines() {
		if err != nil {
			l.t.Fatal(err)
		}
		if line.Entry.Action == "retention" {
			recorded = append(recorded, line.Entry.Object)
			if len(line.Entry.Digests) != 1 || !strings.HasPrefix(line.Entry.Note, "link ") {
				l.t.Errorf("recorded %+v", line.Entry)
			}
		}
	}
	if strings.Join(recorded, " ") != strings.Join(bundles, " ") {
		l.t.Errorf("recorded %q, removed %q", recorded, bundles)
	}
}

// TestRetainLeavesOthersAlone has files in the case that are not what they are called.
func TestRetainLeavesOthersAlone(t *testing.T) {
	l := newLab(t, map[string]string{state + "/openclaw.json": "{}"})
	a, b := l.take(SnapshotOptions{}), l.take(SnapshotOptions{Full: true})
	seal, err := os.ReadFile(filepath.Join(l.bundles(), a.Bundle+SealSuffix))
	if err != nil {
		t.Fatal(err)
	}
	forged := []byte(strings.Replace(string(seal), a.Bundle, strings.Replace(a.Bundle, "-000001", "-000003", 1), 1))
	for name, text := range map[string][]byte{
		strings.Replace(a.Bundle, "-000001", "-000003", 1):              {},
		strings.Replace(a.Bundle, "-000001", "-000003", 1) + SealSuffix: forged,
		strings.Replace(a.Bundle, "-000001", "-000004", 1):              {},
		"openclaw-ir-victim-20260101T000000Z" + BundleSuffix:            {},
		"notes.txt": {},
	} {
		if err := l.cs.WriteFile(casefile.BundlesDir+"/"+name, text); err != nil {
			t.Fatal(err)
		}
	}
	keep, _ := ParseKeep("1y")
	if r, err := Retain(l.cs, keep, nil, 0); err != nil || r.Removed != nil { // the first of the year is the first full one
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := os.Lstat(filepath.Join(l.bundles(), b.Bundle)); err != nil {
		t.Error(err)
	}
	unlock, err := l.cs.Lock(snapshotLock, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if _, err := Retain(l.cs, keep, nil, 0); err == nil {
		t.Error("it does not wait for a snapshot")
	}
}
