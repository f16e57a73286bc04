package sqlite

import (
	"errors"
	"io/fs"
	"time"
)

// ErrChanged means that a live database changed during every try to read it.
var ErrChanged = errors.New("the database changed while it was read")

// tick is longer than any kernel's file time stands still: two writes within it may leave the same time.
const tick = 20 * time.Millisecond

// A Stamp is what tells that a live database is no longer the one that is being read. The log may grow
// meanwhile, for what was read of it stays; it must not start anew, and no checkpoint may copy newer pages
// into the main file.
type Stamp struct {
	Size    int64
	ModTime int64            // of the main file, in nanoseconds
	DB      [headerSize]byte // its header, which counts changes
	WAL     [walHeaderSize]byte
}

// TakeStamp stamps a database: what its main file's Stat says and the headers of both files.
// Stat and sources must be fresh.
func TakeStamp(info fs.FileInfo, db, wal Source) (Stamp, error) {
	s := Stamp{Size: info.Size(), ModTime: info.ModTime().UnixNano()}
	return s, errors.Join(
		db.readAt(s.DB[:min(headerSize, max(db.Size, 0))], 0),
		wal.readAt(s.WAL[:min(walHeaderSize, max(wal.Size, 0))], 0),
	)
}

// Consistent reads a live database without a lock: it calls read, which opens, reads and closes it, until the
// stamps before and after are the same, at most so many times. It returns read's error of that time, since an
// error from files in motion means nothing, or ErrChanged. What read produced the other times is to be
// thrown away.
func Consistent(stamp func() (Stamp, error), read func() error, tries int) error {
	for range tries {
		before, old, err := settled(stamp)
		if err != nil {
			return err
		}
		readErr := read()
		after, err := stamp()
		if err != nil {
			return err
		}
		if old && before == after {
			return readErr
		}
	}
	return ErrChanged
}

// settled takes a stamp, if it can one whose time has passed: then any later write shows in it.
func settled(stamp func() (Stamp, error)) (s Stamp, old bool, err error) {
	for range 2 {
		s, err = stamp()
		age := time.Since(time.Unix(0, s.ModTime))
		if err != nil || age < 0 || age >= tick {
			return s, true, err // a time in the future stands for no moment of this machine's
		}
		time.Sleep(tick - age)
	}
	return s, false, nil
}
