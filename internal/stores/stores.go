// Package stores changes what OpenClaw keeps, while its gateway is dead: so that nothing resumes at the next start, and
// so that no device, node or sender that was let in before is let in again. It knows the stores of every release from
// 2026.1 to 2026.9: JSON files, SQLite databases, and both side by side on a host that was upgraded.
//
// Reading ([Pending], [Devices], [Allowed]) works on any fs.FS of a host and writes nothing. Changing ([Defuse],
// [EvictDevices], [ResetPairing]) works on this machine alone, acts with the rights of the user who owns the
// installation, and is for the caller to do only when the gateway is dead and the files of [FilesToChange] are sealed:
// a changed store is no longer evidence. What can't be changed safely is left as it is and is an error; the rest is
// done all the same. A database is changed in one transaction, and its schema is not executed (see [sqlite.Edit]).
//
// No token and no message goes into what it returns. Names and keys of the stores do, as they are: who shows them
// escapes them.
//
// What resumes at a start was read in the code of the releases 2026.1.30, 2026.2.26, 2026.3.31, 2026.5.28, 2026.7.1 and
// 2026.9.6.
package stores

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/sqlite"
)

// Kinds of change, for [FilesToChange].
const (
	KindDefuse  = "defuse"
	KindDevices = "devices"
	KindPairing = "pairing"
)

// A Done is one change that was made.
type Done struct {
	What  string `json:"what"`  // in words
	Count int    `json:"count"` // of rows or entries
	Where string `json:"where"` // absolute path of the file
}

// shown bounds how many things of one sort are listed, and longest how many bytes of a name.
const (
	shown   = 500
	longest = 200
)

// maxFile bounds a JSON store, in bytes; [host.ReadFile] has the same bound.
const maxFile = 64 << 20

// An installation's places. All paths are absolute paths of the host.

// stateDatabases returns the databases that hold tasks, queues and pairing: the shared one, and of 2026.3 to 2026.5 the
// two that were folded into it.
func stateDatabases(in *openclaw.Installation) []string {
	return []string{
		in.StateDB(),
		path.Join(in.StateDir, "tasks", "runs.sqlite"),
		path.Join(in.StateDir, "flows", "registry.sqlite"),
	}
}

// agentDatabases returns the agents' databases, each once.
func agentDatabases(in *openclaw.Installation) []string {
	var list []string
	for _, a := range in.Agents {
		if !slices.Contains(list, a.Database) {
			list = append(list, a.Database)
		}
	}
	return list
}

// sessionIndexes returns the agents' sessions.json.
func sessionIndexes(in *openclaw.Installation) []string {
	var list []string
	for _, a := range in.Agents {
		if file := a.Index(); !slices.Contains(list, file) {
			list = append(list, file)
		}
	}
	return list
}

// inHome takes a path of the config as OpenClaw does.
func inHome(in *openclaw.Installation, p string) string {
	if p == "~" || strings.HasPrefix(p, "~/") {
		p = in.Home + p[1:]
	}
	if !path.IsAbs(p) {
		return ""
	}
	return path.Clean(p)
}

// readText reads a JSON store of the host. One that isn't there is neither text nor a gap.
func readText(fsys fs.FS, file string) ([]byte, []openclaw.Gap) {
	f, err := fsys.Open(openclaw.FSName(file))
	if openclaw.IsAbsent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, []openclaw.Gap{{Path: file, What: openclaw.Cause(err)}}
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("longer than %d bytes; not read", maxFile)
	}
	if err != nil {
		return nil, []openclaw.Gap{{Path: file, What: openclaw.Cause(err)}}
	}
	return text, nil
}

// list returns the names of a directory's regular files that end in suffix, a bounded number of them.
func list(fsys fs.FS, dir, suffix string) (names []string, gaps []openclaw.Gap) {
	entries, err := fs.ReadDir(fsys, openclaw.FSName(dir))
	if err != nil && !openclaw.IsAbsent(err) {
		gaps = append(gaps, openclaw.Gap{Path: dir, What: openclaw.Cause(err)})
	}
	for _, e := range entries {
		if e.Type().IsRegular() && strings.HasSuffix(e.Name(), suffix) {
			names = append(names, e.Name())
		}
	}
	return names, gaps
}

// readDatabase reads a database of the host, if it is there.
func readDatabase(fsys fs.FS, file string, read func(*openclaw.Database) error) []openclaw.Gap {
	_, err := openclaw.OpenDatabaseFunc(fsys, file, read)
	if err == nil || openclaw.IsAbsent(err) {
		return nil
	}
	return []openclaw.Gap{{Path: file, What: "reading the database: " + err.Error()}}
}

// changeDatabase changes a database of this machine, if it is there, with its owner's rights. It returns what was done
// only if that was committed.
func changeDatabase(ctx context.Context, owner host.Owner, file string, change func(*sqlite.Tx) ([]Done, error)) ([]Done, error) {
	var done []Done
	err := host.AsAt(owner, file, func() error {
		if _, err := os.Lstat(file); openclaw.IsAbsent(err) {
			return nil
		}
		return sqlite.Edit(ctx, file, func(tx *sqlite.Tx) (err error) {
			done, err = change(tx)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	for i := range done {
		done[i].Where = file
	}
	return slices.DeleteFunc(done, func(d Done) bool { return d.Count == 0 }), nil
}

// changeFile rewrites a file of this machine with its owner's rights. change returns the new text and how much of it is
// new; nothing new leaves the file alone, as does a file that isn't there.
func changeFile(owner host.Owner, file, what string, change func([]byte) ([]byte, int, error)) ([]Done, error) {
	text, was, err := host.ReadFile(owner, file)
	if err != nil || !was.Exists {
		return nil, err
	}
	text, n, err := change(text)
	if err != nil {
		return nil, fmt.Errorf("changing %q: %w", file, err)
	}
	if n == 0 {
		return nil, nil
	}
	if _, err := host.Rewrite(owner, file, text, was, 0); err != nil {
		return nil, fmt.Errorf("changing %q: %w", file, err)
	}
	return []Done{{What: what, Count: n, Where: file}}, nil
}

// results gathers what several changes did: one that fails doesn't keep the others from being made.
type results struct {
	done []Done
	errs []error
}

func (r *results) add(done []Done, err error) {
	r.done = append(r.done, done...)
	r.errs = append(r.errs, err)
}

func (r *results) all() ([]Done, error) { return r.done, errors.Join(r.errs...) }

// short cuts a name of the stores to a length that can be shown.
func short(s string) string {
	if len(s) <= longest {
		return s
	}
	return strings.ToValidUTF8(s[:longest], "") + "…"
}
