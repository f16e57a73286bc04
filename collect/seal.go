package collect

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"
)

// SealNamespace is the namespace of the seal's signature, as in ssh-keygen -Y verify -n.
const SealNamespace = "openclaw-ir-seal"

const (
	sealChunk   = 64 << 20
	maxSealSize = 32 << 20
)

// Ciphertext is what can be said of a bundle without opening it.
type Ciphertext struct {
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"` // hex
	// ChunkSize is the length in bytes of every chunk but the last, and Chunks are their SHA-256 in hex.
	ChunkSize int64    `json:"chunk_size"`
	Chunks    []string `json:"chunks"`
}

// Seal is the signed statement beside a bundle.
type Seal struct {
	Version    int    `json:"openclaw_ir_seal"`
	Bundle     string `json:"bundle"` // file name of the bundle, without a folder
	Ciphertext `json:",inline"`
	// ManifestSHA256 is the digest of manifest.jsonl, so that the seal also stands for the plaintext.
	ManifestSHA256 string    `json:"manifest_sha256,omitzero"`
	Recipients     []string  `json:"recipients"`
	Created        time.Time `json:"created"`
	Host           string    `json:"host,omitzero"`
	Case           string    `json:"case,omitzero"`
	// CustodyHead is the digest of the last line of the custody log when the bundle was sealed.
	CustodyHead string `json:"custody_head,omitzero"`
	// PrevSeal is SealDigest of the seal before this one, or empty for the first of a chain.
	PrevSeal string `json:"prev_seal"`
	Tool     string `json:"tool,omitzero"`
	// Link is the bundle's place in a chain of snapshots; nil if it is none.
	Link *Link `json:"link,omitzero"`
}

// sealSignature is the second line of a seal file.
type sealSignature struct {
	Signature string `json:"signature"`
	PublicKey string `json:"public_key"`
	Namespace string `json:"namespace"`
}

// SignedSeal is a seal file taken apart. Its signature has not been verified yet.
type SignedSeal struct {
	Seal
	statement []byte
	signature *sshsig.Signature
	key       ssh.PublicKey
}

// SealDigest returns the SHA-256 of a seal file in hex, as the next seal of the chain holds it.
func SealDigest(file []byte) string {
	d := sha256.Sum256(file)
	return hex.EncodeToString(d[:])
}

// Sign returns the seal file: two lines of JSON, the statement and the signature over the statement's bytes.
// It sets the version and makes the times UTC.
func (s Seal) Sign(signer ssh.Signer) ([]byte, error) {
	s.Version, s.Created = FormatVersion, s.Created.UTC()
	statement, err := appendLine(nil, s)
	if err != nil {
		return nil, fmt.Errorf("sealing %.80q: %w", s.Bundle, err)
	}
	sig, err := sshsig.Sign(bytes.NewReader(statement[:len(statement)-1]), signer, sshsig.HashSHA512, SealNamespace)
	if err != nil {
		return nil, fmt.Errorf("signing seal: %w", err)
	}
	return appendLine(statement, sealSignature{
		Signature: string(sshsig.Armor(sig)),
		PublicKey: string(bytes.TrimSpace(ssh.MarshalAuthorizedKey(signer.PublicKey()))),
		Namespace: SealNamespace,
	})
}

// ReadSeal reads the file of a seal, no more of it than ParseSeal takes. A missing one wraps [fs.ErrNotExist].
func ReadSeal(name string) ([]byte, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe of that name would wait for ever
	if err != nil {
		return nil, fmt.Errorf("reading the seal: %w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("reading the seal: %q is not a regular file", name)
	}
	file, err := io.ReadAll(io.LimitReader(f, maxSealSize+1))
	if err != nil {
		return nil, fmt.Errorf("reading the seal: %w", err)
	}
	return file, nil
}

// ParseSeal takes a seal file apart and checks its form, not its signature.
func ParseSeal(file []byte) (*SignedSeal, error) {
	if len(file) > maxSealSize {
		return nil, fmt.Errorf("%w: seal of more than %d bytes", ErrMalformed, maxSealSize)
	}
	statement, rest, _ := bytes.Cut(file, []byte("\n"))
	second, rest, found := bytes.Cut(rest, []byte("\n"))
	if !found || len(rest) > 0 {
		return nil, fmt.Errorf("%w: a seal is two lines", ErrMalformed)
	}
	s := &SignedSeal{statement: statement}
	if err := json.Unmarshal(statement, &s.Seal); err != nil {
		return nil, fmt.Errorf("%w: seal: %v", ErrMalformed, err)
	}
	var sig sealSignature
	if err := json.Unmarshal(second, &sig); err != nil {
		return nil, fmt.Errorf("%w: signature of seal: %v", ErrMalformed, err)
	}
	if err := s.Seal.check(); err != nil {
		return nil, err
	}
	return s, s.setSignature(sig)
}

func (s Seal) check() error {
	if s.Version != FormatVersion {
		return fmt.Errorf("%w: seal of version %d", ErrMalformed, s.Version)
	}
	if s.Size < 0 || s.ChunkSize < 1<<10 || s.ChunkSize > 1<<30 {
		return fmt.Errorf("%w: sizes of seal", ErrMalformed)
	}
	chunks := s.Size / s.ChunkSize
	if s.Size%s.ChunkSize > 0 {
		chunks++
	}
	if int64(len(s.Chunks)) != chunks || !isDigest(s.SHA256, true) {
		return fmt.Errorf("%w: digests of seal", ErrMalformed)
	}
	for _, c := range s.Chunks {
		if !isDigest(c, true) {
			return fmt.Errorf("%w: digests of seal", ErrMalformed)
		}
	}
	return s.Link.check()
}

func (s *SignedSeal) setSignature(sig sealSignature) error {
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(sig.PublicKey))
	if err != nil {
		return fmt.Errorf("%w: public key of seal: %v", ErrMalformed, err)
	}
	parsed, err := sshsig.Unarmor([]byte(sig.Signature))
	if err != nil {
		return fmt.Errorf("%w: signature of seal: %v", ErrMalformed, err)
	}
	s.key, s.signature = key, parsed
	return nil
}

// Signer returns the fingerprint ("SHA256:…") of the key that the seal claims to be signed with.
func (s *SignedSeal) Signer() string { return ssh.FingerprintSHA256(s.key) }

// VerifySignature returns nil if the seal is signed by the key that Signer names. Whether to trust that key
// is the caller's to decide.
func (s *SignedSeal) VerifySignature() error {
	if s.signature.HashAlgorithm.Supported() != nil {
		return errors.New("verifying seal: unsupported hash algorithm")
	}
	err := sshsig.Verify(bytes.NewReader(s.statement), s.signature, s.key, s.signature.HashAlgorithm, SealNamespace)
	if err != nil {
		return fmt.Errorf("verifying seal: %v", err)
	}
	return nil
}

// sealWriter hashes what passes through it to dst, as a whole and in chunks.
type sealWriter struct {
	dst   io.Writer
	whole hash.Hash
	chunk hash.Hash
	sum   Ciphertext
}

func newSealWriter(dst io.Writer) *sealWriter {
	return &sealWriter{dst: dst, whole: sha256.New(), chunk: sha256.New(), sum: Ciphertext{ChunkSize: sealChunk}}
}

func (w *sealWriter) Write(p []byte) (int, error) {
	n, err := w.dst.Write(p)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	w.hash(p[:max(0, min(n, len(p)))])
	return n, err
}

func (w *sealWriter) hash(p []byte) {
	w.whole.Write(p)
	for len(p) > 0 {
		take := min(int64(len(p)), w.sum.ChunkSize-w.sum.Size%w.sum.ChunkSize)
		w.chunk.Write(p[:take])
		w.sum.Size += take
		if w.sum.Size%w.sum.ChunkSize == 0 {
			w.endChunk()
		}
		p = p[take:]
	}
}

func (w *sealWriter) endChunk() {
	w.sum.Chunks = append(w.sum.Chunks, hex.EncodeToString(w.chunk.Sum(nil)))
	w.chunk.Reset()
}

// ciphertext returns the digests once everything is written.
func (w *sealWriter) ciphertext() Ciphertext {
	if w.sum.Size%w.sum.ChunkSize != 0 {
		w.endChunk()
	}
	w.sum.SHA256 = hex.EncodeToString(w.whole.Sum(nil))
	return w.sum
}
