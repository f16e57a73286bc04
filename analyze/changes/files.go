package changes

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/analyze"
	"github.com/clawbook/openclaw-ir/collect"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

// roles are the kinds of files that agents read or run. Environment files are told as credentials; snapshots of a shell change with
// every start of one.
var roles = map[string]Kind{"identity": Identity, "memory": Memory, "skill": Skill, "hook": Hook, "plugin": Plugin}

// A unit is what belongs together: all files of one skill, hook or plugin, or one file of memory.
type unit struct {
	kind  Kind
	files map[string]string // path and digest, or the target of a link
}

// maxHashed bounds how much is read of one file, in bytes.
const maxHashed = 256 << 20

// files compares what the agents read and run.
func (d *differ) files(was, is *openclaw.Installation) {
	older, newer := d.units(d.older, was), d.units(d.newer, is)
	for _, name := range namesOf(older, newer) {
		d.unit(name, older[name], newer[name])
	}
}

// units reads the files of one side.
func (d *differ) units(side *Side, in *openclaw.Installation) map[string]*unit {
	units := map[string]*unit{}
	d.gaps(analyze.RestFiles(d.ctx, side.FS, in, func(f analyze.RestFile, info fs.FileInfo) {
		kind, ok := roles[f.Role]
		if !ok || d.ctx.Err() != nil {
			return
		}
		name := f.Path
		if kind != Identity && kind != Memory {
			first, _, _ := strings.Cut(strings.TrimPrefix(f.Path, f.Root+"/"), "/")
			name = path.Join(f.Root, first)
		}
		if units[name] == nil {
			units[name] = &unit{kind, map[string]string{}}
		}
		units[name].files[f.Path] = d.digest(side, f.Path, info)
	}))
	return units
}

// digest is that of a file's content, or the target of a link.
func (d *differ) digest(side *Side, file string, info fs.FileInfo) string {
	name := openclaw.FSName(file)
	if info.Mode()&fs.ModeSymlink != 0 {
		target, err := fs.ReadLink(side.FS, name)
		if err != nil {
			d.gap(file, err)
		}
		return "link to " + target
	}
	if !info.Mode().IsRegular() {
		return info.Mode().Type().String()
	}
	f, err := side.FS.Open(name)
	if err != nil {
		d.gap(file, err)
		return "not read"
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, io.LimitReader(f, maxHashed+1))
	if d.o.Read != nil {
		d.o.Read(n)
	}
	switch {
	case err != nil:
		d.gap(file, err)
		return "not read"
	case n > maxHashed:
		d.gaps([]openclaw.Gap{{Path: file, What: fmt.Sprintf("larger than %d bytes; only its beginning was compared", maxHashed)}})
	}
	return hex.EncodeToString(h.Sum(nil))
}

func (d *differ) gap(file string, err error) {
	d.gaps([]openclaw.Gap{{Path: file, What: openclaw.Cause(err)}})
}

// unit tells what became of one skill, hook, plugin or file of memory.
func (d *differ) unit(name string, was, is *unit) {
	var older, newer map[string]string
	c := Change{Name: name, Status: Changed}
	if was != nil {
		c.Kind, older = was.kind, was.files
	}
	if is != nil {
		c.Kind, newer = is.kind, is.files
	}
	switch {
	case was == nil:
		c.Status = Added
	case is == nil:
		c.Status = Removed
	}
	for _, file := range namesOf(older, newer) {
		f := FileChange{Path: file, Status: Changed, Was: older[file], Is: newer[file]}
		switch {
		case f.Was == "":
			f.Status = Added
		case f.Is == "":
			f.Status = Removed
		case f.Was == f.Is:
			continue
		}
		c.Files = append(c.Files, f)
	}
	if len(c.Files) == 0 {
		return
	}
	if len(c.Files) > maxChanges {
		d.report.Dropped[c.Kind] += len(c.Files) - maxChanges
		c.Files = c.Files[:maxChanges]
	}
	if c.Kind == Identity || c.Kind == Memory {
		c.Was, c.Is, c.Files = c.Files[0].Was, c.Files[0].Is, nil
		if d.report.Count(c.Kind) < maxChanges {
			c.Diff = d.diff(name)
		}
	}
	d.add(c)
}

// maxRead bounds a text that is compared line by line, in bytes: a secret that is cut at its end lies behind what is compared.
const maxRead = 4<<20 + longestSecret

// diff is a unified diff of a text of both sides, secrets replaced.
func (d *differ) diff(file string) string {
	old, now, same := d.bothTexts(file)
	if same || bytes.IndexByte(old, 0) >= 0 || bytes.IndexByte(now, 0) >= 0 {
		return ""
	}
	versions := []collect.ConfigVersion{
		{Name: file, Time: d.modified(d.older, file), Origin: "older", Data: old}, {Name: file, Time: d.modified(d.newer, file), Origin: "newer", Data: now},
	}
	text := string(collect.ConfigDiffs(versions, d.o.Set)[0].Text)
	if len(text) > maxDiff {
		text = text[:strings.LastIndexByte(text[:maxDiff], '\n')+1] + fmt.Sprintf("# and more: %d bytes of the diff are left out\n", len(text)-maxDiff)
	}
	return text
}

func (d *differ) modified(side *Side, file string) (t time.Time) {
	if info, err := fs.Stat(side.FS, openclaw.FSName(file)); err == nil {
		t = info.ModTime()
	}
	return t
}

// bothTexts reads the beginning of a file on both sides; nil where it is not there.
func (d *differ) bothTexts(file string) (old, now []byte, same bool) {
	read := func(side *Side) []byte {
		f, err := side.FS.Open(openclaw.FSName(file))
		if err != nil {
			if !openclaw.IsAbsent(err) {
				d.gap(file, err)
			}
			return nil
		}
		defer f.Close()
		text, err := io.ReadAll(io.LimitReader(f, maxRead))
		if err != nil {
			d.gap(file, err)
		}
		return slices.Clip(text)
	}
	old, now = read(d.older), read(d.newer)
	return old, now, bytes.Equal(old, now)
}
