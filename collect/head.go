package collect

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/clawbook/openclaw-ir/internal/casefile"
)

// Names of files in a case.
const (
	BundleSuffix  = ".tar.zst.age"
	SealSuffix    = ".seal"
	partialSuffix = ".partial"
	// LastSeal holds the digest of the last seal that the case made.
	LastSeal = "last-seal"
)

// BundleStem begins the name of a bundle: the host and the moment.
func BundleStem(hostname string, now time.Time) string {
	safe := strings.Map(func(c rune) rune {
		if c == '-' || c == '.' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
			return c
		}
		return '_'
	}, hostname)
	return fmt.Sprintf("openclaw-ir-%s-%s", strings.TrimLeft(safe, ".-"), now.UTC().Format("20060102T150405Z"))
}

func bundlePath(name string) string { return casefile.BundlesDir + "/" + name }

// linkName is the name of a snapshot, with its number, and of what belongs to it.
var linkName = regexp.MustCompile(`^openclaw-ir-.*Z-(\d{6,})\.tar\.zst\.age(\.seal|\.partial)?$`)

// LinkNumber reads the number of a link from its file's name, or its seal's; 0 if it is no such name. What the seal says decides.
func LinkNumber(name string) int {
	m := linkName.FindStringSubmatch(name)
	if m == nil || m[2] == partialSuffix {
		return 0
	}
	n, err := strconv.Atoi(m[1])
	if err != nil || n > maxNumber {
		return 0
	}
	return n
}

// chainHead is where a chain ends.
type chainHead struct {
	chain  string
	number int
	seal   string // its digest
	index  *index // what is known of the chain's content; nil for nothing
	fits   bool   // the index is that of this link
	file   *os.File
	alarms []Alarm
}

func (h *chainHead) close() {
	if h.file != nil {
		h.file.Close()
	}
}

// findHead finds the last link of the case's chain. The index may be one behind, if it was not replaced in time, or ahead, if somebody
// took away seals: then the chain goes on from where it was, and an alarm says what is missing.
func findHead(cs *casefile.Case, key []byte) (h chainHead, err error) {
	if err := h.load(cs, key); err != nil {
		return h, err
	}
	s, digest, err := LastLink(cs)
	if err != nil {
		h.close()
		return h, err
	}
	x := h.index
	switch {
	case s == nil && x == nil:
		return h, nil
	case x == nil || s != nil && (s.Link.Chain != x.Chain || s.Link.Number > x.Number):
		h.chain, h.number, h.seal = s.Link.Chain, s.Link.Number, digest
	default:
		h.chain, h.number, h.seal = x.Chain, x.Number, x.Seal
		h.fits = digest == x.Seal
		if !h.fits {
			h.alarms = append(h.alarms, Alarm{"seal", casefile.BundlesDir, fmt.Sprintf("the seal of snapshot %d is no longer here, or another one", x.Number), x.Number})
		}
	}
	return h, nil
}

// load reads the index. One that is damaged is as good as none.
func (h *chainHead) load(cs *casefile.Case, key []byte) error {
	f, err := cs.OpenFile(indexName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("opening the index of what was sealed before: %w", err)
	}
	fi, err := f.Stat()
	if err == nil {
		h.index, err = readIndex(f, fi.Size(), key)
	}
	if err != nil {
		f.Close()
		if !errors.Is(err, errIndex) {
			return fmt.Errorf("reading the index of what was sealed before: %w", err)
		}
		return nil
	}
	h.file = f
	return nil
}

// LastLink returns the newest seal of the case that its own key signed and that has a place in a chain, and its [SealDigest]; nil for none.
func LastLink(cs *casefile.Case) (*SignedSeal, string, error) {
	files, err := fs.ReadDir(cs.Root().FS(), casefile.BundlesDir)
	if err != nil {
		return nil, "", fmt.Errorf("looking for snapshots: %w", err)
	}
	var names []string
	for _, f := range files {
		if strings.HasSuffix(f.Name(), SealSuffix) && LinkNumber(f.Name()) > 0 {
			names = append(names, f.Name())
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(LinkNumber(b), LinkNumber(a)), cmp.Compare(b, a))
	})
	key, err := cs.PublicKey()
	if err != nil {
		return nil, "", err
	}
	for _, name := range names {
		file, err := cs.ReadFile(bundlePath(name), maxSealSize)
		if err != nil {
			return nil, "", err
		}
		s, err := ParseSeal(file)
		if err != nil || s.Link == nil || s.VerifySignature() != nil || s.Signer() != ssh.FingerprintSHA256(key) {
			continue // whoever verifies the chain is told
		}
		return s, SealDigest(file), nil
	}
	return nil, "", nil
}

// tidy takes away what a snapshot left that was killed: bundles without a seal are no part of the chain, and the next link holds what
// they hold.
func (s *snapshot) tidy() error {
	files, err := fs.ReadDir(s.cs.Root().FS(), casefile.BundlesDir)
	if err != nil {
		return fmt.Errorf("looking for snapshots: %w", err)
	}
	for _, f := range files {
		m := linkName.FindStringSubmatch(f.Name())
		begun := m != nil && (m[2] == partialSuffix || m[2] == "" && !slices.ContainsFunc(files, func(g fs.DirEntry) bool {
			return g.Name() == f.Name()+SealSuffix
		}))
		if begun {
			if err := s.disk.remove(bundlePath(f.Name())); err != nil {
				return fmt.Errorf("removing what was never finished: %w", err)
			}
		}
	}
	if err := s.disk.remove(indexName + partialSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing what was never finished: %w", err)
	}
	return nil
}

// disk is what a snapshot does to the case: the seam at which tests cut it.
type disk interface {
	create(name string) (diskFile, error)
	write(name string, data []byte) error // whole or not at all
	rename(from, to string) error
	remove(name string) error
}

type diskFile interface {
	io.WriteCloser
	Sync() error
}

// caseDisk is the case's directory itself.
type caseDisk struct{ *casefile.Case }

func (d caseDisk) create(name string) (diskFile, error) {
	return d.Root().OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}

func (d caseDisk) write(name string, data []byte) error { return d.WriteFile(name, data) }
func (d caseDisk) rename(from, to string) error         { return d.Rename(from, to) }
func (d caseDisk) remove(name string) error             { return d.Root().Remove(name) }
