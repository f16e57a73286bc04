package collect

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// anIndex writes an index of three paths.
func anIndex(t testing.TB, key []byte) []byte {
	t.Helper()
	var text bytes.Buffer
	w := newIndexWriter(&text, key)
	for _, e := range []*entry{
		{path: "/a", source: "log", kind: File, status: Collected, state: stored | summed, hostSize: 5, mtime: -1, ctime: 1 << 62, inode: 1 << 63, size: 5, chunk: chunkSize, count: 2, link: 3},
		{path: "/b\xff", kind: Dir, status: Truncated, mode: 0o4755, uid: 1<<32 - 1},
		{path: "/c", kind: Symlink, status: Collected, born: 7},
	} {
		w.add(e, strings.NewReader(strings.Repeat("0123456789abcdef", int(e.count))))
	}
	rows := map[string]databaseRows{"/d": {"s": {To: 1, Rows: 2, Last: 3, Link: 4}}}
	if err := w.finish(indexHead{Chain: "C", Number: 2, Full: 1, Seal: "s", Started: time.Unix(1, 0).UTC(), Said: make([]byte, 32), Rows: rows}); err != nil {
		t.Fatal(err)
	}
	return text.Bytes()
}

func TestIndexRoundTrip(t *testing.T) {
	key := []byte("key")
	text := anIndex(t, key)
	x, err := readIndex(bytes.NewReader(text), int64(len(text)), key)
	if err != nil {
		t.Fatal(err)
	}
	a := x.entries["/a"]
	if sums, err := x.sums(a); err != nil || string(sums) != "0123456789abcdef0123456789abcdef" {
		t.Errorf("digests %q, %v", sums, err)
	}
	a.at = 0
	want := &entry{path: "/a", source: "log", kind: File, status: Collected, state: stored | summed, hostSize: 5, mtime: -1, ctime: 1 << 62, inode: 1 << 63, size: 5, chunk: chunkSize, count: 2, link: 3}
	if diff := cmp.Diff(want, a, cmp.AllowUnexported(entry{})); diff != "" {
		t.Error(diff)
	}
	if len(x.entries) != 3 || x.Rows["/d"]["s"].Rows != 2 || !x.said[[16]byte{}] || x.entries["/b\xff"].uid != 1<<32-1 {
		t.Errorf("%+v", x)
	}
	for i := range text {
		bad := bytes.Clone(text)
		bad[i] ^= 1
		if _, err := readIndex(bytes.NewReader(bad), int64(len(bad)), key); !errors.Is(err, errIndex) {
			t.Fatalf("byte %d changed: %v", i, err)
		}
		if _, err := readIndex(bytes.NewReader(text[:i]), int64(i), key); !errors.Is(err, errIndex) {
			t.Fatalf("cut after %d bytes: %v", i, err)
		}
	}
}

// FuzzIndex parses what may be no index: that is an error, and nothing is allocated that the file does not hold.
func FuzzIndex(f *testing.F) {
	text := anIndex(f, []byte("key"))
	f.Add(text[:len(text)-32])
	f.Add([]byte{0})
	f.Add([]byte{1, 'a', 0, 0, 0})
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff\x7f"))
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := parseIndex(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		for _, e := range x.entries {
			if _, err := x.sums(e); err != nil {
				t.Errorf("%q: %v", e.path, err)
			}
		}
	})
}

// TestForgedTimes says that content which changed under the size and the times it had is an alarm, when a full snapshot reads it again.
func TestForgedTimes(t *testing.T) {
	now := time.Unix(1_700_000_000, 5)
	m := Meta{Path: "/x", Type: File, HostSize: 10, Mtime: now, Ctime: now, Inode: 1}
	for name, c := range map[string]struct {
		full  bool
		state flags
		diff  change
		want  int
	}{
		"changed":          {true, stored | summed, change{bytes: 10}, 1},
		"as it was":        {true, stored | summed, change{kept: true}, 0},
		"looked at anyway": {true, stored | summed | again, change{bytes: 10}, 0},
		"never seen whole": {true, stored | torn, change{bytes: 10}, 0},
		"incremental":      {false, stored | summed, change{bytes: 10}, 0},
	} {
		c2 := &collector{past: newPast(nil, 2, c.full, nil, nil, now)}
		e := &entry{state: c.state, size: 10, link: 1}
		e.setStat(&m)
		c2.suspicion(e, &m, 10, c.diff)
		if n := len(c2.past.suspects); n != c.want {
			t.Errorf("%s: %d alarms, want %d", name, n, c.want)
		}
	}
}
