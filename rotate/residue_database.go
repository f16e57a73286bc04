package rotate

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

// ledgerDirs hold databases that keep no secrets of their own, but may have been told some.
var ledgerDirs = strings.Fields("tasks flows memory plugin-state")

func (f *residueFinder) databases() {
	stores := []string{f.in.StateDB()}
	for _, a := range f.in.Agents {
		stores = append(stores, a.Database)
	}
	slices.Sort(stores)
	for _, file := range slices.Compact(stores) {
		f.database(file)
	}
	for _, dir := range ledgerDirs {
		f.each(path.Join(f.in.StateDir, dir), 0, func(file string) {
			if strings.Contains(path.Base(file), ".sqlite") {
				f.report(file, "records of what happened")
			}
		})
	}
}

// database tells what of the old secrets a database and its write-ahead log hold: in rows that are marked as deleted,
// in rows that are in use, and in free space, which is what is left.
func (f *residueFinder) database(file string) {
	if deleted := f.deleted[file]; len(deleted) > 0 {
		slices.Sort(deleted)
		f.found = append(f.found, Residue{Path: file, Action: ActionPurge, Why: "rows of the secret store that are marked as deleted", Prints: deleted})
	}
	prints, _, err := f.scan(file)
	f.gap(file, err)
	inLog, _, err := f.scan(file + "-wal")
	f.gap(file+"-wal", err)
	if prints = union(prints, inLog); len(prints) == 0 {
		return
	}
	rows, err := f.rows(file)
	f.gap(file, err)
	r := Residue{Path: file, Action: ActionNone, Prints: prints, Why: "in rows of " + strings.Join(slices.Sorted(maps.Keys(rows)), ", ") + ": evidence of what happened"}
	if f.scrubHelps(file, prints, rows) {
		r.Action, r.Why = ActionScrub, "in free space or in the write-ahead log, now or once it is replaced"
		if len(rows) > 0 {
			r.Why += "; it stays in rows of " + strings.Join(slices.Sorted(maps.Keys(rows)), ", ")
		}
	}
	f.found = append(f.found, r)
}

// scrubHelps reports whether a secret is, or will be when it is replaced, in what no row holds any more.
func (f *residueFinder) scrubHelps(file string, prints []string, rows map[string][]string) bool {
	var live []string
	for _, p := range rows {
		live = append(live, p...)
	}
	return slices.ContainsFunc(prints, func(p string) bool {
		return !slices.Contains(live, p) || slices.Contains(f.inUse[file], p) || slices.Contains(f.deleted[file], p)
	})
}

// rows returns by table, those of stores left out, the fingerprints of old secrets that its rows hold.
func (f *residueFinder) rows(file string) (map[string][]string, error) {
	found := map[string][]string{}
	if info, err := fs.Stat(f.fsys, openclaw.FSName(file)); err != nil || info.Size() > rowsLimit {
		return found, fmt.Errorf("its rows were not searched: larger than %d bytes, or gone", rowsLimit)
	}
	_, err := openclaw.OpenDatabaseFunc(f.fsys, file, func(d *openclaw.Database) error {
		for _, table := range slices.Sorted(maps.Keys(d.Columns)) {
			if len(d.Columns[table]) == 0 || openclaw.HoldsSecrets(table) {
				continue // a virtual table, whose content lies in others
			}
			prints, err := f.table(d, table)
			if err != nil {
				return err
			}
			if len(prints) > 0 {
				found[table] = prints
			}
		}
		return nil
	})
	return found, err
}

func (f *residueFinder) table(d *openclaw.Database, table string) (prints []string, err error) {
	for row, err := range d.Query(f.ctx, "SELECT * FROM "+quoteName(table)) {
		if err != nil {
			return prints, err
		}
		for i := range d.Columns[table] {
			for _, p := range f.old.Found(string(row.Text(i))) {
				if !slices.Contains(prints, p) {
					prints = append(prints, p)
				}
			}
		}
	}
	return prints, nil
}

// quoteName quotes a table's name for SQL.
func quoteName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// evidence reports logs, transcripts and histories.
func (f *residueFinder) evidence() {
	for _, dir := range append([]string{path.Join(f.in.StateDir, "logs")}, f.in.LogDirs...) {
		f.each(dir, 2, func(file string) { f.report(file, "a log") })
	}
	if f.in.LogFile != "" {
		f.report(f.in.LogFile, "a log")
	}
	sources, gaps := f.in.Transcripts(f.fsys)
	f.gaps = append(f.gaps, gaps...)
	for _, s := range sources {
		if !strings.HasSuffix(s.Path, ".sqlite") && !s.Zstd {
			f.report(s.Path, "a transcript")
		}
	}
	for _, name := range strings.Fields(".bash_history .zsh_history .local/share/fish/fish_history .python_history .node_repl_history") {
		if path.IsAbs(f.in.Home) {
			f.report(path.Join(f.in.Home, name), "a shell's history")
		}
	}
}

// report tells of a file that holds old secrets and is left as it is.
func (f *residueFinder) report(file, what string) {
	if f.seen[file] || f.ctx.Err() != nil {
		return
	}
	f.seen[file] = true
	prints, _, err := f.scan(file)
	if f.gap(file, err); len(prints) > 0 {
		f.found = append(f.found, Residue{Path: file, Action: ActionNone, Why: what + ": evidence of what happened", Prints: prints})
	}
}

// each calls do with the regular files of a directory, down to depth more levels.
func (f *residueFinder) each(dir string, depth int, do func(file string)) {
	entries, err := fs.ReadDir(f.fsys, openclaw.FSName(dir))
	f.gap(dir, err)
	for _, e := range entries {
		file := path.Join(dir, e.Name())
		switch {
		case e.IsDir() && depth > 0:
			f.each(file, depth-1, do)
		case e.Type().IsRegular():
			do(file)
		}
	}
}
