package analyze

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/sigma"
)

// What lies in an installation and is read by the agent, or run by it, is looked at as it is now: instructions, memory,
// skills, hooks, plugins, scripts. These bound it: files of one place, depth below it, and bytes of one file's text.
const (
	maxRestFiles = 20_000
	maxRestEach  = 2_000 // of one skill, hook or plugin, so that none crowds the others out
	maxRestDepth = 12
	maxRestText  = 1 << 20
	maxRestHash  = 256 << 20
)

// identityFiles are the instructions that OpenClaw reads at the start of every session, in the workspace itself.
var identityFiles = []string{"AGENTS.md", "SOUL.md", "IDENTITY.md", "USER.md", "TOOLS.md", "HEARTBEAT.md", "BOOT.md", "BOOTSTRAP.md"}

// A restPlace is a directory whose files have one role.
type restPlace struct{ dir, role string }

// workspaces are those of an installation's agents, and those that lie where OpenClaw makes them by itself: a config, or a variable of some
// process, can name another to hide the one that is used.
func (r *restReader) workspaces(in *openclaw.Installation) (dirs []string) {
	for _, a := range in.Agents {
		if a.Workspace != "" && !slices.Contains(dirs, a.Workspace) {
			dirs = append(dirs, a.Workspace)
		}
	}
	entries, _ := fs.ReadDir(r.fsys, openclaw.FSName(in.StateDir)) // what is wrong with it is told where it is searched for transcripts
	for _, e := range entries {
		dir := path.Join(in.StateDir, e.Name())
		if e.Name() != "workspace" && !strings.HasPrefix(e.Name(), "workspace-") || slices.Contains(dirs, dir) {
			continue
		}
		switch info, err := fs.Stat(r.fsys, openclaw.FSName(dir)); { // OpenClaw takes a link for what it leads to
		case err == nil && info.IsDir():
			dirs = append(dirs, dir)
		case err != nil:
			r.cover.gap(openclaw.Gap{Path: dir, What: "is called like a workspace, and leads to none that can be read"})
		}
	}
	return dirs
}

// restPlaces lists where an installation keeps what its agents read and run.
func restPlaces(in *openclaw.Installation, workspaces []string) (places []restPlace) {
	for _, dir := range workspaces {
		places = append(places, restPlace{path.Join(dir, "memory"), "memory"}, restPlace{path.Join(dir, "skills"), "skill"},
			restPlace{path.Join(dir, ".agents", "skills"), "skill"}, restPlace{path.Join(dir, "hooks"), "hook"})
	}
	for sub, role := range map[string]string{"skills": "skill", "hooks": "hook", "extensions": "plugin", "cache/shell-snapshots": "snapshot", "tmp/agent-cli": "snapshot"} {
		places = append(places, restPlace{path.Join(in.StateDir, sub), role})
	}
	for _, l := range in.LoadDirs {
		places = append(places, restPlace{l.Path, l.Kind})
	}
	slices.SortFunc(places, func(a, b restPlace) int { return strings.Compare(a.dir+a.role, b.dir+b.role) })
	return slices.Compact(places)
}

// A restReader looks at the files of installations.
type restReader struct {
	ctx     context.Context
	fsys    fs.FS
	cover   *Coverage
	seen    map[string]bool
	own     []string        // the state directory and the workspaces, links resolved
	entered map[string]bool // the directories in them that were looked at, or are
	behind  int             // how many files were found behind links
	linked  bool            // it is behind a link
	visit   func(RestFile, fs.FileInfo)
	records *recorder
	take    func(file string, modified int64, rec *sigma.Record)
}

// A RestFile is a file of an installation that its agents read or run. Its strings are hostile text.
type RestFile struct {
	Path string // on the host
	Root string // the directory that it was found below
	Role string // identity, memory, skill, hook, plugin, snapshot or env
}

// RestFiles yields the files and links of an installation that its agents read or run, each once. What a limit leaves out, or cannot be
// read, is a gap.
func RestFiles(ctx context.Context, fsys fs.FS, in *openclaw.Installation, yield func(RestFile, fs.FileInfo)) []openclaw.Gap {
	r := &restReader{ctx: ctx, fsys: fsys, cover: &Coverage{}, seen: map[string]bool{}, entered: map[string]bool{}, visit: yield}
	r.installation(in)
	return r.cover.Gaps
}

// installation looks at all files of one installation.
func (r *restReader) installation(in *openclaw.Installation) {
	r.own = []string{openclaw.RealPath(r.fsys, in.StateDir)}
	workspaces := r.workspaces(in)
	for _, dir := range workspaces {
		r.own = append(r.own, openclaw.RealPath(r.fsys, dir))
	}
	for _, l := range in.LoadDirs {
		r.own = append(r.own, openclaw.RealPath(r.fsys, l.Path))
	}
	for _, dir := range workspaces {
		for _, name := range identityFiles {
			r.file(path.Join(dir, name), dir, "identity")
		}
		r.file(path.Join(dir, "MEMORY.md"), dir, "memory")
		r.file(path.Join(dir, ".env"), dir, "env")
	}
	r.file(path.Join(in.StateDir, ".env"), in.StateDir, "env")
	places := restPlaces(in, workspaces)
	for _, p := range places {
		r.entered[openclaw.RealPath(r.fsys, p.dir)] = true
	}
	for _, p := range places {
		n := 0
		r.place(p, &n)
	}
}

// place looks at all files below a directory, and counts them in n.
func (r *restReader) place(p restPlace, n *int) {
	each := map[string]int{}
	err := fs.WalkDir(r.fsys, openclaw.FSName(p.dir), func(name string, d fs.DirEntry, err error) error {
		switch {
		case r.ctx.Err() != nil:
			return r.ctx.Err()
		case err != nil:
			r.gap(openclaw.HostPath(name), err)
			return nil
		case d.IsDir():
			if strings.Count(strings.TrimPrefix(openclaw.HostPath(name), p.dir), "/") > maxRestDepth {
				r.cover.gap(openclaw.Gap{Path: openclaw.HostPath(name), What: fmt.Sprintf("deeper than %d directories below %q; not looked at", maxRestDepth, p.dir)})
				return fs.SkipDir
			}
			if d.Name() == "node_modules" || d.Name() == ".git" || each[p.member(name)] > maxRestEach {
				return fs.SkipDir
			}
			return nil
		}
		m := p.member(name)
		if each[m]++; each[m] > maxRestEach {
			r.cover.gap(openclaw.Gap{Path: path.Join(p.dir, m), What: fmt.Sprintf("holds more than %d files; the others were not looked at", maxRestEach)})
			return fs.SkipDir
		}
		if *n++; *n > maxRestFiles {
			r.cover.gap(openclaw.Gap{Path: p.dir, What: fmt.Sprintf("holds more than %d files; the others were not looked at", maxRestFiles)})
			return fs.SkipAll
		}
		r.file(openclaw.HostPath(name), p.dir, p.role)
		return nil
	})
	if err != nil && r.ctx.Err() == nil {
		r.gap(p.dir, err)
	}
}

// member is the entry of a place below which a file lies.
func (p restPlace) member(name string) string {
	below := strings.TrimPrefix(strings.TrimPrefix(openclaw.HostPath(name), p.dir), "/")
	first, _, _ := strings.Cut(below, "/")
	return first
}

func (r *restReader) gap(file string, err error) {
	if !openclaw.IsAbsent(err) {
		r.cover.gap(openclaw.Gap{Path: file, What: err.Error()})
	}
}

// file looks at one file.
func (r *restReader) file(file, root, role string) {
	if r.seen[file] {
		return
	}
	info, err := fs.Lstat(r.fsys, openclaw.FSName(file))
	if err != nil {
		r.gap(file, err)
		return
	}
	r.seen[file] = true
	r.visit(RestFile{file, root, role}, info)
	if info.Mode()&fs.ModeSymlink != 0 {
		r.follow(restPlace{file, role})
	}
}

// follow looks at what a link to a directory leads to, once, as OpenClaw does where that is its own. Links that are found there lead no
// further.
func (r *restReader) follow(p restPlace) {
	info, err := fs.Stat(r.fsys, openclaw.FSName(p.dir))
	if err != nil {
		r.gap(p.dir, err)
		return
	}
	real := openclaw.RealPath(r.fsys, p.dir)
	switch {
	case !info.IsDir() || r.entered[real]:
	case r.linked:
		r.cover.gap(openclaw.Gap{Path: p.dir, What: "a link to a directory, behind another one; not followed"})
	case !slices.ContainsFunc(r.own, func(dir string) bool { return openclaw.Within(real, dir) }):
		r.cover.gap(openclaw.Gap{Path: p.dir, What: fmt.Sprintf("leads to %q, outside the state directory and the workspaces; not looked at", real)})
	default:
		r.entered[real], r.linked = true, true
		r.place(p, &r.behind)
		r.linked = false
	}
}

// record makes the record of one file.
func (r *restReader) record(f RestFile, info fs.FileInfo) {
	file, root, role := f.Path, f.Root, f.Role
	r.records.n = 0
	rec := r.records.bare(CategoryFile)
	rec.Add("TargetFilename", canonical(file), "")
	rec.Add("Role", role, "")
	rec.Add("Size", strconv.FormatInt(info.Size(), 10), "")
	if strings.HasPrefix(path.Base(file), ".") {
		rec.Add("Hidden", "true", "")
	}
	if info.Mode().Perm()&0o111 != 0 && info.Mode().IsRegular() {
		rec.Add("Executable", "true", "")
	}
	if slug := slugOf(file, root, role); slug != "" {
		rec.Add("Slug", slug, "")
	}
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		r.link(rec, file, root)
	case info.Mode().IsRegular():
		r.content(rec, file)
	default:
		r.odd(file, info)
	}
	r.take(file, info.ModTime().UnixMilli(), rec)
}

// slugOf is a skill's or plugin's name: the directory it lies in below its place, which may be any that the config names.
func slugOf(file, root, role string) string {
	if role != "skill" && role != "plugin" {
		return ""
	}
	for _, sep := range []string{"/skills/", "/extensions/"} {
		if i := strings.LastIndex(file, sep); i >= 0 {
			slug, _, ok := strings.Cut(file[i+len(sep):], "/")
			if ok {
				return slug
			}
		}
	}
	if below, ok := strings.CutPrefix(file, root+"/"); ok && root != "" {
		if slug, _, ok := strings.Cut(below, "/"); ok {
			return slug
		}
	}
	return ""
}

// link tells where a link leads, and whether that is outside the place it lies in.
func (r *restReader) link(rec *sigma.Record, file, root string) {
	target, err := fs.ReadLink(r.fsys, openclaw.FSName(file))
	if err != nil {
		r.gap(file, err)
		return
	}
	if !path.IsAbs(target) {
		target = path.Join(path.Dir(file), target)
	}
	rec.Add("Target", target, "")
	if !openclaw.Within(path.Clean(target), root) {
		rec.Add("SymlinkEscape", "true", "")
	}
	info, err := fs.Stat(r.fsys, openclaw.FSName(file))
	switch {
	case err != nil: // told by follow
	case info.Mode().IsRegular(): // which the agent reads in its place
		r.content(rec, file)
	case !info.IsDir():
		r.odd(file, info)
	}
}

// odd names what stands where a file is read, and cannot be: nobody knows what the agent got from it.
func (r *restReader) odd(file string, info fs.FileInfo) {
	what := "device"
	switch info.Mode().Type() {
	case fs.ModeDir:
		what = "directory"
	case fs.ModeNamedPipe:
		what = "named pipe"
	case fs.ModeSocket:
		what = "socket"
	}
	r.cover.gap(openclaw.Gap{Path: file, What: "is a " + what + " and no regular file; not looked at"})
}

// content reads a file: its digest, what format it has, and its text.
func (r *restReader) content(rec *sigma.Record, file string) {
	f, err := r.fsys.Open(openclaw.FSName(file))
	if err != nil {
		r.gap(file, err)
		return
	}
	defer f.Close()
	var head bytes.Buffer
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(sum, limited{&head, maxRestText}), io.LimitReader(f, maxRestHash+1))
	switch {
	case err != nil:
		r.gap(file, err)
	case n > maxRestHash:
		r.cover.gap(openclaw.Gap{Path: file, What: fmt.Sprintf("larger than %d bytes; its digest was not taken", maxRestHash)})
	default:
		digest := hex.EncodeToString(sum.Sum(nil))
		rec.Add("Sha256", digest, "")
		r.records.skill(rec, "", rec.Get("Slug"), digest)
	}
	r.cover.Records++
	r.cover.Bytes += n
	text := head.Bytes()
	format := formatOf(text)
	rec.Add("Format", format, "")
	rec.Add("PaddingRatio", strconv.Itoa(padding(text)), "")
	if format == "text" || format == "script" {
		r.records.texts(rec, "Content", string(text))
		if n > maxRestText {
			r.cover.gap(openclaw.Gap{Path: file, What: fmt.Sprintf("only its first %d bytes were matched with the rules", maxRestText), Bytes: n - maxRestText})
		}
	}
}

// limited writes the first n bytes and drops the rest.
type limited struct {
	w *bytes.Buffer
	n int
}

func (l limited) Write(p []byte) (int, error) {
	l.w.Write(p[:min(len(p), max(0, l.n-l.w.Len()))])
	return len(p), nil
}

// formatOf tells a file's format from how it begins.
func formatOf(head []byte) string {
	for magic, format := range map[string]string{
		"\x7fELF": "elf", "\xcf\xfa\xed\xfe": "macho", "\xce\xfa\xed\xfe": "macho", "\xca\xfe\xba\xbe": "macho", "MZ\x90": "pe", "#!": "script",
		"PK\x03\x04": "archive", "\x1f\x8b": "archive",
	} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return format
		}
	}
	if bytes.IndexByte(head[:min(len(head), 8<<10)], 0) >= 0 {
		return "binary"
	}
	return "text"
}

// padding is the share of white space, or of the one byte that is most frequent, in per cent.
func padding(text []byte) int {
	if len(text) == 0 {
		return 0
	}
	var counts [256]int
	for _, b := range text {
		counts[b]++
	}
	blank := counts[' '] + counts['\n'] + counts['\t'] + counts['\r']
	return 100 * max(blank, slices.Max(counts[:])) / len(text)
}
