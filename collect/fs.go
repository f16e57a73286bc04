package collect

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"
)

// maxHops bounds the symlinks followed for one name, as Linux does; maxWalk bounds the components.
const (
	maxHops = 40
	maxWalk = 4096
)

// FS returns the evidence as the host had it: absolute paths without the leading slash. Symlinks are followed
// inside it, an absolute target from its root, as on the host. Files are io.ReaderAt and io.Seeker. What was
// there but was not collected can be seen and not opened (ErrNotCollected); so it is with a file of which a snapshot stores only
// what changed, and what did not change since the snapshot before is not seen at all: OpenChain unites them. Sys of a file's info is its *Row,
// or nil for a directory that has no row.
//
// A name that is not UTF-8, which io/fs does not allow, has its bytes written as \xNN; should two files come
// to bear one name, the later one gets "~2" and so on.
//
// It never fails, so that evidence is not lost to one bad row: Problems says what is wrong with it.
func (b *Bundle) FS() fs.FS { return b.index() }

// Problems returns what is wrong with the manifest as FS read it. It is empty for a bundle as we write it.
func (b *Bundle) Problems() []error { return b.index().problems }

// errDelta is why a file of an incremental snapshot cannot be opened by itself.
var errDelta = fmt.Errorf("%w: this snapshot stores only what changed in it: open it with the snapshots before", ErrNotCollected)

// evidence is the tree of a bundle's host files.
type evidence struct {
	content  func(*Row) (*io.SectionReader, error)
	nodes    map[string]*node // by path; "." is the root
	again    map[string]int   // how often a name was taken already
	problems []error
}

type node struct {
	path   string
	parent *node
	kids   []*node // sorted by name once the tree is built
	row    *Row    // nil: a directory without a row
	dir    bool
}

// newTree makes an empty tree. Its files are opened with content.
func newTree(content func(*Row) (*io.SectionReader, error)) *evidence {
	e := &evidence{content: content, nodes: make(map[string]*node), again: make(map[string]int)}
	root := &node{path: ".", dir: true}
	root.parent = root
	e.nodes["."] = root
	return e
}

func newEvidence(b *Bundle) *evidence {
	e := newTree(func(row *Row) (*io.SectionReader, error) {
		if row.Delta != nil {
			return nil, errDelta
		}
		return b.Content(*row)
	})
	for row, err := range b.Rows() {
		if err != nil {
			e.problem(err)
			break
		}
		if strings.HasPrefix(row.Path, "/") && row.Type != "" && row.Status != Missing && row.Status != Gone {
			e.add(row)
		}
	}
	e.sort()
	return e
}

func (e *evidence) sort() {
	for _, n := range e.nodes {
		slices.SortFunc(n.kids, func(a, b *node) int { return cmp.Compare(a.Name(), b.Name()) })
	}
}

const maxProblems = 1000

func (e *evidence) problem(err error) {
	if len(e.problems) < maxProblems {
		e.problems = append(e.problems, err)
	}
}

// add puts a row into the tree. The first row of a path wins; a later one is reported.
func (e *evidence) add(row Row) {
	if _, err := memberName(row.Path); err != nil {
		e.problem(err)
		return
	}
	if strings.Count(row.Path, "/") > maxWalk || (row.Path == "/" && row.Type != Dir) {
		e.problem(fmt.Errorf("%w: path %.80q is too deep or no directory", ErrMalformed, row.Path))
		return
	}
	if len(e.nodes) > maxRows {
		e.problem(fmt.Errorf("%w: %.80q is not shown, there are too many files", ErrLimit, row.Path))
		return
	}
	name := strings.TrimPrefix(escapeName(row.Path), "/")
	if name == "" {
		name = "."
	}
	n := e.nodes[name]
	if n != nil && n.row != nil && n.row.Path != row.Path {
		name = e.freeName(name)
		n = nil
	}
	switch {
	case n == nil:
		n = e.insert(name)
	case n.row != nil:
		e.problem(fmt.Errorf("%w: %q has two rows", ErrMalformed, row.Path))
		return
	}
	if len(n.kids) > 0 && row.Type != Dir {
		e.problem(fmt.Errorf("%w: %q is a %s and has files in it", ErrMalformed, row.Path, row.Type))
		return
	}
	n.row, n.dir = &row, row.Type == Dir
}

func (e *evidence) freeName(name string) string {
	for {
		e.again[name]++
		if next := fmt.Sprintf("%s~%d", name, e.again[name]+1); e.nodes[next] == nil {
			return next
		}
	}
}

// insert makes the node of a path, and those of the directories above it that are not there yet.
func (e *evidence) insert(name string) *node {
	above := path.Dir(name)
	parent := e.nodes[above]
	if parent == nil {
		parent = e.insert(above)
		parent.dir = true
	}
	if !parent.dir {
		e.problem(fmt.Errorf("%w: %q is a %s and has files in it", ErrMalformed, parent.row.Path, parent.row.Type))
	}
	n := &node{path: name, parent: parent}
	parent.kids = append(parent.kids, n)
	e.nodes[name] = n
	return n
}

// find returns the node of a name, and follows a symlink at its end if told to. It never leaves the tree.
func (e *evidence) find(op, name string, follow bool) (*node, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	if n := e.nodes[name]; n != nil && !(follow && n.isLink()) {
		return n, nil
	}
	n, err := e.walk(strings.Split(name, "/"), follow)
	if err != nil {
		return nil, &fs.PathError{Op: op, Path: name, Err: err}
	}
	return n, nil
}

func (e *evidence) walk(rest []string, follow bool) (*node, error) {
	cur, hops := e.nodes["."], 0
	for steps := 0; len(rest) > 0; steps++ {
		if steps > maxWalk || len(rest) > maxWalk {
			return nil, errors.New("path is too long")
		}
		part := rest[0]
		rest = rest[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			cur = cur.parent
			continue
		}
		next := e.nodes[path.Join(cur.path, part)]
		if next == nil {
			return nil, fs.ErrNotExist
		}
		if !next.isLink() || (len(rest) == 0 && !follow) {
			cur = next
			continue
		}
		if hops++; hops > maxHops {
			return nil, errors.New("too many levels of symbolic links")
		}
		target := escapeName(next.row.Link)
		if strings.HasPrefix(target, "/") {
			cur = e.nodes["."]
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return cur, nil
}

// Open opens the named file or directory.
func (e *evidence) Open(name string) (fs.File, error) {
	n, err := e.find("open", name, true)
	if err != nil {
		return nil, err
	}
	if n.dir {
		return &openDir{e: e, n: n}, nil
	}
	content, err := e.content(n.row)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return &openFile{content, n}, nil
}

// Stat describes the named file, following symlinks.
func (e *evidence) Stat(name string) (fs.FileInfo, error) {
	n, err := e.find("stat", name, true)
	if err != nil {
		return nil, err
	}
	return n, nil
}

// Lstat describes the named file itself.
func (e *evidence) Lstat(name string) (fs.FileInfo, error) {
	n, err := e.find("lstat", name, false)
	if err != nil {
		return nil, err
	}
	return n, nil
}

// ReadLink returns the target of a symlink as it is stored.
func (e *evidence) ReadLink(name string) (string, error) {
	n, err := e.find("readlink", name, false)
	if err != nil {
		return "", err
	}
	if !n.isLink() {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrInvalid}
	}
	return n.row.Link, nil
}

// ReadDir lists the named directory by name.
func (e *evidence) ReadDir(name string) ([]fs.DirEntry, error) {
	n, err := e.find("readdir", name, true)
	if err != nil {
		return nil, err
	}
	return n.entries(name)
}

// entries lists a directory. One that was not collected and of which nothing is known is an error, not empty.
func (n *node) entries(name string) ([]fs.DirEntry, error) {
	if !n.dir {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: syscall.ENOTDIR}
	}
	if n.row != nil && !n.row.Status.stored() && len(n.kids) == 0 {
		err := fmt.Errorf("%w (%s %.200q)", ErrNotCollected, n.row.Status, n.row.Reason)
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: err}
	}
	list := make([]fs.DirEntry, len(n.kids))
	for i, k := range n.kids {
		list[i] = fs.FileInfoToDirEntry(k)
	}
	return list, nil
}

func (n *node) isLink() bool { return n.row != nil && n.row.Type == Symlink && !n.dir }

// A node is its own fs.FileInfo.

func (n *node) Name() string { return path.Base(n.path) }
func (n *node) IsDir() bool  { return n.dir }

func (n *node) Sys() any {
	if n.row == nil {
		return nil
	}
	return n.row
}

func (n *node) Size() int64 {
	switch {
	case n.row == nil || n.dir:
		return 0
	case n.isLink():
		return int64(len(n.row.Link))
	}
	return n.row.WholeSize()
}

func (n *node) ModTime() time.Time {
	if n.row == nil {
		return time.Time{}
	}
	return n.row.Mtime
}

func (n *node) Mode() fs.FileMode {
	if n.row == nil {
		return fs.ModeDir | 0o500
	}
	mode := fs.FileMode(n.row.Mode & 0o777)
	for bit, m := range map[Mode]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if n.row.Mode&bit != 0 {
			mode |= m
		}
	}
	if n.dir {
		return mode | fs.ModeDir
	}
	switch n.row.Type {
	case File:
		return mode
	case Symlink:
		return mode | fs.ModeSymlink
	case Fifo:
		return mode | fs.ModeNamedPipe
	case Socket:
		return mode | fs.ModeSocket
	case Device:
		return mode | fs.ModeDevice
	}
	return mode | fs.ModeIrregular
}

// openFile is an open regular file.
type openFile struct {
	*io.SectionReader
	n *node
}

func (f *openFile) Stat() (fs.FileInfo, error) { return f.n, nil }
func (f *openFile) Close() error               { return nil }

// openDir is an open directory.
type openDir struct {
	e    *evidence
	n    *node
	read int
}

func (d *openDir) Stat() (fs.FileInfo, error) { return d.n, nil }
func (d *openDir) Close() error               { return nil }

func (d *openDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.n.path, Err: errors.New("is a directory")}
}

// ReadDir lists the next n entries, or all if n is not positive.
func (d *openDir) ReadDir(n int) ([]fs.DirEntry, error) {
	all, err := d.n.entries(d.n.path)
	if err != nil {
		return nil, err
	}
	all = all[d.read:]
	if n > 0 && len(all) == 0 {
		return nil, io.EOF
	}
	if n > 0 {
		all = all[:min(n, len(all))]
	}
	d.read += len(all)
	return all, nil
}
