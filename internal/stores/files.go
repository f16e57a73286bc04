package stores

import (
	"io/fs"
	"path"
	"slices"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

// FilesToChange returns the absolute paths of the files, of those that are there, which changes of these kinds could
// touch: databases with their logs, JSON stores, and what would get another name. A caller who keeps evidence has them
// sealed first. Of no kind it returns none.
func FilesToChange(fsys fs.FS, in *openclaw.Installation, kinds ...string) []string {
	var files []string
	for _, kind := range kinds {
		switch kind {
		case KindDefuse:
			files = append(files, toDefuse(fsys, in)...)
		case KindDevices:
			files = append(files, withLogs(in.StateDB())...)
			for _, f := range deviceFiles(in) {
				files = append(files, f.file)
			}
		case KindPairing:
			files = append(files, withLogs(in.StateDB())...)
			for _, dir := range credentials(in) {
				files = append(append(files, under(fsys, dir, allowEnding)...), under(fsys, dir, pairEnding)...)
			}
		}
	}
	slices.Sort(files)
	return slices.DeleteFunc(slices.Compact(files), func(file string) bool {
		_, err := fs.Stat(fsys, openclaw.FSName(file))
		return openclaw.IsAbsent(err) // what can't be looked at counts
	})
}

func toDefuse(fsys fs.FS, in *openclaw.Installation) []string {
	files := withLogs(append(agentDatabases(in), stateDatabases(in)...)...)
	for _, s := range jsonStores(in) {
		files = append(files, s.file)
	}
	for _, dir := range queues(in) {
		files = append(files, under(fsys, dir, ".json")...)
	}
	return append(files, notes(in)...)
}

func withLogs(databases ...string) (files []string) {
	for _, d := range databases {
		files = append(files, d, d+"-wal", d+"-shm", d+"-journal")
	}
	return files
}

func under(fsys fs.FS, dir, suffix string) (files []string) {
	names, _ := list(fsys, dir, suffix)
	for _, name := range names {
		files = append(files, path.Join(dir, name))
	}
	return files
}
