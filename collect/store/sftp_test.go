package store

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/clawbook/openclaw-ir/internal/storetest"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

func options(d *storetest.SSHD) Options {
	return Options{HostKey: d.HostKey, SSHKey: d.Key, Patience: time.Millisecond}
}

func TestSFTP(t *testing.T) {
	t.Parallel()
	d := storetest.StartSSHD(t)
	testStore(t, d.Address(), options(d))
}

// TestSFTPTrust connects to a server whose key nobody has vouched for, or another than the one known.
func TestSFTPTrust(t *testing.T) {
	t.Parallel()
	d := storetest.StartSSHD(t)
	other := filepath.Join(t.TempDir(), "known")
	if err := os.WriteFile(other, fmt.Appendf(nil, "[127.0.0.1]:%s %s", d.Addr[strings.LastIndex(d.Addr, ":")+1:], ssh.MarshalAuthorizedKey(storetest.WriteKey(t, filepath.Join(t.TempDir(), "k")))), 0o600); err != nil {
		t.Fatal(err)
	}
	try := func(hostKey string, known ...string) error {
		s, err := Open(t.Context(), d.Address(), Options{HostKey: hostKey, KnownHosts: known, SSHKey: d.Key, Patience: time.Millisecond})
		if err == nil {
			s.Close()
		}
		return err
	}
	for _, good := range []error{try(d.HostKey), try("", d.Known), try("", filepath.Join(t.TempDir(), "missing"), d.Known)} {
		if good != nil {
			t.Errorf("a key that is known: %v", good)
		}
	}
	wantError(t, try("", []string{}...), "nobody has vouched for the server's key, "+d.HostKey, "--host-key "+d.HostKey)
	wantError(t, try("", filepath.Join(t.TempDir(), "missing")), "nobody has vouched", "by another way")
	wantError(t, try("", other), "and not the one in "+other, "in between")
	wantError(t, try("SHA256:"+strings.Repeat("A", 43)), d.HostKey+" and not SHA256:AAAA", "in between")
	wantError(t, try("MD5:00"), "not the fingerprint", "ssh-keygen -lf")
}

func TestSFTPKeys(t *testing.T) {
	t.Parallel()
	d := storetest.StartSSHD(t)
	wrong := filepath.Join(t.TempDir(), "wrong")
	storetest.WriteKey(t, wrong)
	home := t.TempDir()
	env := map[string]string{"HOME": home}
	try := func(key string) error {
		s, err := Open(t.Context(), d.Address(), Options{HostKey: d.HostKey, SSHKey: key, Getenv: func(name string) string { return env[name] }, Patience: time.Millisecond})
		if err == nil {
			s.Close()
		}
		return err
	}
	wantError(t, try(wrong), "does not take the key for", "authorized_keys")
	wantError(t, try(""), "no SSH key", "ssh-keygen")
	wantError(t, try(d.Known), "not an SSH private key", "")
	wantError(t, try(filepath.Join(home, "missing")), "opening the SSH key", "")
	private, err := os.ReadFile(d.Key)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Mkdir(filepath.Join(home, ".ssh"), 0o700), os.WriteFile(filepath.Join(home, ".ssh", "id_ed25519"), private, 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := try(""); err != nil {
		t.Errorf("the user's usual key: %v", err)
	}
	env = map[string]string{"HOME": t.TempDir(), "SSH_AUTH_SOCK": serveAgent(t, private)}
	if err := try(""); err != nil {
		t.Errorf("the agent's key: %v", err)
	}
}

// serveAgent is an ssh-agent that holds one key.
func serveAgent(t *testing.T, private []byte) string {
	t.Helper()
	key, err := ssh.ParseRawPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	ring := agent.NewKeyring()
	if err := ring.Add(agent.AddedKey{PrivateKey: key}); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(t.TempDir(), "agent")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	storetest.Accept(t, l, func(conn net.Conn) { _ = agent.ServeAgent(ring, conn) })
	return socket
}

func TestSFTPLockedKey(t *testing.T) {
	t.Parallel()
	d := storetest.StartSSHD(t)
	private, err := os.ReadFile(d.Key)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.ParseRawPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte("hunter2x"))
	if err != nil {
		t.Fatal(err)
	}
	locked := filepath.Join(t.TempDir(), "locked")
	if err := os.WriteFile(locked, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	o := options(d)
	o.SSHKey = locked
	_, err = Open(t.Context(), d.Address(), o)
	wantError(t, err, "has a passphrase", "ssh-agent")
	o.Passphrase = func(string) ([]byte, error) { return []byte("wrong"), nil }
	_, err = Open(t.Context(), d.Address(), o)
	wantError(t, err, "wrong passphrase", "")
	o.Passphrase = func(string) ([]byte, error) { return []byte("hunter2x"), nil }
	open(t, d.Address(), o)
}

// TestSFTPCut cuts the connection again and again while a file is sent.
func TestSFTPCut(t *testing.T) {
	t.Parallel()
	d := storetest.StartSSHD(t)
	data, _ := sealedBytes(t, 5<<20+123)
	p := storetest.NewProxy(t, d.Addr)
	o := options(d)
	o.PartSize = 1 << 20
	sent := int64(0)
	o.Progress = func(n int64) { sent += n }
	s := open(t, d.Via(p.Addr()), o)
	p.CutAfter(5<<19, 2)
	if err := put(t, s, "B", data); err != nil {
		t.Fatal(err)
	}
	if got := get(t, s, "B"); !bytes.Equal(got, data) || p.Cuts() != 0 {
		t.Errorf("stored %d bytes after %d cuts are left", len(got), p.Cuts())
	}
	if sent != int64(len(data)) {
		t.Errorf("counted %d bytes", sent)
	}
	if got := names(t, s); len(got) != 1 {
		t.Errorf("left %q", got)
	}
	p.Cut()
	if got := get(t, s, "B"); !bytes.Equal(got, data) {
		t.Error("read another after a cut")
	}
}

// TestSFTPResume gives up in the middle and goes on later.
func TestSFTPResume(t *testing.T) {
	t.Parallel()
	d := storetest.StartSSHD(t)
	data, _ := sealedBytes(t, 6<<20)
	for _, change := range []struct {
		name string
		do   func(part string) error
		sent int64 // of the second time, at most
	}{
		{"as it was", func(string) error { return nil }, 3 << 20},
		{"longer", func(part string) error { return os.Truncate(part, 5<<20) }, 3 << 20},
		{"shorter", func(part string) error { return os.Truncate(part, 1<<20) }, 6 << 20},
		{"gone", os.Remove, 6 << 20},
		{"changed", func(part string) error { return os.WriteFile(part, make([]byte, 4<<20), 0o600) }, 6 << 20},
	} {
		memory := notebook{}
		o := options(d)
		o.PartSize, o.Memory = 1<<20, memory
		ctx, cancel := context.WithCancel(t.Context())
		sent := int64(0)
		o.Progress = func(n int64) {
			if sent += n; sent > 7<<19 {
				cancel()
			}
		}
		name := "B " + change.name
		s := open(t, d.Address(), o)
		if err := s.Put(ctx, name, bytes.NewReader(data), int64(len(data)), sum(data)); !errors.Is(err, context.Canceled) {
			t.Fatalf("%s: %v", change.name, err)
		}
		if _, err := s.Open(t.Context(), name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: half of it is there: %v", change.name, err)
		}
		parts, err := filepath.Glob(filepath.Join(d.Dir, name+".*.part"))
		if err != nil || len(parts) != 1 {
			t.Fatalf("%s: parts %q, %v", change.name, parts, err)
		}
		if err := change.do(parts[0]); err != nil {
			t.Fatal(err)
		}
		first := int64(-1)
		total := int64(0)
		o.Progress = func(n int64) {
			if total += n; first < 0 {
				first = n
			}
		}
		again := open(t, d.Address(), o)
		if err := put(t, again, name, data); err != nil {
			t.Fatalf("%s: %v", change.name, err)
		}
		if got := get(t, again, name); !bytes.Equal(got, data) {
			t.Errorf("%s: something else is stored", change.name)
		}
		if resumed := first >= 1<<20; resumed != (change.sent < 6<<20) || total != int64(len(data)) {
			t.Errorf("%s: began at %d, counted %d", change.name, first, total)
		}
		if len(memory) != 0 {
			t.Errorf("%s: remembers %q", change.name, memory)
		}
	}
}

// TestSFTPDiskFull fills the server's disk.
func TestSFTPDiskFull(t *testing.T) {
	t.Parallel()
	d := storetest.StartSSHD(t)
	storetest.SmallDisk(t, d.Dir, "2m")
	data, _ := sealedBytes(t, 3<<20)
	s := open(t, d.Address(), options(d))
	wantError(t, put(t, s, "B", data), "disk has 0 bytes free", "make room")
	if _, err := s.Open(t.Context(), "B"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("half of it is there: %v", err)
	}
	if err := put(t, s, "small", data[:1000]); err == nil {
		t.Log("the rest of what did not fit was removed") // and if not, nothing fits
	}
}

func TestSFTPNoDirectory(t *testing.T) {
	t.Parallel()
	d := storetest.StartSSHD(t)
	d.Path += "/missing"
	wantError(t, put(t, open(t, d.Address(), options(d)), "B", []byte("x")), "has no directory", "make the directory")
}

// putOnly are the lines of an sshd_config for an account that can store, and neither replace nor remove: what it writes is made
// read-only by the umask, which it cannot change. They are those of the README.
var putOnly = []string{
	"ForceCommand internal-sftp -u 0277 -P remove,rmdir,mkdir,setstat,fsetstat,lsetstat,posix-rename,hardlink,symlink,copy-data",
	"DisableForwarding yes", "PermitTTY no",
}

// TestSFTPPutOnly stores where nothing that is stored can be taken back, as an account that is not root's.
func TestSFTPPutOnly(t *testing.T) {
	t.Parallel()
	who, err := user.Lookup("nobody")
	if err != nil || os.Getuid() != 0 {
		t.Skip("needs root and an account to log in as")
	}
	jail, err := os.MkdirTemp("/run", "store-test-") // sshd wants it to be root's, all the way up
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { os.RemoveAll(jail) })
	d := storetest.StartSSHD(t, append(putOnly, "ChrootDirectory "+jail)...)
	uid, err := strconv.Atoi(who.Uid)
	if err != nil {
		t.Fatal(err)
	}
	d.User, d.Dir, d.Path = who.Username, filepath.Join(jail, "in"), "/in"
	authorized := filepath.Join(filepath.Dir(d.Key), "authorized")
	err = errors.Join(os.Chmod(jail, 0o755), os.Mkdir(d.Dir, 0o700), os.Chown(d.Dir, uid, -1), os.Chmod(authorized, 0o644))
	for dir := filepath.Dir(authorized); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		err = errors.Join(err, os.Chmod(dir, 0o755))
	}
	if err != nil {
		t.Fatal(err)
	}
	data, _ := sealedBytes(t, 3<<20)
	o := options(d)
	o.PartSize = 1 << 20
	p := storetest.NewProxy(t, d.Addr)
	s := open(t, d.Via(p.Addr()), o)
	p.CutAfter(3<<19, 1)
	if err := put(t, s, "B", data); err != nil {
		t.Fatal(err)
	}
	if got := get(t, s, "B"); !bytes.Equal(got, data) {
		t.Error("something else is stored")
	}
	tamper(t, s.(*server))
	if got := get(t, s, "B"); !bytes.Equal(got, data) {
		t.Error("what was stored was changed")
	}
}

// tamper does what an intruder with the host's key would.
func tamper(t *testing.T, s *server) {
	t.Helper()
	for what, do := range map[string]func(c *connection) error{
		"remove":   func(c *connection) error { return c.sftp.Remove(s.path("B")) },
		"truncate": func(c *connection) error { return c.sftp.Truncate(s.path("B"), 0) },
		"chmod":    func(c *connection) error { return c.sftp.Chmod(s.path("B"), 0o600) },
		"write": func(c *connection) error {
			_, err := c.sftp.OpenFile(s.path("B"), os.O_WRONLY|os.O_TRUNC)
			return err
		},
		"replace": func(c *connection) error {
			f, err := c.sftp.OpenFile(s.path("evil"), os.O_WRONLY|os.O_CREATE)
			if err == nil {
				f.Close()
			}
			return c.sftp.PosixRename(s.path("evil"), s.path("B"))
		},
		"rename over": func(c *connection) error { return c.sftp.Rename(s.path("evil"), s.path("B")) },
	} {
		err := s.with(t.Context(), func(_ context.Context, c *connection) error { return do(c) })
		if err == nil {
			t.Errorf("%s: done", what)
		}
	}
}
