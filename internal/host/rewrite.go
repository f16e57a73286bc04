package host

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/clawbook/openclaw-ir/internal/durable"
	"github.com/clawbook/openclaw-ir/internal/json5"
	"golang.org/x/sys/unix"
)

// ErrChanged says that a file is not what it was when the change to it was planned.
var ErrChanged = errors.New("changed meanwhile")

// FileState is what a file was at one moment. The zero FileState is that of a file that doesn't exist.
type FileState struct {
	Exists bool   `json:"exists"`
	Mode   uint32 `json:"mode,omitempty"` // permissions
	UID    uint32 `json:"uid"`
	GID    uint32 `json:"gid"`
	Size   int64  `json:"size,omitempty"`
	SHA256 string `json:"sha256,omitempty"` // hex
}

// rewriteLimit bounds a file that is rewritten, in bytes. Configurations and unit files are far smaller.
const rewriteLimit = 64 << 20

// ReadFile reads a regular file of this machine as a user may read it, and says what it was. A link is followed as
// far as the user could go. A file that does not exist has the zero FileState and no error.
func ReadFile(owner Owner, path string) (text []byte, st FileState, err error) {
	err = As(owner, func() error {
		text, st, err = readFile(path)
		return err
	})
	return text, st, err
}

func readFile(path string) ([]byte, FileState, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil, FileState{}, nil
	}
	if err != nil {
		return nil, FileState{}, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err == nil && !fi.Mode().IsRegular() {
		err = ErrSpecial
	}
	if err == nil && fi.Size() > rewriteLimit {
		err = fmt.Errorf("larger than %d bytes", rewriteLimit)
	}
	if err != nil {
		return nil, FileState{}, &fs.PathError{Op: "read", Path: path, Err: err}
	}
	text, err := io.ReadAll(io.LimitReader(f, rewriteLimit+1))
	if err != nil {
		return nil, FileState{}, err
	}
	m := Meta(fi)
	sum := sha256.Sum256(text)
	return text, FileState{true, m.Mode & 0o7777, m.UID, m.GID, int64(len(text)), hex.EncodeToString(sum[:])}, nil
}

// Rewrite replaces the content of a file, or makes one, in one step that a crash cannot halve, and returns what the
// file is then. It acts with the user's rights. was is what [ReadFile] said of it: a file that is something else
// by now is left alone, and the error wraps [ErrChanged]. Mode and owner stay; a new file gets mode, and its directory is
// made if it is missing.
func Rewrite(owner Owner, path string, text []byte, was FileState, mode fs.FileMode) (now FileState, err error) {
	err = As(owner, func() error {
		now, err = rewrite(path, text, was, mode)
		return err
	})
	return now, err
}

// temporaryPrefix begins the name of a file that is about to replace another.
const temporaryPrefix = ".openclaw-ir-"

// RemoveTemporary removes from a directory what a Rewrite that was killed left there.
func RemoveTemporary(owner Owner, dir string) error {
	return As(owner, func() error {
		names, err := filepath.Glob(filepath.Join(dir, temporaryPrefix+"*"))
		for _, name := range names {
			if fi, serr := os.Lstat(name); serr == nil && fi.Mode().IsRegular() && len(filepath.Base(name)) == len(temporaryPrefix)+len(rand.Text()) {
				err = errors.Join(err, os.Remove(name))
			}
		}
		return err
	})
}

func rewrite(path string, text []byte, was FileState, mode fs.FileMode) (FileState, error) {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	if err := unchanged(path, was); err != nil {
		return FileState{}, err
	}
	dir := filepath.Dir(path)
	if !was.Exists {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return FileState{}, err
		}
	} else {
		mode = fs.FileMode(was.Mode & 0o777)
	}
	temporary := filepath.Join(dir, temporaryPrefix+rand.Text())
	err := writeLike(temporary, text, was, mode)
	if err == nil {
		err = unchanged(path, was)
	}
	if err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		_ = os.Remove(temporary)
		return FileState{}, err
	}
	if err := syncDirectory(dir); err != nil {
		return FileState{}, err
	}
	_, now, err := readFile(path)
	return now, err
}

// writeLike writes a new file through to the disk, with the owner of the one it stands in for.
func writeLike(path string, text []byte, was FileState, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if fi, serr := f.Stat(); err == nil && serr == nil && was.Exists {
		if m := Meta(fi); m.UID != was.UID || m.GID != was.GID {
			err = f.Chown(int(was.UID), int(was.GID))
		}
	}
	return errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
}

// Remove removes a file if it is still what was says.
func Remove(owner Owner, path string, was FileState) error {
	return As(owner, func() error {
		if err := unchanged(path, was); err != nil {
			return err
		}
		if !was.Exists {
			return nil
		}
		if err := os.Remove(path); err != nil {
			return err
		}
		return syncDirectory(filepath.Dir(path))
	})
}

func unchanged(path string, was FileState) error {
	_, now, err := readFile(path)
	if err != nil {
		return err
	}
	if now != was {
		return &fs.PathError{Op: "change", Path: path, Err: ErrChanged}
	}
	return nil
}

func syncDirectory(dir string) error {
	d, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return durable.SyncDir(d, ".")
}

// OwnerOf returns the user whose rights suffice for a path, which the caller then acts with: the file's or
// directory's own owner. What belongs to root must lie where root alone can write, or the error wraps [ErrNotTrusted].
func OwnerOf(r *Root, path string) (Owner, error) {
	name := hostName(path)
	fi, err := r.Stat(name)
	if err != nil {
		return Owner{}, err
	}
	m := Meta(fi)
	if m.UID == 0 && os.Geteuid() == 0 {
		p, err := r.findSeeing("open", name, true, onlyRoot)
		if err != nil {
			return Owner{}, err
		}
		p.close()
	}
	return Owner{m.UID, m.GID}, nil
}

func hostName(path string) string {
	if path = filepath.Clean("/" + path); path == "/" {
		return "."
	}
	return path[1:]
}

// Revert takes back the edits to a file that was before and then became after. One that is something else by now was
// changed by somebody else: that is an error that wraps [ErrChanged], unless force. A file that is as before is left as it is.
func Revert(owner Owner, path string, edits json5.Patch, before, after FileState, force bool) error {
	text, now, err := ReadFile(owner, path)
	if err != nil {
		return err
	}
	if now.Exists == before.Exists && now.SHA256 == before.SHA256 {
		return nil // never made, or taken back already
	}
	changed := now.SHA256 != after.SHA256
	if changed && !force {
		return fmt.Errorf("%q: %w by somebody else", path, ErrChanged)
	}
	old, err := edits.Invert().Apply(text)
	if err != nil {
		return fmt.Errorf("taking back the edits to %q: %w", path, err)
	}
	if sum := sha256.Sum256(old); !changed && hex.EncodeToString(sum[:]) != before.SHA256 {
		return fmt.Errorf("taking back the edits to %q does not give what was there", path)
	}
	_, err = Rewrite(owner, path, old, now, 0o600)
	return err
}
