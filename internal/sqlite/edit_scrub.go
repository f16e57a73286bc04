package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/ncruces/go-sqlite3"
)

// ErrTooLarge means that a database is too large to be scrubbed in memory.
var ErrTooLarge = errors.New("too large to be rewritten in memory")

// Scrub works in memory, for a temporary file would hold in clear what is to vanish. The bounds are in bytes.
const (
	scrubLimit  = 256 << 20
	scrubMemory = 1 << 30
)

// Scrub rewrites the database at path so that neither it nor its write-ahead log holds what was deleted: all rows are
// written anew without free space between them (VACUUM), and the log is emptied. What it destroys may be evidence. It
// opens the database as [Edit] does. An error of a schema whose indexes compute something, or of a database larger
// than 256 MiB with its log (it wraps [ErrTooLarge]), means that nothing was changed.
func Scrub(ctx context.Context, path string) error {
	if err := scrub(ctx, path); err != nil {
		return fmt.Errorf("scrubbing the database %q: %w", path, err)
	}
	return nil
}

func scrub(ctx context.Context, path string) (err error) {
	if err := small(path); err != nil {
		return err
	}
	t, err := openToEdit(ctx, path, scrubMemory)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	if err := t.nothingComputes(); err != nil {
		return err
	}
	if err := t.allowVacuum(); err != nil {
		return err
	}
	for _, sql := range []string{
		"PRAGMA secure_delete = ON",
		"VACUUM",
		"PRAGMA wal_checkpoint(TRUNCATE)",
	} {
		if err := t.run(sql); err != nil {
			return err
		}
	}
	return nil
}

func small(path string) error {
	var sum int64
	for _, suffix := range []string{"", "-wal"} {
		if fi, err := os.Lstat(path + suffix); err == nil {
			sum += fi.Size()
		}
	}
	if sum > scrubLimit {
		return fmt.Errorf("%w: %d bytes", ErrTooLarge, sum)
	}
	return nil
}

// nothingComputes vets every table, since VACUUM writes them all.
func (t *Tx) nothingComputes() error {
	var tables []string
	err := t.run("BEGIN EXCLUSIVE")
	if err == nil {
		err = t.Each("SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'shadow')", func(r *Row) {
			tables = append(tables, string(r.Text(0)))
		})
	}
	for i := 0; err == nil && i < len(tables); i++ {
		_, err = t.Columns(tables[i])
	}
	return errors.Join(err, t.rollback())
}

// allowVacuum lifts what VACUUM needs: it attaches a database in memory, and writes the schema into that.
func (t *Tx) allowVacuum() error {
	return t.d.guard(func() error {
		t.d.conn.Limit(sqlite3.LIMIT_ATTACHED, 1)
		return t.d.conn.SetAuthorizer(nil)
	})
}
