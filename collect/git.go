package collect

import (
	"bytes"
	"cmp"
	"compress/zlib"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

const (
	maxCommits = 2000
	maxObject  = 8 << 20
)

// repository reads the loose objects of a git repository, and no more: enough for a directory that commits its own
// config. git itself would run what the repository's config tells it to. What is in packs is in the bundle as it is.
type repository struct {
	c   *collector
	git string // the .git directory
}

// gitVersions adds the committed versions of the config, if it lies in a repository.
func (h *history) gitVersions() {
	repo, rel := h.repository()
	if repo == nil {
		return
	}
	blobs, lost := repo.versions(rel)
	for _, b := range blobs {
		kind, text, err := repo.object(b.blob)
		if err != nil || kind != "blob" || int64(len(text)) > h.left {
			lost++
			continue
		}
		name := fmt.Sprintf("%s at commit %s", path.Join(path.Dir(repo.git), rel), b.commit)
		h.add(version{ConfigVersion: ConfigVersion{Name: name, Time: b.at, Origin: "git blob", Data: text}, from: "commit"})
	}
	if lost > 0 {
		h.note("%s: %d objects are packed, missing or damaged: their history is only in the repository itself, which is collected",
			quoteName(repo.git), lost)
	}
}

// repository finds the repository that the config lies in, at its own directory or above it up to the home.
func (h *history) repository() (*repository, string) {
	top := cmp.Or(h.in.Home, h.in.StateDir)
	dir, rel := path.Dir(h.in.ConfigPath), path.Base(h.in.ConfigPath)
	for openclaw.Within(dir, top) {
		git := path.Join(dir, ".git")
		if fi, err := h.c.root.Lstat(hostName(git)); err == nil && fi.IsDir() {
			return &repository{h.c, git}, rel
		}
		if dir == "/" {
			break
		}
		dir, rel = path.Dir(dir), path.Join(path.Base(dir), rel)
	}
	return nil, ""
}

// A committed version of a file.
type committed struct {
	blob, commit string
	at           time.Time
}

// versions returns the contents that a file had in any commit that HEAD or its log leads to, each once, with its
// earliest commit.
func (r *repository) versions(rel string) (list []committed, lost int) {
	todo := r.heads()
	seen := map[string]bool{}
	found := map[string]committed{}
	for len(todo) > 0 && len(seen) < maxCommits && r.c.ctx.Err() == nil {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[id] {
			continue
		}
		seen[id] = true
		commit, err := r.commit(id)
		if err != nil {
			lost++
			continue
		}
		todo = append(todo, commit.parents...)
		blob, err := r.lookup(commit.tree, strings.Split(rel, "/"))
		switch old, ok := found[blob]; {
		case err != nil:
			lost++
		case blob != "" && (!ok || commit.at.Before(old.at)):
			found[blob] = committed{blob, id, commit.at}
		}
	}
	for _, v := range found {
		list = append(list, v)
	}
	slices.SortFunc(list, func(a, b committed) int { return a.at.Compare(b.at) })
	return list, lost
}

// heads returns the commits that HEAD is at and, by its log, was at: also those that were amended away.
func (r *repository) heads() (ids []string) {
	head := strings.TrimSpace(r.text("HEAD"))
	if ref, ok := strings.CutPrefix(head, "ref: "); ok && path.Clean("/"+ref) == "/"+ref {
		head = strings.TrimSpace(r.text(ref))
		for line := range strings.Lines(r.text("packed-refs")) {
			if id, name, _ := strings.Cut(strings.TrimSpace(line), " "); name == ref && head == "" {
				head = id
			}
		}
	}
	ids = append(ids, head)
	for line := range strings.Lines(r.text("logs/HEAD")) {
		if f := strings.Fields(line); len(f) > 1 && len(ids) < maxCommits {
			ids = append(ids, f[1])
		}
	}
	return slices.DeleteFunc(ids, func(id string) bool { return !isObjectID(id) })
}

func (r *repository) text(name string) string {
	b, _, err := r.c.slurp(path.Join(r.git, name), maxObject)
	if err != nil {
		return ""
	}
	return string(b)
}

// isObjectID says whether s is a SHA-1 or SHA-256 in hex, and so no path that leads elsewhere.
func isObjectID(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil && (len(s) == 40 || len(s) == 64)
}

var errObject = errors.New("malformed object")

// object reads a loose object (gitformat-loose(5)).
func (r *repository) object(id string) (kind string, body []byte, err error) {
	if !isObjectID(id) {
		return "", nil, errObject
	}
	packed, _, err := r.c.slurp(path.Join(r.git, "objects", id[:2], id[2:]), maxObject)
	if err != nil {
		return "", nil, err
	}
	z, err := zlib.NewReader(bytes.NewReader(packed))
	if err != nil {
		return "", nil, err
	}
	all, err := io.ReadAll(io.LimitReader(z, maxObject+1))
	if err != nil || len(all) > maxObject {
		return "", nil, errObject
	}
	head, body, ok := bytes.Cut(all, []byte{0})
	kind, _, _ = strings.Cut(string(head), " ")
	if !ok {
		return "", nil, errObject
	}
	return kind, body, nil
}

type commit struct {
	tree    string
	parents []string
	at      time.Time
}

func (r *repository) commit(id string) (commit, error) {
	kind, body, err := r.object(id)
	if err != nil || kind != "commit" {
		return commit{}, cmp.Or(err, errObject)
	}
	return parseCommit(string(body)), nil
}

func parseCommit(body string) (c commit) {
	head, _, _ := strings.Cut(body, "\n\n")
	for line := range strings.Lines(head) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		switch key {
		case "tree":
			c.tree = value
		case "parent":
			c.parents = append(c.parents, value)
		case "committer":
			if f := strings.Fields(value); len(f) >= 2 {
				seconds, _ := strconv.ParseInt(f[len(f)-2], 10, 48)
				c.at = time.Unix(seconds, 0).UTC()
			}
		}
	}
	return c
}

// lookup finds a file's blob in a tree; "" if it is not there.
func (r *repository) lookup(tree string, parts []string) (string, error) {
	kind, body, err := r.object(tree)
	if err != nil || kind != "tree" {
		return "", cmp.Or(err, errObject)
	}
	mode, id, err := treeEntry(body, len(tree)/2, parts[0])
	switch {
	case err != nil:
		return "", err
	case len(parts) == 1 && strings.HasPrefix(mode, "100"):
		return id, nil
	case len(parts) > 1 && mode == "40000":
		return r.lookup(id, parts[1:])
	}
	return "", nil
}

// treeEntry finds a name among a tree's entries, each of which is a mode, a name and the raw id of width bytes.
func treeEntry(body []byte, width int, name string) (mode, id string, err error) {
	for len(body) > 0 {
		head, rest, ok := bytes.Cut(body, []byte{0})
		if !ok || len(rest) < width {
			return "", "", errObject
		}
		if mode, found, _ := strings.Cut(string(head), " "); found == name {
			return mode, hex.EncodeToString(rest[:width]), nil
		}
		body = rest[width:]
	}
	return "", "", nil
}
