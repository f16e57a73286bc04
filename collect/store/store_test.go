package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// sealedBytes are what a bundle looks like from outside: n random bytes, and their digest.
func sealedBytes(t *testing.T, n int) ([]byte, string) {
	t.Helper()
	data := make([]byte, n)
	random := rand.NewChaCha8([32]byte{byte(n), byte(n >> 8), byte(n >> 16)})
	if _, err := random.Read(data); err != nil {
		t.Fatal(err)
	}
	return data, sum(data)
}

func sum(data []byte) string {
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}

func put(t *testing.T, s Store, name string, data []byte) error {
	t.Helper()
	return s.Put(t.Context(), name, bytes.NewReader(data), int64(len(data)), sum(data))
}

// get reads all that is stored under a name.
func get(t *testing.T, s Store, name string) []byte {
	t.Helper()
	f, err := s.Open(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.NewSectionReader(f, 0, f.Size()))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// names are what a store lists, with the problem of each.
func names(t *testing.T, s Store) (list []string) {
	t.Helper()
	objects, err := s.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		name := o.Name
		if o.Problem != "" {
			name += ": " + o.Problem
		}
		list = append(list, name)
	}
	return list
}

// wantError wants an error that says this, and says what to do about it.
func wantError(t *testing.T, err error, text, hint string) {
	t.Helper()
	var told *Error
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Fatalf("got %v, want an error with %q", err, text)
	}
	if hint != "" && (!errors.As(err, &told) || !strings.Contains(told.Hint, hint)) {
		t.Errorf("%v: no hint with %q", err, hint)
	}
}

func open(t *testing.T, address string, o Options) Store {
	t.Helper()
	if o.Patience == 0 {
		o.Patience = time.Millisecond
	}
	s, err := Open(t.Context(), address, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// notebook is a Memory that lasts as long as the test.
type notebook map[string][]byte

func (n notebook) Recall(key string) []byte { return n[key] }
func (n notebook) Remember(key string, state []byte) error {
	if n[key] = state; state == nil {
		delete(n, key)
	}
	return nil
}

// testStore tries what every store is to do.
func testStore(t *testing.T, address string, o Options) {
	s := open(t, address, o)
	size := 3<<20 + 17
	if o.PartSize > 0 {
		size = int(2*o.PartSize) + 17
	}
	data, _ := sealedBytes(t, size)
	empty := []byte{}
	for name, content := range map[string][]byte{"B.tar.zst.age": data, "B.tar.zst.age.seal": []byte("{}\n"), "empty": empty, "Ünïcode name": []byte("x")} {
		if err := put(t, s, name, content); err != nil {
			t.Fatal(err)
		}
		if got := get(t, s, name); !bytes.Equal(got, content) {
			t.Errorf("%q holds %d bytes, want %d", name, len(got), len(content))
		}
	}
	if got := strings.Join(names(t, s), "|"); got != "B.tar.zst.age|B.tar.zst.age.seal|empty|Ünïcode name" {
		t.Errorf("listed %q", got)
	}
	if err := put(t, s, "B.tar.zst.age", data); err != nil {
		t.Errorf("the same once more: %v", err)
	}
	if err := put(t, s, "B.tar.zst.age", data[1:]); !errors.Is(err, ErrExists) {
		t.Errorf("something else under its name: %v", err)
	}
	other := bytes.Clone(data)
	other[len(other)/2] ^= 1
	if err := put(t, s, "B.tar.zst.age", other); !errors.Is(err, ErrExists) {
		t.Errorf("something of the same size: %v", err)
	}
	if got := get(t, s, "B.tar.zst.age"); !bytes.Equal(got, data) {
		t.Error("it was replaced")
	}
	err := s.Put(t.Context(), "changed", bytes.NewReader(data), int64(len(data)), sum(empty))
	if !errors.Is(err, ErrChanged) {
		t.Errorf("with another digest: %v", err)
	}
	if _, err := s.Open(t.Context(), "changed"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what was not sealed: %v", err)
	}
	for _, name := range []string{"", "../x", "a/b", ".hidden", "x.part", "a\nb", "a\x1b[31m", `a\b`, "a\u202eb", strings.Repeat("x", 256)} {
		if err := put(t, s, name, data); err == nil {
			t.Errorf("stored under %q", name)
		}
		if _, err := s.Open(t.Context(), name); err == nil {
			t.Errorf("opened %q", name)
		}
	}
	testRanges(t, s, data)
}

// testRanges reads here and there, as a bundle is read.
func testRanges(t *testing.T, s Store, data []byte) {
	f, err := s.Open(t.Context(), "B.tar.zst.age")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for range 30 {
		off, n := rand.IntN(len(data)), rand.IntN(2<<20)
		p := make([]byte, n)
		k, err := f.ReadAt(p, int64(off))
		if want := min(n, len(data)-off); k != want || (k < n) != errors.Is(err, io.EOF) || !bytes.Equal(p[:k], data[off:off+k]) {
			t.Fatalf("%d bytes at %d: got %d, %v", n, off, k, err)
		}
	}
}

func TestDirectory(t *testing.T) {
	testStore(t, filepath.Join(t.TempDir(), "made"), Options{})
}

func TestDirectoryModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made")
	s := open(t, dir, Options{})
	if err := put(t, s, "B", []byte("x")); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{dir: 0o700, filepath.Join(dir, "B"): 0o600} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("left %v, %v", entries, err)
	}
	if _, err := Open(t.Context(), filepath.Join(dir, "a", "b"), Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("made a store where something is not mounted: %v", err)
	}
}

// TestDirectoryHostile has others prepare the directory.
func TestDirectoryHostile(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	outside := filepath.Join(t.TempDir(), "outside")
	err := errors.Join(os.WriteFile(outside, []byte("secret"), 0o600), os.Symlink(outside, filepath.Join(dir, "link")),
		os.Mkdir(filepath.Join(dir, "folder"), 0o700), os.WriteFile(filepath.Join(dir, "a\nb"), nil, 0o600), os.WriteFile(filepath.Join(dir, ".B.x.part"), nil, 0o600))
	if err != nil {
		t.Fatal(err)
	}
	want := ".B.x.part: it begins with a dot|a\nb: it has characters that cannot be seen|folder: not a file|link: not a file"
	if got := strings.Join(names(t, s), "|"); got != want {
		t.Errorf("listed %q", got)
	}
	for _, name := range []string{"link", "folder"} {
		if f, err := s.Open(t.Context(), name); err == nil {
			t.Errorf("opened %s, of %d bytes", name, f.Size())
		}
		if err := put(t, s, name, []byte("x")); !errors.Is(err, ErrExists) {
			t.Errorf("stored under %s: %v", name, err)
		}
	}
	if got, err := os.ReadFile(outside); err != nil || string(got) != "secret" {
		t.Errorf("outside is %q, %v", got, err)
	}
}

func TestListingIsBounded(t *testing.T) {
	var l listing
	for n := 0; ; n++ {
		if err := l.add(Object{Name: "x"}); err != nil {
			if n != maxObjects {
				t.Errorf("ended at %d", n)
			}
			return
		}
	}
}

func TestAddresses(t *testing.T) {
	for _, good := range []string{"/mnt/usb", "backup", "s3://bucket", "s3://bucket/a/b?endpoint=https://s3.example.org:9000&region=eu", "sftp://ir@example.org:2222/in", "sftp://ir@[::1]/~/in"} {
		if err := Check(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "http://example.org/x", "s3://", "s3://ab", "s3://bucket:80/x", "s3://bucket/x?secret=hunter2x", "s3://bucket/x?endpoint=https://hunter2x@host",
		"s3://key:hunter2x@bucket/x", "s3://hunter2x@bucket", "sftp://example.org/x", "sftp://ir:hunter2x@example.org/x", "sftp://ir@example.org/x?y", "s3://%zz:hunter2x@x",
	} {
		if err := Check(bad); err == nil || strings.Contains(err.Error(), "hunter2x") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// TestRate sends no faster than was said, to no store in particular.
func TestRate(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	o := Options{Rate: 1 << 20}.withDefaults()
	data := make([]byte, bite+256<<10)
	begin, sent := time.Now(), int64(0)
	n, err := io.Copy(io.Discard, o.slowly(ctx, bytes.NewReader(data), func(n int64) { sent += n }))
	if took := time.Since(begin); err != nil || n != int64(len(data)) || sent != n || took < 250*time.Millisecond {
		t.Errorf("%d bytes, %d counted, in %v: %v", n, sent, took, err)
	}
	cancel()
	if _, err := io.Copy(io.Discard, o.slowly(ctx, bytes.NewReader(data), func(int64) {})); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
}
