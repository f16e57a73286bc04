package sqlite

import "github.com/ncruces/go-sqlite3"

// count is count(*) row by row. SQLite's own walks the whole tree in one step that cannot be interrupted,
// and a tree whose pages point back at each other has no end.
type count struct{ n int64 }

func (c *count) Step(sqlite3.Context, ...sqlite3.Value) { c.n++ }
func (c *count) Value(ctx sqlite3.Context)              { ctx.ResultInt64(c.n) }

// interruptibleCount replaces count(*).
func interruptibleCount(c *sqlite3.Conn) error {
	return c.CreateWindowFunction("count", 0, sqlite3.DETERMINISTIC,
		func() sqlite3.AggregateFunction { return new(count) })
}
