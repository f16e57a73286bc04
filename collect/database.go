package collect

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/sqlite"
)

const (
	// maxSteady is the size in bytes up to which a database with its log is read into memory, until it held still.
	maxSteady = 32 << 20
	// steadyTries is how often. Each takes the time to read it, and about 20 ms if it has no log.
	steadyTries = 30
)

// beside are the files that belong to a database. The log is read right after what it completes.
var beside = []string{"-wal", "-journal", "-shm"}

// databaseOf returns the database that a file belongs to by its name, "" if it is none of those.
func databaseOf(p string) string {
	for _, suffix := range beside {
		if base, ok := strings.CutSuffix(p, suffix); ok && !strings.HasSuffix(base, "/") {
			return base
		}
	}
	return ""
}

// isDatabase goes by the name, since a database in its first moments is empty. Others are still taken, file by file.
func isDatabase(p string) bool {
	switch path.Ext(p) {
	case ".sqlite", ".sqlite3", ".db":
		return true
	}
	return false
}

// database takes a database and the files beside it in one state, if it holds still for long enough.
// It reads without locks: they would write to the -shm and could hold up the gateway.
func (c *collector) database(m Meta, v visit) error {
	set := c.joined([]Meta{m})
	total := int64(0)
	for _, part := range set {
		total += part.HostSize
	}
	if v.listing == "" && c.past.allUnchanged(c, set) {
		c.past.keepRows(m.Path)
		return nil
	}
	if v.listing == "" && c.w != nil && c.past != nil && total > maxSteady {
		c.compareFiles(m)
	}
	if v.listing != "" || c.w == nil || len(set) == 1 && total > maxSteady {
		return c.each(set, func(m Meta) error { return c.file(m, v) })
	}
	if !c.fits(total) {
		return c.each(set, c.overBudget)
	}
	if total > maxSteady || c.limit(Meta{HostSize: total}) < total {
		return c.stream(set, v)
	}
	return c.steady(set, v)
}

// joined adds to a database the files beside it that are there by now. A journal comes and goes with every change: a main file read in
// the middle of one is nothing without it.
func (c *collector) joined(set []Meta) []Meta {
	for _, suffix := range beside {
		name := set[0].Path + suffix
		fi, err := c.root.Lstat(hostName(name))
		if err == nil && fi.Mode().IsRegular() && c.first(name) {
			set = append(set, metaOf(name, set[0].Source, fi))
		}
	}
	return set
}

func (c *collector) each(set []Meta, take func(Meta) error) error {
	for _, m := range set {
		if err := take(m); err != nil {
			return err
		}
	}
	return nil
}

// A part is one file of a database in memory.
type part struct {
	meta Meta
	data []byte
	err  error
}

// steady reads a set into memory until nothing that was read has changed meanwhile.
func (c *collector) steady(set []Meta, v visit) error {
	var parts []part
	base := set[0]
	err := sqlite.Consistent(
		func() (sqlite.Stamp, error) { return c.stamp(base) },
		func() error { set, parts = c.readParts(set); return nil },
		steadyTries)
	moving := ""
	switch {
	case errors.Is(err, sqlite.ErrChanged):
		moving = fmt.Sprintf("written to during each of %d readings: %s", steadyTries, mixed)
	case err != nil || tooLarge(parts):
		return c.stream(set, v)
	}
	if c.past != nil {
		c.compareParts(base.Path, parts, moving)
	}
	for _, p := range parts {
		if p.err != nil {
			err = c.failed(p.meta, visit{depth: 1}, p.err)
		} else {
			err = c.store(bytes.NewReader(p.data), p.meta, func() string { return moving })
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// compareParts compares the rows of a database in memory with those of the past, if it held still.
func (c *collector) compareParts(name string, parts []part, moving string) {
	var db, wal sqlite.Source
	for _, p := range parts {
		src := sqlite.Source{R: bytes.NewReader(p.data), Size: int64(len(p.data))}
		switch {
		case p.err != nil:
		case p.meta.Path == name:
			db = src
		case p.meta.Path == name+"-wal":
			wal = src
		}
	}
	if db.Size > 0 {
		c.compareRows(name, db, wal, func() string { return moving })
	}
}

// compareFiles compares the rows of a database on the disk with those of the past.
func (c *collector) compareFiles(m Meta) {
	f, _, err := c.open(m)
	if err != nil {
		c.past.keepRows(m.Path)
		return // storing it says so
	}
	defer f.Close()
	if fi, err := f.Stat(); err != nil || fi.Size() > maxCompared {
		c.past.undecide(m.Path, fmt.Sprintf("it has more than %d bytes", maxCompared))
		return
	}
	before, stampErr := c.stamp(m)
	var log sqlite.Source
	if wal, err := c.root.OpenNoFollow(hostName(m.Path + "-wal")); err == nil {
		defer wal.Close()
		log = source(wal)
	}
	c.compareRows(m.Path, source(f), log, func() string {
		if after, err := c.stamp(m); stampErr != nil || err != nil || before != after {
			return "it was written to meanwhile"
		}
		return ""
	})
}

// mixed is what a reader of a bundle must know about a database that changed.
const mixed = "its pages may be of different moments, so check it and compare with the log"

// readParts reads a set, the log after the main file: what a log gains completes it, what a main file gains the log lacks.
func (c *collector) readParts(set []Meta) ([]Meta, []part) {
	parts := []part{c.readPart(set[0])}
	set = c.joined(set)
	for _, m := range set[1:] {
		parts = append(parts, c.readPart(m))
	}
	return set, parts
}

func (c *collector) readPart(m Meta) part {
	f, now, err := c.open(m)
	if err != nil {
		return part{meta: m, err: err}
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSteady+1))
	// What came between the description and the last byte is part of the one state that is stored.
	now.HostSize = int64(len(data))
	return part{now, data, err}
}

func tooLarge(parts []part) bool {
	total := 0
	for _, p := range parts {
		total += len(p.data)
	}
	return total > maxSteady
}

// stamp takes what tells whether a database changed so that what was read of it does not fit together.
//
// With a log that is only the log's header. While that stays, the log is not begun anew; and whatever a checkpoint copies
// into the main file meanwhile is in the log as well, which is read later and comes before the main file.
func (c *collector) stamp(m Meta) (sqlite.Stamp, error) {
	f, _, err := c.open(m)
	if err != nil {
		return sqlite.Stamp{}, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return sqlite.Stamp{}, err
	}
	var log sqlite.Source
	wal, err := c.root.OpenNoFollow(hostName(m.Path + "-wal"))
	if err == nil {
		defer wal.Close()
		log = source(wal)
	}
	s, err := sqlite.TakeStamp(fi, source(f), log)
	if s.WAL != (sqlite.Stamp{}).WAL && s.DB[readVersion] == walVersion {
		s = sqlite.Stamp{WAL: s.WAL}
	}
	return s, err
}

// readVersion is where a database's header says that it has a log (https://sqlite.org/fileformat2.html#file_format_version_numbers).
const (
	readVersion = 19
	walVersion  = 2
)

func source(f *os.File) sqlite.Source {
	fi, err := f.Stat()
	if err != nil {
		return sqlite.Source{}
	}
	return sqlite.Source{R: f, Size: fi.Size()}
}

// stream takes a set that is too large for memory as it is, and says if it changed.
func (c *collector) stream(set []Meta, v visit) error {
	before, stampErr := c.stamp(set[0])
	return c.each(set, func(m Meta) error {
		f, now, err := c.open(m)
		if err != nil {
			return c.failed(m, v, err)
		}
		defer f.Close()
		return c.store(f, now, func() string {
			if strings.HasSuffix(m.Path, "-shm") {
				return "" // an index of the log, which every reader of the database builds anew
			}
			after, err := c.stamp(set[0])
			if stampErr != nil || err != nil {
				return ""
			}
			if before != after {
				return "the database was written to while it and its log were read: " + mixed
			}
			return ""
		})
	})
}
