package repair

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"

	"github.com/clawbook/openclaw-ir/internal/host"
	"golang.org/x/sys/unix"
)

// chmod sets the permissions of a file or directory with its owner's rights if check agrees to what it is now. A link
// is not followed, nor is anything opened that is neither: opening a device acts on it.
func chmod(owner host.Owner, path string, mode uint32, check func(host.FileMeta) error) error {
	return host.AsAt(owner, path, func() error {
		fi, err := os.Lstat(path)
		if err != nil {
			return err
		}
		if err := plainFile(path, fi); err != nil {
			return err
		}
		f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		if fi, err = f.Stat(); err != nil {
			return err
		}
		if err := plainFile(path, fi); err != nil {
			return err
		}
		if err := check(host.Meta(fi)); err != nil {
			return &fs.PathError{Op: "chmod", Path: path, Err: err}
		}
		if err := unix.Fchmod(int(f.Fd()), mode); err != nil {
			return &fs.PathError{Op: "chmod", Path: path, Err: err}
		}
		return nil
	})
}

// plainFile refuses what is neither a regular file nor a directory.
func plainFile(path string, fi fs.FileInfo) error {
	switch {
	case fi.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("%q is a link, which is not followed", path)
	case !fi.Mode().IsRegular() && !fi.IsDir():
		return &fs.PathError{Op: "chmod", Path: path, Err: host.ErrSpecial}
	}
	return nil
}

// noLink refuses a path whose last part is a link.
func noLink(owner host.Owner, path string) error {
	return host.AsAt(owner, path, func() error {
		fi, err := os.Lstat(path)
		if err == nil && fi.Mode()&fs.ModeSymlink != 0 {
			err = fmt.Errorf("%q is a link, which is not followed", path)
		}
		return err
	})
}

func sum(text []byte) string {
	s := sha256.Sum256(text)
	return hex.EncodeToString(s[:])
}
