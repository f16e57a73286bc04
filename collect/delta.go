package collect

import (
	"fmt"
	"strings"
)

// A Link says which place a bundle has in a chain of snapshots. The seal that names its Base is PrevSeal: each link is the
// difference from the one before, unless it is full.
type Link struct {
	// Chain is the id of the chain: 26 random characters of base32.
	Chain string `json:"chain"`
	// Number counts from 1, without a hole.
	Number int `json:"number"`
	// Full says that the bundle holds the whole state by itself.
	Full bool `json:"full,omitzero"`
	// State is the SHA-256, in hex, of the whole state after this link: a line "path NUL size NUL sha256 LF" for each file,
	// directory and symlink of which the content is known, in the order of the bytes of their paths. A directory has size 0 and no
	// digest, a symlink the size and the digest of its target.
	State string `json:"state"`
}

const (
	maxChainID = 64
	maxNumber  = 1 << 30
)

func (l *Link) check() error {
	switch {
	case l == nil:
		return nil
	case l.Chain == "" || len(l.Chain) > maxChainID || l.Number < 1 || l.Number > maxNumber || !isDigest(l.State, true):
		return fmt.Errorf("%w: link of seal", ErrMalformed)
	case l.Number == 1 && !l.Full:
		return fmt.Errorf("%w: the first link of a chain is not a full one", ErrMalformed)
	}
	return nil
}

// Delta says that a row stores only what changed of a file since the link before: the bytes of Ranges, one after the other. The
// rest is as it was in the last content that the chain has of this path.
type Delta struct {
	Base int64 `json:"base"` // size before, in bytes
	Size int64 `json:"size"` // size of the whole file now
	// SHA256 is the digest of the whole file now, in hex. It is empty if the file changed while it was read, so that nobody saw it
	// whole; the row's status says so.
	SHA256 string `json:"sha256,omitzero"`
	// Ranges are offset and length in the file now, ascending, without overlap.
	Ranges [][2]int64 `json:"ranges"`
}

// check says whether the ranges lie in the file, in order, cover what the base does not have, and add up to stored bytes.
func (d *Delta) check(stored int64) error {
	if d == nil {
		return nil
	}
	bad := d.Base < 0 || d.Size < 0 || !isDigest(d.SHA256, false)
	end, sum, old := int64(0), int64(0), d.Base
	for _, r := range d.Ranges {
		if bad || r[0] < end || r[1] <= 0 || r[1] > d.Size-r[0] {
			bad = true
			break
		}
		if r[0] <= old { // nothing but ranges lies behind the base
			old = max(old, r[0]+r[1])
		}
		end, sum = r[0]+r[1], sum+r[1]
	}
	if bad || sum != stored || old < d.Size {
		return fmt.Errorf("%w: ranges of a delta", ErrMalformed)
	}
	return nil
}

// WholeSize is how many bytes of the file can be had from the bundle and, if it holds only what changed, from those before.
func (r *Row) WholeSize() int64 {
	if r.Delta != nil {
		return r.Delta.Size
	}
	return r.Size
}

// WholeDigest is the SHA-256 of those bytes, in hex; empty if nobody has seen them all.
func (r *Row) WholeDigest() string {
	if r.Delta != nil {
		return r.Delta.SHA256
	}
	return r.StoredDigest()
}

// torn takes the digest of the whole from a delta whose bytes were not all there, or not all of one moment.
func (r *Row) torn() {
	if r.Delta != nil {
		r.Delta.SHA256 = ""
	}
}

// deltaFolder is the folder of what changed in files, by their absolute path. It is not [root], so that unpacking a bundle with
// standard tools never makes a wrong file.
const deltaFolder = "delta"

// memberName returns the archive member of a row.
func (r *Row) memberName() (string, error) {
	if r.Delta == nil {
		return memberName(r.Path)
	}
	if !strings.HasPrefix(r.Path, "/") || r.Path == "/" {
		return "", fmt.Errorf("%w: delta of %.80q", ErrMalformed, r.Path)
	}
	name, err := memberName(r.Path)
	return deltaFolder + strings.TrimPrefix(name, rootFolder), err
}
