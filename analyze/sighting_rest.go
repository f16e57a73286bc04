package analyze

import (
	"context"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

// logLine notes the secrets of a line of the gateway's log.
func (w *watcher) logLine(src *openclaw.Source, data []byte, line int64, found map[string]trace) {
	m := mention{id: fmt.Sprintf("%s:%d", src.Path, line), key: [2]uint64{maphash.Bytes(w.seed, data)}}
	if e, err := logEvent(src, data, line); err == nil && !e.NoTime {
		m.at = e.Time
	}
	for p, f := range found {
		f.ways = wayRest
		found[p] = f
	}
	w.note(found, m, "", false, !w.isNew(m.key))
}

// Bounds of what is searched in workspaces: files, the bytes of one and directories within each other.
const (
	maxSearched      = 5000
	maxSearchedFile  = 4 << 20
	maxSearchedDepth = 4
)

// watchFiles searches the files of the workspaces that an agent reads again: its memory and identity, notes, skills. Those that
// are made to hold secrets, such as .env, are no sighting.
func (r *Report) watchFiles(ctx context.Context, fsys fs.FS, in *openclaw.Installation, w *watcher) {
	var dirs []string
	for _, a := range in.Agents {
		dirs = append(dirs, a.Workspace)
	}
	slices.Sort(dirs)
	f := restFiles{ctx: ctx, r: r, fsys: fsys, w: w, left: maxSearched}
	for _, dir := range slices.Compact(dirs) {
		if dir != "" {
			f.dir(dir, maxSearchedDepth)
		}
	}
	if f.left < 0 {
		r.Coverage.gap(openclaw.Gap{Path: in.StateDir, What: fmt.Sprintf("more than %d files in the workspaces; the rest were not searched for secrets", maxSearched)})
	}
}

type restFiles struct {
	ctx  context.Context
	r    *Report
	fsys fs.FS
	w    *watcher
	left int
}

// restNames are the endings of files that hold text for the agent or its scripts.
var restNames = strings.Fields(".md .txt .json .jsonl .yml .yaml .sh .py .js .ts .log")

func (f *restFiles) dir(dir string, depth int) {
	entries, err := fs.ReadDir(f.fsys, openclaw.FSName(dir))
	if err != nil {
		f.gap(dir, err)
		return
	}
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		switch {
		case f.left < 0 || f.ctx.Err() != nil:
			return
		case e.IsDir() && depth == 0:
			f.r.Coverage.gap(openclaw.Gap{Path: name, What: "deeper than the workspace's other directories; not searched for secrets"})
		case e.IsDir() && e.Name() != "node_modules" && e.Name() != ".git":
			f.dir(name, depth-1)
		case e.Type().IsRegular() && slices.Contains(restNames, path.Ext(e.Name())) && e.Name() != ".mcp.json" && e.Name() != "mcporter.json":
			if f.left--; f.left >= 0 {
				f.file(name)
			}
		}
	}
}

func (f *restFiles) gap(name string, err error) {
	if err != nil && !openclaw.IsAbsent(err) {
		f.r.Coverage.gap(openclaw.Gap{Path: name, What: "searching it for secrets: " + openclaw.Cause(err)})
	}
}

func (f *restFiles) file(name string) {
	file, err := f.fsys.Open(openclaw.FSName(name))
	if err != nil {
		f.gap(name, err)
		return
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		f.gap(name, err)
		return
	}
	data, err := io.ReadAll(io.LimitReader(file, maxSearchedFile))
	f.gap(name, err)
	if info.Size() > maxSearchedFile {
		f.r.Coverage.gap(openclaw.Gap{Path: name, What: fmt.Sprintf("only its first %d bytes were searched for secrets", maxSearchedFile), Bytes: info.Size() - maxSearchedFile})
	}
	if f.w.o.Read != nil {
		f.w.o.Read(int64(len(data)))
	}
	found := f.w.find(string(data))
	for p, t := range found {
		t.ways = wayRest
		found[p] = t
	}
	f.w.note(found, mention{id: name, at: info.ModTime().UnixMilli(), key: [2]uint64{maphash.String(f.w.seed, name)}}, "", false, false)
}
