package collect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/clawbook/openclaw-ir/internal/host"
)

// Limits bounds what Extract writes. A zero field means the default.
type Limits struct {
	Bytes int64 // content in all; default 64 GiB
	Files int64 // members in all; default 4 million
}

func (l Limits) orDefault() Limits {
	if l.Bytes <= 0 {
		l.Bytes = 64 << 30
	}
	if l.Files <= 0 {
		l.Files = maxRows
	}
	return l
}

// ExtractReport says what was written, and what was not and why.
type ExtractReport struct {
	Files    int64     `json:"files"`
	Dirs     int64     `json:"dirs"`
	Links    int64     `json:"links"`
	Notes    int64     `json:"notes"` // links that were written as NAME.symlink, a text file with the target
	Bytes    int64     `json:"bytes"`
	Problems []Problem `json:"problems"`
	Dropped  int64     `json:"dropped,omitzero"` // problems beyond the first thousand
}

func (r *ExtractReport) add(kind, path, format string, args ...any) {
	if len(r.Problems) >= maxProblems {
		r.Dropped++
		return
	}
	r.Problems = append(r.Problems, Problem{kind, path, fmt.Sprintf(format, args...)})
}

// Extract writes members, from Bundle.Members or Salvage, to dir, which must be new or empty and becomes
// accessible to its owner only.
//
// The archive is hostile: nothing is written outside dir, over another file or through a symlink; files are
// 0600 and directories 0700, whatever they were; there are no devices and no hard links. A symlink is made
// only if it cannot leave dir, and otherwise becomes a small text file. What is refused or cut is a Problem.
// The error is not nil only if dir cannot be used, ctx ended, the wrong key was given or the disk is full.
func Extract(ctx context.Context, members iter.Seq2[Member, error], dir string, l Limits) (*ExtractReport, error) {
	root, err := openEmpty(dir)
	if err != nil {
		return nil, fmt.Errorf("extracting: %w", err)
	}
	defer root.Close()
	x := &extractor{root: root, left: l.orDefault(), report: &ExtractReport{}}
	for m, err := range members {
		if err == nil {
			err = x.member(m)
		}
		switch {
		case err == nil:
		case errors.Is(err, ErrCut) && ctx.Err() == nil:
			x.report.add("cut", m.Name, "%v", err)
			return x.report, x.makeLinks()
		case errors.Is(err, ErrLimit):
			x.report.add("limit", m.Name, "%v: this member and what follows is not written", err)
			return x.report, x.makeLinks()
		default:
			return x.report, fmt.Errorf("extracting: %w", err)
		}
	}
	return x.report, x.makeLinks()
}

// openEmpty opens dir, and makes it if there is none.
func openEmpty(dir string) (*os.Root, error) {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	root, err := host.OpenDir(dir)
	if err != nil {
		return nil, err
	}
	if err := checkEmpty(root); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return root, nil
}

func checkEmpty(root *os.Root) error {
	d, err := root.Open(".")
	if err != nil {
		return err
	}
	defer d.Close()
	names, err := d.Readdirnames(1)
	if len(names) > 0 {
		return fmt.Errorf("directory %q is not empty", root.Name())
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return root.Chmod(".", 0o700)
}

type extractor struct {
	root   *os.Root
	left   Limits
	links  [][2]string // name, target; made last, so that nothing is written through one
	report *ExtractReport
}

// member writes one member. What is wrong with it alone is reported and not returned.
func (x *extractor) member(m Member) error {
	if x.left.Files--; x.left.Files < 0 {
		return fmt.Errorf("%w: too many members", ErrLimit)
	}
	if !filepath.IsLocal(m.Name) || path.Clean(m.Name) != m.Name || m.Name == "." || strings.ContainsRune(m.Name, 0) {
		x.report.add("name", m.Name, "not a name inside the archive")
		return nil
	}
	switch m.Type {
	case Dir:
		return x.check(m.Name, x.root.MkdirAll(m.Name, 0o700), &x.report.Dirs)
	case File:
		return x.file(m.Name, m, &x.report.Files)
	case Symlink:
		return x.link(m)
	}
	x.report.add("type", m.Name, "neither file nor directory nor symlink")
	return nil
}

// check counts a success, reports an error that is this member's own, and returns any other.
func (x *extractor) check(name string, err error, count *int64) error {
	switch {
	case err == nil:
		*count++
		return nil
	case errors.Is(err, ErrCut), errors.Is(err, ErrLimit), errors.Is(err, context.Canceled),
		errors.Is(err, context.DeadlineExceeded), errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return err
	case errors.Is(err, fs.ErrExist):
		x.report.add("duplicate", name, "this name was written before")
	default:
		x.report.add("write", name, "%v", err)
	}
	return nil
}

func (x *extractor) file(name string, m Member, count *int64) error {
	err := x.root.MkdirAll(path.Dir(name), 0o700)
	if err == nil {
		err = x.content(name, m)
	}
	return x.check(name, err, count)
}

// content writes a file. A file that the bundle's end cuts is kept, as far as it goes, under its own name.
func (x *extractor) content(name string, m Member) error {
	if m.Size > x.left.Bytes {
		return fmt.Errorf("%w: more than the allowed size in all", ErrLimit)
	}
	f, err := x.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	n, err := io.Copy(f, io.LimitReader(m.Body, m.Size))
	x.left.Bytes -= n
	x.report.Bytes += n
	err = errors.Join(err, f.Close())
	if m.Mtime.Equal(time.Unix(0, m.Mtime.UnixNano())) {
		// Times are a service to the reader; the manifest is the record. Chtimes counts nanoseconds, and would make another time of one
		// that those do not reach, such as of the year 2400.
		_ = x.root.Chtimes(name, m.Mtime, m.Mtime)
	}
	return err
}

func (x *extractor) link(m Member) error {
	if !staysInside(m.Name, m.Link) {
		note := Member{Size: int64(len(m.Link)) + 1, Body: strings.NewReader(m.Link + "\n"), Mtime: m.Mtime}
		x.report.add("link", m.Name, "leads elsewhere: written as a text file")
		return x.file(m.Name+".symlink", note, &x.report.Notes)
	}
	// The folder is made now: later it could come to be a symlink itself.
	if err := x.root.MkdirAll(path.Dir(m.Name), 0o700); err != nil {
		var none int64
		return x.check(m.Name, err, &none)
	}
	x.links = append(x.links, [2]string{m.Name, m.Link})
	return nil
}

// staysInside says whether a symlink cannot lead out of its top folder. ".." is allowed at the beginning
// only: behind a name that is a symlink too it would mean something else than it seems.
func staysInside(name, target string) bool {
	if target == "" || len(target) > maxPath || path.IsAbs(target) || strings.ContainsAny(target, "\x00\\") {
		return false
	}
	rest, up := target, 0
	for strings.HasPrefix(rest, "../") || rest == ".." {
		rest = strings.TrimPrefix(strings.TrimPrefix(rest, ".."), "/")
		up++
	}
	for _, part := range strings.Split(rest, "/") {
		if part == ".." {
			return false
		}
	}
	return up < strings.Count(name, "/")
}

func (x *extractor) makeLinks() error {
	for _, l := range x.links {
		if err := x.check(l[0], x.root.Symlink(l[1], l[0]), &x.report.Links); err != nil {
			return fmt.Errorf("extracting: %w", err)
		}
	}
	return nil
}
