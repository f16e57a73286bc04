package openclaw

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"syscall"

	"github.com/clawbook/openclaw-ir/internal/durable"
	"github.com/clawbook/openclaw-ir/internal/host"
)

// maxSmall bounds a file that is read whole: configs, unit files, indexes. Bytes.
const maxSmall = 32 << 20

// ErrLeftOut says that the evidence holds a file's name and not its content, by choice of who collected it. An fs.FS of
// collected evidence wraps it.
var ErrLeftOut = errors.New("left out of the evidence")

// isLeftOut reports whether a file's content was left out.
func isLeftOut(fsys fs.FS, hostPath string) bool {
	f, err := fsys.Open(FSName(hostPath))
	if err == nil {
		f.Close()
	}
	return errors.Is(err, ErrLeftOut)
}

// readSmall reads a whole file of the host. A file that is not there is no gap; anything else unreadable is.
func readSmall(fsys fs.FS, hostPath string) ([]byte, []Gap) {
	f, err := fsys.Open(FSName(hostPath))
	if err != nil {
		return nil, readGap(hostPath, err)
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, []Gap{{Path: hostPath, What: "is a directory, not a file"}}
	}
	text, err := io.ReadAll(io.LimitReader(f, maxSmall+1))
	if len(text) > maxSmall {
		return text[:maxSmall], []Gap{{Path: hostPath, What: "longer than 32 MiB; the rest was not read"}}
	}
	if err != nil {
		return text, readGap(hostPath, err)
	}
	return text, nil
}

// ErrTooLarge means that a file is larger than what is read of one.
var ErrTooLarge = errors.New("larger than is read of a file")

// Digest is the SHA-256 of a file of the host, in hex. One of more than limit bytes is not read to its end, for a sparse file of a
// terabyte is made in no time: the error wraps [ErrTooLarge].
func Digest(fsys fs.FS, hostPath string, limit int64) (string, error) {
	f, err := fsys.Open(FSName(hostPath))
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	h := sha256.New()
	n := info.Size()
	if n <= limit { // by now it may have grown
		if n, err = io.Copy(h, io.LimitReader(f, limit+1)); err != nil {
			return "", err
		}
	}
	if n > limit {
		return "", fmt.Errorf("%w: more than %d MiB; its digest was not taken", ErrTooLarge, limit>>20)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// readGap turns a read error into a gap. What does not exist is none.
func readGap(hostPath string, err error) []Gap {
	if err == nil || errors.Is(err, io.EOF) || IsAbsent(err) {
		return nil
	}
	return []Gap{{Path: hostPath, What: Cause(err), Unknown: durable.DiskFailed(err) || errors.Is(err, host.ErrNotTrusted)}}
}

// Cause is an error's innermost reason, for where the path is told already.
func Cause(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Op + ": " + pe.Err.Error()
	}
	return err.Error()
}

// IsAbsent reports that a file does not exist, or cannot because a part of its path is no directory.
func IsAbsent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// exists says no only of what is not there. Whoever opens what may not be looked at, because it is a user's own file system or the disk
// does not answer, says what is wrong.
func exists(fsys fs.FS, hostPath string) bool {
	_, err := fs.Stat(fsys, FSName(hostPath))
	return !IsAbsent(err)
}

// mayBeDir is isDir that says no only of what is none, as exists does. A link that goes round in a circle leads to none.
func mayBeDir(fsys fs.FS, hostPath string) bool {
	info, err := fs.Stat(fsys, FSName(hostPath))
	return err == nil && info.IsDir() || err != nil && !IsAbsent(err) && !errors.Is(err, syscall.ELOOP)
}

func isDir(fsys fs.FS, hostPath string) bool {
	info, err := fs.Stat(fsys, FSName(hostPath))
	return err == nil && info.IsDir()
}

// maxLinks is how many links a path may lead through, as in Linux.
const maxLinks = 40

// RealPath follows the links of a path. What cannot be followed stays as it is.
func RealPath(fsys fs.FS, hostPath string) string {
	done, todo := "/", strings.Split(strings.Trim(hostPath, "/"), "/")
	for links := 0; len(todo) > 0; {
		next := path.Join(done, todo[0])
		todo = todo[1:]
		target, err := fs.ReadLink(fsys, FSName(next))
		if err != nil || links == maxLinks {
			done = next
			continue
		}
		links++
		if path.IsAbs(target) {
			done = "/"
		}
		todo = append(strings.Split(strings.Trim(target, "/"), "/"), todo...)
	}
	return done
}
