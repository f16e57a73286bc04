package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// s3Program is a real S3 server, github.com/versity/versitygw, which .ci/run builds. The variable names another place for it.
func s3Program(t *testing.T) string {
	t.Helper()
	if name := os.Getenv("OPENCLAW_IR_S3_SERVER"); name != "" {
		return name
	}
	name, err := exec.LookPath("versitygw")
	if err != nil {
		t.Skip("no S3 server here: go install github.com/versity/versitygw/cmd/versitygw@v1.8.0")
	}
	return name
}

const (
	adminKey, adminSecret = "admin", "adminsecret"
	hostKey, hostSecret   = "host-1", "hostsecret-8f3a"
	bucketName            = "evidence"
)

// An s3server is a running one with a bucket that has versions and Object Lock.
type s3server struct {
	addr  string
	dir   string
	admin *minio.Client
}

// startS3 starts one whose data lie in dir. Our own credentials are its owner's until the test takes others.
func startS3(t *testing.T, dir string) *s3server {
	t.Helper()
	program := s3Program(t)
	s := &s3server{addr: freePort(t), dir: filepath.Join(dir, "data")}
	folders := map[string]string{}
	for _, name := range []string{"data", "versions", "iam", "meta"} {
		folders[name] = filepath.Join(dir, name)
		if err := os.MkdirAll(folders[name], 0o700); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(program, "--port", s.addr, "--iam-dir", folders["iam"], "--quiet",
		"posix", "--sidecar", folders["meta"], "--versioning-dir", folders["versions"], folders["data"])
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+adminKey, "ROOT_SECRET_KEY="+adminSecret)
	start(t, s.addr, cmd)
	client, err := minio.New(s.addr, &minio.Options{Creds: credentials.NewStaticV4(adminKey, adminSecret, ""), Region: "us-east-1"})
	if err != nil {
		t.Fatal(err)
	}
	s.admin = client
	if err := client.MakeBucket(t.Context(), bucketName, minio.MakeBucketOptions{ObjectLocking: true}); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", t.TempDir())
	s.as(t, adminKey, adminSecret)
	return s
}

// as has us use these credentials.
func (s *s3server) as(t *testing.T, key, secret string) {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", key)
	t.Setenv("AWS_SECRET_ACCESS_KEY", secret)
}

func (s *s3server) address() string { return s.via(s.addr) }

func (s *s3server) via(addr string) string {
	return "s3://" + bucketName + "/host-1?endpoint=http://" + addr
}

// putOnlyPolicy is the least that a host needs. It is the one of the README.
const putOnlyPolicy = `{
  "Version": "2012-10-17",
  "Statement": [{
    "Sid": "StoreAndNothingElse",
    "Effect": "Allow",
    "Principal": {"AWS": ["host-1"]},
    "Action": ["s3:PutObject", "s3:PutObjectRetention"],
    "Resource": "arn:aws:s3:::evidence/host-1/*"
  }]
}`

// putOnly makes the account of a host that may store and nothing else, and has us use it.
func (s *s3server) putOnly(t *testing.T) {
	t.Helper()
	cmd := exec.Command(s3Program(t), "admin", "create-user", "--access", hostKey, "--secret", hostSecret, "--role", "user")
	cmd.Env = append(os.Environ(), "ADMIN_ACCESS_KEY="+adminKey, "ADMIN_SECRET_KEY="+adminSecret, "ADMIN_ENDPOINT_URL=http://"+s.addr)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("making the account: %v %s", err, out)
	}
	if err := s.admin.SetBucketPolicy(t.Context(), bucketName, putOnlyPolicy); err != nil {
		t.Fatal(err)
	}
	s.as(t, hostKey, hostSecret)
}

// stored reads as the owner what the bucket holds.
func (s *s3server) stored(t *testing.T, name string) []byte {
	t.Helper()
	f, err := s.admin.GetObject(t.Context(), bucketName, "host-1/"+name, minio.GetObjectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(f); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func (s *s3server) missing(t *testing.T, name string) {
	t.Helper()
	_, err := s.admin.StatObject(t.Context(), bucketName, "host-1/"+name, minio.StatObjectOptions{})
	if minio.ToErrorResponse(err).StatusCode != 404 {
		t.Errorf("%q is there: %v", name, err)
	}
}

func TestS3(t *testing.T) {
	s := startS3(t, t.TempDir())
	testStore(t, s.address(), Options{})
}

func TestS3Parts(t *testing.T) {
	s := startS3(t, t.TempDir())
	testStore(t, s.address()+"&region=us-east-1", Options{PartSize: 5 << 20})
}

// TestS3PutOnly stores with credentials that can do nothing else, in one piece and in parts, with a lock, over a bad line.
func TestS3PutOnly(t *testing.T) {
	s := startS3(t, t.TempDir())
	s.putOnly(t)
	p := newProxy(t, s.addr)
	memory := notebook{}
	store := open(t, s.via(p.addr()), Options{PartSize: 5 << 20, Lock: Lock{Days: 30}, Memory: memory})
	large, _ := sealedBytes(t, 12<<20+5)
	p.cutAfter(7<<20, 2)
	small := large[:1000]
	for name, data := range map[string][]byte{"B": large, "B.seal": small} {
		if err := put(t, store, name, data); err != nil {
			t.Fatal(err)
		}
		if got := s.stored(t, name); !bytes.Equal(got, data) {
			t.Errorf("%s: %d bytes stored", name, len(got))
		}
		info, err := s.admin.StatObject(t.Context(), bucketName, "host-1/"+name, minio.StatObjectOptions{})
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
		"remove": s.as2(t).RemoveObject(t.Context(), bucketName, "host-1/B", minio.RemoveObjectOptions{}),
		"other":  put(t, open(t, "s3://evidence/host-2?endpoint=http://"+s.addr, Options{}), "B", small),
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
	if got := s.stored(t, "B"); !bytes.Equal(got, large) {
		t.Error("it was replaced")
	}
}

// as2 is a client with the host's credentials.
func (s *s3server) as2(t *testing.T) *minio.Client {
	t.Helper()
	client, err := minio.New(s.addr, &minio.Options{Creds: credentials.NewStaticV4(hostKey, hostSecret, ""), Region: "us-east-1"})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func second[T any](_ T, err error) error { return err }

// TestS3Lock has its owner try to remove what is locked.
func TestS3Lock(t *testing.T) {
	s := startS3(t, t.TempDir())
	data := []byte("sealed")
	if err := put(t, open(t, s.address(), Options{Lock: Lock{Days: 1}}), "B", data); err != nil {
		t.Fatal(err)
	}
	info, err := s.admin.StatObject(t.Context(), bucketName, "host-1/B", minio.StatObjectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.admin.RemoveObject(t.Context(), bucketName, "host-1/B", minio.RemoveObjectOptions{VersionID: info.VersionID}); err == nil {
		t.Error("its owner removed it")
	}
	if got := s.stored(t, "B"); !bytes.Equal(got, data) {
		t.Errorf("holds %q", got)
	}
}

func TestS3Refusals(t *testing.T) {
	s := startS3(t, t.TempDir())
	data := []byte("sealed")
	bad := open(t, "s3://missing/x?endpoint=http://"+s.addr, Options{})
	wantError(t, put(t, bad, "B", data), "NoSuchBucket", "make the bucket first")
	if err := s.admin.MakeBucket(t.Context(), "plain", minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	plain := open(t, "s3://plain?endpoint=http://"+s.addr, Options{Lock: Lock{Days: 1}})
	wantError(t, put(t, plain, "B", data), "", "Object Lock has to be on")
	s.as(t, adminKey, "hunter2x")
	err := put(t, open(t, s.address(), Options{}), "B", data)
	wantError(t, err, "SignatureDoesNotMatch", "credentials are wrong")
	s.as(t, "nobody", "hunter2x")
	wantError(t, put(t, open(t, s.address(), Options{}), "B", data), "InvalidAccessKeyId", "credentials are wrong")
	s.missing(t, "B")
	down, err := Open(t.Context(), s.via(freePort(t)), Options{patience: time.Millisecond})
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
	s := startS3(t, t.TempDir())
	s.putOnly(t)
	data, _ := sealedBytes(t, 12<<20)
	memory := notebook{}
	p := newProxy(t, s.addr)
	o := Options{PartSize: 5 << 20, Memory: memory}
	p.cutAfter(7<<20, 1)
	p.again = 0
	p.cuts.Store(1 << 40)
	if err := put(t, open(t, s.via(p.addr()), o), "B", data); err == nil {
		t.Fatal("stored over a line that is cut")
	}
	s.missing(t, "B")
	if len(memory) != 1 {
		t.Fatalf("remembers %q", memory)
	}
	p.cuts.Store(0)
	sent, first := int64(0), int64(0)
	o.Progress = func(n int64) {
		if sent += n; first == 0 {
			first = n
		}
	}
	if err := put(t, open(t, s.via(p.addr()), o), "B", data); err != nil {
		t.Fatal(err)
	}
	if got := s.stored(t, "B"); !bytes.Equal(got, data) || first != 5<<20 || sent != int64(len(data)) || len(memory) != 0 {
		t.Errorf("%d bytes stored; began at %d, counted %d, remembers %q", len(got), first, sent, memory)
	}
}

// TestS3ResumeGone has the server forget what was begun meanwhile.
func TestS3ResumeGone(t *testing.T) {
	s := startS3(t, t.TempDir())
	data, digest := sealedBytes(t, 12<<20)
	memory := notebook{}
	store := open(t, s.address(), Options{PartSize: 5 << 20, Memory: memory})
	key := store.String() + "B"
	memory[key] = fmt.Appendf(nil, `{"id":"gone","size":%d,"sha256":%q,"part_size":%d,"parts":[{"PartNumber":1,"ETag":"x"}]}`, len(data), digest, 5<<20)
	if err := put(t, store, "B", data); err != nil {
		t.Fatal(err)
	}
	if got := s.stored(t, "B"); !bytes.Equal(got, data) || len(memory) != 0 {
		t.Errorf("%d bytes stored, remembers %q", len(got), memory)
	}
}

// TestS3DiskFull fills the server's disk.
func TestS3DiskFull(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=8m,mode=700", "none", dir).CombinedOutput(); err != nil {
		t.Skipf("no small disk to be had: %v %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("umount", "-l", dir).Run() })
	s := startS3(t, dir)
	data, _ := sealedBytes(t, 12<<20)
	for name, size := range map[string]int64{"whole": 16 << 20, "parts": 5 << 20} {
		err := put(t, open(t, s.address(), Options{PartSize: size}), name, data)
		t.Log(err)
		wantError(t, err, "the store says", "")
		s.missing(t, name)
	}
}

// TestS3Slow sends through a line that keeps every piece back.
func TestS3Slow(t *testing.T) {
	s := startS3(t, t.TempDir())
	p := newProxy(t, s.addr)
	p.each = time.Millisecond
	data, _ := sealedBytes(t, 1<<20)
	if err := put(t, open(t, s.via(p.addr()), Options{Rate: 8 << 20}), "B", data); err != nil {
		t.Fatal(err)
	}
	if got := s.stored(t, "B"); !bytes.Equal(got, data) {
		t.Errorf("%d bytes stored", len(got))
	}
}
