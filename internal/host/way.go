package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// onWay judges what lies on the way to a file that is owner's, where we are root: a link is followed only if it is root's or owner's,
// else a user could lead what is done with another user's rights to another of that user's files. On the way to what is
// root's there is nothing that somebody else could replace.
func onWay(owner Owner) func(path string, st *unix.Stat_t) error {
	return func(path string, st *unix.Stat_t) error {
		kind := st.Mode & unix.S_IFMT
		own := st.Uid == 0 || st.Uid == owner.UID
		switch {
		case kind == unix.S_IFLNK && !own:
			return fmt.Errorf("%w: %q is a link of user %d to what is user %d's", ErrNotTrusted, "/"+path, st.Uid, owner.UID)
		case kind != unix.S_IFDIR || owner.UID != 0:
			return nil
		case !own:
			return fmt.Errorf("%w: %q belongs to user %d", ErrNotTrusted, "/"+path, st.Uid)
		case st.Mode&0o022 != 0 && st.Mode&unix.S_ISVTX == 0: // in a sticky directory nobody can replace what is root's
			return fmt.Errorf("%w: %q can be written by others than root", ErrNotTrusted, "/"+path)
		}
		return nil
	}
}

// findFor walks to name as [Root.find] does, and where we are root only on a way that is owner's.
func (r *Root) findFor(owner Owner, op, name string, follow bool) (*place, error) {
	if os.Geteuid() != 0 {
		return r.find(op, name, follow)
	}
	return r.findSeeing(op, name, follow, onWay(owner))
}

// A spot is the directory in which a file lies, open, and the file's name there. What is done to the file is done in that directory,
// wherever the way to it leads by then.
type spot struct {
	*place
	path string // as it was asked for
}

// spotFor finds a file of this machine that is to be changed with a user's rights. One that does not exist has a spot if its directory does.
// follow says whether a link of that name stands for what it leads to.
func spotFor(owner Owner, path string, follow bool) (*spot, error) {
	root, err := OpenRoot("/")
	if err != nil {
		return nil, err
	}
	name := hostName(path)
	p, err := root.findFor(owner, "open", name, follow)
	if errors.Is(err, fs.ErrNotExist) && name != "." {
		p, err = root.findFor(owner, "open", hostName(filepath.Dir(path)), true)
		if err == nil {
			p, err = p.in(filepath.Base(path))
		}
	}
	if err != nil {
		root.Close()
		return nil, err
	}
	return &spot{p, path}, nil
}

// in is the place of a name in a directory that was found.
func (p *place) in(name string) (*place, error) {
	dir, err := p.root.enter(p.dir, p.base, searchFlags|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC)
	p.close()
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: p.host(), Err: err}
	}
	return &place{root: p.root, dir: dir, base: name, path: filepath.Join(p.path, name), led: p.led}, nil
}

func (s *spot) close() {
	s.place.close()
	s.root.Close()
}

// AsAt is [As] for what is done by a path: where we are root, the way to it must be the user's or root's, and nothing that a user serves. do may still be led elsewhere by
// the user, to where that user could go anyway; on the way to what is root's nobody else can lead.
func AsAt(owner Owner, path string, do func() error) error {
	return As(owner, func() error {
		if err := wayTo(owner, path); errors.Is(err, ErrNotTrusted) {
			return err
		}
		return explainRefusal(do(), path) // it says what else is wrong
	})
}

// wayTo looks at the way to a path, and whether a user serves what lies there.
func wayTo(owner Owner, path string) error {
	s, err := spotFor(owner, filepath.Dir(path), true)
	if err != nil {
		return err
	}
	defer s.root.Close()
	p, err := s.in(filepath.Base(path))
	if err != nil {
		return err
	}
	defer p.close()
	var st unix.Stat_t
	at, err := p.root.pin(p.dir, p.base, &st)
	shut(at)
	return err
}

// RootsOwn says whether nobody but root could have put there what lies at a path of this machine, or if it is a directory, in it. Otherwise
// the error wraps [ErrNotTrusted].
func RootsOwn(path string) error {
	r, err := OpenRoot("/")
	if err != nil {
		return err
	}
	defer r.Close()
	p, err := r.findSeeing("open", hostName(path), true, onWay(Owner{}))
	if err != nil {
		return err
	}
	defer p.close()
	return onlyRoot(p.path, &p.stat)
}

// OpenDir opens a directory of this machine in which files are made for the user of this program, who named it. Whatever becomes of the
// path then, what is done through the [os.Root] is done in the directory that was opened. Where we are root, a link on the way
// is followed only if it is root's or belongs to the user whose directory it leads to: what root makes in a user's directory does not end
// up in another's, or in root's. Otherwise the error wraps [ErrNotTrusted]. A file system that a user serves is entered: it was named.
func OpenDir(path string) (*os.Root, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	r, err := OpenRoot("/")
	if err != nil {
		return nil, err
	}
	defer r.Close()
	r.mounts.enterAny()
	var links []uint32 // whose they are
	p, err := r.findSeeing("open", hostName(path), true, func(_ string, st *unix.Stat_t) error {
		if st.Mode&unix.S_IFMT == unix.S_IFLNK && st.Uid != 0 {
			links = append(links, st.Uid)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	defer p.close()
	owner := p.stat.Uid
	if i := slices.IndexFunc(links, func(uid uint32) bool { return uid != owner }); i >= 0 && os.Geteuid() == 0 {
		return nil, fmt.Errorf("opening %q: %w: a link of user %d leads to %q, which is user %d's", path, ErrNotTrusted, links[i], p.host(), owner)
	}
	return p.openRoot()
}

// openRoot opens a place for files to be made in, if it is still there.
func (p *place) openRoot() (*os.Root, error) {
	there, err := p.info()
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: p.host(), Err: err}
	}
	dir, err := os.OpenRoot(p.host())
	if err != nil {
		return nil, err
	}
	if now, err := dir.Stat("."); err != nil || !os.SameFile(there, now) {
		dir.Close()
		return nil, &fs.PathError{Op: "open", Path: p.host(), Err: ErrChanged}
	}
	return dir, nil
}
