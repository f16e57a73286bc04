package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// led says by whom a walk was led: the users, other than root, whose links it followed. The agent's user makes what links it likes, of
// its config, a transcript or a directory, and does so while we read. Where we are root, none of them leads to what the
// user could not have read: it is no evidence of what the agent did, and nobody is to find it in a bundle or a report.
type led struct {
	users  []Owner
	barred bool // one of them could not have gone through a directory on the way
}

// by notes whose a link is that lies in an open directory. A link of root's in another's directory may have been put there.
func (l *led) by(dir int, st *unix.Stat_t) error {
	who := Owner{st.Uid, st.Gid}
	if who.UID == 0 {
		var in unix.Stat_t
		if err := retry(func() error { return unix.Fstat(dir, &in) }); err != nil {
			return err
		}
		who = Owner{in.Uid, in.Gid}
	}
	if who.UID != 0 && os.Geteuid() == 0 {
		l.users = append(l.users, who)
	}
	return nil
}

// through notes a directory on the way.
func (l *led) through(st *unix.Stat_t) {
	for _, who := range l.users {
		l.barred = l.barred || !allows(st, who, 0o1)
	}
}

// mayRead refuses a file or directory that one of the users could not have read, and a hard link in a user's directory to such a file.
func (l *led) mayRead(dir int, st *unix.Stat_t) error {
	if l.barred {
		return fmt.Errorf("%w: a link of user %d leads to where that user may not go", ErrNotTrusted, l.users[0].UID)
	}
	for _, who := range l.users {
		if !allows(st, who, 0o4) {
			return fmt.Errorf("%w: a link of user %d leads to what that user may not read", ErrNotTrusted, who.UID)
		}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG || st.Nlink < 2 || os.Geteuid() != 0 {
		return nil
	}
	var in unix.Stat_t
	if err := retry(func() error { return unix.Fstat(dir, &in) }); err != nil {
		return err
	}
	if in.Uid != 0 && !allows(st, Owner{in.Uid, in.Gid}, 0o4) {
		return fmt.Errorf("%w: a hard link in a directory of user %d leads to what that user may not read", ErrNotTrusted, in.Uid)
	}
	return nil
}

// MayRead says whether a user could read what lies at a name. The error wraps [ErrNotTrusted] if not: as root, what a user's configuration
// names is as little to be followed there as a user's link. Of what is not there, its directory tells.
func (r *Root) MayRead(who Owner, name string) error {
	if who.UID == 0 || os.Geteuid() != 0 || name == "." {
		return nil
	}
	w := &walk{root: r, fd: r.fd, led: led{users: []Owner{who}}}
	p, err := w.to(strings.Split(name, "/"), true)
	if errors.Is(err, fs.ErrNotExist) {
		w.leave()
		return r.MayRead(who, path.Dir(name))
	}
	if err != nil {
		w.leave()
		return &fs.PathError{Op: "look at", Path: name, Err: err}
	}
	defer p.close()
	return p.mayRead(p.dir, &p.stat)
}

// allows says whether a file's mode gives a user a permission, 4 to read or 1 to go through, as far as the user's own group tells. Its
// owner can give it at any time.
func allows(st *unix.Stat_t, who Owner, permission uint32) bool {
	return who.May(permission, Owner{st.Uid, st.Gid}, uint32(st.Mode))
}

// May says whether what an owner has gives a user a permission by its mode, 4 to read or 1 to go through. The owner can give it at any time.
func (who Owner) May(permission uint32, owner Owner, mode uint32) bool {
	return who.UID == 0 || owner.UID == who.UID || mode&permission != 0 || owner.GID == who.GID && mode>>3&permission != 0
}
