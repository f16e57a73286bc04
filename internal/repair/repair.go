// Package repair narrows the permissions of files and sets values of a configuration on the running machine, and takes
// both back. It acts with the rights of the files' owner, follows no link at the end of a path, changes nothing that is
// not what was planned, and keeps in the case what undoing needs, written there before each change. No secret comes
// into the case: a value that may be one is not replaced.
package repair

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/json5"
)

// A Mode is a file or directory whose permissions are narrowed.
type Mode struct {
	Path   string     `json:"path"`
	Owner  host.Owner `json:"owner"` // with whose rights it is changed
	Before uint32     `json:"before"`
	Want   uint32     `json:"want"`
	Dev    uint64     `json:"dev"`
	Inode  uint64     `json:"inode"`
	Undone bool       `json:"undone,omitempty"`
}

// An Edit is a change to one file of a configuration.
type Edit struct {
	Path   string         `json:"path"`
	Owner  host.Owner     `json:"owner"`
	Before host.FileState `json:"before"`
	After  host.FileState `json:"after"`
	Edits  json5.Patch    `json:"edits"`
	What   []string       `json:"what"` // one phrase a value
	Undone bool           `json:"undone,omitempty"`
}

// journalName is the file in the case that undo works from.
const journalName = "posture.json"

// What bounds the journal, in bytes, and how long to wait for another run.
const (
	journalLimit = 64 << 20
	lockName     = "posture.lock"
	lockWait     = 3 * time.Second
)

// journalVersion is the newest form of the journal that is understood.
const journalVersion = 1

// ErrBusy says that another run of ours repairs in the same case.
var ErrBusy = errors.New("another openclaw-ir repairs in this case")

// A Journal is what was repaired in a case, in order.
type Journal struct {
	Version int    `json:"version"`
	Tool    string `json:"tool"`
	Modes   []Mode `json:"modes,omitempty"`
	Edits   []Edit `json:"edits,omitempty"`

	cs     *casefile.Case
	unlock func()
}

// Open takes up the case's journal, an empty one if there is none, and keeps other runs off until Close. The error of
// the latter wraps [ErrBusy].
func Open(cs *casefile.Case, tool string) (*Journal, error) {
	unlock, err := cs.Lock(lockName, lockWait)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, ErrBusy
	}
	if err != nil {
		return nil, err
	}
	j := &Journal{Version: journalVersion, Tool: tool, cs: cs, unlock: unlock}
	if err := j.read(); err != nil {
		unlock()
		return nil, fmt.Errorf("reading the record of the repairs: %w", err)
	}
	return j, nil
}

func (j *Journal) read() error {
	text, err := j.cs.ReadFile(journalName, journalLimit)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, j); err != nil {
		return err
	}
	if j.Version < 1 || j.Version > journalVersion {
		return fmt.Errorf("version %d is not known to this program", j.Version)
	}
	return nil
}

// Close lets other runs at the journal.
func (j *Journal) Close() { j.unlock() }

func (j *Journal) save() error {
	text, err := console.JSON(j, " ")
	if err == nil {
		err = j.cs.WriteFile(journalName, text)
	}
	if err != nil {
		return fmt.Errorf("writing the record of the repairs: %w", err)
	}
	return nil
}

// Narrow sets the permissions of a planned Mode, after noting what they were.
func (j *Journal) Narrow(m Mode) error {
	j.Modes = append(j.Modes, m)
	if err := j.save(); err != nil {
		j.Modes = j.Modes[:len(j.Modes)-1]
		return err
	}
	err := chmod(m.Owner, m.Path, m.Want, func(now host.FileMeta) error {
		if now.Dev != m.Dev || now.Inode != m.Inode || now.Mode&0o7777 != m.Before {
			return host.ErrChanged
		}
		return nil
	})
	if err != nil { // nothing happened, so there is nothing to undo
		j.Modes = j.Modes[:len(j.Modes)-1]
		return errors.Join(err, j.save())
	}
	return nil
}

// Set makes a planned Edit, after noting what the file was.
func (j *Journal) Set(e Edit) error {
	if err := noLink(e.Owner, e.Path); err != nil {
		return err
	}
	text, now, err := host.ReadFile(e.Owner, e.Path)
	if err != nil {
		return err
	}
	if now.SHA256 != e.Before.SHA256 || now.Exists != e.Before.Exists {
		return &fs.PathError{Op: "edit", Path: e.Path, Err: host.ErrChanged}
	}
	after, err := e.Edits.Apply(text)
	if err != nil {
		return err
	}
	e.Before, e.After = now, host.FileState{Exists: true, Size: int64(len(after)), SHA256: sum(after)}
	j.Edits = append(j.Edits, e)
	if err := j.save(); err != nil {
		j.Edits = j.Edits[:len(j.Edits)-1]
		return err
	}
	last := &j.Edits[len(j.Edits)-1]
	state, err := host.Rewrite(e.Owner, e.Path, after, now, 0o600)
	if err != nil { // the file is as it was, or as it became: undo tells
		return err
	}
	last.After = state
	return j.save()
}

// Pending are the repairs that were not undone, one line each.
func (j *Journal) Pending() (lines []string) {
	for _, e := range j.Edits {
		if !e.Undone {
			lines = append(lines, e.Path)
		}
	}
	for _, m := range j.Modes {
		if !m.Undone {
			lines = append(lines, fmt.Sprintf("%s %04o → %04o", m.Path, m.Want, m.Before))
		}
	}
	return lines
}

// Files are the files whose content undoing changes.
func (j *Journal) Files() (files []string) {
	for _, e := range j.Edits {
		if !e.Undone {
			files = append(files, e.Path)
		}
	}
	return files
}

// Undo takes back every repair, the last first: values, then permissions. What somebody changed since is left alone, and its
// error wraps [host.ErrChanged], unless force. report gets each path with what became of it.
func (j *Journal) Undo(force bool, report func(path string, err error)) {
	for i := len(j.Edits) - 1; i >= 0; i-- {
		e := &j.Edits[i]
		if e.Undone {
			continue
		}
		err := noLink(e.Owner, e.Path)
		if err == nil {
			err = host.Revert(e.Owner, e.Path, e.Edits, e.Before, e.After, force)
		}
		if err == nil {
			e.Undone = true
			err = j.save()
		}
		report(e.Path, err)
	}
	for i := len(j.Modes) - 1; i >= 0; i-- {
		m := &j.Modes[i]
		if m.Undone {
			continue
		}
		err := m.restore(force)
		if err == nil {
			m.Undone = true
			err = j.save()
		}
		report(m.Path, err)
	}
}

func (m *Mode) restore(force bool) error {
	return chmod(m.Owner, m.Path, m.Before, func(now host.FileMeta) error {
		if mode := now.Mode & 0o7777; mode != m.Want && mode != m.Before && !force {
			return host.ErrChanged
		}
		return nil
	})
}

// system has the directories that every account of a machine needs (hier(7); those of macOS). A gateway that runs as root may be told to
// keep its state in one, and a person may type one.
var system = func() map[string]bool {
	dirs := map[string]bool{"/": true}
	for _, dir := range strings.Fields(`bin boot dev etc home lib lib32 lib64 libx32 media mnt opt proc run sbin srv sys tmp
		usr usr/bin usr/games usr/include usr/lib usr/lib32 usr/lib64 usr/libexec usr/libx32 usr/local usr/local/bin usr/local/lib usr/local/sbin usr/local/share usr/sbin usr/share usr/src
		var var/backups var/cache var/db var/lib var/local var/lock var/log var/mail var/opt var/run var/spool var/tmp var/www run/lock run/user
		Applications Library System Users Users/Shared Volumes cores private private/etc private/tmp private/var opt/homebrew opt/homebrew/bin`) {
		dirs["/"+dir] = true
	}
	return dirs
}()

// PlanMode looks at a file or directory that is to have no more permissions than allow. It reports false for what has no
// more already.
func PlanMode(owner host.Owner, path string, allow uint32) (m Mode, todo bool, err error) {
	m = Mode{Path: path, Owner: owner}
	err = host.AsAt(owner, path, func() error {
		fi, err := os.Lstat(path)
		if err != nil {
			return err
		}
		if err := plainFile(path, fi); err != nil {
			return err
		}
		meta := host.Meta(fi)
		m.Before, m.Dev, m.Inode = meta.Mode&0o7777, meta.Dev, meta.Inode
		m.Want = m.Before & allow
		if meta.UID != owner.UID {
			return fmt.Errorf("%q belongs to user %d: %w", path, meta.UID, fs.ErrPermission)
		}
		if fi.IsDir() && system[filepath.Clean(path)] {
			return fmt.Errorf("%q is a directory of the system, which every account needs: %w", path, fs.ErrPermission)
		}
		return nil
	})
	return m, err == nil && m.Want != m.Before, err
}
