package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"

	"github.com/clawbook/openclaw-ir/collect"
	"github.com/clawbook/openclaw-ir/collect/store"
	"github.com/clawbook/openclaw-ir/internal/host"
	"github.com/urfave/cli/v2"
)

// reachFlags say how a store on another machine is reached.
func reachFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "host-key", Usage: "with sftp: the server's key must have this `FINGERPRINT` (default: it must be in known_hosts)"},
		&cli.StringFlag{Name: "ssh-key", Usage: "with sftp: log in with the private key in `FILE` (default: the agent's, ~/.ssh/id_ed25519)"},
	}
}

// openShelf opens the directory or the store that bundles lie in.
func openShelf(c *cli.Context, e env, place string) (collect.Shelf, io.Closer, error) {
	if !store.IsRemote(place) {
		e.record.reads(place)
		root, err := host.OpenRoot(place)
		if err != nil {
			return nil, nil, fmt.Errorf("opening the directory of snapshots: %w", err)
		}
		return collect.DirShelf(root), root, nil
	}
	s, err := reach(c, e, place)
	if err != nil {
		return nil, nil, err
	}
	e.record.reads(place) // which is known by now to hold no password
	return storeShelf{s}, s, nil
}

// reach opens a store on another machine.
func reach(c *cli.Context, e env, place string) (store.Store, error) {
	if err := store.Check(place); err != nil {
		return nil, storeError(exitUsage, err)
	}
	o, err := storeOptions(c, e)
	if err != nil {
		return nil, err
	}
	o.HostKey, o.SSHKey = c.String("host-key"), c.String("ssh-key")
	s, err := store.Open(c.Context, place, o)
	if err != nil {
		return nil, storeError(exitFailed, err)
	}
	return s, nil
}

// A localFile is a file of this machine.
type localFile struct {
	*os.File
	size int64
}

// Size is that when it was opened, in bytes.
func (f localFile) Size() int64 { return f.size }

// openFile opens a bundle's file, which may lie in a store.
func openFile(c *cli.Context, e env, name string) (store.Reader, error) {
	if store.IsRemote(name) {
		return openStored(c, e, name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("opening the bundle: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("opening the bundle: %w", err)
	}
	return localFile{f, info.Size()}, nil
}

// A storedFile is a file in a store that is closed with it.
type storedFile struct {
	store.Reader
	place store.Store
}

// Close closes both.
func (f storedFile) Close() error { return errors.Join(f.Reader.Close(), f.place.Close()) }

func openStored(c *cli.Context, e env, address string) (store.Reader, error) {
	place, name, err := store.Split(address)
	if err != nil {
		return nil, storeError(exitUsage, err)
	}
	s, err := reach(c, e, place)
	if err != nil {
		return nil, err
	}
	f, err := s.Open(c.Context, name)
	if err != nil {
		s.Close()
		return nil, storeError(exitFailed, err)
	}
	return storedFile{f, s}, nil
}

// maxStored bounds a seal in a store, in bytes: a larger one is read so far, and is none.
const maxStored = 32<<20 + 1

// readStored reads a seal in a store.
func readStored(c *cli.Context, e env, address string) ([]byte, error) {
	f, err := openStored(c, e, address)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	seal, err := io.ReadAll(io.NewSectionReader(f, 0, min(f.Size(), maxStored)))
	if err != nil {
		return nil, fmt.Errorf("reading the seal: %w", err)
	}
	return seal, nil
}

// A storeShelf is a store as a place to read from.
type storeShelf struct{ store.Store }

func (s storeShelf) List(ctx context.Context) iter.Seq2[collect.ShelfEntry, error] {
	return func(yield func(collect.ShelfEntry, error) bool) {
		objects, err := s.Store.List(ctx)
		for _, o := range objects {
			if !yield(collect.ShelfEntry{Name: o.Name, Size: o.Size, Problem: o.Problem}, nil) {
				return
			}
		}
		if err != nil {
			yield(collect.ShelfEntry{}, err)
		}
	}
}

func (s storeShelf) Open(ctx context.Context, name string) (collect.ShelfFile, error) {
	return s.Store.Open(ctx, name)
}
