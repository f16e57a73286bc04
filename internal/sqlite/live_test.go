package sqlite

import (
	"errors"
	"os"
	"testing"
	"time"
)

// stampOf stamps the files at path as they are now.
func stampOf(path string) (Stamp, error) {
	var sources [2]Source
	var main os.FileInfo
	for i, suffix := range []string{"", "-wal"} {
		file, err := os.Open(path + suffix)
		if err != nil {
			return Stamp{}, err
		}
		defer file.Close()
		info, err := file.Stat()
		if err != nil {
			return Stamp{}, err
		}
		if i == 0 {
			main = info
		}
		sources[i] = Source{file, info.Size()}
	}
	return TakeStamp(main, sources[0], sources[1])
}

func TestConsistent(t *testing.T) {
	t.Parallel()
	errRead := errors.New("read")
	keep := ".dbconfig no_ckpt_on_close on\n"
	for name, test := range map[string]struct {
		meanwhile string // what another process does during each of the first busy reads
		busy      int
		readErr   error
		reads     int
		err       error
	}{
		"still":            {"", 0, nil, 1, nil},
		"still, bad read":  {"", 0, errRead, 1, errRead},
		"the log grows":    {keep + "INSERT INTO t(b) VALUES ('new');", 3, nil, 1, nil},
		"checkpoint":       {keep + "INSERT INTO t(b) VALUES ('new'); PRAGMA wal_checkpoint(passive);", 1, nil, 2, nil},
		"log starts anew":  {keep + "PRAGMA wal_checkpoint(restart); INSERT INTO t(b) VALUES ('new');", 1, nil, 2, nil},
		"log is truncated": {keep + "PRAGMA wal_checkpoint(truncate);", 1, nil, 2, nil},
		"never still":      {keep + "INSERT INTO t(b) VALUES ('new'); PRAGMA wal_checkpoint(restart);", 9, errRead, 3, ErrChanged},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := build(t, inLog).write(t)
			reads := 0
			err := Consistent(func() (Stamp, error) { return stampOf(path) }, func() error {
				if reads++; reads <= test.busy {
					if _, err := cli(t, path, test.meanwhile); err != nil {
						t.Fatal(err)
					}
				}
				return test.readErr
			}, 3)
			if !errors.Is(err, test.err) || reads != test.reads {
				t.Errorf("%d reads, %v; want %d, %v", reads, err, test.reads, test.err)
			}
		})
	}
}

// TestConsistentWithinATick: where each stamp is as new as the kernel's clock can tell, the same stamp twice proves nothing.
func TestConsistentWithinATick(t *testing.T) {
	calls, reads := 0, 0
	var written int64
	err := Consistent(func() (Stamp, error) {
		if calls++; calls%3 != 0 { // both before the reading, and not the one after it
			written = time.Now().UnixNano()
		}
		return Stamp{ModTime: written}, nil
	}, func() error { reads++; return nil }, 2)
	if !errors.Is(err, ErrChanged) || reads != 2 {
		t.Errorf("%d reads, %v", reads, err)
	}
}

func TestConsistentNoStamp(t *testing.T) {
	errStamp := errors.New("gone")
	err := Consistent(func() (Stamp, error) { return Stamp{}, errStamp }, func() error { return nil }, 3)
	if !errors.Is(err, errStamp) {
		t.Error(err)
	}
}
