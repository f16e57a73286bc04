package store

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/minio/minio-go/v7"
)

const checksumHeader = "x-amz-checksum-sha256"

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
	lacks lacking
	tried bool // a request may have been carried out, though its answer was lost
}

// A lacking is what a store does not know of. Each is tried without only after the store said so.
type lacking int

const (
	nothing   lacking = iota
	condition         // that nothing is to be replaced: we look before
	checksums         // kept with the object; the signature has them too
)

// Put stores a file at once or, if it is large, in parts.
func (b *bucket) Put(ctx context.Context, name string, r io.ReaderAt, size int64, sum string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	u := &upload{bucket: b, name: name, r: r, size: size, sum: sum, step: partSize(size, b.o.PartSize), sent: count{tell: b.o.Progress}}
	if s := u.recall(); s != nil {
		u.step = s.Step // the store has parts of that size
	}
	err := u.digest(ctx)
	if err == nil {
		err = u.sendAnyhow(ctx)
	}
	if isCode(err, minio.PreconditionFailed) {
		return b.compare(ctx, name, size, sum, u.tried)
	}
	if err != nil {
		return fmt.Errorf("storing %q: %w", name, err)
	}
	return nil
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

// sendAnyhow sends to stores that lack something too.
func (u *upload) sendAnyhow(ctx context.Context) error {
	err := u.send(ctx)
	for u.lacks < checksums && isCode(err, minio.NotImplemented) {
		u.lacks++
		if serr := u.free(ctx); serr != nil {
			return serr
		}
		if u.lacks == checksums {
			if merr := u.o.Memory.Remember(u.memory(), nil); merr != nil {
				return merr
			}
		}
		err = u.send(ctx)
	}
	return err
}

// free looks whether the name is free, where the store cannot be told that nothing is to be replaced.
func (u *upload) free(ctx context.Context) error {
	_, err := u.stat(ctx, u.name)
	switch {
	case err == nil:
		return &refusal{code: minio.PreconditionFailed}
	case errors.Is(err, fs.ErrNotExist):
		return nil
	}
	return &Error{
		fmt.Errorf("this store cannot be told to replace nothing, and we cannot look whether %q is there: %w", u.name, err),
		"take a store that knows If-None-Match, or let these credentials read and list under " + u.prefix,
	}
}

// ifNew has the store replace nothing, if it can.
func (u *upload) ifNew(o *minio.PutObjectOptions) {
	if u.lacks < condition {
		o.SetMatchETagExcept("*")
	}
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
	u.ifNew(&o)
	if u.lacks < checksums {
		o.UserMetadata[checksumHeader] = encode(u.sums[0])
	}
	return u.try(ctx, 0, func(ctx context.Context, r io.Reader) error {
		if u.tried && u.there(ctx) {
			return final(&refusal{code: minio.PreconditionFailed})
		}
		info, err := u.client.PutObject(ctx, u.bucket.name, u.key(u.name), r, u.size, "", hex.EncodeToString(u.sums[0][:]), o)
		if err != nil {
			return u.explain(err)
		}
		return sameChecksum(info.ChecksumSHA256, encode(u.sums[0]))
	})
}

// there reports whether the name is taken, as far as these credentials can see. A store that refuses to replace it may cut the connection
// before its answer is read, every time.
func (u *upload) there(ctx context.Context) bool {
	_, err := u.client.StatObject(ctx, u.bucket.name, u.key(u.name), minio.StatObjectOptions{})
	return err == nil
}

// try sends part i, again if the connection is cut.
func (u *upload) try(ctx context.Context, i int, f func(context.Context, io.Reader) error) error {
	off := int64(i) * u.step
	return u.o.again(ctx, func(ctx context.Context, n int) error {
		u.sent.at(off)
		ctx, watched, stop := watch(ctx)
		defer stop()
		err := f(ctx, watched(u.o.slowly(ctx, io.NewSectionReader(u.r, off, min(u.step, u.size-off)), u.sent.add)))
		u.tried = u.tried || err != nil
		return orStalled(ctx, err)
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
