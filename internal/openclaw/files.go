package openclaw

import (
	"errors"
	"io"
	"io/fs"
	"strings"
)

// maxSmall bounds a file that is read whole: configs, unit files, indexes. Bytes.
const maxSmall = 32 << 20

// readSmall reads a whole file of the host. A file that is not there is no gap; anything else unreadable is.
func readSmall(fsys fs.FS, hostPath string) ([]byte, []Gap) {
	f, err := fsys.Open(fsName(hostPath))
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

// readGap turns a read error into a gap. What does not exist is none.
func readGap(hostPath string, err error) []Gap {
	if err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, io.EOF) || isNotDir(err) {
		return nil
	}
	return []Gap{{Path: hostPath, What: cause(err)}}
}

// cause is an error's innermost reason: the path is in the gap already.
func cause(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Op + ": " + pe.Err.Error()
	}
	return err.Error()
}

// isNotDir reports that a part of the path is no directory, so that the file cannot exist.
func isNotDir(err error) bool { return strings.Contains(err.Error(), "not a directory") }

func exists(fsys fs.FS, hostPath string) bool {
	_, err := fs.Stat(fsys, fsName(hostPath))
	return err == nil
}

func isDir(fsys fs.FS, hostPath string) bool {
	info, err := fs.Stat(fsys, fsName(hostPath))
	return err == nil && info.IsDir()
}
