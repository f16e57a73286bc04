package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/minio/minio-go/v7"
)

const (
	maxParts = 10_000  // S3's limit
	minPart  = 5 << 20 // bytes; and this
)

// partSize keeps the number of parts within what a store takes.
func partSize(size, step int64) int64 {
	for (size+step-1)/step > maxParts {
		step *= 2
	}
	return step
}

// A begun is what is remembered of an upload in parts.
type begun struct {
	ID    string               `json:"id"`
	Size  int64                `json:"size"`
	Sum   string               `json:"sha256"`
	Step  int64                `json:"part_size"`
	Parts []minio.CompletePart `json:"parts"` // the first ones
}

// memory is what the upload is remembered by: stores of several makers may have a bucket of the same name.
func (u *upload) memory() string { return u.client.EndpointURL().String() + " " + u.String() + u.name }

// recall returns the upload in parts that was begun, of the same file.
func (u *upload) recall() *begun {
	var s begun
	err := json.Unmarshal(u.o.Memory.Recall(u.memory()), &s)
	if err != nil || s.ID == "" || s.Size != u.size || s.Sum != u.sum || s.Step < minPart || partSize(u.size, s.Step) != s.Step || int64(len(s.Parts)) > (u.size+s.Step-1)/s.Step {
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

// alive asks whether the store still knows an upload: with a part of one byte that is never made part of the object, for some stores
// cut the connection rather than say so to a large one, and credentials that only put cannot ask otherwise.
func (u *upload) alive(ctx context.Context, id string) error {
	return u.o.again(ctx, func(ctx context.Context, _ int) error {
		zero := []byte{0}
		_, err := u.client.PutObjectPart(ctx, u.bucket.name, u.key(u.name), id, maxParts, bytes.NewReader(zero), 1, u.partHeaders(sha256.Sum256(zero)))
		return u.explain(err)
	})
}

func (u *upload) partHeaders(sum [sha256.Size]byte) minio.PutObjectPartOptions {
	o := minio.PutObjectPartOptions{Sha256Hex: hex.EncodeToString(sum[:]), DisableContentSha256: true, CustomHeader: http.Header{}}
	if u.lacks < checksums {
		o.CustomHeader.Set(checksumHeader, encode(sum))
	}
	return o
}

// begin takes up the upload that was begun, or begins one.
func (u *upload) begin(ctx context.Context) (*begun, error) {
	if s := u.recall(); s != nil {
		return s, u.alive(ctx, s.ID)
	}
	o := u.headers()
	if u.lacks < checksums {
		o.UserMetadata["x-amz-checksum-algorithm"] = "SHA256"
	}
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
	whole := minio.CompletePart{PartNumber: i + 1}
	if u.lacks < checksums {
		whole.ChecksumSHA256 = encode(sum)
	}
	var part minio.ObjectPart
	err := u.try(ctx, i, func(ctx context.Context, r io.Reader) (err error) {
		part, err = u.client.PutObjectPart(ctx, u.bucket.name, u.key(u.name), id, i+1, r, min(u.step, u.size-int64(i)*u.step), u.partHeaders(sum))
		if err != nil {
			return u.explain(err)
		}
		return sameChecksum(part.ChecksumSHA256, encode(sum))
	})
	whole.ETag = part.ETag
	return whole, err
}

// complete makes the object of its parts. The store compares the digests of all of them once more.
func (u *upload) complete(ctx context.Context, s *begun) error {
	all := sha256.New()
	for _, sum := range u.sums {
		all.Write(sum[:])
	}
	want := fmt.Sprintf("%s-%d", encode([sha256.Size]byte(all.Sum(nil))), len(u.sums))
	var o minio.PutObjectOptions
	u.ifNew(&o)
	return u.o.again(ctx, func(ctx context.Context, n int) error {
		info, err := u.client.CompleteMultipartUpload(ctx, u.bucket.name, u.key(u.name), s.ID, s.Parts, o)
		if err != nil {
			u.tried = true
			return u.explain(err)
		}
		return sameChecksum(info.ChecksumSHA256, want)
	})
}
