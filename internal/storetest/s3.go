package storetest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// s3Program is a real S3 server, github.com/versity/versitygw, which .ci/run builds. The variable names another place for it.
func s3Program(t testing.TB) string {
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
	// AdminKey is the access key of the server's owner.
	AdminKey, adminSecret = "admin", "adminsecret"
	// HostKey and HostSecret are the credentials that PutOnly makes.
	HostKey, HostSecret = "host-1", "hostsecret-8f3a"
	// Bucket is the one that there is.
	Bucket = "evidence"
)

// An S3 is a running one with a bucket that has versions and Object Lock.
type S3 struct {
	Addr  string
	Admin *minio.Client // its owner's
}

// StartS3 starts one whose data lie in dir. Our own credentials are its owner's until the test takes others.
func StartS3(t testing.TB, dir string) *S3 {
	t.Helper()
	program := s3Program(t)
	s := &S3{}
	folders := map[string]string{}
	for _, name := range []string{"data", "versions", "iam", "meta"} {
		folders[name] = filepath.Join(dir, name)
		if err := os.MkdirAll(folders[name], 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s.Addr = start(t, func(addr string) *exec.Cmd {
		cmd := exec.Command(program, "--port", addr, "--iam-dir", folders["iam"], "--quiet",
			"posix", "--sidecar", folders["meta"], "--versioning-dir", folders["versions"], folders["data"])
		cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+AdminKey, "ROOT_SECRET_KEY="+adminSecret)
		return cmd
	})
	s.Admin = s.Client(t, AdminKey, adminSecret)
	if err := s.Admin.MakeBucket(t.Context(), Bucket, minio.MakeBucketOptions{ObjectLocking: true}); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", t.TempDir())
	s.As(t, AdminKey, adminSecret)
	return s
}

// As has us use these credentials.
func (s *S3) As(t testing.TB, key, secret string) {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", key)
	t.Setenv("AWS_SECRET_ACCESS_KEY", secret)
}

// Address is the store's, with a prefix for one host.
func (s *S3) Address() string { return s.Via(s.Addr) }

// Via is the store's address, reached another way.
func (s *S3) Via(addr string) string {
	return "s3://" + Bucket + "/host-1?endpoint=http://" + addr
}

// PutOnlyPolicy is the least that a host needs. It is the one of the README.
const PutOnlyPolicy = `{
  "Version": "2012-10-17",
  "Statement": [{
    "Sid": "StoreAndNothingElse",
    "Effect": "Allow",
    "Principal": {"AWS": ["host-1"]},
    "Action": ["s3:PutObject", "s3:PutObjectRetention"],
    "Resource": "arn:aws:s3:::evidence/host-1/*"
  }]
}`

// PutOnly makes the account of a host that may store and nothing else, and has us use it.
func (s *S3) PutOnly(t testing.TB) {
	t.Helper()
	cmd := exec.Command(s3Program(t), "admin", "create-user", "--access", HostKey, "--secret", HostSecret, "--role", "user")
	cmd.Env = append(os.Environ(), "ADMIN_ACCESS_KEY="+AdminKey, "ADMIN_SECRET_KEY="+adminSecret, "ADMIN_ENDPOINT_URL=http://"+s.Addr)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("making the account: %v %s", err, out)
	}
	if err := s.Admin.SetBucketPolicy(t.Context(), Bucket, PutOnlyPolicy); err != nil {
		t.Fatal(err)
	}
	s.As(t, HostKey, HostSecret)
}

// Stored reads as the owner what the bucket holds.
func (s *S3) Stored(t testing.TB, name string) []byte {
	t.Helper()
	f, err := s.Admin.GetObject(t.Context(), Bucket, "host-1/"+name, minio.GetObjectOptions{})
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

// Missing fails the test if there is something of that name.
func (s *S3) Missing(t testing.TB, name string) {
	t.Helper()
	_, err := s.Admin.StatObject(t.Context(), Bucket, "host-1/"+name, minio.StatObjectOptions{})
	if minio.ToErrorResponse(err).StatusCode != 404 {
		t.Errorf("%q is there: %v", name, err)
	}
}

// Client is another client, with its own credentials.
func (s *S3) Client(t testing.TB, key, secret string) *minio.Client {
	t.Helper()
	client, err := minio.New(s.Addr, &minio.Options{Creds: credentials.NewStaticV4(key, secret, ""), Region: "us-east-1"})
	if err != nil {
		t.Fatal(err)
	}
	return client
}
