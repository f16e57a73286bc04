package sqlite

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/ncruces/go-sqlite3"
)

// A Row is a row of a result, valid until the next step of its query.
// Columns are counted from 0.
type Row struct {
	d *DB
	s *sqlite3.Stmt
}

// Type is the type of a value.
type Type = sqlite3.Datatype

// The types of values.
const (
	Integer = sqlite3.INTEGER
	Float   = sqlite3.FLOAT
	Text    = sqlite3.TEXT
	Blob    = sqlite3.BLOB
	Null    = sqlite3.NULL
)

// Type returns the type of column i's value: any column of any row may hold any type, but in STRICT tables.
func (r *Row) Type(i int) Type { return r.s.ColumnType(i) }

// Columns returns how many columns the row has.
func (r *Row) Columns() int { return r.s.ColumnCount() }

// Null reports whether column i is NULL.
func (r *Row) Null(i int) bool { return r.Type(i) == Null }

// Int returns column i as an integer, and 0 for what is none.
func (r *Row) Int(i int) int64 { return r.s.ColumnInt64(i) }

// Float returns column i as a number, and 0 for what is none.
func (r *Row) Float(i int) float64 { return r.s.ColumnFloat(i) }

// Text returns column i as text in the encoding UTF-8, which the database may not keep to; of a blob its bytes,
// of NULL nil. The bytes are SQLite's own: they change with the next step, and after Close they are gone.
func (r *Row) Text(i int) []byte {
	if r.Type(i) == Blob { // as text it would be taken for UTF-16 if the database's encoding is that
		return r.Bytes(i)
	}
	return r.raw(r.s.ColumnRawText, i)
}

// Bytes returns column i, a blob, without copying: see Text.
// Of a text it returns the bytes as they are stored.
func (r *Row) Bytes(i int) []byte { return r.raw(r.s.ColumnRawBlob, i) }

// raw is guard for a column; the query ends in the error after this row.
func (r *Row) raw(get func(int) []byte, i int) (b []byte) {
	if r.d.broken != nil {
		return nil
	}
	defer func() {
		if p := recover(); p != nil {
			r.d.breakOff(p)
		}
	}()
	return get(i)
}

// Query runs one statement and yields its rows. An error is yielded last, with a nil row: the rows before it
// are good. Once ctx is done the query ends in its cause. The arguments, for ? in sql, may be nil, bool, int,
// int64, float64, string or []byte.
//
// An index may be made to lie about its table. To see every row of a table, read it by rowid:
// FROM t NOT INDEXED.
func (d *DB) Query(ctx context.Context, sql string, args ...any) iter.Seq2[*Row, error] {
	return func(yield func(*Row, error) bool) {
		if err := d.query(ctx, sql, args, func(r *Row) bool { return yield(r, nil) }); err != nil {
			yield(nil, fmt.Errorf("querying: %w", err))
		}
	}
}

func (d *DB) query(ctx context.Context, sql string, args []any, yield func(*Row) bool) error {
	if err := d.learn(ctx); err != nil {
		return err
	}
	return d.rows(ctx, sql, args, yield)
}

// rows calls yield for each row until that says no, which is no error.
func (d *DB) rows(ctx context.Context, sql string, args []any, yield func(*Row) bool) error {
	s, err := d.prepare(ctx, sql, args)
	if err != nil {
		return d.explainViews(d.explain(ctx, err))
	}
	defer d.guard(s.Close)
	row := &Row{d, s}
	for n := 1; ; n++ {
		more, err := d.step(ctx, s)
		if err != nil {
			return fmt.Errorf("row %d: %w", n, d.explain(ctx, err))
		}
		if !more {
			return d.damage
		}
		if !yield(row) {
			return nil
		}
	}
}

// step goes to the next row. The context is set each time, for queries may be interleaved.
func (d *DB) step(ctx context.Context, s *sqlite3.Stmt) (more bool, err error) {
	err = d.guard(func() error {
		d.conn.SetInterrupt(ctx)
		more = s.Step()
		return s.Err()
	})
	return more, err
}

// prepare compiles sql and binds args. If the schema has entries that cannot be read,
// it goes on without them and keeps the error for the end of every query.
func (d *DB) prepare(ctx context.Context, sql string, args []any) (*sqlite3.Stmt, error) {
	var s *sqlite3.Stmt
	err := d.guard(func() (err error) {
		d.conn.SetInterrupt(ctx)
		var tail string
		s, tail, err = d.conn.Prepare(sql)
		if errors.Is(err, sqlite3.CORRUPT) && d.damage == nil {
			if _, err := d.conn.Config(sqlite3.DBCONFIG_WRITABLE_SCHEMA, true); err != nil {
				return err // defensive mode still keeps it from being written
			}
			d.damage = fmt.Errorf("parts of the schema were left out: %w", d.explain(ctx, err))
			s, tail, err = d.conn.Prepare(sql)
		}
		if err == nil && (s == nil || tail != "") {
			err = errors.New("not one statement")
		}
		for i := 0; err == nil && i < len(args); i++ {
			err = bind(s, i+1, args[i])
		}
		return err
	})
	if err != nil && s != nil {
		d.guard(s.Close)
	}
	return s, err
}

func bind(s *sqlite3.Stmt, i int, arg any) error {
	switch v := arg.(type) {
	case nil:
		return s.BindNull(i)
	case bool:
		return s.BindBool(i, v)
	case int:
		return s.BindInt(i, v)
	case int64:
		return s.BindInt64(i, v)
	case float64:
		return s.BindFloat(i, v)
	case string:
		return s.BindText(i, v)
	case []byte:
		return s.BindBlob(i, v)
	}
	return fmt.Errorf("argument %d is a %T", i, arg)
}

// explain says what SQLite leaves out of an error: why it was interrupted, and where damage was met.
func (d *DB) explain(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, sqlite3.INTERRUPT) && ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, sqlite3.CORRUPT):
		return fmt.Errorf("at or after page %d: %w", d.view.last, err)
	}
	return err
}

// explainViews adds to the error of a query that was not compiled the first few views: if it reads one,
// SQLite does not always say so.
func (d *DB) explainViews(err error) error {
	if len(d.schema.views) == 0 {
		return err
	}
	return fmt.Errorf("%w (views are not run: %.100q)", err, d.schema.views[:min(len(d.schema.views), 5)])
}

// learn finds out, once, what the schema holds, and what of that is not run.
func (d *DB) learn(ctx context.Context) error {
	if d.schema.tables != nil {
		return nil
	}
	read, err := d.readSchema(ctx)
	if err != nil && !errors.Is(err, d.damage) {
		return err
	}
	d.schema = read
	return nil
}

// readSchema lists the columns of each table. Views and virtual tables are there without: only running them could tell.
func (d *DB) readSchema(ctx context.Context) (schema, error) {
	const sql = `SELECT l.type, l.name, x.name, x.hidden FROM pragma_table_list l
		LEFT JOIN pragma_table_xinfo(CASE WHEN l.type IN ('table', 'shadow') THEN l.name END, 'main') x
		WHERE l.schema = 'main' AND l.name <> 'sqlite_schema'`
	read := schema{tables: map[string][]string{}, computed: map[column]bool{}}
	err := d.rows(ctx, sql, nil, func(r *Row) bool {
		read.add(string(r.Text(0)), column{string(r.Text(1)), string(r.Text(2))}, r.Int(3))
		return true
	})
	return read, err
}

// add notes a column, or with an empty name what has none that could be told. hidden is SQLite's word for what sort it is.
func (s *schema) add(kind string, c column, hidden int64) {
	switch {
	case kind == "view":
		s.views = append(s.views, c.table)
	case c.name == "":
		s.tables[fold(c.table)] = nil
	default:
		s.tables[fold(c.table)] = append(s.tables[fold(c.table)], fold(c.name))
	}
	if hidden == 2 { // computed when read; 3 is computed when written
		s.computed[c] = true
	}
}

// fold makes of a name what SQLite takes for the same one: it does not tell the capitals of ASCII from the small letters.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, name)
}

// Tables returns the columns of every table, in order, all in small letters: whoever renames a table to capitals hides it from nobody who
// asks SQLite for it, and must not from who looks for it here. Virtual tables are there without columns:
// their modules are not loaded. Views are not there: they hold nothing, and are not run.
// Where parts of the schema are damaged, the rest is returned with the error. The map is not to be changed.
func (d *DB) Tables(ctx context.Context) (map[string][]string, error) {
	if err := d.learn(ctx); err != nil {
		return nil, fmt.Errorf("listing tables: %w", err)
	}
	if d.damage != nil {
		return d.schema.tables, fmt.Errorf("listing tables: %w", d.damage)
	}
	return d.schema.tables, nil
}

// Check runs SQLite's quick check and returns what it finds amiss; nothing if all is well.
// It leaves out what would run code of the schema: constraints, and tables that have computed columns.
// Of a database cut short it says only that.
func (d *DB) Check(ctx context.Context) ([]string, error) {
	if v := d.view; v.pages > v.held {
		return []string{fmt.Sprintf("the header claims %d pages, and %d are there", v.pages, v.held)}, nil
	}
	var found []string
	collect := func(sql string) error {
		return d.query(ctx, sql, nil, func(r *Row) bool {
			if line := string(r.Text(0)); line != "ok" {
				found = append(found, line)
			}
			return true
		})
	}
	check := func() error {
		if err := d.learn(ctx); err != nil {
			return err
		}
		if len(d.schema.computed) == 0 {
			return collect("PRAGMA quick_check")
		}
		return d.checkTables(ctx, collect, &found)
	}
	if err := check(); err != nil {
		return found, fmt.Errorf("checking: %w", err)
	}
	return found, nil
}

// checkTables checks table by table those without computed columns.
func (d *DB) checkTables(ctx context.Context, collect func(string) error, found *[]string) error {
	tables, err := d.Tables(ctx)
	if err != nil && !errors.Is(err, d.damage) {
		return err
	}
	skip := map[string]bool{}
	for c := range d.schema.computed {
		skip[fold(c.table)] = true
	}
	for _, table := range slices.Sorted(maps.Keys(tables)) {
		switch {
		case skip[table]:
			*found = append(*found, fmt.Sprintf("table %q is not checked: it has computed columns", table))
		case tables[table] != nil:
			if err := collect("PRAGMA quick_check(" + sqlite3.QuoteIdentifier(table) + ")"); err != nil {
				return err
			}
		}
	}
	return nil
}
