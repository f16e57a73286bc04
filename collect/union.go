package collect

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"sort"
	"strings"
)

// FS returns the union of the chain as one tree, as [Bundle.FS] does of one bundle: the newest version of every path. What is gone
// from the host stays, as the last link that had it holds it; the Row that Sys returns then has the status Gone, and its reason says
// in which link that was.
func (c *Chain) FS() fs.FS { return c.union() }

// Problems returns what is wrong with the chain as FS read it: links without which a content cannot be put together, rows that
// contradict each other.
func (c *Chain) Problems() []error { return c.union().problems }

// State returns the host as it was at a link, without what was gone by then, and the digest of that state, which the link's seal has.
func (c *Chain) State(number int) (fs.FS, string, error) {
	if c.Bundle(number) == nil {
		return nil, "", fmt.Errorf("link %d: %w", number, fs.ErrNotExist)
	}
	r := c.replay(number)
	e := r.tree(false)
	return e, r.digest(), errors.Join(e.problems...)
}

// A pathHistory is what the chain has of one path.
type pathHistory struct {
	row     Row     // the newest
	last    Row     // the newest that has content
	parts   []layer // the content: a whole one, and what changed since
	link    int     // of last
	present bool    // there at the last link that was replayed
	broken  error   // why the content cannot be put together
}

// A layer is a row that stores content, and where it lies.
type layer struct {
	b   *Bundle
	row Row
}

// replayed is a chain up to one of its links.
type replayed struct {
	c        *Chain
	paths    map[string]*pathHistory
	next     int  // the number to come
	lacking  int  // the last link of which the changes are missing; 0 for none since the last full one
	whole    bool // nothing is missing since the last full link
	problems []error
}

func (c *Chain) newReplay() *replayed {
	return &replayed{c: c, paths: map[string]*pathHistory{}, next: 1, problems: slices.Clone(c.unread)}
}

func (c *Chain) replay(upTo int) *replayed {
	r := c.newReplay()
	for _, l := range c.links {
		if l.Link.Number > upTo {
			break
		}
		r.step(l)
	}
	r.hole()
	return r
}

func (r *replayed) step(l *openLink) {
	n := l.Link.Number
	switch {
	case l.bundle == nil:
		r.lacking = n
	case l.Link.Full: // needs none of those before it, which retention may have removed
		r.lacking = 0
	case n != r.next:
		r.lacking = n
	}
	r.whole = l.bundle != nil && r.lacking == 0 && (r.whole || l.Link.Full)
	if l.bundle != nil {
		r.hole()
		r.link(l)
	}
	r.next = n + 1
}

// hole says that changes are missing, if some are: what comes after and builds on them cannot be put together.
func (r *replayed) hole() {
	number := r.lacking
	if number == 0 {
		return
	}
	r.lacking = 0
	r.problems = append(r.problems, fmt.Errorf("%w: what changed up to link %d is not here", ErrNotCollected, number))
	for _, h := range r.paths {
		h.broken = fmt.Errorf("%w: link %d, which may have changed it, is not here", ErrNotCollected, number)
	}
}

func (r *replayed) link(l *openLink) {
	met := map[string]bool{}
	for row, err := range l.bundle.Rows() {
		if err != nil {
			r.problems = append(r.problems, fmt.Errorf("link %d: %w", l.Link.Number, err))
			break
		}
		if strings.HasPrefix(row.Path, "/") && row.Type != "" && row.Status != Missing {
			met[row.Path] = true
			r.row(l, row)
		}
	}
	if !l.Link.Full {
		return
	}
	for p, h := range r.paths {
		if !met[p] && h.present {
			h.present = false
			h.row.Status, h.row.Reason = Gone, fmt.Sprintf("not in snapshot %d, which is a full one", l.Link.Number)
		}
	}
}

func (r *replayed) row(l *openLink, row Row) {
	h := r.paths[row.Path]
	if h == nil {
		h = &pathHistory{}
		r.paths[row.Path] = h
	}
	h.row, h.present = row, row.Status != Gone
	switch {
	case row.At == 0:
		return
	case row.Delta == nil:
		h.parts, h.broken = nil, nil
	case h.broken == nil:
		h.broken = h.continues(row.Delta)
	}
	h.last, h.link = row, l.Link.Number
	h.parts = append(h.parts, layer{l.bundle, row})
}

// continues says why a difference does not fit the content before it.
func (h *pathHistory) continues(d *Delta) error {
	if len(h.parts) == 0 {
		return fmt.Errorf("%w: what it is a change of is not here", ErrNotCollected)
	}
	if size := h.last.WholeSize(); h.last.Type != File || size != d.Base {
		return fmt.Errorf("%w: a change of %d bytes, where %d were before", ErrMalformed, d.Base, size)
	}
	return nil
}

// claimed says that the path was part of the state, with its content.
func (h *pathHistory) claimed() bool { return h.present && h.row.At > 0 }

// shown is the row that a tree shows: of a whole file, wherever its parts lie. With old, what could not be had at the last link is
// shown as an earlier one has it.
func (h *pathHistory) shown(old bool) Row {
	row := h.row
	if old && h.last.At > 0 && !h.claimed() {
		row = h.last
		row.Status = h.row.Status
		row.Reason = joinText(fmt.Sprintf("as snapshot %d holds it", h.link), h.row.Reason)
	}
	if row.Delta != nil {
		row.Size, row.SHA256, row.StoredSHA256, row.Delta = row.WholeSize(), row.WholeDigest(), "", nil
	}
	return row
}

// tree makes the tree of all paths, or of those that were there.
func (r *replayed) tree(all bool) *evidence {
	e := newTree(func(row *Row) (*io.SectionReader, error) {
		if h := r.paths[row.Path]; h != nil && !all && !h.claimed() {
			return nil, notCollected(row)
		}
		return r.content(row)
	})
	e.problems = r.problems
	paths := slices.Collect(maps.Keys(r.paths))
	// What is there comes first: where a directory became a file, that is what lies there now.
	slices.SortFunc(paths, func(a, b string) int {
		if x, y := r.paths[a].present, r.paths[b].present; x != y {
			if x {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	for _, p := range paths {
		if h := r.paths[p]; h.present || all && h.last.At > 0 {
			e.add(h.shown(all))
		}
	}
	e.sort()
	return e
}

// digest is that of the state, as [Link] says.
func (r *replayed) digest() string {
	sum := sha256.New()
	for _, p := range slices.Sorted(maps.Keys(r.paths)) {
		h := r.paths[p]
		if !h.claimed() {
			continue
		}
		switch row := &h.row; row.Type {
		case File:
			stateLine(sum, p, row.WholeSize(), row.WholeDigest())
		case Symlink:
			target := sha256.Sum256([]byte(row.Link))
			stateLine(sum, p, int64(len(row.Link)), hex.EncodeToString(target[:]))
		default:
			stateLine(sum, p, 0, "")
		}
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// content opens a file, wherever its parts lie.
func (r *replayed) content(row *Row) (*io.SectionReader, error) {
	h := r.paths[row.Path]
	if h == nil || len(h.parts) == 0 || row.Type != File {
		return nil, notCollected(row)
	}
	if h.broken != nil {
		return nil, fmt.Errorf("%q: %w", row.Path, h.broken)
	}
	f := &unitedFile{c: r.c}
	for _, v := range h.parts {
		if err := f.apply(v); err != nil {
			return nil, err
		}
	}
	return io.NewSectionReader(f, 0, h.last.WholeSize()), nil
}

// A unitedFile is a file that several bundles hold parts of.
type unitedFile struct {
	c      *Chain
	pieces []piece // ascending, without a hole
}

// A piece is a part of a file and where it lies.
type piece struct {
	off, size int64
	b         *Bundle
	src       *io.SectionReader
	at        int64 // in src
}

// apply lays a layer over the file.
func (f *unitedFile) apply(v layer) error {
	src, err := v.b.Content(v.row)
	if err != nil {
		return err
	}
	if v.row.Delta == nil {
		f.pieces = []piece{{0, v.row.Size, v.b, src, 0}}
		return nil
	}
	var out []piece
	at, from := int64(0), int64(0) // in src; in the file, what is done
	for _, r := range v.row.Delta.Ranges {
		out = append(out, cutPieces(f.pieces, from, r[0])...)
		out = append(out, piece{r[0], r[1], v.b, src, at})
		at, from = at+r[1], r[0]+r[1]
	}
	f.pieces = append(out, cutPieces(f.pieces, from, v.row.Delta.Size)...)
	return nil
}

// cutPieces returns what lies between two places of a file.
func cutPieces(list []piece, from, to int64) (out []piece) {
	i := sort.Search(len(list), func(i int) bool { return list[i].off+list[i].size > from })
	for ; i < len(list) && list[i].off < to; i++ {
		p := list[i]
		if skip := from - p.off; skip > 0 {
			p.off, p.size, p.at = p.off+skip, p.size-skip, p.at+skip
		}
		if p.size = min(p.size, to-p.off); p.size > 0 {
			out = append(out, p)
		}
	}
	return out
}

// ReadAt reads from the pieces.
func (f *unitedFile) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	i := sort.Search(len(f.pieces), func(i int) bool { return f.pieces[i].off+f.pieces[i].size > off })
	for ; n < len(p); i++ {
		if i >= len(f.pieces) {
			return n, io.EOF
		}
		q := &f.pieces[i]
		skip := off - q.off
		f.c.use(q.b)
		want := min(int64(len(p)-n), q.size-skip)
		if err := readFullAt(q.src, p[n:n+int(want)], q.at+skip); err != nil {
			return n, err
		}
		n, off = n+int(want), off+want
	}
	return n, nil
}

// use keeps the frames of the bundles that were used last, and drops those of others.
func (c *Chain) use(b *Bundle) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hot = append(slices.DeleteFunc(c.hot, func(x *Bundle) bool { return x == b }), b)
	if len(c.hot) > hotBundles {
		c.hot[0].frames.drop()
		c.hot = slices.Delete(c.hot, 0, 1)
	}
}
