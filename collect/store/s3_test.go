package store

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/clawbook/openclaw-ir/internal/storetest"
	"github.com/minio/minio-go/v7"
)

func TestS3(t *testing.T) {
	s := storetest.StartS3(t, t.TempDir())
	testStore(t, s.Address(), Options{})
}

func TestS3Parts(t *testing.T) {
	s := storetest.StartS3(t, t.TempDir())
	testStore(t, s.Address()+"&region=us-east-1", Options{PartSize: 5 << 20})
}

// TestS3PutOnly stores with credentials that can do nothing else, in one piece and in parts, with a lock, over a bad line.
func TestS3PutOnly(t *testing.T) {
	s := storetest.StartS3(t, t.TempDir())
	s.PutOnly(t)
	p := storetest.NewProxy(t, s.Addr)
	memory := notebook{}
	store := open(t, s.Via(p.Addr()), Options{PartSize: 5 << 20, Lock: Lock{Days: 30}, Memory: memory})
	large, _ := sealedBytes(t, 12<<20+5)
	p.CutAfter(7<<20, 2)
	small := large[:1000]
	for name, data := range map[string][]byte{"B": large, "B.seal": small} {
		if err := put(t, store, name, data); err != nil {
			t.Fatal(err)
		}
		if got := s.Stored(t, name); !bytes.Equal(got, data) {
			t.Errorf("%s: %d bytes stored", name, len(got))
		}
		info, err := s.Admin.StatObject(t.Context(), storetest.Bucket, "host-1/"+name, minio.StatObjectOptions{})
		until, terr := time.Parse(time.RFC3339, info.Metadata.Get("X-Amz-Object-Lock-Retain-Until-Date"))
		if err != nil || terr != nil || info.Metadata.Get("X-Amz-Object-Lock-Mode") != "COMPLIANCE" || time.Until(until) < 29*24*time.Hour {
			t.Errorf("%s: locked until %v: %v, %v, %v", name, until, info.Metadata, err, terr)
		}
	}
	if len(memory) != 0 {
		t.Errorf("remembers %q", memory)
	}
	for what, err := range map[string]error{
		"list": second(store.List(t.Context())), "read": second(store.Open(t.Context(), "B")),
		"remove": s.Client(t, storetest.HostKey, storetest.HostSecret).RemoveObject(t.Context(), storetest.Bucket, "host-1/B", minio.RemoveObjectOptions{}),
		"other":  put(t, open(t, "s3://evidence/host-2?endpoint=http://"+s.Addr, Options{}), "B", small),
	} {
		if err == nil {
			t.Errorf("%s: may do that", what)
		}
	}
	err := put(t, store, "B", small)
	if !errors.Is(err, ErrExists) {
		t.Errorf("something else under its name: %v", err)
	}
	wantError(t, err, "these credentials cannot read it", sum(small))
	if got := s.Stored(t, "B"); !bytes.Equal(got, large) {
		t.Error("it was replaced")
	}
}

func second[T any](_ T, err error) error { return err }

// TestS3Lock has its owner try to remove what is locked.
func TestS3Lock(t *testing.T) {
	s := storetest.StartS3(t, t.TempDir())
	data := []byte("sealed")
	if err := put(t, open(t, s.Address(), Options{Lock: Lock{Days: 1}}), "B", data); err != nil {
		t.Fatal(err)
	}
	info, err := s.Admin.StatObject(t.Context(), storetest.Bucket, "host-1/B", minio.StatObjectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Admin.RemoveObject(t.Context(), storetest.Bucket, "host-1/B", minio.RemoveObjectOptions{VersionID: info.VersionID}); err == nil {
		t.Error("its owner removed it")
	}
	if got := s.Stored(t, "B"); !bytes.Equal(got, data) {
		t.Errorf("holds %q", got)
	}
}

func TestS3Refusals(t *testing.T) {
	s := storetest.StartS3(t, t.TempDir())
	data := []byte("sealed")
	bad := open(t, "s3://missing/x?endpoint=http://"+s.Addr, Options{})
	wantError(t, put(t, bad, "B", data), "NoSuchBucket", "make the bucket first")
	if err := s.Admin.MakeBucket(t.Context(), "plain", minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	plain := open(t, "s3://plain?endpoint=http://"+s.Addr, Options{Lock: Lock{Days: 1}})
	wantError(t, put(t, plain, "B", data), "", "Object Lock has to be on")
	s.As(t, storetest.AdminKey, "hunter2x")
	err := put(t, open(t, s.Address(), Options{}), "B", data)
	wantError(t, err, "SignatureDoesNotMatch", "credentials are wrong")
	s.As(t, "nobody", "hunter2x")
	wantError(t, put(t, open(t, s.Address(), Options{}), "B", data), "InvalidAccessKeyId", "credentials are wrong")
	s.Missing(t, "B")
	down, err := Open(t.Context(), s.Via(storetest.FreePort(t)), Options{Patience: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	err = put(t, down, "B", data)
	wantError(t, err, "tried 6 times", "")
	if strings.Contains(err.Error(), "hunter2x") {
		t.Errorf("says the secret: %v", err)
	}
}

func TestS3NoCredentials(t *testing.T) {
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY", "AWS_SECRET_KEY", "MINIO_ROOT_USER", "MINIO_ACCESS_KEY"} {
		t.Setenv(name, "")
	}
	t.Setenv("HOME", t.TempDir())
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/none") // instead of the cloud's own address
	_, err := Open(t.Context(), "s3://bucket/x", Options{})
	wantError(t, err, "no credentials for S3", "~/.aws/credentials")
}

// TestS3Resume gives up in the middle, and goes on with what the server has.
func TestS3Resume(t *testing.T) {
	s := storetest.StartS3(t, t.TempDir())
	s.PutOnly(t)
	data, _ := sealedBytes(t, 12<<20)
	memory := notebook{}
	p := storetest.NewProxy(t, s.Addr)
	o := Options{PartSize: 5 << 20, Memory: memory}
	p.CutAlways(7 << 20)
	if err := put(t, open(t, s.Via(p.Addr()), o), "B", data); err == nil {
		t.Fatal("stored over a line that is cut")
	}
	s.Missing(t, "B")
	if len(memory) != 1 {
		t.Fatalf("remembers %q", memory)
	}
	p.Heal()
	sent, first := int64(0), int64(0)
	o.Progress = func(n int64) {
		if sent += n; first == 0 {
			first = n
		}
	}
	if err := put(t, open(t, s.Via(p.Addr()), o), "B", data); err != nil {
		t.Fatal(err)
	}
	if got := s.Stored(t, "B"); !bytes.Equal(got, data) || first != 5<<20 || sent != int64(len(data)) || len(memory) != 0 {
		t.Errorf("%d bytes stored; began at %d, counted %d, remembers %q", len(got), first, sent, memory)
	}
}

// TestS3ResumeGone has the server forget what was begun meanwhile.
func TestS3ResumeGone(t *testing.T) {
	s := storetest.StartS3(t, t.TempDir())
	data, digest := sealedBytes(t, 12<<20)
	memory := notebook{}
	store := open(t, s.Address(), Options{PartSize: 5 << 20, Memory: memory})
	key := "http://" + s.Addr + " " + store.String() + "B"
	memory[key] = fmt.Appendf(nil, `{"id":"gone","size":%d,"sha256":%q,"part_size":%d,"parts":[{"PartNumber":1,"ETag":"x"}]}`, len(data), digest, 5<<20)
	if err := put(t, store, "B", data); err != nil {
		t.Fatal(err)
	}
	if got := s.Stored(t, "B"); !bytes.Equal(got, data) || len(memory) != 0 {
		t.Errorf("%d bytes stored, remembers %q", len(got), memory)
	}
}

// TestS3DiskFull fills the server's disk.
func TestS3DiskFull(t *testing.T) {
	dir := t.TempDir()
	storetest.SmallDisk(t, dir, "8m")
	s := storetest.StartS3(t, dir)
	data, _ := sealedBytes(t, 12<<20)
	for name, size := range map[string]int64{"whole": 16 << 20, "parts": 5 << 20} {
		err := put(t, open(t, s.Address(), Options{PartSize: size}), name, data)
		t.Log(err)
		wantError(t, err, "the store says", "")
		s.Missing(t, name)
	}
}

// TestS3Slow sends through a line that keeps every piece back.
func TestS3Slow(t *testing.T) {
	s := storetest.StartS3(t, t.TempDir())
	p := storetest.NewProxy(t, s.Addr)
	p.Each = time.Millisecond
	data, _ := sealedBytes(t, 1<<20)
	if err := put(t, open(t, s.Via(p.Addr()), Options{Rate: 8 << 20}), "B", data); err != nil {
		t.Fatal(err)
	}
	if got := s.Stored(t, "B"); !bytes.Equal(got, data) {
		t.Errorf("%d bytes stored", len(got))
	}
}
