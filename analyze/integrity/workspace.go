package integrity

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/internal/jsonl"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/clawbook/openclaw-ir/internal/sqlite"
)

// identityFiles are what an agent reads of itself and its orders at every start.
var identityFiles = []string{"AGENTS.md", "SOUL.md", "IDENTITY.md", "USER.md", "TOOLS.md", "HEARTBEAT.md", "MEMORY.md", "BOOT.md"}

const (
	// maxMemoryFiles bounds the files of memory/ that are looked at.
	maxMemoryFiles = 500
	// maxReplayed bounds what recorded writes are kept to be replayed, in bytes for all files.
	maxReplayed = 16 << 20
	// nearby is how far a file's time may lie from the record of the write that explains it.
	nearby = 120 * time.Second
)

// A watched file is one whose changes must be in the transcripts.
type watched struct {
	path, workspace string
	base            []byte // as it may stand in a command
	sum             string // SHA-256, hex
	mtime           time.Time
	ops             []op
	generated       []string // digests that OpenClaw recorded of it
}

// An op is something recorded that changed the file, or may have.
type op struct {
	time    int64 // ms
	call    uint64
	session *session
	kind    string // write, edit; or name: a command or patch that names it
	text    string
	edits   [][2]string
	settled bool
	failed  bool
}

// A generatedHash is a digest that OpenClaw keeps of a file it wrote.
type generatedHash struct{ workspace, name, sum string }

// watchedFiles finds the files of every workspace that are watched.
func (c *checker) watchedFiles() (files []*watched) {
	seen := map[string]bool{}
	for _, a := range c.in.Agents {
		if a.Workspace == "" || seen[a.Workspace] {
			continue
		}
		seen[a.Workspace] = true
		names := slices.Clone(identityFiles)
		memory := c.below(path.Join(a.Workspace, "memory"), 1, func(name string) bool { return strings.HasSuffix(name, ".md") })
		for _, file := range memory[:min(len(memory), maxMemoryFiles)] {
			names = append(names, strings.TrimPrefix(file, a.Workspace+"/"))
		}
		for _, name := range names {
			if w := c.watchedFile(a.Workspace, name); w != nil {
				files = append(files, w)
			}
		}
	}
	return files
}

func (c *checker) watchedFile(workspace, name string) *watched {
	w := &watched{path: path.Join(workspace, name), workspace: workspace, base: []byte(path.Base(name))}
	fi, err := fs.Lstat(c.fsys, openclaw.FSName(w.path))
	if err != nil || !fi.Mode().IsRegular() {
		return nil
	}
	w.mtime = fi.ModTime().UTC()
	if w.sum, err = digestOf(c.fsys, w.path); err != nil {
		c.gap(openclaw.Gap{Path: w.path, What: openclaw.Cause(err)})
		return nil
	}
	return w
}

// watch notes a call that changes a watched file, or names it.
func (c *checker) watch(s *session, key uint64, call *call, t int64) {
	for _, w := range c.files {
		if !bytes.Contains(call.args, w.base) || call.tool == "read" {
			continue
		}
		o := op{time: t, call: key, session: s, kind: "name"}
		if call.tool == "write" || call.tool == "edit" {
			file := c.change(&o, call)
			if !c.sameFile(s, w, file) {
				continue
			}
		}
		if n := len(o.text); n > 0 {
			if c.replayed += n; c.replayed > maxReplayed {
				o.kind, o.text, o.edits = "name", "", nil
				c.rep.undecided("MEM-004", "more was written to watched files than is replayed")
			}
		}
		w.ops = append(w.ops, o)
	}
}

// change reads the arguments of write{path,content} and edit{path,edits[{oldText,newText}]}, older forms included.
func (c *checker) change(o *op, call *call) (file string) {
	o.kind = call.tool
	var p jsonl.Parser
	var old, replacement string
	p.Reset(call.args)
	for name := range p.Members() {
		switch string(name) {
		case "path", "file_path":
			file = p.Text()
		case "content":
			o.text = p.Text()
		case "oldText", "old_string":
			old = p.Text()
		case "newText", "new_string":
			replacement = p.Text()
		case "edits":
			for range p.Elements() {
				o.edits = append(o.edits, editOf(&p))
			}
		}
	}
	if old != "" {
		o.edits = append(o.edits, [2]string{old, replacement})
	}
	return file
}

func editOf(p *jsonl.Parser) (e [2]string) {
	for name := range p.Members() {
		switch string(name) {
		case "oldText", "old_string":
			e[0] = p.Text()
		case "newText", "new_string":
			e[1] = p.Text()
		}
	}
	return e
}

// sameFile resolves a path of a call as the agent's workspace does.
func (c *checker) sameFile(s *session, w *watched, file string) bool {
	if rest, ok := strings.CutPrefix(file, "~/"); ok {
		file = path.Join(c.in.Home, rest)
	}
	if path.IsAbs(file) {
		return path.Clean(file) == w.path
	}
	for _, a := range c.in.Agents {
		if a.ID == s.agent {
			return path.Join(a.Workspace, file) == w.path
		}
	}
	return path.Join(w.workspace, file) == w.path
}

// settle notes whether a change was made.
func (c *checker) settle(s *session, key uint64, r *result) {
	for _, w := range c.files {
		for i := len(w.ops) - 1; i >= 0; i-- {
			if o := &w.ops[i]; o.call == key && o.session == s && !o.settled {
				o.settled, o.failed = true, r.failed
				break
			}
		}
	}
}

// generated reads the digests that OpenClaw keeps of workspace files: as it generated them, and as an agent wrote them.
func (c *checker) generated(d *openclaw.Database) error {
	if d.Has("workspace_generated_bootstrap_hashes", "workspace_key", "filename", "sha256") {
		err := each(c, d, "SELECT workspace_key, filename, sha256 FROM workspace_generated_bootstrap_hashes", func(row *sqlite.Row) {
			c.hashes = append(c.hashes, generatedHash{text(row, 0), text(row, 1), text(row, 2)})
		})
		if err != nil {
			return err
		}
	}
	if !d.Has("plugin_state_entries", "namespace", "value_json") {
		return nil
	}
	return each(c, d, "SELECT value_json FROM plugin_state_entries WHERE namespace = 'workspace-files'", func(row *sqlite.Row) {
		var p jsonl.Parser
		g := generatedHash{}
		p.Reset(row.Text(0))
		for name := range p.Members() {
			switch string(name) {
			case "workspaceKey":
				g.workspace = p.Text()
			case "relativePath":
				g.name = p.Text()
			case "fileHash":
				g.sum = p.Text()
			}
		}
		c.hashes = append(c.hashes, g)
	})
}

// attested reads the same of releases that kept it in files: workspace-attestations/<key>.attested.
func (c *checker) attested() {
	dir := path.Join(c.in.StateDir, "workspace-attestations")
	for _, file := range c.below(dir, 0, func(name string) bool { return strings.HasSuffix(name, ".attested") }) {
		text, err := c.small(file)
		if err != nil {
			c.gap(openclaw.Gap{Path: file, What: openclaw.Cause(err)})
		}
		key := strings.TrimSuffix(path.Base(file), ".attested")
		for line := range strings.Lines(string(text)) {
			if f := strings.Split(strings.TrimSpace(line), ":"); len(f) == 3 && f[0] == "generated" {
				c.hashes = append(c.hashes, generatedHash{key, f[1], f[2]})
			}
		}
	}
}

// workspaces compares the files with the digests, the recorded writes and their own times.
func (c *checker) workspaces() {
	c.attested()
	for _, w := range c.files {
		c.count("MEM-004", 1)
		key := sha256.Sum256([]byte(w.workspace))
		for _, g := range c.hashes {
			if g.workspace == hex.EncodeToString(key[:]) && path.Join(w.workspace, g.name) == w.path {
				w.generated = append(w.generated, g.sum)
			}
		}
		c.workspaceFile(w)
	}
	c.rep.undecided("MEM-004", "versions in a workspace's git repository are not compared")
}

func (c *checker) workspaceFile(w *watched) {
	if slices.Contains(w.generated, w.sum) {
		return
	}
	slices.SortStableFunc(w.ops, func(a, b op) int { return int(min(max(a.time-b.time, -1), 1)) })
	f := Finding{Check: "MEM-004", Level: high, Path: w.path, Time: w.mtime, Benign: "an edit by hand"}
	switch content, known := replay(w.ops); {
	case known && sumOf(content) == w.sum:
		return
	case known:
		f.Title, f.Detail = "a file is not what the recorded writes leave", "the last recorded write or edit of it leaves other content"
		f.Evidence = []string{"last recorded change: " + ms(lastChange(w.ops)).Format(time.RFC3339)}
	case c.explained(w) || w.mtime.Before(c.firstEvent()):
		return
	default:
		f.Title, f.Detail = "a file of the workspace was changed and no transcript says how", "no write, edit, patch or command that names it is recorded within two minutes of its last change"
		if len(w.generated) > 0 {
			f.Detail += "; it is not what OpenClaw generated or recorded last"
		}
	}
	c.add(f)
}

func sumOf(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

func lastChange(ops []op) (t int64) {
	for _, o := range ops {
		if !o.failed {
			t = o.time
		}
	}
	return t
}

// replay is what the recorded changes leave, if that can be told: from the last whole write on, edit by edit.
func replay(ops []op) (content string, known bool) {
	for _, o := range ops {
		switch {
		case o.failed:
		case !o.settled, o.kind == "name", o.kind == "edit" && !known:
			known = false
		case o.kind == "write":
			content, known = o.text, !masked(o.text)
		default:
			for _, e := range o.edits {
				if strings.Count(content, e[0]) != 1 || masked(e[1]) {
					return "", false
				}
				content = strings.Replace(content, e[0], e[1], 1)
			}
		}
	}
	return content, known
}

// explained reports whether something recorded lies near the file's last change. The summary of a session that was
// reset is written into memory/ by OpenClaw itself.
func (c *checker) explained(w *watched) bool {
	near := func(t time.Time) bool { return !t.IsZero() && t.Sub(w.mtime).Abs() <= nearby }
	if slices.ContainsFunc(w.ops, func(o op) bool { return near(ms(o.time)) }) {
		return true
	}
	if path.Dir(w.path) != path.Join(w.workspace, "memory") {
		return false
	}
	return slices.ContainsFunc(c.resets, near)
}

// firstEvent is when the oldest recorded session began.
func (c *checker) firstEvent() time.Time {
	first := int64(0)
	for _, s := range c.sessions {
		if s.first != 0 && (first == 0 || s.first < first) {
			first = s.first
		}
	}
	if first == 0 {
		return c.o.Now
	}
	return ms(first)
}
