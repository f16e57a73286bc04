package host

import (
	"encoding/binary"
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// accessACL is where Linux keeps who else may use a file (acl(5)).
const accessACL = "system.posix_acl_access"

// copyACL gives a file the access control list of another, or none. A new file has what its directory's default says, and while it has a
// list its mode's group bits stand for all whom that names.
func copyACL(from, to *os.File) error {
	list, err := aclOf(from)
	if err != nil {
		return err
	}
	err = withFD(to, func(fd int) error {
		if len(list) == 0 {
			return unix.Fremovexattr(fd, accessACL)
		}
		return unix.Fsetxattr(fd, accessACL, list, 0)
	})
	if len(list) == 0 && noACL(err) {
		return nil
	}
	return aclError(err, to)
}

func aclOf(f *os.File) (list []byte, err error) {
	buf := make([]byte, 64<<10) // XATTR_SIZE_MAX
	err = withFD(f, func(fd int) error {
		n, err := unix.Fgetxattr(fd, accessACL, buf)
		list = buf[:max(n, 0)]
		return err
	})
	if noACL(err) {
		return nil, nil
	}
	return list, aclError(err, f)
}

// noACL says whether a file has no list, or its file system knows none.
func noACL(err error) bool { return errors.Is(err, unix.ENODATA) || errors.Is(err, unix.ENOTSUP) }

func aclError(err error, f *os.File) error {
	if err == nil {
		return nil
	}
	return &os.PathError{Op: "keeping the access control list", Path: f.Name(), Err: err}
}

// NamedWriter says whether a file's access control list lets a user or group that it names write to the file. The mode shows that as a
// right of the file's own group.
func NamedWriter(f *os.File) (bool, error) {
	list, err := aclOf(f)
	if err != nil || len(list) < 4 {
		return false, err
	}
	const user, group, mask, write, entry = 0x02, 0x08, 0x10, 2, 8 // include/uapi/linux/posix_acl_xattr.h
	named, masked := false, false
	for list = list[4:]; len(list) >= entry; list = list[entry:] {
		tag, may := binary.LittleEndian.Uint16(list), binary.LittleEndian.Uint16(list[2:])&write != 0
		named = named || (tag == user || tag == group) && may
		masked = masked || tag == mask && !may
	}
	return named && !masked, nil
}
