package collect

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

// maxLease is how long one collection waits, in all, for leased files. A lease breaks after 45 s
// (/proc/sys/fs/lease-break-time), and who holds one can hold a thousand.
const maxLease = time.Minute

// errMoved says that a path led elsewhere each time it was opened: somebody moves directories under our feet.
var errMoved = errors.New("what was opened lies elsewhere: it or a directory above it is being replaced")

// metaOf describes a path as stat(2) does.
// hollowSize is how large a file is that counts as hollow if it is holes for the most part, and how much of it is taken:
// one made of terabytes of nothing would keep us for hours. Bytes.
const hollowSize = 256 << 20

func metaOf(p, source string, fi fs.FileInfo) Meta {
	h := host.Meta(fi)
	m := Meta{
		Path: p, Source: source, Type: typeOf(fi.Mode()), Mode: Mode(h.Mode & 0o7777), UID: h.UID, GID: h.GID,
		Mtime: h.Mtime, Ctime: h.Ctime, Inode: h.Inode, Dev: h.Dev,
	}
	if m.Type == File {
		m.HostSize = h.Size
		m.hollow = h.Size > hollowSize && h.Allocated >= 0 && h.Allocated < h.Size/8
	}
	return m
}

func typeOf(mode fs.FileMode) Type {
	switch mode.Type() {
	case 0:
		return File
	case fs.ModeDir:
		return Dir
	case fs.ModeSymlink:
		return Symlink
	case fs.ModeNamedPipe:
		return Fifo
	case fs.ModeSocket:
		return Socket
	}
	return Device
}

// extra adds what stat(2) does not tell about a path that is not opened.
func (c *collector) extra(m *Meta) {
	if !path.IsAbs(m.Path) {
		return
	}
	if x, err := c.root.Extra(hostName(m.Path)); err == nil {
		m.add(x)
	}
}

func (m *Meta) add(x host.Extra) {
	m.Btime = x.Born
	if x.Immutable {
		m.Note = joinText(m.Note, "immutable")
	}
	if x.AppendOnly {
		m.Note = joinText(m.Note, "append-only")
	}
}

// addXattrs names extended attributes: capabilities, access lists, quarantine marks. SELinux has one on every file.
func (m *Meta) addXattrs(f *os.File) {
	all, _ := host.Xattrs(f)
	delete(all, "security.selinux")
	for _, name := range slices.Sorted(maps.Keys(all)) {
		m.Note = joinText(m.Note, fmt.Sprintf("xattr %q, %d bytes", name, len(all[name])))
	}
}

// open opens what was listed, a file or directory, and describes what it opened.
func (c *collector) open(m Meta) (*os.File, Meta, error) {
	moved := 0
	for {
		f, err := c.root.OpenNoFollow(hostName(m.Path))
		if errors.Is(err, syscall.EAGAIN) && c.waitLease() {
			continue
		}
		if err != nil {
			return nil, m, err
		}
		if c.isAt(f, m.Path) {
			return c.describe(f, m)
		}
		f.Close()
		if moved++; moved == 3 {
			return nil, m, errMoved
		}
	}
}

func (c *collector) waitLease() bool {
	const step = 50 * time.Millisecond
	if c.lease < step || c.ctx.Err() != nil {
		return false
	}
	c.lease -= step
	time.Sleep(step)
	return true
}

// isAt says whether an open file lies where its path says. The path is looked up component by component, and each
// could be swapped for a link between two lookups: then the file is real, but another one.
func (c *collector) isAt(f *os.File, p string) bool {
	at := openedPath(f)
	if c.rootDir == "" || at == "" {
		return true
	}
	want := strings.TrimSuffix(c.rootDir, "/") + strings.TrimSuffix(p, "/")
	return at == want || at == want+" (deleted)" // unlinked since, or renamed over: that was it all the same
}

func (c *collector) describe(f *os.File, listed Meta) (*os.File, Meta, error) {
	fi, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, listed, err
	}
	m := metaOf(listed.Path, listed.Source, fi)
	if m.Type != listed.Type {
		f.Close()
		return nil, listed, errMoved
	}
	if m.Inode != listed.Inode || m.Dev != listed.Dev {
		m.Note = "replaced by another one after it was listed"
	}
	if x, err := host.ExtraOf(f); err == nil {
		m.add(x)
	}
	m.addXattrs(f)
	return f, m, nil
}

// file takes a regular file.
func (c *collector) file(m Meta, v visit) error {
	if v.listing != "" && !spend(v.left, m.HostSize) {
		return c.list(m, v.listing)
	}
	if c.past.unchanged(c, &m) {
		return nil
	}
	size := c.limit(m)
	if !c.fits(size) {
		return c.overBudget(m)
	}
	if c.w == nil {
		c.sizes.at(m.Source).file(size, m.HostSize)
		c.out.Bytes += size
		return nil
	}
	f, now, err := c.open(m)
	if err != nil {
		return c.failed(m, v, err)
	}
	defer f.Close()
	return c.store(f, now, func() string { return changedSince(f, now) })
}

// content is what a file holds, in order or from anywhere.
type content interface {
	io.Reader
	io.ReaderAt
}

// store adds an open file to the bundle.
func (c *collector) store(r content, m Meta, check func() string) error {
	size := c.limit(m)
	if !c.fits(size) {
		return c.overBudget(m)
	}
	if size < m.HostSize {
		why := fmt.Sprintf("larger than the limit of %d bytes for a file", size)
		if m.hollow {
			why = fmt.Sprintf("made of holes for the most part: only the first %d bytes are taken", size)
		}
		m.Note = joinText(m.Note, why)
		c.out.Cut++
	}
	if c.past != nil {
		return c.storeSince(r, m, size, check)
	}
	row, err := c.w.addChecked(m, &progressReader{c: c, r: r, path: m.Path}, size, check)
	return c.done(row, err)
}

// spend takes size from what is left, if there is enough.
func spend(left *int64, size int64) bool {
	if left == nil || *left < size {
		return false
	}
	*left -= size
	return true
}

// changedSince says what happened to an open file since it was described. A file that grew is seen by who reads it.
func changedSince(f *os.File, before Meta) string {
	fi, err := f.Stat()
	if err != nil {
		return openclaw.Cause(err)
	}
	if !host.Meta(fi).Mtime.Equal(before.Mtime) && fi.Size() == before.HostSize {
		return "written to while it was read: it may hold parts of two states"
	}
	return ""
}

// limit is how much of a file is taken.
func (c *collector) limit(m Meta) int64 {
	size := m.HostSize
	if m.hollow {
		size = hollowSize
	}
	if c.o.MaxFileSize > 0 {
		size = min(size, c.o.MaxFileSize)
	}
	return size
}

// fits says whether so many bytes are within the budget. What does not fit leaves room for what is smaller.
func (c *collector) fits(size int64) bool {
	return c.o.MaxSize <= 0 || size <= c.o.MaxSize-c.out.Bytes
}

func (c *collector) overBudget(m Meta) error {
	return c.cut(m, fmt.Sprintf("over the budget: %d of %d bytes are left", max(0, c.o.MaxSize-c.out.Bytes), c.o.MaxSize))
}

// cut records what is left out because of a limit.
func (c *collector) cut(m Meta, why string) error {
	c.sizes.at(m.Source).cut(m.HostSize)
	c.extra(&m)
	row := Row{Meta: m, Status: Skipped, Reason: why}
	c.out.Cut++
	c.out.lack(row)
	return c.record(row)
}

// list records a file whose content is not wanted.
func (c *collector) list(m Meta, why string) error {
	c.sizes.at(m.Source).list(m.HostSize)
	c.extra(&m)
	return c.record(Row{Meta: m, Status: Skipped, Reason: why})
}

// record adds a row that has no member.
func (c *collector) record(row Row) error {
	if row.Reason == interrupted {
		c.out.Interrupted = true
	}
	if c.w == nil {
		return c.done(row, nil)
	}
	if c.past.vanished(row) || c.past.known(row) {
		return nil
	}
	return c.done(row, c.w.Record(row))
}

// done counts a row that was written.
func (c *collector) done(row Row, err error) error {
	if err != nil {
		return err
	}
	c.rows++
	c.out.Count(row)
	return c.past.note(row)
}

// progressReader reports what is read, and ends when the collection is interrupted.
type progressReader struct {
	c    *collector
	r    io.Reader
	path string
}

func (p *progressReader) Read(b []byte) (int, error) {
	if err := p.c.ctx.Err(); err != nil {
		return 0, fmt.Errorf("%s: %w", interrupted, err)
	}
	n, err := p.r.Read(b)
	if p.c.o.Progress != nil {
		p.c.o.Progress(p.path, int64(n))
	}
	return n, err
}

// addChecked is AddFile for a file that can change without a change of its size: once it is read, check says what
// happened to it meanwhile, and the status is Changed if anything did.
func (w *Writer) addChecked(m Meta, r io.Reader, size int64, check func() string) (Row, error) {
	return w.addRow(Row{Meta: m, Status: Collected, Size: size}, r, check)
}

// addDelta is addChecked for a file of which only ranges are stored. r yields them one after the other, and then whatever the file
// holds behind d.Size. What check finds, or what cannot be read, takes away the digest of the whole: nobody has seen it.
func (w *Writer) addDelta(m Meta, r io.Reader, d Delta, check func() string) (Row, error) {
	row := Row{Meta: m, Status: Collected, Delta: &d}
	for _, part := range d.Ranges {
		row.Size += part[1]
	}
	return w.addRow(row, r, check)
}

// addRow stores a file, or what changed in it, and finishes and records its row.
func (w *Writer) addRow(row Row, r io.Reader, check func() string) (Row, error) {
	size := row.Size
	row.Type, row.Link = File, ""
	n, readErr := io.ReadFull(r, w.buf[:min(size, int64(len(w.buf)))])
	if n == 0 && !atEnd(readErr) {
		row.Status, row.Size, row.Delta, row.Reason = Unreadable, 0, nil, openclaw.Cause(readErr)
		return row, w.Record(row)
	}
	if err := w.begin(&row, tar.TypeReg); err != nil {
		return row, err
	}
	if err := w.copyContent(&row, r, n, readErr); err != nil {
		return row, err
	}
	if why := check(); why != "" {
		row.Reason = joinText(row.Reason, why)
		if row.Status == Collected {
			row.Status = Changed
		}
		row.mixed = true
		row.torn()
	}
	return row, w.Record(row)
}
