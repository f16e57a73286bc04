package main

import (
	"context"
	"fmt"
	"io"
	"iter"

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
	e.record.reads(place)
	if !store.IsRemote(place) {
		root, err := host.OpenRoot(place)
		if err != nil {
			return nil, nil, fmt.Errorf("opening the directory of snapshots: %w", err)
		}
		return collect.DirShelf(root), root, nil
	}
	o, err := storeOptions(c, e)
	if err != nil {
		return nil, nil, err
	}
	o.HostKey, o.SSHKey = c.String("host-key"), c.String("ssh-key")
	s, err := store.Open(c.Context, place, o)
	if err != nil {
		return nil, nil, storeError(exitFailed, err)
	}
	return storeShelf{s}, s, nil
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
