package store

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7"
)

const (
	checksumHeader = "x-amz-checksum-sha256"
	maxParts       = 10_000 // S3's limit
)

// An upload is one file on its way into a bucket. The digest of each part is taken before anything is sent, goes into the signature of the
// request, and the store refuses bytes that do not have it.
type upload struct {
	*bucket
	name  string
	r     io.ReaderAt
	size  int64
	sum   string // of the whole, hex
	step  int64  // the size of every part but the last
	sums  [][sha256.Size]byte
	sent  count
	tried bool // a request may have been carried out, though its answer was lost
}

// A begun is what is remembered of an upload in parts.
type begun struct {
	ID    string               `json:"id"`
	Size  int64                `json:"size"`
	Sum   string               `json:"sha256"`
	Step  int64                `json:"part_size"`
	Parts []minio.CompletePart `json:"parts"` // the first ones
}

// Put stores a file at once or, if it is large, in parts.
func (b *bucket) Put(ctx context.Context, name string, r io.ReaderAt, size int64, sum string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	u := &upload{bucket: b, name: name, r: r, size: size, sum: sum, step: partSize(size, b.o.PartSize), sent: count{tell: b.o.Progress}}
	err := u.digest(ctx)
	if err == nil {
		err = u.send(ctx)
	}
	if isCode(err, minio.PreconditionFailed) {
		return b.compare(ctx, name, size, sum, u.tried)
	}
	if err != nil {
		return fmt.Errorf("storing %q: %w", name, err)
	}
	return nil
}

// partSize keeps the number of parts within what a store takes.
func partSize(size, step int64) int64 {
	for (size+step-1)/step > maxParts {
		step *= 2
	}
	return step
}

// digest takes the digests of the parts and of the whole, which is to be what was sealed.
func (u *upload) digest(ctx context.Context) error {
	whole := sha256.New()
	for off := int64(0); off == 0 || off < u.size; off += u.step {
		part := sha256.New()
		r := contextReader{ctx, io.NewSectionReader(u.r, off, min(u.step, u.size-off))}
		if n, err := io.Copy(io.MultiWriter(whole, part), r); err != nil {
			return err
		} else if n != min(u.step, u.size-off) {
			return fmt.Errorf("%w: it has fewer than %d bytes", ErrChanged, u.size)
		}
		u.sums = append(u.sums, [sha256.Size]byte(part.Sum(nil)))
	}
	return sameSum(whole.Sum(nil), u.sum)
}

// headers go with the request that makes the object: that nothing is to be replaced, how long it is to be locked, and its digest, which
// the store keeps with it.
func (u *upload) headers() minio.PutObjectOptions {
	o := minio.PutObjectOptions{DisableContentSha256: true, UserMetadata: map[string]string{"sha256": u.sum}}
	if days := u.o.Lock.Days; days > 0 {
		o.Mode, o.RetainUntilDate = minio.Compliance, time.Now().AddDate(0, 0, days)
		if u.o.Lock.Governance {
			o.Mode = minio.Governance
		}
	}
	return o
}

func (u *upload) send(ctx context.Context) error {
	if len(u.sums) == 1 {
		return u.sendWhole(ctx)
	}
	if err := u.sendParts(ctx); !isCode(err, minio.NoSuchUpload) {
		return err
	}
	// What was begun was completed, and the answer was lost; or the store has given it up: begin anew, which replaces nothing.
	if f, err := u.Open(ctx, u.name); err == nil {
		defer f.Close()
		return sameStored(ctx, u.name, f, u.size, u.sum)
	}
	if err := u.o.Memory.Remember(u.memory(), nil); err != nil {
		return err
	}
	return u.sendParts(ctx)
}

func (u *upload) sendWhole(ctx context.Context) error {
	o := u.headers()
	o.SetMatchETagExcept("*")
	o.UserMetadata[checksumHeader] = encode(u.sums[0])
	return u.try(ctx, 0, func(ctx context.Context, r io.Reader) error {
		info, err := u.client.PutObject(ctx, u.bucket.name, u.key(u.name), r, u.size, "", hex.EncodeToString(u.sums[0][:]), o)
		if err != nil {
			return u.explain(err)
		}
		return sameChecksum(info.ChecksumSHA256, encode(u.sums[0]))
	})
}

// try sends part i, again if the connection is cut.
func (u *upload) try(ctx context.Context, i int, f func(context.Context, io.Reader) error) error {
	off := int64(i) * u.step
	return u.o.again(ctx, func(ctx context.Context, n int) error {
		u.sent.at(off)
		ctx, r, stop := watch(ctx, u.o.slowly(ctx, io.NewSectionReader(u.r, off, min(u.step, u.size-off)), u.sent.add))
		defer stop()
		err := f(ctx, r)
		if err != nil {
			u.tried = true
			if cause := context.Cause(ctx); errors.Is(cause, errStalled) {
				return cause
			}
		}
		return err
	})
}

func encode(sum [sha256.Size]byte) string { return base64.StdEncoding.EncodeToString(sum[:]) }

// sameChecksum holds what the store says that it has against what was sent. Some say nothing.
func sameChecksum(got, want string) error {
	if got == "" || got == want {
		return nil
	}
	return final(&Error{
		fmt.Errorf("the store says that it has SHA-256 %.60q, and was sent %s", got, want),
		"do not rely on this store: what it keeps is not what it was sent",
	})
}

// memory is what the upload is remembered by: stores of several makers may have a bucket of the same name.
func (u *upload) memory() string { return u.client.EndpointURL().String() + " " + u.String() + u.name }

// recall returns the upload in parts that was begun, of the same file.
func (u *upload) recall() *begun {
	var s begun
	err := json.Unmarshal(u.o.Memory.Recall(u.memory()), &s)
	if err != nil || s.ID == "" || s.Size != u.size || s.Sum != u.sum || s.Step != u.step || len(s.Parts) > len(u.sums) {
		return nil
	}
	return &s
}

func (u *upload) remember(s *begun) error {
	text, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return u.o.Memory.Remember(u.memory(), text)
}

// begin takes up the upload that was begun, or begins one.
func (u *upload) begin(ctx context.Context) (*begun, error) {
	if s := u.recall(); s != nil {
		return s, nil
	}
	o := u.headers()
	o.UserMetadata["x-amz-checksum-algorithm"] = "SHA256"
	s := &begun{Size: u.size, Sum: u.sum, Step: u.step}
	err := u.o.again(ctx, func(ctx context.Context, _ int) (err error) {
		s.ID, err = u.client.NewMultipartUpload(ctx, u.bucket.name, u.key(u.name), o)
		return u.explain(err)
	})
	if err == nil && s.ID == "" {
		err = errors.New("the store began an upload without a name for it")
	}
	if err != nil {
		return nil, err
	}
	return s, u.remember(s)
}

func (u *upload) sendParts(ctx context.Context) error {
	s, err := u.begin(ctx)
	if err != nil {
		return err
	}
	u.tried = u.tried || len(s.Parts) == len(u.sums)
	for i := len(s.Parts); i < len(u.sums); i++ {
		part, err := u.sendPart(ctx, s.ID, i)
		if err != nil {
			return err
		}
		s.Parts = append(s.Parts, part)
		if err := u.remember(s); err != nil {
			return err
		}
	}
	if err := u.complete(ctx, s); err != nil {
		return err
	}
	return u.o.Memory.Remember(u.memory(), nil)
}

func (u *upload) sendPart(ctx context.Context, id string, i int) (minio.CompletePart, error) {
	sum := u.sums[i]
	o := minio.PutObjectPartOptions{Sha256Hex: hex.EncodeToString(sum[:]), DisableContentSha256: true, CustomHeader: http.Header{}}
	o.CustomHeader.Set(checksumHeader, encode(sum))
	var part minio.ObjectPart
	err := u.try(ctx, i, func(ctx context.Context, r io.Reader) (err error) {
		part, err = u.client.PutObjectPart(ctx, u.bucket.name, u.key(u.name), id, i+1, r, min(u.step, u.size-int64(i)*u.step), o)
		if err != nil {
			return u.explain(err)
		}
		return sameChecksum(part.ChecksumSHA256, encode(sum))
	})
	return minio.CompletePart{PartNumber: i + 1, ETag: part.ETag, ChecksumSHA256: encode(sum)}, err
}

// complete makes the object of its parts. The store compares the digests of all of them once more.
func (u *upload) complete(ctx context.Context, s *begun) error {
	all := sha256.New()
	for _, sum := range u.sums {
		all.Write(sum[:])
	}
	want := fmt.Sprintf("%s-%d", encode([sha256.Size]byte(all.Sum(nil))), len(u.sums))
	var o minio.PutObjectOptions
	o.SetMatchETagExcept("*")
	return u.o.again(ctx, func(ctx context.Context, n int) error {
		info, err := u.client.CompleteMultipartUpload(ctx, u.bucket.name, u.key(u.name), s.ID, s.Parts, o)
		if err != nil {
			u.tried = true
			return u.explain(err)
		}
		return sameChecksum(info.ChecksumSHA256, want)
	})
}

// compare says whether what is there under a name is what was to be stored. Credentials that only put cannot tell; then only that the
// answer to an earlier request of ours was lost speaks for it.
func (b *bucket) compare(ctx context.Context, name string, size int64, sum string, tried bool) error {
	f, err := b.Open(ctx, name)
	if err == nil {
		defer f.Close()
		return sameStored(ctx, name, f, size, sum)
	}
	text := "and these credentials cannot read it"
	if tried {
		text = "perhaps by an earlier try whose answer was lost, " + text
	}
	return &Error{
		fmt.Errorf("storing %q: %w, %s", name, ErrExists, text),
		"somebody who may read it there compares its SHA-256 with " + sum,
	}
}

// isCode reports whether an error is an answer of the store with a code.
func isCode(err error, code string) bool {
	var answer *refusal
	return errors.As(err, &answer) && answer.code == code
}
