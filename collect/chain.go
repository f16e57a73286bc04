package collect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"filippo.io/age"
)

// A LinkFile is one bundle of a chain, with its seal.
type LinkFile struct {
	Name   string // file name of the bundle
	Seal   []byte
	Bundle io.ReaderAt // nil if only the seal was kept
	Size   int64       // of the bundle
}

// A Chain is a chain of snapshots that was opened. It is safe for concurrent use, decrypts only what is asked for and writes nothing.
// It does not verify: what is in it is as hostile as any bundle, and Verify and the signatures of the seals say whether it is whole.
type Chain struct {
	links   []*openLink // in order
	closers []io.Closer
	unread  []error // seals that could not be read
	union   func() *evidence

	mu  sync.Mutex
	hot []*Bundle // that keep frames in memory, the last used last
}

type openLink struct {
	*SignedSeal
	name   string
	bundle *Bundle // nil if it is not there
}

// hotBundles is how many bundles of a chain keep decompressed frames at once: at most 16 MiB each.
const hotBundles = 6

// OpenChain opens the links of one chain, in any order. Links of which the bundle is not there are known by their seals. It returns
// ErrWrongKey if no identity opens one of them, ErrMalformed for seals of more than one chain, or none, and ctx's cause once that is done.
func OpenChain(ctx context.Context, files []LinkFile, ids ...age.Identity) (*Chain, error) {
	c := &Chain{}
	for _, f := range files {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("opening a chain: %w", context.Cause(ctx))
		}
		l, err := openLinkFile(f, ids)
		if err != nil {
			return nil, fmt.Errorf("opening %q: %w", f.Name, err)
		}
		c.links = append(c.links, l)
	}
	if len(c.links) == 0 {
		return nil, fmt.Errorf("opening a chain: %w: there is no snapshot", ErrMalformed)
	}
	slices.SortStableFunc(c.links, func(a, b *openLink) int { return a.Link.Number - b.Link.Number })
	for i, l := range c.links[1:] {
		switch before := c.links[i]; {
		case l.Link.Chain != before.Link.Chain:
			return nil, fmt.Errorf("opening a chain: %w: %q and %q are of two chains", ErrMalformed, before.name, l.name)
		case l.Link.Number == before.Link.Number:
			return nil, fmt.Errorf("opening a chain: %w: %q and %q are both link %d", ErrMalformed, before.name, l.name, l.Link.Number)
		}
	}
	c.union = sync.OnceValue(func() *evidence { return c.replay(c.last()).tree(true) })
	return c, nil
}

func openLinkFile(f LinkFile, ids []age.Identity) (*openLink, error) {
	s, err := ParseSeal(f.Seal)
	if err != nil {
		return nil, err
	}
	if s.Link == nil {
		return nil, fmt.Errorf("%w: its seal says that it is no snapshot", ErrMalformed)
	}
	l := &openLink{SignedSeal: s, name: f.Name}
	if f.Bundle != nil {
		l.bundle, err = OpenBundle(f.Bundle, f.Size, ids...)
	}
	return l, err
}

// OpenChainDir opens the snapshots that lie in a directory. What else lies there is passed over; a seal that cannot be read is one of
// the chain's Problems.
func OpenChainDir(ctx context.Context, dir string, ids ...age.Identity) (*Chain, error) {
	seals, err := filepath.Glob(filepath.Join(quoteGlob(dir), "*"+SealSuffix))
	if err != nil {
		return nil, err
	}
	pool := &filePool{openFile: openOS}
	var files []LinkFile
	var unread []error
	for _, seal := range seals {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("reading seals: %w", context.Cause(ctx))
		}
		f, err := pool.linkFile(seal)
		switch {
		case err != nil:
			unread = append(unread, fmt.Errorf("reading %q: %w", seal, err))
		case f != nil:
			files = append(files, *f)
		}
	}
	if len(files) == 0 && len(unread) > 0 {
		return nil, errors.Join(unread...)
	}
	c, err := OpenChain(ctx, files, ids...)
	if err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	c.unread, c.closers = unread, []io.Closer{pool}
	return c, nil
}

// linkFile reads a seal and finds the bundle beside it; nil if it is not one of a snapshot.
func (p *filePool) linkFile(seal string) (*LinkFile, error) {
	fi, err := os.Stat(seal)
	if err != nil || !fi.Mode().IsRegular() || fi.Size() > maxSealSize {
		return nil, err
	}
	text, err := os.ReadFile(seal)
	if err != nil {
		return nil, err
	}
	s, err := ParseSeal(text)
	if err != nil || s.Link == nil {
		return nil, err
	}
	name := strings.TrimSuffix(seal, SealSuffix)
	l := &LinkFile{Name: filepath.Base(name), Seal: text}
	fi, err = os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("%q is not a regular file", name)
	}
	l.Bundle, l.Size = pooledFile{p, name}, fi.Size()
	return l, nil
}

func closeAll(list []io.Closer) (err error) {
	for _, c := range list {
		err = errors.Join(err, c.Close())
	}
	return err
}

// Close closes the files that OpenChainDir opened.
func (c *Chain) Close() error { return closeAll(c.closers) }

func (c *Chain) last() int { return c.links[len(c.links)-1].Link.Number }

// Seals returns the seals of the links, in order.
func (c *Chain) Seals() (seals []*SignedSeal) {
	for _, l := range c.links {
		seals = append(seals, l.SignedSeal)
	}
	return seals
}

// Bundle returns the bundle of a link, and nil if it is not there.
func (c *Chain) Bundle(number int) *Bundle {
	for _, l := range c.links {
		if l.Link.Number == number {
			return l.bundle
		}
	}
	return nil
}
