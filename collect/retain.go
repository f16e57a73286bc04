package collect

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/clawbook/openclaw-ir/internal/casefile"
)

// A Retained is what Retain did.
type Retained struct {
	Removed []string // file names of the bundles, without a folder
	Bytes   int64    // that they took
}

// Retain removes from a case the bundles of its chain that keep does not keep, and leaves their seals, so that the chain is still
// verified without a hole. Each has its line in the custody log before it is removed. spare, unless nil, names bundles that stay all
// the same, such as those that are still to be uploaded. Only what the case's own key signed as links of the newest link's chain is
// looked at. It waits for a snapshot of the case that is being taken, no longer than wait.
func Retain(cs *casefile.Case, keep Keep, spare func(bundle string) bool, wait time.Duration) (r Retained, err error) {
	unlock, err := cs.Lock(snapshotLock, wait)
	if err != nil {
		return r, fmt.Errorf("removing old snapshots: %w", err)
	}
	defer unlock()
	held, files, err := heldLinks(cs, spare)
	if err != nil {
		return r, fmt.Errorf("looking for old snapshots: %w", err)
	}
	for _, number := range keep.Drop(held) {
		f := files[number]
		if err := f.remove(cs); err != nil {
			return r, fmt.Errorf("removing snapshot %d, which is old: %w", number, err)
		}
		r.Removed, r.Bytes = append(r.Removed, f.seal.Bundle), r.Bytes+f.size
	}
	return r, nil
}

type heldFile struct {
	seal *SignedSeal
	size int64
}

func (f heldFile) remove(cs *casefile.Case) error {
	err := cs.Append(casefile.Entry{
		Action: RetentionAction, Object: f.seal.Bundle, Result: "removed",
		Note:    fmt.Sprintf("link %d, of %s, %d bytes; its seal stays", f.seal.Link.Number, f.seal.Created.UTC().Format(time.RFC3339), f.size),
		Digests: []casefile.Digest{{Name: bundlePath(f.seal.Bundle), SHA256: f.seal.SHA256}},
	})
	if err != nil {
		return err
	}
	return cs.Root().Remove(bundlePath(f.seal.Bundle))
}

// heldLinks finds the links whose bundles the case has.
func heldLinks(cs *casefile.Case, spare func(bundle string) bool) (held []HeldLink, files map[int]heldFile, err error) {
	newest, _, err := LastLink(cs)
	if err != nil || newest == nil {
		return nil, nil, err
	}
	entries, err := fs.ReadDir(cs.Root().FS(), casefile.BundlesDir)
	if err != nil {
		return nil, nil, err
	}
	files = map[int]heldFile{}
	for _, entry := range entries {
		if LinkNumber(entry.Name()) == 0 || !strings.HasSuffix(entry.Name(), BundleSuffix) || !entry.Type().IsRegular() {
			continue
		}
		f, err := heldFileOf(cs, entry)
		if err != nil {
			return nil, nil, err
		}
		if f.seal == nil || f.seal.Link.Chain != newest.Link.Chain || f.seal.Signer() != newest.Signer() || files[f.seal.Link.Number].seal != nil {
			continue
		}
		files[f.seal.Link.Number] = f
		held = append(held, HeldLink{f.seal.Link.Number, f.seal.Created, f.seal.Link.Full, spare != nil && spare(f.seal.Bundle)})
	}
	return held, files, nil
}

// heldFileOf reads a bundle's seal. It is nil if there is none that says of which link the bundle is: then it is left alone.
func heldFileOf(cs *casefile.Case, bundle fs.DirEntry) (f heldFile, err error) {
	text, err := cs.ReadFile(bundlePath(bundle.Name())+SealSuffix, maxSealSize)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err != nil {
		return f, err
	}
	info, err := bundle.Info()
	if err != nil {
		return f, err
	}
	s, err := ParseSeal(text)
	if err != nil || s.Link == nil || s.Bundle != bundle.Name() || s.VerifySignature() != nil {
		return f, nil // whoever verifies the chain is told
	}
	return heldFile{s, info.Size()}, nil
}
