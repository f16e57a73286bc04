package drill

import (
	"archive/tar"
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/clawbook/openclaw-ir/internal/openclaw"
	"github.com/klauspost/compress/zstd"
)

// Each state is the one it says it is, belongs to whoever laid it out, and is laid out once.
func TestStates(t *testing.T) {
	for _, s := range States() {
		t.Run(s.Version, func(t *testing.T) {
			if found, err := Find(s.Version); err != nil || found != s {
				t.Errorf("found %+v, %v", found, err)
			}
			dir := filepath.Join(t.TempDir(), "host")
			if err := s.LayOut(dir); err != nil {
				t.Fatal(err)
			}
			installs, gaps := openclaw.Find(os.DirFS(dir), openclaw.FindOptions{UID: -1})
			if len(gaps) > 0 || len(installs) != 1 || installs[0].Version != s.Version || installs[0].User != User {
				t.Errorf("found %+v, gaps %v", installs, gaps)
			}
			if err := s.LayOut(dir); err == nil {
				t.Error("laid out over what was there")
			}
			checkOwned(t, dir)
		})
	}
	if s, err := Find(""); err != nil || s != States()[0] {
		t.Errorf("found %+v, %v", s, err)
	}
	if _, err := Find("2026.9"); err == nil {
		t.Error("found a state that there is not")
	}
}

func checkOwned(t *testing.T, dir string) {
	t.Helper()
	if fi, err := os.Stat(dir); err != nil || fi.Mode().Perm() != 0o700 {
		t.Errorf("the directory is open to others: %v, %v", fi, err)
	}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(name, os.Getuid(), -1) // which only its owner, or root, may
	})
	if err != nil {
		t.Error(err)
	}
}

// Nothing that an archive holds is written outside the directory.
func TestUnpackStaysInside(t *testing.T) {
	all := func(member string) string { return member }
	for name, members := range map[string][]tar.Header{
		"above":         {{Name: "../evil", Typeflag: tar.TypeReg}},
		"absolute":      {{Name: "/tmp/openclaw-ir-evil", Typeflag: tar.TypeReg}},
		"through link":  {{Name: "home/out", Typeflag: tar.TypeSymlink, Linkname: "../.."}, {Name: "home/out/evil", Typeflag: tar.TypeReg}},
		"absolute link": {{Name: "home/out", Typeflag: tar.TypeSymlink, Linkname: "/"}, {Name: "home/out/openclaw-ir-evil", Typeflag: tar.TypeReg}},
		"device":        {{Name: "home/dev", Typeflag: tar.TypeChar}},
		"hard link":     {{Name: "home/passwd", Typeflag: tar.TypeLink, Linkname: "/etc/passwd"}},
		"twice":         {{Name: "home/a", Typeflag: tar.TypeReg}, {Name: "home/a", Typeflag: tar.TypeReg}},
		"nothing":       nil,
	} {
		t.Run(name, func(t *testing.T) {
			above := t.TempDir()
			dir := filepath.Join(above, "host")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := Unpack(dir, bytes.NewReader(archiveOf(t, members)), Options{Place: all}); err == nil {
				t.Error("unpacked without an error")
			}
			entries, err := os.ReadDir(above)
			if err != nil || len(entries) != 1 {
				t.Errorf("beside the directory lies %v, %v", entries, err)
			}
			for _, evil := range []string{"/tmp/openclaw-ir-evil", "/openclaw-ir-evil"} {
				if _, err := os.Lstat(evil); err == nil {
					t.Errorf("%s was made", evil)
				}
			}
		})
	}
}

func archiveOf(t *testing.T, members []tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	z, err := zstd.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(z)
	for _, h := range members {
		h.Mode = 0o600
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
