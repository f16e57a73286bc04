package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/collect"
	"github.com/clawbook/openclaw-ir/contain"
	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/durable"
	"github.com/clawbook/openclaw-ir/rotate"
	"github.com/urfave/cli/v2"
)

// A caseLook is what a case is worth: its log, its bundles, and every file that the log names.
type caseLook struct {
	log     casefile.Report
	heads   []knownHead
	bundles []collect.Kept
	files   []caseFile // by path
}

// A knownHead is a point of the custody log that was noted outside it.
type knownHead struct {
	casefile.Head
	from string // where it was noted
}

// A caseFile is a file of the case, compared with what the log says of it last.
type caseFile struct {
	Path    string `json:"path"`
	SHA256  string `json:"sha256,omitempty"` // as the log has it
	Line    int    `json:"line,omitempty"`   // of the log that says so; 0 if none does
	Size    int64  `json:"size"`             // bytes
	Problem string `json:"problem,omitempty"`
	Note    string `json:"note,omitempty"`
	Removed bool   `json:"removed,omitempty"` // because of its age, as the log says
}

// lookAt reads the whole case. given are heads that the caller knows.
func lookAt(ctx context.Context, e env, cs *casefile.Case, given ...knownHead) (*caseLook, error) {
	l := &caseLook{heads: given}
	bar := e.console.Progress(console.Bytes)
	bar.Start("reading the case", 0)
	defer bar.Done()
	var err error
	if l.bundles, err = collect.KeptIn(ctx, cs, bar.Add); err != nil {
		return nil, err
	}
	for _, b := range l.bundles {
		if b.Problem == "" && b.Seal != nil && b.Seal.CustodyHead != "" {
			l.heads = append(l.heads, knownHead{casefile.Head{Hash: b.Seal.CustodyHead}, b.Path + ".seal"})
		}
	}
	named, err := l.follow(cs)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(named)) {
		f := named[name]
		if err := l.compare(cs, f, bar.Add); err != nil {
			return nil, fmt.Errorf("reading %q: %w", f.Path, err)
		}
		l.files = append(l.files, *f)
	}
	l.addUnnamed(cs, named)
	return l, ctx.Err()
}

// follow verifies the log and gathers the files of the case that it names, each as the last line has it. A log that is missing or
// is somebody else's is no log: that is a problem of the case, and no error.
func (l *caseLook) follow(cs *casefile.Case) (map[string]*caseFile, error) {
	heads := make([]casefile.Head, len(l.heads))
	for i, h := range l.heads {
		heads[i] = h.Head
	}
	var err error
	l.log, err = cs.Verify(heads...)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		l.log.Problems = []casefile.Problem{{What: "the log is missing"}}
		return nil, nil
	case errors.Is(err, casefile.ErrUnsafe):
		l.log.Problems = []casefile.Problem{{What: err.Error()}}
		return nil, nil
	case err != nil:
		return nil, err
	}
	named := map[string]*caseFile{}
	for line, err := range cs.Lines() {
		if err != nil {
			break // Verify has told it
		}
		for i := range l.heads {
			if l.heads[i].Hash == line.SHA256 {
				l.heads[i].Lines = line.Number
			}
		}
		if line.Entry == nil {
			continue
		}
		for _, d := range line.Entry.Digests {
			if d.Kept() {
				removed := line.Entry.Action == collect.RetentionAction
				named[d.Name] = &caseFile{Path: d.Name, SHA256: d.SHA256, Line: line.Number, Removed: removed}
			}
		}
	}
	return named, nil
}

// compare looks whether a file is in the case as the log has it. That it cannot be read says nothing of it.
func (l *caseLook) compare(cs *casefile.Case, f *caseFile, read func(int64)) error {
	for _, b := range l.bundles {
		switch {
		case b.Path == f.Path && b.Seal != nil && b.Problem == "" && b.Note == "":
			f.Size, f.Problem = b.Size, differs(f.SHA256, b.Seal.SHA256)
			return nil
		case b.Path == f.Path && b.Problem != "":
			f.Size, f.Problem = b.Size, b.Problem
			return nil
		}
	}
	file, err := cs.OpenFile(f.Path)
	f.Removed = f.Removed && errors.Is(err, fs.ErrNotExist)
	if f.Removed {
		f.Note = "old, and removed by --keep; its seal stays"
		return nil
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.Problem = "missing: it was moved away or removed"
		return nil
	case durable.DiskFailed(err):
		return err
	case err != nil:
		f.Problem = err.Error()
		return nil
	}
	defer file.Close()
	sum := sha256.New()
	if f.Size, err = io.Copy(io.MultiWriter(sum, counter(read)), file); err != nil {
		return err
	}
	f.Problem = differs(f.SHA256, hex.EncodeToString(sum.Sum(nil)))
	return nil
}

func differs(want, got string) string {
	if want == got {
		return ""
	}
	return "changed: it has not the digest that the log has of it"
}

// counter is a writer that tells how much is written to it.
type counter func(int64)

func (f counter) Write(p []byte) (int, error) {
	f(int64(len(p)))
	return len(p), nil
}

// addUnnamed adds the files that the log does not name: bundles, reports, and the records that commands keep up to date.
func (l *caseLook) addUnnamed(cs *casefile.Case, named map[string]*caseFile) {
	const unnamed = "the log does not name it"
	for _, b := range l.bundles {
		if named[b.Path] == nil && (b.Size > 0 || b.Problem != "") {
			l.files = append(l.files, caseFile{Path: b.Path, Size: b.Size, Problem: b.Problem, Note: cmp.Or(b.Note, unnamed)})
		}
	}
	for dir, note := range map[string]string{".": "kept up to date", casefile.ReportDir: unnamed} {
		files, _ := fs.ReadDir(cs.Root().FS(), dir) // what is not there has no files
		for _, file := range files {
			name := path.Join(dir, file.Name())
			info, err := file.Info()
			if err != nil || !info.Mode().IsRegular() || named[name] != nil || dir == "." && (path.Ext(name) != ".json" || name == "case.json") {
				continue
			}
			l.files = append(l.files, caseFile{Path: name, Size: info.Size(), Note: note})
		}
	}
	slices.SortStableFunc(l.files, func(a, b caseFile) int { return strings.Compare(a.Path, b.Path) })
}

// problems counts what does not hold.
func (l *caseLook) problems() (n int) {
	for _, f := range l.files {
		n += min(len(f.Problem), 1)
	}
	return n + len(l.log.Problems) + l.log.More
}

// vouched is the number of the last line that a known head stands for.
func (l *caseLook) vouched() (line int) {
	for _, h := range l.heads {
		line = max(line, h.Lines)
	}
	return line
}

// An openThing is something of a case that waits for a person.
type openThing struct {
	What string `json:"what"`
	Type string `json:"type,omitempty"` // the command that goes on with it
}

// stillOpen is what of a case waits for a person.
func stillOpen(c *cli.Context, cs *casefile.Case) (list []openThing) {
	add := func(command, what string, args ...any) {
		if command != "" {
			argv := append(strings.Fields(command), "--case", cs.Name())
			if dir := c.String("case-dir"); dir != "" {
				argv = append(argv, "--case-dir", dir)
			}
			command = typedLine(argv)
		}
		list = append(list, openThing{fmt.Sprintf(what, args...), command})
	}
	switch j, err := contain.LoadJournal(cs); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		add("", "%v", err)
	case j.State == contain.Begun:
		add("contain", "a containment was begun and not finished")
	case j.State == contain.Contained && j.Firewall != nil:
		add("contain undo", "the host is still contained: the agent is stopped, and the firewall is closed")
	case j.State == contain.Contained:
		add("contain undo", "the host is still contained: the agent is stopped")
	}
	switch l, err := rotate.LoadLedger(cs); {
	case err != nil:
		add("", "%v", err)
	case l.Open() > 0:
		add("rotate list", "still to be replaced: %s", plural(l.Open(), "secret"))
	}
	if countFiles(cs, casefile.BundlesDir, ".seal") == 0 {
		add("collect", "no evidence was sealed in it")
	}
	return list
}
