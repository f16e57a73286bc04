package drill

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// Options choose what of an archive is unpacked, and whose it will be.
type Options struct {
	// Place returns where a member lies in the host, or "" if it is no part of it. Nil takes home and tmp as they are.
	Place func(member string) string
	// Own gives each file back to its owner, which only root can do.
	Own bool
}

// Unpack writes the host in a .tar.zst below dir, with modes and modification times, and nothing outside it.
func Unpack(dir string, archive io.Reader, o Options) error {
	z, err := zstd.NewReader(archive, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return err
	}
	defer z.Close()
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if o.Place == nil {
		o.Place = homeAndTmp
	}
	x := extraction{root: root, Options: o}
	return x.all(tar.NewReader(z))
}

func homeAndTmp(member string) string {
	if Within(member, "home") || Within(member, "tmp") {
		return member
	}
	return ""
}

// Within reports whether a clean slash-separated name is dir or lies in it.
func Within(name, dir string) bool { return name == dir || strings.HasPrefix(name, dir+"/") }

// extraction writes one archive below root. Directories keep their headers until the end, because writing a file
// into a directory changes its modification time.
type extraction struct {
	Options
	root *os.Root
	dirs []*tar.Header
}

func (x *extraction) all(r *tar.Reader) error {
	for {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		name := x.Place(path.Clean(h.Name))
		if name == "" {
			continue
		}
		h.Name = name
		if err := x.entry(h, r); err != nil {
			return err
		}
	}
	for i := len(x.dirs) - 1; i >= 0; i-- {
		if err := x.restore(x.dirs[i]); err != nil {
			return err
		}
	}
	if len(x.dirs) == 0 {
		return errors.New("nothing of a host is in it")
	}
	return nil
}

func (x *extraction) entry(h *tar.Header, r io.Reader) error {
	if err := x.root.MkdirAll(path.Dir(h.Name), 0o755); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeDir:
		x.dirs = append(x.dirs, h)
		return x.root.MkdirAll(h.Name, 0o755)
	case tar.TypeSymlink:
		if err := x.root.Symlink(h.Linkname, h.Name); err != nil {
			return err
		}
		return x.own(h)
	case tar.TypeReg:
		f, err := x.root.OpenFile(h.Name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, r)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
		return x.restore(h)
	}
	return fmt.Errorf("member %q: unexpected type %q", h.Name, h.Typeflag)
}

func (x *extraction) restore(h *tar.Header) error {
	if err := x.own(h); err != nil {
		return err
	}
	if err := x.root.Chmod(h.Name, h.FileInfo().Mode().Perm()); err != nil {
		return err
	}
	return x.root.Chtimes(h.Name, h.ModTime, h.ModTime)
}

func (x *extraction) own(h *tar.Header) error {
	if !x.Own {
		return nil
	}
	return x.root.Lchown(h.Name, h.Uid, h.Gid)
}
