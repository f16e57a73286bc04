package collect

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
)

// VerifyOptions says what Verify checks beyond the seal. The zero value checks the seal alone.
type VerifyOptions struct {
	// Signer, if given, is the fingerprint ("SHA256:…") of the key that must have signed the seal.
	Signer string
	// Identities, if given, open the bundle, and every member is checked too.
	Identities []age.Identity
	// Progress, if given, is called with how many bytes were read since the last call: first of the bundle,
	// then of its content.
	Progress func(bytes int64)
}

// Problem is one thing that does not hold.
type Problem struct {
	// Kind is one of: unsealed, seal, signature, signer, size, chunk, whole, open, manifest, missing, extra,
	// duplicate, type, offset, digest, sums, cut; when extracting also name, link, limit, write.
	Kind string `json:"kind"`
	// Path is the member it is about, if it is about one. It is hostile text.
	Path   string `json:"path,omitzero"`
	Detail string `json:"detail,omitzero"`
}

// VerifyReport says what was checked and what does not hold.
type VerifyReport struct {
	Size   int64 `json:"size"`   // of the bundle, in bytes
	Signed bool  `json:"signed"` // a seal with a valid signature was there
	// Signer is the fingerprint of the key that signed the seal; it is empty unless Signed.
	Signer   string    `json:"signer,omitzero"`
	Chunks   int       `json:"chunks"`               // chunks of ciphertext compared
	BadAt    []int     `json:"bad_chunks,omitempty"` // those that differ, from 0
	Opened   bool      `json:"opened"`               // the bundle was decrypted
	Rows     int64     `json:"rows"`
	Members  int64     `json:"members"` // members re-hashed
	Bytes    int64     `json:"bytes"`   // content re-hashed
	Problems []Problem `json:"problems"`
	// Dropped counts problems beyond the first thousand.
	Dropped int64 `json:"dropped,omitzero"`
}

// OK says that everything that was checked holds. Without a seal it is false.
func (r *VerifyReport) OK() bool { return len(r.Problems) == 0 }

func (r *VerifyReport) add(kind, path, format string, args ...any) {
	if len(r.Problems) >= maxProblems {
		r.Dropped++
		return
	}
	r.Problems = append(r.Problems, Problem{kind, path, fmt.Sprintf(format, args...)})
}

// Verify checks a bundle of size bytes against its seal file (nil: there is none, which is a problem), and
// with identities also every member against the manifest and SHA256SUMS. What does not hold is in the
// report; the error is not nil only if ctx ended, the bundle could not be read or, after the seal was checked,
// no identity opens it (ErrWrongKey).
func Verify(ctx context.Context, bundle io.ReaderAt, size int64, seal []byte, o VerifyOptions) (*VerifyReport, error) {
	watched := &watchedReader{ReaderAt: bundle}
	v := &verifier{ctx: ctx, bundle: watched, size: size, o: o, report: &VerifyReport{Size: size}}
	sealed := v.seal(seal)
	if sealed != nil {
		if err := v.chunks(sealed.Ciphertext); err != nil {
			return v.report, err
		}
	}
	if len(o.Identities) > 0 {
		if err := v.contents(sealed); err != nil {
			return v.report, err
		}
	}
	if err := watched.failed(); err != nil {
		return v.report, fmt.Errorf("reading bundle: %w", err)
	}
	return v.report, nil
}

type verifier struct {
	ctx    context.Context
	bundle io.ReaderAt
	size   int64
	o      VerifyOptions
	report *VerifyReport
}

// seal checks the seal's form and signature. It returns nil if there is nothing to compare the bundle with.
func (v *verifier) seal(file []byte) *SignedSeal {
	if file == nil {
		v.report.add("unsealed", "", "there is no seal")
		return nil
	}
	s, err := ParseSeal(file)
	if err != nil {
		v.report.add("seal", "", "%v", err)
		return nil
	}
	if err := s.VerifySignature(); err != nil {
		v.report.add("signature", "", "%v", err)
		return s
	}
	v.report.Signed, v.report.Signer = true, s.Signer()
	if v.o.Signer != "" && v.o.Signer != s.Signer() {
		v.report.add("signer", "", "signed by %s, not by %q", s.Signer(), v.o.Signer)
	}
	return s
}

// chunks compares the ciphertext with the seal, chunk by chunk, so that damage has a place.
func (v *verifier) chunks(want Ciphertext) error {
	if v.size < want.Size {
		v.report.add("size", "", "bundle is cut: %d of %d bytes are there", v.size, want.Size)
	} else if v.size > want.Size {
		v.report.add("size", "", "bundle has %d bytes more than were sealed", v.size-want.Size)
	}
	whole := sha256.New()
	buf := make([]byte, 1<<20)
	for i, digest := range want.Chunks {
		from := int64(i) * want.ChunkSize
		to := min(from+want.ChunkSize, want.Size, v.size)
		if from >= to {
			break
		}
		chunk := sha256.New()
		r := io.NewSectionReader(v.bundle, from, to-from)
		if _, err := io.CopyBuffer(io.MultiWriter(whole, chunk, progress(v.o.Progress)), v.reader(r), buf); err != nil {
			return fmt.Errorf("reading bundle: %w", err)
		}
		v.report.Chunks++
		if hex.EncodeToString(chunk.Sum(nil)) != digest {
			v.report.BadAt = append(v.report.BadAt, i)
			v.report.add("chunk", "", "bytes %d to %d differ from what was sealed", from, to-1)
		}
	}
	if hex.EncodeToString(whole.Sum(nil)) != want.SHA256 && len(v.report.BadAt) == 0 && v.size >= want.Size {
		v.report.add("whole", "", "digest of the whole bundle differs")
	}
	return nil
}

func (v *verifier) reader(r io.Reader) io.Reader {
	return readFunc(func(p []byte) (int, error) {
		if err := v.ctx.Err(); err != nil {
			return 0, err
		}
		return r.Read(p)
	})
}

// progress is a writer that reports how much is written to it.
type progress func(int64)

func (f progress) Write(p []byte) (int, error) {
	if f != nil {
		f(int64(len(p)))
	}
	return len(p), nil
}

// expected is what the manifest says of a member.
type expected struct {
	digest           string
	at, size, header int64
	kind             Type
	link             string
	seen             bool
	whole            bool // read to its end
	summed           bool
}

// contents checks every member against the manifest, and SHA256SUMS against both.
func (v *verifier) contents(seal *SignedSeal) error {
	b, err := OpenBundle(v.bundle, v.size, v.o.Identities...)
	if errors.Is(err, ErrWrongKey) {
		return err
	}
	if err != nil {
		v.report.add("open", "", "%v", err)
		return nil
	}
	v.report.Opened = true
	want := v.expect(b)
	for m, err := range b.Members(v.ctx) {
		if err != nil && v.ctx.Err() != nil {
			return err
		}
		if err != nil {
			v.report.add("cut", "", "%v", err)
			return v.behind(b, want)
		}
		v.member(m, want, seal)
	}
	for name, e := range want {
		if !e.seen {
			v.report.add("missing", name, "in the manifest, not in the archive")
		} else if e.kind == File && !e.summed && name != memberSums {
			v.report.add("sums", name, "not in %s", memberSums)
		}
	}
	return nil
}

// behind checks, one by one, the files that lie behind the place where reading in order failed.
func (v *verifier) behind(b *Bundle, want map[string]*expected) error {
	for row, err := range b.Rows() {
		if ctxErr := v.ctx.Err(); ctxErr != nil {
			return ctxErr
		}
		if err != nil {
			return nil // expect has reported it
		}
		name, err := row.memberName()
		if e := want[name]; err != nil || row.At == 0 || row.Type != File || e == nil || e.whole {
			continue
		}
		h := sha256.New()
		content, err := b.Content(row)
		if err == nil {
			_, err = io.Copy(io.MultiWriter(h, progress(v.o.Progress)), v.reader(content))
		}
		if err != nil {
			v.report.add("missing", name, "%v", err)
		} else if hex.EncodeToString(h.Sum(nil)) != row.StoredDigest() {
			v.report.add("digest", name, "content differs from the manifest")
		}
	}
	return nil
}

func (v *verifier) expect(b *Bundle) map[string]*expected {
	want := map[string]*expected{
		memberManifest: {kind: File}, memberSums: {kind: File},
	}
	for row, err := range b.Rows() {
		if err != nil {
			v.report.add("manifest", "", "%v", err)
			break
		}
		v.report.Rows++
		name, err := row.memberName()
		if row.At == 0 || err != nil {
			continue
		}
		if want[name] != nil {
			v.report.add("duplicate", name, "two rows in the manifest")
			continue
		}
		want[name] = &expected{digest: row.StoredDigest(), at: row.At, size: row.Size, header: row.HeaderSize, kind: row.Type, link: row.Link}
	}
	return want
}

// member checks one member. An error of its body is left to the walk over the members, which meets it again.
func (v *verifier) member(m Member, want map[string]*expected, seal *SignedSeal) {
	e := want[m.Name]
	switch {
	case e == nil:
		v.report.add("extra", m.Name, "in the archive, not in the manifest")
		return
	case e.seen:
		v.report.add("duplicate", m.Name, "twice in the archive")
		return
	}
	e.seen = true
	v.report.Members++
	if m.Type != e.kind || m.Link != e.link {
		v.report.add("type", m.Name, "a %s in the archive, a %s in the manifest, or a link elsewhere", m.Type, e.kind)
		return
	}
	own := m.Name == memberManifest || m.Name == memberSums
	if !own && (m.At != e.at || m.Size != e.size || m.HeaderSize != e.header) {
		v.report.add("offset", m.Name, "manifest and archive disagree about place or size")
	}
	switch {
	case m.Name == memberSums:
		v.sums(m.Body, want)
	case m.Type == File:
		v.digest(m, e, seal)
	}
}

func (v *verifier) digest(m Member, e *expected, seal *SignedSeal) {
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(h, progress(v.o.Progress)), m.Body)
	v.report.Bytes += n
	if err != nil {
		return
	}
	e.whole = true
	digest := hex.EncodeToString(h.Sum(nil))
	if m.Name == memberManifest {
		e.digest = digest
		if seal != nil && seal.ManifestSHA256 != "" && seal.ManifestSHA256 != digest {
			v.report.add("digest", m.Name, "not the manifest that was sealed")
		}
	} else if digest != e.digest {
		v.report.add("digest", m.Name, "content differs from the manifest")
	}
}

func (v *verifier) sums(r io.Reader, want map[string]*expected) {
	lines := newLineReader(r)
	for {
		line, err := readLine(lines)
		if errors.Is(err, io.EOF) || errors.Is(err, ErrCut) || v.ctx.Err() != nil {
			return
		}
		if err != nil {
			v.report.add("sums", "", "%v", err)
			return
		}
		name, digest, err := parseSum(string(line))
		if err != nil {
			v.report.add("sums", "", "%v", err)
			continue
		}
		e := want[name]
		if e == nil || e.summed || e.digest != digest {
			v.report.add("sums", strings.Clone(name), "%s and the archive disagree", memberSums)
		}
		if e != nil {
			e.summed = true
		}
	}
}
