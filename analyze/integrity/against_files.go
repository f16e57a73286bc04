package integrity

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

// A fileKind is what may become of a file in time.
type fileKind int

const (
	kindChange fileKind = iota // its owner or OpenClaw changes it: told as a change
	kindGrow                   // it is only added to
	kindLog                    // it is only added to, and removed in time
	kindFixed                  // it stays as it was written
	kindSkip                   // compared elsewhere, or without meaning
)

// kindOf tells from a file's path below the state directory what may become of it.
func kindOf(rel string) fileKind {
	name := path.Base(rel)
	switch {
	case strings.Contains(name, ".sqlite"), strings.HasSuffix(name, ".lock"), strings.HasPrefix(rel, "tmp/"), strings.HasPrefix(rel, "cache/"), strings.HasPrefix(rel, "plugin-skills/"):
		return kindSkip
	case strings.Contains(name, ".jsonl.deleted."), strings.Contains(name, ".jsonl.reset."), strings.Contains(rel, "/sessions/cold/"),
		strings.Contains(rel, "session-sqlite-import-archive/"), strings.HasPrefix(rel, "session-sqlite-migration-runs/"):
		return kindFixed
	case strings.HasPrefix(rel, "logs/") && (strings.HasSuffix(name, ".jsonl") || strings.HasSuffix(name, ".log")):
		return kindLog
	case strings.HasSuffix(name, ".jsonl") && (strings.Contains(rel, "/sessions/") || strings.HasPrefix(rel, "cron/runs/")):
		return kindGrow
	}
	return kindChange
}

// maxCompared bounds how many files are compared.
const maxCompared = 500_000

// files compares the files of then with those of now.
func (a *against) files() {
	roots := []string{a.was.StateDir}
	for _, agent := range a.was.Agents {
		if agent.Workspace != "" && !openclaw.Within(agent.Workspace, a.was.StateDir) {
			roots = append(roots, agent.Workspace)
		}
	}
	slices.Sort(roots)
	w := fileCompare{against: a}
	for _, root := range slices.Compact(roots) {
		w.root = root
		w.dir(root, 0)
	}
	for _, dir := range a.was.LogDirs {
		w.logs(dir)
	}
	w.tell()
}

type fileCompare struct {
	*against
	root             string
	n                int
	changed, removed []string
}

// maxFileDepth bounds how deep directories are followed.
const maxFileDepth = 64

func (w *fileCompare) dir(dir string, depth int) {
	entries, err := fs.ReadDir(w.older, openclaw.FSName(dir))
	if err != nil {
		w.rep.Gaps = append(w.rep.Gaps, openclaw.Gap{Path: dir, What: "the earlier evidence: " + openclaw.Cause(err)})
	}
	for _, e := range entries {
		file := path.Join(dir, e.Name())
		switch {
		case e.IsDir() && e.Name() != ".git" && e.Name() != "node_modules" && depth < maxFileDepth:
			w.dir(file, depth+1)
		case e.Type().IsRegular():
			w.file(file, kindOf(strings.TrimPrefix(file, w.root+"/")))
		}
	}
}

func (w *fileCompare) file(file string, kind fileKind) {
	if kind == kindSkip || w.ctx.Err() != nil {
		return
	}
	if w.n++; w.n > maxCompared {
		w.rep.undecided("INT-007", fmt.Sprintf("only the first %d files were compared with those of then", maxCompared))
		return
	}
	w.rep.count("INT-007", 1)
	at, state, err := w.compare(file)
	f := Finding{Check: "INT-007", Level: critical, Path: file}
	switch {
	case err != nil:
		w.rep.Gaps = append(w.rep.Gaps, openclaw.Gap{Path: file, What: "comparing: " + openclaw.Cause(err)})
		return
	case state == same || state == grown && (kind == kindGrow || kind == kindLog):
		return
	case state == missing && kind == kindGrow: // its events are compared wherever they are
		return
	case kind == kindChange && state == missing:
		w.removed = append(w.removed, file)
		return
	case kind == kindChange:
		w.changed = append(w.changed, file)
		return
	case state == missing && kind == kindLog:
		f.Check, f.Level, f.Title, f.Detail = "INT-008", medium, "a log of then is missing", "the earlier evidence holds it"
		f.Benign = "logs are removed in time"
	case state == missing:
		f.Level, f.Title, f.Detail = high, "an archive of then is missing", "the earlier evidence holds it"
		f.Benign = "session.maintenance removes old archives"
	default:
		f.Title, f.Detail = "the past of a record was changed", fmt.Sprintf("it differs from the earlier evidence at byte %d", at)
	}
	w.rep.add(f)
}

// What became of a file.
type fileState int

const (
	same fileState = iota
	grown
	differs
	missing
)

// compare reads both versions side by side. at is the first byte that differs.
func (w *fileCompare) compare(file string) (at int64, state fileState, err error) {
	old, err := w.older.Open(openclaw.FSName(file))
	if err != nil {
		return 0, same, err
	}
	defer old.Close()
	now, err := w.newer.Open(openclaw.FSName(file))
	if openclaw.IsAbsent(err) {
		return 0, missing, nil
	}
	if err != nil {
		return 0, same, err
	}
	defer now.Close()
	return compareReaders(old, now)
}

func compareReaders(old, now io.Reader) (at int64, state fileState, err error) {
	a, b := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		n, oldErr := io.ReadFull(old, a)
		m, nowErr := io.ReadFull(now, b[:max(n, 1)])
		if n > 0 && !bytes.Equal(a[:n], b[:min(n, m)]) {
			return at + common(a[:n], b[:m]), differs, nil
		}
		at += int64(n)
		switch {
		case oldErr == nil:
		case oldErr != io.EOF && oldErr != io.ErrUnexpectedEOF:
			return at, same, oldErr
		case n == 0:
			return at, grownIf(m > 0), ignoreEOF(nowErr)
		default:
			m, nowErr = io.ReadFull(now, b[:1])
			return at, grownIf(m > 0), ignoreEOF(nowErr)
		}
	}
}

func grownIf(more bool) fileState {
	if more {
		return grown
	}
	return same
}

func ignoreEOF(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return nil
	}
	return err
}

// common is how many bytes two texts begin with alike.
func common(a, b []byte) (n int64) {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return int64(i)
		}
	}
	return int64(min(len(a), len(b)))
}

// logs compares the gateway's logs. A full one is renamed, so a log of then may be any file of now.
func (w *fileCompare) logs(dir string) {
	entries, _ := fs.ReadDir(w.older, openclaw.FSName(dir))
	for _, e := range entries {
		if !e.Type().IsRegular() || !strings.HasSuffix(e.Name(), ".log") {
			continue
		}
		file := path.Join(dir, e.Name())
		at, state, err := w.compare(file)
		if state != same && state != grown && err == nil && w.renamed(dir, file) {
			continue
		}
		w.rep.count("INT-008", 1)
		f := Finding{Check: "INT-008", Path: file}
		switch {
		case err != nil:
			w.rep.Gaps = append(w.rep.Gaps, openclaw.Gap{Path: file, What: "comparing: " + openclaw.Cause(err)})
			continue
		case state == missing:
			f.Level, f.Title, f.Detail, f.Benign = low, "a log of then is missing", "the earlier evidence holds it", "OpenClaw removes logs that are 24 hours old"
		case state == differs:
			f.Level, f.Title, f.Detail = critical, "the past of a log was changed", fmt.Sprintf("it differs from the earlier evidence at byte %d", at)
		default:
			continue
		}
		w.rep.add(f)
	}
}

func (w *fileCompare) renamed(dir, file string) bool {
	entries, _ := fs.ReadDir(w.newer, openclaw.FSName(dir))
	return slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		if !e.Type().IsRegular() {
			return false
		}
		old, err := w.older.Open(openclaw.FSName(file))
		if err != nil {
			return false
		}
		defer old.Close()
		now, err := w.newer.Open(openclaw.FSName(path.Join(dir, e.Name())))
		if err != nil {
			return false
		}
		defer now.Close()
		_, state, err := compareReaders(old, now)
		return err == nil && (state == same || state == grown)
	})
}

// tell lists what an owner may change.
func (w *fileCompare) tell() {
	for title, files := range map[string][]string{"files were changed since": w.changed, "files were removed since": w.removed} {
		for kind, list := range byKind(files) {
			check := map[string]string{"config": "CFG-018", "workspace": "MEM-004"}[kind]
			if check == "" {
				check = "INT-007"
			}
			w.rep.add(Finding{
				Check: check, Level: info, Title: kind + " " + title, Path: list[0], Detail: fmt.Sprintf("%d files", len(list)), Evidence: listed(list),
				Benign: "OpenClaw or its owner changed them",
			})
		}
	}
}

// byKind sorts files by what they are.
func byKind(files []string) map[string][]string {
	kinds := map[string][]string{}
	for _, f := range files {
		kind := "other"
		switch {
		case strings.Contains(path.Base(f), "openclaw.json"):
			kind = "config"
		case strings.Contains(f, "/skills/"):
			kind = "skill"
		case strings.Contains(f, "/workspace"):
			kind = "workspace"
		case strings.Contains(f, "/hooks/"), strings.Contains(f, "/extensions/"):
			kind = "hook and plugin"
		}
		kinds[kind] = append(kinds[kind], f)
	}
	for _, list := range kinds {
		slices.Sort(list)
	}
	return kinds
}
