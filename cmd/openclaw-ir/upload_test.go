package main

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/clawbook/openclaw-ir/internal/console"
	"github.com/clawbook/openclaw-ir/internal/statetest"
	"github.com/clawbook/openclaw-ir/internal/storetest"
)

// An uploader runs collect in a case of its own.
type uploader struct {
	cases, root, recipient string
	key                    string       // the file of the private key
	said                   bytes.Buffer // all that any run printed
}

func newUploader(t *testing.T) *uploader {
	t.Helper()
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key.txt")
	if err := os.WriteFile(file, []byte(key.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return &uploader{key: file, cases: filepath.Join(t.TempDir(), "cases"), root: statetest.Root(t, "2026.2.12"), recipient: key.Recipient().String()}
}

// run runs one command line and wants its exit code.
func (u *uploader) run(t *testing.T, want int, args ...string) {
	t.Helper()
	u.command(t, want, append([]string{"collect"}, args...)...)
}

// command runs any command in the case, and returns what it printed.
func (u *uploader) command(t *testing.T, want int, args ...string) string {
	t.Helper()
	args = append([]string{"openclaw-ir"}, append(args, "--case-dir", u.cases, "--case", "one")...)
	var out bytes.Buffer
	c := console.New(console.Streams{In: strings.NewReader(""), Out: &out, Err: &out}, console.Facts{Width: 200})
	code := run(context.Background(), args, env{console: c, getenv: os.Getenv, uid: os.Getuid(), haste: true})
	u.said.Write(out.Bytes())
	if code != want {
		t.Fatalf("%q: exit code %d, want %d\n%s", args, code, want, out.String())
	}
	return out.String()
}

// collect collects and uploads.
func (u *uploader) collect(t *testing.T, want int, to ...string) {
	t.Helper()
	u.run(t, want, append([]string{"--root", u.root, "-r", u.recipient}, to...)...)
}

// silent fails if a secret is in anything that was printed or is kept in the case.
func (u *uploader) silent(t *testing.T, secret string) {
	t.Helper()
	if strings.Contains(u.said.String(), secret) {
		t.Errorf("a secret was printed:\n%s", u.said.String())
	}
	err := filepath.WalkDir(u.cases, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if bytes.Contains(text, []byte(secret)) {
			t.Errorf("a secret is in %q", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// bundles are the files in the case's directory of bundles that are uploaded.
func (u *uploader) bundles(t *testing.T) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for _, pattern := range []string{"*.age", "*.seal"} {
		names, err := filepath.Glob(filepath.Join(u.cases, "one", "bundles", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if files[filepath.Base(name)], err = os.ReadFile(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	return files
}

// TestUploadS3 collects into a bucket with credentials that can only put, while the store is away, and when it is back.
func TestUploadS3(t *testing.T) {
	s := storetest.StartS3(t, t.TempDir())
	s.PutOnly(t)
	p := storetest.NewProxy(t, s.Addr)
	u := newUploader(t)
	p.CutAlways(0)
	u.collect(t, exitPartial, "--to", s.Via(p.Addr()), "--lock-days", "3")
	u.run(t, exitPartial, "upload", "--json")
	p.Heal()
	u.run(t, exitDone, "upload")
	u.collect(t, exitDone, "--snapshot", "--to", s.Via(p.Addr()))
	files := u.bundles(t)
	if len(files) != 4 {
		t.Errorf("made %d files", len(files))
	}
	for name, want := range files {
		if got := s.Stored(t, name); !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes stored, want %d", name, len(got), len(want))
		}
	}
	u.silent(t, storetest.HostSecret)
	s.As(t, storetest.HostKey, "hunter2x")
	u.collect(t, exitPartial, "--to", s.Address())
	if !strings.Contains(u.said.String(), "hint: the credentials are wrong") {
		t.Errorf("no word of what to do:\n%s", u.said.String())
	}
	u.silent(t, "hunter2x")
}

// TestReadStored verifies, lists, opens and analyzes a bundle where it is stored.
func TestReadStored(t *testing.T) {
	s, d, u := storetest.StartS3(t, t.TempDir()), storetest.StartSSHD(t), newUploader(t)
	u.collect(t, exitDone, "--to", s.Address())
	u.collect(t, exitDone, "--to", d.Address(), "--ssh-key", d.Key, "--host-key", d.HostKey)
	names, err := filepath.Glob(filepath.Join(d.Dir, "*.age"))
	if err != nil || len(names) != 1 {
		t.Fatalf("%q, %v", names, err)
	}
	first := ""
	for name := range u.bundles(t) {
		if strings.HasSuffix(name, ".age") && name != filepath.Base(names[0]) {
			first = name
		}
	}
	inBucket := strings.Replace(s.Address(), "?", "/"+first+"?", 1)
	reach := map[string][]string{inBucket: nil, d.Address() + "/" + filepath.Base(names[0]): {"--ssh-key", d.Key, "--host-key", d.HostKey}}
	for at, flags := range reach {
		if got := u.command(t, exitDone, append([]string{"collect", "verify", at}, flags...)...); !strings.Contains(got, "holds") {
			t.Errorf("verify %s: %s", at, got)
		}
		u.command(t, exitDone, append([]string{"collect", "verify", at, "-i", u.key}, flags...)...)
		if got := u.command(t, exitDone, append([]string{"collect", "list", at, "-i", u.key}, flags...)...); !strings.Contains(got, "openclaw.json") {
			t.Errorf("list %s: %s", at, got)
		}
		u.command(t, exitDone, append([]string{"collect", "open", at, filepath.Join(t.TempDir(), "out"), "-i", u.key}, flags...)...)
		u.command(t, exitDone, append([]string{"collect", "verify", "--salvage", at, "-i", u.key}, flags...)...)
	}
	if got := u.command(t, exitDone, "analyze", inBucket, "-i", u.key); !strings.Contains(got, "exec") {
		t.Errorf("analyze: %s", got)
	}
	if got := u.command(t, exitFailed, "collect", "verify", s.Address()+"&region=us-east-1"); !strings.Contains(got, "does not exist") {
		t.Errorf("what is not there: %s", got)
	}
	got := u.command(t, exitUsage, "collect", "chain", "verify", "sftp://ir:hunter2x@example.org/in")
	got += u.command(t, exitUsage, "analyze", "sftp://ir:hunter2x@example.org/in/B.age", "-i", u.key)
	u.said.WriteString(got)
	u.silent(t, "hunter2x")
}

// TestUploadSFTP collects onto a real OpenSSH server.
func TestUploadSFTP(t *testing.T) {
	d := storetest.StartSSHD(t)
	u := newUploader(t)
	u.collect(t, exitPartial, "--to", d.Address(), "--ssh-key", d.Key)
	if !strings.Contains(u.said.String(), "hint: ask who runs the server, by another way, whether it has that key; then --host-key "+d.HostKey) {
		t.Errorf("said\n%s", u.said.String())
	}
	u.collect(t, exitPartial, "--to", d.Address(), "--ssh-key", d.Key, "--host-key", d.HostKey) // the first is still owed to an unknown server
	files := u.bundles(t)
	entries, err := os.ReadDir(d.Dir)
	if err != nil || len(files) != 4 || len(entries) != 2 {
		t.Fatalf("stored %v of %d, %v", entries, len(files), err)
	}
	for _, entry := range entries {
		got, err := os.ReadFile(filepath.Join(d.Dir, entry.Name()))
		if err != nil || !bytes.Equal(got, files[entry.Name()]) {
			t.Errorf("%s: %d bytes stored, %v", entry.Name(), len(got), err)
		}
	}
}
