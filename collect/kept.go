package collect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/clawbook/openclaw-ir/internal/casefile"
	"github.com/clawbook/openclaw-ir/internal/durable"
	"golang.org/x/crypto/ssh"
)

// A Kept is a bundle that lies in a case, or of which the seal does.
type Kept struct {
	Path string // in the case; of one that lies elsewhere, where
	Size int64  // bytes on the disk
	// Seal is the statement beside it, and SealSHA256 the digest of that file. Seal is nil if there is none that can be read.
	Seal       *SignedSeal
	SealSHA256 string
	// Problem says why the bundle is not what was sealed by the case's key; empty if it is.
	Problem string
	// Note says what is no problem of a bundle: that it is not here, or was never finished.
	Note string
}

// KeptIn looks at the bundles of a case, in the order of their names, which begins with the oldest. Each is read as a whole and
// compared with its seal. If the case's public key cannot be read, it is not known who should have signed. read, if given, is called
// with how many bytes were read since the last call.
func KeptIn(ctx context.Context, cs *casefile.Case, read func(int64)) ([]Kept, error) {
	files, err := fs.ReadDir(cs.Root().FS(), casefile.BundlesDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("looking for bundles: %w", err)
	}
	o := VerifyOptions{Progress: read}
	if key, err := cs.PublicKey(); err == nil {
		o.Signer = ssh.FingerprintSHA256(key)
	}
	var list []Kept
	for _, name := range bundleNames(files) {
		k, err := keptAs(ctx, cs, name, o)
		if err != nil {
			return nil, err
		}
		list = append(list, k)
	}
	return list, nil
}

// bundleNames are the bundles that the files of a directory are, or belong to.
func bundleNames(files []fs.DirEntry) (names []string) {
	for _, f := range files {
		name := f.Name()
		if strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".held") {
			continue // being written; the index, whose digest the custody log has
		}
		names = append(names, strings.TrimSuffix(name, ".seal"))
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func keptAs(ctx context.Context, cs *casefile.Case, name string, o VerifyOptions) (Kept, error) {
	k := Kept{Path: path.Join(casefile.BundlesDir, name)}
	seal, err := cs.ReadFile(k.Path+".seal", maxSealSize)
	if err == nil {
		k.SealSHA256 = SealDigest(seal)
		k.Seal, err = ParseSeal(seal)
	}
	if durable.DiskFailed(err) {
		return k, err
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		k.Problem = err.Error()
	}
	f, err := cs.OpenFile(k.Path)
	switch {
	case durable.DiskFailed(err):
		return k, err
	case errors.Is(err, fs.ErrNotExist):
		k.Note = "only its seal is here: the bundle was written to another place, or moved there"
		k.Problem = cmp.Or(k.Problem, k.forged(name, o.Signer))
		return k, nil
	case err != nil:
		k.Problem = cmp.Or(k.Problem, err.Error())
		return k, nil
	}
	defer f.Close()
	err = k.look(ctx, f, seal, o)
	k.Problem = cmp.Or(k.Problem, k.forged(name, o.Signer))
	return k, err
}

// KeptAt looks at a bundle that lies anywhere, with its seal beside it, as KeptIn does. Who should have signed is not known, nor
// whether somebody gave it another name.
func KeptAt(ctx context.Context, name string, read func(int64)) (Kept, error) {
	k := Kept{Path: name}
	f, err := os.Open(name)
	if err != nil {
		return k, fmt.Errorf("opening the bundle: %w", err)
	}
	defer f.Close()
	seal, err := ReadSeal(name + ".seal")
	switch {
	case errors.Is(err, fs.ErrNotExist):
		k.Note = "no seal lies beside it, so that nothing says whether it is as it was sealed"
		return k, nil
	case err != nil:
		k.Problem = err.Error()
		return k, nil
	}
	k.SealSHA256 = SealDigest(seal)
	k.Seal, _ = ParseSeal(seal) // what is wrong with it, look says
	return k, k.look(ctx, f, seal, VerifyOptions{Progress: read})
}

// look compares the file of a bundle with its seal.
func (k *Kept) look(ctx context.Context, f *os.File, seal []byte, o VerifyOptions) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	k.Size = info.Size()
	if strings.HasSuffix(k.Path, ".partial") {
		k.Note = "never finished: collect verify --salvage says how far it goes"
		return nil
	}
	report, err := Verify(ctx, f, k.Size, seal, o)
	if err != nil {
		return err
	}
	k.Problem = cmp.Or(k.Problem, report.first())
	return nil
}

// forged says why the seal is not one that the case's key signed for the bundle of this name; empty if it is.
func (k *Kept) forged(name, signer string) string {
	if k.Seal == nil {
		return ""
	}
	if k.Seal.Bundle != name {
		return fmt.Sprintf("its seal is of another bundle, %q", k.Seal.Bundle)
	}
	if err := k.Seal.VerifySignature(); err != nil {
		return err.Error()
	}
	if signer != "" && k.Seal.Signer() != signer {
		return fmt.Sprintf("its seal is signed by %s, not by %s", k.Seal.Signer(), signer)
	}
	return ""
}

// first says what does not hold, the first of it in full.
func (r *VerifyReport) first() string {
	if len(r.Problems) == 0 {
		return ""
	}
	text := r.Problems[0].Detail
	if n := len(r.Problems) - 1; n > 0 {
		text += fmt.Sprintf(", and %d problems more", n)
	}
	return text
}
