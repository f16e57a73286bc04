package rotate

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/secret"
)

// An Action is how a residue is got rid of.
type Action string

// The actions, in the order in which they are done.
const (
	ActionRemove Action = "remove"   // the file goes
	ActionPurge  Action = "purge"    // rows that are only marked as deleted are deleted
	ActionScrub  Action = "scrub"    // the database is rewritten without its free space, and its log is emptied
	ActionNone   Action = "reported" // it is evidence of what happened, or somebody else's: left as it is
)

var actionOrder = []Action{ActionRemove, ActionPurge, ActionScrub, ActionNone}

// A Residue is a place where secrets lie on after they were replaced. Path and Why may hold hostile text, and no secret.
type Residue struct {
	Path   string         `json:"path"` // absolute
	Action Action         `json:"action"`
	Why    string         `json:"why"`
	Prints []string       `json:"fingerprints"` // of the secrets that lie there
	State  host.FileState `json:"state"`        // of a file that is to be removed, as it was
}

// Bounds of the search.
const (
	scanChunk   = 1 << 20  // bytes read at once
	scanOverlap = 64 << 10 // bytes of it that are searched again with the next: longer than any form of a secret
	scanLimit   = 8 << 30  // bytes of one file that the disk holds
	holesLimit  = 1 << 30  // bytes of one file that it does not hold, and that are read all the same
	rowsLimit   = 256 << 20
)

// FindResidue lists where the secrets of old lie besides where they are in use: earlier versions of the config and of
// stores, what migrations left behind, rows that are only marked as deleted, the free pages and logs of databases, and
// logs, transcripts and shell histories, which are evidence and only reported.
//
// old are the secrets that were or will be replaced, in the set they are known by. Before the rotation a database is
// listed for what it will leave behind.
func FindResidue(ctx context.Context, fsys fs.FS, in *openclaw.Installation, old *secret.Set) ([]Residue, []openclaw.Gap) {
	f := residueFinder{ctx: ctx, fsys: fsys, in: in, old: old, seen: map[string]bool{}, inUse: map[string][]string{}, deleted: map[string][]string{}}
	f.held()
	f.beside()
	for _, file := range slices.Sorted(slices.Values(f.copies)) {
		f.copied(file)
	}
	f.databases()
	f.evidence()
	slices.SortStableFunc(f.found, func(a, b Residue) int {
		return cmp.Or(cmp.Compare(slices.Index(actionOrder, a.Action), slices.Index(actionOrder, b.Action)), strings.Compare(a.Path, b.Path))
	})
	return f.found, f.gaps
}

// ScrubFiles returns the files that [Scrub] would change or remove: those that must be sealed first.
func ScrubFiles(plan []Residue) (files []string) {
	for _, r := range plan {
		switch r.Action {
		case ActionRemove:
			files = append(files, r.Path)
		case ActionPurge, ActionScrub:
			files = append(files, r.Path, r.Path+"-wal")
		}
	}
	slices.Sort(files)
	return slices.Compact(files)
}

type residueFinder struct {
	ctx     context.Context
	fsys    fs.FS
	in      *openclaw.Installation
	old     *secret.Set
	copies  []string
	seen    map[string]bool     // of copies and of what is reported
	inUse   map[string][]string // by database: fingerprints in the columns of stores
	deleted map[string][]string // by database: fingerprints in rows that are marked as deleted
	found   []Residue
	gaps    []openclaw.Gap
}

func (f *residueFinder) gap(file string, err error) {
	if err != nil && !openclaw.IsAbsent(err) {
		f.gaps = append(f.gaps, openclaw.Gap{Path: file, What: "searching it for old secrets: " + openclaw.Cause(err)})
	}
}

func (f *residueFinder) copy(file string) {
	if !f.seen[file] {
		f.seen[file] = true
		f.copies = append(f.copies, file)
	}
}

// held takes the old copies of files, and the rows of databases, where the inventory finds secrets.
func (f *residueFinder) held() {
	f.gaps = append(f.gaps, f.in.Held(f.ctx, f.fsys, func(h openclaw.HeldSecret) {
		switch {
		case h.Table == "" && h.Former:
			f.copy(h.File)
		case h.Table != "":
			by := f.inUse
			if h.Former {
				by = f.deleted
			}
			for _, p := range f.old.Found(h.Value) {
				if !slices.Contains(by[h.File], p) {
					by[h.File] = append(by[h.File], p)
				}
			}
		}
	})...)
}

// beside takes the old copies, in whatever state, that lie where OpenClaw leaves them: beside the config and beside the
// databases.
func (f *residueFinder) beside() {
	dirs := []string{f.in.StateDir, path.Dir(f.in.ConfigPath), path.Dir(f.in.StateDB())}
	for _, a := range f.in.Agents {
		dirs = append(dirs, a.Dir, path.Dir(a.Database))
	}
	slices.Sort(dirs)
	for _, dir := range slices.Compact(dirs) {
		entries, err := fs.ReadDir(f.fsys, openclaw.FSName(dir))
		f.gap(dir, err)
		for _, e := range entries {
			if e.Type().IsRegular() && openclaw.IsOldCopy(e.Name()) {
				f.copy(path.Join(dir, e.Name()))
			}
		}
	}
}

// copied judges an old copy. What lies outside the state directory and is no version of the config belongs to another
// program; a WhatsApp session goes as a whole.
func (f *residueFinder) copied(file string) {
	prints, st, err := f.scan(file)
	if f.gap(file, err); err != nil || len(prints) == 0 {
		return
	}
	r := Residue{Path: file, Action: ActionRemove, Why: "an earlier version of a file with secrets", Prints: prints, State: st}
	configCopy := path.Dir(file) == path.Dir(f.in.ConfigPath) && strings.HasPrefix(path.Base(file), path.Base(f.in.ConfigPath))
	switch {
	case strings.HasPrefix(file, path.Join(f.in.StateDir, "credentials", "whatsapp")+"/"):
		r.Action, r.Why = ActionNone, "part of a WhatsApp session, which is removed as a whole"
	case !openclaw.Within(file, f.in.StateDir) && !configCopy:
		r.Action, r.Why = ActionNone, "an earlier version of another program's file: remove it by hand"
	}
	f.found = append(f.found, r)
}

// scan searches a file for old secrets in the form of its bytes, and says what the file is.
func (f *residueFinder) scan(file string) (prints []string, st host.FileState, err error) {
	r, err := f.fsys.Open(openclaw.FSName(file))
	if err != nil {
		return nil, st, err
	}
	defer r.Close()
	info, err := r.Stat()
	if err != nil {
		return nil, st, err
	}
	if !info.Mode().IsRegular() {
		return nil, st, &fs.PathError{Op: "read", Path: file, Err: host.ErrSpecial}
	}
	m := host.Meta(info)
	data := host.NewData(f.ctx, r)
	if holes := m.Size - m.Allocated; m.Size > scanLimit || m.Allocated >= 0 && holes > holesLimit {
		prints, _, err = search(data, f.old)
		if err == nil && len(prints) > 0 {
			err = fmt.Errorf("old secrets lie in it, and it is too large to be dealt with (%d bytes): see to it by hand", m.Size)
		}
		return prints, st, err
	}
	sum := sha256.New()
	prints, size, err := search(io.TeeReader(data, sum), f.old)
	return prints, host.FileState{Exists: true, Mode: m.Mode & 0o7777, UID: m.UID, GID: m.GID, Size: size, SHA256: hex.EncodeToString(sum.Sum(nil))}, err
}

// search reads a stream to its end and returns the fingerprints of what it holds, each once, in order.
func search(r io.Reader, old *secret.Set) (prints []string, size int64, err error) {
	data, _ := r.(*host.Data)
	buf := make([]byte, 0, scanChunk+scanOverlap)
	for size <= scanLimit {
		n, err := io.ReadFull(r, buf[len(buf):min(len(buf)+scanChunk, cap(buf))])
		size += int64(n)
		buf = buf[:len(buf)+n]
		prints = append(prints, old.Found(string(buf))...)
		slices.Sort(prints)
		prints = slices.Compact(prints)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return prints, size, nil
		}
		if err != nil {
			return prints, size, err
		}
		if data != nil && buf[len(buf)-1] == 0 {
			data.SkipHole()
		}
		keep := buf[max(0, len(buf)-scanOverlap):]
		buf = buf[:copy(buf[:cap(buf)], keep)]
	}
	return prints, size, fmt.Errorf("longer than %d bytes; the rest was not searched", int64(scanLimit))
}
