package store

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clawbook/openclaw-ir/internal/storetest"
	"github.com/pkg/sftp"
)

// serveLiar is an SFTP server whose answers are made by handlers.
func serveLiar(t *testing.T, handlers sftp.Handlers) (address string, o Options) {
	t.Helper()
	addr, hostKey := storetest.ServeSFTP(t, handlers)
	key := filepath.Join(t.TempDir(), "key")
	storetest.WriteKey(t, key)
	return "sftp://ir@" + addr + "/", Options{HostKey: hostKey, SSHKey: key, Patience: time.Millisecond}
}

// A liar is a server that keeps what it is sent, and says something else of it.
type liar struct {
	sftp.Handlers
	content func([]byte) []byte               // of what is read
	info    func(os.FileInfo) os.FileInfo     // of what is looked at
	write   func([]byte, int64) (int, error)  // instead of writing
	list    func([]os.FileInfo) []os.FileInfo // of a directory
}

func newLiar() *liar { return &liar{Handlers: sftp.InMemHandler()} }

func (l *liar) handlers() sftp.Handlers {
	return sftp.Handlers{FileGet: l, FilePut: l, FileCmd: l.FileCmd, FileList: l}
}

func (l *liar) Fileread(r *sftp.Request) (io.ReaderAt, error) {
	inner, err := l.FileGet.Fileread(r)
	if err != nil || l.content == nil {
		return inner, err
	}
	all, err := io.ReadAll(io.NewSectionReader(inner, 0, 1<<30))
	return bytes.NewReader(l.content(all)), err
}

func (l *liar) Filewrite(r *sftp.Request) (io.WriterAt, error) {
	inner, err := l.FilePut.Filewrite(r)
	if err == nil && l.write != nil {
		return writeFunc(l.write), nil
	}
	return inner, err
}

type writeFunc func([]byte, int64) (int, error)

func (f writeFunc) WriteAt(p []byte, off int64) (int, error) { return f(p, off) }

func (l *liar) Filelist(r *sftp.Request) (sftp.ListerAt, error) { return l.lie(l.FileList.Filelist(r)) }

func (l *liar) Lstat(r *sftp.Request) (sftp.ListerAt, error) {
	return l.lie(l.FileList.(sftp.LstatFileLister).Lstat(r))
}

func (l *liar) lie(inner sftp.ListerAt, err error) (sftp.ListerAt, error) {
	if err != nil {
		return nil, err
	}
	infos := make([]os.FileInfo, 100)
	n, err := inner.ListAt(infos, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	infos = infos[:n]
	if l.list != nil {
		infos = l.list(infos)
	}
	for i := range infos {
		if l.info != nil {
			infos[i] = l.info(infos[i])
		}
	}
	return lister(infos), nil
}

type lister []os.FileInfo

func (l lister) ListAt(to []os.FileInfo, off int64) (int, error) {
	if off >= int64(len(l)) {
		return 0, io.EOF
	}
	n := copy(to, l[off:])
	if n < len(to) {
		return n, io.EOF
	}
	return n, nil
}

// A said is what a server says of a file.
type said struct {
	os.FileInfo
	name string
	size int64
}

func (s said) Name() string { return s.name }
func (s said) Size() int64  { return s.size }

// TestSFTPLies has a server keep something else than it was sent.
func TestSFTPLies(t *testing.T) {
	data, _ := sealedBytes(t, 3<<20)
	for what, lie := range map[string]func(l *liar){
		"other bytes": func(l *liar) {
			l.content = func(all []byte) []byte {
				if len(all) > 0 {
					all = bytes.Clone(all)
					all[len(all)-1] ^= 1
				}
				return all
			}
		},
		"fewer bytes": func(l *liar) { l.content = func(all []byte) []byte { return all[:len(all)/2] } },
		"another size": func(l *liar) {
			l.info = func(info os.FileInfo) os.FileInfo { return said{info, info.Name(), info.Size() / 2} }
		},
		"nothing": func(l *liar) { l.write = func(p []byte, _ int64) (int, error) { return len(p), nil } },
	} {
		l := newLiar()
		lie(l)
		address, o := serveLiar(t, l.handlers())
		memory := notebook{}
		o.Memory = memory
		wantError(t, put(t, open(t, address, o), "B", data), "what the server has is not what it was sent", "do not rely on this server")
		if len(memory) != 0 {
			t.Errorf("%s: remembers %q", what, memory)
		}
	}
}

// TestSFTPRefuses has a server say no more than that it failed, as it does where a quota is full.
func TestSFTPRefuses(t *testing.T) {
	l := newLiar()
	l.write = func([]byte, int64) (int, error) { return 0, errors.New("quota") }
	address, o := serveLiar(t, l.handlers())
	wantError(t, put(t, open(t, address, o), "B", []byte("sealed")), "the account's quota may be full", "make room")
}

// TestSFTPHostileListing has a server list what cannot be.
func TestSFTPHostileListing(t *testing.T) {
	l := newLiar()
	address, o := serveLiar(t, l.handlers())
	s := open(t, address, o)
	if err := put(t, s, "good", []byte("x")); err != nil {
		t.Fatal(err)
	}
	l.list = func(infos []os.FileInfo) []os.FileInfo {
		for _, name := range []string{"a/b", "../../etc/passwd", "a\x1b[31m", "a\nb", "\xff", ".x", strings.Repeat("x", 1000)} {
			infos = append(infos, said{infos[0], name, 1})
		}
		return append(infos, said{infos[0], "huge", -1})
	}
	objects, err := s.List(t.Context())
	if err != nil || len(objects) != 9 {
		t.Fatalf("listed %v, %v", objects, err)
	}
	plain := []string{"good", "b", "passwd"} // of a path, the library gives the last part
	for _, o := range objects {
		if (o.Problem == "") != slices.Contains(plain, o.Name) {
			t.Errorf("%q: %q", o.Name, o.Problem)
		}
	}
}
