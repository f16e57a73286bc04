package posture

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

// What bounds the versions that are read: how many files, how many bytes each, and of all together. A parsed config
// takes some 70 times its text.
const (
	maxVersions     = 128
	maxVersionBytes = 4 << 20
	maxAllVersions  = 32 << 20
)

// kind says what a copy of the configuration stands for.
type kind uint8

const (
	isCurrent   kind = iota
	isRing           // .bak, .bak.1 … .bak.4: what each of OpenClaw's own writes replaced
	isGood           // .last-good: what the gateway accepted last
	isClobbered      // .clobbered.<time>: lay in the config's place until OpenClaw put it aside
	isRejected       // .rejected.<time>: was never written
	isOther
)

// A version is a file that holds the configuration or a copy of it.
type version struct {
	file     string
	kind     kind
	ring     int // 0 is the newest backup
	sha256   string
	size     int64
	modified time.Time // when it was written; of a backup, when it was replaced
	aside    time.Time // of a clobbered or rejected copy: the time in its name
	stamped  time.Time // meta.lastTouchedAt
	config   *openclaw.Config
}

// files reads the configuration and its copies beside it, the oldest backup first and the file in use last.
func (p *pastReader) files() (found []version) {
	p.left = maxAllVersions
	dir, base := path.Dir(p.in.ConfigPath), path.Base(p.in.ConfigPath)
	entries, err := fs.ReadDir(p.fsys, openclaw.FSName(dir))
	if err != nil && !openclaw.IsAbsent(err) {
		p.gap(dir, openclaw.Cause(err))
	}
	for _, e := range entries {
		v, ok := newVersion(base, e.Name())
		if !ok {
			continue
		}
		v.file = path.Join(dir, e.Name())
		switch {
		case len(found) == maxVersions:
			p.gap(dir, fmt.Sprintf("more than %d copies of the configuration; the rest was not read", maxVersions))
			return sortVersions(found)
		case !e.Type().IsRegular() && v.kind != isCurrent:
			p.gap(v.file, "is named like a copy of the configuration but is no regular file; not opened")
		case p.read(&v):
			found = append(found, v)
		}
	}
	return sortVersions(found)
}

func sortVersions(found []version) []version {
	order := func(v version) int {
		switch v.kind {
		case isCurrent:
			return 100
		case isRing:
			return 50 - v.ring
		}
		return 1000
	}
	slices.SortStableFunc(found, func(a, b version) int { return order(a) - order(b) })
	return found
}

// newVersion tells from its name what a file beside the config is.
func newVersion(base, name string) (v version, ok bool) {
	rest, ok := strings.CutPrefix(name, base)
	if !ok || rest != "" && !strings.ContainsRune(".~-", rune(rest[0])) || strings.HasSuffix(rest, ".lock") || strings.HasSuffix(rest, ".tmp") {
		return v, false
	}
	v.kind = isOther
	switch {
	case rest == "":
		v.kind = isCurrent
	case rest == ".bak":
		v.kind = isRing
	case rest == ".last-good":
		v.kind = isGood
	case strings.HasPrefix(rest, ".clobbered."):
		v.kind, v.aside = isClobbered, nameTime(strings.TrimPrefix(rest, ".clobbered."))
	case strings.HasPrefix(rest, ".rejected."):
		v.kind, v.aside = isRejected, nameTime(strings.TrimPrefix(rest, ".rejected."))
	case strings.HasPrefix(rest, ".bak."):
		if n, err := strconv.Atoi(rest[len(".bak."):]); err == nil && n > 0 && n < 5 {
			v.kind, v.ring = isRing, n
		}
	}
	return v, true
}

// nameTime reads the time that begins the rest of a file's name: 2026-11-22T08-21-06-001Z, or milliseconds.
func nameTime(s string) time.Time {
	if ms, err := strconv.ParseInt(s, 10, 64); err == nil && ms > 1e12 && ms < 1e13 {
		return time.UnixMilli(ms).UTC()
	}
	if len(s) < len("2026-11-22T08-21-06-001Z") {
		return time.Time{}
	}
	t, _ := time.Parse(time.RFC3339Nano, s[:13]+":"+s[14:16]+":"+s[17:19]+"."+s[20:24])
	return t
}

// read reads one version whole. It reports false, and leaves a gap, for what cannot be read.
func (p *pastReader) read(v *version) bool {
	text, info, err := readVersion(p.fsys, v.file, min(maxVersionBytes, p.left))
	if err != nil {
		p.gap(v.file, "a version of the configuration: "+openclaw.Cause(err))
		return false
	}
	p.left -= int64(len(text))
	sum := sha256.Sum256(text)
	v.sha256, v.size, v.modified = hex.EncodeToString(sum[:]), int64(len(text)), info.ModTime().UTC()
	config, gaps := openclaw.LoadConfig(pinned{p.fsys, openclaw.FSName(v.file), text, info}, v.file)
	for _, g := range gaps {
		p.gap(g.Path, "a version of the configuration: "+g.What)
	}
	if config.Tree != nil {
		v.config = config
		v.stamped, _ = time.Parse(time.RFC3339Nano, config.String("meta", "lastTouchedAt"))
		v.stamped = v.stamped.UTC()
	}
	if len(config.Files) > 1 && v.kind != isCurrent {
		p.gap(v.file, "includes other files, of which no earlier versions are kept; they were read as they are now")
	}
	return true
}

func readVersion(fsys fs.FS, file string, limit int64) ([]byte, fs.FileInfo, error) {
	f, err := fsys.Open(openclaw.FSName(file))
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = fmt.Errorf("larger than the %d bytes that may be read", limit)
	}
	return text, info, err
}

// pinned is a file system in which one file is what it was when it was read: its digest and its tree must be of the
// same bytes.
type pinned struct {
	fs.FS
	name string
	text []byte
	info fs.FileInfo
}

// Open opens a file.
func (p pinned) Open(name string) (fs.File, error) {
	if name == p.name {
		return &pinnedFile{bytes.NewReader(p.text), p.info}, nil
	}
	return p.FS.Open(name)
}

type pinnedFile struct {
	*bytes.Reader
	info fs.FileInfo
}

// Stat tells what the file was.
func (f *pinnedFile) Stat() (fs.FileInfo, error) { return f.info, nil }

// Close does nothing.
func (f *pinnedFile) Close() error { return nil }
