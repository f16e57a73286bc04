package openclaw

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/sqlite"
)

// maxUnseekable bounds a database whose file cannot be read at random and so is read into memory. Bytes.
const maxUnseekable = 64 << 20

// readTries is how often a database that is being written is read again before it is taken as it is.
const readTries = 3

// A Database is an OpenClaw database opened for reading, its write-ahead log included.
type Database struct {
	*sqlite.DB
	Path    string
	Columns map[string][]string // table → columns
	files   []fs.File
	parts   [3]sqlite.Source // the file, its log and its journal
	noLog   error            // why it had to be read without its write-ahead log
}

// OpenDatabase opens the database at hostPath with its -wal and -journal. Nothing is written beside it.
// The error of one that does not exist is fs.ErrNotExist.
func OpenDatabase(fsys fs.FS, hostPath string) (*Database, error) {
	d := &Database{Path: hostPath}
	db, err := d.source(fsys, hostPath)
	if err != nil {
		return nil, err
	}
	// A missing log is the rule; an unreadable one must not pass for it.
	real := besides(fsys, hostPath)
	wal, err := d.source(fsys, real+"-wal")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.closeFiles()
		return nil, fmt.Errorf("reading its write-ahead log: %w", err)
	}
	journal, err := d.source(fsys, real+"-journal")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.closeFiles()
		return nil, fmt.Errorf("reading its rollback journal: %w", err)
	}
	d.parts = [3]sqlite.Source{db, wal, journal}
	if err = d.open(db, sqlite.Options{WAL: wal, Journal: journal}); wal.Size > 0 && (err != nil || d.foreignLog(db, journal)) {
		// A log of another database hides this one from SQLite. What lies below it is evidence all the same.
		if d.noLog = err; err == nil {
			d.DB.Close()
			d.noLog = errors.New("it is of a database with other tables")
		}
		err = d.open(db, sqlite.Options{Journal: journal})
	}
	if err != nil {
		d.closeFiles()
		return nil, err
	}
	return d, nil
}

// besides is the path whose name a database's log and journal continue: for a link, SQLite takes that of the file that it leads to.
func besides(fsys fs.FS, hostPath string) string {
	if _, err := fs.ReadLink(fsys, FSName(hostPath)); err != nil {
		return hostPath
	}
	return RealPath(fsys, hostPath)
}

// foreignLog reports that the tables below the log are all others than those in it.
func (d *Database) foreignLog(db, journal sqlite.Source) bool {
	if d.SharesSchema(db, journal) {
		return false
	}
	var below Database
	if below.open(db, sqlite.Options{Journal: journal}) != nil {
		return false
	}
	defer below.DB.Close()
	for table := range below.Columns {
		if _, both := d.Columns[table]; both {
			return false
		}
	}
	return len(below.Columns) > 0
}

// open opens the database and reads its schema.
func (d *Database) open(db sqlite.Source, o sqlite.Options) (err error) {
	if d.DB, err = sqlite.Open(db, o); err != nil {
		return err
	}
	if d.Columns, err = d.Tables(context.Background()); err != nil {
		d.DB.Close()
	}
	return err
}

// source opens a file as random-access bytes.
func (d *Database) source(fsys fs.FS, hostPath string) (sqlite.Source, error) {
	f, err := fsys.Open(FSName(hostPath))
	if err != nil {
		return sqlite.Source{}, err
	}
	d.files = append(d.files, f)
	info, err := f.Stat()
	if err != nil {
		return sqlite.Source{}, err
	}
	if r, ok := f.(io.ReaderAt); ok {
		return sqlite.Source{R: r, Size: info.Size()}, nil
	}
	text, err := io.ReadAll(io.LimitReader(f, maxUnseekable+1))
	if err != nil || len(text) > maxUnseekable {
		return sqlite.Source{}, fmt.Errorf("cannot be read at random and is too large to hold (%d bytes): %v", info.Size(), err)
	}
	return sqlite.Source{R: strings.NewReader(string(text)), Size: int64(len(text))}, nil
}

// Close releases the database.
func (d *Database) Close() error {
	var err error
	if d.DB != nil {
		err = d.DB.Close()
	}
	d.closeFiles()
	return err
}

func (d *Database) closeFiles() {
	for _, f := range d.files {
		f.Close()
	}
}

// Has reports whether a table exists with all the columns given.
func (d *Database) Has(table string, columns ...string) bool {
	have, ok := d.Columns[table]
	for _, c := range columns {
		ok = ok && slices.Contains(have, c)
	}
	return ok
}

// Column returns the column's name if the table has it and otherwise an SQL literal in its stead, so that one
// query serves every schema.
func (d *Database) Column(table, column, otherwise string) string {
	if d.Has(table, column) {
		return column
	}
	return otherwise
}

// stamp opens a database's files anew and takes what tells whether it changed.
func stamp(fsys fs.FS, hostPath string) (sqlite.Stamp, error) {
	var d Database
	defer d.closeFiles()
	db, err := d.source(fsys, hostPath)
	if err != nil {
		return sqlite.Stamp{}, err
	}
	wal, err := d.source(fsys, besides(fsys, hostPath)+"-wal")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return sqlite.Stamp{}, err
	}
	info, err := fs.Stat(fsys, FSName(hostPath))
	if err != nil {
		return sqlite.Stamp{}, err
	}
	return sqlite.TakeStamp(info, db, wal)
}

// ReadDatabase calls read with the database at hostPath, and again when it changed meanwhile, so that read must begin
// anew each time. What does not exist is no gap.
func ReadDatabase(ctx context.Context, fsys fs.FS, hostPath string, read func(*Database) error) []Gap {
	return readSteady(ctx, fsys, hostPath, read)
}

// Remnants hands on the bytes of the database's files that it no longer shows: see [sqlite.Remnants].
func (d *Database) Remnants(ctx context.Context, yield func(sqlite.Remnant) bool) (sqlite.RemnantInfo, error) {
	return sqlite.Remnants(ctx, d.parts[0], sqlite.Options{WAL: d.parts[1], Journal: d.parts[2]}, yield)
}

// Writer tells which SQLite wrote the main file last, as 3053004 for 3.53.4, and the size of the file in bytes.
func (d *Database) Writer() (version uint32, size int64) {
	head := make([]byte, 100)
	if _, err := d.parts[0].R.ReadAt(head, 0); err != nil {
		return 0, d.parts[0].Size
	}
	return sqlite.WriterVersion(head), d.parts[0].Size
}

// SchemaVersion returns PRAGMA user_version, which OpenClaw counts up with each schema.
func (d *Database) SchemaVersion() int64 { return d.userVersion() }

// readSteady runs read over the database, again when it changed meanwhile: the rows of every pass are handed
// on, so the receiver must tell an event it has seen from a new one. A database that never holds still, or
// cannot be read to its end, is a gap.
func readSteady(ctx context.Context, fsys fs.FS, hostPath string, read func(*Database) error) (gaps []Gap) {
	err := sqlite.Consistent(
		func() (sqlite.Stamp, error) { return stamp(fsys, hostPath) },
		func() error {
			d, err := OpenDatabase(fsys, hostPath)
			if err != nil {
				return err
			}
			defer d.Close()
			gaps = d.logGaps()
			return read(d)
		}, readTries)
	switch {
	case err == nil || ctx.Err() != nil || errors.Is(err, fs.ErrNotExist):
		return gaps
	case errors.Is(err, sqlite.ErrChanged):
		return append(gaps, Gap{Path: hostPath, What: fmt.Sprintf("was being written and changed under each of %d readings; rows may be missing: contain first, or read a sealed bundle", readTries)})
	}
	return append(gaps, Gap{Path: hostPath, What: "reading the database: " + err.Error()})
}

// logGaps tells what of the write-ahead log or a rollback journal could not be used though it should have been.
// Frames left behind by an earlier log are no loss: every log that was reused has them.
func (d *Database) logGaps() (gaps []Gap) {
	w, j := d.Log().WAL, d.Log().Journal
	if d.noLog != nil {
		gaps = append(gaps, Gap{Path: d.Path + "-wal", What: "the database cannot be read with this log, and was read without it: " + d.noLog.Error()})
	}
	if w.Stopped != "" && w.Stopped != sqlite.StopSalts {
		gaps = append(gaps, Gap{Path: d.Path + "-wal", What: fmt.Sprintf("%d of its %d frames were not used: %s", w.Ignored, w.Frames, w.Detail)})
	}
	if j.Applied {
		what := fmt.Sprintf("a write was cut short; its %d pages were read as they were before it, as SQLite reads them", j.Pages)
		if j.Why != "" {
			what += "; not all of them could be: " + j.Why
		}
		gaps = append(gaps, Gap{Path: d.Path + "-journal", What: what})
	}
	return gaps
}
