package collect

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
)

// CheckStates puts the chain together, link by link, and compares the state after each with the digest of it that its seal has. Of the
// newest state every file that is put together from several bundles is read too, and compared with the digest that it had on the
// host. wrong is told what differs, of a path if it is about one. It returns how many states were compared: where a bundle is missing,
// those up to the next full one cannot be. The error is not nil only if ctx ended.
func (c *Chain) CheckStates(ctx context.Context, wrong func(link int, path, detail string)) (states int, err error) {
	r := c.newReplay()
	for _, l := range c.links {
		if err := ctx.Err(); err != nil {
			return states, err
		}
		r.step(l)
		if !r.whole {
			continue
		}
		states++
		if r.digest() != l.Link.State {
			wrong(l.Link.Number, "", "the files after this link are not those that its seal stands for")
		}
	}
	if !r.whole {
		return states, nil
	}
	return states, r.checkFiles(ctx, func(path, detail string) { wrong(c.last(), path, detail) })
}

// checkFiles reads the files that lie in several bundles.
func (r *replayed) checkFiles(ctx context.Context, wrong func(path, detail string)) error {
	for _, p := range slices.Sorted(maps.Keys(r.paths)) {
		h := r.paths[p]
		if !h.claimed() || len(h.parts) < 2 || h.last.WholeDigest() == "" {
			continue
		}
		row := h.shown(false)
		digest, err := r.fileDigest(ctx, &row)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			wrong(p, fmt.Sprintf("cannot be put together: %s", openclaw.Cause(err)))
		case digest != h.last.WholeDigest():
			wrong(p, "put together from the links it is not what it was on the host")
		}
	}
	return nil
}

func (r *replayed) fileDigest(ctx context.Context, row *Row) (string, error) {
	content, err := r.content(row)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	_, err = io.Copy(h, readFunc(func(p []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		return content.Read(p)
	}))
	return hex.EncodeToString(h.Sum(nil)), err
}

// states opens a chain and checks that the states that it is to stand for can be had.
func (v *chainVerifier) states(p *chainPart) error {
	pool := &filePool{openFile: func(name string) (readerAtCloser, error) { return v.shelf.Open(v.ctx, name) }}
	defer pool.Close()
	var files []LinkFile
	for _, l := range p.links {
		f := LinkFile{Name: l.bundle}
		var err error
		if f.Seal, err = v.sealOf(l); err != nil {
			return err
		}
		if l.here {
			f.Bundle, f.Size = pooledFile{pool, l.bundle}, v.bundles[l.bundle]
		}
		files = append(files, f)
	}
	c, err := OpenChain(v.ctx, files, v.o.Identities...)
	if err != nil {
		return err
	}
	p.States, err = c.CheckStates(v.ctx, func(link int, path, detail string) { v.report.problem("state", link, path, "%s", detail) })
	return err
}

// sealOf reads a seal again: all of them at once may be too much for the memory.
func (v *chainVerifier) sealOf(l *linkSeal) ([]byte, error) {
	seal, err := readShelf(v.ctx, v.shelf, l.file, maxSealSize)
	if err == nil && SealDigest(seal) != l.digest {
		err = errors.New("changed while it was being verified")
	}
	return seal, err
}
