package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/clawbook/openclaw-ir/collect"
	"github.com/clawbook/openclaw-ir/collect/store"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/drill"
	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/urfave/cli/v2"
)

// sourceFlags choose the evidence.
func sourceFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "root", Usage: "read the host whose disk is mounted at `DIR`"},
		&cli.StringSliceFlag{Name: "state-dir", Usage: "take this OpenClaw state `DIR` too (as the host names it)"},
		&cli.StringSliceFlag{Name: "identity", Usage: "open a bundle with the private key in `FILE` (also -i FILE)"},
	}
}

// A source is evidence, opened.
type source struct {
	fsys fs.FS
	find openclaw.FindOptions
	now  time.Time // what "24h ago" counts from
	host string    // whose evidence a bundle says it is; empty if it does not
	// bundle is the path of the sealed bundle that it is; empty if it is none.
	bundle string
	name   string // as it was typed, where that is told
	sealed bool   // now is when it was collected
	close  func()
}

// hostname is the name of the host whose evidence it is; "" if nothing tells.
func (s *source) hostname() string {
	if root, ok := s.fsys.(*host.Root); ok && root.Live() {
		name, _ := os.Hostname()
		return name
	}
	if s.host != "" && s.host != unnamedHost {
		return s.host
	}
	return hostnameIn(s.fsys)
}

// maxHostname is the longest name of a host, in bytes (Linux HOST_NAME_MAX).
const maxHostname = 64

// hostnameIn is the name that a host's files give it; "" if they give none.
func hostnameIn(fsys fs.FS) string {
	f, err := fsys.Open("etc/hostname")
	if err != nil {
		return ""
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxHostname))
	if err != nil {
		return ""
	}
	return strings.ToValidUTF8(strings.TrimSpace(string(text)), "_")
}

// openSource tells SOURCE and PATTERN apart and opens the evidence.
func openSource(c *cli.Context, e env) (src *source, pattern string, err error) {
	args := c.Args().Slice()
	name := ""
	if len(args) > 0 && c.String("root") == "" && (len(args) == 2 || isSource(args[0])) {
		name, args = args[0], args[1:]
	}
	switch len(args) {
	case 0:
	case 1:
		pattern = args[0]
	default:
		return nil, "", usageError("openclaw-ir analyze [SOURCE] [PATTERN]; quote a pattern that holds spaces", "too many arguments: %q", args[1:])
	}
	src, err = openEvidence(c, e, name)
	return src, pattern, err
}

// isSource reports whether an argument names evidence rather than a pattern.
func isSource(arg string) bool {
	_, _, snapshot := snapshotAt(arg)
	if snapshot || store.IsRemote(arg) {
		return true
	}
	info, err := os.Stat(arg)
	return err == nil && (info.IsDir() || info.Mode().IsRegular()) || strings.HasSuffix(arg, ".age")
}

func openEvidence(c *cli.Context, e env, name string) (*source, error) {
	stateDirs, err := absoluteAll(c.StringSlice("state-dir"))
	if err != nil {
		return nil, err
	}
	find := openclaw.FindOptions{UID: -1, StateDirs: stateDirs}
	switch root := c.String("root"); {
	case root != "":
		e.record.reads(root)
		return openDirectory(e, root, find)
	case name == "":
		e.record.reads("/")
		find.UID = e.uid
		return openDirectory(e, "/", find)
	}
	return openNamed(c, e, name, find)
}

// openNamed opens a bundle, a directory, or the snapshots in one.
func openNamed(c *cli.Context, e env, name string, find openclaw.FindOptions) (*source, error) {
	if store.IsRemote(name) {
		return openBundle(c, e, name, find)
	}
	if dir, number, ok := snapshotAt(name); ok {
		return openSnapshots(c, e, dir, number, find)
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("opening the evidence: %w", err)
	}
	if info.IsDir() && holdsSnapshots(name) {
		return openSnapshots(c, e, name, 0, find)
	}
	if info.IsDir() {
		e.record.reads(name)
		return openCopy(e, name, find)
	}
	return openBundle(c, e, name, find)
}

func absoluteAll(dirs []string) (out []string, err error) {
	for _, d := range dirs {
		abs, err := filepath.Abs(d)
		if err != nil {
			return nil, fmt.Errorf("resolving --state-dir %q: %w", d, err)
		}
		out = append(out, abs)
	}
	return out, nil
}

// openHost opens a host's file tree: every command gets it here. In a drill it opens nothing but the drill's own.
func (e env) openHost(dir string) (*host.Root, error) {
	if real, err := filepath.EvalSymlinks(dir); e.drill != "" && (err != nil || !drill.Within(real, e.drill)) {
		return nil, fmt.Errorf("opening the host at %q: a drill touches nothing outside %q", dir, e.drill)
	}
	root, err := host.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the host: %w", err)
	}
	return root, nil
}

func openDirectory(e env, dir string, find openclaw.FindOptions) (*source, error) {
	root, err := e.openHost(dir)
	if err != nil {
		return nil, err
	}
	return &source{fsys: root, find: find, now: time.Now(), close: func() { root.Close() }}, nil
}

// openCopy opens a directory that someone copied or extracted: a bundle's contents, a host's root, a home or a
// state directory itself.
func openCopy(e env, dir string, find openclaw.FindOptions) (*source, error) {
	if inner := filepath.Join(dir, "[root]"); isDirectory(inner) {
		find.StateDirs = append(find.StateDirs, sealedStates(dir)...)
		return openDirectory(e, inner, find)
	}
	src, err := openDirectory(e, dir, find)
	if err != nil {
		return nil, err
	}
	entries, err := fs.ReadDir(src.fsys, ".")
	if err != nil {
		src.close()
		return nil, fmt.Errorf("opening the evidence: %w", err)
	}
	for _, entry := range entries {
		switch name := entry.Name(); {
		case name == "openclaw.json" || name == "clawdbot.json" || name == "moltbot.json" || name == "agents":
			src.find.StateDirs = append(src.find.StateDirs, "/")
			return src, nil
		case openclaw.IsStateDirName(name):
			src.find.StateDirs = append(src.find.StateDirs, "/"+name)
		}
	}
	return src, nil
}

// maxHeader bounds the first line of a manifest, in bytes.
const maxHeader = 1 << 20

// sealedStates are the state directories that an extracted bundle's manifest names.
func sealedStates(dir string) []string {
	root, err := host.OpenRoot(dir)
	if err != nil {
		return nil
	}
	defer root.Close()
	f, err := root.Open("manifest.jsonl")
	if err != nil {
		return nil
	}
	defer f.Close()
	line, _ := bufio.NewReader(io.LimitReader(f, maxHeader)).ReadBytes('\n')
	var header collect.Header
	if json.Unmarshal(line, &header) != nil {
		return nil
	}
	return header.States
}

func isDirectory(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}

// openBundle opens a sealed bundle; what was sealed is read where it lies, and nothing is written in clear.
func openBundle(c *cli.Context, e env, name string, find openclaw.FindOptions) (*source, error) {
	b, f, err := readBundle(c, e, name)
	if err != nil {
		return nil, err
	}
	h := b.Header()
	find.StateDirs = append(find.StateDirs, h.States...)
	src := &source{fsys: b.FS(), find: find, now: h.Started, sealed: true, bundle: name, close: func() { f.Close() }}
	if h.Host != unnamedHost {
		src.host = h.Host
	}
	return src, nil
}

// readBundle opens a bundle with the keys given, or with a passphrase if that is what it was sealed with.
func readBundle(c *cli.Context, e env, name string) (*collect.Bundle, io.Closer, error) {
	f, ids, err := openSealed(c, e, name)
	if err != nil {
		return nil, nil, err
	}
	b, err := collect.OpenBundle(f, f.Size(), ids...)
	if err != nil {
		f.Close()
		return nil, nil, bundleError(name, err)
	}
	return b, f, nil
}

// openSealed opens a bundle's file and finds the keys for it.
func openSealed(c *cli.Context, e env, name string) (store.Reader, []age.Identity, error) {
	f, err := openFile(c, e, name)
	if err != nil {
		return nil, nil, err
	}
	e.record.reads(name)
	ids, err := identities(c, e, f)
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, ids, nil
}

func bundleError(name string, err error) error {
	err = fmt.Errorf("opening %q: %w", name, err)
	switch {
	case errors.Is(err, collect.ErrWrongKey):
		return &codeError{exitFailed, err, []string{"name the private key of one of its recipients with -i FILE; the .seal beside it says who they are"}}
	case errors.Is(err, collect.ErrCut):
		return &codeError{exitFound, err, []string{fmt.Sprintf("openclaw-ir collect verify --salvage -i KEY %s says how far it goes", console.ShellWord(name))}}
	}
	return err
}

// passphraseHeader begins a bundle that was sealed with a passphrase (age's format, version 1).
const passphraseHeader = "age-encryption.org/v1\n-> scrypt "

// identities reads the keys of --identity; a bundle sealed with a passphrase asks for it.
func identities(c *cli.Context, e env, f io.ReaderAt) (ids []age.Identity, err error) {
	ask := func(what string) ([]byte, error) {
		p, err := e.console.Passphrase(c.Context, what)
		return []byte(p), err
	}
	for _, name := range c.StringSlice("identity") {
		key, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("opening the identity file: %w", err)
		}
		more, err := collect.ParseIdentities(key, name, ask)
		key.Close()
		if err != nil {
			return nil, err
		}
		ids = append(ids, more...)
	}
	if len(ids) > 0 {
		return ids, nil
	}
	head := make([]byte, len(passphraseHeader))
	if n, _ := f.ReadAt(head, 0); string(head[:n]) == passphraseHeader {
		p, err := e.console.Passphrase(c.Context, "the bundle")
		if err != nil {
			return nil, &codeError{exitUsage, err, []string{"run it on a terminal: the passphrase is asked there"}}
		}
		id, err := collect.PassphraseIdentity(p)
		return []age.Identity{id}, err
	}
	return nil, usageError("name the private key of one of its recipients with -i FILE", "the bundle is sealed: no key given")
}
