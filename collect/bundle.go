// Package collect seals evidence into one encrypted bundle and opens, lists, verifies, extracts and salvages
// such bundles. It never writes plaintext to disk while collecting, never falls back to an unencrypted file,
// and records everything it looked for, collected or not, in the bundle's manifest.
//
// # Format
//
// A bundle is a tar archive in zstd frames in one age file, so that stock tools open it:
//
//	age -d -i key.txt B.tar.zst.age | zstd -d | tar x
//
// Every frame is independent and holds its content size. The manifest begins on a frame of its own and holds
// the table of the frames before it. The last bytes are a skippable zstd frame, the trailer, that says where
// the manifest's frame begins. As age decrypts any 64 KiB chunk by itself, a reader with the key finds one
// file of a large bundle by reading the trailer, the manifest and the frames that hold the file.
//
// # Snapshots
//
// A snapshot is a bundle that stores what changed since the one before; its seal's Link says which place it has in the chain. What
// did not change has no row. Of a changed file the row's Delta says which ranges of it are stored, in a member beneath delta/
// instead of [root]/; a new file, and one that is less than its difference, is stored whole, as in any bundle. What is no more has a
// row with the status gone. A full link needs none before it.
//
// An index in the case, which holds digests and no content, says what the chain holds, for the host has no key to look. Therefore who
// can change both the index and a file can have a change pass for none until the next full link, and who can stop snapshots can end
// the chain: what was sealed and carried off before stays what it was.
package collect

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path"
	"strings"
)

// FormatVersion is the version of the bundle format, the manifest and the seal.
const FormatVersion = 1

// Names of the archive members that describe the others, and the folder of the host's files.
const (
	memberReadme   = "README.txt"
	memberCustody  = "custody.jsonl"
	memberManifest = "manifest.jsonl"
	memberSums     = "SHA256SUMS"
	rootFolder     = "[root]"
)

const (
	// frameSize is how many tar bytes one frame holds. It was chosen by measuring: see BenchmarkFrameSize.
	frameSize = 4 << 20
	// maxFrameSize and maxFrameStored bound what a reader decompresses at once, and from how much.
	maxFrameSize   = 16 << 20
	maxFrameStored = maxFrameSize + 1<<20
	// maxPath bounds a path or a link target, in bytes. Linux' own limit for one call is 4096.
	maxPath = 64 << 10
	// maxLine bounds one line of the manifest: two escaped paths in two forms each, and change.
	maxLine = 1 << 20
	// maxRows bounds the rows that a reader takes from a manifest.
	maxRows = 4 << 20
)

var (
	// ErrCut says that a bundle ends before its trailer: Salvage still reads what is there.
	ErrCut = errors.New("bundle is cut short or has no trailer")
	// ErrWrongKey says that no identity given opens the bundle.
	ErrWrongKey = errors.New("no identity given opens this bundle")
	// ErrMalformed says that what is inside a bundle or a seal contradicts itself or the format.
	ErrMalformed = errors.New("malformed bundle")
	// ErrLimit says that reading stopped because a limit on sizes or counts was reached.
	ErrLimit = errors.New("limit reached")
)

// The trailer is a skippable frame: magic, length of the payload, and the payload of
// marker, version and the manifest frame's offsets in the compressed and in the tar stream.
const (
	trailerMagic  = 0x184D2A5C
	trailerMarker = "ocir-end"
	trailerSize   = 8 + len(trailerMarker) + 4 + 8 + 8
)

// trailer says where the manifest's frame begins.
type trailer struct {
	stored int64 // offset in the compressed stream
	tar    int64 // offset in the tar stream
}

func (t trailer) bytes() []byte {
	b := binary.LittleEndian.AppendUint32(nil, trailerMagic)
	b = binary.LittleEndian.AppendUint32(b, uint32(trailerSize-8))
	b = append(b, trailerMarker...)
	b = binary.LittleEndian.AppendUint32(b, FormatVersion)
	b = binary.LittleEndian.AppendUint64(b, uint64(t.stored))
	return binary.LittleEndian.AppendUint64(b, uint64(t.tar))
}

// parseTrailer reads the last bytes of the compressed stream, which is size bytes long.
func parseTrailer(b []byte, size int64) (trailer, error) {
	le := binary.LittleEndian
	if len(b) != trailerSize || le.Uint32(b) != trailerMagic || string(b[8:16]) != trailerMarker {
		return trailer{}, ErrCut
	}
	if v := le.Uint32(b[16:]); v != FormatVersion || le.Uint32(b[4:]) != uint32(trailerSize-8) {
		return trailer{}, fmt.Errorf("%w: trailer of version %d", ErrMalformed, v)
	}
	t := trailer{stored: int64(le.Uint64(b[20:])), tar: int64(le.Uint64(b[28:]))}
	if t.stored < 0 || t.tar < 0 || t.stored > size-int64(trailerSize) {
		return trailer{}, fmt.Errorf("%w: trailer points outside the bundle", ErrMalformed)
	}
	return t, nil
}

// memberName returns the archive member for a path of the manifest: a host path, absolute and clean,
// lies under [root]; anything else must be a relative clean path.
func memberName(p string) (string, error) {
	if p == "" || len(p) > maxPath || strings.ContainsRune(p, 0) {
		return "", fmt.Errorf("%w: path %.80q", ErrMalformed, p)
	}
	clean := path.Clean(p)
	if clean != p || p == "." || p == ".." || strings.HasPrefix(p, "../") {
		return "", fmt.Errorf("%w: path %.80q is not clean", ErrMalformed, p)
	}
	if p == "/" {
		return rootFolder, nil
	}
	if p[0] == '/' {
		return rootFolder + p, nil
	}
	for _, folder := range []string{rootFolder, deltaFolder} {
		if p == folder || strings.HasPrefix(p, folder+"/") {
			return "", fmt.Errorf("%w: path %.80q", ErrMalformed, p)
		}
	}
	return p, nil
}
