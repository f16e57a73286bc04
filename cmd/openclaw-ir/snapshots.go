package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/clawbook/openclaw-ir/collect"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/urfave/cli/v2"
)

// snapshotAt reads DIR@NUMBER: one link of the chain of snapshots in a directory. What exists under the whole name is no such thing.
func snapshotAt(name string) (dir string, number int, ok bool) {
	i := strings.LastIndexByte(name, '@')
	if i <= 0 {
		return "", 0, false
	}
	if _, err := os.Lstat(name); err == nil {
		return "", 0, false
	}
	number, err := strconv.Atoi(name[i+1:])
	return name[:i], number, err == nil && number > 0 && holdsSnapshots(name[:i])
}

// holdsSnapshots reports whether the seals of snapshots lie in a directory.
func holdsSnapshots(dir string) bool {
	root, err := host.OpenRoot(dir)
	if err != nil {
		return false
	}
	defer root.Close()
	for entry, err := range root.ReadDirIter(".") {
		if err == nil && strings.HasSuffix(entry.Name(), collect.SealSuffix) && collect.LinkNumber(entry.Name()) > 0 {
			return true
		}
	}
	return false
}

// openSnapshots opens the chain of snapshots in a directory: as it was at a link, or, with number 0, the newest of all that any link
// has, also of what is gone from the host.
func openSnapshots(c *cli.Context, e env, dir string, number int, find openclaw.FindOptions) (*source, error) {
	if len(c.StringSlice("identity")) == 0 {
		return nil, usageError("name the private key of one of their recipients with -i FILE", "the snapshots in %q are sealed: no key given", dir)
	}
	ids, err := identities(c, e, nil)
	if err != nil {
		return nil, err
	}
	chain, err := collect.OpenChainDir(c.Context, dir, ids...)
	if err != nil {
		return nil, chainError(dir, err)
	}
	src, err := chainSource(e, chain, dir, number)
	if err != nil {
		chain.Close()
		return nil, err
	}
	src.find, src.sealed, src.close = find, true, func() { chain.Close() }
	for _, s := range chain.Seals() {
		if b := chain.Bundle(s.Link.Number); b != nil && (number == 0 || s.Link.Number <= number) {
			h := b.Header()
			src.now = h.Started
			if h.Host != unnamedHost {
				src.host = h.Host
			}
			src.find.StateDirs = append(src.find.StateDirs, h.States...)
		}
	}
	slices.Sort(src.find.StateDirs)
	src.find.StateDirs = slices.Compact(src.find.StateDirs)
	return src, nil
}

// chainSource is the tree of a chain. What is missing of it is told, and makes the command end as done in part.
func chainSource(e env, chain *collect.Chain, dir string, number int) (*source, error) {
	if number == 0 {
		e.record.reads(dir)
		src := &source{fsys: chain.FS()}
		for _, err := range chain.Problems() {
			e.lacks("%q: %v", dir, err)
		}
		return src, nil
	}
	name := fmt.Sprintf("%s@%d", dir, number)
	e.record.reads(name)
	fsys, state, err := chain.State(number)
	if fsys == nil {
		return nil, &codeError{exitFailed, fmt.Errorf("opening %q: %w", name, err), []string{"openclaw-ir collect chain verify " + console.ShellWord(dir) + " says which links there are"}}
	}
	if err != nil {
		e.lacks("%q: %v", name, err)
	}
	for _, s := range chain.Seals() {
		if s.Link.Number == number && s.Link.State != state && err == nil {
			e.lacks("%q: the files are not those that its seal stands for", name)
		}
	}
	return &source{fsys: fsys}, nil
}

func chainError(dir string, err error) error {
	err = bundleError(dir, err)
	hint := "openclaw-ir collect chain verify " + console.ShellWord(dir) + " says what is wrong with it"
	if ce, ok := err.(*codeError); ok { //nolint:errorlint // made by bundleError just now
		ce.hints = append(ce.hints, hint)
		return ce
	}
	return &codeError{exitFailed, err, []string{hint}}
}

// lacks tells that a part of the evidence is missing: whatever the command does with the rest, it is done in part.
func (e env) lacks(format string, args ...any) {
	e.console.Warningf(format, args...)
	if e.record != nil {
		e.record.lacks = true
	}
}
